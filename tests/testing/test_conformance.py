import msgspec
import pytest

from payhub import Money, Payer, PaymentOrder, PayoutOrder, ToCard, ToPhone
from payhub.driver import Call, Response
from payhub.testing import answer, fake
from payhub.testing.conformance import CHECKS, Check, Subject


def provider(call: Call) -> Response:
    """Answer as the fake provider does when all is well."""
    asked = msgspec.json.decode(call.body)
    order = {"id": "7", "order_id": "conformance-1", "status": "new", "amount": "10.00", "currency": "RUB"}
    return answer(
        {
            "fetch_balance": {"available": "10.00", "held": "0", "currency": "RUB"},
            "fetch_account_info": {"payments": True, "payouts": False},
            "list_payments": {"payments": [order]},
        }.get(call.operation, {**order, **{name: asked[name] for name in order if name in asked}})
    )


SUBJECT = Subject(
    plugin=fake,
    config={"provider": "fake", "base_url": "https://pay.example", "token": "sesame"},
    payments=(
        PaymentOrder(order_id="in-1", amount=Money("3000", "RUB"), method="card", payer=Payer(id="u-1", phone="79161234567")),
    ),
    payouts=(
        PayoutOrder(order_id="po-1", amount=Money("1000.44", "RUB"), to=ToCard("4111111111111111")),
        PayoutOrder(order_id="po-2", amount=Money("1.234", "KWD"), to=ToPhone("79161234567")),
    ),
    answer=provider,
    secrets=("sesame",),
)


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_fake_driver_conforms(check: Check) -> None:
    """The driver that authors read first passes every check."""
    check.run(SUBJECT)
