import datetime as dt
import itertools
import time
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from payhub import Money, OrderConflict
from payhub.errors import IllegalStep, JournalFailed
from payhub.journal import Evidence, Journal, Key, Record, Source, State
from payhub.journal.sql import SqlJournal
from payhub.journal.states import LIVE, LONGEST_REASON, NOTHING_MOVED
from payhub.masking import excerpt, mask_text

from .conftest import Place
from .making import LATER, NOW, PREFIX, WAYS, brought, exchange, facts, found, key

RUB = Money("1000.44", "RUB")


# Opening


def test_a_new_order_is_yours(journal: Journal) -> None:
    """The first caller that opens an order is to send it, and has as long as the lease says."""
    before = dt.datetime.now(dt.UTC)
    record, yours = journal.open(facts(), 60.0)
    assert (True, State.SENDING, 1, facts()) == (yours, record.state, record.attempts, record.facts)
    assert record.lease_until == record.due_at == record.updated_at + dt.timedelta(seconds=60)
    assert before <= record.created_at <= record.updated_at <= dt.datetime.now(dt.UTC)


def test_what_was_opened_is_found(journal: Journal) -> None:
    """An order is found by its name, as it was given to the sender."""
    record = journal.open(facts(), 60.0).record
    assert (record, None) == (journal.find(key()), journal.find(key("po-2")))


def test_an_open_order_is_not_yours(journal: Journal) -> None:
    """A caller that opens an order that is being sent learns so, and changes nothing."""
    record = journal.open(facts(), 60.0).record
    assert (record, False) == journal.open(facts(), 90.0)
    assert record == journal.find(key())


@pytest.mark.parametrize("state", WAYS)
def test_only_what_was_not_sent_may_be_sent_again(journal: Journal, state: State) -> None:
    """Of all states an order may have come to, `not_sent` alone gives it away once more."""
    record = brought(journal, state)
    again = journal.open(facts(), 60.0)
    resent = state is State.NOT_SENT
    assert (resent, 2 if resent else 1) == (again.yours, again.record.attempts)
    assert resent or record == again.record


def test_what_is_sent_again_is_found_anew(journal: Journal) -> None:
    """An order that is sent again has a lease of its own, and its answer is taken as any."""
    journal.open(facts(), 60.0)
    journal.settle(key(), found(State.NOT_SENT, Source.ANSWER, reason="no connection"), LATER)
    again = journal.open(facts(), 90.0).record
    assert again.lease_until == again.updated_at + dt.timedelta(seconds=90)
    done = journal.settle(key(), found(State.PENDING, Source.ANSWER), LATER)
    assert (State.PENDING, None, None) == (done.state, done.reason, done.lease_until)


@pytest.mark.parametrize("state", WAYS)
def test_another_order_under_the_same_name_is_a_conflict(journal: Journal, state: State) -> None:
    """An order_id that stands for a different order is refused in every state, in words that quote no value."""
    record = brought(journal, state)
    with pytest.raises(OrderConflict) as caught:
        journal.open(facts(fingerprint="0" * 64), 60.0)
    words = "order_id 'po-1' already stands for another payout: to.number differs; see: payhub trace po-1"
    assert f"account 'shop': {words}" == str(caught.value)
    assert record == journal.find(key())


@pytest.mark.parametrize(
    "other",
    [{"account": "other", "namespace": "b"}, {"kind": "payment"}, {"order_id": "PO-1"}, {"order_id": "po-1 "}],
)
def test_another_name_is_another_order(journal: Journal, other: dict[str, Any]) -> None:
    """The same order_id in another namespace or of another kind is another order; so is another spelling."""
    journal.open(facts(), 60.0)
    assert journal.open(facts(**other), 60.0).yours


@pytest.mark.parametrize("state", sorted({*LIVE} - {State.NEEDS_ATTENTION}))
def test_rule_2_a_live_leg_keeps_the_order_from_every_other_account(journal: Journal, state: State) -> None:
    """Rule 2: while one account may have moved the money, no other is given the order; it is told which has it."""
    record = brought(journal, state)
    assert (record, False) == journal.open(facts(account="other"), 60.0)
    assert [record.facts.account] == [leg.facts.account for leg in journal.legs("default", "payout", "po-1")]


