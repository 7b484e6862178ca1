"""Write what a journal keeps as rows of its tables, and read it back; no I/O.

Amounts are read as they were written: no list of currencies is asked, for a currency may have left it since.
"""

import contextlib
import datetime as dt
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from payhub.journal.reasons import Why
from payhub.journal.records import Damaged, Entry, Facts, Key, NotificationContent, Record, StoredNotification, Verdict
from payhub.journal.states import Evidence, Source, State
from payhub.masking import mask_cards
from payhub.models import Exchange, encodable
from payhub.money import Money, exponent

T = TypeVar("T", NotificationContent, Evidence)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def micros(time: dt.datetime | None) -> int | None:
    """Write a time as microseconds since 1970, UTC."""
    if time is None:
        return None
    since = time - _EPOCH
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def moment(count: int) -> dt.datetime:
    """Read a time, which is written as microseconds since 1970, UTC."""
    return _EPOCH + dt.timedelta(microseconds=count)


def _moment_or_none(count: int | None) -> dt.datetime | None:
    return None if count is None else moment(count)


def digits(money: Money | None) -> str | None:
    """Write an amount with the digits of its currency, so that equal ones are found, whatever digits were allowed."""
    if money is None:
        return None
    try:
        least = exponent(money.currency)
    except ValueError:  # it has left the standard since
        least = 0
    whole, _, fraction = f"{money.amount:f}".partition(".")
    fraction = fraction.rstrip("0").ljust(least, "0")
    return f"{whole}.{fraction}" if fraction else whole


def _money(digits: str | None, currency: str) -> Money | None:
    return None if digits is None else Money.as_written(digits, currency)


# The columns of an order that are not written as they are.
_WRITERS: Mapping[str, Callable[[Any], Any]] = {
    "state": str,
    "why": lambda why: why and str(why),
    "paid": digits,
    "credited": digits,
    "commission": digits,
    "mismatches": lambda names: ",".join(names) or None,
    "sent_at": micros,
    "lease_until": micros,
    "due_at": micros,
    "quiet_until": micros,
    "created_at": micros,
    "updated_at": micros,
}


_CHANGING = tuple((name, _WRITERS.get(name)) for name in Record.__struct_fields__ if name != "facts")
_FOLLOWING = ("provider", "identity", "namespace")
"""The facts of an order that follow the account that sends it."""


def new_order(record: Record) -> dict[str, Any]:
    """Write a new order; what is `None` or empty is left out."""
    facts = record.facts
    fixed = {**msgspec.structs.asdict(facts), "amount": digits(facts.amount), "currency": facts.amount.currency}
    found = {name: value for name, value in fixed.items() if value is not None}
    for name, write in _CHANGING:
        value = getattr(record, name)
        if value is not None and value != ():
            found[name] = write(value) if write else value
    return found


def changed(before: Record, after: Record) -> dict[str, Any]:
    """Write what of an order has changed."""
    found = {
        name: write(value) if write else value
        for name, write in _CHANGING
        if (value := getattr(after, name)) != getattr(before, name)
    }
    if after.facts is not before.facts:
        facts = ((name, getattr(after.facts, name)) for name in _FOLLOWING)
        found |= {name: value for name, value in facts if value != getattr(before.facts, name)}
    return found


_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError)


def _damaged(what: str, key: Key, cause: Exception) -> Damaged:
    order = f"{key.kind} {mask_cards(str(key.order_id))!r} of account {key.account!r}"
    kind = type(cause).__name__
    return Damaged(
        f"the journal failed: {what} of {order} cannot be read ({kind}): it was changed by hand, or is damaged"
    )


@contextlib.contextmanager
def _named(what: str, key: Key) -> Iterator[None]:
    """Name the order of which something cannot be read.

    Raises:
        Damaged: somebody has changed it by hand, or the file is damaged.
    """
    try:
        yield
    except _UNREADABLE as cause:
        raise _damaged(what, key, cause) from cause


def record(row: Any) -> Record:
    """Read an order.

    Raises:
        Damaged: somebody has changed its row by hand, so that it cannot be read; the order is named.
    """
    try:
        return _record(row)
    except _UNREADABLE as cause:
        raise _damaged("the row", Key(row.account, row.kind, row.order_id), cause) from cause


