"""List open orders, ask about one, settle what nobody else can, and look after the journal."""

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import typer
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from payhub.cli import views
from payhub.cli.accounts import Watch
from payhub.cli.console import (
    ConfigOption,
    ExitCode,
    JsonOption,
    Session,
    UsageError,
    VerboseOption,
    cell,
    listed,
    one_line,
)
from payhub.cli.orders import AccountArgument
from payhub.config import duration, journal_key
from payhub.driver import Schedule
from payhub.errors import ConfigurationError, PayhubError
from payhub.hub import Hub, Outcome
from payhub.journal import Evidence, IllegalStep, Journal, JournalFailed, Key, Record, Source, State
from payhub.journal.records import applied, givable, unknown_order
from payhub.models import Kind, Status
from payhub.recording import payer_of
from payhub.ticket.wording import utc

MOST = 1000
"""How many orders `payhub unknown` lists."""

KindArgument = Annotated[Kind, typer.Argument(help="What it is.", show_default=False)]
OrderArgument = Annotated[str, typer.Argument(help="Your own id, the order_id.", show_default=False)]


def unknown(
    *,
    older: Annotated[
        str, typer.Option(metavar="1h", help="Only those that have not changed for so long: 90s, 10m, 1h, 2d.")
    ] = "0s",
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> ExitCode:
    """List the orders that wait for a person; exit 1 if there are any.

    Those of which nobody knows what became, those that need attention, and those that are contradicted.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    seconds = _seconds(older, "--older")
    with session.journal() as journal:
        found = journal.unsettled(seconds, MOST + 1)
    records, more = found[:MOST], len(found) > MOST
    shown = views.table("account", "kind", "order", "state", "asked", "since (UTC)", "reason", numbers=("asked",))
    for record in records:
        facts = record.facts
        since, reason = views.second(record.updated_at), record.reason and one_line(record.reason)
        shown.add_row(
            *map(cell, (facts.account, facts.kind, facts.order_id, _state(record), facts.amount, since, reason))
        )
    rest = [Text(f"the {MOST} oldest; there are more")] if more else []
    values = {"orders": [views.order(record) for record in records], "more": more}
    session.answer(values, *([shown, *rest] if records else [Text("none")]))
    return ExitCode.FOUND if records else ExitCode.DONE


def _state(record: Record) -> str:
    return f"{record.state}, contradicted" if record.contradicted else record.state


def _seconds(text: str, option: str) -> float:
    """Read a duration: a number and its unit."""
    try:
        return duration(text)
    except ValueError as cause:
        raise UsageError(f"{option}: {cause}") from None


def check(
    account: AccountArgument,
    kind: KindArgument,
    order: OrderArgument,
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> ExitCode:
    """Take one order as far as it can go now: ask the provider, and keep the answer.

    An order that is closed, or is just being sent, is not asked about: it is shown as it is recorded.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    watch = Watch()
    with Hub(session.lasting(), (watch,)) as hub:
        found = hub.advance(account, kind, order)
        record = _known(hub.journal, Key(account, kind, order))
    asked = watch.last is not None
    notes = [f"state: {record.state}"]
    notes += [] if asked else ["nobody was asked: this is what is recorded"]
    notes += ["nothing left this machine: it may be created again under its order_id"] if givable(record) else []
    session.answer(
        views.plain(found) | {"state": record.state, "asked": asked}, *views.result(found), *map(Text, notes)
    )
    return ExitCode.UNKNOWN if found.status is Status.UNKNOWN else ExitCode.DONE


def _known(journal: Journal, key: Key) -> Record:
    record = journal.find(key)
    if record is None:
        raise unknown_order(key)
    return record


def resolve(  # noqa: PLR0913 - one argument for each option
    account: AccountArgument,
    kind: KindArgument,
    order: OrderArgument,
    *,
    outcome: Annotated[Outcome, typer.Option("--as", help="What was found out.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="How it was found out, and where that can be read.")],
    by: Annotated[str, typer.Option(metavar="NAME", help="Who says so.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, it is only shown what would be done.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Settle an order by what a person found out, where neither provider nor time could; kept for ever.

    Only an order that is unknown or needs attention, or to confirm one that is contradicted. Without --yes nothing is
    changed.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    reason, by = one_line(reason), one_line(by)
    if not reason or not by:
        raise UsageError("--reason and --by must say something: they are kept with the order")
    with Hub(session.lasting()) as hub:
        if account not in hub.accounts and hub.journal.find(Key(account, kind, order)) is None:
            hub.registry.account(account)  # names the known ones
        before = _known(hub.journal, Key(account, kind, order))
        found = Evidence(source=Source.OPERATOR, state=State(outcome), reason=reason)
        try:
            after, _ = applied(before, found, dt.datetime.now(dt.UTC), Schedule())  # refuses what the journal would
            if yes:
                hub.resolve(account, kind, order, outcome, reason=reason, by=by)
        except IllegalStep as cause:
            raise IllegalStep(f"{cause}; {_instead(before)}") from cause
    act = {"done": yes, "from": before.state, "to": after.state, "reason": found.reason, "by": by}
    facts = _grid(before.state, after.state, done=yes)
    facts.add_row("reason", cell(found.reason))
    facts.add_row("by", cell(by))
    panel = Panel(facts, title=cell(f"{kind} {order} of {account}"), title_align="left", expand=False)
    hint = Text("Done, and kept for ever." if yes else "Nothing was changed. With --yes it is done, and kept for ever.")
    session.answer({"order": views.order(before), **act}, panel, hint)


def _instead(record: Record) -> str:
    """Say what to do with an order that is no operator's to settle."""
    if record.state.open:
        return "ask the provider with `payhub check`, or wait for a sweep"
    if record.contradicted:
        return "it is contradicted, and can only be confirmed; `payhub trace` tells by what"
    if givable(record):
        return "nothing was sent, and it may be created again under its order_id"
    return "it is closed, and `payhub trace` tells how"


def _grid(before: State, after: State, *, done: bool) -> Table:
    same = before is after
    does, did = ("stay", "stayed") if same else ("become", "became")
    grid = views.grid()
    grid.add_row("order was" if done else "order is", cell(before))
    grid.add_row(did if done else f"would {does}", cell(after, "bold"))
    return grid


Action = Literal["init", "upgrade", "prune", "forget"]


def journal(
    action: Annotated[
        Action,
        typer.Argument(
            help="init: make the tables; upgrade: bring them to this version; "
            "prune: delete exchanges that were kept for long enough; forget: erase what is personal of a payer.",
            show_default=False,
        ),
    ],
    *,
    payer: Annotated[str | None, typer.Option(metavar="ID", help="To forget: the id that you gave the payer.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Make the journal's tables, bring them to this version of payhub, or delete what need not be kept.

    The facts of money are never deleted: what was asked, paid and answered, when, and how it ended.
    Safe to repeat. SQLite's tables are made by the first order, too.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose, creates=action == "init")
    if (payer is None) == (action == "forget"):
        raise UsageError("--payer is needed to forget one, and for nothing else")
    with session.journal(keyed=payer is not None) as opened:  # with another key nobody would be found
        if payer is not None:
            _forget(session, opened, payer)
        elif action == "prune":
            _prune(session, opened)
        else:
            _make(session, opened, action)


def _make(session: Session, opened: Journal, action: str) -> None:
    before, after, changed = _migrated(opened, action)
    done = "made" if before is None else f"upgraded from {before}" if changed else "are of this version already"
    session.answer({"before": before, "version": after, "changed": changed}, Text(f"tables: {done}, version {after}"))


def _prune(session: Session, opened: Journal) -> None:
    """Delete in parts, so that nobody waits long for the journal."""
    seconds = session.lasting().journal.keep_seconds
    if seconds is None:
        raise ConfigurationError('[journal] keep_exchanges says for how long, as "400d"; without it all are kept')
    before, deleted = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds), 0
    while part := opened.prune(before, _PART):
        deleted += part
    session.answer(
        {"deleted": deleted, "before": utc(before)},
        Text(f"{deleted} exchanges from before {views.clock(before)} deleted; those of open orders are kept"),
    )


_PART = 1000


def _forget(session: Session, opened: Journal, payer: str) -> None:
    done, waiting = opened.forget(payer_of(journal_key(session.lasting()), payer))
    rest = f"; {waiting} are open yet, try again when they are closed" if waiting else ""
    session.answer({"forgotten": done, "open": waiting}, Text(f"{done} orders: all but the money facts erased{rest}"))


def _migrated(opened: Any, action: str) -> tuple[str | None, str, bool]:
    """Look at the tables' version and upgrade them; only `init` makes new ones, for a prefix may be mistyped."""
    from payhub.journal import migrate  # noqa: PLC0415 - needs the extra `sql`, which the journal has just used
    from payhub.journal.tables import tables  # noqa: PLC0415 - the same

    with _usable(), opened.engine.begin() as connection:
        before = migrate.version(connection, opened.prefix)
    if action == "upgrade" and before is None:
        raise ConfigurationError("the journal has no tables under this prefix; make them: payhub journal init")
    with _usable():
        changed = migrate.upgrade(opened.engine, opened.prefix)
    with _usable(), opened.engine.begin() as connection:
        names, there = tables(opened.prefix).metadata.tables, opened.engine.dialect.has_table
        missing = [name for name in names if not there(connection, name)]
    if missing:
        raise JournalFailed(f"tables that were made are gone: {listed(missing)}; restore the database from its backup")
    return before, migrate.HEAD, changed


@contextlib.contextmanager
def _usable() -> Iterator[None]:
    """Name a failure of the database by its kind: its own words may quote an address with a password, but SQLite's."""
    try:
        yield
    except PayhubError:
        raise
    except Exception as cause:
        original = getattr(cause, "orig", None)
        words = f": {one_line(str(original))}" if isinstance(original, sqlite3.Error) else ""
        raise JournalFailed(f"the journal's database cannot be used: {type(cause).__name__}{words}") from cause


COMMANDS = (unknown, check, resolve, journal)
