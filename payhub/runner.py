"""Carry plans out: the only place where bytes leave this machine.

Two runners, one for threads and one for event loops, share every rule: TLS is verified, an answer
has a size and a deadline. They drive httpx's pooled transports and not its clients, so that there
is nothing to follow a redirect, keep a cookie or take a proxy from the environment. How far a call
got is observed on the connection itself, not guessed from the error.
"""

import contextlib
import contextvars
import datetime as dt
import functools
import os
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Generic, Self, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import certifi
import httpcore
import httpx
import msgspec
import tenacity

from payhub import transcript, wire_log
from payhub.driver import Call, Response, insecure
from payhub.errors import PayhubError
from payhub.journal import Journal
from payhub.journal.memory import MemoryJournal
from payhub.masking import HiddenBytes
from payhub.models import Exchange, Phase
from payhub.plan import Do, Pause, Plan, Reply
from payhub.plugins import Observer

T = TypeVar("T")
Pool = TypeVar("Pool")

MAX_BODY = 1024 * 1024
# A connection that idled long is often cut just when it is used again, which leaves an outcome unknown.
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=5.0)
_SENDING = "http11.send_request_headers.started"


Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
"""Count seconds: more than none, an hour at most."""


class Transport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limit every call, in seconds: `deadline` is total, from name resolution to the last byte."""

    deadline: Seconds = 30.0
    connect_timeout: Seconds = 5.0
    read_timeout: Seconds = 30.0


class _Refused(Exception):
    """Refuse an answer that came: too large, or encoded although identity was asked for."""


class _Watch:
    """Watch one call on its connection, to know whether its first byte may have left."""

    def __init__(self) -> None:
        self.phase = Phase.NOT_SENT
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.body = bytearray()
        self.started_at = dt.datetime.now(dt.UTC)
        self._start = time.monotonic()

    def __call__(self, event: str, _info: dict[str, Any]) -> None:
        if event == _SENDING:
            self.phase = Phase.MAYBE_SENT

    async def asynchronous(self, event: str, info: dict[str, Any]) -> None:
        self(event, info)

    def duration(self) -> float:
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
        self.body += chunk
        _check_size(len(self.body))

    def answered(self) -> Reply:
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


def _request(call: Call, trace: object, timeout: Mapping[str, float]) -> httpx.Request:
    headers = httpx.Headers({"accept": "application/json"})
    headers.update(call.headers)
    headers["accept-encoding"] = "identity"
    extensions = {"trace": trace, "timeout": timeout}
    return httpx.Request(call.method, _url(call.url), content=call.body, headers=headers, extensions=extensions)


_url = functools.lru_cache(maxsize=256)(httpx.URL)


def _timeout(transport: Transport) -> Mapping[str, float]:
    """Limit each operation on a connection; the deadline limits them all together."""
    connect, read = (min(t, transport.deadline) for t in (transport.connect_timeout, transport.read_timeout))
    return {"connect": connect, "pool": connect, "read": read, "write": transport.deadline}


def _tls() -> ssl.SSLContext:
    """Trust the public authorities; what the environment says is not asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # `create_default_context` would obey SSLKEYLOGFILE
    context.load_verify_locations(certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _Pools(Generic[Pool]):
    """Keep the connections of one process, and there of one event loop: none can use another's.

    On a connection that a fork has copied, parent and child would read each other's answers.
    """

    def __init__(self, make: Callable[[ssl.SSLContext], Pool]) -> None:
        self._make = make
        self._tls = _tls()
        self._kept: tuple[object, Pool] | None = None

    def here(self, loop: object = None) -> Pool:
        """Return the pool of this process and loop; the one before is left alone, not closed: it may be in use."""
        here, kept = (os.getpid(), loop), self._kept
        if kept is None or kept[0] != here:
            self._kept = kept = here, self._make(self._tls)
        return kept[1]


def _repeating(deadline: float) -> dict[str, Any]:
    """Say when a read is repeated: not sent or 5xx, with growing jittered pauses, within the deadline."""
    return {
        "retry": tenacity.retry_if_result(_worth_repeating),
        "wait": tenacity.wait_exponential(multiplier=0.2, max=5.0) + tenacity.wait_random(0, 0.2),
        "stop": tenacity.stop_before_delay(deadline) | tenacity.stop_after_attempt(4),
        "retry_error_callback": lambda state: state.outcome.result(),
    }


def _worth_repeating(reply: Reply) -> bool:
    if reply.response is None:
        return reply.phase is Phase.NOT_SENT
    return reply.response.status >= 500  # noqa: PLR2004


def _unpaced(wait: float | None, deadline: float) -> str | None:
    """Say why a call must not leave after its wait: there was no room for it, or no time is left."""
    in_time = wait is not None and time.monotonic() < deadline
    return None if in_time else "the account's rate limit left no room within the time allowed"


class _Runner:
    """Share what both runners know: the time allowed, the journal and the observers."""

    def __init__(
        self, transport: Transport, observers: Iterable[Observer] = (), journal: Journal | None = None
    ) -> None:
        self._transport = transport
        self._timeout = _timeout(transport)
        self._observers = tuple(observers)
        self._journal = journal or MemoryJournal()
        wire_log.guard()

    def _reserved(self, account: str, rate: float, deadline: float) -> float | None:
        """Reserve the instant at which a call may leave under the account's rate limit; return how far it is."""
        return self._journal.pace(account, 1 / rate, deadline - time.monotonic())

    def _publish(self, plan: Plan[Any], call: Call, reply: Reply, watch: _Watch) -> Reply:
        """Log what happened, and add it to the reply; a log that fails must not change what happens to money."""
        with contextlib.suppress(Exception):
            exchange = transcript.record(plan, call, reply, watch.started_at, watch.duration())
            transcript.publish(exchange, self._observers)
            return msgspec.structs.replace(reply, exchanges=(exchange,))
        return reply


class Runner(_Runner):
    """Carry plans out in the calling thread, over one pool of connections."""

    def __init__(
        self, transport: Transport, observers: Iterable[Observer] = (), journal: Journal | None = None
    ) -> None:
        """Open the pool; nothing is connected yet."""
        super().__init__(transport, observers, journal)
        self._pools = _Pools(_DeadlineTransport)

    def run(self, plan: Plan[T]) -> T:
        """Carry a plan to its end and return what it ends with."""
        try:
            step = next(plan.steps)
            while True:
                try:
                    done = self._do(plan, step)
                except Exception as cause:  # noqa: BLE001 - the plan knows what it means
                    step = plan.steps.throw(cause)
                else:
                    step = plan.steps.send(done)
        except StopIteration as ended:
            result: T = ended.value
            return result

    def _do(self, plan: Plan[Any], step: Call | Do | Pause) -> object:
        match step:
            case Call():
                return self._send(plan, step)
            case Pause():
                time.sleep(step.seconds)
                return None
            case Do():
                return step.act(self._journal)

    def _send(self, plan: Plan[Any], call: Call) -> Reply:
        deadline = time.monotonic() + self._transport.deadline
        if call.moves_money:
            return self._once(plan, call, deadline)
        tried: list[Exchange] = []

        def once() -> Reply:
            reply = self._once(plan, call, deadline)
            tried.extend(reply.exchanges)
            return reply

        reply = tenacity.Retrying(**_repeating(self._transport.deadline))(once)
        return msgspec.structs.replace(reply, exchanges=tuple(tried))

    def _once(self, plan: Plan[Any], call: Call, deadline: float) -> Reply:
        watch = _Watch()
        token = _deadline.set(deadline)
        try:
            with wire_log.guarded():
                reply = self._exchange(plan, call, watch, deadline)
        except BaseException as cause:
            self._publish(plan, call, watch.failed(cause), watch)
            raise
        finally:
            _deadline.reset(token)
        return self._publish(plan, call, reply, watch)

    def _exchange(self, plan: Plan[Any], call: Call, watch: _Watch, deadline: float) -> Reply:
        try:
            if problem := insecure(call.url) or self._paced(plan, deadline):
                return Reply(phase=Phase.NOT_SENT, problem=problem)
            response = self._pools.here().handle_request(_request(call, watch, self._timeout))
            try:
                watch.began(response)
                for chunk in map(HiddenBytes, response.iter_raw()):
                    watch.received(chunk)
                return watch.answered()
            finally:
                response.close()
        except Exception as cause:  # noqa: BLE001 - whatever fails here, the phase tells what it means
            return watch.failed(cause)

    def _paced(self, plan: Plan[Any], deadline: float) -> str | None:
        """Wait for the account's rate limit, if it has one; return why the call must not leave."""
        if plan.max_per_second is None:
            return None
        wait = self._reserved(plan.account, plan.max_per_second, deadline)
        time.sleep(wait or 0)
        return _unpaced(wait, deadline)

    def close(self) -> None:
        """Close the connections."""
        self._pools.here().close()


class AsyncRunner(_Runner):
    """Carry plans out in an event loop (asyncio or trio), over one pool of connections."""

    def __init__(
        self, transport: Transport, observers: Iterable[Observer] = (), journal: Journal | None = None
    ) -> None:
        """Open the pool; nothing is connected yet."""
        super().__init__(transport, observers, journal)
        self._pools = _Pools(_asynchronous)

    async def run(self, plan: Plan[T]) -> T:
        """Carry a plan to its end and return what it ends with."""
        try:
            step = next(plan.steps)
            while True:
                try:
                    done = await self._do(plan, step)
                except Exception as cause:  # noqa: BLE001 - the plan knows what it means
                    step = plan.steps.throw(cause)
                else:
                    step = plan.steps.send(done)
        except StopIteration as ended:
            result: T = ended.value
            return result

    async def _do(self, plan: Plan[Any], step: Call | Do | Pause) -> object:
        match step:
            case Call():
                return await self._send(plan, step)
            case Pause():
                await anyio.sleep(step.seconds)
                return None
            case Do():
                return await anyio.to_thread.run_sync(step.act, self._journal)

    async def _send(self, plan: Plan[Any], call: Call) -> Reply:
        deadline = time.monotonic() + self._transport.deadline
        if call.moves_money:
            return await self._once(plan, call, deadline)
        tried: list[Exchange] = []

        async def once() -> Reply:
            reply = await self._once(plan, call, deadline)
            tried.extend(reply.exchanges)
            return reply

        reply: Reply = await tenacity.AsyncRetrying(**_repeating(self._transport.deadline))(once)
        return msgspec.structs.replace(reply, exchanges=tuple(tried))

    async def _once(self, plan: Plan[Any], call: Call, deadline: float) -> Reply:
        watch = _Watch()
        try:
            with wire_log.guarded():
                reply = await self._exchange(plan, call, watch, deadline)
        except BaseException as cause:
            self._publish(plan, call, watch.failed(cause), watch)
            raise
        return self._publish(plan, call, reply, watch)

    async def _exchange(self, plan: Plan[Any], call: Call, watch: _Watch, deadline: float) -> Reply:
        try:
            if problem := insecure(call.url) or await self._paced(plan, deadline):
                return Reply(phase=Phase.NOT_SENT, problem=problem)
            with anyio.fail_after(deadline - time.monotonic()):
                pool = self._pools.here(anyio.lowlevel.current_token())
                response = await pool.handle_async_request(_request(call, watch.asynchronous, self._timeout))
                try:
                    watch.began(response)
                    async for chunk in response.aiter_raw():
                        watch.received(chunk)
                        del chunk  # a traceback may show it, and the next one may be interrupted
                    return watch.answered()
                finally:
                    await response.aclose()
        except Exception as cause:  # noqa: BLE001 - whatever fails here, the phase tells what it means
            return watch.failed(cause)

    async def _paced(self, plan: Plan[Any], deadline: float) -> str | None:
        """Wait for the account's rate limit, holding no thread: other accounts need them."""
        if plan.max_per_second is None:
            return None
        wait = await anyio.to_thread.run_sync(self._reserved, plan.account, plan.max_per_second, deadline)
        await anyio.sleep(wait or 0)
        return _unpaced(wait, deadline)

    async def close(self) -> None:
        """Close the connections."""
        await self._pools.here(anyio.lowlevel.current_token()).aclose()


def _asynchronous(context: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
    return httpx.AsyncHTTPTransport(verify=context, limits=_LIMITS)


# A blocking socket knows a timeout for each operation only, and a server that sends one byte
# every few seconds never meets it. So every operation of a synchronous call gets what is left of
# the call's deadline.
_deadline: contextvars.ContextVar[float] = contextvars.ContextVar("payhub_deadline")


def _left(timeout: float | None, expired: type[Exception]) -> float:
    left = _deadline.get(time.monotonic() + 1.0) - time.monotonic()
    if left <= 0:
        raise expired
    return left if timeout is None else min(timeout, left)


class _DeadlineStream(httpcore.NetworkStream):
    """Give each operation of a stream no more than what is left of the deadline."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        buffer = HiddenBytes(buffer)  # it has the signature, and an interrupt may come here
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Self:
        tls = self._stream.start_tls(ssl_context, server_hostname, _left(timeout, httpcore.ConnectTimeout))
        return type(self)(tls)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _DeadlineBackend(httpcore.SyncBackend):
    """Open streams that keep the deadline."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _DeadlineStream(super().connect_tcp(host, port, left, local_address, socket_options))


class _DeadlineTransport(httpx.HTTPTransport):
    """Be httpx's own transport over a pool whose connections keep the deadline.

    httpx has no option for httpcore's network backend, so the pool is replaced; the mapping of
    errors and everything else stays httpx's.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(verify=context)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=_LIMITS.max_connections,
            max_keepalive_connections=_LIMITS.max_keepalive_connections,
            keepalive_expiry=_LIMITS.keepalive_expiry,
            network_backend=_DeadlineBackend(),
        )
