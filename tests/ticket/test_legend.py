"""A ticket explains the masks that it shows, and no others."""

import json

import msgspec
import pytest

from payhub.journal import State
from payhub.masking import Mask, mask_value
from payhub.masking.text import MAX_SHOWN
from payhub.ticket import LANGS, Lang, Ticket
from payhub.ticket.legend import PATTERNS, legend
from payhub.ticket.texts import TEXTS
from tests.journal.making import key

from .conftest import START
from .test_situations import ATTEMPT, UNKNOWN, exchanged, record

NUMBER, PHONE, TAIL, NAME = "411111******1111", "7******2233", "*******2233", "I*** P*****"
NOTHING, EMAIL, IP, BIRTH = "*****", "i***@shop.example", "203.0.*.*", "1999-**-**"
LONG, HIDDEN = "[9000 characters]", "[hidden]"

MADE: list[tuple[Mask, str, set[str]]] = [
    (Mask.TRUNCATED, "4111111111111111", {NUMBER}),
    (Mask.TRUNCATED, "4111 1111 1111 1111", {NUMBER}),
    (Mask.TRUNCATED, "DE89370400440532013000", {NUMBER}),
    (Mask.TRUNCATED, "79031112233", {TAIL}),
    (Mask.TRUNCATED, "u-881", {NOTHING}),
    (Mask.PHONE, "79031112233", {PHONE}),
    (Mask.PHONE, "+79031112233", {PHONE}),
    (Mask.PHONE, "+7 (903) 111-22-33", {PHONE}),
    (Mask.PHONE, "2233", {NOTHING}),
    (Mask.NAME, "IVAN IVANOV", {NAME}),
    (Mask.NAME, "Анна-Мария д'Арк", {NAME}),
    (Mask.EMAIL, "ivan@shop.example", {EMAIL}),
    (Mask.EMAIL, "nobody", {HIDDEN}),
    (Mask.BIRTH, "1990-01-31", {BIRTH}),
    (Mask.BIRTH, "31.01.1990", {BIRTH}),
    (Mask.IP, "203.0.113.24", {IP}),
    (Mask.IP, "2001:db8::1", {IP}),
    (Mask.LINK, "https://pay.example/x?token=1", {HIDDEN}),
    (Mask.HIDDEN, "sesame", {HIDDEN}),
    (Mask.CLEAR, "card 4111 1111 1111 1111 was declined", {NUMBER}),
    (Mask.CLEAR, "a " * MAX_SHOWN, {LONG}),
    (Mask.WORDS, "Number 79031112233 is invalid", {TAIL}),
    (Mask.WORDS, "Number +7 903 111-22-33 is invalid", {PHONE}),
    (Mask.WORDS, "ivan@shop.example has card 4111111111111111, password=x", {EMAIL, NUMBER, HIDDEN}),
    (Mask.CLEAR, "payment_card_rub", set()),
]


@pytest.mark.parametrize(("mask", "value", "samples"), MADE)
def test_every_form_that_is_made_is_explained(mask: Mask, value: str, samples: set[str]) -> None:
    """Whatever a mask makes of a value is known for what it is, and for nothing else."""
    assert samples == set(legend(json.dumps({"x": mask_value(value, mask)}, ensure_ascii=False), "en"))


@pytest.mark.parametrize("mask", TEXTS["en"].masks)
def test_every_sample_is_known(mask: str) -> None:
    """Each sample is of its own mask; and each mask has its sample."""
    assert ([mask], set(TEXTS["en"].masks)) == (list(legend(f"`{mask}`", "en")), set(PATTERNS))


@pytest.mark.parametrize("lang", LANGS)
def test_a_ticket_explains_what_it_shows(lang: Lang) -> None:
    """The masks of what is in a ticket are explained; bold words of its own are none."""
    request = {"phone": "7******2233", "comment": "a\n*******2233"}
    contradiction = msgspec.structs.replace(UNKNOWN, contradicts=True)
    entries = [ATTEMPT, exchanged(500, request=request), contradiction, exchanged(500, 9)]
    ticket = Ticket.of(key(), [record(State.UNKNOWN)], entries, lang=lang, at=START)
    assert [PHONE, TAIL] == list(ticket.manifest.masks)
    assert f"- `{TAIL}`: {TEXTS[lang].masks[TAIL]}\n" in ticket.rendered().decode()


def test_a_ticket_without_masks_has_no_legend() -> None:
    """Where nothing is masked there is nothing to explain."""
    ticket = Ticket.of(key(), [record(State.UNKNOWN)], [ATTEMPT, exchanged(500), UNKNOWN], at=START)
    assert ({}, False) == (ticket.manifest.masks, "Masks:" in ticket.rendered().decode())
