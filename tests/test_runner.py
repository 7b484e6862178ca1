import asyncio
import collections
import concurrent.futures
import contextlib
import functools
import gc
import gzip
import itertools
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
import trustme
from structlog.testing import capture_logs

from payhub import AsyncHub, Hub, NotFound, NotSent, PayoutOrder, Phase, Status, Unavailable, hookimpl
from payhub.driver import Call, Flow, ProviderInfo
from payhub.journal import Key, State
from payhub.models import Payout
from payhub.testing import fake
from payhub.transport.connection import MAX_BODY
from tests.conftest import Awaited, Observer
from tests.forking import forked
from tests.raw_server import Act, Drip, RawServer, answer, close, part, reset
from tests.samples import PAYMENT, PAYOUT, known

Open = Callable[..., Any]
Serve = Callable[..., RawServer]

GOOD = answer(known(PAYOUT))
SHORT = {"transport": {"deadline": 0.5}}


# What goes out


def test_an_order_goes_out_and_comes_back(open_hub: Open, serve: Serve) -> None:
    """A payout goes to the provider in one request, and its answer is the result."""
    server = serve(GOOD)
    payout = open_hub(server.url).create_payout("shop", PAYOUT)
    assert ("7", Status.PENDING, ["/payouts"]) == (payout.provider_id, payout.status, [r.path for r in server.requests])


def test_rule_11_the_bytes_sent_are_the_bytes_of_the_call(open_hub: Open, serve: Serve) -> None:
    """Rule 11: the body goes out byte for byte as the driver made it, with its length and nothing else."""
    body = b'{"order_id":"po-1", "sum": 1000.440, "x": "\xd1\x84\\u0444"}\r\n\x00'

    class Exact:
        @hookimpl
        def payhub_provider(self) -> ProviderInfo:
            return msgspec.structs.replace(fake.payhub_provider(), name="exact")

        @hookimpl
        def payhub_create_payout(self, account: Any, order: PayoutOrder) -> Flow[Payout]:
            call = account.call("create_payout", "x", order, fake.Order, moves_money=True)
            response = yield msgspec.structs.replace(call, body=body)
            return fake.payout(fake.created(response))

    server = serve(GOOD)
    hub = open_hub(server.url, (Exact(),), accounts={"exact": {"provider": "exact", "base_url": server.url}})
    hub.create_payout("exact", PAYOUT)
    [request] = server.requests
    assert (body, [str(len(body))], []) == (
        request.body,
        request.header("content-length"),
        request.header("transfer-encoding"),
    )


def test_headers(open_hub: Open, serve: Serve) -> None:
    """The driver's headers go out once each; what payhub decides cannot be changed by them."""

    class Loud:
        @hookimpl(wrapper=True)
        def payhub_create_payout(self, account: Any, order: PayoutOrder) -> Any:
            return loud((yield))

    def loud(flow: Any) -> Any:
        call = next(flow)
        headers = {**call.headers, "Accept-Encoding": "gzip", "Accept": "text/plain", "User-Agent": "AliKassa2.0 API"}
        try:
            flow.send((yield msgspec.structs.replace(call, headers=headers)))
        except StopIteration as done:
            return done.value

    server = serve(GOOD)
    open_hub(server.url, (Loud(),)).create_payout("shop", PAYOUT)
    [request] = server.requests
    expected = {"accept-encoding": ["identity"], "accept": ["text/plain"], "user-agent": ["AliKassa2.0 API"],
                "authorization": ["Bearer none"], "content-type": ["application/json"]}  # fmt: skip
    assert expected == {name: request.header(name) for name in expected}


def test_connections_are_reused(open_hub: Open, serve: Serve) -> None:
    """Calls of one hub share a pool of connections."""
    server = serve(answer({"available": "1", "held": "0", "currency": "RUB"}))
    hub = open_hub(server.url)
    for _ in range(3):
        hub.fetch_balance("shop")
    assert (3, 1) == (len(server.requests), server.connections)


