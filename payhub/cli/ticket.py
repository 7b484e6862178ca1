"""Write what a provider's support needs to find out what became of an order."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from payhub.cli.console import (
    KIND_METAVAR,
    ConfigOption,
    JsonOption,
    Session,
    UsageError,
    VerboseOption,
    kind_word,
    listed,
)
from payhub.cli.journal import OrderArgument
from payhub.cli.meant import nowhere
from payhub.journal import Key, Record
from payhub.masking import printable
from payhub.ticket import Format, Lang, Ticket, form_of


def ticket(  # noqa: PLR0913 - one argument for each option
    order: OrderArgument,
    *,
    account: Annotated[str | None, typer.Option(metavar="ACCOUNT", help="If several accounts have this id.")] = None,
    kind: Annotated[
        str | None, typer.Option(parser=kind_word, metavar=KIND_METAVAR, help="If a payment and a payout have this id.")
    ] = None,
    lang: Annotated[Lang, typer.Option(help="The language of the text.")] = "en",
    form: Annotated[
        Format | None, typer.Option("--format", help="Else what FILE's suffix says, else md.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to; else stdout. A zip needs it.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a FILE that is there.")] = False,
    internal: Annotated[
        bool, typer.Option("--internal", help="Also tell what happened on our own side: not for the provider.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Make what the provider's support needs to find out what became of an order, ready to be sent.

    A text in English or Russian, the exchanges (masked), the notifications, a manifest. Nothing is
    sent or asked. It is refused if it would show a card number, a secret or a signature.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    chosen = _form(form, output, as_json=as_json)
    with session.journal() as journal:
        records, entries = journal.story(order)
        if not records:
            raise nowhere(journal, order)
    made = Ticket.of(_chosen(records, account, kind), records, entries, lang=lang, internal=internal)
    if output is None:
        sys.stdout.write(made.rendered(chosen).decode())
        sys.stdout.flush()
        return
    path = _written(made, output, chosen, force=force)
    told = {"file": str(path), "format": chosen, "situation": made.situation, "internal": internal}
    session.answer(told | {"exchanges": len(made.exchanges)}, Text(f"written: {printable(str(path))}"))


def _form(form: Format | None, output: Path | None, *, as_json: bool) -> Format:
    if output is None and form == "zip":
        raise UsageError("a zip needs a file: -o FILE")
    if output is None:
        return "json" if as_json else form or "md"
    return form or form_of(output)


def _chosen(records: Sequence[Record], account: str | None, kind: str | None) -> Key:
    """Return the one order that is meant.

    Raises:
        UsageError: there are several, or none that is meant; those that there are, are listed.
    """
    keys = [record.facts.key for record in records]
    meant = [key for key in keys if account in {None, key.account} and kind in {None, key.kind}]
    if len(meant) != 1:
        has = listed(f"{key.kind} of {key.account}" for key in keys)
        raise UsageError(f"say which with --account and --kind; the journal has with this id: {has}")
    return meant[0]


def _written(made: Ticket, path: Path, form: Format, *, force: bool) -> Path:
    try:
        return made.write(path, form, force=force)
    except FileExistsError:
        raise UsageError("the file is there already; --force writes over it") from None
    except OSError as cause:
        raise UsageError(f"the file cannot be written: {cause.strerror}") from cause


COMMANDS = (ticket,)
