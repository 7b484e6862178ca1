"""Wrap plans with the journal: written down before it is sent, settled when it is known.

The rules: an order is reserved and marked as being sent in one transaction that is durable before
the first byte leaves; an order that was sent is never sent again, whoever asks; what could not be
written after sending changes nothing for the caller, and is found by the next sweep.
"""

import datetime as dt
import hashlib
import hmac
from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog

from payhub.driver import Call, Schedule
from payhub.errors import Declined, JournalFailed, NotSent, PayhubError
from payhub.exchanges.reply import Reply
from payhub.journal import Evidence, Facts, Key, Opened, Record, Source, State
from payhub.journal.records import conflict, contrary, givable, overdue_sender
from payhub.journal.states import NOTHING_MOVED, UNFINISHED, evidence, status_of
from payhub.masking import mask_cards, truncate
from payhub.models import Exchange, Payment, PaymentOrder, Payout, PayoutOrder, Phase, Status
from payhub.plans.identity import fingerprinted
from payhub.plans.plan import Do, Pause, Recorded, Steps

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


class Trail:
    """Note what was exchanged on the way of an order, and whether anything that moves money may have left.

    Nothing that moves money leaves after `until`: somebody else may have acted on the order by then.
    """

    def __init__(self, until: dt.datetime | None = None) -> None:
        """Begin where nothing has left."""
        self.exchanges: list[Exchange] = []
        self.sent = False
        self._until = until

    def too_late(self, call: Call) -> bool:
        """Tell whether a call must not leave any more."""
        return call.moves_money and self._until is not None and dt.datetime.now(dt.UTC) > self._until


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
    except PayhubError as refusal:
        return (yield from _repeated(order, kind, refusal))
    opened = yield from _opened(order, terms)
    if not opened.yours:
        steps.close()
        return _remembered(opened.record, kind)
    result = yield from _sent(steps, call, opened.record, terms, kind)
    return result


def _repeated(order: Facts, kind: type[Result], refusal: PayhubError) -> Recorded[Result]:
    """Return what is recorded of an order that is refused now, if it was sent before; else let the refusal stand."""
    known = yield from found(order.key)
    if known is None or givable(known):
        raise refusal
    if known.facts.fingerprint != order.fingerprint:
        raise conflict(order.key)
    return _remembered(known, kind)


def _opened(order: Facts, terms: Terms) -> Recorded[Opened]:
    """Take the order, or wait for the one who is sending it."""
    waited = 0.0
    opened: Opened | None = None
    while True:
        try:
            opened = yield Do(lambda journal: journal.open(order, terms.lease))
        except JournalFailed as cause:
            if opened is not None:  # somebody else sends it: this is no time to say that nothing was sent
                return opened
            raise NotSent(f"{cause} (not sent)") from cause
        died = overdue_sender(opened.record, dt.datetime.now(dt.UTC)) is not None
        if opened.yours or opened.record.state is not State.SENDING or died or waited >= terms.patience:
            return opened
        pause = min(0.05 + waited / 4, 1.0, terms.patience - waited)
        yield Pause(pause)
        waited += pause


def _sent(
    steps: Generator[Call, Reply, Result], call: Call, record: Record, terms: Terms, kind: type[Result]
) -> Recorded[Result]:
    """Send an order that was taken, and write down what came of it.

    Only what proves that nothing moved lets an error out; whatever else is raised once a call that
    moves money may have left, by a driver or by a signal, the outcome is unknown.
    """
    trail = Trail(record.lease_until and record.lease_until - dt.timedelta(seconds=terms.patience))
    key = record.facts.key
    try:
        result = yield from watched(steps, trail, call)
        came = evidence(result, Source.ANSWER)
    except Declined as refusal:
        came = Evidence(source=Source.ANSWER, state=State.DECLINED, reason=str(refusal))
        if known := (yield from _settled(key, came, terms, trail, kind)):
            return known
        raise
    except Exception as cause:
        words = _words(cause)
        if not trail.sent:
            came = Evidence(source=Source.ANSWER, state=State.NOT_SENT, reason=words)
            if known := (yield from _settled(key, came, terms, trail, kind)):
                return known
            raise
        result = msgspec.structs.replace(result_of(record, kind), reason=f"{words} after it may have been sent")
        came = evidence(result, Source.ANSWER)
    return (yield from _settled(key, came, terms, trail, kind)) or result


def watched(steps: Steps[T], trail: Trail, call: Call | None = None) -> Steps[T]:
    """Carry out steps, or carry them on from a call of theirs, and leave a trail.

    A runner that fails is for the steps to judge: they know what it means for money.
    """
    try:
        call = call or next(steps)
        while True:
            if trail.too_late(call):
                call = steps.send(Reply(phase=Phase.NOT_SENT, problem=_OVERSLEPT))
                continue
            before, trail.sent = trail.sent, trail.sent or call.moves_money
            try:
                reply: Reply = yield call
            except Exception as cause:  # noqa: BLE001 - the steps know what it means
                call = steps.throw(cause)
                continue
            if reply.phase is Phase.NOT_SENT:
                trail.sent = before
            trail.exchanges += reply.exchanges
            call = steps.send(reply)
    except StopIteration as done:
        result: T = done.value
        return result


_OVERSLEPT = "this process was stopped for so long that the order's lease may end while it sends"


def _settled(key: Key, came: Evidence, terms: Terms, trail: Trail, kind: type[Result]) -> Recorded[Result | None]:
    """Write down what came of it, and return what is known instead, if somebody has found out meanwhile.

    A journal that fails now must not hide the outcome from the caller.
    """
    try:
        record = yield from settled(key, came, terms, trail)
        denied = record.state is not came.state or _doubtful(record)
        return result_of(record, kind) if denied and came.state not in UNFINISHED else None
    except Exception as cause:  # noqa: BLE001 - whatever the journal does now, the call was made
        _log.critical("payhub.journal_failed", **in_log(key), error=_words(cause), state=str(came.state))
        return None


def settled(key: Key, came: Evidence, terms: Terms, trail: Trail | None = None) -> Recorded[Record]:
    """Write down evidence and the exchanges it came with, and return what is known then; log what contradicts."""
    exchanges = trail.exchanges if trail and terms.keep else ()
    record: Record = yield Do(lambda journal: journal.settle(key, came, terms.schedule, exchanges))
    if contrary(record, came):
        _log.warning("payhub.contradicted", **in_log(key))
    return record


def in_log(key: Key) -> dict[str, str]:
    """Name an order in a log event."""
    return {"account": key.account, "kind": key.kind, "order_id": mask_cards(key.order_id)}


def found(key: Key) -> Recorded[Record | None]:
    """Return what is known of an order; a journal that fails does not keep anybody from asking the provider."""
    try:
        record: Record | None = yield Do(lambda journal: journal.find(key))
    except JournalFailed as cause:
        _log.critical("payhub.journal_failed", **in_log(key), error=str(cause))
        return None
    return record


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
    return notified or (record.contradicted and record.state in NOTHING_MOVED)


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
