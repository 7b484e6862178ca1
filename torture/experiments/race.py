"""Let two processes with the same configuration submit the same orders at the same time."""

import multiprocessing

from torture.claims import find_broken_claims, finish
from torture.judge import Judge
from torture.postgres import Postgres
from torture.processes import start
from torture.report import Bench, Finding, Found
from torture.shop import Shop, retry

_PATIENCE = 300.0
_ORDERS = 500
_FEW = 2
"""The number of races up to which each has a tenth of the orders."""


def two_processes(bench: Bench) -> Found:
    """Race `trials` times over 500 new orders, SQLite and PostgreSQL in turn; each process opens its own hub."""
    found: dict[str, list[str]] = {"SQLite": [], "PostgreSQL": []}
    raced = dict.fromkeys(found, 0)
    with Postgres(bench.directory / "server") as server:
        for number in range(bench.trials):
            name = ("SQLite", "PostgreSQL")[number % 2]
            journal = "sqlite:///payhub.db" if name == "SQLite" else server.database(f"race{number}")
            orders = _ORDERS if bench.trials > _FEW else _ORDERS // 10
            with Judge() as judge:
                shop = Shop(directory=bench.directory / f"race-{number}", judge=judge, journal=journal)
                found[name] += race_once(shop, f"r{number}", orders)
            raced[name] += orders
    return Found(
        [
            Finding(fault=f"two processes, the same orders, {name}", trials=raced[name], failures=tuple(found[name]))
            for name in found
        ]
    )


def race_once(shop: Shop, name: str, count: int) -> list[str]:
    """Race once; the journal, its tables and the key of the fingerprints are made during the race."""
    shop.judge.order(waits=0)
    order_ids = [f"{name}-{number}" for number in range(count)]
    line = multiprocessing.get_context("fork").Barrier(2)
    shop.configuration  # noqa: B018 - written before the race, the one thing that both are given

    def run() -> list[str]:
        with shop.hub() as hub:
            line.wait(_PATIENCE)
            return retry(hub, order_ids)

    racers = [start(run), start(run)]
    problems = [problem for racer in racers for problem in racer.returned(list[str])]
    accepted = shop.judge.verdict().accepted
    problems += [f"{i}: accepted {accepted.get(i, 0)} times after the race" for i in order_ids if accepted.get(i) != 1]
    problems += finish(shop, shop.hub(), order_ids)
    return problems + find_broken_claims(shop, order_ids)
