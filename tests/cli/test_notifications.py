"""What an operator does with notifications: list, show, replay."""

import re
from collections.abc import Iterator

import pytest

from payhub import Hub
from payhub_alikassa.sandbox import Sandbox
from tests.alikassa.sandbox.receiver import Receiver, receiving

from .conftest import ACCOUNT, CARD, Command

PAYOUT = ("payout", ACCOUNT, "--order-id", "po-1", "--amount", "500", "--currency", "RUB", "--to-card", CARD)


def received(sandbox: Sandbox, receiver: Receiver, outcome: str = "paid") -> None:
    """Receive a notification of how a payout ended."""
    before = len(receiver.received())
    sandbox.settle("payout", "po-1", outcome)
    sandbox.notify("payout", "po-1", to=receiver.url)
    with Hub.from_file(sandbox.config) as hub:
        assert hub.receive(ACCOUNT, receiver.received(before + 1)[-1]).ask


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Serve the endpoint to which the provider sends."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def received_one(payhub: Command, sandbox: Sandbox, receiver: Receiver) -> None:
    """Have one payout whose notification was received, while the provider was not asked yet."""
    assert 0 == payhub(*PAYOUT).code
    received(sandbox, receiver)


@pytest.mark.usefixtures("received_one")
def test_notifications_are_listed(payhub: Command) -> None:
    """Each is a line, with what it says, how often it came, and its verdict."""
    shown, done = payhub("notifications", "list"), payhub("notifications", "list", "--json")
    (listed,) = done.json["notifications"]
    assert re.search(rf"1 +\d{{4}}-\S+ \S+ +{ACCOUNT} +payout +po-1 +paid +1 +waiting", shown.out)
    expected = {"number": 1, "order_id": "po-1", "verdict": "waiting", "times": 1}
    assert expected.items() <= listed.items()
    assert [[], ["po-1"]] == [
        [each["order_id"] for each in payhub("notifications", "list", "--order", o, "--json").json["notifications"]]
        for o in ("po-2", "po-1")
    ]


def test_no_notification_is_no_error(payhub: Command, sandbox: Sandbox) -> None:
    """An empty list is exit 0."""
    done = payhub("notifications", "list", "--config", sandbox.config)
    assert (0, "none\n") == (done.code, done.out)


@pytest.mark.usefixtures("received_one")
def test_resolve_shows_the_notification_that_contradicts(payhub: Command, sandbox: Sandbox) -> None:
    """Where no answer but a notification speaks against an order, it is what a person is shown."""
    sandbox.arm("body", path="/v1/payout/status", body={"payment_status": "fail"})
    payhub("check", ACCOUNT, "payout", "po-1")
    decision = ("--as", "failed", "--reason", "told so", "--by", "Anna")
    denial = payhub("resolve", ACCOUNT, "payout", "po-1", *decision, "--json").json["contradicted_by"]
    assert ("notification", "succeeded", "paid") == (denial["source"], denial["state"], denial["provider_status"])


@pytest.mark.usefixtures("received_one")
def test_one_notification_is_shown(payhub: Command) -> None:
    """With its signed fields, masked: the description may hold anything."""
    shown, done = payhub("notifications", "show", "1"), payhub("notifications", "show", "1", "--json")
    assert {"payment_status": "paid", "order_id": "po-1", "type": "payout"}.items() <= done.json["fields"].items()
    assert "sign" not in done.json["fields"]
    assert "identity" not in done.json
    assert '"payment_status":"paid"' in shown.out


@pytest.mark.usefixtures("received_one")
def test_replaying_asks_the_provider(payhub: Command, sandbox: Sandbox) -> None:
    """Only the provider's answer settles the order, and the notification with it."""
    done = payhub("notifications", "replay", "1", "--json")
    assert (0, "succeeded", "confirmed") == (done.code, done.json["status"], done.json["verdict"])
    assert 1 == sandbox.requests("/v1/payout/status")
    again = payhub("notifications", "replay", "1")
    assert (0, 2) == (again.code, sandbox.requests("/v1/payout/status"))
    assert "notification: confirmed" in again.out


@pytest.mark.usefixtures("received_one")
def test_the_story_of_an_order_has_its_notifications(payhub: Command) -> None:
    """Trace shows notifications of an order among what was asked."""
    shown, done = payhub("trace", "po-1"), payhub("trace", "po-1", "--json")
    assert ", paid 500.00 RUB: waiting" in shown.out
    assert ["attempt", "exchange", "evidence", "notification"] == [each["what"] for each in done.json["story"]]
    assert "waiting" == done.json["story"][-1]["notification"]["verdict"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show",), "Missing argument 'NUMBER'."),
        (("replay",), "Missing argument 'NUMBER'."),
        (("list", "1"), "Got unexpected extra argument(s) (*)"),
    ],
)
def test_a_number_is_for_one_notification(payhub: Command, arguments: tuple[str, ...], words: str) -> None:
    """To show or replay one takes its number, and to list them takes none."""
    done = payhub("notifications", *arguments)
    assert (2, f"payhub: {words}\n") == (done.code, done.err)


@pytest.mark.parametrize("action", ["show", "replay"])
def test_a_number_that_is_not_there(payhub: Command, sandbox: Sandbox, action: str) -> None:
    """Nothing is asked about what is not known."""
    done = payhub("notifications", action, "7", "--config", sandbox.config)
    assert (3, "payhub: the journal has no notification with this number\n") == (done.code, done.err)


def test_a_notification_about_an_unknown_order_cannot_be_replayed(
    payhub: Command, sandbox: Sandbox, receiver: Receiver
) -> None:
    """What was not ordered here is kept and listed; there is nothing to ask about."""
    sandbox.notify("payout", "6422494", to=receiver.url)
    with Hub.from_file(sandbox.config) as hub:
        assert not hub.receive(ACCOUNT, receiver.received(1)[0]).known
    done = payhub("notifications", "replay", "1", "--config", sandbox.config)
    assert (2, 0) == (done.code, sandbox.requests("/v1/payout/status"))
    assert "has no payout '6422494'" in done.err
