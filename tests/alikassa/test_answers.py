"""What an answer can make of an order: no more than the documents promise, and nothing less for an odd value."""

from typing import Any

import pytest

from payhub import Money, Status
from payhub.journal import Key, State
from payhub_alikassa.sandbox import Sandbox
from tests.alikassa.conftest import ACCOUNT
from tests.alikassa.orders import payment, payout

KINDS = ["payment", "payout"]
RUB = Money(3000, "RUB")


def create(hub: Any, kind: str) -> Any:
    return (
        hub.create_payment(ACCOUNT, payment())
        if kind == "payment"
        else hub.create_payout(ACCOUNT, payout(amount="3000"))
    )


def fetch(hub: Any, kind: str) -> Any:
    fetched = hub.fetch_payment if kind == "payment" else hub.fetch_payout
    return fetched(ACCOUNT, order_id=order_id(kind))


def order_id(kind: str) -> str:
    return {"payment": "in-1", "payout": "po-1"}[kind]


def state(hub: Any, kind: str) -> State:
    record = getattr(hub, "hub", hub).journal.find(Key(ACCOUNT, kind, order_id(kind)))
    assert record is not None
    found: State = record.state
    return found


@pytest.mark.parametrize("word", ["paid", "fail", "cancel"])
@pytest.mark.parametrize("kind", KINDS)
def test_rule_7_no_create_is_final(hub: Any, sandbox: Sandbox, kind: str, word: str) -> None:
    """The documents promise `wait` for every create, so another word is kept, and the next sweep asks at once."""
    sandbox.arm("body", body={"payment_status": word}, times=1)
    created = create(hub, kind)
    assert (created.status, created.provider_status, state(hub, kind)) == (Status.PENDING, word, State.PENDING)
    sandbox.settle(kind, order_id(kind))
    assert [found.status for found in hub.sweep()] == [Status.SUCCEEDED]


def test_rule_10_an_old_payment_is_not_taken_for_the_order(hub: Any, sandbox: Sandbox) -> None:
    """A provider that answers a repeated order_id with an old payment is found out by the sums of its status."""
    sandbox.arm("body", body={"payment_status": "paid"}, times=1)
    create(hub, "payment")
    sandbox.settle("payment", "in-1")
    sandbox.arm("body", body={"amount": "10.00", "payment_amount": "10.00"})
    (found,) = hub.sweep()
    assert (found.status, found.mismatches, state(hub, "payment")) == (
        Status.UNKNOWN, ("requested",), State.NEEDS_ATTENTION
    )  # fmt: skip


SECONDARY = [
    {"commission_amount": 30.010000000000105},
    {"commission_amount": "89.700000000000003"},
    {"commission_amount": "90.0000000001"},
    {"commission_amount": "1,234.50"},
    {"commission_amount": "-"},
    {"commission_amount": False},
    {"account_payment_amount": []},
    {"payment_error_message": []},
    {"payment_error_message": ["ok"]},
    {"payment_error_message": {"code": 0}},
    {"url": False},
    {"card_number": "2200000000000042", "bank": {"name": "x"}},
    {"card_holder_name": []},
    {"service_code": {}},
    {"currency": "RUR"},
    {"currency": "rub"},
    {"currency": "643"},
]


