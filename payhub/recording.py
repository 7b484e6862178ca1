"""Wrap plans with the journal: written down before it is sent, settled when it is known.

The rules: an order is reserved and marked as being sent in one transaction that is durable before
the first byte leaves; an order that was sent is never sent again, whoever asks; what could not be
written after sending changes nothing for the caller, and is found by the next sweep.
"""

import contextlib
import datetime as dt
import hashlib
import hmac
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog

from payhub.driver import Call, Schedule
from payhub.errors import Declined, NotFound, NotSent, PayhubError
from payhub.fingerprint import fingerprinted
from payhub.journal import Evidence, Facts, JournalFailed, Key, Opened, Record, Source, State
from payhub.journal.records import contrary, overdue_sender
from payhub.journal.states import evidence, status_of
from payhub.masking import sweep, truncate
from payhub.models import Exchange, Kind, Payment, PaymentOrder, Payout, PayoutOrder, Ref, Status
from payhub.plan import Do, Pause, Recorded, Reply, Steps, compared

_log = structlog.get_logger("payhub")

T = TypeVar("T")
Result = TypeVar("Result", Payment, Payout)


class Terms(NamedTuple):
    """Say for how long a sender is trusted to report, and when the provider is asked afterwards.

    `patience` is how long a call may take, and whoever waits for another's call waits.
    `window` is for how long, in seconds, a notification that is sent again is no reason to ask.
    `keep` tells whether exchanges are kept at all.
    """

    lease: float
    patience: float
    schedule: Schedule
    window: float
    keep: bool = True


def facts(account: str, provider: str, order: PaymentOrder | PayoutOrder, key: bytes) -> Facts:
    """Return what may be kept of an order: the card number only inside the keyed fingerprint."""
    payer = order.payer if isinstance(order, PaymentOrder) else None
    return Facts(
        account=account,
        provider=provider,
        kind="payment" if isinstance(order, PaymentOrder) else "payout",
        order_id=order.order_id,
        amount=order.amount,
        method=order.method if isinstance(order, PaymentOrder) else str(order.to.__struct_config__.tag),
        fingerprint=keyed(key, fingerprinted(order)),
        tail=None if isinstance(order, PaymentOrder) else _tail(order.to.number),
        payer=payer_of(key, payer.id) if payer and payer.id else None,
    )


def keyed(key: bytes, what: bytes) -> str:
    """Return what stands for a value where the value must not be kept: nobody can try values without the key."""
    return hmac.new(key, what, hashlib.sha256).hexdigest()


def payer_of(key: bytes, payer_id: str) -> str:
    """Return what stands for a payer."""
    return keyed(key, b"payer " + payer_id.encode())


def _tail(number: str) -> str | None:
    """Return the last four characters, if a mask would show them."""
    return truncate(number)[-4:].lstrip("*") or None


def recorded(steps: Generator[Call, Reply, Result], order: Facts, terms: Terms, kind: type[Result]) -> Recorded[Result]:
    """Carry out the steps of a create, once for all who ask for the same order.

    Raises:
        OrderConflict: the order_id stands for a different order; nothing is sent.
        NotSent: the journal could not write first, so nothing was sent.
    """
    try:
        call = next(steps)  # an invalid order is refused here, before anything is written
    except StopIteration as done:  # the driver wants nothing sent
        answer: Result = done.value
        return answer
    opened = yield from _opened(order, terms)
    if not opened.yours:
        steps.close()
        return _remembered(opened.record, kind)
    if overdue_sender(opened.record, dt.datetime.now(dt.UTC) + dt.timedelta(seconds=terms.patience)):
        steps.close()
        yield from _overslept(order.key, terms)
    result = yield from _sent(steps, call, order.key, terms)
    return result


def _overslept(key: Key, terms: Terms) -> Recorded[None]:
    """Refuse to send what could leave after the lease: meanwhile a person may have acted on the order."""
    reason = "this process was stopped for so long that the order's lease may end while it sends"
    yield from _settled(key, Evidence(source=Source.ANSWER, state=State.NOT_SENT, reason=reason), terms, [])
    raise NotSent(f"{reason} (not sent)")


def _opened(order: Facts, terms: Terms) -> Recorded[Opened]:
    """Take the order, or wait for the one who is sending it."""
    waited = 0.0
    while True:
        try:
            opened: Opened = yield Do(lambda journal: journal.open(order, terms.lease))
        except JournalFailed as cause:
            raise NotSent(f"{cause} (not sent)") from cause
        died = overdue_sender(opened.record, dt.datetime.now(dt.UTC)) is not None
        if opened.yours or opened.record.state is not State.SENDING or died or waited >= terms.patience:
            return opened
        pause = min(0.05 + waited / 4, 1.0, terms.patience - waited)
        yield Pause(pause)
        waited += pause


def _sent(steps: Generator[Call, Reply, Result], call: Call, key: Key, terms: Terms) -> Recorded[Result]:
    seen: list[Exchange] = []
    try:
        result = yield from watched(steps, seen, call)
    except Declined as refusal:
        found = Evidence(source=Source.ANSWER, state=State.DECLINED, reason=str(refusal))
        yield from _settled(key, found, terms, seen)
        raise
    except Exception as cause:  # the plan lets one out only if nothing that moves money was sent
        found = Evidence(source=Source.ANSWER, state=State.NOT_SENT, reason=_words(cause))
        yield from _settled(key, found, terms, seen)
        raise
    yield from _settled(key, evidence(result, Source.ANSWER), terms, seen)
    return result


