"""Every operation goes through real HTTP to the sandbox and comes back understood, in both modes."""

import base64
import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from payhub import (
    BadNotification,
    ConfigurationError,
    Declined,
    Delivery,
    Hub,
    InvalidOrder,
    Money,
    NotFound,
    NotSent,
    Phase,
    ReturnedPayer,
    Status,
    Unavailable,
)
from payhub.driver import Call, Response, Unreadable
from payhub.models import Period, Ref
from payhub_alikassa import AliKassaPayment, AliKassaPayout, models, plugin
from payhub_alikassa.account import AliKassaAccount
from payhub_alikassa.config import SAMPLE_ACCOUNT
from payhub_alikassa.sandbox import Sandbox
from tests.alikassa.conftest import ACCOUNT, open_hub, openssl
from tests.alikassa.orders import (
    BANK,
    CARD,
    TO_BANK_ACCOUNT,
    TO_CARD,
    TO_PHONE,
    TO_WALLET,
    config,
    payment,
    payout,
)
from tests.conftest import in_mode

VECTORS = Path(__file__).parent / "vectors"
PAYMENTS = [
    payment(order_id="in-card-hosted"),
    payment(order_id="in-card-direct", presentation="direct", bank_code=BANK),
    payment(order_id="in-sbp-hosted", method="sbp"),
    payment(order_id="in-sbp-direct", method="sbp", presentation="direct"),
    payment(order_id="in-sberpay", method="sberpay", presentation="direct"),
    payment(order_id="in-account-hosted", method="bank_account"),
    payment(order_id="in-account-direct", method="bank_account", presentation="direct"),
]


@pytest.mark.parametrize("order", PAYMENTS, ids=lambda order: order.order_id)
def test_a_payment_is_made_paid_and_seen(hub: Any, sandbox: Sandbox, order: Any) -> None:
    """Every documented way to pay is created, gives the payer somewhere to go, and ends as paid."""
    created = hub.create_payment(ACCOUNT, order)
    assert (created.status, created.account, created.provider, created.order_id, created.requested) == (
        Status.PENDING, ACCOUNT, "alikassa", order.order_id, order.amount,
    )  # fmt: skip
    assert created.redirect_url or created.requisites
    sandbox.settle("payment", order.order_id)
    paid = hub.fetch_payment(ACCOUNT, provider_id=created.provider_id, amount=order.amount)
    assert (paid.status, paid.order_id, paid.paid, paid.credited, paid.commission, paid.mismatches) == (
        Status.SUCCEEDED, order.order_id, order.amount, Money(2910, "RUB"), Money(90, "RUB"), (),
    )  # fmt: skip


@pytest.mark.parametrize("to", [TO_CARD, TO_PHONE, TO_BANK_ACCOUNT, TO_WALLET], ids=lambda to: type(to).__name__)
@pytest.mark.parametrize(
    ("outcome", "status"), [("paid", Status.SUCCEEDED), ("cancel", Status.CANCELED), ("fail", Status.FAILED)]
)
def test_a_payout_is_made_and_ends(hub: Any, sandbox: Sandbox, to: Any, outcome: str, status: Status) -> None:
    """Every documented destination is paid, and each of the provider's final words is understood."""
    created = hub.create_payout(ACCOUNT, payout(to))
    assert (created.status, created.requested) == (Status.PENDING, Money("1000.44", "RUB"))
    sandbox.settle("payout", "po-1", outcome)
    found = hub.fetch_payout(ACCOUNT, order_id="po-1", amount=Money("1000.44", "RUB"))
    assert (found.status, found.provider_id, found.mismatches) == (status, created.provider_id, ())


def test_a_partial_payment_is_seen_as_one(hub: Any, sandbox: Sandbox) -> None:
    """A payer who sends less is credited with what was sent."""
    hub.create_payment(ACCOUNT, payment())
    sandbox.settle("payment", "in-1", "paid", "1000.50")
    found = hub.fetch_payment(ACCOUNT, order_id="in-1")
    assert (found.status, found.requested, found.paid, found.partial) == (
        Status.SUCCEEDED, Money(3000, "RUB"), Money("1000.50", "RUB"), True,
    )  # fmt: skip


