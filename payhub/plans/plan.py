"""Say what a plan is, and drive a driver's flow as part of one, without any I/O.

A plan yields calls, acts on the journal and pauses; a runner carries each out and sends back how it
went. It ends in a value or in an error whose meaning the caller can rely on.
"""

import contextlib
import datetime as dt
from collections.abc import Callable, Generator
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from payhub.driver import Call, Capabilities, Flow, Schedule
from payhub.errors import NotSent
from payhub.exchanges.reply import Reply
from payhub.journal import Journal, Why
from payhub.journal.reasons import explain
from payhub.models import Exchange, Phase

T = TypeVar("T")
N = TypeVar("N", bound=msgspec.Struct)


class Act(NamedTuple):
    """One act on the journal, which is one transaction, for the runner to perform."""

    perform: Callable[[Journal], Any]


class Pause(NamedTuple):
    """A wait, in seconds, for the runner to keep."""

    seconds: float


class Send(NamedTuple):
    """One call, for the runner to send; its first byte does not leave after `until`, by the wall clock."""

    call: Call
    until: dt.datetime | None = None


Steps = Generator[Send | Act | Pause, Any, T]
"""A plan's own generator: yields calls, acts and pauses, is sent what came of each, returns a value."""


class Plan(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A driver's flow with the rules of money and the journal around it, ready for a runner.

    `software` names the versions at work.
    """

    account: str
    provider: str
    steps: Steps[T]
    max_per_second: float | None = None
    software: str | None = None


class Timing(NamedTuple):
    """How long a sender is waited for, and when the provider is asked afterwards.

    All are seconds. `lease` is how long a sender may take to report, `patience` how long a call may
    take and how long a second caller waits for the first. Within the `window` a notification that
    is sent again is no reason to ask.
    """

    lease: float
    patience: float
    schedule: Schedule
    window: float
    keep_exchanges: bool = True


class Place(NamedTuple):
    """Where an account's orders stand in the journal.

    Within a `namespace` an order_id names one order of its kind, whichever accounts it is created
    with. `key` is the secret that fingerprints are made with. `identity` stands for who the account is
    with its provider; it is known of an open account.
    """

    account: str
    namespace: str
    key: bytes
    identity: str | None = None


class Account(Protocol):
    """The account that a plan is for, as plans need it."""

    @property
    def name(self) -> str:
        """Return the name that the application chose."""
        ...

    @property
    def provider_name(self) -> str:
        """Return the name of the provider."""
        ...

    capabilities: Capabilities

    @property
    def timing(self) -> Timing:
        """Return how long to wait, and when to ask."""
        ...

    @property
    def place(self) -> Place:
        """Return where the account's orders stand in the journal."""
        ...

    def named(self, result: N) -> N:
        """Return a result with the account's and the provider's name."""
        ...

    def flow(self, operation: str, **asked: Any) -> Flow[Any]:
        """Begin a driver's flow.

        Raises:
            UnsupportedOperation: the driver has no such operation.
        """
        ...


class Undecided(Exception):
    """What leaves open whether money moved: an answer that proves nothing, or a flow that breaks a rule.

    `words` go with the reason; `http_status` is that of an answer that could not be used.
    """

    def __init__(self, why: Why, words: str | None = None, *, http_status: int | None = None) -> None:
        """Keep the reason."""
        super().__init__(explain(why, words, http_status=http_status))
        self.why = why
        self.words = words
        self.http_status = http_status


class NoAnswer(Undecided):
    """A call of a flow that got no complete answer; the reason says how far it got."""


class Attempt:
    """One attempt with a provider: what was exchanged, and whether money may have left.

    Nothing that moves money leaves after `until`: somebody else may have acted on the order by
    then. An answer is `definite` if its HTTP status is one of the `refusals` of the call that moves
    money: the provider says that nothing moved. A call of the operation `creating` moves money,
    whatever it says itself: it may be one that a wrapper has made anew. No order is created without one.
    """

    def __init__(
        self, refusals: frozenset[int] = frozenset(), until: dt.datetime | None = None, creating: str | None = None
    ) -> None:
        """Begin where nothing has left."""
        self.exchanges: list[Exchange] = []
        self.may_have_left = False
        self.status = 0  # of the last complete answer
        self.definite = False
        self._refusals = refusals
        self._until = until
        self.creating = creating

    def begin(self, call: Call) -> Send:
        """Return how a call is to be sent, or refuse one that must not be.

        Whatever was answered, a second call that moves money, to another host or of another form, could pay twice.

        Raises:
            Undecided: it moves money, and money may have left before.
        """
        if call.operation == self.creating and not call.moves_money:
            call = msgspec.structs.replace(call, moves_money=True)
        if call.moves_money and self.may_have_left:
            raise Undecided(Why.SENT_TWICE)
        return Send(call, self._until if call.moves_money else None)

    def end(self, reply: Reply, *, left_before: bool) -> None:
        """Note how a call went."""
        self.exchanges += reply.exchanges
        self.status = reply.response.status if reply.response else 0
        self.definite = not left_before and self.status in self._refusals
        if reply.phase is Phase.NOT_SENT:
            self.may_have_left = left_before


def drive(flow: Flow[T], attempt: Attempt, call: Call | None = None) -> Generator[Send, Reply, T]:
    """Drive a driver's flow to its end, from its first call or from the one it has just yielded.

    This is the one place where it is known whether money may have left: `attempt.may_have_left` is
    set before a call that moves money is yielded, and taken back only if the runner saw that
    nothing was sent. Whatever interrupts this generator in between leaves it set.

    A flow is told `NotSent` of a call that was not sent, and may make it to the provider's other host. It is
    told of no other call without an answer: it ends there.

    Raises:
        NoAnswer: a call got no complete answer.
        Undecided: the flow wanted to send again what may have moved money, or has created an order without sending it.
        Exception: whatever the flow raised.
    """
    try:
        call = call or next(flow)
        while True:
            left_before = attempt.may_have_left
            send = attempt.begin(call)
            attempt.may_have_left = left_before or send.call.moves_money
            try:
                reply = yield send
            except Exception as cause:  # noqa: BLE001 - a runner that fails leaves open how far the call got
                reply = Reply(phase=Phase.MAYBE_SENT, problem=f"{type(cause).__name__} in the runner")
            attempt.end(reply, left_before=left_before)
            if reply.response is not None:
                call = flow.send(reply.response)
            elif reply.too_late:
                raise NoAnswer(Why.OVERSLEPT)
            elif reply.phase is Phase.NOT_SENT:
                call = _tell_not_sent(flow, reply.problem)
            else:
                raise NoAnswer(Why.NO_ANSWER, reply.problem)
    except StopIteration as done:
        if attempt.creating is not None and not attempt.may_have_left:
            raise Undecided(Why.NOTHING_MOVED) from None
        value: T = done.value
        return value
    finally:
        with contextlib.suppress(Exception):
            flow.close()


def _tell_not_sent(flow: Flow[Any], problem: str | None) -> Call:
    """Tell a flow that its call was not sent, and return the call that it makes instead.

    Raises:
        NoAnswer: it makes none.
    """
    not_sent = NotSent(problem or "")
    try:
        return flow.throw(not_sent)
    except NotSent as cause:
        if cause is not_sent:
            raise NoAnswer(Why.NOT_SENT, problem) from None
        raise
