"""A ticket as values, for programs; no I/O."""

import contextlib
import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec

from payhub.money import Money
from payhub.ticket.contents import Contents

Values = dict[str, Any]


def utc(time: dt.datetime) -> str:
    """Write a time as programs read it: ISO 8601, UTC, milliseconds; at the ends of time, in its own zone."""
    with contextlib.suppress(OverflowError):  # others may have said it
        time = time.astimezone(dt.UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(time: dt.datetime) -> str:
    """Write a time as people read it: UTC, milliseconds."""
    return utc(time).replace("T", " ").replace("Z", " UTC")


def jsonable(value: Any) -> Any:
    """Turn a value into what JSON can say; an amount is a text, a time has milliseconds.

    A result's `raw` is left out: it may hold anything.
    """
    match value:
        case Money():
            return {"amount": f"{value.amount:f}", "currency": value.currency}
        case dt.date():
            return utc(value) if isinstance(value, dt.datetime) else value.isoformat()
        case Mapping():
            return {str(key): jsonable(item) for key, item in value.items()}
        case list() | tuple():
            return [jsonable(item) for item in value]
        case msgspec.Struct():
            return {name: jsonable(getattr(value, name)) for name in value.__struct_fields__ if name != "raw"}
    return value


def head(ticket: Contents) -> Values:
    """Return which order it is, and how it is."""
    names = ("account", "provider", "kind", "order_id", "provider_id", "situation", "state", "lang", "internal")
    return {name: jsonable(getattr(ticket, name)) for name in names}


def whole(ticket: Contents) -> Values:
    """Return all that a ticket holds."""
    values = {
        **head(ticket),
        "text": ticket.text,
        "exchanges": exchanges(ticket),
        "notifications": notifications(ticket),
        "manifest": jsonable(ticket.manifest),
    }
    return {**values, "history": history(ticket)} if ticket.internal else values


def exchanges(ticket: Contents) -> list[Values]:
    """Return each request and its answer."""
    listed = []
    for number, exchange in enumerate(ticket.exchanges, 1):
        request = {
            "method": exchange.method,
            "url": exchange.url,
            "headers": exchange.request_headers,
            "bytes": exchange.bytes_sent,
            "body": exchange.request,
        }
        response = {
            "status": exchange.status,
            "headers": exchange.response_headers,
            "bytes": exchange.bytes_received,
            "body": exchange.response,
        }
        values = {
            "number": number,
            "operation": exchange.operation,
            "order_id": exchange.order_id,
            "provider_id": exchange.provider_id,
            "attempt": exchange.attempt,
            "started_at": exchange.started_at,
            "seconds": exchange.duration,
            "phase": exchange.phase,
            "problem": exchange.problem,
            "request": request,
            "response": None if exchange.status is None else response,
            "server_time": exchange.server_time,
            "signed_with": exchange.signed_with,
            "software": exchange.software,
        }
        listed.append(jsonable({**values, "context": exchange.context} if ticket.internal else values))
    return listed


def notifications(ticket: Contents) -> list[Values]:
    """Return the provider's notifications, but not the digest by which one is recognised."""
    return [
        jsonable(
            {
                "number": number,
                "first_at": stored.at,
                "last_at": stored.last_at,
                "times": stored.times,
                "provider_id": stored.content.provider_id,
                "provider_status": stored.content.provider_status,
                "requested": stored.content.requested,
                "paid": stored.content.paid,
                "commission": stored.content.commission,
                "fields": stored.content.fields,
                "verdict": stored.verdict,
            }
        )
        for number, stored in enumerate(ticket.notifications, 1)
    ]


_ABSENT: tuple[Any, ...] = (None, (), False)


def history(ticket: Contents) -> list[Values]:
    """Return what happened on our own side; what there is not is left out."""
    listed = []
    for entry in ticket.history:
        if entry.evidence:
            values = {
                "at": entry.at,
                "what": entry.what,
                "by": entry.by,
                "contradicts": entry.contradicts,
                "times": entry.times,
                "last_at": entry.last_at,
                **msgspec.structs.asdict(entry.evidence),
            }
            listed.append({name: jsonable(value) for name, value in values.items() if value not in _ABSENT})
    return listed
