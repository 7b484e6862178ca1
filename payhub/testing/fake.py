"""Speak to a provider that does not exist: the smallest complete driver, to read first and to test with.

A driver is a module (or an object) with hook implementations. This one needs no keys:

    from payhub import Hub
    from payhub.testing import fake

    account = {"provider": "fake", "base_url": "http://127.0.0.1:8000"}
    with Hub.from_mapping({"accounts": {"shop": account}}, plugins=[fake]) as hub:
        ...

The provider it imagines takes and gives JSON. It answers a new order with 200 and the order,
refuses one with 422 and a `Refusal`, and a question about an order it does not know with 404. What
it tells by itself is a JSON body with an HMAC, made with the account's `secret`: `signed_notification`
and `signed_return` make such deliveries for tests.
"""

import hashlib
import hmac
from typing import Any, TypeVar

import msgspec

from payhub import (
    AccountInfo,
    BadNotification,
    Balance,
    ConfigurationError,
    Declined,
    Delivery,
    Money,
    NotFound,
    Notification,
    Payer,
    Payment,
    PaymentOrder,
    Payout,
    PayoutOrder,
    ReturnedPayer,
    Service,
    Status,
    ToBankAccount,
    ToCard,
    ToPhone,
    ToWallet,
    hookimpl,
)
from payhub.driver import (
    AccountConfig,
    Call,
    Capabilities,
    Creating,
    Flow,
    Offer,
    ProviderInfo,
    Response,
    StatusQuery,
    Unreadable,
    insecure,
)
from payhub.masking import Clear, Email, Link, MaskedStruct, ProviderId, Truncated, Words
from payhub.models import LONGEST_DELIVERY, Period, Ref

W = TypeVar("W", bound=msgspec.Struct)

# What goes over the wire, field for field. A mask says what a log may show of a field; a field
# without one is hidden.


