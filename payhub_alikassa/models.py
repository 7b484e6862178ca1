"""The messages on the wire, field for field, in the documents' order and with their names.

The masks say what a log may show of each field; a field that is not declared here is hidden.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from payhub.masking import (
    Birth,
    Clear,
    Email,
    Ip,
    Link,
    MaskedStruct,
    Name,
    Phone,
    ProviderId,
    Truncated,
    Words,
    mask_json,
)


def _text(max_length: int) -> Meta:
    return Meta(min_length=1, max_length=max_length)


def _form(pattern: str, description: str, most: int | None = None) -> Meta:
    if most is not None:
        description = f"{description} of at most {most} characters"
    return Meta(max_length=most, pattern=rf"^({pattern})\Z", description=description)


Text8 = Annotated[str, _text(8)] | UnsetType
Text20 = Annotated[str, _text(20)] | UnsetType
Text50 = Annotated[str, _text(50)] | UnsetType
Text100 = Annotated[str, _text(100)] | UnsetType
Text128 = Annotated[str, _text(128)] | UnsetType
Text255 = Annotated[str, _text(255)] | UnsetType
Text2000 = Annotated[str, _text(2000)] | UnsetType
Email254 = Annotated[str, _form(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address", 254)] | UnsetType
Email50 = Annotated[str, _form(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address", 50)] | UnsetType
Phone15 = Annotated[str, _form(r"[0-9]{10,15}", "a phone number of 10 to 15 digits")] | UnsetType
Phone12 = Annotated[str, _form(r"[0-9]{10,12}", "a phone number of 10 to 12 digits")] | UnsetType
Country2 = Annotated[str, _form("[A-Z]{2}", "a country in two capital letters, as DE")] | UnsetType
Country3 = Annotated[str, _form("[A-Z]{3}", "a country in three capital letters, as DEU")] | UnsetType
Day = Annotated[str, _form(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "a date, as 1990-12-31")] | UnsetType
Number = Annotated[int, Meta(ge=0, le=2**31 - 1)] | UnsetType

Amount = Annotated[str, _form(r"[0-9]{1,9}(\.[0-9]{1,2})?", "at most 999999999.99, with two digits after the point")]
OrderId = Annotated[str, _text(128)]
ServiceCode = Annotated[str, _text(100)]


# https://doc-merchant.alikassa.com/payment/create and https://doc-merchant.alikassa.com/provider/ps4rub
class PaymentRequest(MaskedStruct, frozen=True, kw_only=True):
    """The body of `POST v1/payment`."""

    amount: Clear[Amount]
    order_id: Clear[OrderId]
    service: Clear[ServiceCode]
    desc: Text128 = UNSET
    lifetime: Clear[Annotated[int, Meta(ge=900, le=3600)] | UnsetType] = UNSET
    customer_ip: Ip[Text50] = UNSET
    customer_user_id: Truncated[Text100] = UNSET
    customer_account: Truncated[Text50] = UNSET
    customer_code: Clear[Text100] = UNSET
    customer_email: Email[Email50] = UNSET
    customer_first_name: Name[Text50] = UNSET
    customer_last_name: Name[Text50] = UNSET
    customer_address: Text50 = UNSET
    customer_phone: Phone[Phone12] = UNSET
    customer_post_code: Annotated[int, Meta(ge=0, lt=10**12)] | UnsetType = UNSET
    customer_state: Text50 = UNSET
    customer_city: Text20 = UNSET
    customer_browser_user_agent: Clear[Text2000] = UNSET
    customer_browser_accept_header: Clear[Text2000] = UNSET
    customer_browser_color_depth: Clear[Number] = UNSET
    customer_browser_language: Clear[Text8] = UNSET
    customer_browser_screen_height: Clear[Number] = UNSET
    customer_browser_screen_width: Clear[Number] = UNSET
    success_redirect_id: Clear[Number] = UNSET
    fail_redirect_id: Clear[Number] = UNSET
    notification_endpoint_id: Clear[Number] = UNSET
    success_redirect_url: Link[Text255] = UNSET
    fail_redirect_url: Link[Text255] = UNSET
    notification_endpoint_url: Link[Text255] = UNSET


# https://doc-merchant.alikassa.com/payout/create
class CardExtra(MaskedStruct, frozen=True, kw_only=True):
    """The card and its holder, for payouts in EUR."""

    card_exp_year: Annotated[str, _form("[0-9]{2}", "a year of two digits")] | UnsetType = UNSET
    card_exp_month: Annotated[str, _form("0[1-9]|1[0-2]", "a month of two digits, 01 to 12")] | UnsetType = UNSET
    card_holder: Name[Text100] = UNSET
    card_country: Clear[Country2] = UNSET
    card_recipient_birth_date: Birth[Day] = UNSET


# https://doc-merchant.alikassa.com/payout/create and https://doc-merchant.alikassa.com/provider/ps4rub
class PayoutRequest(MaskedStruct, frozen=True, kw_only=True):
    """The body of `POST v1/payout`."""

    amount: Clear[Amount]
    number: Truncated[Annotated[str, _text(100)]]
    order_id: Clear[OrderId]
    service: Clear[ServiceCode]
    notification_endpoint_id: Clear[Number] = UNSET
    notification_endpoint_url: Link[Text255] = UNSET
    extra: Clear[CardExtra | UnsetType] = UNSET
    customer_phone: Phone[Phone15] = UNSET
    customer_email: Email[Email254] = UNSET
    customer_code: Clear[Text100] = UNSET
    bik_bank: Clear[Text100] = UNSET
    customer_first_name: Name[Text100] = UNSET
    customer_last_name: Name[Text100] = UNSET
    customer_country: Clear[Country3] = UNSET
    project_url: Link[Text255] = UNSET


# https://doc-merchant.alikassa.com/payment/check/status and https://doc-merchant.alikassa.com/payout/check/status
class StatusRequest(MaskedStruct, frozen=True, kw_only=True):
    """A question for a status, by the merchant's order_id or by AliKassa's id."""

    order_id: Clear[Text128] = UNSET
    id: Clear[Text128] = UNSET


# https://doc-merchant.alikassa.com/payment/check/history
class HistoryRequest(MaskedStruct, frozen=True, kw_only=True):
    """A question for one page of the payments of some days."""

    date_from: Clear[str]
    date_to: Clear[str]
    page: Clear[int]
    paginate: Clear[int]


class NoFields(MaskedStruct, frozen=True, kw_only=True):
    """A question without any field; PHP writes that as `[]`."""


class _FromProvider(MaskedStruct, frozen=True, kw_only=True):
    """Base of what the provider sends."""

    def _shown(self) -> Iterator[tuple[str, object]]:
        """Show in `repr` what a log shows: a long text is neither an amount nor an id, whatever the field is called."""
        shown: Any = mask_json(msgspec.to_builtins(self), type(self))
        return iter(shown.items())


class _Answer(_FromProvider, frozen=True, kw_only=True):
    """Base of answers, with what any of them may carry instead of what was promised."""

    message: Words[Any] = None
    errors: Words[Any] = None


# https://doc-merchant.alikassa.com/provider/ps4rub
class PaymentCreated(_Answer, frozen=True, kw_only=True):
    """The answer to a new payment; requisites come for host-to-host services only."""

    payment_status: Clear[str]
    id: ProviderId[int | str]
    url: Link[Any] = None
    uuid: Clear[Any] = None
    order_id: Clear[Any] = None
    amount: Clear[Any] = None
    currency: Clear[Any] = None
    success_redirect_url: Link[Any] = None
    cardNumber: Truncated[Any] = None  # noqa: N815 - the provider's name
    cardHolderName: Name[Any] = None  # noqa: N815 - the provider's name
    card_number: Truncated[Any] = None
    card_holder_name: Name[Any] = None
    bank: Clear[Any] = None
    bik_bank: Clear[Any] = None


# https://doc-merchant.alikassa.com/payment/check/status
class PaymentState(_Answer, frozen=True, kw_only=True):
    """A payment's status."""

    payment_status: Clear[str]
    id: ProviderId[int | str]
    order_id: Clear[Any] = None
    url: Link[Any] = None
    antiFraud: Clear[Any] = None  # noqa: N815 - the provider's name
    amount: Clear[Any] = None
    payment_amount: Clear[Any] = None
    is_partial_payment: Clear[Any] = None
    hold_amount: Clear[Any] = None
    hold_at: Clear[Any] = None
    account_payment_amount: Clear[Any] = None
    commission_amount: Clear[Any] = None
    currency: Clear[Any] = None
    service_code: Clear[Any] = None
    account_old_balance: Clear[Any] = None
    account_new_balance: Clear[Any] = None
    card_mask: Truncated[Any] = None
    crypto_network: Clear[Any] = None
    crypto_txid: Clear[Any] = None
    customer_phone: Phone[Any] = None
    customer_card_number: Truncated[Any] = None
    payment_error_message: Words[Any] = None
    cardNumber: Truncated[Any] = None  # noqa: N815 - the provider's name
    cardHolderName: Name[Any] = None  # noqa: N815 - the provider's name
    card_number: Truncated[Any] = None
    card_holder_name: Name[Any] = None
    bank: Clear[Any] = None
    bik_bank: Clear[Any] = None


