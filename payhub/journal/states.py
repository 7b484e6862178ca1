"""The states that an order goes through, and the evidence that allows each step.

The table `EDGES` is the whole state machine. A step that it does not have is not taken: evidence from a provider is
kept, and flagged where it contradicts; an operator's decision is refused. `STATUSES` is the whole of what an
application knows of a state.
"""

import enum
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from payhub.journal.reasons import Why, explain
from payhub.masking import Clear, Link, MaskedStruct, excerpt, mask_text
from payhub.models import Result, Status
from payhub.money import Money

LONGEST_ID = 255
LONGEST_REASON = 2000
"""Characters of somebody's words that are kept with an order: they are masked before anything else goes on."""


class State(enum.StrEnum):
    """What the journal knows of an order."""

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
        """Tell whether the provider has to be asked."""
        return self in {State.SENDING, State.PENDING, State.UNKNOWN}


class Source(enum.StrEnum):
    """Where evidence comes from."""

    PLAN = "plan"
    ANSWER = "answer"
    STATUS = "status query"
    LEASE = "lease ended"
    SCHEDULE = "schedule ended"
    OPERATOR = "operator"


OPEN = frozenset(state for state in State if state.open)

UNFINISHED = OPEN | {State.NEEDS_ATTENTION}
UNSETTLED = frozenset({State.UNKNOWN, State.NEEDS_ATTENTION})
"""The states in which nobody knows what became of the order."""

LIVE = UNFINISHED | {State.SUCCEEDED, State.REVERSED}
"""The states of a leg that may have moved money, or has: an order has one leg in them at most."""

NOTHING_MOVED = frozenset({State.NOT_SENT, State.DECLINED, State.FAILED, State.CANCELED})
"""The states that say that no money moved."""

_ANSWERED = frozenset({Source.ANSWER, Source.STATUS})
_DECIDED = _ANSWERED | {Source.OPERATOR}
_ASKED = frozenset({Source.STATUS})
_FOUND_OUT = _ASKED | {Source.OPERATOR}
_SENT = frozenset({Source.ANSWER})
_PERSON = frozenset({Source.OPERATOR})
# Whatever says that no money moved may be wrong: then a person says that it did, and whether it came back.
_PAID_AFTER_ALL: Mapping[State, frozenset[Source]] = {State.SUCCEEDED: _PERSON, State.REVERSED: _PERSON}

EDGES: Mapping[State, Mapping[State, frozenset[Source]]] = {
    State.NOT_SENT: {State.SENDING: frozenset({Source.PLAN}), **_PAID_AFTER_ALL},
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
        State.REVERSED: _FOUND_OUT,
        State.NEEDS_ATTENTION: _ANSWERED | {Source.SCHEDULE},
    },
    State.NEEDS_ATTENTION: {
        State.PENDING: _ASKED,
        State.SUCCEEDED: _FOUND_OUT,
        State.FAILED: _FOUND_OUT,
        State.CANCELED: _ASKED,
        State.REVERSED: _FOUND_OUT,
    },
    State.SUCCEEDED: {State.FAILED: _PERSON, State.REVERSED: _FOUND_OUT},
    State.FAILED: _PAID_AFTER_ALL,
    State.CANCELED: _PAID_AFTER_ALL,
    State.DECLINED: _PAID_AFTER_ALL,
    State.REVERSED: {State.SUCCEEDED: _PERSON, State.FAILED: _PERSON},
}


class Statuses(NamedTuple):
    """The status by which an application knows a state, also while something says otherwise.

    `notified` is for an order of which a notification waits for the provider's answer, `contradicted` for one that
    evidence contradicts; where both are so, the latter counts.
    """

    plain: Status
    notified: Status
    contradicted: Status


# Where the state says that nothing moved, and something says that the provider has the order, nobody may conclude
# anything. A failed or canceled order was known to the provider, so a notification alone raises no doubt.
STATUSES: Mapping[State, Statuses] = {
    State.SENDING: Statuses(Status.UNKNOWN, Status.UNKNOWN, Status.UNKNOWN),
    State.NOT_SENT: Statuses(Status.NOT_SENT, Status.UNKNOWN, Status.UNKNOWN),
    State.DECLINED: Statuses(Status.FAILED, Status.UNKNOWN, Status.UNKNOWN),
    State.PENDING: Statuses(Status.PENDING, Status.PENDING, Status.PENDING),
    State.UNKNOWN: Statuses(Status.UNKNOWN, Status.UNKNOWN, Status.UNKNOWN),
    State.SUCCEEDED: Statuses(Status.SUCCEEDED, Status.SUCCEEDED, Status.SUCCEEDED),
    State.FAILED: Statuses(Status.FAILED, Status.FAILED, Status.UNKNOWN),
    State.CANCELED: Statuses(Status.CANCELED, Status.CANCELED, Status.UNKNOWN),
    State.REVERSED: Statuses(Status.REVERSED, Status.REVERSED, Status.REVERSED),
    State.NEEDS_ATTENTION: Statuses(Status.UNKNOWN, Status.UNKNOWN, Status.UNKNOWN),
}


