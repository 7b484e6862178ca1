"""Make payouts for so many seconds each time a line comes; print how many a second, and the processor's ms for one.

This is for `compare.py`.

It runs with another version of payhub on its path, so that it uses no more than every version has.
"""

import io
import itertools
import os
import sys
import time
from pathlib import Path

import structlog

from payhub import Hub, Money, PayoutOrder, Status, ToCard
from payhub_alikassa.sandbox import write_directory


def main(directory: str, port: str, seconds: str) -> None:
    """Open a hub with a journal in SQLite, and take turns until standard input ends."""
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(io.StringIO())
    )
    config = write_directory(Path(directory), int(port))
    amount, card, numbers = Money("500", "RUB"), ToCard("4111111111111111"), itertools.count()
    os.chdir(directory)
    with Hub.from_file(config) as hub:
        for _ in sys.stdin:
            calls, start, worked = 0, time.perf_counter(), time.process_time()
            while (spent := time.perf_counter() - start) < float(seconds):
                order = PayoutOrder(order_id=f"po-{next(numbers)}", amount=amount, to=card)
                if hub.create_payout("alikassa-rub", order).status is not Status.PENDING:
                    raise SystemExit("payhub was not answered")
                calls += 1
            print(calls / spent, (time.process_time() - worked) / calls * 1000, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
