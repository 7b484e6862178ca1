"""Write answers to stdout and the log to stderr: for a person, or for a program."""

import json
import logging
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from rich.console import Console
from rich.text import Text

from payhub.exchanges.events import Event
from payhub.masking import printable, printable_json

WIDTH = 100
"""The columns of output that does not go to a terminal."""


def stdout() -> Console:
    """Return a console on stdout that shows text as it is, without markup or guessed colours."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH
    return Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)


def write_json(values: Mapping[str, object]) -> None:
    """Print one JSON object on one line of stdout, on which nothing steers a terminal or ends the line."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write(printable_json(json.dumps(values, ensure_ascii=not unicode)) + "\n")
    sys.stdout.flush()


def cell(value: object, style: str = "") -> Text:
    """Return a value as the text of a table's cell, a dash for `None`; long text is folded, not cut."""
    return Text("-" if value is None else printable(str(value)), style=style, overflow="fold")


def listed(words: Iterable[Any]) -> str:
    """Return words as a list in a message."""
    return ", ".join(map(str, words)) or "none"


def log_to_stderr(level: int, *, creates: bool) -> None:
    """Configure structlog: for a person on a terminal, else one JSON object a line.

    A command that `creates` no order has no use for the warning that orders are kept in memory only.
    """
    for library in ("httpx", "httpcore", "httpx2", "httpcore2"):
        logging.getLogger(library).setLevel(logging.WARNING)  # at INFO it prints addresses
    if sys.stderr.isatty():
        # Not rich's traceback, which shows local variables.
        console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        renderers: list[structlog.typing.Processor] = [structlog.processors.StackInfoRenderer(), console]
    else:
        json_lines = structlog.processors.JSONRenderer(
            lambda values, **options: printable_json(json.dumps(values, ensure_ascii=False, **options))
        )
        renderers = [structlog.processors.format_exc_info, json_lines]
    structlog.configure(
        processors=[
            _Filter(creates=creates),
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


class _Filter:
    """A processor that drops what a command has no use for, and says only once what is wrong with an account."""

    def __init__(self, *, creates: bool) -> None:
        self._creates = creates
        self._reasons: set[tuple[object, object]] = set()

    def __call__(self, _logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if event["event"] == Event.JOURNAL_IN_MEMORY.title and not self._creates:
            raise structlog.DropEvent
        if event["event"] == Event.SWEEP_FAILED.title and "reason" in event:
            reason = (event["account"], event["reason"])
            if reason in self._reasons:  # each order of an account that cannot be opened fails for the same reason
                del event["reason"]
            self._reasons.add(reason)
        return event
