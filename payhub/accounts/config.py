"""Read payhub.toml: which accounts there are, and how each is opened.

Paths are relative to the file, a text may come from the environment or another file, and an
unknown key is refused with the nearest known name. No message quotes a configured value.
"""

import contextlib
import difflib
import functools
import hashlib
import hmac
import os
import re
import secrets
import tomllib
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from payhub.driver import DEFAULT_NAMESPACE, AccountConfig
from payhub.errors import ConfigurationError, JournalFailed
from payhub.exchanges.events import Event, log
from payhub.files import NotText, in_utf8, read_text, write_private
from payhub.forms import find_half, refusal, type_name
from payhub.journal import Journal, KeyCheck
from payhub.journal.memory import MemoryJournal
from payhub.masking import Clear, HiddenBytes, HiddenFields, HiddenText, MaskedStruct, hide
from payhub.transport.settings import Transport

DEFAULT_FILE = "payhub.toml"
FILE_VARIABLE = "PAYHUB_CONFIG"
KEY_FILE = "payhub.key"
NOTE_FILE = "payhub.note"
"""Where it is noted, beside the key, which journal was begun."""
SHORTEST_KEY = 32
"""The fewest characters of the secret of the fingerprints: with a short one, card numbers can be guessed from them."""
MAKE_KEY = "openssl rand -hex 32"

C = TypeVar("C", bound=msgspec.Struct)


_DURATION = "[0-9]{1,6}[smhd]"
_UNITS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text: str) -> float:
    """Read a duration in seconds: a number and its unit, as 90s, 10m, 1h or 2d.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(_DURATION, text):
        raise ValueError("not a duration, as 90s, 10m, 1h or 2d")
    return float(text[:-1]) * _UNITS[text[-1]]


Duration = Annotated[str, msgspec.Meta(pattern=rf"^({_DURATION})\Z", description="a duration, as 90s, 10m, 1h or 2d")]


class JournalSettings(MaskedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say where orders are kept: `[journal]`.

    Without `url` they are kept in memory, and forgotten when the process ends. `key` is the secret
    that fingerprints are made with; without one it is made once, in a file beside the
    configuration. `lease` is how long, in seconds, a sender is trusted to report. `keep_exchanges`
    is for how long exchanges are kept, as `400d`: `payhub journal prune` deletes older ones of
    closed orders, and with `0s` none is kept at all.
    """

    url: str | None = None
    prefix: Clear[str] = "payhub_"
    key: str | None = None
    lease: Clear[Annotated[float, msgspec.Meta(gt=0)] | None] = None
    keep_exchanges: Clear[Duration | None] = None

    @property
    def keep_seconds(self) -> float | None:
        """Return for how many seconds exchanges are kept, or `None` where for ever."""
        return duration(self.keep_exchanges) if self.keep_exchanges else None


