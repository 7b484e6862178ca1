"""The journal in this process's memory: for tests and trials, gone when the process ends."""

import datetime as dt
import functools
import itertools
import math
import operator
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from payhub.driver import Schedule
from payhub.errors import JournalFailed
from payhub.journal import Intake, Reservation, forks, rules
from payhub.journal.records import (
    Entry,
    Erasure,
    Facts,
    Health,
    Key,
    NotificationContent,
    OrderFilter,
    Record,
    StoredNotification,
    Verdict,
)
from payhub.journal.states import Evidence, Source, State
from payhub.models import Exchange

_ONCE = frozenset({Source.PLAN, Source.ANSWER})
"""Sources of which each piece of evidence is kept: an attempt, and what came of it."""


class MemoryJournal:
    """Orders in dictionaries, under one lock."""

    def __init__(self) -> None:
        """Begin empty."""
        self._records: dict[Key, Record] = {}
        self._keys: dict[tuple[str, str, str], list[Key]] = defaultdict(list)
        self._entries: dict[Key, list[Entry]] = defaultdict(list)
        self._notifications: dict[tuple[str, str], StoredNotification] = {}
        self._ids: dict[tuple[str, str, str], Key] = {}  # which order has an id of a provider's account
        self._slots: dict[str, float] = {}
        self._swept_at: dt.datetime | None = None
        self._lock = forks.new_lock()

    def open(self, facts: Facts, lease: float) -> Reservation:
        """Reserve an order and take it for sending."""
        with self._lock:
            now = _now()
            leg = rules.live_leg(self._legs(facts.namespace, facts.kind, facts.order_id))
            if leg is not None and leg.facts.account != facts.account:
                rules.require_same(leg.facts, facts)
                return Reservation(leg, yours=False)
            record, is_first = rules.begin(facts, now), True
            known = self._records.get(facts.key)
            if known is not None:
                rules.require_same(known.facts, facts)
                if not rules.may_send(known):
                    return Reservation(known, yours=False)
                is_first = not rules.is_same_account(known.facts, facts.provider, facts.identity)
                record = rules.hand_to(known, facts)
                if known.facts.namespace != facts.namespace:
                    self._keys[known.facts.namespace, facts.kind, facts.order_id].remove(facts.key)
            keys = self._keys[facts.namespace, facts.kind, facts.order_id]
            if facts.key not in keys:
                keys.append(facts.key)
            told = any(stored.content.key == facts.key for stored in self._notifications.values())
            if told and is_first:
                record = self._records[facts.key] = rules.known_from_notification(record, now)
                return Reservation(record, yours=False)
            record = rules.take_for_sending(record, now, lease)
            self._records[facts.key] = record
            self._entries[facts.key].append(_entry(record, Evidence(source=Source.PLAN, state=State.SENDING), now))
            return Reservation(record, yours=True)

    def legs(self, namespace: str, kind: str, order_id: str) -> tuple[Record, ...]:
        """Return what is known of an order with every account, the live leg first."""
        with self._lock:
            return rules.live_first(self._legs(namespace, kind, order_id))

    def _legs(self, namespace: str, kind: str, order_id: str) -> Iterator[Record]:
        return map(self._records.__getitem__, self._keys[namespace, kind, order_id])

    def settle(
        self,
        key: Key,
        found: Evidence,
        schedule: Schedule,
        exchanges: Sequence[Exchange] = (),
        *,
        by: str | None = None,
    ) -> Record:
        """Keep evidence and apply it where the state machine allows it."""
        with self._lock:
            now = _now()
            if key not in self._records:
                raise JournalFailed("the journal does not know this order")
            before, refusal = self._records[key], None
            legs = functools.partial(self._legs, before.facts.namespace, key.kind, key.order_id)
            found = rules.of_this_leg(before, found, legs)
            last_denial = functools.partial(self._last_denial, key)
            record, contradicts = rules.apply(before, found, now, schedule, last_denial)
            place = record.facts.identity or "", key.kind, record.provider_id or ""
            if all(place) and self._ids.setdefault(place, key) != key:
                found = rules.of_another_order(found)
                record, contradicts = rules.apply(before, found, now, schedule, last_denial)
            if by is not None:
                record, refusal = rules.keep_one_live(before, record, legs(), now)
                contradicts = refusal is not None
            self._records[key] = record
            for exchange in exchanges:
                kept = msgspec.structs.replace(exchange, attempt=record.attempts)
                self._entries[key].append(Entry(at=exchange.started_at, what="exchange", key=key, exchange=kept))
            self._keep(key, _entry(record, found, now, contradicts=contradicts, by=by))
            if refusal is not None:
                raise refusal
            return record

    def _last_denial(self, key: Key) -> Evidence | None:
        """Return the evidence that contradicted an order last."""
        denials = (entry for entry in self._entries[key] if entry.contradicts and entry.what == "evidence")
        denial = max(denials, key=lambda entry: entry.last_at or entry.at, default=None)
        return denial.evidence if denial else None

    def _keep(self, key: Key, entry: Entry) -> None:
        """Keep an entry; the same evidence again only counts."""
        kept = self._entries[key]
        place = next((place for place in reversed(range(len(kept))) if _may_repeat(kept[place])), None)
        if place is not None and _may_repeat(entry):
            newest = kept[place]
            if (newest.evidence, newest.contradicts) == (entry.evidence, entry.contradicts):
                kept[place] = msgspec.structs.replace(newest, times=newest.times + 1, last_at=entry.at)
                return
        kept.append(entry)

    def find(self, key: Key) -> Record | None:
        """Return what is known of an order."""
        with self._lock:
            return self._records.get(key)

    def now(self) -> dt.datetime:
        """Return this machine's time."""
        return _now()

    def claim(
        self,
        limit: int,
        lease: float,
        due: dt.datetime | None = None,
        account: str | None = None,
        longest: float = math.inf,
    ) -> tuple[Key, ...]:
        """Take orders that are due."""
        with self._lock:
            now = _now()
            waiting = (key for key in self._due(due or now, longest) if account in {None, key.account})
            taken = tuple(itertools.islice(waiting, limit))
            for key in taken:
                later = now + dt.timedelta(seconds=lease)
                self._records[key] = msgspec.structs.replace(self._records[key], due_at=later)
            return taken

    def due_accounts(self, due: dt.datetime, longest: float = math.inf) -> tuple[str, ...]:
        """Return the accounts with orders that were due at a time."""
        with self._lock:
            return tuple(dict.fromkeys(key.account for key in self._due(due, longest)))

    def _due(self, at: dt.datetime, longest: float) -> list[Key]:
        """Name the orders that were due at a time, those first that have waited longest."""
        now = _now()
        due = [(r.due_at, key) for key, r in self._records.items() if r.due_at and rules.is_due(r, at, now, longest)]
        return [key for _, key in sorted(due, key=operator.itemgetter(0))]

    def note_sweep(self) -> None:
        """Note that a sweep has come to its end now."""
        self._swept_at = _now()

    def keep_notification(
        self, content: NotificationContent, window: float, lease: float, *, anew: bool = False
    ) -> Intake:
        """Keep a notification, and make its order due."""
        with self._lock:
            now = _now()
            record = self._records.get(content.key)
            place = content.account, content.digest
            if record is not None and not rules.is_about(content, record.facts):
                record = None
            known = self._notifications.get(place)
            new = known is None or anew
            found = known.verdict if known and not anew else rules.judge_before_query(record, content, anew=anew)
            times, at = (known.times + (not anew), known.at) if known else (1, now)
            last_at = known.last_at if known and anew else now
            number = known.id if known else len(self._notifications) + 1
            self._notifications[place] = StoredNotification(
                id=number, content=content, verdict=found, times=times, at=at, last_at=last_at
            )
            if record is None or found is not Verdict.WAITING:
                return Intake(times, record, ask=False)
            record, ask = rules.note_notification(record, now, window, lease, new=new)
            self._records[content.key] = record
            return Intake(times, record, ask)

    def reserve_slot(self, account: str, interval: float, patience: float) -> float | None:
        """Reserve the account's next free instant."""
        with self._lock:
            now = time.monotonic()
            slot = max(now, self._slots.get(account, now - interval) + interval)
            if slot - now > patience:
                return None
            self._slots[account] = slot
            return slot - now

    def judge_notifications(self, key: Key, asked_at: dt.datetime) -> Record:
        """Judge the notifications that wait."""
        with self._lock:
            record = self._records[key]
            waiting = [
                place
                for place, stored in self._notifications.items()
                if stored.content.key == key
                and stored.verdict is Verdict.WAITING
                and rules.is_about(stored.content, record.facts)
            ]
            legs = functools.partial(self._legs, record.facts.namespace, key.kind, key.order_id)
            for place in waiting:
                stored = self._notifications[place]
                if stored.last_at <= asked_at:
                    self._notifications[place] = msgspec.structs.replace(
                        stored, verdict=rules.judge(record, stored.content, legs)
                    )
            verdicts = [self._notifications[place].verdict for place in waiting]
            record = self._records[key] = rules.apply_verdicts(record, verdicts)
            return record

    def search(self, wanted: OrderFilter, limit: int) -> tuple[Record, ...]:
        """Return the orders that fit, the newest first."""
        with self._lock:
            newest = reversed(self._records.values())
            return tuple(itertools.islice((r for r in newest if wanted.fits(r)), limit))

    def exchanges(self, limit: int, *, after: int | None = None) -> tuple[tuple[int, Entry], ...]:
        """Return exchanges with their numbers, in order: the newest, or those after a number."""
        with self._lock:
            kept = [entry for entries in self._entries.values() for entry in entries if entry.what == "exchange"]
            numbered = tuple(enumerate(sorted(kept, key=lambda entry: entry.at), 1))
        return numbered[-limit:] if after is None else numbered[after : after + limit]

    def prune(self, before: dt.datetime, limit: int) -> int:
        """Delete exchanges from before a time, of orders that are closed."""
        with self._lock:
            closed = [key for key, record in self._records.items() if rules.is_closed(record)]
            kept = ((key, entry) for key in closed for entry in self._entries[key])
            old = [(key, entry) for key, entry in kept if entry.what == "exchange" and entry.at < before][:limit]
            for key, entry in old:
                self._entries[key].remove(entry)
            return len(old)

    def forget(self, payer: str) -> Erasure:
        """Keep of a payer's closed orders nothing but the money facts."""
        with self._lock:
            mine = {key: r for key, r in self._records.items() if r.facts.payer == payer}
            closed = [key for key, record in mine.items() if rules.is_closed(record)]
            for key in closed:
                facts = msgspec.structs.replace(mine[key].facts, payer=None, tail=None)
                self._records[key] = msgspec.structs.replace(mine[key], facts=facts, redirect_url=None, reason=None)
                kept = (entry for entry in self._entries[key] if entry.what != "exchange")
                self._entries[key] = [
                    msgspec.structs.replace(entry, evidence=rules.without_personal_data(entry.evidence))
                    if entry.what == "evidence" and entry.evidence
                    else entry
                    for entry in kept
                ]
            for place, stored in self._notifications.items():
                if stored.content.key in closed:
                    bare = msgspec.structs.replace(stored.content, fields={})
                    self._notifications[place] = msgspec.structs.replace(stored, content=bare)
            return Erasure(len(closed), len(mine) - len(closed))

    def notifications(
        self, limit: int, *, order_id: str | None = None, number: int | None = None
    ) -> tuple[StoredNotification, ...]:
        """Return notifications, the newest first."""
        with self._lock:
            newest = reversed(self._notifications.values())
            asked = (n for n in newest if number in (None, n.id) and order_id in (None, n.content.order_id))
            return tuple(itertools.islice(asked, limit))

    def unsettled(self, older: float, limit: int, overdue: float = rules.OVERDUE) -> tuple[Record, ...]:
        """Return orders that wait for a person, or for a sweep."""
        now = _now()
        before = now - dt.timedelta(seconds=older)
        with self._lock:
            found = [r for r in self._records.values() if rules.is_listed(r, now, before, overdue)]
            return tuple(sorted(found, key=lambda r: r.updated_at)[:limit])

    def health(self, overdue: float, waiting: float) -> Health:
        """Count what is overdue, and what waits for a person."""
        now = _now()
        with self._lock:
            records = self._records.values()
            late = self._due(now - dt.timedelta(seconds=overdue), math.inf)
            asked = [r for r in records if rules.waits_for_person(r, now)]
            old = now - dt.timedelta(seconds=waiting)
            return Health(
                at=now,
                overdue=len(late),
                oldest=late[0] if late else None,
                oldest_due_at=self._records[late[0]].due_at if late else None,
                unknown=sum(r.state is State.UNKNOWN for r in records),
                needs_attention=sum(r.state is State.NEEDS_ATTENTION for r in records),
                contradicted=sum(r.contradicted for r in records),
                waiting=sum(r.updated_at <= old for r in asked),
                swept_at=self._swept_at,
            )

    def story(self, order_id: str) -> tuple[tuple[Record, ...], tuple[Entry, ...]]:
        """Return every order with this order_id and all that happened to them."""
        with self._lock:
            records = tuple(r for k, r in self._records.items() if k.order_id == order_id)
            entries = [e for k, kept in self._entries.items() if k.order_id == order_id for e in kept]
            entries += [stored.entry for stored in self._notifications.values() if stored.content.order_id == order_id]
            return records, tuple(sorted(entries, key=lambda e: e.at))

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


def _entry(
    record: Record, found: Evidence, now: dt.datetime, *, contradicts: bool = False, by: str | None = None
) -> Entry:
    what: Literal["evidence", "act"] = "act" if by else "evidence"
    return Entry(at=now, what=what, key=record.facts.key, evidence=found, contradicts=contradicts, by=by)


def _may_repeat(entry: Entry) -> bool:
    return entry.what == "evidence" and entry.evidence is not None and entry.evidence.source not in _ONCE


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
