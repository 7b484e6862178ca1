"""Hold the orders that many tests use, and how the fake provider answers them."""

from typing import Any

from payhub import Money, PaymentOrder, PayoutOrder, ToCard

CARD = "4111111111111111"
PAYMENT = PaymentOrder(order_id="in-1", amount=Money("3000", "RUB"), method="card")
PAYOUT = PayoutOrder(order_id="po-1", amount=Money("1000.44", "RUB"), to=ToCard(CARD))


def known(order: PaymentOrder | PayoutOrder, **fields: Any) -> dict[str, Any]:
    """Make the fake provider's answer about an order, with an id of its own; fields given replace the order's."""
    amount, currency = str(order.amount).split()
    number = "7" if order.order_id in {PAYMENT.order_id, PAYOUT.order_id} else f"7-{order.order_id}"
    return {"id": number, "order_id": order.order_id, "status": "new", "amount": amount, "currency": currency, **fields}
