"""Orders become the documents' requests, answers become payhub's words."""

import json
from typing import Any, get_args

import msgspec
import pytest

from payhub import (
    Browser,
    InvalidOrder,
    Money,
    Payer,
    PaymentOrder,
    PayoutOrder,
    Recipient,
    Requisites,
    Status,
    ToBankAccount,
    ToCard,
    ToPhone,
    ToWallet,
)
from payhub.models import Method, Presentation
from payhub_alikassa import AliKassaPayment, AliKassaPayout, mapping, models, wire
from payhub_alikassa.config import PaymentServices, PayoutServices
from payhub_alikassa.sandbox import services
from tests.alikassa.orders import (
    BANK,
    BANK_ACCOUNT,
    CARD,
    PHONE,
    RECIPIENT,
    TO_BANK_ACCOUNT,
    TO_CARD,
    TO_EUR_CARD,
    TO_PHONE,
    TO_WALLET,
    config,
    payment,
    payout,
)


def written_payment(order: PaymentOrder, **fields: Any) -> dict[str, Any]:
    """Return the fields that a payment order puts on the wire."""
    body: dict[str, Any] = json.loads(
        wire.write(mapping.payment_request(config(currency=order.amount.currency, **fields), order))
    )
    return body


def written_payout(order: PayoutOrder, **fields: Any) -> dict[str, Any]:
    """Return the fields that a payout order puts on the wire."""
    body: dict[str, Any] = json.loads(
        wire.write(mapping.payout_request(config(currency=order.amount.currency, **fields), order))
    )
    return body


SEED_003 = [
    ("card", "hosted", "payment_card_number_rub_hpp"),
    ("card", "direct", "payment_card_number_rub_card"),
    ("sbp", "direct", "payment_card_sbp_rub_card"),
    ("sberpay", "direct", "payment_card_sberpay_rub_card"),
    ("sberpay", "hosted", "payment_card_sberpay_rub_card"),
    ("bank_account", "hosted", "virtual_account_rub_hpp"),
    ("bank_account", "direct", "virtual_account_rub_card"),
]


@pytest.mark.parametrize(("method", "presentation", "service"), SEED_003)
def test_the_documented_services_of_rubles(method: Method, presentation: Presentation, service: str) -> None:
    """Each documented way to pay in RUB goes to its service, with the fields its table stars."""
    order = payment(
        method=method, presentation=presentation, bank_code=BANK if service.endswith("number_rub_card") else None
    )
    expected = {
        "amount": "3000.00",
        "order_id": "in-1",
        "service": service,
        "customer_ip": "203.0.113.24",
        "customer_user_id": "u-881",
        "customer_first_name": "IVAN",
        "customer_last_name": "IVANOV",
        "customer_browser_user_agent": "Mozilla/5.0",
    }
    if order.bank_code:
        expected["customer_code"] = BANK
    assert written_payment(order) == expected


ALL_SERVICES = [(s.code, s.method, s.presentation, s.currency) for s in mapping.PAYMENT_SERVICES]


@pytest.mark.parametrize(("code", "method", "presentation", "currency"), ALL_SERVICES)
def test_every_documented_service_can_be_named(code: str, method: Any, presentation: Any, currency: str) -> None:
    """Every service of the table is reached by naming it in the order."""
    order = payment(
        currency, method=method, presentation=presentation, bank_code=BANK, extra=AliKassaPayment(service=code)
    )
    assert written_payment(order)["service"] == code


def test_the_sandbox_asks_for_no_field_that_the_driver_does_not() -> None:
    """Each documented service needs the same fields here and there: what would be refused is refused before sending."""
    ours = {service.code: {"customer_ip", *service.required} for service in mapping.PAYMENT_SERVICES}
    assert ours == {code: set(service.required) for code, service in services.PAYMENT_SERVICES.items()}
    payouts = {service.code: set(service.required) for service in mapping.PAYOUT_SERVICES}
    theirs = {code: set(service.required) for code, service in services.PAYOUT_SERVICES.items()}
    del theirs["payment_card_eur"]  # which the documents do not name
    assert payouts == theirs


