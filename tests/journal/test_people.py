"""What a person finds out about an order: written down, corrected both ways, and compared with what comes later."""

import datetime as dt
from typing import Any

import pytest
from structlog.testing import capture_logs

from payhub import Money, Status
from payhub.errors import IllegalStep
from payhub.journal import Evidence, Journal, Key, Record, Source, State, rules
from payhub.journal.rules import is_closed
from payhub.journal.sql import SqlJournal
from tests.raw_server import answer, close
from tests.samples import PAYMENT, PAYOUT, known

from .conftest import OpenShop, Shop
from .making import LATER, NOW, age, brought, exchange, facts, found, key

PO_1 = Key("shop", "payout", "po-1")
SUM = Money("1000.44", "RUB")


def says(word: str, order: Any = PAYOUT, **fields: Any) -> bytes:
    """Answer a question about an order with a status."""
    return answer(known(order, status=word, **fields))


PAID = says("done", paid="1000.44")
FAILED = says("failed")
GONE = answer(b"", 404)


def resolved(shop: Shop, outcome: str, key: Key = PO_1, reason: str = "support, ticket 7") -> Any:
    return shop.hub.resolve(*key, outcome, reason=reason, by="ann")


def record_of(shop: Shop, key: Key = PO_1) -> Record:
    record: Record = shop.journal.find(key)
    return record


def waiting(shop: Shop) -> list[Key]:
    return [record.facts.key for record in shop.journal.unsettled(0.0, 10)]


# An untrue last word


@pytest.mark.parametrize("word", ["failed", "canceled"])
def test_rule_8_a_failure_that_was_paid_is_put_right(open_shop: OpenShop, word: str) -> None:
    """Rule 8: the provider says `failed`, later `paid`: a person makes it a success, with the sum that was paid."""
    shop = open_shop(answer(known(PAYMENT)), says(word, PAYMENT), says("done", PAYMENT, paid="3000.00"))
    payment = Key("shop", "payment", "in-1")
    shop.hub.create_payment("shop", PAYMENT)
    shop.hub.advance(*payment)
    shop.hub.fetch_payment("shop", order_id="in-1")
    doubted = shop.hub.create_payment("shop", PAYMENT)
    assert (Status.UNKNOWN, [payment]) == (doubted.status, waiting(shop))
    told = [resolved(shop, "succeeded", payment), shop.hub.create_payment("shop", PAYMENT)]
    assert [(Status.SUCCEEDED, Money("3000.00", "RUB"))] * 2 == [(each.status, each.paid) for each in told]
    act = shop.journal.story("in-1")[1][-1]
    assert ([], "act", "ann", "support, ticket 7") == (waiting(shop), act.what, act.by, act.evidence.reason)


def test_rule_8_a_success_that_was_none_is_put_right(open_shop: OpenShop) -> None:
    """Rule 8: a person may say that a recorded success failed; then no sum is told as paid."""
    shop = open_shop(PAID)
    shop.hub.create_payout("shop", PAYOUT)
    failed = resolved(shop, "failed")
    assert (Status.FAILED, None) == (failed.status, failed.paid)
    assert Status.FAILED is shop.hub.find("payout", "po-1").status


def test_a_returned_payout_is_written_down(open_shop: OpenShop) -> None:
    """A payout that was paid, and came back, is reversed by a person; whichever half the provider tells is no news."""
    shop = open_shop(PAID, FAILED, FAILED, PAID, says("new"))
    shop.hub.create_payout("shop", PAYOUT)
    fetched = shop.hub.fetch_payout("shop", order_id="po-1")
    assert (Status.SUCCEEDED, [PO_1]) == (fetched.status, waiting(shop))
    assert (Status.REVERSED, SUM) == ((told := resolved(shop, "reversed")).status, told.paid)
    for _ in range(2):
        assert Status.REVERSED is shop.hub.fetch_payout("shop", order_id="po-1").status
    assert [] == waiting(shop)
    shop.hub.fetch_payout("shop", order_id="po-1")  # that it works on it still is news
    assert [PO_1] == waiting(shop)


