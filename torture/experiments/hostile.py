"""Answer every operation with what a stranger could send: values, sizes and heads that nobody expects.

Each answer is given to every operation, by a hub for threads and one for event loops. Whatever it is,
a create returns and ends nothing, a question returns or raises what is documented, the event loop
goes on, and what is kept of the answer is small and can be read again. Then answers are altered at
random, and read by the driver and the record without a network.
"""

import asyncio
import contextlib
import datetime as dt
import functools
import gc
import json
import mmap
import os
import random
import signal
import socket
import string
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from payhub import (
    AsyncHub,
    Declined,
    Hub,
    Money,
    NotFound,
    Payer,
    PaymentOrder,
    PayoutOrder,
    Status,
    TicketRefused,
    ToCard,
    Unavailable,
)
from payhub.cli.story import _lines, _values
from payhub.driver import Call, Response, Unreadable
from payhub.exchanges import record
from payhub.exchanges.reply import Reply
from payhub.models import Exchange, Period, Phase, Ref
from payhub.plans.rules import check_answer
from payhub.ticket import FORMATS, Format
from payhub.ticket.values import jsonable
from payhub_alikassa import plugin
from payhub_alikassa.sandbox.directory import write_directory
from torture.processes import call, start
from torture.report import Bench, Finding, Found

ACCOUNT = "alikassa-rub"
_LONGEST_HOLD = 0.05  # seconds
_LOOKS = 3  # at most: what an answer does, it does again; what the machine was busy with, it was once
_MOST_KEPT = 64 * 1024  # bytes, of one exchange
_SAMPLE, _FUZZED_SAMPLE = 12, 300
_ALL_FORMS = 8  # of so many orders one has a ticket in every form
_SEED = 1000  # bytes of an answer that is altered, at most
_DAY = dt.date(2026, 1, 1)
_RUB = Money("100.00", "RUB")


class Answer(NamedTuple):
    """One hostile answer: of which kind it is, what is sent, and whether the connection is closed then."""

    kind: str
    sent: bytes
    close: bool = False


# What is answered


_GOOD: Mapping[str, Any] = {
    "payment_status": "wait", "id": 100, "url": "https://pay.example/x", "amount": "100.00", "order_id": None,
    "currency": "RUB", "payment_amount": "100.00", "balance": "1", "hold": "0", "is_allowed_payment": True,
    "is_allowed_payout": True, "payments": [], "payouts": [], "data": [], "links": {"next": None}, "meta": {},
}  # fmt: skip
_FIELDS = (
    "id", "amount", "payment_status", "order_id", "url", "currency", "balance", "hold", "payment_amount",
    "commission_amount", "account_payment_amount", "is_partial_payment", "payment_error_message", "cardNumber",
    "cardHolderName", "bank", "service_code", "message", "errors", "data", "links", "payments", "undeclared",
)  # fmt: skip
# As JSON writes them, so that also what no program writes can be among them.
_VALUES: Mapping[str, str] = {
    "5000 digits": "1" * 5000, "100,000 digits": "9" * 100_000, "a fraction of 100,000 digits": "0." + "1" * 100_000,
    "1e999999": "1e999999", "an exponent of 20 digits": "1e99999999999999999999",
    "a negative exponent of 20 digits": "-1e-99999999999999999999", "NaN": "NaN", "Infinity": "Infinity", "-0": "-0",
    "-5": "-5", "0.1e1": "0.1e1", "true": "true", "false": "false", "null": "null", "a list": "[1]",
    "an object": '{"a":1}', "text NaN": '"NaN"', "text sNaN": '"sNaN"', "text -Infinity": '"-Infinity"',
    "text 1_000": '"1_000"', "full-width digits": '"\\uff11\\uff10\\uff10"', "blanks": '" 100.00 "',
    "text 1e5": '"1e5"',
    "text of 100,000 digits": '"' + "9" * 100_000 + '"', "nothing": '""', "NUL": '"a\\u0000b"',
    "ESC": '"\\u001b[2J\\u001b]0;x\\u0007"', "C1": '"\\u009b2J"', "text direction": '"\\u202eabc"',
    "ends of lines": '"a\\u2028b\\u2029c\\u0085d"', "half a character": '"\\ud800"',
    "half a character, raw": '"\udc80"',
    "a header": '"a\\r\\nSet-Cookie: x=1"', "HTML": '"<img src=x onerror=alert(1)>"', "SQL": '"\'; DROP TABLE x;--"',
    "a path": '"../../etc/passwd"', "script": '"javascript:alert(1)"', "another host": '"https://a@evil.example/"',
    "a text of 900,000": '"' + "a" * 900_000 + '"', "single digits": '"' + "4." * 4000 + '"',
    "deep lists": "[" * 20_000 + "]" * 20_000, "deep objects": '{"a":' * 500 + "1" + "}" * 500,
    "the end of time": '"9999-12-31T23:59:59-12:00"', "the beginning of time": '"0001-01-01T00:00:00+12:00"',
    "19,000 numbers": "[" + "1," * 19_000 + "1]", "500,000 numbers": "[" + "1," * 500_000 + "1]",
    "9,000 lists": "[" + "[]," * 9_000 + "[]]", "1,000 texts of digits": "[" + f'"{"4." * 49}",' * 1000 + '""]',
    "125 texts of 8 KiB": "[" + f'"{"4." * 4000}",' * 125 + '""]', "many words": "[" + '"a1b2c3d4",' * 9_000 + '""]',
}  # fmt: skip


