import datetime as dt
import threading
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from payhub import (
    BrokenPlugin,
    ConfigurationError,
    InvalidOrder,
    Money,
    NotSent,
    Payout,
    PayoutOrder,
    Status,
    UnknownAccount,
    UnknownProvider,
    UnsupportedOperation,
    hookimpl,
)
from payhub.accounts import registry as module
from payhub.accounts.account import OpenAccount
from payhub.accounts.config import read_mapping
from payhub.accounts.registry import Registry
from payhub.driver import Capabilities, ProviderInfo
from payhub.exchanges.reply import Reply
from payhub.models import Period, Phase, Ref
from payhub.operations import KINDS, QUERIES
from payhub.operations import PAYOUT as PAYOUTS
from payhub.plans.plan import Plan
from payhub.plans.rules import check_order
from payhub.testing import answer, fake, play
from tests.samples import CARD, PAYMENT, PAYOUT, known

SHOP = {"provider": "fake", "base_url": "https://pay.example", "token": "sesame"}


def registry(*plugins: object, **accounts: dict[str, Any]) -> Registry:
    return Registry(read_mapping({"accounts": accounts or {"shop": SHOP}}), (fake, *plugins))


def answered(body: object) -> Reply:
    return Reply(phase=Phase.ANSWERED, response=answer(body))


def test_unknown_account_lists_the_known() -> None:
    """An account that is not configured is refused with those that are."""
    with pytest.raises(UnknownAccount, match=r"^no account 'shp' in the configuration; known: b, shop$"):
        registry(shop=SHOP, b=SHOP).account("shp")


def test_unknown_account_of_an_empty_configuration() -> None:
    """Where no account is configured, the error says so."""
    with pytest.raises(UnknownAccount, match=r"known: none$"):
        Registry(read_mapping({})).account("shop")


@pytest.mark.parametrize(
    ("table", "kind", "message"),
    [
        ({}, ConfigurationError, "accounts.shop: the key 'provider' is missing"),
        ({"provider": 5}, ConfigurationError, "accounts.shop: the key 'provider' is missing"),
        ({"provider": "fak"}, UnknownProvider, "no installed driver speaks to 'fak'; known: alikassa, fake"),
        ({"provider": "fake"}, ConfigurationError, "accounts.shop.base_url: is missing"),
        ({**SHOP, "tokn": "sesame"}, ConfigurationError, "accounts.shop: unknown key 'tokn'; did you mean 'token'?"),
        ({**SHOP, "token": "ses\name"}, ConfigurationError, "accounts.shop.token: cannot be sent in a header"),
        ({**SHOP, "base_url": "http://pay.example"}, ConfigurationError,
         "accounts.shop.base_url: plain http is allowed to this machine only; use https"),
    ],
)  # fmt: skip
def test_an_account_that_cannot_be_opened_says_why(table: dict[str, Any], kind: type[Exception], message: str) -> None:
    """A mistake in an account's table is found when the account is opened, by the name of the key."""
    with pytest.raises(kind) as caught:
        registry(shop=table).account("shop")
    assert message == str(caught.value)


def test_a_broken_account_costs_only_itself() -> None:
    """Accounts are opened when first needed: one that cannot be opened does not stop the others."""
    assert registry(shop=SHOP, other={"provider": "none"}).account("shop").name == "shop"


