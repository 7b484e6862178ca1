"""Turn what was sent and answered into masked records, and log each as one event."""

import contextlib
import datetime as dt
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import structlog

from payhub.driver import Call
from payhub.masking import Mask, masked, show, sweep
from payhub.models import Exchange
from payhub.plan import Plan, Reply
from payhub.plugins import Observer, tell

_log = structlog.get_logger("payhub")
_json = msgspec.json.Decoder(float_hook=str)


def record(plan: Plan[Any], call: Call, reply: Reply, started_at: dt.datetime, duration: float) -> Exchange:
    """Make the masked record of one exchange."""
    response = reply.response
    return Exchange(
        account=plan.account,
        provider=plan.provider,
        operation=call.operation,
        order_id=call.order_id and sweep(call.order_id),
        provider_id=call.provider_id and sweep(call.provider_id),
        method=call.method,
        url=str(show(call.url, Mask.LINK)),
        phase=reply.phase,
        status=response.status if response else None,
        problem=reply.problem,
        started_at=started_at,
        duration=round(duration, 6),
        server_time=_date(response.headers.get("date")) if response else None,
        bytes_sent=len(call.body),
        bytes_received=len(response.body) if response else 0,
        request=_body(call.body, call.asked),
        response=_body(response.body, call.promised) if response else None,
    )


def publish(exchange: Exchange, observers: Iterable[Observer]) -> None:
    """Log an exchange as the structlog event `payhub.exchange`, and tell the observers."""
    with contextlib.suppress(Exception):  # a log that fails must not change what happens to money
        _log.info("payhub.exchange", **_event(exchange))
    tell(observers, exchange)


def _event(exchange: Exchange) -> dict[str, object]:
    fields = msgspec.structs.asdict(exchange)
    fields.update(
        phase=str(exchange.phase),
        started_at=exchange.started_at.isoformat(timespec="milliseconds"),
        server_time=exchange.server_time and exchange.server_time.isoformat(),
    )
    return fields


def _body(body: bytes, shape: type[msgspec.Struct] | None) -> object:
    if not body:
        return None
    try:
        return masked(_json.decode(body), shape)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return f"[not JSON, {len(body)} bytes]"


def _date(header: str | None) -> dt.datetime | None:
    try:
        return parsedate_to_datetime(header) if header else None
    except (ValueError, OverflowError):
        return None
