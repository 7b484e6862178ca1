"""Whatever fails beneath it, a public function of payhub raises `PayhubError` and nothing else.

Every public function and method is found by introspection, and has its call here. Each is called while one thing after
the other fails, for real where that can be done: the journal, the driver, the network, the log, the files, the clock,
and the arguments themselves.
"""

import contextlib
import datetime as dt
import functools
import importlib
import inspect
import io
import os
import shutil
import sqlite3
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import anyio
import msgspec
import pytest
import sqlalchemy as sa
import structlog

import payhub
import payhub.receivers
from payhub import (
    AsyncHub,
    Delivery,
    Hub,
    Money,
    PayhubError,
    Payment,
    Status,
    hookimpl,
)
from payhub.driver import Call, ProviderInfo
from payhub.money import InvalidMoney
from payhub.testing import fake
from payhub.ticket import Ticket
from tests.conftest import in_mode
from tests.raw_server import Act, RawServer, answer, close, part, reset, serving
from tests.samples import PAYMENT, PAYOUT, known

MODULES = [
    "payhub",
    "payhub.driver",
    "payhub.errors",
    "payhub.hub",
    "payhub.journal",
    "payhub.masking",
    "payhub.masking.leaks",
    "payhub.models",
    "payhub.money",
    "payhub.receivers",
    "payhub.ticket",
    "payhub.transport.settings",
    "payhub_alikassa",
]
"""What applications and the authors of drivers import.

`payhub.hookspecs` is what others implement, and `payhub.testing` fails by `AssertionError`, as tests do.
"""

PROTOCOLS = {"Account", "Sandbox", "Journal"}
"""What drivers and journals implement, and is nothing that payhub does."""


def doors() -> set[str]:
    """List every public function, and every public method and property of a public class, by its own name."""
    found = set()
    for name in MODULES:
        module = importlib.import_module(name)
        own = [each for each, value in vars(module).items() if getattr(value, "__module__", None) == name]
        for public in getattr(module, "__all__", [each for each in own if not each.startswith("_")]):
            value = getattr(module, public)
            if not inspect.isclass(value) and inspect.isfunction(inspect.unwrap(value) if callable(value) else value):
                found.add(value.__name__)
            elif inspect.isclass(value) and public not in PROTOCOLS:
                kinds = (classmethod, staticmethod, property)
                found |= {
                    f"{each.__name__}.{method}"
                    for each in value.__mro__ if each.__module__.startswith("payhub")
                    for method, what in vars(each).items()
                    if not method.startswith("_") and (inspect.isfunction(what) or isinstance(what, kinds))
                }  # fmt: skip
    return found


NOTICE = fake.signed_notification("s", order_id="in-1", amount=Money("3000", "RUB"))
RETURN = fake.signed_return("s", order_id="in-1", reference="u-7")
DAY = dt.date(2026, 1, 31)
DECIDED: dict[str, Any] = {"outcome": "failed", "reason": "their support", "by": "Ann"}
ORDER = {"account": "shop", "kind": "payout", "order_id": "po-1"}

HUB: dict[str, dict[str, Any]] = {
    "create_payment": {"account": "shop", "order": PAYMENT},
    "create_payout": {"account": "shop", "order": msgspec.structs.replace(PAYOUT, order_id="po-2")},
    "find": {"kind": "payout", "order_id": "po-1"},
    "fetch_payment": {"account": "shop", "order_id": "in-1", "amount": PAYMENT.amount},
    "fetch_payout": {"account": "shop", "provider_id": "7"},
    "read_notification": {"account": "shop", "delivery": NOTICE},
    "read_return": {"account": "shop", "delivery": RETURN},
    "receive": {"account": "shop", "delivery": NOTICE},
    "advance": ORDER,
    "resolve": ORDER | DECIDED,
    "sweep": {},
    "sweeping": {},
    "health": {},
    "ticket": ORDER,
    "fetch_balance": {"account": "shop"},
    "fetch_account_info": {"account": "shop"},
    "list_payments": {"account": "shop", "first": DAY, "last": DAY},
}
"""How each method of a hub is called; the journal has the payout po-1."""


