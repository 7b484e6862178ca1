"""What a field takes is said in plain words, and no message of msgspec's reaches a user as it is."""

import ast
import datetime as dt
import importlib
import pkgutil
from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import inspect

import payhub
import payhub_alikassa
from payhub import InvalidOrder, Money, Payer, PaymentOrder, PayoutOrder, ToCard
from payhub.driver import exact
from payhub.forms import expected, refusal
from payhub.masking import hide
from payhub.models import OrderId
from payhub.money import InvalidMoney
from tests.samples import CARD, PAYMENT, PAYOUT

MSGSPEC = ("Expected `", "Object ", "Invalid ", "matching regex", "JSON is", "`str`", "`object`", "$.")


class Card(msgspec.Struct, tag=True):
    """Pay so."""

    number: str


class Wallet(msgspec.Struct, tag=True):
    """Or so."""

    number: str


class Size(StrEnum):
    """Be small or big."""

    SMALL = "small"
    BIG = "big"


class Box(msgspec.Struct, forbid_unknown_fields=True):
    """Have a field of every kind."""

    text: str | None = None
    short: Annotated[str, msgspec.Meta(max_length=3)] = ""
    named: Annotated[str, msgspec.Meta(min_length=1)] = "x"
    ranged: Annotated[str, msgspec.Meta(min_length=2, max_length=3)] = "xx"
    code: Annotated[str, msgspec.Meta(pattern=r"^[a-z]+\Z")] = "x"
    uuid: Annotated[str, msgspec.Meta(pattern=r"^x\Z", description="a UUID, as 93d5df06-…")] = "x"
    number: Annotated[int, msgspec.Meta(ge=900, le=3600)] = 900
    share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5
    flag: bool = False
    day: dt.date | None = None
    sum: Decimal | None = None
    speed: Literal["slow", "fast"] = "slow"
    size: Size = Size.BIG
    to: Card | Wallet | None = None
    cards: list[Card] = []
    names: dict[str, int] = {}
    path: Path = Path()
    anything: Any = None


CASES: list[tuple[object, str, str]] = [
    ({"text": 1}, "text", "must be a text, not int"),
    ({"text": b"x"}, "text", "must be a text, not bytes"),
    ({"short": "four"}, "short", "must be a text of at most 3 characters"),
    ({"short": None}, "short", "must be a text of at most 3 characters, and nothing is given"),
    ({"named": ""}, "named", "must be a text that is not empty"),
    ({"ranged": "1"}, "ranged", "must be a text of 2 to 3 characters"),
    ({"code": "A"}, "code", "must be of the form that is needed here"),
    ({"uuid": "y"}, "uuid", "must be a UUID, as 93d5df06-…"),
    ({"uuid": hide({})}, "uuid", "must be a UUID, as 93d5df06-…, not dict"),
    ({"number": 1}, "number", "must be a whole number, 900 or more and at most 3600"),
    ({"number": "x"}, "number", "must be a whole number, 900 or more and at most 3600, not str"),
    ({"number": True}, "number", "must be a whole number, 900 or more and at most 3600, not bool"),
    ({"share": 2}, "share", "must be a number, more than 0 and less than 1"),
    ({"flag": "yes"}, "flag", "must be true or false, not str"),
    ({"day": "31.01.2026"}, "day", "must be a date, as 1990-12-31, not str"),
    ({"sum": "ten"}, "sum", "must be a decimal number, not str"),
    ({"speed": CARD}, "speed", "must be one of fast, slow"),
    ({"size": CARD}, "size", "must be one of small, big, not str"),
    ({"to": CARD}, "to", "must be a Card or a Wallet, not str"),
    ({"to": {"type": CARD}}, "to", "must be a Card or a Wallet, not dict"),
    ({"to": {}}, "to", "must be a Card or a Wallet, not dict"),
    ({"to": {"type": "Card"}}, "to.number", "is missing"),
    ({"cards": [{"type": "Card", "number": ""}, {"type": "Card", "number": 2}]}, "cards[1].number",
     "must be a text, not int"),
    ({"cards": "x"}, "cards", "must be a list, each a Card, not str"),
    ({"names": {"a": CARD}}, "names[...]", "must be a whole number"),
    ({"path": 5}, "path", "must be a path, not int"),
    ({"colour": CARD}, "colour", f"is unknown; known: {', '.join(Box.__struct_fields__)}"),
    (CARD, "", "must be a Box, not str"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "path", "words"), CASES, ids=range(len(CASES)))
