"""Show results: as plain values for JSON, as panels and tables for a person."""

import datetime as dt
import enum
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import measure_renderables
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from payhub.cli.console import cell, one_line
from payhub.journal import Facts, Noted, Record
from payhub.masking import printable
from payhub.masking.text import mask_text
from payhub.models import Balance, Result, Status
from payhub.money import Money
from payhub.operations import kind_of
from payhub.ticket.values import utc

STYLES: Mapping[Status, str] = {
    Status.PENDING: "yellow",
    Status.SUCCEEDED: "green",
    Status.CANCELED: "red",
    Status.FAILED: "red",
    Status.UNKNOWN: "bold red",
    Status.REVERSED: "magenta",
}

_RESULT = {
    "account": "account",
    "order_id": "order",
    "provider_id": "provider id",
    "requested": "asked",
    "paid": "paid",
    "credited": "credited",
    "commission": "commission",
    "created_at": "created",
}
_LABELS = {"payout": {"credited": "from balance"}}
_REQUISITES = {"number": "number", "holder": "holder", "bank": "bank", "bic": "BIC"}
_BALANCE = {"available": "available", "held": "held", "reserved": "reserved", "pending_payouts": "pending payouts"}


@functools.singledispatch
def plain(value: Any) -> Any:
    """Turn a model into what JSON can say; an amount is a text. `raw` stays out: it may hold anything."""
    return value


@plain.register
def _(value: msgspec.Struct) -> dict[str, Any]:
    return _fields(value)


@plain.register
def _(value: Money) -> dict[str, Any]:
    return {"amount": f"{value.amount:f}", "currency": value.currency}


@plain.register
def _(value: Result) -> dict[str, Any]:
    return {"kind": kind_of(value).word, **_fields(value), "final": value.status.final, "reason": _reason(value)}


@plain.register
def _(value: enum.Enum) -> Any:
    return value.value


@plain.register
def _(value: dt.date) -> str:
    return value.isoformat()


@plain.register
def _(value: dt.datetime) -> str:
    return utc(value) if value.tzinfo else value.isoformat()  # a provider may not say of which zone its time is


@plain.register(Mapping)
def _(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): plain(item) for key, item in value.items()}


@plain.register(list)
@plain.register(tuple)
def _(value: Sequence[Any]) -> list[Any]:
    return [plain(item) for item in value]


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    return {name: plain(getattr(value, name)) for name in value.__struct_fields__ if name != "raw"}


def _reason(result: Result) -> str | None:
    return one_line(mask_text(result.reason)) if result.reason else None


def status(result: Result) -> Text:
    """Show a status by its colour."""
    return cell(result.status, STYLES[result.status])


def result(found: Result) -> Iterator[RenderableType]:
    """Show all that is known of a payment or payout, and what the payer needs.

    The requisites are shown in full: they are what the payer has to be told, the answer to the
    command. A log never has them so.
    """
    yield Panel(_facts(found), title=cell(kind_of(found).word), title_align="left", expand=False)
    if url := getattr(found, "redirect_url", None):
        yield Text(f"Send the payer to this page:\n{printable(url)}")


def _facts(found: Result) -> Table:
    facts = grid()
    word = f" (provider: {found.provider_status})" if found.provider_status else ""
    final = ", final" if found.status.final else ", not final"
    facts.add_row("status", Text.assemble(status(found), printable(f"{final}{word}")))
    _add(facts, found, _RESULT | _LABELS.get(kind_of(found).word, {}))
    if found.partial:
        facts.add_row("partly paid", cell("yes: another amount than asked for"))
    if found.mismatches:
        facts.add_row("contradicts", cell(", ".join(found.mismatches), "bold red"))
    if reason := _reason(found):
        facts.add_row("reason", cell(reason))
    if requisites := getattr(found, "requisites", None):
        facts.add_row("pay to", cell(requisites.kind.replace("_", " ")))
        _add(facts, requisites, _REQUISITES)
    return facts


def _add(facts: Table, value: msgspec.Struct, labels: Mapping[str, str]) -> None:
    for name, label in labels.items():
        found = getattr(value, name)
        if isinstance(found, dt.datetime) and found.tzinfo:
            found = clock(found)
        if found not in {None, ""}:
            facts.add_row(label, cell(found))


def grid() -> Table:
    """Make a grid of names and values."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    return made


def order(record: Record) -> dict[str, Any]:
    """Say what is known of an order, for a program."""
    facts = record.facts
    return {
        "account": facts.account,
        "provider": facts.provider,
        "kind": facts.kind,
        "order_id": facts.order_id,
        "provider_id": record.provider_id,
        "state": record.state,
        "provider_status": record.provider_status,
        "requested": plain(facts.amount),
        "method": facts.method,
        "tail": facts.tail,
        "paid": plain(record.paid),
        "why": record.why,
        "reason": record.explanation and one_line(record.explanation),
        "mismatches": list(record.mismatches),
        "contradicted": record.contradicted,
        "attempts": record.attempts,
        "created_at": utc(record.created_at),
        "changed_at": utc(record.updated_at),
        "due_at": record.due_at and utc(record.due_at),
    }


def destination(facts: Facts) -> str:
    """Say how an order is paid, and to which number."""
    return f"{facts.method} …{facts.tail}" if facts.tail else facts.method


def notification(noted: Noted) -> dict[str, Any]:
    """Turn a notification that was received into what JSON can say."""
    kept: dict[str, Any] = plain(noted.notice)
    times = {"first_at": utc(noted.at), "last_at": utc(noted.last_at)}
    return {"number": noted.id, **kept, "verdict": noted.verdict, "times": noted.times, **times}


def clock(time: dt.datetime) -> str:
    """Write a time as people read it: UTC, milliseconds."""
    return utc(time).replace("T", " ")


def second(time: dt.datetime) -> str:
    """Write a time in a table, where milliseconds are no matter: UTC."""
    return f"{time:%Y-%m-%d %H:%M:%S}"


def balance(found: Balance) -> RenderableType:
    """Show what an account has."""
    facts = grid()
    _add(facts, found, _BALANCE)
    return Panel(facts, title=cell(f"balance of {found.account}"), title_align="left", expand=False)


class Listing(Table):
    """Wrap a table's cells between words only; where there is no room for that, show each row as a block."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give every column its width, the widest less than it wants if need be."""
        cells = ([column.header, *column.cells] for column in self.columns)
        sizes = [measure_renderables(console, options, each) for each in cells]
        widths = [size.maximum for size in sizes]
        room = options.max_width - 2 - 3 * (len(widths) - 1)  # edges, and what stands between columns
        while sum(widths) > room:
            spare = [place for place, size in enumerate(sizes) if widths[place] > size.minimum]
            if not spare:
                yield from self._blocks()
                return
            widths[max(spare, key=widths.__getitem__)] -= 1
        for column, width in zip(self.columns, widths, strict=True):
            column.width = width
        yield from super().__rich_console__(console, options)

    def _blocks(self) -> Iterator[RenderableType]:
        if self.title:
            yield Text(str(self.title), style="bold")
        for row in zip(*(column.cells for column in self.columns), strict=True):
            block = grid()
            for column, value in zip(self.columns, row, strict=True):
                block.add_row(str(column.header), value)
            yield block
            yield Text()


def table(*columns: str, numbers: tuple[str, ...] = (), title: str | None = None) -> Table:
    """Make a table in which no word is broken; `numbers` are columns aligned to the right."""
    made = Listing(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return made
