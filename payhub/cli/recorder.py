"""Observe the exchanges of a command, as an application's own observer would."""

from payhub.hookspecs import hookimpl
from payhub.models import Exchange


class Recorder:
    """An observer that keeps every exchange; the newest is the last."""

    def __init__(self) -> None:
        """Begin without any."""
        self.exchanges: list[Exchange] = []

    @property
    def last(self) -> Exchange | None:
        """Return the newest exchange."""
        return self.exchanges[-1] if self.exchanges else None

    @hookimpl
    def payhub_event(self, event: Exchange) -> None:
        """Keep an exchange."""
        self.exchanges.append(event)
