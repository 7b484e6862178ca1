"""Values that must not be shown where a traceback prints local variables.

A function that may raise keeps a password, an answer's fields or a number in one of these: they
are texts, bytes, dicts and lists like any other, but for their repr.
"""

from collections.abc import Mapping
from typing import Any

from payhub.masking.text import HIDDEN


class _Hidden:
    """A value without a repr of its own; rich, pprint and Sentry follow."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return that something is hidden."""
        return HIDDEN

    def __sentry_repr__(self) -> str:
        """Return the same to Sentry, which otherwise looks into dicts and lists without asking for their repr."""
        return HIDDEN

    def __rich_repr__(self) -> tuple[()]:
        """Show rich the type only."""
        return ()


class HiddenText(_Hidden, str):
    """A text that `repr` does not show; `str` makes a plain one of it."""

    __slots__ = ()


class HiddenBytes(_Hidden, bytes):
    """Bytes that `repr` does not show."""

    __slots__ = ()


class HiddenFields(_Hidden, dict[str, Any]):
    """A dict that `repr` does not show; what is in it is plain."""

    __slots__ = ()


class HiddenItems(_Hidden, list[Any]):
    """A list that `repr` does not show; what is in it is plain."""

    __slots__ = ()


def hide(value: Any) -> Any:
    """Return an equal value that `repr` does not show; what is neither text, bytes, dict nor list stays as it is."""
    match value:
        case None | _Hidden():
            return value
        case str():
            return HiddenText(value)
        case bytes():
            return HiddenBytes(value)
        case list() | tuple():
            return HiddenItems(value)
        case Mapping():
            return HiddenFields(value)
    return value
