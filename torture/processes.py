"""Run work in processes that may be killed, and that end even if this one dies.

Linux only: the processes are forked, and their ends are awaited by descriptor.
"""

import contextlib
import ctypes
import os
import random
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

T = TypeVar("T")

FAILED = 70
"""The exit code of work that raised; its traceback went to standard error."""

KILLED = -signal.SIGKILL


class Child:
    """A forked process, and what its work returns."""

    def __init__(self, work: Callable[[], object], seconds: int) -> None:
        """Fork: from a process that has everything imported, a child costs milliseconds.

        The process must have no threads and no open connection to a journal.
        """
        self._reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._reader)
            _run(work, writer, seconds)
        os.close(writer)
        self._code: int | None = None

    def fileno(self) -> int:
        """Return the descriptor that has something to read when its work has returned, or died."""
        return self._reader

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def ended(self) -> bool:
        """Tell whether it has ended, without waiting."""
        if self._code is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code is not None

    def code(self) -> int:
        """Wait until it ends, and return its exit code; a negative one is the signal that ended it."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if self._reader >= 0:
            os.close(self._reader)
            self._reader = -1
        return self._code

    def returned(self, shape: type[T]) -> T:
        """Wait until it ends, and return what its work returned.

        Raises:
            RuntimeError: it did not end well.
        """
        written = b""
        while chunk := os.read(self._reader, 1 << 20):
            written += chunk
        if code := self.code():
            raise RuntimeError(f"a process of the harness ended with {code}")
        return msgspec.json.decode(written, type=shape)


def _run(work: Callable[[], object], writer: int, seconds: int) -> None:
    code = FAILED
    try:
        signal.alarm(seconds)  # unhandled: ends the process
        random.seed(os.getpid())
        left = memoryview(msgspec.json.encode(work()))
        with contextlib.suppress(BrokenPipeError):  # the parent has gone on without the result
            while left:
                left = left[os.write(writer, left) :]
        code = 0
    except BaseException:  # noqa: BLE001 - nothing of the parent's stack may run here
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends, even if it is stopped then."""
    ctypes.CDLL(None).prctl(_SET_PDEATHSIG, int(signal.SIGKILL))


_SET_PDEATHSIG = 1  # linux/prctl.h


def start(work: Callable[[], object], *, seconds: int = 600) -> Child:
    """Start work in a process that lives so many seconds at most."""
    return Child(work, seconds)


def call(work: Callable[[], object], shape: type[T], *, seconds: int = 600) -> T:
    """Run work in a process of its own, and return what it returns."""
    return start(work, seconds=seconds).returned(shape)


def each(
    work: Iterable[tuple[T, Callable[[], object]]], *, at_once: int = 2, seconds: int = 300
) -> Iterator[tuple[T, int]]:
    """Run each piece of work in a process of its own, some at once, and yield how each ended."""
    running: dict[int, tuple[T, Child]] = {}
    poll = select.poll()
    left = iter(work)
    more = True
    while more or running:
        while more and len(running) < at_once:
            step = next(left, None)
            if step is None:
                more = False
                break
            child = start(step[1], seconds=seconds)
            end = os.pidfd_open(child.pid)
            running[end] = (step[0], child)
            poll.register(end, select.POLLIN)
        for end, _ in poll.poll(1000) if running else ():
            name, child = running.pop(end)
            poll.unregister(end)
            os.close(end)
            yield name, child.code()


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is so; tell whether it became so in time."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
