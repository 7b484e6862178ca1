"""What only an ASGI receiver has to mind: bodies in pieces and without haste, other scopes, hubs that are awaited."""

import contextlib
import http.client
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from payhub import AsyncHub, ConfigurationError, Delivery
from payhub.journal import State
from payhub.models import LONGEST_DELIVERY
from payhub.receivers import asgi
from payhub.testing import fake

from .conftest import PATIENCE, SECRET, Serve, by_uvicorn, done, eventually, genuine
from .test_receivers import Stall, answer_on, raw

Message = MutableMapping[str, Any]


@pytest.fixture(params=["asgi", "asgi of a Hub"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


CHUNKED = b"POST /in/shop HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_body_without_an_end_is_refused(serve: Serve) -> None:
    """413 as soon as it is too long, although no length was announced; the connection is closed."""
    receiver = serve()
    with receiver.connect() as connection:
        connection.sendall(CHUNKED + b"%x\r\n" % (LONGEST_DELIVERY + 1) + bytes(LONGEST_DELIVERY + 1))
        answered = answer_on(connection)
        assert (413, "close") == (answered.status, answered.headers["connection"])
        assert b"" == connection.recv(1)
    assert [] == receiver.seen.deliveries


def test_a_body_in_pieces_is_put_together(serve: Serve) -> None:
    """A genuine notification may come in chunks."""
    receiver = serve()
    whole = genuine()
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in whole.body) + b"0\r\n\r\n"
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nX-Signature: %b\r\n\r\n" % whole.headers["x-signature"].encode())
    assert 200 == raw(receiver.connect(), head + pieces).status


def test_a_body_that_does_not_come_is_given_up(serve: Serve) -> None:
    """408 when the time is over, however many bytes have come by then; others are served meanwhile."""
    receiver = serve(body_timeout=0.5)
    with receiver.connect() as slow:
        slow.sendall(b"POST /in/shop HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n")
        stopped = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not stopped.wait(0.02):
                    slow.sendall(b"x")

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert 200 == receiver.send(genuine()).status
        answered = answer_on(slow)
        stopped.set()
        dripping.join()
    assert (408, "close") == (answered.status, answered.headers["connection"])
    assert [] == receiver.seen.deliveries[1:]


def test_a_question_does_not_keep_the_connection(serve: Serve) -> None:
    """While the provider is asked, the next notification on the same connection is answered."""
    stall = Stall(done())
    receiver = serve(stall)
    receiver.pay()
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=PATIENCE)
    assert 200 == receiver.send(genuine(), on=connection).status
    stall.wait()
    assert [200] * 3 == [receiver.send(genuine(f"in-{number}"), on=connection).status for number in (2, 3, 4)]
    connection.close()
    stall.go.set()
    eventually(lambda: receiver.state() is State.SUCCEEDED)


# Without a server


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[AsyncHub]:
    tables = {"accounts": {"shop": {"provider": "fake", "base_url": "http://127.0.0.1:9", "secret": SECRET}}}
    async with AsyncHub.from_mapping(tables, base=tmp_path, plugins=[fake]) as hub:
        yield hub


def scope(delivery: Delivery, path: str = "/shop", **more: Any) -> Message:
    headers = [(name.encode(), value.encode()) for name, value in delivery.headers.items()]
    said = {"type": "http", "http_version": "1.1", "method": delivery.method, "path": path, "root_path": ""}
    return {**said, "query_string": delivery.query, "headers": headers, **more}


async def called(app: Any, scope: Message, received: Iterable[Message]) -> list[Message]:
    """Call an application as a server does, and return what it sends."""
    messages, sent = iter(received), []

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def whole(delivery: Delivery) -> list[Message]:
    return [{"type": "http.request", "body": delivery.body, "more_body": False}]


async def test_the_path_is_the_account(hub: AsyncHub) -> None:
    """Mounted nowhere, or somewhere with its own root: the rest of the path names the account."""
    app, delivery = asgi(hub), genuine()
    found = [
        (await called(app, scope(delivery, path, root_path=root), whole(delivery)))[0]["status"]
        for root, path in [("", "/shop"), ("/a", "/a/shop"), ("/a", "/a/b/shop"), ("", "/a/shop")]
    ]
    assert [200, 200, 400, 400] == found