_LONGEST_LIST = 1000
"""Items of a list, of which far fewer are asked for; what is longer is no promised answer."""


# https://doc-merchant.alikassa.com/payment/check/history
class HistoryItem(_FromProvider, frozen=True, kw_only=True):
    """One payment of a page; its status is called `status` here."""

    id: ProviderId[int | str]
    status: Clear[str]
    order_id: Clear[Any] = None
    amount: Clear[Any] = None
    commission_amount: Clear[Any] = None
    currency: Clear[Any] = None
    created_at: Clear[Any] = None


class HistoryLinks(_FromProvider, frozen=True, kw_only=True):
    """The links between the pages of a list; only whether there is a next one is used."""

    first: Link[Any] = None
    last: Link[Any] = None
    prev: Link[Any] = None
    next: Link[Any] = None


class HistoryPage(_Answer, frozen=True, kw_only=True):
    """One page of payments."""

    data: Clear[Annotated[list[HistoryItem], Meta(max_length=_LONGEST_LIST)]]
    links: Clear[HistoryLinks]
    meta: Clear[Any] = None


# https://doc-merchant.alikassa.com/payout/create
class PayoutCreated(_Answer, frozen=True, kw_only=True):
    """The answer to a new payout."""

    payment_status: Clear[str]
    id: ProviderId[int | str]
    order_id: Clear[Any] = None
    amount: Clear[Any] = None
    currency: Clear[Any] = None


