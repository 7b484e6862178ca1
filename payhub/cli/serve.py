"""Receive notifications in a process of their own, and sweep beside it."""

import os
import signal
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from payhub.cli.command import command
from payhub.cli.session import Session
from payhub.cli.sweeps import Interrupts, Swept, sweep_once
from payhub.errors import ConfigurationError
from payhub.hub import Hub
from payhub.masking import printable
from payhub.receivers import asgi

app = typer.Typer()

PAUSE = 5.0
"""Seconds between two sweeps."""

_LIMIT = 100


@command(app, creates=True)
def serve(
    session: Session,
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="The port; 0 takes a free one.")],
    host: Annotated[str, typer.Option(metavar="HOST", help="The address to listen on.")] = "127.0.0.1",
    sweep: Annotated[bool, typer.Option("--sweep", help="Sweep, too, as `payhub sweep --watch 5` does.")] = False,
) -> None:
    """Receive the providers' notifications over HTTP, and ask the provider about each.

    Ctrl-C and SIGTERM stop it when the requests and questions under way are done; a second one stops it at once.
    """
    with Hub(session.durable_settings()) as hub:
        try:
            from payhub.receivers.server import Server  # noqa: PLC0415 - needs the extra `server`
        except ImportError as cause:
            needed = cause.name or "a library"
            raise ConfigurationError(f"receiving needs {needed}: pip install 'payhub-core[server]'") from cause
        try:
            server = Server(asgi(hub), host, port)
        except OSError as cause:
            raise ConfigurationError(f"cannot listen on {host}, port {port}: {cause.strerror or cause}") from cause

        def stop() -> None:
            server.stop()
            for number in (signal.SIGINT, signal.SIGTERM):  # the next one ends the process at once
                signal.signal(number, signal.SIG_DFL)

        facts = Table.grid(padding=(0, 2))
        facts.add_row("address", server.url)
        for account in hub.accounts or ("<account>",):
            facts.add_row("give the provider", Text(printable(f"http(s)://your-host/{account}"), overflow="fold"))
        elsewhere = f"must run elsewhere: payhub sweep --watch {PAUSE:.0f}"
        facts.add_row("sweep", f"here, every {PAUSE:.0f} seconds" if sweep else elsewhere)
        values = {"url": server.url, "accounts": list(hub.accounts), "sweep": sweep, "pid": os.getpid()}
        done: Swept = Swept()
        with Interrupts(stop) as interrupts, server:
            session.answer(values, facts, Text("\nCtrl-C stops it."))
            while not interrupts.asked:
                if not server.alive:
                    raise RuntimeError("the server has ended by itself")
                swept = sweep_once(session, hub.sweeping(_LIMIT), interrupts, done, keep_trying=True) if sweep else 0
                if swept < _LIMIT:
                    interrupts.pause(PAUSE)
