"""Take one order as far as it can go now: ask the provider, never send again.

This may run at any time, any number of times, in any number of processes: all it does to the
provider is ask, and all it does to the journal is add evidence.
"""

from typing import Any, TypeVar

from payhub.errors import ConfigurationError, NotFound, PayhubError, Unavailable
from payhub.exchanges.events import Event, log
from payhub.journal import Key, Record, Source, State
from payhub.journal.records import unknown_order
from payhub.journal.states import UNFINISHED, evidence_of
from payhub.models import Result
from payhub.operations import OrderKind
from payhub.plans.fetch import compare_with_record, keep, read_status, ref_to, unanswered
from payhub.plans.plan import Account, Act, Attempt, Steps, Timing
from payhub.plans.settle import clock, hand_over, release_sender, result_of

ResultT = TypeVar("ResultT", bound=Result)


def advance(account: Account, kind: OrderKind[Any, ResultT], order_id: str) -> Steps[ResultT]:
    """Take an order as far as it can go now, and return what is known then.

    Raises:
        UnknownOrder: the journal does not know the order.
        ConfigurationError: it was made with another provider than the account's.
    """
    key = Key(account.name, kind.word, order_id)
    record: Record | None = yield Act(lambda journal: journal.find(key))
    if record is None:
        raise unknown_order(key)
    if record.facts.provider != account.provider_name:
        raise ConfigurationError(
            f"account {key.account!r} is of provider {account.provider_name!r}, and this order was made with "
            f"{record.facts.provider!r}: give each provider an account of its own"
        )
    record = yield from release_sender(record, account.timing)
    if record.state is not State.SENDING and (record.notified or record.state in UNFINISHED):
        record = yield from _ask(account, kind, record)
    return result_of(record, kind)


def _ask(account: Account, kind: OrderKind[Any, Any], record: Record) -> Steps[Record]:
    """Ask about an order; without an answer it stays as it is."""
    key, began, attempt = record.facts.key, (yield from clock()), Attempt()
    query = account.capabilities.fetch.get(kind.word)
    ref = ref_to(record, query.by) if query else None
    if ref is None:
        found = unanswered(Unavailable("the provider cannot be asked without an id of its own, and none is known"))
        return (yield from keep(account, key, found, attempt, began, answered=False))
    try:
        result = yield from read_status(account, kind, ref, attempt)
        found = evidence_of(compare_with_record(result, record), Source.STATUS)
        answered = True
    except Exception as cause:  # noqa: BLE001 - a driver's mistake is no answer, either
        if not isinstance(cause, PayhubError):
            log(Event.DRIVER_FAILED, key, error=type(cause).__name__)
        found = unanswered(cause)
        # Of an order that is closed, "not found" is all that will ever be known.
        answered = isinstance(cause, NotFound) and not record.state.open
    return (yield from keep(account, key, found, attempt, began, answered=answered))


def give_up(record: Record, cause: Exception, timing: Timing) -> Steps[Record]:
    """Log an order that a sweep could not ask about, and take it as far as it can go without.

    It is due again when its lease ends; past the schedule a person has to look.
    """
    words = {"reason": str(cause)} if isinstance(cause, PayhubError) else {}
    log(Event.SWEEP_FAILED, record.facts.key, error=type(cause).__name__, **words)
    record = yield from release_sender(record, timing)
    return (yield from hand_over(record, (yield from clock()), timing))
