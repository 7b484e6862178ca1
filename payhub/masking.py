"""Decide what may be shown of a value: in a log, a repr, a message.

Masking is an allow-list. A field of a struct is shown only as its annotation says
(`Clear`, `Link`, `Truncated`); a field without one, and every field that a struct does
not declare, is hidden but named. What is shown is swept for card numbers all the same.
"""

import enum
import functools
import itertools
import re
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

HIDDEN = "[hidden]"

_T = TypeVar("_T")


class Mask(enum.Enum):
    """Name how a field is shown."""

    CLEAR = "clear"
    LINK = "link"
    TRUNCATED = "truncated"
    HIDDEN = "hidden"


Clear = Annotated[_T, Mask.CLEAR]
"""Show the value as it is: ids, amounts, statuses, error texts."""

Link = Annotated[_T, Mask.LINK]
"""Show a URL without its query and user part."""

Truncated = Annotated[_T, Mask.TRUNCATED]
"""Show the first six and the last four characters at most: card, phone and account numbers."""


def truncate(number: str) -> str:
    """Keep what support needs of a number: first 6 and last 4, the last 4, or nothing.

    From 13 characters on (card and account numbers) the first six and last four stay;
    from 9 on (phones) the last four; anything shorter is hidden whole.
    """
    if len(number) >= _LONG:
        return number[:6] + "*" * (len(number) - 10) + number[-4:]
    return "*" * (len(number) - 4) + number[-4:] if len(number) >= _SHORT else "*" * len(number)


_LONG, _SHORT = 13, 9


_RUN = re.compile(r"\d(?:[ .\-]{0,2}\d){12,}", re.ASCII)
_GROUP = re.compile(r"\d+", re.ASCII)
_LENGTHS = range(13, 20)  # ISO/IEC 7812
# First digits of the card schemes in use, national ones (Mir, UzCard, Humo, RuPay, Troy) included.
_SCHEME = re.compile(r"2[0-7]|3|4|5|6|8[126]|9[1789]")
_TWICE = str.maketrans("0123456789", "0246813579")  # the digit sum of each digit doubled


def is_card_number(digits: str) -> bool:
    """Tell whether a run of digits may be a card number: 13 to 19 digits, a scheme's prefix, Luhn."""
    return len(digits) in _LENGTHS and _SCHEME.match(digits) is not None and _luhn(digits)


def _luhn(digits: str) -> bool:
    summed = digits[-1::-2] + digits[-2::-2].translate(_TWICE)
    return (sum(summed.encode()) - len(summed) * ord("0")) % 10 == 0


def sweep(text: str) -> str:
    """Truncate every card number found in free text, plain, spaced, dotted or dashed."""
    return _RUN.sub(lambda run: _sweep_run(run.group()), text)


def _sweep_run(run: str) -> str:
    """Hide, in place, every digit that any card number in the run hides."""
    shown = list(run)
    for places in _card_numbers(run):
        for place in places[6:-4]:
            shown[place] = "*"
    return "".join(shown)


def _card_numbers(run: str) -> Iterator[list[int]]:
    """Find the whole groups of digits that together may be a card number; they may overlap."""
    places = [place for place, character in enumerate(run) if character.isdigit()]
    digits = "".join(run[place] for place in places)
    borders = [0, *itertools.accumulate(len(group) for group in _GROUP.findall(run))]
    ends = set(borders)
    for start in borders[:-1]:
        if _SCHEME.match(digits, start):
            for end in (start + length for length in _LENGTHS):
                if end in ends and _luhn(digits[start:end]):
                    yield places[start:end]


def _show_link(value: object) -> object:
    try:
        parts = urlsplit(str(value))
    except ValueError:
        return HIDDEN
    host = parts.netloc.rpartition("@")[2]
    query = HIDDEN if parts.query else ""
    return sweep(urlunsplit((parts.scheme, host, parts.path, query, "")))


_LONGEST = 8192


def _beginning(text: str) -> str:
    """Cut a text that nobody reads to its end, and not in the middle of a number."""
    return f"{sweep(text[:_LONGEST].rstrip('0123456789 .-'))} [{len(text)} characters]"


def _show_clear(value: object) -> object:
    match value:
        case str():
            return sweep(value) if len(value) <= _LONGEST else _beginning(value)
        case int() if not isinstance(value, bool) and is_card_number(str(value)):
            return truncate(str(value))
        case dict():
            return {sweep(str(k)): _show_clear(v) for k, v in value.items()}
        case list() | tuple():
            return [_show_clear(item) for item in value]
    return value


_RULES: dict[Mask, Callable[[object], object]] = {
    Mask.CLEAR: _show_clear,
    Mask.LINK: _show_link,
    Mask.TRUNCATED: lambda value: truncate(str(value)),
    Mask.HIDDEN: lambda _: HIDDEN,
}


def show(value: object, mask: Mask) -> object:
    """Return what may be shown of a value under a mask; `None` and `""` hide nothing and stay."""
    return value if value is None or value == "" else _RULES[mask](value)


class _Field(typing.NamedTuple):
    name: str
    mask: Mask
    shape: type[msgspec.Struct] | None


@functools.cache
def _fields(shape: type[msgspec.Struct]) -> dict[str, _Field]:
    """Read a struct's masks once: its fields by the name they have on the wire."""
    hints = typing.get_type_hints(shape, include_extras=True)
    return {
        f.encode_name: _Field(f.name, _mask_of(hints[f.name]), _struct_in(hints[f.name]))
        for f in msgspec.structs.fields(shape)
    }


def _mask_of(hint: Any) -> Mask:
    metadata = getattr(hint, "__metadata__", ())
    return next((m for m in metadata if isinstance(m, Mask)), Mask.HIDDEN)


def _struct_in(hint: Any) -> type[msgspec.Struct] | None:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    return next(filter(None, map(_struct_in, typing.get_args(hint))), None)


def masked(value: object, shape: type[msgspec.Struct] | None) -> object:
    """Mask a decoded JSON value by the struct that declares it; without a struct, hide every value."""
    match value:
        case dict():
            known = _fields(shape) if shape else {}
            return {sweep(str(k)): _masked_field(v, known.get(k)) for k, v in value.items()}
        case list() | tuple():
            return [masked(item, shape) for item in value]
    return HIDDEN


def _masked_field(value: object, field: _Field | None) -> object:
    if field is None:
        return HIDDEN
    if field.shape is not None and isinstance(value, dict | list | tuple):
        return masked(value, field.shape)
    return show(value, field.mask)


class Shown(msgspec.Struct, frozen=True):
    """Give a struct a repr that obeys the masks of its fields; rich and pprint follow it."""

    def __repr__(self) -> str:
        """Show the type and the fields, each by its mask."""
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._shown())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show rich the same as `repr` does."""
        return list(self._shown())

    def _shown(self) -> Iterator[tuple[str, object]]:
        for field in _fields(type(self)).values():
            value = getattr(self, field.name)
            yield field.name, value if isinstance(value, Shown) else show(value, field.mask)


__all__ = [
    "HIDDEN",
    "Clear",
    "Link",
    "Mask",
    "Shown",
    "Truncated",
    "is_card_number",
    "masked",
    "show",
    "sweep",
    "truncate",
]
