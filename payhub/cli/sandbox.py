"""Run a provider's local simulation until interrupted."""

import errno
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Protocol, runtime_checkable

import typer
from rich.table import Table
from rich.text import Text

from payhub.accounts.config import read_file
from payhub.accounts.plugins import Plugins
from payhub.cli.command import command
from payhub.cli.console import listed
from payhub.cli.session import Session
from payhub.driver import ProviderInfo, Sandbox
from payhub.errors import ConfigurationError
from payhub.masking import printable

app = typer.Typer()


@runtime_checkable
class Configurable(Protocol):
    """A sandbox that has settings."""

    def configure(self, **settings: object) -> None:
        """Change some of them."""
        ...


@contextmanager
def started(provider: str, directory: Path, port: int) -> Iterator[tuple[ProviderInfo, Sandbox]]:
    """Serve a provider's sandbox on this machine while the block runs.

    Raises:
        ConfigurationError: it has none, something it needs is not installed, or it cannot start.
    """
    plugins = Plugins()
    info = plugins.provider(provider).info
    if info.sandbox is None:
        have = listed(each.info.name for each in plugins.providers if each.info.sandbox)
        raise ConfigurationError(f"provider {provider!r} ships no sandbox; these do: {have}")
    try:
        running = info.sandbox(directory, port)
    except ImportError as cause:
        needed = cause.name or "a library"
        raise ConfigurationError(f"the sandbox needs {needed}: pip install 'payhub-core[server]'") from cause
    try:
        running.__enter__()
    except OSError as cause:
        where = f"port {port}" if cause.errno == errno.EADDRINUSE else str(directory)
        raise ConfigurationError(f"the sandbox cannot start: {where}: {cause.strerror or cause}") from cause
    try:
        yield info, running
    finally:
        running.__exit__(None, None, None)


@command(app)
def sandbox(
    session: Session,
    provider: Annotated[str, typer.Argument(help="The provider, as alikassa.", show_default=False)],
    *,
    directory: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Where keys and payhub.toml are written, or found.")
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="The port; 0 takes a free one.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the sandbox; may be repeated."),
    ] = None,
) -> None:
    """Serve a local simulation of a provider, with keys and a payhub.toml, until Ctrl-C.

    No money moves and nothing leaves this machine. No configuration is read; one is written.
    """
    with started(provider, directory, port) as (info, running):
        if settings:
            _configure(running, settings)
        account, table = next(iter(read_file(running.config).accounts.items()))
        values = {
            "provider": info.name,
            "url": running.url,
            "config": str(running.config),
            "account": account,
            "pid": os.getpid(),
        }
        session.answer(values, *_instructions(info, running, account, table.get("currency", "RUB")))
        with suppress(KeyboardInterrupt):
            running.wait()


def _configure(running: Sandbox, settings: list[str]) -> None:
    """Set what `--set` says: a value in JSON or, so that `form` needs no quotes, a plain text.

    Raises:
        ConfigurationError: the sandbox has no such setting, or it cannot be that.
    """
    if not isinstance(running, Configurable):
        raise ConfigurationError("--set: this sandbox has no settings")
    values: dict[str, object] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        values[name] = text
        with suppress(ValueError):
            values[name] = json.loads(text)
    try:
        running.configure(**values)
    except ValueError as cause:
        raise ConfigurationError(f"--set: {cause}") from cause


def _instructions(info: ProviderInfo, running: Sandbox, account: str, currency: str) -> Iterator[Text | Table]:
    facts = Table.grid(padding=(0, 2))
    facts.add_row("sandbox", f"{info.title}, a simulation: no money moves")
    facts.add_row("address", running.url)
    facts.add_row("configuration", Text(printable(str(running.config)), overflow="fold"))
    facts.add_row("pages", "a hosted payment's page is the address that `payhub pay` shows: open it in a browser")
    yield facts
    yield Text("\nTry it from another terminal:")
    use = shlex.join([account, "--config", str(running.config)])
    payment = f"--order-id in-1 --amount 3000.00 --currency {currency} --method card"
    for line in (
        f"payhub doctor {use}",
        f"payhub pay {use} {payment} --payer-id u-1 --payer-ip 203.0.113.24",
        f"echo 4111111111111111 | payhub payout {use} --order-id po-1 --amount 500 --currency {currency} --to-card -",
        f"payhub status {use} payout --order-id po-1",
    ):
        yield Text(f"  {printable(line)}")
    yield Text("\nCtrl-C stops it.")
