"""The masks that a ticket shows, so that it explains these and no others; no I/O."""

import re
from collections.abc import Mapping

from payhub.ticket.texts import TEXTS, Lang

_APART = r" .+\-"
_SIGN = r"[^\s\"'`*=:/<>]"
_BEFORE, _AFTER = r"(?<![^\s\"'`(>=:])", r"(?=[\s\"'`),;<]|\Z)"

# The narrower first: what is found is taken out before the next is looked for.
PATTERNS: Mapping[str, re.Pattern[str]] = {
    mask: re.compile(pattern)
    for mask, pattern in {
        "[hidden]": r"\[hidden\]",
        "[not JSON, 120 bytes]": r"\[not JSON, [^\]]*\]",
        "[9000 characters]": r"\[\d+ characters\]",
        "i***@shop.example": rf"{_SIGN}\*+@",
        "203.0.*.*": r"\d\.\d{1,3}\.\*\.\*|[\da-f]{4}:[\da-f]{4}::\*",
        "411111******1111": rf"{_SIGN}{{6}}\*{{3,}}{_SIGN}{{4}}"
        rf"|(?:\d[{_APART}]{{0,2}}){{5,6}}\*[*{_APART}]*(?:\d[{_APART}]{{0,2}}){{3,4}}",
        "7******2233": r"(?<![\d*])\d[ ()./-]*\*[* ()./-]*(?:\d[ ()./-]?){4}",
        "1999-**-**": r"(?:19|20)\d\d(?:[-./ ]+\*+)+"
        rf"|{_BEFORE}(?:\*+[-./ ]+){{1,4}}(?:19|20)\d\d(?!\d)",
        "I*** P*****": r"(?<![\w*])[^\W\d_]\*+(?:[ '-]+[^\W\d_]?\*+)*",
        "*******2233": rf"(?<!\*)\*{{5,}}{_SIGN}{{4}}",
        "*****": rf"{_BEFORE}\*+{_AFTER}",
    }.items()
}
"""How each mask is recognised, by the sample that explains it."""


def legend(shown: str, lang: Lang) -> dict[str, str]:
    """Return what the masks in a text mean, each by a sample of it."""
    found = set()
    for mask, pattern in PATTERNS.items():
        shown, count = pattern.subn(" ", shown)
        if count:
            found.add(mask)
    return {mask: meaning for mask, meaning in TEXTS[lang].masks.items() if mask in found}
