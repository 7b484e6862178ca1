"""Ask about the orders that are due: once, or for ever, until somebody asks to stop."""

import datetime as dt
import signal
import time
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Annotated, Self

import typer
from rich.text import Text

from payhub.cli import views
from payhub.cli.console import (
    ConfigOption,
    ExitCode,
    JsonOption,
    Session,
    VerboseOption,
    missing_journal,
    one_line,
    stdout,
)
from payhub.errors import JournalFailed
from payhub.exchanges.events import Event, log
from payhub.hub import Hub
from payhub.masking import printable
from payhub.models import Result, Status
from payhub.operations import kind_of

_NAP = 0.2  # seconds; a signal is noticed within


class Interrupts:
    """Note that Ctrl-C or SIGTERM asked to stop; a second one stops at once."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        """Begin with nothing asked; `then` is called when somebody does."""
        self.asked = False
        self._then = then

    def __enter__(self) -> Self:
        """Listen to the signals."""
        self._before = {number: signal.signal(number, self._ask) for number in self._SIGNALS}
        return self

    def __exit__(self, *exc: object) -> None:
        """Leave them to whoever listened before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        self.__exit__()
        self._then()

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than until somebody asks to stop."""
        until = time.monotonic() + seconds
        while not self.asked and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _NAP))


def sweep(
    *,
    watch: Annotated[
        float | None, typer.Option(min=0.1, metavar="SECONDS", help="Go on for ever, with this pause between sweeps.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The most orders of one sweep.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> ExitCode:
    """Ask the provider about the orders that are due; nothing is ever sent again.

    Any number of sweeps may run at once, in any number of processes. Ctrl-C and SIGTERM stop it
    when the order at hand is done.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    done: Counter[str] = Counter()
    with Interrupts() as interrupts:
        if watch is not None:
            _await_journal(session, watch, interrupts)
        if not interrupts.asked:
            with Hub(session.lasting()) as hub:
                _sweep(session, hub, limit, watch, interrupts, done)
    failed = done.pop(_FAILED, 0)
    statuses = {status: done[status] for status in Status if done[status]}
    words = [f"{count} {status}" for status, count in statuses.items()]
    words += [f"{failed} could not be asked about, see stderr"] if failed else []
    values = {"swept": sum(statuses.values()), "statuses": views.plain(statuses), "failed": failed}
    session.answer(values, Text(", ".join(words) or "nothing was due"))
    return ExitCode.REFUSED if failed else ExitCode.DONE


_FAILED = "failed to be asked about"


def _await_journal(session: Session, pause: float, interrupts: Interrupts) -> None:
    """Wait until there is a journal to look into: a watch may be started before the first order."""
    missing = missing_journal(session.settings())
    if missing:
        log(Event.JOURNAL_MISSING, hint=missing)
    while missing and not interrupts.asked:
        interrupts.pause(pause)
        missing = missing_journal(session.settings())


def _sweep(
    session: Session, hub: Hub, limit: int, watch: float | None, interrupts: Interrupts, done: Counter[str]
) -> None:
    """Sweep once, or until somebody asks to stop."""
    while True:
        swept = sweep_once(session, hub, limit, interrupts, done, lasting=watch is not None)
        if watch is not None and swept < limit:
            interrupts.pause(watch)
        if watch is None or interrupts.asked:
            return


def sweep_once(
    session: Session, hub: Hub, limit: int, interrupts: Interrupts, done: Counter[str], *, lasting: bool
) -> int:
    """Sweep once and return how many orders were taken; one that watches outlasts a journal that fails."""
    taken = 0
    try:
        for found in hub.sweeping(limit):
            taken += 1
            done[_FAILED if found is None else found.status] += 1
            if found is not None and not session.as_json:
                stdout().print(_line(found), soft_wrap=True)
            if interrupts.asked:
                break
    except JournalFailed as cause:
        if not lasting:
            raise
        log(Event.SWEEP_FAILED, error=one_line(str(cause)))
        return 0
    return taken


def _line(found: Result) -> Text:
    reason = f"  {one_line(found.reason)}" if found.reason else ""
    head = f"{views.clock(dt.datetime.now(dt.UTC))}  {found.account} {kind_of(found).word} {found.order_id}  "
    return Text.assemble(printable(head), views.status(found), reason)


COMMANDS = (sweep,)
