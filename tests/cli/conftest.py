import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from payhub.cli import main
from payhub.journal.sql import SqlJournal
from payhub_alikassa.sandbox import Sandbox, Settings

ACCOUNT = "alikassa-rub"
CARD = "4111111111111111"
PAYER = ("--payer-id", "u-881", "--payer-ip", "203.0.113.24")


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the one JSON object on stdout."""
        return json.loads(self.out)


Command = Callable[..., Done]

# A background job ignores SIGINT, and so would a command that it starts.
_INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from payhub.cli import main"


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start a command in a process of its own, for Ctrl-C."""
    command = [sys.executable, "-c", f"{_INTERRUPTIBLE}; main()", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def interrupted(running: subprocess.Popen[str]) -> Done:
    """Press Ctrl-C and wait for the end."""
    assert running.stdout
    assert running.stderr
    running.send_signal(signal.SIGINT)
    out, err = running.stdout.read(), running.stderr.read()
    return Done(running.wait(), out, without_hint(err))


def wait_for(happened: Callable[[], bool]) -> None:
    """Wait until something has happened elsewhere."""
    while not happened():
        time.sleep(0.01)


def without_hint(err: str) -> str:
    """Leave out that there is no journal: configurations that tests write have none, and creating says so."""
    return "".join(line for line in err.splitlines(keepends=True) if "payhub.journal_in_memory" not in line)


@pytest.fixture
def payhub(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Done]:
    """Run commands through the entry point, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PAYHUB_CONFIG", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*arguments: object, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", StringIO(stdin))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = end.value.code
        assert isinstance(code, int)
        return Done(code, captured.out, without_hint(captured.err))

    return run


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one file with a journal's tables, for the session to copy."""
    path = tmp_path_factory.mktemp("tables") / "payhub.db"
    made = SqlJournal(f"sqlite:///{path}")
    made.story("")
    made.close()
    return path


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Serve one sandbox for the session."""
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served: Sandbox, monkeypatch: pytest.MonkeyPatch, payhub: Command, tables: Path) -> Sandbox:
    """Give a fresh sandbox, whose payhub.toml the commands find; its journal is new, too, and has no orders."""
    served.configure(**msgspec.to_builtins(Settings(payout_delay=None)))
    served.reset()
    for path in (*served.config.parent.glob("payhub.db*"), *served.config.parent.glob("payhub.note")):
        path.unlink()
    shutil.copy(tables, served.config.with_name("payhub.db"))
    monkeypatch.setenv("PAYHUB_CONFIG", str(served.config))
    return served


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a distribution with entry points on the path, as pip would."""

    def installed(name: str, version: str, source: str = "", **points: str) -> None:
        module = name.replace("-", "_")
        site = tmp_path / f"site-{module}"
        metadata = site / f"{module}-{version}.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
        lines = [f"{point} = {target}" for point, target in points.items()]
        (metadata / "entry_points.txt").write_text("\n".join(["[payhub]", *lines, ""]), "utf-8")
        (site / f"{module}.py").write_text(source, "utf-8")
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, module, raising=False)

    return installed


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[[str], Path]:
    """Write a payhub.toml into the directory of the commands."""

    def write(text: str) -> Path:
        path = tmp_path / "payhub.toml"
        path.write_text(text, "utf-8")
        return path

    return write
