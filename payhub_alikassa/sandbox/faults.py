"""Faults of requests, each one exact to the byte.

A fault is armed for the next requests whose path begins with `path`. Its class says what happens;
its fields are its options. The faults that answer in the provider's place (`html`, `redirect`,
`status`, `stall`) leave the request unprocessed unless `accept` is set.
"""

import gzip
import json
from typing import Annotated, Any, TypeVar

import msgspec

from payhub_alikassa.sandbox.exchange import Exchange, Reply
from payhub_alikassa.sandbox.notification_faults import AnyNotificationFault, NotificationFault
from payhub_alikassa.sandbox.php import php_json
from payhub_alikassa.sandbox.records import Record, Seconds, Times

_MEBIBYTE = 1024 * 1024
# Long enough for a client on this machine to read the half body before the reset discards it.
_BEFORE_RESET = 0.05


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="fault"):
    """A fault, and the requests that it meets: those whose path begins with `path`, or with `exact` is `path`."""

    path: str = "/v1/"
    exact: bool = False
    times: Times = 1

    def meets(self, path: str) -> bool:
        """Return whether a request for this path is one of them."""
        mine = "/" + self.path.lstrip("/")
        return path == mine if self.exact else path.startswith(mine)

    async def perform(self, exchange: Exchange) -> None:
        """Do what this fault does to a request that has been read."""
        raise NotImplementedError


class Gateway(Fault, frozen=True, kw_only=True):
    """A fault that answers in the provider's place; with `accept` the provider has processed the request."""

    accept: bool = False

    async def perform(self, exchange: Exchange) -> None:
        """Let the request through only if it is to be accepted."""
        if self.accept:
            await exchange.process()
        await self.respond(exchange)

    async def respond(self, exchange: Exchange) -> None:
        """Send the client what it gets instead of the true answer."""
        raise NotImplementedError


class CutBeforeAnswer(Fault, frozen=True, tag="cut_before_answer"):
    """A connection that is closed after the request was read; nothing is accepted."""

    async def perform(self, exchange: Exchange) -> None:
        """Close."""
        await exchange.close()


class CutAfterAccepting(Fault, frozen=True, tag="cut_after_accepting"):
    """A request that is accepted, and a connection that is then reset with no byte of answer."""

    async def perform(self, exchange: Exchange) -> None:
        """Accept and reset."""
        await exchange.process()
        await exchange.reset()


class CutMidBody(Fault, frozen=True, tag="cut_mid_body"):
    """A request that is accepted, and a connection that is reset after the headers and half of the body."""

    async def perform(self, exchange: Exchange) -> None:
        """Send half of the answer and reset."""
        await exchange.answer_half(await exchange.process())
        await exchange.left(_BEFORE_RESET)
        await exchange.reset()


class Error500AfterAccepting(Fault, frozen=True, tag="error_500_after_accepting"):
    """A request that is accepted, and answered as if the provider had broken down."""

    async def perform(self, exchange: Exchange) -> None:
        """Accept and answer 500."""
        await exchange.process()
        await exchange.answer(_json_reply(500, {"message": "Internal server error"}))


class Slow(Fault, frozen=True, tag="slow"):
    """A request that is accepted at once and answered `seconds` later."""

    seconds: Seconds = 1.0

    async def perform(self, exchange: Exchange) -> None:
        """Accept, wait, answer."""
        reply = await exchange.process()
        if not await exchange.left(self.seconds):
            await exchange.answer(reply)


class Drip(Fault, frozen=True, tag="drip"):
    """A request that is accepted, and answered with one byte per `interval` seconds, headers too."""

    interval: Seconds = 0.05

    async def perform(self, exchange: Exchange) -> None:
        """Accept and drip."""
        await exchange.drip(await exchange.process(), self.interval)


class HugeBody(Fault, frozen=True, tag="huge_body"):
    """The true answer, with a padding field that makes the JSON `size` bytes or more."""

    size: int = _MEBIBYTE + 1

    async def perform(self, exchange: Exchange) -> None:
        """Accept and answer too much."""
        await exchange.answer(_merge(await exchange.process(), {"padding": "0" * self.size}))


