"""The services that the sandbox knows, as data: what each needs and what its answer holds.

Sources: https://doc-merchant.alikassa.com/provider/ps4rub for Russia, the `ps1hr-*` provider
pages for other countries, https://doc-merchant.alikassa.com/payout/create for payouts, and public
programs that call the API for spellings the pages do not print.
"""

from dataclasses import dataclass
from typing import Literal

Page = Literal["address", "null", "absent"]
Requisites = Literal["card", "phone", "bank_account"]


@dataclass(frozen=True, slots=True)
class PaymentService:
    """One way to be paid.

    `page` is what the answer's `url` holds: the page's address, `null`, or no such key.
    `requisites` is what `cardNumber` holds, if it is there at all.
    """

    code: str
    currency: str
    page: Page
    requisites: Requisites | None
    required: tuple[str, ...]
    names_bank: bool = False


@dataclass(frozen=True, slots=True)
class PayoutService:
    """One way to pay out; `number` is what the field of that name must hold."""

    code: str
    currency: str
    number: Requisites
    required: tuple[str, ...] = ()


_GENERAL = ("customer_ip", "customer_browser_user_agent")
_RUSSIA = ("customer_ip", "customer_user_id")
_BANK = ("customer_ip", "customer_code")
_INDONESIA = (*_BANK, "customer_first_name", "customer_last_name")
_EURO_CARD = (
    "extra.card_exp_year",
    "extra.card_exp_month",
    "extra.card_holder",
    "extra.card_country",
    "extra.card_recipient_birth_date",
)


def _hosted(currency: str, required: tuple[str, ...], *methods: str) -> tuple[PaymentService, ...]:
    codes = (f"{method}_{currency.lower()}_hpp" for method in methods)
    return tuple(PaymentService(code, currency, "address", None, required) for code in codes)


_ROWS = (
    *_hosted("RUB", _RUSSIA, "payment_card_number"),
    *_hosted("RUB", _GENERAL, "payment_card", "payment_card_sbp"),
    # Two spellings lack the currency on older pages; both were accepted (ps4rub snapshots).
    PaymentService("payment_card_number_hpp", "RUB", "address", None, _RUSSIA),
    PaymentService("payment_card_number_card", "RUB", "null", "card", (*_RUSSIA, "customer_code")),
    # Its answer also names the bank; no page says so, but a program in production reads it.
    PaymentService(
        "payment_card_number_rub_card",
        "RUB",
        "null",
        "card",
        (*_RUSSIA, "customer_code"),
        names_bank=True,
    ),
    PaymentService("payment_card_sbp_rub_card", "RUB", "null", "phone", _RUSSIA),
    PaymentService("payment_card_sberpay_rub_card", "RUB", "address", "phone", _RUSSIA),
    PaymentService("virtual_account_rub_hpp", "RUB", "address", "bank_account", _RUSSIA),
    PaymentService("virtual_account_rub_card", "RUB", "absent", "bank_account", _RUSSIA),
    *_hosted("UAH", _GENERAL, "payment_card"),
    PaymentService("payment_card_eur_card", "EUR", "address", None, _GENERAL),
    *_hosted("PKR", _BANK, "payment_card"),
    *_hosted("BDT", _BANK, "payment_card"),
    *_hosted("PHP", _BANK, "online_banking", "e_wallet"),
    *_hosted("IDR", _INDONESIA, "online_banking", "qr_code", "virtual_account", "local_bank_transfer"),
    *_hosted("VND", _BANK, "online_banking", "qr_code", "e_wallet", "local_bank_transfer"),
    *_hosted("THB", _BANK, "online_banking", "qr_code", "local_bank_transfer"),
)

PAYMENT_SERVICES = {service.code: service for service in _ROWS}

PAYOUT_SERVICES = {
    service.code: service
    for service in (
        PayoutService("payment_card_rub", "RUB", "card"),
        PayoutService("payment_card_sbp_rub", "RUB", "phone", ("customer_code",)),
        PayoutService("virtual_account_rub", "RUB", "bank_account", ("customer_code", "bik_bank")),
        PayoutService("qiwi_rub", "RUB", "phone"),
        PayoutService("payment_card_kzt", "KZT", "card"),
        # The pages ask for `extra` on EUR accounts and print no code: named by the grammar.
        PayoutService("payment_card_eur", "EUR", "card", _EURO_CARD),
    )
}


def method_of(service: PaymentService | PayoutService) -> str:
    """Return the method that a code begins with: `payment_card` of `payment_card_rub_hpp`."""
    bare = service.code.removesuffix("_hpp")
    if isinstance(service, PaymentService):
        bare = bare.removesuffix("_card")
    return bare.removesuffix(f"_{service.currency.lower()}")
