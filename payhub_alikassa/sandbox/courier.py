"""Decide who is told of an order's status, when and how, and keep the deliveries under way."""

import asyncio
from collections.abc import Iterator

import msgspec

from payhub_alikassa.sandbox.addresses import is_local
from payhub_alikassa.sandbox.books import Books
from payhub_alikassa.sandbox.delivery import Delivery, Notification, Outbox, Sent
from payhub_alikassa.sandbox.faults import ArmedFaults
from payhub_alikassa.sandbox.fields import whole_of
from payhub_alikassa.sandbox.notification_faults import NotificationFault
from payhub_alikassa.sandbox.notifications import notified
from payhub_alikassa.sandbox.records import Record, Settings, Transport, When
from payhub_alikassa.sandbox.signatures import Signer


class NoEndpoint(ValueError):
    """Say that there is nobody to notify."""


class Endpoint(msgspec.Struct, frozen=True):
    """Name an order's endpoint, when it is told, and why nothing can be sent to it."""

    to: str
    when: When
    problem: str | None = None


class Courier:
    """Notify the endpoints of one set of books, each in a task on the server's loop."""

    def __init__(self, books: Books, faults: ArmedFaults, signer: Signer) -> None:
        """Wait for the books' changes; the faults are those that may meet a notification."""
        self._books = books
        self._faults = faults
        self._signer = signer
        self._outbox = Outbox()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def sent(self) -> list[Sent]:
        """List every try so far, oldest first."""
        return list(self._outbox.sent)

    @property
    def pending(self) -> int:
        """Count the notifications under way: being sent, repeated, or held by a fault."""
        return len(self._tasks)

    def changed(self, record: Record) -> None:
        """Notify the endpoints that are told of this status."""
        for endpoint in _endpoints(record, self._books.settings):
            if endpoint.when == "changes" or record.status != "wait":
                self._tell(record, endpoint)

    def notify(self, record: Record, to: str | None = None, transport: Transport | None = None) -> None:
        """Notify an address, or all endpoints of the order, of the status it has now.

        Raises:
            NoEndpoint: the order has none, or the address is not one of this machine.
        """
        found = list(_endpoints(record, self._books.settings)) if to is None else [_at(to, "changes")]
        if not found:
            raise NoEndpoint(f"this {record.kind} has no notification endpoint")
        if to is not None and found[0].problem:
            raise NoEndpoint(f"`to`: {found[0].problem}")
        for endpoint in found:
            self._tell(record, endpoint, transport)

    async def reset(self) -> None:
        """Forget what was sent, and what is under way."""
        self._outbox = Outbox()
        await self._cancel()

    async def close(self) -> None:
        """Stop everything under way and begin nothing more; what was sent can still be read."""
        self._closed = True
        await self._cancel()

    async def _cancel(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tell(self, record: Record, endpoint: Endpoint, transport: Transport | None = None) -> None:
        settings = self._books.settings
        notification = Notification(
            record=record,
            fields=notified(record, self._books.account, settings),
            to=endpoint.to,
            transport=transport or settings.notification_transport,
        )
        if endpoint.problem:
            self._outbox.sent.append(notification.sent(problem=endpoint.problem))
        elif not self._closed:
            self._begin(notification, self._faults.take_for(record))

    def _begin(self, notification: Notification, fault: NotificationFault | None) -> None:
        if fault:
            notification = msgspec.structs.replace(notification, fault=fault.name)
        delivery = Delivery(notification, self._signer, self._books.settings, self._outbox)
        task = asyncio.create_task(fault.perform(delivery) if fault else delivery.send())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _endpoints(record: Record, settings: Settings) -> Iterator[Endpoint]:
    """List an order's endpoints: that of its id, and its own address; each is told by its own rule."""
    id_ = whole_of(record.fields.get("notification_endpoint_id"))
    if id_ is not None:
        yield _of_id(id_, settings)
    address = record.fields.get("notification_endpoint_url")
    if address:
        yield _at(str(address), settings.notify_url)


def _of_id(id_: int, settings: Settings) -> Endpoint:
    address = settings.notification_endpoints.get(id_)
    if address is None:
        return Endpoint(f"id {id_}", settings.notify_id, "`notification_endpoints` has no such id")
    return Endpoint(address, settings.notify_id)


def _at(address: str, when: When) -> Endpoint:
    return Endpoint(address, when, None if is_local(address) else "not an address of this machine")
