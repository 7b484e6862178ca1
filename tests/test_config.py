import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from payhub import ConfigurationError
from payhub.accounts.config import (
    MAKE_KEY,
    Settings,
    account_config,
    journal_key,
    open_journal,
    read_file,
    read_mapping,
)
from payhub.driver import AccountConfig
from payhub.masking import Clear
from payhub.transport.settings import Transport

SECRET = "sesame-open-to-nobody-but-the-owner"


class Config(AccountConfig, frozen=True, kw_only=True):
    """Stand for a driver's configuration."""

    shop: Clear[str]
    password: str = ""
    key: Path | None = None
    retries: int = 0
    digest: str = "sha1"


def account(table: dict[str, Any], base: str | Path = ".") -> Any:
    return account_config(read_mapping({"accounts": {"a": {"provider": "p", **table}}}, base), "a", Config)


TOML = """
[transport]
deadline = 7

[accounts.a]
provider = "p"
shop = "1"
key = "cert/private.pem"
"""


def test_file_is_read(tmp_path: Path) -> None:
    """A configuration file gives its accounts and limits; what it does not say has its default."""
    path = tmp_path / "payhub.toml"
    path.write_text(TOML)
    settings = read_file(path)
    assert (["a"], Transport(deadline=7.0)) == (list(settings.accounts), settings.transport)


def test_file_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`PAYHUB_CONFIG` names the file; the one that is given wins; `payhub.toml` here is the default.

    A line end after the name in the environment is no part of it.
    """
    for name in ("given", "named", "payhub"):
        (tmp_path / f"{name}.toml").write_text(f'[accounts.{name}]\nprovider = "p"\n')
    monkeypatch.chdir(tmp_path)
    default = list(read_file().accounts)
    monkeypatch.setenv("PAYHUB_CONFIG", f"{tmp_path / 'named.toml'}\r\n")
    assert (["payhub"], ["named"], ["given"]) == (
        default,
        list(read_file().accounts),
        list(read_file(tmp_path / "given.toml").accounts),
    )


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is relative to the file that names it, not to where the program runs."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "payhub.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    config = account_config(read_file("etc/payhub.toml"), "a", Config)
    assert tmp_path / "etc" / "cert" / "private.pem" == config.key  # type: ignore[attr-defined]


def test_absolute_paths_stay(tmp_path: Path) -> None:
    """An absolute path is taken as it is."""
    assert tmp_path / "key.pem" == account({"shop": "1", "key": str(tmp_path / "key.pem")}, "/elsewhere").key


def test_secret_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text may be the value of an environment variable."""
    monkeypatch.setenv("SHOP_PASSWORD", SECRET)
    assert SECRET == account({"shop": "1", "password": {"env": "SHOP_PASSWORD"}}).password


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("source", ["env", "file"])
def test_line_ends_are_no_part_of_a_text_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, end: str
) -> None:
    """What `echo` has written into a file or a variable ends in a line end that nobody meant."""
    monkeypatch.setenv("SHOP", f"1 {end}")
    (tmp_path / "SHOP").write_bytes(f"1 {end}".encode())
    assert "1 " == account({"shop": {source: "SHOP"}}, tmp_path).shop


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_of_other_editors(tmp_path: Path, encoding: str, end: str) -> None:
    """A file that begins with a byte order mark is read in the encoding that it names: the TOML, a text, the key."""
    lines = ["[accounts.a]", 'provider = "p"', 'shop = { file = "shop.txt" }', "[journal]", 'url = "sqlite:///j.db"']
    (tmp_path / "payhub.toml").write_bytes(f"{end.join(lines)}{end}".encode(encoding))
    (tmp_path / "shop.txt").write_bytes(f"Лавка{end}".encode(encoding))
    (tmp_path / "payhub.key").write_bytes(f"{SECRET}{end}".encode(encoding))
    settings = read_file(tmp_path / "payhub.toml")
    read: Any = account_config(settings, "a", Config)
    assert ("Лавка", SECRET.encode()) == (read.shop, journal_key(settings))


