"""Record what a person found out about an order, where the provider could not say."""

import datetime as dt
from typing import Annotated, Self

import msgspec
import typer
from rich.panel import Panel
from rich.text import Text

from payhub.cli import views
from payhub.cli.command import AccountArgument, KindArgument, OrderArgument, command
from payhub.cli.console import cell
from payhub.cli.lookup import find_record, own_entries, sender_deadline
from payhub.cli.session import Session, UsageError
from payhub.driver import Schedule
from payhub.errors import IllegalStep
from payhub.hub import Hub
from payhub.journal import Evidence, Journal, Key, Record, Source, State, rules
from payhub.journal.states import LIVE, NOTHING_MOVED, status_of
from payhub.masking import one_line
from payhub.money import Money
from payhub.plans.resolve import Outcome
from payhub.ticket.situations import is_contradiction
from payhub.ticket.values import clock, jsonable

app = typer.Typer()


class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """What contradicts what is known of an order: an answer, or a notification."""

    source: str
    state: State
    provider_status: str | None
    provider_id: str | None
    paid: Money | None
    at: dt.datetime

    @classmethod
    def find(cls, journal: Journal, record: Record) -> Self | None:
        """Return what contradicts an order, the last if there are several."""
        entries = own_entries(journal, record) if record.contradicted else []
        for last in reversed(entries):
            content = last.evidence or (last.notification and last.notification.content)
            if content and is_contradiction(last):
                return cls(
                    source=content.source if isinstance(content, Evidence) else last.what,
                    state=content.state,
                    provider_status=content.provider_status and one_line(content.provider_status),
                    provider_id=content.provider_id,
                    paid=content.paid,
                    at=last.last_at or last.at,
                )
        return None


@command(app)
def resolve(
    session: Session,
    account: AccountArgument,
    kind: KindArgument,
    order: OrderArgument,
    *,
    outcome: Annotated[Outcome, typer.Option("--as", help="The outcome.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="How it was found out, and where that can be read.")],
    by: Annotated[str, typer.Option(metavar="NAME", help="The name of the person who decides.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only what would be done is shown.")] = False,
) -> None:
    """Record the outcome that a person found out, or correct the one that is recorded. The entry is permanent.

    An order that is pending or being sent cannot be resolved. Without --yes nothing is changed.
    """
    reason, by = one_line(reason).strip(), one_line(by).strip()
    if not reason or not by:
        raise UsageError("--reason and --by must say something: they are kept with the order")
    key = Key(account, kind, order)
    with Hub(session.durable_settings()) as hub:
        if account not in hub.accounts and hub.journal.find(key) is None:
            hub.registry.account(account)  # names the known ones
        before = find_record(hub.journal, key)
        denial = Denial.find(hub.journal, before)
        decision = Evidence(source=Source.OPERATOR, state=State(outcome), reason=reason)
        now = dt.datetime.now(dt.UTC)
        try:
            after, _ = rules.apply(before, decision, now, Schedule())  # refuses what the journal would
        except IllegalStep as cause:
            raise IllegalStep(f"{cause}; {_advice(before)}") from cause
        _, refusal = rules.keep_one_live(before, after, hub.journal.story(order)[0], now)
        if refusal is not None and not yes:
            raise IllegalStep(f"{refusal}. With --yes this stays refused, and what you found out is kept and flagged")
        if yes:
            hub.resolve(*key, outcome, reason=reason, by=by)
    values = {
        "order": views.order_values(before),
        "done": yes,
        "from": before.state,
        "to": after.state,
        "reason": reason,
        "by": by,
        "contradicted_by": jsonable(denial),
    }
    panel = _panel(before, after, denial, reason=reason, by=by, done=yes)
    session.answer(
        values, panel, Text("Recorded permanently." if yes else "Nothing was changed. With --yes it is recorded.")
    )


def _advice(record: Record) -> str:
    """Say what to do with an order that cannot be resolved."""
    if deadline := sender_deadline(record):
        return deadline
    if record.state.open:
        return "ask the provider with `payhub check`, or wait for a sweep"
    if rules.may_send(record):
        return "nothing was sent, and it may be created again under its order_id"
    return "it is closed; `payhub trace` shows how"


def _panel(before: Record, after: Record, denial: Denial | None, *, reason: str, by: str, done: bool) -> Panel:
    """Show what a person has to know before resolving an order, and what becomes of it."""
    facts, grid = before.facts, views.grid()
    grid.add_row("requested", cell(facts.amount))
    grid.add_row("method", cell(views.destination(facts)))
    grid.add_row("created", cell(clock(before.created_at)))
    grid.add_row("changed", cell(clock(before.updated_at)))
    grid.add_row("provider id", cell(before.provider_id))
    if before.explanation:
        grid.add_row("reason so far", cell(one_line(before.explanation)))
    if denial:
        word = f" (provider: {denial.provider_status})" if denial.provider_status else ""
        other = f", id {denial.provider_id}" if denial.provider_id not in {None, before.provider_id} else ""
        paid = f", paid {denial.paid}" if denial.paid else ""
        words = f"{denial.source}: {denial.state}{word}{other}{paid}, {clock(denial.at)}"
        grid.add_row("contradicted by", cell(words, "bold red"))
    would, did = ("stay", "stayed") if before.state is after.state else ("become", "became")
    grid.add_row("order was" if done else "order is", cell(views.state(before)))
    grid.add_row(did if done else f"would {would}", cell(after.state, "bold"))
    told, told_before = status_of(after.state), before.status
    again = "again " if before.state is after.state else ""
    how = "as before" if told is told_before else f"{again}from {'now' if done else 'then'} on, no longer {told_before}"
    grid.add_row("application", cell(f"gets {told} {how}"))
    if before.state in LIVE and after.state in NOTHING_MOVED:
        grid.add_row("", cell("may create the order again, with another account", "bold red"))
    grid.add_row("reason", cell(reason))
    grid.add_row("by", cell(by))
    title = cell(f"{facts.kind} {facts.order_id} of {facts.account}")
    return Panel(grid, title=title, title_align="left", expand=False)
