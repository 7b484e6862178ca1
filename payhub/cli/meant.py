"""Find the order that is meant; where the journal has none, say which one may be."""

import shlex
from collections.abc import Iterator

from payhub.cli.console import listed
from payhub.errors import NotFound, UnknownOrder
from payhub.journal import Journal, Key, Record, Wanted
from payhub.journal.records import unknown_order


def known(journal: Journal, key: Key) -> Record:
    """Return what is known of an order.

    Raises:
        UnknownOrder: the journal does not know it; those that may be meant are named.
    """
    record = journal.find(key)
    if record is None:
        raise UnknownOrder("; ".join((str(unknown_order(key)), *_meant(journal, key.order_id))))
    return record


def nowhere(journal: Journal, order_id: str) -> NotFound:
    """Say that no account has an order with this id, and which one may be meant."""
    return NotFound("; ".join(("the journal has no order with this id", *_meant(journal, order_id))))


def _meant(journal: Journal, given: str) -> Iterator[str]:
    """Name the orders that have the id under another kind or account, and tell if it is a provider's."""
    same, _ = journal.story(given)
    if same:
        yield f"with this id it has: {listed(f'{key.kind} of {key.account}' for key in (r.facts.key for r in same))}"
    if journal.search(Wanted(provider_id=given), 1):
        yield f"it is the provider's id of an order, see: payhub find --provider-id {shlex.quote(given)}"
