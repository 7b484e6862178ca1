"""A notification is kept once, counted, and makes its order due; it changes no state."""

import datetime as dt
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from payhub import Hub, Money, NotFound, Status
from payhub.journal import Intake, Journal, NotificationContent, Record, Source, State, Verdict
from payhub.testing import fake
from tests.raw_server import answer
from tests.samples import PAYOUT, known

from .conftest import KEY, OpenShop, Shop
from .making import LATER, NOW, brought, facts, found, key
from .test_races import together
from .test_same_order import order_facts

RUB = Money("1000.44", "RUB")
CREATED = answer(known(PAYOUT))
DONE = answer(known(PAYOUT, status="done", paid="1000.44"))
FAILED = answer(known(PAYOUT, status="failed"))
GONE = answer(b"", 404)
CUT = answer(b"", 500)


def notice(
    state: State = State.SUCCEEDED, digest: str = "d", order_id: str = "po-1", **fields: Any
) -> NotificationContent:
    named = {"account": "shop", "provider": "fake", "kind": "payout", "order_id": order_id, "provider_id": "7"}
    said = {"state": state, "provider_status": "done", "fields": {"id": "7"}}
    return NotificationContent(**{**named, **said, "digest": digest * 64, **fields})


def known_of(journal: Journal, order_id: str = "po-1") -> Record:
    record = journal.find(key(order_id))
    assert record is not None
    return record


def verdicts(journal: Journal) -> list[Verdict]:
    return [stored.verdict for stored in journal.notifications(100)]


# Keeping


def test_a_notification_makes_its_order_due_and_changes_no_state(journal: Journal) -> None:
    """The caller that is to ask has the lease for it; if it crashes, a sweep finds the order due afterwards."""
    before = brought(journal, State.PENDING)
    noticed = journal.keep_notification(notice(), 60.0, 30.0)
    after = known_of(journal)
    assert (1, True, after) == (noticed.times, noticed.ask, noticed.record)
    assert (before.state, before.updated_at, before.contradicted, True) == (
        after.state, after.updated_at, after.contradicted, after.notified
    )  # fmt: skip
    now = dt.datetime.now(dt.UTC)
    assert now < (after.due_at or now) <= now + dt.timedelta(seconds=30)


def test_a_repeat_only_counts(journal: Journal) -> None:
    """Within the window a message that comes again is no reason to ask, and takes no room."""
    brought(journal, State.PENDING)
    asks = [journal.keep_notification(notice(), 60.0, 0.0).ask for _ in range(5)]
    (kept,) = journal.notifications(100)
    assert ([True, False, False, False, False], 5, notice()) == (asks, kept.times, kept.content)
    assert kept.at <= kept.last_at


def test_after_the_window_a_repeat_asks_again_while_it_waits(journal: Journal) -> None:
    """A message that waits still is a reason to ask once in a window."""
    brought(journal, State.PENDING)
    assert [True, False] == [journal.keep_notification(notice(), 0.2, 0.0).ask for _ in range(2)]
    time.sleep(0.21)
    assert [True, False] == [journal.keep_notification(notice(), 60.0, 0.0).ask for _ in range(2)]


def test_a_repeat_within_the_window_leaves_the_order_due_after_it(journal: Journal) -> None:
    """What a repeat does not ask is asked when the window is over, not never."""
    brought(journal, State.PENDING, schedule=LATER)
    journal.keep_notification(notice(), 60.0, 3600.0)
    journal.keep_notification(notice(), 60.0, 3600.0)
    record = known_of(journal)
    assert record.quiet_until is not None
    assert record.quiet_until == record.due_at


def test_another_message_asks_at_once(journal: Journal) -> None:
    """The window is for repeats: news is a reason to ask, however soon it comes."""
    brought(journal, State.UNKNOWN)
    asks = [journal.keep_notification(notice(digest=digest), 60.0, 30.0).ask for digest in "abab"]
    assert ([True, True, False, False], 2) == (asks, len(journal.notifications(100)))


