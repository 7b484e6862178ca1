"""Speak AliKassa's merchant API; payhub finds this driver by its entry point.

Provider-only fields of an order: `extra=AliKassaPayment(...)`, `extra=AliKassaPayout(...)`.
"""

from payhub_alikassa.mapping import AliKassaPayment, AliKassaPayout

__all__ = ["AliKassaPayment", "AliKassaPayout"]