def test_the_balance_moves(hub: Any) -> None:
    """A payout on its way is seen in the balance."""
    before = hub.fetch_balance(ACCOUNT)
    hub.create_payout(ACCOUNT, payout())
    after = hub.fetch_balance(ACCOUNT)
    assert (before.account, before.pending_payouts) == (ACCOUNT, Money(0, "RUB"))
    assert before.available.amount - after.available.amount == after.pending_payouts.amount


def test_the_account_says_what_it_may_do(hub: Any) -> None:
    """The services of the account are listed with their state."""
    info = hub.fetch_account_info(ACCOUNT)
    active = {(s.kind, s.code) for s in info.services if s.active}
    assert (info.payments_allowed, info.payouts_allowed) == (True, True)
    assert {("payment", "payment_card_number_rub_hpp"), ("payout", "payment_card_rub")} <= active


def test_history_is_read_to_the_last_page(hub: Any) -> None:
    """A list longer than a page is read whole, without a payment twice."""
    expected = {f"in-{n}" for n in range(120)}
    for order_id in sorted(expected):
        hub.create_payment(ACCOUNT, payment(order_id=order_id))
    today = dt.datetime.now(dt.UTC).date()
    found = hub.list_payments(ACCOUNT, first=today - dt.timedelta(days=1), last=today + dt.timedelta(days=1))
    ours = [p.order_id for p in found if p.order_id in expected]
    assert (len(ours), set(ours)) == (120, expected)


def test_what_the_provider_does_not_know_is_not_found(hub: Any) -> None:
    """Not found is an error of reading, and says nothing about money."""
    for fetch in (hub.fetch_payment, hub.fetch_payout):
        with pytest.raises(NotFound):
            fetch(ACCOUNT, order_id="nobody")


def test_a_refused_payment_is_declined_and_a_refused_payout_is_unknown(hub: Any) -> None:
    """Rule 7: HTTP 400 with complaints refuses a payment for good, and leaves a payout unknown."""
    with pytest.raises(Declined) as error:
        hub.create_payment(ACCOUNT, payment(extra=AliKassaPayment(service="nobodys")))
    assert (error.value.code, list(error.value.errors)) == ("400", ["service"])
    refused = hub.create_payout(ACCOUNT, payout(extra=AliKassaPayout(service="nobodys")))
    assert (refused.status, refused.reason) == (Status.UNKNOWN, f"HTTP 400: {error.value}")


def test_an_invalid_order_never_leaves(hub: Any, sandbox: Sandbox) -> None:
    """What is refused here is not sent."""
    with pytest.raises(InvalidOrder):
        hub.create_payout(ACCOUNT, payout(order_id="x" * 129))
    with pytest.raises(InvalidOrder):
        hub.create_payment(ACCOUNT, payment(payer=None))
    assert (sandbox.requests("/v1/payout"), sandbox.requests("/v1/payment")) == (0, 0)


ENDLESS = {"slow", "drip", "stall"}
"""Faults that only the deadline ends."""


@pytest.fixture(params=["sync", "async"])
def impatient(request: pytest.FixtureRequest, sandbox: Sandbox, fault: str) -> Iterator[Any]:
    """Open a hub, in both modes, whose deadline is short where nothing else ends a fault."""
    path = sandbox.config.with_name("impatient.toml")
    path.write_text(f"{sandbox.config.read_text()}\n[transport]\ndeadline = {1.0 if fault in ENDLESS else 30.0}\n")
    yield from open_hub(request.param, path)


