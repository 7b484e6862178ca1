"""Lead an order along every line between the caller and the provider, and back: the ways of `deaths.py`."""

import asyncio
import contextlib
import itertools
import resource
import time
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, Self
from unittest import mock

import msgspec

from payhub import (
    AsyncHub,
    Hub,
    InvalidOrder,
    JournalFailed,
    Money,
    NotSent,
    PayhubError,
    PayoutOrder,
    Status,
    hookimpl,
)
from payhub.driver import Flow, Schedule
from payhub.journal import Evidence, Key, NotificationContent, Reservation, Source, State
from payhub.operations import PAYOUT
from payhub.plans.identity import facts_of
from payhub.plans.rules import unknown_result
from payhub.transport.runner import Runner
from torture.judge import Fault, Judge
from torture.processes import start, wait_until
from torture.provider import NAME, SCHEDULE
from torture.shop import ACCOUNT, Shop, order

_NOBODY_LISTENS = "http://127.0.0.1:9"
_PACED = "max_per_second = 1000"
_INSTANT = 1e-6
_SOON = 2.0
_PATIENCE = 30.0


class Hubs(NamedTuple):
    """Hubs on one journal, under one key of the fingerprints.

    But for `elsewhere`, which has a journal of its own. `hasty` does not wait long for an answer, and
    `steady` so long that others meanwhile find an order being sent. `refused` speaks to an address where
    nobody listens, and those that are `paced` have a rate limit. In `late` a lease ends before anything
    can be sent; the `hurried` ones have a rate limit too, and a deadline that has always passed.
    """

    plain: Hub
    hasty: Hub
    steady: Hub
    refused: Hub
    paced: Hub
    late: Hub
    hurried: Hub
    elsewhere: Hub
    awaited: AsyncHub
    awaited_paced: AsyncHub
    awaited_hurried: AsyncHub

    @classmethod
    def of(cls, shop: Shop) -> Self:
        """Open them; nothing is connected yet."""
        plain = shop.hub(_PLUGIN)
        paced, hurried = shop.beside("paced", more=_PACED), shop.beside("hurried", more=_PACED, deadline=_INSTANT)
        return cls(
            plain=plain,
            hasty=shop.beside("hasty", deadline=0.5).hub(_PLUGIN),
            steady=shop.beside("steady", lease=9.0, deadline=8.0).hub(_PLUGIN),
            refused=shop.beside("refused", url=_NOBODY_LISTENS).hub(_PLUGIN),
            paced=paced.hub(_PLUGIN),
            late=shop.beside("late", lease=_SOON + _INSTANT, deadline=_SOON).hub(_PLUGIN),
            hurried=hurried.hub(_PLUGIN),
            elsewhere=shop.beside("elsewhere", journal="sqlite:///payhub.db").hub(),
            awaited=shop.async_hub(_PLUGIN),
            awaited_paced=paced.async_hub(_PLUGIN),
            awaited_hurried=hurried.async_hub(_PLUGIN),
        )


class _Plugin:
    """An application's plugin that does something to this process, or to the order, when the way has armed it.

    `act` happens once, when the provider has answered; `bend` makes another flow of the driver's. One
    that is `unable` cannot ask.
    """

    act: Callable[[], object] | None = None
    bend: Callable[[Flow[Any], PayoutOrder], Flow[Any]] | None = None
    unable = False

    @hookimpl
    def payhub_event(self, event: object) -> None:  # noqa: ARG002 - the hook's argument
        act, self.act = self.act, None
        if act is not None:
            act()

    @hookimpl(wrapper=True)
    def payhub_create_payout(self, order: PayoutOrder) -> Generator[None, Flow[Any], Flow[Any]]:
        flow = yield
        return flow if self.bend is None else self.bend(flow, order)

    @hookimpl(wrapper=True)
    def payhub_fetch_payout(self) -> Generator[None, Flow[Any], Flow[Any]]:
        flow = yield
        if self.unable:
            raise RuntimeError("a mistake of the driver's")
        return flow


_PLUGIN = _Plugin()

