"""Keep a journal in SQLite or PostgreSQL, in the application's own database."""

from payhub.journal.sql.engine import placed
from payhub.journal.sql.journal import SqlJournal
from payhub.journal.sql.note import Note

__all__ = ["Note", "SqlJournal", "placed"]
