"""What every journal can do, wherever it keeps its orders."""

import datetime as dt
import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from payhub.driver import Schedule
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
)
from payhub.journal.states import Evidence
from payhub.models import Exchange


class KeyCheck(NamedTuple):
    """What stands for the key of the fingerprints in a journal; `place` says where the key is looked for."""

    value: str
    place: str


class Reservation(NamedTuple):
    """What a journal knows of an order, and whether the caller is to send it."""

    record: Record
    yours: bool


class Intake(NamedTuple):
    """How often a notification has come, what is known of its order, and whether to ask about it now."""

    times: int
    record: Record | None
    ask: bool


class Journal(Protocol):
    """A durable record of orders: every method is one transaction, on disk when it returns.

    Methods are called from any thread. Times are aware and in UTC, durations are seconds.

    Raises:
        JournalFailed: nothing was changed.
    """

    def open(self, facts: Facts, lease: float) -> Reservation:
        """Reserve an order and take it for sending; an order that is or was sent is not sent twice.

        If another account has a live leg of it, that leg is returned, and is not yours.

        Raises:
            OrderConflict: the order_id stands for another order.
        """
        ...

    def legs(self, namespace: str, kind: str, order_id: str) -> tuple[Record, ...]:
        """Return what is known of an order with every account, the live leg first.

        Where the journal was begun with another key, live legs are of unknown outcome, and have no
        fingerprint that could be compared.
        """
        ...

    def settle(
        self,
        key: Key,
        found: Evidence,
        schedule: Schedule,
        exchanges: Sequence[Exchange] = (),
        *,
        by: str | None = None,
    ) -> Record:
        """Keep evidence, and the exchanges it came with; apply it where the state machine allows it.

        Raises:
            IllegalStep: an operator may not take this step; nothing is kept.
        """
        ...

    def find(self, key: Key) -> Record | None:
        """Return what is known of an order."""
        ...

    def now(self) -> dt.datetime:
        """Return the time by the clock that the journal goes by, which those who share it have in common."""
        ...

    def claim(
        self,
        limit: int,
        lease: float,
        due: dt.datetime | None = None,
        account: str | None = None,
        longest: float = math.inf,
    ) -> tuple[Key, ...]:
        """Take orders that are due, or were at a time, of one account or all, those first that have waited longest.

        Each is due again when the lease ends, whatever happens. They are named and not read: one that cannot be
        read must not keep anybody from the others. One that is due later than the `longest` pause from now was
        made under a wrong clock, and is due now.
        """
        ...

    def due_accounts(self, due: dt.datetime, longest: float = math.inf) -> tuple[str, ...]:
        """Return the accounts with orders that were due at a time, those first that have waited longest.

        The `longest` pause is as for `claim`.
        """
        ...

    def note_sweep(self) -> None:
        """Note that a sweep has come to its end now; one that ends seconds after another need not be noted."""
        ...

    def keep_notification(
        self, content: NotificationContent, window: float, lease: float, *, anew: bool = False
    ) -> Intake:
        """Keep a notification; a message that is known only counts. It changes no state.

        It makes the order due. A caller that is to ask now has the lease for it; a repeat within the
        window makes the order due after the window. A notification that is processed `anew` is no repeat.
        """
        ...

    def reserve_slot(self, account: str, interval: float, patience: float) -> float | None:
        """Reserve the next free instant of an account whose calls are an interval apart; return when it is.

        The instant is in seconds from now, 0 if now is free. If it would be later than `patience`,
        nothing is reserved and `None` is returned.
        """
        ...

    def judge_notifications(self, key: Key, asked_at: dt.datetime) -> Record:
        """Judge the notifications that wait, by the answer that is now known; return the order.

        A notification that came after the provider was asked goes on waiting.
        """
        ...

    def search(self, wanted: OrderFilter, limit: int) -> tuple[Record, ...]:
        """Return the orders that fit, the newest first."""
        ...

    def exchanges(self, limit: int, *, after: int | None = None) -> tuple[tuple[int, Entry], ...]:
        """Return exchanges with their numbers, in order: the newest, or those after a number."""
        ...

    def prune(self, before: dt.datetime, limit: int) -> int:
        """Delete exchanges from before a time, of orders that are closed, `limit` at most; return how many."""
        ...

    def forget(self, payer: str) -> Erasure:
        """Keep of a payer's closed orders nothing but the money facts; `payer` is the fingerprint of the id."""
        ...

    def notifications(
        self, limit: int, *, order_id: str | None = None, number: int | None = None
    ) -> tuple[StoredNotification, ...]:
        """Return notifications, the newest first: all, or those of an order_id, or the one with a number."""
        ...

    def unsettled(self, older: float, limit: int, overdue: float = ...) -> tuple[Record, ...]:
        """Return orders that have not changed for some seconds, and wait for a person, or have been due for long.

        See `rules.waits_for_person` and `rules.is_overdue`; `overdue` is in seconds.
        """
        ...

    def health(self, overdue: float, waiting: float) -> Health:
        """Count the orders that have been due for some seconds, and those that wait for a person, or have for some."""
        ...

    def story(self, order_id: str) -> tuple[tuple[Record, ...], tuple[Entry, ...]]:
        """Return every order with this order_id and all that happened to them, in order."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