def test_what_is_known_already_is_no_reason_to_ask(journal: Journal) -> None:
    """A message that says what the provider has answered before is confirmed without a question."""
    brought(journal, State.SUCCEEDED)
    noticed = [journal.keep_notification(notice(), 60.0, 30.0) for _ in range(3)]
    assert ([1, 2, 3], {False}, [Verdict.CONFIRMED]) == (
        [each.times for each in noticed], {each.ask for each in noticed}, verdicts(journal)
    )  # fmt: skip
    assert None is known_of(journal).due_at


def test_old_news_is_no_reason_to_ask(journal: Journal) -> None:
    """A message about a state that the order has left is outdated."""
    brought(journal, State.REVERSED)
    said = [notice(State.PENDING, "a"), notice(State.SUCCEEDED, "b")]
    asks = [journal.keep_notification(each, 60.0, 30.0).ask for each in said]
    assert ([False, False], [Verdict.OUTDATED] * 2) == (asks, verdicts(journal))


def test_a_message_about_an_unknown_order_is_kept(journal: Journal) -> None:
    """It changes nothing, asks nothing, and is there to be looked at."""
    noticed = [journal.keep_notification(notice(order_id="po-404"), 60.0, 30.0) for _ in range(2)]
    assert [Intake(1, None, ask=False), Intake(2, None, ask=False)] == noticed
    assert ([Verdict.WAITING], None) == (verdicts(journal), journal.find(key("po-404")))


def test_a_message_that_is_faster_than_the_answer_waits_for_it(journal: Journal) -> None:
    """While the order is being sent no caller is to ask; as soon as it is settled it is due."""
    sender = brought(journal, State.SENDING)
    noticed = journal.keep_notification(notice(), 60.0, 30.0)
    during = known_of(journal)
    assert (False, True, sender.due_at) == (noticed.ask, during.notified, during.due_at)
    journal.settle(key(), found(State.PENDING, Source.ANSWER), LATER)
    assert (key(),) == journal.claim(10, 60.0)


def test_an_order_that_the_provider_seems_to_know_is_not_given_for_sending(journal: Journal) -> None:
    """Rule 5: what was not sent may be sent again, but not while a notification says that it is known."""
    brought(journal, State.NOT_SENT)
    journal.keep_notification(notice(), 60.0, 30.0)
    assert not journal.open(facts(), 60.0).yours


def test_only_the_account_and_the_message_tell_notifications_apart(journal: Journal) -> None:
    """The same text delivered to two accounts is two notifications."""
    for account in ("shop", "other", "shop"):
        journal.keep_notification(notice(account=account), 60.0, 30.0)
    assert [("other", 1), ("shop", 2)] == [(each.content.account, each.times) for each in journal.notifications(100)]


def test_many_deliveries_at_once_are_one_notification(journal: Journal) -> None:
    """Of eight that come at the same time one asks, and all are counted."""
    brought(journal, State.PENDING)
    asks: list[bool] = []
    together(*[lambda: asks.append(journal.keep_notification(notice(), 60.0, 30.0).ask)] * 8)
    (kept,) = journal.notifications(100)
    assert (8, [False] * 7 + [True]) == (kept.times, sorted(asks))


# Looking


def test_notifications_are_listed_the_newest_first(journal: Journal) -> None:
    """All, or those of an order_id, or the one with a number; no more than asked for."""
    for place, digest in enumerate("abc"):
        journal.keep_notification(notice(digest=digest, order_id=f"po-{place}"), 60.0, 30.0)
    digests = [each.content.digest[0] for each in journal.notifications(100)]
    (one,) = journal.notifications(100, order_id="po-1")
    assert (["c", "b", "a"], "b", ["c"]) == (
        digests, one.content.digest[0], [each.content.digest[0] for each in journal.notifications(1)]
    )  # fmt: skip
    assert (one,) == journal.notifications(1, number=one.id)