def _answers() -> Iterator[Answer]:
    """Give each field each value, and then bodies, heads and ends of all kinds."""
    for field in _FIELDS:
        for kind, written in _VALUES.items():
            body = json.dumps({**_GOOD, field: "@"}).replace('"@"', written).encode("utf-8", "surrogateescape")
            yield Answer(f"a value: {kind}", _http(body))
    for status in (400, 404, 200):
        for kind, body in _bodies():
            yield Answer(f"a body: {kind}", _http(body, status))
    for kind, head in _heads().items():
        yield Answer(f"a head: {kind}", _http(json.dumps(_GOOD).encode(), head=head))
    for kind, sent in _ends().items():
        yield Answer(f"an end: {kind}", sent, close=True)


def _bodies() -> Iterator[tuple[str, bytes]]:
    good = json.dumps(_GOOD)
    names = [f"{a}{b}{c}" for a in string.ascii_letters for b in string.ascii_letters for c in string.ascii_letters]
    yield "not JSON", b"<html>" * 1000
    yield "1 MiB that is not JSON", b"<" * (1 << 20)
    yield "half of 1 MiB", b'{"message":"' + b"4." * 500_000
    yield "nothing", b""
    for text in ("[]", '"x"', "1", "null", "{}", "[" * 500_000, good + "x", good + good, good[:-9]):
        yield text[:9], text.encode()
    yield "no UTF-8", b'{"id":"\xff\xfe"}'
    yield "a mark before it", b"\xef\xbb\xbf" + good.encode()
    yield "UTF-16", good.encode("utf-16")
    yield "a name twice", b'{"payment_status":"wait","payment_status":"paid","id":1,"id":2}'
    yield "100,000 names", json.dumps(dict.fromkeys(names, 1)).encode()
    yield "19,000 names", json.dumps(dict.fromkeys(names[:19_000], 1)).encode()
    yield "19,000 complaints", json.dumps({"errors": dict.fromkeys(names[:19_000], "x")}).encode()
    yield "a name of 900,000", json.dumps({"k" * 900_000: 1}).encode()
    yield "names of digits", json.dumps({f"{'4.' * 48}{number}": 1 for number in range(5000)}).encode()
    yield "complaints of digits", json.dumps({"errors": {f"k{n}": ["4." * 4000] for n in range(125)}}).encode()
    filled = {field: "4." * 4000 for field in _FIELDS if field not in {"amount", "payment_amount", "currency"}}
    words = {**_GOOD, **filled, "id": 7, "links": {"next": None}, "message": None, "errors": None, "order_id": None}
    yield "every field of digits", json.dumps(words).encode()
    yield "every field, and no answer", json.dumps({**filled, "errors": {"amount": ["4." * 4000] * 9}}).encode()
    yield "complaints about the order", json.dumps({"errors": {"order_id": ["taken"]}, "message": "x"}).encode()
    yield "complaints that steer", json.dumps({"errors": {"\x1b[2J": ["\x1b[2J"]}, "message": "\x9b2J"}).encode()
    yield "5,000 payments", json.dumps({**_GOOD, "data": [{"id": n, "status": "paid"} for n in range(5000)]}).encode()
    yield "900 payments", json.dumps({**_GOOD, "data": [{"id": n, "status": "paid"} for n in range(900)]}).encode()
    yield "5,000 services", json.dumps({**_GOOD, "payments": [{"service_code": "x"}] * 5000}).encode()


