"""Say which states an order goes through, and which evidence allows each step.

The table `EDGES` is the whole state machine. A step that it does not have is not taken: evidence
of a provider's is kept, and flagged where it contradicts; an operator's is refused.
"""

import enum
from collections.abc import Callable, Mapping

import msgspec

from payhub.journal.reasons import Why, explain
from payhub.masking import Clear, Link, MaskedStruct, mask_text
from payhub.models import Result, Status
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
UNFINISHED = OPEN | {State.NEEDS_ATTENTION}
UNSETTLED = frozenset({State.UNKNOWN, State.NEEDS_ATTENTION})
NOTHING_MOVED = frozenset({State.NOT_SENT, State.DECLINED, State.FAILED, State.CANCELED})
"""Name the states that say that no money moved."""

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
        State.REVERSED: _ASKED,
        State.NEEDS_ATTENTION: _ANSWERED,
    },
    State.PENDING: {
        State.SUCCEEDED: _ANSWERED,
        State.FAILED: _ANSWERED,
        State.CANCELED: _ANSWERED,
        State.REVERSED: _ASKED,
        State.NEEDS_ATTENTION: _ANSWERED | {Source.SCHEDULE},
    },
    State.UNKNOWN: {
        State.NOT_SENT: _SENT,
        State.DECLINED: _SENT,
        State.PENDING: _ANSWERED,
        State.SUCCEEDED: _DECIDED,
        State.FAILED: _DECIDED,
        State.CANCELED: _ANSWERED,
        State.REVERSED: _ASKED,
        State.NEEDS_ATTENTION: _ANSWERED | {Source.SCHEDULE},
    },
    State.NEEDS_ATTENTION: {
        State.PENDING: _ASKED,
        State.SUCCEEDED: _ASKED | {Source.OPERATOR},
        State.FAILED: _ASKED | {Source.OPERATOR},
        State.CANCELED: _ASKED,
        State.REVERSED: _ASKED,
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


def state_of(result: Result) -> State:
    """Return the state that a result is evidence for; one that contradicts the order needs a person."""
    return State.NEEDS_ATTENTION if result.mismatches else state_named(result.status)


def state_named(status: Status) -> State:
    """Return the state in which an order is that has a status."""
    return _STATES[status]


def status_of(state: State) -> Status:
    """Return the status that an application is told for a state."""
    return _STATUSES[state]


class Evidence(MaskedStruct, frozen=True, kw_only=True):
    """What was learnt of an order, and from where; what is `None` was not said.

    `why` is payhub's own reason, `reason` what others say in their words; `http_status` is that of an answer that
    could not be used. Others wrote the texts: what they may quote is hidden; what no database holds (NUL) is replaced,
    and an id longer than any is dropped.
    """

    source: Clear[Source]
    state: Clear[State]
    provider_id: Clear[str | None] = None
    provider_status: Clear[str | None] = None
    paid: Clear[Money | None] = None
    credited: Clear[Money | None] = None
    commission: Clear[Money | None] = None
    partial: Clear[bool | None] = None
    why: Clear[Why | None] = None
    http_status: Clear[int | None] = None
    reason: Clear[str | None] = None
    mismatches: Clear[tuple[str, ...]] = ()
    redirect_url: Link[str | None] = None

    def __post_init__(self) -> None:
        """Make the texts fit to be kept."""
        for name, clean in _CLEAN.items():
            if text := getattr(self, name):
                msgspec.structs.force_setattr(self, name, clean(text.replace("\0", "\ufffd")))

    @property
    def explanation(self) -> str | None:
        """Return the whole reason in English."""
        return explain(self.why, self.reason, http_status=self.http_status, fields=self.mismatches)


def _id(text: str) -> str | None:
    return text if len(text) <= LONGEST_ID else None


LONGEST_ID = 255
_CLEAN: Mapping[str, Callable[[str], str | None]] = {
    "provider_id": _id,
    "provider_status": mask_text,
    "reason": mask_text,
    "redirect_url": str,
}


SAID = frozenset(Evidence.__struct_fields__) - {"source", "state"}
"""Name what evidence says of an order besides its state."""


def evidence(result: Result, source: Source) -> Evidence:
    """Return what a result is evidence for."""
    said = {name: getattr(result, name) for name in SAID if hasattr(result, name)}
    if result.mismatches:
        said |= {"why": Why.CONTRADICTS_ORDER, "reason": None}
    return Evidence(source=source, state=state_of(result), **said)


def in_vain(found: Evidence) -> bool:
    """Tell whether evidence is of a question whose answer, or want of one, tells no state."""
    return found.source is Source.STATUS and found.state is State.UNKNOWN


def allowed(now: State, found: Evidence) -> bool:
    """Tell whether evidence may lead from a state to the one it is evidence for."""
    return found.source in EDGES[now].get(found.state, frozenset())


def confirms(now: State, said: State) -> bool:
    """Tell whether what an operator says of an order is what its final state says already."""
    return now in _CONFIRMED.get(said, ())


_CONFIRMED = {
    State.SUCCEEDED: frozenset({State.SUCCEEDED}),
    State.FAILED: NOTHING_MOVED | {State.REVERSED},
}


def contradicts(now: State, found: Evidence) -> bool:
    """Tell whether evidence for a step that is not allowed says that the state is wrong.

    "Unknown" says nothing, neither does time that has passed, and where nobody knows anything there is
    nothing to contradict. "Pending" says nothing of an open order, and is old news when the answer to
    the create is read after a status query has been answered. That nothing moved can be said in
    several ways.
    """
    if now in _NOT_KNOWN or found.source in _TIME or found.state in {State.UNKNOWN, now}:
        return False
    late = found.source is Source.ANSWER and now in _AFTER_PENDING
    old = found.state is State.PENDING and (now.open or late)
    agreed = found.state in NOTHING_MOVED and now in NOTHING_MOVED
    return not old and not agreed


_AFTER_PENDING = frozenset(EDGES[State.PENDING])
_NOT_KNOWN = UNSETTLED | {State.SENDING}
_TIME = frozenset({Source.LEASE, Source.SCHEDULE})