@pytest.mark.parametrize("state", sorted({State.NOT_SENT, State.DECLINED, State.FAILED, State.CANCELED}))
def test_rule_2_a_leg_that_moved_nothing_leaves_the_order_free(journal: Journal, state: State) -> None:
    """Rule 2: what was not sent, or is over without money, may be created with another account, which then has it."""
    brought(journal, state)
    assert journal.open(facts(account="other"), 60.0).yours
    assert not journal.open(facts(), 60.0).yours
    assert ["other", "shop"] == [leg.facts.account for leg in journal.legs("default", "payout", "po-1")]


@pytest.mark.parametrize("state", sorted({State.FAILED, State.CANCELED, State.DECLINED}))
def test_rule_2_a_leg_that_is_contradicted_is_live(journal: Journal, state: State) -> None:
    """Rule 2: what is recorded as over without money, and is contradicted, may have moved it."""
    brought(journal, state)
    journal.settle(key(), found(State.SUCCEEDED, Source.STATUS), LATER)
    opened = journal.open(facts(account="other"), 60.0)
    assert ("shop", False, True) == (opened.record.facts.account, opened.yours, opened.record.contradicted)


def test_rule_2_another_order_under_the_id_is_a_conflict_with_every_account(journal: Journal) -> None:
    """Rule 2: an id that is live with one account stands for that order with all of them."""
    journal.open(facts(), 60.0)
    with pytest.raises(OrderConflict, match="account 'shop': "):
        journal.open(facts(account="other", fingerprint="0" * 64), 60.0)


def test_rule_2_the_database_itself_refuses_two_live_legs(kept: SqlJournal, place: Place) -> None:
    """Rule 2: whatever program writes, one order has one live leg."""
    kept.open(facts(account="other"), 60.0)
    kept.settle(Key("other", "payout", "po-1"), found(State.NOT_SENT, Source.ANSWER), NOW)
    brought(kept, State.PENDING)
    copied = "provider, kind, order_id, method, amount, currency, fingerprint, contradicted, notified, attempts, checks"
    columns = f"{copied}, created_at, updated_at, namespace, account, state"
    values = f"{copied}, created_at, updated_at, namespace, 'third', 'sending' FROM {PREFIX}orders"
    with pytest.raises(sa.exc.IntegrityError), place.engine().begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO {PREFIX}orders ({columns}) SELECT {values} WHERE account = 'shop'")
    with pytest.raises(sa.exc.IntegrityError), place.engine().begin() as connection:
        connection.exec_driver_sql(f"UPDATE {PREFIX}orders SET state = 'sending' WHERE account = 'other'")  # noqa: S608 - no stranger names these


# Evidence


EVERYTHING: dict[str, Any] = {
    "provider_id": "7",
    "provider_status": "weird ✓",
    "paid": Money("1000.00", "RUB"),
    "credited": Money("990.10", "RUB"),
    "commission": Money("0.000000000000000001", "RUB", 18),
    "partial": True,
    "reason": "half of it came",
    "redirect_url": "https://pay.example/7?token=1",
}


def test_what_evidence_says_is_taken_over(journal: Journal) -> None:
    """Every value that a piece of evidence says is in the record, exactly, and is found again."""
    brought(journal, State.SENDING)
    record = journal.settle(key(), found(State.PENDING, Source.ANSWER, **EVERYTHING), LATER)
    assert EVERYTHING == {name: getattr(record, name) for name in EVERYTHING}
    assert record == journal.find(key())


def test_what_evidence_does_not_say_stays(journal: Journal) -> None:
    """A later piece of evidence that is silent about a value leaves it; but the reason is always the newest."""
    brought(journal, State.SENDING)
    journal.settle(key(), found(State.PENDING, Source.ANSWER, **EVERYTHING), LATER)
    record = journal.settle(key(), found(State.SUCCEEDED, paid=RUB), LATER)
    expected = {**EVERYTHING, "paid": RUB, "reason": None}
    assert expected == {name: getattr(record, name) for name in EVERYTHING}


def test_a_value_that_contradicts_the_order_is_not_taken_over(journal: Journal) -> None:
    """Rule 10: an amount in another currency is kept as evidence, and is not what was paid."""
    brought(journal, State.PENDING)
    wrong = found(State.NEEDS_ATTENTION, paid=Money("5", "EUR"), provider_id="7", mismatches=("paid",))
    record = journal.settle(key(), wrong, LATER)
    assert (None, "7", ("paid",)) == (record.paid, record.provider_id, record.mismatches)
    assert wrong == journal.story("po-1")[1][-1].evidence


