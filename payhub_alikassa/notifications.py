"""Verify AliKassa's notifications and the payer's signed return, and read nothing that is not signed.

The signature covers JSON as PHP writes it, with fields in a fixed order; what comes is a query, a
form or JSON, which need not show how it was written. So a short closed list of texts is built out
of what came, the likeliest first, and the one that verifies is read: whatever is told is what
these signed bytes say, however they were delivered. See https://doc-merchant.alikassa.com/api/sign
and https://doc-merchant.alikassa.com/payment/check/sign.
"""

import binascii
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from payhub import BadNotification, Money
from payhub.driver import Unreadable
from payhub.masking import HiddenBytes, HiddenFields, hide
from payhub.models import LONGEST_DELIVERY, Delivery, Notification, ReturnedPayer
from payhub_alikassa import mapping, php, wire
from payhub_alikassa.models import Notified
from payhub_alikassa.signing import BadSignature, Verifier

_MOST_FIELDS = 64
_DIGITS = 9  # an amount may count nine digits after the point

# One text for everything: who sends forgeries learns nothing from it.
_REFUSED = "not an authentic notification of this account"
_UNREADABLE = (Unreadable, BadSignature, LookupError, ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError)

_TWELVE = Notified.__struct_fields__
_ELEVEN = _TWELVE[:-1]
_TEN = tuple(name for name in _ELEVEN if name != "commission_amount")
_ORDERS = (_ELEVEN, _TWELVE, _TEN)

_FLAG = "is_partial_payment"

# A query has no null: PHP's http_build_query leaves such a field out.
_NULLABLE = frozenset({"payment_amount", "commission_amount", _FLAG, "desc", "card_brand"})
_EMPTY = _NULLABLE - {_FLAG}
_EMPTIES: tuple[Mapping[php.Value, php.Value], ...] = ({}, {"": None}, {None: ""})

# What may be signed where this came: PHP makes true a 1, and false a 0 or nothing.
_FLAGS: Mapping[php.Value, tuple[php.Value, ...]] = {
    "0": ("0", False, ""),
    "1": ("1", True),
    "": (False, None),
    None: ("",),
    False: ("0", ""),
    True: ("1",),
    "false": (False, "0", ""),
    "true": (True, "1"),
}

_read_signed = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode


def read(delivery: Delivery, verifiers: Sequence[Verifier], *, account: str, currency: str) -> Notification:
    """Return what an authentic notification says, in the account's currency; `account` is its uuid.

    Raises:
        BadNotification: not signed by any of the keys, not readable, or of another account.
    """
    try:
        received = HiddenFields(_received(delivery))
        signature = _signature(received.pop("sign"))
        return _notification(_signed(partial(_texts, received), signature, verifiers), account, currency)
    except _UNREADABLE:
        raise BadNotification(_REFUSED) from None


def read_return(delivery: Delivery, verifiers: Sequence[Verifier]) -> ReturnedPayer:
    """Return which payer came back to the success page, by a signed form; it says nothing about money.

    Raises:
        BadNotification: not signed by any of the keys, or not readable.
    """
    try:
        received = HiddenFields(_form(_short(delivery).body if delivery.method == "POST" else b""))
        signature = _signature(received["sign"])
        payer: dict[str, php.Value] = {name: received[name] for name in ("order_id", "uuid")}
        texts = [php.write(payer, style) for style in php.STYLES]
        fields = _read_signed(_signed(lambda: texts, signature, verifiers))
        return ReturnedPayer(order_id=_given(fields["order_id"]), reference=_given(fields["uuid"]))
    except _UNREADABLE:
        raise BadNotification(_REFUSED) from None


def _notification(text: bytes, account: str, currency: str) -> Notification:
    """Say what the signed text says, and nothing that is not in it."""
    fields = _read_signed(text)
    said = msgspec.convert(fields, Notified)
    if "account" in fields and str(said.account).lower() != account.lower():
        raise Unreadable("of another account")
    return Notification(
        kind=said.type,
        order_id=_given(said.order_id),
        provider_id=_given(said.id),
        status=mapping.status(said.payment_status),
        provider_status=said.payment_status,
        requested=_money(said.amount, currency),
        paid=_money(said.payment_amount, currency),
        commission=_money(said.commission_amount, currency),
        partial=wire.flag(said.is_partial_payment),
        digest=hashlib.sha256(text).hexdigest(),
        fields=fields,
        shape=Notified,
    )


