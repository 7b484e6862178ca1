"""Read what a provider tells us by itself: a notification is a hint, and proves nothing until asked.

A driver verifies a `Delivery` and returns a `Notification` that holds only what the signature
covers. Whoever once saw a notification can send it again, so it changes no order by itself.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from payhub.masking import Clear, Shown
from payhub.models import Kind, Status
from payhub.money import Money


class Delivery(Shown, frozen=True, kw_only=True):
    """Hold one HTTP request that claims to be a notification, as it came: query and body are raw bytes.

    Header names are in lower case.
    """

    method: Clear[str]
    path: Clear[str] = "/"
    query: bytes = b""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""


class Notification(Shown, frozen=True, kw_only=True):
    """Say what an authentic notification says; every field is covered by its signature.

    `fields` has the signed fields under the provider's names. Amounts are what the provider says
    now; ask for the status before crediting anybody.
    """

    account: Clear[str] = ""
    provider: Clear[str] = ""
    kind: Clear[Kind]
    order_id: Clear[str]
    provider_id: Clear[str]
    status: Clear[Status]
    provider_status: Clear[str]
    requested: Clear[Money | None] = None
    paid: Clear[Money | None] = None
    commission: Clear[Money | None] = None
    partial: Clear[bool | None] = None
    fields: Mapping[str, Any] = msgspec.field(default_factory=dict)


class ReturnedPayer(Shown, frozen=True, kw_only=True):
    """Say which payer's browser came back, authentically; it says nothing about money."""

    account: Clear[str] = ""
    provider: Clear[str] = ""
    order_id: Clear[str]
    reference: Clear[str]
