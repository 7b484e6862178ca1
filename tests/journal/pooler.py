"""Stand between clients and PostgreSQL as a pooler in transaction mode does: each transaction has another session."""

import contextlib
import queue
import select
import socket
import struct
import threading

_ENCRYPTION = {80877103, 80877104}  # https://www.postgresql.org/docs/current/protocol-message-formats.html


def _startup(**parameters: str) -> bytes:
    fields = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items()) + b"\0"
    return struct.pack("!II", len(fields) + 8, 196608) + fields


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            raise OSError
        received += chunk
    return received


def _message(connection: socket.socket) -> bytes:
    """Receive one message, its kind and length included."""
    head = _exactly(connection, 5)
    return head + _exactly(connection, struct.unpack("!I", head[1:])[0] - 4)


class Pooler:
    """A pooler with two sessions, which take turns."""

    def __init__(self, target: str) -> None:
        """Open the sessions of a server that trusts everybody, and listen."""
        self._greeting = b""
        self._sessions: queue.Queue[socket.socket] = queue.Queue()
        self._open: list[socket.socket] = []
        for _ in range(2):
            self._sessions.put(self._session(target))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _session(self, target: str) -> socket.socket:
        session = socket.socket(socket.AF_UNIX)
        session.connect(target)
        session.sendall(_startup(user="postgres", database="postgres", client_encoding="UTF8"))
        self._open.append(session)
        self._greeting = b""
        while (message := _message(session))[:1] != b"Z":
            # The process that a client is told of is none of the server's.
            self._greeting += b"K" + struct.pack("!III", 12, 1, 1) if message[:1] == b"K" else message
        self._greeting += message
        return session

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                size, code = struct.unpack("!II", _exactly(client, 8))
                _exactly(client, size - 8)
                if code not in _ENCRYPTION:
                    break
                client.sendall(b"N")
            client.sendall(self._greeting)
            while True:
                first = _message(client)
                if first[:1] == b"X":
                    return
                session = self._sessions.get(timeout=10)
                self._transaction(client, session, first)
                self._sessions.put(session)

    def _transaction(self, client: socket.socket, session: socket.socket, first: bytes) -> None:
        """Pass on what both say until the server is in no transaction, and has answered everything."""
        session.sendall(first)
        unanswered = int(first[:1] in b"QS")
        while True:
            for ready in select.select([client, session], [], [])[0]:
                message = _message(ready)
                if ready is client:
                    session.sendall(message)
                    unanswered += message[:1] in b"QS"
                    continue
                client.sendall(message)
                unanswered -= message[:1] == b"Z"
                if message[:1] == b"Z" and message[5:] == b"I" and not unanswered:
                    return

    def stop(self) -> None:
        """Cut every connection."""
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in (self._listener, *self._open):
            each.close()
