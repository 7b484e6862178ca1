"""Put the commands together, and turn whatever goes wrong into one line and an exit code."""

import importlib.metadata
import io
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from payhub.cli import (
    accounts,
    demo,
    doctor,
    history,
    journal,
    notifications,
    orders,
    resolve,
    sandbox,
    serve,
    story,
    sweeps,
    ticket,
    unsettled,
)
from payhub.cli.command import ConfigOption, JsonOption, VerboseOption, common
from payhub.cli.console import write_json
from payhub.cli.session import MEANINGS, ExitCode, OutcomeUnknown, UsageError
from payhub.errors import ConfigurationError, Declined, InvalidOrder, PayhubError, UnknownOrder
from payhub.masking import one_line

DESCRIPTION = f"""Take payments and make payouts with many payment providers.

Exit codes: {"; ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items())}.
"""

# The nearest class that an error derives from decides.
EXIT_CODES: Mapping[type[BaseException], ExitCode] = {
    Exception: ExitCode.DEFECT,
    typer.Abort: ExitCode.USAGE,
    typer.TyperException: ExitCode.USAGE,
    UsageError: ExitCode.USAGE,
    ConfigurationError: ExitCode.USAGE,
    UnknownOrder: ExitCode.USAGE,
    PayhubError: ExitCode.REFUSED,
    OutcomeUnknown: ExitCode.UNKNOWN,
}

_LIMIT = re.compile(r"Input should be (?:greater|less) than or equal to [\d.]+$", re.ASCII)


def show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    """Show the version, if it is wanted, and end."""
    if wanted:
        typer.echo(f"payhub {importlib.metadata.version('payhub-core')}")
        raise typer.Exit


app = typer.Typer(name="payhub", help=DESCRIPTION, add_completion=False, rich_markup_mode="markdown")
for module in (
    accounts, doctor, orders, history, sweeps, unsettled, resolve, story, ticket,
    journal, serve, notifications, sandbox, demo,
):  # fmt: skip
    app.add_typer(module.app)


@app.callback()
def payhub(
    context: typer.Context,
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Keep the options that stand before the command."""
    common(context=context, config=config, as_json=as_json, verbose=verbose)


def run(arguments: Sequence[str]) -> ExitCode:
    """Run one command and return the exit code."""
    command = typer.main.get_command(app)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # an answer is given in any encoding
    try:
        code = command.main(list(arguments) or ["--help"], prog_name="payhub", standalone_mode=False)
    except Exception as cause:  # noqa: BLE001 - no user is to see a traceback
        return _report(cause, as_json="--json" in arguments)
    return ExitCode(code or ExitCode.DONE)


def _report(cause: Exception, *, as_json: bool) -> ExitCode:
    kind = type(cause).__name__
    details: dict[str, str] = {}
    match cause:
        case typer.TyperException():
            kind = "UsageError"
            text = cause.format_message().replace("Value error, ", "")
            # It quotes what was typed, maybe a card's number in pieces: only a limit keeps its digits.
            limit = found[0] if (found := _LIMIT.search(text)) else ""
            quoting = text.removesuffix(limit)
            text = "".join("*" if character.isdigit() else character for character in quoting) + limit
        case typer.Abort():
            text = "aborted: an answer was expected on stdin"
        case PayhubError() | UsageError() | OutcomeUnknown():
            text = str(cause)
        case _:
            # The text of a foreign error may hold anything and is not shown.
            frames = traceback.extract_tb(cause.__traceback__)
            place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
            text = f"unexpected {kind} in {place}: a defect of payhub or of a plugin, please report it"
    match cause:
        case InvalidOrder(field=field):
            details = {"field": field}
        case Declined(code=code) if code:
            details = {"code": code}
    message = one_line(text)
    sys.stderr.write(f"payhub: {message}\n")
    if as_json:
        write_json({"error": {"type": kind, "message": message, **details}})
    return next(EXIT_CODES[each] for each in type(cause).__mro__ if each in EXIT_CODES)
