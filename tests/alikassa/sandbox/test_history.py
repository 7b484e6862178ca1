"""The list of payments."""

import datetime as dt
from typing import Any

import pytest

from payhub_alikassa.sandbox import Sandbox

from .merchant import HOSTED, Merchant

SAMPLE = {
    "created_at": "2025-09-03 14:47:10",
    "id": 100000536,
    "order_id": "1756900030",
    "amount": "10.000000000",
    "commission_amount": "1.000000000",
    "currency": "RUB",
    "status": "paid",
}


def _history(merchant: Merchant, **fields: object) -> dict[str, Any]:
    return merchant.ask("payment/history", fields)


def _orders(merchant: Merchant, **fields: object) -> list[str]:
    return [row["order_id"] for row in _history(merchant, **fields)["data"]]


def test_a_row_has_the_documented_keys(merchant: Merchant) -> None:
    """`status` here, not `payment_status`."""
    assert _history(merchant)["data"] == [SAMPLE]


def test_a_failed_payment_has_no_commission(merchant: Merchant, sandbox: Sandbox) -> None:
    """Null, as in the documented example; payouts are not listed."""
    merchant.ask("payment", HOSTED)
    sandbox.settle("payment", "in-1", "fail")
    row = _history(merchant)["data"][0]
    assert (row["order_id"], row["status"], row["commission_amount"]) == ("in-1", "fail", None)


def test_pages_link_to_each_other(merchant: Merchant) -> None:
    """Newest first; `meta` is Laravel's."""
    for number in range(4):
        merchant.ask("payment", {**HOSTED, "order_id": f"in-{number}"})
    page = _history(merchant, page=2, paginate="2")
    address = f"{merchant.url}/v1/payment/history"
    assert [row["order_id"] for row in page["data"]] == ["in-1", "in-0"]
    assert page["links"] == {
        "first": f"{address}?page=1",
        "last": f"{address}?page=3",
        "prev": f"{address}?page=1",
        "next": f"{address}?page=3",
    }
    assert page["meta"] == {
        "current_page": 2,
        "from": 3,
        "last_page": 3,
        "path": address,
        "per_page": 2,
        "to": 4,
        "total": 5,
    }


def test_the_last_page_has_no_next(merchant: Merchant) -> None:
    """That is how a reader knows the end; beyond it there is nothing."""
    page = _history(merchant, page=1, paginate=15)
    assert (page["links"]["prev"], page["links"]["next"]) == (None, None)
    beyond = _history(merchant, page=2)
    assert (beyond["data"], beyond["links"]["next"]) == ([], None)
    assert (beyond["meta"]["from"], beyond["meta"]["to"]) == (None, None)


def test_dates_bound_the_list(merchant: Merchant) -> None:
    """Both days are included."""
    merchant.ask("payment", HOSTED)
    today = dt.datetime.now(dt.UTC).date()
    since = (today - dt.timedelta(days=1)).isoformat()
    assert _orders(merchant, date_from=since) == ["in-1"]
    assert _orders(merchant, date_to="2025-09-03") == ["1756900030"]
    assert _orders(merchant, date_from="2025-09-03", date_to="2025-09-03") == ["1756900030"]
    assert _orders(merchant, date_from="2025-09-04", date_to="2025-09-05") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("date_from", "03.09.2025"),
        ("date_from", "2025-9-3"),
        ("date_to", "2025-02-30"),
        ("date_to", 20250903),
        ("page", 0),
        ("page", "x"),
        ("paginate", -1),
        ("paginate", 1.5),
    ],
)
def test_a_wrong_filter_is_named(merchant: Merchant, name: str, value: object) -> None:
    """It is not ignored."""
    assert list(merchant.refusals("payment/history", {name: value})) == [name]
