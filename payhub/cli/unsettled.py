"""Look after orders that are not settled: list those that wait for a person, count them, and ask about one."""

import datetime as dt
from typing import Annotated

import typer
from rich.text import Text

from payhub.accounts.config import duration
from payhub.cli import views
from payhub.cli.command import AccountArgument, KindArgument, OrderArgument, command
from payhub.cli.console import cell, listed, one_line
from payhub.cli.lookup import find_record, own_entries, sender_deadline
from payhub.cli.recorder import Recorder
from payhub.cli.session import ExitCode, Session, UsageError
from payhub.hub import Hub
from payhub.journal import Journal, Key, Record, Source, State, Why
from payhub.journal.rules import is_overdue, may_send
from payhub.journal.states import UNFINISHED
from payhub.models import Exchange, Phase, Status
from payhub.ticket import wording
from payhub.ticket.texts import TEXTS
from payhub.ticket.values import clock, utc

app = typer.Typer()

MAX_LISTED = 1000
"""How many orders `payhub unknown` lists."""

OVERDUE_AFTER = "15m"
OverdueOption = Annotated[
    str, typer.Option(metavar="15m", help="For how long an order may be due before it is overdue: 90s, 10m, 1h, 2d.")
]


def read_duration(text: str, option: str) -> float:
    """Read the duration that an option gives, in seconds.

    Raises:
        UsageError: it is none.
    """
    try:
        return duration(text)
    except ValueError as cause:
        raise UsageError(f"{option}: {cause}") from None


def lasting(span: dt.timedelta) -> str:
    """Write for a person how long something has lasted."""
    return wording.duration(span, TEXTS["en"])


@command(app)
def unknown(
    session: Session,
    *,
    older: Annotated[
        str, typer.Option(metavar="1h", help="Only those that have not changed for so long: 90s, 10m, 1h, 2d.")
    ] = "0s",
    overdue: OverdueOption = OVERDUE_AFTER,
) -> ExitCode:
    """List the orders that wait for a person, and those that are overdue; exit code 5 if there are any.

    These are the orders whose outcome is unknown, that need attention, that are contradicted, or whose account is
    another one now; and those about which nobody has asked although they have been due for long.
    """
    seconds, late = read_duration(older, "--older"), read_duration(overdue, "--overdue")
    with session.journal() as journal:
        found = journal.unsettled(seconds, MAX_LISTED + 1, late)
    now = dt.datetime.now(dt.UTC)
    records, more = found[:MAX_LISTED], len(found) > MAX_LISTED
    columns = ("account", "kind", "order", "state", "requested", "since (UTC)", "reason")
    shown = views.table(*columns, numbers=("requested",), wraps="reason")
    orders = []
    for record in records:
        facts = record.facts
        delay = now - record.due_at if record.due_at and is_overdue(record, now, late) else None
        reasons = [f"overdue for {lasting(delay)}"] if delay else []
        reasons += [one_line(record.explanation)] if record.explanation else []
        order = (facts.account, facts.kind, facts.order_id, views.state(record), facts.amount)
        shown.add_row(*map(cell, (*order, views.second(record.updated_at), "; ".join(reasons) or None)))
        orders.append(views.order_values(record) | {"overdue": delay and round(delay.total_seconds())})
    rest = [Text(f"the {MAX_LISTED} oldest; there are more")] if more else []
    values = {"orders": orders, "more": more}
    session.answer(values, *([shown, *rest] if records else [Text("none")]))
    return ExitCode.WAITING if records else ExitCode.DONE


