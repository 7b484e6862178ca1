import datetime as dt
import enum
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from payhub import Money, Payer, PaymentOrder, PayoutOrder, ToBankAccount, ToCard, ToPhone, ToWallet
from payhub.masking import MaskedStruct
from payhub.plans.identity import canonical
from tests.samples import PAYMENT, PAYOUT


class Extra(MaskedStruct, frozen=True, kw_only=True):
    """Stand for a driver's own fields, as they are now."""

    service: str | None = None
    inner: Any = None


class Later(MaskedStruct, frozen=True, kw_only=True):
    """Stand for the same ones of a later driver."""

    service: str | None = None
    retries: int = 0
    names: list[str] = msgspec.field(default_factory=list)
    least: Money = Money("0.01", "RUB")
    inner: Any = None


class LaterOrder(PaymentOrder, frozen=True, kw_only=True):
    """Stand for a payment order of a later payhub."""

    instalments: int | None = None
    tags: tuple[str, ...] = ()


class LaterPayer(Payer, frozen=True, kw_only=True):
    """Stand for a payer of a later payhub."""

    tax_id: str | None = None


class LaterCard(ToCard, frozen=True, tag="card"):
    """Stand for a card of a later payhub."""

    token: str | None = None


def test_the_form_of_a_payout() -> None:
    """What is written down of an order never changes: what does needs another number in its front."""
    assert (
        b'payhub order 1 {"amount":["1000.44","RUB"],"order_id":"po-1","to":{"":"card","number":"4111111111111111"}}'
    ) == canonical(PAYOUT)


def test_the_form_of_a_payment() -> None:
    """Every kind of value has its form, in the order of the names."""
    order = msgspec.structs.replace(
        PAYMENT, presentation="direct", payer=Payer(id="u-1"), extra=Extra(inner=(dt.date(2030, 1, 2), Decimal("1.50")))
    )
    assert (
        b'payhub order 1 {"amount":["3000","RUB"],"extra":{"inner":["2030-01-02","1.50"]},"method":"card",'
        b'"order_id":"in-1","payer":{"id":"u-1"},"presentation":"direct"}'
    ) == canonical(order)


CHANGED: list[tuple[Any, Any]] = [
    (PAYMENT, LaterOrder(order_id="in-1", amount=Money("3000", "RUB"), method="card")),
    (
        msgspec.structs.replace(PAYMENT, payer=Payer(id="u", city="x")),
        msgspec.structs.replace(PAYMENT, payer=LaterPayer(id="u", city="x")),
    ),
    (PAYOUT, msgspec.structs.replace(PAYOUT, to=LaterCard("4111111111111111"))),
    (
        msgspec.structs.replace(PAYOUT, extra=Extra(service="a", inner=[Extra()])),
        msgspec.structs.replace(PAYOUT, extra=Later(service="a", inner=[Later()])),
    ),
]


@pytest.mark.parametrize(("now", "later"), CHANGED, ids=["order", "payer", "destination", "extra"])
def test_a_new_field_with_a_default_changes_nothing(now: Any, later: Any) -> None:
    """An order is the same one after an upgrade that gave its structs, at any depth, fields with defaults."""
    assert canonical(now) == canonical(later)


def test_a_new_field_that_is_used_makes_another_order() -> None:
    """What a new field says beside its default is a part of the order."""
    extras: list[Any] = [Later(), Later(retries=1), Later(retries=False), Later(names=["a"]), Later(service="")]
    extras += [Later(least=Money("0.02", "RUB")), None, Later(inner=Later()), Later(inner=[]), Later(inner=[[]])]
    assert len(extras) == len({canonical(msgspec.structs.replace(PAYOUT, extra=extra)) for extra in extras})


def test_destinations_of_the_same_number_are_different() -> None:
    """A card, a phone, an account and a wallet may have the same number, and are not the same."""
    kinds = (ToCard, ToPhone, ToBankAccount, ToWallet)
    assert 4 == len({canonical(msgspec.structs.replace(PAYOUT, to=kind("4111111111111111"))) for kind in kinds})


class Word(enum.StrEnum):
    HOSTED = "hosted"


@pytest.mark.parametrize("word", ["hosted", Word.HOSTED], ids=["text", "enum"])
def test_a_default_that_is_said_is_the_default(word: Any) -> None:
    """Who says what is meant anyway, by whatever kind of text, means the same order."""
    assert canonical(PAYMENT) == canonical(msgspec.structs.replace(PAYMENT, presentation=word))


@pytest.mark.parametrize("amount", ["500", "500.0", "500.00"])
def test_equal_amounts_are_the_same(amount: str) -> None:
    """With how many digits an amount is written, or may be, does not matter; a hundred times as much does."""
    orders = [PayoutOrder(order_id="x", amount=Money(amount, "RUB", digits), to=ToCard("1")) for digits in (2, 5, 18)]
    orders.append(PayoutOrder(order_id="x", amount=Money("500", "RUB", 0), to=ToCard("1")))
    assert 1 == len({canonical(order) for order in orders})
    assert b'["500","RUB"]' in canonical(orders[0])
