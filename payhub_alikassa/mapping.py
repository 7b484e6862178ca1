"""Translate between payhub's words and AliKassa's: statuses, services, orders, answers.

Tables and pure functions only. The codes of services are free strings that the cabinet shows
(https://merchant.alikassa.com/cabinet/resources/project-accounts); the table below is what the
documents name, and an account or an order can name another.
"""

import contextlib
import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from payhub import (
    AccountInfo,
    Balance,
    Browser,
    InvalidOrder,
    Money,
    Payer,
    Payment,
    PaymentOrder,
    Payout,
    PayoutOrder,
    Recipient,
    Requisites,
    Service,
    Status,
    ToBankAccount,
    ToCard,
    ToPhone,
    ToWallet,
)
from payhub.driver import Offer, Unreadable, exact
from payhub.forms import type_name
from payhub.masking import Clear, HiddenFields, HiddenText, Link, MaskedStruct, Truncated, hide, is_card_number
from payhub.models import Destination, Method, Presentation, plain_number
from payhub_alikassa import models, wire
from payhub_alikassa.config import AliKassaConfig

Extra = TypeVar("Extra", bound=MaskedStruct)
T = TypeVar("T")

RequisitesKind = Literal["card", "phone", "bank_account"]

# A commission may really have nine digits after the point, whatever the currency has.
_MAX_DIGITS = 9

# https://doc-merchant.alikassa.com/payment/check/status
STATUSES: Mapping[str, Status] = {
    "wait": Status.PENDING,
    "paid": Status.SUCCEEDED,
    "cancel": Status.CANCELED,
    "fail": Status.FAILED,
}


