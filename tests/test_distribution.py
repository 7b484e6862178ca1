"""The distribution is `payhub-core`: nothing in this project leads to the other company's `payhub` on PyPI."""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tree import ROOT, files

OTHER = "payhub"

WRITTEN = {
    "a pip command": rf"pip3? install [^`\n]*?(?<=[ '\"]){OTHER}(?![\w./-])",
    "an extra": rf"(?<![\w.-]){OTHER}\[[a-z]",
    "a line of requirements": rf"^\s*{OTHER}\s*(?:[=<>~!]=?|@ )\s*[\w.]",
    "a question for its metadata": rf"(?:version|distribution|requires|metadata|files)\(['\"]{OTHER}['\"]\)",
}
"""How the other distribution would be named by mistake."""


def texts() -> Iterator[tuple[str, str]]:
    """Return the name and the text of every file that is one."""
    for path in files():
        try:
            yield str(path.relative_to(ROOT)), path.read_text("utf-8")
        except UnicodeDecodeError:
            continue


def required(toml: str) -> set[str]:
    """Return the names of the distributions that a `pyproject.toml`, or a piece of one, asks for."""
    tables = tomllib.loads(toml)
    project = tables.get("project", {})
    groups = (*project.get("optional-dependencies", {}).values(), *tables.get("dependency-groups", {}).values())
    lists = (project.get("dependencies", []), tables.get("build-system", {}).get("requires", []), *groups)
    return {canonicalize_name(Requirement(each).name) for found in lists for each in found if isinstance(each, str)}


def tomls(name: str, text: str) -> list[str]:
    """Return the pieces of TOML in a file."""
    if name.endswith(".toml"):
        return [text]
    return re.findall(r"^```toml[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if name.endswith(".md") else []


def test_this_is_the_distribution() -> None:
    """The driver and the command come from `payhub-core`, and nothing with the other name is left beside it."""
    points = [*importlib.metadata.entry_points(name="alikassa"), *importlib.metadata.entry_points(name=OTHER)]
    assert [("alikassa", "payhub-core"), (OTHER, "payhub-core")] == [
        (point.name, point.dist.name if point.dist else None) for point in points
    ]


@pytest.mark.parametrize("pattern", WRITTEN.values(), ids=WRITTEN)
def test_nothing_names_the_other_distribution(pattern: str) -> None:
    """No page, message, recipe or file of the project tells anybody or anything to install it."""
    assert [] == [f"{name}: {found[0]}" for name, text in texts() for found in re.finditer(pattern, text, re.MULTILINE)]


def test_nothing_depends_on_the_other_distribution() -> None:
    """No `pyproject.toml`, and none that a page shows, asks for it."""
    assert [] == [name for name, text in texts() for toml in tomls(name, text) if OTHER in required(toml)]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("a pip command", f"pip install {OTHER}"),
        ("a pip command", f"run `pip install -U '{OTHER}[sql]'` first"),
        ("an extra", f'"{OTHER}[cli]",'),
        ("a line of requirements", f"{OTHER}==1.0.0"),
        ("a line of requirements", f"{OTHER} @ git+https://git.example/it"),
        ("a question for its metadata", f"importlib.metadata.version('{OTHER}')"),
    ],
)
def test_a_mistake_is_found(kind: str, text: str) -> None:
    """Each way to name it is found where it stands."""
    assert re.search(WRITTEN[kind], text, re.MULTILINE)


@pytest.mark.parametrize(
    "text",
    [
        f"pip install '{OTHER}-core[cli]'",
        f"{OTHER}-core[sql] @ git+https://git.example/{OTHER}",
        f"import {OTHER}",
        f"{OTHER} = 'a name'",
        f"pip install './{OTHER}-mybank'",
        f"cd {OTHER} && pip install '.[dev]'",
    ],
)
def test_what_is_right_is_left_alone(text: str) -> None:
    """The right name, the import name and a folder's name are no mistakes."""
    assert not any(re.search(pattern, text, re.MULTILINE) for pattern in WRITTEN.values())


def test_a_dependency_is_found() -> None:
    """A dependency is found however it is written."""
    written = [f"{OTHER}>=1", f"{OTHER.upper()}[cli] ; python_version > '3'", "payhub-core[sql]"]
    assert {OTHER, "payhub-core"} == required(f"[project]\ndependencies = {written!r}")