def _heads() -> Mapping[str, Sequence[str]]:
    many = [f"X-{number}: y" for number in range(5000)]
    shown = [f"{name}: {'4.' * 1500}" for name in sorted(record.SHOWN_HEADERS - {"content-length", "date"})[:18]]
    dates = ("Fri, 31 Dec 9999 23:59:59 -1200", "Mon, 01 Jan 2024 00:00:00 +9999", "Mon, 01 Jan 9999999 00:00:00 GMT",
             "x" * 60_000, "0", "Mon, 01 Jan 2024 00:00:00 -0000", "Thu, 99 Foo 2024 99:99:99 GMT")  # fmt: skip
    return {
        **{f"date {date[:20]}": [f"Date: {date}"] for date in dates},
        "5,000 lines": many,
        "one name 8,000 times": ["X: y"] * 8000,
        "shown headers of 3 KiB": [line for line in shown if "encoding" not in line],
        "C1": ["Server: \x9b2J\x9b31m", "X-Request-Id: \x85", "Location: /\x9b2J"],
        "encoded": ["Content-Encoding: gzip"],
        "cookies": ["Set-Cookie: a=b"] * 50,
        "a redirect": ["Location: https://user:pass@evil.example/?x=4111111111111111"],
    }


def _ends() -> Mapping[str, bytes]:
    good = _http(json.dumps(_GOOD).encode())
    return {
        "at once": b"",
        "in the head": good[:30],
        "in the body": good[:-20],
        "no HTTP": json.dumps(_GOOD).encode(),
        "another protocol": b"\x15\x03\x01\x00\x02\x02\x28",
        "two answers": good + good.replace(b'"wait"', b'"paid"'),
        "a length of 5000 digits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        "too large": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b" " * 99,
        "1 MiB and more": b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (1 << 21),
        "a chunk of 16 digits": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n"
        + b"a" * 99,
        "interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
        "chunks of a byte": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 100_000,
        "a changed protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    }


def _http(body: bytes, status: int = 200, head: Sequence[str] = ()) -> bytes:
    lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(body)}", *head]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


# Who answers it


