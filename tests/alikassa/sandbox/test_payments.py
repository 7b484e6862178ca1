"""What becomes of a payment."""

import datetime as dt

import pytest

from payhub_alikassa.sandbox import Sandbox

from .merchant import HOSTED, Merchant


def test_a_waiting_payment_knows_no_sums_yet(merchant: Merchant) -> None:
    """Every documented key is there; what was not paid is null."""
    created = merchant.ask("payment", HOSTED)
    assert merchant.ask("payment/status", {"order_id": "in-1"}) == {
        "url": created["url"],
        "antiFraud": False,
        "payment_status": "wait",
        "id": created["id"],
        "order_id": "in-1",
        "amount": "1500.000000000",
        "payment_amount": None,
        "is_partial_payment": False,
        "hold_amount": "",
        "hold_at": None,
        "account_payment_amount": None,
        "commission_amount": None,
        "currency": "RUB",
        "service_code": "payment_card_number_rub_hpp",
        "account_old_balance": None,
        "account_new_balance": None,
        "crypto_network": None,
        "crypto_txid": None,
        "customer_phone": None,
        "customer_card_number": None,
        "payment_error_message": None,
        "card_number": None,
        "card_holder_name": None,
        "bank": None,
        "bik_bank": None,
    }


def test_a_paid_payment_is_credited_less_its_commission(merchant: Merchant, sandbox: Sandbox) -> None:
    """Payments have nine decimals, balances eight; the payer's card is masked."""
    merchant.ask("payment", HOSTED)
    sandbox.settle("payment", "in-1")
    status = merchant.ask("payment/status", {"order_id": "in-1"})
    assert status["payment_status"] == "paid"
    assert status["payment_amount"] == "1500.000000000"
    assert status["commission_amount"] == "45.000000000"
    assert status["account_payment_amount"] == "1455.000000000"
    assert status["account_old_balance"] == "100000.00000000"
    assert status["account_new_balance"] == "101455.00000000"
    assert status["customer_card_number"] == "411111******1111"
    assert merchant.ask("account/balance", [])["balance"] == "101455.00000000"


def test_a_partly_paid_payment_is_paid(merchant: Merchant, sandbox: Sandbox) -> None:
    """It says so in `is_partial_payment`, and only what was paid is credited."""
    merchant.ask("payment", HOSTED)
    sandbox.settle("payment", "in-1", "paid", "1000.00")
    status = merchant.ask("payment/status", {"order_id": "in-1"})
    assert (status["payment_status"], status["is_partial_payment"]) == ("paid", True)
    assert status["amount"] == "1500.000000000"
    assert status["payment_amount"] == "1000.000000000"
    assert merchant.ask("account/balance", [])["balance"] == "100970.00000000"


@pytest.mark.parametrize("outcome", ["cancel", "fail"])
def test_a_payment_that_ended_otherwise_moves_nothing(merchant: Merchant, sandbox: Sandbox, outcome: str) -> None:
    """The error's text is in the answer, the sums stay null."""
    merchant.ask("payment", HOSTED)
    sandbox.settle("payment", "in-1", outcome, error="Declined by the bank")
    status = merchant.ask("payment/status", {"order_id": "in-1"})
    assert status["payment_status"] == outcome
    assert status["payment_error_message"] == "Declined by the bank"
    assert status["payment_amount"] is None
    assert merchant.ask("account/balance", [])["balance"] == "100000.00000000"


def test_a_share_of_a_payment_can_be_held(merchant: Merchant, sandbox: Sandbox) -> None:
    """Held money is counted apart, with the time of its release."""
    sandbox.configure(hold_share="0.1")
    merchant.ask("payment", HOSTED)
    sandbox.settle("payment", "in-1")
    status = merchant.ask("payment/status", {"order_id": "in-1"})
    assert status["hold_amount"] == "145.500000000"
    assert dt.datetime.strptime(str(status["hold_at"]), "%Y-%m-%d %H:%M:%S").tzinfo is None
    assert status["account_payment_amount"] == "1455.000000000"
    balance = merchant.ask("account/balance", [])
    assert (balance["balance"], balance["hold"]) == ("101309.50000000", "145.50000000")


def test_direct_requisites_are_told_again_in_the_status(merchant: Merchant) -> None:
    """There the keys are in snake case, and `url` is null."""
    order = {**HOSTED, "service": "virtual_account_rub_card", "customer_phone": "79031112233"}
    merchant.ask("payment", order)
    status = merchant.ask("payment/status", {"order_id": "in-1"})
    assert status["card_number"] == "40817810000000000001"
    assert status["card_holder_name"] == "Иван Иванович И."
    assert (status["bank"], status["bik_bank"]) == ("Sandbox Bank", "041351902")
    assert (status["url"], status["customer_phone"]) == (None, "79031112233")


def test_the_success_address_is_answered(merchant: Merchant) -> None:
    """As it was given."""
    order = {**HOSTED, "success_redirect_url": "https://shop.example/ok?a=1&b=2"}
    answer = merchant.ask("payment", order)
    assert answer["success_redirect_url"] == "https://shop.example/ok?a=1&b=2"


def test_json_is_written_as_php_writes_it(merchant: Merchant) -> None:
    """Compact, with escaped slashes and escaped Cyrillic."""
    order = {**HOSTED, "service": "payment_card_sbp_rub_card"}
    text = merchant.send("payment", order).text
    assert '"cardHolderName":"\\u0418\\u0432\\u0430\\u043d' in text
    assert "http:\\/\\/" in merchant.send("payment", {**HOSTED, "order_id": "2"}).text


@pytest.mark.parametrize("kind", ["payment", "payout"])
@pytest.mark.parametrize("id_", [100000536, "100000536"], ids=repr)
def test_the_samples_order_is_known(merchant: Merchant, kind: str, id_: object) -> None:
    """The provider's status samples ask for it, by text; an integer is as good."""
    status = merchant.ask(f"{kind}/status", {"id": id_})
    assert (status["id"], status["payment_status"]) == (100000536, "paid")


@pytest.mark.parametrize("kind", ["payment", "payout"])
@pytest.mark.parametrize("question", [{"id": "1"}, {"id": 1}, {"order_id": "none"}])
def test_an_unknown_order_is_not_found(
    merchant: Merchant, sandbox: Sandbox, kind: str, question: dict[str, object]
) -> None:
    """The documents print the text but not the status, so both can be had."""
    response = merchant.send(f"{kind}/status", question)
    assert (response.status_code, response.json()) == (404, {"message": "Payment not found"})
    sandbox.configure(not_found_status=400)
    response = merchant.send(f"{kind}/status", question)
    assert (response.status_code, response.json()) == (400, {"message": "Payment not found"})


@pytest.mark.parametrize("kind", ["payment", "payout"])
def test_a_question_needs_one_id(merchant: Merchant, kind: str) -> None:
    """With neither, both are named; a wrong type is refused."""
    assert sorted(merchant.refusals(f"{kind}/status", {})) == ["id", "order_id"]
    assert list(merchant.refusals(f"{kind}/status", {"order_id": 7})) == ["order_id"]
    assert list(merchant.refusals(f"{kind}/status", {"id": "1" * 129})) == ["id"]


def test_payments_and_payouts_do_not_share_ids(merchant: Merchant) -> None:
    """A payment's order id is free for a payout, and asks nothing of it."""
    merchant.ask("payment", HOSTED)
    assert merchant.send("payout/status", {"order_id": "in-1"}).status_code == 404
