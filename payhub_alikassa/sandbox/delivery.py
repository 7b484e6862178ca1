"""Bring one notification to its endpoint: send it until HTTP 200, and record every attempt."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable
from http import HTTPStatus

import httpx
import msgspec

from payhub_alikassa.sandbox.notifications import FieldName, Message, add_signature, request
from payhub_alikassa.sandbox.records import Kind, Record, Settings, Status, Transport
from payhub_alikassa.sandbox.signatures import Signer


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to send a notification, and what came of it.

    `answer` is the HTTP status; where there is none `problem` says why. `attempt` counts from 1;
    0 means that nothing was sent at all. `fault` names the fault that met the notification.
    """

    kind: Kind
    order_id: str
    status: Status
    to: str
    transport: Transport
    fault: str | None = None
    attempt: int = 0
    answer: int | None = None
    problem: str | None = None


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """A notification of an order's status: its address, its transport, and the message without its signature."""

    record: Record
    fields: Message
    to: str
    transport: Transport
    fault: str | None = None

    def attempt(self, number: int = 0, answer: int | None = None, problem: str | None = None) -> Attempt:
        """Return the record of an attempt."""
        return Attempt(
            kind=self.record.kind,
            order_id=self.record.order_id,
            status=self.record.status,
            to=self.to,
            transport=self.transport,
            fault=self.fault,
            attempt=number,
            answer=answer,
            problem=problem,
        )


class Outbox:
    """What all deliveries share: the attempts, each order's turns, and the deliveries that wait for a later one."""

    def __init__(self) -> None:
        """Begin with nothing sent."""
        self.attempts: list[Attempt] = []
        self._numbers = itertools.count()
        self._turns: defaultdict[tuple[Kind, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: list[tuple[int, Callable[[Record], bool], asyncio.Event]] = []

    def next_number(self) -> int:
        """Return the number of a new delivery, in the order of the changes."""
        return next(self._numbers)

    def turn(self, record: Record) -> asyncio.Lock:
        """Return the lock that the attempts of one order take in turn, so that only a fault puts them out of order."""
        return self._turns[record.kind, record.id]

    async def wait_for_later(self, number: int, concerns: Callable[[Record], bool]) -> None:
        """Wait until a delivery with a higher number, of an order that is concerned, has ended."""
        waiting = (number, concerns, asyncio.Event())
        self._waiting.append(waiting)
        await waiting[2].wait()
        self._waiting.remove(waiting)

    def end(self, number: int, record: Record) -> None:
        """Release the deliveries that waited for this one."""
        for waiting, concerns, released in self._waiting:
            if waiting < number and concerns(record):
                released.set()


class Delivery:
    """The delivery of one notification, until it is accepted or every attempt is used up."""

    def __init__(self, notification: Notification, signer: Signer, settings: Settings, outbox: Outbox) -> None:
        """Sign it; later changes of the settings do not concern it."""
        self._notification = notification
        self._settings = settings
        self._outbox = outbox
        self._number = outbox.next_number()
        self._signer = signer
        self._message = add_signature(notification.fields, signer)

    def sign_with_other_key(self) -> None:
        """Sign again, with a key that nobody knows."""
        self._message = add_signature(self._notification.fields, self._signer.with_unknown_key())

    def alter(self, field: FieldName, value: str | None) -> None:
        """Change a value without signing again; without a new value, put a 9 before the true one."""
        true = self._message.get(field)
        self._message[field] = f"9{'' if true is None else true}" if value is None else value

    def lose(self) -> None:
        """Record that it was never sent."""
        self._outbox.attempts.append(self._notification.attempt(problem="lost"))

    async def wait_for_later(self, concerns: Callable[[Record], bool]) -> None:
        """Wait until a later notification, of an order that is concerned, is accepted or given up."""
        await self._outbox.wait_for_later(self._number, concerns)

    async def send(self, copies: int = 1) -> None:
        """Send so many copies at once, each again until HTTP 200, with growing pauses."""
        first, growth = self._settings.notification_pause, self._settings.notification_pause_growth
        for attempt in range(1, self._settings.notification_tries + 1):
            await asyncio.sleep(first * growth ** (attempt - 2) if attempt > 1 else 0)
            async with self._outbox.turn(self._notification.record):
                accepted = await asyncio.gather(*(self._try(attempt) for _ in range(copies)))
            copies -= sum(accepted)
            if not copies:
                break
        self._outbox.end(self._number, self._notification.record)

    async def _try(self, attempt: int) -> bool:
        outgoing = request(self._message, self._notification.to, self._notification.transport)
        answer, problem = await _send(outgoing, self._settings.notification_timeout)
        self._outbox.attempts.append(self._notification.attempt(attempt, answer, problem))
        return answer == HTTPStatus.OK


async def _send(outgoing: httpx.Request, seconds: float) -> tuple[int | None, str | None]:
    """Send one request, and return its HTTP status or what went wrong; a redirect is not followed."""
    # Not a client, which would log the URL with the signature in it. No proxy of the environment either, because
    # nothing leaves this machine; therefore any certificate will do.
    transport = httpx.AsyncHTTPTransport(trust_env=False, verify=False)
    try:
        async with asyncio.timeout(seconds), transport:
            answer = await transport.handle_async_request(outgoing)
            await answer.aread()
            return answer.status_code, None
    except TimeoutError:
        return None, f"no answer within {seconds:g} s"
    except httpx.HTTPError as problem:
        return None, str(problem) or type(problem).__name__
