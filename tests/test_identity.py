"""What makes an order this one: the same meaning is the same order, however it is written; nothing else is."""

import uuid
from typing import Any

import msgspec
import pytest

from payhub import (
    Browser,
    InvalidOrder,
    Money,
    OrderConflict,
    Payer,
    PaymentOrder,
    PayoutOrder,
    Recipient,
    ToBankAccount,
    ToCard,
    ToPhone,
    ToWallet,
)
from payhub.journal.rules import require_same
from payhub.operations import PAYMENT as PAYMENTS
from payhub.plans import identity
from payhub.plans.rules import check_order, check_order_id
from tests.plain_account import facts
from tests.samples import CARD, PAYMENT, PAYOUT


def canonical(kind: str, order: Any) -> bytes:
    return identity.canonical(kind, order.amount, order.summary())


def test_the_form_of_a_payout() -> None:
    """What is written down of an order never changes: what does needs another number in its front."""
    assert b'payhub order 1 ["payout","1000.44","RUB","card","4111111111111111",null]' == canonical("payout", PAYOUT)


def test_the_form_of_a_payment() -> None:
    """A payment is its amount and method."""
    assert b'payhub order 1 ["payment","3000","RUB","card",null,null]' == canonical("payment", PAYMENT)


def of(to: Any) -> bytes:
    return canonical("payout", msgspec.structs.replace(PAYOUT, to=to))


SAME_NUMBERS = [
    (ToCard(CARD), [ToCard("4111 1111 1111 1111"), ToCard("4111-1111-1111-1111"),
                    ToCard(" 4111\u00a01111\u20131111\u20111111\t"),
                    ToCard("4111.1111.1111.1111"), ToCard("".join(chr(0x660 + int(d)) for d in CARD)),
                    ToCard("\u200e4111111111111111\ufeff"), ToCard(CARD, holder="IVAN IVANOV", exp_year="30")]),
    (ToPhone("79031112233"), [ToPhone("+7 903 111-22-33"), ToPhone("+7 (903) 111.22.33"),
                              ToPhone("7\u2010903\u2010111\u20102233"), ToPhone("79031112233", bank_code="sberbank")]),
    (ToBankAccount("40817810500000000001", bic="044525225"),
     [ToBankAccount("40817 810 5 0000 0000001", bic="044525225"),
      ToBankAccount("40817-810-5-0000-0000001", bic="044525225", bank_code="x")]),
]  # fmt: skip


@pytest.mark.parametrize(("plain", "spellings"), SAME_NUMBERS, ids=["card", "phone", "account"])
def test_the_same_number_is_the_same_however_it_is_written(plain: Any, spellings: list[Any]) -> None:
    """Blanks, dashes of any kind, what is not seen and any script's digits: the number is the same, and is sent so."""
    assert [of(plain)] * len(spellings) == [of(each) for each in spellings]
    assert {plain.number} == {each.number for each in spellings}


@pytest.mark.parametrize("number", ["ivan-petrov", "P-1000(2)", "EQDt0x-_hJ", " 4100 ", "+7 903"])
def test_a_wallet_is_never_altered(number: str) -> None:
    """Nobody knows what a dash means to a wallet: its number is sent as it is given."""
    assert number == ToWallet(number).number
    assert of(ToWallet(number)) != of(ToWallet(number.replace("-", "").replace(" ", "x")))


def test_destinations_of_the_same_number_are_different() -> None:
    """A card, a phone, an account and a wallet may have the same number, and are not the same."""
    assert 4 == len({of(kind(CARD)) for kind in (ToCard, ToPhone, ToBankAccount, ToWallet)})


def test_an_account_at_another_bank_is_another_one() -> None:
    """The same account number exists at many banks."""
    assert of(ToBankAccount("1", bic="044525225")) != of(ToBankAccount("1", bic="044525974"))


@pytest.mark.parametrize("amount", ["500", "500.0", "500.00"])
def test_equal_amounts_are_the_same(amount: str) -> None:
    """With how many digits an amount is written, or may be, does not matter."""
    orders = [PayoutOrder(order_id="x", amount=Money(amount, "RUB", digits), to=ToCard("1")) for digits in (2, 5, 18)]
    orders.append(PayoutOrder(order_id="x", amount=Money("500", "RUB", 0), to=ToCard("1")))
    assert 1 == len({canonical("payout", order) for order in orders})


