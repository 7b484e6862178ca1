"""Judge: a provider in a process of its own, which never refuses a repeated order and counts every one.

It speaks AliKassa's `v1/payout` and `v1/payout/status`. Answers about a payout are true unless a
`Fault` was ordered for it. `/control`, on a port of its own, takes faults and hands out the counts; it is
not for payhub. Started as `python -m torture.judge`, it prints both ports and ends when its standard input does.
"""

import asyncio
import contextlib
import functools
import http.client
import random
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, Self

import msgspec

from torture import ROOT

FIRST_ID = 100_001_524


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One misbehaviour in answering about one order.

    `accept` says whether a create counts although it is answered like this. The true answer is
    sent with `status`, its fields changed by `change` (`None` removes one) or replaced whole by
    `body`, its id by that of `instead`'s payout, and so many spaces behind it as `pad` says. `cut`
    sends only the first bytes, and `end` says what becomes of the connection then. `interim` sends a
    head of that status before. `times` is how often, 0 for always.
    """

    on: Literal["create", "status"] = "create"
    accept: bool = True
    status: int = 200
    interim: int | None = None
    body: str | None = None
    kind: str = "application/json"
    change: Mapping[str, str | int | None] = {}
    instead: str | None = None
    pad: int = 0
    cut: int | None = None
    end: Literal["keep", "close", "reset", "stall"] = "keep"
    times: int = 1


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """A request to the judge: faults to add, orders whose faults to forget, what a payout comes to.

    The counts are always returned. `waits` is how many status queries say `wait` before the
    outcome, -1 for all of them. `delay` is the longest time, in seconds, that an answer takes. While it is
    `shut` it refuses connections, and has cut those that there were. `of` names the one order whose counts
    are wanted.
    """

    faults: Mapping[str, Sequence[Fault]] = {}
    forget: Sequence[str] = ()
    waits: int | None = None
    delay: float | None = None
    shut: bool | None = None
    of: str | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of each order: complete create requests, those accepted, and questions about it.

    `since` is when it was first accepted, by the clock that all processes of this machine share (`time.monotonic`).
    """

    received: Mapping[str, int]
    accepted: Mapping[str, int]
    asked: Mapping[str, int] = {}
    since: Mapping[str, float] = {}


class _Payout(msgspec.Struct):
    id: int
    order_id: str
    amount: str
    asked: int = 0


class _Waiting(msgspec.Struct):
    fault: Fault
    left: int


class _Asked(msgspec.Struct):
    order_id: str | None = None
    id: str | None = None
    amount: str = ""


