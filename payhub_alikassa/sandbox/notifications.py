"""Write the signed messages that the sandbox sends: notifications, and the forms of payers who return.

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

# Eleven fields are documented; programs in production were written for the two other lists.
_FIELD_LISTS: Mapping[int, Callable[[Message], Message]] = {
    10: lambda fields: {name: value for name, value in fields.items() if name != "commission_amount"},
    11: lambda fields: fields,
    12: lambda fields: {**fields, "card_brand": "VISA"},
}


def notification_fields(record: Record, account: Account, settings: Settings) -> Message:
    """Return the fields that are signed, in the documented order.

    How a sum that is not known yet and an absent `desc` are written is not documented: here they
    are null, as in the status answers. The digits of sums are the sandbox's own choice, too.
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
    return _FIELD_LISTS[settings.notification_fields](fields)


def return_fields(record: Record) -> Message:
    """Return the fields with which a payer comes back to the success page; they say nothing about money."""
    return {"order_id": record.order_id, "uuid": record.uuid}


def add_signature(fields: Message, signer: Signer) -> Message:
    """Return the fields with the signature over them as PHP writes them."""
    return {**fields, "sign": signer.sign(php_json(fields))}


def request(message: Message, to: str, transport: Transport) -> httpx.Request:
    """Return the HTTP request that brings a signed message."""
    match transport:
        case "GET":
            return httpx.Request("GET", with_query(to, php_query(message)))
        case "form":
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return httpx.Request("POST", to, content=php_query(message), headers=headers)
        case "JSON":
            headers = {"Content-Type": "application/json"}
            return httpx.Request("POST", to, content=php_json(message), headers=headers)


def _two(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.2f}"
