"""The rules by which evidence, notifications, operators and time change an order, in any journal; no I/O."""

import datetime as dt
import math
import random
from collections.abc import Iterable
from typing import Any

import msgspec

from payhub.driver import Schedule
from payhub.errors import IllegalStep, OrderConflict
from payhub.journal.reasons import Why
from payhub.journal.records import Facts, NotificationContent, Record, Verdict
from payhub.journal.states import (
    EDGES,
    LIVE,
    OPEN,
    UNFINISHED,
    UNSETTLED,
    Evidence,
    Source,
    State,
    allowed,
    confirms,
    contradicts_state,
)
from payhub.operations import KINDS

LONGEST_JITTER = 1.2
"""How many times its scheduled length a pause is at most."""

UNCOMPARED = ""
"""The fingerprint of an order in a journal that was begun with another key."""


def require_same(known: Facts, asked: Facts) -> None:
    """Refuse an order whose id stands for another one; where the key is another one, nothing can be compared.

    Raises:
        OrderConflict: names the account that has the other order, and the first field that differs; no value.
    """
    if known.fingerprint in {asked.fingerprint, UNCOMPARED}:
        return
    where = KINDS[known.kind].method or "method"
    fields = {
        "amount.currency": known.amount.currency != asked.amount.currency,
        "amount": known.amount.amount != asked.amount.amount,
        where: known.method != asked.method,
        f"{where}.number": True,
    }
    raise OrderConflict(known.account, next(name for name, differs in fields.items() if differs), known.kind)


def is_live(record: Record) -> bool:
    """Tell whether a leg may have moved money, or has; what says otherwise and is contradicted may have, too."""
    return record.state in LIVE or record.contradicted or record.notified


def live_leg(legs: Iterable[Record]) -> Record | None:
    """Return the one leg of an order that is live, if there is one."""
    return next(filter(is_live, legs), None)


def may_send(record: Record) -> bool:
    """Tell whether an order may be sent: not if anything says, or has said, that the provider knows it."""
    known = record.notified or record.contradicted or record.resolved
    return record.state in {State.NEW, State.NOT_SENT} and not known


def take_for_sending(record: Record, now: dt.datetime, lease: float) -> Record:
    """Return an order that is being sent until its lease ends."""
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


def known_from_notification(record: Record, now: dt.datetime) -> Record:
    """Return a new order of which a notification waits: the provider seems to have it, so it is not sent.

    This journal may have been put back from a copy, which does not know what was sent since.
    """
    sent = take_for_sending(record, now, 0.0)  # as if by a sender that does not report: a sweep asks at once
    return msgspec.structs.replace(sent, attempts=record.attempts, notified=True, why=Why.NOTIFIED_BEFORE)


def next_check(record: Record, now: dt.datetime, schedule: Schedule) -> dt.datetime | None:
    """Return when the provider is to be asked next: after growing pauses, jittered so that orders spread."""
    if record.state not in OPEN and not record.notified:
        return None
    pause = min(schedule.longest, schedule.first * schedule.growth ** min(record.checks, 64))
    return now + dt.timedelta(seconds=pause * random.uniform(0.8, LONGEST_JITTER))  # noqa: S311 - no secret


def past_schedule(record: Record, now: dt.datetime, schedule: Schedule) -> bool:
    """Tell whether an open order has waited longer than its driver's schedule asks for."""
    since = record.sent_at or record.created_at
    return record.state in OPEN and now - since > dt.timedelta(seconds=schedule.until)


def later(now: dt.datetime, seconds: float) -> dt.datetime:
    """Return a time that many seconds from now, or the last one that there is."""
    try:
        return now + dt.timedelta(seconds=seconds)
    except OverflowError:
        return dt.datetime.max.replace(tzinfo=dt.UTC)


