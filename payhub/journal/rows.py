"""Write what a journal keeps as rows of its tables, and read it back; no I/O."""

import datetime as dt
from typing import Any

import msgspec

from payhub.journal.records import Entry, Facts, Key, Noted, Notice, Record, Verdict
from payhub.journal.states import Evidence, Source, State
from payhub.models import Exchange
from payhub.money import Money

CHANGING = tuple(name for name in Record.__struct_fields__ if name != "facts")
"""Name the columns of an order that evidence changes."""

_DIGITS = 18
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def ordered(facts: Facts) -> dict[str, Any]:
    """Write what never changes of an order."""
    fields = msgspec.structs.asdict(facts)
    return {**fields, "amount": f"{facts.amount.amount:f}", "currency": facts.amount.currency}


def changed(record: Record) -> dict[str, Any]:
    """Write what changes of an order."""
    written = {
        "state": str(record.state),
        "paid": _digits(record.paid),
        "credited": _digits(record.credited),
        "commission": _digits(record.commission),
        "mismatches": ",".join(record.mismatches) or None,
        "sent_at": micros(record.sent_at),
        "lease_until": micros(record.lease_until),
        "due_at": micros(record.due_at),
        "quiet_until": micros(record.quiet_until),
        "created_at": micros(record.created_at),
        "updated_at": micros(record.updated_at),
    }
    return {name: written[name] if name in written else getattr(record, name) for name in CHANGING}


def record(row: Any) -> Record:
    """Read an order; SQLite has no booleans, and says 0 and 1."""
    facts = Facts(
        account=row.account,
        provider=row.provider,
        kind=row.kind,
        order_id=row.order_id,
        amount=Money(row.amount, row.currency, _DIGITS),
        method=row.method,
        fingerprint=row.fingerprint,
        tail=row.tail,
        payer=row.payer,
    )
    return Record(
        facts=facts,
        state=State(row.state),
        provider_id=row.provider_id,
        provider_status=row.provider_status,
        paid=_money(row.paid, row.currency),
        credited=_money(row.credited, row.currency),
        commission=_money(row.commission, row.currency),
        partial=None if row.partial is None else bool(row.partial),
        reason=row.reason,
        mismatches=tuple(row.mismatches.split(",")) if row.mismatches else (),
        redirect_url=row.redirect_url,
        contradicted=bool(row.contradicted),
        attempts=row.attempts,
        checks=row.checks,
        sent_at=_time(row.sent_at),
        lease_until=_time(row.lease_until),
        due_at=_time(row.due_at),
        notified=bool(row.notified),
        quiet_until=_time(row.quiet_until),
        created_at=_moment(row.created_at),
        updated_at=_moment(row.updated_at),
    )


def exchange(key: Key, row: Any) -> Entry:
    """Read an exchange."""
    found = msgspec.json.decode(row.body, type=Exchange)
    return Entry(at=_moment(row.at), what="exchange", key=key, exchange=found)


def evidence(key: Key, row: Any) -> Entry:
    """Read a piece of evidence."""
    found = msgspec.json.decode(row.body, type=Evidence)
    at, contradicts = _moment(row.at), bool(row.contradicts)
    return Entry(at=at, what="evidence", key=key, evidence=found, contradicts=contradicts, times=row.times)


def act(key: Key, row: Any) -> Entry:
    """Read an operator's act."""
    found = msgspec.json.decode(row.body, type=Evidence)
    return Entry(at=_moment(row.at), what="act", key=key, evidence=found, by=row.by)


def noted(row: Any) -> Noted:
    """Read a notification."""
    return Noted(
        id=row.id,
        notice=notice(row.body),
        verdict=Verdict(row.verdict),
        times=row.times,
        at=_moment(row.at),
        last_at=_moment(row.last_at),
    )


def notice(body: str) -> Notice:
    """Read what a notification says."""
    return msgspec.json.decode(body, type=Notice)


def attempt(key: Key, row: Any) -> Entry:
    """Read that an order was taken for sending."""
    found = Evidence(source=Source.PLAN, state=State.SENDING)
    return Entry(at=_moment(row.at), what="evidence", key=key, evidence=found)


def written(struct: msgspec.Struct) -> str:
    """Write a struct as JSON."""
    return msgspec.json.encode(struct).decode()


def micros(time: dt.datetime | None) -> int | None:
    """Write a time as microseconds since 1970, UTC."""
    return None if time is None else (time - _EPOCH) // dt.timedelta(microseconds=1)


def _time(count: int | None) -> dt.datetime | None:
    return None if count is None else _moment(count)


def _moment(count: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=count)


def _digits(money: Money | None) -> str | None:
    return f"{money.amount:f}" if money else None


def _money(digits: str | None, currency: str) -> Money | None:
    return None if digits is None else Money(digits, currency, _DIGITS)
