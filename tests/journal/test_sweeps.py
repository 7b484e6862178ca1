"""Sweeps: accounts take turns, and neither an account that hangs nor a row that is damaged holds up the others."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from payhub import ConfigurationError, JournalFailed, UnknownAccount
from payhub.journal import Key, Record
from payhub.journal.sql.tables import tables
from payhub.plans.advance import Visit
from payhub.plans.sweep import Turns
from tests.raw_server import Act, RawServer, answer

from .conftest import AT_ONCE, COMBINATIONS, KEY, Waiting
from .making import PREFIX, facts

GONE = answer(b"", 404)
DOWN = answer(b"", 503)


def hang(connection: socket.socket) -> None:
    """Answer nothing until the caller leaves."""
    connection.recv(1)


class Shops:
    """Hold a hub with several accounts, each with a server of its own, and what dead senders left of each."""

    def __init__(self, hub: Any, servers: dict[str, RawServer]) -> None:
        self.hub = hub
        self.servers = servers

    @property
    def journal(self) -> Any:
        return getattr(self.hub, "hub", self.hub).journal

    def leave(self, account: str, *order_ids: str) -> None:
        """Leave orders of an account that are due, the first for longest."""
        for order_id in order_ids:
            self.journal.open(facts(order_id, account=account, provider="waiting"), -1.0)

    def asked(self, account: str) -> int:
        return len(self.servers[account].requests)

    def record(self, account: str, order_id: str) -> Record:
        record: Record = self.journal.find(Key(account, "payout", order_id))
        return record


OpenShops = Callable[..., Shops]


@pytest.fixture
def open_shops(open_hub: Callable[..., Any], serve: Callable[..., RawServer], url: str | None) -> OpenShops:
    """Open a hub with accounts of these names; each server does the same to every question."""

    def opened(**acts: Act) -> Shops:
        servers = {name: serve(act) for name, act in acts.items()}
        accounts = {name: {"provider": "waiting", "base_url": server.url} for name, server in servers.items()}
        # Who hangs is not waited for long; who answers has all the time that a busy machine takes.
        seconds = 1.0 if hang in acts.values() else 30.0
        transport = {"deadline": seconds, "read_timeout": seconds}
        tables = {"journal": {"url": url, "key": KEY}, "transport": transport}
        return Shops(open_hub(plugins=(Waiting(**AT_ONCE),), accounts=accounts, **tables), servers)

    return opened


def names(found: tuple[Any, ...]) -> list[str]:
    return [result.order_id for result in found]


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("act", [hang, DOWN], ids=["hangs", "cannot answer"])
def test_an_account_that_does_not_answer_costs_one_question(open_shops: OpenShops, act: Act, concurrency: int) -> None:
    """Its other orders are left as they are to the next sweep, and all of another account's are asked about."""
    shops = open_shops(a=act, b=GONE)
    shops.leave("a", *(f"a-{number}" for number in range(5)))
    shops.leave("b", "b-1", "b-2", "b-3")
    left = [shops.record("a", f"a-{number}") for number in range(1, 5)]
    found = shops.hub.sweep(concurrency=concurrency)
    assert ["a-0", "b-1", "b-2", "b-3"] == sorted(names(found))
    assert ({b'{"order_id":"a-0"}'}, 3) == (set(shops.servers["a"].bodies), shops.asked("b"))
    assert left == [shops.record("a", f"a-{number}") for number in range(1, 5)]


def test_accounts_take_turns(open_shops: OpenShops) -> None:
    """However many orders one account has due before another's: each gets its turn, the longest due first."""
    shops = open_shops(a=GONE, b=GONE, c=GONE)
    shops.leave("b", "b-1")
    shops.leave("a", "a-1", "a-2", "a-3")
    shops.leave("c", "c-1", "c-2")
    assert ["b-1", "a-1", "c-1", "a-2", "c-2", "a-3"] == names(shops.hub.sweep())
    shops.leave("a", "a-4", "a-5")
    shops.leave("c", "c-3")
    assert 2 == len(shops.hub.sweep(2))


