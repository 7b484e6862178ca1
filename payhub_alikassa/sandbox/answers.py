"""Write what the books know as the provider's own answers, key for key."""

import math
from collections.abc import Mapping
from decimal import Decimal

from payhub_alikassa.sandbox.books import Books
from payhub_alikassa.sandbox.records import ZONE, Record, is_partial
from payhub_alikassa.sandbox.services import (
    PAYMENT_SERVICES,
    PAYOUT_SERVICES,
    PaymentService,
    PayoutService,
    method_of,
)

Answer = dict[str, object]

BANK = "Sandbox Bank"
HOLDER = "Иван Иванович И."
REQUISITES = {
    "card": "2200000000000004",
    "phone": "79031112233",
    "bank_account": "40817810000000000001",
}
PAYERS_CARD = "411111******1111"


def payment_created(record: Record, page: str) -> Answer:
    """Return the answer of `v1/payment`: https://doc-merchant.alikassa.com/provider/ps4rub."""
    service = PAYMENT_SERVICES[record.service]
    urls: dict[str, Answer] = {"address": {"url": page}, "null": {"url": None}, "absent": {}}
    requisites: Answer = {}
    if service.requisites is not None:
        requisites = {"cardNumber": REQUISITES[service.requisites], "cardHolderName": HOLDER}
        if service.names_bank:
            requisites["bank"] = BANK
    return {
        **urls[service.page],
        "payment_status": record.status,
        "id": record.id,
        "uuid": record.uuid,
        "success_redirect_url": record.fields.get("success_redirect_url"),
        **requisites,
    }


def payout_created(record: Record) -> Answer:
    """Return the answer of `v1/payout`: https://doc-merchant.alikassa.com/payout/create."""
    return {"payment_status": record.status, "id": record.id}


def payment_status(record: Record, page: str, currency: str) -> Answer:
    """Return the answer of `v1/payment/status`: https://doc-merchant.alikassa.io/payments/check-payment-status.

    What the sums of a waiting payment look like is not documented; here they are null.
    """
    service = PAYMENT_SERVICES[record.service]
    requisites = service.requisites
    has_page = service.page == "address"
    paid_by_card = record.status == "paid" and record.service.startswith("payment_card")
    return {
        "url": page if has_page else None,
        "antiFraud": False,
        "payment_status": record.status,
        "id": record.id,
        "order_id": record.order_id,
        "amount": _nine(record.amount),
        "payment_amount": _nine(record.paid),
        "is_partial_payment": is_partial(record),
        "hold_amount": _nine(record.held) if record.held else "",
        "hold_at": f"{record.hold_until:%Y-%m-%d %H:%M:%S}" if record.hold_until else None,
        "account_payment_amount": _nine(record.credited),
        "commission_amount": _nine(record.commission),
        "currency": currency,
        "service_code": record.service,
        "account_old_balance": _eight(record.old_balance),
        "account_new_balance": _eight(record.new_balance),
        "crypto_network": None,
        "crypto_txid": None,
        "customer_phone": record.fields.get("customer_phone"),
        "customer_card_number": PAYERS_CARD if has_page and record.fields and paid_by_card else None,
        "payment_error_message": record.error,
        "card_number": REQUISITES[requisites] if requisites else None,
        "card_holder_name": HOLDER if requisites else None,
        "bank": BANK if requisites else None,
        "bik_bank": "041351902" if requisites == "bank_account" else None,
    }


def payout_status(record: Record) -> Answer:
    """Return the answer of `v1/payout/status`: https://doc-merchant.alikassa.com/payout/check/status."""
    return {
        "payment_status": record.status,
        "id": record.id,
        "order_id": record.order_id,
        "amount": _two(record.amount),
        "payment_amount": _two(record.paid),
        "is_partial_payment": is_partial(record),
        "account_payment_amount": _loose(record.credited),
        "commission_amount": _loose(record.commission),
        "service_code": record.service,
        "rrn": record.rrn,
        "account_old_balance": _loose(record.old_balance),
        "account_new_balance": _loose(record.new_balance),
    }


def history(records: list[Record], page: int, size: int, address: str, currency: str) -> Answer:
    """Return the answer of `v1/payment/history`: https://doc-merchant.alikassa.com/payment/check/history.

    The page shows the first keys of Laravel's paginator; the rest of `meta` is as Laravel writes it.
    """
    last = max(1, math.ceil(len(records) / size))
    shown = records[(page - 1) * size : page * size]
    first_row = (page - 1) * size + 1
    return {
        "data": [
            {
                "created_at": f"{record.created_at.astimezone(ZONE):%Y-%m-%d %H:%M:%S}",
                "id": record.id,
                "order_id": record.order_id,
                "amount": _nine(record.amount),
                "commission_amount": _nine(record.commission),
                "currency": currency,
                "status": record.status,
            }
            for record in shown
        ],
        "links": {
            "first": f"{address}?page=1",
            "last": f"{address}?page={last}",
            "prev": f"{address}?page={page - 1}" if page > 1 else None,
            "next": f"{address}?page={page + 1}" if page < last else None,
        },
        "meta": {
            "current_page": page,
            "from": first_row if shown else None,
            "last_page": last,
            "path": address,
            "per_page": size,
            "to": first_row + len(shown) - 1 if shown else None,
            "total": len(records),
        },
    }


def account_balance(books: Books) -> Answer:
    """Return the answer of `v1/account/balance`: https://doc-merchant.alikassa.com/method/balance."""
    return {
        "currency": books.account.currency,
        "balance": _eight(books.balance.free),
        "hold": _eight(books.balance.hold),
        "rolling_reserve": _eight(Decimal(0)),
        "pending_payouts": _eight(books.balance.pending),
    }


def account_info(books: Books) -> Answer:
    """Return the answer of `v1/account/info`: https://doc-merchant.alikassa.com/method/info.

    Only the status `active` is documented; `inactive` is the sandbox's word.
    """
    payments = _listed(books, PAYMENT_SERVICES)
    payouts = _listed(books, PAYOUT_SERVICES)
    return {
        "is_allowed_payment": bool(payments),
        "is_allowed_payout": bool(payouts),
        "payments": payments,
        "payouts": payouts,
    }


def invalid(errors: Mapping[str, list[str]]) -> Answer:
    """Return the answer to a request whose fields are wrong."""
    return {"message": "The given data was invalid.", "errors": dict(errors)}


def _listed(books: Books, table: Mapping[str, PaymentService | PayoutService]) -> list[Answer]:
    return [
        {
            "method": method_of(service),
            "currency": service.currency,
            "service_code": service.code,
            "status": "active" if books.is_active(service.code) else "inactive",
        }
        for service in table.values()
        if service.currency == books.account.currency
    ]


def _eight(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.8f}"


def _nine(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.9f}"


def _two(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.2f}"


def _loose(amount: Decimal | None) -> str | None:
    """Write an amount with as few digits as it needs: `290`, `10.5`."""
    return None if amount is None else f"{amount.normalize():f}"
