"""`payhub serve` receives notifications over real HTTP, asks, can sweep, and stops without dropping anything."""

import contextlib
import functools
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from payhub import Delivery
from payhub.receivers import server as serving
from payhub_alikassa.sandbox import Sandbox
from tests.alikassa.sandbox.receiver import receiving

from .conftest import ACCOUNT, CARD, Command, Done, start, wait_for
from .test_reference import sample

PAYOUT = ("payout", ACCOUNT, "--order-id", "po-1", "--amount", "500", "--currency", "RUB", "--to-card", CARD)
STATUS = "/v1/payout/status"


class Serving:
    """A running `payhub serve`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def line(self) -> str:
        """Read a line of what it says."""
        assert self.process.stdout
        return self.process.stdout.readline()

    @functools.cached_property
    def report(self) -> dict[str, Any]:
        """Read what it says to a program, once."""
        report: dict[str, Any] = json.loads(self.line())
        return report

    @property
    def url(self) -> str:
        return str(self.report["url"])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), timeout=60)

    def refuses(self) -> bool:
        """Tell whether no more connections are accepted."""
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return True
        return False

    def ended(self, number: int | None = None) -> Done:
        """Send a signal if one is given, and wait for the end."""
        if number:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return Done(self.process.returncode, out, err)


@contextlib.contextmanager
def served(*options: str, form: tuple[str, ...] = ("--json",)) -> Iterator[Serving]:
    """Run `payhub serve` beside the test; it serves when it has said where."""
    with start("serve", "--port", "0", *form, *options) as process:
        try:
            running = Serving(process)
            assert not form or running.report
            yield running
        finally:
            process.kill()


@pytest.fixture
def payout(payhub: Command, sandbox: Sandbox) -> Delivery:
    """Have a payout that is paid, and its notification, which was not received yet."""
    assert 0 == payhub(*PAYOUT).code
    sandbox.settle("payout", "po-1")
    with receiving() as receiver:
        sandbox.notify("payout", "po-1", to=receiver.url, transport="form")
        (delivery,) = receiver.received(1)
    return delivery


def state(payhub: Command) -> str:
    """Say what the journal knows of the payout."""
    return str(payhub("trace", "po-1", "--json").json["orders"][0]["state"])


def head(delivery: Delivery, *more: str) -> bytes:
    lines = [f"POST /{ACCOUNT} HTTP/1.1", "Host: here", f"Content-Length: {len(delivery.body)}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def begun(running: Serving, delivery: Delivery) -> socket.socket:
    """Begin a request, and return when the receiver waits for the body."""
    connection = running.connect()
    connection.sendall(head(delivery, "Expect: 100-continue"))
    assert b"HTTP/1.1 100 Continue\r\n\r\n" == connection.recv(1000)
    return connection


def answered(connection: socket.socket) -> int:
    response = HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


def test_the_provider_tells_and_the_order_is_settled(payhub: Command, sandbox: Sandbox) -> None:
    """A payout's notification arrives by real HTTP, the provider is asked, its answer settles the order."""
    with served() as running:
        payhub(*PAYOUT, "--notify-url", f"{running.url}/{ACCOUNT}")
        sandbox.settle("payout", "po-1")
        wait_for(lambda: state(payhub) == "succeeded")
        (listed,) = payhub("notifications", "list", "--json").json["notifications"]
        done = running.ended(signal.SIGTERM)
    assert (0, "", "") == done
    assert ("paid", "confirmed", 1) == (listed["provider_status"], listed["verdict"], sandbox.requests(STATUS))
    assert [200] == [sent.answer for sent in sandbox.notifications("payout", "po-1")]


def test_what_a_program_is_told(sandbox: Sandbox) -> None:
    """One JSON object, when it serves."""
    with served() as running:
        running.connect().close()
        done = running.ended(signal.SIGINT)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", running.url)
    expected = {"url": running.url, "accounts": [ACCOUNT], "sweep": False, "pid": running.process.pid}
    assert (expected, 0, "") == (running.report, done.code, done.out)
    assert set(expected) == set(sample("payhub serve"))


