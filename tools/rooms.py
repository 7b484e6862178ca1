"""Arrows between rooms: which room imports which, where an arrow points up, and where arrows make a circle.

A room is a module or a package that stands directly in `payhub/`; a driver is one room. An import is an import of the
module that defines the name: `from payhub import Hub` is an arrow to the room `hub`, also inside a function and where
only types are wanted. Names that a package defines in its own `__init__` are its own.
"""

import ast
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from tools.sources import Place, Source


class Arrow(NamedTuple):
    """One import of one room from another, and the place where it stands."""

    origin: str
    target: str
    place: Place


def module(path: Path) -> str:
    """Return the name of the module in a file."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def room(name: str) -> str:
    """Return the room of a module: the face of payhub is one, too."""
    package, _, rest = name.partition(".")
    return rest.partition(".")[0] or package if package == "payhub" else package


def order_of(root: Path) -> tuple[str, ...]:
    """Return the order of the rooms from the guard's own table, without importing it; the lowest is first."""
    tree = ast.parse((root / "tests" / "test_imports.py").read_text(encoding="utf-8"))
    tables = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    rooms: tuple[str, ...] = ast.literal_eval(tables.get("ROOMS") or tables["ORDER"])
    return rooms


def imports(source: Source) -> Iterator[tuple[str, str, int]]:
    """Yield each import of a file, wherever it stands: the module, the name (or nothing) and the line."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Import(names=names):
                yield from ((each.name, "", node.lineno) for each in names)
            case ast.ImportFrom(module=str(origin), names=names, level=0):
                yield from ((origin, each.name, node.lineno) for each in names)


def defines(origin: str, name: str, taken: Mapping[str, Mapping[str, str]]) -> str:
    """Return the module that defines a name; `taken` says of each module which names it imports, and from where."""
    seen: set[str] = set()
    while f"{origin}.{name}" not in taken and name in taken.get(origin, ()) and origin not in seen:
        seen.add(origin)
        origin = taken[origin][name]
    return f"{origin}.{name}" if f"{origin}.{name}" in taken else origin


def imported(sources: Iterable[Source]) -> dict[str, list[tuple[str, Place]]]:
    """Return, for each module, the modules of these sources that it imports, each with the place."""
    modules = {module(source.path): list(imports(source)) for source in sources}
    paths = {module(source.path): source.path for source in sources}
    taken = {own: {name: origin for origin, name, _ in found if name} for own, found in modules.items()}
    return {
        own: [
            (target, Place(paths[own], line, name or origin, f"imported from {target}"))
            for origin, name, line in found
            if (target := defines(origin, name, taken)) in taken and target != own
        ]
        for own, found in modules.items()
    }


def arrows(sources: Sequence[Source]) -> list[Arrow]:
    """Return every import of one room from another.

    The face of payhub has no arrows of its own: it passes on what the rooms define.
    """
    return [
        Arrow(room(own), room(target), place)
        for own, found in imported(sources).items()
        for target, place in found
        if room(own) not in {room(target), "payhub"}
    ]


def upward(found: Iterable[Arrow], order: Sequence[str]) -> list[Arrow]:
    """Return the arrows that point from a room to one above it.

    A room that has no place in the order stands above all that have one; so do drivers and the face of payhub.
    """
    height = {name: number for number, name in enumerate(order)}
    return [arrow for arrow in found if height.get(arrow.origin, len(order)) < height.get(arrow.target, len(order))]


def circles(edges: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Return the groups whose members all reach each other; one that reaches only itself is no group."""
    reached: dict[str, set[str]] = {}
    for start in edges:
        found: set[str] = set()
        ahead = [start]
        while ahead:
            new = set(edges.get(ahead.pop(), ())) - found
            found |= new
            ahead.extend(new)
        reached[start] = found
    groups = {
        frozenset({each, *(other for other in reached[each] if each in reached.get(other, ()))}) for each in edges
    }
    return sorted(sorted(group) for group in groups if len(group) > 1)


class Stay(NamedTuple):
    """What was called in one room between entering and leaving it."""

    room: str
    names: list[str]


def stays(calls: Iterable[tuple[str, str]]) -> list[Stay]:
    """Return the stays of a trip, in their order, given the file and the name of each call; each but one is a move."""
    named = ((room(module(Path(path))), name) for path, name in calls)
    return [Stay(each, [name for _, name in group]) for each, group in itertools.groupby(named, itemgetter(0))]
