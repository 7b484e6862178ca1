"""Send a receiver what strangers may send: costly requests, connections that say nothing, and fuzzed deliveries.

The receiver is a process of its own that serves as `payhub serve` does. What it costs is measured as the CPU time of
that process, so a busy machine changes little.
"""

import contextlib
import http.client
import json
import random
import select
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
import structlog

from payhub.receivers import asgi
from payhub.receivers.server import Server
from payhub_alikassa.sandbox.notifications import add_signature
from payhub_alikassa.sandbox.php import php_json, php_query
from payhub_alikassa.sandbox.signatures import Signer, load_signer
from torture.judge import Judge
from torture.processes import Child, die_with_parent, start
from torture.report import Bench, Finding, Found
from torture.sender import signed_fields
from torture.shop import ACCOUNT, Shop

_PATIENCE = 30.0
_BRIEF = 0.02  # seconds for the answer to what may not be a whole request
_MOST = 5.0  # times as much CPU as an ordinary notification
_IDLE = 600
_SENDERS = 8
_ROUNDS = 3
_EACH = 5  # requests of a round

_MORE = """
[accounts.broken]
provider = "alikassa"
account = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
currency = "RUB"
payout_cert = "{keys}/cert/payout"
notification_key = "{keys}/gone.pem"

[accounts.keyless]
provider = "alikassa"
account = "6ba7b811-9dad-11d1-80b4-00c04fd430c8"
currency = "RUB"
payout_cert = "{keys}/cert/payout"
"""


class Receiver(NamedTuple):
    """A receiver in a process of its own, and where its complaints are written."""

    port: int
    process: Child
    complaints: Path
    shop: Shop
    signer: Signer

    def connect(self) -> socket.socket:
        """Connect as a sender does."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE)

    def send(self, request: bytes, patience: float = _PATIENCE) -> int | None:
        """Send a request on a connection of its own; return the answer's status, `None` where there was none.

        After the `patience`, in seconds, the receiver is told that no more comes.
        """
        with self.connect() as connection:
            with contextlib.suppress(OSError):  # it need not read all of it
                connection.sendall(request)
                if not select.select([connection], [], [], patience)[0]:
                    connection.shutdown(socket.SHUT_WR)
            return answer_on(connection)

    def seconds(self) -> float:
        """Return the CPU time that the process has taken."""
        return time.clock_gettime((~self.process.pid) << 3 | 2)  # linux/posix-timers.h: CPUCLOCK_SCHED of a process

    def kept(self) -> Sequence[tuple[str, str, str]]:
        """Return order, provider's id and status of every notification that is kept."""
        with self.shop.hub() as hub:
            found = [each.content for each in hub.journal.notifications(1_000_000)]
        return [(each.order_id, each.provider_id, each.provider_status) for each in found]


