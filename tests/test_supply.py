"""What payhub is made of: what it imports is declared, no floor is unsafe, and what is installed has hashes."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.test_imports import MODULES
from tests.tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS: Mapping[str, list[str]] = PROJECT["optional-dependencies"]

ROOMS: Mapping[str, tuple[str, ...]] = {
    "cli": ("payhub.cli",),
    "server": ("payhub.receivers", "payhub.cli", "payhub_alikassa.sandbox"),
    "sql": ("payhub.journal.sql", "payhub.cli"),
}
"""Name the modules, and those inside them, that need an extra."""

SAFE: Mapping[str, tuple[str, str]] = {
    "anyio": ("4.14.2", "CVE-2026-63374, CVE-2026-64847"),
    "certifi": ("2024.7.4", "CVE-2024-39689: an authority that is trusted no more"),
    "cryptography": ("50", "CVE-2026-69247, CVE-2026-69249; of 48.0.1 GHSA-537c-gmf6-5ccf, the OpenSSL in its wheels"),
    "h11": ("0.16", "CVE-2025-43859: chunks that hide a request"),
    "httpcore": ("1.0.9", "the first that asks for an h11 without CVE-2025-43859"),
    "idna": ("3.15", "CVE-2026-45409: names that take quadratic time"),
    "mako": ("1.3.12", "CVE-2026-41205, CVE-2026-44307"),
    "pygments": ("2.20", "CVE-2026-4539"),
    "starlette": ("1.3.1", "CVE-2025-62727, CVE-2026-48710, CVE-2026-48818, CVE-2026-54283: forms without limits"),
}
"""Name the first version without a known advisory of each library that had one, and the advisories."""

BROUGHT = packages_distributions()
LOCKS = ("build", "run", "dev", "sbom")
_PINNED = re.compile(r"^(?P<name>[a-z0-9-]+)(?:\[[a-z,-]+\])?==(?P<version>\S+)", re.MULTILINE)


def declared(requirements: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(each.name): each for each in map(Requirement, requirements)}


def libraries(tree: ast.Module) -> Iterator[str]:
    """Name the top-level modules that a module imports and that do not come with Python or with this project.

    What is tried, and done without where it is missing, is not needed.
    """
    tried = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.Try) and any("ImportError" in ast.unparse(each.type or each) for each in node.handlers)
        for inner in node.body
    }
    for node in ast.walk(tree):
        match node:
            case _ if node in tried:
                continue
            case ast.Import(names=names):
                found = [each.name for each in names]
            case ast.ImportFrom(module=str(name), level=0):
                found = [name]
            case _:
                continue
        own = {"payhub", "payhub_alikassa", "tests", "tools", "bench", "torture"}
        yield from {each.partition(".")[0] for each in found} - sys.stdlib_module_names - own


def brought(library: str) -> set[str]:
    """Return the distributions that bring a module."""
    return {canonicalize_name(name) for name in BROUGHT.get(library, [library])}


def locked(name: str) -> dict[str, set[str]]:
    """Return the versions of a file of requirements by the distribution; some differ between Pythons."""
    found: dict[str, set[str]] = {}
    for line in _PINNED.finditer((ROOT / "requirements" / f"{name}.txt").read_text("utf-8")):
        found.setdefault(line["name"], set()).add(line["version"])
    return found


@pytest.mark.parametrize("module", MODULES)
def test_what_is_imported_is_declared(module: str) -> None:
    """Each library that a module imports is a dependency, or belongs to the extra that this part of payhub needs."""
    known = set(declared(PROJECT["dependencies"]))
    for extra, rooms in ROOMS.items():
        known |= set(declared(EXTRAS[extra])) if f"{module}.".startswith(tuple(f"{each}." for each in rooms)) else set()
    assert [] == [each for each in libraries(MODULES[module]) if not brought(each) & known]


@pytest.mark.parametrize("folder", ["tests", "tools", "bench", "torture"])
def test_what_development_imports_is_declared(folder: str) -> None:
    """Each library that a test or a tool imports is a dependency, or belongs to an extra."""
    every = [*PROJECT["dependencies"], *(each for extra in EXTRAS.values() for each in extra)]
    sources = [*(ROOT / folder).rglob("*.py")]
    used = {each for path in sources for each in libraries(ast.parse(path.read_text("utf-8")))}
    by_hand = {"atheris"}  # tests/fuzz is run by hand, and says what it needs
    assert [] == [each for each in sorted(used - by_hand) if not brought(each) & set(declared(every))]


@pytest.mark.parametrize("library", SAFE)
def test_no_floor_lets_in_a_known_fault(library: str) -> None:
    """The lowest version that pyproject.toml allows has what mends the advisories."""
    every = declared([*PROJECT["dependencies"], *EXTRAS["cli"], *EXTRAS["server"], *EXTRAS["sql"]])
    floors = [Version(each.version) for each in every[library].specifier if each.operator == ">="]
    assert floors >= [Version(SAFE[library][0])], SAFE[library][1]


@pytest.mark.parametrize("name", LOCKS)
def test_every_file_that_is_installed_has_a_hash(name: str) -> None:
    """Each line of requirements names one version and the hashes of its files, and no index."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    lines = [line for line in text.replace("\\\n", " ").splitlines() if not line.startswith("#")]
    assert [] == [line for line in lines if not _PINNED.match(line) or " --hash=sha256:" not in line]
    assert "://" not in text
    assert lines


