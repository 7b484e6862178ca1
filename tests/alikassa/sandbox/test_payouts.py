"""What becomes of a payout."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from payhub_alikassa.sandbox import Sandbox

from .merchant import HOSTED, PAYOUT, Merchant


def test_an_accepted_payout_leaves_the_balance_at_once(merchant: Merchant) -> None:
    """With its commission it is pending until it is final."""
    merchant.ask("payout", {**PAYOUT, "amount": "500.00"})
    assert merchant.ask("account/balance", []) == {
        "currency": "RUB",
        "balance": "99490.00000000",
        "hold": "0.00000000",
        "rolling_reserve": "0.00000000",
        "pending_payouts": "510.00000000",
    }


def test_a_paid_payout_is_no_longer_pending(merchant: Merchant, sandbox: Sandbox) -> None:
    """Its status has the documented keys, with as few decimals as there happen to be."""
    created = merchant.ask("payout", {**PAYOUT, "amount": "500.00"})
    sandbox.settle("payout", "po-1")
    status = merchant.ask("payout/status", {"order_id": "po-1"})
    assert len(str(status.pop("rrn"))) == 12
    assert status == {
        "payment_status": "paid",
        "id": created["id"],
        "order_id": "po-1",
        "amount": "500.00",
        "payment_amount": "500.00",
        "is_partial_payment": False,
        "account_payment_amount": "510",
        "commission_amount": "10",
        "service_code": "payment_card_rub",
        "account_old_balance": "100000",
        "account_new_balance": "99490",
    }
    assert _money(merchant) == ("99490.00000000", "0.00000000")


@pytest.mark.parametrize("outcome", ["cancel", "fail"])
def test_a_payout_that_did_not_go_comes_back(merchant: Merchant, sandbox: Sandbox, outcome: str) -> None:
    """All of it, with the commission."""
    merchant.ask("payout", PAYOUT)
    sandbox.settle("payout", "po-1", outcome)
    status = merchant.ask("payout/status", {"order_id": "po-1"})
    assert (status["payment_status"], status["payment_amount"]) == (outcome, None)
    assert (status["rrn"], status["account_new_balance"]) == (None, "100000")
    assert _money(merchant) == ("100000.00000000", "0.00000000")


def test_of_a_partial_payout_the_rest_comes_back(merchant: Merchant, sandbox: Sandbox) -> None:
    """The commission is of what was paid."""
    merchant.ask("payout", {**PAYOUT, "amount": "500.00"})
    sandbox.settle("payout", "po-1", "paid", "100.50")
    status = merchant.ask("payout/status", {"order_id": "po-1"})
    assert (status["payment_amount"], status["is_partial_payment"]) == ("100.50", True)
    assert (status["commission_amount"], status["account_payment_amount"]) == ("2.01", "102.51")
    assert _money(merchant) == ("99897.49000000", "0.00000000")


def test_more_than_the_balance_is_refused(merchant: Merchant, sandbox: Sandbox) -> None:
    """The commission counts; the last cent may be spent."""
    sandbox.configure(opening_balance="100")
    sandbox.reset()
    errors = merchant.refusals("payout", {**PAYOUT, "amount": "98.05"})
    assert errors == {"amount": ["There are insufficient funds on the account."]}
    assert sandbox.accepted("payout", "po-1") == 0
    merchant.ask("payout", {**PAYOUT, "amount": "98.04"})
    assert _money(merchant) == ("0.00000000", "100.00000000")


@pytest.mark.parametrize(("path", "order"), [("payment", HOSTED), ("payout", PAYOUT)])
def test_an_order_id_is_taken_once(merchant: Merchant, sandbox: Sandbox, path: str, order: dict[str, str]) -> None:
    """A repeat is refused by name, whatever else it says."""
    merchant.ask(path, order)
    errors = merchant.refusals(path, {**order, "amount": "7.00"})
    assert errors == {"order_id": ["The order id has already been taken."]}
    assert sandbox.accepted("payment", "in-1") + sandbox.accepted("payout", "po-1") == 1


@pytest.mark.parametrize(("kind", "order"), [("payment", HOSTED), ("payout", PAYOUT)])
def test_repeats_can_be_allowed(merchant: Merchant, sandbox: Sandbox, kind: str, order: dict[str, str]) -> None:
    """Then a repeat is a second order, as the ledger shows; a query finds the newest."""
    sandbox.configure(allow_repeated_order_id=True)
    first, second = merchant.ask(kind, order), merchant.ask(kind, order)
    assert first["id"] != second["id"]
    assert merchant.ask(f"{kind}/status", {"order_id": order["order_id"]})["id"] == second["id"]
    counts = {"payment": sandbox.accepted("payment", "in-1")}
    assert {**counts, "payout": sandbox.accepted("payout", "po-1")}[kind] == 2


def test_of_many_at_once_one_is_accepted(merchant: Merchant, sandbox: Sandbox) -> None:
    """An order id is taken once, also in a race."""
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: merchant.send("payout", PAYOUT).status_code, range(16)))
    assert sorted(statuses) == [200] + 15 * [400]
    assert sandbox.accepted("payout", "po-1") == 1


def test_payouts_settle_by_themselves(merchant: Merchant, sandbox: Sandbox) -> None:
    """After the configured delay, as paid; the answer to the order still says `wait`."""
    sandbox.configure(payout_delay=0)
    assert merchant.ask("payout", PAYOUT)["payment_status"] == "wait"
    while merchant.ask("payout/status", {"order_id": "po-1"})["payment_status"] == "wait":
        pass
    assert merchant.ask("payout/status", {"order_id": "po-1"})["payment_status"] == "paid"


def test_a_reset_is_not_disturbed_by_old_delays(merchant: Merchant, sandbox: Sandbox) -> None:
    """What was to be settled is gone, and its id is never given again."""
    sandbox.configure(payout_delay=0.05)
    old = merchant.ask("payout", PAYOUT)["id"]
    sandbox.reset()
    new = merchant.ask("payout", PAYOUT)["id"]
    assert old != new
    assert merchant.send("payout/status", {"id": old}).status_code == 404


def _money(merchant: Merchant) -> tuple[object, object]:
    balance = merchant.ask("account/balance", [])
    return balance["balance"], balance["pending_payouts"]
