"""The books by themselves: where the money is, and who changes a status."""

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from payhub_alikassa.sandbox.books import Books
from payhub_alikassa.sandbox.records import Account, Kind, Outcome, Settings

from .merchant import HOSTED, PAYOUT

MONEY = st.decimals("0.01", "999999999.99", places=2)
RATE = st.decimals("0", "1", places=2)
OUTCOME = st.one_of(
    st.builds(Outcome, st.just("paid"), st.none() | MONEY),
    st.builds(Outcome, st.sampled_from(["cancel", "fail"])),
)
KIND = st.sampled_from(["payment", "payout"])


def _books(**settings: Any) -> Books:
    return Books(Account(), Settings(opening_balance=Decimal(10) ** 12, **settings))


@given(st.lists(st.tuples(KIND, MONEY, OUTCOME), max_size=8), RATE, RATE, RATE)
def test_no_money_is_made_or_lost(
    orders: list[tuple[Kind, Decimal, Outcome]], payment: Decimal, payout: Decimal, hold: Decimal
) -> None:
    """What is free, held and pending is what there was, and what came in, less what went out."""
    books = _books(payment_commission=payment, payout_commission=payout, hold_share=hold)
    expected = books.balance.free
    for number, (kind, amount, outcome) in enumerate(orders):
        fields = HOSTED if kind == "payment" else PAYOUT
        record = books.accept(kind, {**fields, "order_id": str(number), "amount": str(amount)})
        record = books.settle(record, outcome)
        if record.status == "paid":
            assert record.credited is not None
            expected += record.credited if kind == "payment" else -record.credited
    balance = books.balance
    assert balance.free + balance.hold == expected
    assert balance.pending == 0


def test_an_outcome_set_before_the_delay_stays() -> None:
    """The delay settles what still waits, and nothing else."""
    books = _books()
    record = books.settle(books.accept("payout", PAYOUT), Outcome("fail"))
    books.settle_waiting("payout", record.id, Outcome("paid"))
    books.settle_waiting("payout", record.id + 1, Outcome("paid"))
    assert books.by_id("payout", record.id) == record


def test_a_record_does_not_show_what_was_sent() -> None:
    """A card number must not get into a traceback."""
    record = _books().accept("payout", PAYOUT)
    assert PAYOUT["number"] not in repr(record)
