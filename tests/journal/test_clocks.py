"""Clocks that are wrong: PostgreSQL's own counts, and what a wrong one has put off is due now."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from payhub import Status, hub
from payhub.journal import Journal, State, memory
from payhub.journal.sql import journal as sql_journal
from payhub.journal.sql import queries
from payhub.plans import advance, create, fetch, plan, settle
from payhub.transport import connection
from tests.raw_server import answer, close
from tests.samples import PAYOUT, known

from .conftest import OpenShop
from .making import LATER, brought, facts, found, key
from .test_notices import notice

CREATED = answer(known(PAYOUT))
DONE = answer(known(PAYOUT, status="done", paid="1000.44"))
HOUR = 3600.0
Ahead = Callable[[float], None]


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> Ahead:
    """Give what sets this machine's clock ahead, in seconds, as payhub sees it."""

    def set_ahead(seconds: float) -> None:
        class Clock(dt.datetime):
            @classmethod
            def now(cls, tz: dt.tzinfo | None = None) -> Any:
                return dt.datetime.now(tz) + dt.timedelta(seconds=seconds)

        class Module:
            datetime = Clock

            def __getattr__(self, name: str) -> Any:
                return getattr(dt, name)

        for module in (memory, sql_journal, queries, advance, connection, create, fetch, plan, settle, hub):
            monkeypatch.setattr(module, "dt", Module(), raising=False)

    return set_ahead


@pytest.mark.parametrize("hours", [5, 3 * 24, 365 * 24])
@pytest.mark.parametrize(("act", "first"), [(CREATED, Status.PENDING), (close, Status.UNKNOWN)])
def test_what_a_wrong_clock_has_put_off_is_asked_about(
    open_shop: OpenShop, ahead: Ahead, hours: int, act: Any, first: Status
) -> None:
    """An order was created while the clock was ahead; it is right again, and the next sweep asks."""
    shop = open_shop(act, DONE, schedule={"first": 5.0})
    ahead(hours * HOUR)
    assert first is shop.hub.create_payout("shop", PAYOUT).status
    ahead(12.0)  # on PostgreSQL, whose clock was right, it is due after its pause
    if _on_postgresql(shop.journal):
        due = shop.journal.find(key()).due_at - shop.journal.now()
        assert dt.timedelta() < due < dt.timedelta(seconds=7)
        return
    assert [Status.SUCCEEDED] == [each.status for each in shop.hub.sweep()]


def test_a_sender_that_died_under_a_wrong_clock_is_given_up(open_shop: OpenShop, ahead: Ahead) -> None:
    """Its lease ends a year from now by the clock that was wrong: nobody waits for that."""
    shop = open_shop(DONE)
    ahead(365 * 24 * HOUR)
    order = {"provider": "waiting", "fingerprint": ""}
    lease = 0.0 if _on_postgresql(shop.journal) else 60.0
    assert shop.journal.open(facts(**order), lease).yours
    ahead(0.0)
    assert [Status.SUCCEEDED] == [each.status for each in shop.hub.sweep()]


def _on_postgresql(journal: Journal) -> bool:
    return isinstance(journal, sql_journal.SqlJournal) and not journal.database.is_sqlite


def test_a_lease_that_is_held_is_waited_for(journal: Journal, ahead: Ahead) -> None:
    """What is due within the longest pause is not due now, and a claim is not claimed again."""
    ahead(0.0)
    brought(journal, State.PENDING)
    assert [[], []] == [list(journal.claim(1, 60.0, longest=longest)) for longest in (5 * HOUR, 2 * HOUR)]
    assert [1, 0] == [len(journal.claim(1, 60.0, longest=60.0)) for _ in range(2)]


@pytest.mark.parametrize("state", [State.SENDING, State.PENDING, State.UNKNOWN, State.NEEDS_ATTENTION])
def test_what_changed_in_the_future_is_listed(journal: Journal, ahead: Ahead, state: State) -> None:
    """An order whose time lies ahead, while it is open or waits for a person, is listed for one."""
    if _on_postgresql(journal):
        return  # which goes by its own
    ahead(5 * HOUR)
    brought(journal, state)
    brought(journal, State.SUCCEEDED, "po-2")
    ahead(0.0)
    assert ["po-1"] == [record.facts.order_id for record in journal.unsettled(60.0, 10)]


@pytest.mark.parametrize("hours", [-5, 5])
def test_machines_with_other_clocks_share_postgresql(open_shop: OpenShop, ahead: Ahead, hours: int) -> None:
    """A machine whose clock is wrong sends, asks and settles as the others do, and its times are the server's."""
    shop = open_shop(CREATED, DONE)
    if not _on_postgresql(shop.journal):
        return
    ahead(hours * HOUR)
    before = shop.journal.now()
    assert Status.PENDING is shop.hub.create_payout("shop", PAYOUT).status
    shop.journal.keep_notification(notice(), 60.0, 0.0)
    assert [Status.SUCCEEDED] == [each.status for each in shop.hub.sweep()]
    record = shop.journal.find(key())
    times = [record.created_at, record.sent_at, record.updated_at]
    assert (sorted(times), True, False) == (times, before <= times[0] <= shop.journal.now(), record.notified)
    assert [] == list(shop.journal.unsettled(0.0, 10))


def test_a_waiting_creator_goes_by_the_servers_clock(open_shop: OpenShop, ahead: Ahead) -> None:
    """A machine whose clock is ahead gives up no sender whose lease has not ended by the server's clock."""
    shop = open_shop(DONE)
    if not _on_postgresql(shop.journal):
        return
    shop.journal.open(facts(provider="waiting"), 60.0)
    ahead(5 * HOUR)
    assert Status.UNKNOWN is shop.hub.advance("shop", "payout", "po-1").status
    assert (State.SENDING, []) == (shop.journal.find(key()).state, shop.sent)
    shop.journal.settle(key(), found(State.PENDING), LATER)


class _AnyTime(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, REAL)


REAL = dt.datetime


class Frozen(REAL, metaclass=_AnyTime):
    """The time as tests freeze it, where nothing is a plain `datetime` any more."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        return cls(2026, 1, 1, 12, tzinfo=tz)


def test_under_a_frozen_clock_the_outcome_is_written_down(open_shop: OpenShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application's test that freezes the time has its orders recorded, told again and shown like any other."""
    shop = open_shop(DONE)
    monkeypatch.setattr(dt, "datetime", Frozen)
    statuses = [shop.hub.create_payout("shop", PAYOUT).status for _ in range(2)]
    ticket = shop.hub.ticket("shop", "payout", "po-1", internal=True).rendered("json")
    assert ([Status.SUCCEEDED] * 2, 1, "po-1") == (statuses, len(shop.sent), json.loads(ticket)["order_id"])
