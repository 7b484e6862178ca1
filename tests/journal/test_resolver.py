import contextlib
import datetime as dt
import time
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from payhub import ConfigurationError, Money, NotFound, Status, Unavailable, UnknownAccount, UnknownOrder
from payhub.accounts.registry import Registry
from payhub.driver import Schedule, StatusQuery
from payhub.errors import IllegalStep
from payhub.journal import Evidence, Key, Record, Source, State
from payhub.journal.rules import next_check, past_schedule, take_for_sending
from payhub.models import Ref
from payhub.plans.fetch import ref_to
from tests.plain_account import facts
from tests.raw_server import answer, close
from tests.samples import PAYMENT, PAYOUT, known

from .conftest import AT_ONCE, INFO, KEY, OpenShop, Shop
from .making import LATER, NOW
from .making import facts as plain_facts

PO_1 = Key("shop", "payout", "po-1")
DONE = answer(known(PAYOUT, status="done", paid="1000.44"))
CREATED = answer(known(PAYOUT))
GONE = answer(b"", 404)


def state(shop: Shop, key: Key = PO_1) -> State:
    record: Record = shop.journal.find(key)
    return record.state


def sending(shop: Shop, lease: float = -1.0) -> None:
    """Leave an order as a sender leaves it that died, or froze, after the lease was taken."""
    shop.journal.open(facts("shop", "waiting", PAYOUT, KEY.encode()), lease)


def swept(shop: Shop, limit: int = 100) -> list[tuple[str, Status]]:
    return [(each.order_id, each.status) for each in shop.hub.sweep(limit)]


def reasons(shop: Shop) -> list[tuple[str, str, str | None]]:
    """Return the evidence: from where, for which state, and why."""
    entries = shop.journal.story("po-1")[1]
    return [(e.evidence.source, e.evidence.state, e.evidence.explanation) for e in entries if e.evidence]


# Advancing one order


def test_an_open_order_is_asked_about(open_shop: OpenShop) -> None:
    """Advancing asks the provider, by the provider's id where it is known, and keeps what it answers."""
    shop = open_shop(CREATED, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    result = shop.hub.advance("shop", "payout", "po-1")
    asked = msgspec.json.decode(shop.server.bodies[-1])  # type: ignore[union-attr]
    assert (Status.SUCCEEDED, Money("1000.44", "RUB"), State.SUCCEEDED, {"id": "7"}, ["payouts", "payouts/find"]) == (
        result.status, result.paid, state(shop), asked, shop.sent
    )  # fmt: skip


def test_without_the_providers_id_it_is_asked_by_ours(open_shop: OpenShop) -> None:
    """An order whose answer never came is asked about by its order_id."""
    shop = open_shop(close, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    shop.hub.advance("shop", "payout", "po-1")
    assert (State.SUCCEEDED, {"order_id": "po-1"}) == (state(shop), msgspec.json.decode(shop.server.bodies[-1]))  # type: ignore[union-attr]


def test_a_payment_is_advanced_as_well(open_shop: OpenShop) -> None:
    """Payments are asked about as payments."""
    shop = open_shop(answer(known(PAYMENT)), answer(known(PAYMENT, status="done", paid="3000.01")))
    shop.hub.create_payment("shop", PAYMENT)
    result = shop.hub.advance("shop", "payment", "in-1")
    assert (Status.SUCCEEDED, "3000.01 RUB", ["payments", "payments/find"]) == (
        result.status,
        str(result.paid),
        shop.sent,
    )


def test_a_settled_order_is_not_asked_about(open_shop: OpenShop) -> None:
    """Advancing a settled order returns it as it is."""
    shop = open_shop(DONE)
    shop.hub.create_payout("shop", PAYOUT)
    assert (Status.SUCCEEDED, ["payouts"]) == (shop.hub.advance("shop", "payout", "po-1").status, shop.sent)


def test_an_order_that_nobody_knows_cannot_be_advanced(open_shop: OpenShop) -> None:
    """Advancing what was never created names the order, or the account if that is unknown; nothing is asked."""
    shop = open_shop(DONE)
    with pytest.raises(UnknownOrder, match=r"^the journal of account 'shop' has no payout 'po-1'$"):
        shop.hub.advance("shop", "payout", "po-1")
    with pytest.raises(UnknownAccount, match=r"^no account 'shpo' in the configuration; known: shop$"):
        shop.hub.advance("shpo", "payout", "po-1")
    assert [] == shop.sent


def test_an_order_that_nobody_knows_cannot_be_resolved(open_shop: OpenShop) -> None:
    """An operator decides nothing about an order that the journal does not have."""
    with pytest.raises(UnknownOrder, match=r"^the journal of account 'shop' has no payout 'po-1'$"):
        open_shop(DONE).hub.resolve("shop", "payout", "po-1", "failed", reason="by phone", by="ann")


def test_a_mistyped_kind_is_told(open_shop: OpenShop) -> None:
    """A queue gives back the kind as a plain text: one that there is not is the program's mistake."""
    with pytest.raises(ConfigurationError, match=r"^kind: payment or payout is needed, not 'pay'$"):
        open_shop(DONE).hub.advance("shop", "pay", "po-1")


def test_a_sender_within_its_lease_is_left_alone(open_shop: OpenShop) -> None:
    """An order that somebody is just sending is neither asked about nor given up."""
    shop = open_shop(DONE)
    sending(shop, lease=60.0)
    assert (Status.UNKNOWN, State.SENDING, []) == (
        shop.hub.advance("shop", "payout", "po-1").status, state(shop), shop.sent
    )  # fmt: skip


def test_a_sender_past_its_lease_is_given_up_and_asked_about(open_shop: OpenShop) -> None:
    """What a dead sender left becomes unknown first, and is then asked about; it is never sent again."""
    shop = open_shop(DONE)
    sending(shop)
    shop.hub.advance("shop", "payout", "po-1")
    told = [each[:2] for each in reasons(shop)]
    assert ([("plan", "sending"), ("lease ended", "unknown"), ("status query", "succeeded")], ["payouts/find"]) == (
        told, shop.sent
    )  # fmt: skip


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (GONE, "not found, which proves nothing"),
        (answer(b"", 403), "HTTP 403: not the promised status"),
        (answer(b"<html>"), "HTTP 200: not the promised Order"),
    ],
    ids=["not found", "403", "html"],
)
def test_rule_6_no_answer_leaves_an_unknown_order_unknown(open_shop: OpenShop, act: bytes, reason: str) -> None:
    """Rule 6: "not found" and every other answer that says nothing leave the order unknown, and are kept."""
    shop = open_shop(close, act)
    shop.hub.create_payout("shop", PAYOUT)
    results = [shop.hub.advance("shop", "payout", "po-1").status for _ in range(2)]
    assert ([Status.UNKNOWN] * 2, ("status query", "unknown", reason)) == (results, reasons(shop)[-1])
    assert 2 == max(entry.times for entry in shop.journal.story("po-1")[1])


