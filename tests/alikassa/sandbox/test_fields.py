"""What a request must hold."""

import json

import pytest

from payhub_alikassa.sandbox import Sandbox

from .merchant import HOSTED, PAYOUT, Merchant

GOOD_AMOUNTS = ["500", "1", "0.01", '"1000.44"', '"500"', "500.5", "500.50", "999999999.99", "1e3"]
BAD_AMOUNTS = [
    "0", '"0.00"', "-1", '"-5.00"', "1.001", '"10.000"', '"1,5"', '"1 000"', '"1e3"', '"+5"', '"٣"',
    "1000000000", "0.30000000000000004", "true", "[]", "{}", '"NaN"', '"Infinity"',
]  # fmt: skip


@pytest.mark.parametrize("amount", GOOD_AMOUNTS)
@pytest.mark.parametrize("kind", ["payment", "payout"])
def test_amounts_come_as_integer_decimal_or_string(
    merchant: Merchant, sandbox: Sandbox, kind: str, amount: str
) -> None:
    """decimal(11.2): nine digits, two decimals, in any of three JSON types."""
    sandbox.configure(opening_balance="2000000000")
    sandbox.reset()
    fields = HOSTED if kind == "payment" else PAYOUT
    body = json.dumps({**fields, "amount": "AMOUNT"}).replace('"AMOUNT"', amount)
    assert merchant.post(kind, body.encode()).status_code == 200


@pytest.mark.parametrize("amount", BAD_AMOUNTS)
@pytest.mark.parametrize("kind", ["payment", "payout"])
def test_no_other_amount_is_taken(merchant: Merchant, sandbox: Sandbox, kind: str, amount: str) -> None:
    """Nothing is rounded, nothing is guessed."""
    fields = HOSTED if kind == "payment" else PAYOUT
    body = json.dumps({**fields, "amount": "AMOUNT"}).replace('"AMOUNT"', amount)
    response = merchant.post(kind, body.encode())
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["amount"]
    assert sandbox.accepted("payment", "in-1") + sandbox.accepted("payout", "po-1") == 0


LENGTHS = [
    *[("payment", name, 255) for name in ("success_redirect_url", "fail_redirect_url")],
    ("payment", "notification_endpoint_url", 255),
    ("payment", "order_id", 128),
    ("payment", "desc", 128),
    ("payment", "customer_user_id", 100),
    ("payment", "customer_code", 100),
    *[
        ("payment", f"customer_{name}", 50)
        for name in ("account", "email", "first_name", "last_name", "address", "state")
    ],
    ("payment", "customer_city", 20),
    ("payment", "customer_phone", 12),
    ("payment", "customer_browser_user_agent", 2000),
    ("payment", "customer_browser_accept_header", 2000),
    ("payment", "customer_browser_language", 8),
    ("payout", "order_id", 128),
    ("payout", "notification_endpoint_url", 255),
    ("payout", "customer_country", 3),
    ("payout", "extra.card_exp_year", 2),
    ("payout", "extra.card_exp_month", 2),
    ("payout", "extra.card_holder", 100),
    ("payout", "extra.card_country", 2),
]


@pytest.mark.parametrize(("kind", "name", "maximum"), LENGTHS)
def test_texts_have_their_documented_length(merchant: Merchant, kind: str, name: str, maximum: int) -> None:
    """The last character that fits is taken, one more is not; characters count, not bytes."""
    fields = HOSTED if kind == "payment" else PAYOUT
    assert merchant.send(kind, _with(fields, name, "я" * maximum)).status_code == 200
    assert list(merchant.refusals(kind, _with(fields, name, "я" * (maximum + 1)))) == [name]


@pytest.mark.parametrize(("kind", "name", "maximum"), LENGTHS)
def test_texts_are_strings(merchant: Merchant, kind: str, name: str, maximum: int) -> None:
    """A number or a list is not a text, however short."""
    del maximum
    fields = HOSTED if kind == "payment" else PAYOUT
    for value in (7, True, ["x"]):
        assert list(merchant.refusals(kind, _with(fields, name, value))) == [name]


@pytest.mark.parametrize("order_id", ["", None])
def test_an_empty_text_counts_as_missing(merchant: Merchant, order_id: str | None) -> None:
    """Laravel turns an empty string into null."""
    errors = merchant.refusals("payout", {**PAYOUT, "order_id": order_id})
    assert errors == {"order_id": ["The order id field is required."]}


TYPED: list[tuple[str, str, list[object], list[object]]] = [
    ("payment", "customer_ip", ["203.0.113.24", "2001:db8::1"], ["203.0.113", "localhost", 7]),
    ("payment", "lifetime", [900, 3600, "1800"], [899, 3601, "x", 1800.5]),
    ("payment", "customer_post_code", [101000, "101000", 10**11], [10**12, "10a", True]),
    ("payment", "success_redirect_id", [1, "1"], ["one", 1.5, []]),
    ("payment", "notification_endpoint_id", [5], ["x"]),
    ("payment", "customer_browser_color_depth", [24], ["deep"]),
    ("payout", "notification_endpoint_id", [5, "5"], ["x", False]),
    ("payout", "customer_email", ["a@b.example"], ["a", "a b@c", 7]),
    ("payout", "number", ["4111111111111111", "5555555555554444"], ["4111 1111", "", 4111, "x"]),
    ("payout", "extra", [{}, {"card_holder": "A B"}], ["x", [1], 7]),
]


@pytest.mark.parametrize(("kind", "name", "value"), [(k, n, v) for k, n, good, _ in TYPED for v in good], ids=repr)
def test_good_values_pass(merchant: Merchant, kind: str, name: str, value: object) -> None:
    """Every documented type has a value that is taken."""
    fields = HOSTED if kind == "payment" else PAYOUT
    assert merchant.send(kind, {**fields, name: value}).status_code == 200


@pytest.mark.parametrize(("kind", "name", "value"), [(k, n, v) for k, n, _, bad in TYPED for v in bad], ids=repr)
def test_bad_values_are_named(merchant: Merchant, kind: str, name: str, value: object) -> None:
    """Every documented type has values that are refused, by the field's name."""
    fields = HOSTED if kind == "payment" else PAYOUT
    assert list(merchant.refusals(kind, {**fields, name: value})) == [name]


def test_unknown_fields_and_nulls_pass(merchant: Merchant) -> None:
    """The documented tables are cut, so more fields than listed must be allowed."""
    fields = {**HOSTED, "customer_browser_java_enabled": False, "desc": None}
    assert merchant.send("payment", fields).status_code == 200


def test_all_faults_are_told_at_once(merchant: Merchant) -> None:
    """An empty order names every field that is always required; `[]` and `{}` are the same."""
    nothings: list[object] = [[], {}]
    for nothing in nothings:
        assert sorted(merchant.refusals("payment", nothing)) == [
            "amount", "customer_ip", "order_id", "service",
        ]  # fmt: skip
        assert sorted(merchant.refusals("payout", nothing)) == [
            "amount", "number", "order_id", "service",
        ]  # fmt: skip


def test_no_submitted_value_is_ever_echoed(merchant: Merchant) -> None:
    """Errors name fields; a card number in the wrong place must not come back."""
    secret = "4111111111111111"
    wrong = dict.fromkeys(("amount", "order_id", "service", "customer_email", "number"), secret * 9)
    response = merchant.send("payout", {**wrong, "extra": secret, "customer_country": secret})
    assert response.status_code == 400
    assert secret not in response.text


def _with(fields: dict[str, str], name: str, value: object) -> dict[str, object]:
    outer, _, inner = name.partition(".")
    return {**fields, outer: {inner: value} if inner else value}
