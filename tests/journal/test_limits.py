"""An account's calls keep under its rate limit, and wait for it without keeping others waiting."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import msgspec
import pytest
import sqlalchemy as sa

from payhub import AsyncHub, NotSent, Status, Unavailable
from payhub.errors import JournalFailed
from payhub.journal.sql.migrate import upgrade
from payhub.journal.sql.tables import tables
from payhub.testing import fake
from tests.raw_server import RawServer
from tests.raw_server import answer as scripted
from tests.samples import PAYOUT, known

from .conftest import Place, Server
from .making import PREFIX

SLOWLY = 0.001  # one call in a thousand seconds: the second one never passes while a test runs

Open = Callable[..., Any]
Serve = Callable[..., RawServer]


def limited(server: RawServer, rate: float, **fields: Any) -> dict[str, Any]:
    """Configure an account under a rate limit."""
    return {"accounts": {"slow": {"provider": "fake", "base_url": server.url, "max_per_second": rate}}, **fields}


def test_a_call_over_the_limit_is_not_sent(open_hub: Open, serve: Serve) -> None:
    """Where the limit leaves no room within the deadline, nothing leaves: creating may be repeated."""
    provider = serve(scripted({"id": "7", "status": "new"}))
    hub = open_hub(provider.url, **limited(provider, SLOWLY, transport={"deadline": 0.3}))
    with pytest.raises(Unavailable):
        hub.fetch_balance("slow")
    with pytest.raises(NotSent, match=r"^the account's rate limit left no room within the time allowed \(not sent\)$"):
        hub.create_payout("slow", PAYOUT)
    assert [] == [request.path for request in provider.requests if "payout" in request.path]


def journal_of(hub: Any) -> Any:
    """Give the journal of a hub of either kind."""
    return getattr(hub, "hub", hub).journal


class Paced:
    """Note what a hub reserves of its journal, and answer in its place."""

    def __init__(self, hub: Any, *waits: float | Exception | None) -> None:
        self.asked: list[tuple[str, float, float]] = []
        self.waits = list(waits)
        journal_of(hub).reserve_slot = self

    def __call__(self, account: str, interval: float, patience: float) -> float | None:
        self.asked.append((account, interval, patience))
        wait = self.waits.pop(0)
        if isinstance(wait, Exception):
            raise wait
        return wait


@pytest.mark.parametrize(("rate", "interval"), [(50.0, 0.02), (400.0, 0.0025), (0.5, 2.0)])
def test_a_hub_reserves_what_the_account_says(open_hub: Open, serve: Serve, rate: float, interval: float) -> None:
    """Creates and reads reserve 1/max_per_second each, and have no more patience than the deadline."""
    provider = serve(scripted(known(PAYOUT)), scripted(known(PAYOUT)))
    hub = open_hub(**limited(provider, rate, transport={"deadline": 7.0}))
    paced = Paced(hub, 0.0, 0.0)
    hub.create_payout("slow", PAYOUT)
    hub.fetch_payout("slow", order_id="po-1")
    assert [("slow", interval)] * 2 == [(account, each) for account, each, _ in paced.asked]
    assert [True, True] == [0.0 < patience <= 7.0 for _, _, patience in paced.asked]


def test_an_account_without_a_limit_reserves_nothing(open_hub: Open, serve: Serve) -> None:
    """Without max_per_second nothing is asked of the journal."""
    hub = open_hub(serve(scripted(known(PAYOUT))).url)
    paced = Paced(hub)
    assert (Status.PENDING, []) == (hub.create_payout("shop", PAYOUT).status, paced.asked)


def test_a_call_waits_for_its_instant(
    open_hub: Open, serve: Serve, observer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call leaves when its instant has come: not before it, and nothing is added to the wait."""
    hub = open_hub(**limited(serve(scripted(known(PAYOUT))), 50.0))
    Paced(hub, 0.2)
    slept: list[float] = []
    for module in (time, anyio):
        monkeypatch.setattr(module, "sleep", noting(module.sleep, slept))
    hub.create_payout("slow", PAYOUT)
    assert ([0.2], True) == (slept, observer.exchanges[0].duration >= 0.2)


def noting(sleep: Callable[[float], Any], slept: list[float]) -> Callable[[float], Any]:
    """Sleep, and note for how long."""

    def noted(seconds: float) -> Any:
        slept.append(seconds)
        return sleep(seconds)

    return noted


def test_a_call_that_overslept_is_not_sent(open_hub: Open, serve: Serve) -> None:
    """A wait that lasted to the deadline, as where the process was stopped meanwhile, leaves no time to send."""
    provider = serve(scripted(known(PAYOUT)))
    hub = open_hub(**limited(provider, 50.0, transport={"deadline": 0.1}))
    Paced(hub, 0.2)
    with pytest.raises(NotSent, match=r"^the account's rate limit left no room within the time allowed \(not sent\)$"):
        hub.create_payout("slow", PAYOUT)
    assert [] == provider.requests