@pytest.mark.parametrize(("currency", "code"), [("EUR", "payment_card_eur_card"), ("UAH", "payment_card_uah_hpp")])
def test_cards_in_euros_and_hryvnias_need_the_browser(currency: str, code: str) -> None:
    """What the provider needs for these services is missed before anything is sent, by its name."""
    order = payment(currency, payer=Payer(id="u-881", ip="203.0.113.24"))
    with pytest.raises(InvalidOrder, match=rf"^payer\.browser\.user_agent: is required by {code} "):
        mapping.payment_request(config(currency=currency), order)


def test_the_general_payment_with_every_field() -> None:
    """Every listed field of the general payment arrives under its name, in the documents' order."""
    order = PaymentOrder(
        order_id="in-2", amount=Money("1500.5", "RUB"), method="card", presentation="hosted",
        payer=Payer(id="u-1", ip="2001:db8::1", email="a@b.example", phone="+79001112233", first_name="A",
                    last_name="B", address="C 1", post_code="1010", state="D", city="E",
                    browser=Browser(user_agent="UA", accept_header="*/*", color_depth=24, language="ru-RU",
                                    screen_height=1080, screen_width=1920)),
        bank_code=BANK, description="Order №1/2", success_url="https://shop.example/ok",
        fail_url="https://shop.example/no", notification_url="https://shop.example/n",
        extra=AliKassaPayment(service="payment_card_rub_hpp", customer_account="acc", lifetime=900,
                              success_redirect_id=1, fail_redirect_id=2, notification_endpoint_id=5),
    )  # fmt: skip
    assert list(written_payment(order).items()) == [
        ("amount", "1500.50"), ("order_id", "in-2"), ("service", "payment_card_rub_hpp"), ("desc", "Order №1/2"),
        ("lifetime", 900), ("customer_ip", "2001:db8::1"), ("customer_user_id", "u-1"), ("customer_account", "acc"),
        ("customer_code", BANK), ("customer_email", "a@b.example"), ("customer_first_name", "A"),
        ("customer_last_name", "B"), ("customer_address", "C 1"), ("customer_phone", "79001112233"),
        ("customer_post_code", 1010), ("customer_state", "D"), ("customer_city", "E"),
        ("customer_browser_user_agent", "UA"), ("customer_browser_accept_header", "*/*"),
        ("customer_browser_color_depth", 24), ("customer_browser_language", "ru-RU"),
        ("customer_browser_screen_height", 1080), ("customer_browser_screen_width", 1920),
        ("success_redirect_id", 1), ("fail_redirect_id", 2), ("notification_endpoint_id", 5),
        ("success_redirect_url", "https://shop.example/ok"), ("fail_redirect_url", "https://shop.example/no"),
        ("notification_endpoint_url", "https://shop.example/n"),
    ]  # fmt: skip


PAYOUTS = [
    (TO_CARD, {"number": CARD, "service": "payment_card_rub"}),
    (TO_PHONE, {"number": PHONE, "service": "payment_card_sbp_rub", "customer_code": BANK}),
    (TO_BANK_ACCOUNT, {"number": BANK_ACCOUNT, "service": "virtual_account_rub", "customer_code": BANK,
                       "bik_bank": "041351902"}),
    (TO_WALLET, {"number": "79005554455", "service": "qiwi_rub"}),
    (ToWallet("ivan-petrov"), {"number": "ivan-petrov", "service": "qiwi_rub"}),
    (ToWallet("P-1000(2)"), {"number": "P-1000(2)", "service": "qiwi_rub"}),
]  # fmt: skip


@pytest.mark.parametrize(("to", "expected"), PAYOUTS, ids=repr)
def test_the_documented_destinations_in_rubles(to: Any, expected: dict[str, str]) -> None:
    """Each documented destination in RUB goes to its service; plus and separators are stripped."""
    assert written_payout(payout(to)) == {"amount": "1000.44", "order_id": "po-1", **expected}


