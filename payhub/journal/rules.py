"""The rules by which evidence, notifications, operators and time change an order, in any journal; no I/O."""

import datetime as dt
import math
import random
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from payhub.driver import Schedule
from payhub.errors import IllegalStep, OrderConflict
from payhub.journal.reasons import Why
from payhub.journal.records import Facts, NotificationContent, Record, Verdict
from payhub.journal.states import (
    LIVE,
    NOTHING_MOVED,
    OPEN,
    UNFINISHED,
    UNSETTLED,
    Evidence,
    Source,
    State,
    allowed,
    confirms,
    contradicts_state,
    may_follow,
)
from payhub.money import Money
from payhub.operations import KINDS

LONGEST_JITTER = 1.2
"""How many times its scheduled length a pause is at most."""

UNCOMPARED = ""
"""The fingerprint of an order in a journal that was begun with another key."""


OTHER_ORDER = frozenset({"order_id", "provider_id"})
"""The fields that say which order an answer is about."""


def is_paid_otherwise(paid: Money, asked: Money | None, *, partial: bool | None, exact: bool) -> bool:
    """Tell whether an order that succeeded cannot have been paid so.

    Nothing or less than nothing, another currency, less than asked although nobody calls it partial; and where
    what is paid is `exact`, more than asked.
    """
    if asked is None or paid.amount <= 0:
        return paid.amount <= 0
    less, more = paid.amount < asked.amount, paid.amount > asked.amount
    return paid.currency != asked.currency or (less and not partial) or (more and exact)


def require_same(known: Facts, asked: Facts) -> None:
    """Refuse an order whose id stands for another one; where the key is another one, nothing can be compared.

    Raises:
        OrderConflict: names the account that has the other order, its id, and the first field that differs; no value.
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
    field = next(name for name, differs in fields.items() if differs)
    raise OrderConflict(known.account, known.order_id, field, known.kind)


def is_same_account(facts: Facts, provider: str, identity: str | None) -> bool:
    """Tell whether an account is the one that a leg is with; an identity that is not known is not compared."""
    return facts.provider == provider and (None in {facts.identity, identity} or facts.identity == identity)


def is_about(content: NotificationContent, facts: Facts) -> bool:
    """Tell whether a notification comes from the account that a leg is with; one of unknown identity may."""
    return is_same_account(facts, facts.provider, content.identity)


def leg_meant(record: Record, named: str | None, legs: Callable[[], Iterable[Record]]) -> Record:
    """Return the leg that a provider speaks of when it is asked, or speaks, about one that moved no money.

    The same account may have the order under another name by now, and to the provider it is one order. `named` is the
    provider's id that it gives; `legs` looks up all of the order.
    """
    if record.state not in NOTHING_MOVED or (named is not None and named == record.provider_id):
        return record
    for leg in legs():
        whose = leg.facts.provider, leg.facts.identity
        same = None not in whose and whose == (record.facts.provider, record.facts.identity)  # known to be the same
        other = leg.facts.key != record.facts.key and same
        if other and (leg.state in LIVE if None in {named, leg.provider_id} else named == leg.provider_id):
            return leg
    return record


def is_live(record: Record) -> bool:
    """Tell whether a leg may have moved money, or has; what says otherwise and is contradicted may have, too."""
    return record.state in LIVE or record.contradicted or record.notified


def live_first(legs: Iterable[Record]) -> tuple[Record, ...]:
    """Sort an order's legs: the live one first; one that is only said to be live, by what contradicts it, second."""
    return tuple(sorted(legs, key=lambda leg: (leg.state not in LIVE, not is_live(leg))))


def live_leg(legs: Iterable[Record]) -> Record | None:
    """Return the one leg of an order that is live, if there is one."""
    return next(filter(is_live, live_first(legs)), None)


