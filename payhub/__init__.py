"""Take payments and make payouts with many payment providers behind one interface."""

from typing import TYPE_CHECKING, Any

from payhub.errors import (
    BadNotification,
    BrokenPlugin,
    ConfigurationError,
    Declined,
    IllegalStep,
    InvalidOrder,
    JournalFailed,
    NotFound,
    NotSent,
    OrderConflict,
    PayhubError,
    TicketRefused,
    Unavailable,
    UnknownAccount,
    UnknownOrder,
    UnknownProvider,
    UnsupportedOperation,
)
from payhub.hookspecs import hookimpl
from payhub.models import (
    AccountInfo,
    Balance,
    Browser,
    Delivery,
    Exchange,
    Notification,
    Payer,
    Payment,
    PaymentOrder,
    Payout,
    PayoutOrder,
    Phase,
    Received,
    Recipient,
    Requisites,
    ReturnedPayer,
    Service,
    Status,
    ToBankAccount,
    ToCard,
    ToPhone,
    ToWallet,
)
from payhub.money import Money

if TYPE_CHECKING:
    from payhub.hub import AsyncHub, Hub

__all__ = [
    "AccountInfo",
    "AsyncHub",
    "BadNotification",
    "Balance",
    "BrokenPlugin",
    "Browser",
    "ConfigurationError",
    "Declined",
    "Delivery",
    "Exchange",
    "Hub",
    "IllegalStep",
    "InvalidOrder",
    "JournalFailed",
    "Money",
    "NotFound",
    "NotSent",
    "Notification",
    "OrderConflict",
    "Payer",
    "PayhubError",
    "Payment",
    "PaymentOrder",
    "Payout",
    "PayoutOrder",
    "Phase",
    "Received",
    "Recipient",
    "Requisites",
    "ReturnedPayer",
    "Service",
    "Status",
    "TicketRefused",
    "ToBankAccount",
    "ToCard",
    "ToPhone",
    "ToWallet",
    "Unavailable",
    "UnknownAccount",
    "UnknownOrder",
    "UnknownProvider",
    "UnsupportedOperation",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    """Import the hubs, and with them httpx, when they are first asked for."""
    if name in {"AsyncHub", "Hub"}:
        from payhub import hub  # noqa: PLC0415

        return getattr(hub, name)
    raise AttributeError(f"module 'payhub' has no attribute {name!r}")
