"""Leaks: what must never be shown, found in a text: card numbers, keys, signatures and secrets, however encoded.

Masking is an allow-list and hides these before they are written. This is the second look, at the
bytes that are about to leave: a ticket, a log, a cassette.
"""

import base64
import bisect
import itertools
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple
from urllib.parse import unquote_plus

from payhub.masking import mask_cards

Leak = Literal["card number", "key", "signature", "secret"]


class Finding(NamedTuple):
    """A leak and its place, never the value; `encoding` says how it was written, if not plainly."""

    leak: Leak
    line: int
    encoding: str = ""

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.leak} in line {self.line}{f' ({self.encoding})' if self.encoding else ''}"


# What a leak looks like.

_ID = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"  # UUID
    r"|(?=[0-9]*[a-fA-F])(?:[0-9a-fA-F]{128}|[0-9a-fA-F]{64}|[0-9a-fA-F]{40}))(?![0-9A-Za-z])"  # SHA-512, -256, -1
)

_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*KEY-----")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{18,}")
_HEX = re.compile(r"[0-9a-fA-F]{26,}|(?:[0-9a-fA-F]{2}[ :-]){12,}[0-9a-fA-F]{2}|(?:\\x[0-9a-fA-F]{2}){13,}")
_LONG_BASE64 = 171  # 128 bytes, without padding
_LONG_HEX = 256
_MANY = 40  # of the 64 characters; 171 random ones have 59 in the mean, and practically never fewer than 50
_NAMES = (
    r"(?:[\w-]*[_-])?(?:passw(?:or)?d|pwd|passphrase|secret|token|api[_-]?key|private[_-]?key|authorization|cookie"
    r"|sign(?:ature)?|sess(?:ion)?_?id|credentials?|c[vs][vc]2?)"
)
_SOME = (
    r"(?!(?:null|none|true|false|-)(?:[\s\"'\\,;&)}\]]|$))(?!\[hidden)(?![^\s\"',;&]*\*\*)"  # neither absent nor masked
)
_SECRET = re.compile(
    rf"(?<![\w-]){_NAMES}(?:"
    rf"\\*[\"']\s*:\s*\\*[\"']?{_SOME}[^\s\"'\\,}}\]\[{{]"  # JSON, also inside a JSON text, and repr of a dict
    rf"|\s*=\s*\\*[\"']?{_SOME}[^\s\"'\\&;,)\[{{])"  # query, form, TOML, repr
    rf"|^[ \t>]*{_NAMES}:[ \t]*(?:Bearer[ \t]+)?{_SOME}\S+[ \t]*$"  # header
    rf"|^[ \t>]*(?:proxy-)?(?:authorization|(?:set-)?cookie):[ \t]*{_SOME}\S",  # headers of several words
    re.IGNORECASE,
)


def _is_random(token: str) -> bool:
    """Tell noise from a long word or path: all kinds of characters, and many of them."""
    if re.fullmatch("[0-9a-fA-F]+", token):
        return len(token) >= _LONG_HEX and len(set(token.lower())) == len("0123456789abcdef")
    kinds = (str.isupper, str.islower, str.isdigit)
    return len(set(token)) >= _MANY and all(any(map(kind, token)) for kind in kinds)


# How it may be written.

_FOLDED = re.compile(r"(?:[A-Za-z0-9+/]{60,76}(?:\r?\n|\\r\\n|\\n)[ \t]*){2,}[A-Za-z0-9+/]+={0,2}")
_URL_SAFE = str.maketrans("-_", "+/")


def _decoded(text: str) -> Iterator[tuple[str, str]]:
    """Read a text in every way in which it may be encoded; most of what comes out is noise."""
    if (unquoted := unquote_plus(text)) != text:
        yield "URL", unquoted
    for token in _HEX.findall(text):
        digits = re.sub("[^0-9a-fA-F]", "", token.replace("\\x", ""))
        for start in (0, 1):
            even = digits[start : len(digits) - (len(digits) - start) % 2]
            yield "hexadecimal", bytes.fromhex(even).decode("latin-1")
    for token in _BASE64.findall(text):
        for start in range(4):  # what stands before it may look like a part of it
            part = token[start:].translate(_URL_SAFE)
            whole = part[: len(part) - (len(part) % 4 == 1)]
            yield "Base64", base64.b64decode(whole + "=" * (-len(whole) % 4)).decode("latin-1")


def _leaks(text: str, depth: int) -> Iterator[tuple[Leak, tuple[str, ...]]]:
    """Look at a text as it is, and then at what may be encoded in it."""
    rest = _ID.sub("#", text)
    if mask_cards(rest) != rest:
        yield "card number", ()
    if _KEY.search(text):
        yield "key", ()
    if any(_is_random(token) for token in _BASE64.findall(text) if len(token) >= _LONG_BASE64):
        yield "signature", ()
    if _SECRET.search(text):
        yield "secret", ()
    if depth:
        for encoding, decoded in _decoded(text):
            for leak, inner in _leaks(decoded, depth - 1):
                yield leak, (*inner, encoding)


_DEPTH = 3


def find_leaks(text: str | bytes) -> tuple[Finding, ...]:
    """List what must never be shown: one finding a line (the first is 1) and kind of leak.

    * `card number`: 13 to 19 digits of any script with a scheme's prefix and the right check digit, plain
      or grouped in any way. A number that `masking.mask_cards` has truncated is none.
    * `key`: the first line of a PEM block that holds a key.
    * `signature`: Base64 or hexadecimal of 128 bytes or more that look random.
    * `secret`: a name as `password`, `token` or `Sign` with a value that is not masked.

    Each is also found URL-, hexadecimal- or Base64-encoded, up to three times over. UUIDs and digests
    of 20, 32 or 64 bytes are none of these. Bytes are read as UTF-8, UTF-16 of Latin letters included.
    """
    plain = text if isinstance(text, str) else text.decode("utf-8", "replace")
    plain = plain.replace("\0", "").replace("\\/", "/")  # UTF-16; PHP's way to write a slash
    found: dict[tuple[Leak, int], str] = {}
    for block in _FOLDED.finditer(plain):
        if _is_random(re.sub(r"\s|\\r|\\n", "", block.group()).rstrip("=")):
            found["signature", plain.count("\n", 0, block.start()) + 1] = "folded"
    whole = _ID.sub(lambda each: "#" * len(each.group()), plain)
    ends = list(itertools.accumulate(map(len, plain.splitlines(keepends=True))))
    for place, hidden in enumerate(mask_cards(whole)):  # a number may stand in several lines
        if hidden != whole[place]:
            found.setdefault(("card number", bisect.bisect_right(ends, place) + 1), "")
    for number, line in enumerate(plain.splitlines(), 1):
        for leak, encodings in _leaks(line, _DEPTH):
            found.setdefault((leak, number), " in ".join(encodings))
    listed = (Finding(leak, number, encoding) for (leak, number), encoding in found.items())
    return tuple(sorted(listed, key=lambda each: (each.line, each.leak)))
