"""Put the commands together, and turn whatever goes wrong into one line and an exit code."""

import importlib.metadata
import io
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from payhub.cli import accounts, demo, journal, notifications, orders, sandbox, serve, story, sweeps, ticket
from payhub.cli.console import MEANINGS, ExitCode, OutcomeUnknown, UsageError, one_line, write_json
from payhub.errors import ConfigurationError, Declined, InvalidOrder, PayhubError, UnknownOrder

DESCRIPTION = f"""Take payments and make payouts with many payment providers.

Exit codes: {"; ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items())}.
"""


# The nearest class an error derives from decides.
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


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"payhub {importlib.metadata.version('payhub-core')}")
        raise typer.Exit


def _payhub(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Stand before every command."""


def application() -> typer.Typer:
    """Make the application with all its commands."""
    app = typer.Typer(name="payhub", help=DESCRIPTION, add_completion=False, callback=_payhub)
    for group in (accounts, orders, sweeps, journal, story, ticket, serve, notifications, sandbox, demo):
        for command in group.COMMANDS:
            app.command()(command)
    return app


def run(arguments: Sequence[str]) -> ExitCode:
    """Run one command and return the exit code."""
    command = typer.main.get_command(application())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # an answer is given in any encoding
    try:
        code = command.main(list(arguments) or ["--help"], prog_name="payhub", standalone_mode=False)
    except Exception as cause:  # noqa: BLE001 - no user is to see a traceback
        return _report(cause, arguments)
    return ExitCode(code or ExitCode.DONE)


def _report(cause: Exception, arguments: Sequence[str]) -> ExitCode:
    early = isinstance(cause, typer.TyperException) and arguments[0].startswith("-")
    message = one_line(_message(cause) + ("; options go after the command" if early else ""))
    sys.stderr.write(f"payhub: {message}\n")
    if "--json" in arguments:
        write_json({"error": {"type": _type(cause), "message": message, **_details(cause)}})
    return next(EXIT_CODES[kind] for kind in type(cause).__mro__ if kind in EXIT_CODES)


def _message(cause: Exception) -> str:
    match cause:
        case typer.TyperException():
            return _without_digits(cause.format_message().replace("Value error, ", ""))
        case typer.Abort():
            return "aborted: an answer was expected on stdin"
        case PayhubError() | UsageError() | OutcomeUnknown():
            return str(cause)
    return f"unexpected {type(cause).__name__} in {_place(cause)}: a defect of payhub or of a plugin, please report it"


def _without_digits(message: str) -> str:
    """Hide every digit of a usage error but those of a limit: it quotes what was typed, maybe a card's, in pieces."""
    limit = found[0] if (found := _LIMIT.search(message)) else ""
    quoting = message.removesuffix(limit)
    return "".join("*" if character.isdigit() else character for character in quoting) + limit


_LIMIT = re.compile(r"Input should be (?:greater|less) than or equal to [\d.]+$", re.ASCII)


def _place(cause: Exception) -> str:
    """Name the line that raised; the text of a foreign error may hold anything and is not shown."""
    frames = traceback.extract_tb(cause.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"


def _type(cause: Exception) -> str:
    return "UsageError" if isinstance(cause, typer.TyperException) else type(cause).__name__


def _details(cause: Exception) -> dict[str, str]:
    match cause:
        case InvalidOrder(field=field):
            return {"field": field}
        case Declined(code=code) if code:
            return {"code": code}
    return {}
