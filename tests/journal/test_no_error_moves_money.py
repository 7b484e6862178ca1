"""Rule 3, where it is hardest: whatever is raised, and whenever, an error says that no money moved."""

import datetime as dt
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import msgspec
import pytest

from payhub import ConfigurationError, Money, NotSent, OrderConflict, Payout, Status, hookimpl
from payhub.driver import Call
from payhub.errors import JournalFailed
from payhub.exchanges.reply import Reply
from payhub.journal import State, Verdict, records, states
from payhub.journal.memory import MemoryJournal
from payhub.models import Phase
from payhub.operations import PAYOUT as PAYOUTS
from payhub.plans import create as creating
from payhub.plans import plan, rules, settle
from payhub.plans.create import create
from payhub.plans.plan import Act
from payhub.testing import answer as answered
from tests.plain_account import TIMING, PlainAccount, facts
from tests.raw_server import RawServer, answer, close
from tests.samples import PAYOUT, known

from .conftest import KEY, OpenShop
from .making import LATER, found, key
from .test_notices import notice, verdicts
from .test_resolver import DONE

CREATED = answer(known(PAYOUT))


class Limit(Exception):
    """Be what a signal handler raises in the middle of anything, as Celery's soft time limit does."""


def flow() -> Any:
    response = yield Call(operation="create_payout", url="https://pay.example", moves_money=True)
    return Payout(status=Status.PENDING, order_id=PAYOUT.order_id, provider_id=str(response.status))


def made() -> Any:
    return create(PlainAccount(flow()), PAYOUTS, PAYOUT)


class Interruption:
    """Raise at the n-th line that the plan runs, once its answer has come."""

    FILES = frozenset(module.__file__ for module in (plan, rules, settle, creating, records, states))

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in self.FILES:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise Limit
        return self


def interrupted(number: int) -> tuple[State, bool]:
    """Interrupt an order at a line after its answer; return its state, and whether there was such a line."""
    journal, steps, before = MemoryJournal(), made(), sys.gettrace()
    step = next(steps)
    while isinstance(step, Act):
        step = steps.send(step.perform(journal))
    interruption = Interruption(number)
    sys.settrace(interruption)
    try:
        step = steps.send(Reply(phase=Phase.ANSWERED, response=answered({})))
        while True:
            step = steps.send(step.perform(journal))
    except (StopIteration, Limit):
        pass
    finally:
        sys.settrace(before)
    return journal.story("po-1")[0][0].state, interruption.left <= 0


def test_rule_3_an_interruption_after_the_answer_is_no_proof() -> None:
    """At whatever line a signal raises once an answer has come: the order is never one that may be sent again."""
    all_lines = [interrupted(number) for number in range(1, 400)]
    found = [state for state, reached in all_lines if reached]
    assert (True, (State.PENDING, False)) == (len(found) > 50, all_lines[-1])
    assert set() == set(found) - {State.SENDING, State.PENDING, State.UNKNOWN}


class Mapping:
    """Be a driver whose mapping has a mistake: its results are changed by a function that may raise."""

    def __init__(self, mistake: Callable[[Any], Any]) -> None:
        self._mistake = mistake

    @hookimpl(wrapper=True)
    def payhub_create_payout(self) -> Any:
        flow = yield

        def wrong() -> Any:
            return self._mistake((yield from flow))

        return wrong()


def broken(_: Any) -> Any:
    raise KeyError("po-1")


@pytest.mark.parametrize(
    "mistake",
    [broken, *(lambda p, f=f: msgspec.structs.replace(p, **f) for f in ({"status": None}, {"provider_id": 7}))],
    ids=["raises", "status", "provider_id"],
)
def test_rule_3_a_drivers_mistake_after_the_answer_is_no_proof(
    open_hub: Callable[..., Any], serve: Callable[..., RawServer], mistake: Callable[[Any], Any]
) -> None:
    """What a driver does wrong with the answer leaves the outcome unknown: the order is sent once."""
    provider = serve(CREATED)
    hub = open_hub(provider.url, plugins=(Mapping(mistake),))
    results = [hub.create_payout("shop", PAYOUT) for _ in range(2)]
    assert ([Status.UNKNOWN] * 2, 1) == ([each.status for each in results], len(provider.requests))


# The same order again


