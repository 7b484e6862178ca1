"""Verify AliKassa's notifications and the payer's signed return, and read nothing that is not signed.

The signature covers JSON as PHP writes it, with fields in a fixed order; what arrives is a query, a
form or JSON, which need not show how it was written. So a short closed list of texts is built out
of what arrived, the likeliest first, and the one that verifies is read: the result is what these
signed bytes say, however they were delivered. See https://doc-merchant.alikassa.com/api/sign
and https://doc-merchant.alikassa.com/payment/check/sign.
"""

import binascii
import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from email.message import Message
from email.parser import BytesHeaderParser
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from payhub import BadNotification, Status
from payhub.driver import Unreadable
from payhub.masking import HiddenBytes, HiddenFields
from payhub.models import Delivery, Notification, ReturnedPayer
from payhub_alikassa import mapping, php, wire
from payhub_alikassa.models import NotificationFields
from payhub_alikassa.signing import BadSignature, Verifier

_MAX_FIELDS = 64
_MAX_DELIVERY = 16 * 1024  # bytes of a query or a body: four times what is signed, for what encodings add to it
_MAX_TEXT = 4 * 1024  # bytes that are signed: what the documents allow in the longest fields takes less than half
_MAX_HEADERS = 1024  # bytes of a part's headers, or of a content type: the standard library is slow with long ones
_WORD = re.compile(r"[a-z_-]{1,32}")
_read_headers = BytesHeaderParser().parsebytes

# One text for every fault, so that a forger learns nothing from it.
_REFUSAL = "not an authentic notification of this account"
_UNREADABLE = (Unreadable, BadSignature, LookupError, ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError)

# Eleven fields are documented; senders of twelve and of ten were seen.
_TWELVE = NotificationFields.__struct_fields__
_ELEVEN = _TWELVE[:-1]
_TEN = tuple(name for name in _ELEVEN if name != "commission_amount")
_FIELD_LISTS = (_ELEVEN, _TWELVE, _TEN)

_KINDS = frozenset({"payment", "payout"})

_FLAG = "is_partial_payment"

# A query has no null: PHP's http_build_query leaves such a field out.
_NULLABLE = frozenset({"payment_amount", "commission_amount", _FLAG, "desc", "card_brand"})
_NULLABLE_TEXTS = _NULLABLE - {_FLAG}
_EMPTY_VALUES: tuple[Mapping[php.Value, php.Value], ...] = ({}, {"": None}, {None: ""})

# What may be signed where the key arrives: PHP makes true a 1, and false a 0 or nothing.
_FLAG_VALUES: Mapping[php.Value, tuple[php.Value, ...]] = {
    "0": ("0", False, ""),
    "1": ("1", True),
    "": (False, None),
    None: ("",),
    False: ("0", ""),
    True: ("1",),
    "false": (False, "0", ""),
    "true": (True, "1"),
}

_read_json = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode


def read(delivery: Delivery, verifiers: Sequence[Verifier], *, account: str, currency: str) -> Notification:
    """Return what an authentic notification says, in the account's currency; `account` is its uuid.

    Raises:
        BadNotification: not signed by any of the keys, not readable, or of another account.
    """
    try:
        fields = HiddenFields(_fields(delivery))
        signature = _signature(fields.pop("sign"))
        signable = _signable(fields)
        return _notification(_find_signed(partial(_candidates, signable), signature, verifiers), account, currency)
    except _UNREADABLE:
        raise BadNotification(_REFUSAL) from None


def read_return(delivery: Delivery, verifiers: Sequence[Verifier]) -> ReturnedPayer:
    """Return which payer came back to the success page, by a signed form; it says nothing about money.

    Raises:
        BadNotification: not signed by any of the keys, or not readable.
    """
    try:
        _check_length(delivery)
        fields = HiddenFields(_form(delivery.body if delivery.method == "POST" else b""))
        signature = _signature(fields["sign"])
        payer: dict[str, php.Value] = {name: fields[name] for name in ("order_id", "uuid")}
        if not _is_short(payer):
            raise ValueError("too long")
        texts = [php.write(payer, style) for style in php.STYLES]
        signed = _read_json(_find_signed(lambda: texts, signature, verifiers))
        return ReturnedPayer(
            order_id=wire.required_identifier(signed["order_id"]), reference=wire.required_identifier(signed["uuid"])
        )
    except _UNREADABLE:
        raise BadNotification(_REFUSAL) from None


