"""Watch each call on its connection, and keep the pools that connections come from."""

import datetime as dt
import functools
import os
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import certifi
import httpx

from payhub.driver import Call, Response
from payhub.errors import PayhubError
from payhub.exchanges.reply import Reply
from payhub.models import Phase
from payhub.transport.settings import Transport

Pool = TypeVar("Pool")

MAX_BODY = 1024 * 1024
# A connection that idled long is often cut just when it is used again, which leaves an outcome unknown.
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=5.0)
_SENDING = "http11.send_request_headers.started"


class _Refused(Exception):
    """Refuse an answer that came: too large, or encoded although identity was asked for."""


class Watch:
    """Watch one call on its connection, to know whether its first byte may have left."""

    def __init__(self) -> None:
        """Begin where nothing was sent."""
        self.phase = Phase.NOT_SENT
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.body = bytearray()
        self.started_at = dt.datetime.now(dt.UTC)
        self._start = time.monotonic()

    def __call__(self, event: str, _info: dict[str, Any]) -> None:
        """Note an event of httpcore's `trace` extension."""
        if event == _SENDING:
            self.phase = Phase.MAYBE_SENT

    async def asynchronous(self, event: str, info: dict[str, Any]) -> None:
        """Note the same event, where httpcore awaits."""
        self(event, info)

    def duration(self) -> float:
        """Return how long the call has taken, in seconds."""
        return time.monotonic() - self._start

    def began(self, response: httpx.Response) -> None:
        """Refuse by the head what must not be read: an encoded or an announced huge body."""
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        if self.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise _Refused("the answer is encoded although identity was asked for")
        announced = self.headers.get("content-length", "0")
        _check_size(int(announced) if announced.isdigit() else 0)

    def received(self, chunk: bytes) -> None:
        """Keep a part of the body."""
        self.body += chunk
        _check_size(len(self.body))

    def answered(self) -> Reply:
        """Return the complete answer."""
        self.phase = Phase.ANSWERED
        return Reply(phase=self.phase, response=self._came())

    def failed(self, cause: BaseException) -> Reply:
        """Say what happened in words that quote nothing of the request."""
        status = f" after HTTP {self.status}" if self.status else ""
        words = str(cause) if isinstance(cause, _Refused | PayhubError) else _words(cause)
        return Reply(phase=self.phase, part=self._came(), problem=f"{words}{status}")

    def _came(self) -> Response | None:
        """Return what came of the answer."""
        return Response(status=self.status, headers=self.headers, body=bytes(self.body)) if self.status else None


def _words(cause: BaseException) -> str:
    for kind, words in _PROBLEMS.items():
        if isinstance(cause, kind):
            return words
    return f"interrupted by {type(cause).__name__}"


# From the special to the general.
_PROBLEMS: dict[type[BaseException], str] = {
    httpx.ConnectTimeout: "no connection within the time allowed",
    httpx.PoolTimeout: "no free connection within the time allowed",
    httpx.TimeoutException: "no complete answer within the time allowed",
    TimeoutError: "no complete answer within the time allowed",
    httpx.ConnectError: "no connection",
    httpx.LocalProtocolError: "the request cannot be written as HTTP",
    httpx.RemoteProtocolError: "the connection was closed, or the answer is not HTTP",
    httpx.NetworkError: "the connection was cut",
}


def _check_size(size: int) -> None:
    if size > MAX_BODY:
        raise _Refused(f"the answer is larger than {MAX_BODY} bytes")


def build_request(call: Call, trace: object, timeout: Mapping[str, float]) -> httpx.Request:
    """Write a call as httpx's request; `identity` is asked for, so that what is read is what was sent."""
    headers = httpx.Headers({"accept": "application/json"})
    headers.update(call.headers)
    headers["accept-encoding"] = "identity"
    extensions = {"trace": trace, "timeout": timeout}
    return httpx.Request(call.method, _url(call.url), content=call.body, headers=headers, extensions=extensions)


_url = functools.lru_cache(maxsize=256)(httpx.URL)


def timeouts(transport: Transport) -> Mapping[str, float]:
    """Limit each operation on a connection; the deadline limits them all together."""
    connect, read = (min(t, transport.deadline) for t in (transport.connect_timeout, transport.read_timeout))
    return {"connect": connect, "pool": connect, "read": read, "write": transport.deadline}


def tls_context() -> ssl.SSLContext:
    """Trust the public authorities; what the environment says is not asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # `create_default_context` would obey SSLKEYLOGFILE
    context.load_verify_locations(certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Pools(Generic[Pool]):
    """Keep the connections of one process, and there of one event loop: none can use another's.

    On a connection that a fork has copied, parent and child would read each other's answers.
    """

    def __init__(self, make: Callable[[ssl.SSLContext], Pool]) -> None:
        """Keep how a pool is made; none is yet."""
        self._make = make
        self._tls = tls_context()
        self._kept: tuple[object, Pool] | None = None

    def here(self, loop: object = None) -> Pool:
        """Return the pool of this process and loop; the one before is left alone, not closed: it may be in use."""
        here, kept = (os.getpid(), loop), self._kept
        if kept is None or kept[0] != here:
            self._kept = kept = here, self._make(self._tls)
        return kept[1]


def pool_for_event_loop(context: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
    """Open a pool for one event loop; its total deadline is kept by the loop."""
    return httpx.AsyncHTTPTransport(verify=context, limits=LIMITS)
