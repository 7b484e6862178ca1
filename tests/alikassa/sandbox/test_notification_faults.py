"""What goes wrong with notifications on demand, seen by who receives them."""

import time
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec
import pytest

from payhub.models import Delivery
from payhub_alikassa.sandbox import Sandbox
from payhub_alikassa.sandbox.notification_faults import AnyNotificationFault

from .merchant import HOSTED, PAYOUT, Merchant
from .receiver import Receiver, eventually, key, read, verified_by_php

EXACTNESS = 0.02  # a clock may tick so much before a pause is over


@pytest.fixture
def shop(sandbox: Sandbox, merchant: Merchant, receiver: Receiver) -> Merchant:
    """Make a payment and a payout, and wait until their endpoint, which is notified of each change, knows of both."""
    sandbox.configure(notification_endpoints={5: receiver.url}, notification_pause=0)
    merchant.ask("payment", {**HOSTED, "notification_endpoint_id": 5})
    merchant.ask("payout", {**PAYOUT, "notification_endpoint_id": 5})
    _told(sandbox, receiver)
    return merchant


def _fields(delivery: Delivery) -> dict[str, str]:
    return dict(parse_qsl(delivery.query.decode()))


def _told(sandbox: Sandbox, receiver: Receiver) -> list[tuple[str, str]]:
    """Return the order and status of every notification, when nothing is under way any more."""
    eventually(lambda: not sandbox.pending_notifications())
    received = map(_fields, receiver.received())
    return [(each["order_id"], each["payment_status"]) for each in received]


def _faults(sandbox: Sandbox, kind: str, order_id: str) -> list[str | None]:
    return [each.fault for each in sandbox.notifications(kind, order_id)]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("copies", [2, 7])
def test_duplicated(sandbox: Sandbox, receiver: Receiver, copies: int) -> None:
    """The very same, so many times."""
    sandbox.arm("duplicated", copies=copies)
    sandbox.settle("payment", "in-1")
    assert _told(sandbox, receiver)[2:] == [("in-1", "paid")] * copies
    assert len({each.query for each in receiver.received()[2:]}) == 1
    assert _faults(sandbox, "payment", "in-1") == [None, *["duplicated"] * copies]


@pytest.mark.usefixtures("shop")
def test_each_copy_is_repeated_until_200(sandbox: Sandbox, receiver: Receiver) -> None:
    """Those that were taken are not sent again."""
    receiver.script = [200, 500, 500]
    sandbox.arm("duplicated", copies=3)
    sandbox.settle("payment", "in-1")
    assert _told(sandbox, receiver)[2:] == [("in-1", "paid")] * 5
    kept = sandbox.notifications("payment", "in-1")[1:]
    assert [each.attempt for each in kept] == [1, 1, 1, 2, 2]
    assert sorted(each.answer or 0 for each in kept) == [200, 200, 200, 500, 500]


@pytest.mark.usefixtures("shop")
def test_copies_are_sent_at_once(sandbox: Sandbox, receiver: Receiver) -> None:
    """All are there before the first is answered: who takes only one must take it under a lock."""
    receiver.open.clear()
    sandbox.arm("duplicated", copies=3)
    sandbox.settle("payment", "in-1")
    receiver.received(5)
    receiver.open.set()
    assert _told(sandbox, receiver)[2:] == [("in-1", "paid")] * 3


@pytest.mark.usefixtures("shop")
def test_late(sandbox: Sandbox, receiver: Receiver) -> None:
    """Not before its time."""
    sandbox.arm("late", seconds=0.3)
    begun = time.monotonic()
    sandbox.settle("payment", "in-1")
    assert _told(sandbox, receiver)[2:] == [("in-1", "paid")]
    assert receiver.times[2] - begun >= 0.3 - EXACTNESS
    assert _faults(sandbox, "payment", "in-1") == [None, "late"]


@pytest.mark.usefixtures("shop")
def test_a_late_one_is_overtaken(sandbox: Sandbox, receiver: Receiver) -> None:
    """However late it is, nothing waits for it."""
    sandbox.arm("late", seconds=3600)
    sandbox.settle("payment", "in-1")
    sandbox.settle("payout", "po-1")
    assert _fields(receiver.received(3)[2])["order_id"] == "po-1"
    eventually(lambda: sandbox.pending_notifications() == 1)
    assert len(receiver.received()) == 3