def test_rule_8_every_reader_is_told_what_a_person_said(open_shop: OpenShop) -> None:
    """Rule 8: the provider denies what a person said: every call tells the same, and the order is listed."""
    shop = open_shop(close, FAILED)
    shop.hub.create_payout("shop", PAYOUT)
    resolved(shop, "succeeded")
    fetched = shop.hub.fetch_payout("shop", order_id="po-1")
    others = [shop.hub.create_payout("shop", PAYOUT), shop.hub.advance(*PO_1)]
    assert [Status.SUCCEEDED] * 3 == [each.status for each in (fetched, *others)]
    assert [PO_1] == waiting(shop)


# Asked about afterwards


def test_what_a_person_settled_is_asked_about(open_shop: OpenShop) -> None:
    """A sweep asks about it; when the provider says the same, nobody asks any more, and the sum is known."""
    shop = open_shop(close, PAID)
    shop.hub.create_payout("shop", PAYOUT)
    resolved(shop, "succeeded")
    assert [(Status.SUCCEEDED, SUM)] == [(each.status, each.paid) for each in shop.hub.sweep()]
    assert ((), None, False) == (shop.hub.sweep(), record_of(shop).due_at, record_of(shop).resolved)


def test_rule_6_a_wrong_failure_does_not_hide_what_contradicts_it(open_shop: OpenShop) -> None:
    """Rule 6: a person says `failed`, and the late payout is found by a sweep: flagged, listed, told as unknown."""
    shop = open_shop(close, GONE, PAID)
    shop.hub.create_payout("shop", PAYOUT)
    resolved(shop, "failed")
    with capture_logs() as logs:
        told = [[each.status for each in shop.hub.sweep()] for _ in range(2)]
    assert ([[Status.FAILED], [Status.UNKNOWN]], [PO_1]) == (told, waiting(shop))
    assert 1 == [log["event"] for log in logs].count("payhub.contradicted")
    assert Status.UNKNOWN is shop.hub.create_payout("shop", PAYOUT).status


def test_what_a_person_has_seen_is_no_news_and_everything_else_is(open_shop: OpenShop) -> None:
    """A person who insists has seen what contradicts: the same again raises no flag, another word does."""
    shop = open_shop(close, PAID, PAID, says("new"))
    shop.hub.create_payout("shop", PAYOUT)
    resolved(shop, "failed")
    shop.hub.sweep()
    assert [PO_1] == waiting(shop)
    resolved(shop, "failed", reason="their mistake, they say")
    assert ([Status.FAILED], []) == ([each.status for each in shop.hub.sweep()], waiting(shop))
    shop.hub.sweep()
    assert [PO_1] == waiting(shop)


def test_a_settled_order_is_asked_about_until_the_schedule_ends(open_shop: OpenShop) -> None:
    """When the time is over in which the driver's schedule asks, counted from the decision, a sweep leaves it."""
    shop = open_shop(close, GONE, schedule={"first": 0.0, "growth": 1.0, "until": 3600.0})
    shop.hub.create_payout("shop", PAYOUT)
    age(shop.journal, days=1)
    resolved(shop, "failed")
    asked = len(shop.hub.sweep())
    age(shop.journal, hours=2)
    assert (1, 1, (), None) == (asked, len(shop.hub.sweep()), shop.hub.sweep(), record_of(shop).due_at)


# Two accounts


def both(journal: Journal, mine: State, other: State) -> Key:
    """Bring an order to a state with the account `shop`, then with `other`."""
    brought(journal, mine)
    journal.open(facts(account="other"), 60.0)
    if other is not State.SENDING:
        journal.settle(Key("other", *key()[1:]), found(other, Source.ANSWER), LATER)
    return key()


ELSEWHERE = [State.SENDING, State.PENDING, State.UNKNOWN, State.SUCCEEDED, State.NEEDS_ATTENTION]


