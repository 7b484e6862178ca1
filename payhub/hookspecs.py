"""List every hook that a plugin may implement.

A driver implements `payhub_provider` and the operations its provider has, each returning a flow
(see `payhub.driver`). An application's own plugin may wrap an operation
(`@hookimpl(wrapper=True)`) to check limits or veto it, and observe with `payhub_event`.
Mark implementations with `payhub.hookimpl`.
"""

from typing import Any

import pluggy

from payhub.driver import Flow, ProviderInfo
from payhub.models import (
    AccountInfo,
    Balance,
    Delivery,
    Exchange,
    Notification,
    Payment,
    PaymentOrder,
    Payout,
    PayoutOrder,
    Period,
    Ref,
    ReturnedPayer,
)

PROJECT = "payhub"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def payhub_provider() -> ProviderInfo:
    """Introduce the provider that this plugin speaks to; needs no credentials."""
    raise NotImplementedError


@hookspec(firstresult=True)
def payhub_create_payment(account: Any, order: PaymentOrder) -> Flow[Payment]:
    """Return the flow that creates a payment."""
    raise NotImplementedError


@hookspec(firstresult=True)
def payhub_create_payout(account: Any, order: PayoutOrder) -> Flow[Payout]:
    """Return the flow that creates a payout."""
    raise NotImplementedError


@hookspec(firstresult=True)
def payhub_fetch_payment(account: Any, ref: Ref) -> Flow[Payment]:
    """Return the flow that asks for a payment's status."""
    raise NotImplementedError


@hookspec(firstresult=True)
def payhub_fetch_payout(account: Any, ref: Ref) -> Flow[Payout]:
    """Return the flow that asks for a payout's status."""
    raise NotImplementedError


@hookspec(firstresult=True)
def payhub_fetch_balance(account: Any) -> Flow[Balance]:
    """Return the flow that asks for the account's balance."""
    raise NotImplementedError


@hookspec(firstresult=True)
def payhub_fetch_account_info(account: Any) -> Flow[AccountInfo]:
    """Return the flow that asks what the account is allowed to do."""
    raise NotImplementedError


@hookspec(firstresult=True)
def payhub_list_payments(account: Any, period: Period) -> Flow[tuple[Payment, ...]]:
    """Return the flow that lists the payments of a period, all pages of it."""
    raise NotImplementedError


@hookspec(firstresult=True)
def payhub_read_notification(account: Any, delivery: Delivery) -> Notification:
    """Verify a notification and return what its signature covers; raise `BadNotification` for any other bytes."""
    raise NotImplementedError


@hookspec(firstresult=True)
def payhub_read_return(account: Any, delivery: Delivery) -> ReturnedPayer:
    """Verify with what a payer's browser came back and return who it is; raise `BadNotification` for other bytes."""
    raise NotImplementedError


@hookspec
def payhub_event(event: Exchange) -> None:
    """Observe an exchange, masked; what an observer raises changes nothing."""