def _notification(text: bytes, account: str, currency: str) -> Notification:
    """Return what the signed text says, and nothing that is not in it.

    A type and an id make it a notification; whatever else is odd in it is a reason to ask, and none to refuse it.
    """
    fields = _read_json(text)
    content = msgspec.convert(fields, NotificationFields)
    if "account" in fields and str(content.account).lower() != account.lower():
        raise Unreadable("of another account")
    word = wire.text(content.payment_status) or ""
    sums = mapping.sums(fields.get("currency"), currency, requested=content.amount, paid=content.payment_amount)
    kind = content.type if isinstance(content.type, str) and _WORD.fullmatch(content.type) else "unknown"
    understood = kind in _KINDS and not sums["mismatches"]
    return Notification(
        kind=kind,
        order_id=wire.text(content.order_id) or "",
        provider_id=wire.required_identifier(content.id),
        status=mapping.STATUSES.get(word, Status.UNKNOWN) if understood else Status.UNKNOWN,
        provider_status=word,
        requested=sums.get("requested"),
        paid=sums.get("paid"),
        commission=mapping.secondary_money(content.commission_amount, sums.get("currency") or currency),
        partial=wire.flag(content.is_partial_payment),
        digest=hashlib.sha256(text).hexdigest(),
        fields=fields,
        shape=NotificationFields,
    )


def _fields(delivery: Delivery) -> dict[str, php.Value]:
    """Return the fields of a delivery: of GET those of the query, of POST those of the body, or else of the query.

    Between a form and JSON the content type does not decide, the first character of the body does: curl declares every
    body a form unless it is given another type. But that a body is in parts, only its content type says.
    """
    _check_length(delivery)
    body = wire.without_bom(delivery.body).lstrip()
    match delivery.method:
        case "GET":
            fields = _form(delivery.query)
        case "POST" if body.startswith(b"{"):
            fields = php.read(body)
        case "POST":
            fields = _parts(delivery) if body.startswith(b"--") else _form(body)
            fields = fields if "sign" in fields else _form(delivery.query)  # PHP's curl, told to POST to an address
        case _:
            raise ValueError("neither GET nor POST")
    nested = sum(php.count(value) for value in fields.values() if not isinstance(value, str))
    if len(fields) + nested > _MAX_FIELDS:
        raise ValueError("too many fields")
    return fields


def _parts(delivery: Delivery) -> dict[str, php.Value]:
    """Return the fields of a form in parts, which PHP's curl makes of an array: RFC 7578.

    The standard library reads the headers, which are all that is difficult here. Its parser of whole messages would
    also follow parts within parts, and a stranger could make it do so for seconds.
    """
    declared, content_type = Message(), delivery.headers.get("content-type", "")
    declared["content-type"] = content_type[:_MAX_HEADERS]
    boundary = declared.get_boundary()
    if not boundary or declared.get_content_type() != "multipart/form-data":
        raise ValueError("not a form in parts")
    first, *parts = (b"\r\n" + delivery.body).split(b"\r\n--" + boundary.encode())
    if len(parts) > _MAX_FIELDS + 1 or first.strip() or not parts or not parts.pop().startswith(b"--"):
        raise ValueError("not a whole form in parts")
    pairs: list[tuple[str, php.Value]] = []
    for part in parts:
        head, _, value = part.partition(b"\r\n\r\n")
        name = _read_headers(head[:_MAX_HEADERS].lstrip()).get_param("name", header="content-disposition")
        if not isinstance(name, str):
            raise ValueError("a part without a name")  # noqa: TRY004 - a fault of the delivery
        pairs.append((name, value.decode()))
    return php.unique(pairs)


def _check_length(delivery: Delivery) -> None:
    if len(delivery.query) > _MAX_DELIVERY or len(delivery.body) > _MAX_DELIVERY:
        raise ValueError("too long")


