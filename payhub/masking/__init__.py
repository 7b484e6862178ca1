"""Decide what may be shown of a value: in a log, a repr, a message.

The masks of a struct's fields are an allow-list (`masks`), free text is searched for what must not
show (`text`), values that tracebacks could show are wrapped (`hidden`), and what leaves the process
is searched once more (`leaks`).
"""

from payhub.masking.hidden import HiddenBytes, HiddenFields, HiddenText, hide
from payhub.masking.masks import (
    Birth,
    Clear,
    Email,
    Ip,
    Link,
    Mask,
    Name,
    Phone,
    ProviderId,
    Shown,
    Truncated,
    Words,
    masked,
    masked_part,
    provider_id,
    show,
)
from payhub.masking.text import HIDDEN, blot, is_card_number, sweep, truncate

__all__ = [
    "HIDDEN",
    "Birth",
    "Clear",
    "Email",
    "HiddenBytes",
    "HiddenFields",
    "HiddenText",
    "Ip",
    "Link",
    "Mask",
    "Name",
    "Phone",
    "ProviderId",
    "Shown",
    "Truncated",
    "Words",
    "blot",
    "hide",
    "is_card_number",
    "masked",
    "masked_part",
    "provider_id",
    "show",
    "sweep",
    "truncate",
]
