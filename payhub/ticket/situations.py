"""The situation of an order, as far as its provider is concerned; no I/O."""

import datetime as dt
import enum
from collections.abc import Iterable, Mapping

import msgspec

from payhub.journal import Entry, Evidence, Key, Record, Source, State, StoredNotification, Verdict, Why
from payhub.masking import Mask, mask_value
from payhub.models import Exchange, Phase


class Situation(enum.StrEnum):
    """What a provider's support has to know first, and what decides what it is asked for."""

    SENDING = "sending"
    NOT_SENT = "not sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    NOT_FOUND = "not found"
    PENDING = "pending"
    OVERDUE = "overdue"
    MISMATCH = "mismatch"
    SUCCEEDED = "succeeded"
    SETTLED = "settled"
    PAID_OTHER = "paid another amount"
    FAILED = "failed"
    CANCELED = "canceled"
    REVERSED = "reversed"
    CLOSED_HERE = "closed here"
    RETURNED_HERE = "returned here"
    CONTRADICTED = "contradicted"
    DENIED_HERE = "denied here"


class Doubt(enum.StrEnum):
    """Why a create request leaves open whether the provider has the order."""

    ERROR = "error"
    CUT = "cut"
    UNREADABLE = "unreadable"
    LOST = "lost"
    UNEXPLAINED = "unexplained"


_OK = range(200, 300)
_UNSETTLED = frozenset({State.PENDING, State.UNKNOWN, State.NEEDS_ATTENTION})

_SITUATIONS: Mapping[State, Situation] = {
    State.SENDING: Situation.SENDING,
    State.NOT_SENT: Situation.NOT_SENT,
    State.DECLINED: Situation.REFUSED,
    State.PENDING: Situation.PENDING,
    State.UNKNOWN: Situation.UNKNOWN,
    State.SUCCEEDED: Situation.SUCCEEDED,
    State.FAILED: Situation.FAILED,
    State.CANCELED: Situation.CANCELED,
    State.REVERSED: Situation.REVERSED,
    State.NEEDS_ATTENTION: Situation.OVERDUE,
}


def _source(entry: Entry) -> Source | None:
    return entry.evidence.source if entry.evidence else None


def is_contradiction(entry: Entry) -> bool:
    """Tell whether an answer, a notification or a person contradicts what is known."""
    return entry.contradicts or (entry.notification is not None and entry.notification.verdict is Verdict.CONTRADICTED)


def _masked_again(entry: Entry) -> Entry:
    """Mask once more what was masked when it was kept: other versions write journals, and a ticket leaves the house."""
    if entry.exchange:
        fields = {**dict(entry.exchange.__rich_repr__()), "phase": entry.exchange.phase}
        return msgspec.structs.replace(entry, exchange=msgspec.structs.replace(entry.exchange, **fields))
    if entry.notification:
        fields = {"fields": mask_value(dict(entry.notification.content.fields), Mask.CLEAR)}
        notice = msgspec.structs.replace(entry.notification.content, **fields)
        return msgspec.structs.replace(entry, notification=msgspec.structs.replace(entry.notification, content=notice))
    if entry.evidence:
        masked = dict(entry.evidence.__rich_repr__())
        fields = {name: masked[name] for name in ("provider_id", "provider_status", "reason", "redirect_url")}
        return msgspec.structs.replace(entry, evidence=msgspec.structs.replace(entry.evidence, **fields))
    return entry


