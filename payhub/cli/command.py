"""Make functions commands: with the options that all of them take, and a session made of these."""

import datetime as dt
import functools
import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from payhub.cli.console import log_to_stderr
from payhub.cli.session import ExitCode, Session, UsageError
from payhub.operations import KINDS

Run = TypeVar("Run", bound=Callable[..., ExitCode | None])

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="The configuration file; by default $PAYHUB_CONFIG, or ./payhub.toml."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on stdout.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Log every exchange with the provider, masked, on stderr.")
]
AccountArgument = Annotated[str, typer.Argument(help="The account's name in the configuration.", show_default=False)]
OrderArgument = Annotated[str, typer.Argument(help="Your own id, the order_id.", show_default=False)]


def kind_word(text: str) -> str:
    """Read the word of a kind of order."""
    if text not in KINDS:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(map(repr, KINDS))}.")
    return text


KindArgument = Annotated[
    str, typer.Argument(parser=kind_word, help=f"The kind of order: {' or '.join(KINDS)}.", show_default=False)
]


def read_day(text: str, option: str) -> dt.date:
    """Read the day that an option gives.

    Raises:
        UsageError: it is not one.
    """
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option}: not a date, as 2026-01-31") from None


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the common options say."""

    config: Path | None = None
    as_json: bool = False
    verbose: bool = False


def common(
    *,
    context: typer.Context,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Keep the common options in the context; they may stand before a command, after it, or both."""
    before: Options = context.obj or Options()
    context.obj = Options(
        config=config or before.config, as_json=as_json or before.as_json, verbose=verbose or before.verbose
    )


def command(app: typer.Typer, name: str | None = None, *, creates: bool = False) -> Callable[[Run], Run]:
    """Make a function a command of `app`, which takes the common options, too.

    The function's first argument is the session that is made of these. `creates` says that the
    command creates orders, or the journal itself.
    """

    def register(function: Run) -> Run:
        @functools.wraps(function)
        def run(
            *, context: typer.Context, config: Path | None, as_json: bool, verbose: bool, **own: Any
        ) -> ExitCode | None:
            common(context=context, config=config, as_json=as_json, verbose=verbose)
            options: Options = context.obj
            log_to_stderr(logging.INFO if options.verbose else logging.WARNING, creates=creates)
            return function(Session(config=options.config, as_json=options.as_json, creates=creates), **own)

        _session, *own = inspect.signature(function).parameters.values()
        shared = inspect.signature(common).parameters.values()
        # typer reads the signature to make the command's arguments and options.
        run.__signature__ = inspect.Signature(sorted([*own, *shared], key=lambda each: each.kind))  # type: ignore[attr-defined]
        app.command(name)(run)
        return function

    return register
