"""Send genuine notifications to `payhub serve` over many connections at once, and count: for `bench.py`.

The messages are signed before the clock runs. Each is about an order that the journal knows, so the
receiver also asks the provider, as much as it lets itself.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from bench.sweeps import fill
from payhub import Hub
from payhub_alikassa.sandbox.notifications import add_signature
from payhub_alikassa.sandbox.php import php_query
from payhub_alikassa.sandbox.signatures import load_signer

ACCOUNT = "alikassa-rub"


def messages(directory: Path, uuid: str, count: int) -> list[bytes]:
    """Sign so many notifications, and give the requests that bring them."""
    signer = load_signer(directory, "sha1")
    made = []
    for number in range(count):
        fields: dict[str, object] = {
            "type": "payout",
            "id": number + 1,
            "order_id": f"open-{number}",
            "payment_status": "paid",
            "amount": "500.00",
            "payment_amount": "500.00",
            "commission_amount": "10.00",
            "is_partial_payment": "0",
            "account": uuid,
            "service": "payment_card_rub",
            "desc": None,
        }
        query = php_query(add_signature(fields, signer))
        made.append(b"GET /%b?%b HTTP/1.1\r\nHost: shop.example\r\n\r\n" % (ACCOUNT.encode(), query))
    return made


@contextlib.contextmanager
def served(config: Path) -> Iterator[str]:
    """Run `payhub serve` in a process of its own, and give its address."""
    command = [sys.executable, "-c", "from payhub.cli import main; main()"]
    options = ["serve", "--port", "0", "--json", "--config", str(config)]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait()


async def sender(port: int, left: Iterator[bytes], statuses: Counter[str], slowest: list[float]) -> None:
    """Send over one connection what is left, one after another."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in left:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        slowest.append(time.perf_counter() - began)
        statuses[head.split(b" ")[1].decode()] += 1
    writer.close()


async def load(url: str, requests: list[bytes], connections: int) -> tuple[Counter[str], float, float]:
    """Send all requests over so many connections; return the answers, the seconds and the longest wait."""
    port, left = urlsplit(url).port or 0, iter(requests)
    statuses: Counter[str] = Counter()
    waits: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(sender(port, left, statuses, waits) for _ in range(connections)))
    return statuses, time.perf_counter() - began, max(waits)


def main(config: str, uuid: str, count: int, connections: int) -> None:
    """Fill the journal with orders, send, and count what is answered and what is kept."""
    path = Path(config)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, Hub.from_file(path) as hub:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(nowhere))
        fill(hub, path.with_name("payhub.db"), count)
        requests = messages(path.parent, uuid, count)
        with served(path) as url:
            statuses, spent, longest = asyncio.run(load(url, requests, connections))
        kept = {stored.content.order_id for stored in hub.journal.notifications(2 * count)}
    print(statuses["200"], len(kept), spent, longest)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
