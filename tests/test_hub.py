import datetime as dt
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import pytest

from payhub import (
    AsyncHub,
    BadNotification,
    ConfigurationError,
    Declined,
    Delivery,
    Hub,
    InvalidOrder,
    Money,
    NotFound,
    Notification,
    Payment,
    PayoutOrder,
    ReturnedPayer,
    Status,
    Unavailable,
    UnknownAccount,
    UnsupportedOperation,
    hookimpl,
)
from payhub.driver import ProviderInfo
from payhub.operations import operations
from payhub.testing import fake
from tests.raw_server import RawServer, answer
from tests.samples import PAYMENT, PAYOUT, known

Open = Callable[..., Any]
Serve = Callable[..., RawServer]


def test_a_payment_from_beginning_to_end(open_hub: Open, serve: Serve) -> None:
    """A payment is created, redirected to, and asked for until it is paid; credit what was paid."""
    page = "https://pay.example/p/7?t=1"
    server = serve(answer(known(PAYMENT, page=page)), answer(known(PAYMENT, status="done", paid="3001.00")))
    hub = open_hub(server.url)
    payment = hub.create_payment("shop", PAYMENT)
    paid = hub.fetch_payment("shop", order_id="in-1", amount=PAYMENT.amount)
    assert (page, Status.PENDING, Status.SUCCEEDED, "3001.00 RUB", "3000.00 RUB") == (
        payment.redirect_url, payment.status, paid.status, str(paid.paid), str(paid.requested)
    )  # fmt: skip


def test_a_payout_from_beginning_to_end(open_hub: Open, serve: Serve) -> None:
    """A payout is created and asked for by the provider's id until it is done."""
    server = serve(answer(known(PAYOUT)), answer(known(PAYOUT, status="done")))
    hub = open_hub(server.url)
    payout = hub.create_payout("shop", PAYOUT)
    done = hub.fetch_payout("shop", provider_id=payout.provider_id)
    assert (("shop", "fake", "po-1", "7", Status.SUCCEEDED), b'{"id":"7"}') == (
        (done.account, done.provider, done.order_id, done.provider_id, done.status), server.bodies[1]
    )  # fmt: skip


def test_balance(open_hub: Open, serve: Serve) -> None:
    """The balance names its account."""
    server = serve(answer({"available": "10.5", "held": "1", "currency": "RUB"}))
    balance = open_hub(server.url).fetch_balance("shop")
    assert ("shop", Money("10.50", "RUB"), Money("1", "RUB")) == (balance.account, balance.available, balance.held)


def test_account_info(open_hub: Open, serve: Serve) -> None:
    """What the account may do names its account."""
    info = open_hub(serve(answer({"payments": True, "payouts": False})).url).fetch_account_info("shop")
    assert ("shop", True, False) == (info.account, info.payments_allowed, info.payouts_allowed)


def test_history(open_hub: Open, serve: Serve) -> None:
    """The payments of a period come as a tuple, each naming its account."""
    server = serve(answer({"payments": [known(PAYMENT), known(PAYMENT, order_id="in-2")]}))
    first, last = dt.date(2026, 1, 1), dt.date(2026, 1, 31)
    listed = open_hub(server.url).list_payments("shop", first=first, last=last)
    assert ([("shop", "in-1"), ("shop", "in-2")], b'{"first":"2026-01-01","last":"2026-01-31"}') == (
        [(payment.account, payment.order_id) for payment in listed], server.bodies[0]
    )  # fmt: skip


def test_rule_3_a_refusal_means_that_no_money_moved(open_hub: Open, serve: Serve) -> None:
    """Rule 3: a definite refusal raises with the provider's code and words."""
    server = serve(answer({"code": "17", "text": "no funds"}, 422))
    with pytest.raises(Declined, match=r"^no funds$") as caught:
        open_hub(server.url).create_payout("shop", PAYOUT)
    assert ("17", 1) == (caught.value.code, len(server.requests))


def test_not_found_proves_nothing(open_hub: Open, serve: Serve) -> None:
    """An order that the provider does not know is `NotFound`, which is about the question only."""
    with pytest.raises(NotFound, match="does not know"):
        open_hub(serve(answer({}, 404)).url).fetch_payment("shop", order_id="in-1")


