"""Observe each call on its connection: whether its first byte may have left, and what came back."""

import datetime as dt
import functools
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

from payhub.driver import Call, Response
from payhub.errors import PayhubError
from payhub.exchanges.reply import Reply
from payhub.journal.reasons import Why, explain
from payhub.models import Phase
from payhub.transport.http import httpx
from payhub.transport.settings import Transport

MAX_BODY = 1024 * 1024
MAX_VALUES = 20_000  # in the JSON of one answer: each costs all who read it time, and the event loop waits for them
_MAX_HEADERS = 200
_MAX_SMALL_CHUNKS, _CHUNK = 1000, 1024  # so many of any size, and one for so many bytes

# What httpcore tells of a call, step by step: "….started", then "….complete" or "….failed".
_FIRST_BYTE = "http11.send_request_headers.started"  # after this a byte may have left
_CONNECTING = {"connection.connect_tcp", "connection.start_tls", "proxy.start_tls"}

NO_SLOT = "no free connection within the time allowed"
"""Why a call was not sent while as many are under way as may be."""

# From the special to the general.
_PROBLEMS: dict[type[BaseException], str] = {
    httpx.ConnectTimeout: "no connection within the time allowed",
    httpx.PoolTimeout: NO_SLOT,
    httpx.TimeoutException: "no complete answer within the time allowed",
    TimeoutError: "no complete answer within the time allowed",
    httpx.ConnectError: "no connection",
    httpx.LocalProtocolError: "the request cannot be written as HTTP",
    httpx.RemoteProtocolError: "the connection was closed, or the answer is not HTTP",
    httpx.NetworkError: "the connection was cut",
}

# Whatever else is raised once a call was handed over, it may have been sent.
_UNSENT = (
    *(httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError),
    *(httpx.UnsupportedProtocol, httpx.LocalProtocolError),
)

_parse_url = functools.lru_cache(maxsize=256)(httpx.URL)


class _UnacceptableAnswer(Exception):
    """An answer that is not read: too large, of too many parts, or encoded although identity was asked for."""


class _TooLate(Exception):
    """The end of a call whose time was over before its first byte left."""


