"""Faults of notifications on their way to the merchant.

A fault is armed for the next notifications that it meets: all, or those of a kind, an order, a
status. It applies to the notification with all its repeats.
"""

import asyncio
from typing import Annotated

import msgspec

from payhub_alikassa.sandbox.delivery import Delivery
from payhub_alikassa.sandbox.notifications import FieldName
from payhub_alikassa.sandbox.records import Kind, Record, Seconds, Status, Times


class NotificationFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="fault"):
    """A fault, and the notifications that it meets; what is not named may be anything."""

    kind: Kind | None = None
    order_id: str | None = None
    status: Status | None = None
    times: Times = 1

    @property
    def name(self) -> str:
        """Return the name it is armed by."""
        return str(self.__struct_config__.tag)

    def meets(self, record: Record) -> bool:
        """Return whether the notification of an order's present status is one of them."""
        return self.concerns(record) and self.status in {None, record.status}

    def concerns(self, record: Record) -> bool:
        """Return whether an order is one of those named, whatever its status."""
        return self.kind in {None, record.kind} and self.order_id in {None, record.order_id}

    async def perform(self, delivery: Delivery) -> None:
        """Do what this fault does to a notification."""
        raise NotImplementedError


class Duplicated(NotificationFault, frozen=True, tag="duplicated"):
    """A notification of which `copies` are sent at once."""

    copies: Annotated[int, msgspec.Meta(ge=2, le=1_000)] = 2

    async def perform(self, delivery: Delivery) -> None:
        """Send them."""
        await delivery.send(self.copies)


class Late(NotificationFault, frozen=True, tag="late"):
    """A notification that is sent `seconds` later; others overtake it."""

    seconds: Seconds = 1.0

    async def perform(self, delivery: Delivery) -> None:
        """Wait and send."""
        await asyncio.sleep(self.seconds)
        await delivery.send()


class OutOfOrder(NotificationFault, frozen=True, tag="out_of_order"):
    """A notification that waits until a later one, of the orders that the fault names, is accepted or given up."""

    async def perform(self, delivery: Delivery) -> None:
        """Wait for that one and send."""
        await delivery.wait_for_later(self.concerns)
        await delivery.send()


class Altered(NotificationFault, frozen=True, tag="altered"):
    """A notification with a signed `field` changed after signing, to `value`, or else by a 9 put before it."""

    field: FieldName = "payment_amount"
    value: str | None = None

    async def perform(self, delivery: Delivery) -> None:
        """Alter and send."""
        delivery.alter(self.field, self.value)
        await delivery.send()


class OtherKey(NotificationFault, frozen=True, tag="other_key"):
    """A notification signed with a key that nobody knows."""

    async def perform(self, delivery: Delivery) -> None:
        """Sign and send."""
        delivery.sign_with_other_key()
        await delivery.send()


class Lost(NotificationFault, frozen=True, tag="lost"):
    """A notification that is never sent."""

    async def perform(self, delivery: Delivery) -> None:
        """Lose it."""
        delivery.lose()


AnyNotificationFault = Duplicated | Late | OutOfOrder | Altered | OtherKey | Lost