def call_hub(hub: Any, name: str, arguments: dict[str, Any]) -> Any:
    """Call a method of a hub of either kind, to its end."""
    if name != "sweeping":
        return getattr(hub, name)(**arguments)
    own, portal = getattr(hub, "hub", hub), getattr(hub, "portal", None)
    if portal is None:
        return list(own.sweeping(**arguments))

    async def drained() -> list[Any]:
        return [each async for each in own.sweeping(**arguments)]

    return portal.call(drained)


class Shop:
    """Hold a hub of either kind, its journal's file, and the server that its account `shop` speaks to."""

    def __init__(self, hub: Any, path: Path | None, server: RawServer) -> None:
        self.hub = hub
        self.path = path
        self.server = server

    @property
    def own(self) -> Any:
        """Return the hub itself, which may be one that is awaited."""
        return getattr(self.hub, "hub", self.hub)

    def fill(self) -> "Shop":
        """Create the payout that the calls are about."""
        self.hub.create_payout("shop", PAYOUT)
        return self


@contextlib.contextmanager
def opened(
    mode: str,
    path: Path | None,
    *script: Act,
    plugins: tuple[object, ...] = (fake,),
    provider: str = "fake",
    patience: float = 5.0,
) -> Iterator[Shop]:
    """Open a shop of either kind, with a journal in a file or in memory, at a provider that answers so.

    `patience` is how many seconds a call may take.
    """
    with serving(*script or (answer(known(PAYOUT)),)) as server:
        tables = {
            "accounts": {"shop": {"provider": provider, "base_url": server.url, "secret": "s"}},
            "journal": {"url": f"sqlite:///{path}", "key": "k" * 32} if path else {},
            "transport": {"deadline": patience},
        }
        with in_mode(mode, lambda kind: kind.from_mapping(tables, plugins=plugins)) as hub:
            yield Shop(hub, path, server)


def wrong(act: Callable[[], object]) -> str | None:
    """Act, and return what was raised that is neither an error of payhub's nor an interruption."""
    try:
        act()
    except (PayhubError, KeyboardInterrupt):
        return None
    except BaseException as cause:  # noqa: BLE001 - which one it is, is what is asked
        inside = [
            each for each in traceback.extract_tb(cause.__traceback__) if f"{os.sep}payhub{os.sep}" in each.filename
        ]
        return f"{type(cause).__name__}: {str(cause)[:60]} at {inside[-1] if inside else None}"
    return None


def try_all(shop: Shop, names: Iterable[str] = HUB) -> dict[str, str]:
    """Call every method of a hub, and the receivers before it, and return what they raised that they must not."""
    raised = {name: wrong(functools.partial(call_hub, shop.hub, name, HUB[name])) for name in names}
    if isinstance(shop.hub, Hub):
        raised |= {name: wrong(functools.partial(receiver, shop.hub)) for name, receiver in RECEIVERS.items()}
    return {name: found for name, found in raised.items() if found}


def ticket() -> Ticket:
    """Make a ticket of an order in memory."""
    with opened("sync", None) as shop:
        made: Ticket = shop.fill().hub.ticket(**ORDER)
        return made


