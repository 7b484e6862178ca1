"""Write an order as the bytes that its fingerprint is made of: the same ones in every version of payhub.

A field that has its default is left out, at any depth, so that a field that a later payhub, or a
later driver, adds with a default changes no order that is already known. Therefore a default must
never change its meaning. What is written otherwise needs another `_FORM`.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from payhub.masking.hidden import HiddenFields, HiddenItems
from payhub.models import PaymentOrder, PayoutOrder
from payhub.money import Money

_FORM = b"payhub order 1 "


def fingerprinted(order: PaymentOrder | PayoutOrder) -> bytes:
    """Write what makes an order this one; of equal amounts nothing tells with how many digits they were given."""
    return _FORM + msgspec.json.encode(_told(order), order="deterministic")


def _told(value: Any) -> Any:
    match value:
        case Money():
            return HiddenItems([_digits(value), value.currency])
        case msgspec.Struct():
            tag = value.__struct_config__.tag
            said = ((name, getattr(value, name), default) for name, default in _defaults(type(value)))
            fields = {name: _told(given) for name, given, default in said if not _same(given, default())}
            return HiddenFields(fields if tag is None else {"": tag, **fields})
        case Mapping():
            return HiddenFields({name: _told(given) for name, given in value.items()})
        case list() | tuple():
            return HiddenItems(map(_told, value))
    return value


def _digits(money: Money) -> str:
    digits = f"{money.amount:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def _same(given: object, default: object) -> bool:
    """Tell whether a value is the default, also as a text of another kind; `False` is not the same as 0."""
    if given is default or type(given) is type(default):
        return given == default
    return given == default and msgspec.json.encode(given) == msgspec.json.encode(default)


@functools.cache
def _defaults(shape: type[msgspec.Struct]) -> tuple[tuple[str, Callable[[], Any]], ...]:
    """Return the names of a struct's fields, and what makes the default of each; without one nothing is equal to it."""
    return tuple((field.name, _default(field)) for field in msgspec.structs.fields(shape))


def _default(field: msgspec.structs.FieldInfo) -> Callable[[], Any]:
    made = field.default_factory
    return (lambda: field.default) if made is msgspec.NODEFAULT else made
