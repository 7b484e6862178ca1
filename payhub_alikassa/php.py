r"""Write JSON to the byte as PHP's json_encode does, and read it without losing a digit.

AliKassa signs a text that PHP wrote: compact, a backslash before each slash, what is not ASCII as
a lower-case ``\uXXXX`` (in pairs beyond the first plane), DEL as it is. See
https://doc-merchant.alikassa.com/api/sign and https://www.php.net/manual/en/function.json-encode.php.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn, TypeVar

import msgspec

T = TypeVar("T")


class Number(str):
    """A number as the text that was sent: 10.00, 10.0 and 1.0e+1 are signed differently."""

    __slots__ = ()


class Nested:
    """A list or an object among the fields: it is signed with them, and nothing in it is read."""

    __slots__ = ("value",)

    def __init__(self, value: list[Any] | dict[str, Any]) -> None:
        """Keep it."""
        self.value = value


Value = Number | str | bool | Nested | None


class Style(NamedTuple):
    """The flags of json_encode that a sender may use."""

    escape_slashes: bool
    escape_unicode: bool


# PHP's default, JSON_UNESCAPED_SLASHES, JSON_UNESCAPED_UNICODE, both.
STYLES = (Style(True, True), Style(False, True), Style(True, False), Style(False, False))  # noqa: FBT003

# msgspec calls the hook for what it does not know.
_encode = msgspec.json.Encoder(
    enc_hook=lambda value: value.value if isinstance(value, Nested) else msgspec.Raw(str(value))
).encode


def write(fields: Mapping[str, Value], style: Style) -> bytes:
    """Return the text that PHP writes for an array with these keys, in this order.

    Raises:
        ValueError: a text has half of a surrogate pair.
    """
    encoded = _encode(fields)
    if not encoded.isascii():
        text = encoded.decode()
        if style.escape_unicode:
            # `json.dumps` takes linear time, but escapes quotes, backslashes and DEL too, which is undone. JSON has no
            # NUL, so the one that stands for a backslash in between cannot be mistaken.
            text = json.dumps(text)[1:-1].replace("\\\\", "\0")
            text = text.replace('\\"', '"').replace("\\u007f", "\x7f").replace("\0", "\\")
        else:
            # PHP escapes these two in any case, because JavaScript takes them for ends of lines.
            text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        encoded = text.encode()
    return encoded.replace(b"/", b"\\/") if style.escape_slashes else encoded


def unique(pairs: list[tuple[str, T]]) -> dict[str, T]:
    """Return fields by name.

    Raises:
        ValueError: a name comes twice.
    """
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name comes twice")
    return fields


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def count(value: object) -> int:
    """Count the values in a list or an object, those in the nested ones too; of any other value it is 1."""
    match value:
        case Nested():
            return count(value.value)
        case dict():
            return 1 + sum(map(count, value.values()))
        case list():
            return 1 + sum(map(count, value))
    return 1


_decoder = json.JSONDecoder(
    object_pairs_hook=unique, parse_float=Number, parse_int=Number, parse_constant=_refuse_constant
)


def read(text: bytes) -> dict[str, Value]:
    """Return the fields of a JSON object, numbers as their text.

    Raises:
        ValueError: not a JSON object in UTF-8, or a name comes twice.
        RecursionError: nested too deeply.
    """
    fields = _decoder.decode(text.decode())
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - a fault of the text
    return {name: Nested(value) if isinstance(value, dict | list) else value for name, value in fields.items()}
