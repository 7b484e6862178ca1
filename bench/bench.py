"""Measure what payhub promises of its speed, and fail if a promise is not kept.

Run it as `make bench`. payhub and the provider's own Python sample make payouts in turns, in one
process, against one local server that answers at once. The sample is taken from the provider's
documents at run time; where they do not lie beside the checkout its row is missing, and said so.
What the journal costs is a ratio, too: with SQLite on this machine's disk, and in memory, in turns;
and so is reading a notification: the whole of it, and the RSA operation that is in it, in turns.
"""

import base64
import contextlib
import io
import itertools
import json
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
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import structlog
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from rich.console import Console
from rich.table import Table

from payhub import BadNotification, Delivery, Hub, Money, PayoutOrder, Status, ToCard
from payhub_alikassa import notifications
from payhub_alikassa.sandbox import write_directory
from payhub_alikassa.signing import load_signer
from tests.alikassa import seeds

RATIO = 30.0
JOURNAL_RATIO = 0.5
JOURNAL_RATE = 300.0
LOG_RATIO = 0.8
EXCHANGES = 1_000_000
STORY_S = 1.0
OPEN_ORDERS = int(os.environ.get("OPEN_ORDERS", "100_000"))  # all are swept, which takes minutes
SWEEP_MiB = 8.0
VERIFY_RATIO = 0.4
SENDERS, DELIVERIES = 200, 2000
VECTORS = Path(seeds.__file__).parent / "vectors"
IMPORT_MS = 150.0
HEAVY = ("sqlalchemy", "starlette", "typer", "uvicorn")
SECONDS = 0.25
ROUNDS = 15

_NUMBERS = itertools.count()
"""Of the orders of all hubs: those that keep their journal in memory share it."""


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


def opened(config: Path, *, journal: bool, **keys: str) -> Hub:
    """Open a hub on a sandbox's configuration, with its journal, and more keys of it, or in memory."""
    tables = tomllib.loads(config.read_text("utf-8"))
    if journal:
        tables["journal"] |= keys
    else:
        del tables["journal"]
    return Hub.from_mapping(tables, base=config.parent)


def payouts(hub: Hub) -> Callable[[], object]:
    """Return a function that makes one payout with payhub, each time of another order."""
    amount, card = Money("500", "RUB"), ToCard("4111111111111111")

    def payout() -> None:
        order = PayoutOrder(order_id=f"po-{next(_NUMBERS)}", amount=amount, to=card)
        answer = hub.create_payout("alikassa-rub", order)
        if answer.status is not Status.PENDING:
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
        with (
            opened(config, journal=True) as sqlite,
            opened(write_directory(directory / "terse", port), journal=True, keep_exchanges="0s") as terse,
            opened(config, journal=False) as memory,
        ):
            kept, bare_orders, forgotten = payouts(sqlite), payouts(terse), payouts(memory)
            kept()
            bare_orders()
            turns = [(rate(kept), rate(bare_orders), rate(forgotten)) for _ in range(ROUNDS)]
    durable, terse_rate, fleeting = (max(column) for column in zip(*turns, strict=True))
    ratio, logged = durable / fleeting, durable / terse_rate
    return [
        Row(
            "create_payout, journal in SQLite",
            f"{durable:,.0f} / s",
            f"at least {JOURNAL_RATE:.0f} / s",
            durable >= JOURNAL_RATE,
        ),
        Row("create_payout, journal in memory", f"{fleeting:,.0f} / s"),
        Row("SQLite to memory", f"{ratio:.2f} x", f"at least {JOURNAL_RATIO} x", ratio >= JOURNAL_RATIO),
        Row("create_payout, no exchanges kept", f"{terse_rate:,.0f} / s"),
        Row("with exchanges to without", f"{logged:.2f} x", f"at least {LOG_RATIO} x", logged >= LOG_RATIO),
    ]


def measure_sweeps(directory: Path) -> list[Row]:
    """Sweep very many open orders, each once: how fast, and what the memory grows by after the first sweep."""
    with stub() as port:
        words = str(write_directory(directory, port)), str(OPEN_ORDERS)
        subprocess.check_call([sys.executable, "-m", "bench.sweeps", "fill", *words])
        told = subprocess.check_output([sys.executable, "-m", "bench.sweeps", "sweep", *words], text=True)
    swept, each, grown = map(float, told.split())
    if swept != OPEN_ORDERS:
        raise SystemExit(f"{swept:.0f} orders were swept, not {OPEN_ORDERS}")
    return [
        Row("sweep, journal in SQLite", f"{each:,.0f} orders / s"),
        Row(
            f"memory, while {OPEN_ORDERS:,} open orders are swept",
            f"+{grown:.1f} MiB",
            f"at most +{SWEEP_MiB:.0f} MiB",
            grown <= SWEEP_MiB,
        ),
    ]


def measure_stories(directory: Path) -> list[Row]:
    """Tell what happened to one order of very many, as a support agent does; of each the best turn counts."""
    with stub() as port:
        config = str(write_directory(directory, port))
        filled = subprocess.check_output([sys.executable, "-m", "bench.stories", config, str(EXCHANGES)], text=True)
    if int(filled.split()[-1]) < EXCHANGES:
        raise SystemExit(f"there are not {EXCHANGES} exchanges")
    program = str(Path(sys.executable).with_name("payhub"))
    rows = []
    for command in ("trace", "ticket"):
        spent = min(timed([program, command, "many-77777", "--config", config]) for _ in range(5))
        what = f"payhub {command}, of {EXCHANGES:,} exchanges"
        rows.append(Row(what, f"{spent:.2f} s", f"at most {STORY_S:.0f} s", spent <= STORY_S))
    return rows


