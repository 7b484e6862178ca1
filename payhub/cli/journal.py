"""List open orders, ask about one, settle what nobody else can, and look after the journal."""

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import typer
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from payhub.accounts.config import duration, journal_key
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
    listed,
    one_line,
)
from payhub.cli.meant import known
from payhub.cli.orders import AccountArgument
from payhub.driver import Schedule
from payhub.errors import ConfigurationError, IllegalStep, JournalFailed, PayhubError
from payhub.hub import Hub, Outcome
from payhub.journal import Entry, Evidence, Journal, Key, Record, Source, State, Why
from payhub.journal.records import applied, givable
from payhub.journal.states import NOTHING_MOVED, UNFINISHED, in_vain, status_of
from payhub.models import Exchange, Phase, Status
from payhub.money import Money
from payhub.plans.identity import payer_key
from payhub.ticket.situations import is_contradiction
from payhub.ticket.values import utc

MOST = 1000
"""How many orders `payhub unknown` lists."""

KindArgument = Annotated[
    str, typer.Argument(parser=kind_word, metavar=KIND_METAVAR, help="What it is.", show_default=False)
]
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
    """List the orders that wait for a person; exit code 5 if there are any.

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
        since, reason = views.second(record.updated_at), record.explanation and one_line(record.explanation)
        shown.add_row(
            *map(cell, (facts.account, facts.kind, facts.order_id, _state(record), facts.amount, since, reason))
        )
    rest = [Text(f"the {MOST} oldest; there are more")] if more else []
    values = {"orders": [views.order(record) for record in records], "more": more}
    session.answer(values, *([shown, *rest] if records else [Text("none")]))
    return ExitCode.WAITING if records else ExitCode.DONE


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
    watch, key = Watch(), Key(account, kind, order)
    with Hub(session.lasting(), (watch,)) as hub:
        hub.registry.account(account)  # names the known ones
        known(hub.journal, key)
        found = hub.advance(*key)
        record = known(hub.journal, key)
        answer = _answer(record, hub.journal, watch.last)
    notes = [f"state: {record.state}", answer or "nobody was asked: this is what is recorded"]
    notes += [words] if (words := _reporting(record)) else []
    notes += ["nothing left this machine: it may be created again under its order_id"] if givable(record) else []
    told = {"state": record.state, "asked": watch.last is not None, "answer": answer}
    session.answer(views.plain(found) | told, *views.result(found), *map(Text, notes))
    return ExitCode.UNKNOWN if found.status is Status.UNKNOWN else ExitCode.DONE


def _answer(record: Record, journal: Journal, last: Exchange | None) -> str | None:
    """Say what came of the question that was just asked about an order; nothing if there was none to ask."""
    if last is None and (record.state is State.SENDING or record.state not in UNFINISHED):
        return None
    said = [e for e in _evidence(record, journal) if e.evidence and e.evidence.source is Source.STATUS]
    if not said or said[-1].evidence is None:
        return None
    found = said[-1].evidence
    if found.why is Why.NOT_FOUND:
        return "asked: the provider does not find it, which proves nothing"
    if found.provider_status is None and in_vain(found):
        words = one_line((found.reason if found.why is Why.NOT_SENT else found.explanation) or "no usable answer")
        left = "" if last and last.phase is not Phase.NOT_SENT else "; it is the question that was not sent"
        return f"asked in vain: {words}{left}"
    other = f", which contradicts the order: {listed(found.mismatches)}" if found.mismatches else ""
    kept = "; that contradicts what was known: kept, not applied" if said[-1].contradicts else ""
    word = one_line(found.provider_status) if found.provider_status else found.state
    return f"asked: the provider says {word}{other}{kept}"


def _evidence(record: Record, journal: Journal) -> list[Entry]:
    """Return an order's story, what came last at the end."""
    _, entries = journal.story(record.facts.order_id)
    mine = (entry for entry in entries if entry.key == record.facts.key)
    return sorted(mine, key=lambda entry: entry.last_at or entry.at)


def _reporting(record: Record) -> str | None:
    """Say until when somebody who is sending an order has to report."""
    until = record.lease_until if record.state is State.SENDING else None
    if until is None or until <= dt.datetime.now(dt.UTC):
        return None
    return f"its sender has until {until:%H:%M:%S} UTC to report; after that a sweep or a check asks"


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
        before = known(hub.journal, Key(account, kind, order))
        denial = _denial(before, hub.journal)
        found = Evidence(source=Source.OPERATOR, state=State(outcome), reason=reason)
        try:
            after, _ = applied(before, found, dt.datetime.now(dt.UTC), Schedule())  # refuses what the journal would
            if yes:
                hub.resolve(account, kind, order, outcome, reason=reason, by=by)
        except IllegalStep as cause:
            raise IllegalStep(f"{cause}; {_instead(before)}") from cause
    act = {"done": yes, "from": before.state, "to": after.state, "reason": found.reason, "by": by}
    facts = _grid(before, denial)
    _step(facts, before, after, done=yes)
    facts.add_row("reason", cell(found.reason))
    facts.add_row("by", cell(by))
    panel = Panel(facts, title=cell(f"{kind} {order} of {account}"), title_align="left", expand=False)
    hint = Text("Done, and kept for ever." if yes else "Nothing was changed. With --yes it is done, and kept for ever.")
    session.answer({"order": views.order(before), **act, "contradicted_by": views.plain(denial)}, panel, hint)


