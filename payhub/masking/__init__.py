"""Masking: what may be shown of a value, in a log, a repr or a message.

The masks of a struct's fields are an allow-list (`masks`), free text is searched for what must not be
shown (`text`), values that a traceback could show are wrapped (`hidden`), and what leaves the process
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
    MaskedStruct,
    Name,
    Phone,
    ProviderId,
    Truncated,
    Words,
    find_provider_id,
    mask_json,
    mask_json_part,
    mask_value,
)
from payhub.masking.text import (
    HIDDEN,
    excerpt,
    is_card_number,
    mask_cards,
    mask_text,
    one_line,
    printable,
    printable_json,
    printable_lines,
    truncate,
)

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
    "MaskedStruct",
    "Name",
    "Phone",
    "ProviderId",
    "Truncated",
    "Words",
    "excerpt",
    "find_provider_id",
    "hide",
    "is_card_number",
    "mask_cards",
    "mask_json",
    "mask_json_part",
    "mask_text",
    "mask_value",
    "one_line",
    "printable",
    "printable_json",
    "printable_lines",
    "truncate",
]
