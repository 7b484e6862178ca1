"""Write down what a person found out about an order that neither provider nor time could settle."""

from typing import Any, Literal, TypeVar, get_args

from payhub.errors import ConfigurationError
from payhub.journal import Evidence, Key, Record, Source, State
from payhub.journal.records import unknown_order
from payhub.masking import mask_text
from payhub.models import Result
from payhub.operations import OrderKind
from payhub.plans.plan import Act, Steps, Timing
from payhub.plans.rules import check_words
from payhub.plans.settle import result_of

ResultT = TypeVar("ResultT", bound=Result)

Outcome = Literal["succeeded", "failed", "reversed"]
"""What a person can find out about an order: it was paid, it was not, or it was paid and came back."""


def resolve(
    key: Key, kind: OrderKind[Any, ResultT], outcome: Outcome, *, reason: str, by: str, timing: Timing
) -> Steps[ResultT]:
    """Write down how an order ended, for which reason and by whose name; both are kept.

    Raises:
        ConfigurationError: there is no such outcome, or nothing is said for a reason or a name.
        UnknownOrder: the journal does not know the order.
        IllegalStep: the order is not a person's to settle so, or would be live with a second account; then the order
            keeps its state, and is contradicted.
    """
    if outcome not in get_args(Outcome):
        raise ConfigurationError(f"outcome: must be one of {', '.join(get_args(Outcome))}")
    check_words(reason=reason, by=by)
    for name, text in (("reason", reason), ("by", by)):
        if not text.strip():
            raise ConfigurationError(f"{name}: must say something: it is kept with the order")
    if (yield Act(lambda journal: journal.find(key))) is None:
        raise unknown_order(key)
    found = Evidence(source=Source.OPERATOR, state=State(outcome), reason=mask_text(reason))
    record: Record = yield Act(lambda journal: journal.settle(key, found, timing.schedule, by=mask_text(by)))
    return result_of(record, kind)
