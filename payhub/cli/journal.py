"""Ask about open orders, settle what nobody else can, and tell an order's story: what the journal is for."""

import contextlib
import datetime as dt
import json
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Annotated, Any, Literal, Self

import msgspec
import structlog
import typer
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from payhub.cli import views
from payhub.cli.console import (
    ConfigOption,
    ExitCode,
    JsonOption,
    Session,
    UsageError,
    VerboseOption,
    cell,
    one_line,
    printable,
    stdout,
)
from payhub.cli.orders import AccountArgument
from payhub.config import Settings, open_journal
from payhub.driver import Schedule
from payhub.errors import ConfigurationError, NotFound, PayhubError, UnknownAccount
from payhub.hub import Hub, Outcome
from payhub.journal import Entry, Evidence, Journal, JournalFailed, Key, Record, Source, State
from payhub.journal.records import applied
from payhub.models import Exchange, Kind, Payment, Payout, Status
from payhub.resolver import reported

MOST = 1000
"""How many orders `payhub unknown` lists."""

_NAP = 0.2  # seconds; a signal is noticed within

_log = structlog.get_logger("payhub")

KindArgument = Annotated[Kind, typer.Argument(help="What it is.", show_default=False)]
OrderArgument = Annotated[str, typer.Argument(help="Your own id, the order_id.", show_default=False)]


def _settings(session: Session) -> Settings:
    """Read the configuration of a command that is about what lasts.

    Raises:
        ConfigurationError: orders are kept in memory only, so there is nothing to look into.
    """
    settings = session.settings()
    if not settings.journal.url:
        raise ConfigurationError('this needs a journal that lasts: set url = "sqlite:///payhub.db" under [journal]')
    return settings


def _journal(session: Session) -> contextlib.closing[Journal]:
    """Open the journal alone: no driver, no account and no key is needed to look into it."""
    return contextlib.closing(open_journal(_settings(session)))