def readable(found: Iterable[Any], damaged: Callable[[Key, str], object]) -> Iterator[Record]:
    """Read orders; one that cannot be read keeps nobody from the others, and `damaged` is called with it."""
    for row in found:
        try:
            yield record(row)
        except Damaged as cause:
            damaged(Key(row.account, row.kind, row.order_id), str(cause))


def _record(row: Any) -> Record:
    """Read an order; SQLite has no booleans, and says 0 and 1."""
    facts = Facts(
        account=row.account,
        provider=row.provider,
        namespace=row.namespace,
        kind=row.kind,
        order_id=row.order_id,
        amount=Money.as_written(row.amount, row.currency),
        method=row.method,
        fingerprint=row.fingerprint,
        identity=row.identity,
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
        why=None if row.why is None else Why(row.why),
        http_status=row.http_status,
        reason=row.reason,
        mismatches=tuple(row.mismatches.split(",")) if row.mismatches else (),
        redirect_url=row.redirect_url,
        contradicted=bool(row.contradicted),
        resolved=bool(row.resolved),
        overruled=bool(row.overruled),
        attempts=operator.index(row.attempts),  # SQLite keeps anything in a column of numbers
        checks=operator.index(row.checks),
        sent_at=_moment_or_none(row.sent_at),
        lease_until=_moment_or_none(row.lease_until),
        due_at=_moment_or_none(row.due_at),
        notified=bool(row.notified),
        quiet_until=_moment_or_none(row.quiet_until),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


def as_json(struct: msgspec.Struct) -> str:
    """Write a struct as JSON."""
    return msgspec.json.encode(struct, enc_hook=encodable).decode()


_AMOUNTS = ("requested", "paid", "credited", "commission")


def _read(body: str, shape: type[T]) -> T:
    """Read a struct from JSON; its amounts are put in afterwards, for a decoder would check them anew."""
    fields = msgspec.json.decode(body)
    written = {name: fields.pop(name) for name in _AMOUNTS if fields.get(name)}
    amounts = {
        name: Money.as_written(msgspec.convert(money["amount"], Decimal), money["currency"])  # 1E-18 is such a text
        for name, money in written.items()
    }
    return msgspec.structs.replace(msgspec.convert(fields, type=shape), **amounts)


def read_content(body: str) -> NotificationContent:
    """Read what a notification says."""
    return _read(body, NotificationContent)


def read_evidence(body: str) -> Evidence:
    """Read what a piece of evidence says."""
    return _read(body, Evidence)


def attempt(key: Key, row: Any) -> Entry:
    """Read that an order was taken for sending."""
    found = Evidence(source=Source.PLAN, state=State.SENDING)
    with _named("an attempt", key):
        return Entry(at=moment(row.at), what="evidence", key=key, evidence=found)


def exchange(key: Key, row: Any) -> Entry:
    """Read an exchange."""
    with _named("an exchange", key):
        found = msgspec.json.decode(row.body, type=Exchange)
        return Entry(at=moment(row.at), what="exchange", key=key, exchange=found)


def evidence(key: Key, row: Any) -> Entry:
    """Read a piece of evidence."""
    with _named("a piece of evidence", key):
        return Entry(
            at=moment(row.at),
            what="evidence",
            key=key,
            evidence=read_evidence(row.body),
            contradicts=bool(row.contradicts),
            times=row.times,
            last_at=moment(row.last_at) if row.times > 1 else None,
        )


def act(key: Key, row: Any) -> Entry:
    """Read an operator's act."""
    with _named("an act", key):
        found, contradicts = read_evidence(row.body), bool(row.contradicts)
        return Entry(at=moment(row.at), what="act", key=key, evidence=found, contradicts=contradicts, by=row.by)


def notification(row: Any) -> StoredNotification:
    """Read a notification."""
    with _named("a notification", Key(row.account, row.kind, row.order_id)):
        return StoredNotification(
            id=row.id,
            content=read_content(row.body),
            verdict=Verdict(row.verdict),
            times=row.times,
            at=moment(row.at),
            last_at=moment(row.last_at),
        )
