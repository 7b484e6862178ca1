"""Decide which endpoints are notified of an order's status, when and how, and keep the deliveries under way."""

import asyncio
from collections.abc import Iterator

import msgspec

from payhub_alikassa.sandbox.addresses import is_local, server_of
from payhub_alikassa.sandbox.books import Books
from payhub_alikassa.sandbox.delivery import Attempt, Delivery, Notification, Outbox
from payhub_alikassa.sandbox.faults import ArmedFaults
from payhub_alikassa.sandbox.fields import whole_of
from payhub_alikassa.sandbox.notifications import notification_fields
from payhub_alikassa.sandbox.records import Record, Settings, Transport, When
from payhub_alikassa.sandbox.signatures import Signer


class NoEndpoint(ValueError):
    """An order without an endpoint to notify, or an address that must not be notified."""


class Endpoint(msgspec.Struct, frozen=True):
    """An order's endpoint: its address, when it is notified, and why nothing can be sent to it."""

    to: str
    when: When
    problem: str | None = None


class Courier:
    """The sender of notifications for one set of books, each in a task on the server's loop."""

    def __init__(self, books: Books, faults: ArmedFaults, signer: Signer) -> None:
        """Keep the books, and the faults that may meet a notification; nothing is sent yet."""
        self._books = books
        self._faults = faults
        self._signer = signer
        self._outbox = Outbox()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def attempts(self) -> list[Attempt]:
        """Return every attempt so far, oldest first."""
        return list(self._outbox.attempts)

    @property
    def pending(self) -> int:
        """Return how many notifications are under way: being sent, repeated, or held by a fault."""
        return len(self._tasks)

    def on_change(self, record: Record) -> None:
        """Notify the endpoints that are notified of this status."""
        for endpoint in _endpoints(record, self._books.settings):
            if endpoint.when == "changes" or record.status != "wait":
                self._notify(record, endpoint)

    def notify(self, record: Record, to: str | None = None, transport: Transport | None = None) -> None:
        """Notify an address, or all endpoints of the order, of the status it has now.

        Raises:
            NoEndpoint: the order has none, or the address is not one of this machine.
        """
        endpoints = list(_endpoints(record, self._books.settings)) if to is None else [_endpoint_at(to, "changes")]
        if not endpoints:
            raise NoEndpoint(f"this {record.kind} has no notification endpoint")
        if to is not None and endpoints[0].problem:
            raise NoEndpoint(f"`to`: {endpoints[0].problem}")
        for endpoint in endpoints:
            self._notify(record, endpoint, transport)

    def is_named(self, record: Record, to: str) -> bool:
        """Return whether an address is on a server that has an endpoint of the order, or of the settings."""
        settings = self._books.settings
        named = [*settings.notification_endpoints.values(), *(each.to for each in _endpoints(record, settings))]
        return server_of(to) is not None and server_of(to) in map(server_of, named)

    async def reset(self) -> None:
        """Forget what was sent, and what is under way."""
        self._outbox = Outbox()
        await self._cancel()

    async def close(self) -> None:
        """Stop everything under way and begin nothing more; the attempts can still be read."""
        self._closed = True
        await self._cancel()

    async def _cancel(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _notify(self, record: Record, endpoint: Endpoint, transport: Transport | None = None) -> None:
        settings = self._books.settings
        notification = Notification(
            record=record,
            fields=notification_fields(record, self._books.account, settings),
            to=endpoint.to,
            transport=transport or settings.notification_transport,
        )
        if endpoint.problem:
            self._outbox.attempts.append(notification.attempt(problem=endpoint.problem))
            return
        if self._closed:
            return
        fault = self._faults.take_for(record)
        if fault:
            notification = msgspec.structs.replace(notification, fault=fault.name)
        delivery = Delivery(notification, self._signer, settings, self._outbox)
        task = asyncio.create_task(fault.perform(delivery) if fault else delivery.send())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _endpoints(record: Record, settings: Settings) -> Iterator[Endpoint]:
    """Yield an order's endpoints: that of its id, and its own address; each is notified by its own rule."""
    id_ = whole_of(record.fields.get("notification_endpoint_id"))
    if id_ is not None:
        known = settings.notification_endpoints.get(id_)
        problem = "`notification_endpoints` has no such id" if known is None else None
        yield Endpoint(known or f"id {id_}", settings.notify_id, problem)
    address = record.fields.get("notification_endpoint_url")
    if address:
        yield _endpoint_at(str(address), settings.notify_url)


def _endpoint_at(address: str, when: When) -> Endpoint:
    return Endpoint(address, when, None if is_local(address) else "not an address of this machine")
