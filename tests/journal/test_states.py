import datetime as dt
import importlib
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from payhub import Money, Payout, Status
from payhub.journal import Evidence, Record, Source, State
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.tables import tables
from payhub.journal.states import EDGES, NOTHING_MOVED, allowed, contradicts_state, evidence_of, state_of, status_of

from .making import PREFIX, facts

STEPS_OF_0001: Any = importlib.import_module("payhub.journal.sql.migrations.versions.0001_orders")._STEPS

# The state machine a second time, in words. A change of it needs a migration, too: the
# triggers of databases that are already in use know the old steps.
STEPS = """
not_sent > sending: plan
not_sent > succeeded: operator
not_sent > reversed: operator
sending > not_sent: answer
sending > declined: answer
sending > pending: answer, status query
sending > succeeded: answer, status query
sending > failed: answer, status query
sending > canceled: answer, status query
sending > unknown: answer, lease ended
sending > reversed: status query
sending > needs_attention: answer, status query
pending > succeeded: answer, status query
pending > failed: answer, status query
pending > canceled: answer, status query
pending > reversed: status query
pending > needs_attention: answer, status query, schedule ended
unknown > not_sent: answer
unknown > declined: answer
unknown > pending: answer, status query
unknown > succeeded: answer, status query, operator
unknown > failed: answer, status query, operator
unknown > canceled: answer, status query
unknown > reversed: status query, operator
unknown > needs_attention: answer, status query, schedule ended
needs_attention > pending: status query
needs_attention > succeeded: status query, operator
needs_attention > failed: status query, operator
needs_attention > canceled: status query
needs_attention > reversed: status query, operator
succeeded > failed: operator
succeeded > reversed: status query, operator
failed > succeeded: operator
failed > reversed: operator
canceled > succeeded: operator
canceled > reversed: operator
declined > succeeded: operator
declined > reversed: operator
reversed > succeeded: operator
reversed > failed: operator
"""


def _read(steps: str) -> Iterator[tuple[tuple[State, State], set[Source]]]:
    for line in steps.strip().splitlines():
        step, _, sources = line.partition(": ")
        now, _, then = step.partition(" > ")
        yield (State(now), State(then)), {Source(source) for source in sources.split(", ")}


LEGAL = dict(_read(STEPS))
PAIRS = [(now, then) for now in State for then in State]


def test_the_table_of_steps_is_total() -> None:
    """Every state has its line in the table, and every line leads to states."""
    assert (set(State), set()) == (set(EDGES), {then for steps in EDGES.values() for then in steps} - set(State))


@pytest.mark.parametrize(("now", "then"), PAIRS)
def test_every_step_is_legal_or_refused(now: State, then: State) -> None:
    """A step is allowed by the evidence that the table names, and by no other."""
    sources = {source for source in Source if allowed(now, Evidence(source=source, state=then))}
    assert LEGAL.get((now, then), set()) == sources


def test_every_state_can_be_reached() -> None:
    """From `sending`, where an order begins, there is a way to every state."""
    assert list(State) == [_way(state)[-1] for state in State]


def test_rule_6_time_never_makes_unknown_a_failure() -> None:
    """Rule 6: neither a lease nor a schedule that ended leads to `failed`, `canceled`, `declined` or `not_sent`."""
    over = {State.FAILED, State.CANCELED, State.DECLINED, State.NOT_SENT}
    assert set() == {step for step, by in LEGAL.items() if by & {Source.LEASE, Source.SCHEDULE} and step[1] in over}


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELED, State.DECLINED, State.REVERSED})


def test_rule_8_a_final_state_has_no_way_out_but_reversed() -> None:
    """Rule 8: by itself only a success changes, to `reversed`, and by the provider's own answer to a question."""
    steps = {step: by - {Source.OPERATOR} for step, by in LEGAL.items() if step[0] in FINAL}
    assert {(State.SUCCEEDED, State.REVERSED): {Source.STATUS}} == {step: by for step, by in steps.items() if by}


def test_rule_8_a_person_corrects_an_end_both_ways() -> None:
    """Rule 8: an operator may say of every end that money moved, or came back, and of a success that none did."""
    by_person = {step for step, by in LEGAL.items() if Source.OPERATOR in by and step[0] in FINAL | {State.NOT_SENT}}
    nothing_moved = {(now, then) for now in NOTHING_MOVED for then in (State.SUCCEEDED, State.REVERSED)}
    moved = {(State.SUCCEEDED, State.FAILED), (State.SUCCEEDED, State.REVERSED)}
    assert nothing_moved | moved | {(State.REVERSED, State.SUCCEEDED), (State.REVERSED, State.FAILED)} == by_person


