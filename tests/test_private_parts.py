"""What payhub touches of a library's inside is named here, and pinned by an upper bound in pyproject.toml.

A library may change its inside in any version. To widen a bound, run these tests: each says in one sentence what no
longer holds, and where payhub relies on it.
"""

import ast
import importlib
import inspect
import logging
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import httpcore
import httpx
import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.raw_server import answer, serving
from tests.receivers.conftest import by_uvicorn
from tests.test_imports import MODULES

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


class Part(NamedTuple):
    """A part of a library's inside, the module of payhub that relies on it, and what for."""

    library: str
    name: str
    module: str
    purpose: str

    def __str__(self) -> str:
        return (
            f"{self.library} no longer has {self.name} as {self.module} needs it, {self.purpose}: "
            f"find another way there, or lower the upper bound of {self.library} in pyproject.toml"
        )


POOL = Part(
    "httpx", "HTTPTransport._pool", "payhub.transport.deadline",
    "to give the pool a network backend that keeps a call's total deadline",
)  # fmt: skip
ASYNC_POOL = Part(
    "httpx", "AsyncHTTPTransport._pool", "payhub.transport.pool",
    "to give the pool connections that are not used again with surplus bytes",
)  # fmt: skip
SURPLUS = Part(
    "httpcore", "connection._connection, connection._h11_state and connection._network_stream",
    "payhub.transport.pool", "to see what a connection has read beyond its answers",
)  # fmt: skip
QUEUE = Part(
    "anyio", "stream._protocol with a read_queue, under stream._stream of httpcore's streams",
    "payhub.transport.pool", "to see what asyncio has read beyond what was asked for",
)  # fmt: skip
LOGGERS = Part(
    "httpcore", "messages that begin with the name of a step, under loggers named httpcore.…", "payhub.transport.quiet",
    "to keep heads and addresses out of the log",
)  # fmt: skip
STATE = Part(
    "uvicorn", "H11Protocol(app_state=…), copied into each request's scope", "payhub.receivers.server",
    "to close a connection on which no head of a request comes",
)  # fmt: skip
SANDBOX = Part(
    "uvicorn", "H11Protocol.access_log, Server.servers and Server.startup(sockets)", "payhub_alikassa.sandbox",
    "to simulate faults of connections",
)  # fmt: skip
PARTS = (POOL, ASYNC_POOL, SURPLUS, QUEUE, LOGGERS, STATE, SANDBOX)


def test_the_pool_of_httpx() -> None:
    """httpx keeps its pool in `_pool`, and sends through whatever is there."""
    transport = httpx.HTTPTransport()
    assert isinstance(getattr(transport, "_pool", None), httpcore.ConnectionPool), POOL
    with serving(answer({})) as server, transport:
        transport._pool = httpcore.ConnectionPool(network_backend=Refusing())
        with pytest.raises(httpx.ConnectError, match="refused here"):
            transport.handle_request(httpx.Request("GET", server.url))
        assert server.requests == [], POOL


class Refusing(httpcore.SyncBackend):
    def connect_tcp(self, *_: object, **__: object) -> httpcore.NetworkStream:
        raise httpcore.ConnectError("refused here")


def test_the_pool_of_httpx_for_event_loops() -> None:
    """httpx keeps its pool in `_pool` there, too, and sends through whatever is there."""
    asked: list[httpcore.Origin] = []

    class Asked(httpcore.AsyncConnectionPool):
        def create_connection(self, origin: httpcore.Origin) -> Any:
            asked.append(origin)
            return super().create_connection(origin)

    async def send(url: str) -> None:
        async with httpx.AsyncHTTPTransport() as transport:
            assert isinstance(getattr(transport, "_pool", None), httpcore.AsyncConnectionPool), ASYNC_POOL
            transport._pool = Asked()
            await (await transport.handle_async_request(httpx.Request("GET", url))).aread()

    with serving(answer({})) as server:
        anyio.run(send, server.url)
    assert 1 == len(asked), ASYNC_POOL


def test_the_surplus_of_httpcore() -> None:
    """A connection's parser keeps what came after an answer in `trailing_data`, and httpcore does not look there."""
    with serving(answer({}) + b"more") as server, httpcore.ConnectionPool() as pool:
        pool.request("GET", server.url)
        inner: Any = getattr(pool.connections[0], "_connection", None)
        assert isinstance(inner, httpcore.HTTP11Connection), SURPLUS
        assert (b"more", False) == inner._h11_state.trailing_data, SURPLUS
        assert inner._network_stream.get_extra_info("ssl_object") is None, SURPLUS
        assert not inner.has_expired(), "httpcore sees surplus bytes itself now: payhub.transport.pool can be simpler"


