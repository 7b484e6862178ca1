"""Remember outside of the database which journal was begun, and how far it had come.

A database cannot tell that it is not the one it was. The note is a small file beside the key: from it a journal that is
gone, another one in its place, and an older copy are known, and nothing is sent. Without a file the process remembers.
"""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from payhub.errors import JournalFailed
from payhub.files import write_private

_PAUSE = 60.0
"""Seconds between two writes of the file: what an older copy lacks from less than that is not known to be missing."""

AGREE = "bring it back; if this is the journal to go on with, a person has to agree: payhub journal accept"
"""What to do about a journal that is not the one that was begun."""

_OWN = "; a second configuration with a journal of its own needs a directory of its own, or a [journal] key"


class Mark(msgspec.Struct, frozen=True):
    """Which journal it is, and the number of its newest order."""

    journal: str | None
    newest: int


class Note:
    """What is known of a journal outside of its database."""

    def __init__(self, path: Path | None = None, failed: Callable[[OSError], object] = lambda _: None) -> None:
        """Name the file, if there is one to be; `failed` is called when it cannot be written."""
        self.path = path
        self._failed = failed
        self._seen: Mark | None = None
        self._written: Mark | None = None
        self._write_at = 0.0

    def read(self) -> Mark | None:
        """Return how far the journal had come, or nothing if none was begun.

        Raises:
            JournalFailed: the file cannot be read.
        """
        kept, seen = self._read_file(), self._seen
        if kept is None or seen is None:
            return kept or seen
        # A person has agreed to another journal since this process saw one: that stands in the file.
        return max(kept, seen, key=lambda mark: mark.newest) if kept.journal == seen.journal else kept

    def _read_file(self) -> Mark | None:
        if self.path is None:
            return None
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Mark)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as cause:
            raise JournalFailed(
                f"the journal failed: {self.path}, which notes that it was begun, cannot be read: {AGREE}"
            ) from cause

    def see(self, found: Mark) -> None:
        """Remember a journal that this process begins to use, or another one that a person has agreed to."""
        if self._seen is None or self._seen.journal != found.journal == getattr(self._read_file(), "journal", None):
            self._seen = found

    def reach(self, newest: int) -> None:
        """Remember how far the journal has come, and write it down from time to time."""
        if self._seen is not None and self._seen.newest < newest:
            self._seen = Mark(self._seen.journal, newest)
        if time.monotonic() >= self._write_at:
            self.flush()

    def flush(self) -> None:
        """Write down how far the journal has come, if that is not written yet."""
        if self.path is None or self._seen is None or self._seen == self._written:
            return
        self._write_at = time.monotonic() + _PAUSE
        kept = self._read_file()
        if kept is None or (kept.journal == self._seen.journal and kept.newest < self._seen.newest):
            try:
                write_private(self.path, msgspec.json.encode(self._seen), force=True)
            except OSError as cause:
                self._failed(cause)
        self._written = self._seen

    def accept(self, mark: Mark) -> None:
        """Take a journal for the one that was begun, whatever was noted before.

        Raises:
            JournalFailed: the file cannot be written.
        """
        self._seen = self._written = mark
        if self.path is not None:
            try:
                write_private(self.path, msgspec.json.encode(mark), force=True)
            except OSError as cause:
                raise JournalFailed(f"the journal failed: {self.path} cannot be written: {cause.strerror}") from cause


def compare(noted: Mark | None, found: Mark | None) -> None:
    """Compare a journal with what was noted of it; the note is read first, for the journal may grow meanwhile.

    Raises:
        JournalFailed: it is gone, another one, or older than it was.
    """
    if noted is None:
        return
    if found is None:
        raise JournalFailed(f"the journal failed: it was begun, and is gone; nothing is sent: {AGREE}{_OWN}")
    if found.journal != noted.journal:
        raise JournalFailed(
            f"the journal failed: it is another one than was begun here; nothing is sent: {AGREE}{_OWN}"
        )
    if found.newest < noted.newest:
        raise JournalFailed(
            f"the journal failed: it is older than it was: its newest order has the number {found.newest}, and there "
            f"was one with the number {noted.newest}; nothing is sent: {AGREE}"
        )
