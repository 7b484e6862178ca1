"""Every word that a ticket says: a module for each language, and the one place to look for a phrase.

They are Python and no catalogue of Fluent or gettext: mypy and the tests see to it that no phrase is missing, a
translator edits one file of plain texts, and the only plural, "4 times", is a function of its language.
"""

from collections.abc import Mapping
from typing import Literal

from payhub.ticket.texts.en import EN
from payhub.ticket.texts.form import Labels, Phrases, Texts
from payhub.ticket.texts.ru import RU

__all__ = ["LANGS", "TEXTS", "Labels", "Lang", "Phrases", "Texts"]

Lang = Literal["en", "ru"]

TEXTS: Mapping[Lang, Texts] = {"en": EN, "ru": RU}
LANGS: tuple[Lang, ...] = tuple(TEXTS)
