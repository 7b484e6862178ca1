"""Who is notified, when, how often, and what is kept of it."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
import pytest
import trustme

from payhub.models import Delivery
from payhub_alikassa.sandbox import Attempt, Sandbox
from payhub_alikassa.sandbox.addresses import is_local
from payhub_alikassa.sandbox.books import AlreadyFinal

from .merchant import HOSTED, PAYOUT, Merchant
from .receiver import PATIENCE, Receiver, eventually, key, read, receiving

ORDERS = {"payment": HOSTED, "payout": PAYOUT}
EXACTNESS = 0.02  # a clock may tick so much before a pause is over


def _statuses(deliveries: list[Delivery]) -> list[str]:
    return [parse_qs(each.query.decode())["payment_status"][0] for each in deliveries]


def _quiet(sandbox: Sandbox) -> None:
    """Wait until nothing is under way, so that nothing more can come."""
    eventually(lambda: not sandbox.pending_notifications())


def _statuses_sent(sandbox: Sandbox, receiver: Receiver) -> list[str]:
    """Return the statuses that were sent, when nothing is under way any more."""
    _quiet(sandbox)
    return _statuses(receiver.received())


# --- whom, and of what


@pytest.mark.parametrize("outcome", ["paid", "cancel", "fail"])
@pytest.mark.parametrize("kind", ["payment", "payout"])
def test_an_id_is_told_of_each_change_and_an_address_of_the_end(
    sandbox: Sandbox, merchant: Merchant, receiver: Receiver, kind: str, outcome: str
) -> None:
    """As the documents have it, for either kind and every outcome."""
    sandbox.configure(notification_endpoints={5: receiver.url})
    received: list[tuple[int, list[str]]] = []
    for endpoint in ({"notification_endpoint_id": 5}, {"notification_endpoint_url": receiver.url}):
        order_id = f"order-{len(received)}"
        merchant.ask(kind, {**ORDERS[kind], **endpoint, "order_id": order_id})
        _quiet(sandbox)
        before = len(receiver.received())
        sandbox.settle(kind, order_id, outcome)
        received.append((before, _statuses_sent(sandbox, receiver)))
    assert received == [(1, ["wait", outcome]), (2, ["wait", outcome, outcome])]


def test_when_each_is_told_is_a_setting(sandbox: Sandbox, merchant: Merchant, receiver: Receiver) -> None:
    """An id only of the end, an address of each change."""
    sandbox.configure(notification_endpoints={"5": receiver.url}, notify_id="final", notify_url="changes")
    merchant.ask("payment", {**HOSTED, "notification_endpoint_id": 5})
    merchant.ask("payout", {**PAYOUT, "notification_endpoint_url": receiver.url})
    sandbox.settle("payment", "in-1")
    _quiet(sandbox)
    assert [len(sandbox.notifications("payment", "in-1")), len(sandbox.notifications("payout", "po-1"))] == [1, 1]
    assert sorted(_statuses_sent(sandbox, receiver)) == ["paid", "wait"]


def test_an_id_and_an_address_are_both_notified(sandbox: Sandbox, merchant: Merchant, receiver: Receiver) -> None:
    """Each by its own rule."""
    sandbox.configure(notification_endpoints={5: f"{receiver.url}/id"})
    endpoints = {"notification_endpoint_id": "5", "notification_endpoint_url": f"{receiver.url}/url"}
    merchant.ask("payment", {**HOSTED, **endpoints})
    sandbox.settle("payment", "in-1")
    _quiet(sandbox)
    received = receiver.received()
    assert sorted(zip([each.path for each in received], _statuses(received), strict=True)) == [
        ("/notify/id", "paid"),
        ("/notify/id", "wait"),
        ("/notify/url", "paid"),
    ]


def test_without_an_endpoint_nothing_is_sent(sandbox: Sandbox, merchant: Merchant, receiver: Receiver) -> None:
    """An address of an id that the order does not name takes no part."""
    sandbox.configure(notification_endpoints={5: receiver.url})
    merchant.ask("payment", HOSTED)
    sandbox.settle("payment", "in-1")
    assert (_statuses_sent(sandbox, receiver), sandbox.notifications("payment", "in-1")) == ([], [])


def test_the_same_outcome_again_is_no_change(sandbox: Sandbox, merchant: Merchant, receiver: Receiver) -> None:
    """Nor is an outcome that is refused."""
    merchant.ask("payment", {**HOSTED, "notification_endpoint_url": receiver.url})
    for _ in range(2):
        sandbox.settle("payment", "in-1")
    with pytest.raises(AlreadyFinal):
        sandbox.settle("payment", "in-1", "fail")
    assert _statuses_sent(sandbox, receiver) == ["paid"]


def test_a_refused_order_is_no_change(sandbox: Sandbox, merchant: Merchant, receiver: Receiver) -> None:
    """Nobody hears of it."""
    sandbox.configure(notification_endpoints={5: receiver.url})
    merchant.refusals("payment", {**HOSTED, "amount": "0", "notification_endpoint_id": 5})
    assert _statuses_sent(sandbox, receiver) == []


def test_the_page_and_the_delay_change_statuses_too(sandbox: Sandbox, merchant: Merchant, receiver: Receiver) -> None:
    """Whatever gives an order its outcome, its endpoint is notified."""
    sandbox.configure(payout_delay=0)
    page = merchant.ask("payment", {**HOSTED, "notification_endpoint_url": receiver.url})["url"]
    merchant.client.post(str(page), data={"choice": "cancel"})
    assert _statuses(receiver.received(1)) == ["cancel"]
    merchant.ask("payout", {**PAYOUT, "notification_endpoint_url": receiver.url})
    assert _statuses(receiver.received(2)) == ["cancel", "paid"]


def test_changes_are_told_in_their_order(sandbox: Sandbox, merchant: Merchant, receiver: Receiver) -> None:
    """Also when the first one is still on its way at the time of the second."""
    sandbox.configure(notification_endpoints={5: receiver.url})
    receiver.open.clear()
    merchant.ask("payment", {**HOSTED, "notification_endpoint_id": 5})
    sandbox.settle("payment", "in-1")
    assert sandbox.pending_notifications() == 2
    receiver.received(1)
    receiver.open.set()
    assert _statuses(receiver.received(2)) == ["wait", "paid"]


# --- nothing beyond this machine

ELSEWHERE = [
    "https://shop.example/notify",
    "http://127.0.0.1.shop.example/",
    "http://127.0.0.1@shop.example/",
    "http://127.0.0.1\\@shop.example/",
    "http://192.168.0.1/",
    "http://0.0.0.0:80/",
    "http://2130706433/",
    "http://127.1/",
    "http://[::ffff:192.168.0.1]/",
    "http://①②⑦.0.0.1/",
    "http://127.0.0.1:99999/",
    "http:///notify",
    "//127.0.0.1/notify",
    "ftp://127.0.0.1/",
    "127.0.0.1:8000/notify",
    "notify",
]


@pytest.mark.parametrize("address", ELSEWHERE)
def test_nothing_is_sent_beyond_this_machine(sandbox: Sandbox, merchant: Merchant, address: str) -> None:
    """The order is taken as the provider takes it, and the refusal to send is kept."""
    merchant.ask("payment", {**HOSTED, "notification_endpoint_url": address})
    sandbox.settle("payment", "in-1")
    _quiet(sandbox)
    (kept,) = sandbox.notifications("payment", "in-1")
    assert (kept.to, kept.attempt, kept.answer, kept.problem) == (address, 0, None, "not an address of this machine")


@pytest.mark.parametrize("address", ELSEWHERE)
def test_an_endpoint_beyond_this_machine_is_refused(sandbox: Sandbox, merchant: Merchant, address: str) -> None:
    """At once, as a setting and as the address of a command."""
    with pytest.raises(msgspec.ValidationError, match="5 is not an http address of this machine"):
        sandbox.configure(notification_endpoints={5: address})
    assert merchant.control("settings", {"notification_endpoints": {"5": address}}) == 400
    with pytest.raises(ValueError, match="not an address of this machine"):
        sandbox.notify("payment", "1756900030", to=address)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/",
        "https://127.8.9.10:8443/x?y=1",
        "http://localhost:8000",
        "HTTP://LOCALHOST/",
        "http://[::1]:80/",
    ],
)
def test_these_addresses_are_of_this_machine(address: str) -> None:
    """By name, IPv4 and IPv6, with TLS or without."""
    assert is_local(address)


def test_no_proxy_is_asked(
    sandbox: Sandbox, merchant: Merchant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment says."""
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    merchant.ask("payment", HOSTED)
    sandbox.notify("payment", "in-1", to=receiver.url)
    receiver.received(1)


