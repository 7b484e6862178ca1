"""Keep the total deadline of a synchronous call, whatever its connection is doing."""

import contextvars
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any, Self

from payhub.masking import HiddenBytes
from payhub.transport.http import httpcore, httpx
from payhub.transport.pool import AT_ONCE, SyncPool

# A blocking socket has a timeout for each operation only, which a server that sends one byte every few seconds never
# exceeds. So every operation of a synchronous call gets what is left of the call's deadline.
call_deadline: contextvars.ContextVar[float] = contextvars.ContextVar("payhub_deadline")


def _remaining(timeout: float | None, expired: type[Exception]) -> float:
    """Return how many seconds an operation may take: its own timeout, or less if the deadline is nearer."""
    remaining = call_deadline.get(time.monotonic() + 1.0) - time.monotonic()
    if remaining <= 0:
        raise expired
    return remaining if timeout is None else min(timeout, remaining)


class _DeadlineStream(httpcore.NetworkStream):
    """A stream whose operations take no longer than what is left of the deadline."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _remaining(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        buffer = HiddenBytes(buffer)  # it has the signature, and an interrupt may come here
        self._stream.write(buffer, _remaining(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Self:
        tls = self._stream.start_tls(ssl_context, server_hostname, _remaining(timeout, httpcore.ConnectTimeout))
        return type(self)(tls)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _DeadlineBackend(httpcore.SyncBackend):
    """A network backend whose streams keep the deadline."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to one address of the host after the other; what time there is, they share."""
        ends = time.monotonic() + _remaining(timeout, httpcore.ConnectTimeout)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as cause:
            raise httpcore.ConnectError(str(cause)) from cause
        left = list(dict.fromkeys(address for *_, (address, *_rest) in found))
        while True:
            share = (ends - time.monotonic()) / len(left)
            if share <= 0:
                raise httpcore.ConnectTimeout
            try:
                stream = super().connect_tcp(str(left.pop(0)), port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not left:
                    raise
            else:
                return _DeadlineStream(stream)


class DeadlineTransport(httpx.HTTPTransport):
    """httpx's own transport, over a pool whose connections keep the deadline.

    httpx has no option for httpcore's network backend, so the pool is replaced; the mapping of
    errors and everything else stays httpx's.
    """

    def __init__(self, context: ssl.SSLContext, proxy: str | None) -> None:
        """Replace the pool."""
        super().__init__(verify=context)
        self._pool = SyncPool(context, proxy, _DeadlineBackend())
        self.slots = threading.BoundedSemaphore(AT_ONCE)
