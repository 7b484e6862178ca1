"""Make what a journal keeps."""

import datetime as dt
from typing import Any

import msgspec

from payhub import Money
from payhub.driver import Schedule
from payhub.journal import Evidence, Facts, Journal, Key, Record, Source, State
from payhub.journal.memory import MemoryJournal
from payhub.journal.sql.tables import tables
from payhub.models import Exchange, Phase

PREFIX = "payhub_"
LATER = Schedule(first=3600.0)
NOW = Schedule(first=0.0, growth=1.0)


_TIMES = ("sent_at", "lease_until", "due_at", "quiet_until", "created_at", "updated_at")


def age(journal: Any, **ago: float) -> None:
    """Let everything that a journal has of its orders be so much longer ago."""
    span = dt.timedelta(**ago)
    if isinstance(journal, MemoryJournal):
        for name, record in journal._records.items():
            times = {time: at - span for time in _TIMES if (at := getattr(record, time)) is not None}
            journal._records[name] = msgspec.structs.replace(record, **times)
        return
    columns = tables(PREFIX).orders.c
    shifted = {name: columns[name] - span // dt.timedelta(microseconds=1) for name in _TIMES}
    with journal.database.engine.begin() as connection:
        connection.execute(tables(PREFIX).orders.update().values(shifted))


def facts(order_id: str = "po-1", **fields: Any) -> Facts:
    """Make what may be kept of an order."""
    given = {"account": "shop", "provider": "fake", "kind": "payout", "method": "card", "fingerprint": "f" * 64}
    return Facts(**{**given, "order_id": order_id, "amount": Money("1000.44", "RUB"), **fields})


def key(order_id: str = "po-1") -> Key:
    """Name an order of the shop."""
    return Key("shop", "payout", order_id)


def found(state: State, source: Source = Source.STATUS, **fields: Any) -> Evidence:
    """Make a piece of evidence."""
    return Evidence(source=source, state=state, **fields)


def exchange(problem: str | None = None) -> Exchange:
    """Make an exchange of an order."""
    return Exchange(
        account="shop", provider="fake", operation="fetch_payout", order_id="po-1", provider_id=None, method="POST",
        url="https://pay.example/find", phase=Phase.ANSWERED, status=200, problem=problem,
        started_at=dt.datetime.now(dt.UTC), duration=0.25, server_time=None, bytes_sent=2, bytes_received=2,
        request={"order_id": "po-1"}, response={"number": "411111******1111", "sum": [1, None, True]},
    )  # fmt: skip


# How an order comes to each state, by the shortest way.
WAYS: dict[State, list[tuple[State, Source]]] = {
    State.SENDING: [],
    State.NOT_SENT: [(State.NOT_SENT, Source.ANSWER)],
    State.DECLINED: [(State.DECLINED, Source.ANSWER)],
    State.PENDING: [(State.PENDING, Source.ANSWER)],
    State.UNKNOWN: [(State.UNKNOWN, Source.ANSWER)],
    State.SUCCEEDED: [(State.SUCCEEDED, Source.ANSWER)],
    State.FAILED: [(State.FAILED, Source.ANSWER)],
    State.CANCELED: [(State.CANCELED, Source.ANSWER)],
    State.NEEDS_ATTENTION: [(State.NEEDS_ATTENTION, Source.ANSWER)],
    State.REVERSED: [(State.SUCCEEDED, Source.ANSWER), (State.REVERSED, Source.STATUS)],
}


def brought(journal: Journal, state: State, order_id: str = "po-1", schedule: Schedule = LATER) -> Record:
    """Bring a new order to a state."""
    record = journal.open(facts(order_id), 60.0).record
    for then, source in WAYS[state]:
        record = journal.settle(key(order_id), found(then, source), schedule)
    assert state is record.state
    return record
