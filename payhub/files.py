"""Texts in the encodings that editors write, and files that only their owner may read, written whole or not at all."""

import codecs
import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP}
"""What a file system says that knows no hard links, FAT for one."""


_MARKS: Mapping[bytes, str] = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""The encodings that a byte order mark names; Windows' editors and shells write them."""


class NotText(ValueError):
    """Bytes that are no text in an encoding that can be told."""


def decode(content: bytes) -> str:
    """Return a text: in UTF-8, or in what a byte order mark names; the mark is no part of it.

    Raises:
        NotText: it is in another encoding; no byte of it is quoted.
    """
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise NotText(f"it is not in {encoding.upper().removesuffix('-SIG')}; save it in UTF-8") from None


def in_utf8(content: bytes) -> bytes:
    """Return the bytes of a text in UTF-8, without a byte order mark; those of no text that can be told stay."""
    try:
        return decode(content).encode()
    except NotText:
        return content


def read_text(path: Path) -> str:
    """Read a text; see `decode`.

    Raises:
        NotText: it is in another encoding.
        OSError: it cannot be read.
    """
    return decode(path.read_bytes())


def write_private(path: Path, content: bytes, *, force: bool = False) -> Path:
    """Write a file beside its place and move it there; return the path. Of several who write one file, one does.

    Raises:
        FileExistsError: there is a file of this name, and `force` was not given.
        OSError: it cannot be written there.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    draft = Path(name)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - a handle, not a path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if force:
            draft.replace(path)
        else:
            _move_to_new(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _move_to_new(draft: Path, path: Path) -> None:
    """Give a file its name, which no other file may have."""
    try:
        path.hardlink_to(draft)
    except OSError as cause:
        if cause.errno not in _NO_LINKS:
            raise
        # Taking the name first keeps a second writer away; the file is empty for a moment.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            draft.replace(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def create_private(path: Path) -> None:
    """Make an empty file for its owner only, if there is none; where none can be made, whoever opens it is told."""
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def open_to_others(path: Path) -> frozenset[str]:
    """Return what others than its owner may do with a file: read it, write it, replace it in its folder.

    A folder that they may not enter keeps what is in it. The group is others, too, but not for reading a file that
    belongs to another user than this process's: by its group the process reads it itself.

    Raises:
        OSError: the file is not there.
    """
    if os.name != "posix":
        return frozenset()
    real = path.resolve()
    file, folders = real.stat(), [folder.stat().st_mode for folder in real.parents]
    others = all(mode & stat.S_IXOTH for mode in folders)
    group = all(mode & (stat.S_IXOTH | stat.S_IXGRP) for mode in folders)
    own = file.st_uid == os.geteuid()
    replaced = 0 if folders[0] & stat.S_ISVTX else folders[0]
    found = {
        "read": (file.st_mode & stat.S_IROTH and others) or (file.st_mode & stat.S_IRGRP and group and own),
        "write": (file.st_mode & stat.S_IWOTH and others) or (file.st_mode & stat.S_IWGRP and group),
        "replace": (replaced & stat.S_IWOTH and others) or (replaced & stat.S_IWGRP and group),
    }
    return frozenset(act for act, allowed in found.items() if allowed)