def test_an_account_is_opened_once() -> None:
    """Keys are loaded once, however many threads ask first."""
    opened: list[str] = []

    class Counting:
        @hookimpl
        def payhub_provider(self) -> ProviderInfo:
            def connect(config: Any) -> Any:
                opened.append(config.name)
                return fake.connect(config)

            return msgspec.structs.replace(fake.payhub_provider(), name="counting", connect=connect)

    accounts = registry(Counting(), shop={**SHOP, "provider": "counting"})
    threads = [threading.Thread(target=accounts.account, args=("shop",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == ["shop"]


class Broken:
    """A driver whose accounts cannot be opened while their folder is gone, and that says how often it was tried."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.open: Any = fake.connect
        self.receive: Any = None

    def connect(self, config: Any) -> Any:
        self.opened.append(config.name)
        return self.open(config)

    @hookimpl
    def payhub_provider(self) -> ProviderInfo:
        info = fake.payhub_provider()
        return msgspec.structs.replace(info, name="broken", connect=self.connect, receive=self.receive)


def gone(_: Any) -> Any:
    raise BrokenPlugin("the key is gone")


def test_that_an_account_cannot_be_opened_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """For some seconds it is not tried again, so nobody can have keys loaded all the time; then it is."""
    clock = SimpleNamespace(monotonic=lambda: 1000.0)
    monkeypatch.setattr(module, "time", clock)
    broken = Broken()
    broken.open = gone
    accounts, causes = registry(broken, shop={**SHOP, "provider": "broken"}), []
    for _ in range(3):
        with pytest.raises(BrokenPlugin, match="the key is gone") as caught:
            accounts.account("shop")
        causes.append(caught.value)
    assert (["shop"], 3) == (broken.opened, len({*map(id, causes)}))
    broken.open = fake.connect
    clock.monotonic = lambda: 1000.0 + module.REMEMBERED
    assert "shop" == accounts.account("shop").name
    assert ["shop", "shop"] == broken.opened


def test_an_account_that_is_being_opened_holds_up_no_other() -> None:
    """Keys that take long to load, or do not come, are one account's matter."""
    broken, begun, go = Broken(), threading.Event(), threading.Event()

    def slow(config: Any) -> Any:
        if config.name == "slow":
            begun.set()
            go.wait(60)
        return fake.connect(config)

    broken.open = slow
    accounts = registry(broken, slow={**SHOP, "provider": "broken"}, shop={**SHOP, "provider": "broken"})
    opening = threading.Thread(target=accounts.account, args=("slow",))
    opening.start()
    assert begun.wait(60)
    assert "shop" == accounts.account("shop").name
    assert opening.is_alive()
    go.set()
    opening.join()


def test_to_receive_an_account_need_not_sign() -> None:
    """Where a driver opens accounts for receiving, its `connect` is not called for that; a whole account will do."""
    broken = Broken()
    broken.receive = fake.connect
    accounts = registry(broken, shop={**SHOP, "provider": "broken"})
    receiver = accounts.receiver("shop")
    assert (receiver, []) == (accounts.receiver("shop"), broken.opened)
    assert (accounts.account("shop"), ["shop"]) == (accounts.receiver("shop"), broken.opened)


def test_names_are_sorted() -> None:
    """The names of the accounts come sorted, none of them opened."""
    assert registry(c=SHOP, a={}, b={"provider": "none"}).names == ("a", "b", "c")


class Lame:
    """Speak to a provider that can do nothing, though it has a hook."""

    @hookimpl
    def payhub_provider(self) -> ProviderInfo:
        return msgspec.structs.replace(fake.payhub_provider(), name="lame", capabilities=Capabilities())

    @hookimpl
    def payhub_create_payout(self, account: Any, order: Any) -> Any:
        return fake.payhub_create_payout(account, order)


def planned(account: OpenAccount, operation: str, argument: Any) -> Plan[Any]:
    """Plan an operation by its name."""
    verb, _, word = operation.partition("_")
    if word in KINDS:
        return account.create(KINDS[word], argument) if verb == "create" else account.fetch(KINDS[word], argument)
    query = next(each for each in QUERIES if each.word == operation)
    return account.ask(query, **({"period": argument} if argument else {}))


@pytest.mark.parametrize(
    ("operation", "argument"),
    [
        ("create_payment", PAYMENT),
        ("create_payout", PAYOUT),
        ("fetch_payment", Ref(order_id="1")),
        ("fetch_payout", Ref(order_id="1")),
        ("list_payments", Period(first=dt.date(2026, 1, 1), last=dt.date(2026, 1, 1))),
        ("fetch_balance", None),
        ("fetch_account_info", None),
    ],
)
def test_what_a_driver_does_not_have_is_refused(operation: str, argument: object) -> None:
    """An operation that the driver does not have, or does not declare, is refused by its name."""
    account = registry(Lame(), shop={**SHOP, "provider": "lame"}).account("shop")
    with pytest.raises(UnsupportedOperation, match=f"^account 'shop': provider 'lame' has no {operation}$"):
        play(planned(account, operation, argument).steps)


@pytest.mark.parametrize(
    ("operation", "order"), [("create_payment", PAYOUT), ("create_payout", PAYMENT), ("create_payout", {})]
)
def test_the_wrong_kind_of_order_is_refused(operation: str, order: object) -> None:
    """A payout is not created from a payment's order, nor from a mapping."""
    with pytest.raises(ConfigurationError, match=f"is needed, not {type(order).__name__}$"):
        check_order(KINDS[operation.removeprefix("create_")], order)


@pytest.mark.parametrize(
    "ref", [Ref(), Ref(order_id="1", provider_id="2"), Ref(order_id=""), Ref(order_id="", provider_id="")]
)
@pytest.mark.parametrize("operation", ["fetch_payment", "fetch_payout"])
def test_one_id_is_needed(operation: str, ref: Ref) -> None:
    """A status is asked for by one id: none, or two, cannot be meant."""
    with pytest.raises(ConfigurationError, match=r"^give order_id or provider_id, one of them$"):
        play(planned(registry().account("shop"), operation, ref).steps)


def test_a_bad_order_is_refused_before_the_driver_sees_it() -> None:
    """An order that cannot be is refused here."""
    with pytest.raises(InvalidOrder, match=r"^amount: must be more than zero$"):
        check_order(PAYOUTS, msgspec.structs.replace(PAYOUT, amount=Money("0", "RUB")))


@pytest.mark.parametrize(
    ("operation", "argument", "body"),
    [("create_payment", PAYMENT, known(PAYMENT)), ("create_payout", PAYOUT, known(PAYOUT)),
     ("fetch_payment", Ref(order_id="in-1"), known(PAYMENT)), ("fetch_payout", Ref(provider_id="7"), known(PAYOUT))],
)  # fmt: skip
def test_results_name_account_and_provider(operation: str, argument: Any, body: Any) -> None:
    """A result names the account and the provider it comes from."""
    plan = planned(registry().account("shop"), operation, argument)
    result = play(plan.steps, answered(body)).result
    assert (result.account, result.provider, result.provider_id, result.status) == ("shop", "fake", "7", Status.PENDING)


def test_rule_10_a_result_about_another_order_needs_a_person() -> None:
    """Rule 10: an answer about another amount is UNKNOWN, though the provider says it is done."""
    plan = registry().account("shop").create(PAYOUTS, PAYOUT)
    result = play(plan.steps, answered(known(PAYOUT, amount="1.00", status="done"))).result
    assert (result.status, result.mismatches) == (Status.UNKNOWN, ("requested",))


class Wrapper:
    """Wrap payouts as an application's plugin does."""

    def __init__(self, wrap: Any) -> None:
        self.wrap = wrap

    @hookimpl(wrapper=True)
    def payhub_create_payout(self, account: Any, order: PayoutOrder) -> Any:
        flow = yield
        return self.wrap(flow, order)


def test_a_wrapper_may_veto() -> None:
    """A wrapper that refuses an order stops it before anything is sent."""

    def veto(flow: Any, order: PayoutOrder) -> Any:
        raise InvalidOrder("amount", "is above the limit")

    with pytest.raises(InvalidOrder, match=r"^amount: is above the limit$"):
        play(registry(Wrapper(veto)).account("shop").create(PAYOUTS, PAYOUT).steps)


def test_a_wrapper_may_change_the_result() -> None:
    """A wrapper may change what a flow ends with; the calls stay the driver's."""

    def noted(flow: Any, order: PayoutOrder) -> Any:
        result = yield from flow
        return msgspec.structs.replace(result, reason="approved by Ann")

    plan = registry(Wrapper(noted)).account("shop").create(PAYOUTS, PAYOUT)
    played = play(plan.steps, answered(known(PAYOUT)))
    assert (played.result.reason, played.result.provider_id, len(played.calls)) == ("approved by Ann", "7", 1)


def test_rule_3_a_wrapper_that_fails_after_sending_changes_nothing() -> None:
    """Rule 3: what a wrapper raises after the money may have moved is UNKNOWN, not an error."""

    def late(flow: Any, order: PayoutOrder) -> Any:
        yield from flow
        raise InvalidOrder("amount", "is above the limit")

    plan = registry(Wrapper(late)).account("shop").create(PAYOUTS, PAYOUT)
    assert Status.UNKNOWN is play(plan.steps, answered(known(PAYOUT))).result.status


def test_rule_3_a_wrapper_cannot_hide_what_was_sent() -> None:
    """Rule 3: a wrapper that loses the result after sending leaves it UNKNOWN, never `None`."""

    def lose(flow: Any, order: PayoutOrder) -> Any:
        yield from flow

    plan = registry(Wrapper(lose)).account("shop").create(PAYOUTS, PAYOUT)
    result = play(plan.steps, answered(known(PAYOUT))).result
    assert (Payout, Status.UNKNOWN, "po-1") == (type(result), result.status, result.order_id)


def test_rule_3_no_answer_in_a_wrapped_flow() -> None:
    """Rule 3: around a wrapped flow the rules are the same."""

    def plain(flow: Any, order: PayoutOrder) -> Any:
        return (yield from flow)

    plan = registry(Wrapper(plain)).account("shop").create(PAYOUTS, PAYOUT)
    with pytest.raises(NotSent):
        play(plan.steps, Reply(phase=Phase.NOT_SENT, problem="no connection"))


def test_rule_12_an_open_account_shows_no_secret() -> None:
    """Rule 12: neither the account nor what it is made of shows a secret."""
    accounts = registry()
    account = accounts.account("shop")
    shown = f"{account!r} {account.driver!r} {vars(account)} {vars(accounts)} {account.provider!r}"
    assert ("sesame" in shown, CARD in shown) == (False, False)
