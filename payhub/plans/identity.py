"""Say what makes an order this one, in bytes that are the same in every version of payhub.

A field that has its default is left out, at any depth, so that a field that a later payhub, or a
later driver, adds with a default changes no order that is already known. Therefore a default must
never change its meaning. What is written otherwise needs another `_FORM`.
"""

import functools
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from payhub.journal import Facts
from payhub.masking import truncate
from payhub.masking.hidden import HiddenFields, HiddenItems
from payhub.models import Order
from payhub.money import Money
from payhub.plans.plan import Account

_FORM = b"payhub order 1 "


def facts_of(account: Account, kind: str, order: Order) -> Facts:
    """Return what may be kept of an order: its numbers only inside the keyed fingerprint."""
    summary = order.summary()
    return Facts(
        account=account.name,
        provider=account.provider_name,
        kind=kind,
        order_id=order.order_id,
        amount=order.amount,
        method=summary.method,
        fingerprint=keyed(account.key, canonical(order)),
        # The last four characters, if a mask would show them.
        tail=(truncate(summary.number)[-4:].lstrip("*") or None) if summary.number else None,
        payer=payer_key(account.key, summary.payer) if summary.payer else None,
    )


def keyed(key: bytes, value: bytes) -> str:
    """Return what stands for a value that must not be kept: nobody can try values without the key."""
    return hmac.new(key, value, hashlib.sha256).hexdigest()


def payer_key(key: bytes, payer_id: str) -> str:
    """Return what stands for a payer."""
    return keyed(key, b"payer " + payer_id.encode())


def canonical(order: Order) -> bytes:
    """Write what makes an order this one; equal amounts are equal with however many digits they were written."""
    return _FORM + msgspec.json.encode(_plain(order), order="deterministic")


def _plain(value: Any) -> Any:
    match value:
        case Money():
            digits = f"{value.amount:f}"
            return HiddenItems([digits.rstrip("0").rstrip(".") if "." in digits else digits, value.currency])
        case msgspec.Struct():
            tag = value.__struct_config__.tag
            present = ((name, getattr(value, name), default) for name, default in _defaults(type(value)))
            fields = {name: _plain(each) for name, each, default in present if not _same(each, default())}
            return HiddenFields(fields if tag is None else {"": tag, **fields})
        case Mapping():
            return HiddenFields({name: _plain(each) for name, each in value.items()})
        case list() | tuple():
            return HiddenItems(map(_plain, value))
    return value


def _same(value: object, default: object) -> bool:
    """Tell whether a value is the default, also as a text of another kind; `False` is not the same as 0."""
    if value is default or type(value) is type(default):
        return value == default
    return value == default and msgspec.json.encode(value) == msgspec.json.encode(default)


@functools.cache
def _defaults(shape: type[msgspec.Struct]) -> tuple[tuple[str, Callable[[], Any]], ...]:
    """Return the names of a struct's fields, and what makes the default of each; nothing equals `NODEFAULT`."""

    def constant(field: msgspec.structs.FieldInfo) -> Callable[[], Any]:
        return lambda: field.default

    return tuple(
        (field.name, constant(field) if field.default_factory is msgspec.NODEFAULT else field.default_factory)
        for field in msgspec.structs.fields(shape)
    )
