"""What a hub does at its limits, and when what stands around it is interrupted: it recovers, and says what it knows."""

import datetime as dt
import functools
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import msgspec
import pytest

from payhub import AsyncHub, Hub, PayhubError, PayoutOrder, Phase, Status
from payhub.journal import State
from payhub.testing import fake
from payhub.transport import connection, deadline, pool
from payhub.transport.http import httpx
from payhub.transport.pool import AsyncPool, SyncPool
from payhub.transport.signals import is_from_signal
from tests.conftest import Awaited, Observer
from tests.raw_server import RawServer, answer, close
from tests.samples import PAYOUT, known

Open = Callable[..., Any]
Serve = Callable[..., RawServer]

ORDERS = [msgspec.structs.replace(PAYOUT, order_id=f"po-{number}") for number in range(9)]
WAITING = ORDERS[2]
BALANCE = answer({"available": "1", "held": "0", "currency": "RUB"})


class Gate:
    """A provider that answers nobody until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        self.open.wait(10)
        connection.sendall(answer(known(PAYOUT)))


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


def outcome(create: Callable[[], Any]) -> str:
    try:
        return str(create().status)
    except PayhubError as cause:
        return str(cause)


# Overload


def test_a_hub_that_was_overloaded_recovers(
    open_hub: Open, serve: Serve, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What finds no free connection is not sent, and costs nothing afterwards: all connections can be had again."""
    for module in (pool, deadline):
        monkeypatch.setattr(module, "AT_ONCE", 2)
    server = serve(gate, gate, answer(known(ORDERS[-1]), id="9"))
    hub = open_hub(server.url, transport={"connect_timeout": 0.3})
    with ThreadPoolExecutor(6) as threads:
        first = [threads.submit(outcome, functools.partial(hub.create_payout, "shop", ORDERS[n])) for n in range(2)]
        while len(server.requests) < 2:
            server.requested.wait(10)
        late = [threads.submit(outcome, functools.partial(hub.create_payout, "shop", ORDERS[n])) for n in range(2, 6)]
        assert {"no free connection within the time allowed (not sent)"} == {each.result() for each in late}
        gate.open.set()
        [each.result() for each in first]
    assert (Status.PENDING, 3) == (hub.create_payout("shop", ORDERS[-1]).status, len(server.requests))


@pytest.mark.parametrize("kind", [SyncPool, AsyncPool])
def test_the_library_limits_nothing_itself(kind: Any) -> None:
    """Where one waits in its pool and gives up a place is lost, and beyond a limit it closes what is in use."""
    made = kind(None, None, *([None] if kind is SyncPool else []))
    assert (sys.maxsize, sys.maxsize) == (made._max_connections, made._max_keepalive_connections)


def test_an_event_loop_whose_threads_all_wait_for_the_hub_goes_on(serve: Serve) -> None:
    """The journal's threads are payhub's own: forty callers in those that a loop shares all get their answers."""
    server = serve(*(answer({**known(PAYOUT), "order_id": f"po-{n}", "id": str(n)}) for n in range(3)))
    tables = {"accounts": {"shop": {"provider": "fake", "base_url": server.url}}, "transport": {"deadline": 5}}

    async def created() -> list[Any]:
        shared = anyio.to_thread.current_default_thread_limiter()
        shared.total_tokens = 3
        ready, found = threading.Barrier(3), []
        async with AsyncHub.from_mapping(tables, plugins=(fake,)) as hub, anyio.create_task_group() as group:

            def endpoint(number: int) -> None:
                ready.wait(10)
                found.append(anyio.from_thread.run(hub.fetch_balance, "shop"))

            for number in range(3):
                group.start_soon(anyio.to_thread.run_sync, endpoint, number)
        return found

    server.script = [BALANCE]
    with anyio.from_thread.start_blocking_portal() as portal:
        assert 3 == len(portal.start_task_soon(created).result(20))