def keep_one_live(
    before: Record, decided: Record, legs: Iterable[Record], now: dt.datetime
) -> tuple[Record, IllegalStep | None]:
    """Return what an operator's decision makes of an order, unless another account has the live leg of it.

    Then the order keeps its state, and is contradicted: what the operator found out is true all the same.
    The error that says so names the account.
    """
    facts = before.facts
    others = (leg for leg in legs if leg.facts.key != facts.key and leg.facts.kind == facts.kind)
    other = next((leg for leg in others if leg.facts.namespace == facts.namespace and leg.state in LIVE), None)
    if decided.state not in LIVE or before.state in LIVE or other is None:
        return decided, None
    refusal = IllegalStep(
        f"account {other.facts.account!r} has this {facts.kind}, too, and there it is {other.state}: "
        f"only one of them may be recorded as paid; if {facts.account!r} has paid as well, have that money sent back"
    )
    return msgspec.structs.replace(before, contradicted=True, updated_at=now), refusal


def may_send(record: Record) -> bool:
    """Tell whether an order may be sent: not if anything says, or has said, that the provider knows it."""
    known = record.notified or record.contradicted or record.resolved
    return record.state is State.NOT_SENT and not known


def hand_to(record: Record, asked: Facts) -> Record:
    """Return a leg that may be sent as one of the account that sends it now: who that is, and where its orders stand.

    What another account's provider said of it goes with that account.
    """
    facts = msgspec.structs.replace(
        record.facts, provider=asked.provider, identity=asked.identity, namespace=asked.namespace
    )
    if is_same_account(record.facts, asked.provider, asked.identity):
        return msgspec.structs.replace(record, facts=facts)
    return msgspec.structs.replace(record, facts=facts, provider_id=None, provider_status=None, redirect_url=None)


def begin(facts: Facts, now: dt.datetime) -> Record:
    """Return a new leg, of which nothing was sent."""
    return Record(facts=facts, state=State.NOT_SENT, created_at=now, updated_at=now)


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
    """Return an order of which a notification waits and that this account has not sent: it seems to be there already.

    This journal may have been put back from a copy, which does not know what was sent since.
    """
    sent = take_for_sending(record, now, 0.0)  # as if by a sender that does not report: a sweep asks at once
    return msgspec.structs.replace(sent, attempts=record.attempts, notified=True, why=Why.NOTIFIED_BEFORE)


_DAY = 86400.0  # seconds between questions about an order that waits for a person
_QUESTIONS = 20  # unanswered ones after which a person has to look; by the default schedule they take nine hours


def next_check(record: Record, now: dt.datetime, schedule: Schedule) -> dt.datetime | None:
    """Return when the provider is to be asked next: after growing pauses, jittered so that orders spread.

    About an order that a person has settled it is asked for as long as the schedule asks, from then on;
    about one that waits for a person once a day.
    """
    checked = record.resolved and now - record.updated_at <= dt.timedelta(seconds=schedule.until)
    if record.state in OPEN or record.notified or checked:
        pause = min(schedule.longest, schedule.first * schedule.growth ** min(record.checks, 64))
    elif record.state is State.NEEDS_ATTENTION:
        pause = _DAY
    else:
        return None
    return now + dt.timedelta(seconds=pause * random.uniform(0.8, LONGEST_JITTER))  # noqa: S311 - no secret


def put_off(now: dt.datetime, longest: float) -> tuple[dt.datetime, dt.datetime]:
    """Return after when nothing can be due, with this longest pause: open orders, and those that wait for a person."""
    return later(now, longest), later(now, max(longest, _DAY * LONGEST_JITTER))


def is_due(record: Record, at: dt.datetime, now: dt.datetime, longest: float) -> bool:
    """Tell whether an order was due at a time, or was put off by a clock that was wrong."""
    if record.due_at is None:
        return False
    far, farther = put_off(now, longest)
    return record.due_at <= at or record.due_at > (farther if record.state is State.NEEDS_ATTENTION else far)


def is_asked_about(record: Record) -> bool:
    """Tell whether the provider has to be asked what became of an order, or whether a person is right about it."""
    return record.state in UNFINISHED or record.notified or record.resolved


def _schedule_over(record: Record, now: dt.datetime, schedule: Schedule) -> bool:
    return now - (record.sent_at or record.created_at) > dt.timedelta(seconds=schedule.until)