def test_a_payout_to_a_card_in_euros() -> None:
    """The five extra fields, the customer's fields and project_url arrive in the documents' order."""
    order = payout(TO_EUR_CARD, "EUR", recipient=RECIPIENT, notification_url="https://shop.example/n",
                   extra=AliKassaPayout(service="payment_card_eur", notification_endpoint_id=5,
                                        customer_code="sberbank", project_url="https://project.example"))  # fmt: skip
    assert list(written_payout(order).items()) == [
        ("amount", "1000.44"), ("number", CARD), ("order_id", "po-1"), ("service", "payment_card_eur"),
        ("notification_endpoint_id", 5), ("notification_endpoint_url", "https://shop.example/n"),
        ("extra", {"card_exp_year": "27", "card_exp_month": "01", "card_holder": "CARDHOLDER NAME",
                   "card_country": "UA", "card_recipient_birth_date": "1999-12-15"}),
        ("customer_phone", "79001112233"), ("customer_email", "ivan@shop.example"), ("customer_code", "sberbank"),
        ("customer_first_name", "IVAN"), ("customer_last_name", "IVANOV"), ("customer_country", "DEU"),
        ("project_url", "https://project.example"),
    ]  # fmt: skip


def test_an_account_can_name_its_own_services() -> None:
    """A code in the configuration replaces the documented one; a code in the order replaces both."""
    named = {"payment_services": PaymentServices(card_direct="payment_card_number_card"),
             "payout_services": PayoutServices(card="payment_card_new")}  # fmt: skip
    direct = payment(presentation="direct", bank_code="sberbank")
    assert written_payment(direct, **named)["service"] == "payment_card_number_card"
    assert written_payout(payout(), **named)["service"] == "payment_card_new"
    assert written_payout(payout(extra=AliKassaPayout(service="other")), **named)["service"] == "other"


SENT = [
    ({"browser": Browser(user_agent="UA", language="zh-Hant-TW")}, {"customer_browser_language": "zh-Hant"}),
    ({"browser": Browser(user_agent="UA", language="en-GB-oxendict")}, {"customer_browser_language": "en-GB"}),
    ({"browser": Browser(user_agent="UA", language="ru-RU")}, {"customer_browser_language": "ru-RU"}),
    ({"last_name": "", "email": "", "phone": "", "post_code": "", "city": ""}, {}),
    ({"post_code": "0"}, {"customer_post_code": 0}),
    ({"phone": "+7\u00a0903\u00a0111\u201122\u201133"}, {"customer_phone": PHONE}),
    ({"ip": "::ffff:203.0.113.25"}, {"customer_ip": "203.0.113.25"}),
    ({"ip": "2001:db8::1"}, {"customer_ip": "2001:db8::1"}),
]


PHONES = [
    "8 903 111-22-33",
    "9031112233",
    "7903111223",
    "790311122331",
    "+7 (0)903 111-22-33",
    "0079031112233",
    "7" * 10,
]


@pytest.mark.parametrize("number", PHONES)
def test_what_is_no_phone_of_sbp_is_refused(number: str) -> None:
    """In RUB a phone is 7 and ten digits; one with 8 or without a country, too short or too long is not sent."""
    with pytest.raises(
        InvalidOrder, match=r"^to\.number: not a phone number for SBP: 7 and ten digits, as 79031112233$"
    ):
        mapping.payout_request(config(), payout(ToPhone(number, bank_code="1")))


@pytest.mark.parametrize("number", ["+7 903 111-22-33", "7.903.111.22.33", "7\u00a0903\u00a0111\u00a022\u00a033"])
def test_a_phone_of_sbp_is_sent_without_separators(number: str) -> None:
    """The same number is sent, however it is written."""
    assert "79031112233" == mapping.payout_request(config(), payout(ToPhone(number, bank_code="1"))).number


