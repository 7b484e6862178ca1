r"""Write flat JSON to the byte as PHP's json_encode does, and read it without losing a digit.

AliKassa signs a text that PHP wrote: compact, a backslash before each slash, what is not ASCII as
a lower-case ``\uXXXX`` (in pairs beyond the first plane), DEL as it is. See
https://doc-merchant.alikassa.com/api/sign and https://www.php.net/manual/en/function.json-encode.php.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple, NoReturn, TypeVar

import msgspec

T = TypeVar("T")


class Number(str):
    """Keep a number as the text it came as: 10.00, 10.0 and 1.0e+1 are signed differently."""

    __slots__ = ()


Value = Number | str | bool | None


class Style(NamedTuple):
    """Name the flags of json_encode that senders use."""

    escape_slashes: bool
    escape_unicode: bool


# PHP's default, JSON_UNESCAPED_SLASHES, JSON_UNESCAPED_UNICODE, both.
STYLES = (Style(True, True), Style(False, True), Style(True, False), Style(False, False))  # noqa: FBT003


def write(fields: Mapping[str, Value], style: Style) -> bytes:
    """Return the text that PHP writes for an array with these keys, in this order.

    Raises:
        ValueError: a text has half of a surrogate pair.
    """
    text = _encode(fields)
    if not text.isascii():
        text = (_escape(text.decode()) if style.escape_unicode else _escape_line_ends(text.decode())).encode()
    return text.replace(b"/", b"\\/") if style.escape_slashes else text


# The encoder asks about what is not a plain value, and that is the numbers only.
_encode = msgspec.json.Encoder(enc_hook=lambda number: msgspec.Raw(str(number))).encode


def _escape(text: str) -> str:
    """Escape what is not ASCII in JSON, in time that grows with its length only.

    Python escapes quotes, backslashes and DEL too, which is undone; JSON has no NUL that could
    be mistaken for the one that stands for a backslash meanwhile.
    """
    escaped = json.dumps(text)[1:-1].replace("\\\\", "\0")
    return escaped.replace('\\"', '"').replace("\\u007f", "\x7f").replace("\0", "\\")


def _escape_line_ends(text: str) -> str:
    """Escape the two that PHP escapes in any case, for the sake of JavaScript."""
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def read(text: bytes) -> dict[str, Value]:
    """Return the fields of a JSON object, numbers as their text; a nested value is no field and left out.

    Raises:
        ValueError: not a JSON object in UTF-8, or a name comes twice.
        RecursionError: nested too deeply.
    """
    fields = _decoder.decode(text.decode())
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - a fault of the text
    return {name: value for name, value in fields.items() if not isinstance(value, dict | list)}


def unique(pairs: list[tuple[str, T]]) -> dict[str, T]:
    """Return fields by name.

    Raises:
        ValueError: a name comes twice.
    """
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name comes twice")
    return fields


def _refuse(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=unique, parse_float=Number, parse_int=Number, parse_constant=_refuse)
