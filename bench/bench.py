"""Measure what payhub promises of its speed, and fail if a promise is not kept.

Run it as `make bench`. payhub and the provider's own Python sample make payouts in turns, in one
process, against one local server that answers at once. The sample is taken from the provider's
documents at run time; where they do not lie beside the checkout its row is missing, and said so.
What the journal costs is a ratio, too: with SQLite on this machine's disk, and in memory, in turns.
"""

import contextlib
import io
import itertools
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import structlog
from rich.console import Console
from rich.table import Table

from payhub import Hub, Money, PayoutOrder, ToCard
from payhub_alikassa.sandbox import write_directory
from payhub_alikassa.signing import load_signer
from tests.alikassa import seeds

RATIO = 30.0
JOURNAL_RATIO = 0.5
JOURNAL_RATE = 300.0
OPEN_ORDERS = 100_000
SWEEPS = int(os.environ.get("SWEEPS", "20"))  # of 100 orders each; 1000 sweep them all, in some minutes
SWEEP_MiB = 8.0
IMPORT_MS = 150.0
HEAVY = ("sqlalchemy", "starlette", "typer", "uvicorn")
SECONDS = 0.25
ROUNDS = 15


class Row(NamedTuple):
    """Hold one line of the table; `kept` is `None` where nothing is promised."""

    what: str
    measured: str
    promised: str = ""
    kept: bool | None = None


def rate(function: Callable[[], object]) -> float:
    """Return how often a second a function can be called."""
    calls, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < SECONDS:
        function()
        calls += 1
    return calls / spent


