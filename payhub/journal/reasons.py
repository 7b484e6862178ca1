"""Why payhub says that an order is as it is: reasons as data, and the words made from them when they are shown."""

import enum
from collections.abc import Collection, Mapping


class Why(enum.StrEnum):
    """A reason that payhub itself gives.

    What a provider, a driver, a connection or an operator says in words of its own is kept beside it.
    """

    NOT_SENT = "not_sent"
    NO_ANSWER = "no_answer"
    UNUSABLE_ANSWER = "unusable_answer"
    UNPROVEN = "unproven"
    TOO_EARLY = "too_early"
    CONTRADICTS_ORDER = "contradicts_order"
    NOT_FOUND = "not_found"
    DRIVER_FAILED = "driver_failed"
    WRONG_RESULT = "wrong_result"
    MALFORMED_RESULT = "malformed_result"
    SENT_TWICE = "sent_twice"
    NOTHING_MOVED = "nothing_moved"
    OVERSLEPT = "overslept"
    SENDER_SILENT = "sender_silent"
    SCHEDULE_OVER = "schedule_over"
    NOTIFIED_BEFORE = "notified_before"
    CONTRADICTED = "contradicted"
    OTHER_KEY = "other_key"
    OTHER_ACCOUNT = "other_account"
    SHARED_ID = "shared_id"
    OTHER_LEG = "other_leg"


_ENGLISH: Mapping[Why, str] = {
    Why.NOT_SENT: "{words} (not sent)",
    Why.NO_ANSWER: "{words} (maybe sent)",
    Why.UNUSABLE_ANSWER: "{words}",
    Why.UNPROVEN: "does not prove that it {words}",
    Why.TOO_EARLY: "{words} in the answer to the create, which by the provider's documents is never final: it is asked",
    Why.CONTRADICTS_ORDER: "the answer contradicts the order: {fields}",
    Why.NOT_FOUND: "not found, which proves nothing",
    Why.DRIVER_FAILED: "{words} in the driver",
    Why.WRONG_RESULT: "{words} from the driver",
    Why.MALFORMED_RESULT: "a malformed {words} from the driver",
    Why.SENT_TWICE: "the driver wanted to send it again",
    Why.NOTHING_MOVED: "the driver has a result without a call that moves money",
    Why.OVERSLEPT: "this process was stopped for so long that the order's lease may end while it sends",
    Why.SENDER_SILENT: "the sender did not report in time",
    Why.SCHEDULE_OVER: "not settled within the time the schedule allows; ask the provider's support",
    Why.NOTIFIED_BEFORE: "the provider sent a notification of it before it was created here",
    Why.CONTRADICTED: "recorded as {words}, and something says otherwise; look at its trace",
    Why.OTHER_KEY: "journal.key: it is not the key that this journal was begun with, so no order can be compared with "
    "those that were sent: bring that key back; it is looked for in {words}",
    Why.OTHER_ACCOUNT: "account {words} is another one with its provider now than the one that has this order, so "
    "nobody is asked about it: give the former account its name back, and the new one a name of its own",
    Why.SHARED_ID: "the answer has the provider's id of another order",
    Why.OTHER_LEG: "the answer is about this order with account {words}, which is the same account with its provider",
}


def explain(
    why: Why | None, words: str | None = None, *, http_status: int | None = None, fields: Collection[str] = ()
) -> str | None:
    """Return a reason in English: payhub's own, with the words of others where it has a place for them.

    `http_status` is that of an answer that could not be used, `fields` are those in which an answer contradicts its
    order.
    """
    if why is None:
        return words
    text = _ENGLISH[why].format(words=words or "no reason given", fields=", ".join(fields))
    return f"HTTP {http_status}: {text}" if http_status is not None else text
