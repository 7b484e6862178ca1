"""Check a request's fields against the provider's tables: required, type, length.

Tables: https://doc-merchant.alikassa.com/payment/create and
https://doc-merchant.alikassa.com/payout/create. Unknown fields pass, as they do at the provider.
The wording and the keys of `errors` are never shown there: the sandbox words them as Laravel does.
No text quotes a submitted value.
"""

import datetime as dt
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Fields = Mapping[str, object]
Errors = dict[str, list[str]]
Check = Callable[[object, int | None], str | None]
"""A check of a value, with its greatest length: returns what is wrong with it, or `None`."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name (dotted inside `extra`), type and greatest length."""

    name: str
    type: str
    maximum: int | None = None


_REDIRECTS = (
    Field("success_redirect_id", "integer"),
    Field("fail_redirect_id", "integer"),
    Field("success_redirect_url", "string", 255),
    Field("fail_redirect_url", "string", 255),
)
_NOTIFICATIONS = (
    Field("notification_endpoint_id", "integer"),
    Field("notification_endpoint_url", "string", 255),
)
_EVERY_ORDER = (
    Field("amount", "amount"),
    Field("order_id", "string", 128),
    Field("service", "string", 100),
)

PAYMENT_FIELDS = (
    *_EVERY_ORDER,
    *_REDIRECTS,
    *_NOTIFICATIONS,
    Field("desc", "string", 128),
    Field("lifetime", "lifetime"),
    Field("customer_ip", "ip"),
    Field("customer_account", "string", 50),
    Field("customer_user_id", "string", 100),
    Field("customer_code", "string", 100),
    Field("customer_email", "string", 50),
    Field("customer_first_name", "string", 50),
    Field("customer_last_name", "string", 50),
    Field("customer_address", "string", 50),
    Field("customer_phone", "string", 12),
    Field("customer_post_code", "integer", 12),
    Field("customer_state", "string", 50),
    Field("customer_city", "string", 20),
    Field("customer_browser_user_agent", "string", 2000),
    Field("customer_browser_accept_header", "string", 2000),
    Field("customer_browser_color_depth", "integer"),
    Field("customer_browser_language", "string", 8),
    Field("customer_browser_screen_height", "integer"),
    Field("customer_browser_screen_width", "integer"),
)

PAYOUT_FIELDS = (
    *_EVERY_ORDER,
    *_NOTIFICATIONS,
    Field("number", "string", 100),
    Field("extra", "array"),
    Field("extra.card_exp_year", "string", 2),
    Field("extra.card_exp_month", "string", 2),
    Field("extra.card_holder", "string", 100),
    Field("extra.card_country", "string", 2),
    Field("extra.card_recipient_birth_date", "string"),
    Field("customer_phone", "string"),
    Field("customer_email", "email"),
    Field("customer_code", "string", 100),
    Field("customer_first_name", "string"),
    Field("customer_last_name", "string"),
    Field("customer_country", "string", 3),
    Field("project_url", "string"),
    Field("bik_bank", "string", 100),
)

# What `number` holds depends on the payout's service; only the phone's form is documented, the
# others are the least a bank could use.
NUMBER_FIELDS = {
    "card": Field("number", "card"),
    "phone": Field("number", "phone"),
    "bank_account": Field("number", "string", 100),
}

STATUS_FIELDS = (Field("order_id", "string", 128), Field("id", "id", 128))

HISTORY_FIELDS = (
    Field("date_from", "date"),
    Field("date_to", "date"),
    Field("page", "count"),
    Field("paginate", "count"),
)


def look_up(fields: Fields, name: str) -> object:
    """Return the value of a field by its dotted name; `None` when it is not there."""
    value: object = fields
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def amount_of(value: object) -> Decimal | None:
    """Return a positive decimal(11.2) from an integer, a decimal or a string, or `None`."""
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        return None
    text = value if isinstance(value, str) else f"{Decimal(value):f}"
    amount = Decimal(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,2})?", text) else Decimal(0)
    return amount or None


def whole_of(value: object) -> int | None:
    """Return a whole number from an integer or its digits, or `None`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    digits = isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value)
    return int(value) if isinstance(value, str) and digits else None


def date_of(value: object) -> dt.date | None:
    """Return a `YYYY-MM-DD` date, or `None`."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return None
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        return None


def _check_length(text: str, maximum: int | None) -> str | None:
    if maximum is not None and len(text) > maximum:
        return f"may not be greater than {maximum} characters"
    return None


def _check_string(value: object, maximum: int | None) -> str | None:
    return _check_length(value, maximum) if isinstance(value, str) else "must be a string"


def _check_integer(value: object, maximum: int | None) -> str | None:
    whole = whole_of(value)
    return "must be an integer" if whole is None else _check_length(str(whole), maximum)


def _check_id(value: object, maximum: int | None) -> str | None:
    # Typed string(128) on the page, while every answer has an integer: both are accepted.
    return _check_integer(value, None) if isinstance(value, int) else _check_string(value, maximum)


def _is_ip(value: object) -> bool:
    try:
        ipaddress.ip_address(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


def _unless(is_good: Callable[[Any], object], complaint: str) -> Check:
    """Return a check that complains unless the value is good."""
    return lambda value, _: None if is_good(value) else complaint


def _matching(pattern: str, complaint: str) -> Check:
    """Return a check that complains unless the value is a text of this pattern."""
    return _unless(lambda value: isinstance(value, str) and re.fullmatch(pattern, value), complaint)


_CHECKS: dict[str, Check] = {
    "string": _check_string,
    "integer": _check_integer,
    "id": _check_id,
    "lifetime": _unless(lambda value: 900 <= (whole_of(value) or 0) <= 3600, "must be between 900 and 3600"),  # noqa: PLR2004 - the page's own bounds
    "count": _unless(lambda value: (whole_of(value) or 0) > 0, "must be at least 1"),
    "ip": _unless(_is_ip, "must be a valid IP address"),
    "amount": _unless(amount_of, "must be a positive number with at most 2 decimals"),
    "array": _unless(lambda value: isinstance(value, Mapping), "must be an array"),
    "date": _unless(date_of, "does not match the format Y-m-d"),
    "email": _matching(r"[^@\s]+@[^@\s]+", "must be a valid email address"),
    "card": _matching(r"[0-9]{12,19}", "must be a card number"),
    "phone": _matching(r"[0-9]{10,15}", "must be a phone number without a plus"),
}


def _in_words(name: str) -> str:
    return name.replace("_", " ")


def check(fields: Fields, table: Iterable[Field], required: Iterable[str] = ()) -> Errors:
    """Return what is wrong with a request, by field; nothing when all is well."""
    errors: Errors = {
        name: [f"The {_in_words(name)} field is required."] for name in required if look_up(fields, name) in (None, "")
    }
    for field in table:
        value = look_up(fields, field.name)
        if value not in (None, "") and (complaint := _CHECKS[field.type](value, field.maximum)):
            errors[field.name] = [f"The {_in_words(field.name)} {complaint}."]
    return errors
