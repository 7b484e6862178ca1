"""Take the journal's storage away at each statement of a create, and judge what the caller got.

A clean run lists the statements: all before the request is sent, and all after the answer. Each
trial is a process of its own, which meets one fault just before one of them. `disks` and `servers`
hold the faults.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from payhub import Hub, JournalFailed, hookimpl
from payhub.journal import Key
from payhub.journal.sql import SqlJournal
from torture.claims import find_broken_claims, finish
from torture.processes import call
from torture.report import Finding
from torture.shop import ACCOUNT, LOG, Shop, order

COMMIT = "COMMIT"

Fault = Callable[[], None]
"""Take the storage away, in the process that is using it."""


class _Sent:
    """An observer that notices that the provider has answered."""

    answered = False

    @hookimpl
    def payhub_event(self, event: object) -> None:  # noqa: ARG002 - the hook's argument
        self.answered = True


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A statement of a create: its number, its first words, and whether it comes before the request."""

    number: int
    words: str
    before: bool

    def __str__(self) -> str:
        """Write it as people read it."""
        return f"{self.number} {self.words} ({'before' if self.before else 'after'} the request)"


START = Place(number=0, words="the start", before=True)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one create under one fault."""

    order_id: str
    place: Place
    met: bool
    raised: str | None
    status: str | None
    critical: int


def open_hub(shop: Shop) -> tuple[Hub, list[Place]]:
    """Open a hub, and list the statements of a create in a process of its own; its order is `clean`.

    An order before it, `first`, has begun the journal: that takes statements which no other order needs.
    """
    sent = _Sent()
    hub = shop.hub(sent)

    def begin() -> str:
        with shop.hub() as beginning:
            return str(beginning.create_payout(ACCOUNT, order("first")).status)

    def run() -> list[Place]:
        found: list[Place] = []
        with hub:
            hub.journal.find(Key(ACCOUNT, "payout", "unknown"))  # the tables are made, if there are none
            _meet(hub, lambda number, words: found.append(Place(number=number, words=words, before=not sent.answered)))
            hub.create_payout(ACCOUNT, order("clean"))
        return found

    call(begin, str)
    return hub, call(run, list[Place])


def database(hub: Hub) -> sa.Engine:
    """Return the engine of a hub's journal."""
    if not isinstance(hub.journal, SqlJournal):
        raise TypeError("these experiments are about journals in a database")
    return hub.journal.database.engine


def _meet(hub: Hub, meeting: Callable[[int, str], None]) -> None:
    """Report the number and the words of every statement just before it is run."""
    engine: Any = database(hub)
    count, borrowed = iter(range(1, 1000)), engine.raw_connection

    def asked(words: str) -> None:
        meeting(next(count), " ".join(words.split()[:3]).rstrip("( "))

    engine.raw_connection = lambda: _Watched(borrowed(), asked)
    hub.journal.close()  # what was borrowed before is not watched


class _Watched:
    """A connection or a cursor of the database's driver that reports each statement before it runs it."""

    def __init__(self, real: Any, asked: Callable[[str], None]) -> None:
        self._real = real
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def cursor(self) -> "_Watched":
        return _Watched(self._real.cursor(), self._asked)

    def execute(self, words: str, *parameters: object) -> None:
        self._asked(words)
        self._real.execute(words, *parameters)

    def commit(self) -> None:
        self._asked(COMMIT)
        self._real.commit()


def try_create(hub: Hub, order_id: str, place: Place, fault: Fault) -> Outcome:
    """Create a payout, and meet the fault just before a statement; for a process of its own."""
    met = place is START
    if met:
        fault()
    else:
        hub.journal.find(Key(ACCOUNT, "payout", "unknown"))

    def meeting(number: int, _words: str) -> None:
        nonlocal met
        if number == place.number:
            met = True
            fault()

    _meet(hub, meeting)
    raised = status = None
    LOG.critical.clear()
    try:
        status = str(hub.create_payout(ACCOUNT, order(order_id)).status)
    except Exception as cause:  # noqa: BLE001 - whatever is raised is judged by its name
        raised = f"{type(cause).__name__}: {cause}"
    return Outcome(order_id=order_id, place=place, met=met, raised=raised, status=status, critical=len(LOG.critical))


def _wrong(outcome: Outcome, received: int) -> Iterator[str]:
    """Judge one create: before the request, `JournalFailed` or no harm; after it, a result in any case."""
    what = f"{outcome.order_id}: at {outcome.place}"
    if not outcome.met:
        yield f"{what}: the fault was not met"
    if outcome.raised is None and received != 1:
        yield f"{what}: returned {outcome.status}, and {received} were sent"
    if outcome.raised is not None and received:
        yield f"{what}: raised {outcome.raised}, although it was sent"
    if outcome.raised is not None and not outcome.raised.startswith(JournalFailed.__name__):
        yield f"{what}: raised {outcome.raised}, not JournalFailed"
    if outcome.raised is not None and not outcome.place.before:
        yield f"{what}: no result, although the fault came after the answer"
    if outcome.place.before and outcome.critical:
        yield f"{what}: was sent, although the storage was gone before"


def judge_outcomes(shop: Shop, hub: Hub, outcomes: Sequence[Outcome], *, clean: bool, alone: bool = True) -> list[str]:
    """Judge every outcome, then repair nothing more: sweep, submit again, and check all claims.

    Unless the creates were `alone`, another process submitted the same orders, and may have sent them.
    """
    received = shop.judge.verdict().received
    rows = shop.rows()
    problems = [words for outcome in outcomes if alone for words in _wrong(outcome, received.get(outcome.order_id, 0))]
    problems += [f"{order_id}: sent, and no row is committed" for order_id in received if order_id not in rows]
    submitted = [outcome.order_id for outcome in outcomes] + ["first", "clean"] * clean
    problems += finish(shop, hub, submitted)
    return problems + find_broken_claims(shop, submitted)


def sum_up(title: str, outcomes: Sequence[Outcome], problems: Sequence[str], *, bites: bool = True) -> Finding:
    """Sum up what a fault did; one that is to bite and never did anything has shown nothing."""
    refused = sum(outcome.raised is not None for outcome in outcomes)
    unwritten = sum(outcome.critical > 0 for outcome in outcomes)
    harmless = len(outcomes) - refused - unwritten
    fault = f"{title}: JournalFailed {refused}, sent and not written down {unwritten}, no harm {harmless}"
    bitten = () if refused or unwritten or not bites else ("this fault never bit",)
    return Finding(fault=fault, trials=len(outcomes), failures=(*problems, *bitten))