def timed(command: list[str]) -> float:
    """Return how many seconds a command takes, from its start to its end."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure_signatures(directory: Path) -> list[Row]:
    """Measure signing and verifying a body of the usual length."""
    signer = load_signer(directory / "cert" / "payout", None, "sha1")
    body = os.urandom(300)
    signature = signer.sign(body)
    return [
        Row("sign, RSA 2048", f"{rate(lambda: signer.sign(body)):,.0f} / s"),
        Row("verify, RSA 2048", f"{rate(lambda: signer.verifier.verify(body, signature)):,.0f} / s"),
    ]


def bare(public: Path, signature: bytes, text: bytes) -> Callable[[], object]:
    """Return the verification of one signature as cryptography does it, with nothing around it."""
    key, scheme = serialization.load_pem_public_key(public.read_bytes()), padding.PKCS1v15()
    algorithm = hashes.SHA1()  # noqa: S303 - what the provider signs with
    assert isinstance(key, rsa.RSAPublicKey)
    return lambda: key.verify(signature, text, scheme, algorithm)


def refused(hub: Hub, query: str) -> Callable[[], object]:
    """Return the refusal of a notification."""
    delivery = Delivery(method="GET", query=query.encode())

    def refuse() -> None:
        with contextlib.suppress(BadNotification):
            hub.read_notification("alikassa-rub", delivery)
            raise SystemExit("a forgery was accepted")

    return refuse


def measure_notifications(directory: Path) -> list[Row]:
    """Compare the documented notification, read whole, with the RSA operation that is in it, in turns.

    The best turn of each counts. PHP made the message and its signature; see the vectors.
    """
    public = VECTORS / "cert/notification/public.pem"
    made = json.loads((VECTORS / "vectors.json").read_text("utf-8"))["notifications"][0]
    delivery, sign = Delivery(method="GET", query=made["query"].encode()), dict(parse_qsl(made["query"]))["sign"]
    tables = tomllib.loads(write_directory(directory, 1).read_text("utf-8"))
    account = tables["accounts"]["alikassa-rub"]
    account["notification_key"] = str(public)
    del tables["journal"]
    with Hub.from_mapping(tables, base=directory) as hub:
        driver: Any = hub.registry.account("alikassa-rub").driver
        functions = (
            bare(public, base64.b64decode(sign), made["signed_string"].encode()),
            lambda: hub.read_notification("alikassa-rub", delivery),
            lambda: notifications.read(delivery, driver.verifiers(), account=account["account"], currency="RUB"),
            refused(hub, made["query"].replace(sign[:4], "AAAA")),
            refused(hub, made["query"].replace("3000.00", "3000.01")),
        )
        turns = [[rate(function) for function in functions] for _ in range(ROUNDS)]
    verified, read, inner, forged, altered = (max(column) for column in zip(*turns, strict=True))
    ratio = inner / verified
    return [
        Row("verify, RSA 2048, cryptography alone", f"{verified:,.0f} / s"),
        Row("the driver verifies the documented form", f"{inner:,.0f} / s"),
        Row("that to verify alone", f"{ratio:.2f} x", f"at least {VERIFY_RATIO} x", ratio >= VERIFY_RATIO),
        Row("hub.read_notification to verify alone", f"{read / verified:.2f} x"),
        Row("refuse a forged signature", f"{forged:,.0f} / s"),
        Row("refuse an altered message", f"{altered:,.0f} / s"),
    ]


def measure_receiver(directory: Path) -> list[Row]:
    """Send to `payhub serve` over many connections at once: each notification is to be answered 200 and kept."""
    with stub() as port:
        config = write_directory(directory, port)
        uuid = tomllib.loads(config.read_text("utf-8"))["accounts"]["alikassa-rub"]["account"]
        program = ["-m", "bench.senders", str(config), uuid, str(DELIVERIES), str(SENDERS)]
        told = subprocess.check_output([sys.executable, *program], text=True).split()
    answered, kept, spent, longest = map(float, told)
    lost = DELIVERIES - int(min(answered, kept))
    what = f"{DELIVERIES:,} notifications over {SENDERS} connections"
    return [
        Row(f"{what}, journal in SQLite", f"{DELIVERIES / spent:,.0f} / s"),
        Row("the longest that one waited for its 200", f"{longest * 1000:,.0f} ms"),
        Row("of them not answered 200, or not kept", f"{lost} lost", "0 lost", lost == 0),
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
            *measure_stories(directory / "stories"),
            *measure_signatures(directory),
            *measure_notifications(directory / "notifications"),
            *measure_receiver(directory / "receiver"),
            *measure_import(),
        ]
    table = Table("what", "measured", "promised", "", title=f"Python {sys.version.split()[0]}, {os.cpu_count()} cores")
    for row in rows:
        table.add_row(row.what, row.measured, row.promised, {None: "", True: "kept", False: "MISSED"}[row.kept])
    Console(width=112).print(table)
    return int(any(row.kept is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