@command(app)
def health(
    session: Session,
    *,
    overdue: OverdueOption = OVERDUE_AFTER,
    older: Annotated[
        str, typer.Option(metavar="1h", help="How long an order may wait for a person: 90s, 10m, 1h, 2d.")
    ] = "1h",
) -> ExitCode:
    """Say for a monitor how the orders are; exit code 7 if some are overdue, or have been waiting for a person.

    An order is overdue if it was due some time ago: nobody sweeps, or its account does not answer.
    """
    late, long = read_duration(overdue, "--overdue"), read_duration(older, "--older")
    with session.journal() as journal:
        found = journal.health(late, long)
    delay = found.oldest_due_at and found.at - found.oldest_due_at
    facts = views.grid()
    facts.add_row("healthy", Text("yes", "green") if found.healthy else Text("no", "bold red"))
    oldest = f", the oldest for {lasting(delay)}: {' '.join(found.oldest)}" if found.oldest and delay else ""
    facts.add_row("overdue", cell(f"{found.overdue}{oldest}"))
    for name in ("unknown", "needs_attention", "contradicted"):
        facts.add_row(name.replace("_", " "), cell(getattr(found, name)))
    facts.add_row(f"waiting for {older}", cell(found.waiting))
    swept = f"{clock(found.swept_at)}, {lasting(found.at - found.swept_at)} ago" if found.swept_at else "none yet"
    facts.add_row("last sweep", cell(swept))
    advice = []
    if found.overdue:
        advice.append(Text("Nobody asks about orders that are due: run `payhub sweep` regularly, and read its log."))
    if found.waiting:
        advice.append(Text("Orders wait for a person: see `payhub unknown`."))
    order = found.oldest and {**found.oldest._asdict(), "due_at": found.oldest_due_at and utc(found.oldest_due_at)}
    counted = {name: getattr(found, name) for name in ("unknown", "needs_attention", "contradicted", "waiting")}
    values = {
        "healthy": found.healthy,
        "overdue": found.overdue,
        "oldest_overdue": order and {**order, "overdue": delay and round(delay.total_seconds())},
        **counted,
        "swept_at": found.swept_at and utc(found.swept_at),
    }
    session.answer(values, facts, *advice)
    return ExitCode.DONE if found.healthy else ExitCode.UNHEALTHY


@command(app)
def check(session: Session, account: AccountArgument, kind: KindArgument, order: OrderArgument) -> ExitCode:
    """Ask the provider about one order now, and keep the answer.

    An order that is closed, or is just being sent, is shown as it is recorded: the provider is not asked.
    """
    recorder, key = Recorder(), Key(account, kind, order)
    with Hub(session.durable_settings(), (recorder,)) as hub:
        hub.registry.account(account)  # names the known ones
        find_record(hub.journal, key)
        result = hub.advance(*key)
        record = find_record(hub.journal, key)
        answer = _answer(record, hub.journal, recorder.last)
    notes = [f"state: {record.state}", answer or "the provider was not asked: this is what is recorded"]
    notes += [deadline] if (deadline := sender_deadline(record)) else []
    notes += ["nothing left this machine: the order may be created again under its id"] if may_send(record) else []
    values = {"state": record.state, "asked": recorder.last is not None, "answer": answer}
    session.answer(views.result_values(result) | values, *views.result(result), *map(Text, notes))
    return ExitCode.UNKNOWN if result.status is Status.UNKNOWN else ExitCode.DONE


def _answer(record: Record, journal: Journal, last: Exchange | None) -> str | None:
    """Say what came of the question that was just asked about an order; nothing if there was none to ask."""
    if last is None and (record.state is State.SENDING or record.state not in UNFINISHED):
        return None
    entries = own_entries(journal, record)
    answers = [entry for entry in entries if entry.evidence and entry.evidence.source is Source.STATUS]
    if not answers or (evidence := answers[-1].evidence) is None:
        return None
    if evidence.why is Why.NOT_FOUND:
        return "asked: the provider does not find it, which proves nothing"
    if evidence.provider_status is None and evidence.inconclusive:
        words = one_line(
            (evidence.reason if evidence.why is Why.NOT_SENT else evidence.explanation) or "no usable answer"
        )
        sent = last is not None and last.phase is not Phase.NOT_SENT
        return f"asked without result: {words}{'' if sent else '; it is the question that was not sent'}"
    word = one_line(evidence.provider_status) if evidence.provider_status else evidence.state
    mismatches = f", which contradicts the order: {listed(evidence.mismatches)}" if evidence.mismatches else ""
    contradicts = "; that contradicts what was known: kept, not applied" if answers[-1].contradicts else ""
    return f"asked: the provider says {word}{mismatches}{contradicts}"