def test_the_addresses_of_a_host_share_the_time(serve: Serve, full_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three addresses that answer nobody leave time for the fourth, and none gets the whole time for itself."""
    server = serve(answer(known(PAYOUT)))
    real, look_up, given = socket.create_connection, socket.getaddrinfo, []

    def connect(address: Any, timeout: float, *args: Any, **options: Any) -> socket.socket:
        given.append(timeout)
        port = full_port if len(given) < 4 else server.port
        return real(("127.0.0.1", port), min(timeout, 0.2), *args, **options)

    def resolve(host: str, *args: Any, **options: Any) -> list[Any]:
        if host != "localhost":
            return look_up(host, *args, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", 1)) for n in range(4)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    tables = {"accounts": {"shop": {"provider": "fake", "base_url": "http://localhost:1"}}}
    with Hub.from_mapping({**tables, "transport": {"connect_timeout": 4}}, plugins=[fake]) as hub:
        assert Status.PENDING is hub.create_payout("shop", PAYOUT).status
    assert (4, True) == (len(given), given[0] <= 1)


@pytest.fixture
def full_port() -> Iterator[int]:
    """Listen, but accept no connection: each waits until it times out."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for each in waiting:
            each.close()


# Callers that go


def begun(hub: Awaited, order: PayoutOrder) -> None:
    """Wait until an order is written down as being sent."""
    while not hub.hub.journal.legs("default", "payout", order.order_id):
        time.sleep(0.001)


def state(hub: Awaited, order: PayoutOrder) -> State:
    found: State = hub.hub.journal.legs("default", "payout", order.order_id)[0].state
    return found


@pytest.mark.parametrize("mode", ["async"], indirect=True)
@pytest.mark.parametrize("rate", [None, 0.05], ids=["a connection", "the rate limit"])
def test_rule_5_what_is_cancelled_while_it_waits_is_not_sent(
    open_hub: Open, serve: Serve, gate: Gate, rate: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 5: a caller that goes while its order waits for its turn leaves it not sent, and it can be sent again."""
    monkeypatch.setattr(pool, "AT_ONCE", 1)
    server = serve(gate, answer({**known(WAITING), "id": "8"}))
    account = {"provider": "fake", "base_url": server.url, "max_per_second": rate}
    hub: Awaited = open_hub(accounts={"shop": account, "other": {**account, "max_per_second": None}})
    first = hub.portal.start_task_soon(hub.hub.create_payout, "shop", PAYOUT)
    assert server.requested.wait(10)
    task = hub.portal.start_task_soon(hub.hub.create_payout, "shop", WAITING)
    begun(hub, WAITING)
    task.cancel()
    with pytest.raises(CancelledError):
        task.result(10)
    gate.open.set()
    first.result(10)
    while state(hub, WAITING) is State.SENDING:
        time.sleep(0.001)
    assert (State.NOT_SENT, 1) == (state(hub, WAITING), len(server.requests))
    assert Status.PENDING is hub.create_payout("other", WAITING).status


@pytest.mark.parametrize("mode", ["async"], indirect=True)
def test_rule_5_what_is_cancelled_while_it_connects_is_not_sent(
    open_hub: Open, serve: Serve, observer: Observer
) -> None:
    """Rule 5: the first byte does not leave once the caller has gone, and that is written down."""
    reached, shaken = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        shaken.wait(10)

    server = serve(answer(known(PAYOUT)), tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), on_connection=hold)
    hub: Awaited = open_hub(server.url)
    task = hub.portal.start_task_soon(hub.hub.create_payout, "shop", PAYOUT)
    assert reached.wait(10)
    task.cancel()
    with pytest.raises(CancelledError):
        task.result(10)
    shaken.set()
    hub.close()
    assert (State.NOT_SENT, [Phase.NOT_SENT], []) == (
        state(hub, PAYOUT), [each.phase for each in observer.exchanges], server.requests
    )  # fmt: skip


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_that_ends_leaves_no_order_with_its_sender(serve: Serve, gate: Gate, backend: str) -> None:
    """A program that ends while its order is answered has written down that nobody knows, for the next sweep."""
    server = serve(gate)
    tables = {"accounts": {"shop": {"provider": "fake", "base_url": server.url}}}
    hub = AsyncHub.from_mapping(tables, plugins=(fake,))

    async def give_up() -> None:
        with anyio.move_on_after(10) as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(hub.create_payout, "shop", PAYOUT)
                await anyio.to_thread.run_sync(server.requested.wait, 10)
                scope.cancel()

    anyio.run(give_up, backend=backend)
    [leg] = hub.journal.legs("default", "payout", PAYOUT.order_id)
    assert (State.UNKNOWN, 1) == (leg.state, len(server.requests))


def test_rule_5_a_program_that_is_told_to_stop_says_what_was_not_sent(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C before the first byte leaves an order not sent; after it, unknown. In both cases it goes on its way."""

    def stop(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    tables = {"accounts": {"shop": {"provider": "fake", "base_url": serve().url}}}
    with Hub.from_mapping(tables, plugins=(fake,)) as hub:
        for order, where in zip(ORDERS, ["connection._parse_url", "connection.CallTrace.take_head"], strict=False):
            with monkeypatch.context() as patch:
                patch.setattr(f"payhub.transport.{where}", stop)
                with pytest.raises(KeyboardInterrupt):
                    hub.create_payout("shop", order)
        found = [hub.journal.legs("default", "payout", order.order_id)[0].state for order in ORDERS[:2]]
    assert [State.NOT_SENT, State.UNKNOWN] == found


# Signals


class SoftLimit(Exception):
    """What a worker of a queue raises from a signal's handler when a task's time is over."""


class Limits:
    def reach(self, _number: int, _frame: object) -> None:
        raise SoftLimit


@pytest.fixture
def soft_limit() -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, Limits().reach)
    yield
    signal.signal(signal.SIGUSR1, before)


def send_signal(_: socket.socket) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


@pytest.mark.parametrize("mode", ["sync"], indirect=True)
@pytest.mark.usefixtures("soft_limit")
def test_a_sweep_ends_when_its_time_is_over(open_hub: Open, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a signal's handler raises, even an `Exception`, ends a sweep; it is no answer in vain."""
    server = serve(answer(known(ORDERS[0])), answer({**known(ORDERS[1]), "id": "8"}), send_signal)
    hub = open_hub(server.url)
    for order in ORDERS[:2]:
        hub.create_payout("shop", order)
    now = hub.journal.now()
    monkeypatch.setattr(hub.journal, "now", lambda: now + dt.timedelta(days=1))
    with pytest.raises(SoftLimit):
        hub.sweep()
    assert 3 == len(server.requests)


@pytest.mark.parametrize("mode", ["sync"], indirect=True)
@pytest.mark.usefixtures("soft_limit")
def test_rule_3_a_create_is_answered_when_its_time_is_over(open_hub: Open, serve: Serve) -> None:
    """Rule 3: an order that may have been sent is no error, whatever interrupts it."""
    hub = open_hub(serve(send_signal).url)
    assert Status.UNKNOWN is hub.create_payout("shop", PAYOUT).status


@pytest.mark.usefixtures("soft_limit")
def test_an_error_that_no_handler_raised_is_not_a_signals() -> None:
    """Only what goes through a handler's own code is from a signal."""
    with pytest.raises(SoftLimit) as caught:
        os.kill(os.getpid(), signal.SIGUSR1)
    assert (True, False) == (is_from_signal(caught.value), is_from_signal(SoftLimit()))


# What stands in the library's place


UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
OPEN = (httpx.ReadTimeout, httpx.ReadError, httpx.WriteTimeout, httpx.WriteError, httpx.RemoteProtocolError)


@pytest.mark.parametrize("error", [*UNSENT, *OPEN, OSError, RuntimeError])
def test_rule_5_what_is_not_observed_may_have_been_sent(
    open_hub: Open, monkeypatch: pytest.MonkeyPatch, mode: str, error: type[Exception]
) -> None:
    """Rule 5: a transport that reports nothing, as a test's, proves by its error alone that nothing was sent."""

    def fail(*_: Any) -> Any:
        raise error("x")

    async def fail_awaited(*_: Any) -> Any:
        raise error("x")

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", fail)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", fail_awaited)
    said = outcome(lambda: open_hub("https://pay.example").create_payout("shop", PAYOUT))
    assert (error in UNSENT) == said.endswith("(not sent)"), said
    assert (error in UNSENT) or said == "unknown"


def test_rule_5_an_event_of_another_name_proves_nothing(
    open_hub: Open, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 5: with a library whose events are called otherwise a lost answer is unknown, and never not sent."""
    monkeypatch.setattr(connection, "_FIRST_BYTE", "http11.head.begun")
    assert Status.UNKNOWN is open_hub(serve(close).url).create_payout("shop", PAYOUT).status
