"""Write a ticket's file: whole or not at all, for its owner only."""

import os
import tempfile
from pathlib import Path

MARK = "internal"


def marked(path: Path) -> Path:
    """Say in a file's name that it is not for the provider."""
    return path if MARK in path.stem else path.with_name(f"{path.stem}-{MARK}{path.suffix}")


def write(path: Path, content: bytes, *, force: bool = False) -> Path:
    """Write a file beside its place and move it there; return the path.

    Raises:
        FileExistsError: there is one already, and nothing was said of `force`.
        OSError: it cannot be written there.
    """
    if not force:  # takes the name, so that of two who write one does
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        _replace(path, content)
    except BaseException:
        if not force:
            path.unlink(missing_ok=True)
        raise
    return path


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - a handle, not a path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105 - the same
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
