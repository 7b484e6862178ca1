"""Counts of what stands in Python files: functions, constants, comments, docstrings.

Each counter takes parsed files and names what it finds by file and line. Nothing is imported or run, so another
checkout, or another project, is counted as well as this one.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Source(NamedTuple):
    """A Python file: its path below the root of the checkout, its text and its tree."""

    path: Path
    text: str
    tree: ast.Module


class Place(NamedTuple):
    """A line of a file, with the name that stands there and what is to be said of it."""

    path: Path
    line: int
    name: str
    remark: str

    def __str__(self) -> str:
        """Return the place in the form that editors jump to."""
        return f"{self.path}:{self.line}: {self.name}: {self.remark}"


class Share(NamedTuple):
    """Some of a whole: the places that were found, and among how many they were looked for."""

    found: list[Place]
    whole: int

    @property
    def percent(self) -> float:
        """Return the found ones in per cent of the whole."""
        return 100 * len(self.found) / self.whole if self.whole else 0.0


def read(root: Path, *packages: str) -> list[Source]:
    """Return the Python files of some packages, in the order of their paths."""
    paths = sorted(path for package in packages for path in (root / package).rglob("*.py"))
    texts = {path.relative_to(root): path.read_text(encoding="utf-8") for path in paths}
    return [Source(path, text, ast.parse(text)) for path, text in texts.items()]


def functions(source: Source) -> Iterator[Function]:
    """Yield every function of a file: methods and nested ones too, lambdas not."""
    return (node for node in ast.walk(source.tree) if isinstance(node, Function))


def _body_lines(function: Function) -> int:
    """Return how many lines a function's body has, without its signature and its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def used_once(sources: Iterable[Source]) -> Share:
    """Return the private functions that are used once in their file, among all functions.

    Private is a name that begins with one underscore. A use is the name read, called or taken as an attribute
    (`_name` or `x._name`) anywhere in the file; the definition itself, imports and strings are none. Methods of one
    name in one file share their uses.
    """
    found, whole = [], 0
    for source in sources:
        uses: dict[str, list[int]] = {}
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Name | ast.Attribute):
                uses.setdefault(node.id if isinstance(node, ast.Name) else node.attr, []).append(node.lineno)
        for function in functions(source):
            whole += 1
            name = function.name
            if name.startswith("_") and not name.startswith("__") and len(uses.get(name, ())) == 1:
                remark = f"used once, in line {uses[name][0]}; {_body_lines(function)} lines"
                found.append(Place(source.path, function.lineno, name, remark))
    return Share(found, whole)


def _constants(tree: ast.Module) -> dict[str, int]:
    """Return the names that statements of the module assign, each with the line where it is first assigned."""
    first: dict[str, int] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=targets):
                pass
            case ast.AnnAssign(target=target):
                targets = [target]
            case _:
                continue
        for node in (each for target in targets for each in ast.walk(target)):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                first.setdefault(node.id, statement.lineno)
    return first


def used_above(sources: Iterable[Source]) -> Share:
    """Return the constants of modules that are first used above their definition, among all constants.

    A constant is a name that a statement of the module itself assigns, annotated or not, unpacked or not, in
    capitals or not: tables, types, loggers. A use is the name read anywhere in the file, in a function's body too:
    the reader meets it there first.
    """
    found, whole = [], 0
    for source in sources:
        constants = _constants(source.tree)
        whole += len(constants)
        uses: dict[str, int] = {}
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in constants:
                uses[node.id] = min(node.lineno, uses.get(node.id, node.lineno))
        found += [
            Place(source.path, line, name, f"first used in line {uses[name]}")
            for name, line in constants.items()
            if uses.get(name, line) < line
        ]
    return Share(found, whole)
