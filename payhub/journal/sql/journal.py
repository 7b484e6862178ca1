"""The journal in SQLite or PostgreSQL: every method is one transaction.

In SQLite a transaction that may write has the write lock from its beginning; in PostgreSQL it locks the order's row.
"""

import contextlib
import datetime as dt
import functools
import math
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from payhub.driver import Schedule
from payhub.errors import ConfigurationError, IllegalStep, JournalFailed
from payhub.journal import Intake, KeyCheck, Reservation, rules
from payhub.journal.reasons import Why, explain
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
from payhub.journal.sql import queries, retention, rows
from payhub.journal.sql.database import Database
from payhub.journal.sql.examination import Examination, examine
from payhub.journal.sql.note import Mark, Note, compare
from payhub.journal.sql.statements import OrderRow, Statements
from payhub.journal.sql.tables import SWEPT, tables
from payhub.journal.states import Evidence, Source, State
from payhub.models import Exchange

_MICROSECONDS = 1_000_000
_NOTED_EVERY = 10.0  # seconds; a watch may sweep several times a second
_LOOK_AGAIN = (0.0, 0.1, 0.3, 1.0, 2.0)  # seconds between looks after a commit whose acknowledgement was lost
_LOOK_WITHIN = 10.0  # seconds; a look at a database that is silent takes as long


