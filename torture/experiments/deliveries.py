"""Kill receivers between keeping a notification and answering it, and send one message very often.

The provider sends again what was not answered, to another process. Whatever happens meanwhile, the
journal has the message once, with a count, and the order is settled once, by the provider's answer.
"""

import functools
import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

import msgspec
import sqlalchemy as sa

from payhub import Hub
from payhub.journal import Evidence, State, StoredNotification, Verdict
from payhub.journal.sql import SqlJournal
from payhub.receivers import asgi
from torture.claims import illegal_steps
from torture.judge import Fault, Judge
from torture.processes import KILLED, call, wait_until
from torture.report import Bench, Finding, Found
from torture.sender import Endpoint, Signed, deliver, sign
from torture.shop import Shop, submit, sweep

_PATIENCE = 60.0


def shop(bench: Bench, judge: Judge) -> Shop:
    """Make the application of these experiments."""
    return Shop(directory=bench.directory / "shop", judge=judge, journal="sqlite:///payhub.db", window=1.0)


def _paid_out(shop: Shop, hub: Hub, order_ids: Sequence[str]) -> list[Signed]:
    """Make payouts in a process of their own; return the notifications that they are paid."""

    def create() -> list[Signed]:
        with hub:
            return [sign(shop.keys, name, submit(hub, name, shop.judge)) for name in order_ids]

    return call(create, list[Signed], seconds=600)


# Killed between keeping and answering


