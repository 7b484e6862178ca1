"""End a process at every line between the caller and the provider, one line at a time.

The lines are read from the compiled code. One run without a death says which of them the normal
way of an order visits; runs of other ways say which more can be reached, and by what. What no way
reaches is judged by `unreached.py`.
"""

import functools
import gc
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec

from payhub.journal.states import State
from torture.claims import find_broken_claims, finish
from torture.experiments.unreached import describe_unreached, judge_unreached
from torture.experiments.ways import WAYS, Hubs, Way
from torture.judge import Judge
from torture.lines import DIED, MODULES, Line, die_at, list_lines, trace_lines
from torture.processes import call, each
from torture.report import Bench, Finding, Found
from torture.shop import Shop, retry

_SAMPLE = 16
_SIDE_BY_SIDE = 6  # most of their time they wait
_WALKS = 8
_PATIENCE = 60.0  # seconds in which a line is tried again that a trial did not pass: load changes the way


class _Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One order on a way, to die at the n-th visit to a line."""

    way: Way
    line: Line
    visit: int
    order_id: str

    def again(self, number: int) -> "_Trial":
        """Return the same with another order, for one that lived."""
        return msgspec.structs.replace(self, visit=1, order_id=f"{self.order_id.partition('~')[0]}~{number}")


class Map(msgspec.Struct, frozen=True, kw_only=True):
    """The lines that each way visits and no way before it does, and how often; and the lines that none visits.

    `walks` are the orders that were led along each way.
    """

    visits: tuple[tuple[Way, dict[Line, int]], ...]
    unreached: tuple[Line, ...]
    walks: tuple[tuple[Way, str], ...]

    @property
    def reached(self) -> frozenset[Line]:
        """Return the lines that any way visits."""
        return frozenset(line for _, lines in self.visits for line in lines)


def at_every_line(bench: Bench, only: Sequence[Way] = WAYS) -> Found:
    """Die `trials` times at every line that any way visits; 0 is once at a sample of them."""
    with Judge() as judge:
        judge.order(waits=0)
        shop = Shop(directory=bench.directory / "shop", judge=judge, journal="sqlite:///payhub.db")
        hubs = Hubs.of(shop)
        gc.freeze()  # what was made until now is shared with every child, and stays shared
        call(lambda: hubs.plain.journal.claim(1, 0.0), list[object])  # makes the tables
        known = _mapped(only, hubs, judge)
        wanted = _trials(known, bench.trials or 1, every=1 if bench.trials else _SAMPLE)
        tried, died = _died(wanted, hubs, judge)
        judge.order(forget=[trial.order_id for trial in tried] + [order_id for _, order_id in known.walks])
        left = shop.rows()
        valid = [trial.order_id for trial in tried if not trial.way.invalid]
        again = (
            (order_id, functools.partial(retry, hubs.plain, [order_id])) for order_id in valid[:: bench.trials or 1]
        )
        problems = [f"{order_id}: the retry ended with {code}" for order_id, code in each(again, at_once=8) if code]
        submitted = {*valid, *(order_id for way, order_id in known.walks if not way.invalid)}
        problems += finish(shop, hubs.plain, submitted)
        lied = {t.order_id for t in tried if t.way.lied} | {order_id for way, order_id in known.walks if way.lied}
        called = {t.order_id for t in tried if t.way.called_failed}
        called |= {order_id for way, order_id in known.walks if way.called_failed}
        problems += find_broken_claims(shop, submitted, excused=lied, called_failed=called)
        accepted = judge.verdict().accepted
        for order_id in valid:
            row = left.get(order_id)
            if (row is None or row.state is State.NOT_SENT) and accepted.get(order_id) != 1:
                problems.append(f"{order_id}: was not sent before the death, and not once after it")
    findings = _findings(wanted, died, problems)
    if only is WAYS:
        findings.append(judge_unreached(known.reached, known.unreached))
    return Found(findings, _notes(known))


def _mapped(ways: Sequence[Way], hubs: Hubs, judge: Judge) -> Map:
    """Walk every way without a death."""
    seen: set[Line] = set()
    visits: list[tuple[Way, dict[Line, int]]] = []
    walks: list[tuple[Way, str]] = []
    for way in ways:
        found: dict[Line, int] = {}
        for order_id, lines in _walked(way, hubs, judge):
            found = lines
            walks.append((way, order_id))
        visits.append((way, {line: times for line, times in found.items() if line not in seen}))
        seen.update(found)
    return Map(visits=tuple(visits), unreached=tuple(sorted(list_lines() - seen)), walks=tuple(walks))


def _walked(way: Way, hubs: Hubs, judge: Judge) -> Iterator[tuple[str, dict[Line, int]]]:
    """Walk a way until two walks in a row visit the same lines: load may lead a walk past others.

    Yields each walk's order, and the lines that it visited.
    """
    lines: dict[Line, int] = {}
    for number in range(_WALKS):
        order_id = f"d-{WAYS.index(way)}-alive{number}"
        judge.order({order_id: way.faults})

        def walk(order_id: str = order_id) -> list[tuple[Line, int]]:
            way.before(hubs, order_id, judge)
            return trace_lines(lambda: way.walk(hubs, order_id))

        before, lines = lines, dict(call(walk, list[tuple[Line, int]]))
        yield order_id, lines
        if before.keys() == lines.keys():
            return


def _trials(known: Map, count: int, every: int) -> list[_Trial]:
    return [
        _Trial(way=way, line=line, visit=number % times + 1, order_id=f"d-{WAYS.index(way)}-{place}-{number}")
        for way, lines in known.visits
        for place, (line, times) in enumerate(lines.items())
        for number in range(count)
        if place % every == 0
    ]


def _died(trials: Sequence[_Trial], hubs: Hubs, judge: Judge) -> tuple[list[_Trial], list[_Trial]]:
    """Carry the trials out, and again those that lived; return all that were tried, and those that died in time."""

    def attempt(trial: _Trial) -> None:
        trial.way.before(hubs, trial.order_id, judge)
        die_at(trial.line, trial.visit, lambda: trial.way.walk(hubs, trial.order_id))

    tried: list[_Trial] = []
    died: list[_Trial] = []
    left = list(trials)
    end = None
    for number in itertools.count():
        judge.order({trial.order_id: trial.way.faults for trial in left})
        work: Iterator[tuple[_Trial, Callable[[], object]]] = ((t, functools.partial(attempt, t)) for t in left)
        ended = list(each(work, at_once=_SIDE_BY_SIDE))
        tried += left
        died += [trial for trial, code in ended if code == DIED]
        left = [trial.again(number) for trial, code in ended if code != DIED]
        end = end or time.monotonic() + _PATIENCE
        if not left or time.monotonic() > end:
            break
    return tried, died


def _findings(wanted: Sequence[_Trial], died: Sequence[_Trial], problems: Sequence[str]) -> list[Finding]:
    lines, deaths = (Counter((trial.way.name, trial.line) for trial in trials) for trials in (wanted, died))
    found = []
    for number, way in enumerate(WAYS):
        mine = [line for name, line in lines if name == way.name]
        failures = [problem for problem in problems if problem.startswith(f"d-{number}-")]
        missing = [(line, lines[way.name, line] - deaths[way.name, line]) for line in mine]
        failures += [f"{line}: {count} deaths are missing" for line, count in missing if count]
        dead = sum(deaths[way.name, line] for line in mine)
        fault = f"death at {len(mine)} lines of {way.name}"
        found.append(Finding(fault=fault, trials=dead, failures=tuple(failures)))
    elsewhere = tuple(p for p in problems if not p.startswith("d-"))
    if elsewhere:
        found.append(Finding(fault="afterwards", trials=len(wanted), failures=elsewhere))
    return [finding for finding in found if finding.trials or finding.failures]


def _notes(known: Map) -> list[str]:
    count = len(known.reached)
    modules = ", ".join(module.__name__ for module in MODULES)
    return [
        f"Lines listed from the code of {modules}: {count + len(known.unreached)}; the ways lead along {count}.",
        *describe_unreached(known.reached, known.unreached),
    ]
