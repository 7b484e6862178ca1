"""Files of an owner's own are written whole or not at all, and one of several writers wins."""

import errno
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from payhub.files import write_private


def failing(code: int) -> Callable[..., None]:
    """Return what a system call does that fails."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.fixture(params=["links", "no links"])
def directory(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a directory of a file system that knows hard links, and of one that does not."""
    if request.param == "no links":
        monkeypatch.setattr(os, "link", failing(errno.EPERM))
    return tmp_path


def test_a_new_file_is_for_its_owner(directory: Path) -> None:
    """The file has the bytes, only its owner may read it, and nothing else is left."""
    path = write_private(directory / "a", b"1")
    assert (b"1", 0o600, [path]) == (path.read_bytes(), stat.S_IMODE(path.stat().st_mode), list(directory.iterdir()))


def test_of_several_writers_one_wins(directory: Path) -> None:
    """Each writer but one is told that the file is there, and the file is that one's."""

    def write(number: int) -> int | None:
        try:
            write_private(directory / "a", str(number).encode())
        except FileExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(write, range(40)) if number is not None]
    assert [str(number).encode() for number in winners] == [(directory / "a").read_bytes()]
    assert [directory / "a"] == list(directory.iterdir())


def test_a_file_is_replaced_on_demand_only(directory: Path) -> None:
    """With `force` the new bytes stand in the place of the old ones."""
    path = write_private(directory / "a", b"1")
    with pytest.raises(FileExistsError):
        write_private(path, b"2")
    assert b"1" == path.read_bytes()
    write_private(path, b"3", force=True)
    assert (b"3", [path]) == (path.read_bytes(), list(directory.iterdir()))


@pytest.mark.parametrize("force", [False, True])
def test_a_place_that_cannot_be_had_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    """If the file cannot get its name, neither a draft nor an empty file stays."""
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    monkeypatch.setattr(os, "replace", failing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write_private(tmp_path / "a", b"1", force=force)
    assert [] == list(tmp_path.iterdir())
