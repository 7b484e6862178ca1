"""Examine what is configured, and say of each thing that is not well what to do."""

import contextlib
import datetime as dt
import shlex
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
import typer
from rich.text import Text

from payhub.accounts.account import OpenAccount
from payhub.accounts.config import account_config, files_kept, open_journal
from payhub.accounts.plugins import OWN
from payhub.cli.command import command
from payhub.cli.console import listed, stdout
from payhub.cli.journal import failures
from payhub.cli.recorder import Recorder
from payhub.cli.session import ExitCode, Session, missing_journal
from payhub.cli.unsettled import lasting
from payhub.driver import insecure
from payhub.errors import (
    BrokenPlugin,
    ConfigurationError,
    JournalFailed,
    NotFound,
    PayhubError,
    UnknownAccount,
    UnknownProvider,
    UnsupportedOperation,
)
from payhub.files import open_to_others
from payhub.hub import Hub
from payhub.journal import Health
from payhub.journal.rules import OVERDUE, WAITING
from payhub.masking import one_line, printable
from payhub.models import AccountInfo, Exchange, Phase
from payhub.operations import KINDS

if TYPE_CHECKING:
    from payhub.journal.sql.examination import Examination  # needs the extra `sql`

app = typer.Typer()

State = Literal["ok", "warning", "failed"]