def test_one_account_may_be_swept(open_shops: OpenShops) -> None:
    """A sweep of one account asks about its orders only; a name that there is not is no account without orders."""
    shops = open_shops(a=GONE, b=GONE)
    shops.leave("a", "a-1")
    shops.leave("b", "b-1", "b-2")
    assert (["b-1", "b-2"], 0) == (names(shops.hub.sweep(account="b")), shops.asked("a"))
    with pytest.raises(UnknownAccount, match=r"^no account 'c' in the configuration; known: a, b"):
        shops.hub.sweep(account="c")


def test_questions_are_asked_side_by_side(open_shops: OpenShops) -> None:
    """With a concurrency of three, three are under way at once, and never more; an account begins with one."""
    meeting, lock = threading.Barrier(3, timeout=30), threading.Lock()
    under_way = [0, 0]

    def meet(connection: socket.socket) -> None:
        with lock:
            under_way[0] += 1
            under_way[1] = max(under_way)
        meeting.wait()
        with lock:
            under_way[0] -= 1
        connection.sendall(GONE)

    shops = open_shops(a=meet, b=meet, c=meet)
    for account in "abc":
        shops.leave(account, f"{account}-1", f"{account}-2")
    assert (6, 3) == (len(shops.hub.sweep(concurrency=3)), under_way[1])


def test_an_account_that_answers_is_asked_several_questions_at_once(open_shops: OpenShops) -> None:
    """After its first answer one account has as many questions under way as the sweep may have."""
    meeting, first = threading.Barrier(2, timeout=30), threading.Event()

    def meet(connection: socket.socket) -> None:
        if first.is_set():
            meeting.wait()
        first.set()
        connection.sendall(GONE)

    shops = open_shops(a=meet)
    shops.leave("a", "a-1", "a-2", "a-3")
    assert 3 == len(shops.hub.sweep(concurrency=2))


def test_nobody_is_asked_by_nobody(open_shops: OpenShops) -> None:
    """A sweep that may ask about no order at once is a mistake, and is said to be one."""
    with pytest.raises(ConfigurationError, match=r"^concurrency: one at least$"):
        open_shops(a=GONE).hub.sweep(concurrency=0)


@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_journal_that_fails_ends_a_sweep(
    open_shops: OpenShops, monkeypatch: pytest.MonkeyPatch, concurrency: int
) -> None:
    """Its own error is raised, whether one order was asked about or several."""
    shops = open_shops(a=GONE, b=GONE)
    shops.leave("a", "a-1")
    shops.leave("b", "b-1")

    def failing(*_: Any) -> Any:
        raise JournalFailed("the disk is full")

    monkeypatch.setattr(shops.journal, "claim", failing)
    with pytest.raises(JournalFailed, match="the disk is full"):
        shops.hub.sweep(concurrency=concurrency)


DAMAGE = {"amount": "1000,00", "paid": "n/a", "kind": "gift", "why": "because", "provider": "other"}


@pytest.mark.parametrize("column", DAMAGE)
@pytest.mark.parametrize(("mode", "url"), COMBINATIONS[1:], indirect=True)  # nobody else can write into our memory
def test_a_damaged_row_holds_up_nobody(open_shops: OpenShops, column: str) -> None:
    """An order that cannot be read is logged by its name, and every other one is asked about, in each sweep."""
    shops = open_shops(a=GONE)
    shops.leave("a", "a-1", "a-2", "a-3")
    orders = tables(PREFIX).orders
    damaged = sa.update(orders).where(orders.c.order_id == "a-1").values({column: DAMAGE[column]})
    due = sa.update(orders).values(due_at=orders.c.id)
    for _ in range(2):
        with shops.journal.database.engine.begin() as connection:
            connection.execute(damaged)
            connection.execute(due)
        with capture_logs() as logs:
            assert ["a-2", "a-3"] == names(shops.hub.sweep())
        failed = [log for log in logs if log["event"] == "payhub.sweep_failed"]
        assert ["a-1"] == [log["order_id"] for log in failed]


def test_a_silent_account_has_no_further_turn() -> None:
    """The turns themselves: what was not due counts for nothing, and the limit is one of orders."""
    turns = Turns(["a", "b"], limit=3, concurrency=2)
    answered, silent = Visit(None), Visit(None, silent=True)
    assert ["a", "b"] == turns.take()
    turns.report("a", silent)
    turns.report("b", answered)
    assert ["b"] == turns.take()  # the third order
    turns.report("b", None)
    assert [] == turns.take()
