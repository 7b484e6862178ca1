"""Do work in a forked child."""

import json
import os
import select
import signal
import warnings
from collections.abc import Callable
from typing import Any


def forked(work: Callable[[], Any], fork: Callable[[], int] = os.fork) -> Callable[[], Any]:
    """Do work in a child, and return what waits for its report."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that threads are running is what is tested
        child = fork()
    if child == 0:
        try:
            report = work()
        except BaseException as cause:  # noqa: BLE001 - the parent judges it
            report = f"{type(cause).__name__}: {cause}"
        os.write(writing, json.dumps(report).encode())
        os._exit(0)
    os.close(writing)

    def report_of() -> Any:
        ready, _, _ = select.select([reading], [], [], 40)
        if not ready:
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with open(reading, "rb") as told:  # noqa: PTH123 - a pipe
            return json.loads(told.read() or b'"it hangs"')

    return report_of
