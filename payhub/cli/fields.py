"""Make orders from the texts of a command line.

Every field has a path: `order_id`, `payer.email`, `to.holder`. An option gives one, and so does
`--set`: a name with a dot is a path into the order, a name without one is a field of the
provider's own struct. No message quotes a value.
"""

import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from payhub.accounts.config import hint
from payhub.cli.session import UsageError
from payhub.driver import ProviderInfo
from payhub.errors import InvalidOrder
from payhub.forms import expected
from payhub.masking.masks import struct_in
from payhub.models import Destination, PaymentOrder, PayoutOrder
from payhub.money import InvalidMoney, Money

S = TypeVar("S", bound=msgspec.Struct)


class Value(NamedTuple):
    """A field's value, and the option that gives it."""

    value: object
    option: str


Values = Mapping[str, Value]
"""Values by the paths of their fields."""


def read_money(info: ProviderInfo, amount: str, currency: str) -> Money:
    """Read an amount, with the digits that the provider counts in.

    Raises:
        InvalidOrder: not a plain number, not a currency, or too many digits.
    """
    try:
        return Money(amount, currency, info.capabilities.exponents.get(currency))
    except InvalidMoney as cause:
        raise InvalidOrder(cause.field, cause.reason) from None


def make_payment_order(info: ProviderInfo, options: Values, assignments: Sequence[str]) -> PaymentOrder:
    """Make a payment order from options and `--set`.

    Raises:
        UsageError: a name is unknown or given twice.
        InvalidOrder: a value does not fit its field.
    """
    own, extra = _divide(assignments)
    values = _merge(options, own, tuple(_paths(PaymentOrder)))
    return _make(PaymentOrder, values, extra=_make_extra(info.extras.get("payment"), extra))


def make_payout_order(
    info: ProviderInfo, destination: type[Destination], options: Values, assignments: Sequence[str]
) -> PayoutOrder:
    """Make a payout order from options and `--set`; the options say which destination it has.

    Raises:
        UsageError: a name is unknown or given twice.
        InvalidOrder: a value does not fit its field.
    """
    own, extra = _divide(assignments)
    known = (*_paths(PayoutOrder, but="to"), *_paths(destination, "to."))
    values = _merge(options, own, known)
    to = {path.removeprefix("to."): value for path, value in values.items() if path.startswith("to.")}
    rest = {path: value for path, value in values.items() if not path.startswith("to.")}
    made_extra = _make_extra(info.extras.get("payout"), extra)
    return _make(PayoutOrder, rest, to=_make(destination, to, "to."), extra=made_extra)


def _divide(assignments: Sequence[str]) -> tuple[Values, Values]:
    """Divide `--set` into fields of the order (with a dot) and the provider's own (without)."""
    order: dict[str, Value] = {}
    extra: dict[str, Value] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise UsageError("--set: write it as FIELD=VALUE")
        values = order if "." in name else extra
        if name in values:
            raise UsageError(f"--set: {name} is given twice")
        values[name] = Value(value, f"--set {name}")
    return order, extra


def _merge(options: Values, own: Values, known: Sequence[str]) -> Values:
    """Join options and `--set`; a field that an option gives cannot be set again."""
    by_option = {path: value for path, value in options.items() if value.value is not None}
    for path, value in by_option.items():
        if path not in known:
            raise UsageError(f"{value.option} does not go with the rest: there is no {path}")
    for path, value in own.items():
        if path not in known:
            raise UsageError(f"{value.option}: no such field; {hint(path, known)}")
        if path in by_option:
            raise UsageError(f"{value.option}: {by_option[path].option} already gives it")
    return {**by_option, **own}


def _make_extra(shape: type[msgspec.Struct] | None, values: Values) -> msgspec.Struct | None:
    known = [field.name for field in msgspec.structs.fields(shape)] if shape else []
    for name, value in values.items():
        if name not in known:
            order = "a field of the order has a dot, as payer.email"
            raise UsageError(f"{value.option}: no such field of the provider ({order}); {hint(name, known)}")
    return _make(shape, values, "extra.") if shape and values else None


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


def _make(shape: type[S], given: Values, prefix: str = "", **ready: object) -> S:
    """Make a struct from values by path, its inner structs first; a text becomes what its field takes."""
    types = typing.get_type_hints(shape)
    values: dict[str, object] = dict(ready)
    for name in dict.fromkeys(path.partition(".")[0] for path in given):
        if name not in given:
            inner = typing.cast("type[msgspec.Struct]", struct_in(types[name]))
            below = {path.partition(".")[2]: value for path, value in given.items() if path.startswith(f"{name}.")}
            values[name] = _make(inner, below, f"{prefix}{name}.")
            continue
        value = given[name].value
        try:
            values[name] = msgspec.convert(value, types[name], strict=False) if isinstance(value, str) else value
        except msgspec.ValidationError:
            raise InvalidOrder(f"{prefix}{name}", f"must be {expected(types[name])}") from None
    for field in msgspec.structs.fields(shape):
        if field.required and field.name not in values:
            raise InvalidOrder(f"{prefix}{field.name}", "is missing")
    try:
        return shape(**values)
    except (TypeError, ValueError) as cause:
        raise InvalidOrder(prefix.rstrip(".") or "order", str(cause)) from None