MAX_SKEW = dt.timedelta(seconds=30)
_MARKS: Mapping[State, tuple[str, str]] = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What one examination found and, if it is not well, what to do; `code` is the exit code that it calls for."""

    account: str | None = None
    name: str
    state: State
    detail: str
    advice: str | None = None
    code: ExitCode = ExitCode.DONE

    def lines(self) -> Text:
        """Return the check as a person reads it."""
        mark, style = _MARKS[self.state]
        where = f"{self.account} " if self.account else ""
        advice = f"\n    → {printable(self.advice)}" if self.advice else ""
        return Text.assemble((mark, style), f" {where}{self.name}: {printable(self.detail)}{advice}")


@command(app)
def doctor(
    session: Session,
    account: Annotated[
        str | None, typer.Argument(help="The account to examine; by default all of them.", show_default=False)
    ] = None,
) -> ExitCode:
    """Examine the configuration, journal, keys, address, clock and services; no money is moved.

    The provider is asked for the account's information and for the status of an order that does not exist.
    Lines marked ✗ say what to do; those marked ! are warnings.
    """
    checks: list[Check] = []
    console = stdout()
    for check in _examine(session, account):
        checks.append(check)
        if not session.as_json:
            console.print(check.lines(), soft_wrap=True)
    codes = [check.code for check in checks if check.state == "failed"]
    if session.as_json:
        shown = ("account", "name", "state", "detail", "advice")
        session.answer(
            {"ok": not codes, "checks": [{name: getattr(check, name) for name in shown} for check in checks]}
        )
    return min(codes, default=ExitCode.DONE)


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


def _examine(session: Session, account: str | None) -> Iterator[Check]:
    """Examine one thing after the other; what depends on a thing that is not well is left out."""
    recorder = Recorder()
    try:
        hub = session.hub(recorder)
    except ConfigurationError as cause:
        yield _misconfigured("configuration", cause, None)
        return
    with hub:
        yield Check(name="configuration", state="ok", detail=f"accounts: {listed(hub.accounts)}")
        yield from _examine_files(session, hub)
        yield from _examine_journal(session)
        for companion in hub.registry.plugins.companions:
            if companion.origin != OWN:  # as this command's own observer is
                yield Check(name="plugin", state="ok", detail=one_line(str(companion)))
        for broken in hub.registry.plugins.broken:
            yield Check(name="plugin", state="warning", detail=one_line(str(broken)), advice=_REINSTALL)
        if not hub.accounts:
            yield _misconfigured("accounts", UnknownAccount("the configuration has none"), None)
        for name in [account] if account else hub.accounts:
            examined = "plugin"
            try:
                provider = hub.registry.provider(name)
                detail = f"{provider.info.title} {provider.info.api_version}, {provider.origin}"
                yield Check(account=name, name="plugin", state="ok", detail=detail)
                examined = "keys"
                opened = hub.registry.account(name)
            except ConfigurationError as cause:
                yield _misconfigured(examined, cause, name)
                continue
            yield Check(account=name, name="keys", state="ok", detail="loaded")
            if twins := hub.registry.twins(name):
                detail = f"the same account with its provider as {listed(twins)}"
                advice = "keep one name when the other's orders have ended"
                yield Check(account=name, name="identity", state="warning", detail=detail, advice=advice)
            yield from _examine_provider(hub, opened, recorder)


def _examine_files(session: Session, hub: Hub) -> Iterator[Check]:
    """Name the files of the configuration, keys and journal that others than their owner may read or write."""
    settings, tables = session.settings(), []
    for name in hub.accounts:
        with contextlib.suppress(ConfigurationError):  # which is said where the account is opened
            tables.append(account_config(settings, name, hub.registry.provider(name).info.config))
    examined, well = 0, True
    for path in files_kept(settings, *tables):
        examined += 1
        try:
            acts = open_to_others(path)
            content = path.read_bytes().lstrip()
            if content.startswith(b"-----BEGIN ") and b"PRIVATE KEY-----" not in content:  # certificates, public keys
                acts -= {"read"}
        except OSError as cause:
            well = False
            yield Check(name="files", state="warning", detail=f"{path}: {cause.strerror}")
            continue
        if acts:
            well = False
            changes = [("go=", path)] if acts - {"replace"} else []
            changes += [("go-w", path.parent)] if "replace" in acts else []
            advice = "; ".join(shlex.join(["chmod", mode, str(target)]) for mode, target in changes)
            detail = f"others may {' and '.join(sorted(acts))} {path}"
            yield Check(name="files", state="warning", detail=detail, advice=advice)
    if well:
        detail = f"{examined} of configuration, keys and journal, for their owner only"
        yield Check(name="files", state="ok", detail=detail)


_INIT = "if the address and the prefix are right, make it: payhub journal init"
_SWEEP = "call `payhub sweep` regularly, from cron or with --watch, and read its log"


def _examine_journal(session: Session) -> Iterator[Check]:
    """Say where orders are kept, and whether they can be: by the tables, the key, the last sweep."""
    settings = session.settings()
    if not settings.journal.url:
        detail, advice = (
            "in memory: orders are forgotten when a process ends",
            'set url = "sqlite:///…" under [journal]',
        )
        yield Check(name="journal", state="warning", detail=detail, advice=advice)
        return
    if missing := missing_journal(settings):
        yield Check(name="journal", state="warning", detail=one_line(missing), advice=_INIT)
        return
    with closing(open_journal(settings, keyed=True)) as opened:
        journal: Any = opened  # one with an address is in a database
        try:
            with failures():
                found: Examination = journal.examine()
        except JournalFailed as cause:
            advice = "start the database, or correct url under [journal]"
            detail = one_line(str(cause))
            yield Check(name="journal", state="failed", detail=detail, advice=advice, code=ExitCode.REFUSED)
            return
        yield Check(name="journal", state="ok", detail=found.place)
        yield _examined_tables(found)
        if not found.usable:
            return
        if found.key is False:
            detail = "it is not the one that this journal was begun with, so nothing is sent"
            advice = "bring that key back: [journal] key, or the file payhub.key beside the configuration"
            yield Check(name="journal key", state="failed", detail=detail, advice=advice, code=ExitCode.USAGE)
        else:
            detail = "the one that the journal was begun with" if found.key else "the first order begins with it"
            yield Check(name="journal key", state="ok", detail=detail)
        if found.orders:
            yield _examined_sweeps(opened.health(OVERDUE, WAITING))
        else:
            advice = "if your application has made orders, it keeps them elsewhere: compare url and prefix"
            yield Check(name="orders", state="ok", detail="none yet", advice=advice)


def _examined_tables(found: "Examination") -> Check:
    if found.usable:
        return Check(name="journal tables", state="ok", detail=f"version {found.version}")
    if found.version is None:
        detail, advice = "there are none under this prefix", _INIT
    elif found.missing:
        detail, advice = f"missing: {listed(found.missing)}", "restore the database from its backup"
    else:
        detail = f"of version {found.version}, and this payhub needs {found.needed}"
        advice = "payhub journal upgrade; if it does not know that version, install the payhub that made it"
    return Check(name="journal tables", state="failed", detail=detail, advice=advice, code=ExitCode.USAGE)


def _examined_sweeps(found: Health) -> Check:
    """Say when the last sweep was, and whether orders that are due are asked about."""
    ended = f"the last one ended {lasting(found.at - found.swept_at)} ago" if found.swept_at else "none has ended yet"
    if found.oldest_due_at:
        late = f"{found.overdue} orders are overdue, the oldest for {lasting(found.at - found.oldest_due_at)}"
        return Check(name="sweeps", state="warning", detail=f"{ended}; {late}", advice=_SWEEP)
    if found.swept_at is None:
        return Check(name="sweeps", state="warning", detail=ended, advice=_SWEEP)
    return Check(name="sweeps", state="ok", detail=ended)


def _examine_provider(hub: Hub, opened: OpenAccount, recorder: Recorder) -> Iterator[Check]:
    """Ask the provider what the account may do; the exchange also shows the address and the clock."""
    name, info, problem = opened.name, None, None
    recorder.exchanges.clear()
    try:
        info = hub.fetch_account_info(name)
    except PayhubError as cause:
        problem = cause
    if recorder.last is None:
        yield Check(account=name, name="connection", state="warning", detail=f"not examined: {one_line(str(problem))}")
        return
    if insecurity := insecure(recorder.last.url):
        yield _misconfigured("address", ConfigurationError(insecurity), name)
    else:
        parts = urlsplit(recorder.last.url)
        words = "encrypted" if parts.scheme == "https" else "this machine, not encrypted: a sandbox"
        yield Check(account=name, name="address", state="ok", detail=f"{parts.scheme}://{parts.netloc} ({words})")
    yield _answered(name, "account information", recorder.last, problem)
    if server_time := recorder.last.server_time:
        skew = abs(recorder.last.started_at + dt.timedelta(seconds=recorder.last.duration) - server_time)
        detail = f"{skew.total_seconds():.0f} s apart from the provider's"
        if skew <= MAX_SKEW:
            yield Check(account=name, name="clock", state="ok", detail=detail)
        else:
            advice = "set this machine's clock (NTP)"
            yield Check(account=name, name="clock", state="warning", detail=detail, advice=advice)
    if info:
        yield from _examine_rights(opened, info)
        yield from _examine_kinds(hub, name, recorder)


# What to do when no usable answer came, by how far the call got.
_NO_ANSWER: Mapping[Phase, str] = {
    Phase.NOT_SENT: "check the account's address, this machine's network and firewall",
    Phase.MAYBE_SENT: "the provider does not answer in time or cuts the connection: try again, then ask the provider",
    Phase.ANSWERED: "check the account's id, its keys and the digest, and the addresses that the provider lets in",
}


def _answered(account: str, check: str, exchange: Exchange, problem: PayhubError | None) -> Check:
    if problem is None:
        return Check(account=account, name=check, state="ok", detail=f"answered in {exchange.duration * 1000:.0f} ms")
    detail = one_line(str(problem))
    advice = _NO_ANSWER[exchange.phase]
    return Check(account=account, name=check, state="failed", detail=detail, advice=advice, code=ExitCode.REFUSED)


def _examine_rights(opened: OpenAccount, info: AccountInfo) -> Iterator[Check]:
    """Say what the provider does not allow, and compare the configured services with those that it lists."""
    name = opened.name
    for kind, allowed in (("payments", info.payments_allowed), ("payouts", info.payouts_allowed)):
        if not allowed:
            detail = f"the provider does not allow {kind} on this account"
            yield Check(account=name, name=kind, state="warning", detail=detail)
    active = {(service.kind, service.code): service.active for service in info.services}
    details = [f"{sum(active.values())} of {len(active)} active"]
    for wanted, words in ((True, ""), (False, "not active: ")):
        for kind in dict.fromkeys(kind for kind, _ in active):
            codes = [code for (of, code), usable in active.items() if of == kind and usable is wanted]
            details += [f"{words}{kind} {listed(codes)}"] if codes else []
    yield Check(account=name, name="services", state="ok", detail="; ".join(details))
    for service in opened.driver.services():
        check, usable = f"{service.kind} service {service.code}", active.get((service.kind, service.code))
        if usable:
            yield Check(account=name, name=check, state="ok", detail="active")
            continue
        yield Check(
            account=name,
            name=check,
            state="failed",
            detail="the provider does not list it" if usable is None else "not active",
            advice="have it activated by the provider, or name another one in the configuration",
            code=ExitCode.REFUSED,
        )


def _examine_kinds(hub: Hub, account: str, recorder: Recorder) -> Iterator[Check]:
    """Ask for orders that do not exist: "not found" shows that the keys of that kind are accepted."""
    for kind in KINDS.values():
        recorder.exchanges.clear()
        problem = None
        try:
            getattr(hub, kind.fetch)(account, order_id="payhub-doctor")
        except NotFound:
            pass
        except UnsupportedOperation:
            continue
        except PayhubError as cause:
            problem = cause
        check = f"{kind.word} requests"
        if recorder.last:
            yield _answered(account, check, recorder.last, problem)
        else:
            detail = f"not examined: {one_line(str(problem))}"
            yield Check(account=account, name=check, state="warning", detail=detail)
