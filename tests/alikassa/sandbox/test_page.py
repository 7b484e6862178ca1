"""The payment page, as a browser uses it."""

import base64
import hashlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest

from payhub_alikassa.notifications import read_return
from payhub_alikassa.sandbox import Sandbox

from .merchant import HOSTED, Merchant
from .receiver import Receiver, key, verified_by_php

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


class Form(HTMLParser):
    """A parser that finds a page's form, as a browser does before it sends it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.method = self.action = self.script = ""
        self.fields: dict[str, str] = {}
        self._scripted = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.method, self.action = found["method"], found["action"]
        if tag == "input":
            self.fields[found["name"]] = found["value"]
        self._scripted = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._scripted = False

    def handle_data(self, data: str) -> None:
        self.script += data if self._scripted else ""

    def send(self) -> None:
        """Post it."""
        assert self.method == "post"
        httpx.post(self.action, data=self.fields).raise_for_status()


@pytest.mark.parametrize("order_id", ["in-1", "заказ/1 \\\"<&>' №"])
def test_who_has_paid_comes_back_by_a_signed_form(
    merchant: Merchant, receiver: Receiver, directory: Path, order_id: str
) -> None:
    """It names the order and its uuid, the driver and PHP take it for genuine, and no other order in its place."""
    made = merchant.ask("payment", {**HOSTED, "order_id": order_id, "success_redirect_url": receiver.url})
    Form(_choose(merchant, str(made["url"]), "pay").text).send()
    (delivery,) = receiver.received(1)
    returned = read_return(delivery, [key(directory)])
    assert (returned.order_id, returned.reference) == (order_id, made["uuid"])
    assert list(parse_qs(delivery.body.decode())) == ["order_id", "uuid", "sign"]
    other = delivery.body.replace(b"order_id=", b"order_id=9")
    assert [verified_by_php(directory, "return", body) for body in (delivery.body, other)] == [True, False]


def test_the_form_keeps_the_shops_address(merchant: Merchant) -> None:
    """As it was given, with its query."""
    form = Form(_choose(merchant, _open(merchant, **SHOP), "pay").text)
    assert (form.method, form.action) == ("post", SHOP["success_redirect_url"])


def test_the_form_sends_itself_and_has_a_button(merchant: Merchant) -> None:
    """Its own script is the only one that the page lets run; without scripts the payer presses the button."""
    response = _choose(merchant, _open(merchant, **SHOP), "pay")
    form = Form(response.text)
    assert form.script == "document.forms[0].submit()"
    digest = base64.b64encode(hashlib.sha256(form.script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert response.headers["Content-Security-Policy"] == policy
    assert "<button>Back to the shop</button>" in response.text


def test_who_has_not_paid_comes_back_by_a_plain_redirect(merchant: Merchant) -> None:
    """With 303 and nothing signed: the documents say no more of the fail page than its address."""
    response = _choose(merchant, _open(merchant, **SHOP), "cancel")
    assert (response.status_code, response.headers["Location"]) == (303, SHOP["fail_redirect_url"])
    assert _status(merchant) == "cancel"


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
