"""Masks of values: what a log, a repr or a message shows of each field of a struct.

Masking is an allow-list. A field of a struct is shown only as its annotation says (`Clear`, `Phone`,
`Truncated` and the others here); a field without one, and every field that a struct does not
declare, is hidden but named. Card numbers are masked in what is shown all the same.
"""

import datetime as dt
import enum
import functools
import re
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar

import msgspec

from payhub.masking.text import (
    HIDDEN,
    MAX_SHOWN,
    excerpt,
    mask_birth,
    mask_cards,
    mask_email,
    mask_ip,
    mask_link,
    mask_name,
    mask_phone,
    mask_text,
    printable,
    truncate,
)

_T = TypeVar("_T")


class Mask(enum.Enum):
    """A way to show a field, by the name of its annotation."""

    CLEAR = "Clear"
    PROVIDER_ID = "ProviderId"
    WORDS = "Words"
    LINK = "Link"
    TRUNCATED = "Truncated"
    PHONE = "Phone"
    NAME = "Name"
    EMAIL = "Email"
    BIRTH = "Birth"
    IP = "Ip"
    HIDDEN = "none"


Clear = Annotated[_T, Mask.CLEAR]
"""Show the value as it is: ids, amounts, statuses, times."""

ProviderId = Annotated[_T, Mask.PROVIDER_ID]
"""Show the value as it is, and take it for the provider's id of the order."""

Words = Annotated[_T, Mask.WORDS]
"""Show a text that a person or a program has worded, such as an error's, without what it may quote; see `mask_text`."""

Link = Annotated[_T, Mask.LINK]
"""Show a URL without its query and user part."""

Truncated = Annotated[_T, Mask.TRUNCATED]
"""Show the first six and the last four characters at most: card, account and other numbers."""

Phone = Annotated[_T, Mask.PHONE]
"""Show a phone number's first digit and last four."""

Name = Annotated[_T, Mask.NAME]
"""Show the first letter of each word of a person's name."""

Email = Annotated[_T, Mask.EMAIL]
"""Show an e-mail address's first character and its domain."""

Birth = Annotated[_T, Mask.BIRTH]
"""Show the year of a date of birth."""

Ip = Annotated[_T, Mask.IP]
"""Show the first two groups of an IP address."""


MAX_KEPT = 2 * MAX_SHOWN
"""Characters of one answer that are shown, its names and values together; the rest is counted.

Words count twice.
"""

_ROOM_FOR_ANY = 10


class _Room:
    """What is left of the characters that are shown of one value.

    Others say how much there is to mask; they must not say how long that takes, and how large what is kept of it gets.
    """

    def __init__(self, left: int = MAX_KEPT) -> None:
        self.left = left

    def take(self, size: int = 0) -> bool:
        """Take the room that a text needs; if there is too little, only that of the note which stands for it."""
        fits = size <= self.left
        self.left -= _ROOM_FOR_ANY + (size if fits else _ROOM_FOR_ANY)
        return fits


_LONGEST_PLAIN = 100


def _mask_parts(
    value: dict[Any, object] | list[object] | tuple[object, ...],
    room: _Room,
    rule: Callable[[str, _Room], str],
    mask: Callable[[str, object], object],
) -> dict[str, object] | list[object]:
    """Mask what is in a dict, and its names, or in a list, as far as there is room."""
    room.take()
    named = isinstance(value, dict)
    shown: list[tuple[str, object]] = []
    for name, item in value.items() if isinstance(value, dict) else (("", item) for item in value):
        if room.left <= 0:
            rest = f"[{len(value) - len(shown)} more]"
            shown.append((rest, HIDDEN) if named else ("", rest))
            break
        shown.append((rule(str(name), room) if named else "", mask(str(name), item)))
    return dict(shown) if named else [item for _, item in shown]


def _mask_text_within(text: str, room: _Room, rule: Callable[[str], str]) -> str:
    """Mask a text if there is room; one that is searched by all patterns takes twice as long, and as much room."""
    size = min(len(text), MAX_SHOWN)
    return rule(text) if room.take(2 * size if rule is mask_text else size) else f"[{len(text)} characters]"


def _mask_plain(text: str, room: _Room) -> str:
    """Mask a text of a message that may be shown: a long one is no id, amount or time, whatever it is called."""
    return _mask_text_within(
        text, room, mask_text if len(text) > _LONGEST_PLAIN else lambda short: mask_cards(printable(short))
    )


def _mask_whole(text: str, room: _Room) -> str:
    size = f" [{len(text)} characters]" if len(text) > MAX_SHOWN else ""
    return f"{_mask_text_within(text, room, lambda whole: mask_cards(excerpt(whole)))}{size}"


def _by_text(rule: Callable[[str, _Room], str]) -> Callable[[object, _Room], object]:
    """Return a mask that applies a rule to texts and whole numbers at any depth; what is neither stays."""

    def mask(value: object, room: _Room) -> object:
        match value:
            case str():
                return rule(value, room)
            case dict() | list() | tuple():
                return _mask_parts(value, room, rule, lambda _, item: mask(item, room))
            case int() if not isinstance(value, bool):
                shown = rule(str(value), room)
                return value if shown == str(value) else shown
        room.take()
        return value

    return mask


