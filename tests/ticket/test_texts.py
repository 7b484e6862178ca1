"""Every phrase is there in every language, and says the same."""

import string
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest

from payhub import ToBankAccount, ToCard, ToPhone, ToWallet
from payhub.journal import State
from payhub.models import Method
from payhub.operations import KINDS as ALL_KINDS
from payhub.ticket import LANGS, Lang, Manifest, Situation
from payhub.ticket.situations import Doubt
from payhub.ticket.texts import (
    DOUBTS,
    FIELDS,
    KINDS,
    LABELS,
    MANIFEST,
    MASKS,
    METHODS,
    SITUATIONS,
    STATEMENT,
    STATES,
    UNITS,
    how_often,
)

TABLES: dict[str, Mapping[Any, Mapping[Lang, Any]]] = {
    "doubts": DOUBTS,
    "situations": SITUATIONS,
    "states": STATES,
    "methods": METHODS,
    "fields": FIELDS,
    "labels": LABELS,
    "manifest": MANIFEST,
    "masks": MASKS,
    "statement": {"": STATEMENT},
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_phrase_is_in_every_language(table: Mapping[Any, Mapping[Lang, Any]]) -> None:
    """No phrase is missing in a language."""
    assert {name: set(phrases) for name, phrases in table.items()} == {name: set(LANGS) for name in table}


def test_the_tables_are_total() -> None:
    """Every situation, doubt, state, kind, method and fact of a manifest has its words; every kind the same forms."""
    tags = {str(kind.__struct_config__.tag) for kind in (ToBankAccount, ToCard, ToPhone, ToWallet)}
    assert (set(Situation), set(Doubt), set(State)) == (set(SITUATIONS), set(DOUBTS), set(STATES))
    assert set(get_args(Method)) | tags == set(METHODS)
    for lang in LANGS:
        assert set(ALL_KINDS) == set(KINDS[lang])
        assert len({frozenset(forms) for forms in KINDS[lang].values()}) == 1
        assert len(UNITS[lang]) == 4
    assert get_args(Lang) == LANGS
    assert set(MANIFEST) == set(Manifest.__struct_fields__) - {"statement", "masks"}


def phrases() -> Iterator[tuple[Lang, str]]:
    """Return every phrase that is a situation's, with its language."""
    for table in (SITUATIONS.values(), DOUBTS.values()):
        for each in table:
            for lang, said in each.items():
                yield from ((lang, phrase) for phrase in (said if isinstance(said, tuple) else (said,)))


GIVEN = {"amount", "paid", "state", "fields", "age", "status", "doubt"}


@pytest.mark.parametrize(("lang", "phrase"), list(phrases()))
def test_phrases_name_what_they_are_given(lang: Lang, phrase: str) -> None:
    """No phrase names a value that it is not given, and none ends in the middle."""
    named = {name for _, name, _, _ in string.Formatter().parse(phrase) if name}
    assert named <= GIVEN | set(KINDS[lang]["payout"])
    assert phrase == phrase.strip()
    assert "  " not in phrase


def test_both_languages_name_the_same_values() -> None:
    """What one language tells, the other tells, too."""
    for situation, said in SITUATIONS.items():
        named = {lang: {each for each in GIVEN if any(f"{{{each}}}" in text for text in said[lang])} for lang in LANGS}
        assert named["en"] == named["ru"], situation


def test_what_is_asked_is_a_sentence() -> None:
    """What is asked begins with a capital letter and ends with a full stop."""
    for said in SITUATIONS.values():
        for _, ask in said.values():
            assert ask[0].isupper()
            assert ask.endswith(".")


@pytest.mark.parametrize(
    ("count", "en", "ru"),
    [
        (1, "once", "1 раз"),
        (2, "twice", "2 раза"),
        (5, "5 times", "5 раз"),
        (12, "12 times", "12 раз"),
        (24, "24 times", "24 раза"),
        (112, "112 times", "112 раз"),
    ],
)
def test_how_often(count: int, en: str, ru: str) -> None:
    """How often something came is said as people say it."""
    assert (en, ru) == (how_often(count, "en"), how_often(count, "ru"))
