"""Lead an order along every line between the caller and the provider, and back: the ways of `deaths.py`."""

import asyncio
import contextlib
import os
import pkgutil
import resource
import signal
import time
from collections.abc import Callable, Generator
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Self, cast
from unittest import mock

import msgspec

from payhub import (
    AsyncHub,
    Exchange,
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
from payhub.journal import Evidence, Key, KeyCheck, NotificationContent, Source, State
from payhub.journal.rules import LONGEST_JITTER
from payhub.journal.sql.engine import Files
from payhub.journal.sql.note import Mark, Note
from payhub.models import Phase
from payhub.operations import PAYOUT
from payhub.plans.identity import facts_of
from payhub.plans.rules import unknown_result
from payhub.transport.connection import MAX_VALUES
from payhub.transport.runner import Runner
from torture.judge import Fault, Judge
from torture.processes import start, wait_until
from torture.provider import NAME, SCHEDULE
from torture.shop import ACCOUNT, Shop, order

_NOBODY_LISTENS = "http://127.0.0.1:9"
_PACED = "max_per_second = 1000"
_SECOND = "second"
_SECOND_ACCOUNT = """[accounts.{name}]
provider = "{provider}"
account = "0a1f3b52-2d1f-4c55-9d0c-6f2f8f0f7a11"
currency = "RUB"
base_url = "{url}"
payout_cert = "{keys}/cert/payout"
"""
_INSTANT = 1e-6
_SOON = 2.0
_PATIENCE = 30.0


class Hubs(NamedTuple):
    """Hubs on one journal, under one key of the fingerprints.

    But for `elsewhere`, which has a journal of its own. `hasty` does not wait long for an answer, and
    `steady` so long that others meanwhile find an order being sent. `moved` has another account under the
    same name, for it speaks to another address, where nobody listens; `double` has a second account beside the
    first. Those that are `paced` have a rate limit. In `late` a lease ends before anything
    can be sent; the `hurried` ones have a rate limit too, and a deadline that has always passed.
    """

    plain: Hub
    hasty: Hub
    steady: Hub
    moved: Hub
    double: Hub
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
        second = _SECOND_ACCOUNT.format(name=_SECOND, provider=NAME, url=shop.judge.url, keys=shop.keys)
        double = shop.beside("double", more=second).hub()
        double.registry.account(_SECOND)
        return cls(
            plain=plain,
            hasty=shop.beside("hasty", deadline=0.5).hub(_PLUGIN),
            steady=shop.beside("steady", lease=9.0, deadline=8.0).hub(_PLUGIN),
            moved=shop.beside("moved", url=_NOBODY_LISTENS).hub(_PLUGIN),
            double=double,
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

    act: Callable[[Exchange], object] | None = None
    bend: Callable[[Flow[Any], PayoutOrder], Flow[Any]] | None = None
    unable = False

    @hookimpl
    def payhub_event(self, event: Exchange) -> None:
        act, self.act = self.act, None
        if act is not None:
            act(event)

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


class _Limit(Exception):
    """What a worker of a queue raises from a signal's handler when a task's time is over."""


Act = Callable[[Hubs, str], object]


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """A way that an order takes, along lines that no way before it may have visited.

    `before` happens before the lines count, in the same process. What `act` raises is judged by the
    journal and the judge. Of `invalid` orders nothing is written; about `lied` ones the judge does not
    tell the truth. What is paid in truth, an operator may have `called_failed`.
    """

    name: str
    act: Act
    before: Callable[[Hubs, str, Judge], object] = lambda _hubs, _order_id, _judge: None
    faults: tuple[Fault, ...] = ()
    invalid: bool = False
    lied: bool = False
    called_failed: bool = False

    def walk(self, hubs: Hubs, order_id: str) -> None:
        """Do what leads along the way."""
        with contextlib.suppress(PayhubError, KeyboardInterrupt, asyncio.CancelledError, TimeoutError, _Limit):
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


def _advancing_awaited(hub: str = "awaited_paced") -> Act:
    def act(hubs: Hubs, order_id: str) -> None:
        asyncio.run(getattr(hubs, hub).advance(ACCOUNT, "payout", order_id))

    return act


def _leaving(hub: str, where: str) -> Act:
    """Await an order, be cancelled when a function is called, and wait for what goes on without its caller."""

    def act(hubs: Hubs, order_id: str) -> None:
        async def leave() -> None:
            awaited: AsyncHub = getattr(hubs, hub)
            loop, task = (
                asyncio.get_running_loop(),
                asyncio.ensure_future(awaited.create_payout(ACCOUNT, order(order_id))),
            )
            holder, _, name = where.rpartition(".")
            called: Any = getattr(pkgutil.resolve_name(holder), name)

            def cancel(*arguments: Any, **options: Any) -> Any:
                loop.call_soon_threadsafe(task.cancel)
                return called(*arguments, **options)

            with mock.patch(where, cancel):
                await asyncio.wait([task])
            runner: Any = awaited._runner  # noqa: SLF001
            for errand in tuple(runner._pool().errands):  # noqa: SLF001
                await errand.done.wait()

        asyncio.run(leave())

    return act


def _creating_unclear(hubs: Hubs, order_id: str) -> None:
    """Ask for payouts under ids that people would take for others."""
    for unclear in ("", f" {order_id}", f"{order_id}\u200b", "4111111111111111"):
        with contextlib.suppress(InvalidOrder):
            hubs.plain.create_payout(ACCOUNT, msgspec.structs.replace(order(order_id), order_id=unclear))


def _fetching(hub: str = "plain") -> Act:
    def act(hubs: Hubs, order_id: str) -> None:
        getattr(hubs, hub).fetch_payout(ACCOUNT, order_id=order_id)

    return act


def _fetching_by_theirs(hub: str = "plain") -> Act:
    """Ask by the provider's id, as the journal has it."""

    def act(hubs: Hubs, order_id: str) -> None:
        known = hubs.plain.journal.find(Key(ACCOUNT, "payout", order_id))
        getattr(hubs, hub).fetch_payout(ACCOUNT, provider_id=known and known.provider_id)

    return act


def _advancing(hub: str = "plain") -> Act:
    def act(hubs: Hubs, order_id: str) -> None:
        getattr(hubs, hub).advance(ACCOUNT, "payout", order_id)

    return act


def _sweeping(hub: str = "plain") -> Act:
    def act(hubs: Hubs, _order_id: str) -> None:
        getattr(hubs, hub).sweep(3)

    return act


def _resolving(state: Literal["succeeded", "failed"] = "succeeded") -> Act:
    def act(hubs: Hubs, order_id: str) -> None:
        hubs.plain.resolve(ACCOUNT, "payout", order_id, state, reason="seen in the cabinet", by="torture")

    return act


def _until_sent(create: Callable[[], object]) -> None:
    """Create an order, and again where a busy machine took too long to send it."""
    while True:
        with contextlib.suppress(NotSent):
            create()
            return


def _created(hubs: Hubs, order_id: str, _judge: Judge | None = None) -> None:
    _until_sent(lambda: _creating()(hubs, order_id))


def _asked_once(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    _created(hubs, order_id)
    _advancing("hasty")(hubs, order_id)


def _ended(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    _created(hubs, order_id)
    _advancing()(hubs, order_id)


def _called_failed(hubs: Hubs, order_id: str, judge: Judge) -> None:
    """Let an operator say that an order failed which the provider has paid."""
    _ended(hubs, order_id, judge)
    _resolving("failed")(hubs, order_id)


def _called_failed_and_denied(hubs: Hubs, order_id: str, judge: Judge) -> None:
    _called_failed(hubs, order_id, judge)
    _advancing()(hubs, order_id)


def _notified(hubs: Hubs, order_id: str, _judge: Judge, state: State = State.SUCCEEDED, less: str = "0") -> None:
    """Keep a notification of an order, as if it had been verified; it names the order by its order_id only."""
    amount = order(order_id).amount
    paid = Money(amount.amount - Decimal(less), amount.currency)
    named = NotificationContent(
        account=ACCOUNT,
        provider=NAME,
        kind="payout",
        order_id=order_id,
        digest=order_id,
        provider_id="",
        requested=amount,
        paid=paid if state is State.SUCCEEDED else None,
        state=state,
        provider_status=str(state),
    )
    hubs.plain.journal.keep_notification(named, window=5.0, lease=5.0)


def _forgotten_and_notified(hubs: Hubs, order_id: str, judge: Judge) -> None:
    """Leave the order as it is when the journal was put back from a copy: sent, notified, and not in it."""
    _creating("elsewhere")(hubs, order_id)
    _notified(hubs, order_id, judge)


def _created_and_notified(state: State = State.SUCCEEDED, less: str = "0") -> Callable[[Hubs, str, Judge], None]:
    def before(hubs: Hubs, order_id: str, judge: Judge) -> None:
        _created(hubs, order_id)
        _notified(hubs, order_id, judge, state, less)

    return before


def _denied(hubs: Hubs, order_id: str, judge: Judge) -> None:
    _settled_meanwhile("5")(hubs, order_id, judge)
    _created(hubs, order_id)


def _created_long_ago(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    _created(hubs, order_id)
    time.sleep(SCHEDULE.until)


def _due(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    """Create the order, and wait until a sweep has to ask about it."""
    _created(hubs, order_id)
    time.sleep(SCHEDULE.first * LONGEST_JITTER)


def _being_sent(hubs: Hubs, order_id: str, judge: Judge) -> None:
    """Have another process that has sent the order, and waits for an answer that does not come."""
    start(lambda: _creating("steady")(hubs, order_id), seconds=60)
    if not wait_until(lambda: bool(judge.verdict(order_id).received[order_id]), _PATIENCE):
        raise RuntimeError(f"{order_id}: the other process did not send it")


def _abandoned(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    """Leave the order as a process leaves it that died before it sent."""
    known = hubs.plain.registry.account(ACCOUNT)
    hubs.plain.journal.open(facts_of("payout", order(order_id), known.place, known.provider_name), _INSTANT)


def _not_sent_by_namesake(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    """Have the order tried, and not sent, with the other account that had this name."""
    with contextlib.suppress(NotSent):
        _creating("moved")(hubs, order_id)


def _paid_by_second(hubs: Hubs, order_id: str, _judge: Judge | None = None) -> None:
    _until_sent(lambda: hubs.double.create_payout(_SECOND, order(order_id)))
    hubs.double.advance(_SECOND, "payout", order_id)


def _not_sent_and_paid_by_second(hubs: Hubs, order_id: str, judge: Judge) -> None:
    """Have two legs: one that was not sent, and the second account's, which is paid."""
    with mock.patch(_CONNECTING, side_effect=ConnectionRefusedError), contextlib.suppress(NotSent):
        _creating()(hubs, order_id)
    _paid_by_second(hubs, order_id, judge)


def _paid_by_second_meanwhile(hubs: Hubs, _order_id: str, _judge: Judge) -> None:
    """Let the second account pay the order after this call has looked for it, and before it opens it."""

    def bend(flow: Flow[Any], asked: PayoutOrder) -> Flow[Any]:
        _paid_by_second(hubs, asked.order_id)
        return (yield from flow)

    _PLUGIN.bend = bend


def _refused_and_settled_meanwhile(hubs: Hubs, order_id: str, judge: Judge) -> None:
    _unreachable(hubs, order_id, judge)
    _settled_meanwhile(state=State.NEEDS_ATTENTION)(hubs, order_id, judge)


def _refused_and_tried_again(hubs: Hubs, order_id: str, judge: Judge) -> None:
    _unreachable(hubs, order_id, judge)
    _bent(_trying_again)(hubs, order_id, judge)


def _failing_journal(*names: str) -> Callable[[Hubs, str, Judge], None]:
    """Let methods of the journal fail, for this process, once the order is created."""

    def before(hubs: Hubs, order_id: str, _judge: Judge) -> None:
        _created(hubs, order_id)
        cause = JournalFailed("the journal failed: it cannot be used any more")
        for name in names:
            mock.patch.object(hubs.plain.journal, name, side_effect=cause).start()

    return before


def _noted(name: str | None = None, ahead: int = 0) -> Callable[[Hubs, str, Judge], None]:
    """Let the note beside the key name another journal, or one that had come further."""

    def before(hubs: Hubs, _order_id: str, _judge: Judge) -> None:
        journal: Any = hubs.plain.journal
        journal.find(Key(ACCOUNT, "payout", "nothing"))  # looks at the journal for the first time
        note: Note = journal.database.note
        known = note.read()
        if known is None:
            raise RuntimeError("the journal was not noted")
        other = Mark(name or known.journal, known.newest + ahead)
        mock.patch.object(note, "_read_file", return_value=other).start()

    return before


def _replaced(_hubs: Hubs, _order_id: str, _judge: Judge) -> None:
    """Let another file be where the journal's is looked for."""
    mock.patch("payhub.journal.sql.database.files_at", return_value=Files((0, 0), None, None)).start()


def _other_key(hubs: Hubs, _order_id: str, _judge: Judge) -> None:
    """Let the key be another one than the journal was begun with."""
    journal: Any = hubs.plain.journal
    journal._key_check = KeyCheck("another", "payhub.key")  # noqa: SLF001


def _created_and_other_key(hubs: Hubs, order_id: str, judge: Judge) -> None:
    _created(hubs, order_id)
    _other_key(hubs, order_id, judge)


def _created_and_damaged(hubs: Hubs, order_id: str, judge: Judge) -> None:
    """Let no row be read, as if they were changed by hand, for this process."""
    _created(hubs, order_id)
    _breaking("payhub.journal.sql.rows._record", ValueError)(hubs, order_id, judge)


def _full(_hubs: Hubs, _order_id: str, _judge: Judge) -> None:
    """Let every write to a file fail, for this process."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def _full_later(hubs: Hubs, order_id: str, judge: Judge) -> None:
    _PLUGIN.act = lambda _: _full(hubs, order_id, judge)


def _settled_meanwhile(
    provider_id: str | None = None, state: State = State.SUCCEEDED
) -> Callable[[Hubs, str, Judge], None]:
    """Let a resolver find out what became of the order, and under which id, before its sender reports."""

    def before(hubs: Hubs, order_id: str, _judge: Judge) -> None:
        key = Key(ACCOUNT, "payout", order_id)
        ended = Evidence(source=Source.STATUS, state=state, provider_id=provider_id)

        def settle(exchange: Exchange) -> None:
            if state is State.SUCCEEDED and exchange.phase is Phase.NOT_SENT:
                return  # a busy machine took too long to send it, and nobody can find out that it was paid
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


def _sending_words(_flow: Flow[Any], _order: PayoutOrder) -> Flow[Any]:
    yield cast("Any", "a call")


def _sending_nothing_and_confused(_flow: Flow[Any], _order: PayoutOrder) -> Flow[Any]:
    yield from ()
    return "paid"


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
    cause = JournalFailed("the journal failed: it cannot be read any more")
    mock.patch.object(hubs.plain.journal, "find", side_effect=cause).start()


def _breaking(target: str, cause: type[BaseException]) -> Callable[[Hubs, str, Judge], None]:
    """Let a function raise, for this process: an interruption there, or a mistake of payhub's own."""

    def before(_hubs: Hubs, _order_id: str, _judge: Judge) -> None:
        mock.patch(target, side_effect=cause).start()

    return before


def _altering(target: str, value: object) -> Callable[[Hubs, str, Judge], None]:
    """Let a constant have another value, for this process."""

    def before(_hubs: Hubs, _order_id: str, _judge: Judge) -> None:
        mock.patch(target, value).start()

    return before


_CONNECTING = "socket.create_connection"
"""What makes a connection: refused in this process only, so that the account stays the one that it is."""

_unreachable = _breaking(_CONNECTING, ConnectionRefusedError)


def _due_and_unreachable(hubs: Hubs, order_id: str, judge: Judge) -> None:
    _due(hubs, order_id, judge)
    _unreachable(hubs, order_id, judge)


def _runner_breaks(_hubs: Hubs, _order_id: str, _judge: Judge) -> None:
    """Let the runner raise, for this process, when it has sent the order and read the answer."""
    exchange: Any = vars(Runner)["_exchange"]

    def breaks(*arguments: Any) -> None:
        exchange(*arguments)
        raise RuntimeError("a mistake of the runner's")

    mock.patch.object(Runner, "_exchange", breaks).start()


_ANSWERED = "payhub.transport.connection.CallTrace.take_head"
"""What is called when the head of an answer has come: by then the order is sent."""


def _created_and_limited(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    """Let a signal come, whose handler raises, when the next answer comes."""
    _created(hubs, order_id)

    def reach(_number: int, _frame: object) -> None:
        raise _Limit

    signal.signal(signal.SIGUSR2, reach)
    mock.patch(_ANSWERED, side_effect=lambda *_: os.kill(os.getpid(), signal.SIGUSR2)).start()


def _no_slots(hubs: Hubs, _order_id: str, _judge: Judge) -> None:
    """Let as many calls be under way as may be, for this process."""
    for module in ("deadline", "pool"):
        mock.patch(f"payhub.transport.{module}.AT_ONCE", 0).start()
    runner: Any = hubs.awaited._runner  # noqa: SLF001
    runner._timeout = {**runner._timeout, "pool": _INSTANT}  # noqa: SLF001


_in_many_parts = _altering("payhub.transport.connection._MAX_SMALL_CHUNKS", -1)
"""Let the parts in which an answer comes be too small, for this process."""

_SENDS = "payhub.transport.deadline.DeadlineTransport.handle_request"
"""What sends a call; what stands in its place reports nothing."""

_ENCODED = "application/json\r\nContent-Encoding: gzip"
_MANY_HEADERS = "application/json" + "\r\nX-More: 1" * 200
_MANY_VALUES = Fault(change={"list": "," * (MAX_VALUES + 1)})
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
    Way(name="connection refused", act=_creating(), before=_unreachable),
    Way(name="a rate limit", act=_creating("paced")),
    Way(name="a rate limit, awaited", act=_awaiting("awaited_paced")),
    Way(name="a lease that is over before it is sent", act=_creating("late")),
    Way(name="answer cut", act=_creating(), faults=(Fault(cut=100, end="close"),)),
    Way(name="no answer, awaited", act=_awaiting(), faults=(Fault(cut=0, end="close"),)),
    Way(name="no answer in time", act=_creating("hasty"), faults=(_STALLED,)),
    Way(name="encoded answer", act=_creating(), faults=(Fault(kind=_ENCODED),)),
    Way(name="encoded answer, awaited", act=_awaiting(), faults=(Fault(kind=_ENCODED),)),
    Way(name="answer too large", act=_creating(), faults=(Fault(pad=1 << 20),)),
    Way(name="answer with too many headers", act=_creating(), faults=(Fault(kind=_MANY_HEADERS),)),
    Way(name="answer with too many values", act=_creating(), faults=(_MANY_VALUES,)),
    Way(name="answer in too many parts", act=_creating(), before=_in_many_parts),
    Way(name="another amount in the answer", act=_creating(), faults=(Fault(change={"amount": "1.00"}),), lied=True),
    Way(name="settled before its sender reports", act=_creating(), before=_settled_meanwhile()),
    Way(name="denied by its sender's report", act=_creating(), before=_settled_meanwhile("5"), lied=True),
    Way(
        name="found out before its sender reports that it was not sent",
        act=_creating(),
        before=_refused_and_settled_meanwhile,
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
    Way(name="no free connection", act=_creating("hasty"), before=_no_slots),
    Way(name="no free connection, awaited", act=_awaiting(), before=_no_slots),
    Way(name="no report of what was sent", act=_creating(), before=_breaking(_SENDS, RuntimeError)),
    Way(name="left while it is written down", act=_leaving("awaited", "payhub.journal.sql.rows.new_order")),
    Way(name="left while it connects", act=_leaving("awaited", "payhub.transport.runner.build_request")),
    Way(
        name="left while it waits for its rate",
        act=_leaving("awaited_paced", "payhub.transport.runner._Runner._reserve_slot"),
    ),
    Way(name="a runner that breaks down", act=_creating(), before=_runner_breaks),
    Way(name="a driver that sends nothing", act=_creating(), before=_bent(_sending_nothing), invalid=True),
    Way(name="a driver that sends words", act=_creating(), before=_bent(_sending_words), invalid=True),
    Way(
        name="a driver that sends nothing, and returns something else",
        act=_creating(),
        before=_bent(_sending_nothing_and_confused),
        invalid=True,
    ),
    Way(name="a driver that asks before it sends", act=_creating(), before=_bent(_refusing_before_it_sends)),
    Way(name="a driver that makes its call anew", act=_creating(), before=_bent(_made_anew), faults=(_ACCEPTED,)),
    Way(name="a driver that answers without paying", act=_creating(), before=_bent(_answering_without_paying)),
    Way(name="a driver that tries again", act=_creating(), before=_refused_and_tried_again),
    Way(name="a driver that sends twice", act=_creating(), before=_bent(_sending_twice)),
    Way(name="a driver that returns something else", act=_creating(), before=_changing()),
    Way(name="a driver that returns a malformed result", act=_creating(), before=_changing(provider_id=7)),
    Way(name="a driver that returns half a character", act=_creating(), before=_changing(reason="\ud800")),
    Way(name="a driver that believes HTTP 500", act=_creating(), before=_bent(_failing), faults=(_ACCEPTED,)),
    Way(name="refused by a wrapper", act=_creating(), before=_bent(_refusing), invalid=True),
    Way(name="the same order again, refused by a wrapper", act=_creating(), before=_created_and_refused),
    Way(name="another order under its id, refused", act=_creating(other=True), before=_created_and_refused),
    Way(name="tried before with another account of this name", act=_creating(), before=_not_sent_by_namesake),
    Way(name="in another journal than was begun", act=_creating(), before=_noted("another")),
    Way(name="in an older journal than was begun", act=_creating(), before=_noted(ahead=1 << 40)),
    Way(name="in a file that was replaced", act=_creating(), before=_replaced),
    Way(name="with another key", act=_creating(), before=_other_key),
    Way(name="the same order again, with another key", act=_creating(), before=_created_and_other_key),
    Way(name="the same order again, in a damaged row", act=_creating(), before=_created_and_damaged),
    Way(name="ids that are unclear", act=_creating_unclear, invalid=True),
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
    Way(
        name="asking, and the time is over",
        act=_advancing(),
        before=_created_and_limited,
        faults=(_ACCEPTED,),
    ),
    Way(
        name="asking, awaited, and the time is over",
        act=_advancing_awaited("awaited"),
        before=_created_and_limited,
        faults=(_ACCEPTED,),
    ),
    Way(name="asking about what its sender left", act=_advancing(), before=_abandoned),
    Way(name="asking about what never came", act=_advancing(), before=_created, faults=(_NEVER_CAME,)),
    Way(name="asking without an answer", act=_advancing("hasty"), before=_created, faults=_UNANSWERED),
    Way(name="asking again without an answer", act=_advancing("hasty"), before=_asked_once, faults=_UNANSWERED),
    Way(name="asking, and no answer in time", act=_advancing("hasty"), before=_created, faults=(_ACCEPTED, _SILENT)),
    Way(name="asking with a driver that fails", act=_advancing(), before=_created_and_unable, faults=(_ACCEPTED,)),
    Way(name="asking about an unknown order", act=_advancing(), invalid=True),
    Way(name="asking past the schedule", act=_advancing(), before=_created_long_ago, faults=(_NEVER_CAME,)),
    Way(name="asking, awaited", act=_advancing_awaited(), before=_created, faults=(_ACCEPTED,)),
    Way(name="asking about what the provider notified", act=_advancing(), before=_created_and_notified()),
    Way(name="asking about what has ended", act=_advancing(), before=_ended),
    Way(
        name="asking about what an operator called failed", act=_advancing(), before=_called_failed, called_failed=True
    ),
    Way(
        name="asking again about what an operator called failed",
        act=_advancing(),
        before=_called_failed_and_denied,
        called_failed=True,
    ),
    Way(
        name="asking about what was notified to have failed",
        act=_advancing(),
        before=_created_and_notified(State.FAILED),
        lied=True,
    ),
    Way(
        name="asking about what was notified with an unknown word",
        act=_advancing(),
        before=_created_and_notified(State.UNKNOWN),
    ),
    Way(
        name="asking about what was notified with another sum",
        act=_advancing(),
        before=_created_and_notified(less="1"),
        lied=True,
    ),
    Way(name="asking with another account of this name", act=_advancing("moved"), before=_created, faults=(_ACCEPTED,)),
    Way(
        name="asking with another account of this name about what an operator called failed",
        act=_advancing("moved"),
        before=_called_failed,
        called_failed=True,
    ),
    Way(name="an application's question", act=_fetching(), before=_created, faults=(_ACCEPTED,)),
    Way(
        name="an application's question without an answer",
        act=_fetching("hasty"),
        before=_created,
        faults=_UNANSWERED,
    ),
    Way(name="an application's question by the provider's id", act=_fetching_by_theirs(), before=_created),
    Way(
        name="an application's question with another account of this name",
        act=_fetching("moved"),
        before=_created,
        faults=(_ACCEPTED,),
    ),
    Way(name="an application's question, and no journal", act=_fetching(), before=_failing_journal("find")),
    Way(
        name="an application's question, and no journal any more",
        act=_fetching(),
        before=_failing_journal("now", "settle"),
    ),
    Way(name="paid by another account meanwhile", act=_creating(), before=_paid_by_second_meanwhile),
    Way(name="an operator confirms", act=_resolving(), before=_denied, lied=True),
    Way(name="an operator's act", act=_resolving(), before=_created, faults=(_ACCEPTED,)),
    Way(name="an operator's act that comes too early", act=_resolving("failed"), before=_created),
    Way(name="an operator calls failed what is paid", act=_resolving("failed"), before=_ended, called_failed=True),
    Way(
        name="an operator says it again, although it is denied",
        act=_resolving("failed"),
        before=_called_failed_and_denied,
        called_failed=True,
    ),
    Way(
        name="an operator takes it back, because it is denied",
        act=_resolving(),
        before=_called_failed_and_denied,
        called_failed=True,
    ),
    Way(
        name="an operator calls paid what another account has paid",
        act=_resolving(),
        before=_not_sent_and_paid_by_second,
        lied=True,
    ),
    Way(name="an operator's act about an unknown order", act=_resolving(), invalid=True),
    Way(name="a sweep", act=_sweeping(), before=_due, faults=(_ACCEPTED,)),
    Way(name="a sweep that reaches nobody", act=_sweeping("hasty"), before=_due_and_unreachable, faults=(_ACCEPTED,)),
    Way(name="a sweep with another account of this name", act=_sweeping("moved"), before=_due, faults=(_ACCEPTED,)),
)