NOT_SENT, MAYBE_SENT, ANSWERED = Phase
# fault, its options, how far the call got, how often the sandbox accepted the create
FAULTS: list[tuple[str, dict[str, Any], Phase, int]] = [
    ("refuse", {"seconds": None}, NOT_SENT, 0),
    ("cut_before_answer", {}, MAYBE_SENT, 0),
    ("cut_after_accepting", {}, MAYBE_SENT, 1),
    ("cut_mid_body", {}, MAYBE_SENT, 1),
    ("error_500_after_accepting", {}, ANSWERED, 1),
    ("slow", {"seconds": 30}, MAYBE_SENT, 1),
    ("drip", {"interval": 0.1}, MAYBE_SENT, 1),
    ("stall", {}, MAYBE_SENT, 0),
    ("html", {}, ANSWERED, 0),
    ("huge_body", {}, MAYBE_SENT, 1),
    ("gzip", {}, MAYBE_SENT, 1),
    ("gzip", {"padding": 100_000_000}, MAYBE_SENT, 1),
    ("redirect", {"accept": True}, ANSWERED, 1),
    ("status", {"status": 401, "body": {"message": "Unauthorized"}}, ANSWERED, 0),
    ("status", {"status": 404, "body": {"message": "Payment not found"}}, ANSWERED, 0),
    ("status", {"status": 429, "accept": True}, ANSWERED, 1),
    ("status", {"status": 500, "body": {"message": "Internal server error"}}, ANSWERED, 0),
    ("body", {"body": {"id": None}}, ANSWERED, 1),
    ("body", {"body": {"errors": {"amount": ["?"]}}}, ANSWERED, 1),
    ("body", {"body": {"order_id": "another"}}, ANSWERED, 1),
    ("body", {"body": {"amount": "1.00"}}, ANSWERED, 1),
    ("body", {"body": {"amount": "3000.00", "currency": "USD"}}, ANSWERED, 1),
]
CREATES: list[tuple[str, str, Callable[[], Any]]] = [
    ("payment", "create_payment", payment),
    ("payout", "create_payout", lambda: payout(amount="3000")),
]


@pytest.mark.parametrize(("kind", "operation", "make"), CREATES, ids=["payment", "payout"])
@pytest.mark.parametrize(("fault", "options", "phase", "accepted"), FAULTS, ids=repr)
def test_every_fault_while_creating(
    impatient: Any, sandbox: Sandbox, kind: Any, operation: str, make: Callable[[], Any], fault: str,
    options: dict[str, Any], phase: Phase, accepted: int,
) -> None:  # fmt: skip
    """Rules 3 to 4: nothing sent is an error, anything else is UNKNOWN, and nothing is sent twice."""
    order = make()
    sandbox.arm(fault, **options)
    with capture_logs() as logs:
        try:
            found = getattr(impatient, operation)(ACCOUNT, order)
        except NotSent:
            found = None
    events = [log for log in logs if log["event"] == "payhub.exchange"]
    sandbox.disarm()
    assert [event["phase"] for event in events] == [phase]
    assert (found is None) == (phase is NOT_SENT)
    assert found is None or (found.status, found.order_id, found.requested) == (
        Status.UNKNOWN, order.order_id, order.amount,
    )  # fmt: skip
    assert sandbox.accepted(kind, order.order_id) == accepted
    assert CARD not in repr(logs)


READ_ONCE = ["html", "gzip", "huge_body", "redirect", "cut_before_answer", "cut_mid_body", "stall", "drip", "slow"]


@pytest.mark.parametrize("fault", READ_ONCE)
def test_a_read_without_a_usable_answer_is_unavailable(impatient: Any, sandbox: Sandbox, fault: str) -> None:
    """A read that may have been sent is not repeated; it is Unavailable, and the next one works."""
    impatient.create_payout(ACCOUNT, payout())
    sandbox.arm(fault, **({"seconds": 30} if fault == "slow" else {}))
    with pytest.raises(Unavailable):
        impatient.fetch_payout(ACCOUNT, order_id="po-1")
    sandbox.disarm()
    assert impatient.fetch_payout(ACCOUNT, order_id="po-1").status is Status.PENDING


def test_a_read_is_repeated_after_a_server_error(hub: Any, sandbox: Sandbox) -> None:
    """A read that was answered 500 is asked again, within the deadline."""
    hub.create_payout(ACCOUNT, payout())
    sandbox.arm("status", status=500, times=2)
    assert hub.fetch_payout(ACCOUNT, order_id="po-1").status is Status.PENDING
    assert sandbox.requests("/v1/payout/status") == 3


