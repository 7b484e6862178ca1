"""The provider's own sample programs, with only the host replaced.

Each language writes the same order in other bytes; here are the orders of the documents in each of
these forms. Sources: https://doc-merchant.alikassa.com/payout/create, /provider/ps4rub,
/payout/check/status, https://doc-merchant.alikassa.io/payments/check-payment-status.
"""

import json
from collections.abc import Callable

import pytest
import requests

from .merchant import Merchant

ORDERS: dict[str, dict[str, str | int]] = {
    "payout": {
        "order_id": "1732252000",
        "amount": 500,
        "number": "79005554455",
        "notification_endpoint_id": 5,
        "service": "qiwi_rub",
    },
    "payment": {
        "order_id": "1732252000",
        "amount": 500,
        "customer_browser_user_agent": "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:84.0)",
        "customer_ip": "18.191.80.10",
        "success_redirect_id": 1,
        "fail_redirect_id": 1,
        "notification_endpoint_id": 5,
        "service": "payment_card_rub_hpp",
    },
    "payment/status": {"id": "100000536"},
    "payout/status": {"id": "100000536"},
}

ENCODERS: dict[str, Callable[[object], str]] = {
    "php": lambda order: json.dumps(order, separators=(",", ":")).replace("/", "\\/"),
    "javascript": lambda order: json.dumps(order, separators=(",", ":"), ensure_ascii=False),
    "python": json.dumps,
    "go": lambda order: json.dumps(order, separators=(",", ":"), sort_keys=True),
}


@pytest.mark.parametrize("path", ORDERS)
@pytest.mark.parametrize("language", ENCODERS)
def test_a_sample_is_accepted_as_each_language_writes_it(merchant: Merchant, language: str, path: str) -> None:
    """Create answers `wait`; the status of the samples' id is `paid`."""
    body = ENCODERS[language](ORDERS[path]).encode()
    response = merchant.post(path, body)
    assert response.status_code == 200
    expected = "paid" if path.endswith("status") else "wait"
    assert response.json()["payment_status"] == expected


def test_the_python_sample_may_hand_its_order_to_requests(merchant: Merchant) -> None:
    """It signs `json.dumps(data)` and posts `json=data`: with `requests` the bytes are the same."""
    order = ORDERS["payout"]
    headers = merchant.headers("payout", json.dumps(order).encode())
    url = f"{merchant.url}/v1/payout"
    response = requests.post(url, json=order, headers=headers, timeout=30)
    assert response.json()["payment_status"] == "wait"


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"order_id":"x"}'])
@pytest.mark.parametrize("path", ["account/balance", "account/info"])
def test_where_there_are_no_fields_any_are_fine(merchant: Merchant, path: str, body: bytes) -> None:
    """PHP sends `[]`, Ruby `{}`, and one program an order id that is not asked for."""
    assert merchant.post(path, body).status_code == 200
