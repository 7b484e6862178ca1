"""Count work by the lines of Python that it takes: the same on a busy machine."""

import sys
from collections.abc import Callable
from typing import Any


def lines_of_python(work: Callable[[], object]) -> int:
    """Do work, and return how many events Python's tracing has of it: lines above all."""
    count = 0

    def trace(_frame: object, _event: str, _argument: object) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