def test_the_pinned_versions_are_those_that_are_asked_for() -> None:
    """requirements/ has a version for all that pyproject.toml asks for, and the same one in every file."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    asked = {
        "build": groups["build"],
        "run": [*PROJECT["dependencies"], *EXTRAS["cli"], *EXTRAS["server"], *EXTRAS["sql"]],
        "dev": [*PROJECT["dependencies"], *groups["build"], *(each for extra in EXTRAS.values() for each in extra)],
        "sbom": groups["sbom"],
    }
    for name, requirements in asked.items():
        versions = locked(name)
        for distribution, requirement in declared(requirements).items():
            if distribution != "payhub-core":
                pinned = versions.get(distribution, set())
                assert pinned, f"requirements/{name}.txt has no {distribution}: make lock"
                assert [] == [each for each in pinned if each not in requirement.specifier], distribution
    for name in ("build", "run"):
        assert locked(name) == {each: locked("dev")[each] for each in locked(name)}


def test_these_tests_run_on_the_pinned_versions() -> None:
    """The environment of the tests was made from requirements/dev.txt, so CI tries what it names."""
    here: dict[str, str] = {canonicalize_name(each.name): each.version for each in distributions()}
    assert [] == [name for name, pinned in locked("dev").items() if here.get(name, min(pinned)) not in pinned]


class TestPythons:
    """CI looks for every Python that payhub is promised for, and says which it did not find."""

    @staticmethod
    def found(**environment: str) -> dict[str, str]:
        out = subprocess.run([ROOT / ".ci" / "pythons"], env=environment, capture_output=True, check=True, text=True)
        return dict(line.split(" ", 1) for line in out.stdout.splitlines())

    @staticmethod
    def make_python(path: Path, version: str, *, works: bool = True) -> None:
        """Write a command that is that Python as far as CI asks, or a shim of one that is not switched on."""
        path.parent.mkdir(parents=True, exist_ok=True)
        asked = f'case "$2" in *"!= \'{version}\')"*) exit 0;; esac\nexit 1\n' if works else "exit 127\n"
        path.write_text(f"#!/bin/sh\n{asked}")
        path.chmod(0o755)

    def test_every_promised_one_is_looked_for(self) -> None:
        """The classifiers of pyproject.toml and CI name the same versions."""
        promised = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
        assert promised == list(self.found(PATH="/usr/bin:/bin", HOME="/nowhere"))

    def test_pyenv_is_asked_where_the_path_has_only_a_shim(self, tmp_path: Path) -> None:
        """A shim that does not run is passed over, and of pyenv's versions the newest is taken."""
        self.make_python(tmp_path / "shims" / "python3.12", "3.12", works=False)
        self.make_python(tmp_path / ".pyenv/versions/3.12.9/bin/python3.12", "3.12")
        newest = tmp_path / ".pyenv/versions/3.12.10/bin/python3.12"
        self.make_python(newest, "3.12")
        found = self.found(PATH=f"{tmp_path}/shims:/usr/bin:/bin", HOME=str(tmp_path))
        assert str(newest) == found["3.12"]

    def test_one_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        """It has a line, so that CI can say loudly that nothing was tested with it."""
        empty = tmp_path / "bin"
        empty.mkdir()
        for tool in ("bash", "env", "sort"):
            (empty / tool).symlink_to(f"/usr/bin/{tool}")
        assert {"3.11": "-", "3.12": "-", "3.13": "-"} == self.found(PATH=str(empty), HOME=str(tmp_path))

    def test_ci_tests_with_each_and_names_the_missing(self, tmp_path: Path) -> None:
        """One has every test, each other one its quick part, and of one that is not there CI says so, twice."""
        shutil.copytree(ROOT / ".ci", tmp_path / "clone" / ".ci")
        (tmp_path / "clone/.venv/bin").mkdir(parents=True)
        tools = tmp_path / "bin"
        tools.mkdir()
        for tool in ("bash", "env", "dirname", "sort"):
            (tools / tool).symlink_to(f"/usr/bin/{tool}")
        self.make_python(tools / "python3.12", "3.12")
        commands = {
            tools / "make": 'echo "made: $*"',
            tools / "python3": "[[ $2 != *version_info* ]]",  # it can make environments
            tmp_path / "clone/.venv/bin/python": "echo 3.11",
            **dict.fromkeys((tools / name for name in ("curl", "openssl", "php", "node")), ""),
        }
        for path, does in commands.items():
            path.write_text(f"#!/bin/bash\n{does}\n")
            path.chmod(0o755)
        ran = subprocess.run(
            [tmp_path / "clone/.ci/run"],
            env={"PATH": str(tools), "HOME": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, 1) == (ran.returncode, ran.stdout.count("made: test ARGS=--cov\n")), ran.stderr
        quick = [line for line in ran.stdout.splitlines() if line.startswith("made: quick")]
        assert [f"made: quick PYTHON={tools}/python3.12 VENV=build/python3.12"] == quick
        loud = "!! Python 3.13 is not installed here: nothing was tested with it"
        assert (1, 1) == (ran.stderr.count(loud), ran.stdout.partition("== all is well")[2].count(loud))