def test_rule_1_without_the_limits_row_nothing_is_sent(open_hub: Open, serve: Serve) -> None:
    """Rule 1: a journal that fails while it reserves lets no call leave, neither a create nor a read."""
    provider = serve(scripted(known(PAYOUT)))
    hub = open_hub(**limited(provider, 50.0, transport={"deadline": 0.1}))
    Paced(hub, *[JournalFailed("the journal failed: it is away")] * 2)
    with pytest.raises(NotSent, match=r"^the journal failed: it is away \(not sent\)$"):
        hub.create_payout("slow", PAYOUT)
    with pytest.raises(Unavailable, match=r"^the journal failed: it is away \(not sent\)$"):
        hub.fetch_balance("slow")
    assert [] == provider.requests


def test_who_waits_keeps_nobody_else_waiting(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """While sixty creates wait for a slow account, in an event loop, a payout of another account goes its way."""
    slow, fast = serve(scripted(known(PAYOUT))), serve(scripted(known(PAYOUT)))
    tables = limited(slow, 1 / 30, transport={"deadline": 3600})
    tables["accounts"]["fast"] = {"provider": "fake", "base_url": fast.url}
    assert (Status.PENDING, 60, 1) == anyio.run(_among_waiting, monkeypatch, tables)


async def _among_waiting(monkeypatch: pytest.MonkeyPatch, tables: dict[str, Any]) -> tuple[Status, int, int]:
    """Create a payout while others wait; return its status, and how many had reserved and how many were done."""
    waits: list[float | None] = []
    done: list[str] = []

    async with AsyncHub.from_mapping(tables, plugins=(fake,)) as hub, anyio.create_task_group() as group:
        reserve = hub.journal.reserve_slot

        def noted(*asked: Any) -> float | None:
            waits.append(reserve(*asked))
            return waits[-1]

        async def create(order_id: str) -> None:
            await hub.create_payout("slow", msgspec.structs.replace(PAYOUT, order_id=order_id))
            done.append(order_id)

        monkeypatch.setattr(hub.journal, "reserve_slot", noted)
        for number in range(60):
            group.start_soon(create, f"po-slow-{number}")
        with anyio.fail_after(20):  # and not half an hour
            while len(waits) < 60 or not done:  # noqa: ASYNC110 - they reserve in threads
                await anyio.sleep(0.01)
            payout = await hub.create_payout("fast", PAYOUT)
        group.cancel_scope.cancel()
        return payout.status, len(waits), len(done)
    raise AssertionError


# The database


@contextlib.contextmanager
def clerk(server: Server, place: Place) -> Iterator[str]:
    """Give the URL of a role that may read and write rows, and make nothing."""
    database = place.url.partition("@/")[2].partition("?")[0]
    server.run("CREATE ROLE clerk LOGIN")
    server.run(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO clerk",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO clerk",
        database=database,
    )
    yield place.url.replace("postgres:@", "clerk:@")
    server.run("DROP OWNED BY clerk", database=database)
    server.run("DROP ROLE clerk")


def test_a_role_that_may_make_nothing_sends(open_hub: Open, serve: Serve, server: Server) -> None:
    """On PostgreSQL a program that may only read and write rows sends under a limit, too."""
    provider = serve(scripted(known(PAYOUT)))
    with server.another() as place:
        upgrade(place.engine(), PREFIX)
        with clerk(server, place) as url:
            hub = open_hub(**limited(provider, 50.0, journal={"url": url, "key": "k" * 32}))
            assert Status.PENDING is hub.create_payout("slow", PAYOUT).status
            journal = journal_of(hub)
            engine = journal.database.engine
            with engine.connect() as connection, pytest.raises(sa.exc.ProgrammingError, match="denied"):
                connection.execute(sa.text("CREATE TABLE payhub_more (id integer)"))
            journal.close()


def test_only_tables_under_the_prefix_are_there(open_hub: Open, serve: Serve, empty: Place) -> None:
    """After calls under a limit the database has the journal's tables, and no other."""
    upgrade(empty.engine(), "shop_")
    provider = serve(scripted(known(PAYOUT)), scripted(known(PAYOUT)))
    hub = open_hub(**limited(provider, 50.0, journal={"url": empty.url, "prefix": "shop_", "key": "k" * 32}))
    hub.create_payout("slow", PAYOUT)
    hub.fetch_payout("slow", order_id="po-1")
    journal_of(hub).close()
    expected = {*tables("shop_").metadata.tables, "shop_version"}
    assert expected == set(sa.inspect(empty.engine()).get_table_names())