@pytest.mark.parametrize("name", ["order_id", "provider_id"])
def test_nothing_is_taken_over_from_an_answer_about_another_order(journal: Journal, name: str) -> None:
    """Rule 10: the id and the money of a stranger's order never become this order's."""
    brought(journal, State.PENDING)
    stranger = found(State.NEEDS_ATTENTION, **{**EVERYTHING, "mismatches": (name,)})
    record = journal.settle(key(), stranger, LATER)
    assert (None, None, EVERYTHING["reason"], (name,)) == (
        record.provider_id, record.paid, record.reason, record.mismatches
    )  # fmt: skip


def test_evidence_of_an_order_that_nobody_knows_is_refused(journal: Journal) -> None:
    """Evidence of an order that was never opened is an error: nothing begins with an answer."""
    with pytest.raises(JournalFailed, match=r"^the journal does not know this order$"):
        journal.settle(key(), found(State.SUCCEEDED), LATER)
    assert ((), ()) == journal.story("po-1")


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud7ff\ue000", "'; DROP TABLE x; --", "%s ? :x {}", "я" * 5000])
def test_any_text_of_a_provider_can_be_kept(journal: Journal, text: str) -> None:
    """Whatever a provider writes, the journal takes it: what could not be written would be asked again and again."""
    brought(journal, State.SENDING)
    said = {"provider_id": text, "provider_status": text, "reason": text, "redirect_url": text}
    record = journal.settle(key(), found(State.PENDING, Source.ANSWER, **said), LATER)
    words = mask_text(excerpt(text.replace("\0", "\ufffd"), LONGEST_REASON))
    assert (State.PENDING, words) == (record.state, record.reason)
    assert record == journal.find(key())


@pytest.mark.parametrize("state", [state for state in WAYS if not state.open and state is not State.NEEDS_ATTENTION])
def test_rule_8_a_final_state_does_not_change(journal: Journal, state: State) -> None:
    """Rule 8: after a final state no evidence leads to another one; what contradicts is kept and flagged."""
    brought(journal, state)
    agreed = NOTHING_MOVED if state in NOTHING_MOVED else {state}
    others = set(State) - {State.SENDING, State.UNKNOWN, State.PENDING, State.REVERSED, *agreed}
    for source, then in itertools.product((Source.ANSWER, Source.STATUS), others):
        record = journal.settle(key(), found(then, source, provider_id="x", paid=RUB), NOW)
        told = journal.story("po-1")[1][-1]
        assert (state, True, None, None, None) == (
            record.state, record.contradicted, record.due_at, record.provider_id, record.paid
        )  # fmt: skip
        assert (then, True) == (told.evidence and told.evidence.state, told.contradicts)


@pytest.mark.parametrize("state", [state for state in WAYS if not state.open and state is not State.NEEDS_ATTENTION])
def test_what_says_nothing_against_a_final_state_does_not_contradict(journal: Journal, state: State) -> None:
    """Time that has passed says nothing; and that no money moved can be said in several ways."""
    brought(journal, state)
    said = {(source, then) for source in (Source.LEASE, Source.SCHEDULE) for then in set(State) - {state}}
    said |= {(Source.STATUS, then) for then in NOTHING_MOVED if state in NOTHING_MOVED}
    records = [journal.settle(key(), found(then, source), NOW) for source, then in said]
    assert {(state, False)} == {(record.state, record.contradicted) for record in records}


@pytest.mark.parametrize(("said", "expected"), [(State.FAILED, True), (State.SUCCEEDED, False)])
def test_what_an_operator_said_is_no_old_news_to_a_late_answer(journal: Journal, said: State, expected: bool) -> None:
    """A sender that wakes up with "pending" after a person said "failed" contradicts that."""
    brought(journal, State.UNKNOWN)
    journal.settle(key(), found(said, Source.OPERATOR, reason="so"), LATER, by="ann")
    record = journal.settle(key(), found(State.PENDING, Source.ANSWER, provider_id="7"), LATER)
    assert (said, expected) == (record.state, record.contradicted)


def test_rule_8_a_success_is_reversed_by_a_status_query_alone(journal: Journal) -> None:
    """Rule 8: a status query may say that a success was reversed; the answer to a create may not."""
    brought(journal, State.SUCCEEDED)
    by_answer = journal.settle(key(), found(State.REVERSED, Source.ANSWER), LATER)
    by_query = journal.settle(key(), found(State.REVERSED, Source.STATUS), LATER)
    assert (State.SUCCEEDED, State.REVERSED) == (by_answer.state, by_query.state)