def test_out_of_order(sandbox: Sandbox, merchant: Merchant, receiver: Receiver) -> None:
    """The notification of an order's beginning comes after that of its end."""
    sandbox.configure(notification_endpoints={5: receiver.url})
    sandbox.arm("out_of_order", status="wait", order_id="in-1")
    merchant.ask("payment", {**HOSTED, "notification_endpoint_id": 5})
    merchant.ask("payout", {**PAYOUT, "notification_endpoint_id": 5})
    receiver.received(1)
    eventually(lambda: sandbox.pending_notifications() == 1)
    sandbox.settle("payment", "in-1")
    assert _told(sandbox, receiver) == [("po-1", "wait"), ("in-1", "paid"), ("in-1", "wait")]


@pytest.mark.usefixtures("shop")
def test_out_of_order_among_all_orders(sandbox: Sandbox, receiver: Receiver) -> None:
    """If no order is named any later notification will do, once it was taken; a lost one will not."""
    receiver.script = [500]
    sandbox.arm("out_of_order")
    sandbox.arm("lost")
    sandbox.settle("payment", "in-1")
    sandbox.notify("payout", "po-1")
    assert sandbox.pending_notifications() == 1
    sandbox.settle("payout", "po-1", "cancel")
    assert _told(sandbox, receiver)[2:] == [("po-1", "cancel"), ("po-1", "cancel"), ("in-1", "paid")]


@pytest.mark.usefixtures("shop")
def test_an_earlier_one_lets_nobody_go(sandbox: Sandbox, receiver: Receiver) -> None:
    """Out of order is after a later one, not after one that was under way already."""
    receiver.open.clear()
    sandbox.settle("payout", "po-1")
    receiver.received(3)
    sandbox.arm("out_of_order")
    sandbox.settle("payment", "in-1")
    receiver.open.set()
    eventually(lambda: sandbox.pending_notifications() == 1)
    assert len(receiver.received()) == 3
    sandbox.notify("payout", "po-1")
    assert _told(sandbox, receiver)[3:] == [("po-1", "paid"), ("in-1", "paid")]


NINES = ["payment_amount", "id", "order_id", "payment_status", "amount", "commission_amount", "is_partial_payment"]
ALTERED = [(field, None) for field in (*NINES, "type", "account", "service", "desc")]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("transport", ["GET", "form", "JSON"])
@pytest.mark.parametrize(("field", "value"), [*ALTERED, ("payment_status", "fail"), ("payment_amount", "9999.00")])
def test_altered(
    sandbox: Sandbox, receiver: Receiver, directory: Path, field: str, value: str | None, transport: str
) -> None:
    """One value is another than was signed, the signature is the true one, and the driver refuses it."""
    verifier = key(directory)
    sandbox.configure(notification_tries=1, notification_transport=transport)
    sandbox.arm("altered", field=field, **({} if value is None else {"value": value}))
    for _ in range(2):
        sandbox.notify("payment", "in-1")
        eventually(lambda: not sandbox.pending_notifications())
    altered, true = ({**_fields(each), **_body(each)} for each in receiver.received(4)[2:])
    differing = {name for name in altered.keys() | true.keys() if altered.get(name) != true.get(name)}
    assert (differing, altered[field]) == ({field}, value or f"9{true.get(field) or ''}")
    assert [read(each, verifier) is not None for each in receiver.received()] == [True, True, False, True]


def _body(delivery: Delivery) -> dict[str, str]:
    if delivery.body.startswith(b"{"):
        return dict(msgspec.json.decode(delivery.body))
    return dict(parse_qsl(delivery.body.decode()))


@pytest.mark.usefixtures("shop")
def test_other_key(sandbox: Sandbox, receiver: Receiver, directory: Path) -> None:
    """Every value is true, and the signature a stranger's: neither the driver nor PHP takes it."""
    sandbox.arm("other_key")
    sandbox.notify("payment", "in-1")
    other = receiver.received(3)[2]
    sandbox.notify("payment", "in-1")
    true = receiver.received(4)[3]
    first, second = _fields(other), _fields(true)
    assert (len(first.pop("sign")), len(second.pop("sign"))) == (344, 344)
    assert first == second
    assert [read(each, key(directory)) is not None for each in (other, true)] == [False, True]
    judged = [verified_by_php(directory, "notification", each.query) for each in (other, true)]
    assert judged == [False, True]


