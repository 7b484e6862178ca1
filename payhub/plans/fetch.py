"""Ask for a status, as an application or the resolver wants it, and keep what the answer says of a known order.

An answer is evidence; so is a question in vain, of nothing. Neither sends anything again.
"""

import datetime as dt
from collections.abc import Callable, Generator
from typing import TypeVar

import msgspec
import structlog

from payhub.driver import Call
from payhub.errors import JournalFailed, NotFound, PayhubError
from payhub.exchanges.reply import Reply
from payhub.journal import Evidence, Key, Record, Source, State
from payhub.journal.records import past_schedule
from payhub.journal.states import evidence
from payhub.models import Kind, Payment, Payout, Ref
from payhub.plans.create import Terms, Trail, found, in_log, settled, watched
from payhub.plans.plan import Do, Recorded, compared

_log = structlog.get_logger("payhub")

Result = TypeVar("Result", Payment, Payout)


def noticed(
    ask: Callable[[Ref], Generator[Call, Reply, Result]], key: Key | None, ref: Ref, provider: str, terms: Terms
) -> Recorded[Result]:
    """Ask for a status as the application wants, and keep what the answer says of a known order.

    What is kept is compared with what is recorded, not with what the application says now. Of an
    order that was made with another provider nothing is kept.
    """
    began = dt.datetime.now(dt.UTC)
    trail = Trail()
    try:
        result = yield from watched(ask(msgspec.structs.replace(ref, amount=None)), trail)
    except Exception as cause:
        record = yield from _known(key, provider)
        if record is not None:
            yield from _kept(record, unanswered(cause), terms, trail, began)
        raise
    record = yield from _known(key or _named(result), provider)
    if record is not None:
        result = matched(result, record)
        yield from _kept(record, evidence(result, Source.STATUS), terms, trail, began, answered=True)
    return _compared(result, ref)


def _known(key: Key | None, provider: str) -> Recorded[Record | None]:
    record = (yield from found(key)) if key else None
    return record if record and record.facts.provider == provider else None


def _kept(
    record: Record, came: Evidence, terms: Terms, trail: Trail, began: dt.datetime, *, answered: bool = False
) -> Recorded[None]:
    """Keep evidence; a journal that fails now does not keep the application from its answer."""
    try:
        record = yield from settled(record.facts.key, came, terms, trail)
        if answered and record.notified:
            record = yield from weighed(record.facts.key, began)
        yield from handed_over(record, began, terms)
    except JournalFailed as cause:
        _log.critical("payhub.journal_failed", **in_log(record.facts.key), error=str(cause), state=str(came.state))


def unanswered(cause: Exception) -> Evidence:
    """Return what a question that got no usable answer is evidence for: nothing, but it is kept."""
    words = str(cause) if isinstance(cause, PayhubError) else f"{type(cause).__name__} in the driver"
    reason = NOT_FOUND if isinstance(cause, NotFound) else words
    return Evidence(source=Source.STATUS, state=State.UNKNOWN, reason=reason)


NOT_FOUND = "not found, which proves nothing"
"""Say why a question that was answered so changed nothing."""


def weighed(key: Key, asked_at: dt.datetime) -> Recorded[Record]:
    """Give notifications that came before the question their verdict; log what the provider itself contradicts."""
    record: Record = yield Do(lambda journal: journal.weigh(key, asked_at))
    if record.contradicted:
        _log.warning("payhub.contradicted", **in_log(key))
    return record


def handed_over(record: Record, now: dt.datetime, terms: Terms) -> Recorded[Record]:
    """Hand an order over to a person that the schedule could not settle."""
    if not past_schedule(record, now, terms.schedule):
        return record
    reason = "not settled within the time the schedule allows; ask the provider's support"
    over = Evidence(source=Source.SCHEDULE, state=State.NEEDS_ATTENTION, reason=reason)
    return (yield from settled(record.facts.key, over, terms))


def matched(result: Result, record: Record) -> Result:
    """Compare an answer with all that is recorded of its order."""
    facts = record.facts
    return _compared(result, Ref(order_id=facts.order_id, provider_id=record.provider_id, amount=facts.amount))


def _compared(result: Result, ref: Ref) -> Result:
    """Compare once more; what was found wrong before stays wrong."""
    again = compared(result, ref)
    return msgspec.structs.replace(again, mismatches=tuple(dict.fromkeys(result.mismatches + again.mismatches)))


def _named(result: Payment | Payout) -> Key | None:
    """Return the order that an answer says it is about, unless it contradicts the question."""
    kind: Kind = "payment" if isinstance(result, Payment) else "payout"
    return Key(result.account, kind, result.order_id) if result.order_id and not result.mismatches else None
