"""Tell the log and the observers of an exchange."""

import contextlib
from collections.abc import Callable, Iterable

import msgspec
import structlog

from payhub.models import Exchange

_log = structlog.get_logger("payhub")

Observer = tuple[str, Callable[..., object]]
"""Name an observer, and call it with `event=`."""


def publish(exchange: Exchange, observers: Iterable[Observer]) -> None:
    """Log an exchange as the structlog event `payhub.exchange`, and tell the observers."""
    with contextlib.suppress(Exception):  # a log that fails must not change what happens to money
        _log.info("payhub.exchange", **_event(exchange))
    tell(observers, exchange)


def _event(exchange: Exchange) -> dict[str, object]:
    fields = msgspec.structs.asdict(exchange)
    # What the application bound keeps its names, so that `merge_contextvars` adds nothing a second time.
    fields.update(
        fields.pop("context"),
        phase=str(exchange.phase),
        started_at=exchange.started_at.isoformat(timespec="milliseconds"),
        server_time=exchange.server_time and exchange.server_time.isoformat(),
    )
    return fields


def tell(observers: Iterable[Observer], event: Exchange) -> None:
    """Tell every observer of an event; one that raises is logged and changes nothing."""
    for name, caller in observers:
        try:
            caller(event=event)
        except Exception as cause:  # noqa: BLE001 - an observer must not change what happens to money
            _log.warning("payhub.observer_failed", observer=name, error=type(cause).__name__)