def test_a_notification_is_part_of_its_orders_story(journal: Journal) -> None:
    """Trace tells it where it came, between what was asked before and after."""
    brought(journal, State.PENDING)
    journal.keep_notification(notice(), 60.0, 30.0)
    journal.settle(key(), found(State.SUCCEEDED), LATER)
    told = [entry.notification.content if entry.notification else entry.what for entry in journal.story("po-1")[1]]
    assert ["evidence", "evidence", notice(), "evidence"] == told


@pytest.mark.parametrize(
    ("answered", "verdict", "told"),
    [(CREATED, Verdict.CONTRADICTED, Status.UNKNOWN), (FAILED, Verdict.OUTDATED, Status.FAILED)],
)
def test_a_message_that_denies_a_persons_word_is_asked_about(
    open_shop: OpenShop, answered: bytes, verdict: Verdict, told: Status
) -> None:
    """That it is pending is old news of what the provider failed, but not of what a person only said had failed."""
    shop = open_shop(CUT, answered)
    shop.hub.create_payout("shop", PAYOUT)
    shop.hub.resolve("shop", "payout", "po-1", "failed", reason="support says so", by="ann")
    assert shop.journal.keep_notification(notice(State.PENDING), 60.0, 0.0).ask
    shop.hub.sweep()
    assert ([verdict], told) == (verdicts(shop.journal), shop.hub.create_payout("shop", PAYOUT).status)


@pytest.mark.parametrize("order_id", ["x" * 300, "po\0-1"])
def test_a_message_about_no_order_of_ours_is_kept(url: str | None, order_id: str) -> None:
    """An id that none of our orders can have is no reason to have the message sent again and again."""
    account = {"provider": "fake", "base_url": "http://127.0.0.1:9", "secret": "s"}
    with Hub.from_mapping({"accounts": {"shop": account}, "journal": {"url": url, "key": KEY}}, plugins=(fake,)) as hub:
        assert not hub.receive("shop", fake.signed_notification("s", order_id=order_id, amount=RUB)).known
        assert 1 == len(hub.journal.notifications(100))


# Weighing


@pytest.mark.parametrize(
    ("said", "answered", "expected"),
    [
        (State.SUCCEEDED, State.SUCCEEDED, Verdict.CONFIRMED),
        (State.PENDING, State.SUCCEEDED, Verdict.OUTDATED),
        (State.SUCCEEDED, State.FAILED, Verdict.CONTRADICTED),
        (State.FAILED, State.SUCCEEDED, Verdict.CONTRADICTED),
        (State.FAILED, State.CANCELED, Verdict.CONFIRMED),
        (State.CANCELED, State.FAILED, Verdict.CONFIRMED),
        (State.SUCCEEDED, State.PENDING, Verdict.WAITING),
        (State.SUCCEEDED, State.UNKNOWN, Verdict.WAITING),
        (State.SUCCEEDED, State.NEEDS_ATTENTION, Verdict.WAITING),
    ],
)
def test_the_answer_decides_what_a_notification_was(
    journal: Journal, said: State, answered: State, expected: Verdict
) -> None:
    """Confirmed, outdated or contradicted; without a final answer it waits, and the order stays due."""
    brought(journal, State.UNKNOWN)
    journal.keep_notification(notice(said), 60.0, 30.0)
    journal.settle(key(), found(answered), NOW)
    record = journal.judge_notifications(key(), dt.datetime.now(dt.UTC))
    waits = expected is Verdict.WAITING
    assert (expected, answered, expected is Verdict.CONTRADICTED, waits, waits) == (
        verdicts(journal)[0], record.state, record.contradicted, record.notified, record.due_at is not None
    )  # fmt: skip
    assert record == journal.find(key())


