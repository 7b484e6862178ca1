"""Pay, pay out, ask: the commands that talk to a provider about money."""

import contextlib
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from payhub.cli import views
from payhub.cli.command import AccountArgument, KindArgument, command
from payhub.cli.fields import Value, make_payment_order, make_payout_order, read_money
from payhub.cli.session import ExitCode, Session, UsageError
from payhub.errors import JournalFailed, NotFound, Unavailable
from payhub.journal import Key
from payhub.journal.states import status_of
from payhub.masking import one_line
from payhub.models import (
    Destination,
    Method,
    Phase,
    Presentation,
    Result,
    Status,
    ToBankAccount,
    ToCard,
    ToPhone,
    ToWallet,
)
from payhub.ticket.values import jsonable

app = typer.Typer()

OrderIdOption = Annotated[str, typer.Option("--order-id", metavar="ID", help="Your own id, unique in the account.")]
AmountOption = Annotated[str, typer.Option("--amount", metavar="3000.00", help="With a point, never a comma.")]
CurrencyOption = Annotated[str, typer.Option("--currency", metavar="RUB", help="The ISO 4217 code.")]
BankCodeOption = Annotated[
    str | None, typer.Option("--bank-code", metavar="CODE", help="The provider's code for the bank.")
]
NotifyOption = Annotated[
    str | None, typer.Option("--notify-url", metavar="URL", help="Where the provider sends its notification.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Set a field that has no option; may be repeated. A name without a dot is a field of the provider's own "
        "(`payhub providers` lists them), a name with dots is a path into the order.",
    ),
]
WithoutJournalOption = Annotated[
    bool,
    typer.Option("--without-journal", help="Create it where no journal is configured: it is forgotten at once."),
]


@command(app, creates=True)
def pay(  # noqa: PLR0913 - one argument for each option
    session: Session,
    account: AccountArgument,
    *,
    order_id: OrderIdOption,
    amount: AmountOption,
    currency: CurrencyOption,
    method: Annotated[Method, typer.Option(help="How the payer pays.")],
    presentation: Annotated[
        Presentation, typer.Option(help="hosted: the provider's page; direct: requisites to show on your own page.")
    ] = "hosted",
    payer_id: Annotated[str | None, typer.Option(metavar="ID", help="Your own id for the payer.")] = None,
    payer_ip: Annotated[str | None, typer.Option(metavar="IP", help="The payer's address.")] = None,
    bank_code: BankCodeOption = None,
    success_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The page to which the payer returns after paying.")
    ] = None,
    fail_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The page to which the payer returns if the payment fails.")
    ] = None,
    notify_url: NotifyOption = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What the payer reads.")] = None,
    assignments: SetOption = None,
    without_journal: WithoutJournalOption = False,
) -> ExitCode:
    """Create a payment, and show where the payer pays.

    Order fields for --set: payer.email, payer.phone, payer.first_name, payer.browser.user_agent, …
    """
    with session.creating_hub(without_journal=without_journal) as hub:
        info = hub.registry.provider(account).info
        options = {
            "order_id": Value(order_id, "--order-id"),
            "amount": Value(read_money(info, amount, currency), "--amount"),
            "method": Value(method, "--method"),
            "presentation": Value(presentation, "--presentation"),
            "payer.id": Value(payer_id, "--payer-id"),
            "payer.ip": Value(payer_ip, "--payer-ip"),
            "bank_code": Value(bank_code, "--bank-code"),
            "success_url": Value(success_url, "--success-url"),
            "fail_url": Value(fail_url, "--fail-url"),
            "notification_url": Value(notify_url, "--notify-url"),
            "description": Value(description, "--description"),
        }
        order = make_payment_order(info, options, assignments or ())
        with session.creating("payment", account, order_id) as ask:
            return _show_created(session, hub.create_payment(account, order), ask)