@pytest.mark.parametrize(
    "fields",
    [{"order_id": "po-2"}, {"amount": "1.00"}, {"currency": "EUR"}, {"paid": "1000.440001"}, {"amount": "much"}],
    ids=str,
)
def test_rule_10_an_answer_that_contradicts_is_unknown(open_hub: Open, serve: Serve, fields: dict[str, str]) -> None:
    """Rule 10: an answer that contradicts the order is UNKNOWN, though it says that all is done."""
    server = serve(answer(known(PAYOUT, status="done", **fields)))
    payout = open_hub(server.url).create_payout("shop", PAYOUT)
    assert (Status.UNKNOWN, PAYOUT.amount, "po-1") == (payout.status, payout.requested, payout.order_id)


class Limits:
    """Veto payouts above a limit, as an application does."""

    @hookimpl(wrapper=True)
    def payhub_create_payout(self, account: Any, order: PayoutOrder) -> Any:
        if order.amount.amount > 1000:
            raise InvalidOrder("amount", "is above the limit")
        return (yield)


def test_an_application_vetoes_a_payout_and_nothing_is_sent(open_hub: Open, serve: Serve) -> None:
    """A wrapper that vetoes a payout above a limit keeps it from being sent; below the limit it goes out."""
    small = msgspec.structs.replace(PAYOUT, order_id="po-2", amount=Money("5", "RUB"))
    server = serve(answer(known(small)))
    hub = open_hub(server.url, (Limits(),))
    with pytest.raises(InvalidOrder, match=r"^amount: is above the limit$"):
        hub.create_payout("shop", PAYOUT)
    before = (len(server.requests), server.connections)
    hub.create_payout("shop", small)
    assert ((0, 0), 1) == (before, len(server.requests))


class Second:
    """Speak to a second provider as the fake driver does, and remember who called."""

    def __init__(self) -> None:
        self.called: list[str] = []

    @hookimpl
    def payhub_provider(self) -> ProviderInfo:
        return msgspec.structs.replace(fake.payhub_provider(), name="second")

    @hookimpl
    def payhub_create_payout(self, account: Any, order: PayoutOrder) -> Any:
        self.called.append(account.name)
        return fake.payhub_create_payout(account, order)


def test_money_is_not_broadcast(open_hub: Open, serve: Serve) -> None:
    """With two drivers installed, a payout reaches the account's own provider and driver, and no other."""
    first, other, second = serve(answer(known(PAYOUT))), serve(answer(known(PAYOUT))), Second()
    hub = open_hub(first.url, (second,), accounts={"other": {"provider": "second", "base_url": other.url}})
    hub.create_payout("shop", PAYOUT)
    before = (list(second.called), len(first.requests), len(other.requests))
    hub.create_payout("other", msgspec.structs.replace(PAYOUT, order_id="po-2"))
    assert (([], 1, 0), ["other"], 1, 1) == (before, second.called, len(first.requests), len(other.requests))


NOTICE = fake.signed_notification("sesame", order_id="in-1", amount=Money("3000", "RUB"), paid=Money("2999", "RUB"))
RETURN = fake.signed_return("sesame", order_id="in-1", reference="u-7")
SIGNED = {"accounts": {"shop": {"provider": "fake", "base_url": "http://127.0.0.1:9", "secret": "sesame"}}}


def test_a_notification_is_read(open_hub: Open) -> None:
    """An authentic notification is told, and names its account; nothing is sent for it."""
    told = open_hub(**SIGNED).read_notification("shop", NOTICE)
    assert (told.account, told.provider, told.kind, told.order_id, told.provider_id, told.status, told.paid) == (
        "shop", "fake", "payment", "in-1", "7", Status.SUCCEEDED, Money("2999", "RUB")
    )  # fmt: skip


def test_a_payers_return_is_read(open_hub: Open) -> None:
    """An authentic return says which payer came back, and to which account."""
    told = open_hub(**SIGNED).read_return("shop", RETURN)
    assert told == ReturnedPayer(account="shop", provider="fake", order_id="in-1", reference="u-7")


def test_a_returned_payer_is_no_payment() -> None:
    """Who came back cannot be taken for who paid: a return has no status and no amount, and is a type of its own."""
    fields = set(ReturnedPayer.__struct_fields__)
    assert (fields, issubclass(ReturnedPayer, Payment | Notification)) == (
        {"account", "provider", "order_id", "reference"},
        False,
    )


READS = {"read_notification": NOTICE, "read_return": RETURN}


@pytest.mark.parametrize("operation", READS)
def test_each_is_refused_in_the_place_of_the_other(open_hub: Open, operation: str) -> None:
    """A genuine return is no notification, a genuine notification no return."""
    [wrong] = [delivery for name, delivery in READS.items() if name != operation]
    with pytest.raises(BadNotification):
        getattr(open_hub(**SIGNED), operation)("shop", wrong)