def face_strangers(bench: Bench) -> Found:
    """Send `trials` fuzzed deliveries, a fiftieth as many genuine ones among idle connections, and what is costly."""
    with Judge() as judge:
        shop = Shop(directory=bench.directory / "shop", judge=judge, journal="sqlite:///payhub.db")
        shop = msgspec.structs.replace(shop, more=_MORE.format(keys=shop.keys))
        with _receiving(shop) as receiver:
            cost, notes = _costs(receiver)
            fuzzed = _fuzzed(receiver, bench.chance("fuzz"), bench.trials)
            crowd = _crowded(receiver, max(20, bench.trials // 50))
            complaints = tuple(receiver.complaints.read_text("utf-8").splitlines())
    raised = Finding(fault="an exception in the receiver", trials=cost.trials + bench.trials, failures=complaints)
    return Found([cost, crowd, fuzzed, raised], notes)


@contextlib.contextmanager
def _receiving(shop: Shop) -> Iterator[Receiver]:
    complaints = shop.configuration.with_name("complaints")
    complaints.touch()
    hub = shop.hub()
    server = Server(asgi(hub, ask=False), "127.0.0.1", 0)
    port = int(server.url.rpartition(":")[2])

    def complain(_: object, __: str, event: Any) -> Any:
        expected = {"payhub.notification", "payhub.notification_refused"}
        failed = event["event"] not in expected and event.get("account") not in {"broken", "keyless"}
        if failed:
            with complaints.open("a", encoding="utf-8") as written:
                written.write(json.dumps(event, default=str) + "\n")
        raise structlog.DropEvent

    def serve() -> None:
        die_with_parent()
        structlog.configure(processors=[complain])
        with server:
            signal.pause()

    process = start(serve, seconds=3600)
    receiver = Receiver(port, process, complaints, shop, load_signer(shop.keys, "sha1"))
    try:
        yield receiver
    finally:
        receiver.process.signal(signal.SIGKILL)
        receiver.process.code()


def answer_on(connection: socket.socket) -> int | None:
    """Read an answer, and return its status; `None` where the connection ends without one."""
    try:
        response = http.client.HTTPResponse(connection)
        response.begin()
        response.read()
    except (ConnectionError, http.client.HTTPException):
        return None
    return response.status


def post(body: bytes, path: str = f"/{ACCOUNT}", *headers: str) -> bytes:
    """Write a request."""
    lines = [f"POST {path} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


# What it costs


def _costs(receiver: Receiver) -> tuple[Finding, Sequence[str]]:
    """Compare what each hostile request costs with what an ordinary notification does, which is kept."""
    signer, numbers = receiver.signer, iter(range(1_000_000))

    def ordinary() -> bytes:
        name = f"ordinary-{next(numbers)}"
        return post(php_query(signed_fields(signer, name, 100_000 + next(numbers), "500.00")))

    _cost(receiver, ordinary, {200})
    usual, failures = _cost(receiver, ordinary, {200})
    ratios: list[tuple[float, str]] = []
    for name, request in hostile_requests(signer).items():
        seconds, problems = _cost(receiver, lambda request=request: request, {400, 405, 413, 414, 503})  # type: ignore[misc]
        ratios.append((seconds / usual, name))
        failures += [f"{name}: {problem}" for problem in problems]
        failures += [f"{name}: {seconds / usual:.1f} times an ordinary one"] * (seconds > _MOST * usual)
    listed = "; ".join(f"{name}: {ratio:.2f}" for ratio, name in sorted(ratios, reverse=True))
    note = (
        f"An ordinary notification, which is verified and kept, costs {usual * 1000:.2f} ms of CPU. In its units, what "
        f"hostile requests cost (the lowest of {_ROUNDS} rounds): {listed}."
    )
    fault = f"a hostile request costs more than {_MOST:.0f} times an ordinary one, {len(ratios)} kinds"
    return Finding(fault=fault, trials=len(ratios) * _ROUNDS * _EACH, failures=tuple(failures)), [note]


def _cost(receiver: Receiver, request: Callable[[], bytes], expected: set[int]) -> tuple[float, list[str]]:
    """Return the CPU seconds of a request in the cheapest round, and the answers that were not expected."""
    rounds: list[float] = []
    statuses: Counter[int | None] = Counter()
    for _ in range(_ROUNDS):
        requests = [request() for _ in range(_EACH)]
        before = receiver.seconds()
        statuses.update(receiver.send(each) for each in requests)
        rounds.append((receiver.seconds() - before) / _EACH)
    return min(rounds), [
        f"answered {status} {times} times" for status, times in statuses.items() if status not in expected
    ]


def hostile_requests(signer: Signer) -> Mapping[str, bytes]:
    """Return requests that cost a receiver much, if it lets them; whoever sends them has seen one genuine signature."""
    seen = add_signature({"order_id": "in-1", "uuid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}, signer)
    fields = {**signed_fields(signer, "in-1", 7, "500.00"), "sign": seen["sign"]}
    open_head = f"POST /{ACCOUNT} HTTP/1.1\r\nHost: here\r\n".encode()
    chunked, end = open_head + b"Transfer-Encoding: chunked\r\n\r\n", b"0\r\n\r\n"

    def with_lines(lines: Iterator[bytes]) -> bytes:
        return b"POST /nobody HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n" + b"".join(lines) + b"\r\n"

    def text(letter: str, count: int) -> bytes:
        return post(json.dumps({**fields, "desc": letter * count}, ensure_ascii=False).encode())

    requests = {
        "12,000 times one header line": with_lines(iter([b"a:\r\n"] * 12_000)),
        "16,000 names of headers in one read": with_lines(b"%x:\r\n" % number for number in range(16_000)),
        "100 header lines": with_lines(b"%x: %b\r\n" % (number, b"y" * 150) for number in range(97)),
        "a head of 90 KiB": with_lines(iter([b"x: " + b"y" * 90_000 + b"\r\n"])),
        "an account that there is not": post(b"x=1", "/nobody"),
        "an account whose key is gone": post(b"x=1", "/broken"),
        "an account without a key": post(b"x=1", "/keyless"),
        "a path of 60,000 letters": post(b"x=1", "/" + "a" * 60_000),
        "a forged delivery": post(urlencode({**fields, "sign": "AAAA"}).encode()),
        "another text's signature": post(php_query(fields)),
        "two lengths": open_head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + end,
        "a chunk that is none": chunked + b"0x0\r\n\r\n",
        "60,000 chunks of a byte": chunked + b"1\r\na\r\n" * 60_000 + end,
        "256 chunks of a byte": chunked + b"1\r\na\r\n" * 255 + end,
        "an announced TiB": open_head + b"Content-Length: 1099511627776\r\n\r\n",
        "60,000 nested lists": post(b'{"a":' + b"[" * 60_000),
        "16,000 nested lists": post(b'{"a":' + b"[" * 8_000 + b"]" * 8_000 + b"}"),
        "a number of 16,000 digits": post(b'{"id":' + b"9" * 16_000 + b',"sign":"AAAA"}'),
        "a huge exponent": post(b'{"id":1e999999999,"amount":1E-99999999,"sign":"AAAA"}'),
        "8,000 numbers in a list": post(b'{"a":[' + b",".join([b"1"] * 8_000) + b"]}"),
        "30,000 fields of a form": post(b"a&" * 30_000),
        "64 fields of a form": post(urlencode({**fields, **{f"k{number}": "x" for number in range(50)}}).encode()),
        "1,500 names in JSON": post(json.dumps({f"k{number}": 1 for number in range(1_500)}).encode()),
        "60,000 percent signs": post(b"a=" + b"%" * 60_000),
        "16,000 percent signs": post(b"a=" + b"%" * 16_000),
        "a byte order mark and blanks": post(b"\xef\xbb\xbf" + b" " * 60_000),
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
    }
    for letter, name in {"a": "a", "/": "/", '"': "quotes", "ж": "Cyrillic", "😀": "emoji", "\u2028": "U+2028"}.items():
        long = 3_400 // len(php_json({"": letter})[5:-2])
        requests |= {f"a long text of {name}": text(letter, 15_000), f"4 KiB of {name}": text(letter, long)}
    return requests


# Many connections


def _crowded(receiver: Receiver, count: int) -> Finding:
    """Deliver `count` genuine notifications while many connections say nothing; those that are closed come again."""
    idle: list[socket.socket] = []

    def hold() -> None:
        idle[:] = [each for each in idle if not _is_closed(each)]
        while len(idle) < _IDLE:
            idle.append(receiver.connect())
            idle[-1].setblocking(False)  # noqa: FBT003

    def deliver(number: int) -> int | None:
        return receiver.send(
            post(php_query(signed_fields(receiver.signer, f"crowd-{number}", 500_000 + number, "500.00")))
        )

    statuses: Counter[int | None] = Counter()
    with ThreadPoolExecutor(_SENDERS) as senders:
        for first in range(0, count, 100):
            hold()
            statuses.update(senders.map(deliver, range(first, min(first + 100, count))))
    for each in idle:
        each.close()
    kept = {order_id for order_id, *_ in receiver.kept()}
    lost = [f"crowd-{number} is lost" for number in range(count) if f"crowd-{number}" not in kept]
    other = [f"answered {status} {times} times" for status, times in statuses.items() if status != 200]  # noqa: PLR2004
    fault = f"genuine notifications, beside {_IDLE} connections that say nothing"
    return Finding(fault=fault, trials=count, failures=(*lost, *other))


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


# Fuzzed deliveries


def _fuzzed(receiver: Receiver, chance: random.Random, count: int) -> Finding:
    """Send what becomes of a genuine message when chance has been at it: only that very message may be kept."""
    genuine = signed_fields(receiver.signer, "fuzz-1", 424_242, "500.00")
    before, failures = set(receiver.kept()), []
    statuses: Counter[int | None] = Counter()
    for _ in range(count):
        request, whole = _altered(chance, genuine)
        status = receiver.send(request, _PATIENCE if whole else _BRIEF)
        statuses[status] += 1
        # What was altered in its head or its length may be no request at all, or not a whole one.
        if status not in ({200, 400} if whole else {200, 400, 405, 408, 413, 414, None}):
            failures.append(f"answered {status}: {request[:400]!r}")
    new = [each for each in receiver.kept() if each not in before]
    failures += [f"kept {each}" for each in new if each != ("fuzz-1", "424242", "paid")]
    failures += ["the same message was kept twice"] * (len(new) > 1)
    listed = ", ".join(f"{status or 'none'} {times}" for status, times in sorted(statuses.items(), key=str))
    return Finding(fault=f"fuzzed deliveries (answers: {listed})", trials=count, failures=tuple(failures))


_ODD = (
    "",
    "\0",
    "'",
    '"',
    "\\",
    "ж",
    "😀",
    "\u2028",
    "\x1b[31m",
    "1e999",
    "-1",
    "NaN",
    "null",
    "true",
    "0",
    "[]",
    "{}",
    "%",
    "&",
    "=",
)


def _altered(chance: random.Random, genuine: Mapping[str, object]) -> tuple[bytes, bool]:
    """Return a request, and whether its head is still as it should be."""
    fields = dict(genuine)
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        _alter_field(chance, fields)
    form = chance.choice(("query", "form", "json", "parts", "chunks"))
    body = _json(fields) if form == "json" else _in_parts(fields) if form == "parts" else _form(fields)
    if chance.random() < 0.4:  # noqa: PLR2004
        body = _alter_bytes(chance, body)
    if form == "query":
        request = b"GET /%b?%b HTTP/1.1\r\nHost: here\r\n\r\n" % (ACCOUNT.encode(), _form(fields))
    elif form == "chunks":
        cut = chance.randrange(len(body) + 1)
        pieces = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:cut], body[cut:]) if piece)
        request = post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + pieces + b"0\r\n\r\n"
    else:
        kind = "Content-Type: multipart/form-data; boundary=x" if form == "parts" else "Accept: */*"
        request = post(body, f"/{ACCOUNT}", kind)
    if chance.random() < 0.2:  # noqa: PLR2004
        return _alter_bytes(chance, request), False
    return request, True


def _alter_field(chance: random.Random, fields: dict[str, object]) -> None:
    name = chance.choice(list(fields) or ["id"])
    match chance.randrange(6):
        case 0:
            fields.pop(name, None)
        case 1:
            fields[name] = chance.choice(_ODD)
        case 2:
            fields[name] = chance.choice((None, True, False, 0, -1, 10**30, [1], {"a": {"b": 1}}, 1.5))
        case 3:
            fields[name] = f"{fields.get(name)}{chance.choice(_ODD)}"
        case 4:
            fields[chance.choice(_ODD) + name] = fields.get(name)
        case _:
            other = chance.choice(list(fields) or ["id"])
            fields[name], fields[other] = fields.get(other), fields.get(name)


def _alter_bytes(chance: random.Random, data: bytes) -> bytes:
    altered = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        place = chance.randrange(len(altered) + 1)
        match chance.randrange(4):
            case 0:
                altered[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                altered[place:place] = chance.choice((b"\r\n", b"\n", b"\0", b"&", b"%", b"=", b'"', b"\xff", b" "))
            case 2:
                del altered[place : place + chance.choice((1, 2, 50))]
            case _:
                altered[place:place] = altered[chance.randrange(len(altered) + 1) :][: chance.choice((1, 10, 200))]
    return bytes(altered)


def _form(fields: Mapping[str, object]) -> bytes:
    return urlencode({name: "" if value is None else value for name, value in fields.items()}).encode()


def _json(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).replace("/", "\\/").encode()


def _in_parts(fields: Mapping[str, object]) -> bytes:
    head = 'Content-Disposition: form-data; name="%s"'
    parts = "".join(f"--x\r\n{head % name}\r\n\r\n{value}\r\n" for name, value in fields.items())
    return f"{parts}--x--\r\n".encode()
