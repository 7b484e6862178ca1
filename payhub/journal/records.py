"""Hold what a journal keeps, and the rules by which any journal changes it; no I/O."""

import datetime as dt
import enum
import random
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from payhub.driver import Schedule
from payhub.errors import IllegalStep, OrderConflict, UnknownOrder
from payhub.journal.reasons import Why, explain
from payhub.journal.states import (
    EDGES,
    OPEN,
    SAID,
    UNFINISHED,
    UNSETTLED,
    Evidence,
    Source,
    State,
    allowed,
    confirms,
    contradicts,
    in_vain,
)
from payhub.masking import Clear, Link, MaskedStruct, mask_cards
from payhub.models import Exchange
from payhub.money import Money


class Key(NamedTuple):
    """Name an order: unique in a journal."""

    account: str
    kind: str
    order_id: str


class Facts(MaskedStruct, frozen=True, kw_only=True):
    """Keep what the application asked for: enough to compare answers, nothing that must not be kept.

    `fingerprint` stands for the whole order, and `payer` for the payer's id; they are keyed, and
    the key is not in the journal. `tail` has the last four characters of the number that is paid to.
    """

    account: Clear[str]
    provider: Clear[str]
    kind: Clear[str]
    order_id: Clear[str]
    amount: Clear[Money]
    method: Clear[str]
    fingerprint: str
    tail: Clear[str | None] = None
    payer: str | None = None

    @property
    def key(self) -> Key:
        """Return the order's name."""
        return Key(self.account, self.kind, self.order_id)


class Record(MaskedStruct, frozen=True, kw_only=True):
    """Say what a journal knows of an order now.

    `attempts` counts sends, `checks` counts questions since the last change. `lease_until` is when
    a sender that has not reported is given up, `due_at` when the provider is to be asked next,
    `sent_at` when it was taken for sending last.
    `contradicted` tells that evidence came which was kept and not applied, `resolved` that a person
    said how the order ended, or confirmed it. `notified` tells that a
    notification waits for the provider to be asked, `quiet_until` for how long a repeat of one is
    no reason to ask.
    """

    facts: Clear[Facts]
    state: Clear[State]
    provider_id: Clear[str | None] = None
    provider_status: Clear[str | None] = None
    paid: Clear[Money | None] = None
    credited: Clear[Money | None] = None
    commission: Clear[Money | None] = None
    partial: Clear[bool | None] = None
    why: Clear[Why | None] = None
    http_status: Clear[int | None] = None
    reason: Clear[str | None] = None
    mismatches: Clear[tuple[str, ...]] = ()
    redirect_url: Link[str | None] = None
    contradicted: Clear[bool] = False
    attempts: Clear[int] = 0
    checks: Clear[int] = 0
    sent_at: Clear[dt.datetime | None] = None
    lease_until: Clear[dt.datetime | None] = None
    due_at: Clear[dt.datetime | None] = None
    resolved: Clear[bool] = False
    notified: Clear[bool] = False
    quiet_until: Clear[dt.datetime | None] = None
    created_at: Clear[dt.datetime]
    updated_at: Clear[dt.datetime]

    @property
    def explanation(self) -> str | None:
        """Return the whole reason why the order is in its state, in English."""
        return explain(self.why, self.reason, http_status=self.http_status, fields=self.mismatches)


class Notice(MaskedStruct, frozen=True, kw_only=True):
    """Keep what an authentic notification says; `fields` are the signed ones, masked as in a log."""

    account: Clear[str]
    provider: Clear[str]
    kind: Clear[str]
    order_id: Clear[str]
    provider_id: Clear[str]
    state: Clear[State]
    provider_status: Clear[str]
    requested: Clear[Money | None] = None
    paid: Clear[Money | None] = None
    commission: Clear[Money | None] = None
    fields: Clear[Mapping[str, Any]] = msgspec.field(default_factory=dict)
    digest: Clear[str]

    @property
    def key(self) -> Key:
        """Return the name of the order that it is about."""
        return Key(self.account, self.kind, self.order_id)


class Verdict(enum.StrEnum):
    """Name what the provider's own answer makes of a notification."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    OUTDATED = "outdated"
    CONTRADICTED = "contradicted"


class Noted(MaskedStruct, frozen=True, kw_only=True):
    """Say what a journal knows of a notification: how often it came, first and last, and its verdict."""

    id: Clear[int]
    notice: Clear[Notice]
    verdict: Clear[Verdict]
    times: Clear[int]
    at: Clear[dt.datetime]
    last_at: Clear[dt.datetime]

    @property
    def entry(self) -> "Entry":
        """Tell it as a part of its order's story."""
        return Entry(at=self.at, what="notification", key=self.notice.key, noted=self, times=self.times)


class Wanted(MaskedStruct, frozen=True, kw_only=True):
    """Say which orders are looked for: all that fit everything that is said; `day` is in UTC."""

    provider_id: Clear[str | None] = None
    tail: Clear[str | None] = None
    amount: Clear[Money | None] = None
    day: Clear[dt.date | None] = None