Act = Callable[[Hubs, str], object]


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """A way that an order takes, along lines that no way before it may have visited.

    `before` happens before the lines count, in the same process. What `act` raises is judged by the
    journal and the judge. Of `invalid` orders nothing is written; about `lied` ones the judge does not
    tell the truth.
    """

    name: str
    act: Act
    before: Callable[[Hubs, str, Judge], object] = lambda _hubs, _order_id, _judge: None
    faults: tuple[Fault, ...] = ()
    invalid: bool = False
    lied: bool = False

    def walk(self, hubs: Hubs, order_id: str) -> None:
        """Do what leads along the way."""
        with contextlib.suppress(PayhubError, KeyboardInterrupt, asyncio.CancelledError):
            self.act(hubs, order_id)


def _creating(hub: str = "plain", *, other: bool = False, amount: str | None = None) -> Act:
    def act(hubs: Hubs, order_id: str) -> None:
        asked = order(order_id, other=other)
        if amount is not None:
            asked = msgspec.structs.replace(asked, amount=Money(amount, "RUB", 9))
        getattr(hubs, hub).create_payout(ACCOUNT, asked)

    return act


def _awaiting(hub: str = "awaited", *, other: bool = False) -> Act:
    def act(hubs: Hubs, order_id: str) -> None:
        asyncio.run(getattr(hubs, hub).create_payout(ACCOUNT, order(order_id, other=other)))

    return act


def _advancing_awaited(hubs: Hubs, order_id: str) -> None:
    asyncio.run(hubs.awaited_paced.advance(ACCOUNT, "payout", order_id))


def _fetching(hub: str = "plain") -> Act:
    def act(hubs: Hubs, order_id: str) -> None:
        getattr(hubs, hub).fetch_payout(ACCOUNT, order_id=order_id)

    return act


def _advancing(hub: str = "plain") -> Act:
    def act(hubs: Hubs, order_id: str) -> None:
        getattr(hubs, hub).advance(ACCOUNT, "payout", order_id)

    return act


def _sweeping(hubs: Hubs, _order_id: str) -> None:
    hubs.plain.sweep(3)


def _resolving(hubs: Hubs, order_id: str) -> None:
    hubs.plain.resolve(ACCOUNT, "payout", order_id, "succeeded", reason="seen in the cabinet", by="torture")


def _created(hubs: Hubs, order_id: str, _judge: Judge | None = None) -> None:
    _creating()(hubs, order_id)


