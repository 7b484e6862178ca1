"""Write the exact bytes of a request, read the values of an answer."""

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from payhub import Declined, NotFound
from payhub.driver import Response, Unreadable
from payhub.masking import HiddenFields, MaskedStruct, hide, mask_text

Answer = TypeVar("Answer", bound=MaskedStruct)

_json = msgspec.json.Decoder(float_hook=Decimal)
_NOT_FOUND = re.compile(r"\bnot found\b", re.IGNORECASE)
_OK = 200
_INVALID = 400
_MAX_TEXT = 500
_FLAGS = {"1": True, "true": True, "0": False, "false": False, "": None}


def write(request: MaskedStruct) -> bytes:
    """Return the body: compact JSON in the documented order, `[]` where there are no fields.

    These bytes are signed and sent; nothing serialises the request a second time. See
    https://doc-merchant.alikassa.com/api/sign.
    """
    body = msgspec.json.encode(request)
    return b"[]" if body == b"{}" else body


def read(response: Response, promised: type[Answer]) -> tuple[Answer, Mapping[str, Any]]:
    """Return the promised answer, and all its fields as they came.

    Raises:
        Declined: HTTP 400 with complaints by field, but for the order's id.
        NotFound: the provider does not know it.
        Unreadable: anything else that is not HTTP 200 with the promised fields.
    """
    try:
        fields = hide(_json.decode(response.body))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Unreadable("the answer is not JSON") from None
    if not isinstance(fields, HiddenFields):
        raise Unreadable("the answer is not a JSON object")
    if response.status != _OK or fields.get("errors"):
        raise _refusal(response.status, fields)
    try:
        return msgspec.convert(fields, promised), fields
    except msgspec.ValidationError:
        raise _refusal(response.status, fields) from None


def _refusal(status: int, fields: Mapping[str, Any]) -> Exception:
    """Return the error that an answer means which is not the promised one.

    A complaint about the order's id is no refusal: a payment that is there already may be what it complains of.
    "Payment not found" is documented without an HTTP status, see
    https://doc-merchant.alikassa.com/payment/check/status.
    """
    text, errors = _masked_text(fields.get("message")), fields.get("errors")
    if not isinstance(errors, Mapping):
        errors = {"": [errors]} if errors else {}
    complaints = {  # Laravel's: {"field": ["text", …]}
        _masked_text(name): tuple(map(_masked_text, texts if isinstance(texts, list) else [texts]))
        for name, texts in errors.items()
    }
    if status == _INVALID and complaints and "order_id" not in complaints:
        return Declined(text, code=str(status), errors=complaints)
    if _NOT_FOUND.search(str(fields.get("message"))):
        return NotFound(text)
    listed = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in complaints.items())
    lacking = "the answer lacks the promised fields" if status == _OK else "it is not HTTP 200, the only one promised"
    return Unreadable(" ".join(filter(None, (text, listed))) or lacking)


def _masked_text(text: object) -> str:
    return mask_text(str(text))[:_MAX_TEXT] if text else ""


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


def repeated(value: object) -> str | None:
    """Return an id that the answer repeats from the question: null is absent, but an empty text contradicts it."""
    return "" if value == "" else identifier(value)


def amount(value: object) -> Decimal | None:
    """Return an amount that comes as a string or a number; empty and null are absent, floats never arise.

    Raises:
        Unreadable: it is neither, or not a finite number.
    """
    value = hide(value)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise Unreadable("an amount of the answer is not a number")
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise Unreadable("an amount of the answer is not a number") from None
    if not number.is_finite():
        raise Unreadable("an amount of the answer is not a number")
    return number


def flag(value: object) -> bool | None:
    """Return a boolean that comes as one, as a number, or as a text."""
    if value is None or isinstance(value, bool):
        return value
    return _FLAGS.get(str(value).lower())


def local_time(value: object) -> dt.datetime | None:
    """Return a time, which names no zone; what cannot be read as one is absent."""
    try:
        return dt.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
