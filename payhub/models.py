"""Say what an application wants (orders) and what is known of it (results)."""

import datetime as dt
import enum
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from payhub.masking import Birth, Clear, Email, Ip, Link, MaskedStruct, Name, Phone, Truncated, Words
from payhub.money import Money

Method = Literal["card", "sbp", "sberpay", "bank_account", "wallet"]
"""How the payer pays."""

Presentation = Literal["hosted", "direct"]
"""`hosted`: redirect the payer to the provider's page; `direct`: show requisites on your own page."""

_SEPARATORS = frozenset({"Zs", "Pd", "Cf", "Cc"})
"""Blanks, dashes, and what is not seen at all: the Unicode categories that people put between digits."""


def plain_number(number: Any, separators: str = "") -> Any:
    """Return a number as it is sent: without separators, its digits in ASCII; what is no text stays as it is."""
    if not isinstance(number, str) or (number.isascii() and number.isdigit()):  # most are plain already
        return number
    kept = (c for c in number if unicodedata.category(c) not in _SEPARATORS and c not in separators)
    return "".join(str(unicodedata.decimal(c, c)) for c in kept)


def plain_order_id(order_id: Any) -> Any:
    """Return an order's id as it is kept: a text, in Unicode's composed form; anything else stays as it is."""
    if isinstance(order_id, UUID) or (isinstance(order_id, int) and not isinstance(order_id, bool)):
        return str(order_id)
    return unicodedata.normalize("NFC", order_id) if isinstance(order_id, str) else order_id


def encodable(value: object) -> str:
    """Return as JSON's text a time that msgspec does not take for one: a test that freezes the clock has such times.

    Raises:
        TypeError: it is no time.
    """
    if isinstance(value, dt.datetime):
        return value.isoformat()
    raise TypeError(f"no JSON for a {type(value).__name__}")


LONGEST_ORDER_ID = 255

OrderId = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=LONGEST_ORDER_ID,
        pattern=r"^[^\x00-\x1f\x7f]+\Z",
        description=f"a text of 1 to {LONGEST_ORDER_ID} characters, none of them a control character",
    ),
]
Amount = Annotated[Money, msgspec.Meta(description='a Money, as Money("10.00", "RUB")')]


Time = Annotated[dt.datetime, msgspec.Meta(tz=True)]
"""A time that says in which zone it is, as all that payhub returns do."""


class Status(enum.StrEnum):
    """Name what is known of a payment or payout."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REVERSED = "reversed"
    NOT_SENT = "not_sent"

    @property
    def final(self) -> bool:
        """Tell whether the provider will not change it any more."""
        return self not in {Status.PENDING, Status.UNKNOWN, Status.NOT_SENT}


class Browser(MaskedStruct, frozen=True, kw_only=True):
    """Describe the payer's browser, for providers that check 3-D Secure or fraud by it."""

    user_agent: Clear[str | None] = None
    accept_header: Clear[str | None] = None
    color_depth: Clear[int | None] = None
    language: Clear[str | None] = None
    screen_height: Clear[int | None] = None
    screen_width: Clear[int | None] = None


class Payer(MaskedStruct, frozen=True, kw_only=True):
    """Describe who pays; which fields are needed depends on the provider's service."""

    id: Truncated[str | None] = None
    ip: Ip[str | None] = None
    email: Email[str | None] = None
    phone: Phone[str | None] = None
    first_name: Name[str | None] = None
    last_name: Name[str | None] = None
    address: str | None = None
    post_code: str | None = None
    state: str | None = None
    city: str | None = None
    browser: Clear[Browser | None] = None


class Recipient(MaskedStruct, frozen=True, kw_only=True):
    """Describe who is paid, for providers that ask; `country` is ISO 3166-1 alpha-3."""

    email: Email[str | None] = None
    phone: Phone[str | None] = None
    first_name: Name[str | None] = None
    last_name: Name[str | None] = None
    country: Clear[str | None] = None


