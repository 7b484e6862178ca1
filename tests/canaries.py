"""Plant what must never be shown, and look for it in whatever came out, however it is written.

`payhub.masking.leaks` knows what a leak looks like; this knows exactly what was planted, and so finds a
name or a password too, which look like nothing.
"""

import base64
import datetime as dt
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from payhub.masking import is_card_number


class Canary(NamedTuple):
    """Hold one planted value: every way in which it may be written, with the bytes to look for."""

    name: str
    needles: Mapping[str, bytes]


def leaks(data: bytes | str, canaries: Iterable[Canary]) -> list[str]:
    """Name the canaries that are in a text or in bytes, each with the ways in which it is written."""
    raw = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    return [f"{canary.name}: {way}" for canary in canaries for way, needle in canary.needles.items() if needle in raw]


def leaks_among(texts: Collection[bytes], canaries: Iterable[Canary]) -> set[tuple[str, bytes]]:
    """Name the canaries that are in any of many texts, each with the beginning of its text.

    All texts are searched at once for what none of them has: that is nearly everything.
    """
    whole = b"\0".join(texts)
    suspects = [
        Canary(canary.name, {way: needle for way, needle in canary.needles.items() if needle in whole})
        for canary in canaries
    ]
    return {(leak, text[:200]) for text in texts for leak in leaks(text, suspects)}


# What is planted.


def card_number(length: int) -> str:
    """Make a number that passes for a card's, in a range that is kept for tests."""
    middle = "91827364509182736450"[length - 13 :][: length - 7]
    return next(number for last in range(10) if is_card_number(number := f"400000{middle}{last}"))


def card(number: str) -> Canary:
    """Know a card number by all of it but the last four, or but the first six: a mask shows no more than those."""
    first = min(6, len(number) - 9)
    forms = {}
    for name, mark in (("plain", ""), ("spaced", " "), ("dashed", "-")):
        forms[f"{name}, its beginning"] = _grouped(number[:-4], (4,) * 5, mark)
        forms[f"{name}, its end"] = _grouped(number[first:], (4 - first % 4, 4, 4, 4, 4), mark)
    return _canary(f"card of {len(number)} digits", forms)


def phone(number: str) -> Canary:
    """Know a phone number by its last ten digits, of which a mask shows four."""
    marks = (("plain", ""), ("spaced", " "), ("dashed", "-"))
    return _canary("phone", {name: _grouped(number[-10:], (3, 3, 2, 2), mark) for name, mark in marks})


def words(name: str, text: str) -> Canary:
    """Know a text by itself."""
    return _canary(name, {"plain": text})


def date(name: str, day: dt.date) -> Canary:
    """Know a date as ISO writes it, as people do, and as its repr does."""
    forms = {"ISO": day.isoformat(), "with dots": f"{day:%d.%m.%Y}", "repr": f"{day.year}, {day.month}, {day.day}"}
    return _canary(name, forms)


def noise(name: str, encoded: str) -> Canary:
    """Know a key or a signature, given in Base64, by its first and last 48 bytes: as Base64, and as the bytes."""
    whole = re.sub(r"[\s=]", "", encoded)
    last = (len(whole) - 64) // 4 * 4  # where a piece of whole bytes begins
    needles: dict[str, bytes] = {}
    for number, piece in (("first", whole[:64]), ("last", whole[last : last + 64])):
        decoded = base64.b64decode(piece)
        ways = {**_ways(piece), "bytes": decoded, "bytes, repr": _repr(decoded), **_in_hex(decoded, "bytes, ")}
        needles |= {f"{number} piece, {way}": needle for way, needle in ways.items()}
    return Canary(name, needles)


def pem(name: str, text: str) -> Canary:
    """Know a key by the body of its PEM form."""
    return noise(name, "".join(line for line in text.split("\n") if not re.search("[-:]", line)))


def _grouped(digits: str, sizes: tuple[int, ...], mark: str) -> str:
    groups, rest = [], digits
    for size in sizes:
        groups.append(rest[:size])
        rest = rest[size:]
    return mark.join(filter(None, groups))


# How it may be written.


def _canary(name: str, forms: Mapping[str, str]) -> Canary:
    return Canary(name, {f"{form}, {way}": n for form, text in forms.items() for way, n in _ways(text).items()})


def _ways(text: str) -> dict[str, bytes]:
    """Write a text in every way; of the same bytes the first name counts."""
    found: dict[bytes, str] = {}
    for way, needle in _written(text):
        found.setdefault(needle, way)
    return {way: needle for needle, way in found.items()}


def _written(text: str) -> Iterator[tuple[str, bytes]]:
    raw = text.encode()
    yield "as it is", raw
    yield "UTF-16-LE", text.encode("utf-16-le")
    yield "UTF-16-BE", text.encode("utf-16-be")
    yield "repr of bytes", _repr(raw)
    for way, written in (
        ("URL", quote(text, safe="")),
        ("URL with slashes", quote(text)),
        ("form", quote_plus(text)),
        ("URL, every byte", "".join(f"%{byte:02X}" for byte in raw)),
        ("JSON", json.dumps(text)[1:-1]),
        ("JSON, escaped slashes", json.dumps(text)[1:-1].replace("/", "\\/")),
        ("JSON, every character", "".join(f"\\u{ord(character):04X}" for character in text)),
    ):
        yield way, written.encode()
        yield f"{way}, small", re.sub(r"%[0-9A-F]{2}|\\u[0-9A-F]{4}", lambda code: code[0].lower(), written).encode()
    yield from _in_hex(raw).items()
    for start in range(3):
        piece = _base64_at(raw, start)
        yield f"Base64 from {start}", piece
        yield f"Base64 for URLs from {start}", piece.translate(bytes.maketrans(b"+/", b"-_"))


def _in_hex(raw: bytes, prefix: str = "") -> dict[str, bytes]:
    return {f"{prefix}hex": raw.hex().encode(), f"{prefix}HEX": raw.hex().upper().encode()}


def _repr(raw: bytes) -> bytes:
    return repr(raw)[2:-1].encode()


def _base64_at(raw: bytes, start: int) -> bytes:
    """Encode bytes that stand behind `start` others, and keep the characters that depend on nothing around them."""
    encoded = base64.b64encode(bytes(start) + raw)
    first = -(-start * 8 // 6)
    return encoded[first : (start + len(raw)) * 8 // 6]
