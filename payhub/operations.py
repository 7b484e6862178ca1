"""List every operation as data: the kinds of orders, and the questions that are about no order.

Capabilities, hooks, plans, the journal, conformance, tickets and commands read these rows. Adding a
kind means a row here, its structs in `payhub.models`, its two hooks in `payhub.hookspecs` and its
named methods in `payhub.hub`.
"""

from typing import Any, Generic, TypeVar

import msgspec

from payhub.errors import ConfigurationError
from payhub.models import (
    AccountInfo,
    Balance,
    Notification,
    Order,
    Payment,
    PaymentOrder,
    Payout,
    PayoutOrder,
    Result,
    ReturnedPayer,
)

OrderT = TypeVar("OrderT", bound=Order)
ResultT = TypeVar("ResultT", bound=Result)
A = TypeVar("A")


class OrderKind(msgspec.Struct, Generic[OrderT, ResultT], frozen=True):
    """A kind of order: its word, what asks for it, and what says what became of it.

    `method` names the order's field that says how the money goes; a kind without one goes wherever
    the order it follows went. `exact` tells that more than what was asked cannot have been paid.
    """

    word: str
    order: type[OrderT]
    result: type[ResultT]
    method: str | None = None
    exact: bool = False
    create: str = ""
    fetch: str = ""

    def __post_init__(self) -> None:
        """Name the operations that create such an order and ask for its status."""
        msgspec.structs.force_setattr(self, "create", f"create_{self.word}")
        msgspec.structs.force_setattr(self, "fetch", f"fetch_{self.word}")


class Query(msgspec.Struct, Generic[A], frozen=True):
    """A question about no order, named as its operation is; `answer` is what is returned, or `listed` in a tuple."""

    word: str
    answer: type[msgspec.Struct]
    listed: bool = False


class Verification(msgspec.Struct, Generic[A], frozen=True):
    """A check of what somebody delivered: nothing is sent, and the driver returns what it proves."""

    word: str
    proof: type[A]


PAYMENT = OrderKind("payment", PaymentOrder, Payment, method="method")
PAYOUT = OrderKind("payout", PayoutOrder, Payout, method="to", exact=True)

KINDS: dict[str, OrderKind[Any, Any]] = {kind.word: kind for kind in (PAYMENT, PAYOUT)}
"""Every kind of order, by its word."""

BALANCE: Query[Balance] = Query("fetch_balance", Balance)
ACCOUNT_INFO: Query[AccountInfo] = Query("fetch_account_info", AccountInfo)
PAYMENTS: Query[tuple[Payment, ...]] = Query("list_payments", Payment, listed=True)

QUERIES: tuple[Query[Any], ...] = (BALANCE, ACCOUNT_INFO, PAYMENTS)

NOTIFICATION = Verification("read_notification", Notification)
RETURN = Verification("read_return", ReturnedPayer)

VERIFICATIONS: tuple[Verification[Any], ...] = (NOTIFICATION, RETURN)


def operations() -> tuple[str, ...]:
    """Return the names of all operations that a driver may have; each hook is `payhub_` and the name."""
    orders = [name for kind in KINDS.values() for name in (kind.create, kind.fetch)]
    return (*orders, *(query.word for query in QUERIES), *(each.word for each in VERIFICATIONS))


def kind_named(word: str) -> OrderKind[Any, Any]:
    """Return a kind by its word.

    Raises:
        ConfigurationError: there is no such kind; the known ones are listed.
    """
    for known in KINDS.values():
        if known.word == word:
            return known
    raise ConfigurationError(f"kind: {' or '.join(KINDS)} is needed, not {word!r}")


def kind_of(result: Result) -> OrderKind[Any, Any]:
    """Return the kind of order that a result is about."""
    return next(kind for kind in KINDS.values() if type(result) is kind.result)
