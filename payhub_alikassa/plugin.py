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
from payhub.driver import Call, Capabilities, Creating, Flow, ProviderInfo, Sandbox, StatusQuery, Unreadable
from payhub.models import Period, Ref
from payhub_alikassa import mapping, models, notifications, wire
from payhub_alikassa.account import AliKassaAccount, AliKassaReceiver, Endpoint
from payhub_alikassa.config import AliKassaConfig

_PAGE_SIZE = 50
_MAX_PAGES = 2000
_MAX_PAYMENTS = _MAX_PAGES * _PAGE_SIZE

_CREATE_PAYMENT = Endpoint("create_payment", "v1/payment", "payment_cert", models.PaymentCreated, moves_money=True)
_CREATE_PAYOUT = Endpoint("create_payout", "v1/payout", "payout_cert", models.PayoutCreated, moves_money=True)
_FETCH_PAYMENT = Endpoint("fetch_payment", "v1/payment/status", "payment_cert", models.PaymentState)
_FETCH_PAYOUT = Endpoint("fetch_payout", "v1/payout/status", "payout_cert", models.PayoutState)
_LIST_PAYMENTS = Endpoint("list_payments", "v1/payment/history", "payment_cert", models.HistoryPage)
# Balance and info take the payout certificate: https://doc-merchant.alikassa.com/method/balance
_FETCH_BALANCE = Endpoint("fetch_balance", "v1/account/balance", "payout_cert", models.BalanceState)
_FETCH_ACCOUNT_INFO = Endpoint("fetch_account_info", "v1/account/info", "payout_cert", models.InfoState)


@hookimpl
def payhub_provider() -> ProviderInfo:
    """Introduce AliKassa."""
    return ProviderInfo(
        name="alikassa",
        title="AliKassa",
        config=AliKassaConfig,
        capabilities=CAPABILITIES,
        connect=AliKassaAccount,
        receive=AliKassaReceiver,
        api_version="v1",
        documentation="https://doc-merchant.alikassa.com",
        extras={"payment": mapping.AliKassaPayment, "payout": mapping.AliKassaPayout},
        sandbox=_sandbox,
    )


_BY_ANY_ID = StatusQuery(by=frozenset({"order_id", "provider_id"}))

# A payout answered with anything but HTTP 200 must not be taken for failed, so payouts have no
# definite refusals: https://doc-merchant.alikassa.com/payout/create. Every create is promised to be
# answered with `wait`, so none is final: https://doc-merchant.alikassa.com/provider/ps4rub.
CAPABILITIES = Capabilities(
    create={
        "payment": Creating(offers=mapping.PAYMENT_OFFERS, refusals=frozenset({400})),
        "payout": Creating(offers=mapping.PAYOUT_OFFERS),
    },
    fetch={"payment": _BY_ANY_ID, "payout": _BY_ANY_ID},
)


def _sandbox(directory: Path, port: int) -> Sandbox:
    from payhub_alikassa.sandbox import Sandbox as Local  # noqa: PLC0415 - needs the extra `server`

    return Local(directory, port)


@hookimpl
def payhub_create_payment(account: AliKassaAccount, order: PaymentOrder) -> Flow[Payment]:
    """Create a payment: https://doc-merchant.alikassa.com/payment/create."""
    request = mapping.payment_request(account.config, order)
    response = yield account.call(_CREATE_PAYMENT, request, order_id=order.order_id)
    answer, raw = wire.read(response, _CREATE_PAYMENT.promised, type(request))
    return mapping.payment_created(answer, raw, order)


@hookimpl
def payhub_create_payout(account: AliKassaAccount, order: PayoutOrder) -> Flow[Payout]:
    """Create a payout: https://doc-merchant.alikassa.com/payout/create."""
    request = mapping.payout_request(account.config, order)
    response = yield account.call(_CREATE_PAYOUT, request, order_id=order.order_id)
    answer, raw = wire.read(response, _CREATE_PAYOUT.promised, type(request))
    return mapping.payout_created(answer, raw, order)


