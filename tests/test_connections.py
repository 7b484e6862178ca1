"""What a connection is used for: no answer is taken for another call's, and a proxy is told the way only."""

import contextlib
import datetime as dt
import gc
import logging
import select
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import certifi
import msgspec
import pytest
import trustme

from payhub import AsyncHub, ConfigurationError, Hub, NotSent, PayoutOrder, Phase, Status
from payhub.testing import fake
from payhub.transport import connection
from payhub.transport.pool import tls_context
from tests.conftest import Observer
from tests.raw_server import RawServer, answer
from tests.samples import PAYOUT, known

Open = Callable[..., Any]
Serve = Callable[..., RawServer]

FIRST, SECOND = (msgspec.structs.replace(PAYOUT, order_id=f"po-{number}") for number in (1, 2))


def accepted(order: PayoutOrder, number: str, **fields: object) -> bytes:
    return answer({**known(order), "id": number, **fields})


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """Make an authority of one's own, and a server's certificate of it."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("127.0.0.1").configure_cert(context)
    return tmp_path / "ca.pem", context


# Surplus bytes


class Stray:
    """An answer with surplus bytes, in one segment or after it; and should the connection be used again, one more."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    def __call__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, TCP_CORK, 1)  # several records of TLS come in one segment, too
        for piece in self.pieces:
            connection.sendall(piece)
        connection.setsockopt(socket.IPPROTO_TCP, TCP_CORK, 0)
        use_again(connection)


class StrayLater:
    """An answer to the first request, and surplus bytes once that was taken; without any, the end."""

    def __init__(self, surplus: bytes) -> None:
        self.surplus = surplus
        self.taken = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        connection.sendall(accepted(FIRST, "7"))
        self.taken.wait(10)
        if self.surplus:
            connection.sendall(self.surplus)
        else:
            connection.shutdown(socket.SHUT_WR)
        use_again(connection)


TCP_CORK = getattr(socket, "TCP_CORK", socket.TCP_NODELAY)


def use_again(connection: socket.socket) -> None:
    """Answer whoever uses the connection again."""
    with contextlib.suppress(OSError):
        if connection.recv(1):
            connection.sendall(accepted(SECOND, "reused"))


def wait_until_readable(port: int) -> None:
    """Wait until there is something to read on this process's connection to a port."""
    sockets = (each for each in gc.get_objects() if isinstance(each, socket.socket) and each.fileno() >= 0)
    ours = [each for each in sockets if peer_port(each) == port]
    assert select.select(ours, [], [], 10)[0]


def peer_port(each: socket.socket) -> int | None:
    try:
        return int(each.getpeername()[1])
    except (OSError, IndexError):
        return None


SURPLUS = {
    "the same answer twice": accepted(FIRST, "7"),
    "an answer that says failed": accepted(FIRST, "7", status="failed"),
    "a part of an answer": b"HTTP/1.1 200 OK\r\n",
    "a line end": b"\r\n",
    "a byte": b"x",
}
NEW = [("7", Status.PENDING, 1), ("8", Status.PENDING, 2)]


