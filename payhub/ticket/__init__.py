"""Make a ticket of an order: what its provider's support needs to find out what became of it.

A ticket has a short text, the exchanges with the provider, its notifications, and a manifest. All of
it was masked before it was kept, and is searched once more before it leaves (see `payhub.masking.leaks`).
"""

import datetime as dt
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import msgspec

from payhub.errors import ConfigurationError
from payhub.exchanges.record import payhub_version
from payhub.journal import Entry, Key, Noted, Record, State
from payhub.journal.records import unknown_order
from payhub.masking import Clear, MaskedStruct
from payhub.models import Exchange
from payhub.money import Money
from payhub.ticket import rendering, writing
from payhub.ticket.legend import legend
from payhub.ticket.rendering import FORMATS, Format
from payhub.ticket.situations import Situation, Story
from payhub.ticket.texts import LANGS, STATEMENT, Lang
from payhub.ticket.wording import Wording, plain

__all__ = ["FORMATS", "LANGS", "VERSION", "Format", "Lang", "Manifest", "Situation", "Ticket", "form_of"]

VERSION = 1
"""The version of a ticket's form; it grows when a program that reads tickets has to change."""


class Manifest(MaskedStruct, frozen=True, kw_only=True):
    """Say what a ticket holds, and how it was made.

    `software` names what was at work in the exchanges, oldest first; `sent` counts how often the order was taken for
    sending. `masks` explains each mask that the ticket shows, by a sample.
    """

    version: Clear[int]
    internal: Clear[bool]
    made_at: Clear[dt.datetime]
    made_with: Clear[dict[str, str]]
    software: Clear[tuple[str, ...]]
    method: Clear[str]
    amount: Clear[Money]
    paid: Clear[Money | None]
    credited: Clear[Money | None]
    commission: Clear[Money | None]
    provider_status: Clear[str | None]
    sent: Clear[int]
    created_at: Clear[dt.datetime]
    changed_at: Clear[dt.datetime]
    exchanges: Clear[int]
    notifications: Clear[int]
    first_at: Clear[dt.datetime | None]
    last_at: Clear[dt.datetime | None]
    statement: Clear[str]
    masks: Clear[dict[str, str]]


class Ticket(MaskedStruct, frozen=True, kw_only=True):
    """Hold what a provider's support is told of one order, masked.

    `text` is in Markdown, in `lang`. `history` has what happened on our own side, which only an
    `internal` ticket tells: evidence, operators' acts, what the application bound to its log.
    """

    account: Clear[str]
    provider: Clear[str]
    kind: Clear[str]
    order_id: Clear[str]
    provider_id: Clear[str | None]
    situation: Clear[Situation]
    state: Clear[State]
    lang: Clear[Lang]
    text: Clear[str]
    exchanges: Clear[tuple[Exchange, ...]]
    notifications: Clear[tuple[Noted, ...]]
    manifest: Clear[Manifest]
    internal: Clear[bool] = False
    history: Clear[tuple[Entry, ...]] = ()

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
        shown = msgspec.json.encode((text, exchanges, story.notifications, history)).decode().replace(r"\n", " ")
        return cls(
            account=plain(facts.account),
            provider=plain(facts.provider),
            kind=facts.kind,
            order_id=plain(facts.order_id),
            provider_id=record.provider_id and plain(record.provider_id),
            situation=story.situation,
            state=record.state,
            lang=lang,
            text=text,
            exchanges=exchanges,
            notifications=story.notifications,
            manifest=_manifest(story, lang, at, legend(shown, lang), internal=internal),
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
        """Write the ticket to a file that its owner only may read, whole or not at all; return its path.

        The form is that of the name's suffix, if not said. The name of an internal ticket says so.

        Raises:
            TicketRefused: it would show what must not be shown; nothing is written.
            FileExistsError: there is a file of this name, and nothing was said of `force`.
            ConfigurationError: the suffix is none of the known ones.
            OSError: it cannot be written there.
        """
        path = Path(path)
        content = self.rendered(form or form_of(path))
        return writing.write(writing.marked(path) if self.internal else path, content, force=force)


def form_of(path: Path) -> Format:
    """Return the form that a file's suffix says.

    Raises:
        ConfigurationError: it says none of the known ones.
    """
    found = next((form for form in FORMATS if path.suffix.lower() == f".{form}"), None)
    if found is None:
        raise ConfigurationError(f"the file's suffix says no format; known: {', '.join(FORMATS)}")
    return found


def _manifest(story: Story, lang: Lang, at: dt.datetime, masks: dict[str, str], *, internal: bool) -> Manifest:
    record, facts = story.record, story.record.facts
    times = [entry.at for entry in story.entries if entry.exchange or entry.noted]
    software = dict.fromkeys(exchange.software for exchange in story.exchanges if exchange.software)
    return Manifest(
        version=VERSION,
        internal=internal,
        made_at=at,
        made_with={"payhub": payhub_version() or "unknown", "Python": platform.python_version()},
        software=tuple(software),
        method=facts.method,
        amount=facts.amount,
        paid=record.paid,
        credited=record.credited,
        commission=record.commission,
        provider_status=record.provider_status and plain(record.provider_status),
        sent=record.attempts,
        created_at=record.created_at,
        changed_at=record.updated_at,
        exchanges=len(story.exchanges),
        notifications=len(story.notifications),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
        statement=STATEMENT[lang],
        masks=masks,
    )
