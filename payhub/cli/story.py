"""Find orders, and tell what happened to them: trace, find, logs."""

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
from payhub.cli.console import (
    ConfigOption,
    ExitCode,
    JsonOption,
    Session,
    UsageError,
    VerboseOption,
    cell,
    one_line,
    stdout,
    write_json,
)
from payhub.cli.journal import OrderArgument
from payhub.cli.meant import nowhere
from payhub.journal import Entry, Evidence, Noted, Record, Source, State, Verdict, Wanted
from payhub.masking import printable
from payhub.models import Exchange
from payhub.money import Money
from payhub.ticket.values import utc


def trace(
    order: OrderArgument,
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Tell the whole story of an order, in order: attempts, exchanges (masked), evidence, operators' acts.

    All times are UTC. It is for your own use, and names operators; for the provider's support make a ticket.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    with session.journal() as journal:
        records, entries = journal.story(order)
        if not records:
            raise nowhere(journal, order)
    values = {"orders": [views.order(record) for record in records], "story": [_told(entry) for entry in entries]}
    heads = [Text.assemble(_head(record), (record.state, "bold")) for record in records]
    session.answer(values, *heads, _story(entries, several=len(records) > 1))


def _head(record: Record) -> str:
    facts = record.facts
    words = f"{facts.kind} {facts.order_id} of {facts.account}, {facts.amount} by {facts.method}"
    known = f", provider's id {record.provider_id}" if record.provider_id else ""
    flag = ", contradicted" if record.contradicted else ""
    return printable(f"{words}{known}{flag}: ")


def _told(entry: Entry) -> dict[str, Any]:
    """Say one thing that happened, for a program."""
    told: dict[str, Any] = {"at": utc(entry.at), "what": _what(entry)}
    if entry.key:
        told |= {"account": entry.key.account, "kind": entry.key.kind}
    if entry.exchange:
        return told | {"exchange": views.plain(_masked(entry.exchange))}
    if entry.noted:
        return told | {"notification": views.notification(entry.noted)}
    if entry.evidence:
        said = views.plain(_masked(entry.evidence))
        said |= {"reason": entry.evidence.explanation}
        told |= {name: value for name, value in said.items() if value not in (None, [])}
    told |= {"contradicts": entry.contradicts, "times": entry.times}
    told |= {"last_at": utc(entry.last_at)} if entry.last_at else {}
    return told | ({"by": entry.by} if entry.by else {})


def _what(entry: Entry) -> str:
    attempt = entry.evidence is not None and entry.evidence.source is Source.PLAN
    return "attempt" if attempt else entry.what


def _masked(kept: Exchange | Evidence) -> dict[str, Any]:
    return dict(kept.__rich_repr__())


def _story(entries: tuple[Entry, ...], *, several: bool) -> Table:
    shown = Table.grid(padding=(0, 2))
    shown.add_column(no_wrap=True, style="dim")
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for entry in entries:
        of = f" ({entry.key.account} {entry.key.kind})" if several and entry.key else ""
        for number, text in enumerate(_words(entry)):
            head = ("", "") if number else (views.clock(entry.at), _what(entry) + of)
            shown.add_row(*map(cell, head), text)
    return shown


def _words(entry: Entry) -> Iterator[Text]:
    """Say one thing that happened, for a person, in one or more lines."""
    if entry.exchange:
        yield from _exchanged(entry.exchange)
        return
    if entry.noted:
        yield _heard(entry.noted)
        return
    found = entry.evidence or Evidence(source=Source.PLAN, state=State.SENDING)
    if found.source is Source.PLAN:
        yield cell("taken for sending, written down before it was sent")
        return
    reason = f": {one_line(found.explanation)}" if found.explanation else ""
    times = f", {_times(entry)}" if entry.times > 1 else ""
    word = f" (provider: {found.provider_status})" if found.provider_status else ""
    who = f"{found.source} {entry.by}" if entry.by else str(found.source)
    text = cell(f"{who}: {found.state}{word}{times}{reason}")
    if entry.contradicts:
        text.append("; CONTRADICTS what was known: kept, not applied", "bold red")
    yield text


def _times(entry: Entry) -> str:
    """Say how often it was said; when last, without the day where that is the same."""
    if entry.last_at is None:
        return f"{entry.times} times"
    first, last = views.clock(entry.at), views.clock(entry.last_at)
    return f"{entry.times} times, last {last if last[:10] != first[:10] else last[11:]}"


def _heard(noted: Noted) -> Text:
    """Say what a notification said, and what the provider's own answer made of it."""
    notice = noted.notice
    paid = f", paid {notice.paid}" if notice.paid else ""
    times = f", {noted.times} times, last {views.clock(noted.last_at)}" if noted.times > 1 else ""
    text = cell(f"number {noted.id}: {notice.provider_status}{paid}{times}: {noted.verdict}")
    if noted.verdict is Verdict.CONTRADICTED:
        text.append(" by the provider's own answer", "bold red")
    return text


def _exchanged(exchange: Exchange) -> Iterator[Text]:
    """Show a request and its answer as they are kept: masked."""
    masked = _masked(exchange)
    answer = f"{exchange.problem} ({exchange.phase})" if exchange.problem else f"HTTP {exchange.status}"
    yield cell(f"{exchange.method} {masked['url']}: {answer}, {exchange.duration * 1000:.0f} ms")
    for arrow, body in (("→", masked["request"]), ("←", masked["response"])):
        if body is not None:
            yield cell(f"{arrow} {one_line(json.dumps(msgspec.to_builtins(body), ensure_ascii=False))}", "dim")


def find(  # noqa: PLR0913 - one argument for each option
    *,
    provider_id: Annotated[
        str | None, typer.Option("--provider-id", metavar="ID", help="The provider's own id.")
    ] = None,
    last4: Annotated[str | None, typer.Option(metavar="1111", help="The last four of the number paid to.")] = None,
    amount: Annotated[str | None, typer.Option(metavar="500.00", help="What was asked; with --currency.")] = None,
    currency: Annotated[str | None, typer.Option(metavar="RUB", help="The ISO 4217 code.")] = None,
    day: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="The day it was made, UTC.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="The most that are listed.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> ExitCode:
    """Find orders by the provider's id, or by the number's last four, amount and day; exit code 6 if there are none.

    What is given has to fit all together. The newest come first.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    if last4 is not None and len(last4) != _TAIL:
        raise UsageError("--last4: four characters are needed")
    wanted = Wanted(provider_id=provider_id, tail=last4, amount=_amount(amount, currency), day=_day(day))
    if wanted == Wanted():
        raise UsageError("say what is looked for: --provider-id, --last4, --amount with --currency, --day")
    with session.journal() as journal:
        found = journal.search(wanted, limit)
    shown = views.table("made (UTC)", "account", "kind", "order", "asked", "to", "provider id", "state")
    for record in found:
        facts, made = record.facts, views.second(record.created_at)
        order = (facts.account, facts.kind, facts.order_id, facts.amount, views.destination(facts))
        shown.add_row(*map(cell, (made, *order, record.provider_id, record.state)))
    session.answer({"orders": [views.order(record) for record in found]}, shown if found else Text("none"))
    return ExitCode.DONE if found else ExitCode.NONE_FOUND


def _amount(amount: str | None, currency: str | None) -> Money | None:
    if (amount is None) != (currency is None):
        raise UsageError("--amount and --currency go together")
    if amount is None or currency is None:
        return None
    try:
        return Money(amount, currency, _DIGITS)
    except ValueError as cause:
        raise UsageError(f"--{cause}") from None


_TAIL = 4
_DIGITS = 18  # an order may have been made with as many as its provider counts


def _day(text: str | None) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError("--day: not a day, as 2026-01-31") from None


def logs(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, and show each as it is kept.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10000, metavar="N", help="How many of the newest.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show the exchanges with providers that the journal keeps, masked: the newest, or each as it comes.

    With --json one object a line. Ctrl-C ends it.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    with session.journal() as journal:
        found = journal.exchanges(limit)
        last = _logged(session, found, 0)
        while follow:
            time.sleep(_NAP)
            last = _logged(session, journal.exchanges(_BATCH, after=last), last)


_NAP = 0.5  # seconds
_BATCH = 1000


def _logged(session: Session, found: tuple[tuple[int, Entry], ...], last: int) -> int:
    """Print exchanges and return the number of the last one."""
    for number, entry in found:
        last = number
        if session.as_json:
            write_json(_told(entry))
            continue
        key = entry.key
        head = f"{views.clock(entry.at)}  {key.account} {key.kind} {key.order_id}" if key else views.clock(entry.at)
        stdout().print(Text(printable(head), style="bold"), soft_wrap=True)
        for line in _words(entry):
            stdout().print(Text("  ") + line, soft_wrap=True)
    return last


COMMANDS = (trace, find, logs)
