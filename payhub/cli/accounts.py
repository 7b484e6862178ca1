"""Show what is installed and configured: providers, accounts."""

from collections import Counter
from typing import Any

import msgspec
import typer
from rich.text import Text

from payhub.accounts.plugins import Plugins
from payhub.cli import views
from payhub.cli.command import command
from payhub.cli.console import cell
from payhub.cli.session import Session
from payhub.errors import ConfigurationError
from payhub.masking import one_line, printable
from payhub.operations import KINDS

app = typer.Typer()


@command(app)
def providers(session: Session) -> None:
    """List the installed drivers and what each can do, plugins that wrap or observe, and broken ones with the cause.

    No configuration is needed, and none is read.
    """
    plugins = Plugins()
    claims = Counter(provider.info.name for provider in plugins.providers)
    rows: list[dict[str, Any]] = []
    for provider in plugins.providers:
        info = provider.info
        twice = "more than one distribution claims the name; uninstall all but one"
        row: dict[str, Any] = {
            "name": info.name,
            "title": info.title,
            "api_version": info.api_version,
            "distribution": provider.origin,
            "documentation": info.documentation,
            "operations": list(plugins.supported(provider)),
            "sandbox": info.sandbox is not None,
        }
        for kind in KINDS:
            extra = info.extras.get(kind)
            row[f"{kind}_fields"] = [field.name for field in msgspec.structs.fields(extra)] if extra else []
        rows.append(row | {"problem": twice if claims[info.name] > 1 else None})
    broken = []
    for each in plugins.broken:
        cause = one_line(f"{type(each.cause).__name__}: {each.cause}")
        broken.append({"name": each.name, "distribution": each.origin, "cause": cause})
    companions = [
        {"name": each.name, "distribution": each.origin, "wraps": list(each.wraps), "observes": each.observes}
        for each in plugins.companions
    ]
    shown = views.table("name", "title", "API", "distribution", "can", wraps="can")
    notes: list[Text] = []
    for row in rows:
        facts = (row["name"], row["title"], row["api_version"], row["distribution"], ", ".join(row["operations"]))
        shown.add_row(*map(cell, facts))
        for kind in KINDS:
            if names := row[f"{kind}_fields"]:
                notes += [Text(f"{row['name']}: a {kind} takes --set of {', '.join(names)}")]
    wrong = {each["name"]: f"broken: {each['cause']}" for each in broken}
    wrong |= {row["name"]: row["problem"] for row in rows if row["problem"]}
    notes += [Text.assemble(("✗", "red"), f" {name}: {printable(problem)}") for name, problem in wrong.items()]
    notes += [Text(printable(str(each))) for each in plugins.companions]
    session.answer({"providers": rows, "companions": companions, "broken": broken}, shown, *notes)


@command(app)
def accounts(session: Session) -> None:
    """List the configured accounts, and whether each can be opened: its keys are loaded, and nothing is sent."""
    rows: list[dict[str, Any]] = []
    shown = views.table("account", "provider", "opened", wraps="opened")
    with session.hub() as hub:
        for name in hub.accounts:
            value = hub.registry.settings.accounts[name].get("provider")
            provider = value if isinstance(value, str) else None
            problem = None
            try:
                hub.registry.account(name)
            except ConfigurationError as cause:
                problem = one_line(str(cause))
            rows.append({"name": name, "provider": provider, "opened": problem is None, "problem": problem})
            shown.add_row(cell(name), cell(provider), cell(problem or "ok", "red" if problem else "green"))
    session.answer({"accounts": rows}, shown)