class SqlJournal:
    """Orders in a database that any number of processes may share."""

    def __init__(
        self,
        url: str,
        prefix: str = "payhub_",
        key_check: KeyCheck | None = None,
        note: Note | None = None,
        damaged: Callable[[Key, str], object] = lambda _key, _words: None,
    ) -> None:
        """Prepare the connections; SQLite's tables are created on first use.

        Give `key_check` to create orders or to forget payers: a journal that was begun with another key takes none.
        The `note` tells that a journal was begun; what is not that journal takes no order. `damaged` is
        called with an order that is left out because its row cannot be read, and with what is wrong.

        Raises:
            JournalFailed: the URL or the prefix cannot be used.
        """
        self.database = Database(url, prefix, note)
        self._tables = tables(prefix)
        self._statements = Statements.of(self._tables, self.database.engine.dialect)
        self._key_check = key_check
        self._damaged = damaged
        self._swept = -math.inf  # when this process last noted a sweep

    def has_key(self) -> bool:
        """Tell whether this journal was begun with a key; one that is not there, or cannot be read, was not."""
        file = self.database.engine.url.database if self.database.is_sqlite else None
        if file and not Path(file).exists():
            return False
        try:
            with self.database.connection_as_it_is() as connection:
                setting = self._tables.settings.c
                return connection.execute(sa.select(setting.value).where(setting.name == "key")).first() is not None
        except (*self.database.errors, JournalFailed):
            return False

    def _wrong_key(self, *, begins: bool) -> str | None:
        """Return where the key is looked for, if this journal was begun with another one.

        The first that `begins` to write orders gives the journal its key.
        """
        check = self._key_check  # another thread may set it to None meanwhile
        if check is None:
            return None
        with self.database.cursor(reads_only=not begins, noted=begins) as cursor:
            if begins:
                self._statements.begin.run(cursor, {"name": "key", "value": str(check.value)})
            begun_with = self._statements.begun.run(cursor, {"name": "key"}).fetchone()
        if begun_with is None:
            return None
        if begun_with[0] == check.value:
            self._key_check = None  # it need not be compared again
            return None
        return check.place

    def open(self, facts: Facts, lease: float) -> Reservation:
        """Reserve an order and take it for sending.

        Raises:
            ConfigurationError: the key is another one, and the order was not sent; one that was is of unknown outcome.
        """
        if (place := self._wrong_key(begins=True)) is not None:
            leg = rules.live_leg(self.legs(facts.namespace, facts.kind, facts.order_id)) or self.find(facts.key)
            if leg is None or rules.may_send(leg):
                raise ConfigurationError(explain(Why.OTHER_KEY, place))
            return Reservation(_uncompared(leg, place), yours=False)
        taken: list[Record] = []
        try:
            return self._open(facts, lease, taken)
        except JournalFailed as cause:
            if isinstance(cause.__cause__, self.database.integrity_error):
                # Another account's leg of the order became live at the same time: now it can be seen.
                return self._open(facts, lease, taken)
            if taken and self._was_committed(taken[-1]):
                return Reservation(taken[-1], yours=True)
            raise

    def _was_committed(self, taken: Record) -> bool:
        """Look whether a transaction took effect whose acknowledgement did not come; without an answer it did not."""
        until = time.monotonic() + _LOOK_WITHIN
        for pause in _LOOK_AGAIN:
            if time.monotonic() > until:
                break
            time.sleep(pause)
            with contextlib.suppress(JournalFailed):
                found = self.find(taken.facts.key)
                # No two senders take one order at one microsecond: they wait for each other.
                return found is not None and found.sent_at == taken.sent_at and found.state is State.SENDING
        return False

    def _open(self, facts: Facts, lease: float, taken: list[Record]) -> Reservation:
        """Reserve an order; what is taken for sending is in `taken`, also if the commit fails."""
        with self.database.cursor(noted=True) as cursor:
            leg = rules.live_leg(self._legs(cursor, facts.namespace, facts.kind, facts.order_id))
            if leg is not None and leg.facts.account != facts.account:
                rules.require_same(leg.facts, facts)
                return Reservation(leg, yours=False)
            now = self._now(cursor)
            mine = rules.begin(facts, now)
            record = rules.take_for_sending(mine, now, lease)
            new = rows.new_order(record)
            made = self._statements.reserve(tuple(new)).run(cursor, new).fetchone()
            if made:
                row, before, is_first = made[0], record, True
            else:
                row, before = self._lock(cursor, facts.key)
                rules.require_same(before.facts, facts)
                if not rules.may_send(before):
                    return Reservation(before, yours=False)
                is_first = not rules.is_same_account(before.facts, facts.provider, facts.identity)
                mine, now = rules.hand_to(before, facts), self._now(cursor)  # read under the lock
                record = rules.take_for_sending(mine, now, lease)
            if is_first and self._statements.waiting.run(cursor, facts.key._asdict()).fetchone():
                known = rules.known_from_notification(mine, now)
                return Reservation(self._update(cursor, row, before, known), yours=False)
            if not made:
                self._update(cursor, row, before, record)
            at, until = rows.micros(record.updated_at), rows.micros(record.lease_until)
            attempt = {"order": row, "at": at, "number": record.attempts, "lease_until": until}
            self._statements.attempt.run(cursor, attempt)
            taken.append(record)
        if made:
            self.database.note.reach(row)
        return Reservation(record, yours=True)

    def legs(self, namespace: str, kind: str, order_id: str) -> tuple[Record, ...]:
        """Return what is known of an order with every account, the live leg first."""
        place = self._wrong_key(begins=False)
        with self.database.cursor(reads_only=True) as cursor:
            legs = self._legs(cursor, namespace, kind, order_id)
        return legs if place is None else tuple(_uncompared(leg, place) for leg in legs)

    def _legs(self, cursor: Any, namespace: str, kind: str, order_id: str) -> tuple[Record, ...]:
        order = {"namespace": namespace, "kind": kind, "order_id": order_id}
        legs = [rows.record(OrderRow(*row)) for row in self._statements.legs.run(cursor, order).fetchall()]
        return rules.live_first(legs)

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
        settled = functools.partial(self._settle, key, found, schedule, exchanges, by)
        try:
            record, refusal = settled()
        except JournalFailed as cause:
            if not isinstance(cause.__cause__, self.database.integrity_error):
                raise
            # The database has refused a second live leg, or a second order with one id of the provider's.
            record, refusal = settled(refused=True)
        if refusal is not None:
            raise refusal
        return record

    def _settle(
        self,
        key: Key,
        found: Evidence,
        schedule: Schedule,
        exchanges: Sequence[Exchange],
        by: str | None,
        *,
        refused: bool = False,
    ) -> tuple[Record, IllegalStep | None]:
        """Settle an order; what an operator is refused because of another leg is kept, and the refusal returned.

        If the database has refused it before, see whether another order has the provider's id.
        """
        with self.database.cursor() as cursor:
            row, before = self._lock(cursor, key)
            legs = functools.partial(self._legs, cursor, before.facts.namespace, key.kind, key.order_id)
            found = rules.of_this_leg(before, found, legs)
            place = {"kind": key.kind, "identity": before.facts.identity, "provider_id": found.provider_id}
            if refused and self._statements.holder.run(cursor, {"row": row, **place}).fetchone():
                found = rules.of_another_order(found)
            now = self._now(cursor)  # read under the lock: times are in the order in which the transactions take effect
            last_denial = functools.partial(self._last_denial, cursor, row)
            after, contradicts = rules.apply(before, found, now, schedule, last_denial)
            refusal = None
            if by is not None:
                after, refusal = rules.keep_one_live(before, after, legs(), now)
            record = self._update(cursor, row, before, after)
            for exchange in exchanges:
                kept = msgspec.structs.replace(exchange, attempt=record.attempts)
                at, body = rows.micros(exchange.started_at), rows.as_json(kept)
                self._statements.exchange.run(cursor, {"order": row, "at": at, "body": body})
            entry = {"order": row, "at": rows.micros(now), "body": rows.as_json(found)}
            if by is not None:
                self._statements.act.run(cursor, {**entry, "by": by, "contradicts": refusal is not None})
            elif not self._count_again(cursor, entry, found, contradicts=contradicts):
                first = {"last_at": entry["at"], "contradicts": contradicts, "times": 1}
                self._statements.evidence.run(cursor, {**entry, **first})
            return record, refusal

    def _last_denial(self, cursor: Any, row: int) -> Evidence | None:
        """Return the evidence that contradicted an order last."""
        last = self._statements.last_denial.run(cursor, {"row": row}).fetchone()
        return rows.read_evidence(last[0]) if last else None

    def _count_again(self, cursor: Any, entry: dict[str, Any], found: Evidence, *, contradicts: bool) -> bool:
        """Count evidence that says the same as the newest of its order, so that repeats take no room."""
        if found.source is Source.ANSWER:  # a create is answered once: spare the hot path the question
            return False
        newest = self._statements.newest.run(cursor, {"row": entry["order"]}).fetchone()
        if newest is None or newest[1:] != (entry["body"], contradicts):
            return False
        self._statements.again.run(cursor, {"row": newest[0], "now": entry["at"]})
        return True

    def _lock(self, cursor: Any, key: Key) -> tuple[int, Record]:
        """Read an order and keep others from changing it until the transaction ends."""
        row, record = self._lock_if_known(cursor, key)
        if record is None:
            raise JournalFailed("the journal does not know this order")
        return row, record

    def _lock_if_known(self, cursor: Any, key: Key) -> tuple[int, Record | None]:
        found = self._statements.lock.run(cursor, key._asdict()).fetchone()
        row: Any = OrderRow(*found) if found else None
        return (row.id, rows.record(row)) if row else (0, None)

    def _update(self, cursor: Any, row: int, before: Record, after: Record) -> Record:
        """Write what of an order has changed, and return the order."""
        if changed := rows.changed(before, after):
            self._statements.update(tuple(changed)).run(cursor, {"row": row, **changed})
        return after

    def keep_notification(
        self, content: NotificationContent, window: float, lease: float, *, anew: bool = False
    ) -> Intake:
        """Keep a notification, and make its order due."""
        if self._wrong_key(begins=False) is not None:
            content = msgspec.structs.replace(content, identity=None)
        with self.database.cursor() as cursor:
            # The order first, as everywhere: transactions that lock in different orders wait for each other.
            row, record = self._lock_if_known(cursor, content.key)
            if record is not None and not rules.is_about(content, record.facts):
                record = None
            now = self._now(cursor)
            found = rules.judge_before_query(record, content, anew=anew)
            at = rows.micros(now)
            kept = {**content.key._asdict(), "digest": content.digest, "body": rows.as_json(content), "verdict": found}
            new = self._statements.note.run(cursor, {**kept, "times": 1, "at": at, "last_at": at}).fetchone()
            times = 1
            if new is None:
                counted = {"more": 0, "now": None, "anew": found} if anew else {"more": 1, "now": at, "anew": None}
                again = {"account": content.account, "digest": content.digest, **counted}
                times, known = self._statements.note_again.run(cursor, again).fetchone()
                found = Verdict(known)
            if record is None or found is not Verdict.WAITING:
                return Intake(times, record, ask=False)
            after, ask = rules.note_notification(record, now, window, lease, new=new is not None or anew)
            return Intake(times, self._update(cursor, row, record, after), ask)

    def judge_notifications(self, key: Key, asked_at: dt.datetime) -> Record:
        """Judge the notifications that wait."""
        with self.database.cursor() as cursor:
            row, record = self._lock(cursor, key)
            legs = functools.partial(self._legs, cursor, record.facts.namespace, key.kind, key.order_id)
            verdicts: list[Verdict] = []
            for number, body, last_at in self._statements.waiting.run(cursor, key._asdict()).fetchall():
                content = rows.read_content(body)
                if not rules.is_about(content, record.facts):
                    continue
                answered = last_at <= (rows.micros(asked_at) or 0)
                verdicts.append(rules.judge(record, content, legs) if answered else Verdict.WAITING)
                self._statements.judge.run(cursor, {"number": number, "verdict": verdicts[-1]})
            return self._update(cursor, row, record, rules.apply_verdicts(record, verdicts))

    def find(self, key: Key) -> Record | None:
        """Return what is known of an order; where the key is another one, not who its account is."""
        with self.database.cursor(reads_only=True) as cursor:
            found = self._statements.find.run(cursor, key._asdict()).fetchone()
        if found is None:
            return None
        known = rows.record(OrderRow(*found))
        if self._wrong_key(begins=False) is not None:
            return msgspec.structs.replace(known, facts=msgspec.structs.replace(known.facts, identity=None))
        return known

    def now(self) -> dt.datetime:
        """Return the time by PostgreSQL's clock; SQLite is on one machine."""
        if self.database.is_sqlite:
            return _now()
        with self.database.cursor(reads_only=True) as cursor:
            return self._now(cursor)

    def _now(self, cursor: Any) -> dt.datetime:
        return _now() if self.database.is_sqlite else rows.moment(self._statements.clock.run(cursor, {}).fetchone()[0])

    def claim(
        self,
        limit: int,
        lease: float,
        due: dt.datetime | None = None,
        account: str | None = None,
        longest: float = math.inf,
    ) -> tuple[Key, ...]:
        """Take orders that are due; PostgreSQL skips those that another process is taking."""
        with self.database.cursor() as cursor:
            now = self._now(cursor)
            until = rows.micros(now + dt.timedelta(seconds=lease))
            asked = {"due": rows.micros(due or now), "limit": limit, **_far(now, longest)}
            one = {} if account is None else {"account": account}
            taken = self._statements.due[bool(one)].run(cursor, {**asked, **one}).fetchall()
            for row, *_ in taken:
                self._statements.take.run(cursor, {"row": row, "until": until})
            return tuple(Key(*key) for _, *key in taken)

    def due_accounts(self, due: dt.datetime, longest: float = math.inf) -> tuple[str, ...]:
        """Return the accounts with orders that were due at a time."""
        with self.database.cursor(reads_only=True) as cursor:
            asked = {"due": rows.micros(due), **_far(self._now(cursor), longest)}
            found = self._statements.due_accounts.run(cursor, asked).fetchall()
            return tuple(account for account, _ in found)

    def note_sweep(self) -> None:
        """Note that a sweep has come to its end now; the next one that this journal notes is seconds later."""
        now = time.monotonic()
        if now - self._swept < _NOTED_EVERY:
            return
        with self.database.cursor() as cursor:
            self._statements.note_sweep.run(cursor, {"name": SWEPT, "value": str(rows.micros(self._now(cursor)))})
        self._swept = now

    def _readable(self, found: Iterable[Any]) -> Iterator[Record]:
        return rows.readable(found, self._damaged)

    def reserve_slot(self, account: str, interval: float, patience: float) -> float | None:
        """Reserve the account's next free instant."""
        if patience < 0:
            return None
        asked: dict[str, Any] = {
            "account": account,
            "interval": math.ceil(interval * _MICROSECONDS),
            "patience": int(patience * _MICROSECONDS),
        }
        with self.database.cursor() as cursor:
            if self.database.is_sqlite:  # PostgreSQL reads its own clock
                asked["now"] = rows.micros(_now())
            reserved = self._statements.reserve_slot.run(cursor, asked).fetchone()
        return max(reserved[0], 0) / _MICROSECONDS if reserved else None

    def unsettled(self, older: float, limit: int, overdue: float = rules.OVERDUE) -> tuple[Record, ...]:
        """Return orders that wait for a person, or for a sweep."""
        with self.database.connection(reads_only=True) as connection:
            return queries.unsettled(connection, self._tables, self._readable, older, limit, overdue)

    def health(self, overdue: float, waiting: float) -> Health:
        """Count what is overdue, and what waits for a person; no order is read, so a damaged one is counted, too."""
        with self.database.connection(reads_only=True) as connection:
            return queries.health(connection, self._tables, overdue, waiting)

    def examine(self) -> Examination:
        """Find out how this journal is, whatever tables there are; the database's own errors are raised."""
        with self.database.connection_as_it_is() as connection:
            return examine(connection, self._tables, self._key_check)

    def search(self, wanted: OrderFilter, limit: int) -> tuple[Record, ...]:
        """Return the orders that fit, the newest first."""
        with self.database.connection(reads_only=True) as connection:
            return queries.search(connection, self._tables, self._readable, wanted, limit)

    def story(self, order_id: str) -> tuple[tuple[Record, ...], tuple[Entry, ...]]:
        """Return every order with this order_id and all that happened to them."""
        with self.database.connection(reads_only=True) as connection:
            return queries.story(connection, self._tables, order_id)

    def exchanges(self, limit: int, *, after: int | None = None) -> tuple[tuple[int, Entry], ...]:
        """Return exchanges with their numbers, in order: the newest, or those after a number."""
        with self.database.connection(reads_only=True) as connection:
            return queries.exchanges(connection, self._tables, limit, after)

    def notifications(
        self, limit: int, *, order_id: str | None = None, number: int | None = None
    ) -> tuple[StoredNotification, ...]:
        """Return notifications, the newest first."""
        with self.database.connection(reads_only=True) as connection:
            return queries.notifications(connection, self._tables, limit, order_id, number)

    def prune(self, before: dt.datetime, limit: int) -> int:
        """Delete exchanges from before a time, of orders that are closed."""
        with self.database.connection() as connection:
            return retention.prune(connection, self._tables, before, limit)

    def forget(self, payer: str) -> Erasure:
        """Keep of a payer's closed orders nothing but the money facts; nothing is left in SQLite's log, either.

        Raises:
            ConfigurationError: the key is another one, by which no payer would be found.
        """
        if (place := self._wrong_key(begins=False)) is not None:
            raise ConfigurationError(explain(Why.OTHER_KEY, place))
        with self.database.connection() as connection:
            forgotten = retention.forget(connection, self._tables, payer)
        self.database.empty_log()
        return forgotten

    def accept(self, reason: str, by: str) -> bool:
        """Go on with the database as it is, as a person has agreed; return whether there was anything to agree to.

        It becomes another journal than those that were noted before, and keeps the reason and who agreed.

        Raises:
            JournalFailed: nothing was changed.
        """
        with self.database.as_it_is() as (connection, mark, dropped):
            try:
                if dropped is not None:
                    raise dropped
                compare(self.database.note.read(), mark)
            except JournalFailed as cause:
                settings, identity = self._tables.settings, secrets.token_hex(16)
                connection.execute(settings.delete().where(settings.c.name == "identity"))
                connection.execute(settings.insert().values(name="identity", value=identity))
                act = {"reason": reason, "by": by, "because": str(cause)}
                accepted = {
                    "name": f"accepted {_now():%Y-%m-%d %H:%M:%S.%f}",
                    "value": msgspec.json.encode(act).decode(),
                }
                connection.execute(settings.insert().values(accepted))
            else:
                return False
        self.database.note.accept(Mark(identity, mark.newest))
        return True

    def close(self) -> None:
        """Close the connections; those that a fork has copied from another process are not closed here."""
        self.database.close()


def _far(now: dt.datetime, longest: float) -> dict[str, int | None]:
    far, farther = rules.put_off(now, longest)
    return {"far": rows.micros(far), "farther": rows.micros(farther)}


def _uncompared(leg: Record, place: str) -> Record:
    """Return what may be said of a leg whose fingerprint was made with another key, which is looked for in a place."""
    leg = msgspec.structs.replace(leg, facts=msgspec.structs.replace(leg.facts, fingerprint=rules.UNCOMPARED))
    if rules.may_send(leg):
        return leg
    return msgspec.structs.replace(
        leg, state=State.UNKNOWN, why=Why.OTHER_KEY, reason=place, http_status=None, mismatches=()
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
