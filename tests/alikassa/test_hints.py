"""A genuine notification is a hint: it is kept whatever is odd in it, compared whole, and the provider is asked."""

from typing import Any

import pytest

from payhub import Delivery, Received
from payhub.journal import Key, Record, State, StoredNotification, Verdict
from payhub_alikassa.config import SAMPLE_ACCOUNT
from payhub_alikassa.sandbox import Sandbox
from payhub_alikassa.sandbox.notifications import add_signature
from payhub_alikassa.sandbox.php import php_json
from payhub_alikassa.sandbox.signatures import load_signer
from tests.alikassa.conftest import ACCOUNT
from tests.alikassa.orders import payment

PAID: dict[str, Any] = {
    "type": "payment", "order_id": "in-1", "payment_status": "paid", "amount": "3000.00", "payment_amount": "3000.00",
    "commission_amount": "90.00", "is_partial_payment": "0", "account": SAMPLE_ACCOUNT,
    "service": "payment_card_rub_hpp", "desc": "Order 1/2",
}  # fmt: skip


class Notified:
    """A hub with a payment that is paid, and a provider that notifies of it."""

    def __init__(self, hub: Any, sandbox: Sandbox) -> None:
        """Have the payment."""
        self.hub = hub
        self.journal = getattr(hub, "hub", hub).journal
        self.signer = load_signer(sandbox.config.parent, "sha1")
        self.id = int(hub.create_payment(ACCOUNT, payment()).provider_id)
        sandbox.settle("payment", "in-1")
        hub.advance(ACCOUNT, "payment", "in-1")

    def receive(self, **changes: Any) -> Received:
        """Receive a genuine notification, and ask if it gives reason to."""
        message = add_signature({"id": self.id, **PAID, **changes}, self.signer)
        received: Received = self.hub.receive(ACCOUNT, Delivery(method="POST", body=php_json(message)))
        if received.ask:
            note = received.notification
            self.hub.advance(note.account, note.kind, note.order_id)
        return received

    @property
    def record(self) -> Record:
        """Return what is known of the payment."""
        found: Record = self.journal.find(Key(ACCOUNT, "payment", "in-1"))
        return found

    @property
    def kept(self) -> StoredNotification:
        """Return the newest notification."""
        (stored,) = self.journal.notifications(1)
        assert isinstance(stored, StoredNotification)
        return stored


@pytest.fixture
def notified(hub: Any, sandbox: Sandbox) -> Notified:
    """Have a payment that is paid."""
    return Notified(hub, sandbox)


@pytest.mark.parametrize("word", ["refund", "chargeback", "reversed", "hold"])
def test_a_word_that_the_documents_lack_is_asked_about(notified: Notified, sandbox: Sandbox, word: str) -> None:
    """It may take the money back: what the provider answers then contradicts the success, and a person looks."""
    sandbox.arm("body", body={"payment_status": word})
    assert notified.receive(payment_status=word, payment_amount="0.00").ask
    assert (notified.kept.verdict, notified.record.state, notified.record.contradicted) == (
        Verdict.CONTRADICTED, State.SUCCEEDED, True
    )  # fmt: skip


OTHERS: list[dict[str, Any]] = [
    {"id": 7},
    {"id": 7, "amount": "5000.00"},
    {"id": 7, "payment_status": "wait", "payment_amount": None},
    {"id": 7, "payment_status": "fail"},
    {"amount": "5000.00"},
    {"payment_amount": "2999.99"},
    {"payment_amount": "-1"},
    {"currency": "EUR"},
]


@pytest.mark.parametrize("changes", OTHERS, ids=repr)
def test_rule_9_what_is_not_the_payments_is_flagged(notified: Notified, changes: dict[str, Any]) -> None:
    """Another id under our order_id may be a second payment, and our own question by id would not show it."""
    assert notified.receive(**changes).ask
    assert (notified.kept.verdict, notified.record.state, notified.record.contradicted) == (
        Verdict.CONTRADICTED, State.SUCCEEDED, True
    )  # fmt: skip
    assert [notified.record] == list(notified.journal.unsettled(0.0, 10))


def test_what_is_the_payments_is_confirmed(notified: Notified) -> None:
    """The same id, sums and currency need no question."""
    assert not notified.receive(currency="RUB").ask
    assert (notified.kept.verdict, notified.record.contradicted) == (Verdict.CONFIRMED, False)


ODD: list[dict[str, Any]] = [
    {"type": "refund"},
    {"amount": "3,000.00"},
    {"payment_status": None},
    {"payment_status": 2},
]
HARMLESS: list[dict[str, Any]] = [
    {"commission_amount": "90.0000000001"},
    {"commission_amount": "-"},
    {"meta": []},
    {"meta": {"a": 1}},
]


@pytest.mark.parametrize("changes", ODD, ids=repr)
def test_an_odd_message_is_a_reason_to_ask(notified: Notified, changes: dict[str, Any]) -> None:
    """The provider confirms the payment, so nothing is flagged."""
    received = notified.receive(**changes)
    assert (received.known, received.ask, received.notification.kind) == (True, True, "payment")
    assert (notified.kept.verdict, notified.record.contradicted) == (Verdict.OUTDATED, False)


@pytest.mark.parametrize("changes", HARMLESS, ids=repr)
def test_an_odd_value_that_decides_nothing_does_no_harm(notified: Notified, changes: dict[str, Any]) -> None:
    """A commission that cannot be read, or a field that nobody knows, is no reason for anything."""
    received = notified.receive(**changes)
    assert (received.known, received.ask, notified.kept.verdict) == (True, False, Verdict.CONFIRMED)


@pytest.mark.parametrize("changes", [{"order_id": None}, {"order_id": ""}, {"order_id": "in-404"}], ids=repr)
def test_a_message_about_no_order_of_ours_is_kept(notified: Notified, changes: dict[str, Any]) -> None:
    """A payment by a link of the cabinet has no order_id: the notification is answered, and a person can see it."""
    received = notified.receive(**changes)
    assert (received.known, received.ask, notified.kept.content.provider_id) == (False, False, str(notified.id))


def test_a_ticket_names_the_other_id(notified: Notified) -> None:
    """The provider's support can look for the second payment only by its id."""
    notified.receive(id=7)
    ticket = notified.hub.ticket(ACCOUNT, "payment", "in-1").rendered("md").decode()
    assert "your notification: `paid`, your id `7`, 3000.00 RUB; **CONTRADICTS our records**" in ticket