@command(app, creates=True)
def payout(  # noqa: PLR0913 - one argument for each option
    session: Session,
    account: AccountArgument,
    *,
    order_id: OrderIdOption,
    amount: AmountOption,
    currency: CurrencyOption,
    to_card: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="Pay to a card. Other users can see a number given here in `ps`, and the shell's history keeps it: "
            "with - any of these numbers is read from stdin, one line.",
        ),
    ] = None,
    to_phone: Annotated[str | None, typer.Option(metavar="NUMBER", help="Pay to a phone number (SBP).")] = None,
    to_account: Annotated[str | None, typer.Option(metavar="NUMBER", help="Pay to a bank account.")] = None,
    to_wallet: Annotated[str | None, typer.Option(metavar="NUMBER", help="Pay to a wallet.")] = None,
    bank_code: BankCodeOption = None,
    bic: Annotated[str | None, typer.Option(metavar="BIC", help="The bank's BIC, for a bank account.")] = None,
    notify_url: NotifyOption = None,
    assignments: SetOption = None,
    without_journal: WithoutJournalOption = False,
) -> ExitCode:
    """Create a payout to a card, a phone, a bank account or a wallet.

    Order fields for --set: to.holder, to.exp_year, to.exp_month, to.country, to.birth_date (cards),
    recipient.email, recipient.phone, recipient.first_name, recipient.last_name, recipient.country.
    """
    offered: tuple[tuple[type[Destination], str, str | None], ...] = (
        (ToCard, "card", to_card),
        (ToPhone, "phone", to_phone),
        (ToBankAccount, "account", to_account),
        (ToWallet, "wallet", to_wallet),
    )
    chosen = [(destination, word, number) for destination, word, number in offered if number is not None]
    if len(chosen) != 1:
        names = ", ".join(f"--to-{word}" for _, word, _ in offered)
        raise UsageError(f"give one of {names}; {len(chosen) or 'none'} given")
    destination, word, number = chosen[0]
    if number == "-":
        number = _read_number(word)
    with session.creating_hub(without_journal=without_journal) as hub:
        info = hub.registry.provider(account).info
        options = {
            "order_id": Value(order_id, "--order-id"),
            "amount": Value(read_money(info, amount, currency), "--amount"),
            "to.number": Value(number, f"--to-{word}"),
            "to.bank_code": Value(bank_code, "--bank-code"),
            "to.bic": Value(bic, "--bic"),
            "notification_url": Value(notify_url, "--notify-url"),
        }
        order = make_payout_order(info, destination, options, assignments or ())
        with session.creating("payout", account, order_id) as ask:
            return _show_created(session, hub.create_payout(account, order), ask)


def _read_number(word: str) -> str:
    """Read a number from stdin; a terminal is asked for it, and does not show it."""
    if sys.stdin.isatty():
        typed: str = typer.prompt(f"{word.capitalize()} number", hide_input=True, err=True)
        return typed.strip()
    number = sys.stdin.readline().lstrip("\ufeff").strip()  # a shell of Windows writes a byte order mark
    if not number:
        raise UsageError(f"--to-{word} -: stdin has no {word} number")
    return number


# What a status says of an order that was just created; those that are missing say that all went well.
_CREATED: Mapping[Status, ExitCode] = {
    Status.UNKNOWN: ExitCode.UNKNOWN,
    Status.FAILED: ExitCode.REFUSED,
    Status.CANCELED: ExitCode.REFUSED,
}


def _show_created(session: Session, created: Result, ask: str) -> ExitCode:
    """Show what was created; where its outcome is unknown, say what to do."""
    session.answer(views.result_values(created), *views.result(created))
    if created.status is Status.UNKNOWN:
        sys.stderr.write(f"payhub: the outcome is unknown: do not create it again, ask: {ask}\n")
    return _CREATED.get(created.status, ExitCode.DONE)


@command(app)
def status(
    session: Session,
    account: AccountArgument,
    kind: KindArgument,
    *,
    order_id: Annotated[str | None, typer.Option(metavar="ID", help="Your own id.")] = None,
    provider_id: Annotated[str | None, typer.Option(metavar="ID", help="The provider's id.")] = None,
) -> ExitCode:
    """Ask the provider for the status of an order; exit code 0 means answered, whatever the status is."""
    if (order_id is None) == (provider_id is None):
        raise UsageError("give --order-id or --provider-id, one of them")
    order, warning = f"{kind} {order_id or provider_id}", ""
    with session.hub() as hub:
        try:
            result: Result = getattr(hub, f"fetch_{kind}")(account, order_id=order_id, provider_id=provider_id)
        except NotFound as cause:
            words = f"{order}: the provider does not find it ({cause}); this does not prove that it failed"
            raise NotFound(words) from cause
        except Unavailable as cause:
            not_sent = cause.phase is Phase.NOT_SENT
            fate = f"was not sent: {cause.text}" if not_sent else f"got no usable answer: {cause}"
            words = f"the question about {order} {fate}; this says nothing of what became of the order"
            raise Unavailable(words) from cause
        record, known_as = None, order_id or result.order_id
        with contextlib.suppress(JournalFailed):  # one that fails hides no answer
            record = hub.journal.find(Key(account, kind, known_as)) if known_as else None
        if record is not None and record.contradicted:
            agrees = status_of(record.state) is result.status
            otherwise = "in the journal " if agrees else "the journal says otherwise: "
            trace = session.command("trace", record.facts.order_id)
            warning = f"payhub: {otherwise}this {kind} is {record.state}, and contradicted; see: {trace}"
    session.answer(views.result_values(result), *views.result(result))
    sys.stderr.write(f"{one_line(warning)}\n" if warning else "")
    return ExitCode.UNKNOWN if result.status is Status.UNKNOWN else ExitCode.DONE


@command(app)
def balance(session: Session, account: AccountArgument) -> None:
    """Show the balance of an account at the provider."""
    with session.hub() as hub:
        answer = hub.fetch_balance(account)
    session.answer(jsonable(answer), views.balance(answer))
