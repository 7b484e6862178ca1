"""The control paths, and the same commands from Python."""

import msgspec
import pytest

from payhub_alikassa.sandbox import Sandbox
from payhub_alikassa.sandbox.books import AlreadyFinal

from .merchant import HOSTED, PAYOUT, Merchant


def _status(merchant: Merchant, kind: str, order_id: str) -> object:
    return merchant.ask(f"{kind}/status", {"order_id": order_id})["payment_status"]


@pytest.mark.parametrize("outcome", ["paid", "cancel", "fail"])
def test_an_outcome_is_set_over_http(merchant: Merchant, outcome: str) -> None:
    """For either kind."""
    merchant.ask("payment", HOSTED)
    merchant.ask("payout", PAYOUT)
    for kind, order_id in (("payment", "in-1"), ("payout", "po-1")):
        wanted = {"kind": kind, "order_id": order_id, "outcome": outcome}
        assert merchant.control("settle", wanted) == 200
        assert _status(merchant, kind, order_id) == outcome


def test_paid_is_what_happens_if_nothing_is_said(merchant: Merchant) -> None:
    """With an amount it is paid in part."""
    merchant.ask("payment", HOSTED)
    wanted = {"kind": "payment", "order_id": "in-1", "amount": "1.00"}
    assert merchant.control("settle", wanted) == 200
    status = merchant.ask("payment/status", {"order_id": "in-1"})
    assert (status["payment_status"], status["is_partial_payment"]) == ("paid", True)


def test_a_final_order_keeps_its_outcome(merchant: Merchant, sandbox: Sandbox) -> None:
    """The same once more is nothing new; another one is a conflict."""
    merchant.ask("payment", HOSTED)
    sandbox.settle("payment", "in-1", "paid", "1000.00")
    sandbox.settle("payment", "in-1", "paid")
    sandbox.settle("payment", "in-1", "paid", "1000.00")
    with pytest.raises(AlreadyFinal, match="final: paid"):
        sandbox.settle("payment", "in-1", "fail")
    wanted = {"kind": "payment", "order_id": "in-1", "amount": "999.00"}
    assert merchant.control("settle", wanted) == 409
    assert merchant.ask("account/balance", [])["balance"] == "100970.00000000"


def test_an_unknown_order_cannot_be_settled(merchant: Merchant, sandbox: Sandbox) -> None:
    """A payment's id is no payout's."""
    merchant.ask("payment", HOSTED)
    assert merchant.control("settle", {"kind": "payout", "order_id": "in-1"}) == 404
    with pytest.raises(LookupError, match="no such payout"):
        sandbox.settle("payout", "in-1")


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"kind": "refund", "order_id": "in-1"},
        {"kind": "payment", "order_id": "in-1", "outcome": "wait"},
        {"kind": "payment", "order_id": "in-1", "amount": "0"},
        {"kind": "payment", "order_id": "in-1", "amount": "1.001"},
        {"kind": "payment", "order_id": "in-1", "amount": "5", "outcome": "fail"},
        {"kind": "payment", "order_id": "in-1", "status": "paid"},
    ],
)
def test_a_wrong_command_is_refused(merchant: Merchant, wanted: dict[str, object]) -> None:
    """Unknown words and sums change nothing."""
    merchant.ask("payment", HOSTED)
    assert merchant.control("settle", wanted) == 400
    assert _status(merchant, "payment", "in-1") == "wait"


def test_the_ledger_counts_accepted_orders_and_requests(merchant: Merchant, sandbox: Sandbox) -> None:
    """Refused orders arrive and are not accepted; control paths are not counted."""
    merchant.ask("payment", HOSTED)
    merchant.ask("payout", PAYOUT)
    merchant.refusals("payout", PAYOUT)
    merchant.post("payout", b"{}", Sign="x")
    assert merchant.client.get("/sandbox/ledger").json() == {
        "accepted": {"payment": {"in-1": 1}, "payout": {"po-1": 1}},
        "requests": {"/v1/payment": 1, "/v1/payout": 3},
    }
    assert (sandbox.accepted("payout", "po-1"), sandbox.accepted("payout", "po-2")) == (1, 0)
    assert (sandbox.requests("/v1/payout"), sandbox.requests("/v1/payout/status")) == (3, 0)


def test_a_reset_forgets_orders_counts_and_faults(merchant: Merchant, sandbox: Sandbox) -> None:
    """The samples' orders are there again, and settings stay."""
    sandbox.configure(not_found_status=400)
    merchant.ask("payout", PAYOUT)
    sandbox.arm("status", status=503, times=100)
    assert merchant.control("reset", {}) == 200
    assert merchant.client.get("/sandbox/ledger").json() == {
        "accepted": {"payment": {}, "payout": {}},
        "requests": {},
    }
    assert merchant.send("payout/status", {"order_id": "po-1"}).status_code == 400
    assert _status(merchant, "payout", "6422494") == "paid"
    assert merchant.ask("account/balance", [])["balance"] == "100000.00000000"


def test_settings_change_one_by_one(merchant: Merchant, sandbox: Sandbox) -> None:
    """What is not named stays."""
    assert merchant.control("settings", {"allow_repeated_order_id": True}) == 200
    assert merchant.control("settings", {"payment_commission": "0.1"}) == 200
    for _ in range(2):
        merchant.ask("payment", HOSTED)
    sandbox.settle("payment", "in-1")
    status = merchant.ask("payment/status", {"order_id": "in-1"})
    assert status["commission_amount"] == "150.000000000"


@pytest.mark.parametrize(
    "settings",
    [{"not_found_status": 500}, {"payout_delay": "soon"}, {"colour": "red"}, {"hold_share": None}],
)
def test_a_wrong_setting_is_refused(merchant: Merchant, sandbox: Sandbox, settings: dict[str, object]) -> None:
    """From Python it raises."""
    assert merchant.control("settings", settings) == 400
    with pytest.raises(msgspec.ValidationError):
        sandbox.configure(**settings)


@pytest.mark.parametrize("body", [b"[]", b"{", b"1"])
def test_a_command_is_a_json_object(merchant: Merchant, body: bytes) -> None:
    """Anything else is refused; no body means no options."""
    headers = {"content-type": "application/json"}
    assert merchant.client.post("/sandbox/reset", content=body, headers=headers).status_code == 400
    assert merchant.client.post("/sandbox/reset").status_code == 200
