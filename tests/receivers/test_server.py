"""The server of `payhub serve` keeps what strangers can take of it within bounds: time, connections, files, the log."""

import asyncio
import contextlib
import re
import resource
import socket
from asyncio import constants
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from payhub import Hub
from payhub.receivers import asgi
from payhub.receivers import server as serving
from payhub.testing import fake

from .conftest import PATIENCE, SECRET, eventually, genuine
from .test_receivers import answer_on

HEAD = b"POST /shop HTTP/1.1\r\nHost: here\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
REQUEST = HEAD + b"Content-Length: 1\r\n\r\nx"
HIDDEN = b"PUT /hidden HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n"


class Application:
    """An application that reads each request to its end and answers it with 204; it knows how many there were."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Callable[..., Any]) -> None:
        self.paths.append(scope["path"])
        more = True
        while more:
            more = (await receive()).get("more_body")
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


@pytest.fixture
def app() -> Application:
    return Application()


@pytest.fixture
def port(app: Application, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Serve it with room for four connections; give the port."""
    monkeypatch.setattr(serving, "MOST_CONNECTIONS", 4)
    with serving.Server(app, "127.0.0.1", 0) as running:
        yield int(running.url.rpartition(":")[2])


@pytest.fixture
def connect(port: int) -> Iterator[Callable[..., socket.socket]]:
    """Connect, and send bytes; all is closed in the end."""
    with contextlib.ExitStack() as stack:

        def connected(sent: bytes = b"") -> socket.socket:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            connection.sendall(sent)
            return connection

        yield connected


Connect = Callable[..., socket.socket]


def ended(connection: socket.socket) -> bytes:
    """Read until the other side has closed."""
    read = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            read += chunk
    return read


def statuses(connection: socket.socket) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 (\d+)", ended(connection))


@pytest.mark.parametrize("head", [b"a:\r\n" * 101, b"%b", b"X: " + b"y" * 90_000 + b"\r\n", b"a:\n" * 60_000])
def test_a_head_is_not_read_when_it_is_too_long(app: Application, connect: Connect, head: bytes) -> None:
    """400 and the end, also where all of it comes in one read; the application does not hear of it."""
    names = b"".join(b"%x:\r\n" % number for number in range(16_000))
    connection = connect()
    with contextlib.suppress(OSError):  # it is closed when enough has come
        connection.sendall(HEAD + head.replace(b"%b", names) + b"\r\n" + REQUEST)
    assert statuses(connection) in ([b"400"], [])  # a reset overtakes what was not read yet
    assert [] == app.paths


def test_a_hundred_lines_are_read(app: Application, connect: Connect) -> None:
    """The line of the request not counted, and that of the next request neither."""
    head = HEAD + b"a:\r\n" * 98 + b"Content-Length: 0\r\n\r\n"
    last = head.replace(b"a:\r\n", b"Connection: close\r\n", 1)
    assert [b"204", b"204"] == statuses(connect(head + last))


@pytest.mark.parametrize("times", [256, 257])
def test_a_body_in_too_many_pieces_is_given_up(connect: Connect, times: int) -> None:
    """A piece costs as much as a packet, however short it is, and thousands may come in one."""
    connection = connect(CHUNKED + b"1\r\na\r\n" * times + b"0\r\n\r\n")
    assert (204 if times == 256 else 400) == answer_on(connection).status


@pytest.mark.parametrize("line", [b"Transfer-Encoding: chunked", b"Transfer-Encoding:\tchunked"])
def test_two_lengths_hide_no_request(app: Application, connect: Connect, line: bytes) -> None:
    """One answer, the connection is closed, and what stood behind it was not taken for a request."""
    both = HEAD + b"Content-Length: %d\r\n%b\r\n\r\n" % (5 + len(HIDDEN), line)
    assert [b"400"] == statuses(connect(both + b"0\r\n\r\n" + HIDDEN))
    assert [] == app.paths


def test_who_sends_nothing_keeps_nobody_out(connect: Connect) -> None:
    """Where there is no room for one more, the connection ends that has let us wait longest."""
    idle = [connect(), connect(HEAD), connect(CHUNKED + b"5\r\n"), connect(REQUEST)]
    assert 204 == answer_on(idle[3]).status
    for first in idle:
        assert (204, b"") == (answer_on(connect(REQUEST)).status, ended(first))


def test_a_connection_that_is_answered_begins_to_wait_anew(connect: Connect) -> None:
    """A sender that keeps its connection and uses it is not the first to go."""
    used = connect(REQUEST)
    assert 204 == answer_on(used).status
    idle = [connect(REQUEST) for _ in range(3)]
    assert [204] * 3 == [answer_on(each).status for each in idle]
    used.sendall(REQUEST)
    assert 204 == answer_on(used).status
    assert 204 == answer_on(connect(REQUEST)).status
    assert b"" == ended(idle[0])
    used.sendall(REQUEST)
    assert 204 == answer_on(used).status


