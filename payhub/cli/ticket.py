"""Write what a provider's support needs to find out what became of an order."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from payhub.cli.command import OrderArgument, command, kind_word
from payhub.cli.console import listed
from payhub.cli.lookup import not_found
from payhub.cli.session import Session, UsageError
from payhub.masking import printable
from payhub.operations import KINDS
from payhub.ticket import Format, Lang, Ticket, form_of

app = typer.Typer()


@command(app)
def ticket(  # noqa: PLR0913 - one argument for each option
    session: Session,
    order: OrderArgument,
    *,
    account: Annotated[
        str | None, typer.Option(metavar="ACCOUNT", help="The account, if orders of several accounts have this id.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(parser=kind_word, metavar="|".join(KINDS), help="The kind, if orders of several have this id."),
    ] = None,
    lang: Annotated[Lang, typer.Option(help="The language of the text.")] = "en",
    form: Annotated[
        Format | None,
        typer.Option("--format", help="By default what FILE's suffix says, or md.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The file to write; by default stdout. A zip needs it."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a FILE that exists.")] = False,
    internal: Annotated[
        bool, typer.Option("--internal", help="Also say what happened on your own side: not for the provider.")
    ] = False,
) -> None:
    """Write what the provider's support needs to find out what became of an order, ready to be sent.

    It has a text in English or Russian, the exchanges (masked), the notifications, and a manifest. Nothing is sent or
    asked. A ticket that would show a card number, a secret or a signature is refused.
    """
    if output is None and form == "zip":
        raise UsageError("a zip needs a file: -o FILE")
    if output is None and session.as_json:
        form = "json"
    form = form or (form_of(output) if output else "md")
    with session.journal() as journal:
        records, entries = journal.story(order)
        if not records:
            raise not_found(journal, order)
    keys = [record.facts.key for record in records]
    meant = [key for key in keys if account in {None, key.account} and kind in {None, key.kind}]
    if len(meant) != 1:
        known = listed(f"{key.kind} of {key.account}" for key in keys)
        raise UsageError(f"say which with --account and --kind; the journal has with this id: {known}")
    report = Ticket.of(meant[0], records, entries, lang=lang, internal=internal)
    if output is None:
        sys.stdout.write(report.rendered(form).decode())
        sys.stdout.flush()
        return
    path = report.write(output, form, force=force)
    values = {"file": str(path), "format": form, "situation": report.situation, "internal": internal}
    session.answer(values | {"exchanges": len(report.exchanges)}, Text(f"written: {printable(str(path))}"))
