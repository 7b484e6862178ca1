"""Write down what was learnt of an order, and read it back as the application knows results."""

import datetime as dt
from typing import Any, TypeVar

from payhub.errors import Declined, JournalFailed, NotSent, PayhubError
from payhub.exchanges.events import Event, log
from payhub.journal import Evidence, Key, Record, Source, State, Why
from payhub.journal.reasons import explain
from payhub.journal.rules import LONGEST_JITTER, contradicts, overdue_sender, past_schedule
from payhub.models import Result
from payhub.operations import OrderKind
from payhub.plans.plan import Act, Attempt, Pause, Steps, Timing

ResultT = TypeVar("ResultT", bound=Result)

# Requisites are not kept: they belong to the payer, and the provider has them.
_KEPT = (
    *("provider_id", "provider_status", "paid", "credited", "commission", "partial", "mismatches"),
    "redirect_url",
)


def find(key: Key) -> Steps[Record | None]:
    """Return what is known of an order; a journal that fails does not keep anybody from asking the provider."""
    try:
        record: Record | None = yield Act(lambda journal: journal.find(key))
    except JournalFailed as cause:
        log(Event.JOURNAL_FAILED, key, error=str(cause))
        return None
    return record


def clock() -> Steps[dt.datetime]:
    """Return the time by the journal's clock, or this machine's where the journal cannot be read."""
    try:
        now: dt.datetime = yield Act(lambda journal: journal.now())
    except JournalFailed:
        return dt.datetime.now(dt.UTC)
    return now


def settle(key: Key, found: Evidence, timing: Timing, attempt: Attempt | None = None) -> Steps[Record]:
    """Write down evidence and the exchanges it came with, and return what is known then; log what contradicts."""
    exchanges = attempt.exchanges if attempt and timing.keep_exchanges else ()
    record: Record = yield Act(lambda journal: journal.settle(key, found, timing.schedule, exchanges))
    if record.contradicted and contradicts(record, found):
        log(Event.CONTRADICTED, key)
    return record


def judge_notifications(key: Key, asked_at: dt.datetime) -> Steps[Record]:
    """Give notifications that came before the question their verdict; log what the provider itself contradicts."""
    record: Record = yield Act(lambda journal: journal.judge_notifications(key, asked_at))
    if record.contradicted:
        log(Event.CONTRADICTED, key)
    return record


def release_sender(record: Record, timing: Timing) -> Steps[Record]:
    """Give up a sender whose lease has ended."""
    if record.state is not State.SENDING:
        return record
    longest = max(timing.lease, timing.schedule.longest * LONGEST_JITTER)  # another process may give longer leases
    ended = overdue_sender(record, (yield from clock()), longest)
    return (yield from settle(record.facts.key, ended, timing)) if ended else record


def hand_over(record: Record, now: dt.datetime, timing: Timing, *, answered: bool = True) -> Steps[Record]:
    """Hand an order that the schedule could not settle over to a person.

    Where the provider has just not `answered`, it is asked some more times before.
    """
    if not past_schedule(record, now, timing.schedule, answered=answered):
        return record
    over = Evidence(source=Source.SCHEDULE, state=State.NEEDS_ATTENTION, why=Why.SCHEDULE_OVER)
    return (yield from settle(record.facts.key, over, timing))


def wait_for_sender(record: Record, patience: float) -> Steps[Record]:
    """Wait for the call that is sending an order, and return what is known then.

    If that call sent nothing, this is no reason to take the order: its caller knows that, too, and may
    be creating it with another account by now.
    """
    key, waited = record.facts.key, 0.0
    while record.state is State.SENDING and waited < patience:
        if overdue_sender(record, (yield from clock())):
            break
        pause = min(0.05 + waited / 4, 1.0, patience - waited)
        yield Pause(pause)
        waited += pause
        try:
            record = (yield Act(lambda journal: journal.find(key))) or record
        except JournalFailed:  # another call sends it: nobody may say that nothing was sent
            return record
    return record


def answer_creator(record: Record, kind: OrderKind[Any, ResultT]) -> ResultT:
    """Return what is recorded of an order to a call that creates it; what proves that nothing moved is raised.

    Raises:
        NotSent: another call of this order sent nothing.
        Declined: the provider refused it before.
    """
    if record.state is State.NOT_SENT and not record.in_doubt:
        raise NotSent(record.reason or "another call of this order sent nothing")
    if record.state is State.DECLINED and not record.in_doubt:
        raise Declined(record.reason or "refused")
    return result_of(record, kind)


def result_of(record: Record, kind: OrderKind[Any, ResultT]) -> ResultT:
    """Return an order's record as the application knows results; what is not kept is to be asked for again."""
    known: dict[str, Any] = {name: getattr(record, name) for name in _KEPT if name in kind.result.__struct_fields__}
    known["reason"] = explain(Why.CONTRADICTED, record.state) if record.in_doubt else record.explanation
    return kind.result(
        account=record.facts.account,
        provider=record.facts.provider,
        order_id=record.facts.order_id,
        requested=record.facts.amount,
        status=record.status,
        created_at=record.created_at,
        **known,
    )


def words_of(cause: Exception) -> str:
    """Return an error's own words, if they are payhub's; those of other errors may quote anything."""
    return str(cause) if isinstance(cause, PayhubError) else type(cause).__name__