class _Interrupts:
    """Note that Ctrl-C or SIGTERM asked to stop; a second one stops at once."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._ask) for number in self._SIGNALS}
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        self.__exit__()

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
    with Hub(_settings(session)) as hub, _Interrupts() as interrupts:
        while True:
            swept = _sweep(session, hub, limit, interrupts, done, lasting=watch is not None)
            if watch is None or interrupts.asked:
                break
            if swept < limit:
                interrupts.pause(watch)
    failed = done.pop(_FAILED, 0)
    statuses = {status: done[status] for status in Status if done[status]}
    words = [f"{count} {status}" for status, count in statuses.items()]
    words += [f"{failed} could not be asked about, see stderr"] if failed else []
    values = {"swept": sum(statuses.values()), "statuses": views.plain(statuses), "failed": failed}
    session.answer(values, Text(", ".join(words) or "nothing was due"))
    return ExitCode.REFUSED if failed else ExitCode.DONE


_FAILED = "failed to be asked about"


def _sweep(
    session: Session, hub: Hub, limit: int, interrupts: _Interrupts, done: Counter[str], *, lasting: bool
) -> int:
    """Sweep once and return how many orders were taken; one that watches outlasts a journal that fails."""
    taken = 0
    try:
        for found in _advanced(hub, limit, interrupts):
            taken += 1
            done[_FAILED if found is None else found.status] += 1
            if found is not None and not session.as_json:
                stdout().print(_line(found), soft_wrap=True)
    except JournalFailed as cause:
        if not lasting:
            raise
        _log.error("payhub.sweep_failed", error=one_line(str(cause)))
        return 0
    return taken


def _advanced(hub: Hub, limit: int, interrupts: _Interrupts) -> Iterator[Payment | Payout | None]:
    """Claim and advance one order at a time: whoever stops keeps no other order waiting for its lease."""
    for _ in range(limit):
        claimed = () if interrupts.asked else hub.journal.claim(1, hub.registry.lease)
        if not claimed:
            return
        found: list[Payment | Payout] = []
        with reported(claimed[0]):
            found.append(hub.advance(*claimed[0].facts.key))
        yield found[0] if found else None


def _line(found: Payment | Payout) -> Text:
    reason = f"  {one_line(found.reason)}" if found.reason else ""
    head = f"{_clock(dt.datetime.now(dt.UTC))}  {found.account} {views.kind(found)} {found.order_id}  "
    return Text.assemble(printable(head), views.status(found), reason)


def unknown(
    *,
    older: Annotated[
        str, typer.Option(metavar="1h", help="Only those that have not changed for so long: 90s, 10m, 1h, 2d.")
    ] = "0s",
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> ExitCode:
    """List the orders of which nobody knows what became; exit 1 if there are any."""
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    seconds = _seconds(older, "--older")
    with _journal(session) as journal:
        found = journal.unsettled(seconds, MOST + 1)
    records, more = found[:MOST], len(found) > MOST
    shown = views.table("account", "kind", "order", "state", "asked", "since (UTC)", "reason", numbers=("asked",))
    for record in records:
        facts = record.facts
        since, reason = f"{record.updated_at:%Y-%m-%d %H:%M:%S}", record.reason and one_line(record.reason)
        shown.add_row(
            *map(cell, (facts.account, facts.kind, facts.order_id, record.state, facts.amount, since, reason))
        )
    rest = [Text(f"the {MOST} oldest; there are more")] if more else []
    values = {"orders": [_order(record) for record in records], "more": more}
    session.answer(values, *([shown, *rest] if records else [Text("none")]))
    return ExitCode.FOUND if records else ExitCode.DONE


_UNITS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(text: str, option: str) -> float:
    """Read a duration: a number and its unit."""
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if not found:
        raise UsageError(f"{option}: not a duration, as 90s, 10m, 1h or 2d")
    return int(found[1]) * _UNITS[found[2]]


def check(
    account: AccountArgument,
    kind: KindArgument,
    order: OrderArgument,
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> ExitCode:
    """Take one order as far as it can go now: ask the provider, and keep the answer."""
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    with Hub(_settings(session)) as hub:
        found = hub.advance(account, kind, order)
        state = _known(hub.journal, Key(account, kind, order)).state
    session.answer(views.plain(found) | {"state": state}, *views.result(found), Text(f"state: {state}"))
    return ExitCode.UNKNOWN if found.status is Status.UNKNOWN else ExitCode.DONE


def _known(journal: Journal, key: Key) -> Record:
    record = journal.find(key)
    if record is None:
        raise UnknownAccount(f"the journal of account {key.account!r} has no such {key.kind}")
    return record


def resolve(  # noqa: PLR0913 - one argument for each option
    account: AccountArgument,
    kind: KindArgument,
    order: OrderArgument,
    *,
    outcome: Annotated[Outcome, typer.Option("--as", help="What was found out.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="How it was found out, and where that can be read.")],
    by: Annotated[str, typer.Option(metavar="NAME", help="Who says so.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, it is only shown what would be done.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Settle an order by what a person found out, where neither provider nor time could; kept for ever.

    Only an order that is unknown or needs attention. Without --yes nothing is changed.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    reason, by = one_line(reason), one_line(by)
    if not reason or not by:
        raise UsageError("--reason and --by must say something: they are kept with the order")
    with Hub(_settings(session)) as hub:
        hub.registry.account(account)
        before = _known(hub.journal, Key(account, kind, order))
        found = Evidence(source=Source.OPERATOR, state=State(outcome), reason=reason)
        applied(before, found, dt.datetime.now(dt.UTC), Schedule())  # refuses what the journal would refuse
        if yes:
            hub.resolve(account, kind, order, outcome, reason=reason, by=by)
    act = {"done": yes, "from": before.state, "to": found.state, "reason": found.reason, "by": by}
    word = "was" if yes else "is"
    facts = _grid(f"order {word}", before.state, becomes="became" if yes else "would become", to=found.state)
    facts.add_row("reason", cell(found.reason))
    facts.add_row("by", cell(by))
    panel = Panel(facts, title=cell(f"{kind} {order} of {account}"), title_align="left", expand=False)
    hint = Text("Done, and kept for ever." if yes else "Nothing was changed. With --yes it is done, and kept for ever.")
    session.answer({"order": _order(before), **act}, panel, hint)


def _grid(label: str, state: State, *, becomes: str, to: State) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(label, cell(state))
    grid.add_row(becomes, cell(to, "bold"))
    return grid


def trace(
    order: OrderArgument,
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Tell the whole story of an order, in order: attempts, exchanges (masked), evidence, operators' acts.

    All times are UTC. What is shown can be given to the provider's support.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    with _journal(session) as journal:
        records, entries = journal.story(order)
    if not records:
        raise NotFound("the journal has no order with this id")
    values = {"orders": [_order(record) for record in records], "story": [_told(entry) for entry in entries]}
    heads = [Text.assemble(_head(record), (record.state, "bold")) for record in records]
    session.answer(values, *heads, _story(entries, several=len(records) > 1))


def _head(record: Record) -> str:
    facts = record.facts
    words = f"{facts.kind} {facts.order_id} of {facts.account}, {facts.amount} by {facts.method}"
    known = f", provider's id {record.provider_id}" if record.provider_id else ""
    flag = ", contradicted" if record.contradicted else ""
    return printable(f"{words}{known}{flag}: ")


def _order(record: Record) -> dict[str, Any]:
    """Say what is known of an order, for a program."""
    facts = record.facts
    return {
        "account": facts.account,
        "provider": facts.provider,
        "kind": facts.kind,
        "order_id": facts.order_id,
        "provider_id": record.provider_id,
        "state": record.state,
        "provider_status": record.provider_status,
        "requested": views.plain(facts.amount),
        "paid": views.plain(record.paid),
        "reason": record.reason and one_line(record.reason),
        "mismatches": list(record.mismatches),
        "contradicted": record.contradicted,
        "attempts": record.attempts,
        "created_at": _utc(record.created_at),
        "changed_at": _utc(record.updated_at),
        "due_at": record.due_at and _utc(record.due_at),
    }


def _told(entry: Entry) -> dict[str, Any]:
    """Say one thing that happened, for a program."""
    told: dict[str, Any] = {"at": _utc(entry.at), "what": _what(entry)}
    if entry.key:
        told |= {"account": entry.key.account, "kind": entry.key.kind}
    if entry.exchange:
        return told | {"exchange": views.plain(_masked(entry.exchange))}
    if entry.evidence:
        said = views.plain(entry.evidence)
        told |= {name: value for name, value in said.items() if value not in (None, [])}
    told |= {"contradicts": entry.contradicts, "times": entry.times}
    return told | ({"by": entry.by} if entry.by else {})


def _what(entry: Entry) -> Literal["attempt", "exchange", "evidence", "act"]:
    attempt = entry.evidence is not None and entry.evidence.source is Source.PLAN
    return "attempt" if attempt else entry.what


def _masked(exchange: Exchange) -> dict[str, Any]:
    return dict(exchange.__rich_repr__())


def _story(entries: tuple[Entry, ...], *, several: bool) -> Table:
    shown = Table.grid(padding=(0, 2))
    shown.add_column(no_wrap=True, style="dim")
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for entry in entries:
        of = f" ({entry.key.account} {entry.key.kind})" if several and entry.key else ""
        for number, text in enumerate(_words(entry)):
            head = ("", "") if number else (_clock(entry.at), _what(entry) + of)
            shown.add_row(*map(cell, head), text)
    return shown


def _words(entry: Entry) -> Iterator[Text]:
    """Say one thing that happened, for a person, in one or more lines."""
    if entry.exchange:
        yield from _exchanged(entry.exchange)
        return
    found = entry.evidence or Evidence(source=Source.PLAN, state=State.SENDING)
    if found.source is Source.PLAN:
        yield cell("taken for sending, written down before it was sent")
        return
    reason = f": {one_line(found.reason)}" if found.reason else ""
    times = f", {entry.times} times" if entry.times > 1 else ""
    word = f" (provider: {found.provider_status})" if found.provider_status else ""
    who = f"{found.source} {entry.by}" if entry.by else str(found.source)
    text = cell(f"{who}: {found.state}{word}{times}{reason}")
    if entry.contradicts:
        text.append("; CONTRADICTS what was known: kept, not applied", "bold red")
    yield text


def _exchanged(exchange: Exchange) -> Iterator[Text]:
    """Show a request and its answer as they are kept: masked."""
    masked = _masked(exchange)
    answer = f"HTTP {exchange.status}" if exchange.status else f"{exchange.problem} ({exchange.phase})"
    yield cell(f"{exchange.method} {masked['url']}: {answer}, {exchange.duration * 1000:.0f} ms")
    for arrow, body in (("→", masked["request"]), ("←", masked["response"])):
        if body is not None:
            yield cell(f"{arrow} {one_line(json.dumps(msgspec.to_builtins(body), ensure_ascii=False))}", "dim")


def _utc(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clock(time: dt.datetime) -> str:
    return _utc(time).replace("T", " ")


def journal(
    action: Annotated[
        Literal["init", "upgrade"],
        typer.Argument(help="init: make the tables; upgrade: bring them to this version.", show_default=False),
    ],
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Make the journal's tables, or bring them to this version of payhub; whole or not at all.

    Safe to repeat. SQLite's are made by themselves on first use.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    with _journal(session) as opened:
        before, after, changed = _migrated(opened, action)
    done = "made" if before is None else f"upgraded from {before}" if changed else "are of this version already"
    session.answer({"before": before, "version": after, "changed": changed}, Text(f"tables: {done}, version {after}"))


def _migrated(opened: Any, action: str) -> tuple[str | None, str, bool]:
    """Look at the tables' version and upgrade them; only `init` makes new ones, for a prefix may be mistyped."""
    from payhub.journal import migrate  # noqa: PLC0415 - needs the extra `sql`, which the journal has just used

    with _usable(), opened.engine.begin() as connection:
        before = migrate.version(connection, opened.prefix)
    if action == "upgrade" and before is None:
        raise ConfigurationError("the journal has no tables under this prefix; make them: payhub journal init")
    with _usable():
        return before, migrate.HEAD, migrate.upgrade(opened.engine, opened.prefix)


@contextlib.contextmanager
def _usable() -> Iterator[None]:
    """Name a failure of the database by its kind: its own words may quote an address with a password."""
    try:
        yield
    except PayhubError:
        raise
    except Exception as cause:
        raise JournalFailed(f"the journal's database cannot be used: {type(cause).__name__}") from cause


COMMANDS = (sweep, unknown, check, resolve, trace, journal)
