"""Look at the notifications that were received, and process one again."""

from typing import Annotated, Literal

import msgspec
import typer
from rich.text import Text

from payhub.cli import views
from payhub.cli.console import ConfigOption, ExitCode, JsonOption, Session, UsageError, VerboseOption, cell
from payhub.errors import NotFound
from payhub.hub import Hub
from payhub.journal import Journal, Noted
from payhub.journal.records import unknown_order
from payhub.models import Status

Action = Literal["list", "show", "replay"]


def notifications(
    action: Annotated[
        Action,
        typer.Argument(
            help="list: the newest; show: one, with its signed fields; replay: process one again.", show_default=False
        ),
    ],
    number: Annotated[
        int | None, typer.Argument(min=1, metavar="[NUMBER]", help="Its number in the list.", show_default=False)
    ] = None,
    *,
    order: Annotated[str | None, typer.Option(metavar="ORDER", help="Only those about this order_id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="The most that are listed.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> ExitCode:
    """Look at the notifications that were received, or process one again: ask the provider about its order.

    What is kept is masked. Replaying believes nothing: only the provider's answer changes the order.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    if (number is None) != (action == "list"):
        raise UsageError("the number of a notification is needed to show or replay it, and not to list")
    if number is None:
        return _list(session, order, limit)
    return _show(session, number) if action == "show" else _replay(session, number)


def _list(session: Session, order: str | None, limit: int) -> ExitCode:
    with session.journal() as journal:
        found = journal.notices(limit, order_id=order)
    shown = views.table("number", "last (UTC)", "account", "kind", "order", "says", "times", "verdict")
    for noted in found:
        notice = noted.notice
        said = (notice.account, notice.kind, notice.order_id, notice.provider_status, noted.times, noted.verdict)
        shown.add_row(*map(cell, (noted.id, views.second(noted.last_at), *said)))
    session.answer({"notifications": [views.notification(noted) for noted in found]}, shown if found else Text("none"))
    return ExitCode.DONE


def _show(session: Session, number: int) -> ExitCode:
    with session.journal() as journal:
        noted = _known(journal, number)
    told = views.notification(noted)
    grid = views.grid()
    for name, value in told.items():
        if value not in (None, {}):
            grid.add_row(name.replace("_", " "), cell(_words(value)))
    session.answer(told, grid)
    return ExitCode.DONE


def _words(value: object) -> str:
    match value:
        case {"amount": amount, "currency": currency}:
            return f"{amount} {currency}"
        case dict():
            return msgspec.json.encode(value).decode()
    return str(value)


def _known(journal: Journal, number: int) -> Noted:
    found = journal.notices(1, number=number)
    if not found:
        raise NotFound("the journal has no notification with this number")
    return found[0]


def _replay(session: Session, number: int) -> ExitCode:
    settings = session.lasting()
    with Hub(settings) as hub:
        notice = _known(hub.journal, number).notice
        hub.registry.account(notice.account)
        noticed = hub.journal.notice(notice, settings.notifications.window, hub.registry.lease, anew=True)
        if noticed.record is None:
            raise unknown_order(notice.key)
        found = hub.advance(*notice.key)
        verdict = _known(hub.journal, number).verdict
    session.answer(views.plain(found) | {"verdict": verdict}, *views.result(found), Text(f"notification: {verdict}"))
    return ExitCode.UNKNOWN if found.status is Status.UNKNOWN else ExitCode.DONE


COMMANDS = (notifications,)