def test_another_amount_than_the_answers_contradicts(journal: Journal) -> None:
    """A message that says another sum was paid is flagged; what the provider answered stands."""
    brought(journal, State.PENDING)
    journal.keep_notification(notice(paid=Money("5", "RUB")), 60.0, 30.0)
    journal.settle(key(), found(State.SUCCEEDED, paid=RUB), LATER)
    record = journal.judge_notifications(key(), dt.datetime.now(dt.UTC))
    assert ([Verdict.CONTRADICTED], True, RUB) == (verdicts(journal), record.contradicted, record.paid)


OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("another id", {"provider_id": "14"}),
    ("another sum requested", {"requested": Money("5000", "RUB")}),
    ("another currency requested", {"requested": Money("1000.44", "EUR")}),
    ("another currency paid", {"paid": Money("1000.44", "EUR")}),
    ("nothing paid", {"paid": Money("0", "RUB")}),
    ("less than nothing paid", {"paid": Money("-1000.44", "RUB")}),
    ("less paid, and not called partial", {"paid": Money("999", "RUB")}),
    ("more paid than a payout may", {"paid": Money("1001", "RUB"), "partial": True}),
]


@pytest.mark.parametrize("answered", [State.SUCCEEDED, State.PENDING, State.NEEDS_ATTENTION])
@pytest.mark.parametrize("said", [fields for _, fields in OTHERS], ids=[what for what, _ in OTHERS])
def test_rule_9_what_is_not_the_orders_contradicts_it(journal: Journal, said: dict[str, Any], answered: State) -> None:
    """Rule 9: an id, sum or currency that is not the order's is flagged for a person, also when the status fits."""
    brought(journal, State.PENDING)
    journal.settle(key(), found(answered, provider_id="7"), LATER)
    assert journal.keep_notification(notice(**said), 60.0, 30.0).ask
    record = journal.judge_notifications(key(), dt.datetime.now(dt.UTC))
    assert ([Verdict.CONTRADICTED], answered, True) == (verdicts(journal), record.state, record.contradicted)
    assert [record] == list(journal.unsettled(0.0, 10))


@pytest.mark.parametrize("state", [State.PENDING, State.FAILED, State.CANCELED])
def test_rule_9_another_id_contradicts_whatever_it_says(journal: Journal, state: State) -> None:
    """Rule 9: a second payment under our order_id is news, whether it waits, failed or was canceled."""
    brought(journal, State.SUCCEEDED)
    journal.settle(key(), found(State.SUCCEEDED, provider_id="7"), LATER)
    assert journal.keep_notification(notice(state, provider_id="14"), 60.0, 30.0).ask
    journal.judge_notifications(key(), dt.datetime.now(dt.UTC))
    assert [Verdict.CONTRADICTED] == verdicts(journal)


@pytest.mark.parametrize(
    "said",
    [
        {"requested": RUB, "paid": RUB},
        {"requested": RUB, "paid": Money("999", "RUB"), "partial": True},
        {"provider_id": ""},
        {},
    ],
)
def test_what_is_the_orders_confirms_it(journal: Journal, said: dict[str, Any]) -> None:
    """A part that is called one, and what is not said at all, contradict nothing."""
    brought(journal, State.SUCCEEDED)
    journal.settle(key(), found(State.SUCCEEDED, provider_id="7"), LATER)
    assert not journal.keep_notification(notice(**said), 60.0, 30.0).ask
    assert [Verdict.CONFIRMED] == verdicts(journal)


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELED, State.REVERSED, State.PENDING])
def test_a_word_that_nobody_knows_is_always_a_reason_to_ask(journal: Journal, state: State) -> None:
    """It may be a refund or a chargeback; what it means, only the answer says, also of what is final."""
    brought(journal, state)
    assert journal.keep_notification(notice(State.UNKNOWN), 60.0, 30.0).ask
    record = journal.judge_notifications(key(), dt.datetime.now(dt.UTC))
    expected = Verdict.WAITING if state is State.PENDING else Verdict.OUTDATED
    assert ([expected], state, False) == (verdicts(journal), record.state, record.contradicted)


