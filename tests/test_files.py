"""Files of an owner's own are written whole or not at all, and one of several writers wins."""

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from payhub.files import create_private, open_to_others, write_private


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


def test_an_empty_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    """A file that is there stays as it is, and where none can be made nothing happens."""
    was = os.umask(0)
    try:
        create_private(tmp_path / "new")
    finally:
        os.umask(was)
    (tmp_path / "new").write_bytes(b"1")
    create_private(tmp_path / "new")
    create_private(tmp_path / "nowhere" / "new")
    assert (b"1", 0o600) == ((tmp_path / "new").read_bytes(), stat.S_IMODE((tmp_path / "new").stat().st_mode))


@pytest.fixture
def folder() -> Iterator[Path]:
    """Have a folder that every user of this machine may enter; pytest's own are for their owner only."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.mark.parametrize(
    ("file", "folder_mode", "acts"),
    [
        (0o600, 0o755, set()),
        (0o400, 0o711, set()),
        (0o644, 0o755, {"read"}),
        (0o640, 0o755, {"read"}),
        (0o640, 0o750, {"read"}),
        (0o644, 0o700, set()),
        (0o666, 0o700, set()),
        (0o604, 0o710, set()),
        (0o602, 0o755, {"write"}),
        (0o620, 0o755, {"write"}),
        (0o666, 0o755, {"read", "write"}),
        (0o600, 0o777, {"replace"}),
        (0o600, 0o775, {"replace"}),
        (0o600, 0o1777, set()),
    ],
)
def test_what_others_may_do_with_a_file(folder: Path, file: int, folder_mode: int, acts: set[str]) -> None:
    """Permissions count as far as others may come to the file at all, through a link, too."""
    (folder / "a").write_bytes(b"1")
    (folder / "a").chmod(file)
    (folder / "link").symlink_to(folder / "a")
    folder.chmod(folder_mode)
    assert [acts, acts] == [open_to_others(folder / name) for name in ("a", "link")]


def test_a_file_of_another_user_is_read_by_its_group(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that root has written for the group of a service is as it should be; only writing counts there."""
    (folder / "a").write_bytes(b"1")
    monkeypatch.setattr(os, "geteuid", lambda: (folder / "a").stat().st_uid + 1)
    found = []
    for mode in (0o640, 0o660, 0o644):
        (folder / "a").chmod(mode)
        found.append(open_to_others(folder / "a"))
    assert [set(), {"write"}, {"read"}] == found
