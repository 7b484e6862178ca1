"""Make orders from the texts of a command line.

Every field has a path: `order_id`, `payer.email`, `to.holder`. An option gives one, and so does
`--set`: a name with a dot is a path into the order, a name without one is a field of the
provider's own struct. No message quotes a value.
"""

import datetime as dt
import difflib
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from payhub.cli.console import UsageError, listed
from payhub.driver import ProviderInfo
from payhub.errors import InvalidOrder
from payhub.masking.masks import struct_in
from payhub.models import Destination, PaymentOrder, PayoutOrder
from payhub.money import InvalidMoney, Money

S = TypeVar("S", bound=msgspec.Struct)


class Given(NamedTuple):
    """Keep a field's value with the option that gave it."""

    value: object
    option: str


Fields = Mapping[str, Given]


def money(info: ProviderInfo, amount: str, currency: str) -> Money:
    """Read an amount, with the digits that the provider counts in.

    Raises:
        InvalidOrder: not a plain number, not a currency, or too many digits.
    """
    try:
        return Money(amount, currency, info.capabilities.exponents.get(currency))
    except InvalidMoney as cause:
        raise InvalidOrder(cause.field, cause.reason) from None


def payment_order(info: ProviderInfo, options: Fields, assignments: Sequence[str]) -> PaymentOrder:
    """Make a payment order from options and `--set`.

    Raises:
        UsageError: a name is unknown or given twice.
        InvalidOrder: a value does not fit its field.
    """
    own, extra = _divided(assignments)
    given = _merged(options, own, tuple(_paths(PaymentOrder)))
    return _made(PaymentOrder, given, extra=_extra(info.extras.get("payment"), extra))


def payout_order(
    info: ProviderInfo, destination: type[Destination], options: Fields, assignments: Sequence[str]
) -> PayoutOrder:
    """Make a payout order from options and `--set`; the options say which destination it has.

    Raises:
        UsageError: a name is unknown or given twice.
        InvalidOrder: a value does not fit its field.
    """
    own, extra = _divided(assignments)
    known = (*_paths(PayoutOrder, but="to"), *_paths(destination, "to."))
    given = _merged(options, own, known)
    to = {path.removeprefix("to."): value for path, value in given.items() if path.startswith("to.")}
    rest = {path: value for path, value in given.items() if not path.startswith("to.")}
    return _made(PayoutOrder, rest, to=_made(destination, to, "to."), extra=_extra(info.extras.get("payout"), extra))


def _divided(assignments: Sequence[str]) -> tuple[Fields, Fields]:
    """Divide `--set` into fields of the order (with a dot) and the provider's own (without)."""
    divided: tuple[dict[str, Given], dict[str, Given]] = ({}, {})
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise UsageError("--set: write it as FIELD=VALUE")
        fields = divided["." not in name]
        if name in fields:
            raise UsageError(f"--set: {name} is given twice")
        fields[name] = Given(value, f"--set {name}")
    return divided


def _merged(options: Fields, own: Fields, known: Sequence[str]) -> Fields:
    """Join options and `--set`; what has an option of its own is given once."""
    given = {path: value for path, value in options.items() if value.value is not None}
    for path in (*given, *own):
        if path not in known:
            if path in given:
                raise UsageError(f"{given[path].option} does not go with the rest: there is no {path}")
            raise UsageError(f"{own[path].option}: {_unknown(path, known)}")
    for path in own:
        if path in given:
            raise UsageError(f"{own[path].option}: {given[path].option} already gives it")
    return {**given, **own}


def _extra(shape: type[msgspec.Struct] | None, given: Fields) -> msgspec.Struct | None:
    if not given:
        return None
    known = tuple(f.name for f in msgspec.structs.fields(shape)) if shape else ()
    for name, value in given.items():
        if name not in known:
            words = _unknown(name, known)
            raise UsageError(f"{value.option}: {words}; a field of the order has a dot, as payer.email")
    return _made(shape, given, "extra.") if shape else None


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"no such field; did you mean {near[0]}?" if near else f"no such field here; known: {listed(known)}"


def _paths(shape: type[msgspec.Struct], prefix: str = "", but: str = "") -> Iterator[str]:
    """List the paths of a struct's fields; an amount is one field."""
    for field in msgspec.structs.fields(shape):
        inner = struct_in(field.type)
        if field.name in {but, "extra"}:
            continue
        if inner is None or inner is Money:
            yield f"{prefix}{field.name}"
        else:
            yield from _paths(inner, f"{prefix}{field.name}.")


def _made(shape: type[S], given: Fields, prefix: str = "", **ready: object) -> S:
    """Make a struct from values by path, its inner structs first."""
    types = typing.get_type_hints(shape)
    values: dict[str, object] = dict(ready)
    for name in dict.fromkeys(path.partition(".")[0] for path in given):
        if name in given:
            values[name] = _value(given[name].value, types[name], f"{prefix}{name}")
        else:
            inner = typing.cast("type[msgspec.Struct]", struct_in(types[name]))
            below = {path.partition(".")[2]: value for path, value in given.items() if path.startswith(f"{name}.")}
            values[name] = _made(inner, below, f"{prefix}{name}.")
    try:
        return shape(**values)
    except (TypeError, ValueError) as cause:
        raise InvalidOrder(prefix.rstrip(".") or "order", str(cause)) from None


def _value(value: object, hint: Any, path: str) -> object:
    """Turn a text into what its field takes; other values stay."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.convert(value, hint, strict=False)
    except msgspec.ValidationError as cause:
        raise InvalidOrder(path, _wanted(hint, cause)) from None


_WANTED: Mapping[Any, str] = {int: "a whole number", bool: "true or false", dt.date: "a date, as 1990-12-31"}


def _wanted(hint: Any, cause: Exception) -> str:
    """Say what a field takes, in words; for words to choose from msgspec would quote the value."""
    kinds = [hint, *typing.get_args(hint)]
    words = [word for kind in kinds if typing.get_origin(kind) is Literal for word in typing.get_args(kind)]
    if words:
        return f"must be one of {listed(words)}"
    simple = next((_WANTED[kind] for kind in kinds if kind in _WANTED), None)
    return f"must be {simple}" if simple else re.sub(r", got .*| - at .*", "", str(cause))
