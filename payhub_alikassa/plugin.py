"""Implement payhub's hooks for AliKassa: each operation is one short conversation."""

from pathlib import Path
from typing import Any

from msgspec import UNSET

from payhub import (
    AccountInfo,
    Balance,
    Delivery,
    Notification,
    Payment,
    PaymentOrder,
    Payout,
    PayoutOrder,
    ReturnedPayer,
    hookimpl,
)
from payhub.driver import Asking, Capabilities, Creating, Flow, ProviderInfo, Sandbox, Unreadable
from payhub.models import Period, Ref
from payhub_alikassa import mapping, models, notifications, wire
from payhub_alikassa.account import AliKassaAccount
from payhub_alikassa.config import AliKassaConfig

_PAGE = 50
_MOST_PAGES = 10_000


@hookimpl
def payhub_provider() -> ProviderInfo:
    """Introduce AliKassa."""
    return ProviderInfo(
        name="alikassa",
        title="AliKassa",
        config=AliKassaConfig,
        capabilities=CAPABILITIES,
        connect=AliKassaAccount,
        api_version="v1",
        documentation="https://doc-merchant.alikassa.com",
        payment_extra=mapping.AliKassaPayment,
        payout_extra=mapping.AliKassaPayout,
        sandbox=_sandbox,
    )


# A payout answered with anything but HTTP 200 must not be taken for failed, so payouts have no
# definite refusals: https://doc-merchant.alikassa.com/payout/create
CAPABILITIES = Capabilities(
    create_payment=Creating(offers=mapping.payment_offers(), refusals=frozenset({400})),
    create_payout=Creating(offers=mapping.payout_offers()),
    fetch_payment=Asking(by=frozenset({"order_id", "provider_id"})),
    fetch_payout=Asking(by=frozenset({"order_id", "provider_id"})),
    fetch_balance=True,
    fetch_account_info=True,
    list_payments=True,
    read_notification=True,
    read_return=True,
)


def _sandbox(directory: Path, port: int) -> Sandbox:
    from payhub_alikassa.sandbox import Sandbox as Local  # noqa: PLC0415 - needs the extra `server`

    return Local(directory, port)


@hookimpl
def payhub_create_payment(account: AliKassaAccount, order: PaymentOrder) -> Flow[Payment]:
    """Create a payment: https://doc-merchant.alikassa.com/payment/create."""
    request = mapping.payment_request(account.config, order)
    call = account.call(
        "v1/payment",
        request,
        models.PaymentCreated,
        operation="create_payment",
        moves_money=True,
        order_id=order.order_id,
    )
    answer, raw = wire.read((yield call), models.PaymentCreated)
    return mapping.payment_created(answer, raw, order)


@hookimpl
def payhub_create_payout(account: AliKassaAccount, order: PayoutOrder) -> Flow[Payout]:
    """Create a payout: https://doc-merchant.alikassa.com/payout/create."""
    request = mapping.payout_request(account.config, order)
    call = account.call(
        "v1/payout",
        request,
        models.PayoutCreated,
        operation="create_payout",
        moves_money=True,
        order_id=order.order_id,
    )
    answer, raw = wire.read((yield call), models.PayoutCreated)
    return mapping.payout_created(answer, raw, order)


@hookimpl
def payhub_fetch_payment(account: AliKassaAccount, ref: Ref) -> Flow[Payment]:
    """Ask for a payment's status: https://doc-merchant.alikassa.com/payment/check/status."""
    call = account.call("v1/payment/status", _asked(ref), models.PaymentState, operation="fetch_payment", **_ids(ref))
    answer, raw = wire.read((yield call), models.PaymentState)
    return mapping.payment(answer, raw, account.config.currency)


@hookimpl
def payhub_fetch_payout(account: AliKassaAccount, ref: Ref) -> Flow[Payout]:
    """Ask for a payout's status: https://doc-merchant.alikassa.com/payout/check/status."""
    call = account.call("v1/payout/status", _asked(ref), models.PayoutState, operation="fetch_payout", **_ids(ref))
    answer, raw = wire.read((yield call), models.PayoutState)
    return mapping.payout(answer, raw, account.config.currency)


@hookimpl
def payhub_list_payments(account: AliKassaAccount, period: Period) -> Flow[tuple[Payment, ...]]:
    """List payments, page by page: https://doc-merchant.alikassa.com/payment/check/history."""
    found: list[Payment] = []
    for number in range(1, _MOST_PAGES + 1):
        request = models.HistoryRequest(
            date_from=period.first.isoformat(), date_to=period.last.isoformat(), page=number, paginate=_PAGE
        )
        call = account.call("v1/payment/history", request, models.HistoryPage, operation="list_payments")
        page, raw = wire.read((yield call), models.HistoryPage)
        found.extend(mapping.history(page, raw, account.config.currency))
        if page.links.next is None:
            return tuple(found)
    raise Unreadable(f"more than {_MOST_PAGES} pages")


@hookimpl
def payhub_fetch_balance(account: AliKassaAccount) -> Flow[Balance]:
    """Ask for the balance: https://doc-merchant.alikassa.com/method/balance."""
    call = account.call("v1/account/balance", models.NoFields(), models.BalanceState, operation="fetch_balance")
    answer, raw = wire.read((yield call), models.BalanceState)
    return mapping.balance(answer, raw, account.config.currency)


@hookimpl
def payhub_fetch_account_info(account: AliKassaAccount) -> Flow[AccountInfo]:
    """Ask what the account may do: https://doc-merchant.alikassa.com/method/info."""
    call = account.call("v1/account/info", models.NoFields(), models.InfoState, operation="fetch_account_info")
    answer, raw = wire.read((yield call), models.InfoState)
    return mapping.account_info(answer, raw)


@hookimpl
def payhub_read_notification(account: AliKassaAccount, delivery: Delivery) -> Notification:
    """Verify a notification: https://doc-merchant.alikassa.com/api/sign."""
    config = account.config
    return notifications.read(delivery, account.verifiers(), account=config.account, currency=config.currency)


@hookimpl
def payhub_read_return(account: AliKassaAccount, delivery: Delivery) -> ReturnedPayer:
    """Verify the form of a payer who came back: https://doc-merchant.alikassa.com/payment/check/sign.

    The form does not name the account: what is signed for one is good for all that have the key.
    """
    return notifications.read_return(delivery, account.verifiers())


def _asked(ref: Ref) -> models.StatusRequest:
    return models.StatusRequest(order_id=ref.order_id or UNSET, id=ref.provider_id or UNSET)


def _ids(ref: Ref) -> dict[str, Any]:
    return {"order_id": ref.order_id, "provider_id": ref.provider_id}
