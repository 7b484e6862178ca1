"""Wrap a driver's flow with the rules of money, without any I/O.

A plan yields calls, is told how each went, and ends in a model or in an error whose meaning the
caller can rely on: while creating, an error means that no money moved; an unknown outcome is a
returned value.
"""

import contextlib
from collections.abc import Callable, Generator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from payhub.driver import Call, Creating, Flow, Response, Unreadable, exact
from payhub.errors import Declined, InvalidOrder, NotSent, PayhubError, Unavailable
from payhub.exchanges.reply import Reply
from payhub.models import Payment, PaymentOrder, Payout, PayoutOrder, Phase, Ref, Status
from payhub.money import Money, exponent

T = TypeVar("T")
Order = TypeVar("Order", PaymentOrder, PayoutOrder)
Result = TypeVar("Result", Payment, Payout)


Steps = Generator[Call, Reply, T]


class Do(NamedTuple):
    """Ask the runner for one act on the journal: one transaction."""

    act: Callable[[Any], Any]


class Pause(NamedTuple):
    """Ask the runner to wait, in seconds."""

    seconds: float


Recorded = Generator[Call | Do | Pause, Any, T]
"""Steps with journal entries among them: yields calls, acts and pauses."""


class Plan(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Hold the steps of one operation on one account, for a runner to carry out.

    `software` names the versions at work.
    """

    account: str
    provider: str
    steps: Recorded[T]
    max_per_second: float | None = None
    software: str | None = None


def reading(flow: Flow[T]) -> Steps[T]:
    """Plan a read: without a usable answer it is `Unavailable`.

    Raises:
        Unavailable: no answer came, or not the promised one.
        NotFound: the provider does not know it.
    """
    call, answer = _first(flow)
    while call is not None:
        reply = yield call
        if reply.response is None:
            _abandon(flow)
            raise Unavailable(f"{reply.problem} ({reply.phase})")
        try:
            call = flow.send(reply.response)
        except StopIteration as done:
            result: T = done.value
            return result
        except (Unreadable, Declined) as cause:
            raise Unavailable(f"HTTP {reply.response.status}: {cause}") from cause
    value: T = answer
    return value


def creating(flow: Flow[Result], capabilities: Creating, unknown: Result) -> Steps[Result]:
    """Plan a call that moves money: once it may have been sent, only an answer can say it did not move.

    `unknown` is what is returned when nobody can tell.

    Raises:
        NotSent: nothing left this machine.
        Declined: the provider refused with an answer that its capabilities call definite.
        PayhubError: whatever the flow raised before it sent anything that moves money.
    """
    call, answer = _first(flow)
    sent: set[tuple[str, str]] = set()
    while call is not None:
        target = (call.method, call.url)
        if call.moves_money and target in sent:
            _abandon(flow)
            return _unknown(unknown, "the driver wanted to send it again")
        try:
            reply = yield call
        except Exception as cause:  # noqa: BLE001 - a runner that fails leaves open how far the call got
            reply = Reply(phase=Phase.MAYBE_SENT, problem=f"{type(cause).__name__} in the runner")
        definite = not sent and reply.response is not None and reply.response.status in capabilities.refusals
        if call.moves_money and reply.phase is not Phase.NOT_SENT:
            sent.add(target)
        if reply.response is None:
            _abandon(flow)
            if sent:
                return _unknown(unknown, f"{reply.problem} ({reply.phase})")
            raise NotSent(f"{reply.problem} ({reply.phase})")
        try:
            call = flow.send(reply.response)
        except StopIteration as done:
            result: Result = done.value
            return _believed(result, reply.response, unknown, definite=definite)
        except Exception as cause:
            if not sent or (definite and isinstance(cause, Declined)):
                raise
            return _unknown(unknown, _reason(cause, reply.response))
    value: Result = answer
    return value


def _first(flow: Flow[Any]) -> tuple[Call | None, Any]:
    """Start a flow; one that needs no call ends at once."""
    try:
        return next(flow), None
    except StopIteration as done:
        return None, done.value


def _abandon(flow: Flow[Any]) -> None:
    with contextlib.suppress(Exception):
        flow.close()


def _unknown(unknown: Result, reason: str) -> Result:
    return msgspec.structs.replace(unknown, reason=reason)


def _reason(cause: Exception, response: Response) -> str:
    readable = isinstance(cause, Unreadable | PayhubError)
    return f"HTTP {response.status}: {cause if readable else f'{type(cause).__name__} in the driver'}"


def _believed(result: Result, response: Response, unknown: Result, *, definite: bool) -> Result:
    """Let a final status stand only where the answer can prove it."""
    if not isinstance(result, type(unknown)):
        return _unknown(unknown, f"HTTP {response.status}: {type(result).__name__} from the driver")
    try:  # a struct that is made is not checked
        result = msgspec.convert(msgspec.structs.asdict(result), type(result))
    except msgspec.ValidationError:
        return _unknown(unknown, f"HTTP {response.status}: a malformed {type(result).__name__} from the driver")
    doubtful = result.status.final and response.status // 100 != 2  # noqa: PLR2004
    if doubtful and not (definite and result.status in {Status.FAILED, Status.CANCELED}):
        return _unknown(unknown, f"HTTP {response.status}: does not prove that it {result.status}")
    return result


def compared(result: Result, asked: PaymentOrder | PayoutOrder | Ref) -> Result:
    """Compare an answer with what was asked: what was asked stands, what contradicts it is flagged.

    The contradicting values themselves are in `raw`.
    """
    expected: dict[str, object] = {"order_id": asked.order_id, "requested": asked.amount}
    if isinstance(asked, Ref):
        expected["provider_id"] = asked.provider_id
    known = {name: value for name, value in expected.items() if value is not None}
    wrong = [name for name, value in known.items() if getattr(result, name) not in (None, value)]
    wrong += _other_currencies(result, asked.amount)
    result = msgspec.structs.replace(result, **known)
    if not wrong:
        return result
    reason = f"the answer contradicts the order: {', '.join(wrong)}"
    return msgspec.structs.replace(result, status=Status.UNKNOWN, mismatches=tuple(wrong), reason=reason)


def _other_currencies(result: Payment | Payout, amount: Money | None) -> list[str]:
    fields = ("paid", "credited", "commission") if amount else ()
    values = [(name, getattr(result, name)) for name in fields]
    return [name for name, value in values if amount and value and value.currency != amount.currency]


def checked(order: Order, exponents: Mapping[str, int]) -> Order:
    """Check an order before anything is done with it, and return it with exact types.

    Raises:
        InvalidOrder: a field is missing, malformed, or asks for more digits than the currency has.
    """
    plain = exact(msgspec.structs.replace(order, extra=None))
    _check_amount(plain.amount, exponents)
    return msgspec.structs.replace(plain, extra=order.extra)


def _check_amount(amount: Money, exponents: Mapping[str, int]) -> None:
    if amount.amount <= 0:
        raise InvalidOrder("amount", "must be more than zero")
    allowed = exponents.get(amount.currency, exponent(amount.currency))
    try:
        Money(amount.amount, amount.currency, allowed)
    except ValueError as cause:
        raise InvalidOrder("amount", str(cause).removeprefix("amount: ")) from None


def unknown_payment(order: PaymentOrder) -> Payment:
    """Return a payment of which nothing is known but what was asked."""
    return Payment(order_id=order.order_id, requested=order.amount, status=Status.UNKNOWN)


def unknown_payout(order: PayoutOrder) -> Payout:
    """Return a payout of which nothing is known but what was asked."""
    return Payout(order_id=order.order_id, requested=order.amount, status=Status.UNKNOWN)


Finish = Callable[[T], T]


def finished(steps: Steps[T], finish: Finish[T]) -> Steps[T]:
    """Apply a pure step to what a plan ends with."""
    return finish((yield from steps))