def test_a_read_is_repeated_when_nothing_was_sent(hub: Any, sandbox: Sandbox) -> None:
    """A read that could not be sent is tried again, within the deadline."""
    hub.create_payout(ACCOUNT, payout())
    sandbox.arm("refuse", seconds=0.3)
    assert hub.fetch_payout(ACCOUNT, order_id="po-1").status is Status.PENDING


@pytest.mark.parametrize(
    ("body", "mismatch"),
    [({"order_id": "another"}, "order_id"), ({"order_id": ""}, "order_id"), ({"id": 1}, "provider_id"),
     ({"amount": "1.00"}, "requested"),
     ({"currency": "USD"}, "requested")],
)  # fmt: skip
def test_a_paid_answer_about_something_else_is_not_a_success(
    hub: Any, sandbox: Sandbox, body: dict[str, Any], mismatch: str
) -> None:
    """Rule 10: an answer that contradicts what was asked needs attention."""
    created = hub.create_payment(ACCOUNT, payment())
    sandbox.settle("payment", "in-1")
    sandbox.arm("body", body=body)
    by = {"order_id": "in-1"} if mismatch == "order_id" else {"provider_id": created.provider_id}
    found = hub.fetch_payment(ACCOUNT, **by, amount=Money(3000, "RUB"))
    assert (found.status, found.mismatches[0], found.provider_status) == (Status.UNKNOWN, mismatch, "paid")


def test_a_stranger_word_is_pending(hub: Any, sandbox: Sandbox) -> None:
    """A status that the documents do not have is not final, and the word is kept."""
    hub.create_payout(ACCOUNT, payout())
    sandbox.arm("body", body={"payment_status": "chargeback"})
    found = hub.fetch_payout(ACCOUNT, order_id="po-1")
    assert (found.status, found.provider_status) == (Status.PENDING, "chargeback")


@pytest.fixture
def account(archive: Callable[..., Path]) -> AliKassaAccount:
    """Open an account with real keys, without any server."""
    folder = archive()
    return AliKassaAccount(config(payment_cert=folder, payout_cert=folder))


PERIOD = Period(first=dt.date(2026, 1, 1), last=dt.date(2026, 1, 31))
OPERATIONS: list[tuple[str, Callable[[Any], Any]]] = [
    ("v1/payment", lambda a: plugin.payhub_create_payment(a, payment())),
    ("v1/payment/status", lambda a: plugin.payhub_fetch_payment(a, Ref(order_id="in-1"))),
    ("v1/payment/history", lambda a: plugin.payhub_list_payments(a, PERIOD)),
    ("v1/payout", lambda a: plugin.payhub_create_payout(a, payout())),
    ("v1/payout/status", lambda a: plugin.payhub_fetch_payout(a, Ref(provider_id="1"))),
    ("v1/account/balance", plugin.payhub_fetch_balance),
    ("v1/account/info", plugin.payhub_fetch_account_info),
]


@pytest.mark.parametrize(("path", "start"), OPERATIONS, ids=[path for path, _ in OPERATIONS])
def test_openssl_verifies_every_call(
    account: AliKassaAccount, path: str, start: Callable[[Any], Any], tmp_path: Path
) -> None:
    """Rule 11: the signature is over the very bytes that are sent, by a verifier that is not ours."""
    call: Call = next(start(account))
    (tmp_path / "sign").write_bytes(base64.b64decode(call.headers["Sign"]))
    verify = (
        "dgst",
        "-sha1",
        "-verify",
        Path(str(account.config.payout_cert), "public.pem"),
        "-signature",
        tmp_path / "sign",
    )
    assert (call.method, call.url) == ("POST", f"https://api-merchant.alikassa.com/{path}")
    assert openssl(*verify, stdin=call.body).stdout == b"Verified OK\n"
    assert {k: v for k, v in call.headers.items() if k != "Sign"} == {
        "Content-Type": "application/json", "Account": account.config.account, "User-Agent": "AliKassa2.0 API",
    }  # fmt: skip
    assert call.moves_money == (path in {"v1/payment", "v1/payout"})


