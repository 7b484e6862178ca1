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
from payhub.errors import Declined, NotSent, PayhubError
from payhub.exchanges.events import Event, log
from payhub.journal import Evidence, Key, Record, Reservation, Source, State, Why
from payhub.journal.rules import live_leg, require_same
from payhub.journal.states import UNFINISHED, evidence_of
from payhub.models import Order, Ref, Result
from payhub.operations import OrderKind
from payhub.plans.identity import facts_of
from payhub.plans.plan import Account, Act, Attempt, NoAnswer, Place, Steps, Timing, Undecided, drive
from payhub.plans.rules import (
    believe,
    broken,
    check_answer,
    check_capabilities,
    check_result,
    compare,
    raise_own,
    unknown_result,
)
from payhub.plans.settle import answer_creator, result_of, settle, wait_for_sender, words_of

OrderT = TypeVar("OrderT", bound=Order)
ResultT = TypeVar("ResultT", bound=Result)


def recall(kind: OrderKind[OrderT, ResultT], order: OrderT, place: Place, patience: float) -> Steps[ResultT | None]:
    """Return what is recorded of an order that is live with any account, or nothing if it is with none.

    This comes before an account is opened: whatever is broken now, an order that may have been sent
    is answered from its record. The order has been checked, see `payhub.plans.rules.check_order`.

    Raises:
        OrderConflict: the order_id stands for another order.
        NotSent: another call of this order was waited for, and sent nothing.
        JournalFailed: the journal cannot be read; nothing is sent, with any account.
    """
    legs: tuple[Record, ...] = yield Act(lambda journal: journal.legs(place.namespace, kind.word, order.order_id))
    leg = live_leg(legs)
    if leg is None:
        return None
    require_same(leg.facts, facts_of(kind.word, order, place, ""))
    return answer_creator((yield from wait_for_sender(leg, patience)), kind)


def create(account: Account, kind: OrderKind[OrderT, ResultT], order: OrderT) -> Steps[ResultT]:
    """Create an order once, for all that ask for it; the order has been checked.

    Raises:
        InvalidOrder: refused here, before anything was sent.
        UnsupportedOperation: the provider has no such orders.
        OrderConflict: the order_id stands for another order; nothing is sent.
        NotSent: nothing left this machine, or another call of this order was waited for and sent nothing.
        JournalFailed: it could not be written down first; nothing was sent.
        BrokenPlugin: the driver failed before it sent anything.
        Declined: the provider refused with an answer that its capabilities call definite.
    """
    creating = check_capabilities(account, kind, order)
    try:
        flow = account.flow(kind.create, order=order)
        call: object = next(flow)  # a driver refuses an order here, before anything is written
        if not isinstance(call, Call):
            raise TypeError(type(call).__name__)  # noqa: TRY301 - a mistake of the driver's as any other
    except StopIteration as done:  # the driver wants nothing sent
        try:
            answer = check_answer(check_result(done.value, kind.result, 0))
        except (Undecided, Unreadable) as cause:
            raise_own(account, cause)
        return account.named(compare(kind, answer, Ref(order_id=order.order_id, amount=order.amount)))
    except Exception as cause:  # noqa: BLE001 - it is raised again
        raise_own(account, cause)
    facts = facts_of(kind.word, order, account.place, account.provider_name)
    timing = account.timing
    began = dt.datetime.now(dt.UTC)  # by this machine's clock, which says when it is too late to send
    opened: Reservation = yield Act(lambda journal: journal.open(facts, timing.lease))
    if not opened.yours:
        flow.close()
        return answer_creator((yield from wait_for_sender(opened.record, timing.patience)), kind)
    until = began + dt.timedelta(seconds=timing.lease - timing.patience)
    attempt = Attempt(creating.refusals, until, kind.create)
    result: ResultT = yield from _send(account, kind, order, flow, call, attempt, final=creating.final)
    return result


def _send(
    account: Account,
    kind: OrderKind[OrderT, ResultT],
    order: OrderT,
    flow: Flow[ResultT],
    call: Call,
    attempt: Attempt,
    *,
    final: bool,
) -> Steps[ResultT]:
    """Send an order that was taken, and write down what came of it.

    Only what proves that nothing moved leaves as an error. Whatever else is raised once money may
    have left, by a driver or by a signal, the outcome is unknown.
    """
    unknown = account.named(unknown_result(kind, order))
    key = Key(account.name, kind.word, order.order_id)
    try:
        answer = yield from drive(flow, attempt, call)
        believed = believe(answer, attempt.status, unknown, definite=attempt.definite, final=final)
        result = account.named(compare(kind, believed, Ref(order_id=order.order_id, amount=order.amount)))
    except Exception as cause:  # noqa: BLE001 - whatever it is, the attempt knows whether money may have left
        proof = _proof(account, cause, attempt)
        if proof is not None:
            state = State.DECLINED if isinstance(proof, Declined) else State.NOT_SENT
            why, words = (cause.why, cause.words) if isinstance(cause, NoAnswer) else (None, words_of(proof))
            found = Evidence(source=Source.ANSWER, state=state, why=why, reason=words)
            known = yield from _report(key, found, account.timing, attempt, kind)
            if known is not None:
                return known
            raise proof from (None if proof is cause else cause)
        found = _evidence_of_doubt(cause, attempt)
        result = msgspec.structs.replace(unknown, reason=found.explanation)
    else:
        found = evidence_of(result, Source.ANSWER)
        if answer.status is not believed.status and not result.mismatches:
            found = msgspec.structs.replace(found, why=Why.TOO_EARLY, reason=str(answer.status))
            result = msgspec.structs.replace(result, reason=found.explanation)
    known = yield from _report(key, found, account.timing, attempt, kind)
    return result if known is None else known


def _proof(account: Account, cause: Exception, attempt: Attempt) -> PayhubError | None:
    """Return the error that proves that nothing moved, or `None` where nothing proves it."""
    if attempt.may_have_left:
        return cause if attempt.definite and isinstance(cause, Declined) else None
    if isinstance(cause, NoAnswer):
        return NotSent(cause.words or str(cause))
    return None if isinstance(cause, Undecided) else broken(account, cause)


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
    if record.state is State.NEEDS_ATTENTION and not found.mismatches:
        return result_of(record, kind)  # the journal knows more: the answer has another order's id
    denied = record.state is not found.state or record.in_doubt
    return result_of(record, kind) if denied and found.state not in UNFINISHED else None
