"""End a process at every line between the caller and the provider, one line at a time.

The lines are read from the compiled code. One run without a death says which of them the normal
way of an order visits; runs under faults say which others can be reached, and by what.
"""

import contextlib
import functools
import gc
import resource
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import msgspec

from payhub import Hub, Money, PayhubError, hookimpl
from payhub.journal.states import State
from torture.claims import broken, finish
from torture.judge import Fault, Judge
from torture.lines import DIED, MODULES, Line, die_at, listed, visited
from torture.processes import call, each, start, until
from torture.report import Bench, Finding, Found
from torture.shop import ACCOUNT, Shop, opened, order, retry

_SAMPLE = 16
_ROUNDS = 4  # how often a line is tried again that a trial did not pass: load changes the way
_REFUSING = "http://127.0.0.1:9"


class _FullAfterSending:
    """Be an observer that fills the disk, for this process, when the provider has answered."""

    armed = False

    @hookimpl
    def payhub_event(self, event: object) -> None:  # noqa: ARG002 - the hook's argument
        if self.armed:
            _no_more_bytes()


_FULL = _FullAfterSending()


def _no_more_bytes() -> None:
    """Let every write to a file fail, for this process."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """Lead an order along lines that the normal way may not visit.

    `before` happens before the lines count, in the same process.
    """

    name: str
    faults: tuple[Fault, ...] = ()
    before: Callable[[Hub, str, Judge], None] = lambda _hub, _order_id, _judge: None
    other: bool = False
    amount: str | None = None
    refused: bool = False
    lied: bool = False

    def submit(self, hub: Hub, order_id: str) -> None:
        """Create the order's payout."""
        asked = order(order_id, other=self.other)
        if self.amount is not None:
            asked = msgspec.structs.replace(asked, amount=Money(self.amount, "RUB", 9))
        with contextlib.suppress(PayhubError):  # what came of it is judged by the journal and the judge
            hub.create_payout(ACCOUNT, asked)


def _created(hub: Hub, order_id: str, _judge: Judge) -> None:
    hub.create_payout(ACCOUNT, order(order_id))


def _being_sent(hub: Hub, order_id: str, judge: Judge) -> None:
    start(lambda: _created(hub, order_id, judge), seconds=10)
    until(lambda: bool(judge.verdict(order_id).received[order_id]), 5)


def _full(_hub: Hub, _order_id: str, _judge: Judge) -> None:
    _no_more_bytes()


def _full_later(_hub: Hub, _order_id: str, _judge: Judge) -> None:
    _FULL.armed = True


_ENCODED = "application/json\r\nContent-Encoding: gzip"

WAYS = (
    Way(name="the normal way"),
    Way(name="HTTP 500", faults=(Fault(status=500),)),
    Way(name="connection refused", refused=True),
    Way(name="answer cut", faults=(Fault(cut=100, end="close"),)),
    Way(name="no answer in time", faults=(Fault(cut=0, end="stall"),)),
    Way(name="encoded answer", faults=(Fault(kind=_ENCODED),)),
    Way(name="answer too large", faults=(Fault(pad=1 << 20),)),
    Way(name="another amount in the answer", faults=(Fault(change={"amount": "1.00"}),), lied=True),
    Way(name="the same order again", before=_created),
    Way(name="another order under its id", before=_created, other=True),
    Way(name="while another process sends it", before=_being_sent, faults=(Fault(cut=0, end="stall"),)),
    Way(name="disk full before sending", before=_full),
    Way(name="disk full after sending", before=_full_later),
    Way(name="an amount of nothing", amount="0.00"),
    Way(name="an amount with too many digits", amount="1.001"),
)


class _Trial(msgspec.Struct, frozen=True, kw_only=True):
    way: Way
    line: Line
    visit: int
    order_id: str
    first: bool


class Map(msgspec.Struct, frozen=True, kw_only=True):
    """Say which lines each way visits that no way before it visits, and how often; and the lines none visits."""

    visits: tuple[tuple[Way, dict[Line, int]], ...]
    unreached: tuple[Line, ...]


def at_every_line(bench: Bench, only: Sequence[Way] = WAYS) -> Found:
    """Die `trials` times at every line that any way visits; 0 is a sample of them."""
    with Judge() as judge:
        judge.order(waits=0)
        shop = Shop(
            directory=bench.directory / "shop", judge=judge, journal="sqlite:///payhub.db", lease=2.0, deadline=0.5
        )
        hub = shop.hub(_FULL)
        refusing = msgspec.structs.replace(shop, directory=bench.directory / "refusing", url=_REFUSING)
        # The same journal and the same key of the fingerprints, but nobody listens at the provider's address.
        refusing = msgspec.structs.replace(refusing, journal=shop.database)
        refusing.configuration.with_name("payhub.key").write_bytes((shop.directory / "payhub.key").read_bytes())
        gc.freeze()  # what was made until now is shared with every child, and stays shared
        hubs = {False: hub, True: refusing.hub(_FULL)}
        known = _mapped(only, hubs, judge, every=1 if bench.trials else _SAMPLE)
        trials = _trials(known, bench.trials or 1)
        died = _died(trials, hubs, judge)
        left = shop.rows()
        again = (
            (trial, functools.partial(retry, hub, [trial.order_id]))
            for trial in trials
            if trial.first and not trial.way.amount
        )
        problems = [f"{trial.order_id}: the retry ended with {code}" for trial, code in each(again, at_once=8) if code]
        submitted = {t.order_id for t in trials if not t.way.amount} | {_named(way) for way in only if not way.amount}
        problems += finish(shop, hub, submitted)
        lied = {t.order_id for t in trials if t.way.lied} | {_named(way) for way in only if way.lied}
        problems += broken(shop, submitted, excused=lied)
        accepted = judge.verdict().accepted
        for trial in trials:
            row = left.get(trial.order_id)
            unsent = (row is None or row.state is State.NOT_SENT) and not trial.way.amount
            if unsent and accepted.get(trial.order_id) != 1:
                problems.append(f"{trial.order_id}: was not sent before the death, and not once after it")
    return Found(_findings(known, trials, died, problems), _notes(known, {trial.line for trial in died}))


