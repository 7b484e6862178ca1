"""Look up what the journal knows of an order, whichever account it is with."""

from typing import Any, TypeVar

from payhub.journal import Record
from payhub.journal.rules import live_leg
from payhub.models import Result
from payhub.operations import OrderKind
from payhub.plans.plan import Act, Steps
from payhub.plans.settle import result_of

ResultT = TypeVar("ResultT", bound=Result)


def find_order(kind: OrderKind[Any, ResultT], order_id: str, namespace: str) -> Steps[ResultT | None]:
    """Return what is recorded of an order's live leg, or of its last one, or nothing if there is none."""
    legs: tuple[Record, ...] = yield Act(lambda journal: journal.legs(namespace, kind.word, order_id))
    leg = live_leg(legs) or max(legs, key=lambda record: record.updated_at, default=None)
    return result_of(leg, kind) if leg is not None else None