class ToCard(MaskedStruct, frozen=True, tag="card"):
    """Pay to a card; what follows the number is needed for some currencies only.

    `exp_year` and `exp_month` have two digits each, `country` is ISO 3166-1 alpha-2.
    """

    number: Truncated[str]
    holder: Name[str | None] = None
    exp_year: str | None = None
    exp_month: str | None = None
    country: Clear[str | None] = None
    birth_date: Birth[dt.date | None] = None

    def __post_init__(self) -> None:
        """Take the separators off the number."""
        msgspec.structs.force_setattr(self, "number", plain_number(self.number, "."))


class ToPhone(MaskedStruct, frozen=True, tag="phone"):
    """Pay to a bank account found by its owner's phone number; `bank_code` is the provider's."""

    number: Phone[str]
    bank_code: Clear[str | None] = None

    def __post_init__(self) -> None:
        """Take the plus and the separators off the number."""
        msgspec.structs.force_setattr(self, "number", plain_number(self.number, "+()./"))


class ToBankAccount(MaskedStruct, frozen=True, tag="bank_account"):
    """Pay to a bank account; `bic` is the bank's BIC, `bank_code` the provider's own code for it."""

    number: Truncated[str]
    bic: Clear[str | None] = None
    bank_code: Clear[str | None] = None

    def __post_init__(self) -> None:
        """Take the separators off the number."""
        msgspec.structs.force_setattr(self, "number", plain_number(self.number, "."))


class ToWallet(MaskedStruct, frozen=True, tag="wallet"):
    """Pay to an electronic wallet; its number is sent as it is given."""

    number: Truncated[str]


Destination = ToCard | ToPhone | ToBankAccount | ToWallet


class Summary(MaskedStruct, frozen=True, kw_only=True):
    """What the core has to know of an order, whatever its kind.

    `method` is how the money goes (a `Method`, or the tag of a destination), `number` what is paid
    to and `bank` its BIC, `payer` the application's id of who pays. Kind, amount, method, number
    and bank are what makes an order this one; all else may differ when it is created again.
    """

    method: Clear[str] = ""
    presentation: Clear[Presentation | None] = None
    number: Truncated[str | None] = None
    bank: Clear[str | None] = None
    payer: Truncated[str | None] = None


class Order(MaskedStruct, frozen=True, kw_only=True):
    """What the orders of all kinds have in common.

    `order_id` is yours: one id names one order of its kind, whichever account it is created with. A
    UUID or a whole number is taken and kept as text. `extra` takes the driver's own struct for
    fields that only its provider has.
    """

    order_id: Clear[OrderId]
    amount: Clear[Amount]
    extra: Any = None

    def __post_init__(self) -> None:
        """Keep the id as a text."""
        msgspec.structs.force_setattr(self, "order_id", plain_order_id(self.order_id))

    def summary(self) -> Summary:
        """Return what the core has to know of the order."""
        return Summary()


class PaymentOrder(Order, frozen=True, kw_only=True):
    """A payment that the application asks for, in no provider's words; see `Order`."""

    method: Clear[Method]
    presentation: Clear[Presentation] = "hosted"
    payer: Clear[Payer | None] = None
    bank_code: Clear[str | None] = None
    description: str | None = None
    success_url: Link[str | None] = None
    fail_url: Link[str | None] = None
    notification_url: Link[str | None] = None

    def summary(self) -> Summary:
        """Return how the payer pays, and who it is."""
        payer = self.payer.id if self.payer else None
        return Summary(method=self.method, presentation=self.presentation, payer=payer or None)


class PayoutOrder(Order, frozen=True, kw_only=True):
    """A payout that the application asks for, in no provider's words; see `Order`."""

    to: Clear[Destination]
    recipient: Clear[Recipient | None] = None
    notification_url: Link[str | None] = None

    def summary(self) -> Summary:
        """Return where the money goes."""
        tag, bank = str(self.to.__struct_config__.tag), getattr(self.to, "bic", None)
        return Summary(method=tag, number=self.to.number, bank=bank)


