"""The situation of an order follows from its state and from how it came there."""

import datetime as dt
from collections.abc import Callable

import msgspec
import pytest

from payhub import Exchange, Money, Phase, UnknownOrder
from payhub.journal import (
    Entry,
    Evidence,
    Key,
    NotificationContent,
    Record,
    Source,
    State,
    StoredNotification,
    Verdict,
    Why,
    reasons,
)
from payhub.ticket import LANGS, Lang, Situation, Ticket
from payhub.ticket.situations import Doubt, Story
from payhub.ticket.texts import TEXTS
from tests.journal.making import facts, key

from .conftest import START, Records

MINUTE = dt.timedelta(minutes=1)


def record(state: State, **fields: object) -> Record:
    """Make a record of an order that was made at the start."""
    made = {"created_at": START, "updated_at": START + MINUTE, "attempts": 1}
    return Record(**{"facts": facts(), "state": state, **made, **fields})  # type: ignore[arg-type]


def said(state: State, source: Source, minutes: int = 2, **fields: object) -> Entry:
    """Make an entry of evidence."""
    options = {name: fields.pop(name) for name in ("contradicts", "times", "last_at", "by") if name in fields}
    evidence = Evidence(source=source, state=state, **fields)  # type: ignore[arg-type]
    what = "act" if source is Source.OPERATOR else "evidence"
    return Entry(at=START + minutes * MINUTE, what=what, key=key(), evidence=evidence, **options)  # type: ignore[arg-type]


def exchanged(status: int | None = 200, minutes: int = 1, **fields: object) -> Entry:
    """Make an entry of an exchange."""
    made: dict[str, object] = {
        "account": "shop",
        "provider": "fake",
        "operation": "create_payout",
        "order_id": "po-1",
        "provider_id": None,
        "method": "POST",
        "url": "https://pay.example/v1/payouts",
        "phase": Phase.MAYBE_SENT if status is None else Phase.ANSWERED,
        "status": status,
        "problem": "the connection was cut" if status is None else None,
        "started_at": START + minutes * MINUTE,
        "duration": 0.25,
        "server_time": None,
        "bytes_sent": 10,
        "bytes_received": 10,
        "request": {"order_id": "po-1"},
        "response": {"status": "new"} if status else None,
    }
    exchange = Exchange(**{**made, **fields})  # type: ignore[arg-type]
    return Entry(at=exchange.started_at, what="exchange", key=key(), exchange=exchange)


def notified(verdict: Verdict, minutes: int = 3) -> Entry:
    """Make an entry of a notification."""
    at = START + minutes * MINUTE
    notice = NotificationContent(
        account="shop", provider="fake", kind="payout", order_id="po-1", provider_id="7", state=State.SUCCEEDED,
        provider_status="done", digest="d" * 64,
    )  # fmt: skip
    return StoredNotification(id=1, content=notice, verdict=verdict, times=1, at=at, last_at=at).entry


ATTEMPT = said(State.SENDING, Source.PLAN, 0)
UNKNOWN = said(State.UNKNOWN, Source.ANSWER, reason="x")
PENDING = said(State.PENDING, Source.ANSWER, provider_status="new")
LOST = said(State.UNKNOWN, Source.LEASE)
MISSING = said(State.UNKNOWN, Source.STATUS, 4, why=Why.NOT_FOUND)
PAID = Money("1000.44", "RUB")

