"""What a command works with: the configuration, the journal, a hub; its answer, and how it may end."""

import enum
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import RenderableType
from rich.text import Text

from payhub.accounts.config import JournalSettings, Settings, open_journal, read_file
from payhub.cli.console import stdout, write_json
from payhub.errors import ConfigurationError, PayhubError
from payhub.hub import Hub
from payhub.journal import Journal


@enum.unique
class ExitCode(enum.IntEnum):
    """What a script may conclude from the end of a command."""

    DONE = 0
    DEFECT = 1  # as Python itself ends where nothing catches an exception
    USAGE = 2
    REFUSED = 3
    UNKNOWN = 4
    WAITING = 5
    NONE_FOUND = 6
    UNHEALTHY = 7
    INTERRUPTED = 130  # as shells have it for Ctrl-C


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.DEFECT: "a defect of payhub or of a plugin",
    ExitCode.USAGE: "the command line or the configuration is wrong",
    ExitCode.REFUSED: "refused, not sent, or not answered",
    ExitCode.UNKNOWN: "the outcome is unknown: ask, do not create it again",
    ExitCode.WAITING: "orders wait for a person",
    ExitCode.NONE_FOUND: "no order was found",
    ExitCode.UNHEALTHY: "orders are overdue, or have been waiting for a person",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
}
"""The help's words for each exit code."""


class UsageError(Exception):
    """A command line that says too little, too much, or something unknown; no value is quoted."""


class OutcomeUnknown(Exception):
    """An order that may have been created: the command was interrupted, and nobody here can tell."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What the common options say, and what a command opens with it.

    A command that `creates` orders, or the journal, creates SQLite's file where it is missing.
    """

    config: Path | None
    as_json: bool
    creates: bool

    def settings(self) -> Settings:
        """Read the configuration."""
        return read_file(self.config)

    def durable_settings(self) -> Settings:
        """Read the configuration of a command that needs a journal in a database.

        Raises:
            ConfigurationError: orders are kept in memory only, so there is nothing to look into; or
                SQLite's file or tables are missing, and the command is not one that creates them.
        """
        settings = self.settings()
        if not settings.journal.url:
            raise ConfigurationError(
                'this command needs a journal in a database: set url = "sqlite:///payhub.db" under [journal]'
            )
        if not self.creates and (missing := missing_journal(settings)):
            raise ConfigurationError(missing)
        return settings

    def journal(self, *, keyed: bool = False) -> closing[Journal]:
        """Open the journal alone: reading it needs no driver and no account, and a key only to erase a payer."""
        return closing(open_journal(self.durable_settings(), keyed=keyed))

    def hub(self, *plugins: object) -> Hub:
        """Open a hub; where SQLite's journal is missing, a command that creates no orders does without one."""
        settings = self.settings()
        if not self.creates and missing_journal(settings):
            settings = msgspec.structs.replace(settings, journal=JournalSettings())
        return Hub(settings, plugins)

    def creating_hub(self, *, without_journal: bool) -> Hub:
        """Open a hub to create an order with.

        Raises:
            ConfigurationError: the order would be forgotten when the command ends, and nobody has agreed to that.
        """
        settings = self.settings()
        if not settings.journal.url and not without_journal:
            raise ConfigurationError(
                "without a journal this order is forgotten when the command ends, and may be paid twice: write "
                '[journal] and url = "sqlite:///payhub.db" into the configuration, or give --without-journal'
            )
        return Hub(settings)

    def answer(self, values: Mapping[str, object], *shown: RenderableType) -> None:
        """Print the command's answer: as one JSON object, or for a person."""
        if self.as_json:
            write_json(values)
            return
        console = stdout()
        for each in shown:
            console.print(each, soft_wrap=isinstance(each, Text))  # an address or a command must stay one line
        sys.stdout.flush()

    def command(self, *words: str) -> str:
        """Return another command, to be copied, with the configuration of this one."""
        return shlex.join(["payhub", *words, *(["--config", str(self.config)] if self.config else [])])

    @contextmanager
    def creating(self, kind: str, account: str, order_id: str) -> Iterator[str]:
        """Give the command that asks for the outcome of an order, also if creating it is interrupted.

        Raises:
            OutcomeUnknown: anything but payhub's own errors, which say that no money moved.
        """
        durable = bool(self.settings().journal.url)  # without it no other process knows what was created
        check, status = ("check", account, kind, order_id), ("status", account, kind, "--order-id", order_id)
        ask = self.command(*(check if durable else status))
        try:
            yield ask
        except PayhubError:
            raise
        except (Exception, KeyboardInterrupt) as cause:
            raise OutcomeUnknown(
                f"interrupted by {type(cause).__name__}; the outcome of the {kind} may be unknown: "
                f"do not create it again, ask: {ask}"
            ) from cause


def missing_journal(settings: Settings) -> str | None:
    """Say what is missing of a configured journal in SQLite: a command that only reads must not create it."""
    if not settings.journal.url:
        return None
    journal: Any = open_journal(settings)  # which creates nothing yet
    with closing(journal):
        url = journal.database.engine.url
        if url.get_backend_name() != "sqlite":
            return None
        begun = journal.database.note.read() is not None
        lost = "bring back the one that was begun here; if it is lost, a person has to agree: payhub journal accept"
        created_by = "`payhub journal init` creates {}, and so does the first order"
        if not Path(url.database).exists():
            hint = lost if begun else f"if the address is right, {created_by.format('it')}"
            return f"journal.url: {url.database}: no such file; {hint}"
        if not journal.database.has_tables():
            hint = lost if begun else f"if the prefix is right, {created_by.format('them')}"
            return f"journal.prefix: {url.database} has no tables {settings.journal.prefix}…; {hint}"
    return None
