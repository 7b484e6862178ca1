"""Counts of what stands in Python files: functions, constants, comments, docstrings.

Nothing is imported or run, so another checkout, or another project, is counted as well as this one.
"""

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function

VERBS = {"Hold", "Know", "Link", "Never", "Pay", "Report", "Share", "Speak", "Sum", "Watch", "Wrap"}
"""Words that opened the docstrings of classes, and of no function (an adverb opens an imperative, too)."""


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
        """Return how many of the whole were found, in per cent."""
        return 100 * len(self.found) / self.whole if self.whole else 0.0


class Spread(NamedTuple):
    """The middle of some numbers, the one that nine of ten do not exceed, and the greatest."""

    median: float
    p90: int
    greatest: int

    def __str__(self) -> str:
        """Return the three with slashes between them."""
        return f"{self.median:.0f} / {self.p90} / {self.greatest}"


def spread(numbers: Iterable[int]) -> Spread:
    """Return the spread of some numbers; the 90th percentile is the number nearest to that rank."""
    ordered = sorted(numbers) or [0]
    return Spread(median(ordered), ordered[round(0.9 * (len(ordered) - 1))], ordered[-1])


def read(root: Path, *packages: str) -> list[Source]:
    """Return the Python files of some packages, in the order of their paths."""
    paths = sorted(path for package in packages for path in (root / package).rglob("*.py"))
    texts = {path.relative_to(root): path.read_text(encoding="utf-8") for path in paths}
    return [Source(path, text, ast.parse(text)) for path, text in texts.items()]


def functions(source: Source) -> Iterator[Function]:
    """Yield every function of a file: methods and nested ones too, lambdas not."""
    return (node for node in ast.walk(source.tree) if isinstance(node, Function))


def body_lines(function: Function) -> int:
    """Return how many lines a function's body has, without its signature and its docstring."""
    body = function.body if ast.get_docstring(function) is None else function.body[1:]
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
                remark = f"used once, in line {uses[name][0]}; {body_lines(function)} lines"
                found.append(Place(source.path, function.lineno, name, remark))
    return Share(found, whole)


def constants(tree: ast.Module) -> dict[str, int]:
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
    capitals or not: tables, types, loggers, `__all__`. A use is the name read anywhere in the file, in a function's
    body too: the reader meets it there first.
    """
    found, whole = [], 0
    for source in sources:
        defined = constants(source.tree)
        whole += len(defined)
        uses: dict[str, int] = {}
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in defined:
                uses[node.id] = min(node.lineno, uses.get(node.id, node.lineno))
        found += [
            Place(source.path, line, name, f"first used above, in line {uses[name]}")
            for name, line in defined.items()
            if uses.get(name, line) < line
        ]
    return Share(found, whole)


class Prose(NamedTuple):
    """What a reader is told beside the code: comments, and lines of docstrings, of the lines that are not blank."""

    lines: int
    comments: int
    docstrings: int


def prose(sources: Sequence[Source]) -> Prose:
    """Count lines that are not blank, comments (also those behind code), and lines of docstrings."""
    lines = comments = docstrings = 0
    for source in sources:
        lines += sum(1 for line in source.text.splitlines() if line.strip())
        tokens = tokenize.generate_tokens(io.StringIO(source.text).readline)
        comments += sum(1 for token in tokens if token.type == tokenize.COMMENT)
        for node in ast.walk(source.tree):
            if isinstance(node, Documented) and ast.get_docstring(node) is not None:
                docstrings += (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
    return Prose(lines, comments, docstrings)


def definitions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.ClassDef | Function]]:
    """Yield the public classes, functions and methods of a module: neither private ones nor what is inside them.

    What a function defines inside itself is not public either.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | Function):
            if not child.name.startswith("_"):
                yield f"{prefix}{child.name}", child
                if isinstance(child, ast.ClassDef):
                    yield from definitions(child, f"{prefix}{child.name}.")
        else:
            yield from definitions(child, prefix)


def undocumented(sources: Iterable[Source]) -> Share:
    """Return the public definitions that have no docstring, among all public ones."""
    public = [(source.path, name, node) for source in sources for name, node in definitions(source.tree)]
    bare = [(path, name, node) for path, name, node in public if ast.get_docstring(node) is None]
    return Share([Place(path, node.lineno, name, "no docstring") for path, name, node in bare], len(public))


def opening(node: Documented) -> str:
    """Return the word that a docstring opens with, if it can be a verb, or else an empty string.

    A word before "of" or a colon is a noun: "Answer of a provider", "Call: ...".
    """
    first, second = [*(ast.get_docstring(node) or "").split(maxsplit=2), "", ""][:2]
    first = first.removesuffix(",")
    return first if first.isalpha() and second != "of" else ""


def imperative(sources: Iterable[Source], written: Iterable[Source]) -> Share:
    """Return the classes whose docstring opens with a verb in the imperative, among those that have a docstring.

    A verb is a word that opens the docstring of a function in `written`, where the linter sees to it that each opens
    with an imperative, or one of `VERBS`.
    """
    verbs = VERBS | {opening(function) for source in written for function in functions(source)} - {""}
    classes = [
        (source.path, node)
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and ast.get_docstring(node) is not None
    ]
    found = [
        Place(path, node.lineno, node.name, f"its docstring opens with {opening(node)!r}")
        for path, node in classes
        if opening(node) in verbs
    ]
    return Share(found, len(classes))
