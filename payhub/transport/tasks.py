"""Begin a task that outlives whoever begins it, in an event loop of either kind."""

import asyncio
import contextvars
import sys
from collections.abc import Callable, Coroutine
from typing import Any


def spawn(work: Callable[[], Coroutine[Any, Any, None]]) -> object:
    """Begin a task that only the end of its event loop cancels; what is returned has to be kept until it ends."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.lowlevel.spawn_system_task(work, context=contextvars.copy_context())
    return asyncio.get_running_loop().create_task(work())
