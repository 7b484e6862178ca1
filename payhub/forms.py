"""Say in plain words what a field of a struct takes, in place of msgspec's, which are for programmers of msgspec.

A field whose form is a pattern says by `msgspec.Meta(description=…)` what it wants, as "a uuid, as 93d5df06-…".
"""

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

_AT = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]")
_FIELD = re.compile(r"Object (?P<what>missing required|contains unknown) field `(?P<name>[^`]*)`", re.DOTALL)

_NAMES: Mapping[type[Any], str] = {
    inspect.BoolType: "true or false",
    inspect.BytesType: "bytes",
    inspect.DateTimeType: "a date and time, as 2026-01-31T12:00:00Z",
    inspect.DateType: "a date, as 1990-12-31",
    inspect.DecimalType: "a decimal number",
    inspect.DictType: "a table",
    inspect.NoneType: "nothing",
    inspect.UUIDType: "a UUID",
}
_CUSTOM: Mapping[type[Any], str] = {Path: "a path"}
_ITEMS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)
_UNKNOWN = "of the form that is needed here"


_NOWHERE = object()


def _inside(value: object, name: str | None, index: str | None) -> object:
    """Return what is at one step of a path; nobody knows which member of a list or table `[...]` is."""
    if index is not None:
        return value[int(index)] if index.isdigit() and isinstance(value, list | tuple) else _NOWHERE
    if isinstance(value, Mapping):
        return value.get(name, _NOWHERE)
    return getattr(value, str(name), _NOWHERE)


def _kind(shape: Any) -> inspect.Type:
    try:
        return inspect.type_info(shape)
    except Exception:  # noqa: BLE001 - of a type that msgspec cannot tell of, nothing is said
        return inspect.AnyType()


def _plain(kind: inspect.Type) -> Any:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _members(kind: inspect.Type) -> Iterable[inspect.Type]:
    """Return what may stand for a kind, with its description or without: the members of a union, else itself."""
    plain = _plain(kind)
    return plain.types if isinstance(plain, inspect.UnionType) else (kind,)


def _below(kind: inspect.Type, path: str) -> inspect.Type:
    """Return the kind of the field at a path."""
    for step in _STEP.finditer(path):
        found: inspect.Type = inspect.AnyType()
        for each in map(_plain, _members(kind)):
            if isinstance(each, inspect.StructType):
                found = next((f.type for f in each.fields if f.encode_name == step[1]), found)
            elif isinstance(each, inspect.DictType):
                found = each.value_type
            elif isinstance(each, _ITEMS):
                found = each.item_type
        kind = found
    return kind


def _fits(kind: inspect.Type, value: object) -> bool:
    """Tell whether a value is of the right type, and what is wrong with it is its length or form."""
    types: Mapping[type[Any], Any] = {
        inspect.StrType: str, inspect.IntType: int, inspect.FloatType: int | float, inspect.DecimalType: Decimal,
        inspect.DateType: dt.date, inspect.DateTimeType: dt.datetime, inspect.LiteralType: str,
        inspect.BytesType: bytes,
    }  # fmt: skip
    found = [types.get(type(each), ()) for each in map(_plain, _members(kind))]
    if any(isinstance(each, inspect.AnyType) for each in map(_plain, _members(kind))):
        return True
    return not isinstance(value, bool) and any(isinstance(value, each) for each in found)


def _text(kind: inspect.StrType) -> str:
    if kind.pattern is not None:
        return _UNKNOWN
    least, most = kind.min_length, kind.max_length
    limits = f" of {least} to {most} characters" if least and most else f" of at most {most} characters" if most else ""
    return f"a text{limits or (' that is not empty' if least else '')}"


def _number(kind: inspect.IntType | inspect.FloatType) -> str:
    words = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
    least = f"{kind.ge:g} or more" if kind.ge is not None else f"more than {kind.gt:g}" if kind.gt is not None else ""
    most = f"at most {kind.le:g}" if kind.le is not None else f"less than {kind.lt:g}" if kind.lt is not None else ""
    limits = " and ".join(filter(None, (least, most)))
    return f"{words}, {limits}" if limits else words


