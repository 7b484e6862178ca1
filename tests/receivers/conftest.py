"""Serve receivers as applications do: mounted under a path, by real servers, on a journal in SQLite."""

import contextlib
import http.client
import socket
import socketserver
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.util import shift_path_info
from wsgiref.validate import validator

import msgspec
import pytest
import uvicorn
from starlette.applications import Starlette

from payhub import AsyncHub, Delivery, Hub, Money, PaymentOrder, hookimpl
from payhub.driver import Capabilities, ProviderInfo
from payhub.journal import Key, State, StoredNotification
from payhub.receivers import asgi, wsgi
from payhub.testing import fake
from tests.raw_server import RawServer, answer, serving
from tests.samples import known

SECRET = "the secret of these tests"
PATIENCE = 30.0
RUB = Money("3000", "RUB")


def order(order_id: str = "in-1") -> PaymentOrder:
    return PaymentOrder(order_id=order_id, amount=RUB, method="card")


def created(order_id: str = "in-1") -> bytes:
    """Answer that the provider has the order."""
    return answer(known(order(order_id)))


def done(order_id: str = "in-1") -> bytes:
    """Answer that the order is paid."""
    return answer(known(order(order_id), status="done", paid="3000"))


def genuine(order_id: str = "in-1", **said: Any) -> Delivery:
    """Give a genuine notification that a payment is paid."""
    return fake.signed_notification(SECRET, order_id=order_id, amount=RUB, paid=RUB, **said)


def eventually(happened: Callable[[], bool]) -> None:
    """Wait until something is so; fail if it never is."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Answered(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Deaf:
    """A driver that takes no notifications: the fake one without that hook."""

    @hookimpl
    def payhub_provider(self) -> ProviderInfo:
        return msgspec.structs.replace(fake.payhub_provider(), name="deaf", capabilities=Capabilities())


class Seen:
    """A plugin that remembers every delivery that a driver is asked about."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []

    @hookimpl(wrapper=True)
    def payhub_read_notification(self, delivery: Delivery) -> Any:
        self.deliveries.append(delivery)
        return (yield)


class Receiver:
    """A running receiver, its provider, and the application's own hub on the same journal."""

    def __init__(self, port: int, hub: Hub, provider: RawServer, seen: Seen) -> None:
        self.port = port
        self.hub = hub
        self.provider = provider
        self.seen = seen

    def connect(self) -> socket.socket:
        """Connect as a sender does."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def send(self, delivery: Delivery, account: str = "shop", on: http.client.HTTPConnection | None = None) -> Answered:
        """Send a delivery, and return what it is answered."""
        connection = on or http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        query = f"?{delivery.query.decode('latin-1')}" if delivery.query else ""
        connection.request(delivery.method, f"/in/{account}{query}", delivery.body, dict(delivery.headers))
        response = connection.getresponse()
        body = response.read()
        if on is None:
            connection.close()
        return Answered(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def pay(self, order_id: str = "in-1") -> None:
        """Have an order that waits for its payer."""
        self.provider.script[:] = [created(order_id), *self.provider.script]
        self.hub.create_payment("shop", order(order_id))

    def state(self, order_id: str = "in-1") -> State | None:
        """Say what the journal knows of an order."""
        record = self.hub.journal.find(Key("shop", "payment", order_id))
        return record.state if record else None

    def kept(self) -> tuple[StoredNotification, ...]:
        """Return the notifications that the journal has, the newest first."""
        return self.hub.journal.notifications(10_000)

    def asked(self) -> int:
        """Count the questions that came to the provider."""
        return sum(request.path == "/payments/find" for request in self.provider.requests)


Serve = Callable[..., Receiver]


class _Threading(socketserver.ThreadingMixIn, WSGIServer):
    """A server with a thread for each connection; a sender that has left is no news."""

    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def by_wsgiref(hub: Hub, options: dict[str, Any]) -> Iterator[int]:
    """Serve the WSGI receiver with a thread for each connection, and have its manners checked."""
    receiver = validator(wsgi(hub, **options))

    def application(environ: Any, start_response: Any) -> Any:
        assert shift_path_info(environ) == "in"
        return receiver(environ, start_response)

    with _Threading(("127.0.0.1", 0), _Quiet) as server:
        server.set_app(application)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def by_uvicorn(app: Any, **options: Any) -> Iterator[int]:
    """Serve an ASGI application in a thread."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def mounted(make: Callable[[], Any], options: dict[str, Any]) -> Starlette:
    """Mount the ASGI receiver in an application, on a hub that lives as long as it."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        hub = make()
        app.mount("/in", asgi(hub, **options))
        if isinstance(hub, AsyncHub):
            async with hub:
                yield
        else:
            with hub:
                yield

    return Starlette(lifespan=lifespan)


@pytest.fixture(params=["asgi", "asgi of a Hub", "wsgi"])
def way(request: pytest.FixtureRequest) -> str:
    """Run a test with each receiver."""
    return str(request.param)


@pytest.fixture
def serve(way: str, tmp_path: Path) -> Iterator[Serve]:
    """Serve a receiver in one of the ways; the provider answers by a script, at last that `in-1` is paid."""
    with contextlib.ExitStack() as stack:

        def served(*script: Any, **options: Any) -> Receiver:
            provider = stack.enter_context(serving(*(script or (done(),))))
            shop = {"provider": "fake", "base_url": provider.url}
            accounts = {"shop": {**shop, "secret": SECRET}, "keyless": shop, "deaf": {**shop, "provider": "deaf"}}
            tables: dict[str, Any] = {"journal": {"url": "sqlite:///payhub.db"}, "accounts": accounts}
            seen = Seen()

            def opened(kind: Any) -> Any:
                return kind.from_mapping(tables, base=tmp_path, plugins=(fake, Deaf(), seen))

            hub: Hub = stack.enter_context(opened(Hub))
            if way == "wsgi":
                port = stack.enter_context(by_wsgiref(stack.enter_context(opened(Hub)), options))
            else:
                app = mounted(lambda: opened(AsyncHub if way == "asgi" else Hub), options)
                port = stack.enter_context(by_uvicorn(app))
            return Receiver(port, hub, provider, seen)

        yield served