def test_any_certificate_will_do(sandbox: Sandbox) -> None:
    """A development server signs its own, and this machine is the only place where it can be."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("shop.example").configure_cert(tls)
    with receiving(tls) as receiver:
        sandbox.notify("payment", "1756900030", to=receiver.url.replace("http:", "https:"))
        assert _statuses(receiver.received(1)) == ["paid"]
        _quiet(sandbox)


def test_an_unknown_id_is_kept(sandbox: Sandbox, merchant: Merchant) -> None:
    """So that who waits for a notification sees why none comes."""
    merchant.ask("payment", {**HOSTED, "notification_endpoint_id": 5})
    (kept,) = sandbox.notifications("payment", "in-1")
    assert (kept.to, kept.attempt, kept.problem) == ("id 5", 0, "`notification_endpoints` has no such id")


# --- repeats


def test_it_repeats_until_200_with_growing_pauses(sandbox: Sandbox, merchant: Merchant, receiver: Receiver) -> None:
    """Nothing but 200 ends it, not even another success or a redirect; and then it ends."""
    sandbox.configure(notification_pause=0.05, notification_pause_growth=2)
    receiver.script = [500, 204, 302, 404]
    merchant.ask("payment", {**HOSTED, "notification_endpoint_url": receiver.url})
    sandbox.settle("payment", "in-1")
    _quiet(sandbox)
    received = receiver.received(5)
    assert [each.query for each in received] == [received[0].query] * 5
    assert {each.path for each in received} == {"/notify"}
    pauses = [later - before for before, later in zip(receiver.times, receiver.times[1:], strict=False)]
    assert all(pause >= least - EXACTNESS for pause, least in zip(pauses, [0.05, 0.1, 0.2, 0.4], strict=True))
    kept = sandbox.notifications("payment", "in-1")
    assert [(each.attempt, each.answer) for each in kept] == [(1, 500), (2, 204), (3, 302), (4, 404), (5, 200)]


def test_it_gives_up(sandbox: Sandbox, merchant: Merchant, receiver: Receiver) -> None:
    """After the last try nothing is under way any more."""
    sandbox.configure(notification_pause=0, notification_tries=3)
    receiver.script = [500] * 9
    merchant.ask("payment", {**HOSTED, "notification_endpoint_url": receiver.url})
    sandbox.settle("payment", "in-1")
    _quiet(sandbox)
    assert len(receiver.received()) == 3
    assert [each.answer for each in sandbox.notifications("payment", "in-1")] == [500] * 3


def test_who_does_not_answer_is_left(sandbox: Sandbox, merchant: Merchant, receiver: Receiver) -> None:
    """After the timeout, and asked again."""
    sandbox.configure(notification_timeout=0.2, notification_tries=2, notification_pause=0)
    receiver.open.clear()
    merchant.ask("payment", {**HOSTED, "notification_endpoint_url": receiver.url})
    sandbox.settle("payment", "in-1")
    _quiet(sandbox)
    kept = sandbox.notifications("payment", "in-1")
    assert [(each.attempt, each.answer, each.problem) for each in kept] == [
        (1, None, "no answer within 0.2 s"),
        (2, None, "no answer within 0.2 s"),
    ]


@contextlib.contextmanager
def _silent_port() -> Iterator[int]:
    """Hold a port that is not listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_who_is_not_there_is_kept_with_the_reason(sandbox: Sandbox, merchant: Merchant) -> None:
    """A refused connection has no status."""
    sandbox.configure(notification_tries=1)
    with _silent_port() as port:
        merchant.ask("payment", {**HOSTED, "notification_endpoint_url": f"http://127.0.0.1:{port}/"})
        sandbox.settle("payment", "in-1")
        _quiet(sandbox)
    (kept,) = sandbox.notifications("payment", "in-1")
    assert (kept.attempt, kept.answer, kept.problem) == (1, None, "All connection attempts failed")