async def test_a_query_that_is_too_long_is_refused(hub: AsyncHub) -> None:
    """414, whatever the server in front allows."""
    delivery = Delivery(method="GET", query=b"x" * (LONGEST_DELIVERY + 1))
    assert 414 == (await called(asgi(hub), scope(delivery), []))[0]["status"]


async def test_no_path_has_an_answer_of_its_own(hub: AsyncHub) -> None:
    """Whatever a server makes a path of: an absolute address, a `*`, a line end."""
    delivery = genuine()
    paths = ["http://elsewhere/shop", "*", "/shop\r\nX: y", "\n", "", "shop/../shop"]
    found = [await called(asgi(hub), scope(delivery, path), whole(delivery)) for path in ["/nobody", *paths]]
    assert 400 == found[0][0]["status"]
    assert [found[0]] * len(paths) == found[1:]


async def test_two_lengths_are_refused(hub: AsyncHub) -> None:
    """400, and the connection is closed: a proxy may have seen another request behind this one than the server."""
    delivery = genuine()
    headers = {**delivery.headers, "content-length": str(len(delivery.body)), "transfer-encoding": "chunked"}
    start, _ = await called(asgi(hub), scope(msgspec.structs.replace(delivery, headers=headers)), whole(delivery))
    assert (400, b"close") == (start["status"], dict(start["headers"])[b"connection"])


async def test_a_sender_who_leaves_in_the_middle_is_not_answered(hub: AsyncHub) -> None:
    """Nothing is sent, nothing is kept, nothing is logged."""
    messages: list[Message] = [
        {"type": "http.request", "body": b"x", "more_body": True},
        {"type": "http.disconnect"},
    ]
    with capture_logs() as logs:
        sent = await called(asgi(hub), scope(Delivery(method="POST")), messages)
    assert ([], [], ()) == (sent, logs, hub.journal.notifications(10))


async def test_a_server_that_cannot_send_any_more_is_no_trouble(hub: AsyncHub) -> None:
    """The ASGI specification lets `send` raise an `OSError` when the sender has gone; it is kept all the same."""
    delivery = genuine()

    async def receive() -> Message:
        return whole(delivery)[0]

    async def send(_: Message) -> None:
        raise BrokenPipeError

    await asgi(hub)(scope(delivery), receive, send)
    assert 1 == len(hub.journal.notifications(10))


async def test_a_connection_header_is_for_http_1_only(hub: AsyncHub) -> None:
    """HTTP/2 forbids it."""
    delivery = Delivery(method="PUT")
    answers = [await called(asgi(hub), scope(delivery, http_version=version), []) for version in ("1.1", "2")]
    assert [True, False] == [b"connection" in dict(answer[0]["headers"]) for answer in answers]


async def test_lifespan(hub: AsyncHub) -> None:
    """An application that stands alone starts and stops."""
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = await called(asgi(hub), {"type": "lifespan"}, messages)
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == [message["type"] for message in sent]


async def test_websocket(hub: AsyncHub) -> None:
    """It is closed at once."""
    about = {"type": "websocket", "path": "/shop", "root_path": "", "headers": [], "query_string": b""}
    sent = await called(asgi(hub), about, [{"type": "websocket.connect"}])
    assert ["websocket.close"] == [message["type"] for message in sent]


def test_it_serves_alone(tmp_path: Path) -> None:
    """A receiver needs no application around it."""
    tables = {"accounts": {"shop": {"provider": "fake", "base_url": "http://127.0.0.1:9", "secret": SECRET}}}
    hub = AsyncHub.from_mapping(tables, base=tmp_path, plugins=[fake])
    delivery = genuine()
    with by_uvicorn(asgi(hub)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("POST", "/shop", delivery.body, dict(delivery.headers))
        assert 200 == connection.getresponse().status
        connection.close()


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Starlette is not installed, the error says what to install."""
    monkeypatch.delattr("payhub.receivers.asgi_app", raising=False)
    monkeypatch.delitem(sys.modules, "payhub.receivers.asgi_app", raising=False)
    monkeypatch.setitem(sys.modules, "starlette.requests", None)
    made: Callable[[Any], Any] = asgi
    with pytest.raises(ConfigurationError, match=r"pip install 'payhub-core\[server\]'"):
        made(None)
