"""Hold one request in hand: read it, have it answered, and end its connection in any way.

Starlette and ASGI answer politely or not at all; a fault needs the bytes. uvicorn's ``http=``
option takes a protocol class, and every request's ``scope["state"]`` is a copy of the protocol's
``app_state``: so `LendingProtocol` puts its transport there, and nothing else changes.
"""

import asyncio
import contextlib
import http
import socket
import struct
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_LINGER_NOT = struct.pack("ii", 1, 0)


class LendingProtocol(H11Protocol):
    """Speak HTTP as uvicorn does, lend the transport to the application, and log no request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection."""
        super().connection_made(transport)
        self.access_log = False
        self.app_state = {**self.app_state, "transport": transport}
        self.gone = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits that the connection has ended."""
        super().connection_lost(exc)
        self.gone.set()


@dataclass(frozen=True, slots=True)
class Reply:
    """Hold a whole HTTP answer before it is sent."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def encoded(self) -> bytes:
        """Give the bytes that go over the wire."""
        phrase = http.HTTPStatus(self.status).phrase
        lines = [f"HTTP/1.1 {self.status} {phrase}".encode()]
        lines += [name + b": " + value for name, value in self.headers]
        return b"\r\n".join([*lines, b"connection: close", b"", self.body])


class Exchange:
    """Stand between the server and the application for one request."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the request over; nothing is read yet."""
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._body = b""
        self._transport: asyncio.Transport = scope["state"]["transport"]

    async def read(self) -> bool:
        """Read the request's body, and tell whether it came to its end."""
        message = await self._receive()
        while message["type"] == "http.request":
            self._body += message["body"]
            if not message["more_body"]:
                return True
            message = await self._receive()
        return False

    async def process(self) -> Reply:
        """Let the application handle the request, and keep its answer from the client."""
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        await self._app(self._scope, self._again, keep)
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
        """Wait until the client leaves, at most so long, and tell whether it did."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._receive()
                return True
        return False

    async def close(self) -> None:
        """Close the connection the polite way, after all that was written."""
        self._transport.close()
        await self.left()

    async def reset(self) -> None:
        """Reset the connection: the client gets a RST, not an end of stream."""
        if not self._transport.is_closing():
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self._transport.abort()
        await self.left()

    async def _start(self, reply: Reply) -> None:
        start = {"type": "http.response.start", "status": reply.status, "headers": reply.headers}
        await self._send(start)

    async def _again(self) -> Message:
        return {"type": "http.request", "body": self._body, "more_body": False}
