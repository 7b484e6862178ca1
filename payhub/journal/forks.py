"""Hold locks and close files across a fork, so that a child inherits nothing that is in use.

A lock that another thread holds while the process forks is never released in the child, where that thread does not
exist. SQLite's connections must not be copied at all: what a process has locked is in its memory, so in a child even a
new connection waits for a transaction of the parent's that never ends there, or goes on where it should wait:
https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_
"""

import os
import threading
import weakref
from typing import Protocol

PATIENCE = 30.0
"""How long a fork waits, in seconds, for a transaction to end; one that waits for other processes gives up in ten."""


class Pausing(Protocol):
    """Something that pauses while this process forks."""

    def pause(self) -> bool:
        """Release what must not be copied, and begin nothing; return whether `resume` is to be called."""
        ...

    def resume(self) -> None:
        """Go on, in the parent and in the child."""
        ...


_known: weakref.WeakSet[Pausing] = weakref.WeakSet()
_locks: weakref.WeakSet[threading.Lock] = weakref.WeakSet()
_paused: list[Pausing] = []
_held: list[threading.Lock] = []
_one_at_a_time = threading.Lock()


def register(pausing: Pausing) -> None:
    """Have something pause whenever this process forks."""
    with _one_at_a_time:
        _known.add(pausing)


def new_lock() -> threading.Lock:
    """Return a lock that no thread holds while this process forks; parent and child go on with it free."""
    lock = threading.Lock()
    with _one_at_a_time:
        _locks.add(lock)
    return lock


def _pause_all() -> None:
    _one_at_a_time.acquire()
    _paused.extend(each for each in _known if each.pause())
    _held.extend(lock for lock in _locks if lock.acquire(timeout=PATIENCE))


def _resume_all() -> None:
    while _held:
        _held.pop().release()
    while _paused:
        _paused.pop().resume()
    # A program that embeds Python may fork without telling it before, and tell it afterwards: then nothing is locked.
    if _one_at_a_time.locked():
        _one_at_a_time.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_pause_all, after_in_parent=_resume_all, after_in_child=_resume_all)
