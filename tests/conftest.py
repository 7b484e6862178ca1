import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, EntryPoints, entry_points
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from cryptography.hazmat.primitives import serialization

from payhub import AsyncHub, Hub, hookimpl
from payhub.accounts import plugins
from payhub.masking import leaks
from payhub.models import Exchange
from payhub.testing import fake, forget_memory
from tests import leak_watch
from tests.raw_server import Act, RawServer, serving

hypothesis.settings.register_profile("payhub", deadline=None, max_examples=100, derandomize=True)
hypothesis.settings.load_profile("payhub")


leak_watch.begin()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that at the end no worker waits for another's."""
    items.sort(key=lambda item: item.path.name != "test_torture.py")


@pytest.fixture(autouse=True, scope="session")
def _keys_are_proved_once() -> Iterator[None]:
    """Open each RSA key once: to prove its primes takes 40 ms, and thousands of hubs open the same few keys."""
    once = functools.cache(serialization.load_pem_private_key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serialization, "load_pem_private_key", once)
        yield


@pytest.fixture(autouse=True, scope="session")
def _lines_are_searched_once() -> Iterator[None]:
    """Search each line for leaks once: a line tells the same each time, and of a thousand tickets most are equal."""

    @functools.lru_cache(maxsize=200_000)
    def once(text: str, depth: int) -> Any:
        return tuple(search(text, depth))

    search = leaks._leaks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaks, "_leaks", once)
        yield


@pytest.fixture(autouse=True, scope="session")
def _distributions_are_read_once() -> Iterator[None]:
    """Read what is installed again only where a directory has changed: each of thousands of hubs asks for it."""

    @functools.cache
    def found(_: tuple[tuple[str, int], ...], group: str) -> EntryPoints:
        return entry_points(group=group)

    def on_path(group: str) -> EntryPoints:
        places = [place.absolute() for place in map(Path, sys.path) if place.exists()]
        return found(tuple((str(place), place.stat().st_mtime_ns) for place in places), group)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "entry_points", on_path)
        patch.setattr(Distribution, "metadata", property(functools.cache(Distribution.metadata.fget)))  # type: ignore[attr-defined]
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Any:
    """Hear every library from here on."""
    leak_watch.WATCH.listen()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """Fail a test that passed, if something was logged that must not be."""
    result = yield
    leak_watch.WATCH.check(item)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Any:
    """Fail a test after which something was logged that must not be."""
    result = yield
    leak_watch.WATCH.check(item)
    return result


@pytest.fixture(autouse=True)
def new_memory() -> None:
    """Give every test a journal in memory of its own, as a new process has."""
    forget_memory()


class Observer:
    """Remember every exchange."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.heard = threading.Event()

    @hookimpl
    def payhub_event(self, event: Exchange) -> None:
        self.exchanges.append(event)
        self.heard.set()


class Awaited:
    """Call an `AsyncHub` from a test that does not await: each method runs in the portal's event loop."""

    def __init__(self, hub: AsyncHub, portal: BlockingPortal) -> None:
        self.hub = hub
        self.portal = portal

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.hub, name)
        return lambda *args, **kwargs: self.portal.call(functools.partial(method, *args, **kwargs))


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    """Run a test twice: with `Hub`, and with `AsyncHub`."""
    return str(request.param)


@pytest.fixture
def observer() -> Observer:
    return Observer()


@pytest.fixture
def open_hub(mode: str, observer: Observer) -> Iterator[Callable[..., Any]]:
    """Open hubs of either kind, whose methods are called without awaiting, and close them at the end.

    The account `shop` speaks to the fake provider at a URL; other tables and plugins may be given.
    """
    with contextlib.ExitStack() as stack:

        def opened(url: str = "http://127.0.0.1:9", plugins: tuple[object, ...] = (), **tables: Any) -> Any:
            accounts = {"shop": {"provider": "fake", "base_url": url}, **tables.pop("accounts", {})}
            made: dict[str, Any] = {"tables": {"accounts": accounts, **tables}, "plugins": (fake, observer, *plugins)}
            return stack.enter_context(in_mode(mode, lambda hub: hub.from_mapping(**made)))

        yield opened


@contextlib.contextmanager
def in_mode(mode: str, make: Callable[[Any], Any]) -> Iterator[Any]:
    """Make a hub of either kind, whose methods are called without awaiting, and close it."""
    with contextlib.ExitStack() as stack:
        if mode == "sync":
            yield stack.enter_context(make(Hub))
            return
        portal = stack.enter_context(start_blocking_portal())

        async def in_loop() -> AsyncHub:
            hub: AsyncHub = make(AsyncHub)
            return hub

        hub = portal.call(in_loop)
        stack.enter_context(portal.wrap_async_context_manager(hub))
        yield Awaited(hub, portal)


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    """Start raw servers, and stop them at the end."""
    with contextlib.ExitStack() as stack:

        def served(*script: Act, **options: Any) -> RawServer:
            return stack.enter_context(serving(*script, **options))

        yield served
