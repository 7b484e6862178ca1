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
    is_card_number,
    mask_birth,
    mask_cards,
    mask_email,
    mask_ip,
    mask_link,
    mask_name,
    mask_phone,
    mask_text,
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


def _mask_clear(value: object) -> object:
    match value:
        case str():
            size = f" [{len(value)} characters]" if len(value) > MAX_SHOWN else ""
            return f"{mask_cards(excerpt(value))}{size}"
        case int() if not isinstance(value, bool) and is_card_number(str(value)):
            return truncate(str(value))
        case dict():
            return {mask_cards(str(k)): _mask_clear(v) for k, v in value.items()}
        case list() | tuple():
            return [_mask_clear(item) for item in value]
    return value


def _mask_words(value: object) -> object:
    match value:
        case str():
            return mask_text(value)
        case int() if not isinstance(value, bool):
            shown = mask_text(str(value))
            return value if shown == str(value) else shown
        case dict():
            return {mask_text(str(k)): _mask_words(v) for k, v in value.items()}
        case list() | tuple():
            return [_mask_words(item) for item in value]
    return value


def _by(rule: Callable[[str], str]) -> Callable[[object], object]:
    """Return a mask that applies a rule for texts to what can be one, and hides everything else."""

    def mask(value: object) -> object:
        text = str(value) if isinstance(value, str | int | dt.date) else ""
        return rule(text) if 0 < len(text) <= MAX_SHOWN else HIDDEN

    return mask


_RULES: dict[Mask, Callable[[object], object]] = {
    Mask.CLEAR: _mask_clear,
    Mask.PROVIDER_ID: _mask_clear,
    Mask.WORDS: _mask_words,
    Mask.LINK: _by(mask_link),
    Mask.TRUNCATED: _by(truncate),
    Mask.PHONE: _by(mask_phone),
    Mask.NAME: _by(mask_name),
    Mask.EMAIL: _by(mask_email),
    Mask.BIRTH: _by(mask_birth),
    Mask.IP: _by(mask_ip),
    Mask.HIDDEN: lambda _: HIDDEN,
}


def mask_value(value: object, mask: Mask) -> object:
    """Return what a mask shows of a value; what is empty or absent hides nothing and stays."""
    return value if value is None or value == "" or value is msgspec.UNSET else _RULES[mask](value)


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


_LONGEST_PLAIN = 100


def _short(value: Any) -> Any:
    """Mask long texts: they are no ids, amounts or times, whatever they are called; a provider may repeat anything."""
    match value:
        case str():
            return value if len(value) <= _LONGEST_PLAIN else mask_text(value)
        case dict():
            return {_short(str(k)): _short(v) for k, v in value.items()}
        case list() | tuple():
            return [_short(item) for item in value]
    return value


def _mask_field(value: object, field: _Field | None) -> object:
    if field is None:
        return HIDDEN
    if field.shape is not None and isinstance(value, dict | list | tuple):
        return mask_json(value, field.shape)
    return mask_value(_short(value) if field.mask in {Mask.CLEAR, Mask.PROVIDER_ID} else value, field.mask)


def mask_json(value: object, shape: type[msgspec.Struct] | None) -> object:
    """Mask a decoded JSON value by the struct that declares it; without a struct, hide every value."""
    match value:
        case dict():
            known = _fields(shape) if shape else {}
            return {mask_cards(_short(str(k))): _mask_field(v, known.get(k)) for k, v in value.items()}
        case list() | tuple():
            return [mask_json(item, shape) for item in value]
    return HIDDEN


_PAIR = re.compile(
    r"""(?P<before>"(?P<name>(?:[^"\\]|\\.){0,100})"\s*:\s*)"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"?|[^\s"\[\]{},]+)"""
)


def mask_json_part(text: str, shape: type[msgspec.Struct] | None) -> str:
    """Mask the beginning of a JSON text, which cannot be decoded: each value by the name before it."""
    known = _fields(shape) if shape else {}

    def mask(found: re.Match[str]) -> str:
        try:
            shown = _mask_field(msgspec.json.decode(found["value"]), known.get(found["name"]))
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
    return str(mask_value(found, Mask.PROVIDER_ID)) if found and isinstance(found, str | int) else None


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
