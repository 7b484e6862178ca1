"""List an account's payments as the provider has them, with totals."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from payhub.cli import views
from payhub.cli.command import AccountArgument, command, read_day
from payhub.cli.console import cell
from payhub.cli.session import Session, UsageError
from payhub.models import Payment, Status
from payhub.money import Money
from payhub.ticket.values import jsonable

app = typer.Typer()

_AMOUNTS = ("requested", "paid", "credited", "commission")


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of the payments of one currency and status; one is `None` unless each payment says its part."""

    currency: str
    status: Status
    count: int
    requested: Money | None
    paid: Money | None
    credited: Money | None
    commission: Money | None


@command(app)
def history(
    session: Session,
    account: AccountArgument,
    *,
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="The first day, as 2026-01-31.")],
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="The last day, included.")],
) -> None:
    """List the payments of some days, with totals by currency and status."""
    since, until = read_day(first, "--from"), read_day(last, "--to")
    if until < since:
        raise UsageError("--to is before --from")
    with session.hub() as hub:
        payments = hub.list_payments(account, first=since, last=until)
    listing = views.table(
        "created", "order", "status", "requested", "paid", "commission", "provider id",
        numbers=("requested", "paid", "commission"), wraps="created", title=f"{len(payments)} payments",
    )  # fmt: skip
    groups: dict[tuple[str, Status], list[Payment]] = {}
    for payment in payments:
        amounts = (payment.requested, payment.paid, payment.credited, payment.commission)
        currency = next((amount.currency for amount in amounts if amount), "")
        groups.setdefault((currency, payment.status), []).append(payment)
        created = payment.created_at and payment.created_at.isoformat(" ", "minutes")  # the days are its zone's
        shown = (payment.requested, payment.paid, payment.commission, payment.provider_id)
        listing.add_row(cell(created), cell(payment.order_id), views.status(payment), *map(cell, shown))
    totals = [
        Total(currency=currency, status=status, count=len(group), **{name: _sum(group, name) for name in _AMOUNTS})
        for (currency, status), group in sorted(groups.items())
    ]
    summary = views.table(
        "currency", "status", "count", *_AMOUNTS, numbers=("count", *_AMOUNTS), wraps="status", title="totals"
    )
    for total in totals:
        sums = (total.requested, total.paid, total.credited, total.commission)
        summary.add_row(*map(cell, (total.currency, total.status, total.count, *sums)))
    values = {
        "account": account,
        "payments": [views.result_values(payment) for payment in payments],
        "totals": jsonable(totals),
    }
    session.answer(values, listing, summary)


def _sum(payments: Sequence[Payment], name: str) -> Money | None:
    amounts: list[Money | None] = [getattr(payment, name) for payment in payments]
    known = [amount for amount in amounts if amount is not None]
    currencies = {amount.currency for amount in known}
    if len(known) < len(amounts) or len(currencies) != 1:
        return None
    digits = max(-int(amount.amount.as_tuple().exponent) for amount in known)
    return Money(sum((amount.amount for amount in known), start=known[0].amount * 0), currencies.pop(), digits)
