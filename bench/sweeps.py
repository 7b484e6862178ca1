"""Sweep a journal that has very many open orders, and print what it took: for `bench.py`, in a process of its own.

Memory is the peak of the whole process, so nothing else may run in it.
"""

import os
import resource
import sqlite3
import sys
import time
from pathlib import Path

import structlog

from payhub import Hub

MiB = 1024  # of what Linux counts in KiB

_NEW = """
INSERT INTO payhub_orders (account, provider, kind, order_id, method, amount, currency, fingerprint, state,
                           contradicted, notified, attempts, checks, created_at, updated_at)
VALUES ('alikassa-rub', 'alikassa', 'payout', ?, 'card', '500', 'RUB', 'none', 'new', 0, 0, 1, 0, ?, ?)
"""


def fill(hub: Hub, database: Path, orders: int) -> None:
    """Put open orders into the journal, all of them due, by the steps that the database allows."""
    hub.journal.story("")  # makes the tables
    now = time.time_ns() // 1000
    with sqlite3.connect(database) as connection:
        connection.executemany(_NEW, ((f"open-{number}", now, now) for number in range(orders)))
        connection.execute("UPDATE payhub_orders SET state = 'sending'")
        connection.execute("UPDATE payhub_orders SET state = 'pending', provider_id = '100001524', due_at = id")
    connection.close()


def peak() -> int:
    """Return the most memory that this process has had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(config: str, orders: int, sweeps: int) -> None:
    """Fill, sweep once to have everything loaded, then sweep on and compare."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, Hub.from_file(config) as hub:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(nowhere))
        fill(hub, Path(config).with_name("payhub.db"), orders)
        hub.sweep(100)
        before, start = peak(), time.perf_counter()
        swept = sum(len(hub.sweep(100)) for _ in range(sweeps))
        spent = time.perf_counter() - start
    print(swept, spent, (peak() - before) / MiB)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
