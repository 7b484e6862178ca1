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
from payhub.journal import Evidence, Key, Notice, Source, State
from payhub.plans.identity import facts_of
from torture.judge import FIRST_ID, Fault, Judge
from torture.processes import start, until
from torture.provider import NAME, SCHEDULE
from torture.shop import ACCOUNT, Shop, order

_NOBODY_LISTENS = "http://127.0.0.1:9"
_PACED = "max_per_second = 1000"
_OVERSLEPT = 1e-6
_PATIENCE = 30.0


class Hubs(NamedTuple):
    """Hold hubs on one journal, under one key of the fingerprints.

    But for `elsewhere`, which has a journal of its own. `hasty` does not wait long for an answer, and
    `steady` so long that whoever looks meanwhile finds an order being sent. `refused` speaks to an
    address where nobody listens, `paced` and the asynchronous one have a rate limit, and in `late` a
    lease ends before anything can be sent.
    """

    plain: Hub
    hasty: Hub
    steady: Hub
    refused: Hub
    paced: Hub
    late: Hub
    elsewhere: Hub
    asynchronous: AsyncHub

    @classmethod
    def of(cls, shop: Shop) -> Self:
        """Open them; nothing is connected yet."""
        plain = shop.hub(_OBSERVER)
        key = shop.configuration.with_name("payhub.key").read_bytes()

        def beside(name: str, **changes: object) -> Shop:
            changes = {"journal": shop.database, **changes}
            other = msgspec.structs.replace(shop, directory=shop.directory / name, **changes)
            other.configuration.with_name("payhub.key").write_bytes(key)
            return other

        return cls(
            plain=plain,
            hasty=beside("hasty", deadline=0.5).hub(_OBSERVER),
            steady=beside("steady", lease=9.0, deadline=8.0).hub(_OBSERVER),
            refused=beside("refused", url=_NOBODY_LISTENS).hub(_OBSERVER),
            paced=beside("paced", more=_PACED).hub(_OBSERVER),
            late=beside("late", lease=_OVERSLEPT, deadline=_OVERSLEPT / 10).hub(_OBSERVER),
            elsewhere=beside("elsewhere", journal="sqlite:///payhub.db").hub(),
            asynchronous=beside("asynchronous", more=_PACED).async_hub(_OBSERVER),
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
    asyncio.run(hubs.asynchronous.create_payout(ACCOUNT, order(order_id)))


def _advancing_awaited(hubs: Hubs, order_id: str) -> None:
    asyncio.run(hubs.asynchronous.advance(ACCOUNT, "payout", order_id))


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


def _told_of(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    """Keep a notification of an order, as genuine as one can be."""
    named = Notice(
        account=ACCOUNT,
        provider=NAME,
        kind="payout",
        order_id=order_id,
        digest=order_id,
        provider_id=str(FIRST_ID),
        state=State.SUCCEEDED,
        provider_status="paid",
    )
    hubs.plain.journal.notice(named, window=5.0, lease=5.0)


def _forgotten_and_told_of(hubs: Hubs, order_id: str, judge: Judge) -> None:
    """Leave the order as it is when the journal was put back from a copy: sent, told of, and not in it."""
    _creating("elsewhere")(hubs, order_id)
    _told_of(hubs, order_id, judge)


def _created_and_told_of(hubs: Hubs, order_id: str, judge: Judge) -> None:
    _created(hubs, order_id)
    _told_of(hubs, order_id, judge)


def _denied(hubs: Hubs, order_id: str, judge: Judge) -> None:
    _settled_meanwhile("5")(hubs, order_id, judge)
    _created(hubs, order_id)


def _created_long_ago(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    _created(hubs, order_id)
    time.sleep(SCHEDULE.until)


def _being_sent(hubs: Hubs, order_id: str, judge: Judge) -> None:
    """Have another process that has sent the order, and waits for an answer that does not come."""
    start(lambda: _creating("steady")(hubs, order_id), seconds=60)
    if not until(lambda: bool(judge.verdict(order_id).received[order_id]), _PATIENCE):
        raise RuntimeError(f"{order_id}: the other process did not send it")


def _abandoned(hubs: Hubs, order_id: str, _judge: Judge) -> None:
    """Leave the order as a process leaves it that died before it sent."""
    known = hubs.plain.registry.account(ACCOUNT)
    hubs.plain.journal.open(facts_of(known, "payout", order(order_id)), _OVERSLEPT)


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
_ACCEPTED = Fault(status=500)
_NEVER_CAME = Fault(status=500, accept=False)
_NO_ANSWER = Fault(on="status", status=500, times=0)
_UNANSWERED = (_ACCEPTED, _NO_ANSWER)

WAYS = (
    Way(name="the normal way", act=_creating()),
    Way(name="the normal way, awaited", act=_awaiting),
    Way(name="HTTP 500", act=_creating(), faults=(_ACCEPTED,)),
    Way(name="connection refused", act=_creating("refused")),
    Way(name="a rate limit", act=_creating("paced")),
    Way(name="a lease that is over before it is sent", act=_creating("late")),
    Way(name="answer cut", act=_creating(), faults=(Fault(cut=100, end="close"),)),
    Way(name="no answer in time", act=_creating("hasty"), faults=(_STALLED,)),
    Way(name="encoded answer", act=_creating(), faults=(Fault(kind=_ENCODED),)),
    Way(name="encoded answer, awaited", act=_awaiting, faults=(Fault(kind=_ENCODED),)),
    Way(name="answer too large", act=_creating(), faults=(Fault(pad=1 << 20),)),
    Way(name="another amount in the answer", act=_creating(), faults=(Fault(change={"amount": "1.00"}),), lied=True),
    Way(name="settled before its sender reports", act=_creating(), before=_settled_meanwhile()),
    Way(name="denied by its sender's report", act=_creating(), before=_settled_meanwhile("5"), lied=True),
    Way(name="the same order again", act=_creating(), before=_created),
    Way(name="another order under its id", act=_creating(other=True), before=_created),
    Way(name="told of before it was created", act=_creating(), before=_forgotten_and_told_of),
    Way(name="while another process sends it", act=_creating(), before=_being_sent, faults=(_STALLED,)),
    Way(name="awaited while another process sends it", act=_awaiting, before=_being_sent, faults=(_STALLED,)),
    Way(name="disk full before sending", act=_creating(), before=_full),
    Way(name="disk full after sending", act=_creating(), before=_full_later),
    Way(name="an amount of nothing", act=_creating(amount="0.00"), invalid=True),
    Way(name="an amount with too many digits", act=_creating(amount="1.001"), invalid=True),
    Way(name="asking about it", act=_advancing(), before=_created, faults=(_ACCEPTED,)),
    Way(name="asking about what its sender left", act=_advancing(), before=_abandoned),
    Way(name="asking about what never came", act=_advancing(), before=_created, faults=(_NEVER_CAME,)),
    Way(name="asking in vain", act=_advancing("hasty"), before=_created, faults=_UNANSWERED),
    Way(name="asking in vain again", act=_advancing("hasty"), before=_asked_once, faults=_UNANSWERED),
    Way(name="asking past the schedule", act=_advancing(), before=_created_long_ago, faults=(_NEVER_CAME,)),
    Way(name="asking, awaited", act=_advancing_awaited, before=_created, faults=(_ACCEPTED,)),
    Way(name="asking about what the provider told of", act=_advancing(), before=_created_and_told_of),
    Way(name="an application's question", act=_fetching(), before=_created, faults=(_ACCEPTED,)),
    Way(
        name="an application's question in vain",
        act=_fetching("hasty"),
        before=_created,
        faults=_UNANSWERED,
    ),
    Way(name="an operator confirms", act=_resolving, before=_denied, lied=True),
    Way(name="an operator's act", act=_resolving, before=_created, faults=(_ACCEPTED,)),
    Way(name="a sweep", act=_sweeping, before=_created, faults=(_ACCEPTED,)),
)

_LOOKS = "that only look into the journal"
_TENDS = "that look after the journal: nothing is under way there"
_PREPARES = "that prepare a hub, before any order"
_POSTGRES = "of PostgreSQL, where `servers` and `freezes` kill"
_NOTIFIES = "of notifications, where `deliveries` kills"
_PAYMENT = "of payments, which go the way of payouts"
_DRIVER = "for what AliKassa's driver does not do; tests/test_plan.py plays drivers that do"
_INTERRUPT = "for an interruption of this very process; tests/journal/test_no_error_moves_money.py makes them"
_MISUSE = "that refuse what was never ordered, or is nobody's to do"
_NO_NETWORK = "of TLS and of deadlines within a call, which the tests of the runner meet"
_FORK = "of forks and of another key, which the tests of the journal make"
_BETTER = "for what was found out while it was sent; tests/journal/test_no_error_moves_money.py finds it out"
_RARE = "for failures in a row, or of the log"

ELSEWHERE: dict[str, str] = {
    "payhub.journal.sql.rows.<genexpr>": _PREPARES,
    "payhub.journal.states.<dictcomp>": _PREPARES,
    "payhub.journal.sql.statements.<genexpr>": _PREPARES,
    "payhub.journal.sql.statements.Statements.__init__*": _PREPARES,
    "payhub.journal.sql.statements._into.*": _PREPARES,
    "payhub.journal.sql.statements._reserve_slot*": _PREPARES,
    "payhub.journal.sql.journal.SqlJournal.__init__": _PREPARES,
    "payhub.journal.sql.engine.open_engine": _PREPARES,
    "payhub.transport.runner._Runner.__init__": _PREPARES,
    "payhub.transport.runner._Runner._open_pool": _PREPARES,
    "payhub.transport.connection.Pools.__init__": _PREPARES,
    "payhub.transport.connection.timeouts*": _PREPARES,
    "payhub.transport.connection.tls_context": _PREPARES,
    "payhub.journal.records.Noted.entry": _LOOKS,
    "payhub.journal.records.waits": _LOOKS,
    "payhub.journal.sql.rows.act": _LOOKS,
    "payhub.journal.sql.rows.attempt": _LOOKS,
    "payhub.journal.sql.rows.evidence": _LOOKS,
    "payhub.journal.sql.rows.exchange": _LOOKS,
    "payhub.journal.sql.rows.noted": _LOOKS,
    "payhub.journal.sql.database.Database.connection*": _LOOKS,
    "payhub.journal.sql.database.Database.has_tables": _LOOKS,
    "payhub.journal.sql.journal.SqlJournal.sealed": _PREPARES,
    "payhub.journal.sql.journal.SqlJournal.exchanges*": _LOOKS,
    "payhub.journal.sql.journal.SqlJournal.notices*": _LOOKS,
    "payhub.journal.sql.journal.SqlJournal.search*": _LOOKS,
    "payhub.journal.sql.journal.SqlJournal.story*": _LOOKS,
    "payhub.journal.sql.journal.SqlJournal.unsettled*": _LOOKS,
    "payhub.journal.records.bare": _TENDS,
    "payhub.journal.sql.journal.SqlJournal.close": _TENDS,
    "payhub.journal.sql.database.Database.close": _TENDS,
    "payhub.journal.sql.database.Database.empty_log": _TENDS,
    "payhub.journal.sql.journal.SqlJournal.forget*": _TENDS,
    "payhub.journal.sql.journal.SqlJournal.prune*": _TENDS,
    "payhub.transport.runner.AsyncRunner.close": _TENDS,
    "payhub.transport.runner.Runner.close": _TENDS,
    "payhub.journal.sql.engine.placed": _PREPARES,
    "payhub.journal.sql.database.Database.pause": _FORK,
    "payhub.journal.sql.database.Database.resume": _FORK,
    "payhub.journal.sql.rows.said": _LOOKS,
    "payhub.journal.sql.engine._prepare_postgresql": _POSTGRES,
    "payhub.journal.sql.journal.SqlJournal.notice*": _NOTIFIES,
    "payhub.journal.records.Notice.key": _NOTIFIES,
    "payhub.journal.records.hint": _NOTIFIES,
    "payhub.journal.records.notified*": _NOTIFIES,
    "payhub.plans.plan.unknown_payment": _PAYMENT,
    "payhub.plans.create.payer_of": _PAYMENT,
    "payhub.plans.fetch._named": _DRIVER,
    "payhub.journal.records.unknown_order": _MISUSE,
    "payhub.plans.create._repeated": _DRIVER,
    "payhub.plans.advance.giving_up": _MISUSE,
    "payhub.transport.deadline._DeadlineStream.start_tls": _NO_NETWORK,
}
"""Say of which functions no line is reached, and why; a name may have a pattern in it."""

UNREACHED: dict[str, str] = {
    "payhub.plans.fetch._kept: record = yield from weighed(": _NOTIFIES,
    "payhub.plans.fetch._kept: except JournalFailed": _RARE,
    "payhub.plans.fetch._kept: _log.critical(": _RARE,
    "payhub.plans.fetch.weighed: _log.warning(": _NOTIFIES,
    "payhub.journal.records._decided: raise IllegalStep(": _MISUSE,
    "payhub.journal.records._heard: return Evidence(source=": _RARE,
    "payhub.journal.records.verdict: asserted = ": _NOTIFIES,
    "payhub.journal.records.verdict: if record.state in": _NOTIFIES,
    "payhub.journal.records.verdict: if {notice.state": _NOTIFIES,
    "payhub.journal.records.verdict: return Verdict.": _NOTIFIES,
    "payhub.journal.sql.database.Database._usable: with self._turn": _PREPARES,
    "payhub.journal.sql.database.Database._usable: (upgrade if": _PREPARES,
    "payhub.journal.sql.rows.digits: except ValueError": _RARE,
    "payhub.journal.sql.rows.digits: least = 0": _RARE,
    "payhub.journal.sql.database.Database._enter_process: ": _FORK,
    "payhub.journal.sql.journal.SqlJournal._wrong_key: ": _FORK,
    "payhub.journal.sql.journal.SqlJournal.open: raise ConfigurationError(": _FORK,
    "payhub.journal.sql.journal.SqlJournal.open: record = self.find(": _FORK,
    "payhub.journal.sql.journal.SqlJournal.open: return Opened(msgspec": _FORK,
    "payhub.journal.sql.journal.SqlJournal._lock: raise JournalFailed(": _MISUSE,
    "payhub.journal.sql.journal.SqlJournal.pace: return None": _RARE,
    'payhub.journal.sql.database._complaint: return "it has no tables': _POSTGRES,
    "payhub.journal.sql.engine._write_ahead: ": _LOOKS,
    "payhub.journal.states.contradicts: return False": _RARE,
    "payhub.plans.plan._believed: return _unknown(": _DRIVER,
    "payhub.plans.plan._believed: except msgspec.ValidationError:": _DRIVER,
    "payhub.plans.plan._first: except StopIteration": _DRIVER,
    "payhub.plans.plan._first: return None, done.value": _DRIVER,
    "payhub.plans.plan.creating: _abandon(flow)": _DRIVER,
    'payhub.plans.plan.creating: return _unknown(unknown, "the driver wanted': _DRIVER,
    "payhub.plans.plan.creating: reply = Reply(phase=Phase.MAYBE_SENT": _INTERRUPT,
    "payhub.plans.plan.creating: raise": _DRIVER,
    "payhub.plans.plan.creating: value: Result = answer": _DRIVER,
    "payhub.plans.plan.creating: return value": _DRIVER,
    "payhub.plans.plan.reading: _abandon(flow)": _NO_NETWORK,
    "payhub.plans.plan.reading: raise Unavailable(": _NO_NETWORK,
    "payhub.plans.plan.reading: value: T = answer": _DRIVER,
    "payhub.plans.plan.reading: return value": _DRIVER,
    "payhub.plans.create._opened: return opened": _RARE,
    "payhub.plans.create._remembered: raise Declined(": _DRIVER,
    "payhub.plans.create._sent: came = Evidence(source=Source.ANSWER, state=State.DECLINED": _DRIVER,
    "payhub.plans.create._sent: if known := ": _DRIVER,
    "payhub.plans.create._sent: return known": _BETTER,
    "payhub.plans.create._sent: raise": _DRIVER,
    "payhub.plans.create._sent: result = msgspec.structs.replace(": _INTERRUPT,
    "payhub.plans.create._sent: came = evidence(": _INTERRUPT,
    "payhub.plans.create.found: except JournalFailed": _RARE,
    "payhub.plans.create.found: _log.critical(": _RARE,
    "payhub.plans.create.found: return None": _RARE,
    "payhub.plans.create.recorded: except StopIteration": _DRIVER,
    "payhub.plans.create.recorded: answer: Result = done.value": _DRIVER,
    "payhub.plans.create.recorded: return answer": _DRIVER,
    "payhub.plans.create.recorded: except PayhubError": _DRIVER,
    "payhub.plans.create.recorded: return (yield from _repeated(": _DRIVER,
    'payhub.plans.create.result_of: said["reason"] = ': _RARE,
    'payhub.plans.create.result_of: said["redirect_url"] = ': _PAYMENT,
    "payhub.plans.create.watched: continue": _INTERRUPT,
    "payhub.plans.create.watched: except Exception": _INTERRUPT,
    "payhub.plans.create.watched: call = steps.throw(": _INTERRUPT,
    "payhub.plans.advance._asked: _log.error(": _DRIVER,
    "payhub.plans.advance._ref: raise Unavailable(": _DRIVER,
    "payhub.plans.advance.advancing: raise unknown_order(": _MISUSE,
    "payhub.plans.advance.advancing: raise ConfigurationError(": _MISUSE,
    'payhub.plans.advance.advancing: f"': _MISUSE,
    "payhub.plans.advance.advancing: return record": _RARE,
    "payhub.plans.advance.resolving: raise unknown_order(": _MISUSE,
    "payhub.transport.runner.AsyncRunner._exchange: return Reply(phase=Phase.NOT_SENT": _RARE,
    "payhub.transport.runner.AsyncRunner._try_once: ": _INTERRUPT,
    "payhub.transport.runner.AsyncRunner._wait_for_slot: return None": _PREPARES,
    "payhub.transport.runner.AsyncRunner.run: ": _INTERRUPT,
    "payhub.transport.runner.Runner._exchange: return Reply(phase=Phase.NOT_SENT": _RARE,
    "payhub.transport.runner.Runner._try_once: ": _INTERRUPT,
    "payhub.transport.runner._Runner._publish: return reply": _RARE,
    "payhub.transport.deadline._remaining: raise expired": _NO_NETWORK,
    "payhub.transport.runner._is_worth_repeating: return reply.phase is Phase.NOT_SENT": _NO_NETWORK,
}
"""Say which lines are not reached in functions that are, and why: the function, and how the line begins."""
