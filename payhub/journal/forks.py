"""Let what threads are at work with pause while the process forks: in the child their work would never end.

Above all no fork takes SQLite's connections along: in the child all it believes of the file's locks is wrong.
SQLite keeps what its process has locked in memory that a fork copies, so that in a child even a new
connection waits for ever for a transaction of the parent's, or goes on where it should wait:
https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_
"""

import os
import threading
import weakref
from typing import Protocol

PATIENCE = 30.0
"""Wait this long, in seconds, for whoever is at work: a transaction that itself waits for other processes has ten."""


class Pausing(Protocol):
    """Stop while this process forks."""

    def pause(self) -> bool:
        """Let go of what must not be copied, and begin nothing; return whether `resume` is to be called."""
        ...

    def resume(self) -> None:
        """Go on, in the parent and in the child."""
        ...


_known: weakref.WeakSet[Pausing] = weakref.WeakSet()
_paused: list[Pausing] = []
_one = threading.Lock()


def register(what: Pausing) -> None:
    """Have something pause whenever this process forks."""
    with _one:
        _known.add(what)


def _before() -> None:
    _one.acquire()
    _paused.extend(each for each in _known if each.pause())


def _after() -> None:
    while _paused:
        _paused.pop().resume()
    if _one.locked():  # not where a program that is not Python forked, and told Python afterwards only
        _one.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
