"""Carry one notification to its endpoint: send it until HTTP 200, and write down every try."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable
from http import HTTPStatus

import httpx
import msgspec

from payhub_alikassa.sandbox.notifications import FieldName, Message, request, signed
from payhub_alikassa.sandbox.records import Kind, Record, Settings, Status, Transport
from payhub_alikassa.sandbox.signatures import Signer


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """Write down one try of one notification, and what came of it.

    ``answer`` is the HTTP status; where none came ``problem`` says why. ``attempt`` counts from 1;
    0 means that nothing was sent at all. ``fault`` names the fault that met the notification.
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
    """Say which order's status is told, to whom and how, and what the message is without its signature."""

    record: Record
    fields: Message
    to: str
    transport: Transport
    fault: str | None = None

    def sent(self, attempt: int = 0, answer: int | None = None, problem: str | None = None) -> Sent:
        """Write down what came of a try."""
        return Sent(
            kind=self.record.kind,
            order_id=self.record.order_id,
            status=self.record.status,
            to=self.to,
            transport=self.transport,
            fault=self.fault,
            attempt=attempt,
            answer=answer,
            problem=problem,
        )


class Outbox:
    """Hold what all deliveries share: what was sent, whose turn it is, and who waits for a later one."""

    def __init__(self) -> None:
        """Begin with nothing sent."""
        self.sent: list[Sent] = []
        self._numbers = itertools.count()
        self._turns: defaultdict[tuple[Kind, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._held: list[tuple[int, Callable[[Record], bool], asyncio.Event]] = []

    def number(self) -> int:
        """Give a delivery its number, in the order of the changes."""
        return next(self._numbers)

    def turn(self, record: Record) -> asyncio.Lock:
        """Give the turn that the tries of one order take, so that only a fault puts them out of order."""
        return self._turns[record.kind, record.id]

    async def later_one(self, number: int, concerns: Callable[[Record], bool]) -> None:
        """Wait until a delivery with a higher number, of an order that is concerned, has gone."""
        held = (number, concerns, asyncio.Event())
        self._held.append(held)
        await held[2].wait()
        self._held.remove(held)

    def gone(self, number: int, record: Record) -> None:
        """Release those who waited for this delivery."""
        for held, concerns, released in self._held:
            if held < number and concerns(record):
                released.set()


class Delivery:
    """Have one notification in hand, until it was taken or every try is used up."""

    def __init__(self, notification: Notification, signer: Signer, settings: Settings, outbox: Outbox) -> None:
        """Sign it; the settings are those of now."""
        self._notification = notification
        self._settings = settings
        self._outbox = outbox
        self._number = outbox.number()
        self._signer = signer
        self._message = signed(notification.fields, signer)

    def sign_with_other_key(self) -> None:
        """Sign anew, with a key that nobody knows."""
        self._message = signed(self._notification.fields, self._signer.stranger())

    def alter(self, field: FieldName, value: str | None) -> None:
        """Change a value behind the signature's back; if not said, to itself with a 9 before it."""
        true = self._message.get(field)
        self._message[field] = f"9{'' if true is None else true}" if value is None else value

    def lose(self) -> None:
        """Write down that it was never sent."""
        self._outbox.sent.append(self._notification.sent(problem="lost"))

    async def wait_for_later(self, concerns: Callable[[Record], bool]) -> None:
        """Wait until a later notification, of an order that is concerned, was taken or given up."""
        await self._outbox.later_one(self._number, concerns)

    async def send(self, copies: int = 1) -> None:
        """Send so many copies at once, each again until HTTP 200, with growing pauses."""
        for attempt in range(1, self._settings.notification_tries + 1):
            await asyncio.sleep(self._pause(attempt))
            async with self._outbox.turn(self._notification.record):
                taken = await asyncio.gather(*(self._try(attempt) for _ in range(copies)))
            copies -= sum(taken)
            if not copies:
                break
        self._outbox.gone(self._number, self._notification.record)

    async def _try(self, attempt: int) -> bool:
        outgoing = request(self._message, self._notification.to, self._notification.transport)
        answer, problem = await _ask(outgoing, self._settings.notification_timeout)
        self._outbox.sent.append(self._notification.sent(attempt, answer, problem))
        return answer == HTTPStatus.OK

    def _pause(self, attempt: int) -> float:
        if attempt == 1:
            return 0
        first, growth = self._settings.notification_pause, self._settings.notification_pause_growth
        return first * growth ** (attempt - 2)


async def _ask(outgoing: httpx.Request, seconds: float) -> tuple[int | None, str | None]:
    """Send one request, and give its HTTP status or say what went wrong; a redirect is not followed."""
    # Not a client, which logs URLs: one has the signature. No proxy of the environment's either, for nothing
    # leaves this machine; therefore any certificate will do.
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
