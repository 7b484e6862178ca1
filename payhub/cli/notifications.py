"""Look at the notifications that were received, and process one again."""

from typing import Annotated

import msgspec
import typer
from rich.text import Text

from payhub.cli import views
from payhub.cli.command import command, common
from payhub.cli.console import cell
from payhub.cli.session import ExitCode, Session
from payhub.errors import NotFound
from payhub.hub import Hub
from payhub.journal import Journal, StoredNotification
from payhub.journal.records import unknown_order
from payhub.models import Status

app = typer.Typer(
    name="notifications", callback=common, help="List the notifications that were received, and process one again."
)

NumberArgument = Annotated[
    int, typer.Argument(min=1, metavar="NUMBER", help="Its number in the list.", show_default=False)
]


@command(app, "list")
def list_notifications(
    session: Session,
    *,
    order: Annotated[str | None, typer.Option(metavar="ORDER", help="Only those about this order_id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="The most that are listed.")] = 50,
) -> None:
    """List the notifications that were received, the newest first."""
    with session.journal() as journal:
        notifications = journal.notifications(limit, order_id=order)
    columns = ("number", "last (UTC)", "account", "kind", "order", "says", "times", "verdict")
    shown = views.table(*columns, wraps="last (UTC)")
    for stored in notifications:
        content = stored.content
        order_said = (content.account, content.kind, content.order_id, content.provider_status)
        shown.add_row(*map(cell, (stored.id, views.second(stored.last_at), *order_said, stored.times, stored.verdict)))
    values = {"notifications": [views.notification_values(stored) for stored in notifications]}
    session.answer(values, shown if notifications else Text("none"))


@command(app)
def show(session: Session, number: NumberArgument) -> None:
    """Show a notification with its signed fields, masked."""
    with session.journal() as journal:
        stored = _find(journal, number)
    values = views.notification_values(stored)
    grid = views.grid()
    for name, value in values.items():
        if value in (None, {}):
            continue
        match value:
            case {"amount": amount, "currency": currency}:
                words = f"{amount} {currency}"
            case dict():
                words = msgspec.json.encode(value).decode()
            case _:
                words = str(value)
        grid.add_row(name.replace("_", " "), cell(words))
    session.answer(values, grid)


@command(app)
def replay(session: Session, number: NumberArgument) -> ExitCode:
    """Process a notification again: ask the provider about its order.

    Nothing is taken from the notification itself: only the provider's answer changes the order.
    """
    settings = session.durable_settings()
    with Hub(settings) as hub:
        content = _find(hub.journal, number).content
        hub.registry.account(content.account)
        intake = hub.journal.keep_notification(content, settings.notifications.window, hub.registry.lease, anew=True)
        if intake.record is None and hub.journal.find(content.key) is None:
            raise unknown_order(content.key)
        result = hub.advance(*content.key)
        verdict = _find(hub.journal, number).verdict
    values = views.result_values(result) | {"verdict": verdict}
    session.answer(values, *views.result(result), Text(f"notification: {verdict}"))
    return ExitCode.UNKNOWN if result.status is Status.UNKNOWN else ExitCode.DONE


def _find(journal: Journal, number: int) -> StoredNotification:
    notifications = journal.notifications(1, number=number)
    if not notifications:
        raise NotFound("the journal has no notification with this number")
    return notifications[0]