_TELLERS: Mapping[type[Any], Callable[[Any], str]] = {
    inspect.StrType: _text,
    inspect.IntType: _number,
    inspect.FloatType: _number,
    inspect.LiteralType: lambda kind: f"one of {', '.join(map(str, kind.values))}",
    inspect.EnumType: lambda kind: f"one of {', '.join(str(each.value) for each in kind.cls)}",
    inspect.StructType: lambda kind: f"a {kind.cls.__name__}",
    inspect.CustomType: lambda kind: _CUSTOM.get(kind.cls, f"a {kind.cls.__name__}"),
}


def _described(kind: inspect.Type) -> str:
    words = [_words(each) for each in _members(kind) if not isinstance(_plain(each), inspect.NoneType)]
    *first, last = dict.fromkeys(words or [_UNKNOWN])
    return f"{', '.join(first)} or {last}" if first else last


def _words(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.Metadata):
        described = (kind.extra_json_schema or {}).get("description")
        return str(described) if described else _words(kind.type)
    if isinstance(kind, _ITEMS):
        return f"a list, each {_described(kind.item_type)}"
    tell: Callable[[Any], str] | None = _TELLERS.get(type(kind))
    return tell(kind) if tell else _NAMES.get(type(kind), _UNKNOWN)


_HALF = re.compile("[\ud800-\udfff]")


def find_half(value: object) -> str | None:
    """Return where in a struct a text stands that has half a character, or `None` if none has.

    No UTF-8 can hold it, so it can be neither sent nor kept.
    """
    return find_place(value, lambda each: isinstance(each, str) and _HALF.search(each) is not None)


def find_place(value: object, wanted: Callable[[object], bool]) -> str | None:
    """Return the path of the first value in a struct that is wanted, or `None`; of the struct itself it is empty."""
    if wanted(value):
        return ""
    if isinstance(value, tuple):
        return next((found for each in value if (found := find_place(each, wanted)) is not None), None)
    for name in getattr(value, "__struct_fields__", ()):
        if (found := find_place(getattr(value, name), wanted)) is not None:
            return f"{name}.{found}".rstrip(".")
    return None


def type_name(value: object) -> str:
    """Return the name of a value's type as its author knows it; one that hides itself in tracebacks goes by its own."""
    return next(each.__name__ for each in type(value).__mro__ if not each.__module__.startswith("payhub.masking"))


def refusal(cause: msgspec.ValidationError, shape: Any, value: object) -> tuple[str, str]:
    """Return the path of the field that msgspec refuses of a value, and what it must be; no value is quoted.

    The path is that of the value as a whole, which is empty, or as `payer.email` or `accounts[0].name`.
    """
    found = _AT.fullmatch(str(cause))
    path = (found["path"] or "").lstrip(".") if found else ""
    if cause.__cause__ is not None:  # a check of the struct's own, which has words of its own
        return path, str(cause.__cause__)
    parent, _, last = path.rpartition(".")
    around = map(_plain, _members(_below(_kind(shape), parent)))
    if any(last == getattr(each, "tag_field", None) for each in around):  # structs are told apart by it: it is no field
        path = parent
    kind = _below(_kind(shape), path)
    for step in _STEP.finditer(path):
        value = _inside(value, step[1], step[2])
    if field := _FIELD.match(str(cause)):
        known = [each.encode_name for plain in map(_plain, _members(kind)) for each in getattr(plain, "fields", ())]
        if field["what"] == "contains unknown":
            return f"{path}.{field['name']}".lstrip("."), f"is unknown; known: {', '.join(known)}"
        if field["name"] in known:
            return f"{path}.{field['name']}".lstrip("."), "is missing"
    given = "" if value is _NOWHERE or _fits(kind, value) else f", not {type_name(value)}"
    if value is None:
        given = ", and nothing is given"
    return path, f"must be {_described(kind)}{given}"


def expected(shape: Any, path: str = "") -> str:
    """Return what a type takes, or its field at a path, as `a text of at most 20 characters`."""
    return _described(_below(_kind(shape), path))
