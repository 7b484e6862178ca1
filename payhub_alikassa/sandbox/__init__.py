"""Run a local AliKassa: signatures, statuses, balances, a payment page, notifications, faults on demand.

This is a simulation made from the provider's public documents, not from its software. Where they
are silent the sandbox chooses, and the code says so at that place. It proves nothing about the
provider.

It judges the driver, so it shares nothing with it: it imports neither `payhub` nor any other
part of `payhub_alikassa`.
"""

from payhub_alikassa.sandbox.delivery import Attempt
from payhub_alikassa.sandbox.directory import write_directory
from payhub_alikassa.sandbox.records import Account, Settings
from payhub_alikassa.sandbox.sandbox import Sandbox

__all__ = ["Account", "Attempt", "Sandbox", "Settings", "write_directory"]
