from collections.abc import Callable
from pathlib import Path

import pytest

from tests.raw_server import RawServer, answer

from .conftest import Command

PICKY = """
import datetime as dt
from decimal import Decimal
from typing import Literal
import msgspec
from payhub.testing import fake
from payhub.testing.fake import *

class Extra(msgspec.Struct, kw_only=True):
    speed: Literal["slow", "fast"]
    weight: Decimal | None = None
    insured: bool = False
    day: dt.date | None = None
    pieces: int = 1

    def __post_init__(self):
        if self.pieces > 9:
            raise ValueError("pieces: at most 9")

@hookimpl
def payhub_provider():
    return msgspec.structs.replace(fake.payhub_provider(), name="picky", extras={"payment": Extra})

@hookimpl
def payhub_create_payment(account, order):
    extra = order.extra
    if (extra.speed, extra.insured, extra.day, extra.pieces) != ("fast", True, dt.date(2026, 1, 31), 3):
        raise ValueError(extra)
    return fake.payhub_create_payment(account, order)
"""

PAY = (
    "pay",
    "shop",
    "--order-id",
    "in-1",
    "--amount",
    "5.5",
    "--currency",
    "RUB",
    "--method",
    "card",
    "--without-journal",
)
NEW = {"id": "p-1", "order_id": "in-1", "status": "new", "amount": "5.50", "currency": "RUB"}


@pytest.fixture(autouse=True)
def provider(
    install: Callable[..., None], write_config: Callable[[str], Path], serve: Callable[..., RawServer]
) -> RawServer:
    """Install a driver whose extra fields have every kind of type."""
    install("payhub-picky", "1.0", PICKY, picky="payhub_picky")
    server = serve(answer(NEW))
    write_config(f'[accounts.shop]\nprovider = "picky"\nbase_url = "{server.url}"\n')
    return server


def test_texts_become_what_the_fields_take(payhub: Command) -> None:
    """Words, truth values, dates and numbers are read from the text of the command line."""
    given = ("speed=fast", "insured=true", "day=2026-01-31", "pieces=3")
    done = payhub(*PAY, *(part for text in given for part in ("--set", text)))
    assert (done.code, done.err) == (0, "")


WRONG = {
    "word": ("speed=fats", "extra.speed: must be one of fast, slow"),
    "truth value": ("insured=perhaps", "extra.insured: must be true or false"),
    "date": ("day=31.01.2026", "extra.day: must be a date, as 1990-12-31"),
    "number": ("pieces=three", "extra.pieces: must be a whole number"),
    "another type": ("weight=heavy", "extra.weight: must be a decimal number"),
    "a missing field": ("pieces=3", "extra.speed: is missing"),
}


@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG)
def test_wrong_texts_are_refused(payhub: Command, provider: RawServer, text: str, words: str) -> None:
    """A text that does not fit is refused with the field's name; its value is not quoted, nothing is sent."""
    done = payhub(*PAY, "--set", text)
    assert (done.code, done.err) == (3, f"payhub: {words}\n")
    assert provider.requests == []


def test_what_the_driver_refuses_is_refused(payhub: Command) -> None:
    """A check of the driver's own struct is a refusal like any other."""
    done = payhub(*PAY, "--set", "speed=fast", "--set", "pieces=10")
    assert (done.code, done.err) == (3, "payhub: extra: pieces: at most 9\n")


def test_a_provider_without_fields_of_its_own(payhub: Command) -> None:
    """Where a provider has no fields of its own, none can be set."""
    payout = ("payout", "shop", "--order-id", "po-1", "--amount", "5", "--currency", "RUB", "--to-wallet", "12345")
    done = payhub(*payout, "--set", "speed=fast", "--without-journal")
    assert done.code == 2
    words = "no such field of the provider (a field of the order has a dot, as payer.email); known: none"
    assert f"--set speed: {words}\n" in done.err


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_digits_of_other_currencies(payhub: Command, currency: str) -> None:
    """The digits of ISO 4217 hold for every currency."""
    amount = {"JPY": "5.5", "KWD": "5.5555"}[currency]
    options = ("--amount", amount, "--currency", currency, "--method", "card", "--without-journal")
    done = payhub(*PAY[:4], *options, "--json")
    assert done.code == 3
    assert done.json["error"]["field"] == "amount"
