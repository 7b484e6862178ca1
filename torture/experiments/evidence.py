"""Let journals live through an order's life in any order, repeated and late, and compare every step with the rules.

Hypothesis draws the lives: an order is opened, hears evidence and notifications, some of them again
or long after they were drawn, is claimed by sweeps, settled by an operator, submitted again. The
journal in memory and the one in SQLite take each step side by side, and must agree.
"""

import contextlib
import datetime as dt
import itertools
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from payhub import Money
from payhub.driver import Schedule
from payhub.errors import IllegalStep, JournalFailed, OrderConflict
from payhub.journal import Evidence, Facts, Journal, NotificationContent, Record, Source, State
from payhub.journal.memory import MemoryJournal
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.tables import tables
from torture.report import Bench, Finding, Found
from torture.shop import ACCOUNT

_STEPS = 12
"""How many steps a life has at most."""

FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELED, State.DECLINED, State.REVERSED})

_LEGAL: Mapping[tuple[str, str], str] = {
    ("sending", "answer"): "not_sent declined pending succeeded failed canceled unknown needs_attention",
    ("sending", "status query"): "pending succeeded failed canceled reversed needs_attention",
    ("sending", "lease ended"): "unknown",
    ("pending", "answer"): "succeeded failed canceled needs_attention",
    ("pending", "status query"): "succeeded failed canceled reversed needs_attention",
    ("pending", "schedule ended"): "needs_attention",
    ("unknown", "answer"): "not_sent declined pending succeeded failed canceled needs_attention",
    ("unknown", "status query"): "pending succeeded failed canceled reversed needs_attention",
    ("unknown", "schedule ended"): "needs_attention",
    ("unknown", "operator"): "succeeded failed reversed",
    ("needs_attention", "status query"): "pending succeeded failed canceled reversed",
    ("needs_attention", "operator"): "succeeded failed reversed",
    ("succeeded", "status query"): "reversed",
    ("succeeded", "operator"): "failed reversed",
    ("reversed", "operator"): "succeeded failed",
    ("not_sent", "operator"): "succeeded reversed",
    ("declined", "operator"): "succeeded reversed",
    ("failed", "operator"): "succeeded reversed",
    ("canceled", "operator"): "succeeded reversed",
}
"""Where an order may go, by its state and the source of the evidence; written out here, so that a wrong table shows."""

_CONFIRMED: Mapping[str, str] = {"succeeded": "succeeded", "failed": "failed canceled declined not_sent",
                                      "reversed": "reversed"}  # fmt: skip
"""What an operator may say again of which final state, once something has contradicted it."""

_MONEY = ("provider_id", "paid", "credited", "commission")
"""What stands once a final state stands and it is known."""

_AGREED = (
    "state", "provider_status", *_MONEY, "partial", "reason", "mismatches", "contradicted", "attempts", "checks",
    "resolved", "overruled", "notified",
)  # fmt: skip
_TIMES = ("sent_at", "lease_until", "due_at", "quiet_until")

QUICK = Path("/dev/shm")  # noqa: S108 - no process dies here, so nothing has to be durable

_AT_ONCE = Schedule(first=0.0, growth=1.0, longest=0.0)
"""Ask again at once: whether an order is due must not depend on which journal was slower."""

_NOW, _LATER = 0.0, 60.0
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _rubles(*amounts: str) -> st.SearchStrategy[Money | None]:
    return st.sampled_from([None, *(Money(amount, "RUB") for amount in amounts)])


_ASKED = Money("100.00", "RUB")
_IDS = ("1", "2")
_PAID = _rubles("100.00", "60.00", "100.01")
_SOURCES = (Source.ANSWER, Source.STATUS, Source.STATUS, Source.LEASE, Source.SCHEDULE)
_HEARD = sorted(set(State) - {State.SENDING})

_FOUND = st.builds(
    Evidence,
    source=st.sampled_from(_SOURCES),
    state=st.sampled_from(_HEARD),
    provider_id=st.sampled_from([None, *_IDS]),
    provider_status=st.sampled_from([None, "paid", "wait"]),
    paid=_PAID,
    credited=_rubles("98.00", "58.00"),
    commission=_rubles("2.00", "0.00"),
    partial=st.sampled_from([None, True, False]),
    reason=st.sampled_from([None, "because"]),
    mismatches=st.sampled_from([(), (), (), ("requested",), ("paid",), ("provider_id",)]),
)
_ACTS = st.builds(
    Evidence, source=st.just(Source.OPERATOR), state=st.sampled_from(_HEARD), reason=st.just("the chat said so")
)
_SAYING = st.fixed_dictionaries(
    {
        "state": st.sampled_from([State.PENDING, State.SUCCEEDED, State.FAILED, State.CANCELED]),
        "provider_id": st.sampled_from(_IDS),
        "paid": _PAID,
    }
)
_PAUSE = st.sampled_from([_NOW, _LATER])


