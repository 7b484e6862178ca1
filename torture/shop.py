"""The application: its orders, its configuration, its hub, and what its journal holds."""

import functools
import mmap
import random
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec
import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives import serialization

from payhub import AsyncHub, Hub, JournalFailed, Money, NotSent, PayhubError, Payout, PayoutOrder, ToCard
from payhub.journal.sql.tables import tables
from payhub.journal.states import State
from payhub_alikassa.sandbox.directory import write_keys
from torture import provider
from torture.judge import Judge

ACCOUNT = "shop"
UUID = "93d5df06-996c-48c3-9847-348d6b580b80"
CARDS = ("4111111111111111", "5555555555554444", "2200000000000004")

_CONFIGURATION = """[journal]
url = "{journal}"
lease = {lease}

[notifications]
window = {window}

[transport]
deadline = {deadline}

[accounts.{account}]
provider = "{provider}"
account = "{uuid}"
currency = "RUB"
base_url = "{url}"
payout_cert = "{keys}/cert/payout"
notification_key = "{keys}/cert/notification/public.pem"
{more}
"""


_KEYS: list[Path] = []


def make_keys(directory: Path) -> None:
    """Make the keys of all applications of this process and of those forked from it, and prove each of them once.

    To make three takes as long as fifty payouts, and to prove one 40 ms; they are not what is tried here.
    """
    write_keys(directory)
    _KEYS.append(directory)
    once = functools.cache(serialization.load_pem_private_key)
    serialization.load_pem_private_key = once  # type: ignore[assignment]
    for path in directory.glob("cert/*/private.pem"):
        once(path.read_bytes(), path.with_name("password.txt").read_bytes())


def put_keys(directory: Path) -> None:
    """Put the keys into an application's directory."""
    for made in _KEYS:
        shutil.copytree(made, directory, dirs_exist_ok=True)
    write_keys(directory)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal's tables say of an order with one account."""

    account: str
    order_id: str
    state: State
    due: bool
    contradicted: bool
    mismatches: bool
    attempts: int
    provider_id: str | None


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """One application's configuration: its journal, and the judge as its provider.

    The times, in seconds, are such as a busy machine keeps, so that the fault alone decides what happens;
    an experiment that looks for late reports gives shorter ones. `more` goes into the account's table.
    """

    directory: Path
    judge: Judge
    journal: str
    lease: float = 3.0
    deadline: float = 2.0
    window: float = 60.0
    url: str | None = None
    more: str = ""

    @property
    def configuration(self) -> Path:
        """Return the configuration file; it is written when it is first asked for."""
        path = self.directory / "payhub.toml"
        if not path.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            put_keys(self.keys)
            text = _CONFIGURATION.format(
                journal=self.journal,
                lease=self.lease,
                window=self.window,
                deadline=self.deadline,
                account=ACCOUNT,
                uuid=UUID,
                provider=provider.NAME,
                url=self.url or self.judge.url,
                keys=self.keys,
                more=self.more,
            )
            path.write_text(text, "utf-8")
        return path

    @property
    def keys(self) -> Path:
        """Return where the keys are, the provider's own included."""
        return self.directory.parent / "keys"

    @property
    def database(self) -> str:
        """Return the journal's address, absolute."""
        return self.journal.replace("sqlite:///", f"sqlite:///{self.directory}/", 1)

    def beside(self, name: str, **changes: object) -> Self:
        """Make another configuration of the same application: unless changed, on the same journal; under the same key.

        This one's hub must have been opened.
        """
        changes = {"journal": self.database, **changes}
        other = msgspec.structs.replace(self, directory=self.directory / name, **changes)
        key = self.configuration.with_name("payhub.key").read_bytes()
        other.configuration.with_name("payhub.key").write_bytes(key)
        return other

    def hub(self, *plugins: object) -> Hub:
        """Open a hub and its account; nothing is connected yet, so that processes can be forked from here."""
        hub = Hub.from_file(self.configuration, plugins=(provider, *plugins))
        hub.registry.account(ACCOUNT)
        return hub

    def async_hub(self, *plugins: object) -> AsyncHub:
        """Open an asynchronous hub and its account; nothing is connected yet."""
        hub = AsyncHub.from_file(self.configuration, plugins=(provider, *plugins))
        hub.registry.account(ACCOUNT)
        return hub

    def rows(self) -> Mapping[str, Row]:
        """Read the row of each order; of one with several accounts that of its newest leg."""
        return {row.order_id: row for row in read_rows(self.database)}


def read_rows(database: str) -> Sequence[Row]:
    """Read a journal's rows from the outside, on a connection of its own."""
    orders = tables("payhub_").orders
    engine = sa.create_engine(database)
    try:
        with engine.connect() as connection:
            if not sa.inspect(connection).has_table(orders.name):
                return []
            return [_row(row) for row in connection.execute(sa.select(orders).order_by(orders.c.id))]
    finally:
        engine.dispose()