@pytest.mark.parametrize(("payer", "fields"), SENT, ids=repr)
def test_what_browsers_and_forms_send_is_put_into_the_providers_form(
    payer: dict[str, Any], fields: dict[str, Any]
) -> None:
    """The same meaning in another form: a language as far as there is room, an empty field as none, one IP address."""
    bare = Payer(id="u-881", ip="203.0.113.24", browser=Browser(user_agent="UA"))
    expected = written_payment(payment(payer=bare)) | fields
    assert written_payment(payment(payer=msgspec.structs.replace(bare, **payer))) == expected


def test_empty_texts_equal_absent_ones() -> None:
    """A form that was left empty says nothing, wherever it is optional."""
    empty = payment(description="", success_url="", fail_url="", notification_url="", bank_code="",
                    extra=AliKassaPayment(customer_account="", customer_code="", service=""))  # fmt: skip
    assert written_payment(empty) == written_payment(payment())
    nobody = Recipient(email="", phone="", first_name="", last_name="", country="")
    assert written_payout(payout(recipient=nobody, notification_url="")) == written_payout(payout())


def replaced(order: Any, **fields: Any) -> Any:
    """Return an order with other fields; `payer` and `to` take a mapping of theirs."""
    nested = {k: msgspec.structs.replace(getattr(order, k), **v) if isinstance(v, dict) and k != "extra" else v
              for k, v in fields.items()}  # fmt: skip
    return msgspec.structs.replace(order, **nested)


DIRECT = payment(presentation="direct", bank_code=BANK)
INVALID_PAYMENTS = [
    ("payer.id", payment(), {"payer": {"id": None}}),
    ("payer.ip", payment(), {"payer": {"ip": None}}),
    ("payer.ip", payment(), {"payer": None}),
    ("payer.ip", payment(), {"payer": {"ip": "999.1.1.1"}}),
    ("payer.ip", payment(), {"payer": {"ip": ""}}),
    ("payer.ip", payment(), {"payer": {"ip": "203.0.113.24, 10.0.0.1"}}),
    ("payer.ip", payment(), {"payer": {"ip": "fe80::1%eth0"}}),
    ("payer.id", payment(), {"payer": {"id": ""}}),
    ("bank_code", DIRECT, {"bank_code": None}),
    ("payer.browser.user_agent", payment(method="sbp"), {"payer": {"browser": None}}),
    ("method", payment(), {"method": "wallet"}),
    ("order_id", payment(), {"order_id": "x" * 129}),
    ("description", payment(), {"description": "x" * 129}),
    ("payer.id", payment(), {"payer": {"id": "x" * 101}}),
    ("payer.email", payment(), {"payer": {"email": "nobody"}}),
    ("payer.email", payment(), {"payer": {"email": f"{'x' * 50}@b.example"}}),
    ("payer.phone", payment(), {"payer": {"phone": "123456789012345"}}),
    ("payer.city", payment(), {"payer": {"city": "x" * 21}}),
    ("payer.state", payment(), {"payer": {"state": "x" * 51}}),
    ("payer.first_name", payment(), {"payer": {"first_name": "x" * 51}}),
    ("payer.last_name", payment(), {"payer": {"last_name": "x" * 51}}),
    ("payer.address", payment(), {"payer": {"address": "x" * 51}}),
    ("payer.post_code", payment(), {"payer": {"post_code": "AB1"}}),
    ("payer.post_code", payment(), {"payer": {"post_code": "02134"}}),
    ("payer.post_code", payment(), {"payer": {"post_code": "00"}}),
    ("payer.first_name", payment(), {"payer": {"first_name": "Anna \ud83d"}}),
    ("payer.browser.user_agent", payment(), {"payer": {"browser": Browser(user_agent="\udc00")}}),
    ("extra.customer_account", payment(), {"extra": AliKassaPayment(customer_account="\ud83d")}),
    ("payer.post_code", payment(), {"payer": {"post_code": "1" * 13}}),
    ("payer.browser.user_agent", payment(), {"payer": {"browser": Browser(user_agent="x" * 2001)}}),
    ("payer.browser.accept_header", payment(), {"payer": {"browser": Browser(accept_header="x" * 2001)}}),
    ("payer.browser.language", payment(), {"payer": {"browser": Browser(language="x" * 9)}}),
    ("payer.browser.color_depth", payment(), {"payer": {"browser": Browser(color_depth=-1)}}),
    ("success_url", payment(), {"success_url": "javascript:alert(1)"}),
    ("success_url", payment(), {"success_url": "https://shop.example/" + "x" * 240}),
    ("fail_url", payment(), {"fail_url": "shop.example"}),
    ("notification_url", payment(), {"notification_url": "https://[bad"}),
    ("extra", payment(), {"extra": {"service": "x"}}),
    ("extra", payment(), {"extra": AliKassaPayout()}),
    ("extra.lifetime", payment(), {"extra": AliKassaPayment(lifetime=899)}),
    ("extra.lifetime", payment(), {"extra": AliKassaPayment(lifetime=3601)}),
    ("extra.service", payment(), {"extra": AliKassaPayment(service="x" * 101)}),
    ("extra.service", payment(), {"extra": AliKassaPayment(service="qr_code_thb_hpp")}),
    ("extra.notification_endpoint_id", payment(), {"extra": AliKassaPayment(notification_endpoint_id="5")}),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("field", "order", "change"), INVALID_PAYMENTS)