class Life(RuleBasedStateMachine):
    """One order's life in two journals; every step is compared with the rules, and the two with each other."""

    drawn: Bundle[Evidence] = Bundle("drawn")

    def __init__(self, sql: SqlJournal, number: int) -> None:
        """Begin with an order that neither journal knows."""
        super().__init__()
        self._facts = _facts(f"e-{number}")
        self._journals: tuple[Journal, ...] = (MemoryJournal(), sql)
        self._sql = sql
        self._records: list[Record | None] = [None, None]
        self._said: list[str] = []
        self._heard_of = False
        self._heard: list[Evidence] = []

    @initialize(first=st.one_of(st.none(), st.none(), _SAYING), lease=_PAUSE)
    def begin(self, first: dict[str, Any] | None, lease: float) -> None:
        """Submit the order; one that was notified before is not the caller's to send."""
        if first is not None:
            self.notice(first, _LATER, _NOW, anew=False)
            self._heard_of = True
        self.submit(lease, other=False)
        self._heard_of = False

    @rule(lease=_PAUSE, other=st.sampled_from([False, False, True]))
    def submit(self, lease: float, *, other: bool) -> None:
        """Submit the same order, or another one under its id."""
        facts = _facts(self._facts.order_id, other=other)

        def submitted(journal: Journal, before: Record | None) -> str:
            may = not self._heard_of and (before is None or _again(before))
            try:
                opened = journal.open(facts, lease)
            except OrderConflict:
                _claim(other and before is not None, "the same order was taken for another one")
                return "conflict"
            _claim(not other, "another order was taken for the same one")
            _claim(opened.yours is may, f"given for sending: {opened.yours}, in state {before and before.state}")
            attempts = (before.attempts if before else 0) + opened.yours
            _claim(opened.record.attempts == attempts, f"attempt {opened.record.attempts}, not {attempts}")
            return f"yours: {opened.yours}"

        self._step(submitted, moves=not other)

    @rule(target=drawn, found=_FOUND)
    def draw(self, found: Evidence) -> Evidence:
        """Draw evidence that comes later, or never."""
        return found

    @rule(target=drawn, found=_FOUND)
    def hear(self, found: Evidence) -> Evidence:
        """Hear evidence as soon as it is drawn."""
        self._settle(found)
        return found

    @rule(target=drawn, found=_FOUND, which=st.integers(0, 99))
    def hear_what_fits(self, found: Evidence, which: int) -> Evidence:
        """Hear evidence for a step that is legal now, or for the state as it is."""
        now = _known(self._records[0]).state
        ways = [(who, there) for (here, who), words in _LEGAL.items() if here == now for there in words.split()]
        ways = [way for way in ways if way[0] != Source.OPERATOR]
        if now is not State.SENDING:
            ways += [(Source.ANSWER, now), (Source.STATUS, now)]
        source, state = ways[which % len(ways)]
        found = msgspec.structs.replace(found, source=Source(source), state=State(state))
        self._settle(found)
        return found

    @rule(found=drawn)
    def hear_late(self, found: Evidence) -> None:
        """Hear evidence that was drawn some time ago, and may have been heard before."""
        self._settle(found)

    @rule(found=_ACTS)
    def act(self, found: Evidence) -> None:
        """Let an operator decide."""
        self._settle(found)

    def _settle(self, found: Evidence) -> None:
        operator = found.source is Source.OPERATOR

        def settled(journal: Journal, before: Record | None) -> str:
            known = _known(before)
            try:
                after = journal.settle(known.facts.key, found, _AT_ONCE, by="me" if operator else None)
            except IllegalStep:
                _claim(
                    operator and not _may(known, found), f"refused: {found.source} says {found.state} of {known.state}"
                )
                return "refused"
            _check(known, after, found, self._heard)
            may = _may(known, found) or not operator
            _claim(may, f"an operator was not refused: {found.state} of {known.state}")
            return "settled"

        self._step(settled, confirms=operator)
        self._heard.append(found)

    @rule(saying=_SAYING, window=_PAUSE, lease=_PAUSE, anew=st.booleans())
    def notice(self, saying: dict[str, Any], window: float, lease: float, *, anew: bool) -> None:
        """Receive a notification; what says the same is the same message."""
        facts, words = self._facts, "-".join(map(str, saying.values()))
        notice = NotificationContent(
            account=facts.account,
            provider=facts.provider,
            kind=facts.kind,
            order_id=facts.order_id,
            provider_status="any",
            digest=f"{facts.order_id} {words}",
            **saying,
        )

        def noticed(journal: Journal, before: Record | None) -> str:
            times, record, ask = journal.keep_notification(notice, window, lease, anew=anew)
            _claim((record is None) is (before is None), "a notification made an order, or lost one")
            return f"{times} times, ask: {ask}; {self._noted(journal)}"

        self._step(noticed, moves=False)

    @precondition(lambda self: _known(self._records[0]).notified)
    @rule(late=st.booleans())
    def judge_notifications(self, *, late: bool) -> None:
        """Give the notifications their verdicts, or find that all came after the question."""
        asked_at = _EPOCH if late else dt.datetime.now(dt.UTC)

        def weighed(journal: Journal, _before: Record | None) -> str:
            journal.judge_notifications(self._facts.key, asked_at)
            return self._noted(journal)

        self._step(weighed, moves=False)

    @rule(lease=_PAUSE)
    def claim(self, lease: float) -> None:
        """Take the order if it is due, as a sweep does; another sweep does not get it before the lease ends."""

        def claimed(journal: Journal, before: Record | None) -> str:
            taken = [*journal.claim(5, lease)]
            _claim(taken in ([], [self._facts.key]), f"taken: {taken}")
            _claim(not taken or _known(before).due_at is not None, "an order was taken that is not due")
            again = journal.claim(5, lease) if lease else ()
            _claim(not again, "an order was taken twice within its lease")
            return f"taken: {bool(taken)}"

        self._step(claimed, moves=False)

    @invariant()
    def agree(self) -> None:
        """Memory and SQLite say the same of what was done, and have the same afterwards."""
        memory, sqlite = self._said or ("", "")
        _claim(memory == sqlite, f"memory: {memory}; SQLite: {sqlite}")

    def _step(self, do: Callable[[Journal, Record | None], str], *, moves: bool = True, confirms: bool = False) -> None:
        """Take a step on each journal, check what must be true after any, and note what both must agree on."""
        said = []
        for place, journal in enumerate(self._journals):
            before = self._records[place]
            name = type(journal).__name__
            try:
                words = do(journal, before)
            except JournalFailed as cause:
                raise AssertionError(f"{name} failed: {cause}") from cause
            after = self._records[place] = journal.find(self._facts.key)
            _claim(before is None or after is not None, f"{name} lost the order")
            if before is not None and after is not None:
                _lasting(before, after, moves=moves, confirms=confirms)
            said.append(f"{words}; {_agreed(after)}")
        self._said = said

    def _noted(self, journal: Journal) -> str:
        notices = journal.notifications(100, order_id=self._facts.order_id)
        return ", ".join(f"{stored.times} {stored.verdict}" for stored in notices)

    def teardown(self) -> None:
        """Let no sweep of the next life find this order."""
        orders = tables("payhub_").orders
        mine = orders.c.order_id == self._facts.order_id
        with self._sql.database.engine.begin() as connection:
            connection.execute(orders.update().where(mine).values(due_at=None))


