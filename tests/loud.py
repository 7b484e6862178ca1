"""Hear everything that leaves a process: every library's log at DEBUG, errors, tracebacks with locals."""

import contextlib
import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from rich.traceback import Traceback

import payhub
import payhub_alikassa

LIBRARIES = ("", "alembic", "anyio", "asyncio", "httpcore", "httpx", "psycopg", "sqlalchemy", "starlette", "uvicorn")


class Frame(NamedTuple):
    """Show one frame of a traceback, as somebody's tool shows it: whose code it is, where, and its locals."""

    package: str
    function: str
    shown: str


class Heard:
    """Hold what was heard: log lines, texts of errors, frames, and whatever else is added."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.errors: list[tuple[str, str]] = []
        self.frames: list[Frame] = []
        self.reprs: list[str] = []

    def attempt(self, act: Callable[..., Any], *given: Any, **named: Any) -> None:
        """Do something, and hear what it returns or raises."""
        try:
            done = act(*given, **named)
        except BaseException as cause:  # noqa: BLE001 - an interrupt is heard, too
            self.failed(cause)
            return
        self.reprs += [repr(done), str(done)]

    def failed(self, cause: BaseException) -> None:
        """Hear an error, all that it was caused by, and every frame of them, with its locals."""
        for each in chain(cause):
            self.errors += [(type(each).__name__, str(each)), (type(each).__name__, repr(each))]
        for read in READERS:
            self.frames += read(cause)


def chain(cause: BaseException) -> Iterator[BaseException]:
    """Return an error and those that are shown with it."""
    yield cause
    inner = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    if inner is not None:
        yield from chain(inner)


# How frames are shown: by the standard library, by rich, by structlog; the last two without cutting what is long.


def _by_traceback(cause: BaseException) -> Iterator[Frame]:
    for error in chain(cause):
        for frame in traceback.TracebackException.from_exception(error, capture_locals=True).stack:
            yield _frame(frame.filename, frame.name, frame.locals)


def _by_rich(cause: BaseException) -> Iterator[Frame]:
    long: dict[str, Any] = {"locals_max_string": 1_000_000, "locals_max_length": 1000}
    trace = Traceback.extract(type(cause), cause, cause.__traceback__, show_locals=True, **long)
    for stack in trace.stacks:
        for frame in stack.frames:
            yield _frame(frame.filename, frame.name, frame.locals)


def _by_structlog(cause: BaseException) -> Iterator[Frame]:
    told = structlog.tracebacks.ExceptionDictTransformer(locals_max_string=1_000_000, max_frames=1000)
    for stack in told((type(cause), cause, cause.__traceback__)):
        for frame in stack["frames"]:
            yield _frame(frame["filename"], frame["name"], frame.get("locals"))


READERS: tuple[Callable[[BaseException], Iterator[Frame]], ...] = (_by_traceback, _by_rich, _by_structlog)

OURS = {Path(str(package.__file__)).parent: package.__name__ for package in (payhub, payhub_alikassa)}
TESTS = Path(__file__).parent


def _frame(filename: str, function: str, shown: Any) -> Frame:
    return Frame(_package(Path(filename)), f"{Path(filename).stem}.{function}", _written(shown))


def _written(shown: Any) -> str:
    return "\n".join(f"{name} = {value}" for name, value in (shown or {}).items())


def _package(path: Path) -> str:
    """Name the library that a file belongs to."""
    for place, name in {**OURS, TESTS: "tests"}.items():
        if path.is_relative_to(place):
            return name
    parts = path.parts
    return Path(parts[parts.index("site-packages") + 1]).stem if "site-packages" in parts else "the standard library"


# Logs.


class _Listener(logging.Handler):
    def __init__(self, heard: Heard) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self._heard.lines.append((record.name.partition(".")[0], self.format(record)))


@contextlib.contextmanager
def listening() -> Iterator[Heard]:
    """Hear every library at DEBUG, and structlog's events as a machine and as a person reads them."""
    heard = Heard()
    listener = _Listener(heard)
    loggers = [logging.getLogger(name) for name in {*LIBRARIES, *logging.root.manager.loggerDict}]
    levels = [(logger, logger.level, logger.disabled) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.disabled = False
    logging.root.addHandler(listener)
    before = structlog.get_config()
    structlog.configure(processors=[_told_to(heard)], cache_logger_on_first_use=False)
    try:
        yield heard
    finally:
        structlog.configure(**before)
        logging.root.removeHandler(listener)
        for logger, level, disabled in levels:
            logger.setLevel(level)
            logger.disabled = disabled


def _told_to(heard: Heard) -> Callable[[Any, str, Any], Any]:
    machine = structlog.processors.JSONRenderer(ensure_ascii=False)
    person = structlog.dev.ConsoleRenderer(colors=False)

    def tell(logger: Any, method: str, event: Any) -> Any:
        for render in (machine, person):
            heard.lines.append(("structlog", str(render(logger, method, dict(event)))))
        raise structlog.DropEvent

    return tell