def overdue_sender(record: Record, now: dt.datetime, longest: float = math.inf) -> Evidence | None:
    """Return the evidence that a sender was given up, if its lease has ended.

    A lease that is `longest` seconds, and still ends later than that from now, was taken under a wrong clock: nobody
    can tell whether it has ended.
    """
    if record.state is not State.SENDING or record.lease_until is None:
        return None
    if now < record.lease_until <= later(now, longest):
        return None
    return Evidence(source=Source.LEASE, state=State.UNKNOWN, why=Why.SENDER_SILENT)


def waits_for_person(record: Record, now: dt.datetime) -> bool:
    """Tell whether a person may have to look: nobody knows what became of the order, or what is known is denied."""
    return record.state in UNSETTLED or record.contradicted or overdue_sender(record, now) is not None


def is_listed(record: Record, now: dt.datetime, before: dt.datetime) -> bool:
    """Tell whether an order waits for a person and has not changed since a time.

    One that changed in the future, by its clock, is listed as well, also while it is open: it may not be asked about.
    """
    if record.updated_at > now:
        return waits_for_person(record, now) or record.state.open
    return waits_for_person(record, now) and record.updated_at <= before


_REASON = ("why", "http_status", "reason", "mismatches")
_WITHOUT_REASON: Any = {"why": None, "http_status": None, "reason": None}
_LEARNT = frozenset(Evidence.__struct_fields__) - {"source", "state"}
_ENDED = ("provider_id", "paid", "credited", "commission")
_OTHER_ORDER = frozenset({"order_id", "provider_id"})


def _as_now(record: Record, found: Evidence) -> Evidence:
    """Return evidence of a question that nothing was learnt from as evidence for the state that the order has by now.

    The order may have changed since the provider was asked, and why it is in its state this evidence does not know.
    """
    if not found.inconclusive or record.state is State.SENDING:
        return found
    if record.state in OPEN:
        return msgspec.structs.replace(found, state=record.state, **_WITHOUT_REASON)
    return Evidence(source=found.source, state=record.state)


def contradicts(record: Record, found: Evidence) -> bool:
    """Tell whether evidence contradicts what is known of an order: its state, its id, or how a final one ended."""
    found = _as_now(record, found)
    same = found.state is record.state
    for name in _ENDED if same and record.state not in UNFINISHED else ("provider_id",):
        values = {getattr(record, name), getattr(found, name)} - {None}
        if len(values) > 1 and name not in found.mismatches:  # what the evidence itself calls a mismatch is no news
            return True
    if same or allowed(record.state, found):
        return False
    # A person has said that the order failed, so that the provider still works on it is no old news.
    resolved = record.resolved and record.state is State.FAILED and found.state is State.PENDING
    return resolved or contradicts_state(record.state, found)


def _step(record: Record, found: Evidence, now: dt.datetime) -> Record:
    reason = {name: getattr(found, name) for name in _REASON}
    return msgspec.structs.replace(record, **reason, state=found.state, checks=0, lease_until=None, updated_at=now)


def apply(record: Record, found: Evidence, now: dt.datetime, schedule: Schedule) -> tuple[Record, bool]:
    """Apply evidence to an order; return the order, and whether the evidence contradicts it.

    What is learnt is taken over where the step is legal or the state stays; what contradicts leaves
    everything as it was but for the flag. A value that contradicts the order is not taken over, and
    of an answer about another order no value is. A question that nothing was learnt from only
    counts, whatever the order has become since it was asked.

    Raises:
        IllegalStep: an operator may not take this step.
    """
    if found.source is Source.OPERATOR:
        return _decide(record, found, now, schedule), False
    if contradicts(record, found):
        since = record.updated_at if record.contradicted else now
        return msgspec.structs.replace(record, contradicted=True, updated_at=since), True
    proven = found.source is Source.STATUS and not found.inconclusive
    found = _as_now(record, found)
    same = found.state is record.state
    if not same and not allowed(record.state, found):
        return record, False
    names = (_LEARNT if _OTHER_ORDER.isdisjoint(found.mismatches) else set(_REASON)) - set(found.mismatches)
    learnt = {name: getattr(found, name) for name in names if getattr(found, name) not in (None, ())}
    if found.why or found.reason:  # a reason replaces another one as a whole
        learnt = {**_WITHOUT_REASON, **learnt}
    changed = msgspec.structs.replace(record, **learnt)
    if same:
        resolved = record.resolved and not proven  # the provider itself says it now
        changed = msgspec.structs.replace(changed, checks=record.checks + 1, resolved=resolved)
    else:
        changed = _step(changed, found, now)
    # A notification came while the order was being sent: it is asked about now that it has been.
    waited = record.notified and record.state is State.SENDING and not same
    due = now if waited else next_check(changed, now, schedule)
    return msgspec.structs.replace(changed, due_at=due), False