@pytest.mark.parametrize("content", ["[journal]\nurl = 'ж'".encode("cp1251"), b"\xff\xfe\0", b"\xef\xbb\xbf\xff"])
def test_another_encoding_is_named(tmp_path: Path, content: bytes) -> None:
    """A file in an encoding that nothing names is refused, with what to do."""
    (tmp_path / "payhub.toml").write_bytes(content)
    with pytest.raises(
        ConfigurationError, match=r"payhub\.toml: cannot be read: it is not in UTF-(8|16); save it in UTF-8$"
    ):
        read_file(tmp_path / "payhub.toml")
    (tmp_path / "shop.txt").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"^accounts\.a\.shop: .*shop\.txt cannot be read: it is not in UTF-"):
        account({"shop": {"file": "shop.txt"}}, tmp_path)


def test_a_variable_in_another_encoding_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of the environment that are no UTF-8 are refused; a byte order mark is no part of a text."""
    monkeypatch.setenv("SHOP", os.fsdecode(SECRET.encode() + b"\xe6"))
    with pytest.raises(ConfigurationError, match=r"^accounts\.a\.shop: is not in UTF-8$"):
        account({"shop": {"env": "SHOP"}})
    monkeypatch.setenv("SHOP", "\ufeff1\r\n")
    assert "1" == account({"shop": {"env": "SHOP"}}).shop


class Keys(AccountConfig, frozen=True, kw_only=True):
    """Stand for a driver's configuration that takes several paths."""

    keys: Clear[tuple[Path, ...]] = ()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("new.pem", ["new.pem"]),
        (["new.pem", "cert/old.pem"], ["new.pem", "cert/old.pem"]),
        (["new.pem", {"env": "PAYHUB_TEST_OLD"}], ["new.pem", "old.pem"]),
        ({"env": "PAYHUB_TEST_OLD"}, ["old.pem"]),
        ([], []),
    ],
)
def test_several_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: object, expected: list[str]) -> None:
    """Where several paths may stand, each is given as any path is, and one alone needs no list."""
    monkeypatch.setenv("PAYHUB_TEST_OLD", "old.pem")
    settings = read_mapping({"accounts": {"a": {"provider": "p", "keys": given}}}, tmp_path)
    assert account_config(settings, "a", Keys) == Keys(
        name="a", provider="p", keys=tuple(tmp_path / path for path in expected)
    )


@pytest.mark.parametrize("key", [f"-----BEGIN-----\n{SECRET}\n", f"{SECRET}\r", f"{SECRET}\0"])
def test_what_is_in_a_file_is_not_its_path(key: str) -> None:
    """A key that is pasted in where its path belongs is refused, and not quoted."""
    with pytest.raises(ConfigurationError, match=r"^accounts\.a\.key: give the path of a file, not what is in it$"):
        account({"shop": "1", "key": key})


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_secret_from_a_file(tmp_path: Path, end: str) -> None:
    """A text may be a file's content, without the end of its line."""
    (tmp_path / "password.txt").write_bytes(f"{SECRET}{end}".encode())
    assert SECRET == account({"shop": "1", "password": {"file": "password.txt"}}, tmp_path).password


