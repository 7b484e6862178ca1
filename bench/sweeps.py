"""Put very many open orders into a journal, or sweep those there, and print what it took: for `bench.py`.

Each is done in a process of its own: of the memory that filling takes, a sweep must not be spared any.
"""

import os
import sqlite3
import sys
import time
from pathlib import Path

import structlog

from payhub import Hub

MiB = 1024  # of what Linux counts in KiB
LIMIT = 100

_NEW = """
INSERT INTO payhub_orders (account, provider, kind, order_id, method, amount, currency, fingerprint, state,
                           contradicted, notified, attempts, checks, created_at, updated_at)
VALUES ('alikassa-rub', 'alikassa', 'payout', ?, 'card', '500', 'RUB', 'none', 'new', 0, 0, 1, 0, ?, ?)
"""


def fill(hub: Hub, database: Path, orders: int) -> None:
    """Put open orders into an empty journal, all of them due, by the steps that the database allows."""
    hub.journal.story("")  # makes the tables
    now = time.time_ns() // 1000
    with sqlite3.connect(database) as connection:
        connection.executemany(_NEW, ((f"open-{number}", now, now) for number in range(orders)))
        connection.execute("UPDATE payhub_orders SET state = 'sending'")
        connection.execute("UPDATE payhub_orders SET state = 'pending', provider_id = id, due_at = id")
    connection.close()


def memory(name: str) -> int:
    """Return what Linux says of this process's memory, in KiB: `VmRSS`, what it has, or `VmHWM`, the most it had."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def forget_peak() -> None:
    """Let the most that it had be what it has now; see proc_pid_clear_refs(5)."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def sweep(hub: Hub, orders: int) -> None:
    """Sweep once to have everything loaded, then sweep the other orders, and see what the memory grows by."""
    first = len(hub.sweep(LIMIT))
    forget_peak()
    before, start = memory("VmRSS"), time.perf_counter()
    swept = sum(len(hub.sweep(LIMIT)) for _ in range(orders // LIMIT - 1))
    spent = time.perf_counter() - start
    print(first + swept, swept / spent, (memory("VmHWM") - before) / MiB)


def main(work: str, config: str, orders: int) -> None:
    """Fill, or sweep; events are written as an application writes them, only to nowhere."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, Hub.from_file(config) as hub:
        structlog.configure(
            processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(nowhere)
        )
        if work == "fill":
            fill(hub, Path(config).with_name("payhub.db"), orders)
        else:
            sweep(hub, orders)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
