"""A sandbox for the tests of tickets, and stories as a real hub has written them."""

import datetime as dt
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple

import msgspec
import pytest

from payhub import Declined, Delivery, Hub, Money, Payer, PaymentOrder, PayoutOrder, ToCard
from payhub.journal import Entry, Key, Record
from payhub.ticket import Lang, Ticket
from payhub_alikassa.sandbox import Sandbox
from tests.raw_server import answer, serving

ACCOUNT = "alikassa-rub"
CARD = "4111111111111111"
PAYOUT = PayoutOrder(order_id="po-1", amount=Money("500", "RUB"), to=ToCard(CARD, holder="IVAN IVANOV"))
PAYMENT = PaymentOrder(
    order_id="in-1", amount=Money("3000", "RUB"), method="card", payer=Payer(id="u-881", ip="203.0.113.24")
)
START = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
STEP = dt.timedelta(seconds=1.234)


class Records(NamedTuple):
    """What a journal has of an order, and which order it is."""

    key: Key
    records: tuple[Record, ...]
    entries: tuple[Entry, ...]

    def ticket(self, lang: Lang = "en", **options: Any) -> Ticket:
        """Make the ticket, some time after the last entry."""
        at = max(entry.at for entry in self.entries) + STEP
        return Ticket.of(self.key, self.records, self.entries, lang=lang, **{"at": at, **options})


# What happens to an order, each with a real hub on a real sandbox.


def unknown(hub: Hub, sandbox: Sandbox) -> None:
    """Accept a payout, and answer it with 500."""
    sandbox.arm("error_500_after_accepting", path="/v1/payout", exact=True)
    hub.create_payout(ACCOUNT, PAYOUT)


def settled(hub: Hub, sandbox: Sandbox) -> None:
    """Answer a payout with 500, and pay it later."""
    unknown(hub, sandbox)
    sandbox.settle("payout", "po-1")
    hub.advance(ACCOUNT, "payout", "po-1")


def cut(hub: Hub, sandbox: Sandbox) -> None:
    """Cut the connection of a payout before an answer came."""
    sandbox.arm("cut_after_accepting", path="/v1/payout", exact=True)
    hub.create_payout(ACCOUNT, PAYOUT)


CREATE = """
import sys
from tests.ticket.conftest import ACCOUNT, PAYOUT, Hub
Hub.from_file(sys.argv[1]).create_payout(ACCOUNT, PAYOUT)
"""


def killed(_: Hub, sandbox: Sandbox) -> None:
    """Kill a process while the provider keeps it waiting for the answer to a payout."""
    sandbox.arm("slow", path="/v1/payout", exact=True, seconds=60)
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", CREATE, sandbox.config], cwd=root) as process:
        while not sandbox.requests("/v1/payout"):
            assert process.poll() is None
            sleep(0.05)
        process.kill()


def refused(hub: Hub, sandbox: Sandbox) -> None:
    """Refuse a payment, with complaints about its fields."""
    errors = {"customer_ip": ["The customer ip must be a valid IP address."], "service": ["The service is invalid."]}
    body = {"message": "The given data was invalid.", "errors": errors}
    sandbox.arm("status", path="/v1/payment", exact=True, status=400, body=body)
    with pytest.raises(Declined):
        hub.create_payment(ACCOUNT, PAYMENT)


def not_found(hub: Hub, sandbox: Sandbox) -> None:
    """Create a payment, and do not find it afterwards, asked twice."""
    hub.create_payment(ACCOUNT, PAYMENT)
    sandbox.reset()
    hub.advance(ACCOUNT, "payment", "in-1")
    hub.advance(ACCOUNT, "payment", "in-1")


def mismatch(hub: Hub, sandbox: Sandbox) -> None:
    """Answer the status of a payout with another amount than was ordered."""
    hub.create_payout(ACCOUNT, PAYOUT)
    sandbox.arm("body", path="/v1/payout/status", body={"payment_status": "paid", "amount": "5000.00"})
    hub.advance(ACCOUNT, "payout", "po-1")