def test_the_late_answer_of_a_frozen_sender(journal: Journal) -> None:
    """A sender that wakes up after others found out the end reports, and neither changes nor contradicts it."""
    brought(journal, State.SENDING)
    journal.settle(key(), found(State.UNKNOWN, Source.LEASE), LATER)
    journal.settle(key(), found(State.SUCCEEDED, paid=RUB), LATER)
    record = journal.settle(key(), found(State.PENDING, Source.ANSWER, provider_id="7"), LATER)
    entry = journal.story("po-1")[1][-1]
    assert (State.SUCCEEDED, False, False, "7") == (
        record.state, record.contradicted, entry.contradicts, entry.evidence and entry.evidence.provider_id
    )  # fmt: skip


def test_the_answer_of_a_sender_that_was_given_up(journal: Journal) -> None:
    """A sender that reports after its lease, before anybody else knows, is believed."""
    brought(journal, State.SENDING)
    journal.settle(key(), found(State.UNKNOWN, Source.LEASE), LATER)
    assert State.NOT_SENT is journal.settle(key(), found(State.NOT_SENT, Source.ANSWER), LATER).state


def test_evidence_that_repeats_only_counts(journal: Journal) -> None:
    """The same evidence again takes no room: the newest is counted up."""
    brought(journal, State.PENDING)
    said = found(State.PENDING, provider_status="processing")
    for _ in range(3):
        journal.settle(key(), said, LATER)
    journal.settle(key(), found(State.PENDING, provider_status="accepted"), LATER)
    journal.settle(key(), said, LATER)
    counted = [(e.evidence and e.evidence.provider_status, e.times) for e in journal.story("po-1")[1]]
    assert [(None, 1), (None, 1), ("processing", 3), ("accepted", 1), ("processing", 1)] == counted


def test_evidence_that_repeats_says_when_it_came_last(journal: Journal) -> None:
    """Of evidence that is counted the first and the last time are kept; of what was said once there is no other."""
    brought(journal, State.PENDING)
    said = found(State.PENDING, provider_status="processing")
    journal.settle(key(), said, LATER)
    once = journal.story("po-1")[1][-1]
    before = dt.datetime.now(dt.UTC)
    journal.settle(key(), said, LATER)
    again = journal.story("po-1")[1][-1]
    assert (once.at, None, 2) == (again.at, once.last_at, again.times)
    assert again.last_at is not None
    assert before <= again.last_at <= dt.datetime.now(dt.UTC)


def test_evidence_that_has_come_to_contradict_is_not_counted_away(journal: Journal) -> None:
    """The words of earlier evidence, now that they contradict, are a piece of evidence of their own."""
    brought(journal, State.PENDING)
    wrong = found(State.NEEDS_ATTENTION, mismatches=("paid",))
    journal.settle(key(), wrong, LATER)
    journal.settle(key(), found(State.SUCCEEDED, Source.OPERATOR, reason="seen in the cabinet"), LATER, by="ann")
    journal.settle(key(), wrong, LATER)
    entries = journal.story("po-1")[1]
    assert [("evidence", False), ("act", False), ("evidence", True)] == [(e.what, e.contradicts) for e in entries[-3:]]


def test_questions_grow_rarer(journal: Journal) -> None:
    """Each answer that changes nothing makes the next pause longer; a change begins anew."""
    brought(journal, State.UNKNOWN)
    counts = [journal.settle(key(), found(State.UNKNOWN), LATER).checks for _ in range(3)]
    assert ([1, 2, 3], 0) == (counts, journal.settle(key(), found(State.PENDING), LATER).checks)


@pytest.mark.parametrize("state", WAYS)
def test_a_question_in_vain_changes_no_state(journal: Journal, state: State) -> None:
    """Whatever an order has become since it was asked about: no answer contradicts nothing, and does not tell why."""
    before = brought(journal, state)
    after = journal.settle(key(), found(State.UNKNOWN, reason="HTTP 500", paid=RUB, provider_id="7"), LATER)
    said = {"paid": RUB, "provider_id": "7"} if state in {State.PENDING, State.UNKNOWN} else {}
    counted = 0 if state is State.SENDING else 1
    expected = msgspec.structs.replace(before, **said, checks=counted, due_at=after.due_at)
    assert (expected, before.due_at is None) == (after, after.due_at is None)
    told = journal.story("po-1")[1][-1]
    assert (State.UNKNOWN, False) == (told.evidence and told.evidence.state, told.contradicts)


