"""Read payhub.toml: which accounts there are, and how each is opened.

Paths are relative to the file, a text may come from the environment or another file, and an
unknown key is refused with the nearest known name. No message quotes a configured value.
"""

import difflib
import os
import re
import tomllib
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from payhub.driver import AccountConfig
from payhub.errors import ConfigurationError
from payhub.runner import Transport

DEFAULT_FILE = "payhub.toml"
FILE_VARIABLE = "PAYHUB_CONFIG"

C = TypeVar("C", bound=msgspec.Struct)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a configuration as written: the tables of the accounts are checked when one is opened."""

    base: Path
    accounts: Mapping[str, Mapping[str, Any]]
    transport: Transport


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
    _refuse_unknown(tables, ("accounts", "transport"), "the configuration")
    accounts = tables.get("accounts", {})
    if not isinstance(accounts, Mapping) or not all(isinstance(table, Mapping) for table in accounts.values()):
        raise ConfigurationError("accounts: each account is a table [accounts.NAME]")
    transport = _convert(tables.get("transport", {}), Transport, "transport", Path(base))
    if min(msgspec.structs.astuple(transport)) <= 0:
        raise ConfigurationError("transport: times are seconds, more than zero")
    return Settings(base=Path(base), accounts=accounts, transport=transport)


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