def _claim(holds: bool, words: str) -> None:  # noqa: FBT001 - a claim, and what its breach is called
    if not holds:
        raise AssertionError(words)


def _known(record: Record | None) -> Record:
    if record is None:
        raise AssertionError("the order was submitted, and is not there")
    return record


def _again(before: Record) -> bool:
    """Tell whether an order may be sent again: it never was, and nothing says otherwise."""
    return before.state is State.NOT_SENT and not (before.notified or before.contradicted or before.resolved)


def _may(before: Record, found: Evidence) -> bool:
    """Tell whether evidence may lead to the state it is for; an operator may also say again what was contradicted."""
    legal = found.state in _LEGAL.get((before.state, found.source), "").split()
    again = before.state in _CONFIRMED.get(found.state, "").split()
    return legal or (found.source is Source.OPERATOR and before.contradicted and again)


def _check(before: Record, after: Record, found: Evidence, heard: Collection[Evidence]) -> None:
    """Check one piece of evidence: a legal step is taken and no other; what denies what is known is flagged.

    `heard` is what was heard before: a person who decides has seen it.
    """
    legal = found.state in _LEGAL.get((before.state, found.source), "").split()
    same = found.state is before.state
    denied = [name for name in _MONEY if name not in found.mismatches and _differ(before, found, name)]
    elsewhere = before.provider_id is not None and "provider_id" in found.mismatches  # it is about another order
    denied += ["provider_id"] if elsewhere else []
    contrary = elsewhere or (legal and "provider_id" in denied) or (same and bool(denied) and before.state in FINAL)
    contrary = contrary and found.source is not Source.OPERATOR
    expected = found.state if legal and not contrary else before.state
    regressed = before.state in FINAL and after.state not in {before.state, expected}
    _claim(not regressed, f"final state {before.state} regressed to {after.state} by {found.source}")
    _claim(after.state in {before.state, expected}, f"illegal step {before.state} > {after.state} by {found.source}")
    _claim(after.state is expected, f"legal step not taken: {before.state} > {found.state} by {found.source}")
    if contrary:
        taken = [name for name in _MONEY if getattr(after, name) != getattr(before, name)]
        _claim(not taken, f"{', '.join(taken)} taken over from what denies {', '.join(denied)} of {before.state}")
        seen = before.overruled and found in heard  # by the person who has decided since
        _claim(after.contradicted or seen, f"another {', '.join(denied)} of what is {before.state} is not flagged")