def status_of(state: State) -> Status:
    """Return the status by which an application knows a state, where nothing says otherwise."""
    return STATUSES[state].plain


_STATES: Mapping[Status, State] = {
    Status.PENDING: State.PENDING,
    Status.SUCCEEDED: State.SUCCEEDED,
    Status.CANCELED: State.CANCELED,
    Status.FAILED: State.FAILED,
    Status.UNKNOWN: State.UNKNOWN,
    Status.REVERSED: State.REVERSED,
    Status.NOT_SENT: State.NOT_SENT,
}


def state_for(status: Status) -> State:
    """Return the state of an order that has a status, as its provider says."""
    return _STATES[status]


def state_of(result: Result) -> State:
    """Return the state that a result is evidence for; one that contradicts the order needs a person."""
    return State.NEEDS_ATTENTION if result.mismatches else state_for(result.status)


_CLEAN: Mapping[str, Callable[[str], str | None]] = {
    "provider_id": lambda text: text if len(text) <= LONGEST_ID else None,
    "provider_status": lambda text: mask_text(excerpt(text, LONGEST_ID)),
    "reason": lambda text: mask_text(excerpt(text, LONGEST_REASON)),
    "redirect_url": str,
}


class Evidence(MaskedStruct, frozen=True, kw_only=True):
    """What was learnt of an order, and from where; what is `None` was not said.

    `why` is payhub's own reason, `reason` what others say in their words; `http_status` is that of an answer that
    could not be used. Others wrote the texts: what they may quote is hidden; what no database holds (NUL) is replaced,
    an id longer than any is dropped, and words are cut.
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

    @property
    def inconclusive(self) -> bool:
        """Tell whether this is of a question that nothing was learnt from: without a usable answer, or "not found"."""
        return self.source is Source.STATUS and self.state is State.UNKNOWN


def evidence_of(result: Result, source: Source) -> Evidence:
    """Return what a result is evidence for."""
    names = set(Evidence.__struct_fields__) & set(result.__struct_fields__)
    fields = {name: getattr(result, name) for name in names}
    if result.mismatches:
        fields |= {"why": Why.CONTRADICTS_ORDER, "reason": None}
    return Evidence(source=source, state=state_of(result), **fields)


def allowed(now: State, found: Evidence) -> bool:
    """Tell whether evidence may lead from a state to the one it is evidence for."""
    return found.source in EDGES[now].get(found.state, frozenset())


def may_follow(then: State, now: State) -> bool:
    """Tell whether a state leads to another one without a person's help: then news of the former may be old."""
    return bool(EDGES[now].get(then, frozenset()) - _PERSON)


# Which final states an operator confirms by saying how an order ended.
_CONFIRMED: Mapping[State, frozenset[State]] = {
    State.SUCCEEDED: frozenset({State.SUCCEEDED}),
    State.FAILED: NOTHING_MOVED,
    State.REVERSED: frozenset({State.REVERSED}),
}


def confirms(now: State, decision: State) -> bool:
    """Tell whether an operator's decision is what the final state of an order says already."""
    return now in _CONFIRMED.get(decision, ())


_UNCERTAIN = UNSETTLED | {State.SENDING}
_TIME = frozenset({Source.LEASE, Source.SCHEDULE})


def contradicts_state(now: State, found: Evidence) -> bool:
    """Tell whether evidence for a step that is not allowed says that the state is wrong."""
    if now in _UNCERTAIN or found.source in _TIME or found.state in {State.UNKNOWN, now}:
        return False  # where nobody knows anything there is nothing to contradict; time and "unknown" say nothing
    if found.state is State.PENDING:
        # Of an order that is open this is no news. From the answer to the create it may be old: it can be read after
        # a question about the order was answered.
        read_late = found.source is Source.ANSWER and may_follow(now, State.PENDING)
        return not (now in OPEN or read_late)
    # That nothing moved can be said in several ways.
    return not (found.state in NOTHING_MOVED and now in NOTHING_MOVED)