def _mapped(ways: Sequence[Way], hubs: dict[bool, Hub], judge: Judge, every: int) -> Map:
    """Walk every way once, without a death; keep every n-th line."""
    judge.order({_named(way): way.faults for way in WAYS})
    seen: set[Line] = set()
    visits: list[tuple[Way, dict[Line, int]]] = []
    for way in ways:

        def walk(way: Way = way) -> list[tuple[Line, int]]:
            with opened(hubs[way.refused]) as hub:
                way.before(hub, _named(way), judge)
                return visited(lambda: way.submit(hub, _named(way)))

        found = call(walk, list[tuple[Line, int]])
        new = [(line, times) for line, times in found if line not in seen]
        visits.append((way, dict(new[::every])))
        seen.update(line for line, _ in found)
    return Map(visits=tuple(visits), unreached=tuple(sorted(listed() - seen)))


def _named(way: Way) -> str:
    return f"d-{WAYS.index(way)}-alive"


def _trials(known: Map, count: int) -> list[_Trial]:
    return [
        _Trial(
            way=way,
            line=line,
            visit=number % times + 1,
            order_id=f"d-{WAYS.index(way)}-{place}-{number}",
            first=number == 0,
        )
        for way, lines in known.visits
        for place, (line, times) in enumerate(lines.items())
        for number in range(count)
    ]


def _died(trials: Sequence[_Trial], hubs: dict[bool, Hub], judge: Judge) -> list[_Trial]:
    """Carry the trials out, and return those that died where they should."""
    judge.order({trial.order_id: trial.way.faults for trial in trials})

    def attempt(trial: _Trial) -> None:
        hub = hubs[trial.way.refused]
        trial.way.before(hub, trial.order_id, judge)
        die_at(trial.line, trial.visit, lambda: trial.way.submit(hub, trial.order_id))

    died: list[_Trial] = []
    left = list(trials)
    for _ in range(_ROUNDS):
        work: Iterator[tuple[_Trial, Callable[[], object]]] = ((t, functools.partial(attempt, t)) for t in left)
        died += [trial for trial, code in each(work, at_once=3) if code == DIED]
        reached = {(trial.way.name, trial.line) for trial in died}
        left = [trial for trial in trials if (trial.way.name, trial.line) not in reached]
    return died


def _findings(known: Map, trials: Sequence[_Trial], died: Sequence[_Trial], problems: Sequence[str]) -> list[Finding]:
    found = []
    for way, lines in known.visits:
        mine = f"d-{WAYS.index(way)}-"
        reached = {trial.line for trial in died if trial.way is way}
        failures = [problem for problem in problems if problem.startswith(mine)]
        if way is WAYS[0]:
            failures += [f"{line}: no trial died there" for line in lines if line not in reached]
        dead = sum(trial.way is way for trial in died)
        found.append(
            Finding(fault=f"death at {len(reached)} lines of {way.name}", trials=dead, failures=tuple(failures))
        )
    elsewhere = tuple(p for p in problems if not p.startswith("d-"))
    if elsewhere:
        found.append(Finding(fault="afterwards", trials=len(trials), failures=elsewhere))
    return [finding for finding in found if finding.trials or finding.failures]


def _notes(known: Map, died: Collection[Line]) -> list[str]:
    entered = {(line.module, line.function) for _, lines in known.visits for line in lines}
    inside = [line for line in known.unreached if (line.module, line.function) in entered]
    outside = sorted({f"{line.module}.{line.function}" for line in known.unreached} - {f"{m}.{f}" for m, f in entered})
    normal = len(known.visits[0][1])
    faulty = sum(len(lines) for _, lines in known.visits[1:])
    missed = [line for _, lines in known.visits for line in lines if line not in died]
    modules = ", ".join(module.__name__ for module in MODULES)
    return [
        (
            f"Lines listed from the code of {modules}: {normal + faulty + len(known.unreached)}; the normal way visits "
            f"{normal}, the faults {faulty} more, and {len(known.unreached)} are not reached here."
        ),
        f"Visited once under a fault, and never again when a process was to die there: {_words(missed)}.",
        f"Not reached in functions that a create enters: {_words(inside)}.",
        f"Functions that no create here enters: {_words(outside)}.",
    ]


def _words(names: Iterable[object]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
