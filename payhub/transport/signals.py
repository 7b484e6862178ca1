"""Tell what a signal's handler raised from what went wrong: it is for the program, and is no outcome of a call."""

import signal
from types import TracebackType


def is_from_signal(cause: BaseException) -> bool:
    """Tell whether an error comes from the handler of a signal, as Celery's soft time limit does."""
    found = (signal.getsignal(number) for number in signal.valid_signals())
    handlers = {getattr(getattr(handler, "__func__", handler), "__code__", None) for handler in found} - {None}
    trace: TracebackType | None = cause.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False