def _by(rule: Callable[[str], str]) -> Callable[[object, _Room], object]:
    """Return a mask that applies a rule for texts to what can be one, and hides everything else."""

    def mask(value: object, room: _Room) -> object:
        text = str(value) if isinstance(value, str | int | dt.date) else ""
        return rule(printable(text)) if 0 < len(text) <= MAX_SHOWN and room.take(len(text)) else _hide(value, room)

    return mask


def _hide(_: object, room: _Room) -> str:
    room.take()
    return HIDDEN


_clear = _by_text(_mask_plain)

_RULES: dict[Mask, Callable[[object, _Room], object]] = {
    Mask.CLEAR: _by_text(_mask_whole),
    Mask.PROVIDER_ID: _by_text(_mask_whole),
    Mask.WORDS: _by_text(lambda text, room: _mask_text_within(text, room, mask_text)),
    Mask.LINK: _by(mask_link),
    Mask.TRUNCATED: _by(truncate),
    Mask.PHONE: _by(mask_phone),
    Mask.NAME: _by(mask_name),
    Mask.EMAIL: _by(mask_email),
    Mask.BIRTH: _by(mask_birth),
    Mask.IP: _by(mask_ip),
    Mask.HIDDEN: _hide,
}
_MESSAGE_RULES = _RULES | {Mask.CLEAR: _clear, Mask.PROVIDER_ID: _clear}
"""The masks of what came from others, or went to them: nothing in it has to be as long as an application's own."""


def mask_value(value: object, mask: Mask, room: int = MAX_KEPT) -> object:
    """Return what a mask shows of a value; what is empty or absent hides nothing and stays.

    `room` says how many characters are shown of a value with many parts; the rest is counted.
    """
    return _mask(value, _RULES[mask], _Room(room))


def _mask(value: object, rule: Callable[[object, _Room], object], room: _Room) -> object:
    return value if value is None or value == "" or value is msgspec.UNSET else rule(value, room)


class _Field(typing.NamedTuple):
    name: str
    mask: Mask
    shape: type[msgspec.Struct] | None


def struct_in(hint: Any) -> type[msgspec.Struct] | None:
    """Return the struct that a type hint names, at any depth: of `list[Item] | None` it is `Item`."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    return next(filter(None, map(struct_in, typing.get_args(hint))), None)


@functools.cache
def _fields(shape: type[msgspec.Struct]) -> dict[str, _Field]:
    """Return a struct's fields and their masks by the name that they have on the wire."""
    fields = {}
    hints = typing.get_type_hints(shape, include_extras=True)
    for field in msgspec.structs.fields(shape):
        hint = hints[field.name]
        mask = next((each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Mask)), Mask.HIDDEN)
        fields[field.encode_name] = _Field(field.name, mask, struct_in(hint))
    return fields


def _mask_field(value: object, field: _Field | None, room: _Room) -> object:
    if field is None:
        return _hide(value, room)
    if field.shape is not None and isinstance(value, dict | list | tuple):
        return _mask_message(value, field.shape, room)
    return _mask(value, _MESSAGE_RULES[field.mask], room)


def mask_json(value: object, shape: type[msgspec.Struct] | None) -> object:
    """Mask a decoded JSON value by the struct that declares it; without a struct, hide every value.

    What has no room any more is counted, and not shown: of a list or an object with too much in it `[9 more]`, of a
    text `[9 characters]`.
    """
    return _mask_message(value, shape, _Room())


def _mask_message(value: object, shape: type[msgspec.Struct] | None, room: _Room) -> object:
    match value:
        case dict():
            known = _fields(shape) if shape else {}
            return _mask_parts(value, room, _mask_plain, lambda name, item: _mask_field(item, known.get(name), room))
        case list() | tuple():
            return _mask_parts(value, room, _mask_plain, lambda _, item: _mask_message(item, shape, room))
    return _hide(value, room)


_PAIR = re.compile(
    r"""(?P<before>"(?P<name>(?:[^"\\]|\\.){0,100})"\s*:\s*)"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"?|[^\s"\[\]{},]+)"""
)


def mask_json_part(text: str, shape: type[msgspec.Struct] | None) -> str:
    """Mask the beginning of a JSON text, which cannot be decoded: each value by the name before it."""
    known = _fields(shape) if shape else {}
    room = _Room()

    def mask(found: re.Match[str]) -> str:
        try:
            shown = _mask_field(msgspec.json.decode(found["value"]), known.get(found["name"]), room)
        except msgspec.DecodeError:  # it was cut
            shown = HIDDEN
        return f"{found['before']}{msgspec.json.encode(shown).decode()}"

    return _PAIR.sub(mask, text)


def find_provider_id(value: object, shape: type[msgspec.Struct] | None) -> str | None:
    """Return the provider's id in a decoded answer, if its struct declares one with `ProviderId`."""
    if shape is None or not isinstance(value, dict):
        return None
    name = next((name for name, field in _fields(shape).items() if field.mask is Mask.PROVIDER_ID), None)
    found = value.get(name)
    return str(_clear(found, _Room())) if found and isinstance(found, str | int) else None


class MaskedStruct(msgspec.Struct, frozen=True):
    """A struct whose repr shows each field as its mask says; rich and pprint follow."""

    def __repr__(self) -> str:
        """Return the type and the fields, each by its mask."""
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._shown())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show rich the same as `repr` does."""
        return list(self._shown())

    def _shown(self) -> Iterator[tuple[str, object]]:
        for field in _fields(type(self)).values():
            value = getattr(self, field.name)
            yield field.name, value if isinstance(value, MaskedStruct) else mask_value(value, field.mask)