def test_cookies_are_not_kept(open_hub: Open, serve: Serve) -> None:
    """A cookie that a provider sets is not sent back: one account must not speak with another's session."""
    server = serve(answer({"available": "1", "held": "0", "currency": "RUB"}, Set_Cookie="session=1; Path=/"))
    hub = open_hub(server.url)
    for _ in range(2):
        hub.fetch_balance("shop")
    assert [[], []] == [request.header("cookie") for request in server.requests]


def test_the_environment_is_ignored(
    open_hub: Open, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No proxy and no certificate is taken from the environment, which anybody may have set."""
    proxy, server = serve(answer({})), serve(GOOD)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    open_hub(server.url).create_payout("shop", PAYOUT)
    assert (1, 0, False) == (len(server.requests), len(proxy.requests), (tmp_path / "keys").exists())


@pytest.fixture
def tls() -> tuple[trustme.CA, ssl.SSLContext]:
    """Make an authority that is not trusted, and a server's certificate of it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return authority, context


UNTRUSTED = "no connection: TLS failed: unable to get local issuer certificate"


@pytest.mark.parametrize("trusted_by_environment", [False, True])
def test_a_certificate_that_is_not_trusted(
    open_hub: Open,
    serve: Serve,
    tls: Any,
    trusted_by_environment: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Rule 5: behind a certificate that is not trusted nothing is sent, whatever SSL_CERT_FILE says."""
    authority, context = tls
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    if trusted_by_environment:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    server = serve(GOOD, tls=context)
    with pytest.raises(NotSent, match=rf"^{UNTRUSTED} \(not sent\)$"):
        open_hub(server.url).create_payout("shop", PAYOUT)
    assert [] == server.requests


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize("safe", [False, True], ids=["http", "https"])
def test_a_fork_takes_no_connection_along(
    open_hub: Open, serve: Serve, tls: Any, safe: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A child connects anew, or it and its parent would read each other's answers; the parent goes on."""
    authority, context = tls
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setattr("certifi.where", lambda: str(tmp_path / "ca.pem"))
    first, second, third = (msgspec.structs.replace(PAYOUT, order_id=f"po-{number}") for number in range(3))
    server = serve(*(answer(known(order)) for order in (first, second, third)), tls=context if safe else None)
    hub = open_hub(server.url)

    def created() -> str:
        if isinstance(hub, Awaited):
            return str(asyncio.run(hub.hub.create_payout("shop", second)).status)
        return str(hub.create_payout("shop", second).status)

    hub.create_payout("shop", first)
    status = forked(created)()
    assert ("pending", Status.PENDING) == (status, hub.create_payout("shop", third).status)
    assert [1, 2, 1] == [request.connection for request in server.requests]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_fork_of_an_event_loop_takes_no_connection_along(serve: Serve) -> None:
    """A child that goes on with its parent's loop connects anew all the same."""
    first, second, third = (msgspec.structs.replace(PAYOUT, order_id=f"po-{number}") for number in range(3))
    server = serve(*(answer(known(order)) for order in (first, second, third)))
    tables = {"accounts": {"shop": {"provider": "fake", "base_url": server.url}}}
    hub, loop = AsyncHub.from_mapping(tables, plugins=(fake,)), asyncio.new_event_loop()

    def created(order: PayoutOrder) -> str:
        return str(loop.run_until_complete(hub.create_payout("shop", order)).status)

    statuses = [created(first), forked(lambda: created(second))(), created(third)]
    loop.run_until_complete(hub.close())
    loop.close()
    assert ["pending"] * 3 == statuses
    assert [1, 2, 1] == [request.connection for request in server.requests]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the connection of a loop that has ended cannot be closed
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_hub_outlives_its_event_loop(serve: Serve, backend: str) -> None:
    """In another loop a hub connects anew: on a connection of a loop that has ended, nothing can be sent."""
    orders = [msgspec.structs.replace(PAYOUT, order_id=f"po-{number}") for number in range(3)]
    server = serve(*(answer(known(order)) for order in orders))
    tables = {"accounts": {"shop": {"provider": "fake", "base_url": server.url}}}
    hub = AsyncHub.from_mapping(tables, plugins=(fake,))
    made = [anyio.run(hub.create_payout, "shop", order, backend=backend) for order in orders]
    anyio.run(hub.close, backend=backend)
    gc.collect()
    assert [Status.PENDING] * 3 == [payout.status for payout in made]
    assert [1, 2, 3] == [request.connection for request in server.requests]


# Not sent


def refused_port() -> int:
    """Return a port of this machine that is not listened on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def full_server() -> Iterator[str]:
    """Listen, but accept no connection: each waits until it times out."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        yield f"http://127.0.0.1:{port}"
        for each in waiting:
            each.close()


LONG_NAME = ".".join(["a" * 60] * 5)  # too long for the DNS, so that no server is asked


def unreachable(kind: str, serve: Serve, full: str, tls: Any) -> str:
    match kind:
        case "refused":
            return f"http://127.0.0.1:{refused_port()}"
        case "no such name":
            return f"https://{LONG_NAME}"
        case "connect times out":
            return full
        case "certificate not trusted":
            return serve(GOOD, tls=tls[1]).url
        case "plain text behind https":
            return serve(GOOD, greeting=answer(b"", 400)).url.replace("http:", "https:")
    raise AssertionError(kind)


UNREACHABLE = {
    "refused": "no connection",
    "no such name": "no connection",
    "connect times out": "no connection within the time allowed",
    "certificate not trusted": UNTRUSTED,
    "plain text behind https": "no connection: TLS failed: wrong version number",
}


@pytest.mark.parametrize(("kind", "problem"), UNREACHABLE.items())
def test_rule_5_what_was_not_sent_is_known(
    open_hub: Open, serve: Serve, observer: Observer, full_server: str, tls: Any, kind: str, problem: str
) -> None:
    """Rule 5: no name, no connection, no handshake: provably not sent, and safe to repeat elsewhere."""
    url = unreachable(kind, serve, full_server, tls)
    hub = open_hub(url, transport={"deadline": 3, "connect_timeout": 0.3})
    with pytest.raises(NotSent, match=rf"^{problem} \(not sent\)$"):
        hub.create_payout("shop", PAYOUT)
    assert [(Phase.NOT_SENT, problem, None)] == [(e.phase, e.problem, e.status) for e in observer.exchanges]


@pytest.mark.parametrize("kind", ["refused", "certificate not trusted"])
def test_a_read_that_was_not_sent_is_repeated_and_unavailable(
    open_hub: Open, serve: Serve, observer: Observer, full_server: str, tls: Any, kind: str
) -> None:
    """A read that cannot be sent is tried again, and is `Unavailable` in the end."""
    hub = open_hub(unreachable(kind, serve, full_server, tls), transport={"deadline": 2})
    with pytest.raises(Unavailable, match=r"\(not sent\)$"):
        hub.fetch_balance("shop")
    phases = {exchange.phase for exchange in observer.exchanges}
    assert ({Phase.NOT_SENT}, True) == (phases, len(observer.exchanges) > 1)


class Elsewhere:
    """A wrapper that sends to another address than the configured one: a driver's mistake, or a page's link."""

    def __init__(self, url: str) -> None:
        self.url = url

    @hookimpl(wrapper=True)
    def payhub_create_payout(self, account: Any, order: PayoutOrder) -> Any:
        return self.moved((yield))

    def moved(self, flow: Any) -> Any:
        call = next(flow)
        try:
            flow.send((yield msgspec.structs.replace(call, url=self.url)))
        except StopIteration as done:
            return done.value


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://pay.example/x", "plain http is allowed to this machine only; use https"),
        ("http://192.0.2.1/x", "plain http is allowed to this machine only; use https"),
        ("ftp://127.0.0.1/x", "not an http or https URL"),
        ("https://[/", "not a URL"),
        ("", "not an http or https URL"),
    ],
)
def test_where_nothing_may_go_nothing_is_sent(open_hub: Open, observer: Observer, url: str, problem: str) -> None:
    """Plain http to another machine, and what is no URL, is refused before anything is sent."""
    with pytest.raises(NotSent) as caught:
        open_hub(plugins=(Elsewhere(url),)).create_payout("shop", PAYOUT)
    assert (f"{problem} (not sent)", [problem]) == (str(caught.value), [e.problem for e in observer.exchanges])


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:99999/", "https://a\nb/", "https://127.0.0.1/\r\nX: y", "https://exa mple/"]
)
def test_a_url_that_cannot_be_sent_is_not(open_hub: Open, url: str) -> None:
    """A URL that no request line can hold is not sent: no other line can be smuggled in."""
    with pytest.raises(NotSent):
        open_hub(plugins=(Elsewhere(url),)).create_payout("shop", PAYOUT)


