"""Keep httpcore from logging what a call of payhub has on the wire.

httpcore logs every step at level DEBUG, and with it the whole head of an answer: cookies, addresses
with tokens, and whatever a provider repeats there. Its loggers have one level for the whole process,
so levels are left to the application, and only the records of payhub's own calls are shortened.
"""

import contextvars
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from payhub.transport.http import httpcore

_in_call: contextvars.ContextVar[bool] = contextvars.ContextVar("payhub_in_call", default=False)


class _StepsOnly(logging.Filter):
    """A filter that leaves only a step's name, as `receive_response_headers.complete`, of a record during a call."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _in_call.get():
            record.msg, record.args = str(record.msg).partition(" ")[0], ()
            record.exc_info = record.exc_text = record.stack_info = None
        return True


_steps_only = _StepsOnly()


def install() -> None:
    """Add the filter to every logger of httpcore, once; levels and handlers stay as they are."""
    for name in tuple(logging.root.manager.loggerDict):
        if name.partition(".")[0] == httpcore.__name__:
            logging.getLogger(name).addFilter(_steps_only)


@contextmanager
def during_call() -> Iterator[None]:
    """Shorten what httpcore logs inside the `with` block, in this thread or task."""
    token = _in_call.set(True)
    try:
        yield
    finally:
        _in_call.reset(token)