@pytest.mark.parametrize(("path", "start"), OPERATIONS, ids=[path for path, _ in OPERATIONS])
def test_each_operation_uses_its_certificate(
    archive: Callable[..., Path], path: str, start: Callable[[Any], Any]
) -> None:
    """Payments take the payment certificate, everything else the payout certificate."""
    folder = archive()
    role = "payment_cert" if path.startswith("v1/payment") else "payout_cert"
    other = "payout_cert" if role == "payment_cert" else "payment_cert"
    assert next(start(AliKassaAccount(config(**{"payout_cert": None, role: folder}))))
    with pytest.raises(ConfigurationError, match=f"needs {role}"):
        next(start(AliKassaAccount(config(**{"payout_cert": None, other: folder}))))


def test_repeated_pages_end(account: AliKassaAccount) -> None:
    """The pages are asked for by number in the body, until there is no next one."""
    item = {"id": 1, "status": "paid", "amount": "1.000000000", "currency": "RUB", "order_id": "in-1"}
    flow = plugin.payhub_list_payments(account, PERIOD)
    bodies = [msgspec.json.decode(next(flow).body)]
    page = msgspec.json.encode({"data": [item], "links": {"next": "https://elsewhere.example/?page=2"}})
    bodies.append(msgspec.json.decode(flow.send(Response(status=200, body=page)).body))
    last = msgspec.json.encode({"data": [item], "links": {"next": None}})
    with pytest.raises(StopIteration) as done:
        flow.send(Response(status=200, body=last))
    assert [body["page"] for body in bodies] == [1, 2]
    assert [p.provider_id for p in done.value.value] == ["1"]


def listed(account: AliKassaAccount, answered: Callable[[int], dict[str, Any]]) -> tuple[list[str | None], int]:
    """List payments from pages that are made by their number; return the ids, and how many pages were asked for."""
    flow = plugin.payhub_list_payments(account, PERIOD)
    call, asked = next(flow), 0
    while True:
        asked += 1
        page = answered(msgspec.json.decode(call.body)["page"])
        try:
            call = flow.send(Response(status=200, body=msgspec.json.encode(page)))
        except StopIteration as done:
            return [found.provider_id for found in done.value], asked


def row(number: int) -> dict[str, Any]:
    return {"id": number, "status": "paid", "amount": "10.00", "currency": "RUB", "order_id": f"in-{number}"}


def test_a_payment_that_comes_between_two_pages_is_not_listed_twice(account: AliKassaAccount) -> None:
    """The newest come first, so a new one pushes the last of a page to the next: it is counted once."""
    rows = [row(number) for number in range(51, 0, -1)]

    def page(number: int) -> dict[str, Any]:
        if number == 2:
            rows.insert(0, row(99))
        found = rows[(number - 1) * 50 : number * 50]
        return {"data": found, "links": {"next": "https://x?page=2" if len(rows) > number * 50 else None}}

    assert listed(account, page) == ([str(number) for number in range(51, 0, -1)], 2)


NEXT = "https://x.example?page=2"


@pytest.mark.parametrize(
    ("page", "asked"),
    [
        (lambda number: {"data": [row(1)] if number == 1 else [], "links": {"next": NEXT}}, 2),
        (lambda _: {"data": [row(1)], "links": {"next": NEXT}}, 2),
        (lambda _: {"data": [row(1)], "links": {"next": ""}}, 1),
        (lambda _: {"data": [row(1)], "links": {"next": False}}, 1),
        (lambda _: {"data": [row(1)], "links": {}}, 1),
    ],
    ids=["empty page", "page ignored", "next is empty", "next is false", "no next"],
)
def test_a_history_ends(account: AliKassaAccount, page: Callable[[int], dict[str, Any]], asked: int) -> None:
    """Whatever the last page says of a next one: an empty page, or one with nothing new, is the end."""
    assert listed(account, page) == (["1"], asked)


