"""Hold what must not be shown, where a traceback with local variables would show it.

A function that may raise keeps a password, an answer's fields or a number in one of these: they
are texts, bytes, dicts and lists like any other, but for their repr.
"""

from collections.abc import Mapping
from typing import Any

from payhub.masking.text import HIDDEN


class _Hidden:
    """Show nothing, to nobody: rich and pprint follow."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Say that something is hidden."""
        return HIDDEN

    def __rich_repr__(self) -> tuple[()]:
        """Show rich the type only."""
        return ()


class HiddenText(_Hidden, str):
    """Be a text that `repr` does not show; `str` makes a plain one of it."""

    __slots__ = ()


class HiddenBytes(_Hidden, bytes):
    """Be bytes that `repr` does not show."""

    __slots__ = ()


class HiddenFields(_Hidden, dict[str, Any]):
    """Be a dict that `repr` does not show; what is in it is plain."""

    __slots__ = ()


class HiddenItems(_Hidden, list[Any]):
    """Be a list that `repr` does not show; what is in it is plain."""

    __slots__ = ()


def hide(value: Any) -> Any:
    """Return an equal value that `repr` does not show; what is neither text, bytes, dict nor list stays as it is."""
    match value:
        case str():
            return HiddenText(value)
        case bytes():
            return HiddenBytes(value)
        case Mapping():
            return HiddenFields(value)
        case list() | tuple():
            return HiddenItems(value)
    return value
