"""Ask about the orders that are due: once, or until somebody asks to stop."""

import datetime as dt
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Annotated, Self

import typer
from rich.text import Text

from payhub.cli import views
from payhub.cli.command import command
from payhub.cli.console import one_line, stdout
from payhub.cli.session import ExitCode, Session, missing_journal
from payhub.errors import JournalFailed
from payhub.exchanges.events import Event, log
from payhub.hub import Hub
from payhub.masking import printable
from payhub.models import Result, Status
from payhub.operations import kind_of
from payhub.ticket.values import clock

app = typer.Typer()

_NAP = 0.2  # seconds; a signal is noticed within
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Swept = Counter[Status | None]
"""How many orders a sweep found in each status; `None` counts those that could not be asked about."""


class Interrupts:
    """The requests to stop that Ctrl-C and SIGTERM make; a second one stops the process at once."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        """Begin without a request; `then` is called when one comes."""
        self.asked = False
        self._then = then

    def __enter__(self) -> Self:
        """Listen to the signals."""
        self._before = {number: signal.signal(number, self.request_stop) for number in _SIGNALS}
        return self

    def __exit__(self, *exc: object) -> None:
        """Give the signals back to those that listened before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def request_stop(self, _number: int, _frame: FrameType | None) -> None:
        """Take a request: the next signal goes to those that listened before."""
        self.asked = True
        self.__exit__()
        self._then()

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than until a request to stop comes."""
        until = time.monotonic() + seconds
        while not self.asked and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _NAP))


@command(app)
def sweep(
    session: Session,
    *,
    watch: Annotated[
        float | None, typer.Option(min=0.1, metavar="SECONDS", help="Repeat until stopped, with this pause in between.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The most orders of one sweep.")] = 100,
    account: Annotated[
        str | None, typer.Option(metavar="NAME", help="Ask about this account's orders only.", show_default=False)
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="How many orders are asked about at once.")
    ] = 1,
) -> ExitCode:
    """Ask the provider about the orders that are due; nothing is sent again.

    Accounts take turns, and one that does not answer is left to the next sweep. Any number of sweeps may run at once,
    in any number of processes. Ctrl-C and SIGTERM stop one when the orders at hand are done.
    """
    done: Swept = Counter()
    with Interrupts() as interrupts:
        if watch is not None:
            _await_journal(session, watch, interrupts)
        if not interrupts.asked:
            with Hub(session.durable_settings()) as hub:
                while True:
                    sweeping = hub.sweeping(limit, account=account, concurrency=concurrency)
                    swept = sweep_once(session, sweeping, interrupts, done, keep_trying=watch is not None)
                    if watch is not None and swept < limit:
                        interrupts.pause(watch)
                    if watch is None or interrupts.asked:
                        break
    failed = done.pop(None, 0)
    statuses = {status.value: done[status] for status in Status if done[status]}
    words = [f"{count} {status}" for status, count in statuses.items()]
    words += [f"{failed} could not be asked about, see stderr"] if failed else []
    values = {"swept": sum(statuses.values()), "statuses": statuses, "failed": failed}
    session.answer(values, Text(", ".join(words) or "nothing was due"))
    return ExitCode.REFUSED if failed else ExitCode.DONE


def _await_journal(session: Session, pause: float, interrupts: Interrupts) -> None:
    """Wait for a journal to look into: a watch may be started before the first order."""
    missing = missing_journal(session.settings())
    if missing:
        log(Event.JOURNAL_MISSING, hint=missing)
    while missing and not interrupts.asked:
        interrupts.pause(pause)
        missing = missing_journal(session.settings())


def sweep_once(
    session: Session, sweeping: Iterator[Result | None], interrupts: Interrupts, done: Swept, *, keep_trying: bool
) -> int:
    """Sweep once and return how many orders were taken; with `keep_trying` a journal that fails is only logged."""
    taken = 0
    try:
        for result in sweeping:
            taken += 1
            done[None if result is None else result.status] += 1
            if result is not None and not session.as_json:
                order = f"{result.account} {kind_of(result).word} {result.order_id}"
                head = printable(f"{clock(dt.datetime.now(dt.UTC))}  {order}  ")
                reason = f"  {one_line(result.reason)}" if result.reason else ""
                stdout().print(Text.assemble(head, views.status(result), reason), soft_wrap=True)
            if interrupts.asked:
                break
    except JournalFailed as cause:
        if not keep_trying:
            raise
        log(Event.SWEEP_FAILED, error=one_line(str(cause)))
        return 0
    return taken
