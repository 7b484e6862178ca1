"""Handle one request byte by byte: read it, have it answered, and end its connection in any way.

Starlette and ASGI answer correctly or not at all, while a fault needs the bytes. uvicorn's `http=`
option takes a protocol class, and every request's `scope["state"]` is a copy of the protocol's
`app_state`: so `LendingProtocol` puts its transport there, and nothing else changes.
"""

import asyncio
import contextlib
import http
import socket
import struct
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_NO_LINGER = struct.pack("ii", 1, 0)  # closing then resets the connection


class LendingProtocol(H11Protocol):
    """uvicorn's own protocol, but that it lends the transport to the application and logs no request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection."""
        super().connection_made(transport)
        self.access_log = False
        self.app_state = {**self.app_state, "transport": transport}
        self.gone = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection has ended."""
        super().connection_lost(exc)
        self.gone.set()


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP answer before it is sent."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def encoded(self) -> bytes:
        """Return the bytes that go over the wire."""
        phrase = http.HTTPStatus(self.status).phrase
        lines = [f"HTTP/1.1 {self.status} {phrase}".encode()]
        lines += [name + b": " + value for name, value in self.headers]
        return b"\r\n".join([*lines, b"connection: close", b"", self.body])


class Exchange:
    """One request on its way between the server and the application."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the request; nothing is read yet."""
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._body = b""
        self._transport: asyncio.Transport = scope["state"]["transport"]

    async def read(self) -> bool:
        """Read the request's body, and return whether it came whole."""
        message = await self._receive()
        while message["type"] == "http.request":
            self._body += message["body"]
            if not message["more_body"]:
                return True
            message = await self._receive()
        return False

    async def process(self) -> Reply:
        """Let the application handle the request, and return its answer, of which the client gets nothing yet."""
        sent: list[Message] = []

        async def receive_again() -> Message:
            return {"type": "http.request", "body": self._body, "more_body": False}

        async def keep(message: Message) -> None:
            sent.append(message)

        await self._app(self._scope, receive_again, keep)
        body = b"".join(message.get("body", b"") for message in sent)
        return Reply(sent[0]["status"], tuple(sent[0]["headers"]), body)

    async def answer(self, reply: Reply) -> None:
        """Send an answer whole."""
        await self._start(reply)
        await self._send({"type": "http.response.body", "body": reply.body})

    async def answer_half(self, reply: Reply) -> None:
        """Send the headers, with the full length, and the first half of the body."""
        await self._start(reply)
        half = reply.body[: len(reply.body) // 2]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})

    async def drip(self, reply: Reply, interval: float) -> None:
        """Write an answer byte by byte, headers too, and close the connection after it."""
        for byte in reply.encoded():
            self._transport.write(bytes([byte]))
            if await self.left(interval):
                return
        await self.close()

    async def left(self, seconds: float | None = None) -> bool:
        """Wait until the client leaves, at most so long, and return whether it did."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._receive()
                return True
        return False

    async def close(self) -> None:
        """Close the connection after everything that was written."""
        self._transport.close()
        await self.left()

    async def reset(self) -> None:
        """Reset the connection: the client gets an RST, not an end of stream."""
        if not self._transport.is_closing():
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._transport.abort()
        await self.left()

    async def _start(self, reply: Reply) -> None:
        start = {"type": "http.response.start", "status": reply.status, "headers": reply.headers}
        await self._send(start)