@pytest.mark.parametrize("operation", READS)
def test_what_the_driver_cannot_read_is_unsupported(open_hub: Open, operation: str) -> None:
    """A driver without the hook refuses it as it does any operation that it does not have."""
    hub = open_hub(plugins=(Second(),), accounts={"other": {"provider": "second", "base_url": "http://127.0.0.1:9"}})
    with pytest.raises(UnsupportedOperation, match=f"^account 'other': provider 'second' has no {operation}$"):
        getattr(hub, operation)("other", READS[operation])


class Careless(Second):
    """Read deliveries by what the test says."""

    def __init__(self, read: Callable[[], Any]) -> None:
        super().__init__()
        self.read = read

    @hookimpl
    def payhub_read_notification(self, account: Any, delivery: Delivery) -> Any:
        return self.read()

    @hookimpl
    def payhub_read_return(self, account: Any, delivery: Delivery) -> Any:
        return self.read()


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize(
    ("read", "error", "words"),
    [
        (lambda: 1 // 0, BadNotification, "the driver could not read it"),
        (lambda: int("sesame"), BadNotification, "the driver could not read it"),
        (lambda: None, BadNotification, "the driver could not read it"),
        (lambda: Payment(status=Status.SUCCEEDED), BadNotification, "the driver could not read it"),
        (lambda: (_ for _ in ()).throw(BadNotification("mine")).send(None), BadNotification, "mine"),
        (lambda: (_ for _ in ()).throw(ConfigurationError("mine")).send(None), ConfigurationError, "mine"),
    ],
    ids=["raises", "quotes", "nothing", "another type", "refuses", "is not configured"],
)
def test_nothing_else_comes_of_a_delivery(
    open_hub: Open, operation: str, read: Callable[[], Any], error: type[Exception], words: str
) -> None:
    """Whatever a driver does with a delivery, the application gets what was promised, or an error of payhub's."""
    hub = open_hub(
        plugins=(Careless(read),), accounts={"other": {"provider": "second", "base_url": "http://127.0.0.1:9"}}
    )
    with pytest.raises(error, match=f"^{words}$"):
        getattr(hub, operation)("other", READS[operation])


def test_two_accounts_of_one_provider(open_hub: Open, serve: Serve) -> None:
    """Two shops at one provider are two accounts, each with its own configuration."""
    server = serve(answer(known(PAYOUT)), answer(known(PAYOUT, order_id="po-2")))
    more = {"second": {"provider": "fake", "base_url": server.url, "token": "two"}}
    hub = open_hub(server.url, accounts=more)
    orders = {"shop": PAYOUT, "second": msgspec.structs.replace(PAYOUT, order_id="po-2")}
    names = [hub.create_payout(name, order).account for name, order in orders.items()]
    tokens = [request.header("authorization") for request in server.requests]
    assert (["shop", "second"], [["Bearer none"], ["Bearer two"]]) == (names, tokens)


def test_an_unknown_account(open_hub: Open) -> None:
    """An account that is not configured is refused with those that are."""
    with pytest.raises(UnknownAccount, match=r"^no account 'alikasa' in the configuration; known: shop$"):
        open_hub().create_payout("alikasa", PAYOUT)


def test_the_names_of_the_accounts(open_hub: Open) -> None:
    """A hub names its accounts."""
    hub = open_hub(accounts={"b": {}, "a": {}})
    assert ("a", "b", "shop") == (hub.hub if hasattr(hub, "hub") else hub).accounts


@pytest.mark.parametrize("kind", [Hub, AsyncHub])
def test_a_file_makes_a_hub(kind: type[Hub] | type[AsyncHub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub is made from a file: the one given, or the one that PAYHUB_CONFIG names."""
    (tmp_path / "payhub.toml").write_text('[accounts.shop]\nprovider = "fake"\nbase_url = "https://x.example"\n')
    monkeypatch.setenv("PAYHUB_CONFIG", str(tmp_path / "payhub.toml"))
    assert [("shop",), ("shop",)] == [
        kind.from_file(tmp_path / "payhub.toml", plugins=[fake]).accounts, kind.from_file(plugins=[fake]).accounts
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [Hub, AsyncHub])
def test_a_hub_needs_a_configuration(kind: type[Hub] | type[AsyncHub], tmp_path: Path) -> None:
    """Without its file a hub is not made."""
    with pytest.raises(ConfigurationError, match="no such file"):
        kind.from_file(tmp_path / "payhub.toml")


def public(kind: type[object]) -> dict[str, inspect.Signature]:
    names = [name for name, value in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")]
    return {name: _awaited(inspect.signature(getattr(kind, name))) for name in names}


def _awaited(signature: inspect.Signature) -> inspect.Signature:
    """Take an asynchronous iterator for an iterator."""
    if get_origin(signature.return_annotation) is AsyncIterator:
        return signature.replace(return_annotation=Iterator[get_args(signature.return_annotation)])  # type: ignore[misc]
    return signature


def test_the_hubs_are_twins() -> None:
    """`Hub` and `AsyncHub` have the same methods with the same arguments and results."""
    assert public(Hub) == public(AsyncHub)


def test_the_hub_has_every_operation() -> None:
    """Every operation of the hook specifications is a method of the hub."""
    assert set() == set(operations()) - set(public(Hub))


NOTHING: dict[str, dict[str, Any]] = {
    "create_payment": {"account": "shop", "order": PAYMENT},
    "create_payout": {"account": "shop", "order": PAYOUT},
    "find": {"kind": "payout", "order_id": "po-1"},
    "fetch_payment": {"account": "shop", "order_id": "in-1"},
    "fetch_payout": {"account": "shop", "order_id": "po-1"},
    "read_notification": {"account": "shop", "delivery": NOTICE},
    "read_return": {"account": "shop", "delivery": RETURN},
    "receive": {"account": "shop", "delivery": NOTICE},
    "advance": {"account": "shop", "kind": "payout", "order_id": "po-1"},
    "resolve": {
        "account": "shop", "kind": "payout", "order_id": "po-1", "outcome": "failed", "reason": "said", "by": "Ann"
    },
    "sweep": {},
    "health": {},
    "ticket": {"account": "shop", "kind": "payout", "order_id": "po-1"},
    "fetch_balance": {"account": "shop"},
    "fetch_account_info": {"account": "shop"},
    "list_payments": {"account": "shop", "first": dt.date(2026, 1, 1), "last": dt.date(2026, 1, 1)},
}  # fmt: skip


def test_a_closed_hub_refuses(open_hub: Open, serve: Serve) -> None:
    """Whatever is asked of a hub that was closed is refused, and nothing is sent; to close it again does no harm."""
    server = serve(answer(known(PAYOUT)))
    hub = open_hub(server.url)
    hub.create_payout("shop", PAYOUT)
    hub.close()
    hub.close()
    for name, arguments in NOTHING.items():
        with pytest.raises(ConfigurationError, match=r"^this hub is closed; make a new one$"):
            getattr(hub, name)(**arguments)
    assert (1, set(public(Hub)) - {"close", "sweeping"}) == (len(server.requests), set(NOTHING))


@pytest.mark.parametrize(
    ("outcome", "reason", "by", "field"),
    [("paid", "said", "Ann", "outcome"), ("failed", " ", "Ann", "reason"), ("failed", "said", "", "by")],
)
def test_a_decision_says_what_why_and_who(
    open_hub: Open, serve: Serve, outcome: str, reason: str, by: str, field: str
) -> None:
    """A decision without one of its outcomes, a reason or a name is refused, and nothing is changed."""
    hub = open_hub(serve(answer(known(PAYOUT))).url)
    hub.create_payout("shop", PAYOUT)
    with pytest.raises(ConfigurationError, match=f"^{field}: must "):
        hub.resolve("shop", "payout", "po-1", outcome, reason=reason, by=by)
    assert Status.PENDING is hub.find("payout", "po-1").status


def test_every_time_says_its_zone(open_hub: Open, serve: Serve) -> None:
    """A driver whose time names no zone has given no answer: none without a zone is ever returned."""

    class Zoneless(Second):
        @hookimpl
        def payhub_fetch_payout(self, account: Any, ref: Any) -> Any:
            result = yield from fake.payhub_fetch_payout(account, ref)
            return msgspec.structs.replace(result, created_at=dt.datetime(2026, 1, 31))

    server = serve(answer(known(PAYOUT)))
    hub = open_hub(plugins=(Zoneless(),), accounts={"other": {"provider": "second", "base_url": server.url}})
    with pytest.raises(Unavailable, match=r"^HTTP 200: a malformed Payout from the driver$"):
        hub.fetch_payout("other", order_id="po-1")