def watched(steps: Steps[T], seen: list[Exchange], call: Call | None = None) -> Steps[T]:
    """Carry out steps, or carry them on from a call of theirs, and note the exchanges.

    A runner that fails is for the steps to judge: they know what it means for money.
    """
    try:
        call = call or next(steps)
        while True:
            try:
                reply: Reply = yield call
            except Exception as cause:  # noqa: BLE001 - the steps know what it means
                call = steps.throw(cause)
            else:
                seen += reply.exchanges
                call = steps.send(reply)
    except StopIteration as done:
        result: T = done.value
        return result


def _settled(key: Key, found: Evidence, terms: Terms, seen: list[Exchange]) -> Recorded[None]:
    """Write down what came of it; a journal that fails now must not hide the outcome from the caller."""
    try:
        yield from settled(key, found, terms, seen)
    except Exception as cause:  # noqa: BLE001 - whatever the journal does now, the call was made
        _log.critical("payhub.journal_failed", **in_log(key), error=_words(cause), state=str(found.state))


def settled(key: Key, found: Evidence, terms: Terms, seen: Sequence[Exchange] = ()) -> Recorded[Record]:
    """Write down evidence and the exchanges it came with, and return what is known then; log what contradicts."""
    record: Record = yield Do(lambda journal: journal.settle(key, found, terms.schedule, seen if terms.keep else ()))
    if contrary(record, found):
        _log.warning("payhub.contradicted", **in_log(key))
    return record


def in_log(key: Key) -> dict[str, str]:
    """Name an order in a log event."""
    return {"account": key.account, "kind": key.kind, "order_id": sweep(key.order_id)}


def _words(cause: Exception) -> str:
    return str(cause) if isinstance(cause, PayhubError) else type(cause).__name__


def _remembered(record: Record, kind: type[Result]) -> Result:
    """Return what is recorded of an order; a refusal is raised again."""
    if record.state is State.DECLINED and not _doubtful(record):
        raise Declined(record.reason or "refused")
    return result_of(record, kind)


def _doubtful(record: Record) -> bool:
    """Tell whether something says that the provider has, or has paid, an order of which no money should have moved."""
    notified = record.notified and record.state in {State.NOT_SENT, State.DECLINED}
    return notified or (record.contradicted and record.state in _NOTHING_MOVED)


_NOTHING_MOVED = frozenset({State.NOT_SENT, State.DECLINED, State.FAILED, State.CANCELED})


def result_of(record: Record, kind: type[Result]) -> Result:
    """Return an order's record as the application knows results; requisites are not kept, ask for them."""
    names = ("provider_id", "provider_status", "paid", "credited", "commission", "partial", "reason", "mismatches")
    said: dict[str, Any] = {name: getattr(record, name) for name in names}
    if _doubtful(record):
        said["reason"] = f"recorded as {record.state}, and something says otherwise; look at its trace"
    if kind is Payment:
        said["redirect_url"] = record.redirect_url
    return kind(
        account=record.facts.account,
        provider=record.facts.provider,
        order_id=record.facts.order_id,
        requested=record.facts.amount,
        status=Status.UNKNOWN if _doubtful(record) else status_of(record.state),
        created_at=record.created_at,
        **said,
    )


def _found(key: Key | None) -> Recorded[Record | None]:
    """Return what is known of an order; a journal that fails does not keep anybody from asking."""
    if key is None:
        return None
    try:
        found: Record | None = yield Do(lambda journal: journal.find(key))
    except JournalFailed as cause:
        _log.critical("payhub.journal_failed", **in_log(key), error=str(cause))
        return None
    return found


def noticed(
    ask: Callable[[Ref], Generator[Call, Reply, Result]], key: Key | None, ref: Ref, terms: Terms
) -> Recorded[Result]:
    """Ask for a status as the application wants, and keep what the answer says of a known order.

    What is kept is compared with what is recorded, not with what the application says now.
    """
    seen: list[Exchange] = []
    steps = ask(msgspec.structs.replace(ref, amount=None))
    try:
        result = yield from watched(steps, seen)
    except PayhubError as cause:
        record = yield from _found(key)
        if record is not None:
            yield from _settled(record.facts.key, unanswered(cause), terms, seen)
        raise
    record = yield from _found(key or _named(result))
    if record is not None:
        result = matched(result, record)
        yield from _settled(record.facts.key, evidence(result, Source.STATUS), terms, seen)
        if record.notified:
            with contextlib.suppress(JournalFailed):  # they wait on, and a sweep will ask again
                yield from weighed(record.facts.key)
    return _compared(result, ref)


def unanswered(cause: PayhubError) -> Evidence:
    """Return what a question that got no usable answer is evidence for: nothing, but it is kept."""
    words = NOT_FOUND if isinstance(cause, NotFound) else str(cause)
    return Evidence(source=Source.STATUS, state=State.UNKNOWN, reason=words)


NOT_FOUND = "not found, which proves nothing"
"""Say why a question that was answered so changed nothing."""


def weighed(key: Key) -> Recorded[Record]:
    """Give the notifications that wait their verdict, and log those that the provider itself contradicts."""
    record: Record = yield Do(lambda journal: journal.weigh(key))
    if record.contradicted:
        _log.warning("payhub.contradicted", **in_log(key))
    return record


def matched(result: Result, record: Record) -> Result:
    """Compare an answer with all that is recorded of its order."""
    facts = record.facts
    return _compared(result, Ref(order_id=facts.order_id, provider_id=record.provider_id, amount=facts.amount))


def _compared(result: Result, ref: Ref) -> Result:
    """Compare once more; what was found wrong before stays wrong."""
    again = compared(result, ref)
    return msgspec.structs.replace(again, mismatches=tuple(dict.fromkeys(result.mismatches + again.mismatches)))


def _named(result: Payment | Payout) -> Key | None:
    """Return the order that an answer says it is about."""
    kind: Kind = "payment" if isinstance(result, Payment) else "payout"
    return Key(result.account, kind, result.order_id) if result.order_id else None
