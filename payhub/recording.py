"""Wrap plans with the journal: written down before it is sent, settled when it is known.

The rules: an order is reserved and marked as being sent in one transaction that is durable before
the first byte leaves; an order that was sent is never sent again, whoever asks; what could not be
written after sending changes nothing for the caller, and is found by the next sweep.
"""

import hashlib
import hmac
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog

from payhub.driver import Call, Schedule
from payhub.errors import Declined, NotSent, PayhubError
from payhub.journal import Evidence, Facts, JournalFailed, Key, Opened, Record, Source, State
from payhub.journal.states import evidence, status_of
from payhub.models import Exchange, Payment, PaymentOrder, Payout, PayoutOrder, Ref
from payhub.plan import Do, Pause, Recorded, Reply

_log = structlog.get_logger("payhub")

Result = TypeVar("Result", Payment, Payout)


class Terms(NamedTuple):
    """Say for how long a sender is trusted to report, and when the provider is asked afterwards."""

    lease: float
    patience: float
    schedule: Schedule


def facts(
    account: str, provider: str, order: PaymentOrder | PayoutOrder, key: bytes
) -> Facts:
    """Return what may be kept of an order: the card number only inside the keyed fingerprint."""
    payment = isinstance(order, PaymentOrder)
    return Facts(
        account=account,
        provider=provider,
        kind="payment" if payment else "payout",
        order_id=order.order_id,
        amount=order.amount,
        method=order.method if isinstance(order, PaymentOrder) else str(order.to.__struct_config__.tag),
        fingerprint=hmac.new(key, msgspec.json.encode(order), hashlib.sha256).hexdigest(),
    )


def recorded(steps: Generator[Call, Reply, Result], order: Facts, terms: Terms, kind: type[Result]) -> Recorded[Result]:
    """Carry out the steps of a create, once for all who ask for the same order.

    Raises:
        OrderConflict: the order_id stands for a different order; nothing is sent.
        NotSent: the journal could not write first, so nothing was sent.
    """
    call = next(steps)  # an invalid order is refused here, before anything is written
    opened = yield from _opened(order, terms)
    if not opened.yours:
        steps.close()
        return _remembered(opened.record, kind)
    result = yield from _sent(steps, call, order.key, terms)
    return result


def _opened(order: Facts, terms: Terms) -> Recorded[Opened]:
    """Take the order, or wait for the one who is sending it."""
    waited = 0.0
    while True:
        try:
            opened: Opened = yield Do(lambda journal: journal.open(order, terms.lease))
        except JournalFailed as cause:
            raise NotSent(f"{cause} (not sent)") from cause
        if opened.yours or opened.record.state is not State.SENDING or waited >= terms.patience:
            return opened
        pause = min(0.05 + waited / 4, 1.0, terms.patience - waited)
        yield Pause(pause)
        waited += pause


def _sent(steps: Generator[Call, Reply, Result], call: Call, key: Key, terms: Terms) -> Recorded[Result]:
    exchange: Exchange | None = None
    try:
        while True:
            reply: Reply = yield call
            exchange = reply.exchange
            call = steps.send(reply)
    except StopIteration as done:
        result: Result = done.value
        yield from _settled(key, evidence(result, Source.ANSWER), terms, exchange)
        return result
    except Declined as refusal:
        found = Evidence(source=Source.ANSWER, state=State.DECLINED, reason=str(refusal))
        yield from _settled(key, found, terms, exchange)
        raise
    except Exception as cause:  # the plan lets one out only if nothing that moves money was sent
        found = Evidence(source=Source.ANSWER, state=State.NOT_SENT, reason=_words(cause))
        yield from _settled(key, found, terms, exchange)
        raise


def _settled(key: Key, found: Evidence, terms: Terms, exchange: Exchange | None) -> Recorded[None]:
    """Write down what came of it; a journal that fails now must not hide the outcome from the caller."""
    try:
        yield Do(lambda journal: journal.settle(key, found, terms.schedule, exchange))
    except Exception as cause:  # noqa: BLE001 - whatever the journal does now, the call was made
        _log.critical("payhub.journal_failed", account=key.account, kind=key.kind, error=_words(cause), state=str(found.state))


def _words(cause: Exception) -> str:
    return str(cause) if isinstance(cause, PayhubError) else type(cause).__name__


def _remembered(record: Record, kind: type[Result]) -> Result:
    """Return what is recorded of an order; a refusal is raised again."""
    if record.state is State.DECLINED:
        raise Declined(record.reason or "refused")
    return result_of(record, kind)


def result_of(record: Record, kind: type[Result]) -> Result:
    """Return an order's record as the application knows results; requisites are not kept, ask for them."""
    names = ("provider_id", "provider_status", "paid", "credited", "commission", "partial", "reason", "mismatches")
    said: dict[str, Any] = {name: getattr(record, name) for name in names}
    if kind is Payment:
        said["redirect_url"] = record.redirect_url
    return kind(
        account=record.facts.account,
        provider=record.facts.provider,
        order_id=record.facts.order_id,
        requested=record.facts.amount,
        status=status_of(record.state),
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
        _log.critical("payhub.journal_failed", account=key.account, kind=key.kind, error=str(cause))
        return None
    return found


def noticed(
    ask: Callable[[Ref], Generator[Call, Reply, Result]], key: Key | None, ref: Ref, terms: Terms
) -> Recorded[Result]:
    """Ask for a status as the application wants, and keep what the answer says of a known order."""
    record = yield from _found(key)
    if record is not None and ref.amount is None:
        ref = msgspec.structs.replace(ref, amount=record.facts.amount)
    steps = ask(ref)
    exchange: Exchange | None = None
    try:
        call = next(steps)
        while True:
            reply: Reply = yield call
            exchange = reply.exchange
            call = steps.send(reply)
    except StopIteration as done:
        result: Result = done.value
    if record is not None and key is not None:
        yield from _settled(key, evidence(result, Source.STATUS), terms, exchange)
    return result
