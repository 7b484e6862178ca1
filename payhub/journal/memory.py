"""Keep a journal in this process's memory: for tests and trials, gone when the process ends."""

import datetime as dt
import itertools
import threading
from collections import defaultdict
from typing import Literal

import msgspec

from payhub.driver import Schedule
from payhub.errors import OrderConflict
from payhub.journal import JournalFailed, Opened
from payhub.journal.records import Entry, Facts, Key, Record, applied
from payhub.journal.states import Evidence, Source, State
from payhub.models import Exchange


class MemoryJournal:
    """Keep orders in dictionaries, under one lock."""

    def __init__(self) -> None:
        """Begin empty."""
        self._records: dict[Key, Record] = {}
        self._entries: dict[Key, list[Entry]] = defaultdict(list)
        self._lock = threading.Lock()

    def open(self, facts: Facts, lease: float) -> Opened:
        """Reserve an order and take it for sending."""
        with self._lock:
            now = _now()
            record = self._records.get(facts.key)
            if record is None:
                record = Record(facts=facts, state=State.NEW, created_at=now, updated_at=now)
            elif record.facts.fingerprint != facts.fingerprint:
                raise conflict(facts.key)
            if record.state not in {State.NEW, State.NOT_SENT}:
                return Opened(record, yours=False)
            record = sending(record, now, lease)
            self._records[facts.key] = record
            self._entries[facts.key].append(_entry(record, Evidence(source=Source.PLAN, state=State.SENDING), now))
            return Opened(record, yours=True)

    def settle(
        self, key: Key, found: Evidence, schedule: Schedule, exchange: Exchange | None = None, *, by: str | None = None
    ) -> Record:
        """Keep evidence and apply it where the state machine allows it."""
        with self._lock:
            now = _now()
            if key not in self._records:
                raise JournalFailed("the journal does not know this order")
            record, contradicts = applied(self._records[key], found, now, schedule)
            self._records[key] = record
            if exchange is not None:
                self._entries[key].append(Entry(at=exchange.started_at, what="exchange", key=key, exchange=exchange))
            self._keep(key, _entry(record, found, now, contradicts=contradicts, by=by))
            return record

    def _keep(self, key: Key, entry: Entry) -> None:
        """Keep an entry; the same evidence again only counts."""
        kept = self._entries[key]
        newest = next((place for place in reversed(range(len(kept))) if _counts(kept[place])), None)
        if newest is not None and _counts(entry) and _said(kept[newest]) == _said(entry):
            kept[newest] = msgspec.structs.replace(kept[newest], times=kept[newest].times + 1)
        else:
            kept.append(entry)

    def find(self, key: Key) -> Record | None:
        """Return what is known of an order."""
        with self._lock:
            return self._records.get(key)

    def claim(self, limit: int, lease: float) -> tuple[Record, ...]:
        """Take orders that are due."""
        with self._lock:
            now = _now()
            due = sorted((r for r in self._records.values() if r.due_at and r.due_at <= now), key=_due)
            taken = tuple(itertools.islice(due, limit))
            for record in taken:
                later = msgspec.structs.replace(record, due_at=now + dt.timedelta(seconds=lease))
                self._records[record.facts.key] = later
            return taken

    def unsettled(self, older: float, limit: int) -> tuple[Record, ...]:
        """Return orders that are unknown or need attention."""
        before = _now() - dt.timedelta(seconds=older)
        with self._lock:
            found = [r for r in self._records.values() if r.state in UNSETTLED and r.updated_at <= before]
            return tuple(sorted(found, key=lambda r: r.updated_at)[:limit])

    def story(self, order_id: str) -> tuple[tuple[Record, ...], tuple[Entry, ...]]:
        """Return every order with this order_id and all that happened to them."""
        with self._lock:
            records = tuple(r for k, r in self._records.items() if k.order_id == order_id)
            entries = [e for k, kept in self._entries.items() if k.order_id == order_id for e in kept]
            return records, tuple(sorted(entries, key=lambda e: e.at))

    def close(self) -> None:
        """Forget nothing; there is nothing to close."""


UNSETTLED = frozenset({State.UNKNOWN, State.NEEDS_ATTENTION})


def conflict(key: Key) -> OrderConflict:
    """Say that an order_id stands for another order; no value of either is quoted."""
    return OrderConflict(f"account {key.account!r}: this order_id already stands for a different {key.kind}")


def sending(record: Record, now: dt.datetime, lease: float) -> Record:
    """Return a record that is taken for sending until its lease ends."""
    until = now + dt.timedelta(seconds=lease)
    return msgspec.structs.replace(
        record, state=State.SENDING, attempts=record.attempts + 1, lease_until=until, due_at=until, updated_at=now
    )


def _entry(
    record: Record, found: Evidence, now: dt.datetime, *, contradicts: bool = False, by: str | None = None
) -> Entry:
    what: Literal["evidence", "act"] = "act" if by else "evidence"
    return Entry(at=now, what=what, key=record.facts.key, evidence=found, contradicts=contradicts, by=by)


def _counts(entry: Entry) -> bool:
    return entry.what == "evidence" and entry.evidence is not None and entry.evidence.source not in _ONCE


_ONCE = frozenset({Source.PLAN, Source.ANSWER})


def _said(entry: Entry) -> tuple[Evidence | None, bool]:
    return entry.evidence, entry.contradicts


def _due(record: Record) -> dt.datetime:
    return record.due_at or dt.datetime.max.replace(tzinfo=dt.UTC)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
