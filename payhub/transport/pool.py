"""Keep connections: which are made and how, and which are used again."""

import asyncio
import functools
import os
import ssl
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import anyio
import certifi
from anyio.abc import SocketStream
from anyio.streams.tls import TLSStream

from payhub.errors import ConfigurationError
from payhub.masking import HiddenBytes, hide
from payhub.transport.http import httpcore, httpx
from payhub.transport.settings import Transport

Pool = TypeVar("Pool")

# Threads for the journal, as many as it has connections. They are payhub's own: those that everything in an event
# loop shares may all be held by callers that wait for payhub.
_THREADS = 15

AT_ONCE = 100
"""How many calls of a hub may be under way at once; the others wait for one of them to end."""

# A connection that was idle for long is often cut just when it is used again, which leaves an outcome unknown.
_EXPIRY = 5.0
_READ = 8 * 1024
# The pool has no limits of its own: where one waits in it and gives up, it loses a place for good, and of connections
# beyond a limit it closes some that have just been given to a call.
_LIMITS: dict[str, Any] = {"max_connections": None, "max_keepalive_connections": None, "keepalive_expiry": _EXPIRY}


@functools.cache  # to read the authorities takes longer than everything else in opening a hub
def tls_context(
    authorities: str, more: Path | None = None, client: Path | None = None, password: str | None = None
) -> ssl.SSLContext:
    """Return a context that trusts the authorities in a file, and in one more, and nothing that the environment names.

    `client` is a file with a certificate to show, and its private key, which may need a `password`.

    Raises:
        ConfigurationError: the second file, or that of the client, cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # `create_default_context` would obey SSLKEYLOGFILE
    context.load_verify_locations(authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if more is not None:
            context.load_verify_locations(more)
    except OSError as cause:  # what is no certificate is an SSLError, which is one, too
        why = "it has no certificate in PEM form" if isinstance(cause, ssl.SSLError) else cause.strerror
        raise ConfigurationError(f"transport.ca_file: {more} cannot be used: {why}") from cause
    try:
        if client is not None:
            context.load_cert_chain(client, password=password or "")  # without one OpenSSL would ask for it
    except (OSError, ValueError) as cause:
        pem = "it needs a certificate and its private key in PEM form, and client_password if the key is encrypted"
        why = cause.strerror if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) else pem
        raise ConfigurationError(f"transport.client_cert: {client} cannot be used: {why}") from cause
    return context


def _read_proxy(url: str, context: ssl.SSLContext) -> httpcore.Proxy:
    """Return a proxy as httpcore knows it; what a traceback could show of its password is hidden."""
    parts = urlsplit(url)
    bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    headers: list[tuple[bytes, bytes]] = []
    if parts.username is not None:
        credentials = HiddenBytes(f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode())
        headers = [(b"Proxy-Authorization", HiddenBytes(b"Basic " + b64encode(credentials)))]
    return httpcore.Proxy(bare, headers=headers, ssl_context=context if parts.scheme == "https" else None)


class _Connection:
    """One of httpcore's connections, of either kind, that is not used again once it has surplus bytes.

    They would be read as the answer to the next call. httpcore itself looks at the socket only.
    """

    def __init__(self, connection: Any) -> None:
        self._inner = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def has_expired(self) -> bool:
        """Return whether the pool has to close it, which it asks before each use."""
        return self._inner.has_expired() or (self._inner.is_idle() and _has_surplus(self._inner))

    def handle_request(self, request: httpcore.Request) -> Any:
        """Send a request; a tunnel that failed half-way is closed, or it would take its place in the pool for good."""
        try:
            return self._inner.handle_request(request)
        except httpcore.ConnectionNotAvailable:
            raise  # it is in use; the pool takes another one
        except BaseException:
            self._inner.close()
            raise

    async def handle_async_request(self, request: httpcore.Request) -> Any:
        """Do the same where httpcore awaits."""
        try:
            return await self._inner.handle_async_request(request)
        except httpcore.ConnectionNotAvailable:
            raise
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._inner.aclose()
            raise


def _has_surplus(connection: Any) -> bool:
    """Tell whether an idle connection has read more than its answers: bytes, or the end of the stream."""
    # Nothing public says it; tests/test_private_parts.py has these parts.
    while not isinstance(connection, httpcore.HTTP11Connection | httpcore.AsyncHTTP11Connection):
        connection = connection._connection  # noqa: SLF001
    if any(connection._h11_state.trailing_data):  # noqa: SLF001
        return True
    if isinstance(connection, httpcore.AsyncHTTP11Connection):
        # asyncio reads ahead of what is asked for: the rest waits in a queue, which only anyio's stream knows.
        stream: Any = connection._network_stream.inner._stream  # type: ignore[attr-defined]  # noqa: SLF001
        while isinstance(stream, TLSStream):
            stream = stream.transport_stream
        if isinstance(stream, SocketStream) and stream._protocol.read_queue:  # type: ignore[attr-defined]  # noqa: SLF001
            return True
    # Where TLS is not the socket's own, it reads ahead: what it has not deciphered yet is not in h11's buffer.
    tls = connection._network_stream.get_extra_info("ssl_object")  # noqa: SLF001
    return isinstance(tls, ssl.SSLObject) and _has_more(tls)


def _has_more(tls: ssl.SSLObject) -> bool:
    try:
        tls.read(1)
    except ssl.SSLWantReadError:
        return False
    except (ssl.SSLError, ValueError):
        pass  # it has ended
    return True


class SyncPool(httpcore.ConnectionPool):
    """A pool for threads."""

    def __init__(self, context: ssl.SSLContext, proxy: str | None, backend: httpcore.NetworkBackend) -> None:
        """Keep how connections are made; none is yet."""
        read = _read_proxy(proxy, context) if proxy else None
        super().__init__(context, read, network_backend=backend, **_LIMITS)
        self.backend = backend

    def create_connection(self, origin: httpcore.Origin) -> Any:
        """Return a new connection; plain HTTP is for this machine only, to which no proxy leads."""
        plain = functools.partial(httpcore.HTTPConnection, keepalive_expiry=_EXPIRY, network_backend=self.backend)
        return _Connection((super().create_connection if origin.scheme == b"https" else plain)(origin))


class SmallReads(httpcore.AsyncNetworkStream):
    """A stream that gives a few KiB at a time, so that the event loop is asked in between.

    All that one read gives is taken apart in one go, and a stranger can put thousands of small parts into it: interim
    answers, or chunks of a byte.
    """

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        """Read from a stream."""
        self.inner: Any = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's own
        """Return at most so many bytes, and no more than a few KiB."""
        found: bytes = await self.inner.read(min(max_bytes, _READ), timeout)
        return found

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Write all of it."""
        await self.inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the stream."""
        await self.inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Return the stream behind a handshake."""
        return SmallReads(await self.inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """Return what the stream itself says."""
        return self.inner.get_extra_info(info)


class _Backend(httpcore.AsyncNetworkBackend):
    """The network of an event loop, of asyncio or trio, in small reads."""

    def __init__(self) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._inner: httpcore.AsyncNetworkBackend = httpcore.TrioBackend()
        else:
            self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(self, *where: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        """Connect."""
        return SmallReads(await self._inner.connect_tcp(*where, **options))

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await self._inner.sleep(seconds)


class AsyncPool(httpcore.AsyncConnectionPool):
    """A pool for event loops; see `SyncPool`."""

    def __init__(self, context: ssl.SSLContext, proxy: str | None) -> None:
        """Keep how connections are made; none is yet."""
        read = _read_proxy(proxy, context) if proxy else None
        self.backend = _Backend()
        super().__init__(context, read, network_backend=self.backend, **_LIMITS)

    def create_connection(self, origin: httpcore.Origin) -> Any:
        """Return a new connection."""
        plain = functools.partial(httpcore.AsyncHTTPConnection, keepalive_expiry=_EXPIRY, network_backend=self.backend)
        return _Connection((super().create_connection if origin.scheme == b"https" else plain)(origin))


class AsyncTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport over our pool, which httpx has no option for, and what else belongs to an event loop."""

    def __init__(self, context: ssl.SSLContext, proxy: str | None) -> None:
        """Replace the pool."""
        super().__init__(verify=context)
        self._pool = AsyncPool(context, proxy)
        self.slots = anyio.Semaphore(AT_ONCE)
        self.threads = anyio.CapacityLimiter(_THREADS)
        self.errands: set[Errand] = set()


class Errand(Protocol):
    """A plan that is carried out in a task of its own."""

    done: anyio.Event


class Pools(Generic[Pool]):
    """The pools of connections of one runner: one at a time, for the present process and event loop.

    On a connection that a fork has copied, parent and child would read each other's answers.
    """

    def __init__(self, open_pool: Callable[[ssl.SSLContext, str | None], Pool], transport: Transport) -> None:
        """Keep how a pool is opened; none is yet.

        Raises:
            ConfigurationError: `ca_file` or `client_cert` cannot be used.
        """
        self._open_pool = open_pool
        self._tls = tls_context(
            certifi.where(), transport.ca_file, transport.client_cert, hide(transport.client_password)
        )
        self._proxy = transport.proxy
        self._last: tuple[object, Pool] | None = None

    def current(self, loop: object = None) -> Pool:
        """Return the pool of this process and loop; one of another is left alone, not closed: it may be in use."""
        owner, last = (os.getpid(), loop), self._last
        if last is None or last[0] != owner:
            self._last = last = owner, self._open_pool(self._tls, self._proxy)
        return last[1]