def test_the_triggers_know_every_step() -> None:
    """The table of the first migration, which the triggers of both databases are made of, has the same steps."""
    words = {f"{now}>{then}" for now, steps in STEPS_OF_0001.items() for then in steps}
    assert {f"{now}>{then}" for now, then in LEGAL} == words


def test_only_what_was_not_sent_may_be_sent() -> None:
    """`not_sent` leads to `sending`, and nothing else does."""
    assert {State.NOT_SENT} == {now for now, then in LEGAL if then is State.SENDING}


@pytest.mark.parametrize(
    ("now", "found", "source", "expected"),
    [
        (State.SUCCEEDED, State.FAILED, Source.STATUS, True),
        (State.SUCCEEDED, State.PENDING, Source.STATUS, True),
        (State.SUCCEEDED, State.NOT_SENT, Source.ANSWER, True),
        (State.PENDING, State.DECLINED, Source.ANSWER, True),
        (State.NOT_SENT, State.SUCCEEDED, Source.STATUS, True),
        (State.DECLINED, State.PENDING, Source.STATUS, True),
        (State.FAILED, State.NEEDS_ATTENTION, Source.STATUS, True),
        (State.PENDING, State.UNKNOWN, Source.STATUS, False),
        (State.SUCCEEDED, State.UNKNOWN, Source.ANSWER, False),
        (State.NEEDS_ATTENTION, State.UNKNOWN, Source.STATUS, False),
        (State.NEEDS_ATTENTION, State.NOT_SENT, Source.ANSWER, False),
        (State.NEEDS_ATTENTION, State.SUCCEEDED, Source.ANSWER, False),
        (State.SUCCEEDED, State.NEEDS_ATTENTION, Source.SCHEDULE, False),
        (State.FAILED, State.CANCELED, Source.STATUS, False),
        (State.SUCCEEDED, State.PENDING, Source.ANSWER, False),
        (State.REVERSED, State.PENDING, Source.ANSWER, False),
        (State.DECLINED, State.PENDING, Source.ANSWER, True),
        (State.SUCCEEDED, State.SUCCEEDED, Source.STATUS, False),
    ],
)
def test_what_contradicts(now: State, found: State, source: Source, expected: bool) -> None:
    """What says that the state is wrong contradicts; what says nothing, or is the create's late answer, does not."""
    assert expected is contradicts_state(now, Evidence(source=source, state=found))


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_status(state: State) -> None:
    """Every state has a status for the application, and only a final state has a final one."""
    assert (state in FINAL) is status_of(state).final


@pytest.mark.parametrize("status", Status)
def test_every_status_has_a_state(status: Status) -> None:
    """A result of any status is evidence for the state that has this status."""
    assert status is status_of(state_of(Payout(status=status)))


@pytest.mark.parametrize("status", Status)
def test_rule_10_a_mismatch_needs_attention(status: Status) -> None:
    """Rule 10: a result that contradicts the order is evidence for `needs_attention`, whatever its status."""
    assert State.NEEDS_ATTENTION is state_of(Payout(status=status, mismatches=("paid",)))


def test_evidence_says_what_the_result_says() -> None:
    """Every value of a result that the journal knows is in the evidence."""
    paid = Money("5", "RUB")
    said: dict[str, object] = {"provider_id": "7", "provider_status": "done", "paid": paid, "credited": paid,
                               "commission": paid, "partial": True, "reason": "so"}  # fmt: skip
    expected = Evidence(source=Source.STATUS, state=State.SUCCEEDED, **said)  # type: ignore[arg-type]
    assert expected == evidence_of(Payout(status=Status.SUCCEEDED, order_id="x", **said), Source.STATUS)  # type: ignore[arg-type]


def test_evidence_holds_only_what_can_be_kept() -> None:
    """Card numbers in words are truncated, NUL is replaced, an id longer than any is dropped."""
    said = Evidence(source=Source.STATUS, state=State.PENDING, provider_id="7" * 256, redirect_url="https://x/\0",
                    provider_status="ok 4111 1111 1111 1111", reason="no\0 4111111111111111")  # fmt: skip
    assert (None, "https://x/\ufffd", "ok 4111 11** **** 1111", "no\ufffd 411111******1111") == (
        said.provider_id, said.redirect_url, said.provider_status, said.reason
    )  # fmt: skip


