"""A ticket as Markdown, for people, near to what went over the wire; no I/O."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from payhub.journal import StoredNotification
from payhub.masking import one_line, printable
from payhub.models import Exchange, Phase
from payhub.ticket import values
from payhub.ticket.contents import Contents
from payhub.ticket.markup import body, fenced, plain_or_quoted, quoted
from payhub.ticket.texts import TEXTS
from payhub.ticket.values import clock


def markdown(ticket: Contents) -> str:
    """Return a ticket: the text, the exchanges, the notifications, the manifest."""
    page = _Page(ticket)
    labels = page.texts.labels
    parts = [*([f"**{labels.internal}**"] if ticket.internal else []), ticket.text]
    parts += page.section(labels.exchanges, ticket.exchanges, page.exchange)
    parts += page.section(labels.notifications, ticket.notifications, page.notification)
    if ticket.internal:
        parts += [f"## {labels.history}", "\n".join(f"- {quoted(body(each))}" for each in values.history(ticket))]
    parts += page.manifest()
    return "\n\n".join(parts) + "\n"


class _Page:
    """The parts of one ticket, in its language."""

    def __init__(self, ticket: Contents) -> None:
        self.ticket = ticket
        self.texts = TEXTS[ticket.lang]

    def section(self, title: str, items: Sequence[Any], show: Callable[[int, Any], Iterator[str]]) -> Iterator[str]:
        if items:
            yield f"## {title}"
        for number, item in enumerate(items, 1):
            yield from show(number, item)

    def exchange(self, number: int, exchange: Exchange) -> Iterator[str]:
        labels = self.texts.labels
        yield f"### {number}. {one_line(exchange.operation)}, {clock(exchange.started_at)}"
        yield _message(f"{exchange.method} {exchange.url}", exchange.request_headers, exchange.request)
        if exchange.status is not None:
            yield _message(f"HTTP {exchange.status}", exchange.response_headers, exchange.response)
        problem = exchange.problem and f"{quoted(exchange.problem)} ({self.texts.phases[Phase(exchange.phase)]})"
        context = ", ".join(f"{name}={value}" for name, value in exchange.context.items())
        about = {
            labels.no_answer: problem,
            labels.duration: f"{exchange.duration:.3f} {self.texts.units[-1]}",
            labels.size: f"{exchange.bytes_sent} / {exchange.bytes_received}",
            labels.provider_clock: exchange.server_time and clock(exchange.server_time),
            labels.attempt: exchange.attempt if exchange.operation.startswith("create") else None,
            labels.signed_with: exchange.signed_with and one_line(exchange.signed_with),
            labels.software: exchange.software and one_line(exchange.software),
            labels.context: context and quoted(context),
        }
        yield "\n".join(f"- {label}: {value}" for label, value in about.items() if value)

    def notification(self, number: int, stored: StoredNotification) -> Iterator[str]:
        yield f"### {number}. {clock(stored.at)}"
        yield fenced(_lines(stored.content.fields), "json")
        if stored.times > 1:
            times = self.texts.times(stored.times)
            yield f"- {self.texts.labels.received.format(times=times, last=clock(stored.last_at))}"

    def manifest(self) -> Iterator[str]:
        manifest, labels = self.ticket.manifest, self.texts.labels
        yield f"## {labels.manifest}"
        shown = {label: self._value(name, getattr(manifest, name)) for name, label in self.texts.manifest.items()}
        yield "\n".join(f"- {label}: {plain_or_quoted(value)}" for label, value in shown.items() if value)
        yield manifest.statement
        if manifest.masks:
            yield f"{labels.masks}:"
            yield "\n".join(f"- {quoted(mask)}: {meaning}" for mask, meaning in manifest.masks.items())

    def _value(self, name: str, value: Any) -> str:
        """Write a value of the manifest; nothing, if there is none."""
        match value:
            case None | False | ():
                return ""
            case True:
                return self.texts.labels.yes
            case dt.datetime():
                return clock(value)
            case Mapping():
                return "; ".join(map(" ".join, value.items()))
            case tuple():
                return "; ".join(value)
        return self.texts.methods.get(value, value) if name == "method" else str(value)


def _message(first: str, headers: Mapping[str, str], sent: object) -> str:
    """Write a request or an answer as it went over the wire."""
    lines = [printable(line) for line in (first, *(f"{name}: {value}" for name, value in headers.items()))]
    return fenced("\n".join(lines if sent is None else [*lines, "", _lines(sent)]), "http")


def _lines(sent: object) -> str:
    return "\n".join(map(printable, body(sent, indent=2).split("\n")))
