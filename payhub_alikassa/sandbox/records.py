"""What the sandbox knows of one payment or payout, and the rules by which money moves.

All of it is plain frozen data; a change makes a new record and a new balance.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Literal

import msgspec

from payhub_alikassa.sandbox.addresses import is_local

Kind = Literal["payment", "payout"]
Final = Literal["paid", "cancel", "fail"]
Status = Literal["wait", "paid", "cancel", "fail"]
Transport = Literal["GET", "form", "JSON"]
When = Literal["changes", "final"]

ZONE = dt.timezone(dt.timedelta(hours=3))
"""The zone of the days and times in a history, which names none; so is the documents' own example."""

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Times = Annotated[int, msgspec.Meta(ge=1, le=10_000)]

HOLD = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Account:
    """The one account that a sandbox serves; the uuid is the one of the provider's samples."""

    currency: str = "RUB"
    uuid: str = "93d5df06-996c-48c3-9847-348d6b580b80"
    digest: Literal["sha1", "sha256"] = "sha1"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The sandbox's settings; each may be changed while it runs.

    `payout_delay` is in seconds; with `None` payouts stay waiting. `hold_share` is the
    part of every credit that is held. `opening_balance` applies from the next reset.

    `notify_id` and `notify_url` choose what an order's `notification_endpoint_id` and
    `notification_endpoint_url` are notified of: of `changes`, or only of the `final` status. The
    pages on creating document just that difference. That `changes` begin with `wait` is taken from
    /api/sign, whose list of statuses has it. How often and how long the provider repeats is not
    documented.
    """

    opening_balance: Decimal = Decimal(100_000)
    payment_commission: Decimal = Decimal("0.03")
    payout_commission: Decimal = Decimal("0.02")
    hold_share: Decimal = Decimal(0)
    payout_delay: float | None = 2.0
    not_found_status: Literal[400, 404] = 404
    allow_repeated_order_id: bool = False
    inactive_services: tuple[str, ...] = ()
    notification_endpoints: dict[int, str] = {}
    notify_id: When = "changes"
    notify_url: When = "final"
    notification_transport: Transport = "GET"
    notification_fields: Literal[10, 11, 12] = 11
    notification_booleans: bool = False
    notification_pause: Seconds = 0.2
    notification_pause_growth: Annotated[float, msgspec.Meta(ge=1, le=10)] = 2.0
    notification_tries: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8
    notification_timeout: Annotated[float, msgspec.Meta(gt=0)] = 5.0

    def __post_init__(self) -> None:
        """Refuse an endpoint that is not of this machine."""
        for id_, address in self.notification_endpoints.items():
            if not is_local(address):
                message = f"`notification_endpoints`: {id_} is not an http address of this machine"
                raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an order; `amount` is set when another sum than asked for was paid."""

    status: Final
    amount: Decimal | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One payment or payout; `fields` is the request as it came, and never shown."""

    kind: Kind
    id: int
    uuid: str
    order_id: str
    amount: Decimal
    service: str
    created_at: dt.datetime
    fields: Mapping[str, object] = field(repr=False)
    status: Status = "wait"
    paid: Decimal | None = None
    commission: Decimal | None = None
    credited: Decimal | None = None
    held: Decimal = Decimal(0)
    hold_until: dt.datetime | None = None
    old_balance: Decimal | None = None
    new_balance: Decimal | None = None
    error: str | None = None
    rrn: str | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """The account's money: free, held, and on its way out."""

    free: Decimal
    hold: Decimal = Decimal(0)
    pending: Decimal = Decimal(0)


def is_partial(record: Record) -> bool:
    """Return whether another sum was paid than asked for."""
    return record.paid is not None and record.paid != record.amount


def share(amount: Decimal, rate: Decimal) -> Decimal:
    """Return a share of an amount, rounded to the cent."""
    return (amount * rate).quantize(Decimal("0.01"), ROUND_HALF_UP)


def reserve(record: Record, balance: Balance, settings: Settings) -> tuple[Record, Balance]:
    """Move a new payout and its commission out of the free balance."""
    commission = share(record.amount, settings.payout_commission)
    cost = record.amount + commission
    after = replace(balance, free=balance.free - cost, pending=balance.pending + cost)
    record = replace(record, commission=commission, credited=cost)
    return replace(record, old_balance=balance.free, new_balance=after.free), after


def settle(record: Record, balance: Balance, outcome: Outcome, settings: Settings) -> tuple[Record, Balance]:
    """Give a waiting record its outcome, and move the money that goes with it."""
    ended = replace(record, status=outcome.status, error=outcome.error)
    if record.kind == "payout":
        return _settle_payout(ended, balance, outcome, settings)
    return _settle_payment(ended, balance, outcome, settings)


def _settle_payment(record: Record, balance: Balance, outcome: Outcome, settings: Settings) -> tuple[Record, Balance]:
    if outcome.status != "paid":
        return record, balance
    paid = outcome.amount or record.amount
    commission = share(paid, settings.payment_commission)
    credited = paid - commission
    held = share(credited, settings.hold_share)
    after = replace(balance, free=balance.free + credited - held, hold=balance.hold + held)
    until = dt.datetime.now(dt.UTC) + HOLD if held else None
    record = replace(record, paid=paid, commission=commission, credited=credited, held=held)
    record = replace(record, hold_until=until, old_balance=balance.free, new_balance=after.free)
    return record, after


def _settle_payout(record: Record, balance: Balance, outcome: Outcome, settings: Settings) -> tuple[Record, Balance]:
    reserved = record.credited or Decimal(0)
    spent = Decimal(0)
    if outcome.status == "paid":
        paid = outcome.amount or record.amount
        commission = share(paid, settings.payout_commission)
        spent = paid + commission
        rrn = f"{record.id:012d}"
        record = replace(record, paid=paid, commission=commission, credited=spent, rrn=rrn)
    free = balance.free + reserved - spent
    after = replace(balance, free=free, pending=balance.pending - reserved)
    return (record if reserved == spent else replace(record, new_balance=free)), after
