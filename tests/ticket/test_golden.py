"""Tickets are what they were: whole files, to be read whole by the author of a changed phrase.

Each is made of what a real hub wrote into a real journal, on a real sandbox; times, ports and what is
made at random are fixed. After a change that is meant, write them anew and read the difference:

    PAYHUB_GOLDEN=write .venv/bin/pytest tests/ticket/test_golden.py
"""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from payhub.ticket import LANGS, Lang, Ticket

from .conftest import HAPPENINGS, Records

GOLDEN = Path(__file__).with_name("golden")
WRITE = os.environ.get("PAYHUB_GOLDEN") == "write"


def compare(name: str, found: bytes) -> None:
    """Compare bytes with a golden file, or make it."""
    path = GOLDEN / name
    if WRITE:
        path.write_bytes(found)
    assert path.read_text("utf-8") == found.decode()


def still(ticket: Ticket) -> Ticket:
    """Fix the versions that the ticket is made with."""
    made_with = {"payhub": "1.0", "Python": "3.11.0"}
    return msgspec.structs.replace(ticket, manifest=msgspec.structs.replace(ticket.manifest, made_with=made_with))


@pytest.mark.parametrize("name", HAPPENINGS)
def test_tickets_are_what_they_were(happen: Callable[[str], Records], name: str) -> None:
    """In both languages each is, byte for byte, the file that people have read."""
    story = happen(name)
    for lang in LANGS:
        compare(f"{name}.{lang}.md", still(story.ticket(lang)).rendered("md"))


@pytest.mark.parametrize(("name", "lang"), [("settled", "en"), ("contradicted", "ru")])
def test_the_form_for_programs_is_what_it_was(happen: Callable[[str], Records], name: str, lang: Lang) -> None:
    """A program that reads tickets finds what it found."""
    compare(f"{name}.{lang}.json", still(happen(name).ticket(lang)).rendered("json"))


def test_no_golden_file_is_left_over() -> None:
    """Every file is compared with something."""
    pages = {f"{name}.{lang}.md" for name in HAPPENINGS for lang in LANGS}
    assert pages | {"settled.en.json", "contradicted.ru.json"} == {path.name for path in GOLDEN.iterdir()}