def _decide(record: Record, found: Evidence, now: dt.datetime, schedule: Schedule) -> Record:
    """Let an operator settle what nobody else can, or confirm a final state that was contradicted.

    Raises:
        IllegalStep: an operator may not take this step.
    """
    if allowed(record.state, found):
        decided = _step(record, found, now)
    elif record.contradicted and confirms(record.state, found.state):
        decided = msgspec.structs.replace(record, updated_at=now)
    else:
        raise IllegalStep(f"an order that is {record.state} is not an operator's to make {found.state}")
    due = next_check(decided, now, schedule)
    return msgspec.structs.replace(decided, resolved=True, contradicted=False, due_at=due)


def note_notification(
    record: Record, now: dt.datetime, window: float, lease: float, *, new: bool
) -> tuple[Record, bool]:
    """Note on an order that a notification waits; return it, and whether the provider is to be asked at once.

    The caller that is to ask has the lease for it. A repeat is a reason to ask once in a window; an order
    that is just being sent is asked about when it has been.
    """
    if record.state is State.SENDING:
        return msgspec.structs.replace(record, notified=True), False
    if record.quiet_until and record.quiet_until > now and not new:
        due = min(record.due_at or record.quiet_until, record.quiet_until)
        return msgspec.structs.replace(record, notified=True, due_at=due), False
    quiet, due = (now + dt.timedelta(seconds=seconds) for seconds in (window, lease))
    return msgspec.structs.replace(record, notified=True, quiet_until=quiet, due_at=due), True


def judge(record: Record, content: NotificationContent) -> Verdict:
    """Compare what a notification says with what is known of its order."""
    if content.state is record.state:
        amounts = {content.paid, record.paid} - {None}
        return Verdict.CONTRADICTED if len(amounts) > 1 and not record.state.open else Verdict.CONFIRMED
    if {content.state, record.state} == {State.FAILED, State.CANCELED}:
        return Verdict.CONFIRMED
    # These states the provider has not reached by itself, so what it says otherwise is not merely old.
    ours = record.state in {State.NOT_SENT, State.DECLINED} or (record.resolved and record.state is State.FAILED)
    if record.state in EDGES[content.state] and not ours:
        return Verdict.OUTDATED
    return Verdict.WAITING if record.state in UNFINISHED else Verdict.CONTRADICTED


def judge_before_query(record: Record | None, content: NotificationContent, *, anew: bool) -> Verdict:
    """Judge a notification before the provider is asked: one that contradicts waits, and so does all that is `anew`."""
    if record is None or anew:
        return Verdict.WAITING
    verdict = judge(record, content)
    return Verdict.WAITING if verdict is Verdict.CONTRADICTED else verdict


def apply_verdicts(record: Record, verdicts: Iterable[Verdict]) -> Record:
    """Note on an order what became of the notifications that waited."""
    seen = set(verdicts)
    waiting = Verdict.WAITING in seen
    return msgspec.structs.replace(
        record,
        notified=waiting,
        contradicted=record.contradicted or Verdict.CONTRADICTED in seen,
        due_at=record.due_at if waiting or record.state.open else None,
    )


def without_personal_data(found: Evidence) -> Evidence:
    """Return what stays of evidence when a payer is forgotten: no words and no address."""
    return msgspec.structs.replace(found, redirect_url=None, reason=None)
