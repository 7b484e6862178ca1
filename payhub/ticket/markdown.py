"""Write a ticket as Markdown, for people, near to what went over the wire; no I/O."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from payhub.journal import Noted
from payhub.masking import printable
from payhub.models import Exchange
from payhub.ticket import values
from payhub.ticket.texts import LABELS, MANIFEST, METHODS, UNITS, how_often
from payhub.ticket.wording import body, came, clock, fenced, plain, quoted

if TYPE_CHECKING:
    from payhub.ticket import Ticket


def markdown(ticket: "Ticket") -> str:
    """Return a ticket: the text, the exchanges, the notifications, the manifest."""
    page = _Page(ticket)
    parts = [*page.warning(), ticket.text]
    parts += page.section("exchanges", ticket.exchanges, page.exchange)
    parts += page.section("notifications", ticket.notifications, page.notification)
    parts += [*page.inside(), *page.manifest()]
    return "\n\n".join(parts) + "\n"


class _Page:
    """Write the parts of one ticket, in its language."""

    def __init__(self, ticket: "Ticket") -> None:
        self._ticket = ticket

    def _say(self, label: str) -> str:
        return LABELS[label][self._ticket.lang]

    def warning(self) -> Iterator[str]:
        if self._ticket.internal:
            yield f"**{self._say('internal')}**"

    def section(self, label: str, items: Sequence[Any], show: Callable[[int, Any], Iterator[str]]) -> Iterator[str]:
        if items:
            yield f"## {self._say(label)}"
        for number, item in enumerate(items, 1):
            yield from show(number, item)

    def exchange(self, number: int, exchange: Exchange) -> Iterator[str]:
        yield f"### {number}. {plain(exchange.operation)}, {clock(exchange.started_at)}"
        yield _message(f"{exchange.method} {exchange.url}", exchange.request_headers, exchange.request)
        if exchange.status is not None:
            yield _message(f"HTTP {exchange.status}", exchange.response_headers, exchange.response)
        yield "\n".join(f"- {line}" for line in self._about(exchange))

    def _about(self, exchange: Exchange) -> Iterator[str]:
        context = ", ".join(f"{name}={value}" for name, value in exchange.context.items())
        told = {
            "no_answer": exchange.problem and f"{quoted(exchange.problem)} ({exchange.phase})",
            "took": f"{exchange.duration:.3f} {UNITS[self._ticket.lang][-1]}",
            "bytes": f"{exchange.bytes_sent} / {exchange.bytes_received}",
            "your_clock": exchange.server_time and clock(exchange.server_time),
            "attempt": exchange.attempt if exchange.operation.startswith("create") else None,
            "signed_with": exchange.signed_with and plain(exchange.signed_with),
            "software": exchange.software and plain(exchange.software),
            "internal": context and quoted(context),
        }
        yield from (f"{self._say(label)}: {value}" for label, value in told.items() if value)

    def notification(self, number: int, noted: Noted) -> Iterator[str]:
        yield f"### {number}. {clock(noted.at)}"
        yield fenced(_lines(noted.notice.fields), "json")
        if noted.times > 1:
            yield f"- {came('times', noted.times, noted.last_at, self._ticket.lang)}"

    def inside(self) -> Iterator[str]:
        if self._ticket.internal:
            yield f"## {self._say('inside')}"
            yield "\n".join(printable(f"- {body(told)}") for told in values.history(self._ticket))

    def manifest(self) -> Iterator[str]:
        manifest, lang = self._ticket.manifest, self._ticket.lang
        yield f"## {self._say('manifest')}"
        told = {name: self._told(name, getattr(manifest, name)) for name in MANIFEST}
        yield "\n".join(f"- {MANIFEST[name][lang]}: {plain(value)}" for name, value in told.items() if value)
        yield manifest.statement
        if manifest.masks:
            yield f"{self._say('masks')}:"
            yield "\n".join(f"- {quoted(mask)}: {meaning}" for mask, meaning in manifest.masks.items())

    def _told(self, name: str, value: Any) -> str:
        """Say a value of the manifest; nothing, if there is none."""
        lang = self._ticket.lang
        match value:
            case None | False | ():
                return ""
            case True:
                return self._say("yes")
            case dt.datetime():
                return clock(value)
            case Mapping() | tuple():
                return "; ".join(map(" ".join, value.items()) if isinstance(value, Mapping) else value)
        if name == "sent":
            return how_often(value, lang)
        return METHODS[value][lang] if name == "method" and value in METHODS else str(value)


def _message(first: str, headers: Mapping[str, str], sent: object) -> str:
    lines = [printable(line) for line in (first, *(f"{name}: {value}" for name, value in headers.items()))]
    return fenced("\n".join(lines if sent is None else [*lines, "", _lines(sent)]), "http")


def _lines(sent: object) -> str:
    return "\n".join(map(printable, body(sent, indent=2).split("\n")))
