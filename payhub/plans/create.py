"""Create an order: written down before it is sent, settled when it is known.

An order is reserved and marked as being sent in one transaction that is durable before the first
byte leaves; an order that was sent is never sent again, whatever asks for it. An error means that
this call moved nothing; an unknown outcome is a returned value. What could not be written after
sending changes nothing for the caller, and is found by the next sweep.
"""

import datetime as dt
from typing import Any, TypeVar

import msgspec

from payhub.driver import Call, Flow, Unreadable
from payhub.errors import Declined, JournalFailed, NotSent, PayhubError
from payhub.exchanges.events import Event, log
from payhub.journal import Evidence, Facts, Key, Reservation, Source, State, Why
from payhub.journal.records import conflict
from payhub.journal.rules import may_send, overdue_sender
from payhub.journal.states import UNFINISHED, evidence_of
from payhub.models import Order, Ref, Result
from payhub.operations import OrderKind
from payhub.plans.identity import facts_of
from payhub.plans.plan import Account, Act, Attempt, NoAnswer, Pause, Steps, Timing, Undecided, drive
from payhub.plans.rules import believe, check_capabilities, check_order, compare
from payhub.plans.settle import find, remembered, result_of, settle, words_of

OrderT = TypeVar("OrderT", bound=Order)
ResultT = TypeVar("ResultT", bound=Result)


def create(account: Account, kind: OrderKind[OrderT, ResultT], order: OrderT) -> Steps[ResultT]:
    """Create an order once, for all that ask for it.

    Raises:
        InvalidOrder: refused here, before anything was sent.
        UnsupportedOperation: the provider has no such orders.
        OrderConflict: the order_id stands for a different order; nothing is sent.
        NotSent: nothing left this machine, or the journal could not be written first.
        Declined: the provider refused with an answer that its capabilities call definite.
    """
    order = check_order(order, account.capabilities.exponents)
    facts = facts_of(account, kind.word, order)
    try:
        refusals = check_capabilities(account, kind, order)
        flow = account.flow(kind.create, order=order)
        call = next(flow)  # a driver refuses an order here, before anything is written
    except StopIteration as done:  # the driver wants nothing sent
        answer: ResultT = done.value
        return account.named(compare(answer, Ref(order_id=order.order_id, amount=order.amount)))
    except PayhubError as refusal:
        recorded: ResultT = yield from _answer_from_record(facts, kind, refusal)
        return recorded
    opened = yield from _reserve(facts, account.timing)
    if not opened.yours:
        flow.close()
        return remembered(opened.record, kind)
    lease = opened.record.lease_until
    attempt = Attempt(refusals, lease and lease - dt.timedelta(seconds=account.timing.patience))
    result: ResultT = yield from _send(account, kind, order, flow, call, attempt)
    return result


def _answer_from_record(facts: Facts, kind: OrderKind[Any, ResultT], refusal: PayhubError) -> Steps[ResultT]:
    """Return what is recorded of an order that is refused now, if it was sent before; else let the refusal stand."""
    known = yield from find(facts.key)
    if known is None or may_send(known):
        raise refusal
    if known.facts.fingerprint != facts.fingerprint:
        raise conflict(facts.key)
    return remembered(known, kind)


def _reserve(facts: Facts, timing: Timing) -> Steps[Reservation]:
    """Take the order, or wait for the caller that is sending it."""
    waited = 0.0
    opened: Reservation | None = None
    while True:
        try:
            opened = yield Act(lambda journal: journal.open(facts, timing.lease))
        except JournalFailed as cause:
            if opened is not None:  # another caller sends it: nobody may say that nothing was sent
                return opened
            raise NotSent(str(cause)) from cause
        died = overdue_sender(opened.record, dt.datetime.now(dt.UTC)) is not None
        if opened.yours or opened.record.state is not State.SENDING or died or waited >= timing.patience:
            return opened
        pause = min(0.05 + waited / 4, 1.0, timing.patience - waited)
        yield Pause(pause)
        waited += pause


def _send(
    account: Account, kind: OrderKind[OrderT, ResultT], order: OrderT, flow: Flow[ResultT], call: Call, attempt: Attempt
) -> Steps[ResultT]:
    """Send an order that was taken, and write down what came of it.

    Only what proves that nothing moved leaves as an error. Whatever else is raised once money may
    have left, by a driver or by a signal, the outcome is unknown.
    """
    unknown = account.named(kind.unknown(order))
    key = Key(account.name, kind.word, order.order_id)
    try:
        answer = yield from drive(flow, attempt, call)
        believed = believe(answer, attempt.status, unknown, definite=attempt.definite)
        result = account.named(compare(believed, Ref(order_id=order.order_id, amount=order.amount)))
    except Exception as cause:  # noqa: BLE001 - whatever it is, the attempt knows whether money may have left
        proof = _proof(cause, attempt)
        if proof is not None:
            found = _evidence_of_proof(proof, cause)
            known = yield from _report(key, found, account.timing, attempt, kind)
            if known is not None:
                return known
            raise proof from (None if proof is cause else cause)
        found = _evidence_of_doubt(cause, attempt)
        result = msgspec.structs.replace(unknown, reason=found.explanation)
    else:
        found = evidence_of(result, Source.ANSWER)
    known = yield from _report(key, found, account.timing, attempt, kind)
    return result if known is None else known


def _proof(cause: Exception, attempt: Attempt) -> Exception | None:
    """Return the error that proves that nothing moved, or `None` where nothing proves it."""
    if attempt.may_have_left:
        return cause if attempt.definite and isinstance(cause, Declined) else None
    if isinstance(cause, NoAnswer):
        return NotSent(cause.words or str(cause))
    return None if isinstance(cause, Undecided) else cause


def _evidence_of_proof(proof: Exception, cause: Exception) -> Evidence:
    """Return what an error is evidence for that proves that nothing moved."""
    state = State.DECLINED if isinstance(proof, Declined) else State.NOT_SENT
    why, words = (cause.why, cause.words) if isinstance(cause, NoAnswer) else (None, words_of(proof))
    return Evidence(source=Source.ANSWER, state=state, why=why, reason=words)


def _evidence_of_doubt(cause: Exception, attempt: Attempt) -> Evidence:
    """Return the evidence that the outcome is unknown, and why."""
    why: Why | None
    if isinstance(cause, Undecided):
        why, words, http_status = cause.why, cause.words, cause.http_status
    else:
        http_status = attempt.status or None
        readable = isinstance(cause, Unreadable | PayhubError)
        why = (Why.UNUSABLE_ANSWER if http_status else None) if readable else Why.DRIVER_FAILED
        # A driver that raises NotSent now is wrong: its text stands, without what the error itself would add.
        words = cause.text if isinstance(cause, NotSent) else str(cause) if readable else type(cause).__name__
    return Evidence(source=Source.ANSWER, state=State.UNKNOWN, why=why, reason=words, http_status=http_status)


def _report(
    key: Key, found: Evidence, timing: Timing, attempt: Attempt, kind: OrderKind[Any, ResultT]
) -> Steps[ResultT | None]:
    """Write down what came of sending, and return what is known instead, if somebody found it out meanwhile.

    A journal that fails now must not hide the outcome from the caller.
    """
    try:
        record = yield from settle(key, found, timing, attempt)
    except Exception as cause:  # noqa: BLE001 - whatever the journal does now, the call was made
        log(Event.JOURNAL_FAILED, key, error=words_of(cause), state=str(found.state))
        return None
    denied = record.state is not found.state or record.in_doubt
    return result_of(record, kind) if denied and found.state not in UNFINISHED else None
