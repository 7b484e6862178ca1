"""Find out what became of open orders: ask the provider, never send again.

`advancing` takes one order as far as it can go now. It may run at any time, any number of times,
in any number of processes: all it does to the provider is ask, and all it does to the journal is
add evidence.
"""

import contextlib
import datetime as dt
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import structlog

from payhub.driver import Call
from payhub.errors import NotFound, PayhubError
from payhub.journal import Evidence, Key, Record, Source, State
from payhub.journal.records import overdue_sender, past_schedule, unknown_order
from payhub.journal.states import UNFINISHED, evidence
from payhub.models import Exchange, Ref
from payhub.plan import Do, Recorded, Reply
from payhub.recording import Terms, matched, unanswered, watched, weighed

_log = structlog.get_logger("payhub")

Asking = Callable[[Ref], Generator[Call, Reply, Any]]
"""Make the steps that ask for a status; see `payhub.plan.reading`."""


@contextlib.contextmanager
def reported(record: Record) -> Iterator[None]:
    """Log an order of a sweep that could not be advanced; the others go on, and it is due again later."""
    facts = record.facts
    try:
        yield
    except Exception as cause:  # noqa: BLE001 - one order must not keep the others from being asked about
        _log.error("payhub.sweep_failed", account=facts.account, kind=facts.kind, error=type(cause).__name__)


def advancing(key: Key, ask: Asking, terms: Terms) -> Recorded[Record]:
    """Take one order as far as it can go now, and return what is known then.

    Raises:
        UnknownAccount: the journal does not know the order.
    """
    record: Record | None = yield Do(lambda journal: journal.find(key))
    if record is None:
        raise unknown_order(key)
    now = dt.datetime.now(dt.UTC)
    if ended := overdue_sender(record, now):
        record = yield from _add(key, ended, terms)
    if record.state is State.SENDING or not (record.notified or record.state in UNFINISHED):
        return record
    record = yield from _asked(record, ask, terms)
    if past_schedule(record, now, terms.schedule):
        reason = "not settled within the time the schedule allows; ask the provider's support"
        found = Evidence(source=Source.SCHEDULE, state=State.NEEDS_ATTENTION, reason=reason)
        record = yield from _add(key, found, terms)
    return record


def resolving(key: Key, state: State, reason: str, by: str, terms: Terms) -> Recorded[Record]:
    """Write down what a person found out about an order that nobody else can settle; it is kept with the name.

    Raises:
        UnknownAccount: the journal does not know the order.
        IllegalStep: the order is neither unknown nor in need of attention.
    """
    if (yield Do(lambda journal: journal.find(key))) is None:
        raise unknown_order(key)
    found = Evidence(source=Source.OPERATOR, state=state, reason=reason)
    record: Record = yield Do(lambda journal: journal.settle(key, found, terms.schedule, by=by))
    return record


def _add(key: Key, found: Evidence, terms: Terms, exchanges: Sequence[Exchange] = ()) -> Recorded[Record]:
    record: Record = yield Do(
        lambda journal: journal.settle(key, found, terms.schedule, exchanges if terms.keep else ())
    )
    return record


def _asked(record: Record, ask: Asking, terms: Terms) -> Recorded[Record]:
    """Ask by the provider's id where it is known, else by ours; no answer leaves the order as it is."""
    facts = record.facts
    by_ours = None if record.provider_id else facts.order_id
    seen: list[Exchange] = []
    try:
        steps = ask(Ref(order_id=by_ours, provider_id=record.provider_id, amount=facts.amount))
        result = yield from watched(steps, seen)
        found = evidence(matched(result, record), Source.STATUS)
        answered = True
    except PayhubError as cause:
        found = unanswered(cause)
        answered = isinstance(cause, NotFound) and not record.state.open  # all that will ever be known of it
    changed = yield from _add(facts.key, found, terms, seen)
    if answered and changed.notified:
        changed = yield from weighed(facts.key)
    return changed