class NewPayment(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for a payment."""

    order_id: Clear[str]
    amount: Clear[str]
    currency: Clear[str]
    method: Clear[str]
    payer: Truncated[str | None] = None
    email: Email[str | None] = None


class NewPayout(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for a payout."""

    order_id: Clear[str]
    amount: Clear[str]
    currency: Clear[str]
    to: Clear[str]
    number: Truncated[str]


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Ask for an order, by one of its ids."""

    order_id: Clear[str | None] = None
    id: Clear[str | None] = None


class Days(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the payments of some days."""

    first: Clear[str]
    last: Clear[str]


class Nothing(msgspec.Struct, frozen=True):
    """Ask what needs no words."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Answer with what the provider knows of a payment or payout."""

    id: ProviderId[str]
    order_id: Clear[str]
    status: Clear[str]
    amount: Clear[str]
    currency: Clear[str]
    paid: Clear[str | None] = None
    page: Link[str | None] = None
    number: Truncated[str | None] = None


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """Answer with the payments of some days."""

    payments: list[Order]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Answer that an order is refused, and why."""

    code: Clear[str]
    text: Words[str]


class Created(Order, frozen=True, kw_only=True):
    """Answer to a new order: with the order, or with a refusal; a log shows the fields of both."""

    code: Clear[str | None] = None
    text: Words[str | None] = None


class Funds(msgspec.Struct, frozen=True, kw_only=True):
    """Answer with what the account has."""

    available: Clear[str]
    held: Clear[str]
    currency: Clear[str]


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """Answer with what the account may do."""

    payments: Clear[bool]
    payouts: Clear[bool]


class Notice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tell of an order unasked."""

    kind: Clear[str]
    id: Clear[str]
    order_id: Clear[str]
    status: Clear[str]
    amount: Clear[str]
    currency: Clear[str]
    paid: Clear[str | None] = None


class Return(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tell which payer came back."""

    order_id: Clear[str]
    reference: Clear[str]


# Between the two worlds: tables and pure functions.

DESTINATIONS = {ToBankAccount: "bank_account", ToCard: "card", ToPhone: "phone", ToWallet: "wallet"}

STATUSES = {
    "new": Status.PENDING,
    "done": Status.SUCCEEDED,
    "canceled": Status.CANCELED,
    "failed": Status.FAILED,
    "returned": Status.REVERSED,
}


def read(response: Response, shape: type[W]) -> W:
    """Read the promised answer; anything else is `Unreadable`, and the core knows what that means."""
    if response.status != 200:  # noqa: PLR2004
        raise Unreadable("not the promised status")
    try:
        return msgspec.json.decode(response.body, type=shape)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Unreadable(f"not the promised {shape.__name__}") from None


def created(response: Response) -> Order:
    """Read the answer to a new order; 422 is a refusal for good, as the capabilities say."""
    if response.status != 422:  # noqa: PLR2004
        return read(response, Order)
    refusal = read(msgspec.structs.replace(response, status=200), Refusal)
    raise Declined(refusal.text, code=refusal.code)


def found(response: Response) -> Order:
    """Read the answer to a question; 404 means that the provider does not know the order."""
    if response.status == 404:  # noqa: PLR2004
        raise NotFound("the provider does not know this order")
    return read(response, Order)


def money(amount: str, currency: str) -> Money:
    """Read an amount; one that is none makes the whole answer unreadable."""
    try:
        return Money(amount, currency)
    except (TypeError, ValueError):
        raise Unreadable("an amount is not one") from None


def known(order: Order) -> dict[str, Any]:
    """Say in payhub's words what the answer says; a status not in the table is not final."""
    return {
        "order_id": order.order_id,
        "provider_id": order.id,
        "status": STATUSES.get(order.status, Status.PENDING),
        "provider_status": order.status,
        "requested": money(order.amount, order.currency),
        "paid": None if order.paid is None else money(order.paid, order.currency),
        "raw": msgspec.to_builtins(order),
    }


def notification(notice: Notice, body: bytes) -> Notification:
    """Say what a notice says; `body` is what is signed."""
    return Notification(
        kind=notice.kind,
        order_id=notice.order_id,
        provider_id=notice.id,
        status=STATUSES.get(notice.status, Status.UNKNOWN),  # a word that is not in the table is a reason to ask
        provider_status=notice.status,
        requested=money(notice.amount, notice.currency),
        paid=None if notice.paid is None else money(notice.paid, notice.currency),
        digest=hashlib.sha256(body).hexdigest(),
        fields=msgspec.to_builtins(notice),
        shape=Notice,
    )


def payment(order: Order) -> Payment:
    """Say what is known of a payment."""
    return Payment(**known(order), redirect_url=order.page)


def payout(order: Order) -> Payout:
    """Say what is known of a payout."""
    return Payout(**known(order))


# What the provider tells by itself is signed. Nothing is read before it is verified, and every
# refusal reads the same.

SIGNATURE = "x-signature"
REFUSED = "not an authentic delivery of this account"


def sign(secret: str, body: bytes) -> str:
    """Return the HMAC-SHA256 of a body, in hexadecimal."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verified(delivery: Delivery, secret: str, shape: type[W]) -> W:
    """Read what a genuine delivery tells; whatever else it is raises `BadNotification`."""
    given = delivery.headers.get(SIGNATURE, "")
    short = len(delivery.body) <= LONGEST_DELIVERY
    if not (short and hmac.compare_digest(sign(secret, delivery.body), given if given.isascii() else "")):
        raise BadNotification(REFUSED)
    try:
        return msgspec.json.decode(delivery.body, type=shape)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadNotification(REFUSED) from None


def signed(secret: str, told: Notice | Return) -> Delivery:
    """Make the delivery by which the provider tells something."""
    body = msgspec.json.encode(told)
    return Delivery(method="POST", headers={SIGNATURE: sign(secret, body)}, body=body)


def signed_notification(
    secret: str,
    *,
    order_id: str,
    amount: Money,
    kind: str = "payment",
    provider_id: str = "7",
    status: str = "done",
    paid: Money | None = None,
) -> Delivery:
    """Make a genuine notification for an account with this `secret`; `status` is a word of `STATUSES`, or another."""
    notice = Notice(
        kind=kind,
        id=provider_id,
        order_id=order_id,
        status=status,
        amount=str(amount.amount),
        currency=amount.currency,
        paid=None if paid is None else str(paid.amount),
    )
    return signed(secret, notice)


def signed_return(secret: str, *, order_id: str, reference: str = "7") -> Delivery:
    """Make the genuine return of a payer, for an account with this `secret`."""
    return signed(secret, Return(order_id=order_id, reference=reference))


# The account, and the hooks: one function for each operation, each a flow.


class FakeConfig(AccountConfig, frozen=True, kw_only=True):
    """Hold the table of an account; the token is sent as a header and never shown, nor is the secret.

    `secret` is what the provider signs with when it tells something by itself.
    """

    base_url: Clear[str]
    token: str = "none"  # noqa: S105 - it protects nothing
    secret: str | None = None

    @property
    def identity(self) -> str:
        """Return the address: who listens there is one shop."""
        return self.base_url


class FakeAccount(MaskedStruct, frozen=True):
    """Hold an account ready for flows; a real one has its keys loaded."""

    config: Clear[FakeConfig]

    @property
    def name(self) -> str:
        """Return the name that the application chose."""
        return self.config.name

    def services(self) -> tuple[Service, ...]:
        """Return the services that the configuration names: none."""
        return ()

    def secret(self) -> str:
        """Return what the provider's own deliveries are signed with."""
        if not self.config.secret:
            raise ConfigurationError(f"accounts.{self.name}: notifications need secret")
        return self.config.secret

    def call(self, operation: str, path: str, asked: msgspec.Struct, promised: type, **known: Any) -> Call:
        """Describe one request; its body is made here, once."""
        return Call(
            operation=operation,
            url=f"{self.config.base_url}/{path}",
            headers={"content-type": "application/json", "authorization": f"Bearer {self.config.token}"},
            body=msgspec.json.encode(asked),
            asked=type(asked),
            promised=promised,
            **{"moves_money": False, **known},
        )


def connect(config: FakeConfig) -> FakeAccount:
    """Open an account; what cannot work is refused now, not at the first payment."""
    account = FakeAccount(config)
    if problem := insecure(config.base_url):
        raise ConfigurationError(f"accounts.{config.name}.base_url: {problem}")
    try:
        account.call("connect", "", Nothing(), Nothing)
    except ValueError:
        raise ConfigurationError(f"accounts.{config.name}.token: cannot be sent in a header") from None
    return account


CURRENCIES = frozenset({"EUR", "JPY", "KWD", "RUB"})


@hookimpl
def payhub_provider() -> ProviderInfo:
    """Introduce the provider."""
    by_any_id = StatusQuery(by=frozenset({"order_id", "provider_id"}))
    card = Offer(method="card", presentation="hosted", currencies=CURRENCIES)
    to_any = tuple(Offer(method=each, currencies=CURRENCIES) for each in DESTINATIONS.values())
    return ProviderInfo(
        name="fake",
        title="A provider that does not exist",
        config=FakeConfig,
        connect=connect,
        capabilities=Capabilities(
            create={
                "payment": Creating(offers=(card,), refusals=frozenset({422}), final=True),
                "payout": Creating(offers=to_any, refusals=frozenset({422}), final=True),
            },
            fetch={"payment": by_any_id, "payout": by_any_id},
        ),
    )


@hookimpl
def payhub_create_payment(account: FakeAccount, order: PaymentOrder) -> Flow[Payment]:
    """Create a payment."""
    payer = order.payer or Payer()
    asked = NewPayment(
        order_id=order.order_id,
        amount=str(order.amount.amount),
        currency=order.amount.currency,
        method=order.method,
        payer=payer.id,
        email=payer.email,
    )
    response = yield account.call(
        "create_payment", "payments", asked, Created, order_id=order.order_id, moves_money=True
    )
    return payment(created(response))


@hookimpl
def payhub_create_payout(account: FakeAccount, order: PayoutOrder) -> Flow[Payout]:
    """Create a payout."""
    asked = NewPayout(
        order_id=order.order_id,
        amount=str(order.amount.amount),
        currency=order.amount.currency,
        to=DESTINATIONS[type(order.to)],
        number=order.to.number,
    )
    response = yield account.call("create_payout", "payouts", asked, Created, order_id=order.order_id, moves_money=True)
    return payout(created(response))


@hookimpl
def payhub_fetch_payment(account: FakeAccount, ref: Ref) -> Flow[Payment]:
    """Ask for a payment."""
    response = yield _question(account, "fetch_payment", "payments/find", ref)
    return payment(found(response))


@hookimpl
def payhub_fetch_payout(account: FakeAccount, ref: Ref) -> Flow[Payout]:
    """Ask for a payout."""
    response = yield _question(account, "fetch_payout", "payouts/find", ref)
    return payout(found(response))


def _question(account: FakeAccount, operation: str, path: str, ref: Ref) -> Call:
    asked = Question(order_id=ref.order_id, id=ref.provider_id)
    return account.call(operation, path, asked, Order, order_id=ref.order_id, provider_id=ref.provider_id)


@hookimpl
def payhub_fetch_balance(account: FakeAccount) -> Flow[Balance]:
    """Ask for the balance."""
    funds = read((yield account.call("fetch_balance", "balance", Nothing(), Funds)), Funds)
    return Balance(
        available=money(funds.available, funds.currency),
        held=money(funds.held, funds.currency),
        raw=msgspec.to_builtins(funds),
    )


@hookimpl
def payhub_fetch_account_info(account: FakeAccount) -> Flow[AccountInfo]:
    """Ask what the account may do."""
    rights = read((yield account.call("fetch_account_info", "account", Nothing(), Rights)), Rights)
    return AccountInfo(
        payments_allowed=rights.payments,
        payouts_allowed=rights.payouts,
        services=(),
        raw=msgspec.to_builtins(rights),
    )


@hookimpl
def payhub_list_payments(account: FakeAccount, period: Period) -> Flow[tuple[Payment, ...]]:
    """List the payments of some days."""
    asked = Days(first=period.first.isoformat(), last=period.last.isoformat())
    listed = read((yield account.call("list_payments", "payments/list", asked, Orders)), Orders)
    return tuple(payment(order) for order in listed.payments)


@hookimpl
def payhub_read_notification(account: FakeAccount, delivery: Delivery) -> Notification:
    """Verify a notification; nothing is sent, so this is no flow."""
    notice = verified(delivery, account.secret(), Notice)
    try:
        return notification(notice, delivery.body)
    except Unreadable:
        raise BadNotification(REFUSED) from None


@hookimpl
def payhub_read_return(account: FakeAccount, delivery: Delivery) -> ReturnedPayer:
    """Verify with what a payer came back."""
    told = verified(delivery, account.secret(), Return)
    return ReturnedPayer(order_id=told.order_id, reference=told.reference)
