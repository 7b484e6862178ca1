"""Be another process: do one thing to a journal when the tests say go, and report in JSON."""

import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from payhub import ConfigurationError, Hub, Money
from payhub.accounts.config import journal_key, open_journal, read_mapping
from payhub.journal import Facts
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.migrate import upgrade


def opened(url: str, count: int) -> list[int]:
    """Open the same orders as everybody else, and tell which are ours to send."""
    journal = SqlJournal(url)
    return [number for number in range(count) if journal.open(_facts(number), 60.0).yours]


def _facts(number: int) -> Facts:
    amount = Money("1", "RUB")
    return Facts(account="shop", provider="fake", kind="payout", order_id=f"po-{number}", amount=amount, method="card",
                 fingerprint="f")  # fmt: skip


def claimed(url: str, limit: int) -> list[str]:
    """Claim until nothing is due."""
    journal = SqlJournal(url)
    names: list[str] = []
    while taken := journal.claim(limit, 60.0):
        names += [key.order_id for key in taken]
    return names


def crashed(url: str, lease: float) -> None:
    """Claim an order, and die."""
    SqlJournal(url).claim(1, lease)
    os._exit(7)


def advanced(url: str, provider: str, key: str) -> list[str]:
    """Advance one order from eight threads."""
    sys.path.insert(0, str(Path(__file__).parents[2]))  # a script is not started where the tests are
    from tests.journal.conftest import Waiting  # noqa: PLC0415

    accounts = {"shop": {"provider": "waiting", "base_url": provider}}
    with (
        Hub.from_mapping({"accounts": accounts, "journal": {"url": url, "key": key}}, plugins=(Waiting(),)) as hub,
        ThreadPoolExecutor(8) as threads,
    ):
        return [str(each.status) for each in threads.map(lambda _: hub.advance("shop", "payout", "po-1"), range(8))]


def upgraded(url: str) -> bool:
    """Make the tables."""
    return upgrade(SqlJournal(url).database.engine, "payhub_")


def paced(url: str, count: int, interval: float, patience: float) -> list[float | None]:
    """Reserve instants of the same account as everybody else, and tell how far they are."""
    journal = SqlJournal(url)
    return [journal.reserve_slot("shop", interval, patience) for _ in range(count)]


def key(directory: str) -> str:
    """Return the key of the fingerprints, made if there is none."""
    return journal_key(read_mapping({"journal": {"url": "sqlite:///payhub.db"}}, Path(directory))).decode()


def first(url: str, directory: str) -> bool:
    """Create an order with a key of our own, made beside our own configuration, and tell whether we may."""
    journal = {"url": url}
    opened = open_journal(read_mapping({"journal": journal}, tempfile.mkdtemp(dir=directory)), keyed=True)
    try:
        return opened.open(_facts(os.getpid()), 60.0).yours
    except ConfigurationError:
        return False


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stderr))
    work, *arguments = json.loads(sys.argv[1])
    print("ready", flush=True)  # noqa: T201 - the tests read it
    sys.stdin.readline()
    print(json.dumps(globals()[work](*arguments)))  # noqa: T201 - the same