@pytest.mark.parametrize("name", ["provider_id", "paid", "credited", "commission"])
@pytest.mark.parametrize("source", [Source.STATUS, Source.ANSWER])
def test_rule_8_how_a_final_order_ended_does_not_change(journal: Journal, source: Source, name: str) -> None:
    """Rule 8: what is learnt of a final order is taken over, and what denies it is kept, flagged and not applied."""
    brought(journal, State.SUCCEEDED)
    known = journal.settle(key(), found(State.SUCCEEDED, **EVERYTHING), LATER)
    denied = {**EVERYTHING, name: "8" if name == "provider_id" else Money("1", "RUB")}
    record = journal.settle(key(), found(State.SUCCEEDED, source, **denied), LATER)
    told = journal.story("po-1")[1][-1]
    expected = msgspec.structs.replace(known, contradicted=True, updated_at=record.updated_at, checks=record.checks)
    assert expected == record
    assert (EVERYTHING[name], False, True) == (getattr(record, name), known.contradicted, told.contradicts)


def test_an_open_order_has_one_id(journal: Journal) -> None:
    """An answer that names another payout, and did not notice, contradicts: it is not this order that it settles."""
    brought(journal, State.PENDING)
    journal.settle(key(), found(State.PENDING, provider_id="7"), LATER)
    record = journal.settle(key(), found(State.SUCCEEDED, provider_id="8", paid=RUB), LATER)
    assert (State.PENDING, "7", None, True) == (record.state, record.provider_id, record.paid, record.contradicted)


def test_a_late_answer_that_names_another_payout_contradicts(journal: Journal) -> None:
    """If the resolver found one payout, and the create's answer names another, there may be two."""
    brought(journal, State.UNKNOWN)
    journal.settle(key(), found(State.SUCCEEDED, provider_id="7"), LATER)
    record = journal.settle(key(), found(State.PENDING, Source.ANSWER, provider_id="8"), LATER)
    assert (State.SUCCEEDED, "7", True) == (record.state, record.provider_id, record.contradicted)


# Operators


CONFIRMED = {
    State.SUCCEEDED: State.SUCCEEDED,
    State.FAILED: State.FAILED,
    State.CANCELED: State.FAILED,
    State.DECLINED: State.FAILED,
    State.REVERSED: State.REVERSED,
    State.NOT_SENT: State.FAILED,
}


@pytest.mark.parametrize(("state", "said"), CONFIRMED.items())
def test_an_operator_may_confirm_what_was_contradicted(journal: Journal, state: State, said: State) -> None:
    """He says once more what a final order came to; its state does not change, and it waits for nobody any more."""
    brought(journal, state)
    flagged = journal.settle(key(), found(State.NEEDS_ATTENTION, mismatches=("paid",)), LATER)
    assert ([key()], True) == ([r.facts.key for r in journal.unsettled(0.0, 10)], flagged.contradicted)
    act = found(said, Source.OPERATOR, reason="support says so")
    record = journal.settle(key(), act, LATER, by="ann")
    assert (state, False, (), "ann") == (
        record.state, record.contradicted, journal.unsettled(0.0, 10), journal.story("po-1")[1][-1].by
    )  # fmt: skip


def test_what_was_not_sent_is_not_sent_any_more_once_it_was_confirmed(journal: Journal) -> None:
    """What the provider seemed to know is never given to anybody to be sent, though an operator says it failed."""
    brought(journal, State.NOT_SENT)
    journal.settle(key(), found(State.PENDING), LATER)
    journal.settle(key(), found(State.FAILED, Source.OPERATOR, reason="another shop's"), LATER, by="ann")
    opened = journal.open(facts(), 60.0)
    assert (False, State.NOT_SENT, 1) == (opened.yours, opened.record.state, opened.record.attempts)