class NotificationSettings(MaskedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how notifications are taken: `[notifications]`.

    `window` is for how many seconds the same message about an order, sent again, is no reason to
    ask the provider again.
    """

    window: Clear[Annotated[float, msgspec.Meta(ge=1, le=86400)]] = 60.0


class Settings(MaskedStruct, frozen=True, kw_only=True):
    """Hold a configuration as written: the tables of the accounts are checked when one is opened.

    `sources` are the files that it was read from: its own, and those of `{ file = … }`.
    """

    base: Clear[Path]
    accounts: Mapping[str, Mapping[str, Any]]
    transport: Clear[Transport]
    journal: Clear[JournalSettings]
    notifications: Clear[NotificationSettings] = NotificationSettings()
    sources: Clear[tuple[Path, ...]] = ()


def read_file(path: str | Path | None = None) -> Settings:
    """Read a configuration file: the one given, else `PAYHUB_CONFIG`, else `payhub.toml` here.

    Raises:
        ConfigurationError: the file is missing, is not TOML, or has an unknown key.
    """
    try:
        named = os.environ.get(FILE_VARIABLE, "").rstrip("\r\n")  # one that was read from a file ends in a line end
        chosen = Path(path or named or DEFAULT_FILE)
    except TypeError:
        raise ConfigurationError(f"the configuration: a path is needed, not {type_name(path)}") from None
    try:
        tables = HiddenFields(tomllib.loads(read_text(chosen)))
    except FileNotFoundError:
        raise ConfigurationError(
            f"{chosen}: no such file; write one, name it with --config or {FILE_VARIABLE}, "
            "or make one to play with: payhub sandbox alikassa --dir sandbox"
        ) from None
    except (OSError, ValueError, RecursionError) as cause:  # TOML, encodings and paths have errors that are ValueErrors
        # Not chained: the frames of the parser, and an error of decoding, hold the whole file.
        raise ConfigurationError(f"{chosen}: cannot be read: {cause}") from None
    settings = read_mapping(tables, chosen.resolve().parent)
    return msgspec.structs.replace(settings, sources=(chosen, *settings.sources))


def read_mapping(tables: Mapping[str, Any], base: str | Path = ".") -> Settings:
    """Take a configuration from a mapping of the same form; paths are relative to `base`.

    Raises:
        ConfigurationError: a key is unknown, or a table is not one.
    """
    tables = HiddenFields(tables)
    _refuse_unknown(tables, ("accounts", "journal", "notifications", "transport"), "the configuration")
    accounts = hide(tables.get("accounts", {}))
    if not isinstance(accounts, Mapping) or not all(isinstance(table, Mapping) for table in accounts.values()):
        raise ConfigurationError("accounts: each account is a table [accounts.NAME]")
    transport = _convert(tables.get("transport", {}), Transport, "transport", Path(base))
    if problem := transport.problem():
        raise ConfigurationError(f"transport.{problem}")
    journal = _convert(tables.get("journal", {}), JournalSettings, "journal", Path(base))
    for name in ("url", "key"):
        if getattr(journal, name) is not None and not getattr(journal, name).strip():
            raise ConfigurationError(f"journal.{name}: is empty; give one, or leave the key out")
    if journal.key is not None and len(journal.key.strip()) < SHORTEST_KEY:
        raise ConfigurationError(f"journal.key: has fewer than {SHORTEST_KEY} characters; make one with: {MAKE_KEY}")
    if journal.lease is not None and journal.lease <= transport.deadline:
        raise ConfigurationError(
            f"journal.lease: must be longer than transport.deadline, which is {transport.deadline:g} s: "
            "a call that is still under way when its lease ends is taken for a dead one's"
        )
    taken = _convert(tables.get("notifications", {}), NotificationSettings, "notifications", Path(base))
    return Settings(
        base=Path(base),
        accounts=accounts,
        transport=transport,
        journal=journal,
        notifications=taken,
        sources=tuple(_files_named(tables, Path(base))),
    )


def _files_named(value: object, base: Path) -> Iterator[Path]:
    """Find every `{ file = … }` in the tables."""
    match hide(value):
        case {"file": str(path), **rest} if not rest:
            yield base / path
        case Mapping() as table:
            for each in table.values():
                yield from _files_named(each, base)
        case list() | tuple() as values:
            for each in values:
                yield from _files_named(each, base)


def journal_key(settings: Settings) -> bytes:
    """Return the secret of the fingerprints: the configured one, or the one kept beside the configuration.

    Where the journal was begun with a key that is there no more, none is made in its place: it would only
    look like the one to bring back.

    Raises:
        ConfigurationError: the file cannot be made or read, is empty, or too short.
    """
    if settings.journal.key:
        return HiddenBytes(settings.journal.key.encode())
    if not settings.journal.url:
        return memory_key()
    path = settings.base / KEY_FILE
    try:
        if not path.exists():
            if _begun_with_a_key(settings):
                return HiddenBytes(secrets.token_bytes(32))  # with which no order is taken
            with contextlib.suppress(FileExistsError):
                write_private(path, HiddenBytes(secrets.token_hex(32).encode()))
        key = HiddenBytes(in_utf8(HiddenBytes(path.read_bytes())).rstrip(b"\r\n"))
    except OSError as cause:
        raise ConfigurationError(f"journal.key: {path} cannot be made or read: {cause.strerror}") from cause
    if not key.strip():
        raise ConfigurationError(f"journal.key: {path} is empty; bring back what was in it")
    if len(key.strip()) < SHORTEST_KEY:
        raise ConfigurationError(
            f"journal.key: {path} has fewer than {SHORTEST_KEY} characters; bring back what was in it, "
            f"or make one with: {MAKE_KEY}"
        )
    return key


def _begun_with_a_key(settings: Settings) -> bool:
    """Look into the journal; one that cannot be looked into is taken for new."""
    try:
        journal: Any = open_journal(settings)
    except ConfigurationError:
        return False
    with contextlib.closing(journal):
        begun: bool = journal.has_key()
        return begun


def _key_check(settings: Settings) -> KeyCheck:
    """Make what stands for the key in a journal: from it the key is as hard to find as from a fingerprint."""
    value = hmac.new(journal_key(settings), b"payhub journal", hashlib.sha256).hexdigest()
    place = "[journal] key of the configuration" if settings.journal.key else str(settings.base / KEY_FILE)
    return KeyCheck(HiddenText(value), place)


_NOTE_HINT = f"without {NOTE_FILE} beside the configuration nothing here knows a journal that is gone or put back"


@functools.cache
def memory_journal() -> MemoryJournal:
    """Return the one journal in memory that all hubs of this process without a `[journal] url` share."""
    return MemoryJournal()


@functools.cache
def memory_key() -> bytes:
    """Return the one key of the journal in memory."""
    return HiddenBytes(secrets.token_bytes(32))


def open_journal(settings: Settings, *, keyed: bool = False) -> Journal:
    """Open the configured journal; SQLite's path is relative to the configuration.

    Who only looks needs no key; `keyed` is it for whoever creates orders or forgets payers.

    Raises:
        ConfigurationError: the database cannot be used, or the extra `sql` is not installed.
    """
    url = hide(settings.journal.url)
    if not url:
        log(Event.JOURNAL_IN_MEMORY, hint="orders are forgotten when the process ends; set [journal] url")
        return memory_journal()
    try:
        from payhub.journal.sql import Note, SqlJournal, placed  # noqa: PLC0415 - needs the extra `sql`
    except ImportError as cause:
        raise ConfigurationError("journal.url: needs SQLAlchemy and Alembic: pip install 'payhub-core[sql]'") from cause
    try:
        note = Note(
            None if settings.journal.key else settings.base / NOTE_FILE,
            lambda cause: log(Event.NOTE_FAILED, error=cause.strerror, hint=_NOTE_HINT),
        )
        return SqlJournal(
            placed(url, settings.base),
            settings.journal.prefix,
            _key_check(settings) if keyed else None,
            note,
            lambda order, words: log(Event.ROW_DAMAGED, order, reason=words),
        )
    except JournalFailed as cause:
        raise ConfigurationError(str(cause)) from cause


def namespace_of(settings: Settings, name: str) -> str:
    """Return the namespace of an account's orders, also of an account that there is not, or that cannot be opened.

    Raises:
        ConfigurationError: it is no text; it must not depend on anything that can be missing.
    """
    namespace = settings.accounts.get(name, {}).get("namespace", DEFAULT_NAMESPACE)
    if not isinstance(namespace, str):
        raise ConfigurationError(f"accounts.{name}.namespace: give a text")
    return namespace


def files_kept(settings: Settings, *structs: msgspec.Struct) -> Iterator[Path]:
    """List the files that a configuration leads to, as far as they are there: its own, the journal's, and its keys.

    `structs` are the accounts' tables as their drivers read them; each path in one is a file, or a folder of files.
    """
    paths = [*settings.sources, *(path for struct in (settings.transport, *structs) for path in _paths(struct))]
    if settings.journal.url:
        paths += [] if settings.journal.key else [settings.base / KEY_FILE]
        journal: Any = open_journal(settings)  # which creates nothing yet
        with contextlib.closing(journal):
            url = journal.database.engine.url
        if url.get_backend_name() == "sqlite":
            paths += [Path(f"{url.database}{end}") for end in ("", "-wal", "-shm")]
    for path in dict.fromkeys(paths):
        yield from (each for each in (sorted(path.iterdir()) if path.is_dir() else [path]) if each.is_file())


def _paths(struct: msgspec.Struct) -> Iterator[Path]:
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        yield from (each for each in (value if isinstance(value, tuple) else (value,)) if isinstance(each, Path))


def account_config(settings: Settings, name: str, shape: type[AccountConfig]) -> AccountConfig:
    """Read one account's table into its driver's struct.

    Raises:
        ConfigurationError: a key is missing, unknown or of the wrong type.
    """
    table = HiddenFields(settings.accounts[name], name=name)
    return _convert(table, shape, f"accounts.{name}", settings.base)


def _convert(table: object, shape: type[C], where: str, base: Path) -> C:
    table = hide(table)
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where}: must be a table")
    known = tuple(f.name for f in msgspec.structs.fields(shape))
    _refuse_unknown(table, known, where)
    hints = typing.get_type_hints(shape)
    values = HiddenFields({key: _resolved(hide(table[key]), hints[key], f"{where}.{key}", base) for key in table})
    try:
        return msgspec.convert(values, shape)
    except msgspec.ValidationError as cause:
        key, words = refusal(cause, shape, values)
        raise ConfigurationError(f"{'.'.join(filter(None, (where, key)))}: {words}") from None


def _refuse_unknown(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    known = tuple(known)
    for key in table:
        if key not in known:
            raise ConfigurationError(f"{where}: unknown key {key!r}; {hint(str(key), known)}")


def hint(name: str, known: Sequence[str]) -> str:
    """Return the known name that an unknown one was probably meant to be, else all of them, as words of a message."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"


def _resolved(value: object, hint: Any, where: str, base: Path) -> object:
    """Fetch a value given as `{ env = … }` or `{ file = … }`, and make paths absolute.

    Where several paths may stand, one need not be in a list.
    """
    if hint == tuple[Path, ...]:
        paths = value if isinstance(value, list | tuple) else (value,)
        return [_resolved(path, Path, f"{where}[{number}]", base) for number, path in enumerate(map(hide, paths))]
    match value:
        case {"env": str(variable), **rest} if not rest:
            if variable not in os.environ:
                raise ConfigurationError(f"{where}: the environment variable {variable} is not set")
            value = HiddenText(os.environ[variable].removeprefix("\ufeff").rstrip("\r\n"))
        case {"file": str(path), **rest} if not rest:
            value = HiddenText(_text(base / path, where))
    if not isinstance(value, str):
        return value
    if find_half(value) is not None:  # so Python reads other bytes of the environment
        raise ConfigurationError(f"{where}: is not in UTF-8")
    if Path not in (hint, *typing.get_args(hint)):
        return str(value)
    if not {"\0", "\r", "\n"}.isdisjoint(value):
        raise ConfigurationError(f"{where}: give the path of a file, not what is in it")
    return base / value


def _text(path: Path, where: str) -> str:
    try:
        return read_text(path).rstrip("\r\n")
    except NotText as cause:
        raise ConfigurationError(f"{where}: {path} cannot be read: {cause}") from None
    except (OSError, ValueError) as cause:
        raise ConfigurationError(f"{where}: {path} cannot be read: {type(cause).__name__}") from None