@pytest.mark.parametrize(("of_a_page", "asked"), [(1, 40), (1000, 3)])
def test_a_history_that_has_always_more_is_given_up(
    account: AliKassaAccount, monkeypatch: pytest.MonkeyPatch, of_a_page: int, asked: int
) -> None:
    """After so many pages, or payments, there is no answer: neither time nor memory is a provider's to take."""
    monkeypatch.setattr(plugin, "_MAX_PAGES", 40)
    monkeypatch.setattr(plugin, "_MAX_PAYMENTS", 2000)
    pages = []

    def page(number: int) -> dict[str, Any]:
        pages.append(number)
        rows = [row(number * of_a_page + place) for place in range(of_a_page)]
        return {"data": rows, "links": {"next": NEXT}}

    with pytest.raises(Unreadable, match="ask for fewer days"):
        listed(account, page)
    assert asked == len(pages)


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (dt.date(2026, 1, 2), dt.date(2026, 1, 1), "first: is after last"),
        (dt.datetime(2026, 1, 1, 23, 30, tzinfo=dt.UTC), dt.date(2026, 1, 2), r"first: a datetime\.date is needed"),
        (dt.date(2026, 1, 1), "2026-01-02", r"last: a datetime\.date is needed"),
    ],
)
def test_a_period_has_whole_days(hub: Any, sandbox: Sandbox, first: Any, last: Any, message: str) -> None:
    """What is no period is refused before anything is asked: a time of day would be another day elsewhere."""
    before = sandbox.requests("/v1/payment/history")
    with pytest.raises(ConfigurationError, match=message):
        hub.list_payments(ACCOUNT, first=first, last=last)
    assert sandbox.requests("/v1/payment/history") == before


def test_every_field_of_a_request_declares_its_mask() -> None:
    """What a log may show is said field by field; the hidden ones are hidden on purpose."""
    from payhub.masking.masks import Mask, _fields  # noqa: PLC0415

    hidden = {
        field.name
        for shape in (models.PaymentRequest, models.PayoutRequest, models.CardExtra)
        for field in _fields(shape).values()
        if field.mask is Mask.HIDDEN
    }
    assert hidden == {
        "desc", "customer_address", "customer_post_code", "customer_state", "customer_city", "card_exp_year",
        "card_exp_month",
    }  # fmt: skip


def test_a_wrong_key_is_found_when_the_account_is_opened(sandbox: Sandbox, tmp_path: Path) -> None:
    """A wrong password stops the first operation before anything is sent."""
    text = sandbox.config.read_text().replace("cert/", f"{sandbox.config.parent}/cert/")
    (tmp_path / "payhub.toml").write_text(f'{text}payout_password = "wrong"\n')
    with Hub.from_file(tmp_path / "payhub.toml") as hub, pytest.raises(ConfigurationError, match="password is wrong"):
        hub.create_payout(ACCOUNT, payout())
    assert sandbox.requests("/v1/payout") == 0


PHP_MADE: dict[str, Any] = msgspec.json.decode((VECTORS / "vectors.json").read_bytes())
NOTIFICATIONS: list[dict[str, Any]] = PHP_MADE["notifications"]
RETURN = Delivery(method="POST", body=PHP_MADE["redirects"][0]["form"].encode())


@pytest.fixture(params=["sync", "async"])
def notified(request: pytest.FixtureRequest, archive: Callable[..., Path]) -> Iterator[Any]:
    """Open a hub whose account has the public key of the vectors, in both modes."""
    key, new = (str(VECTORS / "cert" / name / "public.pem") for name in ("notification", "payment"))
    table = {"provider": "alikassa", "account": SAMPLE_ACCOUNT, "base_url": "http://127.0.0.1:9", "currency": "RUB"}
    table["payout_cert"] = str(archive())
    keys: dict[str, Any] = {"ak": key, "before": key, "meanwhile": [new, key], "after": new, "keyless": []}
    accounts = {name: {**table, "notification_key": each} for name, each in keys.items()}
    with in_mode(request.param, lambda hub: hub.from_mapping({"accounts": accounts})) as opened:
        yield opened


def test_a_notification_is_read_through_the_hub(notified: Any) -> None:
    """What PHP signed is read, and says whose it is."""
    documented = NOTIFICATIONS[0]
    found = notified.read_notification("ak", Delivery(method="GET", query=documented["query"].encode()))
    assert (found.account, found.provider, found.kind, found.order_id, found.provider_id, found.status) == (
        "ak", "alikassa", "payment", "1700000000", "108465371", Status.SUCCEEDED,
    )  # fmt: skip
    assert (found.requested, found.paid, found.commission) == (
        Money(3000, "RUB"), Money(3000, "RUB"), Money(90, "RUB"),
    )  # fmt: skip


