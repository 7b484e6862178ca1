"""What is kept in files is for their owner only, whatever the umask."""

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from payhub.accounts.config import open_journal, read_mapping

from .making import facts


@pytest.fixture
def open_handed() -> Iterator[None]:
    """Let files be made that everybody may read and write."""
    was = os.umask(0)
    yield
    os.umask(was)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.mark.usefixtures("open_handed")
def test_a_journal_is_for_its_owner_only(tmp_path: Path) -> None:
    """SQLite's file, its log, the index of that, the key and the note are all made with 0600."""
    settings = read_mapping({"journal": {"url": "sqlite:///payhub.db"}}, tmp_path)
    with closing(open_journal(settings, keyed=True)) as journal:
        journal.open(facts(), 60.0)
        while_open = modes(tmp_path)
    assert {"payhub.db", "payhub.db-wal", "payhub.db-shm", "payhub.key"} <= set(while_open)
    assert {0o600} == {*while_open.values(), *modes(tmp_path).values()}


@pytest.mark.usefixtures("open_handed")
def test_a_file_that_is_there_keeps_its_permissions(tmp_path: Path) -> None:
    """Who shares a journal with a group has made the file so, and the files beside it follow."""
    (tmp_path / "payhub.db").touch(0o660)
    settings = read_mapping({"journal": {"url": "sqlite:///payhub.db"}}, tmp_path)
    with closing(open_journal(settings, keyed=True)) as journal:
        journal.open(facts(), 60.0)
        assert {0o660} == {mode for name, mode in modes(tmp_path).items() if name.startswith("payhub.db")}
