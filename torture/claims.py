"""Check what must be true once nothing is open any more: the judge's counts against the journal's rows."""

import functools
from collections.abc import Collection, Iterable

import msgspec
import sqlalchemy as sa

from payhub import Hub
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.tables import tables
from payhub.journal.states import EDGES, Evidence, Source, State
from torture.judge import Verdict
from torture.processes import start
from torture.shop import ACCOUNT, Row, Shop, retry, sweep

_PAID = frozenset({State.SUCCEEDED})
_NEVER_ACCEPTED = frozenset({State.NEEDS_ATTENTION, State.NOT_SENT})


def finish(shop: Shop, hub: Hub, submitted: Collection[str]) -> list[str]:
    """End an experiment as an application does: sweep until all is known, submit again, and once more.

    Then each order that needs attention is asked about, as `payhub check` does. Two processes do it side
    by side; the hub must not have been used in this one.
    """
    order_ids = sorted(submitted)
    problems: list[str] = []
    seconds = 60 + len(order_ids) // 20

    def restarted(half: int) -> list[str]:
        mine = order_ids[half::2]
        with hub:
            return [
                *sweep(hub, shop.database, seconds),
                *retry(hub, mine),
                *sweep(hub, shop.database, seconds),
                *_attended(hub, shop, mine),
                *sweep(hub, shop.database, seconds),
                *retry(hub, mine),
            ]

    children = [start(functools.partial(restarted, half), seconds=4 * seconds) for half in (0, 1)]
    for child in children:
        try:
            problems += child.returned(list[str])
        except RuntimeError as cause:
            problems.append(str(cause))
    return problems


def _attended(hub: Hub, shop: Shop, order_ids: Collection[str]) -> list[str]:
    """Ask about the orders that need attention."""
    rows = shop.rows()
    for order_id in order_ids:
        if order_id in rows and rows[order_id].state is State.NEEDS_ATTENTION:
            hub.advance(ACCOUNT, "payout", order_id)
    return []


def find_broken_claims(
    shop: Shop, submitted: Collection[str], *, excused: Collection[str] = (), called_failed: Collection[str] = ()
) -> list[str]:
    """Return every claim that does not hold.

    The judge's payouts are all paid in the end. `excused` are orders about which it lied, so that
    they may wait for a person. Of those that a person has `called_failed` the journal may say so, too, and be
    contradicted; nothing else is excused, and least of all that they were sent again.
    """
    verdict, rows = shop.judge.verdict(), shop.rows()
    problems = [
        f"{order_id}: sent without a row in the journal" for order_id in sorted(set(verdict.received) - set(rows))
    ]
    problems += [f"{order_id}: in the journal, but never submitted" for order_id in sorted(set(rows) - set(submitted))]
    for order_id in sorted(submitted):
        row = rows.get(order_id)
        if row is None:
            problems.append(f"{order_id}: submitted, and not in the journal")
        else:
            doubt = {State.NEEDS_ATTENTION} if order_id in excused else set[State]()
            doubt |= {State.FAILED} if order_id in called_failed else set()
            problems += [f"{order_id}: {words}" for words in _wrong(order_id, row, verdict, doubt)]
    return problems + illegal_steps(shop.database)


def _wrong(order_id: str, row: Row, verdict: Verdict, excused: Collection[State]) -> Iterable[str]:
    """Say what is wrong with an order; the `excused` states it may be in besides, and then be contradicted."""
    accepted, received = verdict.accepted.get(order_id, 0), verdict.received.get(order_id, 0)
    if accepted > 1:
        yield f"accepted {accepted} times"
    elif received > 1:
        yield f"sent {received} times"
    legal = _PAID if accepted else _NEVER_ACCEPTED
    if row.state not in {*legal, *excused}:
        yield f"{'accepted' if accepted else 'never accepted'}, and the journal says {row.state}"
    if row.due or row.state.open:
        yield f"still {row.state}, due: {row.due}"
    if row.contradicted and not excused:
        yield "flagged as contradicted, although the provider said nothing but the truth"


def illegal_steps(database: str) -> list[str]:
    """Walk every order's evidence through the state machine: legal steps only, and it ends where the row says."""
    journal = SqlJournal(database)
    t = tables("payhub_")
    with journal.database.engine.connect() as connection:
        orders = connection.execute(sa.select(t.orders)).all()
        kept = [*connection.execute(sa.select(t.evidence).where(~t.evidence.c.contradicts)).all()]
        kept += connection.execute(sa.select(t.acts).where(~t.acts.c.contradicts)).all()
        numbers = connection.execute(sa.select(t.attempts.c.order, sa.func.count()).group_by(t.attempts.c.order)).all()
    journal.close()
    attempts = {row[0]: row[1] for row in numbers}
    evidence: dict[int, list[Evidence]] = {}
    for row in sorted(kept, key=lambda row: row.at):
        evidence.setdefault(row.order, []).append(msgspec.json.decode(row.body, type=Evidence))
    problems = []
    for row in orders:
        # An order whose notification came before it was created is not sent here, and goes on as if it had been.
        left, state = attempts.get(row.id, 0) - 1, State.SENDING
        over = False  # the schedule is: that the provider still works on it takes the order from nobody's hands
        for found in evidence.get(row.id, ()):
            legal = found.source in EDGES[state].get(found.state, frozenset())
            if legal and not (over and found.state is State.PENDING):
                state, over = found.state, found.source is Source.SCHEDULE
            if state is State.NOT_SENT and left > 0:
                left, state = left - 1, State.SENDING
        if (state, left) != (State(row.state), 0 if attempts.get(row.id) else -1):
            problems.append(f"{row.order_id}: its evidence leads to {state}, the journal says {row.state}")
    return problems