def _row(row: sa.Row[tuple[object, ...]]) -> Row:
    # What waits for a person, or was settled by one, is asked about for days.
    lasting = row.state == State.NEEDS_ATTENTION or row.resolved
    return Row(
        account=row.account,
        order_id=row.order_id,
        state=State(row.state),
        due=row.due_at is not None and not lasting,
        contradicted=row.contradicted,
        mismatches=bool(row.mismatches),
        attempts=row.attempts,
        provider_id=row.provider_id,
    )


def order(order_id: str, *, other: bool = False) -> PayoutOrder:
    """Make an order: the same for the same id, or another one under the same id.

    Ids that differ only after a `~` are orders of the same amount to the same card.
    """
    chance = random.Random(order_id.partition("~")[0])  # noqa: S311 - no secret
    amount = f"{chance.randrange(10_000, 9_999_999) / 100 + other:.2f}"
    return PayoutOrder(order_id=order_id, amount=Money(amount, "RUB"), to=ToCard(chance.choice(CARDS)))


_BACK = 60
_PATIENCE = 60.0  # seconds in which what was not sent is sent again


class Stream:
    """A stream of orders for processes that may die at any instant; it remembers which were handed out.

    All take from a window that moves on, so that they meet at the same orders, and repeat them; one
    in four is an older one, whose sender may be long dead.
    """

    def __init__(self, name: str, window: int = 6, size: int = 1 << 18) -> None:
        """Share memory with every process that is forked from here on."""
        self._name = name
        self._window = window
        self._marks = mmap.mmap(-1, size)
        self._at = mmap.mmap(-1, 8)
        self._taken = mmap.mmap(-1, 8)

    @property
    def begun(self) -> int:
        """Return how far the window has moved: every order before it has been open to all for long."""
        return int.from_bytes(self._at[:8], "little")

    @property
    def taken(self) -> int:
        """Return a number that changes with every order that is taken; takes at the same instant may count once."""
        return int.from_bytes(self._taken[:], "little")

    def moved(self, taken: int) -> bool:
        """Tell whether an order was taken since that number was `taken`."""
        return self.taken != taken

    def take(self, chance: random.Random) -> str:
        """Return an order's id, and remember that it was submitted."""
        base = self.begun
        if chance.randrange(3) == 0:
            self._at[:8] = (base + 1).to_bytes(8, "little")
        again = base and chance.randrange(4) == 0
        number = max(0, base - chance.randrange(_BACK)) if again else base + chance.randrange(self._window)
        self._marks[number] = 1
        self._taken[:] = (self.taken + 1).to_bytes(8, "little")
        return f"{self._name}-{number}"

    def submitted(self) -> tuple[str, ...]:
        """Return the ids of all orders that were handed out."""
        marks = self._marks[:]
        return tuple(f"{self._name}-{number}" for number in range(marks.rfind(1) + 1) if marks[number])


def retry(hub: Hub, order_ids: Iterable[str]) -> list[str]:
    """Submit orders once more, as an application does that does not know how far it had got."""
    problems = []
    for order_id in order_ids:
        try:
            submit(hub, order_id)
        except PayhubError as cause:
            problems.append(f"{order_id}: submitted again: {type(cause).__name__}: {cause}")
    return problems


def submit(hub: Hub, order_id: str, judge: Judge | None = None) -> Payout:
    """Submit an order; what was not sent, because the machine is busy, is sent again.

    With a judge, only what it has not received counts as not sent.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return hub.create_payout(ACCOUNT, order(order_id))
        except (NotSent, JournalFailed):
            if time.monotonic() > end or (judge and judge.verdict(order_id).received[order_id]):
                raise


def sweep(hub: Hub, database: str, seconds: float) -> list[str]:
    """Sweep until nothing is open or due."""
    end = time.monotonic() + seconds
    while True:
        while hub.sweep(200):
            pass
        left = [row.order_id for row in read_rows(database) if row.due or row.state.open]
        if not left:
            return []
        if time.monotonic() > end:
            return [f"{order_id}: still open or due after {seconds:.0f} s of sweeping" for order_id in left]
        time.sleep(0.05)


class Log:
    """A log that prints nothing, and keeps the names of critical events."""

    def __init__(self) -> None:
        """Begin without an event."""
        self.critical: list[str] = []

    def __call__(self, _logger: object, method: str, event: structlog.typing.EventDict) -> str:
        """Keep the name of a critical event, and drop the event."""
        if method == "critical":
            self.critical.append(str(event.get("event")))
        raise structlog.DropEvent


LOG = Log()


def quiet() -> None:
    """Let nothing be printed in this process and those forked from it."""
    structlog.configure(processors=[LOG])
