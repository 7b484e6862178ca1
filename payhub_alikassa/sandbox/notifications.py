"""Write what the sandbox tells by itself, signed: a notification's fields, and the payer's return.

https://doc-merchant.alikassa.com/api/sign and https://doc-merchant.alikassa.com/payment/check/sign.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal

import httpx

from payhub_alikassa.sandbox.addresses import with_query
from payhub_alikassa.sandbox.php import php_json, php_query
from payhub_alikassa.sandbox.records import Account, Record, Settings, Transport, is_partial
from payhub_alikassa.sandbox.signatures import Signer

Message = dict[str, object]

FieldName = Literal[
    "type",
    "id",
    "order_id",
    "payment_status",
    "amount",
    "payment_amount",
    "commission_amount",
    "is_partial_payment",
    "account",
    "service",
    "desc",
]

_CARD_BRAND = "VISA"


def notified(record: Record, account: Account, settings: Settings) -> Message:
    """Give the fields that are signed, in the documented order.

    How a sum that is not known yet and an absent ``desc`` are written is not documented: here they
    are null, as in the status answers. The sums' digits are the sandbox's own, too.
    """
    partial = is_partial(record)
    fields: Message = {
        "type": record.kind,
        "id": record.id,
        "order_id": record.order_id,
        "payment_status": record.status,
        "amount": _two(record.amount),
        "payment_amount": _two(record.paid),
        "commission_amount": _two(record.commission),
        "is_partial_payment": partial if settings.notification_booleans else str(int(partial)),
        "account": account.uuid,
        "service": record.service,
        "desc": record.fields.get("desc"),
    }
    return _LISTS[settings.notification_fields](fields)


def returned(record: Record) -> Message:
    """Give the fields with which a payer comes back to the success page; they say nothing of money."""
    return {"order_id": record.order_id, "uuid": record.uuid}


def signed(fields: Message, signer: Signer) -> Message:
    """Add the signature over the fields as PHP writes them."""
    return {**fields, "sign": signer.sign(php_json(fields))}


def request(message: Message, to: str, transport: Transport) -> httpx.Request:
    """Put a signed message into the HTTP request that brings it."""
    return _REQUESTS[transport](message, to)


def _query(message: Message, to: str) -> httpx.Request:
    return httpx.Request("GET", with_query(to, php_query(message)))


def _form(message: Message, to: str) -> httpx.Request:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return httpx.Request("POST", to, content=php_query(message), headers=headers)


def _json(message: Message, to: str) -> httpx.Request:
    headers = {"Content-Type": "application/json"}
    return httpx.Request("POST", to, content=php_json(message), headers=headers)


_REQUESTS: Mapping[Transport, Callable[[Message, str], httpx.Request]] = {
    "GET": _query,
    "form": _form,
    "JSON": _json,
}

# Eleven are documented; programs in production were written for the two other lists.
_LISTS: Mapping[int, Callable[[Message], Message]] = {
    10: lambda fields: {name: value for name, value in fields.items() if name != "commission_amount"},
    11: lambda fields: fields,
    12: lambda fields: {**fields, "card_brand": _CARD_BRAND},
}


def _two(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.2f}"