@pytest.mark.parametrize(
    "settings",
    [
        {"notification_tries": 0},
        {"notification_pause": -1},
        {"notification_pause_growth": 0.5},
        {"notification_timeout": 0},
        {"notification_transport": "POST"},
        {"notification_fields": 13},
        {"notify_id": "never"},
        {"notification_endpoints": {"five": "http://127.0.0.1/"}},
    ],
)
def test_a_wrong_setting_is_refused(merchant: Merchant, sandbox: Sandbox, settings: dict[str, object]) -> None:
    """From Python it raises."""
    assert merchant.control("settings", settings) == 400
    with pytest.raises(msgspec.ValidationError):
        sandbox.configure(**settings)


# --- on demand


def test_a_notification_is_sent_when_asked_for(
    sandbox: Sandbox, merchant: Merchant, receiver: Receiver, directory: Path
) -> None:
    """As often as asked, whatever the status, to the order's endpoint and by any transport."""
    merchant.ask("payment", {**HOSTED, "notification_endpoint_url": receiver.url})
    sandbox.notify("payment", "in-1")
    sandbox.notify("payment", "in-1", transport="JSON")
    receiver.received(2)
    sandbox.settle("payment", "in-1")
    receiver.received(3)
    sandbox.notify("payment", "in-1", transport="form")
    received = [(each.method, read(each, key(directory))) for each in receiver.received(4)]
    assert [(method, each and each.provider_status) for method, each in received] == [
        ("GET", "wait"),
        ("POST", "wait"),
        ("GET", "paid"),
        ("POST", "paid"),
    ]