def _form(raw: bytes) -> dict[str, php.Value]:
    """Return the fields of a query or a form, in a third of the time of urllib's own parser, which does more.

    The same twice is the same: an address that a shop gave may have its own `order_id` already.
    """
    if raw.count(b"&") > _MAX_FIELDS:
        raise ValueError("too many fields")
    texts = raw.decode().replace("+", " ").split("&")
    pairs = [_pair(text) if "%" in text else text.partition("=")[::2] for text in texts if text]
    fields: dict[str, php.Value] = dict(pairs)
    return fields if len(fields) == len(pairs) else php.unique(list(dict.fromkeys(pairs)))


def _pair(text: str) -> tuple[str, str]:
    """Decode a name and a value: first what Base64 has, all at once, because a signature has dozens of these.

    None of the three characters can be a part of another code, so nothing is decoded twice.
    """
    name, _, value = text.partition("=")
    value = value.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
    return unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode() if "%" in value else value


def _signature(sign: php.Value) -> bytes:
    """Decode Base64, and repair what a careless sender does to it: `+` read as a space, no padding at the end."""
    if not isinstance(sign, str):
        raise ValueError("the signature is not a text")  # noqa: TRY004 - a fault of the delivery
    repaired = sign.replace(" ", "+")
    repaired += "=" * (-len(repaired) % 4)
    signature = binascii.a2b_base64(repaired)
    # Python also decodes other spellings of the same bytes; only the canonical one is accepted.
    if binascii.b2a_base64(signature, newline=False).decode() != repaired:
        raise ValueError("the signature is not Base64")
    return HiddenBytes(signature)


def _find_signed(texts: Callable[[], Iterable[bytes]], signature: bytes, verifiers: Sequence[Verifier]) -> bytes:
    """Return the first text that one of the keys signed; the keys are tried in their order."""
    for verifier in verifiers:
        try:
            return verifier.find_signed(texts(), signature)
        except BadSignature:
            continue
    raise BadSignature("none of the keys signed any of these texts")


def _signable(fields: Mapping[str, php.Value]) -> Sequence[Mapping[str, php.Value]]:
    """Return the lists of fields that may have been signed: as they arrived, and the known ones that are complete.

    Whoever has seen one signature can have the texts of all of them written, so none of them is long.

    Raises:
        ValueError: there are none.
    """
    known = (names for names in _FIELD_LISTS if all(name in fields or name in _NULLABLE for name in names))
    found = [fields, *(HiddenFields({name: fields.get(name) for name in names}) for names in known)]
    if not (short := [each for each in found if _is_short(each)]):
        raise ValueError("too long")
    return short


def _is_short(fields: Mapping[str, php.Value]) -> bool:
    return len(php.write(fields, php.STYLES[0])) <= _MAX_TEXT


def _candidates(signable: Sequence[Mapping[str, php.Value]]) -> Iterator[bytes]:
    """Yield the texts that may have been signed, the documented form first, each text once.

    At most 208: 4 styles by 4 lists of fields, and for each of these 3 kinds of emptiness by 4 of truth with a whole
    `id`, and 1 with every value as it arrived.
    """
    tried: set[bytes] = set()
    for style, fields in itertools.product(php.STYLES, signable):
        for typed in _retyped(fields):
            text = php.write(typed, style)
            if text not in tried:
                tried.add(text)
                yield text


def _retyped(fields: Mapping[str, php.Value]) -> Iterator[Mapping[str, php.Value]]:
    """Yield the fields with the types that their values may have lost on the way: a number, null, true or false."""
    # The id that is signed is a whole number: https://doc-merchant.alikassa.com/api/sign.
    number = fields.get("id")
    whole = {"id": php.Number(number)} if isinstance(number, str) and number.isascii() and number.isdigit() else {}
    yield {**fields, **whole}
    truths = _FLAG_VALUES.get(fields[_FLAG], ()) if _FLAG in fields else ()
    for empty in _EMPTY_VALUES:
        filled = {name: empty.get(value, value) if name in _NULLABLE_TEXTS else value for name, value in fields.items()}
        yield {**filled, **whole}
        for truth in truths:
            yield {**filled, **whole, _FLAG: truth}
    yield fields
