"""Pay, pay out, ask: the commands that talk to a provider about money."""

import contextlib
import datetime as dt
import sys
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from payhub.cli import views
from payhub.cli.accounts import Watch
from payhub.cli.console import (
    KIND_METAVAR,
    ConfigOption,
    ExitCode,
    JsonOption,
    Session,
    UsageError,
    VerboseOption,
    cell,
    kind_word,
    one_line,
)
from payhub.cli.fields import Given, money, payment_order, payout_order
from payhub.errors import JournalFailed, NotFound, PayhubError, Unavailable
from payhub.journal import Journal, Key
from payhub.journal.states import status_of
from payhub.models import (
    Destination,
    Exchange,
    Method,
    Payment,
    Phase,
    Presentation,
    Result,
    Status,
    ToBankAccount,
    ToCard,
    ToPhone,
    ToWallet,
)
from payhub.money import Money

AccountArgument = Annotated[str, typer.Argument(help="The account's name in the configuration.", show_default=False)]
OrderIdOption = Annotated[str, typer.Option("--order-id", metavar="ID", help="Your own id, unique in the account.")]
AmountOption = Annotated[str, typer.Option("--amount", metavar="3000.00", help="With a point, never a comma.")]
CurrencyOption = Annotated[str, typer.Option("--currency", metavar="RUB", help="The ISO 4217 code.")]
NotifyOption = Annotated[
    str | None, typer.Option("--notify-url", metavar="URL", help="Where the provider sends its notification.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Set a field that has no option; repeatable. A name without a dot is a field of the provider's own "
        "(`payhub providers` lists them), a name with dots a path into the order.",
    ),
]


def pay(  # noqa: PLR0913 - one argument for each option
    account: AccountArgument,
    *,
    order_id: OrderIdOption,
    amount: AmountOption,
    currency: CurrencyOption,
    method: Annotated[Method, typer.Option(help="How the payer pays.")],
    presentation: Annotated[
        Presentation,
        typer.Option(help="hosted: the provider's page; direct: requisites to show on your own page."),
    ] = "hosted",
    payer_id: Annotated[str | None, typer.Option(metavar="ID", help="Your id of the payer.")] = None,
    payer_ip: Annotated[str | None, typer.Option(metavar="IP", help="The payer's address.")] = None,
    bank_code: Annotated[str | None, typer.Option(metavar="CODE", help="The provider's code of the bank.")] = None,
    success_url: Annotated[str | None, typer.Option(metavar="URL", help="Where the payer goes when paid.")] = None,
    fail_url: Annotated[str | None, typer.Option(metavar="URL", help="Where the payer goes when not paid.")] = None,
    notify_url: NotifyOption = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What the payer reads.")] = None,
    assignments: SetOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Create a payment, and show where the payer pays.

    Order fields for --set: payer.email, payer.phone, payer.first_name, payer.browser.user_agent, …
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose, creates=True)
    with session.hub() as hub:
        info = hub.registry.provider(account).info
        options = {
            "order_id": Given(order_id, "--order-id"),
            "amount": Given(money(info, amount, currency), "--amount"),
            "method": Given(method, "--method"),
            "presentation": Given(presentation, "--presentation"),
            "payer.id": Given(payer_id, "--payer-id"),
            "payer.ip": Given(payer_ip, "--payer-ip"),
            "bank_code": Given(bank_code, "--bank-code"),
            "success_url": Given(success_url, "--success-url"),
            "fail_url": Given(fail_url, "--fail-url"),
            "notification_url": Given(notify_url, "--notify-url"),
            "description": Given(description, "--description"),
        }
        order = payment_order(info, options, assignments or ())
        with session.creating("payment", account, order_id) as ask:
            return _show_created(session, hub.create_payment(account, order), ask)