def test_what_a_person_is_told(sandbox: Sandbox) -> None:
    """The address, what to give the provider, and that something must sweep."""
    with served(form=()) as running:
        lines = [running.line().rstrip() for _ in range(3)]
        done = running.ended(signal.SIGINT)
    assert re.fullmatch(r"address +http://127\.0\.0\.1:\d+", lines[0])
    assert [f"give the provider  http(s)://your-host/{ACCOUNT}", lines[2]] == lines[1:]
    assert re.fullmatch(r"sweep +must run elsewhere: payhub sweep --watch 5", lines[2])
    assert (0, "") == (done.code, done.err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_under_way_is_answered(payhub: Command, payout: Delivery, number: int) -> None:
    """A signal in the middle of a request: no more are accepted, this one is answered and asked about, exit 0."""
    with served() as running, begun(running, payout) as connection:
        running.process.send_signal(number)
        wait_for(running.refuses)
        connection.sendall(payout.body)
        assert 200 == answered(connection)
        assert (0, "", "") == running.ended()
    assert "succeeded" == state(payhub)


def test_a_question_under_way_is_ended(payhub: Command, sandbox: Sandbox, payout: Delivery) -> None:
    """A signal while the provider is asked: its answer is waited for and kept, exit 0."""
    sandbox.arm("slow", path=STATUS, seconds=1)
    with served() as running, running.connect() as connection:
        connection.sendall(head(payout) + payout.body)
        assert 200 == answered(connection)
        wait_for(lambda: sandbox.requests(STATUS) == 1)
        assert (0, "", "") == running.ended(signal.SIGTERM)
    assert ("succeeded", 1) == (state(payhub), sandbox.requests(STATUS))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_stops_at_once(payout: Delivery, number: int) -> None:
    """A second signal ends the process without waiting."""
    with served() as running, begun(running, payout):
        running.process.send_signal(number)
        wait_for(running.refuses)
        assert -number == running.ended(number).code


def test_it_sweeps_with_the_option(payhub: Command, sandbox: Sandbox) -> None:
    """With `--sweep` orders that are due are asked about, also without a notification; exit 0."""
    payhub(*PAYOUT)
    sandbox.settle("payout", "po-1")
    with contextlib.closing(sqlite3.connect(sandbox.config.with_name("payhub.db"))) as database:
        database.execute("UPDATE payhub_orders SET due_at = 0")
        database.commit()
    with served("--sweep") as running:
        wait_for(lambda: state(payhub) == "succeeded")
        done = running.ended(signal.SIGTERM)
    assert (True, (0, "", "")) == (running.report["sweep"], done)


def test_it_needs_a_journal_that_lasts(payhub: Command, write_config: Callable[[str], Path]) -> None:
    """A journal in memory is refused: exit 2."""
    write_config('[accounts.alikassa-rub]\nprovider = "alikassa"\n')
    done = payhub("serve", "--port", "0")
    words = 'this command needs a journal in a database: set url = "sqlite:///payhub.db" under [journal]'
    assert (2, "", f"payhub: {words}\n") == done


def test_a_port_that_is_taken(payhub: Command, sandbox: Sandbox) -> None:
    """It is named: exit 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = payhub("serve", "--port", port)
    assert (2, f"payhub: cannot listen on 127.0.0.1, port {port}: Address already in use\n") == (done.code, done.err)


def test_an_address_that_is_none(payhub: Command, sandbox: Sandbox) -> None:
    """So is an address that this machine does not have."""
    done = payhub("serve", "--port", "0", "--host", "192.0.2.1")
    assert (2, "payhub: cannot listen on 192.0.2.1, port 0: Cannot assign requested address\n") == (done.code, done.err)


def test_without_the_extra(payhub: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra `server` it says which one to install."""
    monkeypatch.delattr("payhub.receivers.server")
    monkeypatch.delitem(sys.modules, "payhub.receivers.server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = payhub("serve", "--port", "0")
    assert (2, "payhub: receiving needs uvicorn: pip install 'payhub-core[server]'\n") == (done.code, done.err)


async def nothing(_scope: object, _receive: object, send: Callable[..., object]) -> None:
    """Answer every request with 204, as an application."""
    await send({"type": "http.response.start", "status": 204, "headers": []})  # type: ignore[misc]
    await send({"type": "http.response.body"})  # type: ignore[misc]


def test_a_head_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection on which nothing comes, or too little, is closed; also after a whole request."""
    monkeypatch.setattr(serving, "HEAD_TIMEOUT", 0.3)
    request = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
    with serving.Server(nothing, "127.0.0.1", 0) as running:
        for whole, part in ((b"", b""), (b"", request[:10]), (request, request[:10])):
            with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2])), timeout=60) as slow:
                slow.sendall(whole)
                assert not whole or slow.recv(1000).startswith(b"HTTP/1.1 204")
                slow.sendall(part)
                assert b"" == slow.recv(1000)


def test_an_address_of_ipv6() -> None:
    """It is written as it is in a URL."""
    try:
        running = serving.Server(nothing, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with running:
        assert re.fullmatch(r"http://\[::1\]:\d+", running.url)
