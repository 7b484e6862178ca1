"""Keep connections: which are made and how, and which are used again."""

import functools
import os
import ssl
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import unquote, urlsplit

import anyio
import certifi
import httpcore
import httpx
from anyio.abc import SocketStream
from anyio.streams.tls import TLSStream

from payhub.errors import ConfigurationError
from payhub.masking import HiddenBytes
from payhub.transport.settings import Transport

Pool = TypeVar("Pool")

# A connection that was idle for long is often cut just when it is used again, which leaves an outcome unknown.
_EXPIRY = 5.0
_LIMITS: dict[str, Any] = {"max_connections": 100, "max_keepalive_connections": 20, "keepalive_expiry": _EXPIRY}


@functools.cache  # to read the authorities takes longer than everything else in opening a hub
def tls_context(authorities: str, more: Path | None = None) -> ssl.SSLContext:
    """Return a context that trusts the authorities in a file, and in one more, and nothing that the environment names.

    Raises:
        ConfigurationError: the second file cannot be used.
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
        stream: Any = connection._network_stream._stream  # type: ignore[attr-defined]  # noqa: SLF001
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


class AsyncPool(httpcore.AsyncConnectionPool):
    """A pool for event loops; see `SyncPool`."""

    def __init__(self, context: ssl.SSLContext, proxy: str | None) -> None:
        """Keep how connections are made; none is yet."""
        read = _read_proxy(proxy, context) if proxy else None
        super().__init__(context, read, **_LIMITS)

    def create_connection(self, origin: httpcore.Origin) -> Any:
        """Return a new connection."""
        plain = functools.partial(httpcore.AsyncHTTPConnection, keepalive_expiry=_EXPIRY)
        return _Connection((super().create_connection if origin.scheme == b"https" else plain)(origin))


class AsyncTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport over our pool, which httpx has no option for."""

    def __init__(self, context: ssl.SSLContext, proxy: str | None) -> None:
        """Replace the pool."""
        super().__init__(verify=context)
        self._pool = AsyncPool(context, proxy)


class Pools(Generic[Pool]):
    """The pools of connections of one runner: one at a time, for the present process and event loop.

    On a connection that a fork has copied, parent and child would read each other's answers.
    """

    def __init__(self, open_pool: Callable[[ssl.SSLContext, str | None], Pool], transport: Transport) -> None:
        """Keep how a pool is opened; none is yet.

        Raises:
            ConfigurationError: `ca_file` cannot be used.
        """
        self._open_pool = open_pool
        self._tls = tls_context(certifi.where(), transport.ca_file)
        self._proxy = transport.proxy
        self._last: tuple[object, Pool] | None = None

    def current(self, loop: object = None) -> Pool:
        """Return the pool of this process and loop; one of another is left alone, not closed: it may be in use."""
        owner, last = (os.getpid(), loop), self._last
        if last is None or last[0] != owner:
            self._last = last = owner, self._open_pool(self._tls, self._proxy)
        return last[1]
