import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import payhub

PACKAGE = Path(payhub.__file__).parent
ROOMS = (
    "files",
    "forms",
    "masking",
    "money",
    "models",
    "errors",
    "driver",
    "operations",
    "hookspecs",
    "journal",
    "exchanges",
    "plans",
    "transport",
    "accounts",
    "ticket",
    "hub",
    "receivers",
    "testing",
    "cli",
)
"""List the rooms of payhub so that each imports only itself and those before it."""

ONLY_IN = {
    "pluggy": {"payhub.hookspecs", "payhub.accounts"},
    "httpx": {"payhub.transport.http", "payhub_alikassa.sandbox"},  # the sandbox sends notifications
    "httpcore": {"payhub.transport.http"},
    "httpx2": {"payhub.transport.http"},
    "httpcore2": {"payhub.transport.http"},
    "sqlalchemy": {"payhub.journal"},
    "alembic": {"payhub.journal"},
    "structlog": {"payhub.exchanges", "payhub.cli"},
    "cryptography": {"payhub_alikassa.signing", "payhub_alikassa.sandbox"},
    "payhub_alikassa": {"payhub_alikassa"},
    "starlette": {"payhub.receivers", "payhub_alikassa.sandbox"},
    "uvicorn": {"payhub.receivers.server", "payhub_alikassa.sandbox"},
    "typer": {"payhub.cli"},
    "rich": {"payhub.cli"},
    "pytest": set(),
}
"""Say which modules (and those inside them) may import a library."""

PUBLIC = {
    "payhub",
    "payhub.driver",
    "payhub.errors",
    "payhub.files",
    "payhub.forms",
    "payhub.hookspecs",
    "payhub.masking",
    "payhub.models",
    "payhub.money",
    "payhub.testing",
}
"""Name what a driver may import of payhub."""


def source(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def modules(package: str) -> dict[str, ast.Module]:
    root = source(package)
    return {
        ".".join((package, *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__"): ast.parse(
            path.read_text()
        )
        for path in sorted(root.rglob("*.py"))
    }


def imported(tree: ast.AST) -> set[str]:
    """List what a module imports, at its top and inside functions, with the names taken from each."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found |= {name.name for name in names}
            case ast.ImportFrom(module=module, names=names, level=0):
                found |= {f"{module}.{name.name}" for name in names}
            case ast.ImportFrom():
                raise AssertionError("imports are absolute")
    return found


MODULES = modules("payhub") | modules("payhub_alikassa")
IMPORTS = {name: imported(tree) for name, tree in MODULES.items()}


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_has_its_place(library: str) -> None:
    """Each library is used in its own modules and nowhere else."""
    users = {name for name, found in IMPORTS.items() if any(inside(each, library) for each in found)}
    assert set() == {name for name in users if not any(inside(name, place) for place in ONLY_IN[library])}


FACES = {
    package: {each.rpartition(".")[2]: each for each in IMPORTS[package] if inside(each, "payhub")}
    for package in MODULES if Path(find_spec(package).origin or "").name == "__init__.py"  # type: ignore[union-attr]
}  # fmt: skip
"""Say where the names come from that a package passes on."""


def home(name: str) -> str:
    """Return a name as it is called in the module that defines it, whatever face it is imported through."""
    package, _, attribute = name.rpartition(".")
    origin = FACES.get(package, {}).get(attribute, name)
    return name if name in MODULES or origin == name else home(origin)


def room(name: str) -> str:
    return name.removeprefix("payhub.").partition(".")[0]


def test_every_module_has_its_room() -> None:
    """Every module of payhub is in one of the rooms above."""
    assert set(ROOMS) == {room(name) for name in IMPORTS if inside(name, "payhub") and name != "payhub"}


ARROWS = {
    (room(name), room(home(each))) for name, found in IMPORTS.items() if inside(name, "payhub") and name != "payhub"
    for each in found if inside(each, "payhub")
}  # fmt: skip


@pytest.mark.parametrize("name", ROOMS)
def test_arrows_point_one_way(name: str) -> None:
    """A room imports only itself and the rooms before it, wherever a name is taken from, also for types only."""
    allowed = ROOMS[: ROOMS.index(name) + 1]
    assert set() == {to for origin, to in ARROWS if origin == name and to not in allowed}


def test_the_guard_sees_through_the_face_of_the_package() -> None:
    """`from payhub import Hub` is an import of `payhub.hub`, and is found where only types are wanted."""
    tree = ast.parse("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from payhub import Hub, Money\n")
    assert {"typing.TYPE_CHECKING", "payhub.hub.Hub", "payhub.money.Money"} == set(map(home, imported(tree)))


@pytest.mark.parametrize("name", ["payhub.testing", "payhub.cli"])
def test_payhub_does_not_need_its_tests_or_its_commands(name: str) -> None:
    """payhub imports neither `payhub.testing` nor `payhub.cli`; only they themselves do."""
    users = {module for module, found in IMPORTS.items() if any(inside(each, name) for each in found)}
    assert set() == {module for module in users if inside(module, "payhub") and not inside(module, name)}


def test_a_driver_uses_public_names_only() -> None:
    """The AliKassa driver imports only what any third-party driver may: public modules and names."""
    found = {
        (name, each) for name, names in IMPORTS.items() for each in names
        if inside(name, "payhub_alikassa") and inside(each, "payhub")
    }  # fmt: skip
    private = {(name, each) for name, each in found if any(part.startswith("_") for part in each.split("."))}
    elsewhere = {(name, each) for name, each in found if each not in PUBLIC and each.rpartition(".")[0] not in PUBLIC}
    assert (set(), set()) == (private, elsewhere)


def test_the_fake_driver_uses_public_names_only() -> None:
    """The driver that authors read first imports only what they may import."""
    found = {each for each in IMPORTS["payhub.testing.fake"] if inside(each, "payhub")}
    assert set() == {each for each in found if each.rpartition(".")[0] not in PUBLIC or "._" in each}


def python(program: str) -> str:
    """Run a program in a fresh interpreter and return what it prints."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


HEAVY = {
    "alembic",
    "httpx",
    "httpcore",
    "httpx2",
    "httpcore2",
    "anyio",
    "structlog",
    "starlette",
    "uvicorn",
    "typer",
    "rich",
    "sqlalchemy",
    "cryptography",
    "asyncio",
    "payhub_alikassa",
    "pytest",
}


def test_importing_payhub_is_light() -> None:
    """`import payhub` loads neither the network nor a framework, nor any driver."""
    loaded = set(python("import sys, payhub; print(*sys.modules)").split())
    assert set() == loaded & HEAVY


def test_importing_the_drivers_side_is_light() -> None:
    """What a driver imports loads neither the network nor a framework."""
    loaded = set(python(f"import sys, {', '.join(sorted(PUBLIC - {'payhub.testing'}))}; print(*sys.modules)").split())
    assert set() == loaded & HEAVY


def test_testing_needs_no_pytest() -> None:
    """The testing package is imported without pytest."""
    program = "import sys; import payhub.testing.conformance, payhub.testing.fake; print(*sys.modules)"
    assert "pytest" not in python(program).split()


def test_payhub_configures_no_log() -> None:
    """The library never configures structlog or logging: that is the application's."""
    program = (
        "import logging, structlog; before = structlog.get_config(); "
        "import payhub; from payhub.testing import fake; payhub.Hub.from_mapping({}, plugins=[fake]).close(); "
        "print(before == structlog.get_config(), structlog.is_configured(), logging.getLogger().handlers)"
    )
    assert "True False []" == python(program).splitlines()[-1]