class AliKassaPayment(MaskedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What only AliKassa has in a payment order; `lifetime` is in seconds, 900 to 3600."""

    service: Clear[str | None] = None
    customer_code: Clear[str | None] = None
    customer_account: Truncated[str | None] = None
    lifetime: Clear[int | None] = None
    success_redirect_id: Clear[int | None] = None
    fail_redirect_id: Clear[int | None] = None
    notification_endpoint_id: Clear[int | None] = None


class AliKassaPayout(MaskedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What only AliKassa has in a payout order."""

    service: Clear[str | None] = None
    customer_code: Clear[str | None] = None
    notification_endpoint_id: Clear[int | None] = None
    project_url: Link[str | None] = None


class PaymentService(msgspec.Struct, frozen=True):
    """A documented way to pay: its code and the fields it needs besides those of every payment."""

    code: str
    method: str
    presentation: str
    currency: str
    required: tuple[str, ...] = ()


class PayoutService(msgspec.Struct, frozen=True):
    """A documented destination of payouts: its code and the fields it needs besides those of every payout."""

    code: str
    method: str
    currency: str
    required: tuple[str, ...] = ()


_USER = ("customer_user_id",)
_BROWSER = ("customer_browser_user_agent",)
_BANK = ("customer_code",)
_NAMES = ("customer_code", "customer_first_name", "customer_last_name")

# The first service of a method, presentation and currency is used unless another one is named.
# RUB: https://doc-merchant.alikassa.com/provider/ps4rub, others: https://doc-merchant.alikassa.com/provider/ps1hr-pk,
# -bd, -php, -idr, -vnd, -thb.
PAYMENT_SERVICES: tuple[PaymentService, ...] = (
    PaymentService("payment_card_number_rub_hpp", "card", "hosted", "RUB", _USER),
    PaymentService("payment_card_number_hpp", "card", "hosted", "RUB", _USER),
    PaymentService("payment_card_rub_hpp", "card", "hosted", "RUB", _BROWSER),
    # The documents print the second one; a program in use took the first instead after 91 minutes, and kept it.
    PaymentService("payment_card_number_rub_card", "card", "direct", "RUB", _USER + _BANK),
    PaymentService("payment_card_number_card", "card", "direct", "RUB", _USER + _BANK),
    PaymentService("payment_card_sbp_rub_card", "sbp", "direct", "RUB", _USER),
    PaymentService("payment_card_sbp_rub_hpp", "sbp", "hosted", "RUB", _BROWSER),
    PaymentService("payment_card_sberpay_rub_card", "sberpay", "direct", "RUB", _USER),
    PaymentService("payment_card_sberpay_rub_card", "sberpay", "hosted", "RUB", _USER),
    PaymentService("virtual_account_rub_hpp", "bank_account", "hosted", "RUB", _USER),
    PaymentService("virtual_account_rub_card", "bank_account", "direct", "RUB", _USER),
    PaymentService("payment_card_uah_hpp", "card", "hosted", "UAH", _BROWSER),
    PaymentService("payment_card_eur_card", "card", "hosted", "EUR", _BROWSER),
    PaymentService("payment_card_pkr_hpp", "card", "hosted", "PKR", _BANK),
    PaymentService("payment_card_bdt_hpp", "card", "hosted", "BDT", _BANK),
    PaymentService("online_banking_php_hpp", "bank_account", "hosted", "PHP", _BANK),
    PaymentService("e_wallet_php_hpp", "wallet", "hosted", "PHP", _BANK),
    PaymentService("virtual_account_idr_hpp", "bank_account", "hosted", "IDR", _NAMES),
    PaymentService("online_banking_idr_hpp", "bank_account", "hosted", "IDR", _NAMES),
    PaymentService("local_bank_transfer_idr_hpp", "bank_account", "hosted", "IDR", _NAMES),
    PaymentService("qr_code_idr_hpp", "wallet", "hosted", "IDR", _NAMES),
    PaymentService("online_banking_vnd_hpp", "bank_account", "hosted", "VND", _BANK),
    PaymentService("local_bank_transfer_vnd_hpp", "bank_account", "hosted", "VND", _BANK),
    PaymentService("e_wallet_vnd_hpp", "wallet", "hosted", "VND", _BANK),
    PaymentService("qr_code_vnd_hpp", "wallet", "hosted", "VND", _BANK),
    PaymentService("online_banking_thb_hpp", "bank_account", "hosted", "THB", _BANK),
    PaymentService("local_bank_transfer_thb_hpp", "bank_account", "hosted", "THB", _BANK),
    PaymentService("qr_code_thb_hpp", "wallet", "hosted", "THB", _BANK),
)

# https://doc-merchant.alikassa.com/payout/create and https://doc-merchant.alikassa.com/provider/ps4rub.
# The documents give no code for cards in EUR: an order or the account must name it.
PAYOUT_SERVICES: tuple[PayoutService, ...] = (
    PayoutService("payment_card_rub", "card", "RUB"),
    PayoutService("payment_card_sbp_rub", "phone", "RUB", _BANK),
    PayoutService("virtual_account_rub", "bank_account", "RUB", ("customer_code", "bik_bank")),
    PayoutService("qiwi_rub", "wallet", "RUB"),
    PayoutService("payment_card_kzt", "card", "KZT"),
)

_EUR_EXTRA = ("card_exp_year", "card_exp_month", "card_holder", "card_country", "card_recipient_birth_date")
_DESTINATIONS: Mapping[type, str] = {
    ToCard: "card",
    ToPhone: "phone",
    ToBankAccount: "bank_account",
    ToWallet: "wallet",
}
_REQUISITES: Mapping[str, RequisitesKind] = {
    "card": "card",
    "sbp": "phone",
    "sberpay": "phone",
    "bank_account": "bank_account",
}
_LONGEST_LANGUAGE = 8

# What an application calls the provider's field, for messages.
PAYMENT_FIELDS: Mapping[str, str] = {
    "amount": "amount",
    "order_id": "order_id",
    "service": "extra.service",
    "desc": "description",
    "lifetime": "extra.lifetime",
    "customer_ip": "payer.ip",
    "customer_user_id": "payer.id",
    "customer_account": "extra.customer_account",
    "customer_code": "bank_code",
    "customer_email": "payer.email",
    "customer_first_name": "payer.first_name",
    "customer_last_name": "payer.last_name",
    "customer_address": "payer.address",
    "customer_phone": "payer.phone",
    "customer_post_code": "payer.post_code",
    "customer_state": "payer.state",
    "customer_city": "payer.city",
    "customer_browser_user_agent": "payer.browser.user_agent",
    "customer_browser_accept_header": "payer.browser.accept_header",
    "customer_browser_color_depth": "payer.browser.color_depth",
    "customer_browser_language": "payer.browser.language",
    "customer_browser_screen_height": "payer.browser.screen_height",
    "customer_browser_screen_width": "payer.browser.screen_width",
    "success_redirect_id": "extra.success_redirect_id",
    "fail_redirect_id": "extra.fail_redirect_id",
    "notification_endpoint_id": "extra.notification_endpoint_id",
    "success_redirect_url": "success_url",
    "fail_redirect_url": "fail_url",
    "notification_endpoint_url": "notification_url",
}
PAYOUT_FIELDS: Mapping[str, str] = {
    "amount": "amount",
    "number": "to.number",
    "order_id": "order_id",
    "service": "extra.service",
    "notification_endpoint_id": "extra.notification_endpoint_id",
    "notification_endpoint_url": "notification_url",
    "extra": "to",
    "extra.card_exp_year": "to.exp_year",
    "extra.card_exp_month": "to.exp_month",
    "extra.card_holder": "to.holder",
    "extra.card_country": "to.country",
    "extra.card_recipient_birth_date": "to.birth_date",
    "customer_phone": "recipient.phone",
    "customer_email": "recipient.email",
    "customer_code": "to.bank_code",
    "bik_bank": "to.bic",
    "customer_first_name": "recipient.first_name",
    "customer_last_name": "recipient.last_name",
    "customer_country": "recipient.country",
    "project_url": "extra.project_url",
}


# An account may have services that no document names, in other currencies than the documented ones, so
# every way that a service can be named for is offered; without a service the order is refused below.
PAYMENT_OFFERS: tuple[Offer, ...] = tuple(
    Offer(method=method, presentation=presentation, currencies=None)
    for method in get_args(Method)
    for presentation in get_args(Presentation)
)
PAYOUT_OFFERS: tuple[Offer, ...] = tuple(Offer(method=method, currencies=None) for method in _DESTINATIONS.values())


def payment_request(config: AliKassaConfig, order: PaymentOrder) -> models.PaymentRequest:
    """Translate a payment order; every field is checked before anything is signed.

    Raises:
        InvalidOrder: a field is missing for the service, too long or malformed.
    """
    extra = _extra(order.extra, AliKassaPayment)
    payer, browser = order.payer or Payer(), (order.payer and order.payer.browser) or Browser()
    _check_currency(config, order.amount)
    way, currency = f"{order.method}_{order.presentation}", order.amount.currency
    code, required = _choose_service(
        PAYMENT_SERVICES,
        extra.service or getattr(config.payment_services, way, None),
        {"method": order.method, "presentation": order.presentation, "currency": currency},
        (
            "method",
            f"{order.method}, {order.presentation}",
            f"extra.service or in the account's payment_services.{way}",
        ),
    )
    post_code = hide(payer.post_code or None)
    # 2134 is another place than 02134, and the documents type the field as a number.
    if post_code is not None and not re.fullmatch("0|[1-9][0-9]*", post_code):
        raise InvalidOrder("payer.post_code", "must be a number that does not begin with 0 (customer_post_code)")
    request = models.PaymentRequest(
        amount=f"{order.amount.amount:f}",
        order_id=order.order_id,
        service=code,
        desc=_given(order.description),
        lifetime=_given(extra.lifetime),
        customer_ip=_given(_ip(payer.ip)),
        customer_user_id=_given(payer.id),
        customer_account=_given(extra.customer_account),
        customer_code=_given(extra.customer_code or order.bank_code),
        customer_email=_given(payer.email),
        customer_first_name=_given(payer.first_name),
        customer_last_name=_given(payer.last_name),
        customer_address=_given(payer.address),
        customer_phone=_given(_phone(payer.phone)),
        customer_post_code=UNSET if post_code is None else int(post_code),
        customer_state=_given(payer.state),
        customer_city=_given(payer.city),
        customer_browser_user_agent=_given(browser.user_agent),
        customer_browser_accept_header=_given(browser.accept_header),
        customer_browser_color_depth=_given(browser.color_depth),
        customer_browser_language=_given(_language(browser.language)),
        customer_browser_screen_height=_given(browser.screen_height),
        customer_browser_screen_width=_given(browser.screen_width),
        success_redirect_id=_given(extra.success_redirect_id),
        fail_redirect_id=_given(extra.fail_redirect_id),
        notification_endpoint_id=_given(extra.notification_endpoint_id),
        success_redirect_url=_given(_url(order.success_url, "success_url")),
        fail_redirect_url=_given(_url(order.fail_url, "fail_url")),
        notification_endpoint_url=_given(_url(order.notification_url, "notification_url")),
    )
    _require(request, ("customer_ip", *required), code, PAYMENT_FIELDS)
    return exact(request, PAYMENT_FIELDS)


def payout_request(config: AliKassaConfig, order: PayoutOrder) -> models.PayoutRequest:
    """Translate a payout order; every field is checked before anything is signed.

    Raises:
        InvalidOrder: a field is missing for the service, too long or malformed.
    """
    extra = _extra(order.extra, AliKassaPayout)
    to, recipient = order.to, order.recipient or Recipient()
    _check_currency(config, order.amount)
    way, currency = _DESTINATIONS[type(to)], order.amount.currency
    code, required = _choose_service(
        PAYOUT_SERVICES,
        extra.service or getattr(config.payout_services, way),
        {"method": way, "currency": currency},
        ("extra.service", f"a payout to {way}", f"extra.service or in the account's payout_services.{way}"),
    )
    if way == "card" and currency == "EUR":
        required += tuple(f"extra.{name}" for name in _EUR_EXTRA)
    card_extra = models.CardExtra()
    if isinstance(to, ToCard):
        card_extra = models.CardExtra(
            card_exp_year=_given(to.exp_year),
            card_exp_month=_given(to.exp_month),
            card_holder=_given(to.holder),
            card_country=_given(to.country),
            card_recipient_birth_date=to.birth_date.isoformat() if to.birth_date else UNSET,
        )
    request = models.PayoutRequest(
        amount=f"{order.amount.amount:f}",
        number=_destination_number(to, currency),
        order_id=order.order_id,
        service=code,
        notification_endpoint_id=_given(extra.notification_endpoint_id),
        notification_endpoint_url=_given(_url(order.notification_url, "notification_url")),
        extra=UNSET if card_extra == models.CardExtra() else card_extra,
        customer_phone=_given(_phone(recipient.phone)),
        customer_email=_given(recipient.email),
        customer_code=_given(extra.customer_code or getattr(to, "bank_code", None)),
        bik_bank=_given(getattr(to, "bic", None)),
        customer_first_name=_given(recipient.first_name),
        customer_last_name=_given(recipient.last_name),
        customer_country=_given(recipient.country),
        project_url=_given(_url(extra.project_url, "extra.project_url")),
    )
    _require(request, required, code, PAYOUT_FIELDS)
    return exact(request, PAYOUT_FIELDS)


def _extra(extra: object, shape: type[Extra]) -> Extra:
    extra = hide(extra)
    if extra is None:
        return shape()
    if not isinstance(extra, shape):
        raise InvalidOrder("extra", f"must be an {shape.__name__}, not {type_name(extra)}")
    return extra


def _given(value: T | None) -> T | UnsetType:
    """Return a value that the application gave, else what leaves the field out; an empty text is none."""
    return UNSET if value is None or value == "" else value


def _check_currency(config: AliKassaConfig, amount: Money) -> None:
    if amount.currency != config.currency:
        raise InvalidOrder("amount.currency", f"account {config.name!r} is in {config.currency}")


def _choose_service(
    services: Iterable[PaymentService | PayoutService],
    code: str | None,
    wanted: Mapping[str, str],
    undocumented: tuple[str, str, str],
) -> tuple[str, tuple[str, ...]]:
    """Return the code of a service, and the fields it needs: the one with this code, else the first one wanted.

    Of a code that the documents do not have, no needed fields are known.

    Raises:
        InvalidOrder: the service is for another currency, or there is none and no code: then `undocumented` has the
            field to name, what there is no service for, and where one can be named.
    """
    for service in services:
        fits = all(getattr(service, name) == value for name, value in wanted.items())
        if service.code == code or (code is None and fits):
            if service.currency != wanted["currency"]:
                raise InvalidOrder(
                    "extra.service", f"{service.code} is for {service.currency}, the order is in {wanted['currency']}"
                )
            return service.code, service.required
    if code is None:
        field, what, where = undocumented
        raise InvalidOrder(field, f"no documented service for {what}, {wanted['currency']}; name one in {where}")
    return code, ()


def _require(request: MaskedStruct, required: tuple[str, ...], code: str, names: Mapping[str, str]) -> None:
    for field in required:
        value: Any = request
        for part in field.split("."):
            value = getattr(value, part, UNSET)
        if value is UNSET:
            raise InvalidOrder(names[field], f"is required by {code} ({field})")


def _url(url: str | None, field: str) -> str | None:
    url = hide(url)
    if not url:
        return None
    with contextlib.suppress(ValueError):
        # In no variable, because a traceback with locals would show the parts.
        if urlsplit(url).scheme in {"http", "https"} and urlsplit(url).netloc:
            return str(url)
    raise InvalidOrder(field, "not an http or https URL")


def _phone(phone: str | None) -> str | None:
    """Return a phone number without its plus and the usual separators."""
    return None if phone is None else str(plain_number(phone, "+()./"))


def _ip(ip: str | None) -> str | None:
    """Return an IP address; one of IPv4 that is written as one of IPv6 is the same as the address itself.

    Raises:
        InvalidOrder: it is none. Of a list, as proxies make it, nobody but the application knows which is the payer's.
    """
    ip = hide(ip)
    if not ip:
        return None
    with contextlib.suppress(ValueError):
        # In no variable, because a traceback with locals would show it.
        if getattr(ip_address(ip), "scope_id", None) is None:
            return str(getattr(ip_address(ip), "ipv4_mapped", None) or ip)
    raise InvalidOrder("payer.ip", "not one IP address (customer_ip)")


def _language(language: str | None) -> str | None:
    """Return a browser's language as far as there is room, shortened as RFC 4647 does: `zh-Hant` of `zh-Hant-TW`."""
    while language and len(language) > _LONGEST_LANGUAGE and "-" in language:
        language = language.rpartition("-")[0]
    return language


def _destination_number(to: Destination, currency: str) -> str:
    """Return the number of a card, phone, account or wallet, checked.

    Raises:
        InvalidOrder: it cannot be one, or an account's BIC cannot.
    """
    number = HiddenText(to.number)
    match to:
        case ToCard():
            if not is_card_number(number):
                raise InvalidOrder("to.number", "not a card number")
        case ToPhone():
            if currency == "RUB" and not re.fullmatch("7[0-9]{10}", number):
                raise InvalidOrder("to.number", "not a phone number for SBP: 7 and ten digits, as 79031112233")
            if not re.fullmatch("[0-9]{10,15}", number):
                raise InvalidOrder("to.number", "not a phone number with its country code")
        case ToBankAccount():
            if currency == "RUB" and not re.fullmatch("[0-9]{20}", number):
                raise InvalidOrder("to.number", "not an account number of 20 digits")
            if currency == "RUB" and to.bic is not None and not re.fullmatch("[0-9]{9}", to.bic):
                raise InvalidOrder("to.bic", "not a BIC of 9 digits (bik_bank)")
        case ToWallet():
            pass  # may be anything
    return str(number)


def status(word: str) -> Status:
    """Translate a status; a word that the documents do not have is not final."""
    return STATUSES.get(word, Status.PENDING)


def money(value: object, currency: str) -> Money | None:
    """Translate an amount; empty and null are absent.

    Raises:
        Unreadable: it is not a number, or has more than nine digits after the point.
    """
    value = hide(value)
    amount = wire.amount(value)
    try:
        return None if amount is None else Money(amount, currency, _MAX_DIGITS)
    except ValueError:
        raise Unreadable("an amount of the answer is not money") from None


def secondary_money(value: object, currency: str) -> Money | None:
    """Translate an amount that decides nothing, as a commission; what cannot be read is absent."""
    try:
        return money(value, currency)
    except Unreadable:
        return None


def sums(named: object, currency: str, **amounts: object) -> dict[str, Any]:
    """Translate the currency and the amounts that decide about an order; `currency` is the account's.

    What of them cannot be read contradicts the order, and is named in `mismatches`: a paid order must not stay open
    for it, nor be a success.
    """
    code = None
    if named is not None:
        try:
            code = wire.currency(named)
        except Unreadable:  # then nobody knows what the amounts are, either
            return {"mismatches": ("currency",)}
    found = {name: secondary_money(value, code or currency) for name, value in amounts.items()}
    unreadable = [name for name, value in found.items() if value is None and amounts[name] not in (None, "")]
    return {"currency": code, **found, "mismatches": tuple(unreadable)}


def payment_created(answer: models.PaymentCreated, raw: Mapping[str, Any], order: PaymentOrder) -> Payment:
    """Translate the answer to a new payment."""
    return Payment(
        **_created(answer, raw, order),
        redirect_url=wire.text(answer.url),
        requisites=_requisites(answer, _REQUISITES.get(order.method)),
    )


def payment(answer: models.PaymentState, raw: Mapping[str, Any], currency: str) -> Payment:
    """Translate a payment's status."""
    code = wire.text(answer.service_code)
    methods = (service.method for service in PAYMENT_SERVICES if service.code == code)
    return Payment(
        **_state(answer, raw, currency),
        redirect_url=wire.text(answer.url),
        requisites=_requisites(answer, _REQUISITES.get(next(methods, ""))),
    )


def payout_created(answer: models.PayoutCreated, raw: Mapping[str, Any], order: PayoutOrder) -> Payout:
    """Translate the answer to a new payout."""
    return Payout(**_created(answer, raw, order))


def payout(answer: models.PayoutState, raw: Mapping[str, Any], currency: str) -> Payout:
    """Translate a payout's status."""
    return Payout(**_state(answer, raw, currency))


def _created(
    answer: models.PaymentCreated | models.PayoutCreated, raw: Mapping[str, Any], order: PaymentOrder | PayoutOrder
) -> dict[str, Any]:
    """Return what the answers to a new payment and a new payout have in common."""
    return {
        "order_id": wire.repeated(answer.order_id),
        "provider_id": wire.required_identifier(answer.id),
        "status": status(answer.payment_status),
        "provider_status": answer.payment_status,
        **sums(answer.currency, order.amount.currency, requested=answer.amount),
        "raw": dict(raw),
    }


def _state(answer: models.PaymentState | models.PayoutState, raw: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """Return what both statuses have in common, in the currency that the answer names, else the account's."""
    found = status(answer.payment_status)
    amounts = {"requested": answer.amount}
    if found is Status.SUCCEEDED:
        amounts["paid"] = answer.payment_amount
    deciding = sums(answer.currency, currency, **amounts)
    currency = deciding.get("currency") or currency
    secondary = (
        {}
        if "currency" in deciding["mismatches"]
        else {
            "paid": secondary_money(answer.payment_amount, currency),  # of an order that is not paid it decides nothing
            "credited": secondary_money(answer.account_payment_amount, currency),
            "commission": secondary_money(answer.commission_amount, currency),
        }
    )
    return {
        "order_id": wire.repeated(answer.order_id),
        "provider_id": wire.required_identifier(answer.id),
        "status": found,
        "provider_status": answer.payment_status,
        **secondary,
        **deciding,
        "partial": wire.flag(answer.is_partial_payment),
        "reason": wire.text(answer.payment_error_message),
        "raw": dict(raw),
    }


def history(page: models.HistoryPage, raw: Mapping[str, Any], currency: str) -> tuple[Payment, ...]:
    """Translate one page of payments; its times name no zone, and are in the provider's."""
    return tuple(
        _listed(item, fields, currency) for item, fields in zip(page.data, map(HiddenFields, raw["data"]), strict=True)
    )


def _listed(item: models.HistoryItem, fields: Mapping[str, Any], currency: str) -> Payment:
    deciding = sums(item.currency, currency, requested=item.amount)
    readable = not deciding["mismatches"]
    return Payment(
        order_id=wire.identifier(item.order_id),
        provider_id=wire.required_identifier(item.id),
        status=status(item.status) if readable else Status.UNKNOWN,
        provider_status=item.status,
        **deciding,
        commission=secondary_money(item.commission_amount, deciding["currency"] or currency) if readable else None,
        created_at=wire.local_time(item.created_at),
        raw=dict(fields),
    )


def balance(answer: models.BalanceState, raw: Mapping[str, Any], currency: str) -> Balance:
    """Translate the balance; it must be in the account's currency.

    Raises:
        Unreadable: it is in another currency, or has no amount.
    """
    available = money(answer.balance, currency)
    if available is None or wire.currency(answer.currency) != currency:
        raise Unreadable("the balance has no amount, or is not in the account's currency")
    return Balance(
        available=available,
        held=secondary_money(answer.hold, currency),
        reserved=secondary_money(answer.rolling_reserve, currency),
        pending_payouts=secondary_money(answer.pending_payouts, currency),
        raw=dict(raw),
    )


def account_info(answer: models.InfoState, raw: Mapping[str, Any]) -> AccountInfo:
    """Translate what the account is allowed to do."""
    return AccountInfo(
        payments_allowed=answer.is_allowed_payment,
        payouts_allowed=answer.is_allowed_payout,
        services=_services("payment", answer.payments) + _services("payout", answer.payouts),
        raw=dict(raw),
    )


def _services(kind: Literal["payment", "payout"], items: tuple[models.InfoItem, ...]) -> tuple[Service, ...]:
    return tuple(
        Service(
            kind=kind,
            code=item.service_code,
            method=wire.text(item.method),
            currency=wire.text(item.currency),
            active=item.status == "active",
        )
        for item in items
    )


def _requisites(answer: models.PaymentCreated | models.PaymentState, kind: RequisitesKind | None) -> Requisites | None:
    number = wire.text(answer.cardNumber) or wire.text(answer.card_number)
    if number is None:
        return None
    return Requisites(
        kind=kind or "card",
        number=number,
        holder=wire.text(answer.cardHolderName) or wire.text(answer.card_holder_name),
        bank=wire.text(answer.bank),
        bic=wire.text(answer.bik_bank),
    )
