"""`Hub` and `AsyncHub` pass on the same: each method is called with names for arguments, and every call is noted."""

import asyncio
import datetime as dt
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import payhub.hub
from payhub import AsyncHub, Hub
from payhub.operations import PAYOUT

Calls = list[tuple[str, tuple[Any, ...], tuple[tuple[str, Any], ...]]]


class Spy:
    """Stand for whatever a hub works with: note each call by its path, and return what stands for the result."""

    def __init__(self, path: str, calls: Calls) -> None:
        self._path = path
        self._calls = calls

    def __getattr__(self, name: str) -> "Spy":
        if name.startswith("__"):
            raise AttributeError(name)
        return Spy(f"{self._path}.{name}", self._calls)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._calls.append((self._path, tuple(map(told, args)), tuple(sorted((k, told(v)) for k, v in kwargs.items()))))
        return Spy(f"{self._path}()", self._calls)

    def __iter__(self) -> Any:
        yield from (self[number] for number in range(3))  # as many as an order's key has

    def __getitem__(self, number: int) -> "Spy":
        return Spy(f"{self._path}[{number}]", self._calls)

    def __await__(self) -> Any:
        yield from ()
        return self


def told(value: Any) -> Any:
    """Write a value so that two of them can be compared: spies by their path, structs and rows by their repr."""
    return value._path if isinstance(value, Spy) else repr(value)


class Fixed:
    """A clock that stands still."""

    UTC = dt.UTC
    date = dt.date

    @staticmethod
    def now(zone: Any) -> str:
        return f"now in {zone}"


Fixed.datetime = Fixed  # type: ignore[attr-defined]


def made(kind: type[Any], calls: Calls) -> Any:
    hub: Any = object.__new__(kind)
    for attribute, path in {"_registry": "registry", "journal": "journal", "_runner": "_runner"}.items():
        setattr(hub, attribute, Spy(path, calls))
    hub._closed = False
    return hub


METHODS = sorted(
    name for name, method in vars(Hub).items()
    if not name.startswith("__") and inspect.isfunction(method)
)  # fmt: skip

# Some arguments are looked at before they are passed on.
USABLE: dict[str, Any] = {
    "outcome": "succeeded", "limit": 1, "concurrency": 1, "lang": "ru", "overdue": 1.5, "waiting": 2.5
}  # fmt: skip


def arguments(method: Callable[..., Any]) -> dict[str, Any]:
    """Give each parameter a value of its own: its name, or something that the method takes; booleans their opposite."""
    given: dict[str, Any] = {}
    for name, parameter in list(inspect.signature(method).parameters.items())[1:]:
        default = parameter.default
        given[name] = USABLE.get(name, not default if isinstance(default, bool) else f"<{name}>")
    return given


async def drained(result: Any) -> list[Any]:
    if hasattr(result, "__aiter__"):
        return [each async for each in result]
    return [await result]


def called(
    kind: type[Any], name: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch, **replaced: Any
) -> Calls:
    """Call a method, awaited or not, and return every call that it made."""
    calls: Calls = []

    async def in_thread(act: Callable[..., Any], *args: Any) -> Any:
        return act(*args)

    with monkeypatch.context() as patch:
        patch.setattr(payhub.hub, "dt", Fixed)
        patch.setattr(payhub.hub, "Ticket", Spy("Ticket", calls))
        patch.setattr(payhub.hub, "kind_named", lambda word: f"kind {told(word)}")
        patch.setattr(payhub.hub, "check_order", lambda kind, order: f"{told(kind)} {told(order)}")
        patch.setattr(payhub.hub, "check_order_id", lambda order_id: f"id {told(order_id)}")
        patch.setattr(payhub.hub, "Ref", lambda **fields: sorted(fields.items()))
        patch.setattr(payhub.hub, "check_period", lambda *days: f"days {[told(day) for day in days]}")
        patch.setattr(Spy, "in_thread", staticmethod(in_thread), raising=False)
        hub = made(kind, calls)
        for attribute, value in replaced.items():
            setattr(hub, attribute, value)
        result = getattr(hub, name)(**given)
        if kind is AsyncHub:
            asyncio.run(drained(result))
        elif inspect.isgenerator(result):
            list(result)
    return calls


@pytest.mark.parametrize("name", METHODS)
def test_the_hubs_pass_on_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method of `AsyncHub` makes the very calls that `Hub`'s makes, with the same arguments, and drops none."""
    given = arguments(getattr(Hub, name))
    calls = [called(kind, name, given, monkeypatch) for kind in (Hub, AsyncHub)]
    assert calls[0] == calls[1]
    flat = repr(calls[0])
    assert [] == [value for value in given.values() if name != "close" and isinstance(value, str) and value not in flat]


def test_the_hubs_give_up_on_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sweep cannot ask about is handed to the registry with the same name and cause by both."""

    def failing(_self: Any, _name: Any) -> Any:
        raise LookupError("no such account")

    monkeypatch.setattr(Spy, "account", failing, raising=False)
    given = arguments(Hub._visit)
    calls = [called(kind, "_visit", given, monkeypatch) for kind in (Hub, AsyncHub)]
    assert calls[0] == calls[1]
    assert ["journal.claim", "registry.give_up", "_runner.run"] == [path for path, _, _ in calls[0]]


def test_an_argument_that_is_dropped_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison notices what a twin forgets: an amount that is not passed on, a ticket that is not internal."""

    async def forgetful(
        self: Any, account: str, *, order_id: Any = None, provider_id: Any = None, amount: Any = None
    ) -> Any:
        ref = sorted({"order_id": order_id, "provider_id": provider_id, "amount": None}.items())
        return await self._runner.run(self.registry.account(account).fetch(PAYOUT, ref))

    given = arguments(Hub.fetch_payout)
    right = called(Hub, "fetch_payout", given, monkeypatch)
    monkeypatch.setattr(AsyncHub, "fetch_payout", forgetful)
    assert right != called(AsyncHub, "fetch_payout", given, monkeypatch)
