"""Look after the journal's database: its tables, and what need not be kept."""

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from payhub.accounts.config import journal_key
from payhub.cli.command import command, common
from payhub.cli.console import listed
from payhub.cli.session import Session, UsageError
from payhub.errors import ConfigurationError, JournalFailed, PayhubError
from payhub.masking import mask_text, one_line
from payhub.plans.identity import payer_key
from payhub.ticket.values import clock, utc

app = typer.Typer(
    name="journal", callback=common, help="Set up the journal's tables, and delete what need not be kept."
)

_BATCH = 1000


@command(app, creates=True)
def init(session: Session) -> None:
    """Create the journal's tables; those that are there are upgraded. May be repeated.

    SQLite's tables are also created by the first order.
    """
    _migrate(session, create=True)


@command(app)
def upgrade(session: Session) -> None:
    """Upgrade the journal's tables to this version of payhub. May be repeated."""
    _migrate(session, create=False)


def _migrate(session: Session, *, create: bool) -> None:
    from payhub.journal.sql import migrate  # noqa: PLC0415 - needs the extra `sql`, as the journal itself does
    from payhub.journal.sql.note import compare  # noqa: PLC0415 - the same
    from payhub.journal.sql.tables import tables  # noqa: PLC0415 - the same

    with session.journal() as opened:
        database: Any = opened.database  # type: ignore[attr-defined]  # a session makes sure that there is one
        with failures(), database.engine.begin() as connection:
            before = migrate.version(connection, database.prefix)
        if before is None:
            compare(database.note.read(), None)
        if before is None and not create:  # the prefix may be mistyped
            raise ConfigurationError("the journal has no tables under this prefix; create them: payhub journal init")
        with failures():
            changed = migrate.upgrade(database.engine, database.prefix)
        with failures(), database.engine.begin() as connection:
            names, exists = tables(database.prefix).metadata.tables, database.engine.dialect.has_table
            missing = [name for name in names if not exists(connection, name)]
    if missing:
        raise JournalFailed(f"tables are missing: {listed(missing)}; restore the database from its backup")
    done = "created" if before is None else f"upgraded from {before}" if changed else "up to date"
    values = {"before": before, "version": migrate.HEAD, "changed": changed}
    session.answer(values, Text(f"tables: {done}, version {migrate.HEAD}"))


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Name a failure of the database by its kind: its own words may quote an address with a password, but SQLite's.

    Raises:
        JournalFailed: the database raised something.
    """
    try:
        yield
    except PayhubError:
        raise
    except Exception as cause:
        original = getattr(cause, "orig", None)
        words = f": {one_line(str(original))}" if isinstance(original, sqlite3.Error) else ""
        raise JournalFailed(f"the journal's database cannot be used: {type(cause).__name__}{words}") from cause


@command(app, creates=True)
def accept(
    session: Session,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="What became of the journal that was begun.")],
    by: Annotated[str, typer.Option(metavar="NAME", help="The name of the person who agrees.")],
) -> None:
    """Agree to go on with a journal that is new, another one, or older than it was.

    Orders that it lacks may have been sent: look for them at the provider first. Reason and name are kept.
    """
    reason, by = one_line(reason), one_line(by)
    if not reason or not by:
        raise UsageError("--reason and --by must say something: they are kept with the journal")
    with session.journal() as opened:
        journal: Any = opened
        accepted = journal.accept(mask_text(reason), mask_text(by))
    words = (
        "this journal is gone on with; restart what runs" if accepted else "nothing to agree to: it is as it was noted"
    )
    session.answer({"accepted": accepted}, Text(words))


@command(app)
def prune(session: Session) -> None:
    """Delete the exchanges of closed orders that are older than `keep_exchanges` allows. May be repeated.

    What was requested, paid and answered, when, and how it ended, is never deleted.
    """
    seconds = session.durable_settings().journal.keep_seconds
    if seconds is None:
        raise ConfigurationError('[journal] keep_exchanges says for how long, as "400d"; without it all are kept')
    before, deleted = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds), 0
    with session.journal() as journal:
        while batch := journal.prune(before, _BATCH):  # in parts, so that nobody waits long for the journal
            deleted += batch
    session.answer(
        {"deleted": deleted, "before": utc(before)},
        Text(f"{deleted} exchanges from before {clock(before)} deleted; those of open orders are kept"),
    )


@command(app)
def forget(
    session: Session,
    *,
    payer: Annotated[str, typer.Option(metavar="ID", help="Your own id for the payer.")],
) -> None:
    """Erase a payer's personal data from closed payments. May be repeated.

    What was requested, paid and answered, when, and how it ended, is never erased.
    """
    with session.journal(keyed=True) as journal:  # with another key than the journal's nobody would be found
        done, waiting = journal.forget(payer_key(journal_key(session.durable_settings()), payer))
    rest = f"; {waiting} are still open: try again when they are closed" if waiting else ""
    nothing = "nothing was erased: the journal has no payment of this payer, or they were erased before"
    words = f"{done} orders: all but the facts of money erased{rest}" if done or waiting else nothing
    session.answer({"forgotten": done, "open": waiting}, Text(words))
