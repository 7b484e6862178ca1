"""Find out what became of open orders: ask the provider, never send again.

`advancing` takes one order as far as it can go now. It may run at any time, any number of times,
in any number of processes: all it does to the provider is ask, and all it does to the journal is
add evidence.
"""

import datetime as dt
from collections.abc import Callable, Collection, Generator
from typing import Any, NamedTuple

import structlog

from payhub.driver import Call
from payhub.errors import ConfigurationError, NotFound, PayhubError, Unavailable
from payhub.exchanges.reply import Reply
from payhub.journal import Evidence, Key, Record, Source, State
from payhub.journal.records import overdue_sender, unknown_order
from payhub.journal.states import UNFINISHED, evidence
from payhub.models import Ref
from payhub.plans.create import Terms, Trail, in_log, settled, watched
from payhub.plans.fetch import handed_over, matched, unanswered, weighed
from payhub.plans.plan import Do, Recorded

_log = structlog.get_logger("payhub")


class Asking(NamedTuple):
    """Say whom to ask, by which ids, and with what steps; see `payhub.plans.plan.reading`."""

    provider: str
    by: Collection[str]
    steps: Callable[[Ref], Generator[Call, Reply, Any]]


def advancing(key: Key, asking: Asking, terms: Terms) -> Recorded[Record]:
    """Take one order as far as it can go now, and return what is known then.

    Raises:
        UnknownOrder: the journal does not know the order.
        ConfigurationError: it was made with another provider than the account's.
    """
    record: Record | None = yield Do(lambda journal: journal.find(key))
    if record is None:
        raise unknown_order(key)
    if record.facts.provider != asking.provider:
        raise ConfigurationError(
            f"account {key.account!r} is of provider {asking.provider!r}, and this order was made with "
            f"{record.facts.provider!r}: give each provider an account of its own"
        )
    now = dt.datetime.now(dt.UTC)
    record = yield from _freed(record, now, terms)
    if record.state is State.SENDING or not (record.notified or record.state in UNFINISHED):
        return record
    record = yield from _asked(record, asking, terms)
    return (yield from handed_over(record, now, terms))


def giving_up(record: Record, cause: Exception, terms: Terms) -> Recorded[Record]:
    """Log an order that a sweep could not ask about, and take it as far as it can go without.

    It is due again when its lease ends; past the schedule a person has to look.
    """
    words = {"reason": str(cause)} if isinstance(cause, PayhubError) else {}
    _log.error("payhub.sweep_failed", **in_log(record.facts.key), error=type(cause).__name__, **words)
    now = dt.datetime.now(dt.UTC)
    record = yield from _freed(record, now, terms)
    return (yield from handed_over(record, now, terms))


def _freed(record: Record, now: dt.datetime, terms: Terms) -> Recorded[Record]:
    """Give up a sender whose lease has ended."""
    ended = overdue_sender(record, now)
    return (yield from settled(record.facts.key, ended, terms)) if ended else record


def resolving(key: Key, state: State, reason: str, by: str, terms: Terms) -> Recorded[Record]:
    """Write down what a person found out about an order that nobody else can settle; it is kept with the name.

    Raises:
        UnknownOrder: the journal does not know the order.
        IllegalStep: the order is neither unknown nor in need of attention.
    """
    if (yield Do(lambda journal: journal.find(key))) is None:
        raise unknown_order(key)
    found = Evidence(source=Source.OPERATOR, state=state, reason=reason)
    record: Record = yield Do(lambda journal: journal.settle(key, found, terms.schedule, by=by))
    return record


def _asked(record: Record, asking: Asking, terms: Terms) -> Recorded[Record]:
    """Ask about an order; no answer leaves it as it is."""
    key = record.facts.key
    began = dt.datetime.now(dt.UTC)
    trail = Trail()
    try:
        result = yield from watched(asking.steps(_ref(record, asking.by)), trail)
        came = evidence(matched(result, record), Source.STATUS)
        answered = True
    except Exception as cause:  # noqa: BLE001 - a driver's mistake is an answer in vain, too
        if not isinstance(cause, PayhubError):
            _log.error("payhub.driver_failed", **in_log(key), error=type(cause).__name__)
        came = unanswered(cause)
        answered = isinstance(cause, NotFound) and not record.state.open  # all that will ever be known of it
    changed = yield from settled(key, came, terms, trail)
    if answered and changed.notified:
        changed = yield from weighed(key, began)
    return changed


def _ref(record: Record, by: Collection[str]) -> Ref:
    """Name an order by the provider's id where it is known, else by ours."""
    if record.provider_id and "provider_id" in by:
        return Ref(provider_id=record.provider_id, amount=record.facts.amount)
    if "order_id" in by:
        return Ref(order_id=record.facts.order_id, amount=record.facts.amount)
    raise Unavailable("the provider cannot be asked without an id of its own, and none is known")