class CallerGone(Exception):
    """The end of a call whose caller was cancelled before its first byte left."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("its caller was cancelled before it was sent")


class CallTrace:
    """An observation of one call on its connection: whether its first byte may have left, and what came back."""

    def __init__(self, until: dt.datetime | None = None, gone: Callable[[], bool] = lambda: False) -> None:
        """Begin where nothing was sent; the first byte does not leave after `until`, nor when its caller has `gone`."""
        self._until = until
        self._gone = gone
        self._unsent = True  # for certain, as long as it is not handed over, or is seen to be connecting
        self.phase = Phase.NOT_SENT
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.body = bytearray()
        self._chunks = 0
        self.started_at = dt.datetime.now(dt.UTC)
        self._start = time.monotonic()

    def hand_over(self) -> None:
        """Give the call to the library: from here on it was not sent only if that is seen, or the error proves it.

        What stands in the library's place in a test sees nothing, and a later library may call its steps otherwise.
        """
        self._unsent = False

    def observe(self, event: str, info: dict[str, Any]) -> None:
        """Take an event of httpcore's `trace` extension; what is said to a proxy first is not the call."""
        step, _, end = event.rpartition(".")
        if step in _CONNECTING and end != "failed":
            self._unsent = end == "started"
        if event == _FIRST_BYTE:
            self._unsent = True
        if event != _FIRST_BYTE or info["request"].method == b"CONNECT":
            return
        # The deadline is no help here: its clock stands still while a machine is suspended.
        if self._until is not None and dt.datetime.now(dt.UTC) > self._until:
            raise _TooLate
        if self._gone():
            raise CallerGone
        self.phase = Phase.MAYBE_SENT

    async def observe_async(self, event: str, info: dict[str, Any]) -> None:
        """Take the same event where httpcore awaits."""
        self.observe(event, info)

    def duration(self) -> float:
        """Return how long the call has taken, in seconds."""
        return time.monotonic() - self._start

    def take_head(self, response: httpx.Response) -> None:
        """Keep status and headers, and refuse what must not be read: an encoded body or one announced as too large."""
        self.status = response.status_code
        if len(response.headers.raw) > _MAX_HEADERS:
            raise _UnacceptableAnswer(f"the answer has more than {_MAX_HEADERS} header lines")
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        if self.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise _UnacceptableAnswer("the answer is encoded although identity was asked for")
        announced = self.headers.get("content-length", "0")
        _check_size(int(announced) if announced.isdigit() else 0)

    def take_chunk(self, chunk: bytes) -> None:
        """Keep a part of the body, and refuse what makes it too large, or too many parts: each costs as much."""
        self.body += chunk
        self._chunks += 1
        _check_size(len(self.body))
        if self._chunks > _MAX_SMALL_CHUNKS + len(self.body) // _CHUNK:
            raise _UnacceptableAnswer("the answer comes in too many small parts")

    def finish(self) -> Reply:
        """Return the complete answer; nothing may be concluded from one that would take long to read."""
        if sum(map(self.body.count, (b",", b"[", b"{"))) > MAX_VALUES:  # no more values than these begin in JSON
            raise _UnacceptableAnswer(f"the answer has more than {MAX_VALUES} values")
        self.phase = Phase.ANSWERED
        return Reply(phase=self.phase, response=self._response())

    def fail(self, cause: BaseException) -> Reply:
        """Return how far the call got, and why not further, in words that quote nothing of the request."""
        if self.phase is Phase.NOT_SENT and not self._unsent and not isinstance(cause, _UNSENT):
            self.phase = Phase.MAYBE_SENT
        if isinstance(cause, _TooLate):
            return Reply(phase=self.phase, problem=explain(Why.OVERSLEPT), too_late=True)
        problem = _describe(cause)
        status = f" after HTTP {self.status}" if self.status else ""
        return Reply(phase=self.phase, part=self._response(), problem=f"{problem}{status}")

    def _response(self) -> Response | None:
        """Return as much of the answer as came."""
        return Response(status=self.status, headers=self.headers, body=bytes(self.body)) if self.status else None


def _describe(cause: BaseException) -> str:
    if isinstance(cause, _UnacceptableAnswer | PayhubError | CallerGone):
        return str(cause)
    if isinstance(cause, httpx.ProxyError):  # its text begins with the status
        return f"no connection: the proxy answered HTTP {str(cause)[:3]}"
    known = (words for kind, words in _PROBLEMS.items() if isinstance(cause, kind))
    problem = next(known, f"interrupted by {type(cause).__name__}")
    why = _tls_problem(cause)
    return problem if why is None else f"{problem}: TLS failed: {why}"


def _tls_problem(cause: BaseException | None) -> str | None:
    """Return why TLS failed, if that is at the bottom of an error, in OpenSSL's words."""
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message.rstrip(".")
        if isinstance(cause, ssl.SSLError):
            return (cause.reason or type(cause).__name__).replace("_", " ").lower()
        cause = cause.__cause__ or cause.__context__
    return None


def _check_size(size: int) -> None:
    if size > MAX_BODY:
        raise _UnacceptableAnswer(f"the answer is larger than {MAX_BODY} bytes")


def build_request(call: Call, trace: object, timeout: Mapping[str, float]) -> httpx.Request:
    """Return a call as httpx's request; `identity` is asked for, so that what is read is what was sent."""
    headers = httpx.Headers({"accept": "application/json"})
    headers.update(call.headers)
    headers["accept-encoding"] = "identity"
    extensions = {"trace": trace, "timeout": timeout}
    return httpx.Request(call.method, _parse_url(call.url), content=call.body, headers=headers, extensions=extensions)


def timeouts(transport: Transport) -> Mapping[str, float]:
    """Return the limits of each operation on a connection; the deadline limits them all together."""
    connect, read = (min(t, transport.deadline) for t in (transport.connect_timeout, transport.read_timeout))
    return {"connect": connect, "pool": connect, "read": read, "write": transport.deadline}
