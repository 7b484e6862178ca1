"""Say which states an order goes through, and which evidence allows each step.

The table `EDGES` is the whole state machine. A step that it does not have is not taken: the
evidence is kept and flagged as contradicting.
"""

import enum
from collections.abc import Mapping

import msgspec

from payhub.masking import Clear, Shown
from payhub.models import Payment, Payout, Status
from payhub.money import Money


class State(enum.StrEnum):
    """Name what the journal knows of an order."""

    NEW = "new"
    SENDING = "sending"
    NOT_SENT = "not_sent"
    DECLINED = "declined"
    PENDING = "pending"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    REVERSED = "reversed"
    NEEDS_ATTENTION = "needs_attention"

    @property
    def open(self) -> bool:
        """Tell whether the provider has to be asked (again)."""
        return self in OPEN


class Source(enum.StrEnum):
    """Name where evidence comes from."""

    PLAN = "plan"
    ANSWER = "answer"
    STATUS = "status query"
    LEASE = "lease ended"
    SCHEDULE = "schedule ended"
    OPERATOR = "operator"


OPEN = frozenset({State.SENDING, State.PENDING, State.UNKNOWN})

_ANSWERED = frozenset({Source.ANSWER, Source.STATUS})
_DECIDED = _ANSWERED | {Source.OPERATOR}
_ASKED = frozenset({Source.STATUS})
_SENT = frozenset({Source.ANSWER})

EDGES: Mapping[State, Mapping[State, frozenset[Source]]] = {
    State.NEW: {State.SENDING: frozenset({Source.PLAN})},
    State.NOT_SENT: {State.SENDING: frozenset({Source.PLAN})},
    State.SENDING: {
        State.NOT_SENT: _SENT,
        State.DECLINED: _SENT,
        State.PENDING: _ANSWERED,
        State.SUCCEEDED: _ANSWERED,
        State.FAILED: _ANSWERED,
        State.CANCELED: _ANSWERED,
        State.UNKNOWN: frozenset({Source.ANSWER, Source.LEASE}),
        State.NEEDS_ATTENTION: _ANSWERED,
    },
    State.PENDING: {
        State.SUCCEEDED: _ANSWERED,
        State.FAILED: _ANSWERED,
        State.CANCELED: _ANSWERED,
        State.NEEDS_ATTENTION: _ANSWERED | {Source.SCHEDULE},
    },
    State.UNKNOWN: {
        State.NOT_SENT: _SENT,
        State.DECLINED: _SENT,
        State.PENDING: _ANSWERED,
        State.SUCCEEDED: _DECIDED,
        State.FAILED: _DECIDED,
        State.CANCELED: _ANSWERED,
        State.NEEDS_ATTENTION: _ANSWERED | {Source.SCHEDULE},
    },
    State.NEEDS_ATTENTION: {
        State.PENDING: _ASKED,
        State.SUCCEEDED: _ASKED | {Source.OPERATOR},
        State.FAILED: _ASKED | {Source.OPERATOR},
        State.CANCELED: _ASKED,
    },
    State.SUCCEEDED: {State.REVERSED: _ASKED},
    State.FAILED: {},
    State.CANCELED: {},
    State.DECLINED: {},
    State.REVERSED: {},
}

_STATES: Mapping[Status, State] = {
    Status.PENDING: State.PENDING,
    Status.SUCCEEDED: State.SUCCEEDED,
    Status.CANCELED: State.CANCELED,
    Status.FAILED: State.FAILED,
    Status.UNKNOWN: State.UNKNOWN,
    Status.REVERSED: State.REVERSED,
}
_STATUSES: Mapping[State, Status] = {
    **{state: status for status, state in _STATES.items()},
    State.NEW: Status.UNKNOWN,
    State.SENDING: Status.UNKNOWN,
    State.NEEDS_ATTENTION: Status.UNKNOWN,
    State.DECLINED: Status.FAILED,
    State.NOT_SENT: Status.FAILED,
}


def state_of(result: Payment | Payout) -> State:
    """Return the state that a result is evidence for; one that contradicts the order needs a person."""
    return State.NEEDS_ATTENTION if result.mismatches else _STATES[result.status]


def status_of(state: State) -> Status:
    """Return the status that an application is told for a state."""
    return _STATUSES[state]


class Evidence(Shown, frozen=True, kw_only=True):
    """Say what was learnt of an order, and from where; what is `None` was not said."""

    source: Clear[Source]
    state: Clear[State]
    provider_id: Clear[str | None] = None
    provider_status: Clear[str | None] = None
    paid: Clear[Money | None] = None
    credited: Clear[Money | None] = None
    commission: Clear[Money | None] = None
    partial: Clear[bool | None] = None
    reason: Clear[str | None] = None
    mismatches: Clear[tuple[str, ...]] = ()
    redirect_url: Clear[str | None] = None


def evidence(result: Payment | Payout, source: Source) -> Evidence:
    """Return what a result is evidence for."""
    names = {f.name for f in msgspec.structs.fields(Evidence)} - {"source", "state"}
    said = {name: getattr(result, name) for name in names if hasattr(result, name)}
    return Evidence(source=source, state=state_of(result), **said)


def allowed(now: State, found: Evidence) -> bool:
    """Tell whether evidence may lead from a state to the one it is evidence for."""
    return found.source in EDGES[now].get(found.state, frozenset())
