"""What only a WSGI receiver has to mind: servers that differ, bodies without a length, and when the answer is sent."""

import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from payhub import AsyncHub, ConfigurationError, Delivery, Hub
from payhub.journal import State
from payhub.models import LONGEST_DELIVERY
from payhub.receivers import wsgi
from payhub.testing import fake
from tests.raw_server import RawServer, serving

from .conftest import SECRET, Receiver, Seen, created, done, eventually, genuine, order
from .test_asgi import CHUNKED
from .test_receivers import Stall, raw

Called = Callable[..., tuple[int, Any]]


@pytest.fixture
def provider() -> Iterator[RawServer]:
    with serving(created()) as provider:
        yield provider


@pytest.fixture
def hub(provider: RawServer, tmp_path: Path) -> Iterator[Hub]:
    with Hub.from_mapping(tables(provider), base=tmp_path, plugins=[fake]) as hub:
        yield hub


def tables(provider: RawServer) -> dict[str, Any]:
    return {"accounts": {"shop": {"provider": "fake", "base_url": provider.url, "secret": SECRET}}}


@pytest.fixture
def call(hub: Hub) -> Called:
    """Call the receiver as a server does: the status, and the body that is still to be closed."""

    def called(**environ: Any) -> tuple[int, Any]:
        delivery = genuine()
        said = {"REQUEST_METHOD": "POST", "PATH_INFO": "/shop", "HTTP_X_SIGNATURE": delivery.headers["x-signature"]}
        whole = {"wsgi.input": io.BytesIO(delivery.body), "CONTENT_LENGTH": str(len(delivery.body))}
        given = {name: value for name, value in {**said, **whole, **environ}.items() if value is not None}
        setup_testing_defaults(given)
        statuses: list[str] = []
        body = wsgi(hub)(given, lambda status, _headers, _cause=None: statuses.append(status))  # type: ignore[arg-type]
        return int(statuses[0][:3]), body

    return called


def test_the_question_waits_until_the_answer_was_sent(hub: Hub, provider: RawServer, call: Called) -> None:
    """Servers call `close` when they have sent everything: only then the provider is asked."""
    hub.create_payment("shop", order())
    status, body = call()
    assert (200, [b"OK"], 1) == (status, list(body), len(provider.requests))
    body.close()
    assert 2 == len(provider.requests)


@pytest.mark.parametrize("length", [str(LONGEST_DELIVERY + 1), "9" * 5000, "-1", "many", "\u00b2"])
def test_a_length_that_is_too_large_or_none_is_refused(call: Called, length: str) -> None:
    """413, and the body is not touched."""
    assert 413 == call(CONTENT_LENGTH=length, **{"wsgi.input": None})[0]


def test_without_a_length_there_is_no_body(call: Called) -> None:
    """A server that does not say where the input ends must not be read from: it might block without an end."""
    unread = io.BytesIO(genuine().body)
    assert 400 == call(CONTENT_LENGTH=None, **{"wsgi.input": unread})[0]
    assert 0 == unread.tell()


@pytest.mark.parametrize(("size", "status"), [(0, 200), (LONGEST_DELIVERY + 1, 413)])
def test_without_a_length_as_far_as_the_server_says(call: Called, size: int, status: int) -> None:
    """Where the server ends the input, it is read to its end, or until it is too long."""
    read = io.BytesIO(genuine().body + bytes(size) + bytes(100 if size else 0))
    assert status == call(CONTENT_LENGTH=None, **{"wsgi.input": read, "wsgi.input_terminated": True})[0]
    assert min(LONGEST_DELIVERY + 1, len(read.getvalue())) == read.tell()


def test_an_input_that_gives_less_than_is_asked_for_is_read_on(call: Called) -> None:
    """As streams may."""

    class Few(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 7))

    assert 200 == call(**{"wsgi.input": Few(genuine().body)})[0]