@contextlib.contextmanager
def stub() -> Iterator[int]:
    """Run the answering server in a process of its own, and give its port."""
    server = subprocess.Popen([sys.executable, Path(__file__).with_name("stub.py")], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.terminate()
        server.wait()


def sample(port: int) -> Callable[[], object] | None:
    """Return the documents' payout in Python, with only the host replaced; `None` without the documents."""
    found = [p for p in seeds.programs() if p.language == "python" and p.result == "payout"]
    if not found:
        return None
    function, call = re.split(r"^(?=payout = )", found[0].text, flags=re.MULTILINE)
    names: dict[str, object] = {}
    host = re.compile(rf"https://{seeds.HOST.pattern}")
    exec(host.sub(f"http://127.0.0.1:{port}", function), names)
    payout = compile(call.replace("print(payout)", ""), found[0].document, "exec")
    return lambda: exec(payout, names)


def opened(config: Path, *, journal: bool) -> Hub:
    """Open a hub on a sandbox's configuration, with its journal or in memory."""
    tables = tomllib.loads(config.read_text("utf-8"))
    if not journal:
        del tables["journal"]
    return Hub.from_mapping(tables, base=config.parent)


def payouts(hub: Hub) -> Callable[[], object]:
    """Return a function that makes one payout with payhub."""
    numbers = itertools.count()
    amount, card = Money("500", "RUB"), ToCard("4111111111111111")

    def payout() -> None:
        order = PayoutOrder(order_id=f"po-{next(numbers)}", amount=amount, to=card)
        answer = hub.create_payout("alikassa-rub", order)
        if answer.provider_id != "100001524":
            raise SystemExit(f"payhub was not answered: {answer}")

    return payout


def measure_payouts(directory: Path) -> list[Row]:
    """Compare payhub with the sample, in turns; of each the best turn counts, for a busy machine only slows."""
    with (
        stub() as port,
        contextlib.chdir(directory),
        opened(write_directory(directory, port), journal=False) as hub,
    ):
        ours, theirs = payouts(hub), sample(port)
        ours()
        turns = [(rate(ours), rate(theirs) if theirs else 0.0) for _ in range(ROUNDS)]
    fast = max(turn[0] for turn in turns)
    rows = [Row("create_payout, payhub", f"{fast:,.0f} / s")]
    if theirs is None:
        return [*rows, Row("create_payout, the provider's sample", "NOT MEASURED: ../shared is not there")]
    slow = max(turn[1] for turn in turns)
    return [
        *rows,
        Row("create_payout, the provider's sample", f"{slow:,.1f} / s"),
        Row("payhub to the sample", f"{fast / slow:,.0f} x", f"at least {RATIO:.0f} x", fast / slow >= RATIO),
    ]


def measure_journal(directory: Path) -> list[Row]:
    """Compare payouts that are kept in SQLite with those in memory, in turns; of each the best turn counts."""
    with stub() as port:
        config = write_directory(directory, port)
        with opened(config, journal=True) as sqlite, opened(config, journal=False) as memory:
            kept, forgotten = payouts(sqlite), payouts(memory)
            kept()
            turns = [(rate(kept), rate(forgotten)) for _ in range(ROUNDS)]
    durable, fleeting = (max(column) for column in zip(*turns, strict=True))
    ratio = durable / fleeting
    return [
        Row(
            "create_payout, journal in SQLite",
            f"{durable:,.0f} / s",
            f"at least {JOURNAL_RATE:.0f} / s",
            durable >= JOURNAL_RATE,
        ),
        Row("create_payout, journal in memory", f"{fleeting:,.0f} / s"),
        Row("SQLite to memory", f"{ratio:.2f} x", f"at least {JOURNAL_RATIO} x", ratio >= JOURNAL_RATIO),
    ]


def measure_sweeps(directory: Path) -> list[Row]:
    """Sweep a part of very many open orders: how fast, and what the memory grows by after the first sweep."""
    with stub() as port:
        config = write_directory(directory, port)
        program = ["-m", "bench.sweeps", str(config), str(OPEN_ORDERS), str(SWEEPS)]
        swept, spent, grown = map(float, subprocess.check_output([sys.executable, *program], text=True).split())
    if swept != SWEEPS * 100:
        raise SystemExit(f"{swept:.0f} orders were swept, not {SWEEPS * 100}")
    what = f"memory for {swept:,.0f} of {OPEN_ORDERS:,} open orders"
    return [
        Row("sweep, journal in SQLite", f"{swept / spent:,.0f} orders / s"),
        Row(what, f"+{grown:.1f} MiB", f"at most +{SWEEP_MiB:.0f} MiB", grown <= SWEEP_MiB),
    ]


def measure_signatures(directory: Path) -> list[Row]:
    """Measure signing and verifying a body of the usual length."""
    signer = load_signer(directory / "cert" / "payout", None, "sha1")
    body = os.urandom(300)
    signature = signer.sign(body)
    return [
        Row("sign, RSA 2048", f"{rate(lambda: signer.sign(body)):,.0f} / s"),
        Row("verify, RSA 2048", f"{rate(lambda: signer.verifier.verify(body, signature)):,.0f} / s"),
    ]


def measure_import() -> list[Row]:
    """Import payhub in fresh interpreters, and look what came with it."""
    program = "import sys, time; t = time.perf_counter(); {}; print(time.perf_counter() - t, *sys.modules)"

    def fresh(statement: str) -> tuple[float, set[str]]:
        done = [subprocess.check_output([sys.executable, "-c", program.format(statement)], text=True) for _ in range(9)]
        spent = statistics.median(float(text.split()[0]) for text in done)
        return spent * 1000, set(done[0].split()[1:])

    light, modules = fresh("import payhub")
    full, more = fresh("from payhub import Hub")
    heavy = sorted(set(HEAVY) & (modules | more))
    return [
        Row("import payhub", f"{light:,.0f} ms", f"under {IMPORT_MS:.0f} ms", light < IMPORT_MS),
        Row("from payhub import Hub", f"{full:,.0f} ms"),
        Row("loaded with them", ", ".join(heavy) or "nothing heavy", f"not {', '.join(HEAVY)}", not heavy),
    ]


def main() -> int:
    """Measure, print the table, and return the exit code."""
    # Events are written as an application writes them, only to nowhere.
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(io.StringIO())
    )
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        rows = [
            *measure_payouts(directory),
            *measure_journal(directory),
            *measure_sweeps(directory / "sweeps"),
            *measure_signatures(directory),
            *measure_import(),
        ]
    table = Table("what", "measured", "promised", "", title=f"Python {sys.version.split()[0]}, {os.cpu_count()} cores")
    for row in rows:
        table.add_row(row.what, row.measured, row.promised, {None: "", True: "kept", False: "MISSED"}[row.kept])
    Console(width=112).print(table)
    return int(any(row.kept is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
