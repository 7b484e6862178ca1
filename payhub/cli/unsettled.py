"""Look after orders that are not settled: list those that wait for a person, and ask about one."""

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
from payhub.journal.rules import may_send
from payhub.journal.states import UNFINISHED
from payhub.models import Exchange, Phase, Status

app = typer.Typer()

MAX_LISTED = 1000
"""How many orders `payhub unknown` lists."""


@command(app)
def unknown(
    session: Session,
    *,
    older: Annotated[
        str, typer.Option(metavar="1h", help="Only those that have not changed for so long: 90s, 10m, 1h, 2d.")
    ] = "0s",
) -> ExitCode:
    """List the orders that wait for a person; exit code 5 if there are any.

    These are the orders whose outcome is unknown, that need attention, that are contradicted, or whose account is
    another one now.
    """
    try:
        seconds = duration(older)
    except ValueError as cause:
        raise UsageError(f"--older: {cause}") from None
    with session.journal() as journal:
        found = journal.unsettled(seconds, MAX_LISTED + 1)
    records, more = found[:MAX_LISTED], len(found) > MAX_LISTED
    columns = ("account", "kind", "order", "state", "requested", "since (UTC)", "reason")
    shown = views.table(*columns, numbers=("requested",), wraps="reason")
    for record in records:
        facts = record.facts
        since, reason = views.second(record.updated_at), record.explanation and one_line(record.explanation)
        order = (facts.account, facts.kind, facts.order_id, views.state(record), facts.amount)
        shown.add_row(*map(cell, (*order, since, reason)))
    rest = [Text(f"the {MAX_LISTED} oldest; there are more")] if more else []
    values = {"orders": [views.order_values(record) for record in records], "more": more}
    session.answer(values, *([shown, *rest] if records else [Text("none")]))
    return ExitCode.WAITING if records else ExitCode.DONE


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
