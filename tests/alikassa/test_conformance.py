"""The AliKassa driver keeps what its capabilities say: the kit that every driver is checked with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from payhub.driver import Call, Response
from payhub.testing import answer
from payhub.testing.conformance import CHECKS, Check, Subject
from payhub_alikassa import plugin
from tests.alikassa.orders import BANK, TO_BANK_ACCOUNT, TO_CARD, TO_PHONE, TO_WALLET, UUID, payment, payout

STATE = {"payment_status": "wait", "id": 100000536, "amount": "10.00", "currency": "RUB"}
ANSWERS: dict[str, dict[str, Any]] = {
    "/v1/payment": {"payment_status": "wait", "id": 100000536, "url": "https://pay.example/1"},
    "/v1/payment/status": STATE,
    "/v1/payment/history": {"data": [{"id": 1, "status": "paid"}], "links": {"next": None}},
    "/v1/payout": {"payment_status": "wait", "id": 100000536},
    "/v1/payout/status": STATE,
    "/v1/account/balance": {"currency": "RUB", "balance": "10.00000000"},
    "/v1/account/info": {"is_allowed_payment": True, "is_allowed_payout": True, "payments": [], "payouts": []},
}


def provider(call: Call) -> Response:
    """Answer as AliKassa does when all is well; a status repeats the id it was asked by."""
    path, asked = urlsplit(call.url).path, msgspec.json.decode(call.body)
    named = {name: asked[name] for name in ("id", "order_id") if path.endswith("/status") and name in asked}
    return answer({**ANSWERS[path], **named})


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_the_driver_conforms(check: Check, archive: Callable[..., Path]) -> None:
    """The driver passes every check of the conformance kit."""
    folder = str(archive())
    account = {"provider": "alikassa", "account": UUID, "currency": "RUB"}
    check.run(
        Subject(
            plugin=plugin,
            config={**account, "payment_cert": folder, "payout_cert": folder, "payout_password": "secret-pass"},
            another={"account": "00000000-0000-4000-8000-000000000000"},
            orders=(
                *(payment(), payment(presentation="direct", bank_code=BANK)),
                *(payout(to) for to in (TO_CARD, TO_PHONE, TO_BANK_ACCOUNT, TO_WALLET)),
            ),
            answer=provider,
            secrets=("secret-pass", "IVAN", "203.0.113.24"),
        )
    )
