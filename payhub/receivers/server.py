"""Serve an application over HTTP beside the main thread: needs the extra `server`."""

import asyncio
import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

HEAD_TIMEOUT = 10.0
"""Seconds in which the head of a request has to come."""

_CONNECTIONS = 500
_HEAD = 96 * 1024  # bytes; a query of the longest kind has room in it


class Server:
    """Serve until told to stop; requests under way are answered then, and what they began is ended."""

    def __init__(self, app: "ASGIApp", host: str, port: int) -> None:
        """Take the port, 0 for a free one; connections wait until the block is entered.

        Raises:
            OSError: it cannot be taken.
        """
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # a stranger's bad request is no news
        self._listening = _listening(host, port)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=_Protocol,
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=_CONNECTIONS,
                h11_max_incomplete_event_size=_HEAD,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._listening],), daemon=True)

    @property
    def url(self) -> str:
        """Return where it is reached on this machine."""
        host, port = self._listening.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def alive(self) -> bool:
        """Tell whether it serves."""
        return self._thread.is_alive()

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop, and wait until nothing is under way any more."""
        self.stop()
        self._thread.join()
        self._listening.close()

    def stop(self) -> None:
        """Let nobody in any more; return at once."""
        self._server.should_exit = True


class _Protocol(H11Protocol):
    """Give up a connection on which the head of a request does not come: uvicorn itself waits for ever."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._patience is None:
            self._patience = self.loop.call_later(HEAD_TIMEOUT, self.timeout_keep_alive_handler)

    def _stop_waiting(self) -> None:
        if self._patience:
            self._patience.cancel()
            self._patience = None


def _listening(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    family, kind, protocol, _, address = found[0]
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket(family, kind, protocol))
        if port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_CONNECTIONS)
        stack.pop_all()
    return listening