def past_schedule(record: Record, now: dt.datetime, schedule: Schedule, *, answered: bool = True) -> bool:
    """Tell whether an open order has waited longer than its driver's schedule asks for.

    Where the provider has not answered the last question, it must have been asked some more times: it may be away only
    just now, when nobody has asked for long.
    """
    enough = answered or record.checks >= _QUESTIONS
    return record.state in OPEN and enough and _schedule_over(record, now, schedule)


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


def is_closed(record: Record) -> bool:
    """Tell whether nobody will ask what became of an order: it has ended, and nothing says otherwise."""
    return record.state not in UNFINISHED and not record.contradicted


OVERDUE = 15 * 60.0
"""For how many seconds an order may be due before somebody should look why nobody asks about it."""

WAITING = 60 * 60.0
"""For how many seconds an order may be of unknown outcome before a person should look; a sweep needs some time, too."""


def is_overdue(record: Record, now: dt.datetime, overdue: float) -> bool:
    """Tell whether the provider should have been asked about an order some seconds ago."""
    return record.due_at is not None and record.due_at <= now - dt.timedelta(seconds=overdue)


def waits_for_person(record: Record, now: dt.datetime) -> bool:
    """Tell whether a person may have to look.

    Nobody knows what became of the order, or what is known is denied, or nobody can be asked about it.
    """
    stuck = record.contradicted or record.why is Why.OTHER_ACCOUNT
    return record.state in UNSETTLED or stuck or overdue_sender(record, now) is not None


def is_listed(record: Record, now: dt.datetime, before: dt.datetime, overdue: float) -> bool:
    """Tell whether an order waits for a person, or for a sweep, and has not changed since a time.

    One that changed in the future, by its clock, is listed as well, also while it is open: it may not be asked about.
    """
    if record.updated_at > now:
        return waits_for_person(record, now) or record.state.open
    return record.updated_at <= before and (waits_for_person(record, now) or is_overdue(record, now, overdue))


_REASON = ("why", "http_status", "reason", "mismatches")
_WITHOUT_REASON: Any = {"why": None, "http_status": None, "reason": None}
_LEARNT = frozenset(Evidence.__struct_fields__) - {"source", "state"}
_ENDED = ("provider_id", "paid", "credited", "commission")
_SUMS = ("paid", "credited", "commission", "partial")


def _as_now(record: Record, found: Evidence) -> Evidence:
    """Return evidence of a question that nothing was learnt from as evidence for the state that the order has by now.

    The order may have changed since the provider was asked, and why it is in its state this evidence does not know.
    """
    if not found.inconclusive or record.state is State.SENDING:
        return found
    if record.state in OPEN and Why.OTHER_ACCOUNT in {found.why, record.why}:
        return msgspec.structs.replace(found, state=record.state)  # this reason is of now, and gone when it is asked
    if record.state in OPEN:
        return msgspec.structs.replace(found, state=record.state, **_WITHOUT_REASON)
    return Evidence(source=found.source, state=record.state)


def of_another_order(found: Evidence) -> Evidence:
    """Return what evidence is if the provider's id in it is that of another order: a person has to look."""
    mismatches = tuple(dict.fromkeys((*found.mismatches, "provider_id")))
    wrong: Any = {"state": State.NEEDS_ATTENTION, "why": Why.SHARED_ID, "reason": None, "http_status": None}
    return msgspec.structs.replace(found, mismatches=mismatches, **wrong)


def of_this_leg(record: Record, found: Evidence, legs: Callable[[], Iterable[Record]]) -> Evidence:
    """Return what evidence is for a leg: where the provider has spoken of another one, nothing was learnt."""
    differs = "provider_id" in found.mismatches
    if found.source is not Source.STATUS or (record.provider_id is not None and not differs):
        return found
    leg = leg_meant(record, None if differs else found.provider_id, legs)
    if leg is record or found.inconclusive:
        return found
    words = repr(leg.facts.account)
    return Evidence(source=Source.STATUS, state=State.UNKNOWN, why=Why.OTHER_LEG, reason=words)


