"""Say what makes an order this one, and what may be kept of it.

The same order is its kind, amount and currency, and where the money goes: for payments the method,
for payouts the destination. All else may differ when an order is created again: addresses to be
told at, the payer's IP and browser, texts, what only one provider has.
"""

import hashlib
import hmac

import msgspec

from payhub.journal import Facts
from payhub.masking import truncate
from payhub.masking.hidden import HiddenItems
from payhub.models import Order, Summary
from payhub.money import Money
from payhub.plans.plan import Place

_FORM = b"payhub order 1 "
"""What is written otherwise needs another form: fingerprints of orders that are known must not change."""


def facts_of(kind: str, order: Order, place: Place, provider: str) -> Facts:
    """Return what may be kept of an order: its numbers only inside the keyed fingerprint."""
    summary = order.summary()
    return Facts(
        account=place.account,
        provider=provider,
        namespace=place.namespace,
        kind=kind,
        order_id=order.order_id,
        amount=order.amount,
        method=summary.method,
        fingerprint=keyed(place.key, canonical(kind, order.amount, summary)),
        identity=place.identity,
        # The last four characters, if a mask would show them.
        tail=(truncate(summary.number)[-4:].lstrip("*") or None) if summary.number else None,
        payer=payer_key(place.key, summary.payer) if summary.payer else None,
    )


def keyed(key: bytes, value: bytes) -> str:
    """Return what stands for a value that must not be kept: nobody can try values without the key."""
    return hmac.new(key, value, hashlib.sha256).hexdigest()


def payer_key(key: bytes, payer_id: str) -> str:
    """Return what stands for a payer."""
    return keyed(key, b"payer " + payer_id.encode())


def account_key(key: bytes, provider: str, identity: str) -> str:
    """Return what stands for who an account is with its provider."""
    return keyed(key, b"account " + msgspec.json.encode([provider, identity]))


def canonical(kind: str, amount: Money, summary: Summary) -> bytes:
    """Write what makes an order this one; equal amounts are equal with however many digits they were written."""
    digits = f"{amount.amount:f}"
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    parts = HiddenItems([kind, digits, amount.currency, summary.method, summary.number, summary.bank])
    return _FORM + msgspec.json.encode(parts)