@pytest.mark.parametrize("outcome", [State.SUCCEEDED, State.REVERSED])
@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_rule_2_what_was_paid_twice_is_refused_and_kept(journal: Journal, elsewhere: State, outcome: State) -> None:
    """Rule 2: a correction that would make a second leg live names the account that has it; what was found is kept."""
    mine = both(journal, State.FAILED, elsewhere)
    act = found(outcome, Source.OPERATOR, reason="seen in the cabinet")
    with pytest.raises(IllegalStep, match=rf"^account 'other' has this payout, too, and there it is {elsewhere}"):
        journal.settle(mine, act, LATER, by="ann")
    record = journal.find(mine)
    assert record is not None
    entry = next(entry for entry in reversed(journal.story("po-1")[1]) if entry.what == "act")
    assert (State.FAILED, True, Status.UNKNOWN) == (record.state, record.contradicted, record.status)
    assert (act, "ann", True) == (entry.evidence, entry.by, entry.contradicts)
    assert mine in [each.facts.key for each in journal.unsettled(0.0, 10)]
    # The order is told as the account has it that is live.
    assert ["other", "shop"] == [leg.facts.account for leg in journal.legs("default", "payout", "po-1")]
    assert not journal.open(facts(), 60.0).yours


def test_rule_2_what_a_person_found_paid_is_live(journal: Journal) -> None:
    """Rule 2: once a person has made a failure a success, no other account is given the order."""
    brought(journal, State.FAILED)
    journal.settle(key(), found(State.SUCCEEDED, Source.OPERATOR, reason="so"), LATER, by="ann")
    opened = journal.open(facts(account="other"), 60.0)
    assert (False, "shop") == (opened.yours, opened.record.facts.account)


def test_rule_2_what_a_person_found_failed_is_not_live(journal: Journal) -> None:
    """Rule 2: once a person has made a success a failure, the order may go to another account."""
    brought(journal, State.SUCCEEDED)
    journal.settle(key(), found(State.FAILED, Source.OPERATOR, reason="so"), LATER, by="ann")
    assert journal.open(facts(account="other"), 60.0).yours


# Kept for support


def _flagged(journal: Journal, order_id: str = "po-1") -> None:
    journal.open(facts(order_id, payer="p" * 64), 60.0)
    journal.settle(key(order_id), found(State.FAILED, Source.ANSWER), LATER, [exchange()])
    journal.settle(key(order_id), found(State.SUCCEEDED), LATER, [exchange()])


def test_exchanges_of_what_is_contradicted_are_kept(journal: Journal) -> None:
    """An order that has ended and is contradicted waits for a person: neither exchanges nor payer are erased."""
    _flagged(journal)
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    before = journal.story("po-1")
    assert (0, (0, 1)) == (journal.prune(tomorrow, 10), journal.forget("p" * 64))
    assert before == journal.story("po-1")
    settled = journal.settle(key(), found(State.FAILED, Source.OPERATOR, reason="so"), LATER, by="ann")
    assert (True, 2, (1, 0)) == (is_closed(settled), journal.prune(tomorrow, 10), journal.forget("p" * 64))


# Handed over


DOWN = answer(b"<html>", 502)
OVER: dict[str, float] = {"first": 0.0, "growth": 1.0, "until": -1.0}


def test_a_provider_that_is_down_hands_nothing_over(open_shop: OpenShop) -> None:
    """After a long standstill the first sweep meets a provider that is down: the order stays open, and is settled."""
    shop = open_shop(answer(known(PAYOUT)), *[DOWN] * 4, PAID, schedule=OVER)
    shop.hub.create_payout("shop", PAYOUT)
    assert ([Status.PENDING], []) == ([each.status for each in shop.hub.sweep()], waiting(shop))
    assert [Status.SUCCEEDED] == [each.status for each in shop.hub.sweep()]