def in_wsgi(hub: Hub) -> Any:
    """Receive a notification over WSGI."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/shop",
        "wsgi.input": io.BytesIO(NOTICE.body),
        "CONTENT_LENGTH": str(len(NOTICE.body)),
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in NOTICE.headers.items()},
    }
    setup_testing_defaults(environ)
    app: Any = payhub.receivers.wsgi(hub)
    body = app(environ, lambda _status, _headers: lambda _: None)
    try:
        return list(body)
    finally:
        body.close()


def in_asgi(hub: Hub) -> Any:
    """Receive a notification over ASGI."""
    scope = {
        "type": "http", "method": "POST", "path": "/shop", "raw_path": b"/shop", "query_string": b"", "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in NOTICE.headers.items()],
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": NOTICE.body, "more_body": False}

    async def send(_: Any) -> None: ...

    async def deliver() -> None:
        await payhub.receivers.asgi(hub)(scope, receive, send)

    anyio.run(deliver)


RECEIVERS: dict[str, Callable[[Any], Any]] = {"wsgi": in_wsgi, "asgi": in_asgi}

ODD: list[Any] = [
    None, True, 7, -1, 10**40, 1.5, float("nan"), "", " ", "nonsense", "a\n", "a\0b", "\ud800", "é" * 300, b"", b"\xff",
    (), Decimal("NaN"), Decimal(10), dt.datetime.max, dt.date.min, Money("1", "RUB"), PAYMENT, Status.UNKNOWN, object(),
    [], {}, {"a": {}}, Path("x"), Delivery(method="GET", query=b"%"), Delivery(method="\ud800", body=b"{" * 10_000),
]  # fmt: skip
"""What a program may pass by mistake."""

PURE: dict[str, Callable[[Any], Any]] = {
    "exact": lambda odd: payhub.driver.exact(msgspec.structs.replace(PAYMENT, description=odd)),
    "insecure": lambda odd: payhub.driver.insecure(str(odd)),
    "leads_here": lambda odd: payhub.driver.leads_here(f"http://[{odd}"),
    "unfit_link": lambda odd: payhub.driver.unfit_link(str(odd)),
    "encodable": payhub.models.encodable,
    "excerpt": lambda odd: payhub.masking.excerpt(str(odd)),
    "printable_json": lambda odd: payhub.masking.printable_json(str(odd)),
    "printable_lines": lambda odd: payhub.masking.printable_lines(str(odd)),
    "find_leaks": lambda odd: payhub.masking.leaks.find_leaks(odd if isinstance(odd, bytes) else str(odd)),
    "find_provider_id": lambda odd: payhub.masking.find_provider_id(odd, fake.Order),
    "hide": payhub.masking.hide,
    "is_card_number": lambda odd: payhub.masking.is_card_number(str(odd)),
    "mask_cards": lambda odd: payhub.masking.mask_cards(str(odd)),
    "mask_json": lambda odd: payhub.masking.mask_json(odd, fake.Order),
    "mask_json_part": lambda odd: payhub.masking.mask_json_part(str(odd), fake.Order),
    "mask_text": lambda odd: payhub.masking.mask_text(str(odd)),
    "mask_value": lambda odd: [payhub.masking.mask_value(odd, mask) for mask in payhub.masking.Mask],
    "one_line": lambda odd: payhub.masking.one_line(str(odd)),
    "printable": lambda odd: payhub.masking.printable(str(odd)),
    "truncate": lambda odd: payhub.masking.truncate(str(odd)),
    "currency_named": lambda odd: payhub.money.currency_named(str(odd)),
    "exponent": lambda odd: payhub.money.exponent(str(odd)),
    "plain_number": payhub.models.plain_number,
    "plain_order_id": payhub.models.plain_order_id,
    "form_of": lambda odd: payhub.ticket.form_of(Path(str(odd))),
    "Transport.problem": lambda odd: payhub.transport.settings.Transport(proxy=str(odd)).problem(),
    "Hub.from_file": Hub.from_file,
    "Hub.from_mapping": lambda odd: [
        Hub.from_mapping({name: odd}) for name in ("accounts", "journal", "notifications", "transport", str(odd))
    ],
    "AsyncHub.from_file": AsyncHub.from_file,
    "AsyncHub.from_mapping": lambda odd: [AsyncHub.from_mapping({"accounts": {"a": odd}})],
}
"""What touches nothing, and is called with whatever a program may pass."""

DOCUMENTED = {"exponent": {InvalidMoney.__name__}, "encodable": {"TypeError"}}
"""What is no `PayhubError` and is said by the function itself: an amount is refused as Python refuses a value."""

VALUES = {
    "Money.as_written",  # reads what payhub itself has written, for drivers' tests
    "Status.final", "State.open", "Order.summary", "PaymentOrder.summary", "PayoutOrder.summary", "Ticket.of",
    "Evidence.explanation", "Evidence.inconclusive", "Facts.key", "Health.healthy", "NotificationContent.key",
    "OrderFilter.fits", "Record.status", "Record.in_doubt", "Record.explanation", "StoredNotification.entry",
    "AccountConfig.identity",
}  # fmt: skip
"""What a value that was checked when it was made says of itself; those of the hubs' results are read on the way."""