ELSE: list[Any] = [
    msgspec.structs.replace(PAYOUT, recipient=Recipient()),
    msgspec.structs.replace(PAYOUT, recipient=Recipient(first_name="Ivan")),
    msgspec.structs.replace(PAYOUT, notification_url="https://shop.example/new"),
    msgspec.structs.replace(PAYOUT, extra={"service": "x"}),
]


@pytest.mark.parametrize("other", ELSE)
def test_all_else_may_differ_of_a_payout(other: Any) -> None:
    """Empty structs, addresses, names and what only one provider has make no other order."""
    assert canonical("payout", PAYOUT) == canonical("payout", other)


def test_a_payer_who_reloads_asks_for_the_same_payment() -> None:
    """Another IP, browser, success page or presentation is no other payment."""
    again = msgspec.structs.replace(
        PAYMENT,
        payer=Payer(id="u-1", ip="203.0.113.9", browser=Browser(user_agent="x")),
        success_url="https://shop.example/?token=2",
        presentation="direct",
        description="again",
    )
    assert canonical("payment", PAYMENT) == canonical("payment", again)


CONFLICTS: list[tuple[Any, str]] = [
    (msgspec.structs.replace(PAYOUT, amount=Money("1000.45", "RUB")), "amount"),
    (msgspec.structs.replace(PAYOUT, amount=Money("1000.44", "EUR")), "amount.currency"),
    (msgspec.structs.replace(PAYOUT, to=ToPhone("79031112233")), "to"),
    (msgspec.structs.replace(PAYOUT, to=ToCard("5555555555554444")), "to.number"),
    (msgspec.structs.replace(PAYMENT, method="sbp"), "method"),
]


@pytest.mark.parametrize(("other", "field"), CONFLICTS, ids=[field for _, field in CONFLICTS])
def test_a_conflict_names_the_account_and_the_field(other: Any, field: str) -> None:
    """Another order under an id that is taken is refused by the first field that differs; no value is quoted."""
    order = PAYMENT if isinstance(other, PaymentOrder) else PAYOUT
    with pytest.raises(OrderConflict) as caught:
        require_same(facts("other-shop", "fake", order, b"k"), facts("shop", "fake", other, b"k"))
    assert ("other-shop", field) == (caught.value.account, caught.value.field)
    assert "4444" not in str(caught.value)
    words = f"order_id {other.order_id!r} already stands for another {caught.value.kind}"
    assert f"account 'other-shop': {words}" in str(caught.value)


# The id


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (uuid.UUID("12345678-1234-5678-1234-567812345678"), "12345678-1234-5678-1234-567812345678"),
        (1001, "1001"),
        ("cafe\u0301", "caf\u00e9"),
        ("заказ 17/2", "заказ 17/2"),
    ],
)
def test_an_id_is_kept_as_a_text(given: Any, kept: str) -> None:
    """A UUID and a whole number are taken for ids and kept as text, a text in its composed form, everywhere."""
    order = check_order(PAYMENTS, PaymentOrder(order_id=given, amount=Money("1", "RUB"), method="card"))
    assert (kept, kept) == (order.order_id, check_order_id(given))


@pytest.mark.parametrize(
    ("order_id", "words"),
    [
        ("po-1 ", "blank"), (" po-1", "blank"), ("\u00a0po-1", "blank"), ("po-1\n", "blank"),
        ("po\u200b1", "not seen"), ("po\u20601", "not seen"), ("po\x001", "not seen"), ("\ud800", "not seen"),
        ("\u202epo", "not seen"), ("po\u20281", "not seen"),
        (CARD, "card number"), ("pay 4111 1111 1111 1111", "card number"),
        ("", "1 to 255"), ("x" * 256, "1 to 255"), (True, "1 to 255"), (None, "1 to 255"), (1.5, "1 to 255"),
    ],
)  # fmt: skip
def test_an_id_that_can_be_mistaken_is_refused(order_id: Any, words: str) -> None:
    """Blanks at the ends, characters that nobody sees and card numbers are refused, and the value is not quoted."""
    with pytest.raises(InvalidOrder, match=words) as caught:
        check_order_id(order_id)
    assert ("order_id", False) == (caught.value.field, "4111" in str(caught.value))


@pytest.mark.parametrize(
    "order_id",
    [
        *("20261127153000", "1764257000000", "1862073483000123392", "4111-1111"),
        *("40054184-4272-4ca7-9c79-ef7e6437afd8", "b8294194-3319-49f7-9885-b1a29d8f1936"),
    ],
)
def test_ids_of_digits_are_ids(order_id: str) -> None:
    """Times, numbers and UUIDs that a clock, a database or chance gives are no card numbers."""
    assert order_id == check_order_id(order_id)
