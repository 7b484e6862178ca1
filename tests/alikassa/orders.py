"""Make configurations and orders for the driver's tests; public test numbers only."""

import datetime as dt
from pathlib import Path
from typing import Any

from payhub import Browser, Money, Payer, PaymentOrder, PayoutOrder, Recipient, ToBankAccount, ToCard, ToPhone, ToWallet
from payhub_alikassa.config import AliKassaConfig

CARD = "4111111111111111"
PHONE = "79031112233"
BANK_ACCOUNT = "40817120273018899310"
BANK = "100000000111"
UUID = "5c2d3a1e-7b4f-4d6c-8e9a-0f1b2c3d4e5f"

TO_CARD = ToCard(CARD)
TO_PHONE = ToPhone(f"+{PHONE}", bank_code=BANK)
TO_BANK_ACCOUNT = ToBankAccount(BANK_ACCOUNT, bic="041351902", bank_code=BANK)
TO_WALLET = ToWallet("79005554455")
TO_EUR_CARD = ToCard(
    CARD, holder="CARDHOLDER NAME", exp_year="27", exp_month="01", country="UA", birth_date=dt.date(1999, 12, 15)
)
PAYER = Payer(
    id="u-881", ip="203.0.113.24", first_name="IVAN", last_name="IVANOV", browser=Browser(user_agent="Mozilla/5.0")
)
RECIPIENT = Recipient(
    phone="+7 900 111-22-33", email="ivan@shop.example", first_name="IVAN", last_name="IVANOV", country="DEU"
)


def config(**fields: Any) -> AliKassaConfig:
    """Make a configuration of an account, in rubles unless another currency is given."""
    fields = {"account": UUID, "payout_cert": Path("cert/payout"), "currency": "RUB", **fields}
    return AliKassaConfig(name="ak", provider="alikassa", **fields)


def payment(currency: str = "RUB", amount: str = "3000", **fields: Any) -> PaymentOrder:
    """Make a payment order."""
    fields = {"order_id": "in-1", "method": "card", "payer": PAYER, **fields}
    return PaymentOrder(amount=Money(amount, currency), **fields)


def payout(to: Any = TO_CARD, currency: str = "RUB", amount: str = "1000.44", **fields: Any) -> PayoutOrder:
    """Make a payout order."""
    return PayoutOrder(**{"order_id": "po-1", "amount": Money(amount, currency), "to": to, **fields})