def contradicted(hub: Hub, sandbox: Sandbox) -> None:
    """Answer that a payout is failed, but notify that it is paid, twice."""
    hub.create_payout(ACCOUNT, PAYOUT)
    sandbox.settle("payout", "po-1")
    sandbox.arm("body", path="/v1/payout/status", body={"payment_status": "fail", "payment_amount": None}, times=2)
    hub.advance(ACCOUNT, "payout", "po-1")
    with serving(answer()) as receiver:
        sandbox.notify("payout", "po-1", to=receiver.url, transport="JSON")
        receiver.requested.wait(10)
    for _ in range(2):
        hub.receive(ACCOUNT, Delivery(method="POST", body=receiver.bodies[0]))
    hub.advance(ACCOUNT, "payout", "po-1")


HAPPENINGS: dict[str, Callable[[Hub, Sandbox], None]] = {
    happening.__name__: happening
    for happening in (unknown, settled, cut, killed, refused, not_found, mismatch, contradicted)
}


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a sandbox's keys."""
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture
def sandbox(place: Path) -> Iterator[Sandbox]:
    """Serve a sandbox that counts its ids from the beginning, with an empty journal."""
    for path in (*place.glob("payhub.db*"), *place.glob("payhub.note")):
        path.unlink()
    with Sandbox(place) as running:
        running.configure(payout_delay=None)
        yield running


@pytest.fixture
def happen(sandbox: Sandbox) -> Callable[[str], Records]:
    """Let something happen to an order; return what the journal has of it, with everything fixed that varies."""

    def recorded(name: str) -> Records:
        with Hub.from_file(sandbox.config) as hub:
            HAPPENINGS[name](hub, sandbox)
            order = PAYMENT if name in {"refused", "not_found"} else PAYOUT
            records, entries = hub.journal.story(order.order_id)
        return Records(records[0].facts.key, *stilled(records, entries))

    return recorded


# What varies from run to run: times, ports, and what is made at random.

_VARIES = {
    r"127\.0\.0\.1:\d+": "127.0.0.1:8765",
    r"(?<=SHA256:)(?:[0-9a-f]{2}:){31}[0-9a-f]{2}": ":".join(["5a"] * 32),
    r"(?!93d5df06)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}": "0f6f2a54-8f0e-4b39-9d0b-5b1f0e1c7a11",
    r"payhub [\w.+]+, alikassa [\w.+]+, Python [\w.+]+": "payhub 1.0, alikassa 1.0, Python 3.11.0",
}


def stilled(records: tuple[Record, ...], entries: tuple[Entry, ...]) -> tuple[tuple[Record, ...], tuple[Entry, ...]]:
    """Replace what varies from run to run by fixed times and values; nothing else of a story is changed."""
    nobody_waits = {"lease_until": None, "due_at": None, "quiet_until": None}
    text = msgspec.json.encode(([msgspec.structs.replace(r, **nobody_waits) for r in records], entries)).decode()
    times = sorted(set(re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", text)))
    for place, time in enumerate(times):
        text = text.replace(time, (START + place * STEP).isoformat().replace("+00:00", "Z"))
    for pattern, fixed in _VARIES.items():
        text = re.sub(pattern, fixed, text)
    still: tuple[tuple[Record, ...], tuple[Entry, ...]] = msgspec.json.decode(
        text, type=tuple[tuple[Record, ...], tuple[Entry, ...]]
    )
    return still[0], tuple(map(_stilled, still[1]))


def _stilled(entry: Entry) -> Entry:
    exchange = entry.exchange
    if exchange is None:
        return entry
    clock = exchange.started_at.replace(microsecond=0)
    dated = {**exchange.response_headers, "date": format_datetime(clock, usegmt=True)}
    fixed: dict[str, Any] = {"duration": 0.096}
    if exchange.server_time:
        fixed |= {"server_time": clock, "response_headers": dict(sorted(dated.items()))}
    return msgspec.structs.replace(entry, exchange=msgspec.structs.replace(exchange, **fixed))