class Forgotten(NamedTuple):
    """Count the orders of whose payer everything but the money facts was forgotten, and those still open."""

    done: int
    open: int


class Entry(MaskedStruct, frozen=True, kw_only=True):
    """Tell one thing that happened to an order: evidence, an exchange, a notification, or an operator's act.

    The same evidence again is counted: `times`, and `last_at`, when it came last.
    """

    at: Clear[dt.datetime]
    what: Clear[Literal["evidence", "exchange", "notification", "act"]]
    key: Clear[Key | None]
    evidence: Clear[Evidence | None] = None
    contradicts: Clear[bool] = False
    times: Clear[int] = 1
    last_at: Clear[dt.datetime | None] = None
    exchange: Clear[Exchange | None] = None
    noted: Clear[Noted | None] = None
    by: Clear[str | None] = None


def conflict(key: Key) -> OrderConflict:
    """Say that an order_id stands for another order; no value of either is quoted."""
    return OrderConflict(f"account {key.account!r}: this order_id already stands for a different {key.kind}")


def unknown_order(key: Key) -> UnknownOrder:
    """Say that the journal does not know an order."""
    return UnknownOrder(f"the journal of account {key.account!r} has no {key.kind} {mask_cards(key.order_id)!r}")


def givable(record: Record) -> bool:
    """Tell whether an order may be sent: not if anything says, or has said, that the provider knows it."""
    told = record.notified or record.contradicted or record.resolved
    return record.state in {State.NEW, State.NOT_SENT} and not told


def sending(record: Record, now: dt.datetime, lease: float) -> Record:
    """Return a record that is taken for sending until its lease ends."""
    until = now + dt.timedelta(seconds=lease)
    return msgspec.structs.replace(
        record,
        state=State.SENDING,
        attempts=record.attempts + 1,
        sent_at=now,
        lease_until=until,
        due_at=until,
        updated_at=now,
    )


def heard_of(record: Record, now: dt.datetime) -> Record:
    """Return a new record of which a notification waits: the provider seems to have the order, so it is not sent.

    A journal that was put back from a copy does not know what was sent since.
    """
    sent = sending(record, now, 0.0)  # for all that is known, by somebody who will not report
    return msgspec.structs.replace(sent, attempts=record.attempts, notified=True, why=Why.NOTIFIED_BEFORE)


def applied(record: Record, found: Evidence, now: dt.datetime, schedule: Schedule) -> tuple[Record, bool]:
    """Apply evidence to a record; return the new one, and whether the evidence contradicts it.

    What is said is taken over where the step is legal or the state stays; what contradicts leaves
    everything as it was but for the flag. A value that contradicts the order is not taken over, and
    of an answer about another order no value is. A question in vain only counts, whatever the order
    has become since it was asked.

    Raises:
        IllegalStep: an operator wants a step that is not his to take.
    """
    if found.source is Source.OPERATOR:
        return _decided(record, found, now, schedule), False
    if contrary(record, found):
        return _flagged(record, now), True
    proven = found.source is Source.STATUS and not in_vain(found)
    found = _heard(record, found)
    same = found.state is record.state
    if not same and not allowed(record.state, found):
        return record, False
    names = set(SAID if _OTHER.isdisjoint(found.mismatches) else _REASON) - set(found.mismatches)
    if found.why or found.reason:  # one reason takes the place of another as a whole
        record = msgspec.structs.replace(record, why=None, http_status=None, reason=None)
    said = {name: getattr(found, name) for name in names if getattr(found, name) not in (None, ())}
    if same:
        resolved = record.resolved and not proven  # it is the provider who says so now
        changed = msgspec.structs.replace(record, **said, checks=record.checks + 1, resolved=resolved)
    else:
        changed = _stepped(msgspec.structs.replace(record, **said), found, now)
    waited = record.notified and record.state is State.SENDING and not same  # a notification was faster
    due = now if waited else next_check(changed, now, schedule)
    return msgspec.structs.replace(changed, due_at=due), False


def _stepped(record: Record, found: Evidence, now: dt.datetime) -> Record:
    reason = {name: getattr(found, name) for name in _REASON}
    return msgspec.structs.replace(record, **reason, state=found.state, checks=0, lease_until=None, updated_at=now)


def contrary(record: Record, found: Evidence) -> bool:
    """Tell whether evidence contradicts what is known of an order: its state, its id, or how a final one ended."""
    found = _heard(record, found)
    same = found.state is record.state
    if any(_denied(name, record, found) for name in (_ENDED if same and record.state not in UNFINISHED else _NAMED)):
        return True
    known_better = record.resolved and record.state is State.FAILED and found.state is State.PENDING
    return not same and not allowed(record.state, found) and (known_better or contradicts(record.state, found))


_NAMED = ("provider_id",)
_ENDED = ("provider_id", "paid", "credited", "commission")


def _denied(name: str, record: Record, found: Evidence) -> bool:
    """Tell whether evidence has another value than the one known; a mismatch that it names itself is no news."""
    return name not in found.mismatches and len({getattr(record, name), getattr(found, name)} - {None}) > 1


