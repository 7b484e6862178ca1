"""Write the exact bytes of a request, read the values of an answer."""

import datetime as dt
import itertools
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import msgspec

from payhub import Declined, NotFound
from payhub.driver import Response, Unreadable
from payhub.masking import HiddenFields, Mask, MaskedStruct, excerpt, hide, mask_value
from payhub.money import currency_named

Answer = TypeVar("Answer", bound=MaskedStruct)


def _number(text: str) -> Decimal:
    """Return a number without rounding; one whose exponent no decimal can hold is none, and no reason to raise."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


_json = msgspec.json.Decoder(float_hook=_number)
_BOM = b"\xef\xbb\xbf"
_SUM = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_NOT_FOUND = re.compile(r"\bnot found\b", re.IGNORECASE)
# The documents name none. Their example of a page has an order_id that is a Unix time, three hours before `created_at`:
# https://doc-merchant.alikassa.com/payment/check/history
ZONE = dt.timezone(dt.timedelta(hours=3))
"""The zone of the provider's days and times."""
_OK = 200
_INVALID = 400
_MAX_TEXT, _MAX_NAME, _MAX_LISTED = 500, 100, 50
_MAX_WORDS = 4096  # of all complaints of an answer
_FLAGS = {"1": True, "true": True, "0": False, "false": False, "": None}


def write(request: MaskedStruct) -> bytes:
    """Return the body: compact JSON in the documented order, `[]` where there are no fields.

    These bytes are signed and sent; nothing serialises the request a second time. See
    https://doc-merchant.alikassa.com/api/sign.
    """
    body = msgspec.json.encode(request)
    return b"[]" if body == b"{}" else body


def without_bom(body: bytes) -> bytes:
    """Return JSON without the mark that some senders put before it: https://www.rfc-editor.org/rfc/rfc8259#section-8.1."""
    return body.removeprefix(_BOM)


def read(
    response: Response, promised: type[Answer], asked: type[MaskedStruct] | None = None
) -> tuple[Answer, Mapping[str, Any]]:
    """Return the promised answer, and all its fields as they came.

    Raises:
        Declined: HTTP 400 with complaints about nothing but fields of `asked`, the order's id not among them.
        NotFound: the provider does not know it.
        Unreadable: anything else that is not HTTP 200 with the promised fields.
    """
    try:
        fields = hide(_json.decode(without_bom(response.body)))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Unreadable("the answer is not JSON") from None
    if not isinstance(fields, HiddenFields):
        raise Unreadable("the answer is not a JSON object")
    if response.status != _OK or fields.get("errors"):
        raise _refusal(response.status, fields, asked)
    try:
        return msgspec.convert(fields, promised), fields
    except msgspec.ValidationError:
        raise _refusal(response.status, fields, asked) from None


def _refusal(status: int, fields: Mapping[str, Any], asked: type[MaskedStruct] | None) -> Exception:
    """Return the error that an answer means which is not the promised one.

    It is a refusal only if every complaint names a field of the request, sent or missing. What complains of the order's
    id, in whatever words and under whatever name, may complain that the payment is there already.
    "Payment not found" is documented without an HTTP status, see
    https://doc-merchant.alikassa.com/payment/check/status.
    """
    message, errors = fields.get("message"), fields.get("errors")
    message = excerpt(message, _MAX_TEXT) if isinstance(message, str) else message
    text = str(mask_value(message, Mask.WORDS, 2 * _MAX_TEXT))[:_MAX_TEXT] if message else ""
    if not isinstance(errors, Mapping):
        errors = {"": errors if isinstance(errors, list) else [errors]} if errors else {}
    complaints = _complaints(errors)
    refusable = set(asked.__struct_fields__ if asked else ()) - {"order_id"}
    about = {name.partition(".")[0] for name in errors}  # Laravel's `extra.card_holder`
    if status == _INVALID and about and about <= refusable:
        return Declined(text, code=str(status), errors=complaints)
    if isinstance(message, str) and _NOT_FOUND.search(message):
        return NotFound(text)
    listed = "; ".join(f"{name}: {' '.join(texts)}" if name else " ".join(texts) for name, texts in complaints.items())
    lacking = "the answer lacks the promised fields" if status == _OK else "it is not HTTP 200, the only one promised"
    return Unreadable(" ".join(filter(None, (text, listed))) or lacking)


def _complaints(errors: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return complaints by field, `{"field": ["text", …]}` as Laravel makes them, masked, as far as there is room."""
    heads = {
        excerpt(name, _MAX_NAME): [
            excerpt(text, _MAX_TEXT) if isinstance(text, str) else text or ""
            for text in (texts if isinstance(texts, list) else [texts])[:_MAX_LISTED]
        ]
        for name, texts in itertools.islice(errors.items(), _MAX_LISTED)
    }
    shown: Any = mask_value(heads, Mask.WORDS, _MAX_WORDS)
    return {
        name: tuple(str(text)[:_MAX_TEXT] for text in (texts if isinstance(texts, list) else [texts]))
        for name, texts in shown.items()
    }


def identifier(value: object) -> str | None:
    """Return an id or text that comes as a string or a number; empty and null are absent.

    Raises:
        Unreadable: it is neither.
    """
    value = hide(value)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise Unreadable("an id of the answer is neither a text nor a whole number")
    return str(value)


def required_identifier(value: object) -> str:
    """Return an id that must be there.

    Raises:
        Unreadable: it is empty, or neither a string nor a number.
    """
    found = identifier(value)
    if found is None:
        raise Unreadable("the answer has an empty id")
    return found


def text(value: object) -> str | None:
    """Return a text that decides nothing; what cannot be one is absent."""
    value = hide(value)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None


def repeated(value: object) -> str | None:
    """Return an id that the answer repeats from the question: null is absent, but an empty text contradicts it."""
    return "" if value == "" else identifier(value)


def amount(value: object) -> Decimal | None:
    """Return an amount that comes as a string or a number; empty and null are absent, floats never arise.

    A text is ASCII digits with one point at most: what Python would read besides (blanks, underscores, other digits,
    exponents) is no sum of the provider's.

    Raises:
        Unreadable: it is neither.
    """
    value = hide(value)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if _SUM.fullmatch(value):
            return Decimal(value)
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    raise Unreadable("an amount of the answer is not a number")


def currency(value: object) -> str | None:
    """Return the ISO 4217 code of a currency that is surely meant; empty and null are absent.

    Raises:
        Unreadable: it is none.
    """
    name = identifier(value)
    code = name and currency_named(name)
    if name and not code:
        raise Unreadable("the currency of the answer is none")
    return code


def flag(value: object) -> bool | None:
    """Return a boolean that comes as one, as a number, or as a text."""
    if value is None or isinstance(value, bool):
        return value
    return _FLAGS.get(str(value).lower())


def local_time(value: object) -> dt.datetime | None:
    """Return a time in UTC; one that names no zone is in the provider's own. What cannot be read as one is absent."""
    try:
        time = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
        return time and (time if time.tzinfo else time.replace(tzinfo=ZONE)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
