"""Read payhub.toml: which accounts there are, and how each is opened.

Paths are relative to the file, a text may come from the environment or another file, and an
unknown key is refused with the nearest known name. No message quotes a configured value.
"""

import contextlib
import difflib
import os
import re
import secrets
import tomllib
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import structlog

from payhub.driver import AccountConfig
from payhub.errors import ConfigurationError
from payhub.journal import Journal, JournalFailed
from payhub.journal.memory import MemoryJournal
from payhub.masking import Clear, Shown
from payhub.runner import Transport

DEFAULT_FILE = "payhub.toml"
FILE_VARIABLE = "PAYHUB_CONFIG"
KEY_FILE = "payhub.key"

_log = structlog.get_logger("payhub")

C = TypeVar("C", bound=msgspec.Struct)


class JournalSettings(Shown, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say where orders are kept: `[journal]`.

    Without `url` they are kept in memory, and forgotten when the process ends. `key` is the secret
    that fingerprints are made with; without one it is made once, in a file beside the
    configuration. `lease` is how long, in seconds, a sender is trusted to report.
    """

    url: str | None = None
    prefix: Clear[str] = "payhub_"
    key: str | None = None
    lease: Clear[Annotated[float, msgspec.Meta(gt=0)] | None] = None


class Settings(Shown, frozen=True, kw_only=True):
    """Hold a configuration as written: the tables of the accounts are checked when one is opened."""

    base: Clear[Path]
    accounts: Mapping[str, Mapping[str, Any]]
    transport: Clear[Transport]
    journal: Clear[JournalSettings]


def read_file(path: str | Path | None = None) -> Settings:
    """Read a configuration file: the one given, else `PAYHUB_CONFIG`, else `payhub.toml` here.

    Raises:
        ConfigurationError: the file is missing, is not TOML, or has an unknown key.
    """
    chosen = Path(path or os.environ.get(FILE_VARIABLE) or DEFAULT_FILE)
    try:
        tables = tomllib.loads(chosen.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"{chosen}: no such file; write one, name it with --config or {FILE_VARIABLE}, "
            "or make one to play with: payhub sandbox alikassa --dir sandbox"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        raise ConfigurationError(f"{chosen}: cannot be read: {cause}") from cause
    return read_mapping(tables, chosen.resolve().parent)


def read_mapping(tables: Mapping[str, Any], base: str | Path = ".") -> Settings:
    """Take a configuration from a mapping of the same form; paths are relative to `base`.

    Raises:
        ConfigurationError: a key is unknown, or a table is not one.
    """
    _refuse_unknown(tables, ("accounts", "journal", "transport"), "the configuration")
    accounts = tables.get("accounts", {})
    if not isinstance(accounts, Mapping) or not all(isinstance(table, Mapping) for table in accounts.values()):
        raise ConfigurationError("accounts: each account is a table [accounts.NAME]")
    transport = _convert(tables.get("transport", {}), Transport, "transport", Path(base))
    journal = _convert(tables.get("journal", {}), JournalSettings, "journal", Path(base))
    return Settings(base=Path(base), accounts=accounts, transport=transport, journal=journal)


def journal_key(settings: Settings) -> bytes:
    """Return the secret of the fingerprints: the configured one, or the one kept beside the configuration.

    Raises:
        ConfigurationError: the file cannot be made or read.
    """
    if settings.journal.key:
        return settings.journal.key.encode()
    if not settings.journal.url:
        return secrets.token_bytes(32)
    path = settings.base / KEY_FILE
    try:
        if not path.exists():
            with contextlib.suppress(FileExistsError):
                _write_once(path, secrets.token_hex(32))
        return path.read_bytes()
    except OSError as cause:
        raise ConfigurationError(f"journal.key: {path} cannot be made or read: {cause.strerror}") from cause


def _write_once(path: Path, text: str) -> None:
    """Make a file that only its owner may read, whole or not at all, and never over another one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    finally:
        draft.unlink()


def open_journal(settings: Settings) -> Journal:
    """Open the configured journal; SQLite's path is relative to the file.

    Raises:
        ConfigurationError: the database cannot be used, or the extra `sql` is not installed.
    """
    url = settings.journal.url
    if not url:
        _log.warning("payhub.journal_in_memory", hint="orders are forgotten when the process ends; set [journal] url")
        return MemoryJournal()
    try:
        from payhub.journal.sql import SqlJournal  # noqa: PLC0415 - needs the extra `sql`
    except ImportError as cause:
        raise ConfigurationError("journal.url: needs SQLAlchemy and Alembic: pip install 'payhub[sql]'") from cause
    try:
        return SqlJournal(_absolute(url, settings.base), settings.journal.prefix)
    except JournalFailed as cause:
        raise ConfigurationError(str(cause)) from cause


def _absolute(url: str, base: Path) -> str:
    path = url.removeprefix("sqlite:///")
    return f"sqlite:///{base / path}" if path not in {url, ":memory:"} else url


def account_config(settings: Settings, name: str, shape: type[AccountConfig]) -> AccountConfig:
    """Read one account's table into its driver's struct.

    Raises:
        ConfigurationError: a key is missing, unknown or of the wrong type.
    """
    table = {**settings.accounts[name], "name": name}
    return _convert(table, shape, f"accounts.{name}", settings.base)


def _convert(table: object, shape: type[C], where: str, base: Path) -> C:
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where}: must be a table")
    known = tuple(f.name for f in msgspec.structs.fields(shape))
    _refuse_unknown(table, known, where)
    hints = typing.get_type_hints(shape)
    values = {key: _resolved(value, hints[key], f"{where}.{key}", base) for key, value in table.items()}
    try:
        return msgspec.convert(values, shape)
    except msgspec.ValidationError as cause:
        raise ConfigurationError(f"{where}{_without_value(str(cause))}") from None


def _refuse_unknown(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    known = tuple(known)
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
            raise ConfigurationError(f"{where}: unknown key {key!r}{hint}")


def _resolved(value: object, hint: Any, where: str, base: Path) -> object:
    """Fetch a value given as `{ env = … }` or `{ file = … }`, and make paths absolute."""
    match value:
        case {"env": str(variable), **rest} if not rest:
            if variable not in os.environ:
                raise ConfigurationError(f"{where}: the environment variable {variable} is not set")
            value = os.environ[variable]
        case {"file": str(path), **rest} if not rest:
            value = _text(base / path, where)
    takes_path = Path in (hint, *typing.get_args(hint))
    return base / value if takes_path and isinstance(value, str) else value


def _text(path: Path, where: str) -> str:
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigurationError(f"{where}: {path} cannot be read: {type(cause).__name__}") from None


def _without_value(message: str) -> str:
    """Turn msgspec's message into `.key: what is wrong`, without the value it may quote."""
    found = re.fullmatch(r"(?P<what>.*?)(?: - at `\$(?P<key>[^`]*)`)?", message, re.DOTALL)
    what, key = (found["what"], found["key"] or "") if found else ("malformed", "")
    if what.startswith("Invalid"):
        what = "not one of the words allowed here"
    return f"{key}: {what}"