def test_what_a_field_takes_is_said_in_plain_words(value: object, path: str, words: str) -> None:
    """The field is named by its path, and what it takes in plain words; what it was given is not quoted."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(value, Box)
    assert (path, words) == refusal(caught.value, Box, value)


class Checked(msgspec.Struct):
    """Have a check of its own."""

    amount: Money


def test_a_check_of_a_structs_own_keeps_its_words() -> None:
    """What a struct itself says of its fields is no message of msgspec's."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"amount": {"amount": "1", "currency": "XXX"}}, Checked)
    assert (
        "amount",
        str(InvalidMoney("currency", "not an ISO 4217 code of a currency (three capital letters, as RUB)")),
    ) == refusal(caught.value, Checked, {})


def test_a_type_that_msgspec_cannot_tell_of_has_words_too() -> None:
    """Of a type that is none of msgspec's, nothing wrong is said."""
    assert "of the form that is needed here" == expected(object())


ORDERS: dict[str, tuple[type[Any], dict[str, Any], str]] = {
    "a number for Money": (PayoutOrder, {"amount": 10}, 'amount: must be a Money, as Money("10.00", "RUB"), not int'),
    "a Decimal for Money": (
        PayoutOrder, {"amount": Decimal(10)}, 'amount: must be a Money, as Money("10.00", "RUB"), not Decimal'
    ),
    "a text for a card": (
        PayoutOrder, {"to": CARD}, "to: must be a ToCard, a ToPhone, a ToBankAccount or a ToWallet, not str"
    ),
    "no id": (
        PayoutOrder,
        {"order_id": None},
        f"order_id: must be {expected(OrderId)}, and nothing is given",
    ),
    "a line end in an id": (PayoutOrder, {"order_id": "a\nb"}, f"order_id: must be {expected(OrderId)}"),
    "half a character in an id": (PayoutOrder, {"order_id": "a\ud800"}, "order_id: has half of a character"),
    "an address that is no text": (
        PaymentOrder, {"payer": Payer(ip=IPv4Address("127.0.0.1"))}, "payer.ip: must be a text, not IPv4Address"  # type: ignore[arg-type]
    ),
    "an unknown method": (
        PaymentOrder, {"method": CARD}, "method: must be one of bank_account, card, sberpay, sbp, wallet"
    ),
    "a date as a text": (
        PayoutOrder, {"to": ToCard(CARD, birth_date="1990")}, "to.birth_date: must be a date, as 1990-12-31, not str"  # type: ignore[arg-type]
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "message"), ORDERS.values(), ids=ORDERS)
def test_a_refused_order_is_told_in_plain_words(kind: Any, fields: dict[str, Any], message: str) -> None:
    """Whatever is wrong with an order, the message names the field and says what it takes."""
    order = msgspec.structs.replace({PaymentOrder: PAYMENT, PayoutOrder: PAYOUT}[kind], **fields)
    with pytest.raises(InvalidOrder) as caught:
        exact(order)
    assert (message, False) == (str(caught.value), any(words in str(caught.value) for words in MSGSPEC))


def structs() -> Iterator[type[msgspec.Struct]]:
    """List the structs of payhub and its driver."""
    for package in (payhub, payhub_alikassa):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__") and ".migrations" not in module.name:
                found = vars(importlib.import_module(module.name)).values()
                yield from (each for each in found if isinstance(each, type) and issubclass(each, msgspec.Struct))


def patterns(kind: Any, description: str = "") -> Iterator[tuple[str, str]]:
    """List the patterns in a field's type, each with what describes it."""
    if isinstance(kind, inspect.Metadata):
        yield from patterns(kind.type, (kind.extra_json_schema or {}).get("description", ""))
    elif isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from patterns(each)
    elif getattr(kind, "pattern", None):
        yield kind.pattern, description


def test_a_pattern_ends_with_the_text_and_is_described() -> None:
    """No pattern lets a line end pass, as a dollar sign would, and each has words for what it wants."""
    fields = [field for struct in set(structs()) for field in inspect.type_info(struct).fields]  # type: ignore[attr-defined]
    found = {each for field in fields for each in patterns(field.type)}
    assert len(found) > 10
    assert [] == [each for each in found if not each[0].endswith(r"\Z") or not each[1]]


MESSAGES = {"payhub/forms.py", "payhub/testing/conformance.py"}
"""Where msgspec's messages may be read."""


def test_nobody_else_reads_what_msgspec_says() -> None:
    """Elsewhere an error of msgspec's is caught without its text: it is given to `refusal`, or is dropped."""
    named = []
    for package in (payhub, payhub_alikassa):
        root = Path(next(iter(package.__path__)))
        for path in root.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if (
                    isinstance(node, ast.ExceptHandler)
                    and node.type
                    and "msgspec" in ast.unparse(node.type)
                    and node.name
                ):
                    body = "\n".join(map(ast.unparse, node.body))
                    if f"str({node.name})" in body or f"{{{node.name}}}" in body:
                        named.append(f"{path.relative_to(root.parent)}")
    assert set() == set(named) - MESSAGES
