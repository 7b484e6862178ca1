"""Every phrase is there in every language, and says the same."""

import string
from collections.abc import Iterable, Iterator
from typing import get_args

import msgspec
import pytest

from payhub import ToBankAccount, ToCard, ToPhone, ToWallet
from payhub.journal import State, Why
from payhub.models import Method, Phase
from payhub.operations import KINDS
from payhub.ticket import LANGS, Lang, Manifest, Situation, Ticket
from payhub.ticket.situations import Doubt
from payhub.ticket.texts import TEXTS, Texts
from tests.journal.making import facts

from .conftest import START
from .test_situations import CASES

TABLES = ("situations", "doubts", "states", "phases", "reasons", "methods", "mismatches", "manifest", "masks", "kinds")


@pytest.mark.parametrize("table", TABLES)
def test_every_phrase_is_in_every_language(table: str) -> None:
    """No phrase is missing in a language."""
    assert [set(TEXTS["en"].__getattribute__(table))] * len(LANGS) == [
        set(getattr(TEXTS[lang], table)) for lang in LANGS
    ]


def test_the_languages_are_those_that_are_typed() -> None:
    """What a type checker takes for a language has its texts."""
    assert get_args(Lang) == LANGS == tuple(TEXTS)


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_the_tables_are_total(texts: Texts) -> None:
    """Every situation, doubt, state, phase, reason, kind, method and fact of a manifest has its words."""
    tags = {str(kind.__struct_config__.tag) for kind in (ToBankAccount, ToCard, ToPhone, ToWallet)}
    pairs: list[tuple[Iterable[object], Iterable[object]]] = [
        (Situation, texts.situations),
        (Doubt, texts.doubts),
        (State, texts.states),
        (Phase, texts.phases),
        (Why, texts.reasons),
        ({*get_args(Method), *tags}, texts.methods),
        (KINDS, texts.kinds),
    ]
    assert [set(wanted) for wanted, _ in pairs] == [set(found) for _, found in pairs]
    assert set(texts.manifest) == set(Manifest.__struct_fields__) - {"statement", "masks"}
    assert len(texts.units) == 4
    assert {frozenset(texts.other_kind)} == {frozenset(forms) for forms in texts.kinds.values()}


def phrases() -> Iterator[tuple[Lang, str]]:
    """Return every phrase that a story fills in, with its language."""
    for lang, texts in TEXTS.items():
        yield from ((lang, phrase) for each in texts.situations.values() for phrase in each)
        yield from ((lang, phrase) for phrase in texts.doubts.values())


VALUES = {"amount", "paid_amount", "state", "fields", "age", "status", "doubt"}


def fields(phrase: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(phrase) if name}


@pytest.mark.parametrize(("lang", "phrase"), list(phrases()))
def test_phrases_name_what_they_are_given(lang: Lang, phrase: str) -> None:
    """No phrase names a value that it is not given, and none ends in the middle."""
    assert fields(phrase) <= VALUES | set(TEXTS[lang].other_kind)
    assert phrase == phrase.strip()
    assert "  " not in phrase


def test_both_languages_name_the_same_values() -> None:
    """What one language tells, the other tells, too."""
    for situation in Situation:
        named = [fields(" ".join(TEXTS[lang].situations[situation])) & VALUES for lang in LANGS]
        assert named[:-1] == named[1:], situation


def test_reasons_name_the_same_values() -> None:
    """A reason quotes the words of others in each language, or in none."""
    for why in Why:
        named = [fields(texts.reasons[why]) for texts in TEXTS.values()]
        assert (named[:-1], True) == (named[1:], named[0] <= {"words", "fields"}), why


@pytest.mark.parametrize("label", ["started", "same_again", "received"])
def test_labels_name_the_same_values(label: str) -> None:
    """A label that is filled in names the same in each language."""
    named = [fields(getattr(texts.labels, label)) for texts in TEXTS.values()]
    assert named[:-1] == named[1:]


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_what_is_asked_is_a_sentence(texts: Texts) -> None:
    """What is asked begins with a capital letter and ends with a full stop."""
    for _, ask in texts.situations.values():
        assert ask[0].isupper()
        assert ask.endswith(".")


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_no_two_situations_ask_the_same(texts: Texts) -> None:
    """A support agent can tell each situation by its first line, and a label by its word."""
    heads = [head for head, _ in texts.situations.values()]
    assert len(set(heads)) == len(heads)
    about = [texts.labels.no_answer, texts.labels.duration, texts.labels.size, texts.labels.provider_clock]
    about += [texts.labels.attempt, texts.labels.signed_with, texts.labels.software, texts.labels.context]
    assert (len(set(about)), len(set(texts.manifest.values()))) == (len(about), len(texts.manifest))


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
    assert (en, ru) == (TEXTS["en"].times(count), TEXTS["ru"].times(count))


@pytest.mark.parametrize(
    ("lang", "head"),
    [("en", "# Gift card po-1, 1000.44 RUB: "), ("ru", "# Операция «gift card» po-1, 1000.44 RUB: ")],
)
@pytest.mark.parametrize("name", CASES)
def test_a_kind_without_words_of_its_own_can_be_read(name: str, lang: Lang, head: str) -> None:
    """A new kind of order is called by its name, until its row of words is written."""
    made, entries, _, _ = CASES[name]
    known = msgspec.structs.replace(made, facts=facts(kind="gift_card"))
    key = known.facts.key
    kept = [msgspec.structs.replace(entry, key=key) for entry in entries]
    text = Ticket.of(key, [known], kept, lang=lang, at=START).text
    assert (text.startswith(head), "{" in text.partition("## ")[0], "None" in text) == (True, False, False)
