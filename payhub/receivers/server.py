"""Serve an application over HTTP beside the main thread; needs the extra `server`."""

import asyncio
import contextlib
import logging
import socket
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from payhub.exchanges.events import Event
from payhub.masking import mask_text
from payhub.models import LONGEST_DELIVERY
from payhub.receivers.answers import BROKEN, LONGEST_HEADERS, MOST_HEADERS, SparingLog

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from starlette.types import ASGIApp

HEAD_TIMEOUT = 10.0
"""Seconds in which the head of a request has to come; of later ones, once they have begun."""

IDLE_TIMEOUT = 75
"""Seconds for which a connection is kept for the next request: longer than proxies do, or they may send too late."""

MOST_CONNECTIONS = 500
"""The connections that are kept at once, if the process may open twice as many files."""

_LONGEST_HEAD = LONGEST_DELIVERY + LONGEST_HEADERS + 4096  # bytes: a query of the longest kind has room in it
_LENGTHS = {b"content-length", b"transfer-encoding"}
_MOST_PIECES = 256  # of a body: each costs as much as a packet, and a byte may be one


class _Room:
    """The connections that there are, and how many there may be: half of the files that the process may open.

    The other half is the journal's and the providers'. Where there is no room, the connection ends that has let us
    wait longest, for a head or for a body. So whoever holds connections and sends nothing keeps nobody out.
    """

    def __init__(self) -> None:
        self.most = MOST_CONNECTIONS
        if sys.platform != "win32":
            files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            self.most = self.most if files == resource.RLIM_INFINITY else min(self.most, files // 2)
        self.accepted_at_once = max(16, self.most // 4)  # they are there before any of them is counted
        self._inside: dict[_Connection, None] = {}  # in the order in which they began to wait

    def enter(self, new: "_Connection") -> None:
        self._inside[new] = None
        if len(self._inside) > self.most:
            waiting = next((each for each in self._inside if each.waits), new)
            self._inside.pop(waiting)
            waiting.transport.abort()

    def stay(self, connection: "_Connection") -> None:
        """Take note that a connection has been answered, and begins to wait anew."""
        if connection in self._inside:
            self._inside[connection] = self._inside.pop(connection)

    def leave(self, connection: "_Connection") -> None:
        self._inside.pop(connection, None)


class _Connection(H11Protocol):
    """A connection that is given up when no head of a request comes, or too much of one, or when there is no room.

    uvicorn itself waits without a limit.
    """

    def __init__(self, *, config: "_Config", **options: Any) -> None:
        super().__init__(config=config, **options)
        self.conn = _Requests(self._stop_timer)
        self._room = config.room
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Tell whether it is the sender's turn."""
        return self.conn.their_state in {h11.IDLE, h11.SEND_BODY}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()
        self._room.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.leave(self)
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is h11.IDLE:
            self._start_timer()
        super().data_received(data)

    def _start_timer(self) -> None:
        if not self._timer:
            self._timer = asyncio.get_running_loop().call_later(HEAD_TIMEOUT, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def on_response_complete(self) -> None:
        self._room.stay(self)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words
        super().send_400_response(BROKEN.text)


class _Requests(h11.Connection):
    """What h11 reads of a connection, with limits of its lines and pieces that hold when all has come at once.

    When the head of a request has come, `begun` is called.
    """

    def __init__(self, begun: Callable[[], None]) -> None:
        super().__init__(h11.SERVER, _LONGEST_HEAD)
        self._begun = begun
        self._pieces = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        if self.their_state is h11.IDLE:
            self._pieces = 0
            received = self.trailing_data[0]
            ends = [end for blank in (b"\n\r\n", b"\n\n") if (end := received.find(blank)) >= 0]
            head = received[: min(ends, default=len(received))]
            if len(head) > _LONGEST_HEAD or head.count(b"\n") > MOST_HEADERS:
                raise h11.RemoteProtocolError("the head is too long")
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._begun()
            # A proxy may take the one length, and h11 takes the other: which is the next request then? RFC 9112, 6.3.
            if {name for name, _ in event.headers} >= _LENGTHS:
                raise h11.RemoteProtocolError("the body has two lengths")
        self._pieces += isinstance(event, h11.Data)
        if self._pieces > _MOST_PIECES:
            raise h11.RemoteProtocolError("the body comes in too many pieces")
        return event


class _Config(uvicorn.Config):
    """A configuration that has room for the server's connections."""

    def __init__(self, app: "ASGIApp", room: _Room, **options: Any) -> None:
        super().__init__(app, **options)
        self.room = room


class Server:
    """A server in a thread of its own; when it stops, it finishes the requests under way and what they began."""

    def __init__(self, app: "ASGIApp", host: str, port: int) -> None:
        """Take the port, 0 for a free one; connections wait until the block is entered.

        Raises:
            OSError: it cannot be taken.
        """
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # a stranger's bad request is no news
        room = _Room()
        self._listening = _listening(host, port, room.accepted_at_once)
        self._server = uvicorn.Server(
            _Config(
                app,
                room,
                http=_Connection,
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=IDLE_TIMEOUT,
                backlog=room.accepted_at_once,
            )
        )
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

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

    async def _serve(self) -> None:
        failures = SparingLog()

        def failed(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            kind = type(context.get("exception")).__name__
            reason = mask_text(context["message"])  # of a callback it quotes the arguments
            failures.write(Event.SERVER_FAILED, error=kind, reason=reason)

        asyncio.get_running_loop().set_exception_handler(failed)
        await self._server.serve([self._listening])

    def stop(self) -> None:
        """Accept no more connections; return at once."""
        self._server.should_exit = True


def _listening(host: str, port: int, backlog: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    family, kind, protocol, _, address = found[0]
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket(family, kind, protocol))
        if port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(backlog)
        stack.pop_all()
    return listening
