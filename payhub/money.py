"""Amounts of money, exact to the last digit."""

import copy
import functools
import re
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import TYPE_CHECKING, Self

import msgspec
from iso4217 import Currency

_PLACES = 18  # before the point, and after it
_plain = re.compile(rf"-?\d{{1,{_PLACES}}}(\.\d{{1,{_PLACES}}})?", re.ASCII).fullmatch
_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])  # not the application's context, which may round


class InvalidMoney(ValueError):
    """What cannot be an amount of money; no value is quoted.

    `field` is `amount` or `currency`, `reason` says what is wrong with it.
    """

    def __init__(self, field: str, reason: str) -> None:
        """Name the field and say what is wrong with it."""
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        """Show the field and the reason."""
        return f"{self.field}: {self.reason}"


@functools.cache
def exponent(currency: str) -> int:
    """Return the digits after the point that ISO 4217 gives a currency: JPY 0, RUB 2, KWD 3.

    Raises:
        InvalidMoney: the code is not in the standard, or stands for no money (XXX, XAU).
    """
    try:
        digits = Currency(currency).exponent
    except ValueError:
        digits = None
    if digits is None:
        raise InvalidMoney("currency", "not an ISO 4217 code of a currency (three capital letters, as RUB)")
    return digits


# The old code of the rouble: what it stood for was withdrawn in 1998, and Russian programs write it to this day.
_OTHER_NAMES = {"RUR": "RUB"}
_BY_NUMBER = {f"{currency.number:03}": currency.code for currency in Currency}
_CODES = frozenset(_BY_NUMBER.values())


def currency_named(name: str) -> str | None:
    """Return the ISO 4217 code that surely is meant by a name: the code in any case, its number, RUR for RUB."""
    code = _BY_NUMBER.get(name) or (name.upper() if name.isascii() else "")
    code = _OTHER_NAMES.get(code, code)
    return code if code in _CODES else None


@functools.cache
def _counted(currency: str, allowed: int | None) -> tuple[int, Decimal]:
    """Return how many digits after the point are allowed, and the exponent that amounts are quantized to."""
    standard = exponent(currency)
    allowed = standard if allowed is None else min(allowed, _PLACES)
    return allowed, Decimal(1).scaleb(-min(standard, allowed), context=_EXACT)


class Money(msgspec.Struct, frozen=True, eq=False):
    """An exact amount in a currency: `Money("1000.44", "RUB")`.

    The amount is a decimal text, an `int` or a `Decimal`; never a float. It is kept with the
    digits of ISO 4217. For a provider that counts finer or coarser, `exponent` says how many
    digits may be given. It is no number: compute with its `amount`, and make a new one.

    Raises:
        TypeError: the amount is a float or another type that is not exact.
        InvalidMoney: not a number, not a currency, or more digits than the currency has; a `ValueError`.
    """

    amount: Decimal
    currency: str
    exponent: int | None = None

    if TYPE_CHECKING:

        def __init__(self, amount: Decimal | str | int, currency: str, exponent: int | None = None) -> None:
            """Take the amount in any exact form."""

    def __post_init__(self) -> None:
        """Check the amount and give it the digits of its currency."""
        allowed, step = _counted(self.currency, self.exponent)
        amount = _exact(self.amount)
        try:
            kept = amount.quantize(step, context=_EXACT)
        except Inexact:
            digits = len(f"{amount:f}".partition(".")[2].rstrip("0"))  # after the point; zeros at the end say nothing
            if digits > allowed:
                raise InvalidMoney(
                    "amount", f"{self.currency} has {allowed} digits after the point, {digits} were given"
                ) from None
            kept = amount.quantize(Decimal(1).scaleb(-digits, context=_EXACT), context=_EXACT)
        msgspec.structs.force_setattr(self, "amount", kept)

    @classmethod
    def as_written(cls, amount: Decimal | str, currency: str) -> Self:
        """Return an amount that payhub itself has written down, digit for digit.

        It was checked when it was written; the currency may have left ISO 4217 since.

        Raises:
            InvalidMoney: the amount is not a number.
        """
        money = copy.copy(cls("0", "RUB"))  # a copy is not checked
        msgspec.structs.force_setattr(money, "amount", _exact(amount))
        msgspec.structs.force_setattr(money, "currency", currency)
        return money

    def __eq__(self, other: object) -> bool:
        """Compare amount and currency; how many digits were allowed does not matter."""
        if not isinstance(other, Money):
            return NotImplemented
        return (self.amount, self.currency) == (other.amount, other.currency)

    def __ne__(self, other: object) -> bool:
        """Compare as equality does; the struct's own would not."""
        return not self == other

    def __hash__(self) -> int:
        """Hash as equality compares."""
        return hash((self.amount, self.currency))

    def __str__(self) -> str:
        """Show the amount to a person: `1000.44 RUB`."""
        return f"{self.amount:f} {self.currency}"

    def __format__(self, spec: str) -> str:
        """Show the amount as `str` does, aligned as a text is: `f"{amount:>20}"`."""
        return format(str(self), spec)

    def __repr__(self) -> str:
        """Show how to make this amount again; of one that is being refused, as a traceback shows it, only the type."""
        given: object = self.amount
        amount = f"{given:f}" if isinstance(given, Decimal) else type(given).__name__
        return f"Money({amount!r}, {self.currency!r})"


def _exact(amount: object) -> Decimal:
    """Turn an exact number into a `Decimal`; refuse everything else without quoting it."""
    match amount:
        case Decimal() if amount.is_finite() and -_PLACES <= amount.adjusted() < _PLACES:
            return amount
        case bool() | float():
            raise TypeError(f"amount: a {type(amount).__name__} is not exact; give a text or a Decimal")
        case str() if _plain(amount):
            return Decimal(amount)
        case int() if abs(amount) < 10**_PLACES:
            return Decimal(amount)
        case str() | int() | Decimal():
            raise InvalidMoney("amount", "not a plain decimal number, as 1000.44")
    raise TypeError(f"amount: a text or a Decimal is needed, not {type(amount).__name__}")
