"""Remember orders durably: what is about to be done is written down before it is done."""

from payhub.journal.protocol import Journal, Noticed, Opened, Seal
from payhub.journal.reasons import Why
from payhub.journal.records import Entry, Facts, Forgotten, Key, Noted, Notice, Record, Verdict, Wanted
from payhub.journal.states import Evidence, Source, State

__all__ = [
    "Entry",
    "Evidence",
    "Facts",
    "Forgotten",
    "Journal",
    "Key",
    "Noted",
    "Notice",
    "Noticed",
    "Opened",
    "Record",
    "Seal",
    "Source",
    "State",
    "Verdict",
    "Wanted",
    "Why",
]
