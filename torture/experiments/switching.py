"""Let workers switch between accounts by hand, and count what all their providers accepted together.

Every worker carries the README's loop: on any `PayhubError` it tries the next account. Each order is
delivered several times, at once and later, in other spellings, in any order of the accounts, by
workers that are killed and frozen and that have an account renamed, broken or vetoed; providers
refuse connections now and then, and some answers are cut. The two parts before that are certain
rather than likely: all accounts are given one order at the same instant, and an order that was sent
is delivered to deployments with each thing wrong.
"""

import asyncio
import contextlib
import functools
import multiprocessing
import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

from payhub import Hub, JournalFailed, Status
from payhub.journal import Record, State, rules
from payhub.journal.sql import SqlJournal
from torture.claims import illegal_steps
from torture.experiments.kills import Deed, Work, chaos
from torture.judge import Fault, Judge, Verdict
from torture.market import (
    BROKEN,
    SPELLINGS,
    Calls,
    Market,
    Told,
    deliver,
    deliver_async,
    order_id,
    provider_of,
    spelled,
)
from torture.postgres import Postgres
from torture.processes import start
from torture.report import Bench, Finding, Found
from torture.shop import Row, Stream, read_rows, sweep

_PATIENCE = 60.0
_ANSWERED = 0.03  # seconds that an answer takes at most
_BUSY = ("NotSent", "JournalFailed")
_LONGEST = 3500  # seconds
_WORKERS = 4
_NAMES = ("a", "b", "c")

_LOST_ANSWERS = (
    Fault(cut=0, end="close"),
    Fault(cut=0, end="reset"),
    Fault(cut=30, end="close"),
    Fault(status=503, body="busy", kind="text/plain"),
)
"""Answers to a create that was accepted; every seventh order has one of them, with every account."""


