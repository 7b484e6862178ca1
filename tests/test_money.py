import decimal
import pickle
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhub import Money, PayhubError
from payhub.money import InvalidMoney, exponent

CURRENCIES = {"JPY": 0, "KRW": 0, "RUB": 2, "EUR": 2, "USD": 2, "KZT": 2, "UZS": 2, "KWD": 3, "BHD": 3, "CLF": 4}
currencies = st.sampled_from(sorted(CURRENCIES))


@st.composite
def amounts(draw: st.DrawFn) -> Money:
    """Draw any amount that its currency can have."""
    currency = draw(currencies)
    units = draw(st.integers(-(10**15), 10**15))
    return Money(Decimal(units).scaleb(-CURRENCIES[currency]), currency)


@pytest.mark.parametrize(("currency", "digits"), CURRENCIES.items())
def test_digits_are_those_of_iso_4217(currency: str, digits: int) -> None:
    """A currency has the digits after the point that the standard gives it."""
    assert digits == exponent(currency)


@pytest.mark.parametrize("code", ["XXX", "XAU", "rub", "RUR", "", "R", "RUBLE", "₽", "RUB "])
def test_what_is_no_currency_is_refused(code: str) -> None:
    """A code that stands for no money is refused, and the field is named."""
    with pytest.raises(ValueError, match=r"^currency: "):
        Money("1", code)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("1000.44", "1000.44"), ("1000.4", "1000.40"), ("0", "0.00"), (7, "7.00"), (Decimal("1E+2"), "100.00"),
     ("10.000000000", "10.00"), ("-5", "-5.00"), (Decimal("0E-9"), "0.00")],
)  # fmt: skip
def test_amount_has_the_digits_of_its_currency(given: Any, expected: str) -> None:
    """An exact amount is kept with the currency's digits, however it was written."""
    assert f"{expected} RUB" == str(Money(given, "RUB"))


@pytest.mark.parametrize("inexact", [1.5, 1000.0, float("nan"), True, None, b"1", [], object()])
def test_rule_13_no_floats(inexact: Any) -> None:
    """Rule 13: a float, or any type that is not exact, is refused and the field is named."""
    with pytest.raises(TypeError, match=r"^amount: "):
        Money(inexact, "RUB")


@pytest.mark.parametrize(
    "malformed",
    ["", " 1", "1 ", "1,5", "1e3", "+1", ".5", "5.", "0x10", "NaN", "inf", "1_000", "١٢", "1\n", "9" * 19,
     10**18, Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("1E+18"), Decimal("1E-19"),
     Decimal("1E+999999999"), Decimal("1E-999999999")],
)  # fmt: skip
def test_what_is_no_plain_number_is_refused(malformed: Any) -> None:
    """What is not a plain decimal number is refused at once, the field is named, and the value is not quoted."""
    with pytest.raises(ValueError, match=r"^amount: not a plain decimal number, as 1000.44$"):
        Money(malformed, "RUB")


@pytest.mark.parametrize(
    ("amount", "currency", "allowed", "given"),
    [("1000.444", "RUB", 2, 3), ("0.5", "JPY", 0, 1), ("1.2345", "KWD", 3, 4)],
)
def test_rule_13_excess_digits_are_refused(amount: str, currency: str, allowed: int, given: int) -> None:
    """Rule 13: more digits than the currency has are refused, not rounded."""
    with pytest.raises(
        ValueError, match=f"^amount: {currency} has {allowed} digits after the point, {given} were given$"
    ):
        Money(amount, currency)


@pytest.mark.parametrize("tail", ["1", "0" * 30 + "1", "0" * 80 + "1"])
@pytest.mark.parametrize("allowed", [None, 8, 18, 30])
def test_rule_13_no_tail_is_too_fine_to_be_seen(tail: str, allowed: int | None) -> None:
    """Rule 13: however far behind the point a digit stands, it is refused and not rounded away."""
    with pytest.raises(ValueError, match=r"^amount: RUB has \d+ digits after the point, \d+ were given$"):
        Money(Decimal(f"10.{'0' * 18}{tail}"), "RUB", allowed)


def test_zeros_behind_are_nothing() -> None:
    """Zeros at the end of a decimal are no digits, however many a calculation has left there."""
    assert "10.50 RUB" == str(Money(Decimal(f"10.5{'0' * 80}"), "RUB"))


def test_provider_may_count_finer() -> None:
    """Where a provider counts more digits than ISO 4217, they may be given."""
    assert Decimal("0.12345678") == Money("0.12345678", "RUB", 8).amount


def test_provider_may_count_coarser() -> None:
    """Where a provider counts fewer digits than ISO 4217, more are refused."""
    with pytest.raises(ValueError, match=r"^amount: KZT has 0 digits after the point, 2 were given$"):
        Money("1.25", "KZT", 0)


@pytest.mark.parametrize("text", ["0.000000000000000001", "-0.000000000000000001", "9" * 18 + "." + "9" * 18, "0"])
def test_what_can_be_made_can_be_written_and_read(text: str) -> None:
    """The finest and the largest amounts come back from JSON as they went there."""
    money = Money(text, "RUB", 18)
    assert money == msgspec.json.decode(msgspec.json.encode(money), type=Money)


@pytest.mark.parametrize("text", ["500.10", "500.1", "500.125", "0", "-3.00", "9" * 18 + "." + "9" * 18])
@pytest.mark.parametrize("currency", ["RUB", "HRK"])
def test_what_payhub_has_written_is_read_to_the_digit(text: str, currency: str) -> None:
    """An amount that was written down is read with its digits, also if its currency has left the standard since."""
    money = Money.as_written(text, currency)
    assert (f"{text} {currency}", Decimal(text), Money) == (str(money), money.amount, type(money))


