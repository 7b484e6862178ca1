"""Decide what may be shown of a value: in a log, a repr, a message.

Masking is an allow-list. A field of a struct is shown only as its annotation says
(`Clear`, `Link`, `Truncated`); a field without one, and every field that a struct does
not declare, is hidden but named. What is shown is swept for card numbers all the same.
"""

import enum
import functools
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
    if len(number) >= 13:
        return number[:6] + "*" * (len(number) - 10) + number[-4:]
    return "*" * (len(number) - 4) + number[-4:] if len(number) >= 9 else "*" * len(number)


_RUN = re.compile(r"\d(?:[ .\-]{0,2}\d){12,}")
_GROUP = re.compile(r"\d+")
# First digits of the card schemes in use, national ones (Mir, UzCard, Humo, RuPay, Troy) included.
_SCHEME = re.compile(r"2[0-7]|3|4|5|6|8[126]|9[1789]")


def is_card_number(digits: str) -> bool:
    """Tell whether a run of digits may be a card number: 13 to 19 digits, a scheme's prefix, Luhn."""
    return 13 <= len(digits) <= 19 and _SCHEME.match(digits) is not None and _luhn(digits)


def _luhn(digits: str) -> bool:
    doubled = (sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return (sum(doubled) + sum(int(d) for d in digits[-1::-2])) % 10 == 0


def sweep(text: str) -> str:
    """Truncate every card number found in free text, plain, spaced, dotted or dashed."""
    return _RUN.sub(lambda run: _sweep_run(run.group()), text)


def _sweep_run(run: str) -> str:
    for start, end in _card_spans(run):
        digits = re.sub(r"\D", "", run[start:end])
        return run[:start] + truncate(digits) + sweep(run[end:])
    return run


def _card_spans(run: str) -> Iterator[tuple[int, int]]:
    """Find the whole groups of digits that together make a card number, longest first."""
    groups = [m.span() for m in _GROUP.finditer(run)]
    for first in range(len(groups)):
        for last in reversed(range(first, len(groups))):
            start, end = groups[first][0], groups[last][1]
            if is_card_number(re.sub(r"\D", "", run[start:end])):
                yield start, end


def _show_link(value: object) -> object:
    parts = urlsplit(str(value))
    host = parts.netloc.rpartition("@")[2]
    query = HIDDEN if parts.query else ""
    return sweep(urlunsplit((parts.scheme, host, parts.path, query, "")))


def _show_clear(value: object) -> object:
    match value:
        case str():
            return sweep(value)
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

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:
        """Show rich the same as `repr` does."""
        yield from self._shown()

    def _shown(self) -> Iterator[tuple[str, object]]:
        for field in _fields(type(self)).values():
            value = getattr(self, field.name)
            yield field.name, value if isinstance(value, Shown) else show(value, field.mask)


__all__ = ["HIDDEN", "Clear", "Link", "Mask", "Shown", "Truncated", "is_card_number", "masked", "show", "sweep", "truncate"]