def test_rule_3_a_journal_that_fails_while_another_sends_is_no_proof(
    open_shop: OpenShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller that has seen another process send the order does not hear that nothing was sent."""
    shop = open_shop(transport={"deadline": 1.0})
    shop.journal.open(facts("shop", "waiting", PAYOUT, KEY.encode()), 60.0)  # by a sender in another process
    opened = shop.journal.open

    def once(*arguments: Any) -> Any:
        monkeypatch.setattr(shop.journal, "open", failing)
        return opened(*arguments)

    def failing(*_: Any) -> Any:
        raise JournalFailed("the journal failed: database is locked")

    monkeypatch.setattr(shop.journal, "open", once)
    assert (Status.UNKNOWN, []) == (shop.hub.create_payout("shop", PAYOUT).status, shop.sent)


class Veto:
    """Be a plugin that refuses orders from now on."""

    armed = False

    @hookimpl(wrapper=True)
    def payhub_create_payout(self, account: Any, order: Any) -> Any:
        flow = yield
        if self.armed:
            flow.close()
            return self._refused()
        return flow

    def _refused(self) -> Any:
        yield from ()
        raise ConfigurationError("over the daily limit")


class EarlyVeto(Veto):
    """Refuse them before the driver is asked for a flow."""

    @hookimpl(wrapper=True)
    def payhub_create_payout(self, account: Any, order: Any) -> Any:
        if self.armed:
            raise ConfigurationError("over the daily limit")
        return (yield)


@pytest.mark.parametrize("kind", [Veto, EarlyVeto])
def test_rule_3_a_veto_against_an_order_that_was_sent_is_too_late(
    open_hub: Callable[..., Any], serve: Callable[..., RawServer], kind: type[Veto]
) -> None:
    """Repeating an order that is refused by now returns what is recorded of it; a new order is refused."""
    veto, provider = kind(), serve(close)
    hub = open_hub(provider.url, plugins=(veto,))
    hub.create_payout("shop", PAYOUT)
    veto.armed = True
    assert Status.UNKNOWN is hub.create_payout("shop", PAYOUT).status
    with pytest.raises(ConfigurationError, match="daily limit"):
        hub.create_payout("shop", msgspec.structs.replace(PAYOUT, order_id="po-2"))
    with pytest.raises(OrderConflict):
        hub.create_payout("shop", msgspec.structs.replace(PAYOUT, amount=Money("1", "RUB")))
    assert 1 == len(provider.requests)


def test_what_the_provider_told_of_is_not_sent_as_new(open_shop: OpenShop) -> None:
    """A journal that lost an order, put back from a copy, asks about an order that the provider has notified of."""
    shop = open_shop(DONE)
    shop.journal.keep_notification(notice(), 60.0, 30.0)
    result = shop.hub.create_payout("shop", PAYOUT)
    assert (Status.UNKNOWN, "the provider sent a notification of it before it was created here", []) == (
        result.status, result.reason, shop.sent
    )  # fmt: skip
    assert [Status.SUCCEEDED] == [each.status for each in shop.hub.sweep()]
    assert (["payouts/find"], [Verdict.CONFIRMED]) == (shop.sent, verdicts(shop.journal))


REFUSED = answer({"code": "taken", "text": "this order_id is taken"}, 422)
FAILED = answer(known(PAYOUT, status="failed"))


@pytest.mark.parametrize(
    ("answered", "heard", "expected"),
    [
        (REFUSED, State.SUCCEEDED, Status.SUCCEEDED),
        (REFUSED, State.PENDING, Status.PENDING),
        (FAILED, State.SUCCEEDED, Status.SUCCEEDED),
        (REFUSED, None, Status.UNKNOWN),
        (FAILED, None, Status.FAILED),
    ],
    ids=["refused, paid", "refused, pending", "failed, paid", "refused, told of", "failed, told of"],
)
def test_rule_3_a_refusal_of_what_is_known_better_is_no_proof(
    open_shop: OpenShop, answered: bytes, heard: State | None, expected: Status
) -> None:
    """A copy of the request may have been accepted: the create returns what was found out, or notified, meanwhile."""

    def slowly(connection: socket.socket) -> None:
        if heard:
            shop.journal.settle(key(), found(heard), LATER)
        else:
            shop.journal.keep_notification(notice(), 60.0, 30.0)
        connection.sendall(answered)

    shop = open_shop(slowly)
    results = [shop.hub.create_payout("shop", PAYOUT).status for _ in range(2)]
    assert ([expected] * 2, ["payouts"]) == (results, shop.sent)


# Too late


def two_calls() -> Any:
    yield Call(operation="log_in", url="https://pay.example/login", moves_money=False)
    yield Call(operation="create_payout", url="https://pay.example", moves_money=True)
    return Payout(status=Status.PENDING)


def test_rule_3_no_call_leaves_when_the_lease_may_end() -> None:
    """A call that moves money leaves a deadline before its lease ends, or not at all; one that moves none may."""
    journal = MemoryJournal()
    timing = TIMING._replace(lease=60.0, patience=10.0)
    steps: Any = create(PlainAccount(two_calls(), timing=timing), PAYOUTS, PAYOUT)
    login = steps.send(next(steps).perform(journal))
    payout = steps.send(Reply(phase=Phase.ANSWERED, response=answered({})))
    lease = journal.story("po-1")[0][0].lease_until
    assert lease is not None
    assert [("log_in", None), ("create_payout", payout.until)] == [
        (each.call.operation, each.until) for each in (login, payout)
    ]
    # It is counted from before the order was taken, by the clock that says when the first byte leaves.
    assert dt.timedelta(seconds=10) <= lease - payout.until < dt.timedelta(seconds=11)
    settling = steps.send(Reply(phase=Phase.NOT_SENT, problem="too late", too_late=True))
    assert isinstance(settling, Act)
    with pytest.raises(NotSent, match="the order's lease may end while it sends"):
        steps.send(settling.perform(journal))
    assert State.NOT_SENT is journal.story("po-1")[0][0].state