def _given(value: object) -> str:
    found = wire.identifier(value)
    if found is None:
        raise Unreadable("an id is empty")
    return found


def _money(value: object, currency: str) -> Money | None:
    value = hide(value)
    amount = wire.amount(value)
    return None if amount is None else Money(amount, currency, _DIGITS)


def _received(delivery: Delivery) -> dict[str, php.Value]:
    """Read what came: GET in the query, POST as a form or JSON, told apart by the body's first character.

    The content type does not decide: curl calls every body a form that is not told to be otherwise.
    """
    match _short(delivery).method:
        case "GET":
            fields = _form(delivery.query)
        case "POST":
            fields = (php.read if delivery.body.lstrip().startswith(b"{") else _form)(delivery.body)
        case _:
            raise ValueError("neither GET nor POST")
    if len(fields) > _MOST_FIELDS:
        raise ValueError("too many fields")
    return fields


def _short(delivery: Delivery) -> Delivery:
    if len(delivery.query) > LONGEST_DELIVERY or len(delivery.body) > LONGEST_DELIVERY:
        raise ValueError("too long")
    return delivery


def _form(raw: bytes) -> dict[str, php.Value]:
    """Read a query or a form; in a third of the time of urllib's own, which does more."""
    return php.unique([_pair(text) for text in raw.decode().replace("+", " ").split("&") if text])


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return (_plain(name), _plain(value)) if "%" in text else (name, value)


def _plain(text: str) -> str:
    """Decode percent-encoding: first what Base64 has, at one go, for a signature has dozens of it.

    None of the three characters can be a part of another code, so nothing is decoded twice.
    """
    text = text.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
    return unquote_to_bytes(text).decode() if "%" in text else text


def _signature(sign: php.Value) -> bytes:
    """Decode Base64, and repair what a careless sender does to it: `+` read as a space, no padding at the end."""
    if not isinstance(sign, str):
        raise ValueError("the signature is not a text")  # noqa: TRY004 - a fault of the delivery
    repaired = sign.replace(" ", "+")
    repaired += "=" * (-len(repaired) % 4)
    signature = binascii.a2b_base64(repaired)
    if binascii.b2a_base64(signature, newline=False).decode() != repaired:  # of two spellings one counts
        raise ValueError("the signature is not Base64")
    return HiddenBytes(signature)


def _signed(texts: Callable[[], Iterable[bytes]], signature: bytes, verifiers: Sequence[Verifier]) -> bytes:
    """Return the first text that one of the keys signed; the keys are tried in their order."""
    for verifier in verifiers:
        try:
            return verifier.signed(texts(), signature)
        except BadSignature:
            continue
    raise BadSignature("none of the keys signed any of these texts")


def _texts(received: Mapping[str, php.Value]) -> Iterator[bytes]:
    """Build what may have been signed, the documented form first, each text once.

    At most 208: 4 styles, 4 orders, and of each 3 kinds of emptiness by 4 of truth with a whole
    `id`, and 1 with every value as it came.
    """
    tried: set[bytes] = set()
    for style in php.STYLES:
        for fields in _ordered(received):
            for typed in _typed(fields):
                text = php.write(typed, style)
                if text not in tried:
                    tried.add(text)
                    yield text


def _ordered(received: Mapping[str, php.Value]) -> Iterator[Mapping[str, php.Value]]:
    """Put the fields in every known order: as they came, and as the known lists have them."""
    yield received
    for names in _ORDERS:
        if all(name in received or name in _NULLABLE for name in names):
            yield {name: received.get(name) for name in names}


def _typed(fields: Mapping[str, php.Value]) -> Iterator[Mapping[str, php.Value]]:
    """Give the values the types that the way here may have taken from them."""
    whole = _whole(fields.get("id"))
    yield {**fields, **whole}
    truths = _FLAGS.get(fields[_FLAG], ()) if _FLAG in fields else ()
    for empties in _EMPTIES:
        filled = {name: empties.get(value, value) if name in _EMPTY else value for name, value in fields.items()}
        yield {**filled, **whole}
        for truth in truths:
            yield {**filled, **whole, _FLAG: truth}
    yield fields


def _whole(came: php.Value) -> dict[str, php.Value]:
    """Make the id the whole number that is signed: https://doc-merchant.alikassa.com/api/sign."""
    return {"id": php.Number(came)} if isinstance(came, str) and came.isascii() and came.isdigit() else {}
