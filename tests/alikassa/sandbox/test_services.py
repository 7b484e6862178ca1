"""What each service needs and answers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from payhub_alikassa.sandbox import Sandbox, Settings

from .merchant import HOSTED, PAYOUT, Merchant

Market = Callable[[str], Merchant]

GENERAL = ["customer_browser_user_agent", "customer_ip"]
RUSSIA = ["customer_ip", "customer_user_id"]
BANK = ["customer_code", "customer_ip"]
INDONESIA = ["customer_code", "customer_first_name", "customer_ip", "customer_last_name"]

HOSTED_KEYS = ["id", "payment_status", "success_redirect_url", "url", "uuid"]
DIRECT_KEYS = sorted([*HOSTED_KEYS, "cardNumber", "cardHolderName"])

PAYMENTS = [
    ("RUB", "payment_card_number_rub_hpp", RUSSIA, HOSTED_KEYS),
    ("RUB", "payment_card_number_hpp", RUSSIA, HOSTED_KEYS),
    ("RUB", "payment_card_rub_hpp", GENERAL, HOSTED_KEYS),
    ("RUB", "payment_card_sbp_rub_hpp", GENERAL, HOSTED_KEYS),
    ("RUB", "payment_card_number_card", ["customer_code", *RUSSIA], DIRECT_KEYS),
    (
        "RUB",
        "payment_card_number_rub_card",
        ["customer_code", *RUSSIA],
        sorted([*DIRECT_KEYS, "bank"]),
    ),
    ("RUB", "payment_card_sbp_rub_card", RUSSIA, DIRECT_KEYS),
    ("RUB", "payment_card_sberpay_rub_card", RUSSIA, DIRECT_KEYS),
    ("RUB", "virtual_account_rub_hpp", RUSSIA, DIRECT_KEYS),
    ("RUB", "virtual_account_rub_card", RUSSIA, [key for key in DIRECT_KEYS if key != "url"]),
    ("UAH", "payment_card_uah_hpp", GENERAL, HOSTED_KEYS),
    ("EUR", "payment_card_eur_card", GENERAL, HOSTED_KEYS),
    ("PKR", "payment_card_pkr_hpp", BANK, HOSTED_KEYS),
    ("BDT", "payment_card_bdt_hpp", BANK, HOSTED_KEYS),
    ("PHP", "online_banking_php_hpp", BANK, HOSTED_KEYS),
    ("PHP", "e_wallet_php_hpp", BANK, HOSTED_KEYS),
    ("IDR", "online_banking_idr_hpp", INDONESIA, HOSTED_KEYS),
    ("IDR", "qr_code_idr_hpp", INDONESIA, HOSTED_KEYS),
    ("IDR", "virtual_account_idr_hpp", INDONESIA, HOSTED_KEYS),
    ("IDR", "local_bank_transfer_idr_hpp", INDONESIA, HOSTED_KEYS),
    ("VND", "online_banking_vnd_hpp", BANK, HOSTED_KEYS),
    ("VND", "qr_code_vnd_hpp", BANK, HOSTED_KEYS),
    ("VND", "e_wallet_vnd_hpp", BANK, HOSTED_KEYS),
    ("VND", "local_bank_transfer_vnd_hpp", BANK, HOSTED_KEYS),
    ("THB", "online_banking_thb_hpp", BANK, HOSTED_KEYS),
    ("THB", "qr_code_thb_hpp", BANK, HOSTED_KEYS),
    ("THB", "local_bank_transfer_thb_hpp", BANK, HOSTED_KEYS),
]

EURO = [
    f"extra.card_{name}" for name in ("country", "exp_month", "exp_year", "holder")
] + ["extra.card_recipient_birth_date"]  # fmt: skip
EXTRA = {
    "card_exp_year": "27",
    "card_exp_month": "01",
    "card_holder": "CARDHOLDER NAME",
    "card_country": "UA",
    "card_recipient_birth_date": "1999-12-15",
}

PAYOUTS = [
    ("RUB", "payment_card_rub", "5555555555554444", [], {}),
    (
        "RUB",
        "payment_card_sbp_rub",
        "79031112233",
        ["customer_code"],
        {"customer_code": "100000000111"},
    ),
    (
        "RUB",
        "virtual_account_rub",
        "40817810000000000001",
        ["bik_bank", "customer_code"],
        {"bik_bank": "041351902", "customer_code": "100000000111"},
    ),
    ("RUB", "qiwi_rub", "79031112233", [], {}),
    ("KZT", "payment_card_kzt", "4242424242424242", [], {}),
    ("EUR", "payment_card_eur", "4242424242424242", EURO, {"extra": EXTRA}),
]


@pytest.fixture(scope="module")
def market(directory: Path) -> Iterator[Market]:
    """Give a merchant for a currency; its sandbox starts when first asked for."""
    merchants: dict[str, Merchant] = {}
    settings = Settings(payout_delay=None, allow_repeated_order_id=True)
    with ExitStack() as stack:

        def open_(currency: str) -> Merchant:
            if currency not in merchants:
                sandbox = Sandbox(directory, currency=currency, settings=settings)
                url = stack.enter_context(sandbox).url
                merchants[currency] = Merchant(directory, url)
                stack.enter_context(merchants[currency].client)
            return merchants[currency]

        yield open_


@pytest.mark.parametrize(("currency", "service", "required", "keys"), PAYMENTS)
def test_a_payment_service_has_its_fields_and_its_answer(
    market: Market, currency: str, service: str, required: list[str], keys: list[str]
) -> None:
    """What is required is missed by name, and the answer holds exactly the documented keys."""
    order = {"order_id": "in-1", "amount": "10.00", "service": service}
    assert sorted(market(currency).refusals("payment", order)) == required
    full = {**order, **dict.fromkeys(required, "x"), "customer_ip": "203.0.113.24"}
    answer = market(currency).ask("payment", full)
    assert sorted(answer) == keys
    assert answer["payment_status"] == "wait"
    assert isinstance(answer["id"], int)


@pytest.mark.parametrize(("currency", "service", "number", "required", "more"), PAYOUTS)
def test_a_payout_service_has_its_fields_and_its_answer(
    market: Market,
    currency: str,
    service: str,
    number: str,
    required: list[str],
    more: dict[str, object],
) -> None:
    """The answer holds a status and an id, nothing else."""
    order = {**PAYOUT, "service": service, "number": number}
    if required:
        assert sorted(market(currency).refusals("payout", order)) == required
    answer = market(currency).ask("payout", {**order, **more})
    assert sorted(answer) == ["id", "payment_status"]
    assert answer["payment_status"] == "wait"


@pytest.mark.parametrize("service", ["payment_card_sbp_rub", "qiwi_rub"])
@pytest.mark.parametrize("number", ["+79031112233", "8 903 111", "79031112233a", "123"])
def test_a_phone_has_no_plus(merchant: Merchant, service: str, number: str) -> None:
    """Production code had to strip it."""
    fields = {**PAYOUT, "service": service, "number": number, "customer_code": "1"}
    assert list(merchant.refusals("payout", fields)) == ["number"]


CARD, PHONE, BANK_ACCOUNT = "2200000000000004", "79031112233", "40817810000000000001"


@pytest.mark.parametrize(
    ("service", "number", "has_page"),
    [
        ("payment_card_number_card", CARD, False),
        ("payment_card_number_rub_card", CARD, False),
        ("payment_card_sbp_rub_card", PHONE, False),
        ("payment_card_sberpay_rub_card", PHONE, True),
        ("virtual_account_rub_hpp", BANK_ACCOUNT, True),
    ],
)
def test_requisites_are_a_card_a_phone_or_an_account(
    merchant: Merchant, service: str, number: str, has_page: object
) -> None:
    """`cardNumber` may hold either; `url` is the page's address or null."""
    answer = merchant.ask("payment", {**HOSTED, "service": service, "customer_code": "1"})
    assert answer["cardNumber"] == number
    assert answer["cardHolderName"] == "Иван Иванович И."
    page = f"{merchant.url}/pay/{answer['uuid']}"
    assert answer["url"] == (page if has_page else None)