def test_what_was_handed_over_is_still_asked_about(open_shop: OpenShop) -> None:
    """Once a day; that the provider still works on it is no news to the person who waits, and an end settles it."""
    shop = open_shop(answer(known(PAYOUT)), says("new"), says("new"), PAID, schedule=OVER)
    shop.hub.create_payout("shop", PAYOUT)
    shop.hub.sweep()
    handed = record_of(shop)
    assert (State.NEEDS_ATTENTION, ()) == (handed.state, shop.hub.sweep())
    age(shop.journal, hours=30)
    assert [Status.UNKNOWN] == [each.status for each in shop.hub.sweep()]
    after = record_of(shop)
    assert (handed.why, handed.updated_at - dt.timedelta(hours=30)) == (after.why, after.updated_at)
    age(shop.journal, hours=30)
    assert [Status.SUCCEEDED] == [each.status for each in shop.hub.sweep()]


def test_a_clock_that_was_ahead_for_a_moment_ends_nothing(open_shop: OpenShop) -> None:
    """A sweep at a wrong time hands a fresh order over; an answer at the right time takes it back."""
    shop = open_shop(answer(known(PAYOUT)), says("new"), says("new"), schedule={"first": 0.0})
    shop.hub.create_payout("shop", PAYOUT)
    age(shop.journal, days=8)
    assert [Status.UNKNOWN] == [each.status for each in shop.hub.sweep()]
    age(shop.journal, days=-8)
    assert Status.PENDING is shop.hub.advance(*PO_1).status


def test_what_was_seen_once_is_news_to_the_next_person(journal: Journal) -> None:
    """Who takes a success back did not decide against what once made it one: said again, that contradicts."""
    brought(journal, State.FAILED)
    paid = found(State.SUCCEEDED, paid=SUM)
    journal.settle(key(), paid, NOW)
    for outcome in (State.SUCCEEDED, State.FAILED):
        journal.settle(key(), found(outcome, Source.OPERATOR, reason="so"), NOW, by="ann")
    assert journal.settle(key(), paid, NOW).contradicted


def test_what_the_provider_reversed_itself_is_not_a_persons_word(journal: Journal) -> None:
    """An order that a person settled, and the provider then reversed, is contradicted by "failed" as any other."""
    brought(journal, State.UNKNOWN)
    journal.settle(key(), found(State.SUCCEEDED, Source.OPERATOR, reason="so"), NOW, by="ann")
    assert not journal.settle(key(), found(State.REVERSED), NOW).resolved
    assert journal.settle(key(), found(State.FAILED), NOW).contradicted


def test_rule_2_a_leg_that_became_live_at_the_same_time_is_seen(
    kept: SqlJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 2: where the look at the other legs came too early, the database refuses, and the account is named."""
    mine = both(kept, State.FAILED, State.SUCCEEDED)
    look, looks = rules.keep_one_live, []

    def too_early(before: Record, decided: Record, *legs: Any) -> Any:
        looks.append(decided.state)
        return (decided, None) if len(looks) == 1 else look(before, decided, *legs)

    monkeypatch.setattr(rules, "keep_one_live", too_early)
    with pytest.raises(IllegalStep, match=r"^account 'other' has this payout, too"):
        kept.settle(mine, found(State.SUCCEEDED, Source.OPERATOR, reason="so"), LATER, by="ann")
    record = kept.find(mine)
    assert record is not None
    assert (2, State.FAILED, True) == (len(looks), record.state, record.contradicted)


def test_evidence_that_a_person_decides_against_is_no_news_in_any_order(journal: Journal) -> None:
    """Of two things that contradict the newer one was seen last: the older one again is news."""
    brought(journal, State.FAILED)
    paid, pending = found(State.SUCCEEDED, paid=SUM), found(State.NEEDS_ATTENTION, mismatches=("paid",))
    decided: Evidence = found(State.FAILED, Source.OPERATOR, reason="so")
    for evidence in (paid, pending):
        journal.settle(key(), evidence, NOW)
    journal.settle(key(), decided, NOW, by="ann")
    assert [False, True] == [journal.settle(key(), each, NOW).contradicted for each in (pending, paid)]
