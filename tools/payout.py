"""One payout, followed at run time: which functions it goes through, in their order.

`measure` runs this as a program, with the checkout to measure on `PYTHONPATH`; the last line it prints is JSON. The
provider is the sandbox of AliKassa, in a thread of its own that is not followed; the journal is a SQLite file; the
order is the second one of its hub, so that what is opened and made once is not counted.
"""

import contextlib
import gc
import inspect
import json
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, GeneratorType
from typing import Any, NamedTuple

import payhub
from payhub import Hub, Money, PayoutOrder, ToCard
from payhub_alikassa.sandbox import Sandbox

ACCOUNT = "alikassa-rub"
PACKAGES = {"payhub", "payhub_alikassa"}


class Call(NamedTuple):
    """A function that was entered, or a generator that went on: its file below the root, and its name."""

    path: str
    name: str


class Trip(NamedTuple):
    """All calls in their order, and the generators that were suspended while the first byte was sent."""

    calls: list[Call]
    suspended: list[Call]


def followed(filename: str, root: Path) -> str:
    """Return the path of a file below the root, or nothing, if its code is not followed."""
    path = Path(filename)
    below = path.relative_to(root) if path.is_relative_to(root) else Path("elsewhere")
    return str(below) if below.parts[0] in PACKAGES else ""


def waiting(root: Path) -> Iterator[Call]:
    """Yield the suspended generators whose code is followed, but for context managers and expressions."""
    alive = gc.get_objects()
    manager = contextlib._GeneratorContextManager  # noqa: SLF001 - a generator does not know whose it is
    managers = {id(each.gen) for each in alive if isinstance(each, manager)}
    for each in alive:
        if not isinstance(each, GeneratorType) or id(each) in managers or each.__name__ == "<genexpr>":
            continue
        path = followed(each.gi_code.co_filename, root)
        if path and inspect.getgeneratorstate(each) == inspect.GEN_SUSPENDED:
            yield Call(path, each.gi_code.co_qualname)


def follow(act: Callable[[], object], root: Path) -> Trip:
    """Do something and return its trip through the code below the root, in this thread.

    Each time that Python enters a function is a call: a method, a lambda, a comprehension (before Python 3.12), and a
    generator each time that it goes on.
    """
    trip = Trip([], [])
    paths: dict[str, str] = {}

    def note(frame: FrameType, event: str, arg: Any) -> None:
        code = frame.f_code
        if event == "call":
            if code.co_filename not in paths:
                paths[code.co_filename] = followed(code.co_filename, root)
            if path := paths[code.co_filename]:
                trip.calls.append(Call(path, code.co_qualname))
        elif event == "c_call" and arg.__name__ in {"send", "sendall"} and isinstance(arg.__self__, socket.socket):
            trip.suspended.extend(() if trip.suspended else waiting(root))

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return trip


def main() -> None:
    """Make two payouts and print the trip of the second."""
    first, second = (
        PayoutOrder(order_id=f"followed-{number}", amount=Money("1000.44", "RUB"), to=ToCard("4111111111111111"))
        for number in range(2)
    )
    with (
        tempfile.TemporaryDirectory() as directory,
        Sandbox(Path(directory)) as sandbox,
        Hub.from_file(sandbox.config) as hub,
    ):
        hub.create_payout(ACCOUNT, first)
        trip = follow(lambda: hub.create_payout(ACCOUNT, second), Path(payhub.__file__).parent.parent)
    print(json.dumps(trip._asdict()))


if __name__ == "__main__":
    main()