def kill_receivers(bench: Bench) -> Found:
    """Kill `trials` receivers when they have kept a notification, and a third as many before they keep it."""
    counts = {"when it is kept, before it is answered": bench.trials, "before it is kept": max(1, bench.trials // 3)}
    with Judge() as judge:
        problems = redeliver(bench, shop(bench, judge), *counts.values())
    return Found(
        [
            Finding(fault=f"SIGKILL {fault}; then sent again", trials=count, failures=tuple(problems[kept]))
            for kept, (fault, count) in zip((True, False), counts.items(), strict=True)
        ]
    )


def redeliver(bench: Bench, shop: Shop, after: int, before: int) -> dict[bool, list[str]]:
    """Let receivers die, deliver again, and return the broken claims: by whether the dead one had kept it."""
    shop.judge.order(waits=0)
    hub, other = shop.hub(), shop.async_hub()
    names = [f"kept-{number}" for number in range(after)] + [f"lost-{number}" for number in range(before)]
    messages = _paid_out(shop, hub, names)
    bench.chance("deaths").shuffle(messages)
    problems: list[str] = []
    with Endpoint() as endpoint:
        for number, message in enumerate(messages):
            app = functools.partial(asgi, (hub, other)[number % 2])
            dead = endpoint.receiver(app, functools.partial(_die, kept=message.order_id.startswith("kept")))
            answers = [endpoint.deliver(message)]
            code = dead.code()
            alive = endpoint.receiver(app)
            answers.append(endpoint.deliver(message))
            alive.signal(signal.SIGKILL)  # also in the middle of its question
            alive.code()
            if (answers, code) != ([None, 200], KILLED):
                problems.append(f"{message.order_id}: answered {answers}, and the dead process ended with {code}")
    problems += call(functools.partial(_swept, hub, shop), list[str], seconds=600)
    asked = shop.judge.verdict().asked
    for name, found in _looked_up(shop, names).items():
        times = 2 if name.startswith("kept") else 1
        problems += [f"{name}: {words}" for words in _wrong(found, times, asked.get(name, 0), most=times + 2)]
    problems += illegal_steps(shop.database)
    return {kept: [p for p in problems if p.startswith("lost") is not kept] for kept in (True, False)}


def _die(*, kept: bool) -> None:
    """Let this process die by the first notification: when it is kept, or before."""
    keep = SqlJournal.keep_notification

    def dies(*arguments: Any, **named: Any) -> None:
        if kept:
            keep(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    mock.patch.object(SqlJournal, "keep_notification", dies).start()


def _swept(hub: Hub, shop: Shop) -> list[str]:
    with hub:
        return sweep(hub, shop.database, _PATIENCE)


class _Known(msgspec.Struct, frozen=True):
    """What the journal knows of an order, read from the outside."""

    state: State
    notified: bool
    notes: Sequence[StoredNotification]
    settled: int


def _looked_up(shop: Shop, names: Sequence[str]) -> Mapping[str, _Known]:
    def look() -> dict[str, _Known]:
        journal = SqlJournal(shop.database)
        found = {}
        for name in names:
            (record,), entries = journal.story(name)
            said = [entry.evidence for entry in entries if entry.evidence and not entry.contradicts]
            settled = sum(_settles(evidence) for evidence in said)
            found[name] = _Known(record.state, record.notified, journal.notifications(100, order_id=name), settled)
        journal.close()
        return found

    return call(look, dict[str, _Known], seconds=600)


def _settles(found: Evidence) -> bool:
    return found.state is State.SUCCEEDED


def _wrong(found: _Known, times: int, asked: int, *, most: int) -> list[str]:
    """Return what is not as it must be of an order that the provider has paid."""
    kept = [(stored.times, stored.verdict) for stored in found.notes]
    problems = []
    if kept != [(times, Verdict.CONFIRMED)]:
        problems.append(f"delivered {times} times and kept, and the journal has {kept}")
    if (found.state, found.settled, found.notified) != (State.SUCCEEDED, 1, False):
        problems.append(f"{found.state}, settled {found.settled} times, a notification waits: {found.notified}")
    if not 1 <= asked <= most:
        problems.append(f"the provider was asked {asked} times")
    return problems


# One message, very often


def replay_messages(bench: Bench) -> Found:
    """Deliver one genuine message `trials` times, of a payout that is paid, and of one that is not."""
    with Judge() as judge:
        problems, seconds, asked = replay(shop(bench, judge), bench.trials)
    rate = 2 * bench.trials / seconds
    note = f"{rate:.0f} deliveries a second; the provider was asked {asked} times in {seconds:.1f} seconds, window 1 s."
    return Found(
        [
            Finding(fault=f"the same message again, {name}", trials=bench.trials, failures=tuple(problems[name]))
            for name in _REPLAYED
        ],
        [note],
    )


_REPLAYED = {
    "paid": ({State.SUCCEEDED}, Verdict.CONFIRMED),
    "contradicted": ({State.PENDING, State.NEEDS_ATTENTION}, Verdict.WAITING),  # its schedule may end meanwhile
}
"""What the provider's answers make of the two orders, and of what the message says."""


def replay(shop: Shop, count: int) -> tuple[dict[str, list[str]], float, dict[str, int]]:
    """Deliver, and return the broken claims, the seconds it took, and how often the provider was asked."""
    still = Fault(on="status", change={"payment_status": "wait", "payment_amount": None}, times=0)
    shop.judge.order({"contradicted": [still]}, waits=0)
    hub = shop.hub()
    messages = _paid_out(shop, hub, list(_REPLAYED))
    with Endpoint() as endpoint:
        receiver = endpoint.receiver(lambda: asgi(hub))
        first = [endpoint.deliver(message) for message in messages]
        wait_until(lambda: shop.rows()["paid"].state is State.SUCCEEDED, _PATIENCE)
        before, began = _size(shop), time.monotonic()
        answers = call(functools.partial(_delivered, endpoint, messages, count - 1), dict[str, int], seconds=3000)
        seconds = time.monotonic() - began
        wait_until(lambda: _idle(shop), _PATIENCE)
        receiver.signal(signal.SIGKILL)
        receiver.code()
    asked = dict(shop.judge.verdict().asked)
    found = _looked_up(shop, list(_REPLAYED))
    bound = int(seconds) + 2
    problems = {name: _changed(found[name], name, count, asked.get(name, 0), bound) for name in _REPLAYED}
    if first != [200, 200] or answers != {"200": 2 * (count - 1)}:
        problems["paid"].append(f"answered {first} and {answers}")
    grown = _size(shop) - before
    if grown > _ROOM + _EACH * sum(asked.values()):
        problems["paid"].append(f"the journal grew by {grown} bytes")
    problems["paid"] += illegal_steps(shop.database)
    return problems, seconds, asked


_ROOM = 64 * 1024
_EACH = 4 * 1024  # bytes that a question and its answer take at most


def _delivered(endpoint: Endpoint, messages: Sequence[Signed], count: int) -> dict[str, int]:
    answers: dict[str, int] = {}
    connection = endpoint.connection()
    for _ in range(count):
        for message in messages:
            status = str(deliver(connection, message))
            answers[status] = answers.get(status, 0) + 1
    connection.close()
    return answers


def _changed(found: _Known, name: str, count: int, asked: int, bound: int) -> list[str]:
    """Return what many replays have changed."""
    states, verdict = _REPLAYED[name]
    kept = [(stored.times, stored.verdict) for stored in found.notes]
    problems = [] if kept == [(count, verdict)] else [f"delivered {count} times, and the journal has {kept}"]
    problems += [] if found.state in states else [f"the order is {found.state}"]
    problems += [] if 1 <= asked <= bound else [f"the provider was asked {asked} times, {bound} are allowed"]
    return problems


def _size(shop: Shop) -> int:
    """Return how many bytes the journal takes, its log included."""

    def measured() -> int:
        engine = sa.create_engine(shop.database)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
        return sum(path.stat().st_size for path in shop.directory.glob("payhub.db*"))

    return call(measured, int)


def _idle(shop: Shop) -> bool:
    """Tell whether no question is under way: what it would change has been the same for a while."""
    before = shop.judge.verdict().asked
    time.sleep(shop.deadline)
    return before == shop.judge.verdict().asked
