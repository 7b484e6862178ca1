"""List the lines of the code that takes an order from the caller to the provider, and die at them."""

import dis
import importlib
import inspect
import linecache
import os
import pkgutil
import sys
import threading
import types
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from payhub import journal, plans, transport
from payhub.journal import sql
from torture import ROOT

MODULES: tuple[types.ModuleType, ...] = tuple(
    importlib.import_module(f"{package.__name__}.{found.name}")
    for package in (plans, transport, journal, sql)
    for found in pkgutil.iter_modules(package.__path__)
    if not found.ispkg
)
"""Plan, journal and send: where an order is written down, sent, written down again, and asked about."""

DIED = 86
"""The exit code of a process that ended at the line where it was to end."""

_PROLOGUE = frozenset({"RESUME", "RETURN_GENERATOR", "POP_TOP", "MAKE_CELL", "COPY_FREE_VARS", "CACHE"})


class Line(NamedTuple):
    """An executable line: the function that it is in, and its number in the module's file."""

    module: str
    function: str
    number: int

    def __str__(self) -> str:
        """Write it as people read it."""
        return f"{self.module}:{self.number} {self.function}"

    @property
    def text(self) -> str:
        """Return what stands there."""
        return linecache.getline(sys.modules[self.module].__file__ or "", self.number).strip()


_FILES: Mapping[str, str] = {inspect.getsourcefile(module) or "": module.__name__ for module in MODULES}


def source(line: Line) -> str:
    """Return the file that a line is in, within the repository."""
    return str(Path(sys.modules[line.module].__file__ or "").resolve().relative_to(ROOT))


def list_lines() -> frozenset[Line]:
    """Return every executable line of the modules' functions, from their compiled code."""
    found: set[Line] = set()
    for file, module in _FILES.items():
        with open(file, encoding="utf-8") as source:  # noqa: PTH123 - the very file the code came from
            whole = compile(source.read(), file, "exec")
        for code in _nested(whole):
            if code.co_flags & inspect.CO_NEWLOCALS:  # a function, not a class's body
                found.update(Line(module, code.co_qualname, number) for number in _numbers(code))
    return frozenset(found)


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _nested(constant)


def _numbers(code: types.CodeType) -> set[int]:
    """Return the lines that code stops at when it is traced: those of `co_lines` that do something."""
    doing = {i.offset for i in dis.get_instructions(code) if i.opname not in _PROLOGUE}
    return {
        number
        for start, end, number in code.co_lines()
        if number is not None and any(offset in doing for offset in range(start, end, 2))
    }


def trace_lines(work: Callable[[], object]) -> list[tuple[Line, int]]:
    """Run work, and return which lines it visited, how often, in the order of their first visits."""
    seen: Counter[Line] = Counter()
    _trace(lambda line: seen.update((line,)))
    try:
        work()
    finally:
        _untrace()
    return list(seen.items())


def die_at(line: Line, visit: int, work: Callable[[], object]) -> None:
    """Run work, and end this process without any clean-up at the n-th visit to a line, before it is run."""
    left = visit

    def visiting(reached: Line) -> None:
        nonlocal left
        if reached == line:
            left -= 1
            if left == 0:
                os._exit(DIED)

    _trace(visiting)
    try:
        work()
    finally:
        _untrace()


def _untrace() -> None:
    sys.settrace(None)
    threading.settrace(None)


def _trace(visiting: Callable[[Line], None]) -> None:
    names: dict[types.CodeType, str] = {}

    def local(frame: types.FrameType, event: str, _: object) -> object:
        if event == "line":
            code = frame.f_code
            visiting(Line(names[code], code.co_qualname, frame.f_lineno))
        return local

    def begun(frame: types.FrameType, _event: str, _: object) -> object:
        code = frame.f_code
        module = _FILES.get(code.co_filename)
        if module is None:
            return None
        names[code] = module
        return local

    threading.settrace(begun)  # type: ignore[arg-type]  # the journal's acts of an event loop
    sys.settrace(begun)  # type: ignore[arg-type]
