"""Whatever a provider has said and the journal has kept, every reader can read it: trace, logs, tickets, lists."""

import json
from typing import Any

import msgspec
import pytest

from payhub import Status, TicketRefused
from payhub.cli import views
from payhub.cli.story import _lines, _values
from payhub.ticket import FORMATS
from tests.raw_server import answer
from tests.samples import PAYMENT, known

from .conftest import OpenShop

DATE = "Fri, 31 Dec 9999 23:59:59 -1200"
ODD = {
    "NUL": "\x00", "ESC": "\x1b[2J", "C1": "\x9b31m", "text direction": "\u202e", "lines": "a\u2028b\x85c\r\nd",
    "DEL": "\x7f", "tag": "\U000e0041", "long": "4." * 4000, "large": "9" * 5000, "Markdown": "![x](http://evil.example)",
    "empty": " ",
}  # fmt: skip


def test_what_was_kept_is_read(open_shop: OpenShop) -> None:
    """Ids, words, addresses, numbers, names and dates of all kinds stand in the way of no reader, in any journal."""
    orders = {name: msgspec.structs.replace(PAYMENT, order_id=f"in-{name}") for name in ODD}
    said = [
        answer({**known(order), "id": f"{name}{ODD[name]}"[-200:], "page": ODD[name], ODD[name]: ODD[name]},
               Date=DATE, Server=ODD[name].encode("ascii", "ignore").decode().translate({0: None, 10: None, 13: None}))
        for name, order in orders.items()
    ]  # fmt: skip
    shop = open_shop(*said, answer({"code": "x\x1b", "text": {"\x00": "\x9b"}}, 500))
    for order in orders.values():
        assert shop.hub.create_payment("shop", order).status in {Status.PENDING, Status.UNKNOWN}
    for order in orders.values():
        _read(shop, order.order_id)
    exchanges = shop.journal.exchanges(100)
    assert len(orders) == len(exchanges)
    assert all(json.dumps(_values(entry)) for _, entry in exchanges)


def _read(shop: Any, order_id: str) -> None:
    records, entries = shop.journal.story(order_id)
    assert len(entries) >= 3
    assert all(text.plain.isprintable() for entry in entries for text in _lines(entry))
    assert all(json.dumps(_values(entry)) for entry in entries)
    assert json.dumps([views.order_values(record) for record in records])
    for internal in (False, True):
        ticket = shop.hub.ticket("shop", "payment", order_id, internal=internal)
        for form in FORMATS:
            try:
                page = ticket.rendered(form).decode("utf-8", "replace")
            except TicketRefused as refused:
                pytest.fail(f"{order_id}: {refused}")
            assert form == "zip" or all(each.isprintable() or each == "\n" for each in page)
