"""Share what every command does: its options, its answer on stdout, its log on stderr."""

import enum
import json
import logging
import os
import shlex
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec
import structlog
import typer
from rich.console import Console, RenderableType
from rich.text import Text

from payhub.accounts.config import JournalSettings, Settings, open_journal, read_file
from payhub.errors import ConfigurationError, PayhubError
from payhub.exchanges.events import Event
from payhub.hub import Hub
from payhub.journal import Journal
from payhub.masking import mask_cards, printable
from payhub.operations import KINDS

WIDTH = 100
"""The columns of output that does not go to a terminal."""

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The configuration; else $PAYHUB_CONFIG, else ./payhub.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on stdout.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Log every exchange with the provider, masked, on stderr.")
]


KIND_METAVAR = f"{{{'|'.join(KINDS)}}}"


def kind_word(text: str) -> str:
    """Read the word of a kind of order."""
    if text not in KINDS:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(map(repr, KINDS))}.")
    return text


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
    INTERRUPTED = 130  # as shells have it for Ctrl-C


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.DEFECT: "a defect of payhub or of a plugin",
    ExitCode.USAGE: "the command line or the configuration is wrong",
    ExitCode.REFUSED: "refused, not sent, or not answered",
    ExitCode.UNKNOWN: "the outcome is unknown: ask, do not create it again",
    ExitCode.WAITING: "orders wait for a person",
    ExitCode.NONE_FOUND: "no order was found",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
}
"""The help's words for each exit code."""


class UsageError(Exception):
    """Report a command line that says too little, too much, or something unknown; no value is quoted."""


class OutcomeUnknown(Exception):
    """Report that a payment or payout may have been created, and nobody here can tell."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the options of every command say."""

    config: Path | None
    as_json: bool
    creates: bool

    @classmethod
    def begin(cls, config: Path | None, *, as_json: bool, verbose: bool, creates: bool = False) -> Self:
        """Begin a command: logs go to stderr from now on, as much as was asked for.

        Whoever `creates` nothing is not told what to mind when creating, and makes no journal.
        """
        log_to_stderr(logging.INFO if verbose else logging.WARNING, () if creates else _FOR_CREATORS)
        return cls(config=config, as_json=as_json, creates=creates)

    def settings(self) -> Settings:
        """Read the configuration."""
        return read_file(self.config)

    def lasting(self) -> Settings:
        """Read the configuration of a command that is about what lasts.

        Raises:
            ConfigurationError: orders are kept in memory only, so there is nothing to look into; or
                SQLite's file or tables are not there, and the command is not one that makes them.
        """
        settings = self.settings()
        if not settings.journal.url:
            raise ConfigurationError('this needs a journal that lasts: set url = "sqlite:///payhub.db" under [journal]')
        if not self.creates and (missing := missing_journal(settings)):
            raise ConfigurationError(missing)
        return settings

    def journal(self, *, keyed: bool = False) -> closing[Journal]:
        """Open the journal alone: no driver and no account is needed to look into it, and no key to look at orders."""
        return closing(open_journal(self.lasting(), keyed=keyed))

    def hub(self, *plugins: object) -> Hub:
        """Open a hub on the configuration; where SQLite's journal is not there, only who creates makes it."""
        settings = self.settings()
        if not self.creates and missing_journal(settings):
            settings = msgspec.structs.replace(settings, journal=JournalSettings())
        return Hub(settings, plugins)

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
        """Write another command, to be copied, with the configuration of this one."""
        return shlex.join(["payhub", *words, *(["--config", str(self.config)] if self.config else [])])

    @contextmanager
    def creating(self, kind: str, account: str, order_id: str) -> Iterator[str]:
        """Say what to do if creating is interrupted; give the command that asks for the outcome.

        Raises:
            OutcomeUnknown: anything but payhub's own errors, which say that no money moved.
        """
        lasting = bool(self.settings().journal.url)  # only then another process knows what was created
        check, status = ("check", account, kind, order_id), ("status", account, kind, "--order-id", order_id)
        ask = self.command(*(check if lasting else status))
        try:
            yield ask
        except PayhubError:
            raise
        except (Exception, KeyboardInterrupt) as cause:
            raise OutcomeUnknown(
                f"interrupted by {type(cause).__name__}; the outcome of the {kind} may be unknown: "
                f"do not create it again, ask: {ask}"
            ) from cause


_FOR_CREATORS = (Event.JOURNAL_IN_MEMORY.title,)
_OF_EACH_ORDER = Event.SWEEP_FAILED.title


def missing_journal(settings: Settings) -> str | None:
    """Say what of a journal on SQLite is configured and not there: whoever only looks must not make it."""
    if not settings.journal.url:
        return None
    journal: Any = open_journal(settings)  # which makes nothing yet
    with closing(journal):
        url = journal.database.engine.url
        if url.get_backend_name() != "sqlite":
            return None
        if not Path(url.database).exists():
            return f"journal.url: {url.database}: no such file; if the address is right, {_MADE_BY.format('it')}"
        if not journal.database.has_tables():
            prefix = settings.journal.prefix
            hint = f"if the prefix is right, {_MADE_BY.format('them')}"
            return f"journal.prefix: {url.database} has no tables {prefix}…; {hint}"
    return None


_MADE_BY = "payhub journal init makes {}, or the first order"


def log_to_stderr(level: int, silent: Collection[str] = ()) -> None:
    """Configure structlog: for a person on a terminal, else one JSON object a line."""
    told: set[tuple[object, object]] = set()

    def heard(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if event["event"] in silent:
            raise structlog.DropEvent
        if event["event"] == _OF_EACH_ORDER and "reason" in event:
            said = (event["account"], event["reason"])
            if said in told:  # what ails an account ails all its orders
                del event["reason"]
            told.add(said)
        return event

    logging.getLogger("httpx").setLevel(logging.WARNING)  # on INFO it prints URLs
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    shared: list[structlog.typing.Processor] = [
        heard,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[*shared, *(_for_people() if terminal else _for_machines())],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _for_people() -> list[structlog.typing.Processor]:
    # Not rich's traceback, which shows local variables.
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    return [structlog.processors.StackInfoRenderer(), renderer]


def _for_machines() -> list[structlog.typing.Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]


def stdout() -> Console:
    """Return a console on stdout that shows text as it is, without markup or guessed colours."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH
    return Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)


def write_json(values: Mapping[str, object]) -> None:
    """Print one JSON object on one line of stdout."""
    sys.stdout.write(json.dumps(values, ensure_ascii=not _speaks_unicode()) + "\n")
    sys.stdout.flush()


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")


def cell(value: object, style: str = "") -> Text:
    """Make text for a table of a value; a dash where there is none. Long text is folded, not cut."""
    return Text("-" if value is None else printable(str(value)), style=style, overflow="fold")


def one_line(text: str) -> str:
    """Make text fit for an error: one line, no card number, nothing that steers a terminal."""
    return mask_cards(printable(" ".join(text.split())))


def listed(words: Iterable[Any]) -> str:
    """List words for a message."""
    return ", ".join(str(word) for word in words) or "none"