def test_an_input_that_breaks_is_given_up(call: Called) -> None:
    """408: a server raises where the sender has gone, or was too slow for it."""

    class Broken(io.BytesIO):
        def read(self, _: int | None = -1, /) -> bytes:
            raise ConnectionResetError

    assert 408 == call(**{"wsgi.input": Broken()})[0]


def test_an_input_that_is_none_is_refused(call: Called) -> None:
    """400: each server has its own error for chunks that are none, and it is no reason to send the same again."""

    class Malformed(io.BytesIO):
        def read(self, _: int | None = -1, /) -> bytes:
            raise OSError("Invalid chunk size")

    assert 400 == call(**{"wsgi.input": Malformed()})[0]


@pytest.mark.parametrize(("length", "status"), [("1", 400), ("", 200)])
def test_two_lengths_are_refused(call: Called, length: str, status: int) -> None:
    """400, where a server lets them through; an empty one, which servers give, is none."""
    given = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True, "CONTENT_LENGTH": length}
    assert status == call(**given)[0]


def test_a_query_that_is_too_long_is_refused(call: Called) -> None:
    """414, whatever the server in front allows."""
    assert 414 == call(QUERY_STRING="x" * (LONGEST_DELIVERY + 1))[0]


def test_an_async_hub_is_refused(tmp_path: Path) -> None:
    """WSGI does not await."""
    with pytest.raises(ConfigurationError, match="needs a Hub, not an AsyncHub"):
        wsgi(AsyncHub.from_mapping({}, base=tmp_path))  # type: ignore[arg-type]


PROGRAM = """
from payhub import Hub, receivers
from payhub.testing import fake
from wsgiref.util import shift_path_info

hub = Hub.from_mapping({tables!r}, base={base!r}, plugins=[fake])
receiver = receivers.wsgi(hub)

def application(environ, start_response):
    assert shift_path_info(environ) == "in"
    return receiver(environ, start_response)
"""


@pytest.fixture
def gunicorn(provider: RawServer, tmp_path: Path) -> Iterator[int]:
    """Serve the receiver by gunicorn, with threads; give its port."""
    journal = {"journal": {"url": "sqlite:///payhub.db"}}
    (tmp_path / "shop.py").write_text(PROGRAM.format(tables=tables(provider) | journal, base=str(tmp_path)), "utf-8")
    command = ["-m", "gunicorn", "--bind", "127.0.0.1:0", "--threads", "4", "--no-control-socket", "shop:application"]
    log = tmp_path / "log"
    with log.open("wb") as writing:
        running = subprocess.Popen([sys.executable, *command], cwd=tmp_path, stderr=writing, stdout=writing)
    try:
        eventually(lambda: bool(re.search(r"Listening at: http", log.read_text())) or running.poll() is not None)
        (port,) = re.findall(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text())
        yield int(port)
    finally:
        running.terminate()
        running.wait()


def test_behind_gunicorn(gunicorn: int, provider: RawServer, tmp_path: Path) -> None:
    """A real server of production: mounted under a path, a body in chunks, and the question after the answer."""
    stall = Stall(done())
    provider.script.append(stall)
    journal = {"journal": {"url": "sqlite:///payhub.db"}}
    with Hub.from_mapping(tables(provider) | journal, base=tmp_path, plugins=[fake]) as hub:
        hub.create_payment("shop", order())
        receiver = Receiver(gunicorn, hub, provider, Seen())
        assert (
            413
            == raw(
                receiver.connect(), CHUNKED + b"%x\r\n" % (LONGEST_DELIVERY + 1) + bytes(LONGEST_DELIVERY + 1)
            ).status
        )
        assert 400 == raw(receiver.connect(), CHUNKED + b"0x0\r\n\r\n").status
        assert [405, 400] == [receiver.send(each).status for each in (Delivery(method="PUT"), Delivery(method="GET"))]
        assert 200 == receiver.send(genuine()).status
        stall.wait()
        assert State.PENDING is receiver.state()
        stall.go.set()
        eventually(lambda: receiver.state() is State.SUCCEEDED)