def test_a_path_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that the environment names is relative to the file as well."""
    monkeypatch.setenv("KEY", "key.pem")
    assert tmp_path / "key.pem" == account({"shop": "1", "key": {"env": "KEY"}}, tmp_path).key


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"shop": "1", "pasword": SECRET}, "accounts.a: unknown key 'pasword'; did you mean 'password'?"),
        (
            {"shop": "1", "zzz": SECRET},
            f"accounts.a: unknown key 'zzz'; known: {', '.join(Config.__struct_fields__)}",
        ),
        ({}, "accounts.a.shop: is missing"),
        ({"shop": 1}, "accounts.a.shop: must be a text, not int"),
        ({"shop": "1", "retries": SECRET}, "accounts.a.retries: must be a whole number, not str"),
        (
            {"shop": "1", "password": {"env": "NO_SUCH_VARIABLE"}},
            "accounts.a.password: the environment variable NO_SUCH_VARIABLE is not set",
        ),
        ({"shop": "1", "password": {"file": "none"}}, "accounts.a.password: none cannot be read: FileNotFoundError"),
        ({"shop": "1", "password": {"file": "."}}, "accounts.a.password: . cannot be read: IsADirectoryError"),
        ({"shop": "1", "password": {"env": "A", "file": SECRET}}, "accounts.a.password: must be a text, not dict"),
        ({"shop": "1", "key": 5}, "accounts.a.key: must be a path, not int"),
    ],
)
def test_errors_name_the_key_and_quote_no_value(table: dict[str, Any], message: str) -> None:
    """Rule 12: an error names the key, and the nearest known name, and never quotes a configured value."""
    with pytest.raises(ConfigurationError) as caught:
        account(table)
    assert (message, False) == (str(caught.value), SECRET in str(caught.value))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"acounts": {}}, "the configuration: unknown key 'acounts'; did you mean 'accounts'?"),
        ({"accounts": [SECRET]}, "accounts: each account is a table [accounts.NAME]"),
        ({"accounts": {"a": SECRET}}, "accounts: each account is a table [accounts.NAME]"),
        ({"transport": SECRET}, "transport: must be a table"),
        (
            {"transport": {"deadline": 30}, "journal": {"lease": 30}},
            (
                "journal.lease: must be longer than transport.deadline, which is 30 s: "
                "a call that is still under way when its lease ends is taken for a dead one's"
            ),
        ),
        ({"transport": {"dedline": 1}}, "transport: unknown key 'dedline'; did you mean 'deadline'?"),
        (
            {"transport": {"deadline": SECRET}},
            "transport.deadline: must be a number, more than 0 and at most 3600, not str",
        ),
        ({"transport": {"deadline": 0}}, "transport.deadline: must be a number, more than 0 and at most 3600"),
        (
            {"transport": {"deadline": float("nan")}},
            "transport.deadline: must be a number, more than 0 and at most 3600",
        ),
        (
            {"transport": {"connect_timeout": -1}},
            "transport.connect_timeout: must be a number, more than 0 and at most 3600",
        ),
        (
            {"transport": {"read_timeout": float("inf")}},
            "transport.read_timeout: must be a number, more than 0 and at most 3600",
        ),
    ],
)
def test_tables_are_checked(tables: dict[str, Any], message: str) -> None:
    """A table that is unknown or not one, and a time that is none, is refused by its name."""
    with pytest.raises(ConfigurationError) as caught:
        read_mapping(tables)
    assert message == str(caught.value)


SQLITE = [
    "sqlite:///payhub.db",
    "sqlite+pysqlite:///payhub.db",
    "sqlite:///./payhub.db",
    "sqlite:///payhub.db?timeout=5",
]


@pytest.mark.parametrize("base", [".", "etc"])
@pytest.mark.parametrize("url", SQLITE)
def test_a_journal_is_beside_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, base: str
) -> None:
    """However SQLite's URL is written, and wherever the program goes afterwards, the file is the same one."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    journal = open_journal(read_mapping({"journal": {"url": url}}, base))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert () == journal.claim(1, 60.0)
    journal.close()
    assert [tmp_path / base / "payhub.db"] == list(tmp_path.rglob("payhub.db"))


@pytest.mark.parametrize("url", ["sqlite+pysqlite:////tmp/x/p%20a.db?timeout=5", "sqlite:////tmp/x/p a.db"])
def test_an_absolute_journal_stays_where_it_is(url: str, tmp_path: Path) -> None:
    """A path that is absolute is taken as it is, with all that the URL says besides."""
    journal: Any = open_journal(read_mapping({"journal": {"url": url}}, tmp_path))
    assert make_url(url) == journal.database.engine.url


@pytest.mark.parametrize("url", ["sqlite+pysqlite://", "sqlite+pysqlite:///:memory:", "://", "sesame"])
def test_a_journal_in_no_file_is_refused(url: str, tmp_path: Path) -> None:
    """SQLite in memory, and what is no URL, is refused by the name of its key."""
    with pytest.raises(ConfigurationError, match=r"^journal\.url: "):
        open_journal(read_mapping({"journal": {"url": url}}, tmp_path))


@pytest.mark.parametrize("name", ["url", "key"])
@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_what_is_given_and_empty_is_no_default(monkeypatch: pytest.MonkeyPatch, name: str, empty: str) -> None:
    """A variable that somebody forgot to fill does not quietly mean memory, or a key of this machine's own."""
    monkeypatch.setenv("PAYHUB_TEST_EMPTY", empty)
    journal = {"url": "sqlite:///payhub.db", name: {"env": "PAYHUB_TEST_EMPTY"}}
    with pytest.raises(ConfigurationError, match=rf"^journal\.{name}: is empty; give one, or leave the key out$"):
        read_mapping({"journal": journal})


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n"])
def test_an_empty_key_file_is_no_key(tmp_path: Path, content: bytes) -> None:
    """A file `payhub.key` without a key is refused by its name, and stays as it is."""
    path = tmp_path / "payhub.key"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"^journal\.key: .*payhub\.key is empty; bring back what was in it$"):
        journal_key(read_mapping({"journal": {"url": "sqlite:///payhub.db"}}, tmp_path))
    assert content == path.read_bytes()


