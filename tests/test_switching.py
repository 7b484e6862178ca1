"""Rules 2 and 3 over two accounts: the loop that the documentation shows pays once, whatever is broken meanwhile."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from payhub import (
    ConfigurationError,
    Hub,
    InvalidOrder,
    Money,
    NotSent,
    OrderConflict,
    PayhubError,
    Payout,
    PayoutOrder,
    Recipient,
    Status,
    ToCard,
    ToPhone,
    hookimpl,
)
from payhub.testing import fake
from tests.raw_server import Act, RawServer, answer, close
from tests.samples import PAYMENT, PAYOUT, known

Serve = Callable[..., RawServer]
GONE = "http://127.0.0.1:9"


def tables(directory: Path, **urls: str) -> dict[str, Any]:
    accounts = {name: {"provider": "fake", "base_url": url} for name, url in urls.items()}
    journal = {"url": f"sqlite:///{directory}/payhub.db", "key": "the secret key of all these tests"}
    return {"accounts": accounts, "journal": journal, "transport": {"deadline": 5.0}}


def opened(tables: dict[str, Any], *plugins: object) -> Hub:
    return Hub.from_mapping(tables, plugins=(fake, *plugins))


def paid_by_loop(hub: Hub, order: PayoutOrder, accounts: tuple[str, ...] = ("a", "b")) -> Payout | None:
    """Do what the documentation shows: on any error of payhub's, try the next account."""
    for account in accounts:
        with contextlib.suppress(PayhubError):
            return hub.create_payout(account, order)
    return None


def accepting(serve: Serve, orders: int = 1, **options: Any) -> RawServer:
    """Serve a provider that accepts whatever comes, as often as it comes."""
    return serve(*[answer(known(PAYOUT))] * orders * 4, **options)


def sent(*servers: RawServer) -> int:
    """Count the payouts that providers were sent."""
    return sum(request.path == "/payouts" for server in servers for request in server.requests)


def test_rule_2_a_redelivered_order_stays_with_the_account_that_has_it(serve: Serve, tmp_path: Path) -> None:
    """A queue delivers twice: the first try could not reach `a` and paid with `b`; then `a` is up again."""
    b = accepting(serve)
    with opened(tables(tmp_path, a=GONE, b=b.url)) as hub:
        assert "b" == paid_by_loop(hub, PAYOUT).account  # type: ignore[union-attr]
    a = accepting(serve)
    with opened(tables(tmp_path, a=a.url, b=b.url)) as hub:
        again = paid_by_loop(hub, PAYOUT)
    assert again is not None
    assert ("b", Status.PENDING, 0, 1) == (again.account, again.status, sent(a), sent(b))


BROKEN: dict[str, Callable[[dict[str, Any]], None]] = {
    "the account is gone": lambda tables: tables["accounts"].pop("a"),
    "the account is renamed": lambda tables: tables["accounts"].update(renamed=tables["accounts"].pop("a")),
    "the driver is gone": lambda tables: tables["accounts"]["a"].update(provider="gone"),
    "a variable is not set": lambda tables: tables["accounts"]["a"].update(token={"env": "PAYHUB_NOT_SET"}),
    "a file is not mounted": lambda tables: tables["accounts"]["a"].update(token={"file": "/no/such/file"}),
    "a typing mistake": lambda tables: tables["accounts"]["a"].update(base_ulr="x"),
    "an address that cannot be": lambda tables: tables["accounts"]["a"].update(base_url="http://pay.example"),
}


@pytest.mark.parametrize("first", [close, answer(known(PAYOUT))], ids=["unknown", "pending"])
@pytest.mark.parametrize("what", BROKEN)
def test_rule_3_what_is_broken_now_hides_no_order_that_was_sent(
    serve: Serve, tmp_path: Path, what: str, first: Act
) -> None:
    """An order was sent with `a`, which then cannot be opened: it is answered from the record, not by an error."""
    a, b = serve(first), accepting(serve)
    before = tables(tmp_path, a=a.url, b=b.url)
    with opened(before) as hub:
        sent_first = hub.create_payout("a", PAYOUT)
    BROKEN[what](before)
    with opened(before) as hub:
        results = [hub.create_payout("a", PAYOUT), paid_by_loop(hub, PAYOUT)]
    assert [("a", sent_first.status)] * 2 == [(each.account, each.status) for each in results if each]
    assert (1, 0) == (sent(a), sent(b))


class Veto:
    limit = Money("0", "RUB")

    @hookimpl(wrapper=True)
    def payhub_create_payout(self, order: PayoutOrder) -> Any:
        if order.amount.amount > self.limit.amount:
            raise InvalidOrder("amount", "over the limit")
        return (yield)


def test_rule_3_a_veto_against_an_order_that_was_sent_is_too_late(serve: Serve, tmp_path: Path) -> None:
    """A plugin that refuses by now is not asked about what was sent, and is about what is new."""
    a = serve(close)
    with opened(tables(tmp_path, a=a.url)) as hub:
        hub.create_payout("a", PAYOUT)
    with opened(tables(tmp_path, a=a.url), Veto()) as hub:
        assert Status.UNKNOWN is hub.create_payout("a", PAYOUT).status
        with pytest.raises(InvalidOrder):
            hub.create_payout("a", msgspec.structs.replace(PAYOUT, order_id="po-2"))
    assert 1 == sent(a)


SPELLINGS: list[Any] = [
    ToCard("4111 1111 1111 1111"), ToCard("4111-1111-1111-1111"), ToCard("4111\u00a01111\u20131111 1111", holder="X"),
]  # fmt: skip