def test_a_question_that_could_not_be_asked_does_not_say_that_nothing_was_sent(open_shop: OpenShop) -> None:
    """Why an outcome is unknown is what came of sending it; that nobody can be asked now is another matter."""
    shop = open_shop(close)
    shop.hub.create_payout("shop", PAYOUT)
    shop.server.stop()  # type: ignore[union-attr]
    results = [shop.hub.advance("shop", "payout", "po-1"), shop.hub.create_payout("shop", PAYOUT)]
    assert [(Status.UNKNOWN, "the connection was closed, or the answer is not HTTP (maybe sent)")] * 2 == [
        (r.status, r.reason) for r in results
    ]
    assert "no connection (not sent)" == reasons(shop)[-1][2]


def test_rule_8_a_pending_order_stays_pending_without_an_answer(open_shop: OpenShop) -> None:
    """Rule 8: "not found" does not make a pending order unknown, and does not contradict it."""
    shop = open_shop(CREATED, GONE)
    shop.hub.create_payout("shop", PAYOUT)
    shop.hub.advance("shop", "payout", "po-1")
    assert (State.PENDING, False) == (state(shop), shop.journal.find(PO_1).contradicted)


WRONG: dict[str, dict[str, Any]] = {
    "another order": {"order_id": "po-2"},
    "another amount": {"amount": "1000.45"},
    "another currency": {"currency": "EUR", "amount": "1000.44"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_rule_10_an_answer_about_something_else_needs_attention(open_shop: OpenShop, wrong: dict[str, Any]) -> None:
    """Rule 10: a status that contradicts the order is no success: a person has to look, and it is not due now."""
    shop = open_shop(CREATED, answer(known(PAYOUT, status="done", **wrong)))
    shop.hub.create_payout("shop", PAYOUT)
    result = shop.hub.advance("shop", "payout", "po-1")
    record = shop.journal.find(PO_1)
    assert (Status.UNKNOWN, State.NEEDS_ATTENTION, "7", True) == (
        result.status, record.state, record.provider_id, bool(record.mismatches)
    )  # fmt: skip
    assert [] == swept(shop)


@pytest.mark.parametrize("by", ["provider_id", "order_id"])
@pytest.mark.parametrize("word", ["new", "failed", "canceled", "done"])
def test_rule_10_an_answer_about_another_id_says_nothing_of_the_order(
    open_shop: OpenShop, monkeypatch: pytest.MonkeyPatch, word: str, by: str
) -> None:
    """Rule 10: the provider answers about another payment with this order_id: a person is told, the order goes on."""
    ids: Any = frozenset({by})
    capabilities = msgspec.structs.replace(INFO.capabilities, fetch={"payout": StatusQuery(by=ids)})
    monkeypatch.setattr("tests.journal.conftest.INFO", msgspec.structs.replace(INFO, capabilities=capabilities))
    other = answer(known(PAYOUT, id="8", status=word, paid="1000.44"))
    shop = open_shop(CREATED, other, other, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    name = {"order_id": "po-1"} if by == "order_id" else {"provider_id": "7"}
    fetched = shop.hub.fetch_payout("shop", **name) if by == "order_id" else shop.hub.advance("shop", "payout", "po-1")
    results = [fetched, *shop.hub.sweep(), shop.hub.create_payout("shop", PAYOUT)]
    assert [(Status.PENDING, "7", "new", None)] * 3 == [
        (each.status, each.provider_id, each.provider_status, each.paid) for each in results
    ]
    record = shop.journal.find(PO_1)
    assert (State.PENDING, True, [record]) == (record.state, record.contradicted, list(shop.journal.unsettled(0.0, 9)))
    assert [("po-1", Status.SUCCEEDED)] == swept(shop)


def test_rule_10_a_strangers_id_is_never_asked_about(open_shop: OpenShop) -> None:
    """Rule 10: if a create is answered with another order, its id, and so its end, is not taken for ours."""
    stranger = known(PAYOUT, order_id="po-2", id="99", status="done", paid="1000.44")
    shop = open_shop(answer(stranger), answer(stranger))
    shop.hub.create_payout("shop", PAYOUT)
    results = [shop.hub.advance("shop", "payout", "po-1").status for _ in range(2)]
    asked = [msgspec.json.decode(body) for body in shop.server.bodies[1:]]  # type: ignore[union-attr]
    assert ([Status.UNKNOWN] * 2, [{"order_id": "po-1"}] * 2, State.NEEDS_ATTENTION) == (results, asked, state(shop))


def test_what_needs_attention_can_still_be_answered(open_shop: OpenShop) -> None:
    """An order that needs attention is asked about when somebody advances it, and a clean answer settles it."""
    shop = open_shop(answer(known(PAYOUT, amount="1")), DONE)
    shop.hub.create_payout("shop", PAYOUT)
    assert (Status.SUCCEEDED, State.SUCCEEDED) == (shop.hub.advance("shop", "payout", "po-1").status, state(shop))


def test_what_was_paid_and_given_back_between_two_questions(open_shop: OpenShop) -> None:
    """An order that was pending when it was last asked about may be found reversed."""
    shop = open_shop(CREATED, answer(known(PAYOUT, status="returned")))
    shop.hub.create_payout("shop", PAYOUT)
    assert (Status.REVERSED, State.REVERSED) == (shop.hub.advance("shop", "payout", "po-1").status, state(shop))


# Past the schedule


OVER = {**AT_ONCE, "until": -1.0}


@pytest.mark.parametrize("said", [CREATED, GONE], ids=["pending", "not found"])
@pytest.mark.parametrize("act", [CREATED, close], ids=["pending", "unknown"])
def test_past_the_schedule_a_person_has_to_look(open_shop: OpenShop, act: Any, said: bytes) -> None:
    """An order that is open for longer than the schedule allows needs attention, and is asked about once a day."""
    shop = open_shop(act, said, schedule=OVER)
    shop.hub.create_payout("shop", PAYOUT)
    assert ([("po-1", Status.UNKNOWN)], []) == (swept(shop), swept(shop))
    record = shop.journal.find(PO_1)
    reason = "not settled within the time the schedule allows; ask the provider's support"
    assert (State.NEEDS_ATTENTION, reason, False) == (record.state, record.explanation, record.contradicted)
    assert record.due_at > dt.datetime.now(dt.UTC) + dt.timedelta(hours=19)


def test_past_the_schedule_it_is_asked_one_last_time(open_shop: OpenShop) -> None:
    """Before an order is given to a person, the provider is asked once more."""
    shop = open_shop(close, DONE, schedule=OVER)
    shop.hub.create_payout("shop", PAYOUT)
    assert [("po-1", Status.SUCCEEDED)] == swept(shop)


def test_past_the_schedule_an_answer_still_settles(open_shop: OpenShop) -> None:
    """An order that was given to a person is still asked about by `advance`."""
    shop = open_shop(close, GONE, DONE, schedule=OVER)
    shop.hub.create_payout("shop", PAYOUT)
    swept(shop)
    assert Status.SUCCEEDED is shop.hub.advance("shop", "payout", "po-1").status


def test_pauses_grow_and_end() -> None:
    """The pause before a question grows from the first to the longest, give or take a fifth, whatever the count."""
    schedule = Schedule(first=5.0, growth=2.0, longest=60.0)
    now = dt.datetime.now(dt.UTC)
    record = Record(facts=plain_facts(), state=State.UNKNOWN, created_at=now, updated_at=now)
    for checks, pause in ((0, 5), (1, 10), (2, 20), (3, 40), (4, 60), (10**6, 60)):
        due = next_check(msgspec.structs.replace(record, checks=checks), now, schedule)
        assert due is not None
        assert pause * 0.8 <= (due - now).total_seconds() <= pause * 1.2


def test_pauses_are_jittered() -> None:
    """Orders that became open at one moment are not all asked about at one moment."""
    now = dt.datetime.now(dt.UTC)
    record = Record(facts=plain_facts(), state=State.UNKNOWN, created_at=now, updated_at=now)
    assert 10 == len({next_check(record, now, Schedule()) for _ in range(10)})


def test_only_open_orders_outlast_a_schedule() -> None:
    """A settled order is never past its schedule, however old it is."""
    long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    record = Record(facts=plain_facts(), state=State.SENDING, created_at=long_ago, updated_at=long_ago)
    past = {s for s in State if past_schedule(msgspec.structs.replace(record, state=s), dt.datetime.now(dt.UTC), LATER)}
    assert {s for s in State if s.open} == past


def test_a_schedule_begins_when_the_order_was_sent() -> None:
    """An order that could be sent only long after it was made has the whole schedule before it."""
    now, long_ago = dt.datetime.now(dt.UTC), dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    record = Record(facts=plain_facts(), state=State.NOT_SENT, created_at=long_ago, updated_at=long_ago)
    sent = msgspec.structs.replace(take_for_sending(record, now, 60.0), state=State.PENDING)
    assert (True, now, False) == (
        past_schedule(msgspec.structs.replace(record, state=State.PENDING), now, LATER),
        sent.sent_at,
        past_schedule(sent, now, LATER),
    )


@pytest.mark.parametrize(("answered", "error"), [(GONE, NotFound), (answer(b"", 500), Unavailable)])
def test_a_question_of_the_application_that_was_not_answered_is_kept(
    open_shop: OpenShop, answered: bytes, error: type[Exception]
) -> None:
    """A question without an answer changes nothing, and support will ask for every try of it."""
    tries = [answered] * (1 if error is NotFound else 4)
    shop = open_shop(CREATED, *tries)
    shop.hub.create_payout("shop", PAYOUT)
    with pytest.raises(error):
        shop.hub.fetch_payout("shop", order_id="po-1")
    kept = [entry.exchange.operation for entry in shop.journal.story("po-1")[1] if entry.exchange]
    assert (["create_payout", *["fetch_payout"] * len(tries)], State.PENDING) == (kept, state(shop))


def test_an_application_that_asks_does_not_keep_a_person_away(open_shop: OpenShop) -> None:
    """However often an application asks for itself: past the schedule a person has to look."""
    shop = open_shop(CREATED, CREATED, schedule=OVER)
    shop.hub.create_payout("shop", PAYOUT)
    found = shop.hub.fetch_payout("shop", order_id="po-1")
    assert (Status.UNKNOWN, "new", State.NEEDS_ATTENTION) == (found.status, found.provider_status, state(shop))


@pytest.mark.parametrize("word", ["new", "failed", "canceled", "returned", "done"])
def test_rule_8_a_question_is_answered_as_every_reader_is(open_shop: OpenShop, word: str) -> None:
    """Rule 8: whatever the provider says today of an order that ended, `fetch` tells what `create` and `advance` do."""
    today = answer(known(PAYOUT, status=word))
    shop = open_shop(CREATED, DONE, today, today, today)
    shop.hub.create_payout("shop", PAYOUT)
    shop.hub.advance("shop", "payout", "po-1")
    fetched = shop.hub.fetch_payout("shop", order_id="po-1")
    others = [shop.hub.create_payout("shop", PAYOUT), shop.hub.advance("shop", "payout", "po-1")]
    assert [fetched.status] * 2 == [each.status for each in others]
    assert (Status.REVERSED if word == "returned" else Status.SUCCEEDED, word) == (
        fetched.status,
        fetched.provider_status,
    )


def test_it_is_asked_for_by_the_providers_id_where_that_is_known(open_shop: OpenShop) -> None:
    """An application that asks by its own id gets the answer about the very order that the journal knows."""
    shop = open_shop(CREATED, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    shop.hub.fetch_payout("shop", order_id="po-1")
    assert shop.server is not None
    assert b'{"id":"7"}' == shop.server.requests[-1].body


def test_an_answer_about_another_payout_is_nobodys(open_shop: OpenShop) -> None:
    """If a question by the provider's id is answered with another id, no order that it names is touched."""
    shop = open_shop(CREATED, answer(known(PAYOUT, id="7", status="done")))
    shop.hub.create_payout("shop", PAYOUT)
    result = shop.hub.fetch_payout("shop", provider_id="8")
    assert (Status.UNKNOWN, ("provider_id",), State.PENDING) == (result.status, result.mismatches, state(shop))


# Sweeping


def test_a_sweep_advances_what_is_due(open_shop: OpenShop) -> None:
    """A sweep asks about every order that is due, and about no other."""
    shop = open_shop(close, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    assert ([("po-1", Status.SUCCEEDED)], [], ["payouts", "payouts/find"]) == (swept(shop), swept(shop), shop.sent)


def test_a_sweep_leaves_what_is_not_due(open_shop: OpenShop) -> None:
    """An order whose time has not come is not asked about."""
    shop = open_shop(close, DONE, schedule={"first": 3600.0})
    shop.hub.create_payout("shop", PAYOUT)
    assert ([], ["payouts"]) == (swept(shop), shop.sent)


def test_a_sweep_takes_no_more_than_its_limit(open_shop: OpenShop) -> None:
    """A sweep takes as many orders as it may, and the next one goes on."""
    shop = open_shop(close)
    for number in range(3):
        shop.hub.create_payout("shop", msgspec.structs.replace(PAYOUT, order_id=f"po-{number}"))
    assert [2, 1, 0] == [len(shop.journal.claim(2, 60.0)) for _ in range(3)]
    assert [] == swept(shop, 2)


def test_a_sweep_asks_each_order_once(open_shop: OpenShop) -> None:
    """Two orders, two questions."""
    orders = [msgspec.structs.replace(PAYOUT, order_id=f"po-{number}") for number in range(3)]
    shop = open_shop(close, close, close, GONE)
    for order in orders:
        shop.hub.create_payout("shop", order)
    first = swept(shop, 2)
    assert (2, ["payouts/find"] * 2) == (len(first), shop.sent[3:])


def test_a_dead_sender_is_swept(open_shop: OpenShop) -> None:
    """What a dead sender left is found by the next sweep, without being named."""
    shop = open_shop(DONE)
    sending(shop)
    assert [("po-1", Status.SUCCEEDED)] == swept(shop)


def test_an_order_is_due_again_after_an_answer_that_says_nothing(open_shop: OpenShop) -> None:
    """An order that stays open is due again: the next sweep asks again, until it is settled."""
    shop = open_shop(close, GONE, answer(b"", 403), DONE)
    shop.hub.create_payout("shop", PAYOUT)
    assert [Status.UNKNOWN, Status.UNKNOWN, Status.SUCCEEDED] == [swept(shop)[0][1] for _ in range(3)]


SOON: dict[str, Any] = {"journal": {"lease": 1.5}, "transport": {"deadline": 0.5}}


@pytest.fixture
def asked_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the orders whose own schedule nobody knows be due again soon."""
    monkeypatch.setattr(Registry._timing, "__defaults__", (Schedule(first=0.1),))


@pytest.mark.usefixtures("asked_soon")
def test_an_account_that_is_gone_does_not_stop_a_sweep(open_shop: OpenShop) -> None:
    """An order of an account that is no longer configured is reported, and the others are asked about."""
    shop = open_shop(close, DONE, **SOON)
    shop.journal.open(plain_facts("po-0", account="sold"), -1.0)
    shop.hub.create_payout("shop", PAYOUT)
    with capture_logs() as logs:
        assert [("po-1", Status.SUCCEEDED)] == swept(shop)
    assert [("sold", "payout", "po-0", "UnknownAccount")] == [
        (log["account"], log["kind"], log["order_id"], log["error"])
        for log in logs
        if log["event"] == "payhub.sweep_failed"
    ]
    assert ["po-0"] == [key.order_id for key in _claimed(shop)]


@pytest.fixture
def overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time that orders may be open be over for those whose own schedule nobody knows."""
    monkeypatch.setattr(Registry._timing, "__defaults__", (Schedule(until=-1.0),))


@pytest.mark.usefixtures("overdue")
def test_an_order_that_cannot_be_asked_about_does_not_end_silently(open_shop: OpenShop) -> None:
    """Past the schedule a person has to look, also at an order of an account that is gone, and can settle it."""
    shop = open_shop()
    sold = Key("sold", "payout", "po-0")
    shop.journal.open(plain_facts("po-0", account="sold"), -1.0)
    with capture_logs():
        assert [] == swept(shop)
    record = shop.journal.find(sold)
    assert State.NEEDS_ATTENTION is record.state
    result = shop.hub.resolve(*sold, "failed", reason="support says: never came", by="ann")
    assert (Status.FAILED, "sold") == (result.status, result.account)


@pytest.mark.usefixtures("mistake")
def test_a_mistake_in_a_driver_does_not_end_silently(open_shop: OpenShop) -> None:
    """Past the schedule a person has to look, also at an order that the driver cannot ask about."""
    shop = open_shop(close, answer(known(PAYOUT, status="odd")), schedule=OVER)
    shop.hub.create_payout("shop", PAYOUT)
    with capture_logs():
        states = [(swept(shop), state(shop))[1] for _ in range(20)]
    assert [State.UNKNOWN] * 19 + [State.NEEDS_ATTENTION] == states


def _claimed(shop: Shop) -> tuple[Key, ...]:
    """Wait until an order is due, and claim it."""
    while not (taken := shop.journal.claim(10, 60.0)):
        time.sleep(0.02)
    return tuple(taken)


@pytest.fixture
def mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the fake provider's driver have a mistake in a table: a status that it maps to nothing usable."""
    from payhub.testing import fake  # noqa: PLC0415

    monkeypatch.setitem(fake.STATUSES, "odd", None)


@pytest.mark.usefixtures("mistake")
def test_a_mistake_in_a_driver_is_a_question_in_vain(open_shop: OpenShop) -> None:
    """It is logged without the payer's values, and kept; the order is due again by its schedule."""
    shop = open_shop(close, answer(known(PAYOUT, status="odd")), DONE)
    shop.hub.create_payout("shop", PAYOUT)
    with capture_logs() as logs:
        assert [("po-1", Status.UNKNOWN)] == swept(shop)
    assert [{"account": "shop", "kind": "payout", "order_id": "po-1", "error": "malformed_result"}] == [
        {name: log[name] for name in ("account", "kind", "order_id", "error")}
        for log in logs
        if log["event"] == "payhub.driver_failed"
    ]
    assert ("status query", "unknown", "HTTP 200: a malformed Payout from the driver") == reasons(shop)[-1]
    assert "fetch_payout" == [e.exchange.operation for e in shop.journal.story("po-1")[1] if e.exchange][-1]
    assert [("po-1", Status.SUCCEEDED)] == swept(shop)


def test_two_hubs_do_not_sweep_the_same_order(open_shop: OpenShop) -> None:
    """What one hub has claimed, another one leaves."""
    shop = open_shop(close, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    shop.journal.claim(1, 60.0)  # by another process
    assert ([], ["payouts"]) == (swept(shop), shop.sent)


def test_a_sweep_holds_only_the_order_at_hand(open_shop: OpenShop) -> None:
    """While one order is asked about, others may take the rest: each is claimed just before it is asked about."""
    others: list[str] = []

    def slow(connection: Any) -> None:
        others.extend(key.order_id for key in shop.journal.claim(10, 60.0))
        connection.sendall(GONE)

    shop = open_shop(close, close, close, slow)
    for number in range(3):
        shop.hub.create_payout("shop", msgspec.structs.replace(PAYOUT, order_id=f"po-{number}"))
    assert (1, 2) == (len(swept(shop)), len(others))


@pytest.mark.parametrize(
    ("provider_id", "by", "expected"),
    [
        ("7", {"provider_id", "order_id"}, Ref(provider_id="7", amount=plain_facts().amount)),
        (None, {"provider_id", "order_id"}, Ref(order_id="po-1", amount=plain_facts().amount)),
        ("7", {"order_id"}, Ref(order_id="po-1", amount=plain_facts().amount)),
        (None, {"provider_id"}, None),
    ],
)
def test_an_order_is_asked_about_as_the_provider_can_be_asked(
    provider_id: str | None, by: set[str], expected: Ref | None
) -> None:
    """By the provider's id where it is known, else by ours; where neither will do, nothing is learnt."""
    now = dt.datetime.now(dt.UTC)
    record = Record(facts=plain_facts(), state=State.UNKNOWN, provider_id=provider_id, created_at=now, updated_at=now)
    assert expected == ref_to(record, by)


def test_the_late_answer_of_a_frozen_sender(open_shop: OpenShop) -> None:
    """A sender that wakes up after the resolver settled its order still returns, and changes nothing."""

    def slow(connection: Any) -> None:
        shop.journal.settle(PO_1, Evidence(source=Source.LEASE, state=State.UNKNOWN), NOW)
        assert [("po-1", Status.SUCCEEDED)] == swept(shop)
        connection.sendall(CREATED)

    shop = open_shop(slow, DONE)
    result = shop.hub.create_payout("shop", PAYOUT)
    record = shop.journal.find(PO_1)
    assert (Status.PENDING, State.SUCCEEDED, False) == (result.status, record.state, record.contradicted)
    assert Status.SUCCEEDED is shop.hub.create_payout("shop", PAYOUT).status


@pytest.mark.parametrize("asked", ["advance", "fetch_payout"])
@pytest.mark.parametrize("answered", [GONE, answer(b"", 403)], ids=["not found", "403"])
def test_a_question_in_vain_says_nothing_of_what_was_settled_meanwhile(
    open_shop: OpenShop, answered: bytes, asked: str
) -> None:
    """An order that was settled while a question about it waited stays as it is: nothing contradicts it."""

    def slow(connection: Any) -> None:
        shop.journal.settle(PO_1, Evidence(source=Source.STATUS, state=State.SUCCEEDED, reason="so"), NOW)
        connection.sendall(answered)

    shop = open_shop(CREATED, slow)
    shop.hub.create_payout("shop", PAYOUT)
    with contextlib.suppress(NotFound, Unavailable):
        if asked == "advance":
            shop.hub.advance("shop", "payout", "po-1")
        else:
            shop.hub.fetch_payout("shop", order_id="po-1")
    record = shop.journal.find(PO_1)
    assert (State.SUCCEEDED, "so", False, None) == (record.state, record.reason, record.contradicted, record.due_at)
    assert ("status query", "unknown") == reasons(shop)[-1][:2]


# Asking through the hub


def test_a_question_settles_a_known_order(open_shop: OpenShop) -> None:
    """What the application asks for itself is kept, with its exchange, as if the resolver had asked."""
    shop = open_shop(close, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    assert (Status.SUCCEEDED, State.SUCCEEDED) == (shop.hub.fetch_payout("shop", order_id="po-1").status, state(shop))
    assert ["create_payout", "fetch_payout"] == [
        entry.exchange.operation for entry in shop.journal.story("po-1")[1] if entry.exchange
    ]


def test_a_question_by_the_providers_id_settles_a_known_order(open_shop: OpenShop) -> None:
    """An order that is asked about by the provider's id is known by what the answer says it is."""
    shop = open_shop(close, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    assert (Status.SUCCEEDED, State.SUCCEEDED) == (shop.hub.fetch_payout("shop", provider_id="7").status, state(shop))


def test_a_payment_is_kept_as_a_payment(open_shop: OpenShop) -> None:
    """An answer about a payment says nothing of the payout with the same order_id."""
    payment = msgspec.structs.replace(PAYMENT, order_id="po-1")
    shop = open_shop(close, answer(known(payment, status="done")))
    shop.hub.create_payout("shop", PAYOUT)
    assert (Status.SUCCEEDED, State.UNKNOWN) == (shop.hub.fetch_payment("shop", provider_id="7").status, state(shop))


@pytest.mark.parametrize("by", [{"order_id": "po-1"}, {"provider_id": "7"}], ids=["order_id", "provider_id"])
def test_rule_10_a_known_order_is_compared_without_being_told(open_shop: OpenShop, by: dict[str, str]) -> None:
    """Rule 10: of a known order the recorded amount is compared, though the application does not give it."""
    shop = open_shop(CREATED, answer(known(PAYOUT, status="done", amount="1.00")))
    shop.hub.create_payout("shop", PAYOUT)
    result = shop.hub.fetch_payout("shop", **by)
    assert (Status.UNKNOWN, ("requested",), State.NEEDS_ATTENTION) == (result.status, result.mismatches, state(shop))


def test_an_amount_that_the_application_got_wrong_is_not_the_providers_fault(open_shop: OpenShop) -> None:
    """If the application asks with another amount than it ordered, the answer says so; the journal knows better."""
    shop = open_shop(CREATED, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    result = shop.hub.fetch_payout("shop", order_id="po-1", amount=Money("1", "RUB"))
    assert (Status.UNKNOWN, ("requested",), State.SUCCEEDED) == (result.status, result.mismatches, state(shop))


def test_an_order_that_nobody_created_here_is_only_asked_about(open_shop: OpenShop) -> None:
    """An order that the journal does not know is answered, and not written down."""
    shop = open_shop(DONE)
    assert (Status.SUCCEEDED, ((), ())) == (
        shop.hub.fetch_payout("shop", order_id="po-1").status, shop.journal.story("po-1")
    )  # fmt: skip


@pytest.mark.parametrize(("act", "error"), [(GONE, NotFound), (answer(b"", 403), Unavailable)], ids=["404", "403"])
def test_a_question_without_an_answer_changes_nothing(open_shop: OpenShop, act: bytes, error: type[Exception]) -> None:
    """An error of a question is kept as evidence of nothing: the order and the reason of its state stay as they are."""
    shop = open_shop(close, act)
    shop.hub.create_payout("shop", PAYOUT)
    before = shop.journal.find(PO_1)
    with pytest.raises(error) as caught:
        shop.hub.fetch_payout("shop", order_id="po-1")
    after = shop.journal.find(PO_1)
    kept = {name: getattr(before, name) for name in ("checks", "due_at")}
    assert before == msgspec.structs.replace(after, **kept)
    words = "not found, which proves nothing" if error is NotFound else str(caught.value)
    assert ("status query", "unknown", words) == reasons(shop)[-1]


def test_rule_8_a_success_may_be_reversed_and_nothing_else(open_shop: OpenShop) -> None:
    """Rule 8: asked again, a success may turn out reversed; "failed" is kept, flagged, and not believed."""
    failed, returned = (answer(known(PAYOUT, status=status)) for status in ("failed", "returned"))
    shop = open_shop(DONE, failed, returned, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    states = []
    for _ in range(3):
        shop.hub.fetch_payout("shop", order_id="po-1")
        states += [(state(shop), shop.journal.find(PO_1).contradicted)]
    assert [(State.SUCCEEDED, True), (State.REVERSED, True), (State.REVERSED, True)] == states


def test_rule_8_a_failure_that_is_denied_is_not_told_as_one(open_shop: OpenShop) -> None:
    """Rule 8: an order stays failed, but creating it again does not say that nothing moved; a person looks."""
    shop = open_shop(close, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    shop.hub.resolve("shop", "payout", "po-1", "failed", reason="support says: never came", by="ann")
    with capture_logs() as logs:
        shop.hub.fetch_payout("shop", order_id="po-1")
    again = shop.hub.create_payout("shop", PAYOUT)
    assert (State.FAILED, Status.UNKNOWN, "recorded as failed, and something says otherwise; look at its trace") == (
        state(shop), again.status, again.reason
    )  # fmt: skip
    assert [{"account": "shop", "kind": "payout", "order_id": "po-1"}] == [
        {name: log[name] for name in ("account", "kind", "order_id")}
        for log in logs
        if log["event"] == "payhub.contradicted"
    ]
    assert [PO_1] == [record.facts.key for record in shop.journal.unsettled(0.0, 10)]
    assert ["payouts", "payouts/find"] == shop.sent
    assert Status.FAILED is shop.hub.resolve("shop", "payout", "po-1", "failed", reason="so", by="ann").status


# Operators


def test_an_operator_settles_what_nobody_else_can(open_shop: OpenShop) -> None:
    """A person who found out may say how an unknown order ended; it is kept with the name, and nothing is sent."""
    shop = open_shop(close)
    shop.hub.create_payout("shop", PAYOUT)
    result = shop.hub.resolve("shop", "payout", "po-1", "failed", reason="support says: never came", by="ann")
    act = shop.journal.story("po-1")[1][-1]
    assert (Status.FAILED, "act", "ann", "support says: never came", ["payouts"]) == (
        result.status, act.what, act.by, act.evidence.reason, shop.sent
    )  # fmt: skip


def test_an_operator_does_not_forestall_the_provider(open_shop: OpenShop) -> None:
    """An order that the provider works on is not an operator's to settle, and stays as it is."""
    shop = open_shop(CREATED)
    shop.hub.create_payout("shop", PAYOUT)
    before = shop.journal.story("po-1")
    with pytest.raises(IllegalStep, match=r"is not an operator's to make failed$"):
        shop.hub.resolve("shop", "payout", "po-1", "failed", reason="so", by="ann")
    assert before == shop.journal.story("po-1")