# https://doc-merchant.alikassa.com/payout/check/status
class PayoutState(_Answer, frozen=True, kw_only=True):
    """A payout's status."""

    payment_status: Clear[str]
    id: ProviderId[int | str]
    order_id: Clear[Any] = None
    amount: Clear[Any] = None
    payment_amount: Clear[Any] = None
    is_partial_payment: Clear[Any] = None
    account_payment_amount: Clear[Any] = None
    commission_amount: Clear[Any] = None
    currency: Clear[Any] = None
    service_code: Clear[Any] = None
    rrn: Clear[Any] = None
    RRN: Clear[Any] = None
    card_mask: Truncated[Any] = None
    payment_error_message: Words[Any] = None
    account_old_balance: Clear[Any] = None
    account_new_balance: Clear[Any] = None


# https://doc-merchant.alikassa.com/method/balance
class BalanceState(_Answer, frozen=True, kw_only=True):
    """The account's balance."""

    currency: Clear[str]
    balance: Clear[Any]
    hold: Clear[Any] = None
    rolling_reserve: Clear[Any] = None
    pending_payouts: Clear[Any] = None


# https://doc-merchant.alikassa.com/method/info
class InfoItem(_FromProvider, frozen=True, kw_only=True):
    """One service of the account."""

    service_code: Clear[str]
    method: Clear[Any] = None
    currency: Clear[Any] = None
    status: Clear[Any] = None


class InfoState(_Answer, frozen=True, kw_only=True):
    """The account's permissions and services."""

    is_allowed_payment: Clear[bool]
    is_allowed_payout: Clear[bool]
    payments: Clear[Annotated[tuple[InfoItem, ...], Meta(max_length=_LONGEST_LIST)]] = ()
    payouts: Clear[Annotated[tuple[InfoItem, ...], Meta(max_length=_LONGEST_LIST)]] = ()


# https://doc-merchant.alikassa.com/api/sign
class NotificationFields(_FromProvider, frozen=True, kw_only=True):
    """The fields of a notification that are signed, in the order they are signed.

    The documents have the first eleven. Senders without `commission_amount` were seen, and one
    that adds `card_brand` at the end.
    """

    type: Clear[Any]
    id: ProviderId[Any]
    order_id: Clear[Any] = None
    payment_status: Clear[Any] = None
    amount: Clear[Any] = None
    payment_amount: Clear[Any] = None
    commission_amount: Clear[Any] = None
    is_partial_payment: Clear[Any] = None
    account: Clear[Any] = None
    service: Clear[Any] = None
    desc: Any = None
    card_brand: Clear[Any] = None