class Story(msgspec.Struct, frozen=True):
    """All that happened to one order, in order."""

    record: Record
    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, key: Key, records: Iterable[Record], entries: Iterable[Entry]) -> "Story | None":
        """Pick one order out of all with its order_id; `None` if it is not among them."""
        found = next((record for record in records if record.facts.key == key), None)
        if found is None:
            return None
        mine = (entry for entry in entries if entry.key == key)
        # The account's name may once have stood for another provider, whose exchanges are not this one's business.
        theirs = (e for e in mine if e.exchange is None or e.exchange.provider == found.facts.provider)
        return cls(found, tuple(map(_masked_again, theirs)))

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Return the exchanges with the order's provider."""
        return tuple(entry.exchange for entry in self.entries if entry.exchange is not None)

    @property
    def notifications(self) -> tuple[StoredNotification, ...]:
        """Return the provider's notifications."""
        return tuple(entry.notification for entry in self.entries if entry.notification is not None)

    @property
    def create(self) -> Exchange | None:
        """Return the exchange that created the order, or came nearest to that, if it is kept.

        One of which nothing was sent counts for its own attempt only.
        """
        named = f"create_{self.record.facts.kind}"
        creates = [exchange for exchange in self.exchanges if exchange.operation == named]
        sent = [exchange for exchange in creates if exchange.phase is not Phase.NOT_SENT]
        newest = [exchange for exchange in creates if exchange.attempt in {None, self.record.attempts}]
        return next(reversed(sent or newest), None)

    @property
    def sent_at(self) -> dt.datetime | None:
        """Return when the order was sent, or was about to be."""
        attempts = [entry.at for entry in self.entries if _source(entry) is Source.PLAN]
        return self.create.started_at if self.create else attempts[-1] if attempts else None

    @property
    def answer(self) -> Evidence | None:
        """Return the outcome of the last attempt to send the order."""
        newest = next((e.evidence for e in reversed(self.entries) if _source(e) in {Source.PLAN, Source.ANSWER}), None)
        return newest if newest and newest.source is Source.ANSWER else None

    @property
    def only_begun(self) -> bool:
        """Tell whether sending the order was begun, and how far that got is not on record."""
        return self.sent_at is not None and self.create is None and self.answer is None

    @property
    def asked(self) -> bool:
        """Tell whether the provider has answered a question about the order."""
        return any(_source(entry) is Source.STATUS for entry in self.entries)

    @property
    def doubt(self) -> Doubt | None:
        """Tell why the create request left it open whether the provider has the order; `None` if it did not."""
        if self.answer is not None and self.answer.state is not State.UNKNOWN:
            return None
        create = self.create
        if create is None:
            lost = any(_source(entry) is Source.LEASE for entry in self.entries)
            return Doubt.LOST if lost else Doubt.UNEXPLAINED
        if create.phase is not Phase.ANSWERED:
            return Doubt.CUT
        return Doubt.UNREADABLE if create.status in _OK else Doubt.ERROR

    @property
    def not_found(self) -> bool:
        """Tell whether the provider's newest answer is that it does not know the order."""
        asked = [entry.evidence for entry in self.entries if entry.evidence and _source(entry) is Source.STATUS]
        return bool(asked) and asked[-1].why is Why.NOT_FOUND

    @property
    def closed_here(self) -> bool:
        """Tell whether only an operator says that the order is in its state."""
        sources = {_source(e) for e in self.entries if e.evidence and e.evidence.state is self.record.state}
        return Source.OPERATOR in sources and sources.isdisjoint({Source.ANSWER, Source.STATUS})

    @property
    def situation(self) -> Situation:
        """Tell in which situation the order is."""
        record = self.record
        if record.contradicted:
            theirs = any(is_contradiction(entry) and entry.what != "act" for entry in self.entries)
            ours = any(is_contradiction(entry) and entry.what == "act" for entry in self.entries)
            return Situation.DENIED_HERE if ours and not theirs else Situation.CONTRADICTED
        if self.closed_here:
            return Situation.RETURNED_HERE if record.state is State.REVERSED else Situation.CLOSED_HERE
        if record.state is State.SUCCEEDED:
            paid = Situation.SETTLED if self.doubt else Situation.SUCCEEDED
            return paid if record.paid in {None, record.facts.amount} else Situation.PAID_OTHER
        if self.not_found and not record.mismatches and record.state in _UNSETTLED:
            return Situation.NOT_FOUND
        if record.state is State.NEEDS_ATTENTION and record.mismatches:
            return Situation.MISMATCH
        return _SITUATIONS[record.state]