def payout(  # noqa: PLR0913 - one argument for each option
    account: AccountArgument,
    *,
    order_id: OrderIdOption,
    amount: AmountOption,
    currency: CurrencyOption,
    to_card: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="Pay to a card. Other users see a number given here in `ps`, and the shell's history keeps it: "
            "give - instead, and it is read from stdin, one line.",
        ),
    ] = None,
    to_phone: Annotated[str | None, typer.Option(metavar="NUMBER", help="Pay by phone number (SBP).")] = None,
    to_account: Annotated[str | None, typer.Option(metavar="NUMBER", help="Pay to a bank account.")] = None,
    to_wallet: Annotated[str | None, typer.Option(metavar="NUMBER", help="Pay to a wallet.")] = None,
    bank_code: Annotated[str | None, typer.Option(metavar="CODE", help="The provider's code of the bank.")] = None,
    bic: Annotated[str | None, typer.Option(metavar="BIC", help="The bank's BIC, for a bank account.")] = None,
    notify_url: NotifyOption = None,
    assignments: SetOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Create a payout to a card, a phone, a bank account or a wallet.

    Order fields for --set: to.holder, to.exp_year, to.exp_month, to.country, to.birth_date (cards),
    recipient.email, recipient.phone, recipient.first_name, recipient.last_name, recipient.country.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose, creates=True)
    destination, option, number = _destination(
        (ToCard, "--to-card", to_card),
        (ToPhone, "--to-phone", to_phone),
        (ToBankAccount, "--to-account", to_account),
        (ToWallet, "--to-wallet", to_wallet),
    )
    with session.hub() as hub:
        info = hub.registry.provider(account).info
        options = {
            "order_id": Given(order_id, "--order-id"),
            "amount": Given(money(info, amount, currency), "--amount"),
            "to.number": Given(number, option),
            "to.bank_code": Given(bank_code, "--bank-code"),
            "to.bic": Given(bic, "--bic"),
            "notification_url": Given(notify_url, "--notify-url"),
        }
        order = payout_order(info, destination, options, assignments or ())
        with session.creating("payout", account, order_id) as ask:
            return _show_created(session, hub.create_payout(account, order), ask)


def _destination(*offered: tuple[type[Destination], str, str | None]) -> tuple[type[Destination], str, str]:
    """Take the one destination that was given; `-` for a card reads its number from stdin."""
    given = [(shape, option, number) for shape, option, number in offered if number is not None]
    if len(given) != 1:
        names = ", ".join(option for _, option, _ in offered)
        raise UsageError(f"give one of {names}; {len(given) or 'none'} given")
    shape, option, number = given[0]
    return shape, option, _from_stdin() if (shape, number) == (ToCard, "-") else number


def _from_stdin() -> str:
    if sys.stdin.isatty():
        asked: str = typer.prompt("Card number", hide_input=True, err=True)
        return asked.strip()
    number = sys.stdin.readline().strip()
    if not number:
        raise UsageError("--to-card -: stdin has no card number")
    return number


def _show_created(session: Session, created: Result, ask: str) -> int:
    """Show what was created; say what to do when nobody knows whether it was."""
    session.answer(views.plain(created), *views.result(created))
    if created.status is Status.UNKNOWN:
        sys.stderr.write(f"payhub: the outcome is unknown: do not create it again, ask: {ask}\n")
    return _CREATED.get(created.status, ExitCode.DONE)


# What a status says of something just created; the others are done as asked.
_CREATED = {
    Status.UNKNOWN: ExitCode.UNKNOWN,
    Status.FAILED: ExitCode.REFUSED,
    Status.CANCELED: ExitCode.REFUSED,
}