def _heard(record: Record, found: Evidence) -> Evidence:
    """Let a question in vain speak for the state that the order has by now; why it is in it, it does not know."""
    if not in_vain(found) or record.state is State.SENDING:
        return found
    if record.state in OPEN:
        return msgspec.structs.replace(found, state=record.state, why=None, http_status=None, reason=None)
    return Evidence(source=found.source, state=record.state)


def _flagged(record: Record, now: dt.datetime) -> Record:
    since = record.updated_at if record.contradicted else now
    return msgspec.structs.replace(record, contradicted=True, updated_at=since)


def _decided(record: Record, found: Evidence, now: dt.datetime, schedule: Schedule) -> Record:
    """Let an operator settle what nobody else can, or confirm a final state that was contradicted.

    Raises:
        IllegalStep: it is not his to take.
    """
    if allowed(record.state, found):
        decided = _stepped(record, found, now)
    elif record.contradicted and confirms(record.state, found.state):
        decided = msgspec.structs.replace(record, updated_at=now)
    else:
        raise IllegalStep(f"an order that is {record.state} is not an operator's to make {found.state}")
    due = next_check(decided, now, schedule)
    return msgspec.structs.replace(decided, resolved=True, contradicted=False, due_at=due)


_REASON = ("why", "http_status", "reason", "mismatches")
_OTHER = frozenset({"order_id", "provider_id"})


def next_check(record: Record, now: dt.datetime, schedule: Schedule) -> dt.datetime | None:
    """Return when the provider is to be asked next; growing pauses, jittered so that orders spread."""
    if record.state not in OPEN and not record.notified:
        return None
    pause = min(schedule.longest, schedule.first * schedule.growth ** min(record.checks, 64))
    return now + dt.timedelta(seconds=pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret


def past_schedule(record: Record, now: dt.datetime, schedule: Schedule) -> bool:
    """Tell whether an open order has waited longer than its driver's schedule asks for."""
    since = record.sent_at or record.created_at
    return record.state in OPEN and now - since > dt.timedelta(seconds=schedule.until)


def overdue_sender(record: Record, now: dt.datetime) -> Evidence | None:
    """Return the evidence that a sender was given up, if its lease has ended."""
    if record.state is not State.SENDING or record.lease_until is None or record.lease_until > now:
        return None
    return Evidence(source=Source.LEASE, state=State.UNKNOWN, why=Why.SENDER_SILENT)


def waits(record: Record, now: dt.datetime) -> bool:
    """Tell whether a person may have to look: nobody knows what became of the order, or what is known is denied."""
    return record.state in UNSETTLED or record.contradicted or overdue_sender(record, now) is not None


def notified(record: Record, now: dt.datetime, window: float, lease: float, *, new: bool) -> tuple[Record, bool]:
    """Note on a record that a notification waits; return it, and whether the provider is to be asked at once.

    Whoever is to ask has the lease for it. A repeat is a reason to ask once in a window; an order
    that is just being sent is asked about when it has been.
    """
    if record.state is State.SENDING:
        return msgspec.structs.replace(record, notified=True), False
    if record.quiet_until and record.quiet_until > now and not new:
        due = min(record.due_at or record.quiet_until, record.quiet_until)
        return msgspec.structs.replace(record, notified=True, due_at=due), False
    quiet, due = (now + dt.timedelta(seconds=seconds) for seconds in (window, lease))
    return msgspec.structs.replace(record, notified=True, quiet_until=quiet, due_at=due), True


def verdict(record: Record, notice: Notice) -> Verdict:
    """Compare what a notification says with what is known of its order."""
    if notice.state is record.state:
        amounts = {notice.paid, record.paid} - {None}
        return Verdict.CONTRADICTED if len(amounts) > 1 and not record.state.open else Verdict.CONFIRMED
    if {notice.state, record.state} == {State.FAILED, State.CANCELED}:
        return Verdict.CONFIRMED
    asserted = record.state in {State.NOT_SENT, State.DECLINED} or (record.resolved and record.state is State.FAILED)
    if record.state in EDGES[notice.state] and not asserted:
        return Verdict.OUTDATED
    if record.state in UNFINISHED:
        return Verdict.WAITING
    return Verdict.CONTRADICTED


def hint(record: Record | None, notice: Notice, *, anew: bool) -> Verdict:
    """Compare before the provider is asked: what contradicts waits for its answer, and so does all that is `anew`."""
    if record is None or anew:
        return Verdict.WAITING
    found = verdict(record, notice)
    return Verdict.WAITING if found is Verdict.CONTRADICTED else found


def weighed(record: Record, verdicts: Iterable[Verdict]) -> Record:
    """Note on a record what became of the notifications that waited."""
    seen = set(verdicts)
    waiting = Verdict.WAITING in seen
    return msgspec.structs.replace(
        record,
        notified=waiting,
        contradicted=record.contradicted or Verdict.CONTRADICTED in seen,
        due_at=record.due_at if waiting or record.state.open else None,
    )


def bare(found: Evidence) -> Evidence:
    """Return what stays of evidence when a payer is forgotten: no words and no address."""
    return msgspec.structs.replace(found, redirect_url=None, reason=None)
