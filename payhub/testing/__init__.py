"""Test drivers, and applications that use payhub, without a network and without mocks.

* `play` drives a driver's flow with plain answers.
* `payhub.testing.fake` is a complete driver for a provider that does not exist.
* `payhub.testing.conformance` has the checks that every driver has to pass.

Nothing here needs pytest, and payhub itself imports nothing from here.
"""

from collections.abc import Generator
from typing import Any, Generic, TypeVar

import msgspec

from payhub.accounts.config import memory_journal
from payhub.driver import Call, Response
from payhub.journal import Journal
from payhub.journal.memory import MemoryJournal
from payhub.plans.plan import Act, Pause, Send

__all__ = ["Played", "answer", "forget_memory", "play"]

T = TypeVar("T")
A = TypeVar("A")


class Played(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Hold what a flow returned and the calls it made, in their order."""

    result: T
    calls: tuple[Call, ...]


def play(flow: Generator[Call | Send | Act | Pause, A, T], *answers: A) -> Played[T]:
    """Drive a flow with these answers, one for each call it makes.

    A driver's flow takes `Response`s. The steps of a plan can be played as well: they take
    `Reply`s, which also say that no answer came; what they write goes to a journal in memory, and
    they do not wait. What the flow raises is raised here.

    Raises:
        AssertionError: the flow wants more answers, or ended before it took them all.
    """
    calls: list[Call] = []
    left = list(answers)
    journal = MemoryJournal()
    try:
        calls.append(next_call(flow, next(flow), journal))
        while left:
            calls.append(next_call(flow, flow.send(left.pop(0)), journal))
    except StopIteration as done:
        if left:
            raise AssertionError(f"the flow ended after {_made(calls)}; {len(left)} of the answers are left") from None
        return Played(result=done.value, calls=tuple(calls))
    flow.close()
    raise AssertionError(f"the flow wants {len(calls)} answers and was given {len(answers)}; it made {_made(calls)}")


def next_call(
    flow: Generator[Call | Send | Act | Pause, Any, Any], step: Call | Send | Act | Pause, journal: Journal
) -> Call:
    """Act what a plan wants done on the journal, from this step on, until it wants a call made."""
    while not isinstance(step, Call | Send):
        try:
            done = step.perform(journal) if isinstance(step, Act) else None
        except Exception as cause:  # noqa: BLE001 - the plan knows what it means
            step = flow.throw(cause)
        else:
            step = flow.send(done)
    return step.call if isinstance(step, Send) else step


def forget_memory() -> None:
    """Begin a new journal in memory, as a new process does: for tests that use the same order_ids.

    Hubs without a `[journal] url` share one for as long as the process lives.
    """
    memory_journal.cache_clear()


def _made(calls: list[Call]) -> str:
    listed = ", ".join(f"{call.operation} ({call.method} {call.url})" for call in calls)
    return f"{len(calls)} calls: {listed}" if calls else "no call"


def answer(body: object = None, status: int = 200) -> Response:
    """Make a provider's answer: bytes as they are, anything else as JSON, `None` as no body."""
    if not isinstance(body, bytes):
        body = b"" if body is None else msgspec.json.encode(body)
    return Response(status=status, headers={"content-type": "application/json"}, body=body)