def _asked_once(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    _created(hubs, order_id)
    _advancing("hasty")(hubs, order_id)


def _notified(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    """Keep a notification of an order, as if it had been verified; it names the order by its order_id only."""
    amount = order(order_id).amount
    named = NotificationContent(
        account=ACCOUNT,
        provider=NAME,
        kind="payout",
        order_id=order_id,
        digest=order_id,
        provider_id="",
        requested=amount,
        paid=amount,
        state=State.SUCCEEDED,
        provider_status="paid",
    )
    hubs.plain.journal.keep_notification(named, window=5.0, lease=5.0)


def _forgotten_and_notified(hubs: Hubs, order_id: str, judge: Judge) -> None:
    """Leave the order as it is when the journal was put back from a copy: sent, notified, and not in it."""
    _creating("elsewhere")(hubs, order_id)
    _notified(hubs, order_id, judge)


def _created_and_notified(hubs: Hubs, order_id: str, judge: Judge) -> None:
    _created(hubs, order_id)
    _notified(hubs, order_id, judge)


def _denied(hubs: Hubs, order_id: str, judge: Judge) -> None:
    _settled_meanwhile("5")(hubs, order_id, judge)
    _created(hubs, order_id)


def _created_long_ago(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    _created(hubs, order_id)
    time.sleep(SCHEDULE.until)


def _being_sent(hubs: Hubs, order_id: str, judge: Judge) -> None:
    """Have another process that has sent the order, and waits for an answer that does not come."""
    start(lambda: _creating("steady")(hubs, order_id), seconds=60)
    if not wait_until(lambda: bool(judge.verdict(order_id).received[order_id]), _PATIENCE):
        raise RuntimeError(f"{order_id}: the other process did not send it")


def _abandoned(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    """Leave the order as a process leaves it that died before it sent."""
    known = hubs.plain.registry.account(ACCOUNT)
    hubs.plain.journal.open(facts_of("payout", order(order_id), known.place, known.provider_name), _INSTANT)


def _full(_hubs: Hubs, _order_id: str, _judge: Judge) -> None:
    """Let every write to a file fail, for this process."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def _full_later(hubs: Hubs, order_id: str, judge: Judge) -> None:
    _PLUGIN.act = lambda: _full(hubs, order_id, judge)


def _settled_meanwhile(
    provider_id: str | None = None, state: State = State.SUCCEEDED
) -> Callable[[Hubs, str, Judge], None]:
    """Let a resolver find out what became of the order, and under which id, before its sender reports."""

    def before(hubs: Hubs, order_id: str, _judge: Judge) -> None:
        key = Key(ACCOUNT, "payout", order_id)
        ended = Evidence(source=Source.STATUS, state=state, provider_id=provider_id)

        def settle() -> None:
            for found in (Evidence(source=Source.LEASE, state=State.UNKNOWN), ended):
                hubs.plain.journal.settle(key, found, Schedule())

        _PLUGIN.act = settle

    return before


def _bent(bend: Callable[[Flow[Any], PayoutOrder], Flow[Any]]) -> Callable[[Hubs, str, Judge], None]:
    """Make another driver of the account's, for this process."""

    def before(_hubs: Hubs, _order_id: str, _judge: Judge) -> None:
        _PLUGIN.bend = bend

    return before


def _refusing(_flow: Flow[Any], _order: PayoutOrder) -> Flow[Any]:
    raise InvalidOrder("to", "a wrapper of this application's allows no payouts today")


def _created_and_refused(hubs: Hubs, order_id: str, judge: Judge) -> None:
    _created(hubs, order_id)
    _bent(_refusing)(hubs, order_id, judge)


def _sending_nothing(_flow: Flow[Any], order: PayoutOrder) -> Flow[Any]:
    yield from ()
    return unknown_result(PAYOUT, order)


def _refusing_before_it_sends(flow: Flow[Any], _order: PayoutOrder) -> Flow[Any]:
    """Ask first, and raise because of the answer."""
    call = next(flow)
    yield msgspec.structs.replace(call, operation="ask", url=f"{call.url}/status", moves_money=False)
    raise InvalidOrder("to", "the provider does not pay to this card")


def _sending_twice(flow: Flow[Any], _order: PayoutOrder) -> Flow[Any]:
    call = next(flow)
    yield call
    yield call


def _made_anew(flow: Flow[Any], _order: PayoutOrder) -> Flow[Any]:
    """Say of the call that creates that it moves no money."""
    response = yield msgspec.structs.replace(next(flow), moves_money=False)
    try:
        flow.send(response)
    except StopIteration as done:
        return done.value


def _answering_without_paying(flow: Flow[Any], order: PayoutOrder) -> Flow[Any]:
    call = next(flow)
    yield msgspec.structs.replace(call, operation="ask", url=f"{call.url}/status", moves_money=False)
    return unknown_result(PAYOUT, order)


def _trying_again(flow: Flow[Any], _order: PayoutOrder) -> Flow[Any]:
    """Send what was not sent once more, and then say why it cannot be."""
    call = next(flow)
    with contextlib.suppress(NotSent):
        yield call
    try:
        yield call
    except NotSent as cause:
        raise NotSent("no host can be reached") from cause


def _changing(**changes: object) -> Callable[[Hubs, str, Judge], None]:
    """Let the driver make a mistake with its result, or return something else."""

    def bend(flow: Flow[Any], _order: PayoutOrder) -> Flow[Any]:
        payout = yield from flow
        return msgspec.structs.replace(payout, **changes) if changes else "paid"

    return _bent(bend)


def _created_and_unable(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    _created(hubs, order_id)
    _PLUGIN.unable = True


def _failing(flow: Flow[Any], order: PayoutOrder) -> Flow[Any]:
    """Call the payout failed, whatever the answer is."""
    yield next(flow)
    return msgspec.structs.replace(unknown_result(PAYOUT, order), status=Status.FAILED)


def _being_sent_and_unreadable(hubs: Hubs, order_id: str, judge: Judge) -> None:
    """Let the journal fail when it has once said that another process sends the order."""
    _being_sent(hubs, order_id, judge)
    opened = hubs.plain.journal.open
    calls = itertools.count()

    def once(*asked: Any) -> Reservation:
        if next(calls):
            raise JournalFailed("the journal failed: it cannot be read any more")
        return opened(*asked)

    mock.patch.object(hubs.plain.journal, "open", once).start()


def _breaking(target: str, cause: type[BaseException]) -> Callable[[Hubs, str, Judge], None]:
    """Let a function raise, for this process: an interruption there, or a mistake of payhub's own."""

    def before(_hubs: Hubs, _order_id: str, _judge: Judge) -> None:
        mock.patch(target, side_effect=cause).start()

    return before


def _runner_breaks(_hubs: Hubs, _order_id: str, _judge: Judge) -> None:
    """Let the runner raise, for this process, when it has sent the order and read the answer."""
    exchange: Any = vars(Runner)["_exchange"]

    def breaks(*arguments: Any) -> None:
        exchange(*arguments)
        raise RuntimeError("a mistake of the runner's")

    mock.patch.object(Runner, "_exchange", breaks).start()


_ANSWERED = "payhub.transport.connection.CallTrace.take_head"
"""What is called when the head of an answer has come: by then the order is sent."""

_ENCODED = "application/json\r\nContent-Encoding: gzip"
_STALLED = Fault(cut=0, end="stall")
_ACCEPTED = Fault(status=500)
_NEVER_CAME = Fault(status=500, accept=False)
_NO_ANSWER = Fault(on="status", status=500, times=0)
_SILENT = Fault(on="status", cut=0, end="stall", times=0)
_UNANSWERED = (_ACCEPTED, _NO_ANSWER)

WAYS = (
    Way(name="the normal way", act=_creating()),
    Way(name="the normal way, awaited", act=_awaiting()),
    Way(name="HTTP 500", act=_creating(), faults=(_ACCEPTED,)),
    Way(name="connection refused", act=_creating("refused")),
    Way(name="a rate limit", act=_creating("paced")),
    Way(name="a rate limit, awaited", act=_awaiting("awaited_paced")),
    Way(name="a lease that is over before it is sent", act=_creating("late")),
    Way(name="answer cut", act=_creating(), faults=(Fault(cut=100, end="close"),)),
    Way(name="no answer, awaited", act=_awaiting(), faults=(Fault(cut=0, end="close"),)),
    Way(name="no answer in time", act=_creating("hasty"), faults=(_STALLED,)),
    Way(name="encoded answer", act=_creating(), faults=(Fault(kind=_ENCODED),)),
    Way(name="encoded answer, awaited", act=_awaiting(), faults=(Fault(kind=_ENCODED),)),
    Way(name="answer too large", act=_creating(), faults=(Fault(pad=1 << 20),)),
    Way(name="another amount in the answer", act=_creating(), faults=(Fault(change={"amount": "1.00"}),), lied=True),
    Way(name="settled before its sender reports", act=_creating(), before=_settled_meanwhile()),
    Way(name="denied by its sender's report", act=_creating(), before=_settled_meanwhile("5"), lied=True),
    Way(
        name="found out before its sender reports that it was not sent",
        act=_creating("refused"),
        before=_settled_meanwhile(state=State.NEEDS_ATTENTION),
        lied=True,
    ),
    Way(name="the same order again", act=_creating(), before=_created),
    Way(name="another order under its id", act=_creating(other=True), before=_created),
    Way(name="another order under its id, awaited", act=_awaiting(other=True), before=_created),
    Way(name="notified before it was created", act=_creating(), before=_forgotten_and_notified),
    Way(name="while another process sends it", act=_creating(), before=_being_sent, faults=(_STALLED,)),
    Way(name="awaited while another process sends it", act=_awaiting(), before=_being_sent, faults=(_STALLED,)),
    Way(
        name="sent by another process, and then no journal",
        act=_creating(),
        before=_being_sent_and_unreadable,
        faults=(_STALLED,),
    ),
    Way(name="disk full before sending", act=_creating(), before=_full),
    Way(name="disk full before sending, awaited", act=_awaiting(), before=_full),
    Way(name="disk full after sending", act=_creating(), before=_full_later),
    Way(name="no time left under a rate limit", act=_creating("hurried")),
    Way(name="no time left under a rate limit, awaited", act=_awaiting("awaited_hurried")),
    Way(name="a log that fails", act=_creating(), before=_breaking("payhub.exchanges.record.describe", OSError)),
    Way(name="interrupted by the answer", act=_creating(), before=_breaking(_ANSWERED, KeyboardInterrupt)),
    Way(name="canceled by the answer", act=_awaiting(), before=_breaking(_ANSWERED, asyncio.CancelledError)),
    Way(name="a runner that breaks down", act=_creating(), before=_runner_breaks),
    Way(name="a driver that sends nothing", act=_creating(), before=_bent(_sending_nothing), invalid=True),
    Way(name="a driver that asks before it sends", act=_creating(), before=_bent(_refusing_before_it_sends)),
    Way(name="a driver that makes its call anew", act=_creating(), before=_bent(_made_anew), faults=(_ACCEPTED,)),
    Way(name="a driver that answers without paying", act=_creating(), before=_bent(_answering_without_paying)),
    Way(name="a driver that tries again", act=_creating("refused"), before=_bent(_trying_again)),
    Way(name="a driver that sends twice", act=_creating(), before=_bent(_sending_twice)),
    Way(name="a driver that returns something else", act=_creating(), before=_changing()),
    Way(name="a driver that returns a malformed result", act=_creating(), before=_changing(provider_id=7)),
    Way(name="a driver that believes HTTP 500", act=_creating(), before=_bent(_failing), faults=(_ACCEPTED,)),
    Way(name="refused by a wrapper", act=_creating(), before=_bent(_refusing), invalid=True),
    Way(name="the same order again, refused by a wrapper", act=_creating(), before=_created_and_refused),
    Way(name="another order under its id, refused", act=_creating(other=True), before=_created_and_refused),
    Way(name="an amount of nothing", act=_creating(amount="0.00"), invalid=True),
    Way(name="an amount with too many digits", act=_creating(amount="1.001"), invalid=True),
    Way(name="a final word in the answer", act=_creating(), faults=(Fault(change={"payment_status": "paid"}),)),
    Way(name="asking about it", act=_advancing(), before=_created, faults=(_ACCEPTED,)),
    Way(
        name="asking, and hearing of a sum that nobody can have paid",
        act=_advancing(),
        before=_created,
        faults=(_ACCEPTED, Fault(on="status", change={"payment_amount": "0"})),
        lied=True,
    ),
    Way(name="asking about what its sender left", act=_advancing(), before=_abandoned),
    Way(name="asking about what never came", act=_advancing(), before=_created, faults=(_NEVER_CAME,)),
    Way(name="asking without an answer", act=_advancing("hasty"), before=_created, faults=_UNANSWERED),
    Way(name="asking again without an answer", act=_advancing("hasty"), before=_asked_once, faults=_UNANSWERED),
    Way(name="asking, and no answer in time", act=_advancing("hasty"), before=_created, faults=(_ACCEPTED, _SILENT)),
    Way(name="asking with a driver that fails", act=_advancing(), before=_created_and_unable, faults=(_ACCEPTED,)),
    Way(name="asking about an unknown order", act=_advancing(), invalid=True),
    Way(name="asking past the schedule", act=_advancing(), before=_created_long_ago, faults=(_NEVER_CAME,)),
    Way(name="asking, awaited", act=_advancing_awaited, before=_created, faults=(_ACCEPTED,)),
    Way(name="asking about what the provider notified", act=_advancing(), before=_created_and_notified),
    Way(name="an application's question", act=_fetching(), before=_created, faults=(_ACCEPTED,)),
    Way(
        name="an application's question without an answer",
        act=_fetching("hasty"),
        before=_created,
        faults=_UNANSWERED,
    ),
    Way(name="an operator confirms", act=_resolving, before=_denied, lied=True),
    Way(name="an operator's act", act=_resolving, before=_created, faults=(_ACCEPTED,)),
    Way(name="a sweep", act=_sweeping, before=_created, faults=(_ACCEPTED,)),
)
