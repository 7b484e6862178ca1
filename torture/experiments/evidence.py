"""Give journals evidence in any order, repeated and late, and compare every step with the state machine.

The same sequence goes to the journal in memory and to the one in SQLite: they must agree.
"""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import hypothesis
import msgspec
from hypothesis import strategies as st

from payhub import Money
from payhub.driver import Schedule
from payhub.errors import OrderConflict
from payhub.journal import Evidence, Facts, IllegalStep, Journal, JournalFailed, Record, Source, State
from payhub.journal.memory import MemoryJournal
from payhub.journal.sql import SqlJournal
from payhub.journal.states import EDGES
from torture.report import Bench, Finding, Found
from torture.shop import ACCOUNT

_FINAL = {
    State.SUCCEEDED: frozenset({State.REVERSED}),
    State.FAILED: frozenset[State](),
    State.CANCELED: frozenset[State](),
    State.DECLINED: frozenset[State](),
    State.REVERSED: frozenset[State](),
}
"""Where a final state may still go: said here once more, so that a wrong table is noticed too."""

_QUICK = Path("/dev/shm")  # noqa: S108 - no process dies here, so nothing has to be durable

_SCHEDULE = Schedule(first=0.001, growth=1.0, longest=0.001)
_AMOUNT = Money("100.00", "RUB")


class Open(msgspec.Struct, frozen=True):
    """Submit the order, or another one under its id."""

    other: bool


class Say(msgspec.Struct, frozen=True):
    """Give evidence; the same one may be given again and later."""

    found: Evidence


Step = Open | Say

_SAID = st.builds(
    Evidence,
    source=st.sampled_from(sorted(set(Source) - {Source.PLAN})),
    state=st.sampled_from(sorted(set(State) - {State.NEW, State.SENDING})),
    provider_id=st.sampled_from([None, "1", "2"]),
    paid=st.sampled_from([None, _AMOUNT]),
    reason=st.sampled_from([None, "because"]),
    mismatches=st.sampled_from([(), ("amount",)]),
)


@st.composite
def sequences(draw: st.DrawFn) -> Sequence[Step]:
    """Draw an order's life: it is opened first, then hears things, some of them again, out of order."""
    heard = draw(st.lists(_SAID, min_size=1, max_size=6))
    again = draw(st.lists(st.sampled_from(heard), max_size=3))
    opened = draw(st.lists(st.booleans(), max_size=2))
    later: list[Step] = [Say(found) for found in heard + again]
    later += [Open(other) for other in opened]
    return [Open(other=False), *draw(st.permutations(later))]


def any_order(bench: Bench) -> Found:
    """Play `trials` random sequences."""
    failures, played = played_sequences(bench)
    fault = "evidence in any order, repeated and late; memory and SQLite"
    return Found([Finding(fault=fault, trials=played, failures=tuple(failures))])


def played_sequences(bench: Bench) -> tuple[list[str], int]:
    """Play sequences until one breaks a claim, and return what broke and how many were played."""
    directory = Path(tempfile.mkdtemp(dir=_QUICK if _QUICK.is_dir() else None))
    sql = SqlJournal(f"sqlite:///{directory}/payhub.db")
    played = 0

    @hypothesis.seed(bench.seed)
    @hypothesis.settings(
        max_examples=bench.trials,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(sequences())
    def play(steps: Sequence[Step]) -> None:
        nonlocal played
        played += 1
        memory = MemoryJournal()
        facts = _facts(f"e-{played}")
        known: dict[Journal, Record | None] = {memory: None, sql: None}
        for step in steps:
            said = []
            for journal, before in known.items():
                words, known[journal] = _taken(journal, facts, step, before)
                said.append(words)
            if said[0] != said[1]:
                raise AssertionError(f"memory: {said[0]}; SQLite: {said[1]}; after {steps}")

    try:
        play()
    except Exception as cause:  # noqa: BLE001 - a claim that does not hold, or anything else that is raised
        return [f"{type(cause).__name__}: {cause}"], played
    finally:
        sql.close()
        shutil.rmtree(directory)
    return [], played


def _facts(order_id: str, *, other: bool = False) -> Facts:
    return Facts(
        account=ACCOUNT,
        provider="any",
        kind="payout",
        order_id=order_id,
        amount=_AMOUNT,
        method="card",
        fingerprint="other" if other else "one",
    )


def _taken(journal: Journal, facts: Facts, step: Step, before: Record | None) -> tuple[str, Record]:
    """Take one step on one journal; check it, and return what both journals must agree on, and the record."""
    try:
        if isinstance(step, Open):
            opened = journal.open(_facts(facts.order_id, other=step.other), 30.0)
            said = f"yours: {opened.yours}"
            _check_open(before, opened.yours)
        else:
            by = "me" if step.found.source is Source.OPERATOR else None
            journal.settle(facts.key, step.found, _SCHEDULE, by=by)
            said = "settled"
    except (OrderConflict, IllegalStep) as refusal:
        said = type(refusal).__name__
    except JournalFailed as cause:
        raise AssertionError(f"{type(journal).__name__} failed: {cause}; after {step} on {before}") from cause
    after = journal.find(facts.key)
    if after is None:
        raise AssertionError(f"{type(journal).__name__} lost the order")
    if isinstance(step, Say):
        _check_step(before, after, step.found)
    return f"{said}; {_agreed(after)}", after


def _check_open(before: Record | None, yours: bool) -> None:  # noqa: FBT001
    may = before is None or (before.state in {State.NEW, State.NOT_SENT} and not before.contradicted)
    if yours != may:
        raise AssertionError(f"given for sending: {yours}, in state {before and before.state}")


def _check_step(before: Record | None, after: Record, found: Evidence) -> None:
    if before is None or before.state is after.state:
        return
    if found.source not in EDGES[before.state].get(after.state, frozenset()):
        raise AssertionError(f"illegal step {before.state} > {after.state} by {found.source}")
    if after.state not in _FINAL.get(before.state, frozenset(State)):
        raise AssertionError(f"final state {before.state} regressed to {after.state}")


def _agreed(record: Record) -> str:
    same = ("state", "provider_id", "paid", "reason", "mismatches", "contradicted", "attempts", "checks")
    told = {name: getattr(record, name) for name in same}
    return f"{told}, due: {record.due_at is not None}, leased: {record.lease_until is not None}"