@pytest.mark.parametrize("odd", SECONDARY, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_value_that_decides_nothing_costs_no_paid_status(
    hub: Any, sandbox: Sandbox, kind: str, odd: dict[str, Any]
) -> None:
    """A value that cannot be read is absent, and in `raw` as it came; the order is paid."""
    create(hub, kind)
    sandbox.settle(kind, order_id(kind))
    sandbox.arm("body", body=odd)
    found = fetch(hub, kind)
    assert (found.status, found.paid, found.mismatches, state(hub, kind)) == (
        Status.SUCCEEDED, RUB, (), State.SUCCEEDED
    )  # fmt: skip
    assert {str(found.raw[name]) for name in odd} == {str(value) for value in odd.values()}


def test_an_odd_value_costs_no_payment_its_page(hub: Any, sandbox: Sandbox) -> None:
    """A new payment with requisites that cannot be read is there all the same."""
    sandbox.arm("body", body={"cardNumber": [], "cardHolderName": {}, "bank": False})
    created = create(hub, "payment")
    assert (created.status, created.requisites, bool(created.redirect_url)) == (Status.PENDING, None, True)


DECIDING = [
    ("payment", {"payment_amount": "1.00", "is_partial_payment": False}, ("paid",)),
    ("payment", {"payment_amount": "0.00"}, ("paid",)),
    ("payment", {"payment_amount": "-3000.00"}, ("paid",)),
    ("payment", {"payment_amount": "3,000.00"}, ("paid",)),
    ("payment", {"payment_amount": []}, ("paid",)),
    ("payment", {"payment_amount": "3_000"}, ("paid",)),
    ("payment", {"amount": "3,000.00"}, ("requested",)),
    ("payment", {"amount": "1.00"}, ("requested",)),
    ("payment", {"currency": "rouble"}, ("currency",)),
    ("payment", {"currency": []}, ("currency",)),
    ("payment", {"currency": "EUR"}, ("requested", "paid", "credited", "commission", "currency")),
    ("payout", {"payment_amount": "1.00", "is_partial_payment": False}, ("paid",)),
    ("payout", {"payment_amount": "0"}, ("paid",)),
    ("payout", {"payment_amount": "9000000"}, ("paid",)),
    ("payout", {"payment_amount": "-5"}, ("paid",)),
]
MORE = {"payment_amount": "500000.00"}
NOT_SAID = {"payment_amount": None}


@pytest.mark.parametrize(("kind", "odd", "mismatches"), DECIDING, ids=repr)
def test_rule_10_a_sum_or_currency_that_contradicts_is_named(
    hub: Any, sandbox: Sandbox, kind: str, odd: dict[str, Any], mismatches: tuple[str, ...]
) -> None:
    """What decides and cannot be so, or cannot be read, is a contradiction: a person looks, nothing is credited."""
    create(hub, kind)
    sandbox.settle(kind, order_id(kind))
    sandbox.arm("body", body=odd)
    found = fetch(hub, kind)
    assert (found.status, found.mismatches, state(hub, kind)) == (Status.UNKNOWN, mismatches, State.NEEDS_ATTENTION)


@pytest.mark.parametrize(("said", "paid"), [(MORE, Money(500000, "RUB")), (NOT_SAID, None)], ids=repr)
def test_a_payer_may_pay_more_and_a_provider_may_not_say_how_much(
    hub: Any, sandbox: Sandbox, said: dict[str, Any], paid: Money | None
) -> None:
    """A payment that is paid is paid; what is credited is `paid`, and never what was requested."""
    create(hub, "payment")
    sandbox.settle("payment", "in-1")
    sandbox.arm("body", body=said)
    found = fetch(hub, "payment")
    assert (found.status, found.paid, found.mismatches) == (Status.SUCCEEDED, paid, ())


@pytest.mark.parametrize("kind", KINDS)
def test_rule_10_a_currency_is_compared_without_an_amount(hub: Any, sandbox: Sandbox, kind: str) -> None:
    """An answer that names no sum may still name another currency, in the create as in the status."""
    sandbox.arm("body", body={"currency": "EUR"}, times=1)
    assert (create(hub, kind).mismatches, state(hub, kind)) == (("currency",), State.NEEDS_ATTENTION)


def test_what_a_waiting_order_was_paid_decides_nothing(hub: Any, sandbox: Sandbox) -> None:
    """A dash for none in the sum of an order that waits is no contradiction."""
    create(hub, "payment")
    sandbox.arm("body", body={"payment_amount": "-"})
    assert (fetch(hub, "payment").status, state(hub, "payment")) == (Status.PENDING, State.PENDING)


DUPLICATE = "The order id has already been taken."


@pytest.mark.parametrize(
    "errors",
    [{"order_id": [DUPLICATE]}, [DUPLICATE], DUPLICATE, {"order_id.0": [DUPLICATE]}, {"orderId": [DUPLICATE]},
     {"order": [DUPLICATE]}, {"base": [DUPLICATE]}, {"code": "DUPLICATE_ORDER"}],
    ids=repr,
)  # fmt: skip
def test_a_repeated_order_is_refused_in_many_words(hub: Any, sandbox: Sandbox, errors: object) -> None:
    """A refusal that may be about the order's id proves nothing: the payment may be there already."""
    body = {"message": "The given data was invalid.", "errors": errors}
    sandbox.arm("status", status=400, body=body)
    assert (create(hub, "payment").status, state(hub, "payment")) == (Status.UNKNOWN, State.UNKNOWN)