# Maybe sent


AMBIGUOUS: dict[str, Act] = {
    "closed before the answer": close,
    "reset before the answer": reset,
    "cut in the status line": part(b"HTTP/1."),
    "cut in the head": part(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "cut before the body": part(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
    "cut in the body": part(GOOD[:-1]),
    "cut in a chunk": part(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"id'),
    "cut between chunks": part(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    "not HTTP": part(b"220 smtp.example ESMTP\r\n"),
    "two lengths": part(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "gzip": answer(gzip.compress(b"{}"), Content_Encoding="gzip"),
    "an unknown encoding": answer(b"{}", Content_Encoding="x-rot13"),
    "announced too large": part(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1)),
    "announced far too large": part(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
    "chunked too large": lambda connection: chunked(connection, MAX_BODY // 1024 + 1),
    "until closed too large": part(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (MAX_BODY + 1)),
    "a head too large": part(b"HTTP/1.1 200 OK\r\nX: " + b"x" * (200 * 1024)),
}


def chunked(connection: socket.socket, chunks: int) -> None:
    """Send an answer of this many kibibytes, in chunks."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(chunks):
        connection.sendall(b"400\r\n" + b" " * 1024 + b"\r\n")
    connection.sendall(b"0\r\n\r\n")


@pytest.mark.parametrize("act", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_rule_3_what_may_have_been_sent_is_unknown(open_hub: Open, serve: Serve, observer: Observer, act: Act) -> None:
    """Rules 3 and 5: a cut, a broken or a refused answer leaves a payout UNKNOWN, and it is not sent again."""
    server = serve(act)
    payout = open_hub(server.url).create_payout("shop", PAYOUT)
    assert (Status.UNKNOWN, "po-1", PAYOUT.amount, 1, [Phase.MAYBE_SENT]) == (
        payout.status, payout.order_id, payout.requested, len(server.requests), [e.phase for e in observer.exchanges]
    )  # fmt: skip


@pytest.mark.parametrize("act", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_a_read_without_a_whole_answer_is_unavailable(open_hub: Open, serve: Serve, act: Act) -> None:
    """Where a payout would be UNKNOWN, a read is `Unavailable`."""
    with pytest.raises(Unavailable, match=r"\(maybe sent\)$"):
        open_hub(serve(act).url).fetch_balance("shop")


def test_an_answer_of_the_largest_size_is_read(open_hub: Open, serve: Serve) -> None:
    """A body of exactly the allowed size is read."""
    body = answer(known(PAYOUT)).partition(b"\r\n\r\n")[2].ljust(MAX_BODY)
    assert Status.PENDING is open_hub(serve(answer(body)).url).create_payout("shop", PAYOUT).status


def test_identity_may_be_named(open_hub: Open, serve: Serve) -> None:
    """An answer that says it is not encoded is not."""
    server = serve(answer(known(PAYOUT), Content_Encoding="Identity"))
    assert Status.PENDING is open_hub(server.url).create_payout("shop", PAYOUT).status


@pytest.mark.parametrize("act", [close, reset], ids=["closed", "reset"])
def test_rule_5_a_cut_on_a_reused_connection_is_ambiguous(
    open_hub: Open, serve: Serve, observer: Observer, act: Act
) -> None:
    """Rule 5: a connection that had worked and is cut under a payout leaves it UNKNOWN."""
    server = serve(answer({"available": "1", "held": "0", "currency": "RUB"}), act)
    hub = open_hub(server.url)
    hub.fetch_balance("shop")
    payout = hub.create_payout("shop", PAYOUT)
    assert (Status.UNKNOWN, [1, 1], [Phase.ANSWERED, Phase.MAYBE_SENT]) == (
        payout.status, [r.connection for r in server.requests], [e.phase for e in observer.exchanges]
    )  # fmt: skip


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(open_hub: Open, serve: Serve, status: int) -> None:
    """A redirect is an answer that was not promised, and leads nowhere."""
    target = serve(GOOD)
    server = serve(answer(b"", status, Location=f"{target.url}/payouts"))
    payout = open_hub(server.url).create_payout("shop", PAYOUT)
    assert (Status.UNKNOWN, 1, 0) == (payout.status, len(server.requests), len(target.requests))


# The deadline


DRIPS = {
    "in the status line": lambda: Drip(b"", GOOD * 10),
    "in the head": lambda: Drip(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 1000),
    "in the body": lambda: Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" " * 1000),
    "in the chunks": lambda: Drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 200),
    "until closed": lambda: Drip(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 1000),
}


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_a_dripping_server_does_not_outlast_the_deadline(
    open_hub: Open, serve: Serve, drip: Callable[[], Drip]
) -> None:
    """One deadline is total: a server that sends a byte now and then is cut, and the payout is UNKNOWN."""
    act = drip()
    payout = open_hub(serve(act).url, **SHORT).create_payout("shop", PAYOUT)
    assert (Status.UNKNOWN, True) == (payout.status, act.cut.wait(10))
    assert "no complete answer within the time allowed" in payout.reason


@pytest.mark.parametrize("where", ["in the head", "in the body"])
def test_a_read_does_not_outlast_the_deadline(open_hub: Open, serve: Serve, where: str) -> None:
    """The deadline holds for reads, too."""
    act = DRIPS[where]()
    with pytest.raises(Unavailable, match="within the time allowed"):
        open_hub(serve(act).url, **SHORT).fetch_balance("shop")
    assert act.cut.wait(10)


def test_a_silent_server_does_not_outlast_the_read_timeout(open_hub: Open, serve: Serve) -> None:
    """A server that says nothing is given up after the read timeout."""
    stopped = threading.Event()
    server = serve(lambda _: stopped.wait(10))
    payout = open_hub(server.url, transport={"read_timeout": 0.2}).create_payout("shop", PAYOUT)
    stopped.set()
    assert (Status.UNKNOWN, "no complete answer within the time allowed (maybe sent)") == (payout.status, payout.reason)


def test_a_handshake_does_not_outlast_the_connect_timeout(open_hub: Open) -> None:
    """Rule 5: a server that never answers the TLS handshake got nothing: not sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hub = open_hub(f"https://127.0.0.1:{listener.getsockname()[1]}", transport={"connect_timeout": 0.3})
        with pytest.raises(NotSent, match="no connection within the time allowed"):
            hub.create_payout("shop", PAYOUT)


# Repeating


@pytest.mark.parametrize("status", [201, 204, 400, 401, 404, 408, 409, 425, 429, 500, 502, 503, 504])
@pytest.mark.parametrize(("operation", "order"), [("create_payout", PAYOUT), ("create_payment", PAYMENT)])
def test_rule_5_a_money_call_is_made_once(
    open_hub: Open, serve: Serve, operation: str, order: Any, status: int
) -> None:
    """Rules 5 and 7: whatever a provider answers, a call that moves money is not repeated; the outcome is UNKNOWN."""
    server = serve(answer({"order_id": order.order_id}, status, Retry_After="0"))
    result = getattr(open_hub(server.url), operation)("shop", order)
    assert (Status.UNKNOWN, 1) == (result.status, len(server.requests))


def test_rule_5_a_refused_connection_is_not_tried_again_for_money(open_hub: Open, observer: Observer) -> None:
    """Rule 5: even what was not sent is not repeated by payhub itself: the caller may."""
    with pytest.raises(NotSent):
        open_hub(f"http://127.0.0.1:{refused_port()}").create_payout("shop", PAYOUT)
    assert 1 == len(observer.exchanges)


class Twofold:
    """A wrapper that sends what was not accepted to another host, or makes the call anew as a harmless one."""

    def __init__(self, other: str = "", **changes: Any) -> None:
        self.other = other
        self.changes = changes

    @hookimpl(wrapper=True)
    def payhub_create_payout(self, account: Any, order: PayoutOrder) -> Any:
        return self.bent((yield))

    def bent(self, flow: Any) -> Any:
        call = msgspec.structs.replace(next(flow), **self.changes)
        response = None
        with contextlib.suppress(NotSent):
            response = yield call
        if self.other and (response is None or response.status != 200):
            response = yield msgspec.structs.replace(call, url=self.other)
        try:
            flow.send(response)
        except StopIteration as done:
            return done.value


@pytest.mark.parametrize("act", [answer(b"", 500), answer(b"<html>", 502), close], ids=["500", "502", "cut"])
def test_rule_5_after_an_unsure_answer_no_other_host_is_sent_to(open_hub: Open, serve: Serve, act: Act) -> None:
    """Rule 5: a driver that fails over to its provider's second host after an unsure answer does not pay twice."""
    first, second = serve(act), serve(GOOD)
    hub = open_hub(first.url, (Twofold(f"{second.url}/payouts"),))
    made = [hub.create_payout("shop", PAYOUT).status for _ in range(2)]
    assert ([Status.UNKNOWN] * 2, 1, 0) == (made, len(first.requests), len(second.requests))


def test_rule_5_what_was_not_sent_may_go_to_another_host(open_hub: Open, serve: Serve) -> None:
    """Rule 5: a driver is told what provably was not sent, and may send it to its provider's second host."""
    second = serve(GOOD)
    hub = open_hub(f"http://127.0.0.1:{refused_port()}", (Twofold(f"{second.url}/payouts"),))
    assert (Status.PENDING, 1) == (hub.create_payout("shop", PAYOUT).status, len(second.requests))


def test_rule_4_a_call_that_creates_is_not_repeated_as_a_read(open_hub: Open, serve: Serve) -> None:
    """Rule 4: a wrapper that says of the creating call that it moves no money makes no read of it."""
    server = serve(answer(b"", 500))
    hub = open_hub(server.url, (Twofold(moves_money=False),))
    made = [hub.create_payout("shop", PAYOUT).status for _ in range(2)]
    assert ([Status.UNKNOWN] * 2, 1) == (made, len(server.requests))


BALANCE = answer({"available": "5", "held": "0", "currency": "RUB"})


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_read_is_repeated_after_a_server_error(open_hub: Open, serve: Serve, status: int) -> None:
    """A read that meets a server's error is tried again, and succeeds."""
    server = serve(answer(b"", status), answer(b"", status), BALANCE)
    balance = open_hub(server.url).fetch_balance("shop")
    assert ("5.00 RUB", 3) == (str(balance.available), len(server.requests))


def test_a_read_is_repeated_until_a_server_listens(open_hub: Open, serve: Serve, observer: Observer) -> None:
    """A read that cannot be sent is tried again, and succeeds when the provider is back."""
    port = refused_port()
    servers: list[RawServer] = []

    class Restart:
        @hookimpl
        def payhub_event(self, event: Any) -> None:
            if not servers:
                servers.append(serve(BALANCE, port=port))

    balance = open_hub(f"http://127.0.0.1:{port}", (Restart(),)).fetch_balance("shop")
    assert ("5.00 RUB", [Phase.NOT_SENT, Phase.ANSWERED]) == (
        str(balance.available), [exchange.phase for exchange in observer.exchanges]
    )  # fmt: skip


@pytest.mark.parametrize("status", [301, 400, 401, 403, 409, 429])
def test_a_read_is_not_repeated_after_other_answers(open_hub: Open, serve: Serve, status: int) -> None:
    """An answer other than a server's error would come again: a read is not repeated."""
    server = serve(answer(b"", status))
    with pytest.raises(Unavailable):
        open_hub(server.url).fetch_balance("shop")
    assert 1 == len(server.requests)


def test_a_read_that_finds_nothing_is_not_repeated(open_hub: Open, serve: Serve) -> None:
    """`NotFound` is an answer."""
    server = serve(answer(b"", 404))
    with pytest.raises(NotFound):
        open_hub(server.url).fetch_payout("shop", order_id="po-1")
    assert 1 == len(server.requests)


def test_a_read_is_repeated_a_few_times_only(open_hub: Open, serve: Serve, observer: Observer) -> None:
    """A provider that stays down gets four requests."""
    server = serve(answer(b"", 500))
    with pytest.raises(Unavailable, match="HTTP 500"):
        open_hub(server.url).fetch_balance("shop")
    assert (4, 4) == (len(server.requests), len(observer.exchanges))


# Interrupted


def test_an_interrupt_is_published_and_passes(serve: Serve, observer: Observer) -> None:
    """Ctrl-C while a payout is being answered ends the program, and the log still says that it may be sent."""
    main = threading.main_thread().ident or 0
    stopped = threading.Event()

    def interrupt(_: socket.socket) -> None:
        signal.pthread_kill(main, signal.SIGINT)
        stopped.wait(10)

    server = serve(interrupt)
    tables = {"accounts": {"shop": {"provider": "fake", "base_url": server.url}}}
    with Hub.from_mapping(tables, plugins=(fake, observer)) as hub, pytest.raises(KeyboardInterrupt):
        hub.create_payout("shop", PAYOUT)
    stopped.set()
    assert [(Phase.MAYBE_SENT, "interrupted by KeyboardInterrupt", 1)] == [
        (exchange.phase, exchange.problem, len(server.requests)) for exchange in observer.exchanges
    ]


@pytest.mark.parametrize("mode", ["async"], indirect=True)
def test_an_answer_outlives_the_cancellation_of_its_caller(open_hub: Open, serve: Serve, observer: Observer) -> None:
    """A task that is cancelled while a payout is being answered ends at once; the answer is waited for and kept."""
    stopped = threading.Event()

    def answer_late(connection: socket.socket) -> None:
        stopped.wait(10)
        connection.sendall(GOOD)

    server = serve(answer_late)
    hub: Awaited = open_hub(server.url)
    task = hub.portal.start_task_soon(hub.hub.create_payout, "shop", PAYOUT)
    assert server.requested.wait(10)
    task.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        task.result(10)
    assert not observer.heard.is_set()
    stopped.set()
    hub.close()
    record: Any = hub.hub.journal.find(Key("shop", "payout", "po-1"))
    assert ([Phase.ANSWERED], (Status.PENDING, "7")) == (
        [exchange.phase for exchange in observer.exchanges], (record.status, record.provider_id)
    )  # fmt: skip


class Steps:
    """The steps of whatever tasks a hub begins: where one waits for the n-th time, something is done."""

    def __init__(self, number: int, act: Callable[[], object]) -> None:
        self.left = number
        self.act = act

    def spawn(self, work: Callable[[], Any]) -> asyncio.Task[Any]:
        return asyncio.create_task(self.counted(work()))

    async def counted(self, work: Any) -> None:
        await Counted(work, self)


class Counted:
    def __init__(self, coroutine: Any, steps: Steps) -> None:
        self.coroutine = coroutine
        self.steps = steps

    def __await__(self) -> Any:
        inner = self.coroutine.__await__()
        step = functools.partial(inner.send, None)
        while True:
            try:
                waits_for = step()
            except StopIteration as done:
                return done.value
            self.steps.left -= 1
            if self.steps.left == 0:
                self.steps.act()
            try:
                step = functools.partial(inner.send, (yield waits_for))
            except BaseException as cause:  # noqa: BLE001 - whatever comes in goes on
                step = functools.partial(inner.throw, cause)


def cancel_current() -> None:
    asyncio.current_task().cancel()  # type: ignore[union-attr]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("whom", ["the caller", "the task"])
@pytest.mark.parametrize("act", [GOOD, close], ids=["answered", "cut"])
def test_rule_4_a_create_cancelled_anywhere_sends_once_at_most(
    serve: Serve, act: Act, whom: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 4: wherever a create is cancelled, by its caller or by the end of its loop, the order is sent once in all.

    Nor does it stay with a caller that is gone: what was not sent is sent the next time.
    """
    server = serve(act)
    accounts = {"shop": {"provider": "fake", "base_url": server.url}}
    tables = {"transport": {"deadline": 2.0}, "accounts": accounts}  # so long it waits for a sender that is gone

    async def cancelled_everywhere() -> int:
        async with AsyncHub.from_mapping(tables, plugins=(fake,)) as hub:
            for number in itertools.count(1):
                order = msgspec.structs.replace(PAYOUT, order_id=f"po-{number}")
                create = asyncio.ensure_future(hub.create_payout("shop", order))
                steps = Steps(number, create.cancel if whom == "the caller" else cancel_current)
                monkeypatch.setattr("payhub.transport.runner.spawn", steps.spawn)
                with contextlib.suppress(asyncio.CancelledError, NotSent):
                    await create
                    if steps.left > 0:
                        return number
                monkeypatch.undo()
                with contextlib.suppress(NotSent):
                    await hub.create_payout("shop", order)
                states.append(hub.journal.legs("default", "payout", order.order_id)[0].state)
        raise AssertionError

    states: list[State] = []
    assert asyncio.run(cancelled_everywhere()) > 5
    sent = collections.Counter(msgspec.json.decode(request.body)["order_id"] for request in server.requests)
    assert {1} == set(sent.values())
    assert whom == "the task" or State.SENDING not in states


# What is written down


def test_every_exchange_is_one_event(open_hub: Open, serve: Serve) -> None:
    """Each try of a call is one structlog event, with how far it got."""
    server = serve(answer(b"", 500), BALANCE, close)
    hub = open_hub(server.url)
    with capture_logs() as logs:
        hub.fetch_balance("shop")
        hub.create_payout("shop", PAYOUT)
    expected = [
        ("payhub.exchange", "fetch_balance", "answered", 500),
        ("payhub.exchange", "fetch_balance", "answered", 200),
        ("payhub.exchange", "create_payout", "maybe sent", None),
    ]
    events = [log for log in logs if log["event"] == "payhub.exchange"]
    assert expected == [(log["event"], log["operation"], log["phase"], log["status"]) for log in events]


def test_rule_12_no_log_has_a_card_number_or_a_secret(open_hub: Open, serve: Serve, observer: Observer) -> None:
    """Rule 12: whatever is logged and observed of a payout, its card number and the token are not in it."""
    server = serve(answer({**known(PAYOUT), "number": PAYOUT.to.number, "token": "sesame", "text": PAYOUT.to.number}))
    with capture_logs() as logs:
        open_hub(accounts={"secret": {"provider": "fake", "base_url": server.url, "token": "sesame"}}).create_payout(
            "secret", PAYOUT
        )
    shown = f"{logs} {observer.exchanges} {[msgspec.to_builtins(each) for each in observer.exchanges]}"
    assert (False, False, True) == (PAYOUT.to.number in shown, "sesame" in shown, "411111******1111" in shown)


def test_an_observer_that_fails_changes_nothing(open_hub: Open, serve: Serve, observer: Observer) -> None:
    """An observer that raises changes neither the outcome nor what others hear."""

    class Failing:
        @hookimpl
        def payhub_event(self, event: Any) -> None:
            raise RuntimeError("the metrics are down")

    payout = open_hub(serve(GOOD).url, (Failing(),)).create_payout("shop", PAYOUT)
    assert (Status.PENDING, 1) == (payout.status, len(observer.exchanges))


def test_a_call_of_any_method(open_hub: Open, serve: Serve) -> None:
    """A driver may use another method, as GET without a body."""

    class Get(Elsewhere):
        def moved(self, flow: Any) -> Any:
            next(flow)
            response = yield Call(operation="x", url=self.url, moves_money=True, method="GET")
            return fake.payout(fake.created(response))

    server = serve(GOOD)
    open_hub(server.url, (Get(f"{server.url}/x"),)).create_payout("shop", PAYOUT)
    assert ("GET /x HTTP/1.1", b"") == (server.requests[0].line, server.requests[0].body)