def _instead(record: Record) -> str:
    """Say what to do with an order that is no operator's to settle."""
    if words := _reporting(record):
        return words
    if record.state.open:
        return "ask the provider with `payhub check`, or wait for a sweep"
    if record.contradicted:
        return "it is contradicted, and can only be confirmed; `payhub trace` tells by what"
    if givable(record):
        return "nothing was sent, and it may be created again under its order_id"
    return "it is closed, and `payhub trace` tells how"


class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """Say what contradicts what is known of an order: an answer, or a notification."""

    source: str
    state: State
    provider_status: str | None
    provider_id: str | None
    paid: Money | None
    at: dt.datetime


def _denial(record: Record, journal: Journal) -> Denial | None:
    """Return what contradicts an order, the last if there are several."""
    against = [entry for entry in _evidence(record, journal) if is_contradiction(entry)] if record.contradicted else []
    for last in reversed(against):
        said = last.evidence or (last.noted and last.noted.notice)
        if said:
            return Denial(
                source=said.source if isinstance(said, Evidence) else last.what,
                state=said.state,
                provider_status=said.provider_status and one_line(said.provider_status),
                provider_id=said.provider_id,
                paid=said.paid,
                at=last.last_at or last.at,
            )
    return None


def _grid(record: Record, denial: Denial | None) -> Table:
    """Show what a person has to have seen of an order before he settles it."""
    facts, grid = record.facts, views.grid()
    grid.add_row("asked", cell(facts.amount))
    grid.add_row("method", cell(views.destination(facts)))
    grid.add_row("made", cell(views.clock(record.created_at)))
    grid.add_row("changed", cell(views.clock(record.updated_at)))
    grid.add_row("provider id", cell(record.provider_id))
    if record.explanation:
        grid.add_row("reason so far", cell(one_line(record.explanation)))
    if denial:
        word = f" (provider: {denial.provider_status})" if denial.provider_status else ""
        other = f", id {denial.provider_id}" if denial.provider_id not in {None, record.provider_id} else ""
        paid = f", paid {denial.paid}" if denial.paid else ""
        words = f"{denial.source}: {denial.state}{word}{other}{paid}, {views.clock(denial.at)}"
        grid.add_row("contradicted by", cell(words, "bold red"))
    return grid


def _step(grid: Table, before: Record, after: Record, *, done: bool) -> None:
    """Show what becomes of an order, and what the application is told then."""
    same = before.state is after.state
    does, did = ("stay", "stayed") if same else ("become", "became")
    grid.add_row("order was" if done else "order is", cell(_state(before)))
    grid.add_row(did if done else f"would {does}", cell(after.state, "bold"))
    if before.contradicted:
        again = f"again from {'now' if done else 'then'} on, no longer unknown"
        told = again if before.state in NOTHING_MOVED else "as before"
        grid.add_row("application", cell(f"is told {status_of(after.state)} {told}"))


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
    done, waiting = opened.forget(payer_key(journal_key(session.lasting()), payer))
    rest = f"; {waiting} are open yet, try again when they are closed" if waiting else ""
    words = f"{done} orders: all but the money facts erased{rest}"
    none = "the journal has no payment of this payer, or has forgotten the payer already: nothing was erased"
    session.answer({"forgotten": done, "open": waiting}, Text(words if done or waiting else none))


def _migrated(opened: Any, action: str) -> tuple[str | None, str, bool]:
    """Look at the tables' version and upgrade them; only `init` makes new ones, for a prefix may be mistyped."""
    from payhub.journal.sql import migrate  # noqa: PLC0415 - needs the extra `sql`, which the journal has just used
    from payhub.journal.sql.tables import tables  # noqa: PLC0415 - the same

    with _usable(), opened.database.engine.begin() as connection:
        before = migrate.version(connection, opened.database.prefix)
    if action == "upgrade" and before is None:
        raise ConfigurationError("the journal has no tables under this prefix; make them: payhub journal init")
    with _usable():
        changed = migrate.upgrade(opened.database.engine, opened.database.prefix)
    with _usable(), opened.database.engine.begin() as connection:
        names, there = tables(opened.database.prefix).metadata.tables, opened.database.engine.dialect.has_table
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
