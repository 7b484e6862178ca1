"""Serve an application over HTTP beside the main thread; needs the extra `server`."""

import asyncio
import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEAD_TIMEOUT = 10.0
"""Seconds in which the head of a request has to come."""

_CONNECTIONS = 500
_LONGEST_HEAD = 96 * 1024  # bytes; a query of the longest kind has room in it


class _Head:
    """The head of a connection's next request; the connection is closed if it takes too long to come."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def expect(self) -> None:
        self.stop_timer()
        if self.transport:
            self._timer = asyncio.get_running_loop().call_later(HEAD_TIMEOUT, self.transport.close)

    def stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()


class _Connection(H11Protocol):
    """A connection that is given up when no head of a request comes: uvicorn itself waits without a limit.

    What `state` holds is handed to the application with each request, which thereby stops the timer.
    """

    def __init__(self, *, app_state: dict[str, Any], **options: Any) -> None:
        self._head = _Head()
        super().__init__(app_state={**app_state, "head": self._head}, **options)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head.transport = transport
        self._head.expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head.stop_timer()
        super().connection_lost(exc)


def _timed(app: "ASGIApp") -> "ASGIApp":
    """Let an application stop its connection's timer while it has a request, and start it after the answer."""

    async def timed(scope: "Scope", receive: "Receive", send: "Send") -> None:
        head: _Head = scope["state"]["head"]

        async def sending(message: "Message") -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                head.expect()

        head.stop_timer()
        await app(scope, receive, sending)

    return timed


class Server:
    """A server in a thread of its own; when it stops, it finishes the requests under way and what they began."""

    def __init__(self, app: "ASGIApp", host: str, port: int) -> None:
        """Take the port, 0 for a free one; connections wait until the block is entered.

        Raises:
            OSError: it cannot be taken.
        """
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # a stranger's bad request is no news
        self._listening = _listening(host, port)
        self._server = uvicorn.Server(
            uvicorn.Config(
                _timed(app),
                http=_Connection,
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=_CONNECTIONS,
                h11_max_incomplete_event_size=_LONGEST_HEAD,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._listening],), daemon=True)

    @property
    def url(self) -> str:
        """Return the address at which this machine reaches it."""
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
        """Stop, and wait until no request is under way."""
        self.stop()
        self._thread.join()
        self._listening.close()

    def stop(self) -> None:
        """Accept no more connections; return at once."""
        self._server.should_exit = True


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