def test_an_invalid_payment_names_the_field(field: str, order: PaymentOrder, change: dict[str, Any]) -> None:
    """Whatever the documents forbid is refused before signing, by the application's name of the field."""
    with pytest.raises(InvalidOrder) as error:
        mapping.payment_request(config(), replaced(order, **change))
    assert error.value.field == field


EUR = payout(TO_EUR_CARD, "EUR", extra=AliKassaPayout(service="payment_card_eur"))
INVALID_PAYOUTS = [
    ("to.number", payout(), {"to": ToCard("4111111111111112")}),
    ("to.number", payout(), {"to": ToCard("")}),
    ("to.number", payout(), {"to": ToCard("٤١١١١١١١١١١١١١١٢")}),
    ("to.number", payout(TO_PHONE), {"to": {"number": "12345"}}),
    ("to.number", payout(TO_PHONE), {"to": {"number": "9031112233"}}),
    ("to.number", payout(TO_PHONE), {"to": {"number": "89031112233"}}),
    ("to.number", payout(TO_PHONE), {"to": {"number": "8 (903) 111-22-33"}}),
    ("to.number", payout(TO_PHONE), {"to": {"number": "790311122334"}}),
    ("to.bank_code", payout(TO_PHONE), {"to": {"bank_code": None}}),
    ("to.number", payout(TO_BANK_ACCOUNT), {"to": {"number": "123"}}),
    ("to.bic", payout(TO_BANK_ACCOUNT), {"to": {"bic": None}}),
    ("to.bic", payout(TO_BANK_ACCOUNT), {"to": {"bic": "1"}}),
    ("to.bank_code", payout(TO_BANK_ACCOUNT), {"to": {"bank_code": None}}),
    ("to.number", payout(TO_WALLET), {"to": ToWallet("")}),
    ("order_id", payout(), {"order_id": "x" * 129}),
    ("recipient.email", payout(), {"recipient": Recipient(email="nobody")}),
    ("recipient.phone", payout(), {"recipient": Recipient(phone="me")}),
    ("recipient.country", payout(), {"recipient": Recipient(country="DE")}),
    ("notification_url", payout(), {"notification_url": "ftp://shop.example"}),
    ("extra.project_url", payout(), {"extra": AliKassaPayout(project_url="shop")}),
    ("extra.service", payout(), {"amount": Money("1", "EUR")}),
    ("extra.service", payout(), {"extra": AliKassaPayout(service="payment_card_kzt")}),
    ("extra", payout(), {"extra": AliKassaPayment()}),
    ("to.exp_year", EUR, {"to": {"exp_year": None}}),
    ("to.exp_month", EUR, {"to": {"exp_month": None}}),
    ("to.holder", EUR, {"to": {"holder": None}}),
    ("to.country", EUR, {"to": {"country": None}}),
    ("to.birth_date", EUR, {"to": {"birth_date": None}}),
    ("to.exp_year", EUR, {"to": {"exp_year": "2027"}}),
    ("to.exp_month", EUR, {"to": {"exp_month": "13"}}),
    ("to.exp_year", EUR, {"to": {"exp_year": "27\n"}}),
    ("to.country", EUR, {"to": {"country": "DE\n"}}),
    ("recipient.country", payout(), {"recipient": Recipient(country="DEU\n")}),
    ("to.holder", EUR, {"to": {"holder": "x" * 101}}),
    ("to.country", EUR, {"to": {"country": "UKR"}}),
]


