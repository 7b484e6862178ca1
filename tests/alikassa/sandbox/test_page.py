"""The payment page, as a browser uses it."""

import httpx
import pytest

from payhub_alikassa.sandbox import Sandbox

from .merchant import HOSTED, Merchant

SHOP = {
    "success_redirect_url": "https://shop.example/ok?a=1&b=2",
    "fail_redirect_url": "https://shop.example/no",
}


def _open(merchant: Merchant, **fields: str) -> str:
    return str(merchant.ask("payment", {**HOSTED, **fields})["url"])


def _choose(merchant: Merchant, page: str, choice: str) -> httpx.Response:
    return merchant.client.post(page, data={"choice": choice})


def _status(merchant: Merchant) -> object:
    return merchant.ask("payment/status", {"order_id": "in-1"})["payment_status"]


def test_the_payer_sees_what_he_pays(merchant: Merchant) -> None:
    """Amount, currency, order, description and two buttons."""
    response = merchant.client.get(_open(merchant, desc="Заказ №1"))
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    for text in ("1500.00 RUB", "in-1", "Заказ №1", ">Pay<", ">Cancel<", 'method="post"'):
        assert text in response.text


def test_everything_the_merchant_wrote_is_escaped(merchant: Merchant) -> None:
    """A description is text, never markup."""
    page = _open(merchant, order_id="<b>&'\"", desc='"><script>alert(1)</script>{amount}')
    text = merchant.client.get(page).text
    assert "<script" not in text
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;&#x27;&quot;" in text
    assert "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;{amount}" in text


@pytest.mark.parametrize(
    ("choice", "status", "name"),
    [("pay", "paid", "success_redirect_url"), ("cancel", "cancel", "fail_redirect_url")],
)
def test_the_payer_is_sent_back_to_the_shop(merchant: Merchant, choice: str, status: str, name: str) -> None:
    """With 303, to the address for that outcome."""
    response = _choose(merchant, _open(merchant, **SHOP), choice)
    assert (response.status_code, response.headers["Location"]) == (303, SHOP[name])
    assert _status(merchant) == status


@pytest.mark.parametrize(
    ("choice", "text"),
    [("pay", "The payment is paid"), ("cancel", "The payment is canceled")],
)
def test_without_an_address_there_is_a_plain_result(merchant: Merchant, choice: str, text: str) -> None:
    """It has no buttons any more."""
    page = _open(merchant)
    for response in (_choose(merchant, page, choice), merchant.client.get(page)):
        assert response.status_code == 200
        assert text in response.text
        assert "<button" not in response.text


def test_a_choice_is_made_once(merchant: Merchant, sandbox: Sandbox) -> None:
    """Paying twice pays once, and a late cancel cancels nothing."""
    page = _open(merchant)
    for choice in ("pay", "pay", "cancel"):
        _choose(merchant, page, choice)
    assert _status(merchant) == "paid"
    assert merchant.ask("account/balance", [])["balance"] == "101455.00000000"
    assert sandbox.accepted("payment", "in-1") == 1


@pytest.mark.parametrize("form", [b"", b"choice=", b"choice=free", b"\xff\xfe", b"choice=paid"])
def test_an_unknown_choice_changes_nothing(merchant: Merchant, form: bytes) -> None:
    """The page is shown again."""
    response = merchant.client.post(_open(merchant), content=form)
    assert (response.status_code, _status(merchant)) == (200, "wait")
    assert "<button" in response.text


@pytest.mark.parametrize("address", ["javascript:alert(1)", "shop.example/ok", "data:text/html,x"])
def test_only_web_addresses_are_followed(merchant: Merchant, address: str) -> None:
    """Anything else gives the plain result."""
    response = _choose(merchant, _open(merchant, success_redirect_url=address), "pay")
    assert response.status_code == 200
    assert address not in response.text


def test_sberpay_has_a_page_too(merchant: Merchant) -> None:
    """Its answer carries an address beside the phone."""
    page = _open(merchant, service="payment_card_sberpay_rub_card")
    assert _choose(merchant, page, "pay").status_code == 200
    assert _status(merchant) == "paid"


def test_direct_payments_and_strangers_have_no_page(merchant: Merchant) -> None:
    """There is nothing to show."""
    uuid = merchant.ask("payment", {**HOSTED, "service": "virtual_account_rub_card"})["uuid"]
    for address in (uuid, "293259c3-688b-33c1-a832-000000000000", "x"):
        assert merchant.client.get(f"/pay/{address}").status_code == 404


def test_the_page_loads_nothing_from_elsewhere(merchant: Merchant) -> None:
    """No script, no image, no font, and no copy kept."""
    response = merchant.client.get(_open(merchant))
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    assert response.headers["Content-Security-Policy"] == policy
    assert response.headers["Cache-Control"] == "no-store"