def test_the_queue_of_anyio() -> None:
    """What asyncio has read, and nobody has taken, is in a queue of the stream's protocol."""

    async def waiting(url: str) -> list[bytes]:
        async with httpcore.AsyncConnectionPool() as pool:
            await pool.request("GET", url)
            inner: Any = getattr(pool.connections[0], "_connection", None)
            stream: Any = inner._network_stream._stream
            assert issubclass(type(stream), anyio.abc.SocketStream), QUEUE
            return list(stream._protocol.read_queue)

    size = 64 * 1024 - len(answer(b"")) - len("65536") + 1
    with serving(answer(b"x" * size) + b"more") as server:
        assert [b"more"] == anyio.run(waiting, server.url), QUEUE


def test_the_log_of_httpcore(caplog: pytest.LogCaptureFixture) -> None:
    """What httpcore logs begins with the name of a step, and has its loggers' names."""
    with caplog.at_level(logging.DEBUG), serving(answer({})) as server, httpx.HTTPTransport() as transport:
        transport.handle_request(httpx.Request("GET", server.url)).read()
    records = [record for record in caplog.records if record.name.partition(".")[0] in {"httpcore", "httpx"}]
    steps = [record for record in records if re.match(r"[a-z_]+\.(started|complete|failed)\b", str(record.msg))]
    assert records, LOGGERS
    assert records == steps, LOGGERS
    assert {"httpcore"} == {record.name.partition(".")[0] for record in records}, LOGGERS


def test_the_protocol_of_uvicorn() -> None:
    """A class given as `http=` is made with `app_state`, and each request's scope has what it says."""
    states: list[dict[str, Any]] = []

    async def application(scope: Any, _receive: object, send: Any) -> None:
        states.append(scope["state"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    with by_uvicorn(application, http=Marking, lifespan="off") as port:
        assert httpx.get(f"http://127.0.0.1:{port}", trust_env=False).status_code == 204, STATE
    assert [{"mark": "ours"}] == states, STATE


class Marking(H11Protocol):
    def __init__(self, *, app_state: dict[str, Any], **options: Any) -> None:
        super().__init__(app_state={**app_state, "mark": "ours"}, **options)


def test_the_server_of_uvicorn() -> None:
    """The sandbox's server can listen anew, and its protocol can be told to log no request."""
    assert ["self", "sockets"] == list(inspect.signature(uvicorn.Server.startup).parameters), SANDBOX
    assert "self.servers = " in inspect.getsource(uvicorn.Server), SANDBOX
    assert "self.access_log" in inspect.getsource(H11Protocol), SANDBOX


@pytest.mark.parametrize("library", sorted({part.library for part in PARTS}))
def test_a_library_whose_inside_is_touched_has_an_upper_bound(library: str) -> None:
    """pyproject.toml lets no version in that nobody has looked at."""
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    bounds = [each for each in wanted if re.match(rf"{library}\b(?!-)", each)]
    assert bounds
    assert [] == [each for each in bounds if "<" not in each]


PUBLIC_BY_CUSTOM = {"_asdict", "_replace", "_fields"}
"""The underscored names that a named tuple documents."""


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC_BY_CUSTOM


def touched(module: str, tree: ast.Module) -> Iterator[str]:
    """Name what a module takes of another's inside: attributes of anything but itself, and imports."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name) if private(name):
                yield f"{module}: {ast.unparse(node)}"
            case ast.ImportFrom(module=origin, names=names) if not str(origin).startswith("payhub"):
                parts = [*str(origin).split("."), *(each.name for each in names)]
                yield from (f"{module}: {part}" for part in parts if private(part))


def overridden(module: str) -> Iterator[str]:
    """Name the underscored attributes that a class has and that a library's class below it has, too."""
    for kind in vars(importlib.import_module(module)).values():
        if isinstance(kind, type) and kind.__module__ == module:
            for base in kind.__mro__[1:]:
                package = base.__module__.partition(".")[0]
                if package not in sys.stdlib_module_names and package not in {"payhub", "payhub_alikassa"}:
                    yield from (f"{base.__name__}.{name}" for name in inside(kind) & inside(base))


def inside(kind: type) -> set[str]:
    """Return the underscored names of a class: of its methods, and of what these set and use."""
    functions = [each for each in vars(kind).values() if inspect.isfunction(each)]
    used = {name for each in functions for name in re.findall(r"\bself\.(_\w+)", inspect.getsource(each))}
    return {name for name in {*vars(kind), *used} if private(name)}


def test_nothing_else_is_touched() -> None:
    """No module takes what begins with an underscore from any other, but for those above."""
    known = {f"{SURPLUS.module}: {name}" for name in re.findall(r"connection\._\w+", SURPLUS.name)}
    known |= {f"{QUEUE.module}: {name}" for name in ("connection._network_stream._stream", "stream._protocol")}
    assert known == {each for module, tree in MODULES.items() for each in touched(module, tree)}


def test_nothing_else_is_overridden() -> None:
    """No class replaces an underscored attribute of a library's class, but for those above."""
    modules = (module for module in MODULES if ".migrations" not in module)  # Alembic runs those, nobody imports them
    assert {POOL.name, ASYNC_POOL.name} == {each for module in modules for each in overridden(module)}
