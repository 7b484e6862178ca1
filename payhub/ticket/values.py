"""Say what a ticket holds as values, for programs; no I/O."""

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from payhub.journal import Entry, Noted
from payhub.models import Exchange
from payhub.money import Money
from payhub.ticket.wording import utc

if TYPE_CHECKING:
    from payhub.ticket import Ticket

Values = dict[str, Any]


def plain(value: Any) -> Any:
    """Turn a value into what JSON can say; an amount is a text, a time has milliseconds."""
    match value:
        case Money():
            return {"amount": f"{value.amount:f}", "currency": value.currency}
        case dt.datetime():
            return utc(value)
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case msgspec.Struct():
            return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    return value


def head(ticket: "Ticket") -> Values:
    """Name the order, and say how it is."""
    names = ("account", "provider", "kind", "order_id", "provider_id", "situation", "state", "lang", "internal")
    return {name: plain(getattr(ticket, name)) for name in names}


def whole(ticket: "Ticket") -> Values:
    """Say all that a ticket holds."""
    told = {
        **head(ticket),
        "text": ticket.text,
        "exchanges": exchanges(ticket),
        "notifications": notifications(ticket),
        "manifest": plain(ticket.manifest),
    }
    return {**told, "history": history(ticket)} if ticket.internal else told


def exchanges(ticket: "Ticket") -> list[Values]:
    """Say what was asked and what came back."""
    return [_exchange(each, number, internal=ticket.internal) for number, each in enumerate(ticket.exchanges, 1)]


def _exchange(exchange: Exchange, number: int, *, internal: bool) -> Values:
    response = {
        "status": exchange.status,
        "headers": exchange.response_headers,
        "bytes": exchange.bytes_received,
        "body": exchange.response,
    }
    told = {
        "number": number,
        "operation": exchange.operation,
        "order_id": exchange.order_id,
        "provider_id": exchange.provider_id,
        "attempt": exchange.attempt,
        "started_at": exchange.started_at,
        "seconds": exchange.duration,
        "phase": exchange.phase,
        "problem": exchange.problem,
        "request": {
            "method": exchange.method,
            "url": exchange.url,
            "headers": exchange.request_headers,
            "bytes": exchange.bytes_sent,
            "body": exchange.request,
        },
        "response": None if exchange.status is None else response,
        "server_time": exchange.server_time,
        "signed_with": exchange.signed_with,
        "software": exchange.software,
        **({"context": exchange.context} if internal else {}),
    }
    return {name: plain(value) for name, value in told.items()}


def notifications(ticket: "Ticket") -> list[Values]:
    """Say what the provider told by itself."""
    return [_notification(noted, number) for number, noted in enumerate(ticket.notifications, 1)]


def _notification(noted: Noted, number: int) -> Values:
    """Leave out the digest that a notification is known by: it is nobody else's matter."""
    notice = noted.notice
    told = {
        "number": number,
        "first_at": noted.at,
        "last_at": noted.last_at,
        "times": noted.times,
        "provider_id": notice.provider_id,
        "provider_status": notice.provider_status,
        "requested": notice.requested,
        "paid": notice.paid,
        "commission": notice.commission,
        "fields": notice.fields,
        "verdict": noted.verdict,
    }
    return {name: plain(value) for name, value in told.items()}


def history(ticket: "Ticket") -> list[Values]:
    """Say what happened on our own side."""
    return [_inside(entry) for entry in ticket.history if entry.evidence]


def _inside(entry: Entry) -> Values:
    told = {
        "at": entry.at,
        "what": entry.what,
        "by": entry.by,
        "contradicts": entry.contradicts,
        "times": entry.times,
        "last_at": entry.last_at,
    }
    said = msgspec.structs.asdict(entry.evidence) if entry.evidence else {}
    return {name: plain(value) for name, value in {**told, **said}.items() if value not in _UNSAID}


_UNSAID: tuple[Any, ...] = (None, (), False)
