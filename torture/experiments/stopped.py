"""Stop a process inside a transaction of the journal, and let another submit the same order.

The stopped process keeps the locks that it holds. The other must not wait for it without end: it gets an
answer, or `NotSent` or `JournalFailed`, within a bounded time.
"""

import functools
import os
import signal
import time
from collections.abc import Callable

from payhub import Hub, JournalFailed, NotSent
from torture.experiments.storage import Outcome, Place, judge_outcomes, open_hub, sum_up, try_create
from torture.judge import Judge
from torture.postgres import Postgres
from torture.processes import die_with_parent, start
from torture.report import Bench, Finding, Found
from torture.shop import ACCOUNT, Shop, order

_LONGEST = 30.0
"""Seconds that the other may take: payhub waits ten for a lock, and the deadline for an answer; a busy machine
needs more."""


def in_a_transaction(bench: Bench) -> Found:
    """Stop `trials` times before each statement, with SQLite and with PostgreSQL; 0 is a sample."""
    with Postgres(bench.directory / "server") as server:
        return Found(
            [
                _everywhere(bench, "SQLite", lambda _: "sqlite:///payhub.db"),
                _everywhere(bench, "PostgreSQL", server.database),
            ]
        )


def _everywhere(bench: Bench, name: str, journal: Callable[[str], str]) -> Finding:
    with Judge() as judge:
        judge.order(waits=0)
        shop = Shop(directory=bench.directory / name, judge=judge, journal=journal("stopped"))
        hub, places = open_hub(shop)
        chosen = places * bench.trials or places[2:3]
        outcomes, problems, longest = [], [], 0.0
        for number, place in enumerate(chosen):
            outcome, waited = _stopped(hub, f"s-{number}", place)
            outcomes.append(outcome)
            longest = max(longest, waited)
            if waited > _LONGEST:
                problems.append(f"s-{number}: stopped at {place}: the other waited longer than {_LONGEST:.0f} s")
        problems += judge_outcomes(shop, hub, outcomes, clean=True, alone=False)
        title = f"{name}, stopped at each statement; the other waited {longest:.1f} s at most"
        return sum_up(title, outcomes, problems, bites=False)


def _stopped(hub: Hub, order_id: str, place: Place) -> tuple[Outcome, float]:
    """Stop one process at a statement, and measure how long another needs for the same order."""
    first = start(functools.partial(try_create, hub, order_id, place, _stop))
    os.waitpid(first.pid, os.WUNTRACED)
    began = time.monotonic()
    second = start(functools.partial(_submitted, hub, order_id))
    while not second.ended() and time.monotonic() < began + _LONGEST + 1:
        time.sleep(0.01)
    waited = time.monotonic() - began
    first.signal(signal.SIGCONT)
    second.code()
    return first.returned(Outcome), waited


def _stop() -> None:
    die_with_parent()
    os.kill(os.getpid(), signal.SIGSTOP)


def _submitted(hub: Hub, order_id: str) -> str:
    with hub:
        try:
            return str(hub.create_payout(ACCOUNT, order(order_id)).status)
        except (NotSent, JournalFailed):
            return "not sent"
