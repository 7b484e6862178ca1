import datetime as dt
import pprint
from typing import Any

import msgspec
import pytest
import rich.pretty

from payhub import (
    AccountInfo,
    Balance,
    Browser,
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
    models,
)
from payhub.masking import MaskedStruct
from payhub.models import (
    Delivery,
    Exchange,
    Notification,
    Order,
    Period,
    Phase,
    Received,
    Ref,
    Result,
    ReturnedPayer,
    Summary,
)

CARD, PHONE, SECRET = "4111111111111111", "79161234567", "sesame-open"
RUB = Money("10", "RUB")
TODAY = dt.date(2026, 1, 1)
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
LINK = f"https://u:{SECRET}@pay.example/?t={SECRET}"
RAW = {"card": CARD, "phone": PHONE, "token": SECRET, "nested": [{"card": CARD}]}

NOTIFICATION = Notification(kind="payment", order_id="1", provider_id=CARD, status=Status.PENDING,
                            provider_status=CARD, digest="0a", fields={"card": CARD, "token": SECRET})  # fmt: skip

EXAMPLES: list[MaskedStruct] = [
    Browser(user_agent="Firefox"),
    Payer(id=CARD, ip=SECRET, email=SECRET, phone=PHONE, first_name=SECRET, last_name=SECRET, address=SECRET),
    Recipient(email=SECRET, phone=PHONE, first_name=SECRET, last_name=SECRET, country="RUS"),
    ToCard(CARD, holder=SECRET, exp_year=SECRET, exp_month=SECRET),
    ToPhone(PHONE, bank_code="sber"),
    ToBankAccount("40817810500000000001", bic="044525225"),
    ToWallet("41001234567890"),
    Order(order_id="1", amount=RUB, extra=SECRET),
    Summary(method="card", number=CARD, payer=CARD),
    Result(status=Status.PENDING, raw=RAW, reason=f"card {CARD}"),
    PaymentOrder(order_id="1", amount=RUB, method="card", payer=Payer(phone=PHONE), description=SECRET,
                 success_url=LINK, fail_url=LINK, notification_url=LINK, extra={"token": SECRET, "card": CARD}),
    PayoutOrder(order_id="1", amount=RUB, to=ToCard(CARD, holder=SECRET), notification_url=LINK, extra=SECRET),
    Ref(order_id="1"),
    Period(first=TODAY, last=TODAY),
    Requisites(kind="card", number=CARD, holder=SECRET),
    Payment(status=Status.PENDING, redirect_url=LINK, raw=RAW, requisites=Requisites(kind="phone", number=PHONE),
            reason=f"card {CARD}"),
    Payout(status=Status.UNKNOWN, raw=RAW, reason=f"card {CARD}", provider_status=CARD),
    Balance(available=RUB, raw=RAW),
    Exchange(account="a", provider="p", operation="o", order_id=CARD, provider_id=CARD, method="POST", url=LINK,
             phase=Phase.ANSWERED, status=200, problem=CARD, started_at=NOW, duration=0.1, server_time=NOW,
             bytes_sent=1, bytes_received=1, request={"a": CARD}, response=[CARD]),
    Service(kind="payment", code="card", active=True),
    AccountInfo(payments_allowed=True, payouts_allowed=True, raw=RAW,
                services=(Service(kind="payment", code=CARD, active=True),)),
    Delivery(method="POST", query=f"t={SECRET}".encode(), headers={"cookie": SECRET}, body=f"card={CARD}".encode()),
    NOTIFICATION,
    Received(notification=NOTIFICATION, times=1, known=True, ask=False),
    ReturnedPayer(order_id="1", reference=CARD),
]  # fmt: skip


def test_every_model_is_tried_here() -> None:
    """Every public struct of the models has its example in this file."""
    public = {
        kind for name, kind in vars(models).items()
        if isinstance(kind, type) and issubclass(kind, MaskedStruct) and kind is not MaskedStruct and name[0] != "_"
    }  # fmt: skip
    assert public == {type(example) for example in EXAMPLES}


@pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize(
    "printed", [repr, str, pprint.pformat, rich.pretty.pretty_repr], ids=["repr", "str", "pprint", "rich"]
)
def test_rule_12_no_repr_shows_a_secret(model: MaskedStruct, printed: Any) -> None:
    """Rule 12: no card, phone or account number, secret or query shows in a printed model."""
    shown = printed(model)
    assert [] == [each for each in (CARD, PHONE, SECRET, "40817810500000000001", "41001234567890") if each in shown]


@pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: type(model).__name__)
def test_models_are_frozen(model: MaskedStruct) -> None:
    """What crosses a boundary cannot be changed on the other side."""
    with pytest.raises(AttributeError, match="immutable"):
        setattr(model, msgspec.structs.fields(model)[0].name, "other")


@pytest.mark.parametrize(
    ("status", "final"),
    [
        (Status.PENDING, False),
        (Status.UNKNOWN, False),
        (Status.SUCCEEDED, True),
        (Status.CANCELED, True),
        (Status.FAILED, True),
        (Status.REVERSED, True),
        (Status.NOT_SENT, False),
    ],
)
def test_what_is_final(status: Status, final: bool) -> None:
    """Only what may still change, or is not known, is not final."""
    assert final == status.final


def test_every_status_is_judged() -> None:
    """The table above has every status."""
    assert 7 == len(Status)


@pytest.mark.parametrize(
    "to", [ToCard(CARD), ToPhone(PHONE, "sber"), ToBankAccount("4081", bic="0445"), ToWallet("4100")], ids=repr
)
def test_orders_survive_json(to: models.Destination) -> None:
    """An order written down and read back is the same order, destination included."""
    order = PayoutOrder(order_id="po-1", amount=Money("1.234", "KWD"), to=to)
    assert order == msgspec.json.decode(msgspec.json.encode(order), type=PayoutOrder)
