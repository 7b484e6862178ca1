"""Kill worker processes at random instants, with SQLite; freeze them too, with PostgreSQL.

Workers submit orders of one shared stream, meet at the same ones, repeat them, and sweep. A dead
worker is replaced at once.
"""

import asyncio
import contextlib
import functools
import random
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from payhub import AsyncHub, Hub, JournalFailed, NotSent
from torture.claims import find_broken_claims, finish
from torture.judge import Judge
from torture.postgres import Postgres
from torture.processes import Child, die_with_parent, start, wait_until
from torture.report import Bench, Finding, Found
from torture.shop import ACCOUNT, Shop, Stream, order

Work = Callable[[int], object]
"""Work, with a seed, until something ends the process."""

Deed = Literal["kill", "freeze"] | Callable[[], object]
"""What is done to a worker, or something else that is done while they work."""

_ANSWERED = 0.03  # seconds that an answer takes at most; enough for many to die waiting for one
_LEASE, _DEADLINE = 0.6, 0.3  # seconds; hardly apart: reports that come late are looked for, too
_PATIENCE = 10.0  # seconds in which a worker takes an order, on any machine
_LIFE = 600  # seconds; a worker that nobody kills ends then


def in_a_hurry(directory: Path, judge: Judge, journal: str) -> Shop:
    """Make the application of these experiments, whose leases are over soon."""
    return Shop(directory=directory, judge=judge, journal=journal, lease=_LEASE, deadline=_DEADLINE)


def sqlite(bench: Bench) -> Found:
    """Kill two workers, one of them asynchronous, at random instants; the journal is in SQLite."""
    with Judge() as judge:
        shop = in_a_hurry(bench.directory, judge, "sqlite:///payhub.db")
        problems, submitted = kill_workers(bench, shop, kills=bench.trials)
    fault = f"SIGKILL at a random instant ({submitted} orders)"
    return Found([Finding(fault=fault, trials=bench.trials, failures=problems)])


def kill_workers(bench: Bench, shop: Shop, *, kills: int) -> tuple[tuple[str, ...], int]:
    """Kill workers over SQLite, and return the broken claims and how many orders there were."""
    shop.judge.order(waits=0, delay=_ANSWERED)
    hub, stream = shop.hub(), Stream("k")
    works = (_submitting(hub, stream), _concurrently(shop.async_hub(), stream))
    problems = chaos(bench.chance("kills"), works, stream, ["kill"] * kills, pause=0.09)
    submitted = stream.submitted()
    problems += finish(shop, hub, submitted)
    return (*problems, *find_broken_claims(shop, submitted)), len(submitted)


def postgresql(bench: Bench) -> Found:
    """Kill and freeze four workers, one asynchronous, that race over the same orders; the journal is in PostgreSQL."""
    with Judge() as judge, Postgres(bench.directory / "server") as server:
        shop = in_a_hurry(bench.directory / "shop", judge, server.database("racing"))
        judge.order(waits=0, delay=_ANSWERED)
        hub, stream = shop.hub(), Stream("p")
        plan: list[Deed] = [*("kill", "freeze")] * bench.trials
        bench.chance("plan").shuffle(plan)
        works = (*(_submitting(hub, stream),) * 3, _concurrently(shop.async_hub(), stream))
        problems = chaos(bench.chance("freezes"), works, stream, plan, pause=0.06, frozen=shop.lease * 1.3)
        submitted = stream.submitted()
        problems += finish(shop, hub, submitted)
        problems += find_broken_claims(shop, submitted)
    fault = f"SIGKILL, or SIGSTOP past the lease and SIGCONT, half each ({len(submitted)} orders)"
    return Found([Finding(fault=fault, trials=len(plan), failures=tuple(problems))])


def _submitting(hub: Hub, stream: Stream) -> Work:
    def work(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - no secret
        while True:
            with contextlib.suppress(NotSent, JournalFailed):
                hub.create_payout(ACCOUNT, order(stream.take(chance)))
            if chance.randrange(5) == 0:
                hub.sweep(5)

    return work


def _concurrently(hub: AsyncHub, stream: Stream) -> Work:
    async def submit(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - no secret
        while True:
            with contextlib.suppress(NotSent, JournalFailed):
                await hub.create_payout(ACCOUNT, order(stream.take(chance)))
            if chance.randrange(5) == 0:
                await hub.sweep(5)

    async def work(seed: int) -> None:
        await asyncio.gather(*(submit(seed + number) for number in range(3)))

    return lambda seed: asyncio.run(work(seed))


def chaos(
    chance: random.Random,
    works: Sequence[Work],
    stream: Stream,
    plan: Iterable[Deed],
    *,
    pause: float,
    frozen: float = 0.0,
) -> list[str]:
    """Carry out a plan of kills, freezes and other deeds on running workers; return how workers ended by themselves.

    Between two deeds at least one order is taken, so that a busy machine kills no worker before it works.
    """

    def begin(number: int) -> Child:
        work, seed = works[number], chance.randrange(1 << 30)

        def run() -> None:
            die_with_parent()
            work(seed)

        return start(run, seconds=_LIFE)

    workers = [begin(number) for number in range(len(works))]
    waking: dict[int, float] = {}
    problems = []
    taken = stream.taken
    for deed in plan:
        time.sleep(chance.uniform(0, pause))
        wait_until(functools.partial(stream.moved, taken), _PATIENCE)
        taken = stream.taken
        if callable(deed):
            deed()
            continue
        while len(waking) > len(workers) // 2:
            time.sleep(0.01)
            _wake(workers, waking)
        _wake(workers, waking)
        number = chance.choice([n for n in range(len(workers)) if n not in waking])
        if workers[number].ended():
            problems.append(f"a worker ended with {workers[number].code()} although it was not killed")
            workers[number] = begin(number)
        elif deed == "freeze":
            workers[number].signal(signal.SIGSTOP)
            waking[number] = time.monotonic() + frozen
        else:
            workers[number].signal(signal.SIGKILL)
            workers[number].code()
            workers[number] = begin(number)
    while waking:
        time.sleep(0.01)
        _wake(workers, waking)
    time.sleep(pause)
    for worker in workers:
        worker.signal(signal.SIGKILL)
        worker.code()
    return problems


def _wake(workers: Sequence[Child], waking: dict[int, float]) -> None:
    for number in [n for n, at in waking.items() if at <= time.monotonic()]:
        workers[number].signal(signal.SIGCONT)
        del waking[number]