def test_what_payhub_has_written_is_read_from_a_decimal() -> None:
    """So is one that a decoder has made a number of, which may have an exponent."""
    tiny = Money("0.000000000000000001", "RUB", 18)
    assert tiny == Money.as_written(tiny.amount, "RUB") == Money.as_written("0.000000000000000001", "RUB")


@pytest.mark.parametrize("damaged", [1.5, "1e3", "", "NaN", None])
def test_rule_13_what_is_no_exact_number_is_not_read(damaged: Any) -> None:
    """Rule 13: what no amount is written as is refused, where it comes from notwithstanding."""
    with pytest.raises((TypeError, ValueError), match=r"^amount: "):
        Money.as_written(damaged, "RUB")


def test_digits_allowed_do_not_matter_to_equality() -> None:
    """Amounts are equal if amount and currency are; how many digits were allowed does not matter."""
    assert {Money("1.5", "RUB")} == {Money("1.50", "RUB", 8), Money(Decimal("1.500"), "RUB")}


@pytest.mark.parametrize("other", [Money("1.51", "RUB"), Money("1.5", "EUR"), Decimal("1.5"), "1.50 RUB", None])
def test_unequal(other: object) -> None:
    """Another amount, another currency, and what is no money at all are different."""
    assert Money("1.5", "RUB") != other


@given(amounts())
def test_repr_makes_the_same_amount(money: Money) -> None:
    """The repr of an amount makes it again."""
    assert money == eval(repr(money), {"Money": Money})  # noqa: S307 - our own repr


@given(amounts())
def test_json_keeps_the_amount(money: Money) -> None:
    """An amount written as JSON and read back is the same, digits included."""
    assert str(money) == str(msgspec.json.decode(msgspec.json.encode(money), type=Money))


@given(amounts())
def test_pickle_keeps_the_amount(money: Money) -> None:
    """An amount sent to another process is the same, digits included."""
    assert str(money) == str(pickle.loads(pickle.dumps(money)))  # noqa: S301 - our own bytes


@given(amounts())
def test_nothing_is_lost_on_the_way_to_text(money: Money) -> None:
    """An amount shows every digit of its currency, and reading that gives the same amount."""
    amount, currency = str(money).split()
    assert (money, CURRENCIES[currency]) == (Money(amount, currency), len(amount.partition(".")[2]))


@given(st.floats(), currencies)
def test_rule_13_no_float_whatever_its_value(inexact: float, currency: str) -> None:
    """Rule 13: no float is money, not even one that is whole."""
    with pytest.raises(TypeError, match=r"^amount: a float is not exact"):
        Money(inexact, currency)  # type: ignore[arg-type]


@given(st.text() | st.decimals() | st.integers(), st.text(max_size=4) | currencies, st.none() | st.integers(0, 18))
def test_money_is_exact_or_refused(amount: Any, currency: str, digits: int | None) -> None:
    """Whatever is given, the amount is kept exactly or refused with `ValueError`; never rounded, never else."""
    try:
        money = Money(amount, currency, digits)
    except ValueError:
        return
    assert Decimal(amount) == money.amount


HOSTILE = decimal.Context(
    prec=1,
    rounding=decimal.ROUND_UP,
    Emin=0,
    Emax=0,
    capitals=0,
    clamp=1,
    traps=[
        decimal.Inexact,
        decimal.Rounded,
        decimal.Subnormal,
        decimal.Overflow,
        decimal.Clamped,
        decimal.FloatOperation,
    ],
)


@given(amounts())
def test_application_context_does_not_matter(money: Money) -> None:
    """An application that rounds its decimals, or traps what they do, changes no amount."""
    with decimal.localcontext(HOSTILE):
        again = Money(f"{money.amount:f}", money.currency)
        assert (str(money), True, hash(money)) == (str(again), money == again, hash(again))


def test_refusals_are_plain_errors() -> None:
    """An amount that cannot be is the programmer's `ValueError`: no payment began, so no `PayhubError`."""
    with pytest.raises(ValueError, match="amount") as caught:
        Money("x", "RUB")
    assert not isinstance(caught.value, PayhubError)


@pytest.mark.parametrize(
    ("amount", "currency", "field", "reason"),
    [
        ("x", "RUB", "amount", "not a plain decimal number, as 1000.44"),
        ("1.234", "RUB", "amount", "RUB has 2 digits after the point, 3 were given"),
        ("1", "RUR", "currency", "not an ISO 4217 code of a currency (three capital letters, as RUB)"),
    ],
)
def test_a_refusal_names_field_and_reason(amount: str, currency: str, field: str, reason: str) -> None:
    """A program that shows the refusal has field and reason apart, also of one that came from another process."""
    with pytest.raises(InvalidMoney) as caught:
        Money(amount, currency)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):  # noqa: S301
        assert (field, reason, f"{field}: {reason}") == (error.field, error.reason, str(error))


def test_unequal_is_the_contrary_of_equal() -> None:
    """`!=` compares as `==` does, whatever digits were allowed."""
    five = Money("5", "RUB")
    assert (five != Money("5.00", "RUB", 4), five != Money("6", "RUB"), five != Money("5", "USD"), five != "5") == (
        False, True, True, True
    )  # fmt: skip


def test_an_amount_is_aligned_as_a_text() -> None:
    """In a table of an application's own an amount is aligned as its text is."""
    assert ("  1.00 RUB", "1.00 RUB") == (f"{Money(1, 'RUB'):>10}", f"{Money(1, 'RUB')}")