def by_hand(bench: Bench) -> Found:
    """Deliver `trials` orders to workers, a quarter with each journal and number of accounts; and what is certain.

    Some of these orders are never drawn: a twentieth.
    """
    found = []
    with Postgres(bench.directory / "server") as server:
        journals = {"SQLite": lambda _: "sqlite:///payhub.db", "PostgreSQL": server.database}
        for number, (title, journal) in enumerate(journals.items()):
            races = max(3, bench.trials // 50)
            problems = meet(bench.beside(f"meet-{number}", races), journal(f"meeting{number}"))
            fault = f"given to three accounts at the same instant, {title}"
            found.append(Finding(fault=fault, trials=races, failures=tuple(problems)))
        found += [
            Finding(fault=f"sent, then delivered again with {how}", trials=trials, failures=tuple(problems))
            for how, trials, problems in (
                ("an account removed, renamed, broken or vetoed", *to_broken(bench.beside("broken", 0))),
                ("another spelling", *in_other_words(bench.beside("spellings", 0))),
            )
        ]
        # Side by side: most of their time is spent waiting.
        running = {}
        for title, journal in journals.items():
            for accounts in (2, 3):
                name = f"{title.lower()}{accounts}"
                here = bench.beside(name, max(bench.trials // 4, 1))
                one = functools.partial(work, here, journal(name), _NAMES[:accounts])
                running[f"workers with redelivery, {accounts} accounts, {title}"] = start(one, seconds=_LONGEST)
        for fault, child in running.items():
            problems, orders, calls = child.returned(tuple[list[str], int, int])
            found.append(Finding(fault=f"{fault} ({calls} calls)", trials=orders, failures=tuple(problems)))
    return Found(found, [_NOTE])


_NOTE = (
    "The claims: the providers of all accounts together accepted each order **once**, none twice and none never; a "
    "call for an order that a provider had accepted before the call began raised nothing that says otherwise and "
    "named the account that has it; one leg is `succeeded`, with the account whose provider accepted it. What a killed "
    "sender had taken and never sent is settled by an operator, by the provider's word, and then created with "
    "another account."
)


@contextlib.contextmanager
def _market(bench: Bench, journal: str, names: Collection[str]) -> Iterator[tuple[Market, Calls]]:
    with contextlib.ExitStack() as stack:
        judges = {name: stack.enter_context(Judge()) for name in names}
        for judge in judges.values():
            judge.order(waits=0)
        market = Market(directory=bench.directory, judges=judges, journal=journal)
        market.prepare()
        yield market, Calls(bench.directory / "calls")


# At the same instant


def meet(bench: Bench, journal: str) -> list[str]:
    """Let one process for each account take the same order at the same instant, `trials` times.

    In PostgreSQL they meet between the look at the order's legs and the writing of one: none has seen
    another's, and nothing but the database can keep them apart. SQLite has one writer, so they meet before.
    """
    with _market(bench, journal, _NAMES) as (market, calls):
        line = multiprocessing.get_context("fork").Barrier(len(_NAMES))

        def race(name: str) -> list[str]:
            with market.hub() as hub:
                hub.registry.account(name)
                hub.sweep()  # the tables are there, and the connection
                with _meeting(line) if "postgresql" in journal else contextlib.nullcontext():
                    for number in range(bench.trials):
                        line.wait(_PATIENCE)
                        deliver(hub, [name], spelled(number, 0), calls)
            return []

        racers = [start(functools.partial(race, name)) for name in _NAMES]
        for racer in racers:
            racer.returned(list[str])
        return _end(bench, market, calls, range(bench.trials))


@contextlib.contextmanager
def _meeting(line: Any) -> Iterator[None]:
    """Let this process wait for the others when it has looked at an order's legs for the first time."""
    look, opened, seen = rules.live_leg, SqlJournal.open, {"met": False}

    def live_leg(legs: Iterable[Record]) -> Record | None:
        leg = look(legs)
        if not seen["met"]:
            seen["met"] = True
            line.wait(_PATIENCE)
        return leg

    def anew(*arguments: Any) -> Any:
        seen["met"] = False
        return opened(*arguments)

    with mock.patch.object(rules, "live_leg", live_leg), mock.patch.object(SqlJournal, "open", anew):
        yield


# What was sent is delivered again


def to_broken(bench: Bench) -> tuple[int, list[str]]:
    """Deliver orders that were sent, answered or not, to deployments with each thing wrong with any account."""

    def again(market: Market, calls: Calls) -> list[str]:
        for number, (how, name, _) in enumerate(cases):
            deployed = market.hub(how, name)
            with deployed as hub:
                deliver(hub, [*market.judges, f"{name}-renamed"], spelled(number, 0), calls)
        return []

    cases = [(how, name, cut) for how in BROKEN for name in _NAMES for cut in (False, True)]
    return len(cases), _sent_before(bench, [cut for *_, cut in cases], again)


def in_other_words(bench: Bench) -> tuple[int, list[str]]:
    """Deliver orders that were sent, answered or not, in every spelling."""

    def again(market: Market, calls: Calls) -> list[str]:
        with market.hub() as hub:
            for number in range(orders):
                for spelling in range(1, SPELLINGS):
                    deliver(hub, [*market.judges], spelled(number, spelling), calls)
        return []

    orders = 24  # of each kind of id and destination some
    cuts = [number % 2 == 0 for number in range(orders)]
    return orders * (SPELLINGS - 1), _sent_before(bench, cuts, again)


def _sent_before(bench: Bench, cuts: Sequence[bool], again: Callable[[Market, Calls], list[str]]) -> list[str]:
    """Send plain orders with the first account, the answers to some of them cut, and let them be delivered again."""
    with _market(bench, "sqlite:///payhub.db", _NAMES) as (market, calls):
        first = market.judges[_NAMES[0]]
        first.order({str(order_id(number)): _LOST_ANSWERS[:1] for number, cut in enumerate(cuts) if cut}, waits=-1)

        def sent() -> list[str]:
            with market.hub() as hub:
                for number in range(len(cuts)):
                    _until_taken(hub, _NAMES[:1], number, calls)
            return again(market, calls)

        problems = start(sent, seconds=300).returned(list[str])
        first.order(waits=0)
        return problems + _end(bench, market, calls, range(len(cuts)))


def _until_taken(hub: Hub, names: Sequence[str], number: int, calls: Calls, spelling: int = 0) -> Status | None:
    """Deliver an order until an account takes it: what was not sent, because the machine is busy, is sent again."""
    end = time.monotonic() + _PATIENCE
    while True:
        taken = deliver(hub, names, spelled(number, spelling), calls)
        if taken is not None or calls.last not in _BUSY or time.monotonic() > end:
            return None if taken is None else taken.status


# Workers


def work(bench: Bench, journal: str, names: Sequence[str]) -> tuple[list[str], int, int]:
    """Let workers pay `trials` orders; return the broken claims, and how many orders and calls there were."""
    stream, chance = Stream("m"), bench.chance("switching", *names)
    with _market(bench, journal, names) as (market, calls):
        for name, judge in market.judges.items():
            lost = {str(order_id(n)): [bench.chance(name, n).choice(_LOST_ANSWERS)] for n in range(3, bench.trials, 7)}
            judge.order(lost, delay=_ANSWERED)
        works = (*(_working(market, stream, calls),) * (_WORKERS - 1), _concurrently(market, stream, calls))
        deeds = _deeds(chance, [*market.judges.values()], stream, bench.trials)
        problems = chaos(chance, works, stream, deeds, pause=0.1, frozen=market.lease * 1.3)
        for judge in market.judges.values():
            judge.order(shut=False)
        numbers = sorted(int(name.rpartition("-")[2]) for name in stream.submitted())
        problems += _end(bench, market, calls, numbers)
        return problems, len(numbers), len(calls.read())


def _deeds(chance: random.Random, judges: Sequence[Judge], stream: Stream, orders: int) -> Iterator[Deed]:
    """Kill, freeze, and let one provider refuse connections for a while, until so many orders were handed out."""
    shut: list[Judge] = []

    def turn() -> None:
        if shut:
            shut.pop().order(shut=False)
        else:
            shut.append(chance.choice(judges))
            shut[0].order(shut=True)

    # A worker that is frozen while it writes holds up all others, with SQLite: this is what takes long.
    deeds: Sequence[Deed] = ("freeze", "kill", "kill", "kill", turn, turn, turn)
    while stream.begun < orders:
        yield chance.choice(deeds)


def _deployed(market: Market, chance: random.Random) -> tuple[str | None, str]:
    """Choose a deployment: half of them are whole."""
    return chance.choice([None, chance.choice([*BROKEN])]), chance.choice([*market.judges])


def _drawn(market: Market, stream: Stream, chance: random.Random) -> tuple[list[str], int, int]:
    """Choose a delivery: the accounts in any order, under names old and new, an order, and its spelling."""
    names = [f"{name}-renamed" if chance.randrange(4) == 0 else name for name in market.judges]
    names += [*market.judges]
    chance.shuffle(names)
    return names, int(stream.take(chance).rpartition("-")[2]), chance.randrange(SPELLINGS)


def _working(market: Market, stream: Stream, calls: Calls) -> Work:
    def work(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - no secret
        with market.hub(*_deployed(market, chance)) as hub:
            while True:
                names, number, spelling = _drawn(market, stream, chance)
                deliver(hub, names, spelled(number, spelling), calls)
                if chance.randrange(5) == 0:
                    with contextlib.suppress(JournalFailed):  # SQLite is locked while a writer is frozen
                        hub.sweep(5)

    return work


def _concurrently(market: Market, stream: Stream, calls: Calls) -> Work:
    async def one(hub: Any, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - no secret
        while True:
            names, number, spelling = _drawn(market, stream, chance)
            await deliver_async(hub, names, spelled(number, spelling), calls)
            if chance.randrange(5) == 0:
                with contextlib.suppress(JournalFailed):
                    await hub.sweep(5)

    async def work(seed: int) -> None:
        deployed = _deployed(market, random.Random(seed))  # noqa: S311 - no secret
        async with market.async_hub(*deployed) as hub:
            await asyncio.gather(*(one(hub, seed + number) for number in range(3)))

    return lambda seed: asyncio.run(work(seed))


# The end, and what must be true then


def _end(bench: Bench, market: Market, calls: Calls, numbers: Sequence[int]) -> list[str]:
    """Sweep, deliver all again, ask about what needs attention, let an operator decide; then look at every claim."""
    seconds = 60 + len(numbers) // 10
    problems: list[str] = []

    def finished(half: int) -> list[str]:
        chance, mine = bench.chance("end", half), numbers[half::2]
        swept = functools.partial(sweep, database=market.database, seconds=seconds)
        with market.hub() as hub:
            return [
                *swept(hub),
                *_redelivered(hub, market, chance, mine, calls),
                *swept(hub),
                *_attended(hub, market, mine),
                *swept(hub),
                *_decided(hub, market, mine),
                *_redelivered(hub, market, chance, mine, calls),
                *swept(hub),
                *_redelivered(hub, market, chance, mine, calls, expected=Status.SUCCEEDED),
            ]

    for child in [start(functools.partial(finished, half), seconds=int(6 * seconds)) for half in (0, 1)]:
        try:
            problems += child.returned(list[str])
        except RuntimeError as cause:
            problems.append(str(cause))
    return problems + _broken_claims(market, calls, numbers)


def _redelivered(
    hub: Hub,
    market: Market,
    chance: random.Random,
    numbers: Iterable[int],
    calls: Calls,
    *,
    expected: Status | None = None,
) -> list[str]:
    """Deliver orders once more, in any spelling and order of the accounts; some account answers for each."""
    problems = []
    for number in numbers:
        names = [*market.judges]
        chance.shuffle(names)
        status = _until_taken(hub, names, number, calls, chance.randrange(SPELLINGS))
        if status is None:
            problems.append(f"{order_id(number)}: lost: no account takes it")
        elif expected not in (None, status):
            problems.append(f"{order_id(number)}: told {status} in the end")
    return problems


def _needing(market: Market, numbers: Iterable[int]) -> list[Row]:
    mine = {str(order_id(number)) for number in numbers}
    return [row for row in read_rows(market.database) if row.state is State.NEEDS_ATTENTION and row.order_id in mine]


def _attended(hub: Hub, market: Market, numbers: Iterable[int]) -> list[str]:
    """Ask about the orders that need attention."""
    for row in _needing(market, numbers):
        hub.advance(row.account, "payout", row.order_id)
    return []


def _decided(hub: Hub, market: Market, numbers: Iterable[int]) -> list[str]:
    """Let an operator say what became of the orders that no provider knows: their senders died before sending."""
    for row in _needing(market, numbers):
        if not market.accepted(row.order_id):
            hub.resolve(
                row.account, "payout", row.order_id, "failed", reason="the provider never had it", by="operator"
            )
    return []


def _broken_claims(market: Market, calls: Calls, numbers: Sequence[int]) -> list[str]:
    """Return every claim that does not hold."""
    verdicts = {name: judge.verdict() for name, judge in market.judges.items()}
    submitted = {str(order_id(number)) for number in numbers}
    legs: dict[str, list[Row]] = defaultdict(list)
    for row in read_rows(market.database):
        legs[row.order_id].append(row)
    problems = [f"{known}: in the journal, but never submitted" for known in sorted(set(legs) - submitted)]
    for known in sorted(submitted):
        problems += [f"{known}: {words}" for words in _wrong(verdicts, known, legs[known])]
    problems += [f"{told.order_id}: {words}" for told in calls.read() for words in _told_wrongly(verdicts, told)]
    return problems + illegal_steps(market.database)


def _wrong(verdicts: Mapping[str, Verdict], known: str, legs: Sequence[Row]) -> Iterable[str]:
    accepted = {name: times for name, verdict in verdicts.items() if (times := verdict.accepted.get(known, 0))}
    received = sum(verdict.received.get(known, 0) for verdict in verdicts.values())
    if not accepted:
        yield "lost: never accepted"
    elif sum(accepted.values()) > 1:
        yield f"accepted {sum(accepted.values())} times: {accepted}"
    elif received > 1:
        yield f"sent {received} times"
    paid = [provider_of(row.account) for row in legs if row.state is State.SUCCEEDED]
    if paid != [*accepted]:
        yield f"accepted by {[*accepted]}, and the journal says paid by {paid}"
    for row in legs:
        if row.state not in {State.SUCCEEDED, State.NOT_SENT, State.FAILED} or row.due:
            yield f"still {row.state} with {row.account}, due: {row.due}"
        if row.contradicted:
            yield f"flagged as contradicted with {row.account}, although the providers said nothing but the truth"


_LIVE_WORDS = frozenset({Status.PENDING, Status.UNKNOWN, Status.SUCCEEDED})


def _told_wrongly(verdicts: Mapping[str, Verdict], told: Told) -> Iterable[str]:
    """Compare what a call was told with who had accepted the order before it began; a journal may always fail."""
    having = [name for name, verdict in verdicts.items() if verdict.since.get(told.order_id, told.began) < told.began]
    if not having or told.word == "JournalFailed":
        return
    if told.word not in _LIVE_WORDS:
        yield f"told {told.word} with {told.account}, although {having[0]} had accepted it"
    elif provider_of(told.by or "") not in having:
        yield f"told {told.word} by the record of {told.by}, although {having[0]} had accepted it"