@pytest.mark.parametrize("service", ["payment_card_eur_card", "payment_card_rub", "x", 7])
def test_a_service_of_another_currency_or_kind_is_unknown(merchant: Merchant, service: object) -> None:
    """An account has one currency, and a payout's code is no payment's."""
    fields = {**HOSTED, "customer_browser_user_agent": "M", "service": service}
    assert list(merchant.refusals("payment", fields)) == ["service"]


@pytest.mark.parametrize("currency", sorted({row[0] for row in PAYMENTS + PAYOUTS}))
def test_account_info_lists_every_service_of_the_currency(market: Market, currency: str) -> None:
    """Each with its method, its currency, its code and `active`."""
    info = market(currency).ask("account/info", [])
    assert _codes(info["payments"]) == sorted(row[1] for row in PAYMENTS if row[0] == currency)
    assert _codes(info["payouts"]) == sorted(row[1] for row in PAYOUTS if row[0] == currency)
    assert info["is_allowed_payment"] == bool(info["payments"])
    assert info["is_allowed_payout"] == bool(info["payouts"])


def test_a_listed_service_has_four_fields(merchant: Merchant) -> None:
    """The documented example's shape."""
    info = merchant.ask("account/info", {})
    assert isinstance(info["payments"], list)
    assert {
        "method": "payment_card",
        "currency": "RUB",
        "service_code": "payment_card_rub_hpp",
        "status": "active",
    } in info["payments"]


@pytest.mark.parametrize(
    ("code", "method"),
    [
        ("payment_card_number_card", "payment_card_number"),
        ("payment_card_sberpay_rub_card", "payment_card_sberpay"),
        ("virtual_account_rub_hpp", "virtual_account"),
        ("payment_card_sbp_rub", "payment_card_sbp"),
        ("payment_card_rub", "payment_card"),
    ],
)
def test_a_method_is_the_code_without_currency_and_flow(merchant: Merchant, code: str, method: str) -> None:
    """As in the documented example: `payment_card` of `payment_card_rub_hpp`."""
    info = merchant.ask("account/info", {})
    assert isinstance(info["payments"], list)
    assert isinstance(info["payouts"], list)
    rows = [*info["payments"], *info["payouts"]]
    assert [row["method"] for row in rows if row["service_code"] == code] == [method]


def test_an_inactive_service_is_listed_so_and_refused(merchant: Merchant, sandbox: Sandbox) -> None:
    """The cabinet can switch a service off."""
    sandbox.configure(inactive_services=["payment_card_rub", "payment_card_number_rub_hpp"])
    info = merchant.ask("account/info", [])
    assert isinstance(info["payouts"], list)
    statuses = {row["service_code"]: row["status"] for row in info["payouts"]}
    assert statuses["payment_card_rub"] == "inactive"
    assert statuses["qiwi_rub"] == "active"
    assert list(merchant.refusals("payout", PAYOUT)) == ["service"]
    assert list(merchant.refusals("payment", HOSTED)) == ["service"]


def _codes(rows: object) -> list[str]:
    assert isinstance(rows, list)
    return sorted(row["service_code"] for row in rows)