OUTCOMES = (State.SUCCEEDED, State.FAILED, State.REVERSED)
DECIDED = {
    **dict.fromkeys([State.UNKNOWN, State.NEEDS_ATTENTION], OUTCOMES),
    **dict.fromkeys([State.NOT_SENT, State.DECLINED, State.FAILED, State.CANCELED], (State.SUCCEEDED, State.REVERSED)),
    State.SUCCEEDED: (State.FAILED, State.REVERSED),
    State.REVERSED: (State.SUCCEEDED, State.FAILED),
}
"""What an operator may make of an order, by its state."""


@pytest.mark.parametrize("contradicted", [False, True])
@pytest.mark.parametrize(("state", "then"), [(state, then) for state in DECIDED for then in DECIDED[state]])
def test_an_operator_may_say_how_it_ended(journal: Journal, state: State, then: State, contradicted: bool) -> None:
    """An operator settles what nobody knows and corrects what is wrong, both ways; name and reason are kept.

    The flag goes, for what contradicted was seen; and the provider is asked about it from then on.
    """
    brought(journal, state)
    if contradicted:
        journal.settle(key(), found(State.NEEDS_ATTENTION, mismatches=("paid",)), LATER)
    act = found(then, Source.OPERATOR, reason="seen in the cabinet")
    record = journal.settle(key(), act, LATER, by="ann")
    entry = journal.story("po-1")[1][-1]
    assert (then, "seen in the cabinet", False, True) == (
        record.state, record.reason, record.contradicted, record.due_at is not None
    )  # fmt: skip
    assert ("act", act, "ann", False) == (entry.what, entry.evidence, entry.by, entry.contradicts)


@pytest.mark.parametrize("state", WAYS)
def test_an_operator_may_do_nothing_else(journal: Journal, state: State) -> None:
    """Every other step of an operator's is refused, and nothing of it is kept."""
    before = brought(journal, state), journal.story("po-1")
    for then in set(State) - set(DECIDED.get(state, ())):
        with pytest.raises(IllegalStep) as caught:
            journal.settle(key(), found(then, Source.OPERATOR, reason="so"), LATER, [exchange("so")], by="ann")
        assert f"an order that is {state} is not an operator's to make {then}" == str(caught.value)
    assert before == (journal.find(key()), journal.story("po-1"))


# Claiming


def _due(journal: Journal, *names: str) -> None:
    for name in names:
        brought(journal, State.PENDING, name, NOW)


def _names(keys: tuple[Key, ...]) -> list[str]:
    return [key.order_id for key in keys]


def test_what_is_due_is_claimed_once(journal: Journal) -> None:
    """An order that is due is given to one caller, and to no other while the lease lasts."""
    _due(journal, "po-1", "po-2")
    assert (["po-1", "po-2"], []) == (_names(journal.claim(10, 60.0)), _names(journal.claim(10, 60.0)))


def test_the_longest_due_come_first(journal: Journal) -> None:
    """A claim takes as many as were asked for, those first that have waited longest."""
    _due(journal, "po-3", "po-1", "po-2")
    assert [["po-3", "po-1"], ["po-2"], []] == [_names(journal.claim(2, 60.0)) for _ in range(3)]


def test_a_claim_is_due_again_when_its_lease_ends(journal: Journal) -> None:
    """What was claimed and not settled, whatever became of the claimer, is given again after the lease."""
    _due(journal, "po-1")
    taken = journal.claim(1, 0.05)
    while not (again := journal.claim(1, 60.0)):
        time.sleep(0.01)
    assert ["po-1"] == _names(taken) == _names(again)


def test_a_claim_changes_nothing_but_the_time(journal: Journal) -> None:
    """A claimed order is the same order, due when the lease ends."""
    _due(journal, "po-1")
    before = journal.find(key())
    journal.claim(1, 60.0)
    after = journal.find(key())
    assert before is not None
    assert after is not None
    assert before == msgspec.structs.replace(after, due_at=before.due_at)
    assert after.due_at is not None
    assert after.due_at > dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)


def test_what_is_not_due_is_not_claimed(journal: Journal) -> None:
    """Neither an order to be asked about later, nor a sender within its lease, nor a settled order is claimed."""
    for state in WAYS:
        brought(journal, state, f"po-{state}", LATER)
    assert [] == _names(journal.claim(100, 60.0))


@pytest.mark.parametrize("state", WAYS)
def test_only_open_orders_become_due(journal: Journal, state: State) -> None:
    """What is unknown or pending is due by its schedule, a sender when its lease ends; nothing that has ended is.

    What needs attention is asked about once a day.
    """
    due = brought(journal, state, schedule=NOW).due_at
    assert (state.open or state is State.NEEDS_ATTENTION) is (due is not None)
    if due is not None and state is State.NEEDS_ATTENTION:
        assert dt.timedelta(hours=19) < due - dt.datetime.now(dt.UTC) < dt.timedelta(hours=29)


