"""Look orders up in the journal; where it does not have one, say which one may be meant."""

import datetime as dt
import shlex
from collections.abc import Iterator

from payhub.cli.console import listed
from payhub.errors import NotFound, UnknownOrder
from payhub.journal import Entry, Journal, Key, OrderFilter, Record, State
from payhub.journal.records import unknown_order


def find_record(journal: Journal, key: Key) -> Record:
    """Return what is known of an order.

    Raises:
        UnknownOrder: the journal does not have it; those that may be meant are named.
    """
    record = journal.find(key)
    if record is None:
        raise UnknownOrder("; ".join((str(unknown_order(key)), *_similar(journal, key.order_id))))
    return record


def not_found(journal: Journal, order_id: str) -> NotFound:
    """Return an error that says that no account has an order with this id, and which one may be meant."""
    return NotFound("; ".join(("the journal has no order with this id", *_similar(journal, order_id))))


def _similar(journal: Journal, text: str) -> Iterator[str]:
    """Name the orders that have this id under another kind or account, and tell if it is a provider's id."""
    same, _ = journal.story(text)
    if same:
        keys = [record.facts.key for record in same]
        yield f"with this id it has: {listed(f'{key.kind} of {key.account}' for key in keys)}"
    if journal.search(OrderFilter(provider_id=text), 1):
        yield f"it is the provider's id of an order, see: payhub find --provider-id {shlex.quote(text)}"


def own_entries(journal: Journal, record: Record) -> list[Entry]:
    """Return what happened to one order; what came last, also if it was said before, stands at the end."""
    _, entries = journal.story(record.facts.order_id)
    own = (entry for entry in entries if entry.key == record.facts.key)
    return sorted(own, key=lambda entry: entry.last_at or entry.at)


def sender_deadline(record: Record) -> str | None:
    """Say until when the process that is sending an order has to report."""
    until = record.lease_until if record.state is State.SENDING else None
    if until is None or until <= dt.datetime.now(dt.UTC):
        return None
    return f"its sender has until {until:%H:%M:%S} UTC to report; after that a sweep or a check asks the provider"