def _is_half_of_reversal(record: Record, state: State) -> bool:
    """Tell whether the provider says that an order was paid, or that it failed, and a person that both are so."""
    return record.resolved and record.state is State.REVERSED and state in NOTHING_MOVED | {State.SUCCEEDED}


def contradicts(record: Record, found: Evidence) -> bool:
    """Tell whether evidence contradicts what is known of an order: its state, its id, or how a final one ended."""
    if record.provider_id is not None and "provider_id" in found.mismatches:
        return True  # an answer about another id says nothing of this order, whatever else it says
    found = _as_now(record, found)
    same = found.state is record.state
    for name in _ENDED if same and record.state not in UNFINISHED else ("provider_id",):
        values = {getattr(record, name), getattr(found, name)} - {None}
        if len(values) > 1 and name not in found.mismatches:  # what the evidence itself calls a mismatch is no news
            return True
    if same or allowed(record.state, found) or _is_half_of_reversal(record, found.state):
        return False
    # A person has said that the order failed, so that the provider still works on it is no old news.
    resolved = record.resolved and record.state is State.FAILED and found.state is State.PENDING
    return resolved or contradicts_state(record.state, found)


def _step(record: Record, found: Evidence, now: dt.datetime) -> Record:
    reason = {name: getattr(found, name) for name in _REASON}
    return msgspec.structs.replace(record, **reason, state=found.state, checks=0, lease_until=None, updated_at=now)


def apply(
    record: Record,
    found: Evidence,
    now: dt.datetime,
    schedule: Schedule,
    last_denial: Callable[[], Evidence | None] | None = None,
) -> tuple[Record, bool]:
    """Apply evidence to an order; return the order, and whether the evidence contradicts it.

    What is learnt is taken over where the step is legal or the state stays; what contradicts leaves
    everything as it was but for the flag. A value that contradicts the order is not taken over, and
    of an answer about another order no value is. A question that nothing was learnt from only
    counts, whatever the order has become since it was asked.

    `last_denial` looks up the evidence that contradicted the order last: an operator who decides has seen it.

    Raises:
        IllegalStep: an operator may not take this step.
    """
    if found.source is Source.OPERATOR:
        return _decide(record, found, now, schedule, last_denial() if last_denial else None), False
    if contradicts(record, found):
        asked = _count_question(record, found, now, schedule)
        # What a person has seen, and decided against, is no news.
        if record.contradicted or (record.overruled and last_denial and found == last_denial()):
            return asked, True
        return msgspec.structs.replace(asked, contradicted=True, overruled=False, updated_at=now), True
    proven = found.source is Source.STATUS and not found.inconclusive
    found = _as_now(record, found)
    goes_on = found.source is Source.STATUS and found.state is State.PENDING
    if record.why is Why.SCHEDULE_OVER and goes_on and _schedule_over(record, now, schedule):
        # That the provider still works on it is no news: a person goes on waiting for an end.
        found = msgspec.structs.replace(found, state=record.state, **_WITHOUT_REASON)
    same = found.state is record.state
    if not same and not allowed(record.state, found):
        return _count_question(record, found, now, schedule), False
    names = (_LEARNT if OTHER_ORDER.isdisjoint(found.mismatches) else set(_REASON)) - set(found.mismatches)
    learnt = {name: getattr(found, name) for name in names if getattr(found, name) not in (None, ())}
    # A reason replaces another one as a whole.
    if found.why or found.reason or record.why is Why.OTHER_ACCOUNT:
        learnt = {**_WITHOUT_REASON, **learnt}
    changed = msgspec.structs.replace(record, **learnt)
    changed = msgspec.structs.replace(changed, checks=record.checks + 1) if same else _step(changed, found, now)
    if proven:  # the provider itself says it now
        changed = msgspec.structs.replace(changed, resolved=False)
    # A notification came while the order was being sent: it is asked about now that it has been.
    waited = record.notified and record.state is State.SENDING and not same
    due = now if waited or found.why is Why.TOO_EARLY else next_check(changed, now, schedule)
    return msgspec.structs.replace(changed, due_at=due), False