@pytest.mark.parametrize(("field", "order", "change"), INVALID_PAYOUTS)
def test_an_invalid_payout_names_the_field(field: str, order: PayoutOrder, change: dict[str, Any]) -> None:
    """Whatever the documents forbid is refused before signing, by the application's name of the field."""
    order = replaced(order, **change)
    with pytest.raises(InvalidOrder) as error:
        mapping.payout_request(config(currency=order.amount.currency), order)
    assert (error.value.field, CARD in str(error.value)) == (field, False)


def test_an_order_in_another_currency_than_the_accounts_is_refused() -> None:
    """An account has one currency; an order in another one is not sent."""
    with pytest.raises(InvalidOrder, match=r"amount\.currency: account 'ak' is in RUB"):
        mapping.payment_request(config(), payment("EUR"))
    with pytest.raises(InvalidOrder, match=r"amount\.currency: account 'ak' is in RUB"):
        mapping.payout_request(config(), payout(currency="EUR"))


def test_a_misspelt_provider_field_fails_at_once() -> None:
    """A field that the provider does not have cannot even be written."""
    with pytest.raises(TypeError, match="servise"):
        AliKassaPayment(servise="x")  # type: ignore[call-arg]


@pytest.mark.parametrize("request_type", [models.PaymentRequest, models.PayoutRequest])
def test_every_wire_field_has_the_applications_name(request_type: type[msgspec.Struct]) -> None:
    """No error can name a field that the application does not know."""
    names = mapping.PAYMENT_FIELDS if request_type is models.PaymentRequest else mapping.PAYOUT_FIELDS
    assert {f.name for f in msgspec.structs.fields(request_type)} - set(names) == set()


def test_the_status_table_is_total() -> None:
    """The four documented words have their statuses; any other word is not final."""
    assert mapping.STATUSES == {
        "wait": Status.PENDING, "paid": Status.SUCCEEDED, "cancel": Status.CANCELED, "fail": Status.FAILED,
    }  # fmt: skip
    assert mapping.status("chargeback") is Status.PENDING


def test_the_tables_of_services_are_sound() -> None:
    """Every service uses payhub's words, and every way that a service may be named for is offered."""
    assert {s.method for s in mapping.PAYMENT_SERVICES} <= set(get_args(Method))
    assert {s.presentation for s in mapping.PAYMENT_SERVICES} == set(get_args(Presentation))
    assert set(mapping._DESTINATIONS) == {ToCard, ToPhone, ToBankAccount, ToWallet}
    ways = {f"{offer.method}_{offer.presentation}" for offer in mapping.PAYMENT_OFFERS}
    assert set(PaymentServices.__struct_fields__) == ways
    assert set(PayoutServices.__struct_fields__) == {offer.method for offer in mapping.PAYOUT_OFFERS}


S004_PAID = {
    "url": "https://redirectlinkpay.com/293259c3", "antiFraud": False, "payment_status": "paid", "id": 112412553,
    "order_id": "1756900030", "amount": "10.000000000", "payment_amount": "10.000000000", "is_partial_payment": False,
    "hold_amount": "", "hold_at": None, "account_payment_amount": "9.000000000", "commission_amount": "1.000000000",
    "currency": "EUR", "service_code": "payment_card_eur_card", "account_old_balance": "16.00000000",
    "account_new_balance": "25.00000000", "payment_error_message": None, "card_number": None, "card_holder_name": None,
}  # fmt: skip


def state(fields: dict[str, Any]) -> Any:
    """Translate a payment's status."""
    return mapping.payment(msgspec.convert(fields, models.PaymentState), fields, "RUB")


