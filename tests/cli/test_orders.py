import datetime as dt

import msgspec
import pytest

from payhub_alikassa.sandbox import Sandbox

from .conftest import ACCOUNT, CARD, PAYER, Command

RUB = ("--currency", "RUB")


def ordered(order_id: str, amount: str = "500") -> tuple[str, ...]:
    """Give the arguments that payments and payouts share."""
    return (ACCOUNT, "--order-id", order_id, "--amount", amount, *RUB)


@pytest.fixture(autouse=True)
def _sandbox(sandbox: Sandbox) -> None:
    """Serve every test here."""


def test_hosted_payment_names_the_page(payhub: Command) -> None:
    """A hosted payment is answered with the page to send the payer to."""
    done = payhub("pay", *ordered("in-1", "3000.00"), "--method", "card", *PAYER)
    assert done.code == 0
    assert "pending, not final (provider: wait)" in done.out
    assert "3000.00 RUB" in done.out
    assert "Send the payer to this page:\nhttp://127.0.0.1:" in done.out
    assert done.err == ""


def test_direct_payment_shows_the_requisites_in_full(payhub: Command) -> None:
    """The requisites are for the payer: they are the answer, in both forms of output."""
    shown = payhub("pay", *ordered("in-1"), "--method", "sbp", "--presentation", "direct", *PAYER)
    assert "79031112233" in shown.out
    done = payhub("pay", *ordered("in-2"), "--method", "sbp", "--presentation", "direct", *PAYER, "--json")
    assert done.json["requisites"]["number"] == "79031112233"
    assert done.json["redirect_url"] is None


def test_every_option_of_a_payment_reaches_the_provider(payhub: Command) -> None:
    """What the options say is in the request, as far as the masked log tells."""
    done = payhub(
        "pay", *ordered("in-1"), "--method", "card", "--presentation", "direct", *PAYER,
        "--bank-code", "sberbank", "--success-url", "https://shop.example/ok", "--fail-url", "https://shop.example/no",
        "--notify-url", "https://shop.example/notify", "--description", "Socks", "--set", "lifetime=900",
        "--set", "payer.email=payer@example.com", "--set", "payer.browser.color_depth=24", "-v", "--json",
    )  # fmt: skip
    assert done.code == 0
    request = logged(done.err)["request"]
    assert request["customer_code"] == "sberbank"
    assert request["success_redirect_url"] == "https://shop.example/ok"
    assert request["fail_redirect_url"] == "https://shop.example/no"
    assert request["notification_endpoint_url"] == "https://shop.example/notify"
    assert request["lifetime"] == 900
    assert request["customer_browser_color_depth"] == 24
    assert {"desc", "customer_email", "customer_ip", "customer_user_id"} <= set(request)


def logged(err: str) -> dict[str, dict[str, object]]:
    """Return the one exchange in the log."""
    (line,) = err.splitlines()
    event: dict[str, dict[str, object]] = msgspec.json.decode(line)
    return event


DESTINATIONS = {
    "card": ("--to-card", CARD),
    "phone": ("--to-phone", "79031112233", "--bank-code", "100000000111"),
    "account": ("--to-account", "40817810000000000001", "--bic", "041351902", "--bank-code", "sberbank"),
    "wallet": ("--to-wallet", "79031112233"),
}


@pytest.mark.parametrize("destination", DESTINATIONS.values(), ids=DESTINATIONS)
def test_payout_to_each_destination(payhub: Command, sandbox: Sandbox, destination: tuple[str, ...]) -> None:
    """Each destination has its option, and is accepted once."""
    done = payhub("payout", *ordered("po-1"), *destination, "--json")
    assert done.code == 0
    assert done.json["status"] == "pending"
    assert done.json["requested"] == {"amount": "500.00", "currency": "RUB"}
    assert sandbox.accepted("payout", "po-1") == 1


def test_card_number_from_stdin(payhub: Command, sandbox: Sandbox) -> None:
    """`--to-card -` reads the number from the first line of stdin."""
    done = payhub("payout", *ordered("po-1"), "--to-card", "-", "-v", stdin=f" {CARD}\nnot this\n")
    assert done.code == 0
    assert logged(done.err)["request"]["number"] == "411111******1111"
    assert sandbox.accepted("payout", "po-1") == 1


def test_stdin_without_a_card_number(payhub: Command) -> None:
    """An empty stdin is a mistake of usage."""
    done = payhub("payout", *ordered("po-1"), "--to-card", "-")
    assert (done.code, done.err) == (2, "payhub: --to-card -: stdin has no card number\n")


def test_a_final_word_in_the_answer_to_a_create_is_not_believed(payhub: Command, sandbox: Sandbox) -> None:
    """Rule 7: the documents promise `wait` there, so a payment that the answer calls failed is asked about."""
    sandbox.arm("body", path="/v1/payment", body={"payment_status": "fail"})
    done = payhub("pay", *ordered("in-1"), "--method", "card", *PAYER, "--json")
    assert (done.code, done.json["status"], done.json["provider_status"]) == (0, "pending", "fail")