def test_a_notification_is_sent_over_http(merchant: Merchant, receiver: Receiver) -> None:
    """With the same names."""
    merchant.ask("payout", {**PAYOUT, "notification_endpoint_url": f"{receiver.url}/own"})
    wanted = {"kind": "payout", "order_id": "po-1", "transport": "JSON", "to": receiver.url}
    assert merchant.control("notify", wanted) == 200
    assert receiver.received(1)[0].body.startswith(b'{"type":"payout","id":')


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({}, 400),
        ({"kind": "payment", "order_id": "in-1"}, 400),
        ({"kind": "payment", "order_id": "in-1", "to": "https://shop.example/"}, 400),
        ({"kind": "payment", "order_id": "in-1", "transport": "POST"}, 400),
        ({"kind": "payment", "order_id": "in-1", "method": "GET"}, 400),
        ({"kind": "payment", "order_id": "in-2"}, 404),
    ],
)
def test_a_wrong_wish_is_refused(sandbox: Sandbox, merchant: Merchant, wanted: dict[str, object], status: int) -> None:
    """An order without an endpoint, too."""
    merchant.ask("payment", HOSTED)
    assert merchant.control("notify", wanted) == status
    assert sandbox.pending_notifications() == 0
    assert sandbox.notifications("payment", "in-1") == []


def test_an_order_without_an_endpoint_says_so(sandbox: Sandbox) -> None:
    """From Python it raises; so does an unknown order."""
    with pytest.raises(ValueError, match="this payment has no notification endpoint"):
        sandbox.notify("payment", "1756900030")
    with pytest.raises(LookupError, match="no such payout"):
        sandbox.notify("payout", "po-2", to="http://127.0.0.1/")


# --- what is kept


def test_what_was_sent_can_be_read(sandbox: Sandbox, merchant: Merchant, receiver: Receiver) -> None:
    """By order from Python, all of it over HTTP."""
    sandbox.configure(notification_pause=0)
    receiver.script = [503]
    merchant.ask("payout", {**PAYOUT, "notification_endpoint_url": receiver.url})
    merchant.ask("payment", {**HOSTED, "notification_endpoint_url": "https://shop.example/"})
    sandbox.settle("payment", "in-1")
    sandbox.settle("payout", "po-1", "cancel")
    _quiet(sandbox)
    tries = [
        Attempt(
            kind="payout", order_id="po-1", status="cancel", to=receiver.url, transport="GET", attempt=n, answer=status
        )
        for n, status in ((1, 503), (2, 200))
    ]
    assert sandbox.notifications("payout", "po-1") == tries
    assert sandbox.notifications("payment", "po-1") == []
    everything = [*sandbox.notifications("payment", "in-1"), *tries]
    shown = merchant.client.get("/sandbox/notifications").json()
    assert shown == {"sent": msgspec.to_builtins(everything), "pending": 0}


def test_a_reset_forgets_what_was_sent_and_what_is_under_way(
    sandbox: Sandbox, merchant: Merchant, receiver: Receiver
) -> None:
    """Repeats of before do not reach a test that comes after."""
    sandbox.configure(notification_pause=3600)
    receiver.script = [500]
    merchant.ask("payment", {**HOSTED, "notification_endpoint_url": receiver.url})
    sandbox.settle("payment", "in-1")
    eventually(lambda: len(sandbox.notifications("payment", "in-1")) == 1)
    assert sandbox.pending_notifications() == 1
    sandbox.reset()
    assert (sandbox.pending_notifications(), sandbox.notifications("payment", "in-1")) == (0, [])


def test_it_stops_with_the_server(directory: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """Whether it waits for an answer, a pause, a later one or its time; what was sent can still be read."""
    receiver.script = [500]
    with Sandbox(directory) as sandbox:
        sandbox.configure(notification_pause=3600)
        sandbox.notify("payment", "1756900030", to=receiver.url)
        eventually(lambda: len(sandbox.notifications("payment", "1756900030")) == 1)
        sandbox.arm("late", seconds=3600)
        sandbox.arm("out_of_order")
        for _ in range(2):
            sandbox.notify("payout", "6422494", to=receiver.url)
        receiver.open.clear()
        sandbox.notify("payout", "6422494", to=receiver.url)
        receiver.received(2)
        assert sandbox.pending_notifications() == 4
        begun = time.monotonic()
    assert time.monotonic() - begun < PATIENCE
    assert sandbox.pending_notifications() == 0
    assert [each.answer for each in sandbox.notifications("payment", "1756900030")] == [500]
    assert [record for record in caplog.records if record.name == "asyncio"] == []