PROXIED = {
    "nginx": b"POST %b HTTP/1.0\r\nHost: 127.0.0.1:8000\r\nX-Real-IP: 203.0.113.24\r\nConnection: close\r\n%b\r\n%b",
    "HAProxy": b"POST %b HTTP/1.1\r\nhost: shop.example\r\nx-forwarded-for: 203.0.113.24\r\n%b\r\n%b",
    "one that waits": b"POST %b HTTP/1.1\r\nHost: shop.example\r\nExpect: 100-continue\r\n%b\r\n%b",
}


@pytest.mark.parametrize("proxy", PROXIED)
@pytest.mark.parametrize("target", [b"/shop", b"//shop", b"/shop/", b"/%73hop", b"/shop?own=1"])
def test_behind_proxies(tmp_path: Path, proxy: str, target: bytes) -> None:
    """What usual proxies make of a notification is taken: with a length or in chunks, and of the next sender, too."""
    tables = {"accounts": {"shop": {"provider": "fake", "base_url": "http://127.0.0.1:9", "secret": SECRET}}}
    delivery = genuine()
    head = b"X-Signature: %b\r\n" % delivery.headers["x-signature"].encode()
    plain = b"Content-Length: %d\r\n" % len(delivery.body), delivery.body
    chunked = b"Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(delivery.body), delivery.body)
    with (
        Hub.from_mapping(tables, base=tmp_path, plugins=[fake]) as hub,
        serving.Server(asgi(hub), "127.0.0.1", 0) as running,
    ):
        address = "127.0.0.1", int(running.url.rpartition(":")[2])
        for length, body in [plain] if proxy == "nginx" else [plain, chunked]:
            request = PROXIED[proxy] % (target, head + length, body)
            with socket.create_connection(address, timeout=PATIENCE) as connection:
                connection.sendall(request)
                assert 200 == answer_on(connection).status
                if proxy != "nginx":  # the connection is used again
                    connection.sendall(request)
                    assert 200 == answer_on(connection).status


def test_an_idle_connection_is_kept_longer_than_a_head_may_take(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies keep a minute: one whose connection is closed just when it sends answers the provider with 502."""
    monkeypatch.setattr(serving, "HEAD_TIMEOUT", 0.2)
    assert serving.IDLE_TIMEOUT > 60
    kept = connect(REQUEST)
    assert 204 == answer_on(kept).status
    assert b"" == ended(connect(HEAD))
    kept.sendall(REQUEST)
    assert 204 == answer_on(kept).status
    kept.sendall(HEAD)
    assert b"" == ended(kept)


@pytest.mark.parametrize(("files", "most"), [(256, 128), (1024, 500), (resource.RLIM_INFINITY, 500)])
def test_there_is_room_for_half_of_the_files(monkeypatch: pytest.MonkeyPatch, files: int, most: int) -> None:
    """The other half is for the journal and the providers: never is the process out of files by strangers."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert most == serving._Room().most


def test_what_the_event_loop_complains_of_does_not_fill_the_log(
    port: int, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line where a process is out of files all the same, and it serves again when it is not."""
    monkeypatch.setattr(constants, "ACCEPT_RETRY_DELAY", 0.05)
    calls = []

    def fails(listening: socket.socket) -> Any:
        calls.append(listening)
        raise OSError(24, "Too many open files")

    with capture_logs() as logs:
        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "accept", fails)
            waiting = connect(REQUEST)
            eventually(lambda: bool(calls))
        assert 204 == answer_on(waiting).status
    assert [("payhub.server_failed", "OSError")] == [(each["event"], each["error"]) for each in logs]


def test_rule_12_what_the_event_loop_complains_of_is_masked(
    app: Application, port: int, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It quotes the arguments of a callback that failed, and these may be anything."""
    original = app.__call__

    async def complaining(_app: Application, *request: Any) -> None:
        message = "Exception in callback sends('4111111111111111', 'password=tr0ub4dor')"
        asyncio.get_running_loop().call_exception_handler({"message": message})
        await original(*request)

    monkeypatch.setattr(Application, "__call__", complaining)
    with capture_logs() as logs:
        assert 204 == answer_on(connect(REQUEST)).status
    [reason] = [each["reason"] for each in logs if each["event"] == "payhub.server_failed"]
    assert (True, False, False) == ("callback" in reason, "4111111111111111" in reason, "tr0ub4dor" in reason)
