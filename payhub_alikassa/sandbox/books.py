"""Keep the sandbox's books: payments, payouts, the balance, and a ledger of what arrived.

The books are used on the server's event loop only, so they need no lock.
"""

import datetime as dt
import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from payhub_alikassa.sandbox.fields import Errors, amount_of
from payhub_alikassa.sandbox.records import (
    ZONE,
    Account,
    Balance,
    Kind,
    Outcome,
    Record,
    Settings,
    reserve,
    settle,
)
from payhub_alikassa.sandbox.services import PAYMENT_SERVICES, PAYOUT_SERVICES

SAMPLE_ID = 100_000_536


class RefusedOrder(Exception):
    """An order that is not accepted; `errors` gives the reasons by field."""

    def __init__(self, errors: Errors) -> None:
        """Keep the reasons."""
        super().__init__("The order is refused.")
        self.errors = errors


class AlreadyFinal(Exception):
    """Another outcome for an order that has one already."""


class Books:
    """The books: they accept orders, give them outcomes, and find them again."""

    def __init__(self, account: Account, settings: Settings) -> None:
        """Open the books with the samples' payment and payout in them; `on_change` is called with each new status."""
        self.account = account
        self.settings = settings
        self.on_change: Callable[[Record], None] = lambda _: None
        # Ids continue over a reset, so that an answer from before never matches a new order.
        self._ids = itertools.count(108_465_371)
        self.reset()

    def reset(self) -> None:
        """Forget every order, count and balance; settings stay."""
        self._records = {(record.kind, record.id): record for record in _samples(self.account)}
        self.balance = Balance(self.settings.opening_balance)
        self.accepted: dict[str, Counter[str]] = {"payment": Counter(), "payout": Counter()}
        self.requests: Counter[str] = Counter()

    def accept(self, kind: Kind, fields: Mapping[str, object]) -> Record:
        """Record a checked order and, for a payout, set its money aside."""
        record = Record(
            kind=kind,
            id=next(self._ids),
            uuid=str(uuid.uuid4()),
            order_id=str(fields["order_id"]),
            amount=amount_of(fields["amount"]) or Decimal(0),
            service=str(fields["service"]),
            created_at=dt.datetime.now(dt.UTC),
            fields=fields,
        )
        # The pages say "must be unique" and show no answer to a repeat; this one is a guess.
        if not self.settings.allow_repeated_order_id and self.by_order_id(kind, record.order_id):
            raise RefusedOrder({"order_id": ["The order id has already been taken."]})
        if kind == "payout":
            record, balance = reserve(record, self.balance, self.settings)
            # Nowhere documented; a validation error is the only refusal that the pages have.
            if balance.free < 0:
                raise RefusedOrder({"amount": ["There are insufficient funds on the account."]})
            self.balance = balance
        self.accepted[kind][record.order_id] += 1
        self._records[kind, record.id] = record
        self.on_change(record)
        return record

    def settle(self, record: Record, outcome: Outcome) -> Record:
        """Give an order its outcome: the one place where a status changes.

        The same outcome again changes nothing; another one is refused.
        """
        if record.status == outcome.status and outcome.amount in (None, record.paid):
            return record
        if record.status != "wait":
            message = f"This {record.kind} is final: {record.status}."
            raise AlreadyFinal(message)
        record, self.balance = settle(record, self.balance, outcome, self.settings)
        self._records[record.kind, record.id] = record
        self.on_change(record)
        return record

    def settle_waiting(self, kind: Kind, id_: int, outcome: Outcome) -> None:
        """Give an order its outcome if it still exists and is still waiting."""
        record = self._records.get((kind, id_))
        if record and record.status == "wait":
            self.settle(record, outcome)

    def by_id(self, kind: Kind, id_: object) -> Record | None:
        """Find an order by the provider's id, given as an integer or as text."""
        text = str(id_)
        return next((each for each in self._of(kind) if str(each.id) == text), None)

    def by_order_id(self, kind: Kind, order_id: object) -> Record | None:
        """Find the newest order with the merchant's id."""
        found = (each for each in reversed(self._of(kind)) if each.order_id == order_id)
        return next(found, None)

    def by_uuid(self, uuid_: str) -> Record | None:
        """Find a payment by the uuid in its page's address."""
        return next((each for each in self._of("payment") if each.uuid == uuid_), None)

    def payments(self, since: dt.date | None, until: dt.date | None) -> list[Record]:
        """List the payments made between two dates, both included, newest first."""
        first, last = since or dt.date.min, until or dt.date.max
        found = [each for each in self._of("payment") if first <= each.created_at.astimezone(ZONE).date() <= last]
        return found[::-1]

    def is_active(self, service: str) -> bool:
        """Return whether the account may use a service now."""
        return service not in self.settings.inactive_services

    def _of(self, kind: Kind) -> list[Record]:
        return [record for record in self._records.values() if record.kind == kind]


def _samples(account: Account) -> Iterator[Record]:
    """Yield the payment and the payout that the provider's sample programs ask for, with their pages' figures.

    https://doc-merchant.alikassa.io/payments/check-payment-status and
    https://doc-merchant.alikassa.com/payout/check/status
    """
    payment = next((s.code for s in PAYMENT_SERVICES.values() if s.currency == account.currency), None)
    if payment is not None:
        yield Record(
            kind="payment",
            id=SAMPLE_ID,
            uuid="293259c3-688b-33c1-a832-d77e1cd82f45",
            order_id="1756900030",
            amount=Decimal(10),
            service=payment,
            created_at=dt.datetime(2025, 9, 3, 11, 47, 10, tzinfo=dt.UTC),
            fields={},
            status="paid",
            paid=Decimal(10),
            commission=Decimal(1),
            credited=Decimal(9),
            old_balance=Decimal(16),
            new_balance=Decimal(25),
        )
    payout = next((s.code for s in PAYOUT_SERVICES.values() if s.currency == account.currency), None)
    if payout is not None:
        yield Record(
            kind="payout",
            id=SAMPLE_ID,
            uuid="",
            order_id="6422494",
            amount=Decimal(300),
            service=payout,
            created_at=dt.datetime(2024, 1, 15, 9, 0, tzinfo=dt.UTC),
            fields={},
            status="paid",
            paid=Decimal(300),
            commission=Decimal(10),
            credited=Decimal(290),
            old_balance=Decimal(1290),
            new_balance=Decimal(1000),
            rrn="11111111111",
        )
