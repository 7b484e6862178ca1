"""Take one order as far as it can go now: ask the provider, never send again.

This may run at any time, any number of times, in any number of processes: all it does to the
provider is ask, and all it does to the journal is add evidence.
"""

from typing import Any, NamedTuple, TypeVar

from payhub.errors import ConfigurationError, NotFound, PayhubError, Unavailable
from payhub.exchanges.events import Event, log
from payhub.journal import Key, Record, Source, State
from payhub.journal.records import Damaged, unknown_order
from payhub.journal.rules import is_asked_about
from payhub.journal.states import UNFINISHED, evidence_of
from payhub.models import Result
from payhub.operations import OrderKind
from payhub.plans.fetch import compare_with_record, keep, read_status, ref_to, require_own, unanswered
from payhub.plans.plan import Account, Act, Attempt, Steps, Timing, Undecided
from payhub.plans.settle import clock, hand_over, release_sender, result_of

ResultT = TypeVar("ResultT", bound=Result)


_FAILING = 500  # and above: the provider itself says that it cannot answer now


class Visit(NamedTuple):
    """What came of one order's turn in a sweep: what is known of it then, if it could be asked about.

    An account is `silent` if it was asked, and gave no answer in time, or only that it cannot answer now.
    """

    result: Result | None
    silent: bool = False


def advance(account: Account, kind: OrderKind[Any, ResultT], order_id: str) -> Steps[ResultT]:
    """Take an order as far as it can go now, and return what is known then.

    Raises:
        UnknownOrder: the journal does not know the order.
        ConfigurationError: it is open, and the account is another one now than the one that has it.
    """
    record, _ = yield from _advance(account, kind, order_id)
    return result_of(record, kind)


def visit(account: Account, kind: OrderKind[Any, Any], order_id: str) -> Steps[Visit]:
    """Take an order as far as it can go now, in its account's turn of a sweep; see `advance`."""
    record, silent = yield from _advance(account, kind, order_id)
    return Visit(result_of(record, kind), silent)


def _advance(account: Account, kind: OrderKind[Any, Any], order_id: str) -> Steps[tuple[Record, bool]]:
    """Ask about an order, if there is anything to ask; return it, and whether its account is silent."""
    key = Key(account.name, kind.word, order_id)
    record: Record | None = yield Act(lambda journal: journal.find(key))
    if record is None:
        raise unknown_order(key)
    record = yield from release_sender(record, account.timing)
    if record.state is State.SENDING or not is_asked_about(record):
        return record, False
    try:
        yield from require_own(account, record)
    except ConfigurationError:
        if record.notified or record.state in UNFINISHED:
            raise
        return record, False  # it has ended, and a person is believed as before
    began, attempt = (yield from clock()), Attempt()
    query = account.capabilities.fetch.get(kind.word)
    ref = ref_to(record, query.by) if query else None
    if ref is None:
        found = unanswered(Unavailable("the provider cannot be asked without an id of its own, and none is known"))
        return (yield from keep(account, key, found, attempt, began, answered=False)), False
    silent = False
    try:
        result = yield from read_status(account, kind, ref, attempt)
        found = evidence_of(compare_with_record(result, record), Source.STATUS)
        answered = True
    except Exception as cause:  # noqa: BLE001 - a driver's mistake is no answer, either
        if not isinstance(cause, PayhubError):
            log(
                Event.DRIVER_FAILED, key, error=str(cause.why) if isinstance(cause, Undecided) else type(cause).__name__
            )
        found = unanswered(cause)
        # Of an order that is closed, "not found" is all that will ever be known.
        answered = isinstance(cause, NotFound) and not record.state.open
        if isinstance(cause, Unavailable):
            silent = cause.phase is not None or (cause.http_status or 0) >= _FAILING
    return (yield from keep(account, key, found, attempt, began, answered=answered)), silent


def give_up(key: Key, cause: Exception, timing: Timing) -> Steps[Visit]:
    """Log an order that a sweep could not ask about, and take it as far as it can go without.

    It is due again when its lease ends; past the schedule a person has to look.
    """
    words = {"reason": str(cause)} if isinstance(cause, PayhubError) else {}
    log(Event.SWEEP_FAILED, key, error=type(cause).__name__, **words)
    try:
        record: Record | None = yield Act(lambda journal: journal.find(key))
    except Damaged:  # that is what was logged
        record = None
    if record is not None:
        record = yield from release_sender(record, timing)
        yield from hand_over(record, (yield from clock()), timing)
    return Visit(None)
