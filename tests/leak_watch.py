"""Watch what every library logs in every test, at DEBUG, and fail the test in which a secret is logged.

It has to cost next to nothing: what is watched is not formatted twice, is not passed on to anybody
who would not have heard it, and is searched by the scanner only if it may have what that looks for.
"""

import logging
import re
from typing import Any

import pytest
import structlog

from payhub.masking.leaks import find_leaks
from tests.canaries import card_number
from tests.samples import CARD

LEVEL = logging.DEBUG - 1
"""Know the root logger's level for the watch's own, which stands for WARNING, the default."""

LIBRARIES = (
    "alembic",
    "asyncio",
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "psycopg",
    "sqlalchemy",
    "uvicorn",
    "vcr",
)
PLANTED = (CARD, "40817120273018899310", "79031112233", *map(card_number, range(13, 20)))
# One by one, each with a beginning that is quickly not found: three times as fast as one for all.
_WORTH_A_LOOK = tuple(
    re.compile(pattern).search
    for pattern in (r"\d(?:[ .-]?\d){12}", r"[A-Za-z0-9+/_%\\-]{171}", r"-----BEGIN", r"(?:%3\d){13}")
)
_LEAKS = frozenset({"card number", "key", "signature"})


class Watch:
    """Remember what was logged and must not be."""

    def __init__(self) -> None:
        self.leaks: list[str] = []

    def look(self, where: str, text: str) -> None:
        """Search one line."""
        if any(number in text for number in PLANTED):
            self.leaks.append(f"{where}: a number that was planted")
        elif any(search(text) for search in _WORTH_A_LOOK):
            self.leaks += [f"{where}: {found}" for found in find_leaks(text) if found.leak in _LEAKS]

    def check(self, item: pytest.Item) -> None:
        """Fail a test in which something leaked, unless it says that it does so on purpose."""
        leaks, self.leaks = self.leaks, []
        if leaks and not item.get_closest_marker("leaks"):
            pytest.fail(f"logged, and must not be: {'; '.join(dict.fromkeys(leaks))}", pytrace=False)

    # structlog: a processor that stands before those that a test finds.

    def __call__(self, _: Any, method: str, event: Any) -> Any:
        """Search one event of structlog."""
        self.look(f"structlog, {method}", str(event))
        return event

    def listen(self) -> None:
        """Take back what an earlier test may have changed: levels of libraries, how structlog is configured."""
        for name in LIBRARIES:
            logging.getLogger(name).setLevel(logging.NOTSET)
        logging.root.setLevel(LEVEL)
        structlog.reset_defaults()
        structlog.configure(processors=[self, *structlog.get_config()["processors"]])


WATCH = Watch()

_passed_on = logging.Logger.callHandlers


def _watched(logger: logging.Logger, record: logging.LogRecord) -> None:
    """Search a record, and pass it on if it would have been made without the watch."""
    WATCH.look(record.name, record.getMessage())
    if record.levelno >= logging.WARNING or logger.getEffectiveLevel() != LEVEL:
        _passed_on(logger, record)


def begin() -> None:
    """Hear all that is logged, behind the filters of its logger and before any handler."""
    logging.Logger.callHandlers = _watched  # type: ignore[assignment, method-assign]