def _lasting(before: Record, after: Record, *, moves: bool, confirms: bool) -> None:
    """Check what no step may do, whatever it is; only a person takes a flag away."""
    _claim(moves or before.state is after.state, f"{before.state} became {after.state}, without any evidence")
    _claim(confirms or after.contradicted or not before.contradicted, "a flag was taken away")
    if before.state in FINAL and after.state is before.state:
        for name in _MONEY:
            old, new = getattr(before, name), getattr(after, name)
            _claim(old in (None, new), f"{name} of what is {before.state} changed from {old} to {new}")


def _differ(before: Record, found: Evidence, name: str) -> bool:
    old, new = getattr(before, name), getattr(found, name)
    return None not in (old, new) and old != new


def _agreed(record: Record | None) -> str:
    if record is None:
        return "no order"
    known = {name: getattr(record, name) for name in _AGREED}
    return f"{known}, times: {[name for name in _TIMES if getattr(record, name) is not None]}"


def _facts(order_id: str, *, other: bool = False) -> Facts:
    return Facts(
        account=ACCOUNT,
        provider="any",
        kind="payout",
        order_id=order_id,
        amount=_ASKED,
        method="card",
        fingerprint="other" if other else "one",
    )


def any_order(bench: Bench) -> Found:
    """Play `trials` random sequences."""
    failures, played = play_sequences(bench)
    fault = "evidence in any order, repeated and late; memory and SQLite"
    return Found([Finding(fault=fault, trials=played, failures=tuple(failures))])


def play_sequences(bench: Bench, *, shrink: bool = True) -> tuple[list[str], int]:
    """Play sequences until one breaks a claim, and return what broke and how many were played.

    To shrink is to look for a shorter sequence that breaks a claim, for people to read.
    """
    with _journal() as sql:
        return play(bench, lambda number: Life(sql, number), steps=_STEPS, shrink=shrink)


def play(
    bench: Bench, machine: Callable[[int], RuleBasedStateMachine], *, steps: int, shrink: bool
) -> tuple[list[str], int]:
    """Play `trials` sequences of a machine, each made with its number; return what broke and how many were played."""
    played = itertools.count(1)
    phases = (hypothesis.Phase.generate, hypothesis.Phase.shrink)
    settings = hypothesis.settings(
        max_examples=bench.trials,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=phases if shrink else phases[:1],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    failures = []

    @hypothesis.seed(bench.seed)
    def made() -> RuleBasedStateMachine:
        return machine(next(played))

    factory: Any = made  # any will do, whatever the annotation says
    try:
        run_state_machine_as_test(factory, settings=settings)
    except Exception as cause:  # noqa: BLE001 - a claim that does not hold, or anything else that is raised
        notes = "; ".join(getattr(cause, "__notes__", ()))
        failures = [f"{type(cause).__name__}: {cause}; {notes}"]
    count = next(played) - 1
    if not failures and count < bench.trials:
        failures = [f"only {count} of {bench.trials} sequences were played"]
    return failures, count


@contextlib.contextmanager
def _journal() -> Iterator[SqlJournal]:
    directory = Path(tempfile.mkdtemp(dir=QUICK if QUICK.is_dir() else None))
    sql = SqlJournal(f"sqlite:///{directory}/payhub.db")
    try:
        yield sql
    finally:
        sql.close()
        shutil.rmtree(directory)