class _Books:
    """The judge's books, in memory: what was received and accepted, and the faults to come."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.since: dict[str, float] = {}
        self.waits = 1
        self.delay = 0.0
        self.faults: dict[tuple[str, str], list[_Waiting]] = defaultdict(list)
        self._by_id: dict[str, _Payout] = {}
        self._by_order: dict[str, _Payout] = {}

    def control(self, asked: Orders) -> Verdict:
        for order_id in asked.forget:
            self.faults.pop(("create", order_id), None)
            self.faults.pop(("status", order_id), None)
        if asked.waits is not None:
            self.waits = asked.waits
        if asked.delay is not None:
            self.delay = asked.delay
        for order_id, faults in asked.faults.items():
            for fault in faults:
                self.faults[fault.on, order_id].append(_Waiting(fault, fault.times or -1))
        wanted = self.received if asked.of is None else (asked.of,)
        received = {order_id: self.received[order_id] for order_id in wanted}
        accepted = {order_id: self.accepted[order_id] for order_id in wanted if self.accepted[order_id]}
        asked_about = {order_id: p.asked for order_id in wanted if (p := self._by_order.get(order_id))}
        since = {order_id: self.since[order_id] for order_id in accepted}
        return Verdict(received=received, accepted=accepted, asked=asked_about, since=since)

    def fault(self, on: str, order_id: str) -> Fault | None:
        waiting = self.faults.get((on, order_id))
        if not waiting:
            return None
        first = waiting[0]
        first.left -= 1
        if first.left == 0:
            waiting.pop(0)
        return first.fault

    def create(self, asked: _Asked) -> tuple[dict[str, object], Fault | None]:
        order_id = asked.order_id or ""
        self.received[order_id] += 1
        fault = self.fault("create", order_id)
        payout = _Payout(id=FIRST_ID + len(self._by_id), order_id=order_id, amount=asked.amount)
        if fault is None or fault.accept:
            self.accepted[order_id] += 1
            self.since.setdefault(order_id, time.monotonic())
            self._by_id[str(payout.id)] = payout
            self._by_order.setdefault(order_id, payout)
        named = self._by_order[fault.instead] if fault and fault.instead else payout
        return {"payment_status": "wait", "id": named.id}, fault

    def status(self, asked: _Asked) -> tuple[dict[str, object] | None, Fault | None]:
        payout = self._by_id.get(asked.id) if asked.id else self._by_order.get(asked.order_id or "")
        order_id = payout.order_id if payout else asked.order_id or ""
        if payout is None:
            return None, self.fault("status", order_id)
        payout.asked += 1
        word = "wait" if self.waits < 0 or payout.asked <= self.waits else "paid"
        answer = {
            "payment_status": word,
            "id": payout.id,
            "order_id": payout.order_id,
            "amount": payout.amount,
            "payment_amount": payout.amount if word == "paid" else None,
            "currency": "RUB",
        }
        return answer, self.fault("status", order_id)


class _Connection(asyncio.Protocol):
    """One connection; its requests come one after another, with a Content-Length."""

    def __init__(self, books: _Books, door: "_Door | None" = None) -> None:
        self._books = books
        self._door = door
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        if self._door is not None:
            self._door.inside.add(self._transport)

    def connection_lost(self, _: Exception | None) -> None:
        if self._door is not None:
            self._door.inside.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            length = int(head.lower().split(b"\ncontent-length:", 1)[1].split(b"\r\n", 1)[0])
            if len(rest) < length:
                return
            self._received = rest[length:]
            self._serve(head.split(b" ", 2)[1], rest[:length])

    def _serve(self, path: bytes, body: bytes) -> None:
        about = self._books.create if path == b"/v1/payout" else self._books.status
        answer = about(msgspec.json.decode(body, type=_Asked))
        if self._books.delay:
            later = random.uniform(0, self._books.delay)  # noqa: S311 - no secret
            asyncio.get_running_loop().call_later(later, self._answer, *answer)
        else:
            self._answer(*answer)

    def _answer(self, true: dict[str, object] | None, fault: Fault | None) -> None:
        if self._transport.is_closing():
            return
        written = render_answer(true, fault or Fault())
        if fault is None or (fault.cut is None and fault.end == "keep"):
            self._transport.write(written)
            return
        self._transport.write(written if fault.cut is None else written[: fault.cut])
        if fault.end == "reset":
            linger = struct.pack("ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if fault.end != "stall":
            self._transport.close()


class _Door:
    """The port on which the provider is found: open, or shut so that connections to it are refused."""

    def __init__(self, books: _Books) -> None:
        self._books = books
        self.inside: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None
        # It never listens: while the door is shut it keeps the port from everybody else.
        self._holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.port: int = self._holder.getsockname()[1]

    async def open(self) -> None:
        if self._server is None:
            loop = asyncio.get_running_loop()
            made = functools.partial(_Connection, self._books, self)
            self._server = await loop.create_server(made, "127.0.0.1", self.port, backlog=512)

    def shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in [*self.inside]:
            transport.close()


class _Control(_Connection):
    """A connection of the harness."""

    def __init__(self, books: _Books, door: _Door) -> None:
        super().__init__(books)
        self._controlled = door

    def _serve(self, _path: bytes, body: bytes) -> None:
        self._task = asyncio.get_running_loop().create_task(self._obey(msgspec.json.decode(body, type=Orders)))

    async def _obey(self, asked: Orders) -> None:
        if asked.shut:
            self._controlled.shut()
        elif asked.shut is False:
            await self._controlled.open()
        self._transport.write(_http(200, msgspec.json.encode(self._books.control(asked))))


def render_answer(true: Mapping[str, object] | None, fault: Fault) -> bytes:
    """Return the bytes of an answer: the true one, or what a fault makes of it."""
    if true is None and fault.status == 200 and fault.body is None:  # noqa: PLR2004
        return _http(404, b'{"message":"Payout not found"}')
    fields = {**(true or {}), **fault.change}
    body = msgspec.json.encode({name: value for name, value in fields.items() if value is not None})
    if fault.body is not None:
        body = fault.body.encode()
    body += b" " * fault.pad
    interim = b"" if fault.interim is None else b"HTTP/1.1 %d Interim\r\n\r\n" % fault.interim
    return interim + _http(fault.status, body, fault.kind)


def _http(status: int, body: bytes, kind: str = "application/json") -> bytes:
    head = b"HTTP/1.1 %d Judged\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (status, kind.encode(), len(body)) + body


class Judge:
    """The judge's process, and a way to speak to it."""

    def __enter__(self) -> Self:
        """Start it; it ends when this process does, however that ends."""
        command = [sys.executable, "-m", "torture.judge"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)  # noqa: S603 - ourselves
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        self.port, self._control = map(int, self._process.stdout.readline().split())
        return self

    def __exit__(self, *exc: object) -> None:
        """End it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait(10)

    @property
    def url(self) -> str:
        """Return where payhub finds the provider."""
        return f"http://127.0.0.1:{self.port}"

    def order(
        self,
        faults: Mapping[str, Sequence[Fault]] | None = None,
        *,
        forget: Sequence[str] = (),
        waits: int | None = None,
        delay: float | None = None,
        shut: bool | None = None,
        of: str | None = None,
    ) -> Verdict:
        """Give orders, and return the counts."""
        connection = http.client.HTTPConnection("127.0.0.1", self._control, timeout=30)
        with contextlib.closing(connection):
            orders = Orders(faults=faults or {}, forget=forget, waits=waits, delay=delay, shut=shut, of=of)
            connection.request("POST", "/control", msgspec.json.encode(orders))
            return msgspec.json.decode(connection.getresponse().read(), type=Verdict)

    def verdict(self, of: str | None = None) -> Verdict:
        """Return the counts of all orders, or of one."""
        return self.order(of=of)


async def _main() -> None:
    loop, books = asyncio.get_running_loop(), _Books()
    door = _Door(books)
    await door.open()
    control = await loop.create_server(lambda: _Control(books, door), "127.0.0.1", 0)
    sys.stdout.write(f"{door.port} {control.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    control.close()
    door.shut()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness's Ctrl-C; its end is ours
    asyncio.run(_main())
