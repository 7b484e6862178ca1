"""Serve scripted bytes on a loopback socket: what a real, broken or hostile provider may do."""

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


class Request(NamedTuple):
    """Hold one request as it came: which connection it came on, its head and its body."""

    connection: int
    line: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def path(self) -> str:
        """Return the path of the first line."""
        return self.line.split(" ")[1]

    def header(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key == name.lower()]


Act = bytes | Callable[[socket.socket], None]
"""Answer with bytes and keep the connection, or do something to it and close it."""


def answer(body: object = b"", status: int = 200, **headers: str) -> bytes:
    """Make a complete answer: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def close(_: socket.socket) -> None:
    """Close the connection without an answer."""


def reset(connection: socket.socket) -> None:
    """Cut the connection at once, with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def part(sent: bytes) -> Callable[[socket.socket], None]:
    """Send a part of an answer and close."""
    return lambda connection: connection.sendall(sent)


class Drip:
    """Send an answer byte by byte, for much longer than any deadline here; know if the reader left."""

    def __init__(self, head: bytes, body: bytes = b"") -> None:
        """Send `head` at once and drip `body`."""
        self.head = head
        self.body = body
        self.cut = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        """Drip until the reader closes, or to the end."""
        connection.sendall(self.head)
        connection.settimeout(0.05)
        for place in range(len(self.body)):
            with contextlib.suppress(TimeoutError):
                if not _received(connection):
                    self.cut.set()
                    return
            try:
                connection.sendall(self.body[place : place + 1])
            except OSError:
                self.cut.set()
                return


def _received(connection: socket.socket) -> bytes:
    """Receive what the reader sends; nothing when it is gone, however it went."""
    try:
        return connection.recv(1)
    except ConnectionError:
        return b""


class RawServer:
    """Answer each request with the next act of the script; the last act repeats."""

    def __init__(
        self,
        *script: Act,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
        greeting: bytes = b"",
        on_connection: Callable[[], None] = lambda: None,
    ) -> None:
        """Listen on any free port, or on this one; with `tls`, behind a certificate.

        A `greeting` is sent to whoever connects, as servers of other protocols do; `on_connection` is done before
        a connection is served, its handshake included.
        """
        self.script = list(script) or [answer({})]
        self.requests: list[Request] = []
        self.connections = 0
        self.requested = threading.Event()
        self._tls = tls
        self._greeting = greeting
        self._on_connection = on_connection
        self._open: set[socket.socket] = set()
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        """Return where to reach it."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def bodies(self) -> list[bytes]:
        """Return the bodies of all requests."""
        return [request.body for request in self.requests]

    def stop(self) -> None:
        """Stop listening, cut every connection, and wait until none is served any more."""
        self._stopped.set()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            pass
        self._accepting.join(timeout=5)
        self._listener.close()
        for connection in self._open.copy():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stopped.is_set():
                connection.close()
                return
            self.connections += 1
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        plain.settimeout(10)
        with plain, contextlib.suppress(OSError):
            self._on_connection()
            plain.sendall(self._greeting)
            connection = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
            self._open.add(connection)  # behind TLS, the plain one is an empty shell
            with connection:
                for request in _requests(connection, number):
                    self.requests.append(request)
                    act = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                    self.requested.set()
                    if callable(act):
                        act(connection)
                        return
                    connection.sendall(act)


def _requests(connection: socket.socket, number: int) -> Iterator[Request]:
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            chunk = connection.recv(65536)
            if not chunk:
                return
            received += chunk
        head, _, received = received.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name.strip().lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines)]
        length = int(dict(headers).get("content-length", "0"))
        while len(received) < length:
            received += connection.recv(65536)
        body, received = received[:length], received[length:]
        yield Request(number, line, headers, body)


@contextlib.contextmanager
def serving(*script: Act, **options: Any) -> Iterator[RawServer]:
    """Serve a script for the length of a block; the options are those of `RawServer`."""
    server = RawServer(*script, **options)
    try:
        yield server
    finally:
        server.stop()
