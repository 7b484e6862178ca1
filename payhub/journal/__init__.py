"""Remember orders durably: what is about to be done is written down before it is done."""

from typing import NamedTuple, Protocol

from payhub.driver import Schedule
from payhub.errors import PayhubError
from payhub.journal.records import Entry, Facts, Key, Record
from payhub.journal.states import Evidence, IllegalStep, Source, State
from payhub.models import Exchange

__all__ = [
    "Entry",
    "Evidence",
    "Facts",
    "IllegalStep",
    "Journal",
    "JournalFailed",
    "Key",
    "Opened",
    "Record",
    "Source",
    "State",
]


class JournalFailed(PayhubError):
    """Report that the journal could not read or write; the cause is chained."""


class Opened(NamedTuple):
    """Tell what a journal knows of an order, and whether it is the caller's to send."""

    record: Record
    yours: bool


class Journal(Protocol):
    """Keep orders; every method is one transaction, durable when it returns.

    A method is called from any thread. Times are aware and UTC, pauses are seconds.

    Raises:
        JournalFailed: nothing was changed.
    """

    def open(self, facts: Facts, lease: float) -> Opened:
        """Reserve an order and take it for sending; an order that is or was sent is not given twice.

        Raises:
            OrderConflict: the order_id stands for a different order.
        """
        ...

    def settle(
        self, key: Key, found: Evidence, schedule: Schedule, exchange: Exchange | None = None, *, by: str | None = None
    ) -> Record:
        """Keep evidence, and the exchange it came with; apply it where the state machine allows it.

        Raises:
            IllegalStep: an operator wants a step that is not his to take; nothing is kept.
        """
        ...

    def find(self, key: Key) -> Record | None:
        """Return what is known of an order."""
        ...

    def claim(self, limit: int, lease: float) -> tuple[Record, ...]:
        """Take orders that are due; each is due again when the lease ends, whatever happens."""
        ...

    def unsettled(self, older: float, limit: int) -> tuple[Record, ...]:
        """Return orders that are unknown or need attention and have not changed for some seconds."""
        ...

    def story(self, order_id: str) -> tuple[tuple[Record, ...], tuple[Entry, ...]]:
        """Return every order with this order_id and all that happened to them, in order."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
