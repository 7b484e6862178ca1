"""A ticket of an order: made of its story, rendered, and written to a file."""

import datetime as dt
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import msgspec

from payhub.errors import ConfigurationError
from payhub.exchanges.record import payhub_version
from payhub.files import write_private
from payhub.journal import Entry, Key, Record
from payhub.journal.records import unknown_order
from payhub.masking import one_line
from payhub.models import encodable
from payhub.ticket import rendering
from payhub.ticket.contents import VERSION, Contents, Manifest
from payhub.ticket.legend import legend
from payhub.ticket.rendering import FORMATS, Format
from payhub.ticket.situations import Story
from payhub.ticket.texts import LANGS, TEXTS, Lang
from payhub.ticket.wording import Wording

_MARK = "internal"
"""What the name of an internal ticket's file says."""


class Ticket(Contents, frozen=True, kw_only=True):
    """A ticket of one order for its provider's support, masked: its contents, and how to give them away."""

    @classmethod
    def of(
        cls,
        key: Key,
        records: Iterable[Record],
        entries: Iterable[Entry],
        *,
        lang: Lang = "en",
        internal: bool = False,
        at: dt.datetime | None = None,
    ) -> Self:
        """Make the ticket of one order out of what `Journal.story` returns; `at` is now, if not said.

        The same story and the same time make the same ticket, and the same ticket the same bytes.

        Raises:
            UnknownOrder: the journal does not know the order.
            ConfigurationError: there are no texts in this language; the known ones are listed.
        """
        story = Story.of(key, records, entries)
        if story is None:
            raise unknown_order(key)
        if lang not in LANGS:
            raise ConfigurationError(f"no texts in language {lang!r}; known: {', '.join(LANGS)}")
        at = at or dt.datetime.now(dt.UTC)
        facts, record = story.record.facts, story.record
        text = Wording(story, lang, at).text()
        exchanges = tuple(e if internal else msgspec.structs.replace(e, context={}) for e in story.exchanges)
        history = story.entries if internal else ()
        searched = (text, exchanges, story.notifications, history)
        shown = msgspec.json.encode(searched, enc_hook=encodable).decode().replace(r"\n", " ")
        times = [entry.at for entry in story.entries if entry.exchange or entry.notification]
        return cls(
            account=one_line(facts.account),
            provider=one_line(facts.provider),
            kind=facts.kind,
            order_id=one_line(facts.order_id),
            provider_id=record.provider_id and one_line(record.provider_id),
            situation=story.situation,
            state=record.state,
            lang=lang,
            text=text,
            exchanges=exchanges,
            notifications=story.notifications,
            manifest=Manifest(
                version=VERSION,
                internal=internal,
                made_at=at,
                made_with={"payhub": payhub_version() or "unknown", "Python": platform.python_version()},
                software=tuple(dict.fromkeys(each.software for each in exchanges if each.software)),
                method=facts.method,
                amount=facts.amount,
                paid=record.paid,
                credited=record.credited,
                commission=record.commission,
                provider_status=record.provider_status and one_line(record.provider_status),
                sent=record.attempts,
                created_at=record.created_at,
                changed_at=record.updated_at,
                exchanges=len(exchanges),
                notifications=len(story.notifications),
                first_at=min(times, default=None),
                last_at=max(times, default=None),
                statement=TEXTS[lang].statement,
                masks=legend(shown, lang),
            ),
            internal=internal,
            history=history,
        )

    def rendered(self, form: Format = "md") -> bytes:
        """Return the ticket as Markdown, JSON, or a zip of files of both.

        Raises:
            TicketRefused: it would show what must not be shown.
        """
        return rendering.rendered(self, form)

    def write(self, path: str | Path, form: Format | None = None, *, force: bool = False) -> Path:
        """Write the ticket to a file that only its owner may read, whole or not at all; return its path.

        Without a `form`, the suffix of the name says it. The name of an internal ticket's file says that it is one.

        Raises:
            TicketRefused: it would show what must not be shown; nothing is written.
            ConfigurationError: the suffix is none of the known ones; there is a file of this name, and `force` was
                not given; or it cannot be written there.
        """
        path = Path(path)
        content = self.rendered(form or form_of(path))
        if self.internal and _MARK not in path.stem:
            path = path.with_name(f"{path.stem}-{_MARK}{path.suffix}")
        try:
            return write_private(path, content, force=force)
        except FileExistsError:
            raise ConfigurationError("the file exists already; with force it is written over") from None
        except (OSError, ValueError) as cause:
            words = getattr(cause, "strerror", None) or "it is no path"
            raise ConfigurationError(f"the file cannot be written: {words}") from cause


def form_of(path: Path) -> Format:
    """Return the format that a file's suffix says.

    Raises:
        ConfigurationError: it says none of the known ones.
    """
    found = next((form for form in FORMATS if path.suffix.lower() == f".{form}"), None)
    if found is None:
        raise ConfigurationError(f"the file's suffix says no format; known: {', '.join(FORMATS)}")
    return found