class _Provider:
    """A provider in a process of its own, that answers whatever it is asked with the answer that is chosen."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = answers
        self._chosen = mmap.mmap(-1, 8)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self._process = start(self._serve, seconds=3600)

    def choose(self, number: int) -> None:
        self._chosen[:] = number.to_bytes(8, "big")

    def stop(self) -> None:
        self._process.signal(signal.SIGKILL)
        self._process.code()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            received = b""
            while True:
                head, mark, body = received.partition(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                if not mark or len(body) < length:
                    received += (more := connection.recv(65536))
                    if not more:
                        return
                    continue
                received = body[length:]
                answer = self._answers[int.from_bytes(self._chosen[:], "big")]
                connection.sendall(answer.sent)
                if answer.close:
                    return


# What is asked


_OPERATIONS: Mapping[str, Callable[[Any, str], Any]] = {
    "create_payment": lambda hub, name: hub.create_payment(
        ACCOUNT,
        PaymentOrder(order_id=name, amount=_RUB, method="card", payer=Payer(id="u", ip="203.0.113.24")),
    ),
    "create_payout": lambda hub, name: hub.create_payout(
        ACCOUNT, PayoutOrder(order_id=name, amount=_RUB, to=ToCard("4111111111111111"))
    ),
    "fetch_payment": lambda hub, name: hub.fetch_payment(ACCOUNT, order_id=name),
    "fetch_payout": lambda hub, name: hub.fetch_payout(ACCOUNT, order_id=name),
    "fetch_balance": lambda hub, _: hub.fetch_balance(ACCOUNT),
    "fetch_account_info": lambda hub, _: hub.fetch_account_info(ACCOUNT),
    "list_payments": lambda hub, _: hub.list_payments(ACCOUNT, first=_DAY, last=_DAY),
}
_OPEN = {Status.PENDING, Status.UNKNOWN}


def _judge(answer: Answer, operation: str, outcome: object) -> Iterator[str]:
    """Say what is wrong with what an operation returned or raised."""
    head = f"{operation} after {answer.kind}"
    if isinstance(outcome, BaseException):
        refused = isinstance(outcome, Declined) and operation == "create_payment" and b" 400 " in answer.sent[:20]
        asked = isinstance(outcome, Unavailable | NotFound) and not operation.startswith("create")
        if not refused and not asked:
            yield f"{head}: raised {type(outcome).__name__}: {str(outcome)[:100]}"
    elif operation.startswith("create") and getattr(outcome, "status", None) not in _OPEN:
        yield f"{head}: it is {getattr(outcome, 'status', outcome)}"
    link = getattr(outcome, "redirect_url", None)
    if link is not None and not link.startswith("https://pay.example/"):
        yield f"{head}: a payer is sent to {link[:50]!r}"


class _Outcome(msgspec.Struct):
    """What came of one mode: how often what was tried, what was wrong, and how long the event loop was held."""

    tried: dict[str, int]
    problems: list[str]
    held: float = 0.0
    where: str = ""


class _Watch:
    """A heart that beats in an event loop, and measures how long the loop is held.

    What the machine itself made the loop's thread wait for a processor is taken off: Linux counts it.
    """

    def __init__(self) -> None:
        self.held = 0.0

    async def beat(self) -> None:
        pause = 0.002
        waits = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        try:
            while True:
                before, began = int(os.pread(waits, 99, 0).split()[1]), time.monotonic()
                await asyncio.sleep(pause)
                waited = (int(os.pread(waits, 99, 0).split()[1]) - before) / 1e9
                self.held = max(self.held, time.monotonic() - began - pause - waited)
        finally:
            os.close(waits)


def _ask_in_threads(config: Path, provider: _Provider, answers: Sequence[Answer]) -> _Outcome:
    found = _Outcome({}, [])
    with Hub.from_file(config) as hub:
        for number, answer in enumerate(answers):
            provider.choose(number)
            for operation, ask in _OPERATIONS.items():
                try:
                    outcome: object = ask(hub, f"s-{number}")
                except BaseException as cause:  # noqa: BLE001 - whatever it is, it is judged
                    outcome = cause
                _note(found, answer, operation, outcome)
    return found


def _ask_in_a_loop(config: Path, provider: _Provider, answers: Sequence[Answer]) -> _Outcome:
    return asyncio.run(_asked_in_a_loop(config, provider, answers))


async def _asked_in_a_loop(config: Path, provider: _Provider, answers: Sequence[Answer]) -> _Outcome:
    found, watch = _Outcome({}, []), _Watch()
    async with AsyncHub.from_file(config) as hub:
        provider.choose(0)
        for ask in _OPERATIONS.values():  # what is imported and opened by the first call is no provider's doing
            with contextlib.suppress(Exception):
                await ask(hub, "a-warm")
        gc.freeze()  # how long it takes to collect what an application has imported is no provider's doing, either
        heart = asyncio.create_task(watch.beat())
        for number, answer in enumerate(answers):
            provider.choose(number)
            for operation, ask in _OPERATIONS.items():
                held: list[float] = []
                while not held or (held[-1] > _LONGEST_HOLD and len(held) < _LOOKS):
                    watch.held = 0.0
                    outcome = await _awaited(ask(hub, f"a-{number}" + f"-{len(held)}" * bool(held)))
                    await asyncio.sleep(0.004)  # a beat ends
                    held.append(watch.held)
                    _note(found, answer, operation, outcome)
                if min(held) > found.held:
                    found.held, found.where = min(held), f"{operation} after {answer.kind}"
        heart.cancel()
    return found


async def _awaited(asked: Awaitable[object]) -> object:
    try:
        return await asked
    except Exception as cause:  # noqa: BLE001 - whatever it is, it is judged
        return cause


def _note(found: _Outcome, answer: Answer, operation: str, outcome: object) -> None:
    kind = answer.kind.partition(":")[0]
    found.tried[kind] = found.tried.get(kind, 0) + 1
    found.problems += _judge(answer, operation, outcome)


# What is kept of it


def _read_again(config: Path, names: Sequence[str]) -> _Outcome:
    """Read what the journal keeps of each order as its readers do: trace, logs, tickets in all forms."""
    found = _Outcome({"order": len(names)}, [])
    with Hub.from_file(config) as hub:
        for number, name in enumerate(names):
            try:
                _read_order(hub, name, found.problems, FORMATS if number % _ALL_FORMS == 0 else FORMATS[:1])
            except Exception as cause:  # noqa: BLE001 - a reader that breaks is what is looked for
                found.problems.append(f"{name}: {type(cause).__name__} from a reader: {str(cause)[:100]}")
    return found


def _read_order(hub: Hub, name: str, problems: list[str], forms: Sequence[Format]) -> None:
    records, entries = hub.journal.story(name)
    for entry in entries:
        if entry.exchange and (size := len(msgspec.json.encode(entry.exchange))) > _MOST_KEPT:
            problems.append(f"{name}: {size} bytes are kept of one exchange")
        shown = "".join(text.plain for text in _lines(entry))
        if not shown.isprintable():
            problems.append(f"{name}: a trace would steer the terminal")
        json.dumps(_values(entry))
    for each in records:
        with contextlib.suppress(TicketRefused):
            ticket = hub.ticket(ACCOUNT, each.facts.kind, name)
            for form in forms:
                ticket.rendered(form)


# Altered at random


_DICTIONARY = (
    b'"', b"\\", b",", b":", b"{", b"}", b"[", b"]", b"\\u0000", b"\\ud800", b"\x00", b"\xff", b"1e9999", b"-", b"null",
    b"true", b"4111111111111111", b"\xe2\x80\xae", b"\\u001b", b"999999999999999999999", b"paid", b"fail", b'"errors":',
    b'"message":', b"1.5", b"RUB", b"USD",
)  # fmt: skip


def _fuzz(config: Path, trials: int, chance: random.Random) -> _Outcome:
    """Let the driver and the record read altered answers; both may refuse them, in their own words only."""
    found = _Outcome({}, [])
    seeds = [answer.sent.partition(b"\r\n\r\n")[2] for answer in _answers() if len(answer.sent) < _SEED]
    counts: Counter[str] = Counter()
    with Hub.from_file(config) as hub:
        account: Any = hub.registry.account(ACCOUNT).driver
        payment = PaymentOrder(order_id="f", amount=_RUB, method="card", payer=Payer(id="u", ip="203.0.113.24"))
        payout = PayoutOrder(order_id="f", amount=_RUB, to=ToCard("4111111111111111"))
        flows: Mapping[str, Callable[[], Any]] = {
            "create_payment": lambda: plugin.payhub_create_payment(account, payment),
            "create_payout": lambda: plugin.payhub_create_payout(account, payout),
            "fetch_payment": lambda: plugin.payhub_fetch_payment(account, Ref(order_id="f")),
            "fetch_payout": lambda: plugin.payhub_fetch_payout(account, Ref(provider_id="7")),
            "fetch_balance": lambda: plugin.payhub_fetch_balance(account),
            "fetch_account_info": lambda: plugin.payhub_fetch_account_info(account),
            "list_payments": lambda: plugin.payhub_list_payments(account, Period(first=_DAY, last=_DAY)),
        }
        begun = {operation: next(make()) for operation, make in flows.items()}
        for _ in range(trials):
            operation = chance.choice(list(flows))
            body = _altered(chance.choice(seeds), chance)
            response = Response(
                status=chance.choice((200, 200, 200, 400, 404, 500)),
                headers={"date": _altered(b"Mon, 01 Jan 2024 00:00:00 GMT", chance).decode("latin-1")},
                body=body,
            )
            try:
                counts[_read(flows[operation](), begun[operation], response)] += 1
            except Exception as cause:  # noqa: BLE001 - that is what is looked for
                found.problems.append(f"{operation}: {type(cause).__name__}: {str(cause)[:80]}, of {body[:200]!r}")
    found.tried = dict(counts)
    return found


def _read(flow: Any, asked: Call, response: Response) -> str:
    kept = record.describe(
        asked,
        Reply(phase=Phase.ANSWERED, response=response),
        account=ACCOUNT,
        provider="alikassa",
        software=None,
        started_at=dt.datetime.now(dt.UTC),
        duration=0.1,
    )
    again = msgspec.json.decode(msgspec.json.encode(kept), type=Exchange)
    json.dumps(jsonable(again))
    next(flow)
    try:
        flow.send(response)
    except StopIteration as done:
        repr(check_answer(done.value))
        return "an answer"
    except (Declined, NotFound, Unreadable):
        return "refused"
    return "a further question"


def _altered(body: bytes, chance: random.Random) -> bytes:
    """Change a few places of a text: a bit, a piece put in, cut out, or repeated."""
    text = bytearray(body or b"{}")
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        place = chance.randrange(len(text) + 1)
        match chance.randrange(4):
            case 0 if place < len(text):
                text[place] ^= 1 << chance.randrange(8)
            case 1:
                text[place:place] = chance.choice(_DICTIONARY)
            case 2:
                del text[place : place + chance.randrange(1, 20)]
            case _:
                end = place + chance.randrange(40)
                text[place:place] = text[place:end]
    return bytes(text)


def hostile_answers(bench: Bench) -> Found:
    """Give every answer to every operation in both modes, and alter `trials` more at random; 0 is a sample."""
    answers = list(_answers())
    if not bench.trials:
        answers = bench.chance("sample").sample(answers, _SAMPLE)
    provider = _Provider(answers)
    try:
        config = write_directory(bench.directory / "shop", provider.port)
        works = {"threads": _ask_in_threads, "an event loop": _ask_in_a_loop}
        found = {
            mode: call(functools.partial(work, config, provider, answers), _Outcome, seconds=3000)
            for mode, work in works.items()
        }
    finally:
        provider.stop()
    names = [f"{mode}-{number}" for mode in "sa" for number in range(len(answers))]
    reads = call(lambda: _read_again(config, names), _Outcome, seconds=3000)
    fuzzed = call(lambda: _fuzz(config, bench.trials or _FUZZED_SAMPLE, bench.chance("fuzz")), _Outcome, seconds=3000)
    findings = [
        Finding(
            fault=f"{kind} that nobody expects, in {mode}",
            trials=count,
            failures=tuple(each for each in outcome.problems if f" after {kind}:" in each),
        )
        for mode, outcome in found.items()
        for kind, count in sorted(outcome.tried.items())
    ]
    findings.append(Finding(fault="what is kept is read again", trials=len(names), failures=tuple(reads.problems)))
    findings.append(
        Finding(fault="altered at random", trials=sum(fuzzed.tried.values()), failures=tuple(fuzzed.problems))
    )
    loop = found["an event loop"]
    if bench.trials:  # a sample is taken among other experiments, which keep both processors busy
        words = () if loop.held <= _LONGEST_HOLD else (f"held {loop.held * 1000:.0f} ms by {loop.where}",)
        findings.append(Finding(fault="the event loop goes on", trials=sum(loop.tried.values()), failures=words))
    ends = ", ".join(f"{count} {word}" for word, count in sorted(fuzzed.tried.items()))
    held = (
        f"{len(answers)} answers to {len(_OPERATIONS)} operations in both modes. The event loop was held "
        f"{loop.held * 1000:.0f} ms at most ({loop.where}); the limit is {_LONGEST_HOLD * 1000:.0f} ms."
    )
    return Found(findings, [held, f"Altered at random: {ends}."])