@pytest.mark.parametrize("word", ["refund", "chargeback"])
def test_a_word_that_nobody_knows_is_asked_about_and_flagged(open_shop: OpenShop, word: str) -> None:
    """Rule 8: what the provider answers then is kept, and a person looks; the order stays what it was."""
    shop = open_shop(DONE, answer(known(PAYOUT, status=word)))
    shop.hub.create_payout("shop", PAYOUT)
    assert told(shop, notice(State.UNKNOWN, provider_status=word))
    assert [Status.SUCCEEDED] == [each.status for each in shop.hub.sweep()]
    assert ([Verdict.CONTRADICTED], True) == (verdicts(shop.journal), known_of(shop.journal).contradicted)


def test_a_kind_that_there_is_not_is_about_the_order_with_its_id(open_shop: OpenShop) -> None:
    """A notification of a refund, say, is a reason to ask about what was paid; of no order it is only kept."""
    shop = open_shop(CREATED, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    for order_id, ask in (("po-1", True), ("po-404", False)):
        delivery = fake.signed_notification("s", order_id=order_id, amount=RUB, kind="refund")
        received = shop.hub.receive("shop", delivery)
        assert (ask, ask, "payout" if ask else "refund") == (
            received.ask, received.known, received.notification.kind
        )  # fmt: skip
    assert 2 == len(shop.journal.notifications(10))


def test_a_verdict_stands_when_the_message_comes_again(journal: Journal) -> None:
    """A replay of what was judged asks nothing and changes nothing; processing it anew does, and counts for none."""
    brought(journal, State.PENDING)
    journal.keep_notification(notice(), 60.0, 30.0)
    journal.settle(key(), found(State.FAILED), LATER)
    before = journal.judge_notifications(key(), dt.datetime.now(dt.UTC))
    assert not any(journal.keep_notification(notice(), 1.0, 30.0).ask for _ in range(10))
    assert (before, [Verdict.CONTRADICTED]) == (journal.find(key()), verdicts(journal))
    (came,) = journal.notifications(100)
    assert journal.keep_notification(notice(), 1.0, 30.0, anew=True).ask
    (waits,) = journal.notifications(100)
    assert (11, came.last_at, Verdict.WAITING) == (waits.times, waits.last_at, waits.verdict)


def test_an_answer_says_nothing_of_what_came_after_the_question(journal: Journal) -> None:
    """A notification that came while a question was under way waits for the next answer."""
    brought(journal, State.SUCCEEDED)
    asked_at = dt.datetime.now(dt.UTC)
    journal.keep_notification(notice(State.REVERSED), 60.0, 30.0)
    record = journal.judge_notifications(key(), asked_at)
    assert ([Verdict.WAITING], True, False) == (verdicts(journal), record.notified, record.contradicted)
    journal.settle(key(), found(State.REVERSED), NOW)
    assert not journal.judge_notifications(key(), dt.datetime.now(dt.UTC)).notified
    assert [Verdict.CONFIRMED] == verdicts(journal)


@pytest.mark.parametrize("state", [State.NOT_SENT, State.DECLINED])
def test_whatever_a_notification_says_of_what_was_not_taken_it_is_news(journal: Journal, state: State) -> None:
    """The provider notifies of an order that it should not have: it is asked, and nothing is sent again meanwhile."""
    brought(journal, state)
    assert journal.keep_notification(notice(State.UNKNOWN), 60.0, 30.0).ask
    assert not journal.open(facts(), 60.0).yours


# Asking


def told(shop: Shop, said: NotificationContent) -> bool:
    asked: bool = shop.journal.keep_notification(said, 60.0, 0.0).ask
    return asked


def test_a_sweep_asks_about_what_a_notification_made_due(open_shop: OpenShop) -> None:
    """Rule 9: the provider's answer settles the order, and the notification with it."""
    shop = open_shop(CREATED, DONE, schedule={"first": 3600.0})
    shop.hub.create_payout("shop", PAYOUT)
    assert () == shop.hub.sweep()
    assert told(shop, notice())
    assert [Status.SUCCEEDED] == [each.status for each in shop.hub.sweep()]
    assert ([Verdict.CONFIRMED], ()) == (verdicts(shop.journal), shop.hub.sweep())


def test_a_closed_order_is_asked_about_when_a_notification_says_otherwise(open_shop: OpenShop) -> None:
    """It may have been reversed; rule 8: anything else is kept, flagged and logged."""
    shop = open_shop(CREATED, DONE, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    shop.hub.advance("shop", "payout", "po-1")
    assert told(shop, notice(State.FAILED))
    with capture_logs() as logs:
        result = shop.hub.advance("shop", "payout", "po-1")
    record = known_of(shop.journal)
    assert (Status.SUCCEEDED, True, None, [Verdict.CONTRADICTED]) == (
        result.status, record.contradicted, record.due_at, verdicts(shop.journal)
    )  # fmt: skip
    assert [("warning", "po-1")] == [
        (log["log_level"], log["order_id"]) for log in logs if log["event"] == "payhub.contradicted"
    ]
    assert 3 == len(shop.sent)


def test_a_question_that_was_not_answered_is_asked_again(open_shop: OpenShop) -> None:
    """A notification waits until there is an answer, also that of a closed order."""
    shop = open_shop(CREATED, FAILED, CUT, CUT, CUT, CUT, FAILED)
    shop.hub.create_payout("shop", PAYOUT)
    shop.hub.advance("shop", "payout", "po-1")
    assert told(shop, notice(State.SUCCEEDED))
    assert [Status.FAILED] == [each.status for each in shop.hub.sweep()]
    assert [Verdict.WAITING] == verdicts(shop.journal)
    while not shop.hub.sweep():
        time.sleep(0.01)
    assert [Verdict.CONTRADICTED] == verdicts(shop.journal)


def test_a_closed_order_that_the_provider_does_not_know_is_asked_about_once(open_shop: OpenShop) -> None:
    """The provider's own "not found" contradicts its notification; nothing is left to be asked."""
    shop = open_shop(CREATED, FAILED, GONE)
    shop.hub.create_payout("shop", PAYOUT)
    shop.hub.advance("shop", "payout", "po-1")
    assert told(shop, notice(State.SUCCEEDED))
    assert [Status.UNKNOWN] == [each.status for each in shop.hub.sweep()]
    assert ([Verdict.CONTRADICTED], None) == (verdicts(shop.journal), known_of(shop.journal).due_at)


def test_an_application_that_asks_settles_the_notification_too(open_shop: OpenShop) -> None:
    """Whatever asks, the answer decides the verdict of the notifications that wait."""
    shop = open_shop(CREATED, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    assert told(shop, notice())
    shop.hub.fetch_payout("shop", order_id="po-1")
    assert ([Verdict.CONFIRMED], False) == (verdicts(shop.journal), known_of(shop.journal).notified)


def test_an_order_not_sent_of_which_a_notification_comes_is_not_sent_again(open_shop: OpenShop) -> None:
    """Rule 5: the same order again sends nothing and is unknown, for the provider seems to have it."""
    shop = open_shop(GONE)
    shop.journal.open(order_facts(), 60.0)
    shop.journal.settle(key(), found(State.NOT_SENT, Source.ANSWER), NOW)
    assert told(shop, notice())
    assert (Status.UNKNOWN, []) == (shop.hub.create_payout("shop", PAYOUT).status, shop.sent)
    with pytest.raises(NotFound):
        shop.hub.fetch_payout("shop", order_id="po-1")