def status(
    account: AccountArgument,
    kind: Annotated[
        str, typer.Argument(parser=kind_word, metavar=KIND_METAVAR, help="What to ask for.", show_default=False)
    ],
    *,
    order_id: Annotated[str | None, typer.Option(metavar="ID", help="Your own id.")] = None,
    provider_id: Annotated[str | None, typer.Option(metavar="ID", help="The provider's id.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Ask for a payment's or payout's status; exit 0 means answered, whatever the status is."""
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    if (order_id is None) == (provider_id is None):
        raise UsageError("give --order-id or --provider-id, one of them")
    watch = Watch()
    with session.hub(watch) as hub:
        fetch = getattr(hub, f"fetch_{kind}")
        try:
            found = fetch(account, order_id=order_id, provider_id=provider_id)
        except (NotFound, Unavailable) as cause:
            raise _without_answer(f"{kind} {order_id or provider_id}", cause, watch.last) from cause
        known_as = order_id or found.order_id
        doubt = _doubt(session, hub.journal, Key(account, kind, known_as), found.status) if known_as else ""
    session.answer(views.plain(found), *views.result(found))
    sys.stderr.write(doubt)
    return ExitCode.UNKNOWN if found.status is Status.UNKNOWN else ExitCode.DONE


def _without_answer(named: str, cause: NotFound | Unavailable, last: Exchange | None) -> PayhubError:
    """Say of which order nothing was learnt, and that this says nothing of the money."""
    if isinstance(cause, NotFound):
        return NotFound(f"{named}: the provider does not find it ({cause}); this does not prove that it failed")
    fate = "was not sent" if last and last.phase is Phase.NOT_SENT else "got no usable answer"
    words = cause.text if cause.phase is Phase.NOT_SENT else str(cause)
    return Unavailable(f"the question about {named} {fate}: {words}; this says nothing of what became of the order")


def _doubt(session: Session, journal: Journal, key: Key, found: Status) -> str:
    """Say that what the journal knows of an order is contradicted; one that fails hides no answer."""
    record = None
    with contextlib.suppress(JournalFailed):
        record = journal.find(key)
    if record is None or not record.contradicted:
        return ""
    otherwise = "the journal says otherwise: " if status_of(record.state) is not found else "in the journal "
    trace = session.command("trace", key.order_id)
    return one_line(f"payhub: {otherwise}this {key.kind} is {record.state}, and contradicted; see: {trace}") + "\n"


def balance(
    account: AccountArgument,
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show what an account has with the provider."""
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    with session.hub() as hub:
        found = hub.fetch_balance(account)
    session.answer(views.plain(found), views.balance(found))


def history(
    account: AccountArgument,
    *,
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="The first day, as 2026-01-31.")],
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="The last day, included.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """List the payments of some days, with totals by currency and status."""
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    since, until = _day(first, "--from"), _day(last, "--to")
    if until < since:
        raise UsageError("--to is before --from")
    with session.hub() as hub:
        payments = hub.list_payments(account, first=since, last=until)
    totals = _totals(payments)
    values = {"account": account, "payments": views.plain(payments), "totals": views.plain(totals)}
    session.answer(values, _history_table(payments), _totals_table(totals))


def _day(text: str, option: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option}: not a date, as 2026-01-31") from None


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """Sum up the payments of one currency and status; a sum is `None` unless each payment says its part."""

    currency: str
    status: Status
    count: int
    requested: Money | None
    paid: Money | None
    credited: Money | None
    commission: Money | None


_AMOUNTS = ("requested", "paid", "credited", "commission")


def _totals(payments: Sequence[Payment]) -> list[Total]:
    groups: dict[tuple[str, Status], list[Payment]] = {}
    for payment in payments:
        groups.setdefault((_currency(payment), payment.status), []).append(payment)
    return [
        Total(currency=currency, status=state, count=len(group), **{name: _sum(group, name) for name in _AMOUNTS})
        for (currency, state), group in sorted(groups.items())
    ]


def _currency(payment: Payment) -> str:
    amounts = (getattr(payment, name) for name in _AMOUNTS)
    return next((amount.currency for amount in amounts if amount), "")


def _sum(payments: Sequence[Payment], name: str) -> Money | None:
    amounts: list[Money | None] = [getattr(payment, name) for payment in payments]
    known = [amount for amount in amounts if amount is not None]
    currencies = {amount.currency for amount in known}
    if len(known) < len(amounts) or len(currencies) != 1:
        return None
    digits = max(-int(amount.amount.as_tuple().exponent) for amount in known)
    return Money(sum((amount.amount for amount in known), start=known[0].amount * 0), currencies.pop(), digits)


def _history_table(payments: Sequence[Payment]) -> Table:
    shown = views.table(
        "created", "order", "status", "asked", "paid", "commission", "provider id",
        numbers=("asked", "paid", "commission"), title=f"{len(payments)} payments",
    )  # fmt: skip
    for payment in payments:
        shown.add_row(
            cell(payment.created_at and f"{payment.created_at:%Y-%m-%d %H:%M}"),
            cell(payment.order_id),
            views.status(payment),
            cell(payment.requested),
            cell(payment.paid),
            cell(payment.commission),
            cell(payment.provider_id),
        )
    return shown


def _totals_table(totals: Sequence[Total]) -> Table:
    shown = views.table(
        "currency", "status", "count", "asked", "paid", "credited", "commission",
        numbers=("count", "asked", "paid", "credited", "commission"), title="totals",
    )  # fmt: skip
    for total in totals:
        amounts = (cell(getattr(total, name)) for name in _AMOUNTS)
        shown.add_row(cell(total.currency), cell(total.status), cell(total.count), *amounts)
    return shown


COMMANDS = (pay, payout, status, balance, history)