def test_a_sender_is_due_when_its_lease_ends(journal: Journal) -> None:
    """A sender that never reports is claimed after its lease."""
    journal.open(facts(), -1.0)
    assert ["po-1"] == _names(journal.claim(1, 60.0))


# Looking


def _orders(records: tuple[Record, ...]) -> list[str]:
    return [record.facts.order_id for record in records]


def test_the_unsettled_are_shown(journal: Journal) -> None:
    """What is unknown or needs attention is shown, the oldest first, and no other order."""
    for state in (*WAYS, State.UNKNOWN):
        brought(journal, state, f"po-{state}")
    shown = [_orders(journal.unsettled(0.0, limit)) for limit in (100, 1)]
    assert [["po-unknown", "po-needs_attention"], ["po-unknown"]] == shown


def test_what_nobody_sweeps_is_shown(journal: Journal) -> None:
    """A sender that died is nobody's but a person's, as long as no sweep has found its order."""
    journal.open(facts("po-dead"), -1.0)
    journal.open(facts("po-alive"), 60.0)
    assert ["po-dead"] == _orders(journal.unsettled(0.0, 100))
    assert () == journal.unsettled(3600.0, 100)


def test_the_young_are_not_shown(journal: Journal) -> None:
    """An order that changed a moment ago is not older than an hour."""
    brought(journal, State.UNKNOWN)
    assert () == journal.unsettled(3600.0, 100)


def test_a_story_is_whole_and_in_order(journal: Journal) -> None:
    """A story has the order's attempts, exchanges, evidence and acts, as they happened."""
    journal.open(facts(), 60.0)
    journal.settle(key(), found(State.NOT_SENT, Source.ANSWER), LATER, [exchange("first")])
    journal.open(facts(), 60.0)
    journal.settle(key(), found(State.UNKNOWN, Source.ANSWER), LATER, [exchange("second")])
    journal.settle(key(), found(State.FAILED, Source.OPERATOR, reason="seen"), LATER, by="ann")
    records, entries = journal.story("po-1")
    told = [(e.what, (e.exchange and e.exchange.problem) or (e.evidence and e.evidence.state), e.by) for e in entries]
    assert [
        ("evidence", "sending", None), ("exchange", "first", None), ("evidence", "not_sent", None),
        ("evidence", "sending", None), ("exchange", "second", None), ("evidence", "unknown", None),
        ("act", "failed", "ann"),
    ] == told  # fmt: skip
    assert (journal.find(key()),) == records
    assert [key()] * 7 == [entry.key for entry in entries]


def test_a_story_is_of_every_order_with_the_name(journal: Journal) -> None:
    """A payment and a payout with one order_id, in any account, are one story; others are not in it."""
    others = [facts(), facts(kind="payment"), facts(account="other", namespace="b"), facts("po-2")]
    for each in others:
        journal.open(each, 60.0)
    records, entries = journal.story("po-1")
    expected = {each.key for each in others[:3]}
    assert (expected, expected, 3) == ({r.facts.key for r in records}, {e.key for e in entries}, len(entries))


def test_an_exchange_is_kept_as_it_is(journal: Journal) -> None:
    """A story has the exchange itself, and in which attempt it was."""
    brought(journal, State.SENDING)
    seen = [exchange("so it was"), exchange("and so")]
    journal.settle(key(), found(State.PENDING, Source.ANSWER), LATER, seen)
    kept = [msgspec.structs.replace(each, attempt=1) for each in seen]
    assert kept == [entry.exchange for entry in journal.story("po-1")[1] if entry.exchange]


def test_a_name_is_a_key() -> None:
    """Facts are named by account, kind and order_id."""
    assert Key("shop", "payout", "po-1") == facts().key


def test_no_repr_shows_a_fingerprint_or_the_rest_of_a_link() -> None:
    """Rule 12: neither facts nor evidence show what must not be logged."""
    shown = f"{facts(fingerprint='deadbeef')!r} {Evidence(source=Source.STATUS, state=State.PENDING, reason='x')!r}"
    assert (False, True) == ("deadbeef" in shown, "po-1" in shown)
