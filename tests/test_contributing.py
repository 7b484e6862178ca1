"""The walks of docs/contributing.md are walked, in a copy of the checkout."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.commands import environment
from tests.test_imports import PUBLIC, ROOMS
from tests.tree import ROOT, files

PAGE = (ROOT / "docs" / "contributing.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"(?ms)^## (.+?)\n(.*?)(?=^## |\Z)", PAGE))
WALKS = [name for name in SECTIONS if name.startswith("Add ")]

pytestmark = pytest.mark.skipif(not (ROOT / "tools").is_dir(), reason="this is no checkout")


class Block(NamedTuple):
    """A piece of code on the page: its language, the file that it is about, if any, and its lines."""

    language: str
    title: str
    code: str


def blocks(section: str) -> list[Block]:
    """Return the pieces of code of a section."""
    return [Block(*found) for found in re.findall(r'(?ms)^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', section)]


def changed(text: str, diff: str) -> str:
    """Return a text after a change: pieces divided by `@@`, each found once by the lines that stay or go.

    A piece that only adds goes to the end.
    """
    for piece in re.split(r"(?m)^@@\n", diff):
        lines = piece.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if not line.startswith("+"))
        after = "".join(line[1:] for line in lines if not line.startswith("-"))
        if before:
            assert text.count(before) == 1, f"not found once:\n{before}"
        text = text.replace(before, after) if before else text + after
    return text


class Copy:
    """A copy of the checkout in which a walk is walked; commands use its sources."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "payhub"
        self.site = directory / "site"  # where pip installs what a walk installs
        self.sources = ""
        for path in files():
            target = self.directory / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)

    def walk(self, name: str) -> str:
        """Follow a walk, block by block, and return what its commands print."""
        printed = []
        self.sources = " ".join({block.title for block in blocks(SECTIONS[name]) if block.title.endswith(".py")})
        for block in blocks(SECTIONS[name]):
            path = self.directory / block.title
            if block.language == "diff":
                path.write_text(changed(path.read_text("utf-8"), block.code), "utf-8")
            elif block.title:
                assert not path.exists()
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.code, "utf-8")
            elif block.language == "bash":
                printed += [self.run(line) for line in block.code.splitlines()]
        return "".join(printed)

    def run(self, line: str) -> str:
        """Run a line as a contributor would, but without a network and the minute that mypy takes; it must end well."""
        words = line.replace("pip install --editable", f"pip install {' '.join(OFFLINE)} --target {self.site}")
        words = words.replace("make lint", f"ruff check {self.sources} && ruff format --check {self.sources}")
        path = f"{self.directory}{os.pathsep}{self.site}"
        there = environment("PAYHUB_CONFIG", "COLUMNS", PYTHONPATH=path)
        done = subprocess.run(
            ["bash", "-c", words], cwd=self.directory, env=there, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout


OFFLINE = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation")


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """Copy the checkout."""
    return Copy(tmp_path)


def providers(printed: str) -> None:
    """Find the new driver, and every check of the kit."""
    assert re.search(r"(?m)^ mybank +MyBank +payhub-mybank 0\.1\.0 ", printed)
    assert re.search(r"(?m)^\d\d passed in ", printed)


def checks(printed: str) -> None:
    """Find that every check of the new kind passed, and every guard."""
    assert 2 == len(re.findall(r"(?m)^\d+ passed(?:, \d+ deselected)? in ", printed))


def command(printed: str) -> None:
    """Find the help of the new command, its answer, and that the page of commands knows it."""
    assert "Usage: payhub kinds" in printed
    assert '\n{"kinds": ["payment", "payout"]}\n' in printed
    assert re.search(r"(?m)^\d+ passed in ", printed)


SHOWN: dict[str, Callable[[str], None]] = {
    "Add a driver": providers,
    "Add an operation": checks,
    "Add a command": command,
}
"""What must be seen at the end of a walk."""


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_leads_where_it_says(copy: Copy, name: str) -> None:
    """Every step of a walk can be taken as it stands, and the end is what it promises."""
    SHOWN[name](copy.walk(name))


def test_the_commands_use_the_copy(copy: Copy) -> None:
    """What a walk changes is what its commands run."""
    assert f"{copy.directory}/payhub/__init__.py\n" == copy.run("python -c 'import payhub; print(payhub.__file__)'")


def test_the_table_of_rooms_is_that_of_the_guard() -> None:
    """The page lists the rooms that there are, in the order in which they may import each other."""
    table = PAGE.split("<!-- rooms:", 1)[1].split("<!-- end -->", 1)[0]
    assert ROOMS == tuple(re.findall(r"(?m)^\| `(\w+)` \|", table))


def test_the_picture_has_every_room() -> None:
    """No room is missing in the picture."""
    assert set() == set(ROOMS) - set(re.findall(r"\w+", blocks(SECTIONS["The house"])[0].code))


def test_the_public_modules_are_listed() -> None:
    """The page names the modules that a driver may import."""
    (named,) = re.findall(r"(?s)a driver imports public names only: `payhub`, and the modules (.*?)\.\n", PAGE)
    assert {name.removeprefix("payhub.") for name in PUBLIC - {"payhub"}} == set(re.findall(r"`(\w+)`", named))


@pytest.mark.parametrize(
    ("diff", "expected"),
    [
        (" b\n+c\n", "a\nb\nc\nd\n"),
        ("-b\n+B\n d\n", "a\nB\nd\n"),
        ("+e\n", "a\nb\nd\ne\n"),
        (" a\n+aa\n@@\n-d\n", "a\naa\nb\n"),
    ],
)
def test_a_change_is_made_where_it_belongs(diff: str, expected: str) -> None:
    """A piece of a change is put where its lines are found, or at the end."""
    assert expected == changed("a\nb\nd\n", diff)


@pytest.mark.parametrize("diff", ["-c\n", " \n"])
def test_a_change_that_fits_nowhere_is_noticed(diff: str) -> None:
    """A piece whose lines are not there, or there more than once, is no step that anybody could take."""
    with pytest.raises(AssertionError, match="not found once"):
        changed("a\n\n\nb\n", diff)