class Ref(MaskedStruct, frozen=True, kw_only=True):
    """Name an existing payment or payout: by your `order_id`, or by the provider's id.

    With `amount`, the answer is compared with what was ordered.
    """

    order_id: Clear[str | None] = None
    provider_id: Clear[str | None] = None
    amount: Clear[Amount | None] = None


class Period(MaskedStruct, frozen=True, kw_only=True):
    """Name the days of a report, both included."""

    first: Clear[dt.date]
    last: Clear[dt.date]


class Requisites(MaskedStruct, frozen=True, kw_only=True):
    """Say where the payer has to send the money; show it on your own page."""

    kind: Clear[Literal["card", "phone", "bank_account"]]
    number: Truncated[str]
    holder: Name[str | None] = None
    bank: Words[str | None] = None
    bic: Clear[str | None] = None


class Result(MaskedStruct, frozen=True, kw_only=True):
    """What is known of an order, whatever its kind.

    `requested` is what was asked, `paid` what was really paid, `credited` what your balance
    got, `commission` what the provider took; `None` where the provider did not say, or said
    nothing that can be read. Credit a customer with `paid`, never with `requested`. `currency` is
    the one that the answer names, with amounts or without. `mismatches` names the fields in which
    the answer contradicts the order: such a result is `UNKNOWN` and needs a person. `reason` says
    why, in words. `raw` has the answer's own fields; it may hold personal data.
    """

    account: Clear[str] = ""
    provider: Clear[str] = ""
    order_id: Clear[str | None] = None
    provider_id: Clear[str | None] = None
    status: Clear[Status]
    provider_status: Words[str | None] = None
    requested: Clear[Money | None] = None
    paid: Clear[Money | None] = None
    credited: Clear[Money | None] = None
    commission: Clear[Money | None] = None
    currency: Clear[str | None] = None
    partial: Clear[bool | None] = None
    reason: Words[str | None] = None
    mismatches: Clear[tuple[str, ...]] = ()
    created_at: Clear[Time | None] = None
    raw: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Payment(Result, frozen=True, kw_only=True):
    """What is known of a payment.

    Redirect the payer to `redirect_url` if there is one, else show the `requisites`.
    """

    redirect_url: Link[str | None] = None
    requisites: Clear[Requisites | None] = None


class Payout(Result, frozen=True, kw_only=True):
    """What is known of a payout."""


class Balance(MaskedStruct, frozen=True, kw_only=True):
    """Say what an account has with the provider: free, held back, and on its way out."""

    account: Clear[str] = ""
    available: Clear[Money]
    held: Clear[Money | None] = None
    reserved: Clear[Money | None] = None
    pending_payouts: Clear[Money | None] = None
    raw: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Phase(enum.StrEnum):
    """Name how far a call got: whether it left this machine, whether it was answered."""

    NOT_SENT = "not sent"
    MAYBE_SENT = "maybe sent"
    ANSWERED = "answered"


class Exchange(MaskedStruct, frozen=True, kw_only=True):
    """Keep one request and its answer, masked, as support needs them.

    `duration` is in seconds, sizes are bytes of the bodies, `problem` says what went wrong on the
    way, `server_time` is the answer's `Date` header. The bodies are decoded JSON with every value
    masked by the driver's structs; what is no JSON is a text that begins with `[not JSON, 19 bytes]`.
    Of an answer that did not come whole, `status`, headers and body are what came. The headers are
    those that may be shown, with names in lower case; those of the request are the driver's own.
    `attempt` counts the sends of its order, `signed_with` names the digest and the fingerprint of
    the key, `software` the versions at work, and `context` has what the application bound to its
    log (`request_id`, `user`).
    """

    account: Clear[str]
    provider: Clear[str]
    operation: Clear[str]
    order_id: Clear[str | None]
    provider_id: Clear[str | None]
    method: Clear[str]
    url: Link[str]
    phase: Clear[Phase]
    status: Clear[int | None]
    problem: Clear[str | None]
    started_at: Clear[Time]
    duration: Clear[float]
    server_time: Clear[Time | None]
    bytes_sent: Clear[int]
    bytes_received: Clear[int]
    request: Clear[Any]
    response: Clear[Any]
    request_headers: Clear[Mapping[str, str]] = msgspec.field(default_factory=dict)
    response_headers: Clear[Mapping[str, str]] = msgspec.field(default_factory=dict)
    attempt: Clear[int | None] = None
    signed_with: Clear[str | None] = None
    software: Clear[str | None] = None
    context: Clear[Mapping[str, str]] = msgspec.field(default_factory=dict)


