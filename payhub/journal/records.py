"""Hold what a journal keeps, and how evidence changes it; no I/O."""

import datetime as dt
import random
from typing import Literal, NamedTuple

import msgspec

from payhub.driver import Schedule
from payhub.journal.states import OPEN, Evidence, IllegalStep, Source, State, allowed, contradicts
from payhub.masking import Clear, Link, Shown
from payhub.models import Exchange, Kind
from payhub.money import Money


class Key(NamedTuple):
    """Name an order: unique in a journal."""

    account: str
    kind: Kind
    order_id: str


class Facts(Shown, frozen=True, kw_only=True):
    """Keep what the application asked for: enough to compare answers, nothing that must not be kept.

    `fingerprint` stands for the whole order; it is keyed, and the key is not in the journal.
    """

    account: Clear[str]
    provider: Clear[str]
    kind: Clear[Kind]
    order_id: Clear[str]
    amount: Clear[Money]
    method: Clear[str]
    fingerprint: str

    @property
    def key(self) -> Key:
        """Return the order's name."""
        return Key(self.account, self.kind, self.order_id)


class Record(Shown, frozen=True, kw_only=True):
    """Say what a journal knows of an order now.

    `attempts` counts sends, `checks` counts questions since the last change. `lease_until` is when
    a sender that has not reported is given up, `due_at` when the provider is to be asked next.
    `contradicted` tells that evidence came which was kept and not applied.
    """

    facts: Clear[Facts]
    state: Clear[State]
    provider_id: Clear[str | None] = None
    provider_status: Clear[str | None] = None
    paid: Clear[Money | None] = None
    credited: Clear[Money | None] = None
    commission: Clear[Money | None] = None
    partial: Clear[bool | None] = None
    reason: Clear[str | None] = None
    mismatches: Clear[tuple[str, ...]] = ()
    redirect_url: Link[str | None] = None
    contradicted: Clear[bool] = False
    attempts: Clear[int] = 0
    checks: Clear[int] = 0
    lease_until: Clear[dt.datetime | None] = None
    due_at: Clear[dt.datetime | None] = None
    created_at: Clear[dt.datetime]
    updated_at: Clear[dt.datetime]


class Entry(Shown, frozen=True, kw_only=True):
    """Tell one thing that happened to an order: a piece of evidence, an exchange, or an operator's act."""

    at: Clear[dt.datetime]
    what: Clear[Literal["evidence", "exchange", "act"]]
    key: Clear[Key | None]
    evidence: Clear[Evidence | None] = None
    contradicts: Clear[bool] = False
    times: Clear[int] = 1
    exchange: Clear[Exchange | None] = None
    by: Clear[str | None] = None


def applied(record: Record, found: Evidence, now: dt.datetime, schedule: Schedule) -> tuple[Record, bool]:
    """Apply evidence to a record; return the new one, and whether the evidence contradicts it.

    What is said is taken over where the step is legal or the state stays; what contradicts leaves
    everything as it was but for the flag. A value that contradicts the order is not taken over, and
    of an answer about another order no value is.

    Raises:
        IllegalStep: an operator wants a step that is not his to take.
    """
    same, legal = found.state is record.state, allowed(record.state, found)
    if found.source is Source.OPERATOR and not legal:
        raise IllegalStep(f"an order that is {record.state} is not an operator's to make {found.state}")
    if not same and not legal:
        contrary = contradicts(record.state, found)
        return msgspec.structs.replace(record, contradicted=record.contradicted or contrary), contrary
    names = set(_TAKEN if _OTHER.isdisjoint(found.mismatches) else _WORDS) - set(found.mismatches)
    said = {name: getattr(found, name) for name in names if getattr(found, name) not in (None, ())}
    if not same:
        said |= {"reason": found.reason, "mismatches": found.mismatches}
    checks = 0 if not same else record.checks + 1
    lease = record.lease_until if found.state is State.SENDING else None
    since = record.updated_at if same else now
    changed = msgspec.structs.replace(
        record, **said, state=found.state, checks=checks, lease_until=lease, updated_at=since
    )
    return msgspec.structs.replace(changed, due_at=next_check(changed, now, schedule)), False


_TAKEN = (
    "provider_id",
    "provider_status",
    "paid",
    "credited",
    "commission",
    "partial",
    "reason",
    "mismatches",
    "redirect_url",
)
_WORDS = ("reason", "mismatches")
_OTHER = frozenset({"order_id", "provider_id"})


def next_check(record: Record, now: dt.datetime, schedule: Schedule) -> dt.datetime | None:
    """Return when the provider is to be asked next; growing pauses, jittered so that orders spread."""
    if record.state not in OPEN:
        return None
    pause = min(schedule.longest, schedule.first * schedule.growth ** min(record.checks, 64))
    return now + dt.timedelta(seconds=pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret


def past_schedule(record: Record, now: dt.datetime, schedule: Schedule) -> bool:
    """Tell whether an open order has waited longer than its driver's schedule asks for."""
    return record.state in OPEN and now - record.created_at > dt.timedelta(seconds=schedule.until)


def overdue_sender(record: Record, now: dt.datetime) -> Evidence | None:
    """Return the evidence that a sender was given up, if its lease has ended."""
    if record.state is not State.SENDING or record.lease_until is None or record.lease_until > now:
        return None
    return Evidence(source=Source.LEASE, state=State.UNKNOWN, reason="the sender did not report in time")
