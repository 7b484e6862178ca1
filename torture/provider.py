"""AliKassa under another name: its real driver, and a schedule that asks again after fractions of a second."""

import msgspec

from payhub import hookimpl
from payhub.driver import ProviderInfo, Schedule
from payhub_alikassa import plugin
from payhub_alikassa.plugin import payhub_create_payout, payhub_fetch_payout, payhub_read_notification

__all__ = ["payhub_create_payout", "payhub_fetch_payout", "payhub_provider", "payhub_read_notification"]

NAME = "alikassa-in-a-hurry"
SCHEDULE = Schedule(first=0.05, growth=1.5, longest=0.4, until=1.5)


@hookimpl
def payhub_provider() -> ProviderInfo:
    """Introduce AliKassa with another name and a fast schedule; everything else is the driver's own."""
    info = plugin.payhub_provider()
    schedule = msgspec.structs.replace(info.capabilities, schedule=SCHEDULE)
    return msgspec.structs.replace(info, name=NAME, capabilities=schedule, sandbox=None)
