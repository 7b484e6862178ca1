"""Run the application on 127.0.0.1 in a thread, and stop listening on request."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

import uvicorn
from starlette.types import ASGIApp

from payhub_alikassa.sandbox.exchange import LendingProtocol

T = TypeVar("T")

HOST = "127.0.0.1"


class LocalServer(uvicorn.Server):
    """A server in a thread of its own that can refuse connections for a while."""

    def __init__(self, factory: Callable[[], ASGIApp], port: int, at_end: Callable[[], Awaitable[None]]) -> None:
        """Take the port at once (0 takes a free one); no connection is accepted before `start`.

        `at_end` is awaited when nothing is served any more.
        """
        # No log configuration: this server shares its process with an application.
        config = uvicorn.Config(
            factory,
            factory=True,
            http=LendingProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
        )
        super().__init__(config)
        self._at_end = at_end
        self._socket = _bind(port)
        self.port: int = self._socket.getsockname()[1]
        # While this one is bound and does not listen, connections are refused.
        self._reserved: socket.socket | None = None
        self._comeback: asyncio.Task[None] | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self.run, args=([self._socket],), daemon=True)

    def start(self) -> None:
        """Begin to serve; return when connections are accepted."""
        # Both here rather than in the thread, so that a failure reaches the caller.
        self.config.load()
        self._socket.listen()
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Stop serving, and wait for the thread's end."""
        self.should_exit = True
        self._thread.join()

    def wait(self) -> None:
        """Wait until the server ends, in steps, because on some systems a longer wait blocks a keyboard interrupt."""
        while self._thread.is_alive():
            self._thread.join(1)

    def call(self, function: Callable[[], T]) -> T:
        """Run a function where the requests run; from any other thread, even after the end."""

        async def run() -> T:
            return function()

        return self.run_coroutine(run()) if self._thread.is_alive() else function()

    def run_coroutine(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop, from any other thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def refuse(self, seconds: float | None) -> None:
        """Stop listening and drop idle connections; listen again after so many seconds.

        The port stays taken in the meantime: its socket is bound, and does not listen.
        """
        self._cancel_comeback()
        if self._reserved is None:
            for server in self.servers:
                server.close()
            self._reserved = _bind(self.port)
        connections = self._connections()
        for connection in connections:
            connection.shutdown()  # closes it if it is idle, lets it finish if it is not
        idle = [connection for connection in connections if connection.transport.is_closing()]
        await asyncio.gather(*(connection.gone.wait() for connection in idle))
        if seconds is not None:
            self._comeback = asyncio.create_task(self._listen_after(seconds))

    async def listen(self) -> None:
        """Listen, if the server does not."""
        self._cancel_comeback()
        await self._listen_after(0)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on a socket; uvicorn calls this once, and the end of a refusal once more."""
        self._loop = asyncio.get_running_loop()
        self._reserved = None
        await super().startup(sockets)
        self._ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End every connection, also those a fault holds, and stop."""
        self._cancel_comeback()
        if self._reserved:
            self._reserved.close()
        for connection in self._connections():
            connection.transport.abort()
        await super().shutdown(sockets)
        await self._at_end()

    async def _listen_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self._reserved:
            await self.startup([self._reserved])

    def _cancel_comeback(self) -> None:
        if self._comeback:
            self._comeback.cancel()

    def _connections(self) -> list[LendingProtocol]:
        return cast("list[LendingProtocol]", list(self.server_state.connections))


def _bind(port: int) -> socket.socket:
    # asyncio turns Nagle's delays off only for a socket that names TCP.
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if port:
            _make_reusable(reserved)
        # For port 0, Linux may give a reusable socket a port that another reusable socket holds.
        reserved.bind((HOST, port))
    except OSError:
        reserved.close()
        raise
    _make_reusable(reserved)
    return reserved


def _make_reusable(reserved: socket.socket) -> None:
    """Let the port be taken again while earlier connections are still in TIME_WAIT."""
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
