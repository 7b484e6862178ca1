"""Show what is installed and configured, and examine it: providers, accounts, doctor."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
import typer
from rich.text import Text

from payhub.accounts.account import OpenAccount
from payhub.accounts.plugins import Plugins, Provider
from payhub.cli import views
from payhub.cli.console import (
    ConfigOption,
    ExitCode,
    JsonOption,
    Session,
    VerboseOption,
    cell,
    listed,
    one_line,
    stdout,
)
from payhub.driver import insecure
from payhub.errors import (
    BrokenPlugin,
    ConfigurationError,
    NotFound,
    PayhubError,
    UnknownAccount,
    UnknownProvider,
    UnsupportedOperation,
)
from payhub.hookspecs import hookimpl
from payhub.hub import Hub
from payhub.masking import printable
from payhub.models import AccountInfo, Exchange, Phase
from payhub.operations import KINDS

MOST_SKEW = dt.timedelta(seconds=30)


def providers(
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """List the installed drivers and what each can do; broken plugins with their cause.

    Needs no configuration and reads none.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    plugins = Plugins()
    claims = Counter(provider.info.name for provider in plugins.providers)
    rows = [_provider(plugins, provider, claims[provider.info.name]) for provider in plugins.providers]
    broken = [
        {
            "name": each.name,
            "distribution": each.origin,
            "cause": one_line(f"{type(each.cause).__name__}: {each.cause}"),
        }
        for each in plugins.broken
    ]
    shown = views.table("name", "title", "API", "distribution", "can")
    for row in rows:
        facts = (row["name"], row["title"], row["api_version"], row["distribution"], ", ".join(row["operations"]))
        shown.add_row(*map(cell, facts))
    notes = [Text(line) for row in rows for line in _settable(row)]
    wrong = {each["name"]: f"broken: {each['cause']}" for each in broken}
    wrong |= {row["name"]: row["problem"] for row in rows if row["problem"]}
    notes += [Text.assemble(("✗", "red"), f" {name}: {printable(problem)}") for name, problem in wrong.items()]
    session.answer({"providers": rows, "broken": broken}, shown, *notes)


def _provider(plugins: Plugins, provider: Provider, claims: int) -> dict[str, Any]:
    info = provider.info
    return {
        "name": info.name,
        "title": info.title,
        "api_version": info.api_version,
        "distribution": provider.origin,
        "documentation": info.documentation,
        "operations": list(plugins.supported(provider)),
        "sandbox": info.sandbox is not None,
        **{f"{kind}_fields": _field_names(info.extras.get(kind)) for kind in KINDS},
        "problem": "more than one distribution claims the name; uninstall all but one" if claims > 1 else None,
    }


def _field_names(shape: type[msgspec.Struct] | None) -> list[str]:
    return [field.name for field in msgspec.structs.fields(shape)] if shape else []


def _settable(row: Mapping[str, Any]) -> Iterator[str]:
    """Say which fields `--set` takes for a provider."""
    for kind, command in (("payment", "pay"), ("payout", "payout")):
        if names := row[f"{kind}_fields"]:
            yield f"payhub {command} --set, {row['name']}: {', '.join(names)}"


