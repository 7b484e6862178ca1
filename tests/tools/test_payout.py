"""A trip has the calls of the code that is followed, in their order, and the generators that wait."""

import importlib.util
import socket
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tools.payout import Call, follow

MADE = """
import contextlib

def walk():
    for step in steps():
        rest()
    return [*map(lambda step: rest(), "a")]

def steps():
    yield 1
    yield 2

def rest(): ...

def pay(send):
    with held():
        for call in whole():
            send(call)

@contextlib.contextmanager
def held():
    yield

def whole():
    yield from part()

def part():
    answers = (answer for answer in question())
    next(answers)
    yield b"first"
    answers.close()
    yield b"second"

def question():
    yield
"""


@pytest.fixture
def made(tmp_path: Path) -> ModuleType:
    """Load a module of a made-up payhub below a directory."""
    path = tmp_path / "payhub" / "plans" / "made.py"
    path.parent.mkdir(parents=True)
    path.write_text(MADE)
    spec = importlib.util.spec_from_file_location("made", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    here, there = socket.socketpair()
    with here, there:
        yield here


def test_calls_are_followed_in_their_order(made: ModuleType, tmp_path: Path) -> None:
    """Entering a function is a call, and so is each time that a generator goes on; code elsewhere is none."""
    trip = follow(lambda: (textwrap.dedent("made"), made.walk()), tmp_path)
    names = ["walk", "steps", "rest", "steps", "rest", "steps", "walk.<locals>.<lambda>", "rest"]
    assert [Call("payhub/plans/made.py", name) for name in names] == trip.calls


def test_other_threads_are_not_followed(made: ModuleType, tmp_path: Path) -> None:
    """The sandbox runs in a thread of its own, so its calls are not the payout's."""

    def rest_in_another_thread() -> None:
        thread = threading.Thread(target=made.rest)
        thread.start()
        thread.join()

    trip = follow(rest_in_another_thread, tmp_path)
    assert [] == trip.calls


def test_generators_are_counted_at_the_first_byte(made: ModuleType, tmp_path: Path, sender: socket.socket) -> None:
    """Those that wait while the first byte is sent count; expressions and managers of contexts do not."""
    trip = follow(lambda: made.pay(sender.sendall), tmp_path)
    assert [("payhub/plans/made.py", name) for name in ("part", "question", "whole")] == sorted(trip.suspended)


def test_nothing_is_followed_afterwards(made: ModuleType, tmp_path: Path) -> None:
    """What is called later, or after an error, belongs to no trip."""
    trips = [follow(made.rest, tmp_path)]
    with pytest.raises(ZeroDivisionError):
        follow(lambda: 1 / 0, tmp_path)
    made.rest()
    assert [1] == [len(trip.calls) for trip in trips]
