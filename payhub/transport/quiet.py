"""Keep the libraries below from logging what a call of payhub has on the wire.

httpcore logs every step at level DEBUG, and with it the whole head of an answer: cookies, addresses
with tokens, and whatever a provider repeats there. Its logger has one level for everybody in the
process, so what is said is left to the application, and only payhub's own calls are made terse.
"""

import contextvars
import logging
from collections.abc import Iterator
from contextlib import contextmanager

_calling: contextvars.ContextVar[bool] = contextvars.ContextVar("payhub_calling", default=False)


class _StepsOnly(logging.Filter):
    """Leave the name of a step, as `receive_response_headers.complete`, of what is said during a call of payhub."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _calling.get():
            record.msg, record.args = str(record.msg).partition(" ")[0], ()
            record.exc_info = record.exc_text = record.stack_info = None
        return True


_steps_only = _StepsOnly()


def guard() -> None:
    """Put the filter on every logger of httpcore; once is enough, and levels and handlers stay as they are."""
    for name in tuple(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "httpcore":
            logging.getLogger(name).addFilter(_steps_only)


@contextmanager
def guarded() -> Iterator[None]:
    """Mark what is done inside as a call of payhub, in this thread or task."""
    token = _calling.set(True)
    try:
        yield
    finally:
        _calling.reset(token)