def test_status_by_both_ids(payhub: Command, sandbox: Sandbox) -> None:
    """A status is asked for by our id or the provider's, and shows what was paid."""
    made = payhub("payout", *ordered("po-1"), "--to-card", CARD, "--json").json
    sandbox.settle("payout", "po-1")
    found = payhub("status", ACCOUNT, "payout", "--order-id", "po-1", "--json")
    same = payhub("status", ACCOUNT, "payout", "--provider-id", made["provider_id"], "--json")
    assert found.code == same.code == 0
    assert found.json == same.json
    assert found.json["paid"] == {"amount": "500.00", "currency": "RUB"}
    shown = payhub("status", ACCOUNT, "payout", "--order-id", "po-1")
    assert "succeeded, final (provider: paid)" in shown.out
    assert "from balance  510.00 RUB" in shown.out


def test_status_of_a_failed_payment_is_an_answer(payhub: Command, sandbox: Sandbox) -> None:
    """Exit 0 of a question says that it was answered; the reason is shown."""
    payhub("pay", *ordered("in-1"), "--method", "card", *PAYER)
    sandbox.settle("payment", "in-1", "fail", error="Card 4111 1111 1111 1111 expired")
    done = payhub("status", ACCOUNT, "payment", "--order-id", "in-1")
    assert done.code == 0
    assert "failed, final (provider: fail)" in done.out
    assert "Card 4111 11** **** 1111 expired" in done.out


def test_partial_payment_is_said(payhub: Command, sandbox: Sandbox) -> None:
    """Another amount than was asked for is shown as such."""
    payhub("pay", *ordered("in-1"), "--method", "card", *PAYER)
    sandbox.settle("payment", "in-1", amount="400.00")
    done = payhub("status", ACCOUNT, "payment", "--order-id", "in-1")
    assert "another amount than requested" in done.out
    assert "400.00 RUB" in done.out


def test_contradicting_answer_is_unknown(payhub: Command, sandbox: Sandbox) -> None:
    """An answer that contradicts the question is shown as unknown: exit 4."""
    payhub("pay", *ordered("in-1"), "--method", "card", *PAYER)
    sandbox.arm("body", path="/v1/payment/status", body={"order_id": "another"})
    done = payhub("status", ACCOUNT, "payment", "--order-id", "in-1")
    assert done.code == 4
    assert "contradicts" in done.out


def test_a_question_that_is_not_sent(payhub: Command, sandbox: Sandbox) -> None:
    """It is the question that did not leave, not the payout: exit 3."""
    payhub("payout", *ordered("po-1"), "--to-card", CARD)
    sandbox.arm("refuse", seconds=None)
    done = payhub("status", ACCOUNT, "payout", "--order-id", "po-1")
    sandbox.disarm()
    words = "the question about payout po-1 was not sent: no connection; this says nothing of what became of the order"
    assert (done.code, done.err) == (3, f"payhub: {words}\n")


def test_a_status_of_which_the_journal_says_otherwise(payhub: Command, sandbox: Sandbox) -> None:
    """Of an order that is contradicted nobody can tell: that is shown, with the provider's own word beside it."""
    payhub("payout", *ordered("po-1"), "--to-card", CARD)
    sandbox.settle("payout", "po-1", "fail")
    config = ("--config", sandbox.config)
    payhub("status", ACCOUNT, "payout", "--order-id", "po-1", *config)
    sandbox.arm("body", path="/v1/payout/status", body={"payment_status": "paid"}, times=1)
    done = payhub("status", ACCOUNT, "payout", "--order-id", "po-1", "--json", *config)
    words = "the journal says otherwise: this payout is failed, and contradicted"
    assert (done.code, done.json["status"], done.json["provider_status"]) == (4, "unknown", "paid")
    assert done.err.splitlines()[-1] == f"payhub: {words}; see: payhub trace po-1 --config {sandbox.config}"
    payhub("payout", *ordered("po-2"), "--to-card", CARD)
    assert payhub("status", ACCOUNT, "payout", "--order-id", "po-2").err == ""


def test_balance(payhub: Command) -> None:
    """The balance is shown with all its parts."""
    done = payhub("balance", ACCOUNT)
    assert done.code == 0
    assert "available        100000.00 RUB" in done.out
    assert payhub("balance", ACCOUNT, "--json").json["available"] == {"amount": "100000.00", "currency": "RUB"}


def test_history_has_totals(payhub: Command, sandbox: Sandbox) -> None:
    """Totals are by currency and status, and say nothing that a payment leaves out."""
    for order_id in ("in-1", "in-2"):
        payhub("pay", *ordered(order_id, "10.50"), "--method", "card", *PAYER)
    today = dt.datetime.now(dt.UTC).date()
    days = ("--from", today - dt.timedelta(days=1), "--to", today + dt.timedelta(days=1))
    done = payhub("history", ACCOUNT, *days, "--json")
    assert [payment["order_id"] for payment in done.json["payments"]] == ["in-2", "in-1"]
    (total,) = done.json["totals"]
    assert (total["status"], total["count"]) == ("pending", 2)
    assert total["requested"] == {"amount": "21.00", "currency": "RUB"}
    assert total["paid"] is None
    sandbox.settle("payment", "in-1")
    shown = payhub("history", ACCOUNT, *days).out
    assert "2 payments" in shown
    assert "totals" in shown
    assert "0.32 RUB" in shown


def test_history_of_no_payments(payhub: Command) -> None:
    """Days without payments have no totals."""
    done = payhub("history", ACCOUNT, "--from", "2020-01-01", "--to", "2020-01-31", "--json")
    assert done.json == {"account": ACCOUNT, "payments": [], "totals": []}
