"""Write down what a person found out about an order that neither provider nor time could settle."""

from typing import Any, TypeVar

from payhub.journal import Evidence, Key, Record, Source, State
from payhub.journal.records import unknown_order
from payhub.masking import mask_text
from payhub.models import Result
from payhub.operations import OrderKind
from payhub.plans.plan import Act, Steps, Timing
from payhub.plans.settle import result_of

ResultT = TypeVar("ResultT", bound=Result)


def resolve(
    key: Key, kind: OrderKind[Any, ResultT], state: State, *, reason: str, by: str, timing: Timing
) -> Steps[ResultT]:
    """Write down how an order ended, for which reason and by whose name; both are kept.

    Raises:
        UnknownOrder: the journal does not know the order.
        IllegalStep: the order is not a person's to settle so, or would be live with a second account; then the order
            keeps its state, and is contradicted.
    """
    if (yield Act(lambda journal: journal.find(key))) is None:
        raise unknown_order(key)
    found = Evidence(source=Source.OPERATOR, state=state, reason=mask_text(reason))
    record: Record = yield Act(lambda journal: journal.settle(key, found, timing.schedule, by=mask_text(by)))
    return result_of(record, kind)
