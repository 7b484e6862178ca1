"""Lead an order along every line between the caller and the provider, and back: the ways of `deaths.py`.

What no way leads along is named here with the reason, so that a new line without a trial is noticed.
"""

import asyncio
import contextlib
import resource
import time
from collections.abc import Callable
from typing import NamedTuple, Self

import msgspec

from payhub import AsyncHub, Hub, Money, PayhubError, hookimpl
from payhub.driver import Schedule
from payhub.journal import Evidence, Key, Source, State
from payhub.recording import facts
from torture.judge import Fault, Judge
from torture.processes import start, until
from torture.provider import SCHEDULE
from torture.shop import ACCOUNT, Shop, order

_NOBODY_LISTENS = "http://127.0.0.1:9"
_PACED = "max_per_second = 1000"
_OVERSLEPT = 1e-6


class Hubs(NamedTuple):
    """Hold hubs on one journal, under one key of the fingerprints.

    `refused` speaks to an address where nobody listens, `paced` has a rate limit, and in `late` a
    lease ends before anything can be sent.
    """

    plain: Hub
    refused: Hub
    paced: Hub
    late: Hub
    asynchronous: AsyncHub

    @classmethod
    def of(cls, shop: Shop) -> Self:
        """Open them; nothing is connected yet."""
        plain = shop.hub(_OBSERVER)
        key = shop.configuration.with_name("payhub.key").read_bytes()

        def beside(name: str, **changes: object) -> Hub:
            other = msgspec.structs.replace(shop, directory=shop.directory / name, journal=shop.database, **changes)
            other.configuration.with_name("payhub.key").write_bytes(key)
            return other.hub(_OBSERVER)

        return cls(
            plain=plain,
            refused=beside("refused", url=_NOBODY_LISTENS),
            paced=beside("paced", more=_PACED),
            late=beside("late", lease=_OVERSLEPT, deadline=_OVERSLEPT / 10),
            asynchronous=shop.async_hub(_OBSERVER),
        )

    def close(self) -> None:
        """Close them all."""
        for hub in self[:-1]:
            hub.close()
        asyncio.run(self.asynchronous.close())


class _Observer:
    """Be an observer that does something to this process, or to the order, when the provider has answered."""

    armed: Callable[[], object] | None = None

    @hookimpl
    def payhub_event(self, event: object) -> None:  # noqa: ARG002 - the hook's argument
        act, self.armed = self.armed, None
        if act is not None:
            act()


_OBSERVER = _Observer()

Act = Callable[[Hubs, str], object]


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """Lead an order along lines that no way before it may visit.

    `before` happens before the lines count, in the same process. What `act` raises is judged by the
    journal and the judge. `invalid` orders are refused before anything is written; about `lied` ones
    the judge does not tell the truth.
    """

    name: str
    act: Act
    before: Callable[[Hubs, str, Judge], object] = lambda _hubs, _order_id, _judge: None
    faults: tuple[Fault, ...] = ()
    invalid: bool = False
    lied: bool = False

    def walk(self, hubs: Hubs, order_id: str) -> None:
        """Do what leads along the way."""
        with contextlib.suppress(PayhubError):
            self.act(hubs, order_id)


def _creating(hub: str = "plain", *, other: bool = False, amount: str | None = None) -> Act:
    def act(hubs: Hubs, order_id: str) -> None:
        asked = order(order_id, other=other)
        if amount is not None:
            asked = msgspec.structs.replace(asked, amount=Money(amount, "RUB", 9))
        getattr(hubs, hub).create_payout(ACCOUNT, asked)

    return act


def _awaiting(hubs: Hubs, order_id: str) -> None:
    async def create() -> None:
        try:
            await hubs.asynchronous.create_payout(ACCOUNT, order(order_id))
        finally:
            await hubs.asynchronous.close()

    asyncio.run(create())


def _advancing(hubs: Hubs, order_id: str) -> None:
    hubs.plain.advance(ACCOUNT, "payout", order_id)


def _sweeping(hubs: Hubs, _order_id: str) -> None:
    hubs.plain.sweep(3)


def _resolving(hubs: Hubs, order_id: str) -> None:
    hubs.plain.resolve(ACCOUNT, "payout", order_id, "succeeded", reason="seen in the cabinet", by="torture")


def _created(hubs: Hubs, order_id: str, _judge: Judge | None = None) -> None:
    _creating()(hubs, order_id)