@pytest.mark.parametrize("safe", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("surplus", SURPLUS.values(), ids=SURPLUS)
def test_rule_5_a_connection_with_surplus_bytes_is_not_used_again(
    open_hub: Open, serve: Serve, authority: Any, surplus: bytes, safe: bool
) -> None:
    """Rule 5: what came with an answer is not taken for the next one's; that goes over a new connection."""
    server = serve(Stray(accepted(FIRST, "7") + surplus), accepted(SECOND, "8"), tls=authority[1] if safe else None)
    hub = open_hub(server.url, transport={"ca_file": str(authority[0])})
    made = [hub.create_payout("shop", order) for order in (FIRST, SECOND)]
    assert NEW == [
        (each.provider_id, each.status, request.connection) for each, request in zip(made, server.requests, strict=True)
    ]


@pytest.mark.parametrize("safe", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("surplus", [*SURPLUS.values(), b""], ids=[*SURPLUS, "the end"])
def test_rule_5_a_connection_that_spoke_while_idle_is_not_used_again(
    open_hub: Open, serve: Serve, authority: Any, surplus: bytes, safe: bool
) -> None:
    """Rule 5: bytes that come while nothing was asked, or the end, make a connection useless."""
    stray = StrayLater(surplus)
    server = serve(stray, accepted(SECOND, "8"), tls=authority[1] if safe else None)
    hub = open_hub(server.url, transport={"ca_file": str(authority[0])})
    first = hub.create_payout("shop", FIRST)
    stray.taken.set()
    wait_until_readable(server.port)
    second = hub.create_payout("shop", SECOND)
    assert NEW == [
        (each.provider_id, each.status, request.connection)
        for each, request in zip((first, second), server.requests, strict=True)
    ]


@pytest.mark.parametrize("read", [8 * 1024, 64 * 1024, 256 * 1024])
def test_rule_5_what_waits_in_no_parser_and_no_socket_is_surplus(open_hub: Open, serve: Serve, read: int) -> None:
    """Rule 5: asyncio reads ahead into a queue; an answer that ends where a read does leaves the surplus there."""
    size = read - len(accepted(FIRST, "7", x=""))
    size -= len(accepted(FIRST, "7", x="y" * size)) - read  # its length has more digits then
    answered = accepted(FIRST, "7", x="y" * size)
    assert read == len(answered)
    server = serve(Stray(answered + SURPLUS["an answer that says failed"]), accepted(SECOND, "8"))
    hub = open_hub(server.url)
    made = [hub.create_payout("shop", order) for order in (FIRST, SECOND)]
    assert NEW == [
        (each.provider_id, each.status, request.connection) for each, request in zip(made, server.requests, strict=True)
    ]


@pytest.mark.skipif(not hasattr(socket, "TCP_CORK"), reason="records cannot be kept together here")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_rule_5_what_tls_has_read_ahead_is_surplus(serve: Serve, authority: Any, backend: str) -> None:
    """Rule 5: a second record that came with the answer's waits in no socket, and in no parser, but is surplus."""
    server = serve(
        Stray(accepted(FIRST, "7"), SURPLUS["an answer that says failed"]), accepted(SECOND, "8"), tls=authority[1]
    )
    tables = {
        "accounts": {"shop": {"provider": "fake", "base_url": server.url}},
        "transport": {"ca_file": str(authority[0])},
    }

    async def created() -> list[str | None]:
        async with AsyncHub.from_mapping(tables, plugins=(fake,)) as hub:
            first = await hub.create_payout("shop", FIRST)
            return [first.provider_id, (await hub.create_payout("shop", SECOND)).provider_id]

    assert (["7", "8"], [1, 2]) == (
        anyio.run(created, backend=backend), [request.connection for request in server.requests]
    )  # fmt: skip


# A clock that jumps


class Clock:
    """The wall clock as the transport reads it; the machine can be suspended, which no other clock notices."""

    UTC = dt.UTC

    def __init__(self) -> None:
        self.datetime = self
        self.slept = dt.timedelta()

    def now(self, zone: dt.tzinfo) -> dt.datetime:
        return dt.datetime.now(zone) + self.slept

    def suspend(self) -> None:
        self.slept = dt.timedelta(hours=10)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(connection, "dt", made)
    return made


OVERSLEPT = "this process was stopped for so long that the order's lease may end while it sends"


def assert_nothing_left(hub: Any, server: RawServer, observer: Observer) -> None:
    with pytest.raises(NotSent, match=OVERSLEPT):
        hub.create_payout("shop", PAYOUT)
    assert ([], (Phase.NOT_SENT, OVERSLEPT), Status.NOT_SENT) == (
        server.requests,
        (observer.exchanges[-1].phase, observer.exchanges[-1].problem),
        hub.find("payout", PAYOUT.order_id).status,
    )


def test_rule_4_a_machine_suspended_while_it_waits_for_its_rate_sends_nothing(
    open_hub: Open, serve: Serve, observer: Observer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 4: hours after its lease somebody else has acted on the order: the first byte does not leave."""
    server = serve(answer({"available": "1", "held": "0", "currency": "RUB"}))
    account = {"provider": "fake", "base_url": server.url, "max_per_second": 5}
    hub = open_hub(accounts={"shop": account})
    hub.fetch_balance("shop")
    server.requests.clear()
    slept, anyio_slept = time.sleep, anyio.sleep

    def suspended(seconds: float) -> None:
        slept(seconds)
        clock.suspend()

    async def suspended_too(seconds: float) -> None:
        await anyio_slept(seconds)
        clock.suspend()

    monkeypatch.setattr("payhub.transport.runner.time.sleep", suspended)
    monkeypatch.setattr("payhub.transport.runner.anyio.sleep", suspended_too)
    assert_nothing_left(hub, server, observer)


@pytest.mark.parametrize("during", ["connect", "TLS"])
def test_rule_4_a_machine_suspended_while_it_connects_sends_nothing(
    open_hub: Open, serve: Serve, observer: Observer, clock: Clock, authority: Any, during: str
) -> None:
    """Rule 4: the clock is looked at when the first byte is about to leave, after name, TCP and TLS."""
    server = serve(tls=authority[1] if during == "TLS" else None, on_connection=clock.suspend)
    hub = open_hub(server.url, transport={"ca_file": str(authority[0])})
    if during == "connect":
        clock.suspend()
    assert_nothing_left(hub, server, observer)


def test_a_clock_that_jumps_less_than_the_lease_stops_nobody(open_hub: Open, serve: Serve, clock: Clock) -> None:
    """A jump that leaves a deadline of the lease changes nothing; nor does any for a question."""
    server = serve(accepted(PAYOUT, "7"))
    clock.slept = dt.timedelta(seconds=20)  # of 60, of which 30 are the deadline
    hub = open_hub(server.url)
    hub.create_payout("shop", PAYOUT)
    clock.suspend()
    hub.fetch_payout("shop", order_id=PAYOUT.order_id)
    assert 2 == len(server.requests)


# A proxy


class Proxy:
    """A real CONNECT proxy on loopback; with a refusal, it answers only that."""

    def __init__(self, refusal: bytes = b"") -> None:
        self.refusal = refusal
        self.heads: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            self.heads.append(head.decode())
            if self.refusal:
                client.sendall(self.refusal)
                return
            host, _, port = head.split()[1].decode().rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                self._open.append(server)
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                other = {client: server, server: client}
                while True:
                    for ready in select.select([client, server], [], [])[0]:
                        chunk = ready.recv(65536)
                        if not chunk:
                            return
                        other[ready].sendall(chunk)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.stop()


def test_a_proxy_leads_to_the_provider(open_hub: Open, serve: Serve, authority: Any, proxy: Proxy) -> None:
    """A configured proxy is asked to connect, with the configured name, and the call goes through it, under TLS."""
    server = serve(accepted(FIRST, "7"), accepted(SECOND, "8"), tls=authority[1])
    url = proxy.url.replace("//", "//shop:p%40ss@")
    hub = open_hub(server.url, transport={"proxy": url, "ca_file": str(authority[0])})
    made = [hub.create_payout("shop", order).provider_id for order in (FIRST, SECOND)]
    [head] = proxy.heads
    assert (["7", "8"], f"CONNECT 127.0.0.1:{server.port} HTTP/1.1", True) == (
        made, head.splitlines()[0], f"Proxy-Authorization: Basic {b64encode(b'shop:p@ss').decode()}" in head
    )  # fmt: skip


def test_rule_5_surplus_behind_a_proxy_drops_the_connection(
    open_hub: Open, serve: Serve, authority: Any, proxy: Proxy
) -> None:
    """Rule 5: a connection through a proxy is not used again with surplus bytes either."""
    server = serve(
        Stray(accepted(FIRST, "7") + SURPLUS["the same answer twice"]), accepted(SECOND, "8"), tls=authority[1]
    )
    hub = open_hub(server.url, transport={"proxy": proxy.url, "ca_file": str(authority[0])})
    made = [hub.create_payout("shop", order).provider_id for order in (FIRST, SECOND)]
    assert (["7", "8"], 2) == (made, len(proxy.heads))


@pytest.mark.parametrize(
    ("refusal", "problem"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "the proxy answered HTTP 407"),
        (b"HTTP/1.1 502 sesame\r\nContent-Length: 0\r\n\r\n", "the proxy answered HTTP 502"),
        (b"220 smtp.example ESMTP\r\n", "the connection was closed, or the answer is not HTTP"),
    ],
)
def test_rule_5_what_a_proxy_refuses_is_not_sent(
    open_hub: Open, observer: Observer, refusal: bytes, problem: str
) -> None:
    """Rule 5: what is said to a proxy is not the call: if it does not connect, nothing was sent."""
    refusing = Proxy(refusal)
    hub = open_hub("https://pay.example", transport={"proxy": refusing.url})
    with pytest.raises(NotSent) as caught:
        hub.create_payout("shop", PAYOUT)
    refusing.stop()
    assert (True, False, Phase.NOT_SENT) == (
        problem in str(caught.value), "sesame" in str(caught.value), observer.exchanges[-1].phase
    )  # fmt: skip


def test_rule_5_a_handshake_that_fails_behind_a_proxy_is_not_sent(
    open_hub: Open, serve: Serve, authority: Any, proxy: Proxy
) -> None:
    """Rule 5: a certificate that is not trusted is none behind a proxy; and the pool keeps no broken tunnel."""
    server = serve(accepted(PAYOUT, "7"), tls=authority[1])
    hub = open_hub(server.url, transport={"proxy": proxy.url, "deadline": 20})
    for number in range(110):  # the pool has room for 100
        with pytest.raises(NotSent, match=r"^no connection \(not sent\)$"):
            hub.create_payout("shop", msgspec.structs.replace(PAYOUT, order_id=f"po-{number}"))
    assert [] == server.requests


def test_rule_3_what_is_cut_behind_a_proxy_is_unknown(
    open_hub: Open, serve: Serve, authority: Any, proxy: Proxy
) -> None:
    """Rule 3: once the call itself was begun, a cut leaves it open, behind a proxy as anywhere."""
    server = serve(lambda _: None, tls=authority[1])
    hub = open_hub(server.url, transport={"proxy": proxy.url, "ca_file": str(authority[0])})
    assert Status.UNKNOWN is hub.create_payout("shop", PAYOUT).status


def test_this_machine_is_reached_without_a_proxy(open_hub: Open, serve: Serve, proxy: Proxy) -> None:
    """Plain HTTP, which is for this machine only, does not go to a proxy."""
    server = serve(accepted(PAYOUT, "7"))
    open_hub(server.url, transport={"proxy": proxy.url}).create_payout("shop", PAYOUT)
    assert ([], 1) == (proxy.heads, len(server.requests))


def test_rule_12_no_log_has_the_password_of_a_proxy(
    open_hub: Open, serve: Serve, authority: Any, proxy: Proxy, observer: Observer, caplog: pytest.LogCaptureFixture
) -> None:
    """Rule 12: neither httpcore's log, nor a message, nor a repr shows what a proxy wants to hear."""
    server = serve(accepted(PAYOUT, "7"), tls=authority[1])
    transport = {"proxy": proxy.url.replace("//", "//shop:sesame@"), "ca_file": str(authority[0])}
    with caplog.at_level(logging.DEBUG):
        hub = open_hub(server.url, transport=transport)
        hub.create_payout("shop", PAYOUT)
    settings = hub.registry.settings if isinstance(hub, Hub) else hub.hub.registry.settings
    shown = f"{caplog.text} {observer.exchanges} {settings!r} {settings.transport!r}"
    hidden = ("sesame", b64encode(b"shop:sesame").decode())
    assert [False, False, True] == [each in shown for each in (*hidden, f"http://127.0.0.1:{proxy.port}")]


@pytest.mark.parametrize(
    "url",
    ["proxy.example:3128", "socks5://proxy.example", "http://", "http://proxy.example:x", "http://p.example/path",
     "http://p.example?a=sesame", "http://p.example:0", "http://[", "", "http://p.exam\nple"],
)  # fmt: skip
def test_a_proxy_that_is_none_is_refused(url: str) -> None:
    """What is no address of an HTTP proxy is refused when the configuration is read, and not quoted."""
    with pytest.raises(ConfigurationError) as caught:
        Hub.from_mapping({"transport": {"proxy": url}})
    expected = "transport.proxy: give the URL of an HTTP proxy, as http://proxy.example:3128"
    assert expected == str(caught.value)


# An authority of one's own


def test_a_file_of_authorities_is_trusted(open_hub: Open, serve: Serve, authority: Any) -> None:
    """A certificate of an authority in `ca_file` is trusted; without the file it is not."""
    server = serve(accepted(PAYOUT, "7"), tls=authority[1])
    with pytest.raises(NotSent):
        open_hub(server.url).create_payout("shop", PAYOUT)
    trusting = open_hub(server.url, transport={"ca_file": str(authority[0])})
    assert Status.PENDING is trusting.create_payout("shop", PAYOUT).status


def test_the_usual_authorities_stay(authority: Any) -> None:
    """A file of one's own adds authorities, and takes none away."""
    usual, more = (tls_context(certifi.where(), path).cert_store_stats()["x509_ca"] for path in (None, authority[0]))
    assert (True, 1) == (usual > 100, more - usual)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "No such file or directory"), ("nonsense", "it has no certificate in PEM form")],
)
def test_a_file_of_authorities_that_is_none_is_refused(tmp_path: Path, content: str | None, problem: str) -> None:
    """A file that cannot be used is named, and why."""
    path = tmp_path / "own.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        Hub.from_mapping({"transport": {"ca_file": "own.pem"}}, base=tmp_path)
    assert f"transport.ca_file: {path} cannot be used: {problem}" == str(caught.value)
