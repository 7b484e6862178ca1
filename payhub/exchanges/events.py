"""All events that payhub logs, in one table, and the one place that writes them.

Money comes first: a log or an observer that fails is of no consequence to the order at hand.
"""

import contextlib
import enum
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
import structlog

from payhub.journal import Key
from payhub.masking import mask_cards, printable_lines
from payhub.models import Exchange

_log = structlog.get_logger("payhub")

Level = Literal["info", "warning", "error", "critical"]

_ORDER = ("account", "kind", "order_id")
# What the application bound stands in the event under its own name, and not as the field `context`.
_EXCHANGE = (*(name for name in Exchange.__struct_fields__ if name != "context"), "request_id", "user")
_NOTIFICATION = ("provider", "provider_id", "provider_status", "times", "known", "ask")


class Event(enum.Enum):
    """An event of the log: its name, its level, and the fields that it may have besides."""

    EXCHANGE = "payhub.exchange", "info", _EXCHANGE
    NOTIFICATION = "payhub.notification", "info", (*_ORDER, *_NOTIFICATION)
    # What anybody may send who is no provider is no news; but a key, or the address that was given, may be wrong.
    DELIVERY_REFUSED = "payhub.notification_refused", "info", ("account", "status", "error", "times")
    NOTIFICATION_REFUSED = "payhub.notification_refused", "warning", ("account", "status", "error", "times")
    NOTIFICATION_FAILED = "payhub.notification_failed", "error", ("account", "status", "error", "reason", "times")
    SERVER_FAILED = "payhub.server_failed", "error", ("error", "reason", "times")
    QUESTION_FAILED = "payhub.question_failed", "error", ("account", "kind", "error", "reason")
    CONTRADICTED = "payhub.contradicted", "warning", _ORDER
    JOURNAL_IN_MEMORY = "payhub.journal_in_memory", "warning", ("hint",)
    JOURNAL_MISSING = "payhub.journal_missing", "warning", ("hint",)
    JOURNAL_FAILED = "payhub.journal_failed", "critical", (*_ORDER, "error", "state")
    ROW_DAMAGED = "payhub.journal_row_damaged", "error", (*_ORDER, "reason")
    NOTE_FAILED = "payhub.journal_note_failed", "warning", ("error", "hint")
    SWEEP_FAILED = "payhub.sweep_failed", "error", (*_ORDER, "error", "reason")
    DRIVER_FAILED = "payhub.driver_failed", "error", (*_ORDER, "error")
    OBSERVER_FAILED = "payhub.observer_failed", "warning", ("observer", "error")
    PLUGIN_BROKEN = "payhub.plugin_broken", "warning", ("plugin", "distribution", "error")

    def __init__(self, title: str, level: Level, fields: tuple[str, ...]) -> None:
        """Keep the columns of the event's row; `title` is its name in the log."""
        self.title = title
        self.level = level
        self.fields = fields


def log(event: Event, order: Key | None = None, **fields: object) -> None:
    """Log an event, of an order if one is given; whatever the application's log raises is dropped."""
    with contextlib.suppress(Exception):  # a full disk must not turn an answer about money into an error
        logger = _log.bind()
        if isinstance(logger, structlog.stdlib.AsyncBoundLogger):
            logger = logger.sync_bl  # its own methods are coroutines, which nothing here awaits
        if order is not None:
            fields |= {"account": order.account, "kind": order.kind, "order_id": mask_cards(order.order_id)}
        # Not every renderer escapes what steers a terminal or ends a line; what is in bodies is masked, and prints.
        odd = {name: value for name, value in fields.items() if isinstance(value, str) and not value.isprintable()}
        shown = fields | {name: printable_lines(value) for name, value in odd.items()}
        getattr(logger, event.level)(event.title, **shown)


Observer = tuple[str, Callable[..., object]]
"""An observer's name, and what is called with `event=`."""


def publish(exchange: Exchange, observers: Iterable[Observer]) -> None:
    """Log an exchange, and pass it to the observers."""
    fields = msgspec.structs.asdict(exchange)
    # What the application bound keeps its names, so that `merge_contextvars` adds nothing a second time.
    fields.update(
        fields.pop("context"),
        phase=str(exchange.phase),
        started_at=exchange.started_at.isoformat(timespec="milliseconds"),
        server_time=exchange.server_time and exchange.server_time.isoformat(),
    )
    log(Event.EXCHANGE, **fields)
    tell(observers, exchange)


def tell(observers: Iterable[Observer], event: Exchange) -> None:
    """Pass an event to every observer; one that raises is logged and changes nothing."""
    for name, caller in observers:
        try:
            caller(event=event)
        except Exception as cause:  # noqa: BLE001 - an observer must not change what happens to money
            log(Event.OBSERVER_FAILED, observer=name, error=type(cause).__name__)