def _count_question(record: Record, found: Evidence, now: dt.datetime, schedule: Schedule) -> Record:
    """Count a question whose answer changes nothing; the next one is due after a pause."""
    if found.source is not Source.STATUS or record.state is State.SENDING:
        return record
    asked = msgspec.structs.replace(record, checks=record.checks + 1)
    return msgspec.structs.replace(asked, due_at=next_check(asked, now, schedule))


def _decide(
    record: Record, found: Evidence, now: dt.datetime, schedule: Schedule, last_denial: Evidence | None
) -> Record:
    """Let an operator settle what nobody else can, correct a final state, or confirm one that was contradicted.

    Raises:
        IllegalStep: an operator may not take this step.
    """
    if allowed(record.state, found):
        decided = _step(record, found, now)
        if found.state in NOTHING_MOVED:
            decided = msgspec.structs.replace(decided, **dict.fromkeys(_SUMS))
        elif last_denial is not None and last_denial.state is found.state and not last_denial.mismatches:
            learnt = {name: getattr(last_denial, name) for name in (*_SUMS, "provider_id", "provider_status")}
            known = {name: value for name, value in learnt.items() if value is not None}
            decided = msgspec.structs.replace(decided, **known)
    elif record.contradicted and confirms(record.state, found.state):
        decided = msgspec.structs.replace(record, updated_at=now)
    else:
        raise IllegalStep(f"an order that is {record.state} is not an operator's to make {found.state}")
    decided = msgspec.structs.replace(decided, resolved=True, contradicted=False, overruled=record.contradicted)
    return msgspec.structs.replace(decided, due_at=next_check(decided, now, schedule))


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


def _is_of_another(record: Record, content: NotificationContent) -> bool:
    """Tell whether a notification names an id, a sum or a currency that cannot be the order's."""
    facts, paid = record.facts, content.paid
    said = ((content.provider_id, record.provider_id), (content.requested, facts.amount))
    if any(named and known and named != known for named, known in said):
        return True
    if paid is None or content.state is not State.SUCCEEDED:
        return paid is not None and paid.currency != facts.amount.currency
    return is_paid_otherwise(paid, facts.amount, partial=content.partial, exact=KINDS[facts.kind].exact)


def judge(record: Record, content: NotificationContent, legs: Callable[[], Iterable[Record]] = tuple) -> Verdict:
    """Compare the whole of what a notification says with what is known of its order, or of the leg that is meant."""
    record = leg_meant(record, content.provider_id, legs)
    if _is_of_another(record, content):
        return Verdict.CONTRADICTED
    if content.state is State.UNKNOWN:  # a word that the driver does not know: only the answer says what it means
        done = Verdict.CONTRADICTED if record.contradicted else Verdict.OUTDATED
        return Verdict.WAITING if record.state in UNFINISHED else done
    if content.state is record.state:
        amounts = {content.paid, record.paid} - {None}
        return Verdict.CONTRADICTED if len(amounts) > 1 and not record.state.open else Verdict.CONFIRMED
    same = {content.state, record.state} == {State.FAILED, State.CANCELED}
    if same or _is_half_of_reversal(record, content.state):
        return Verdict.CONFIRMED
    # These states the provider has not reached by itself, so what it says otherwise is not merely old.
    ours = record.state in {State.NOT_SENT, State.DECLINED} or (record.resolved and record.state is State.FAILED)
    if may_follow(record.state, content.state) and not ours:
        return Verdict.OUTDATED
    return Verdict.WAITING if record.state in UNFINISHED else Verdict.CONTRADICTED


def judge_before_query(record: Record | None, content: NotificationContent, *, anew: bool) -> Verdict:
    """Judge a notification before the provider is asked.

    One that contradicts waits, and so does one whose word the driver does not know, and all that is `anew`.
    """
    if record is None or anew or content.state is State.UNKNOWN:
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
        due_at=record.due_at if waiting or record.state in UNFINISHED or record.resolved else None,
    )


def without_personal_data(found: Evidence) -> Evidence:
    """Return what stays of evidence when a payer is forgotten: no words and no address."""
    return msgspec.structs.replace(found, redirect_url=None, reason=None)
