"""Show results: as values for JSON, as panels and tables for a person."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import measure_renderables
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from payhub.cli.console import cell, one_line
from payhub.journal import Facts, Record, StoredNotification
from payhub.masking import mask_text, printable
from payhub.models import Balance, Result, Status
from payhub.operations import kind_of
from payhub.ticket.values import clock, jsonable, utc

STYLES: Mapping[Status, str] = {
    Status.PENDING: "yellow",
    Status.SUCCEEDED: "green",
    Status.CANCELED: "red",
    Status.FAILED: "red",
    Status.UNKNOWN: "bold red",
    Status.REVERSED: "magenta",
    Status.NOT_SENT: "yellow",
}

_RESULT = {
    "account": "account",
    "order_id": "order",
    "provider_id": "provider id",
    "requested": "requested",
    "paid": "paid",
    "credited": "credited",
    "commission": "commission",
    "created_at": "created",
}
_LABELS = {"payout": {"credited": "from balance"}}
_REQUISITES = {"number": "number", "holder": "holder", "bank": "bank", "bic": "BIC"}
_BALANCE = {"available": "available", "held": "held", "reserved": "reserved", "pending_payouts": "pending payouts"}


def result_values(found: Result) -> dict[str, Any]:
    """Return what is known of an order, for a program."""
    final = {"final": found.status.final, "reason": found.reason and one_line(mask_text(found.reason))}
    return {"kind": kind_of(found).word, **jsonable(found), **final}


def result(found: Result) -> Iterator[RenderableType]:
    """Show a person what is known of an order, and what the payer needs.

    The requisites are shown in full: they are what the payer has to know, the answer to the
    command. A log never has them so.
    """
    facts = grid()
    word = f" (provider: {found.provider_status})" if found.provider_status else ""
    final = ", final" if found.status.final else ", not final"
    facts.add_row("status", Text.assemble(status(found), printable(f"{final}{word}")))
    _add_rows(facts, found, _RESULT | _LABELS.get(kind_of(found).word, {}))
    if found.partial:
        facts.add_row("partly paid", cell("yes: another amount than requested"))
    if found.mismatches:
        facts.add_row("contradicts", cell(", ".join(found.mismatches), "bold red"))
    if found.reason:
        facts.add_row("reason", cell(one_line(mask_text(found.reason))))
    if requisites := getattr(found, "requisites", None):
        facts.add_row("pay to", cell(requisites.kind.replace("_", " ")))
        _add_rows(facts, requisites, _REQUISITES)
    yield Panel(facts, title=cell(kind_of(found).word), title_align="left", expand=False)
    if url := getattr(found, "redirect_url", None):
        yield Text(f"Send the payer to this page:\n{printable(url)}")


def status(found: Result) -> Text:
    """Return a status in its colour."""
    return cell(found.status, STYLES[found.status])


def balance(found: Balance) -> RenderableType:
    """Show the balance of an account."""
    facts = grid()
    _add_rows(facts, found, _BALANCE)
    return Panel(facts, title=cell(f"balance of {found.account}"), title_align="left", expand=False)


def grid() -> Table:
    """Make a grid of names and values."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    return made


def _add_rows(facts: Table, value: msgspec.Struct, labels: Mapping[str, str]) -> None:
    for name, label in labels.items():
        found = getattr(value, name)
        if isinstance(found, dt.datetime) and found.tzinfo:
            found = clock(found)
        if found not in {None, ""}:
            facts.add_row(label, cell(found))


def order_values(record: Record) -> dict[str, Any]:
    """Return an order of the journal, for a program."""
    facts = record.facts
    return {
        "account": facts.account,
        "provider": facts.provider,
        "kind": facts.kind,
        "order_id": facts.order_id,
        "provider_id": record.provider_id,
        "state": record.state,
        "provider_status": record.provider_status,
        "requested": jsonable(facts.amount),
        "method": facts.method,
        "tail": facts.tail,
        "paid": jsonable(record.paid),
        "why": record.why,
        "reason": record.explanation and one_line(record.explanation),
        "mismatches": list(record.mismatches),
        "contradicted": record.contradicted,
        "attempts": record.attempts,
        "created_at": utc(record.created_at),
        "changed_at": utc(record.updated_at),
        "due_at": record.due_at and utc(record.due_at),
    }


def notification_values(stored: StoredNotification) -> dict[str, Any]:
    """Return a notification that was received, for a program."""
    content: dict[str, Any] = jsonable(stored.content)
    del content["identity"]  # a keyed hash says nothing to anybody
    times = {"first_at": utc(stored.at), "last_at": utc(stored.last_at)}
    return {"number": stored.id, **content, "verdict": stored.verdict, "times": stored.times, **times}


def state(record: Record) -> str:
    """Say in which state an order is, and whether something contradicts that."""
    return f"{record.state}, contradicted" if record.contradicted else record.state


def destination(facts: Facts) -> str:
    """Say how an order is paid, and to which number."""
    return f"{facts.method} …{facts.tail}" if facts.tail else facts.method


def second(time: dt.datetime) -> str:
    """Return a time, which is in UTC, for a table, where milliseconds do not matter."""
    return f"{time:%Y-%m-%d %H:%M:%S}"


_WIDEST = 10_000
"""Columns that any table has room in."""


class Listing(Table):
    """A table whose cells keep to one line, but for one column; where it has no room, each row is a block."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Show the table if it is wide enough for every word, else blocks of names and values."""
        unbounded = options.update(width=_WIDEST)
        for column in self.columns:
            if column.no_wrap:
                cells = [column.header, *column.cells]
                column.min_width = measure_renderables(console, unbounded, cells).maximum
        if console.measure(self, options=unbounded).minimum <= options.max_width:
            yield from super().__rich_console__(console, options)
            return
        if self.title:
            yield Text(str(self.title), style="bold")
        for row in zip(*(column.cells for column in self.columns), strict=True):
            block = grid()
            for column, value in zip(self.columns, row, strict=True):
                block.add_row(str(column.header), value)
            yield block
            yield Text()


def table(*columns: str, wraps: str, numbers: tuple[str, ...] = (), title: str | None = None) -> Table:
    """Make a table in which no word is broken; `numbers` are aligned to the right, the column `wraps` may be narrowed.

    Ids and amounts stay on one line, so that they can be searched for and copied.
    """
    made = Listing(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(
            column, justify="right" if column in numbers else "left", no_wrap=column != wraps, overflow="fold"
        )
    return made
