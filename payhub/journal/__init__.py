"""The durable record of orders: what is about to be done is written down before it is done."""

from payhub.journal.protocol import Intake, Journal, KeyCheck, Reservation
from payhub.journal.reasons import Why
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

__all__ = [
    "Entry",
    "Erasure",
    "Evidence",
    "Facts",
    "Health",
    "Intake",
    "Journal",
    "Key",
    "KeyCheck",
    "NotificationContent",
    "OrderFilter",
    "Record",
    "Reservation",
    "Source",
    "State",
    "StoredNotification",
    "Verdict",
    "Why",
]
