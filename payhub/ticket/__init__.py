"""Tickets: what an order's provider needs to find out what became of it.

A ticket has a short text, the exchanges with the provider, its notifications, and a manifest. All of
it was masked before it was kept, and is searched once more before it leaves (see `payhub.masking.leaks`).
"""

from payhub.ticket.contents import VERSION, Manifest
from payhub.ticket.rendering import FORMATS, Format
from payhub.ticket.situations import Situation
from payhub.ticket.texts import LANGS, Lang
from payhub.ticket.ticket import Ticket, form_of

__all__ = ["FORMATS", "LANGS", "VERSION", "Format", "Lang", "Manifest", "Situation", "Ticket", "form_of"]