@pytest.mark.parametrize("short", ["s", "shop", "x" * 31, f"{'x' * 31}\n", f" {'x' * 30} "])
def test_a_key_that_can_be_guessed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: str) -> None:
    """Fewer than 32 characters are refused, wherever the key comes from, with the command that makes one."""
    monkeypatch.setenv("PAYHUB_TEST_KEY", short)
    (tmp_path / "short.txt").write_text(short)
    words = r"has fewer than 32 characters; (bring back what was in it, or )?make one with: openssl rand -hex 32$"
    for key in (short, {"env": "PAYHUB_TEST_KEY"}, {"file": "short.txt"}):
        with pytest.raises(ConfigurationError, match=rf"^journal\.key: {words}") as caught:
            read_mapping({"journal": {"url": "sqlite:///payhub.db", "key": key}}, tmp_path)
        assert short.strip() == "s" or short.strip() not in str(caught.value)
    (tmp_path / "payhub.key").write_text(short)
    with pytest.raises(ConfigurationError, match=rf"^journal\.key: \S+payhub\.key {words}"):
        journal_key(read_mapping({"journal": {"url": "sqlite:///payhub.db"}}, tmp_path))


def test_a_key_that_is_made_as_the_message_says_is_taken() -> None:
    """The command of the message makes a key that is long enough."""
    made = subprocess.run(MAKE_KEY.split(), capture_output=True, check=True, text=True).stdout
    table = {"url": "sqlite:///payhub.db", "key": made}
    assert made.strip().encode() == journal_key(read_mapping({"journal": table})).strip()


def test_the_end_of_the_line_is_no_part_of_the_key(tmp_path: Path) -> None:
    """A key is the same from its file, from the environment, or where an editor has ended its line."""
    path = tmp_path / "payhub.key"
    path.write_text(SECRET)
    given: list[dict[str, Any]] = [
        {"url": "sqlite:///payhub.db"},
        *({"url": "sqlite:///payhub.db", "key": key} for key in (SECRET, {"file": "payhub.key"})),
    ]
    keys = {journal_key(read_mapping({"journal": table}, tmp_path)) for table in given}
    path.write_text(f"{SECRET}\r\n")
    keys |= {journal_key(read_mapping({"journal": table}, tmp_path)) for table in given}
    assert {SECRET.encode()} == keys


def test_file_that_is_missing(tmp_path: Path) -> None:
    """A file that is not there is refused by its name, with what to do about it."""
    with pytest.raises(
        ConfigurationError, match=r"none\.toml: no such file; write one, name it with --config or PAYHUB_CONFIG"
    ):
        read_file(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"x = [", b"\xff", f'a = "{SECRET}'.encode(), f"password = {SECRET}".encode()])
def test_file_that_is_not_toml(tmp_path: Path, content: bytes) -> None:
    """A file that is not TOML is refused by its name, and not quoted."""
    path = tmp_path / "payhub.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"payhub\.toml: cannot be read") as caught:
        read_file(path)
    assert SECRET not in str(caught.value)


def test_directory_is_no_file(tmp_path: Path) -> None:
    """A directory in the place of the file is refused by its name."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_file(tmp_path)


def test_rule_12_settings_show_no_secret() -> None:
    """Rule 12: the settings of a hub show no configured value in their repr."""
    settings = read_mapping({"accounts": {"a": {"provider": "p", "password": SECRET}}})
    assert (Settings, False) == (type(settings), SECRET in repr(settings))


def test_rule_12_a_configuration_error_has_no_quoting_cause() -> None:
    """Rule 12: the traceback of a configuration error shows no error that quotes a value."""
    with pytest.raises(ConfigurationError) as caught:
        account({"shop": "1", "retries": SECRET})
    assert (None, True) == (caught.value.__cause__, caught.value.__suppress_context__)
