"""Find orders, and show what happened to them: trace, find, logs."""

import datetime as dt
import json
import time
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from payhub.cli import views
from payhub.cli.command import OrderArgument, command, read_day
from payhub.cli.console import cell, one_line, stdout, write_json
from payhub.cli.lookup import not_found
from payhub.cli.session import ExitCode, Session, UsageError
from payhub.journal import Entry, Evidence, OrderFilter, Source, State, Verdict
from payhub.masking import printable
from payhub.money import InvalidMoney, Money
from payhub.ticket.values import clock, jsonable, utc

app = typer.Typer()

_TAIL = 4  # characters of a number that are kept for searching
_DIGITS = 18  # an order may have been made with as many as its provider counts
_NAP = 0.5  # seconds between two looks into the journal
_BATCH = 1000


@command(app)
def trace(session: Session, order: OrderArgument) -> None:
    """Show all that happened to an order, oldest first: attempts, exchanges (masked), evidence, operators' acts.

    All times are in UTC. It is for your own use, and names operators; for the provider's support make a ticket.
    """
    with session.journal() as journal:
        records, entries = journal.story(order)
        if not records:
            raise not_found(journal, order)
    heads = []
    for record in records:
        facts = record.facts
        words = f"{facts.kind} {facts.order_id} of {facts.account}, {facts.amount} by {facts.method}"
        provider_id = f", provider's id {record.provider_id}" if record.provider_id else ""
        flag = ", contradicted" if record.contradicted else ""
        heads.append(Text.assemble(printable(f"{words}{provider_id}{flag}: "), (record.state, "bold")))
    shown = Table.grid(padding=(0, 2))
    shown.add_column(no_wrap=True, style="dim")
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for entry in entries:
        which = f" ({entry.key.account} {entry.key.kind})" if len(records) > 1 and entry.key else ""
        for number, text in enumerate(_lines(entry)):
            head = ("", "") if number else (clock(entry.at), _what(entry) + which)
            shown.add_row(*map(cell, head), text)
    orders = [views.order_values(record) for record in records]
    session.answer({"orders": orders, "story": [_values(entry) for entry in entries]}, *heads, shown)


def _what(entry: Entry) -> str:
    attempt = entry.evidence is not None and entry.evidence.source is Source.PLAN
    return "attempt" if attempt else entry.what


def _values(entry: Entry) -> dict[str, Any]:
    """Return one thing that happened, for a program."""
    values: dict[str, Any] = {"at": utc(entry.at), "what": _what(entry)}
    if entry.key:
        values |= {"account": entry.key.account, "kind": entry.key.kind}
    if entry.exchange:
        return values | {"exchange": jsonable(dict(entry.exchange.__rich_repr__()))}
    if entry.notification:
        return values | {"notification": views.notification_values(entry.notification)}
    if entry.evidence:
        evidence = jsonable(dict(entry.evidence.__rich_repr__())) | {"reason": entry.evidence.explanation}
        values |= {name: value for name, value in evidence.items() if value not in (None, [])}
    values |= {"contradicts": entry.contradicts, "times": entry.times}
    values |= {"last_at": utc(entry.last_at)} if entry.last_at else {}
    return values | ({"by": entry.by} if entry.by else {})


def _times(times: int, first: dt.datetime, last: dt.datetime | None) -> str:
    """Say how often the same was said, if more than once; when last, without the day where that is the same."""
    if times == 1 or last is None:
        return f", {times} times" if times > 1 else ""
    same_day = clock(first)[:10] == clock(last)[:10]
    return f", {times} times, last {clock(last)[11 if same_day else 0 :]}"


