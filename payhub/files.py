"""Files that only their owner may read, written whole or not at all."""

import errno
import os
import tempfile
from pathlib import Path

_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP}
"""What a file system says that knows no hard links, FAT for one."""


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