# How an application knows a state


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("notified", [False, True])
@pytest.mark.parametrize("contradicted", [False, True])
def test_every_state_has_its_status_whatever_is_said(state: State, notified: bool, contradicted: bool) -> None:
    """Only of an order of which no money should have moved, doubts change the status, and then nobody knows."""
    now = dt.datetime.now(dt.UTC)
    known = {"facts": facts(), "created_at": now, "updated_at": now}
    record = Record(state=state, notified=notified, contradicted=contradicted, **known)  # type: ignore[arg-type]
    doubted = contradicted and state in NOTHING_MOVED
    doubted |= notified and state in {State.NOT_SENT, State.DECLINED}
    assert (doubted, Status.UNKNOWN if doubted else status_of(state)) == (record.in_doubt, record.status)


# The database's own refusal


def _way(then: State) -> list[State]:
    """Return the states on the shortest way to a state."""
    ways = deque([[State.SENDING]])
    while ways[0][-1] is not then:  # there is an error where there is no way
        way = ways.popleft()
        ways += [[*way, after] for now, after in LEGAL if now is way[-1] and after not in way]
    return ways[0]


ORDERS = tables(PREFIX).orders


def _insert(connection: sa.Connection, number: int, state: str = "sending") -> None:
    words = {"account": "shop", "provider": "fake", "kind": "payout", "order_id": f"po-{number}", "method": "card"}
    money = {"amount": "1", "currency": "RUB", "fingerprint": "f"}
    counts = {"contradicted": False, "notified": False, "attempts": 0, "checks": 0, "created_at": 0, "updated_at": 0}
    connection.execute(sa.insert(ORDERS).values(id=number, state=state, **words, **money, **counts))


def _move(connection: sa.Connection, number: int, state: str) -> None:
    connection.execute(sa.update(ORDERS).where(ORDERS.c.id == number).values(state=state))


def _taken(connection: sa.Connection, number: int, now: State, then: State) -> bool:
    """Bring a row to a state by legal steps, and tell whether the database then takes another one."""
    _insert(connection, number)
    for state in _way(now)[1:]:
        _move(connection, number, state)
    try:
        with connection.begin_nested():
            _move(connection, number, then)
    except sa.exc.DBAPIError as refusal:
        if "payhub: illegal step of an order" in str(refusal.orig):
            return False
        raise
    return True


def test_the_database_refuses_illegal_steps(kept: SqlJournal) -> None:
    """A trigger takes every legal step of any program, and refuses every other one."""
    with kept.database.engine.begin() as connection:
        taken = {pair for n, pair in enumerate(PAIRS) if _taken(connection, n + 1, *pair)}
    assert set(LEGAL) | {(state, state) for state in State} == taken


def test_the_database_refuses_an_order_that_does_not_begin_as_sending(kept: SqlJournal) -> None:
    """A row whose first state is another one is refused."""
    with kept.database.engine.begin() as connection:
        for state in set(State) - {State.SENDING}:
            with pytest.raises(sa.exc.DBAPIError, match="an order begins as sending"), connection.begin_nested():
                _insert(connection, 1, state)


def test_the_database_refuses_to_forget_an_order(kept: SqlJournal) -> None:
    """A row cannot be deleted."""
    with kept.database.engine.connect() as connection:
        _insert(connection, 1)
        with pytest.raises(sa.exc.DBAPIError, match="an order is never deleted"):
            connection.execute(sa.delete(ORDERS))


@pytest.mark.parametrize("word", ["paid", "", "NEW", "authorized"])
def test_the_database_refuses_an_unknown_state(kept: SqlJournal, word: str) -> None:
    """A state that the machine does not have is refused, from whatever state, also as the first one."""
    with kept.database.engine.begin() as connection:
        _insert(connection, 1)
        for state in _way(State.REVERSED)[1:]:
            with pytest.raises(sa.exc.DBAPIError, match="illegal step of an order"), connection.begin_nested():
                _move(connection, 1, word)
            _move(connection, 1, state)
        with pytest.raises(sa.exc.DBAPIError, match="an order begins as sending"), connection.begin_nested():
            _insert(connection, 2, word)