def _lines(entry: Entry) -> Iterator[Text]:
    """Show a person one thing that happened, in one or more lines."""
    if exchange := entry.exchange:
        masked = dict(exchange.__rich_repr__())
        answer = f"{exchange.problem} ({exchange.phase})" if exchange.problem else f"HTTP {exchange.status}"
        yield cell(f"{exchange.method} {masked['url']}: {answer}, {exchange.duration * 1000:.0f} ms")
        for arrow, body in (("→", masked["request"]), ("←", masked["response"])):
            if body is not None:
                yield cell(f"{arrow} {one_line(json.dumps(msgspec.to_builtins(body), ensure_ascii=False))}", "dim")
        return
    if stored := entry.notification:
        content = stored.content
        paid = f", paid {content.paid}" if content.paid else ""
        times = _times(stored.times, stored.at, stored.last_at)
        said = f"number {stored.id}: {content.provider_status}, id {content.provider_id}{paid}{times}"
        contradicted = stored.verdict is Verdict.CONTRADICTED
        text = Text.assemble(cell(f"{said}: "), cell(stored.verdict, "bold red" if contradicted else ""))
        yield text
        return
    evidence = entry.evidence or Evidence(source=Source.PLAN, state=State.SENDING)
    if evidence.source is Source.PLAN:
        yield cell("reserved for sending, and written down before anything was sent")
        return
    word = f" (provider: {evidence.provider_status})" if evidence.provider_status else ""
    times = _times(entry.times, entry.at, entry.last_at)
    reason = f": {one_line(evidence.explanation)}" if evidence.explanation else ""
    who = f"{evidence.source} {entry.by}" if entry.by else str(evidence.source)
    text = cell(f"{who}: {evidence.state}{word}{times}{reason}")
    if entry.contradicts:
        text.append("; CONTRADICTS what was known: kept, not applied", "bold red")
    yield text


@command(app)
def find(
    session: Session,
    *,
    provider_id: Annotated[
        str | None, typer.Option("--provider-id", metavar="ID", help="The provider's own id.")
    ] = None,
    last4: Annotated[
        str | None, typer.Option(metavar="1111", help="The last four characters of the number that was paid to.")
    ] = None,
    amount: Annotated[
        str | None, typer.Option(metavar="500.00", help="The amount that was requested; with --currency.")
    ] = None,
    currency: Annotated[str | None, typer.Option(metavar="RUB", help="The ISO 4217 code.")] = None,
    day: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="The day on which it was created, in UTC.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="The most that are listed.")] = 50,
) -> ExitCode:
    """Find orders by the provider's id, or by the number's last four, amount and day; exit code 6 if there are none.

    An order has to fit all that is given. The newest come first.
    """
    if last4 is not None and len(last4) != _TAIL:
        raise UsageError("--last4: four characters are needed")
    if (amount is None) != (currency is None):
        raise UsageError("--amount and --currency go together")
    try:
        requested = Money(amount, currency, _DIGITS) if amount is not None and currency is not None else None
    except InvalidMoney as cause:
        raise UsageError(f"--{cause.field}: {cause.reason}") from None
    wanted = OrderFilter(
        provider_id=provider_id, tail=last4, amount=requested, day=None if day is None else read_day(day, "--day")
    )
    if wanted == OrderFilter():
        raise UsageError("say what to look for: --provider-id, --last4, --amount with --currency, --day")
    with session.journal() as journal:
        records = journal.search(wanted, limit)
    columns = ("created (UTC)", "account", "kind", "order", "requested", "to", "provider id", "state")
    shown = views.table(*columns, wraps="created (UTC)")
    for record in records:
        facts, created = record.facts, views.second(record.created_at)
        order = (facts.account, facts.kind, facts.order_id, facts.amount, views.destination(facts))
        shown.add_row(*map(cell, (created, *order, record.provider_id, record.state)))
    session.answer({"orders": [views.order_values(record) for record in records]}, shown if records else Text("none"))
    return ExitCode.DONE if records else ExitCode.NONE_FOUND


@command(app)
def logs(
    session: Session,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, and show each one as it is kept.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10000, metavar="N", help="How many of the newest are shown.")] = 20,
) -> None:
    """Show the exchanges with providers that the journal keeps, masked: the newest, and with --follow each new one.

    With --json each is an object on its own line. Ctrl-C ends it.
    """
    with session.journal() as journal:
        exchanges = journal.exchanges(limit)
        last = _show_exchanges(session, exchanges, 0)
        while follow:
            time.sleep(_NAP)
            last = _show_exchanges(session, journal.exchanges(_BATCH, after=last), last)


def _show_exchanges(session: Session, exchanges: tuple[tuple[int, Entry], ...], last: int) -> int:
    """Print exchanges and return the number of the last one."""
    for number, entry in exchanges:
        last = number
        if session.as_json:
            write_json(_values(entry))
            continue
        key = entry.key
        head = f"{clock(entry.at)}  {key.account} {key.kind} {key.order_id}" if key else clock(entry.at)
        stdout().print(Text(printable(head), style="bold"), soft_wrap=True)
        for line in _lines(entry):
            stdout().print(Text("  ") + line, soft_wrap=True)
    return last