@pytest.mark.usefixtures("shop")
def test_lost(sandbox: Sandbox, receiver: Receiver) -> None:
    """Never sent, and kept as such; the next one comes."""
    sandbox.arm("lost")
    sandbox.settle("payment", "in-1")
    sandbox.settle("payout", "po-1")
    assert _told(sandbox, receiver)[2:] == [("po-1", "paid")]
    kept = sandbox.notifications("payment", "in-1")[-1]
    assert (kept.status, kept.fault, kept.attempt, kept.answer, kept.problem) == ("paid", "lost", 0, None, "lost")


@pytest.mark.usefixtures("shop")
def test_a_fault_goes_for_every_repeat(sandbox: Sandbox, receiver: Receiver, directory: Path) -> None:
    """And for the one notification only."""
    receiver.script = [400, 400]
    sandbox.arm("altered", field="amount", value="1.00")
    sandbox.settle("payment", "in-1")
    _told(sandbox, receiver)
    sandbox.notify("payment", "in-1")
    received = receiver.received(6)[2:]
    assert [_fields(each)["amount"] for each in received] == ["1.00", "1.00", "1.00", "1500.00"]
    assert [read(each, key(directory)) is not None for each in received] == [False, False, False, True]


@pytest.mark.usefixtures("shop")
def test_a_fault_meets_those_it_names(sandbox: Sandbox, receiver: Receiver) -> None:
    """By kind, order and status, so many times as it says, in the order they were armed."""
    sandbox.arm("lost", kind="payout", times=2)
    sandbox.arm("lost", order_id="in-1", status="paid")
    sandbox.arm("lost", order_id="in-2")
    for order in (("payment", "in-1"), ("payout", "po-1"), ("payout", "po-1"), ("payout", "po-1")):
        sandbox.notify(*order)
        eventually(lambda: not sandbox.pending_notifications())
    sandbox.settle("payment", "in-1")
    assert _told(sandbox, receiver)[2:] == [("in-1", "wait"), ("po-1", "wait")]
    assert _faults(sandbox, "payment", "in-1") == [None, None, "lost"]


@pytest.mark.usefixtures("shop")
def test_requests_and_notifications_have_their_own_faults(sandbox: Sandbox, shop: Merchant, receiver: Receiver) -> None:
    """One armed for the one waits until it meets one of these."""
    sandbox.arm("lost")
    sandbox.arm("status", status=503)
    assert shop.send("account/balance", []).status_code == 503
    assert shop.send("account/balance", []).status_code == 200
    sandbox.settle("payment", "in-1")
    assert _told(sandbox, receiver)[2:] == []


@pytest.mark.usefixtures("shop")
def test_faults_are_disarmed(sandbox: Sandbox, receiver: Receiver) -> None:
    """With all the others."""
    sandbox.arm("lost", times=9)
    sandbox.disarm()
    sandbox.settle("payment", "in-1")
    assert _told(sandbox, receiver)[2:] == [("in-1", "paid")]


def test_faults_are_armed_over_http(sandbox: Sandbox, shop: Merchant, receiver: Receiver) -> None:
    """With the same names and options."""
    assert shop.control("faults", {"fault": "lost", "kind": "payment"}) == 200
    sandbox.settle("payment", "in-1")
    sandbox.settle("payout", "po-1")
    assert _told(sandbox, receiver)[2:] == [("po-1", "paid")]


@pytest.mark.parametrize("fault", AnyNotificationFault.__args__, ids=lambda fault: fault.__name__)
def test_a_notifications_fault_has_no_path(sandbox: Sandbox, fault: type[msgspec.Struct]) -> None:
    """An option that a fault does not have would be a test that tests nothing."""
    with pytest.raises(msgspec.ValidationError):
        sandbox.arm(str(fault.__struct_config__.tag), path="/v1/")


@pytest.mark.parametrize(
    "options",
    [
        {"fault": "duplicated", "copies": 1},
        {"fault": "late", "seconds": -1},
        {"fault": "altered", "field": "sign"},
        {"fault": "lost", "kind": "refund"},
        {"fault": "lost", "status": "hold"},
        {"fault": "lost", "times": 0},
    ],
)
def test_a_wrong_option_is_refused(merchant: Merchant, options: dict[str, object]) -> None:
    """And nothing is armed."""
    assert merchant.control("faults", options) == 400