class Service(MaskedStruct, frozen=True, kw_only=True):
    """Name one service that the provider offers to an account."""

    kind: Clear[str]
    code: Clear[str]
    method: Clear[str | None] = None
    currency: Clear[str | None] = None
    active: Clear[bool]


class AccountInfo(MaskedStruct, frozen=True, kw_only=True):
    """Say what the provider allows an account to do."""

    account: Clear[str] = ""
    payments_allowed: Clear[bool]
    payouts_allowed: Clear[bool]
    services: Clear[tuple[Service, ...]]
    raw: Mapping[str, Any] = msgspec.field(default_factory=dict)


LONGEST_DELIVERY = 64 * 1024
"""The bytes that a query or a body of a delivery may have; drivers and receivers refuse more."""


class Delivery(MaskedStruct, frozen=True, kw_only=True):
    """Hold one HTTP request that claims to be a notification, as it came: query and body are raw bytes.

    Header names are in lower case.
    """

    method: Clear[str]
    path: Clear[str] = "/"
    query: bytes = b""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""


class Notification(MaskedStruct, frozen=True, kw_only=True):
    """Say what an authentic notification says; every field is covered by its signature.

    It is a hint: an id is enough to ask, so what else cannot be read is absent, and none is refused for it. `status` is
    `UNKNOWN` where the driver does not know the provider's word, or cannot read a sum; `kind` is the provider's own
    word where it is no kind of order; `order_id` and `provider_status` are empty where there are none.

    `fields` has the signed fields under the provider's names; `shape` is the wire struct whose masks
    decide what the journal keeps of them, and without one no value is kept. Amounts are what the provider says
    now; ask for the status before crediting anybody.

    `digest` tells one message from another: the SHA-256, in hexadecimal, of the text that is
    signed. It covers every signed field and nothing else that was delivered, so a message that is
    sent again has the same one, whatever is put around it and however it is encoded. No secret is
    in it; but whoever has all of a message except a few digits can find those from it.
    """

    account: Clear[str] = ""
    provider: Clear[str] = ""
    kind: Clear[str]
    order_id: Clear[str]
    provider_id: Clear[str]
    status: Clear[Status]
    provider_status: Clear[str]
    requested: Clear[Money | None] = None
    paid: Clear[Money | None] = None
    commission: Clear[Money | None] = None
    partial: Clear[bool | None] = None
    digest: Clear[str]
    fields: Mapping[str, Any] = msgspec.field(default_factory=dict)
    shape: type[msgspec.Struct] | None = None


class Received(MaskedStruct, frozen=True, kw_only=True):
    """Say what became of a notification that was received and kept.

    `times` counts how often this message has come, `known` tells whether the journal has the
    order, `ask` that the provider is to be asked about it now: answer, then `advance` it.
    """

    notification: Clear[Notification]
    times: Clear[int]
    known: Clear[bool]
    ask: Clear[bool]


class ReturnedPayer(MaskedStruct, frozen=True, kw_only=True):
    """Say which payer's browser came back, authentically; it says nothing about money.

    `reference` is the provider's, as it stands in the signed form.
    """

    account: Clear[str] = ""
    provider: Clear[str] = ""
    order_id: Clear[str]
    reference: Clear[str]