@hookimpl
def payhub_fetch_payment(account: AliKassaAccount, ref: Ref) -> Flow[Payment]:
    """Ask for a payment's status: https://doc-merchant.alikassa.com/payment/check/status."""
    response = yield _status_call(account, _FETCH_PAYMENT, ref)
    answer, raw = wire.read(response, _FETCH_PAYMENT.promised)
    return mapping.payment(answer, raw, account.config.currency)


@hookimpl
def payhub_fetch_payout(account: AliKassaAccount, ref: Ref) -> Flow[Payout]:
    """Ask for a payout's status: https://doc-merchant.alikassa.com/payout/check/status."""
    response = yield _status_call(account, _FETCH_PAYOUT, ref)
    answer, raw = wire.read(response, _FETCH_PAYOUT.promised)
    return mapping.payout(answer, raw, account.config.currency)


@hookimpl
def payhub_list_payments(account: AliKassaAccount, period: Period) -> Flow[tuple[Payment, ...]]:
    """List payments, page by page: https://doc-merchant.alikassa.com/payment/check/history.

    Payments that are made meanwhile push others to the next page, so those that were listed come again. A page
    with nothing new is the end, whatever it says of a next one, and 100,000 payments are.
    """
    payments: dict[str | None, Payment] = {}
    for number in range(1, _MAX_PAGES + 1):
        request = models.HistoryRequest(
            date_from=period.first.isoformat(), date_to=period.last.isoformat(), page=number, paginate=_PAGE_SIZE
        )
        response = yield account.call(_LIST_PAYMENTS, request)
        page, raw = wire.read(response, _LIST_PAYMENTS.promised)
        known = len(payments)
        payments.update((each.provider_id, each) for each in mapping.history(page, raw, account.config.currency))
        if len(payments) == known or not page.links.next:
            return tuple(payments.values())
        if len(payments) > _MAX_PAYMENTS:  # a provider decides how many are on a page
            break
    raise Unreadable(f"more than {_MAX_PAYMENTS} payments: ask for fewer days")


@hookimpl
def payhub_fetch_balance(account: AliKassaAccount) -> Flow[Balance]:
    """Ask for the balance: https://doc-merchant.alikassa.com/method/balance."""
    response = yield account.call(_FETCH_BALANCE, models.NoFields())
    answer, raw = wire.read(response, _FETCH_BALANCE.promised)
    return mapping.balance(answer, raw, account.config.currency)


@hookimpl
def payhub_fetch_account_info(account: AliKassaAccount) -> Flow[AccountInfo]:
    """Ask what the account may do: https://doc-merchant.alikassa.com/method/info."""
    response = yield account.call(_FETCH_ACCOUNT_INFO, models.NoFields())
    answer, raw = wire.read(response, _FETCH_ACCOUNT_INFO.promised)
    return mapping.account_info(answer, raw)


@hookimpl
def payhub_read_notification(account: AliKassaReceiver, delivery: Delivery) -> Notification:
    """Verify a notification: https://doc-merchant.alikassa.com/api/sign."""
    config = account.config
    return notifications.read(delivery, account.verifiers(), account=config.account, currency=config.currency)


@hookimpl
def payhub_read_return(account: AliKassaReceiver, delivery: Delivery) -> ReturnedPayer:
    """Verify the form of a payer who came back: https://doc-merchant.alikassa.com/payment/check/sign.

    The form does not name the account: what is signed for one is good for all that have the key.
    """
    return notifications.read_return(delivery, account.verifiers())


def _status_call(account: AliKassaAccount, endpoint: Endpoint[Any], ref: Ref) -> Call:
    request = models.StatusRequest(order_id=ref.order_id or UNSET, id=ref.provider_id or UNSET)
    return account.call(endpoint, request, order_id=ref.order_id, provider_id=ref.provider_id)