def _asked_once(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    _created(hubs, order_id)
    _advancing(hubs, order_id)


def _created_long_ago(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    _created(hubs, order_id)
    time.sleep(SCHEDULE.until)


def _being_sent(hubs: Hubs, order_id: str, judge: Judge) -> None:
    start(lambda: _created(hubs, order_id), seconds=10)
    until(lambda: bool(judge.verdict(order_id).received[order_id]), 5)


def _abandoned(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    """Leave the order as a process leaves it that died before it sent."""
    known = hubs.plain.registry.account(ACCOUNT)
    hubs.plain.journal.open(facts(ACCOUNT, known.provider.info.name, order(order_id), known._key), _OVERSLEPT)  # noqa: SLF001


def _full(_hubs: Hubs, _order_id: str, _judge: Judge) -> None:
    """Let every write to a file fail, for this process."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def _full_later(hubs: Hubs, order_id: str, judge: Judge) -> None:
    _OBSERVER.armed = lambda: _full(hubs, order_id, judge)


def _settled_meanwhile(provider_id: str | None = None) -> Callable[[Hubs, str, Judge], None]:
    """Let a resolver find out how the order ended, and under which id, before its sender reports."""

    def before(hubs: Hubs, order_id: str, _judge: Judge) -> None:
        key = Key(ACCOUNT, "payout", order_id)
        ended = Evidence(source=Source.STATUS, state=State.SUCCEEDED, provider_id=provider_id)

        def settle() -> None:
            for found in (Evidence(source=Source.LEASE, state=State.UNKNOWN), ended):
                hubs.plain.journal.settle(key, found, Schedule())

        _OBSERVER.armed = settle

    return before


_ENCODED = "application/json\r\nContent-Encoding: gzip"
_STALLED = Fault(cut=0, end="stall")
_NEVER_CAME = Fault(status=500, accept=False)
_NO_ANSWER = Fault(on="status", status=500, times=0)

WAYS = (
    Way(name="the normal way", act=_creating()),
    Way(name="the normal way, awaited", act=_awaiting),
    Way(name="HTTP 500", act=_creating(), faults=(Fault(status=500),)),
    Way(name="connection refused", act=_creating("refused")),
    Way(name="a rate limit", act=_creating("paced")),
    Way(name="a lease that is over before it is sent", act=_creating("late")),
    Way(name="answer cut", act=_creating(), faults=(Fault(cut=100, end="close"),)),
    Way(name="no answer in time", act=_creating(), faults=(_STALLED,)),
    Way(name="encoded answer", act=_creating(), faults=(Fault(kind=_ENCODED),)),
    Way(name="encoded answer, awaited", act=_awaiting, faults=(Fault(kind=_ENCODED),)),
    Way(name="answer too large", act=_creating(), faults=(Fault(pad=1 << 20),)),
    Way(name="another amount in the answer", act=_creating(), faults=(Fault(change={"amount": "1.00"}),), lied=True),
    Way(name="settled before its sender reports", act=_creating(), before=_settled_meanwhile()),
    Way(name="denied by its sender's report", act=_creating(), before=_settled_meanwhile("5"), lied=True),
    Way(name="the same order again", act=_creating(), before=_created),
    Way(name="another order under its id", act=_creating(other=True), before=_created),
    Way(name="while another process sends it", act=_creating(), before=_being_sent, faults=(_STALLED,)),
    Way(name="awaited while another process sends it", act=_awaiting, before=_being_sent, faults=(_STALLED,)),
    Way(name="disk full before sending", act=_creating(), before=_full),
    Way(name="disk full after sending", act=_creating(), before=_full_later),
    Way(name="an amount of nothing", act=_creating(amount="0.00"), invalid=True),
    Way(name="an amount with too many digits", act=_creating(amount="1.001"), invalid=True),
    Way(name="asking about it", act=_advancing, before=_created, faults=(_STALLED,)),
    Way(name="asking about what its sender left", act=_advancing, before=_abandoned),
    Way(name="asking about what never came", act=_advancing, before=_created, faults=(_NEVER_CAME,)),
    Way(name="asking in vain", act=_advancing, before=_created, faults=(_STALLED, _NO_ANSWER)),
    Way(name="asking in vain again", act=_advancing, before=_asked_once, faults=(_STALLED, _NO_ANSWER)),
    Way(name="asking past the schedule", act=_advancing, before=_created_long_ago, faults=(_NEVER_CAME,)),
    Way(name="an operator's act", act=_resolving, before=_created, faults=(_STALLED,)),
    Way(name="a sweep", act=_sweeping, before=_created, faults=(_STALLED,)),
)

ELSEWHERE: dict[str, str] = {}
UNREACHED: dict[str, str] = {}