class Gzip(Fault, frozen=True, tag="gzip"):
    """The true answer, compressed whether asked for or not; `padding` bytes make it a small bomb."""

    padding: int = 0

    async def perform(self, exchange: Exchange) -> None:
        """Accept and answer compressed."""
        reply = await exchange.process()
        if self.padding:
            reply = _merge(reply, {"padding": "0" * self.padding})
        packed = gzip.compress(reply.body)
        headers = _headers("application/json", packed, (b"content-encoding", b"gzip"))
        await exchange.answer(Reply(reply.status, headers, packed))


class Body(Fault, frozen=True, tag="body"):
    """A request that is accepted, and answered 200 with the keys of `body` in place of the true ones."""

    body: dict[str, Any]

    async def perform(self, exchange: Exchange) -> None:
        """Accept and answer something else."""
        await exchange.answer(_merge(await exchange.process(), self.body))


class Html(Gateway, frozen=True, tag="html"):
    """A web page with status 200."""

    async def respond(self, exchange: Exchange) -> None:
        """Send a page."""
        page = b"<!doctype html><title>Maintenance</title><p>We will be back soon.</p>"
        await exchange.answer(Reply(200, _headers("text/html; charset=utf-8", page), page))


class Redirect(Gateway, frozen=True, tag="redirect"):
    """A redirect (302) to `location`."""

    location: str = "/elsewhere"

    async def respond(self, exchange: Exchange) -> None:
        """Send somewhere else."""
        headers = _headers("text/html", b"", (b"location", self.location.encode()))
        await exchange.answer(Reply(302, headers, b""))


class Status(Gateway, frozen=True, kw_only=True, tag="status"):
    """An answer with any HTTP status and any JSON object."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)]
    body: dict[str, Any] = {}

    async def respond(self, exchange: Exchange) -> None:
        """Send that status."""
        bodiless = self.status in {204, 304}
        reply = Reply(self.status, (), b"") if bodiless else _json_reply(self.status, self.body)
        await exchange.answer(reply)


class Stall(Gateway, frozen=True, tag="stall"):
    """No answer at all; the connection stays open until the client leaves."""

    async def respond(self, exchange: Exchange) -> None:
        """Wait for the client to leave."""
        await exchange.left()


class Refuse(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="fault", tag="refuse"):
    """Connections that are all refused from now on for `seconds`; `None` means until disarmed."""

    seconds: Seconds | None = 1.0


AnyFault = (
    Refuse
    | CutBeforeAnswer
    | CutAfterAccepting
    | CutMidBody
    | Error500AfterAccepting
    | Slow
    | Drip
    | HugeBody
    | Gzip
    | Body
    | Html
    | Redirect
    | Status
    | Stall
    | AnyNotificationFault
)


AnyArmed = TypeVar("AnyArmed", Fault, NotificationFault)


class ArmedFaults:
    """The faults that wait for their requests or notifications, in the order they were armed."""

    def __init__(self) -> None:
        """Begin with none."""
        self._waiting: list[Fault | NotificationFault] = []

    def arm(self, fault: Fault | NotificationFault) -> None:
        """Add a fault, which waits for its next requests or notifications."""
        self._waiting += [fault] * fault.times

    def disarm(self) -> None:
        """Remove every fault that is still waiting."""
        self._waiting.clear()

    def take(self, path: str) -> Fault | None:
        """Return the fault that meets a request, if there is one, and use it up once."""
        faults = (fault for fault in self._waiting if isinstance(fault, Fault) and fault.meets(path))
        return self._use(next(faults, None))

    def take_for(self, record: Record) -> NotificationFault | None:
        """Return the fault that meets the notification of an order's status, and use it up once."""
        faults = (fault for fault in self._waiting if isinstance(fault, NotificationFault) and fault.meets(record))
        return self._use(next(faults, None))

    def _use(self, fault: AnyArmed | None) -> AnyArmed | None:
        if fault:
            self._waiting.remove(fault)
        return fault


def _merge(reply: Reply, changes: dict[str, Any]) -> Reply:
    return _json_reply(200, {**json.loads(reply.body), **changes})


def _json_reply(status: int, body: dict[str, Any]) -> Reply:
    encoded = php_json(body)
    return Reply(status, _headers("application/json", encoded), encoded)


def _headers(media_type: str, body: bytes, *more: tuple[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    length = str(len(body)).encode()
    return ((b"content-type", media_type.encode()), (b"content-length", length), *more)
