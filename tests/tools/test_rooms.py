"""Arrows and circles are found where imports make them, and a trip is cut into stays."""

from pathlib import Path

import pytest

from tests.tools.making import source
from tools import rooms
from tools.rooms import Stay
from tools.sources import Source

FACE = source(
    """
    from typing import TYPE_CHECKING
    from payhub.models import Order
    if TYPE_CHECKING:
        from payhub.hub import Hub
    __version__ = "1"
    """,
    "payhub/__init__.py",
)
HOUSE = [
    FACE,
    source("class Order: ...", "payhub/models.py"),
    source("from payhub.plans.create import create", "payhub/plans/__init__.py"),
    source("from payhub import Order\ndef create(): ...", "payhub/plans/create.py"),
    source("from payhub.plans import create\nclass Hub: ...", "payhub/hub.py"),
    source("from payhub import Order", "payhub_alikassa/plugin.py"),
]
ORDER = ("models", "plans", "hub")


def pairs(sources: list[Source]) -> set[tuple[str, str]]:
    return {arrow[:2] for arrow in rooms.arrows(sources)}


def places(sources: list[Source]) -> list[str]:
    return [str(arrow.place) for arrow in rooms.upward(rooms.arrows(sources), ORDER)]


def test_an_arrow_goes_to_the_room_that_defines_the_name() -> None:
    """A name taken from the face, or from a package that passes it on, is an import of the module that defines it."""
    assert {("plans", "models"), ("hub", "plans"), ("payhub_alikassa", "models")} == pairs(HOUSE)
    assert [] == places(HOUSE)


@pytest.mark.parametrize(
    ("text", "imported"),
    [
        ("from payhub import Hub", "Hub: imported from payhub.hub"),
        ("from payhub.hub import Hub", "Hub: imported from payhub.hub"),
        ("from payhub import hub", "hub: imported from payhub.hub"),
        ("import payhub.hub", "payhub.hub: imported from payhub.hub"),
        ("from payhub import __version__", "__version__: imported from payhub"),
        ("from payhub.attic import old", "old: imported from payhub.attic"),
        ("from payhub_alikassa.plugin import x", "x: imported from payhub_alikassa.plugin"),
    ],
)
@pytest.mark.parametrize(
    ("before", "line"),
    [("", 1), ("def f():\n    ", 2), ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    ", 3)],
)
def test_an_arrow_upward_is_found_wherever_it_stands(before: str, line: int, text: str, imported: str) -> None:
    """Inside functions and for types only, too; a driver, the face and what has no place stand above all rooms."""
    low = source(f"{before}{text}", "payhub/plans/low.py")
    attic = source("old = 1", "payhub/attic.py")
    assert [f"payhub/plans/low.py:{line}: {imported}"] == places([*HOUSE, attic, low])


def test_imports_from_elsewhere_and_within_a_room_are_no_arrows() -> None:
    """Neither libraries nor neighbours count, nor names that are passed round in a ring."""
    ring = [source(f"from payhub.plans.{other} import lost", f"payhub/plans/{own}.py") for own, other in ("ab", "ba")]
    assert pairs(HOUSE) == pairs(
        [*HOUSE, *ring, source("import httpx\nfrom payhub.plans import create", "payhub/plans/c.py")]
    )


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"a"}}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, [["a", "b", "c"]]),
        ({"a": {"b"}, "b": {"a", "c"}, "c": {"d"}, "d": {"c"}}, [["a", "b"], ["c", "d"]]),
        ({"a": {"elsewhere"}}, []),
    ],
)
def test_circles_are_found(edges: dict[str, set[str]], expected: list[list[str]]) -> None:
    """Those that all reach each other are one circle, however many ways there are."""
    assert expected == rooms.circles(edges)


@pytest.mark.parametrize("name", ["ROOMS", "ORDER"])
def test_the_order_is_read_from_the_guard(tmp_path: Path, name: str) -> None:
    """The table of the test of imports is read, not copied, and nothing is run."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_imports.py").write_text(f'import nowhere\nX = f(1)\n{name} = ("low", "high")\n')
    assert ("low", "high") == rooms.order_of(tmp_path)


def test_a_trip_is_cut_where_it_goes_to_another_room() -> None:
    """Packages and drivers are one room each, modules directly in payhub too."""
    calls = [
        ("payhub/hub.py", "f"),
        ("payhub/journal/__init__.py", "g"),
        ("payhub/journal/sql/rows.py", "h"),
        ("payhub_alikassa/plugin.py", "i"),
        ("payhub_alikassa/wire.py", "j"),
        ("payhub/hub.py", "f"),
    ]
    expected = [
        Stay("hub", ["f"]),
        Stay("journal", ["g", "h"]),
        Stay("payhub_alikassa", ["i", "j"]),
        Stay("hub", ["f"]),
    ]
    assert expected == rooms.stays(calls)