def test_the_documented_payment_status_is_understood() -> None:
    """The documents' own example gives status, ids and amounts in the answer's currency."""
    found = state(S004_PAID)
    assert (found.status, found.provider_id, found.order_id, found.requested, found.paid, found.credited) == (
        Status.SUCCEEDED, "112412553", "1756900030", Money(10, "EUR"), Money(10, "EUR"), Money(9, "EUR"),
    )  # fmt: skip
    assert (found.commission, found.partial, found.raw) == (Money(1, "EUR"), False, S004_PAID)


def test_a_partial_payment_says_what_was_paid() -> None:
    """What was paid is kept apart from what was asked for."""
    found = state({**S004_PAID, "payment_amount": "4.5", "is_partial_payment": True})
    assert (found.requested, found.paid, found.partial) == (Money(10, "EUR"), Money("4.5", "EUR"), True)


def test_the_documented_payout_status_is_understood() -> None:
    """The documents' own example of a payout, loose amounts and all."""
    fields = {"payment_status": "paid", "id": 100000536, "order_id": "6422494", "amount": "300.00",
              "payment_amount": "300.00", "is_partial_payment": False, "account_payment_amount": "290",
              "commission_amount": "10", "service_code": "payment_card_rub", "rrn": "11111111111",
              "account_old_balance": "1290", "account_new_balance": "1000"}  # fmt: skip
    found = mapping.payout(msgspec.convert(fields, models.PayoutState), fields, "RUB")
    assert (found.status, found.provider_id, found.order_id) == (Status.SUCCEEDED, "100000536", "6422494")
    assert (found.requested, found.paid, found.credited, found.commission) == (
        Money(300, "RUB"), Money(300, "RUB"), Money(290, "RUB"), Money(10, "RUB"),
    )  # fmt: skip


CREATED = {"payment_status": "wait", "id": 108465371, "uuid": "bd291fe1", "success_redirect_url": None}
HOLDER = "Имя Отчество Ф."
CREATED_ANSWERS = [
    ("card", "hosted", {"url": "https://pay.example/bd291fe1"}, "https://pay.example/bd291fe1", None),
    ("card", "direct", {"url": None, "cardNumber": "1111111111110019", "cardHolderName": HOLDER}, None,
     Requisites(kind="card", number="1111111111110019", holder=HOLDER)),
    ("card", "direct", {"url": None, "card_number": "1111111111110019", "card_holder_name": HOLDER, "bank": "sberbank"},
     None, Requisites(kind="card", number="1111111111110019", holder=HOLDER, bank="sberbank")),
    ("sbp", "direct", {"url": None, "cardNumber": PHONE, "cardHolderName": HOLDER}, None,
     Requisites(kind="phone", number=PHONE, holder=HOLDER)),
    ("sberpay", "direct", {"url": "https://p2p.example/5e", "cardNumber": PHONE, "cardHolderName": HOLDER},
     "https://p2p.example/5e", Requisites(kind="phone", number=PHONE, holder=HOLDER)),
    ("bank_account", "direct", {"cardNumber": BANK_ACCOUNT, "cardHolderName": HOLDER}, None,
     Requisites(kind="bank_account", number=BANK_ACCOUNT, holder=HOLDER)),
]  # fmt: skip


@pytest.mark.parametrize(("method", "presentation", "fields", "url", "requisites"), CREATED_ANSWERS)
def test_the_documented_answers_to_a_new_payment(
    method: Any, presentation: Any, fields: dict[str, Any], url: str | None, requisites: Requisites | None
) -> None:
    """Each documented answer gives the page to redirect to, the requisites to show, or both."""
    answer = {**CREATED, **fields}
    order = payment(method=method, presentation=presentation)
    found = mapping.payment_created(msgspec.convert(answer, models.PaymentCreated), answer, order)
    assert (found.status, found.provider_id, found.redirect_url, found.requisites, found.raw) == (
        Status.PENDING, "108465371", url, requisites, answer,
    )  # fmt: skip