CASES: dict[str, tuple[Record, list[Entry], Situation, Doubt | None]] = {
    "sending": (record(State.SENDING), [ATTEMPT], Situation.SENDING, Doubt.UNEXPLAINED),
    "not sent": (
        record(State.NOT_SENT),
        [ATTEMPT, exchanged(None, phase=Phase.NOT_SENT), said(State.NOT_SENT, Source.ANSWER, reason="no connection")],
        Situation.NOT_SENT,
        None,
    ),
    "declined": (
        record(State.DECLINED), [ATTEMPT, exchanged(422), said(State.DECLINED, Source.ANSWER)], Situation.REFUSED, None,
    ),
    "error": (record(State.UNKNOWN), [ATTEMPT, exchanged(503), UNKNOWN], Situation.UNKNOWN, Doubt.ERROR),
    "cut": (record(State.UNKNOWN), [ATTEMPT, exchanged(None), UNKNOWN], Situation.UNKNOWN, Doubt.CUT),
    "cut in the body": (
        record(State.UNKNOWN),
        [ATTEMPT, exchanged(200, phase=Phase.MAYBE_SENT, problem="cut"), UNKNOWN],
        Situation.UNKNOWN,
        Doubt.CUT,
    ),
    "unreadable": (record(State.UNKNOWN), [ATTEMPT, exchanged(200), UNKNOWN], Situation.UNKNOWN, Doubt.UNREADABLE),
    "lost": (record(State.UNKNOWN), [ATTEMPT, LOST], Situation.UNKNOWN, Doubt.LOST),
    "not kept": (record(State.UNKNOWN), [ATTEMPT, UNKNOWN], Situation.UNKNOWN, Doubt.UNEXPLAINED),
    "not found": (record(State.UNKNOWN), [ATTEMPT, exchanged(None), UNKNOWN, MISSING], Situation.NOT_FOUND, Doubt.CUT),
    "not found, but known": (record(State.PENDING), [ATTEMPT, PENDING, MISSING], Situation.NOT_FOUND, None),
    "found again": (
        record(State.PENDING), [PENDING, MISSING, said(State.PENDING, Source.STATUS, 5)], Situation.PENDING, None,
    ),
    "pending": (record(State.PENDING), [ATTEMPT, exchanged(200), PENDING], Situation.PENDING, None),
    "overdue": (
        record(State.NEEDS_ATTENTION), [PENDING, said(State.NEEDS_ATTENTION, Source.SCHEDULE)], Situation.OVERDUE, None,
    ),
    "mismatch": (
        record(State.NEEDS_ATTENTION, mismatches=("requested", "paid")), [PENDING], Situation.MISMATCH, None,
    ),
    "succeeded": (record(State.SUCCEEDED, paid=PAID), [PENDING], Situation.SUCCEEDED, None),
    "succeeded, as it seems": (record(State.SUCCEEDED), [PENDING], Situation.SUCCEEDED, None),
    "settled": (record(State.SUCCEEDED, paid=PAID), [exchanged(500), UNKNOWN], Situation.SETTLED, Doubt.ERROR),
    "another amount": (
        record(State.SUCCEEDED, paid=Money("1000.43", "RUB")), [PENDING], Situation.PAID_OTHER, None,
    ),
    "failed": (record(State.FAILED), [PENDING], Situation.FAILED, None),
    "canceled": (record(State.CANCELED), [PENDING], Situation.CANCELED, None),
    "reversed": (record(State.REVERSED), [PENDING], Situation.REVERSED, None),
    "closed by a person": (
        record(State.FAILED), [UNKNOWN, said(State.FAILED, Source.OPERATOR, by="Anna")], Situation.CLOSED_HERE,
        Doubt.UNEXPLAINED,
    ),
    "confirmed after a person": (
        record(State.FAILED),
        [UNKNOWN, said(State.FAILED, Source.OPERATOR, by="Anna"), said(State.FAILED, Source.STATUS, 5)],
        Situation.FAILED,
        Doubt.UNEXPLAINED,
    ),
    "reversed after a person": (
        record(State.REVERSED), [PENDING, said(State.SUCCEEDED, Source.OPERATOR, by="Anna")], Situation.REVERSED, None,
    ),
    "returned, by a person": (
        record(State.REVERSED), [PENDING, said(State.REVERSED, Source.OPERATOR, by="Anna")], Situation.RETURNED_HERE,
        None,
    ),
    "contradicted by a person": (
        record(State.FAILED, contradicted=True),
        [PENDING, said(State.SUCCEEDED, Source.OPERATOR, by="Anna", contradicts=True)],
        Situation.DENIED_HERE,
        None,
    ),
    "contradicted by an answer": (
        record(State.FAILED, contradicted=True), [PENDING, said(State.SUCCEEDED, Source.STATUS, contradicts=True)],
        Situation.CONTRADICTED, None,
    ),
    "contradicted by a notification": (
        record(State.FAILED, contradicted=True), [PENDING, notified(Verdict.CONTRADICTED)], Situation.CONTRADICTED,
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("record", "entries", "situation", "doubt"), CASES.values(), ids=CASES)
def test_situations(record: Record, entries: list[Entry], situation: Situation, doubt: Doubt | None) -> None:
    """Each state, and each way to it that means something else to a provider's support, is a situation."""
    story = Story.of(key(), [record], entries)
    assert story is not None
    assert (situation, doubt) == (story.situation, story.doubt)


def test_every_situation_is_shown() -> None:
    """No situation is left out above."""
    assert set(Situation) == {situation for _, _, situation, _ in CASES.values()}
    assert set(Doubt) == {doubt for _, _, _, doubt in CASES.values()} - {None}


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", CASES)
def test_every_situation_can_be_told(name: str, lang: Lang) -> None:
    """In each situation the first lines answer what happened, and what is asked."""
    made, entries, _, _ = CASES[name]
    text = Ticket.of(key(), [made], entries, lang=lang, at=START + 90 * MINUTE).text
    first = text.split("\n\n")[:2]
    for part in ("po-1", "1000.44 RUB", "`po-1`", "`shop`"):
        assert part in "".join(first)
    assert (6 <= first[1].count("\n") + 1 <= 9, "{" in "".join(first), "None" in text) == (True, False, False)
    assert all(line.startswith("- ") for line in first[1].splitlines())


def text(record: Record, *entries: Entry, lang: Lang = "en") -> str:
    """Tell a story 90 minutes after its beginning."""
    return Ticket.of(key(), [record], entries, lang=lang, at=START + 90 * MINUTE).text


AGES = {0: "0 s", 59: "59 s", 60: "1 min", 3599: "59 min 59 s", 7260: "2 h 1 min", 86400: "1 d", 90061: "1 d 1 h"}


@pytest.mark.parametrize(("seconds", "words"), AGES.items())
def test_how_long_it_lasts(seconds: int, words: str) -> None:
    """How long an order has waited is given in its two greatest units."""
    at = START + MINUTE + dt.timedelta(seconds=seconds)
    page = Ticket.of(key(), [record(State.PENDING)], [exchanged(200), PENDING], at=at).text
    assert f"accepted by you, no final status after {words}\n" in page


def test_the_attempt_that_was_sent_is_told() -> None:
    """Of several attempts the one that left this machine is the one that counts."""
    entries = [exchanged(None, 1, phase=Phase.NOT_SENT), exchanged(500, 5), UNKNOWN]
    assert "- Sent: 2026-01-31 12:05:00.000 UTC" in text(record(State.UNKNOWN, attempts=2), *entries)


def test_what_was_never_sent() -> None:
    """Of an order that was not sent it is said that nothing left, and why."""
    made, entries, _, _ = CASES["not sent"]
    page = text(made, *entries)
    assert "- Sent: no\n- Answer to our create request: nothing left our server: `the connection was cut`" in page


def test_half_an_answer() -> None:
    """Of an incomplete answer the ticket gives the status, and says that it is incomplete."""
    made, entries, _, _ = CASES["cut in the body"]
    assert "- Answer to our create request: HTTP 200, no complete answer: `cut`\n" in text(made, *entries)


def test_the_same_answer_again_is_counted() -> None:
    """Questions with the same answer take one line; another answer takes its own."""
    asked = [exchanged(200, n, operation="fetch_payout", response={"status": "new"}) for n in range(2, 7)]
    other = exchanged(200, 8, operation="fetch_payout", response={"status": "done"})
    lines = text(record(State.SUCCEEDED), exchanged(200), PENDING, *asked[1:], other).split("UTC)\n\n")[1].splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("; the same answer came 4 times more, last at 2026-01-31 12:06:00.000 UTC")


def test_without_exchanges() -> None:
    """Where none is kept that is said, in place of what happened."""
    assert "- Requests and answers were not kept, or have been deleted since." in text(
        record(State.UNKNOWN), ATTEMPT, UNKNOWN
    )


TAKEN = {
    "en": ("- Sent: not known; sending began 2026-01-31 12:00:00.000 UTC, and ", "- No request is on record: "),
    "ru": ("- Отправлено: неизвестно: отправка начата 2026-01-31 12:00:00.000 UTC, ", "- Запросов не зафиксировано: "),
}


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", ["sending", "lost"])
def test_what_was_only_taken_for_sending(name: str, lang: Lang) -> None:
    """Of an order whose process was killed nothing is said to have been sent, nor to be no longer kept."""
    made, entries, _, _ = CASES[name]
    page = text(made, *entries, lang=lang)
    assert [] == [line for line in TAKEN[lang] if line not in page]
    assert TEXTS[lang].labels.nothing_kept not in page


def test_an_attempt_that_did_not_leave_says_nothing_of_the_next() -> None:
    """After an attempt of which nothing left, another that was only begun is reported as that."""
    first = exchanged(None, 1, phase=Phase.NOT_SENT, attempt=1)
    entries = [ATTEMPT, first, said(State.NOT_SENT, Source.ANSWER), said(State.SENDING, Source.PLAN, 5)]
    sending = text(record(State.SENDING, attempts=2), *entries)
    assert "1000.44 RUB: sending began 1 h 25 min ago, the outcome is not known yet\n" in sending
    assert "- Sent: not known; sending began 2026-01-31 12:05:00.000 UTC, " in sending
    assert TEXTS["en"].labels.answer not in sending
    lost = text(record(State.UNKNOWN, attempts=2), *entries, said(State.UNKNOWN, Source.LEASE, 9))
    assert "outcome unknown, our process stopped while it was sending\n" in lost


def test_what_contradicts_is_marked() -> None:
    """An answer and a notification that contradict are marked where they came."""
    made, entries, _, _ = CASES["contradicted by an answer"]
    assert "your answer: `succeeded`; **CONTRADICTS our records**" in text(made, *entries)
    made, entries, _, _ = CASES["contradicted by a notification"]
    assert "your notification: `done`; **CONTRADICTS our records**" in text(made, *entries)
    assert f"**{TEXTS['ru'].labels.contradicts}**" in text(made, *entries, lang="ru")


def test_what_a_person_said_stays_here() -> None:
    """The provider learns neither the name of the operator who settled the order, nor the reason."""
    act = said(State.FAILED, Source.OPERATOR, reason="told by phone", by="Anna")
    made = record(State.FAILED, reason="told by phone")
    ticket = Ticket.of(key(), [made], [exchanged(None), UNKNOWN, act], at=START)
    for form in ("md", "json"):
        assert [] == [word for word in ("Anna", "phone.") if word in ticket.rendered(form).decode()]


def test_only_its_own_order_and_provider() -> None:
    """Other orders with the same id, and exchanges with an earlier provider of the account, are left out."""
    other = Key("shop", "payment", "po-1")
    entries = [
        exchanged(500),
        Entry(at=START, what="exchange", key=other, exchange=exchanged(404).exchange),
        exchanged(418, provider="another"),
    ]
    made = Ticket.of(key(), [record(State.UNKNOWN)], entries, at=START)
    assert [500] == [exchange.status for exchange in made.exchanges]


def test_an_unknown_order() -> None:
    """An order that the journal does not know has no ticket."""
    with pytest.raises(UnknownOrder, match=r"^the journal of account 'shop' has no payout 'po-2'$"):
        Ticket.of(key("po-2"), [record(State.UNKNOWN)], [])


@pytest.mark.parametrize(("record", "entries", "situation", "doubt"), CASES.values(), ids=CASES)
def test_no_sentence_decides(record: Record, entries: list[Entry], situation: Situation, doubt: Doubt | None) -> None:
    """A situation stays what it is whatever words the evidence, the record and the exchanges have."""
    words = {"reason": "reworded", "provider_status": "reworded"}

    def reworded(entry: Entry) -> Entry:
        evidence = entry.evidence and msgspec.structs.replace(entry.evidence, **words)
        exchange = entry.exchange and msgspec.structs.replace(entry.exchange, problem="reworded")
        return msgspec.structs.replace(entry, evidence=evidence, exchange=exchange)

    story = Story.of(key(), [msgspec.structs.replace(record, **words)], map(reworded, entries))
    assert story is not None
    assert (situation, doubt) == (story.situation, story.doubt)


@pytest.mark.parametrize("name", ["not_found", "unknown", "cut", "mismatch"])
def test_no_sentence_of_ours_decides(
    happen: Callable[[str], Records], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real story, written down by a version that says everything in other words, is in the same situation."""
    monkeypatch.setattr(reasons, "_ENGLISH", dict.fromkeys(Why, "reworded"))
    assert Situation(name.replace("_", " ") if name != "cut" else "unknown") is happen(name).ticket().situation


def test_real_stories_are_in_their_situations(happen: Callable[[str], Records]) -> None:
    """What a real hub writes down is understood."""
    assert Situation.SETTLED is happen("settled").ticket().situation