TICKETS = {"Ticket.rendered", "Ticket.write"}


def test_every_public_function_is_tried_here() -> None:
    """Whatever is added to what is public needs its call in this file."""
    hubs = {f"{kind}.{name}" for kind in ("Hub", "AsyncHub") for name in (*HUB, "close")}
    properties = {"_Hub.accounts", "_Hub.registry", "_Hub.from_file", "_Hub.from_mapping"}
    here = hubs | properties | set(RECEIVERS) | set(PURE) | VALUES | TICKETS
    inherited = {"Hub.from_file", "Hub.from_mapping", "AsyncHub.from_file", "AsyncHub.from_mapping", "Contents"}
    assert (set(), set()) == (doors() - here, here - doors() - inherited)


def test_what_is_no_error_of_payhubs_is_noticed() -> None:
    """The guard itself finds an error of Python's, and lets one of payhub's pass."""
    found = wrong(lambda: 1 // 0)
    refused = wrong(lambda: Hub.from_mapping({"acounts": {}}))
    assert (True, None) == (found is not None and found.startswith("ZeroDivisionError"), refused)


# The arguments


@pytest.mark.parametrize(("mode", "file"), [("sync", "payhub.db"), ("async", None)])
def test_odd_arguments(mode: str, file: str | None, tmp_path: Path) -> None:
    """Whatever is passed for an argument, of whatever type."""
    with opened(mode, tmp_path / file if file else None) as shop:
        shop.fill()
        raised = {}
        for name, arguments in HUB.items():
            names = list(inspect.signature(getattr(type(shop.own), name)).parameters)[1:]
            for argument in set(names) - {"ask", "internal"}:
                for odd in ODD:
                    given = {**arguments, argument: odd}
                    if found := wrong(functools.partial(call_hub, shop.hub, name, given)):
                        raised[f"{name}({argument}={odd!a:.30})"] = found
    assert {} == raised


@pytest.mark.parametrize("name", PURE)
def test_odd_values(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What touches nothing takes whatever it is given."""
    monkeypatch.chdir(tmp_path)
    raised = {repr(odd): found for odd in ODD if (found := wrong(functools.partial(PURE[name], odd)))}
    assert set() == {found.partition(":")[0] for found in raised.values()} - DOCUMENTED.get(name, set())


# The journal


def interrupted(shop: Shop, at: int) -> None:
    """Have SQLite itself fail, once it has taken so many steps of its machine."""
    left = [at]

    def progress() -> int:
        left[0] -= 1
        return int(left[0] < 0)

    engine = shop.own.journal.database.engine
    shop.own.journal.close()
    sa.event.listen(engine, "connect", lambda connection, _: connection.set_progress_handler(progress, 20))


def garbage(shop: Shop) -> None:
    """Put something else into the file's place."""
    assert shop.path
    shop.own.journal.close()
    shop.path.write_bytes(b"no database at all " * 1000)


def gone(shop: Shop) -> None:
    """Take the file away, and its directory, too."""
    assert shop.path
    for each in shop.path.parent.iterdir():
        each.unlink()
    shop.path.parent.rmdir()


def without_tables(shop: Shop) -> None:
    """Drop the orders."""
    with contextlib.closing(sqlite3.connect(str(shop.path))) as raw:
        raw.execute("DROP TABLE payhub_orders")


def damaged(column: str, value: object, table: str = "payhub_orders") -> Callable[[Shop], None]:
    """Write something into every row that nobody there would write."""

    def damage(shop: Shop) -> None:
        with contextlib.closing(sqlite3.connect(str(shop.path))) as raw:
            for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                raw.execute(f"DROP TRIGGER {name}")
            raw.execute(f"UPDATE {table} SET {column} = ?", (value,))  # noqa: S608 - the names are ours
            raw.commit()

    return damage


JOURNAL: dict[str, Callable[[Shop], None]] = {
    **{f"fails at {at}": functools.partial(interrupted, at=at) for at in (0, 1, 2, 3, 5, 8, 13, 21, 34)},
    "garbage": garbage,
    "gone": gone,
    "no tables": without_tables,
}


@pytest.mark.parametrize("fault", JOURNAL.values(), ids=JOURNAL)
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_journal_that_fails(mode: str, fault: Callable[[Shop], None], tmp_path: Path) -> None:
    """SQLite stops at any step, or its file is garbage, gone, or without tables."""
    (tmp_path / "journal").mkdir()
    with opened(mode, tmp_path / "journal" / "payhub.db") as shop:
        shop.fill()
        fault(shop)
        assert {} == try_all(shop)


@pytest.mark.parametrize("value", ["nonsense", 2**62, None])
def test_rows_that_are_damaged(value: object, tmp_path: Path) -> None:
    """Any column of an order's row holds what nobody there would write."""
    path = tmp_path / "payhub.db"
    with opened("sync", path) as shop:
        shop.fill()
        shop.own.journal.close()
        whole = path.read_bytes()
        with contextlib.closing(sqlite3.connect(str(path))) as raw:
            columns = [row[1] for row in raw.execute("PRAGMA table_info(payhub_orders)")]
        raised: dict[str, str] = {}
        for column in columns:
            shop.own.journal.close()
            for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                each.unlink(missing_ok=True)
            path.write_bytes(whole)
            try:
                damaged(column, value)(shop)
            except sqlite3.Error:  # the table refuses it
                continue
            for name in ("find", "advance", "resolve", "ticket"):
                if found := wrong(functools.partial(call_hub, shop.hub, name, HUB[name])):
                    raised[f"{column}: {name}"] = found
    assert {} == raised


# The driver


class Mistaken:
    """Speak to the fake provider, but for one mistake in every operation."""

    def __init__(self, mistake: Callable[..., Any], **introduction: Any) -> None:
        self.info = msgspec.structs.replace(fake.payhub_provider(), name="mistaken", **introduction)
        for name in list(vars(fake)):
            if name.startswith("payhub_") and name != "payhub_provider":
                setattr(self, name, self.changed(getattr(fake, name), mistake))

    @staticmethod
    def changed(right: Any, mistake: Callable[..., Any]) -> Any:
        """Return a hook that is given to the mistake to be called."""

        @functools.wraps(right)  # pluggy passes what the signature names, and finds the mark
        def hook(*given: Any) -> Any:
            return mistake(functools.partial(right, *given))

        return hook

    @hookimpl
    def payhub_provider(self) -> ProviderInfo:
        return self.info


def boom(*_: Any, **__: Any) -> Any:
    """Raise as a mistake does."""
    raise KeyError("a mistake in the driver")


def in_a_flow(before: Any = None, after: Any = None, result: Any = None) -> Callable[[Any], Any]:
    """Make a mistake in a flow: before its first call, after the answer, or in what it returns."""

    def mistake(right: Any) -> Any:
        flow = right()
        if not inspect.isgenerator(flow):  # a verification
            return (before or after or (lambda: result))()

        def changed() -> Any:
            if before:
                before()
            yield next(flow)
            if after:
                after()
            return result

        return changed()

    return mistake


def yielding(value: Any) -> Callable[[Any], Any]:
    """Yield something that is no call."""

    def mistake(_: Any) -> Any:
        yield value

    return mistake


def interrupting(*_: Any) -> Any:
    raise KeyboardInterrupt


ODD_CALL = Call(operation="x", url="http://[", moves_money=False)
INTERRUPTED = "a flow is interrupted"
DRIVERS: dict[str, Mistaken] = {
    "a hook raises": Mistaken(boom),
    "a flow raises before its call": Mistaken(in_a_flow(before=boom)),
    "a flow raises after its answer": Mistaken(in_a_flow(after=boom)),
    INTERRUPTED: Mistaken(in_a_flow(after=interrupting)),
    "a flow returns nothing": Mistaken(in_a_flow()),
    "a flow returns a number": Mistaken(in_a_flow(result=7)),
    "a flow returns odd fields": Mistaken(
        in_a_flow(result=Payment(status="odd", order_id=7, paid="1", currency=[], created_at=dt.datetime(2026, 1, 1)))  # type: ignore[arg-type]
    ),
    "a flow returns several": Mistaken(in_a_flow(result=(1, None))),
    "a hook returns nothing": Mistaken(lambda _: None),
    "a hook returns a number": Mistaken(lambda _: 7),
    "a flow yields nothing": Mistaken(yielding(None)),
    "a flow yields a number": Mistaken(yielding(7)),
    "a flow calls nowhere": Mistaken(yielding(ODD_CALL)),
    "an account cannot be opened": Mistaken(lambda right: right(), connect=boom),
    "an account is nothing": Mistaken(lambda right: right(), connect=lambda _: None),
}


# What interrupts a task ends its event loop, as Python has it.
MISTAKES = [(mode, name) for mode in ("sync", "async") for name in DRIVERS if (mode, name) != ("async", INTERRUPTED)]


@pytest.mark.parametrize(("mode", "name"), MISTAKES)
def test_a_driver_with_a_mistake(mode: str, name: str) -> None:
    """A driver raises, returns or yields what it must not, before and after its answer."""
    driver = DRIVERS[name]
    with opened(mode, None, plugins=(fake,)) as before:
        before.fill()
        with opened(mode, None, plugins=(fake, driver), provider="mistaken", patience=0.2) as shop:
            assert {} == try_all(shop)


# The network


def stall(_: Any) -> None:
    """Answer nothing for longer than anybody waits."""
    time.sleep(0.3)


NETWORK: dict[str, tuple[Act, ...]] = {
    "cut": (close,),
    "reset": (reset,),
    "silent": (stall,),
    "half an answer": (part(answer({"id": "7"})[:-3]),),
    "no HTTP": (part(b"SSH-2.0-x\r\n"),),
    "a page": (answer(b"<html>", 502),),
    "no JSON": (answer(b"{"),),
    "deep JSON": (answer(b"[" * 100_000),),
    "another JSON": (answer([]),),
    "odd values": (answer({"id": 7, "order_id": {}, "status": None, "amount": "NaN", "currency": "X", "payments": 1}),),
    "a redirect": (answer({}, 302, Location="http://127.0.0.1:9/"),),
    "an odd date": (answer(known(PAYOUT), Date="Sun, 00 Jan 0000 99:99:99 GMT"),),
}


@pytest.mark.parametrize("script", NETWORK.values(), ids=NETWORK)
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_network_that_fails(mode: str, script: tuple[Act, ...]) -> None:
    """The provider's answer does not come, or is none."""
    with opened(mode, None) as before:
        before.fill()
        with opened(mode, None, *script, patience=0.2) as shop:
            assert {} == try_all(shop)


# The log


class Deaf:
    """Be an observer that fails."""

    @hookimpl
    def payhub_event(self) -> None:
        raise OSError("the disk is full")


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_log_that_fails(mode: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The application's log and its observers raise."""
    before = structlog.get_config()
    structlog.configure(processors=[boom])
    try:
        with opened(mode, tmp_path / "payhub.db", plugins=(fake, Deaf())) as shop:
            shop.fill()
            assert {} == try_all(shop)
    finally:
        structlog.configure(**before)


# The clock


class Clock(dt.datetime):
    """A clock that stands somewhere else."""

    at = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
        return Clock.at.astimezone(tz)


TIMES = {
    "long ago": dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
    "the first day": dt.datetime(1, 1, 2, tzinfo=dt.UTC),
    "the last day": dt.datetime(9999, 12, 30, tzinfo=dt.UTC),
}


@pytest.mark.parametrize("at", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize(("mode", "file"), [("sync", "payhub.db"), ("async", None)])
def test_a_clock_that_is_wrong(
    mode: str, file: str | None, at: dt.datetime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The machine's clock stands at the beginning or at the end of time."""
    with opened(mode, tmp_path / file if file else None) as shop:
        shop.fill()
        monkeypatch.setattr(Clock, "at", at)
        monkeypatch.setattr(dt, "datetime", Clock)
        monkeypatch.setattr(time, "time", (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)).total_seconds)
        found = try_all(shop)
        monkeypatch.undo()
        assert {} == found


# The files


def failing_files(monkeypatch: pytest.MonkeyPatch, within: Path, at: int, error: OSError) -> None:
    """Have the n-th act on a file in a directory fail, and all that come after it."""
    left = [at]

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def act(path: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(path, str | Path) and str(path).startswith(str(within)):
                left[0] -= 1
                if left[0] < 0:
                    raise error
            return real(path, *args, **kwargs)

        return act

    for module, name in ((io, "open"), (os, "stat"), (os, "open"), (os, "replace"), (os, "link"), (os, "unlink")):
        monkeypatch.setattr(module, name, guarded(getattr(module, name)))


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), PermissionError(13, "Permission denied")], ids=str)
@pytest.mark.parametrize("at", range(8))
def test_files_that_fail(at: int, error: OSError, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The configuration, the journal's key and note, and the keys of an account cannot be read or written."""
    shutil.copytree(Path(__file__).parent / "alikassa" / "vectors" / "cert", tmp_path / "cert")
    (tmp_path / "payhub.toml").write_text(
        '[journal]\nurl = "sqlite:///payhub.db"\n[accounts.shop]\nprovider = "alikassa"\ncurrency = "RUB"\n'
        'account = "93d5df06-996c-48c3-9847-348d6b580b80"\nbase_url = "http://127.0.0.1:9"\n'
        'payout_cert = "cert/payout"\npayout_password = { file = "cert/payout/password.txt" }\n'
        'notification_key = "cert/notification/public.pem"\n[transport]\ndeadline = 0.1\n'
    )
    failing_files(monkeypatch, tmp_path, at, error)
    raised = {}

    def use() -> None:
        with Hub.from_file(tmp_path / "payhub.toml") as hub:
            for name, arguments in HUB.items():
                raised[name] = wrong(functools.partial(call_hub, hub, name, arguments))

    raised["from_file"] = wrong(use)
    assert {} == {name: found for name, found in raised.items() if found}


@pytest.mark.parametrize("at", range(4))
def test_tickets_and_files_that_fail(at: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A ticket's file cannot be written, or has a name that is none."""
    made = ticket()
    for odd in ODD:
        assert None is wrong(functools.partial(made.rendered, odd))
    assert None is wrong(lambda: made.write(tmp_path / "a\0.md"))
    assert None is wrong(lambda: made.write(tmp_path / f"{'x' * 300}.md"))
    failing_files(monkeypatch, tmp_path, at, OSError(28, "No space left on device"))
    assert None is wrong(lambda: made.write(tmp_path / "po-1.md"))