def accounts(
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """List the configured accounts, and whether each can be opened (its keys are loaded; nothing is sent)."""
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    with session.hub() as hub:
        rows = [_account(hub, name) for name in hub.accounts]
    shown = views.table("account", "provider", "opened")
    for row in rows:
        problem = row["problem"]
        shown.add_row(cell(row["name"]), cell(row["provider"]), cell(problem or "ok", "red" if problem else "green"))
    session.answer({"accounts": rows}, shown)


def _account(hub: Hub, name: str) -> dict[str, Any]:
    provider = hub.registry.settings.accounts[name].get("provider")
    row = {"name": name, "provider": provider if isinstance(provider, str) else None, "opened": True, "problem": None}
    try:
        hub.registry.account(name)
    except ConfigurationError as cause:
        row |= {"opened": False, "problem": one_line(str(cause))}
    return row


State = Literal["ok", "warning", "failed"]
_MARKS: Mapping[State, tuple[str, str]] = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Say what one examination found and, if it is not well, what to do; `code` is the exit code it calls for."""

    account: str | None = None
    name: str
    state: State
    detail: str
    advice: str | None = None
    code: ExitCode = ExitCode.DONE

    def lines(self) -> Text:
        """Show the check to a person."""
        mark, style = _MARKS[self.state]
        where = f"{self.account} " if self.account else ""
        advice = f"\n    → {printable(self.advice)}" if self.advice else ""
        return Text.assemble((mark, style), f" {where}{self.name}: {printable(self.detail)}{advice}")


class Watch:
    """Observe the exchanges of one examination."""

    last: Exchange | None = None

    def forget(self) -> None:
        """Begin another examination."""
        self.last = None

    @hookimpl
    def payhub_event(self, event: Exchange) -> None:
        """Keep the last exchange."""
        self.last = event


def doctor(
    account: Annotated[
        str | None, typer.Argument(help="Examine this account only; else every one.", show_default=False)
    ] = None,
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> ExitCode:
    """Examine the configuration, keys, address, clock and services; no money is moved.

    The provider is asked for the account's information and for the status of an order that does
    not exist. Every line marked ✗ says what to do; ! is a warning.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    checks: list[Check] = []
    console = stdout()
    for check in _examined(session, account):
        checks.append(check)
        if not as_json:
            console.print(check.lines(), soft_wrap=True)
    codes = [check.code for check in checks if check.state == "failed"]
    if as_json:
        found = [{key: value for key, value in views.plain(check).items() if key != "code"} for check in checks]
        session.answer({"ok": not codes, "checks": found})
    return min(codes, default=ExitCode.DONE)


def _examined(session: Session, account: str | None) -> Iterator[Check]:
    """Examine one thing after the other; what cannot be known without an earlier thing is left out."""
    watch = Watch()
    try:
        hub = session.hub(watch)
    except ConfigurationError as cause:
        yield _misconfigured("configuration", cause, None)
        return
    with hub:
        yield Check(name="configuration", state="ok", detail=f"accounts: {listed(hub.accounts)}")
        for broken in hub.registry.plugins.broken:
            yield Check(name="plugin", state="warning", detail=one_line(str(broken)), advice=_REINSTALL)
        for name in [account] if account else hub.accounts:
            yield from _examined_account(hub, name, watch)
        if not hub.accounts:
            yield _misconfigured("accounts", UnknownAccount("the configuration has none"), None)


_REINSTALL = "install it again or uninstall it: pip install --force-reinstall, pip uninstall"

# What to do, by the nearest class of the error.
_ADVICE: Mapping[type[BaseException], str] = {
    ConfigurationError: "correct the configuration at the place it names, or put the file there",
    UnknownAccount: "give the name of a configured account, or add a table [accounts.NAME]",
    UnknownProvider: "install the provider's driver, or correct the key provider; see: payhub providers",
    BrokenPlugin: _REINSTALL,
}


def _misconfigured(check: str, cause: ConfigurationError, account: str | None) -> Check:
    advice = next(_ADVICE[kind] for kind in type(cause).__mro__ if kind in _ADVICE)
    detail = one_line(str(cause))
    return Check(account=account, name=check, state="failed", detail=detail, advice=advice, code=ExitCode.USAGE)


def _examined_account(hub: Hub, name: str, watch: Watch) -> Iterator[Check]:
    try:
        provider = hub.registry.provider(name)
    except ConfigurationError as cause:
        yield _misconfigured("plugin", cause, name)
        return
    detail = f"{provider.info.title} {provider.info.api_version}, {provider.origin}"
    yield Check(account=name, name="plugin", state="ok", detail=detail)
    try:
        opened = hub.registry.account(name)
    except ConfigurationError as cause:
        yield _misconfigured("keys", cause, name)
        return
    yield Check(account=name, name="keys", state="ok", detail="loaded")
    yield from _examined_connection(hub, opened, watch)


def _examined_connection(hub: Hub, opened: OpenAccount, watch: Watch) -> Iterator[Check]:
    """Ask the provider what the account may do; the exchange also shows the address and the clock."""
    watch.forget()
    found = problem = None
    try:
        found = hub.fetch_account_info(opened.name)
    except PayhubError as cause:
        problem = cause
    if watch.last is None:
        detail = one_line(str(problem))
        yield Check(account=opened.name, name="connection", state="warning", detail=f"not examined: {detail}")
        return
    yield _address(opened.name, watch.last)
    yield _connection(opened.name, "account information", watch.last, problem)
    if watch.last.server_time:
        yield _clock(opened.name, watch.last, watch.last.server_time)
    if found:
        yield from _permissions(opened, found)
        yield from _services(opened, found)
        yield from _status_calls(hub, opened, watch)


def _address(account: str, exchange: Exchange) -> Check:
    if problem := insecure(exchange.url):
        return _misconfigured("address", ConfigurationError(problem), account)
    parts = urlsplit(exchange.url)
    words = "encrypted" if parts.scheme == "https" else "this machine, not encrypted: a sandbox"
    return Check(account=account, name="address", state="ok", detail=f"{parts.scheme}://{parts.netloc} ({words})")


# What to do when no usable answer came, by how far the call got.
_NO_ANSWER: Mapping[Phase, str] = {
    Phase.NOT_SENT: "check the account's address, this machine's network and firewall",
    Phase.MAYBE_SENT: "the provider does not answer in time or cuts the connection: try again, then ask the provider",
    Phase.ANSWERED: "check the account's id, its keys and the digest, and the addresses that the provider lets in",
}


def _connection(account: str, check: str, exchange: Exchange, problem: PayhubError | None) -> Check:
    if problem is None:
        return Check(account=account, name=check, state="ok", detail=f"answered in {exchange.duration * 1000:.0f} ms")
    detail = one_line(str(problem))
    advice = _NO_ANSWER[exchange.phase]
    return Check(account=account, name=check, state="failed", detail=detail, advice=advice, code=ExitCode.REFUSED)


def _clock(account: str, exchange: Exchange, server_time: dt.datetime) -> Check:
    theirs = server_time if server_time.tzinfo else server_time.replace(tzinfo=dt.UTC)
    skew = abs(exchange.started_at + dt.timedelta(seconds=exchange.duration) - theirs)
    detail = f"{skew.total_seconds():.0f} s apart from the provider's"
    if skew <= MOST_SKEW:
        return Check(account=account, name="clock", state="ok", detail=detail)
    return Check(account=account, name="clock", state="warning", detail=detail, advice="set this machine's clock (NTP)")


def _permissions(opened: OpenAccount, found: AccountInfo) -> Iterator[Check]:
    for kind, allowed in (("payments", found.payments_allowed), ("payouts", found.payouts_allowed)):
        if not allowed:
            detail = f"the provider does not allow {kind} on this account"
            yield Check(account=opened.name, name=kind, state="warning", detail=detail)


def _services(opened: OpenAccount, found: AccountInfo) -> Iterator[Check]:
    """Compare the services that the configuration names with those that the provider lists."""
    active = {(service.kind, service.code): service.active for service in found.services}
    detail = "; ".join([f"{sum(active.values())} of {len(active)} active", *_codes(active)])
    yield Check(account=opened.name, name="services", state="ok", detail=detail)
    for service in opened.driver.services():
        state = active.get((service.kind, service.code))
        if state:
            yield Check(account=opened.name, name=f"{service.kind} service {service.code}", state="ok", detail="active")
            continue
        yield Check(
            account=opened.name,
            name=f"{service.kind} service {service.code}",
            state="failed",
            detail="not active" if state is False else "the provider does not list it",
            advice="have it activated by the provider, or name another one in the configuration",
            code=ExitCode.REFUSED,
        )


def _codes(active: Mapping[tuple[str, str], bool]) -> Iterator[str]:
    """Name the services that may be used, by their kind, and then those that may not."""
    for state, words in ((True, ""), (False, "not active: ")):
        for kind in dict.fromkeys(kind for kind, _ in active):
            codes = [code for (of, code), found in active.items() if of == kind and found is state]
            if codes:
                yield f"{words}{kind} {listed(codes)}"


def _status_calls(hub: Hub, opened: OpenAccount, watch: Watch) -> Iterator[Check]:
    """Ask for orders that do not exist: "not found" shows that the keys of both kinds are accepted."""
    for kind in KINDS:
        watch.forget()
        problem = None
        try:
            getattr(hub, f"fetch_{kind}")(opened.name, order_id="payhub-doctor")
        except NotFound:
            pass
        except UnsupportedOperation:
            continue
        except PayhubError as cause:
            problem = cause
        if watch.last:
            yield _connection(opened.name, f"{kind} requests", watch.last, problem)
        else:
            detail = f"not examined: {one_line(str(problem))}"
            yield Check(account=opened.name, name=f"{kind} requests", state="warning", detail=detail)


COMMANDS = (providers, accounts, doctor)