@pytest.mark.parametrize("to", SPELLINGS)
def test_rule_2_another_spelling_is_the_same_order(serve: Serve, tmp_path: Path, to: ToCard) -> None:
    """The same card written otherwise, with another address for notifications: the same order, for every account."""
    a, b = serve(close), accepting(serve)
    again = msgspec.structs.replace(PAYOUT, to=to, recipient=Recipient(), notification_url="https://shop.example/new")
    with opened(tables(tmp_path, a=a.url, b=b.url)) as hub:
        results = [paid_by_loop(hub, PAYOUT), paid_by_loop(hub, again), hub.create_payout("b", again)]
    assert ([("a", Status.UNKNOWN)] * 3, 1, 0) == (
        [(each.account, each.status) for each in results if each], sent(a), sent(b)
    )  # fmt: skip


def test_rule_2_another_order_is_a_conflict_with_every_account(serve: Serve, tmp_path: Path) -> None:
    """Another sum or destination under an id that is live is refused by all, so a loop pays nothing twice."""
    a, b = serve(close), accepting(serve)
    with opened(tables(tmp_path, a=a.url, b=b.url)) as hub:
        hub.create_payout("a", PAYOUT)
        for other in ({"amount": Money("1", "RUB")}, {"to": ToPhone("79031112233")}):
            with pytest.raises(OrderConflict, match="account 'a'"):
                hub.create_payout("b", msgspec.structs.replace(PAYOUT, **other))
    assert (1, 0) == (sent(a), sent(b))


def test_two_shops_that_number_their_orders_each_for_itself(serve: Serve, tmp_path: Path) -> None:
    """In namespaces of their own, one order_id names two orders."""
    a, b = accepting(serve), accepting(serve)
    both = tables(tmp_path, a=a.url, b=b.url)
    both["accounts"]["b"]["namespace"] = "second-shop"
    with opened(both) as hub:
        assert ["a", "b"] == [hub.create_payout(name, PAYOUT).account for name in ("a", "b")]
        found = [
            hub.find("payout", "po-1"),
            hub.find("payout", "po-1", namespace="second-shop"),
            hub.find("payout", "x"),
        ]
    assert ["a", "b", None] == [each and each.account for each in found]
    both["accounts"]["b"]["namespace"] = {"env": "NAMESPACE"}
    with opened(both) as hub, pytest.raises(ConfigurationError, match=r"^accounts\.b\.namespace: give a text$"):
        hub.create_payout("b", PAYOUT)


def test_rule_2_what_failed_may_be_created_with_another_account(serve: Serve, tmp_path: Path) -> None:
    """A payout that the provider says failed is over: with its own account it stays so, with another it is created."""
    a, b = serve(answer(known(PAYOUT, status="failed"))), accepting(serve)
    with opened(tables(tmp_path, a=a.url, b=b.url)) as hub:
        statuses = [hub.create_payout(name, PAYOUT).status for name in ("a", "a", "b", "a")]
        accounts = [hub.create_payout(name, PAYOUT).account for name in ("a", "b")]
    assert ([Status.FAILED, Status.FAILED, Status.PENDING, Status.PENDING], ["b", "b"], 1, 1) == (
        statuses, accounts, sent(a), sent(b)
    )  # fmt: skip


def test_not_sent_is_no_end(tmp_path: Path) -> None:
    """What was not sent is told as that, and nobody who waits for an end takes it for one."""
    with opened(tables(tmp_path, a=GONE)) as hub:
        with pytest.raises(NotSent):
            hub.create_payout("a", PAYOUT)
        result = hub.advance("a", "payout", "po-1")
    assert (Status.NOT_SENT, False) == (result.status, result.status.final)


def test_rule_2_workers_with_redelivery_pay_once(serve: Serve, tmp_path: Path) -> None:
    """Two workers carry the loop over two accounts, of which one cannot reach the first; each order comes to both."""
    numbers = range(40)
    a, b = accepting(serve, 80), accepting(serve, 80)
    up, down = tables(tmp_path, a=a.url, b=b.url), tables(tmp_path, a=GONE, b=b.url)
    turn = threading.Barrier(2)

    def worker(which: dict[str, Any]) -> Iterator[str]:
        with opened(which) as hub:
            for number in numbers:
                turn.wait(60)
                order = msgspec.structs.replace(PAYOUT, order_id=f"po-{number}")
                result = paid_by_loop(hub, order)
                yield "none" if result is None else f"{order.order_id} {result.account}"

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda which: list(worker(which)), (up, down)))
    bodies = [msgspec.json.decode(r.body)["order_id"] for s in (a, b) for r in s.requests if r.path == "/payouts"]
    assert sorted(f"po-{number}" for number in numbers) == sorted(bodies)


def test_rule_2_a_payer_who_reloads_gets_the_same_page(serve: Serve, tmp_path: Path) -> None:
    """A payment is not made a second time for another IP: the payer is sent to the page that there is."""
    provider = serve(answer(known(PAYMENT, page="https://pay.example/7")))
    with opened(tables(tmp_path, a=provider.url)) as hub:
        first = hub.create_payment("a", PAYMENT)
        again = hub.create_payment("a", msgspec.structs.replace(PAYMENT, success_url="https://shop.example/?t=2"))
    assert (first.redirect_url, 1) == (again.redirect_url, len(provider.requests))


def test_hubs_without_a_journal_share_one_in_memory(serve: Serve) -> None:
    """Two hubs of one process, as in a view that opens one for each request, know each other's orders."""
    a = accepting(serve)
    accounts = {"accounts": {"a": {"provider": "fake", "base_url": a.url}}}
    results = []
    for _ in range(2):
        with Hub.from_mapping(accounts, plugins=(fake,)) as hub:
            results.append(hub.create_payout("a", PAYOUT).provider_id)
    assert (["7", "7"], 1) == (results, sent(a))