def test_a_forged_notification_is_refused_through_the_hub(notified: Any) -> None:
    """Whatever was altered, the answer is the same text."""
    forged = NOTIFICATIONS[0]["query"].replace("3000.00", "3000.01").encode()
    with pytest.raises(BadNotification, match="not an authentic notification of this account"):
        notified.read_notification("ak", Delivery(method="GET", query=forged))


def test_an_account_without_the_key_says_so(notified: Any) -> None:
    """Without the provider's public key nothing can be verified; the missing key is named."""
    with pytest.raises(ConfigurationError, match="need notification_key"):
        notified.read_notification("keyless", Delivery(method="GET", query=NOTIFICATIONS[0]["query"].encode()))


@pytest.mark.parametrize(("account", "accepted"), [("before", True), ("meanwhile", True), ("after", False)])
def test_a_key_is_good_until_it_is_removed(notified: Any, account: str, accepted: bool) -> None:
    """While two keys are configured the old one still counts; when it is removed, it is refused."""
    results = []
    reads = {notified.read_notification: Delivery(method="GET", query=NOTIFICATIONS[0]["query"].encode()),
             notified.read_return: RETURN}  # fmt: skip
    for read, delivery in reads.items():
        try:
            results.append(read(account, delivery).order_id)
        except BadNotification:
            results.append(None)
    assert results == ["1700000000" if accepted else None] * 2


def test_a_return_is_read_through_the_hub(notified: Any) -> None:
    """The payer's signed form is read, says whose it is, and says nothing of money."""
    expected = ReturnedPayer(
        account="ak", provider="alikassa", order_id="1700000000", reference="bd291fe1-5c19-4113-ae62-a2d3c4d01d20"
    )
    assert notified.read_return("ak", RETURN) == expected


@pytest.mark.parametrize("body", [b"", RETURN.body.replace(b"1700000000", b"1700000001"), RETURN.body + b"&uuid=1"])
def test_a_forged_return_is_refused_through_the_hub(notified: Any, body: bytes) -> None:
    """Whatever was altered, the answer is the same text as for a notification."""
    with pytest.raises(BadNotification, match=r"^not an authentic notification of this account$"):
        notified.read_return("ak", Delivery(method="POST", body=body))


def test_to_receive_no_private_key_is_needed(tmp_path: Path) -> None:
    """A host that only receives has the provider's public key; what is not there is missed where it would sign."""
    table = {"provider": "alikassa", "account": SAMPLE_ACCOUNT, "base_url": "http://127.0.0.1:9", "currency": "RUB"}
    table["notification_key"] = str(VECTORS / "cert" / "notification" / "public.pem")
    accounts = {"without": table, "gone": {**table, "payout_cert": "gone"}}
    query = Delivery(method="GET", query=NOTIFICATIONS[0]["query"].encode())
    with Hub.from_mapping({"accounts": accounts}, base=tmp_path) as hub:
        for name in accounts:
            assert ("1700000000", "1700000000") == (
                hub.receive(name, query).notification.order_id, hub.read_return(name, RETURN).order_id
            )  # fmt: skip
        for name, missing in (("without", "give payment_cert or payout_cert"), ("gone", "private.pem cannot be read")):
            with pytest.raises(ConfigurationError, match=missing):
                hub.advance(name, "payment", "1700000000")


def test_a_return_needs_the_key(notified: Any) -> None:
    """It is verified with the key of the notifications; the missing key is named."""
    with pytest.raises(ConfigurationError, match="need notification_key"):
        notified.read_return("keyless", RETURN)


def test_when_alikassa_is_asked() -> None:
    """AliKassa is asked by the schedule that a driver has who says none: from 5 seconds to an hour, for a week."""
    schedule = plugin.payhub_provider().capabilities.schedule
    assert (5.0, 1.7, 3600.0, 604800.0) == (schedule.first, schedule.growth, schedule.longest, schedule.until)
