import datetime as dt
import json
import pprint
from typing import Any

import msgspec
import pytest
import rich.pretty
from hypothesis import example, given
from hypothesis import strategies as st

from payhub.masking import (
    HIDDEN,
    Clear,
    Link,
    Mask,
    MaskedStruct,
    ProviderId,
    Truncated,
    find_provider_id,
    is_card_number,
    mask_cards,
    mask_json,
    mask_value,
    truncate,
)

# Numbers that payment networks publish for tests.
CARDS = [
    "4111111111111111",
    "5555555555554444",
    "2200000000000004",
    "378282246310005",
    "6011111111111117",
    "4222222222222",
    "8600000000000007",
    "4000000000000000006",
]
cards = st.sampled_from(CARDS)


def digits_shown(text: str) -> int:
    return sum(character.isdigit() for character in text)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("4111111111111111", "411111******1111"),
        ("4222222222222", "422222***2222"),
        ("40817810500000000001", "408178**********0001"),
        ("79161234567", "*******4567"),
        ("123456789", "*****6789"),
        ("12345678", "********"),
        ("", ""),
    ],
)
def test_truncation(number: str, expected: str) -> None:
    """One truncation everywhere: first 6 and last 4 of long numbers, last 4 of phones, nothing of short ones."""
    assert expected == truncate(number)


@given(st.text())
def test_truncation_keeps_length_and_shows_ten_at_most(number: str) -> None:
    """A truncated text has its length and shows no more than ten of its characters."""
    hidden = truncate(number)
    kept = sum(1 for before, after in zip(number, hidden, strict=True) if before == after and before != "*")
    assert (len(number), True) == (len(hidden), kept <= 10)


@pytest.mark.parametrize("number", CARDS)
def test_card_numbers_are_known(number: str) -> None:
    """The published test numbers of the schemes are card numbers."""
    assert is_card_number(number)


@pytest.mark.parametrize(
    "number",
    [
        "4111111111111112",
        "411111111111",
        "41111111111111111111",
        "1234567812345670",
        "0000000000000000",
        "",
        "40817810500000000001",
    ],
)
def test_other_numbers_are_not(number: str) -> None:
    """Numbers of another length, with a wrong check digit or no scheme's prefix are not card numbers."""
    assert not is_card_number(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("card 4111111111111111.", "card 411111******1111."),
        ("4111 1111 1111 1111", "4111 11** **** 1111"),
        ("4111-1111-1111-1111", "4111-11**-****-1111"),
        ("4111.1111.1111.1111", "4111.11**.****.1111"),
        ("a4111111111111111b", "a411111******1111b"),
        ("4111111111111111 5555555555554444", "411111******1111 555555******4444"),
        ("order 1000000000000001 of 2026-01-01", "order 1000000000000001 of 2026-01-01"),
        ("", ""),
    ],
)
def test_sweep(text: str, expected: str) -> None:
    """Rule 12: card numbers in free text are truncated where they stand, and nothing else changes."""
    assert expected == mask_cards(text)


def hidden_everywhere(shown: str, card: str) -> bool:
    """Tell whether no more than the first 6 and last 4 of a card are among the digits shown in a row."""
    digits = "".join(character for character in shown if character.isdigit() or character == "*")
    return card not in digits and card[6:-4] not in digits.replace("*", "x")[6:-4]


@given(
    st.text(st.sampled_from(" .-abc:")),
    cards,
    st.sampled_from(["", " ", "-", ". "]),
    st.integers(1, 6),
    st.text(st.sampled_from("0123456789 -.")),
)
@example(before="", card="4111111111111111", separator=" ", width=4, after=" 12")
def test_rule_12_no_card_number_survives_a_sweep(
    before: str, card: str, separator: str, width: int, after: str
) -> None:
    """Rule 12: however a card number is grouped, and whatever follows it, its middle digits are hidden."""
    written = separator.join(card[place : place + width] for place in range(0, len(card), width))
    if after[:1].isdigit():
        after = f" / {after}"
    shown = mask_cards(f"{before}{written}{after}")
    mine = shown[len(before) : len(before) + len(written)]
    assert "*" * (len(card) - 10) in mine.replace(" ", "").replace("-", "").replace(".", "")


@given(st.text(st.sampled_from("0123456789 -.ab"), max_size=200))
def test_sweep_changes_digits_only(text: str) -> None:
    """Masking card numbers replaces digits by stars in place, and changes nothing else."""
    assert all(
        before == after or (before.isdigit() and after == "*")
        for before, after in zip(text, mask_cards(text), strict=True)
    )


@given(st.text(st.sampled_from("0123456789 -."), max_size=120))
def test_a_masked_text_has_no_card_number(text: str) -> None:
    """A masked text can be masked again without a change."""
    once = mask_cards(text)
    assert once == mask_cards(once)


@pytest.mark.parametrize("text", ["1 " * 500_000, "4111111111111111 " * 20_000, "4" * 1_000_000, "4-" * 100_000])
def test_sweep_of_the_largest_answer_ends(text: str) -> None:
    """A provider that fills a whole answer with digits neither blocks the search nor breaks it."""
    assert len(text) == len(mask_cards(text))


@pytest.mark.parametrize(
    ("mask", "value", "expected"),
    [
        (Mask.CLEAR, "paid 4111111111111111", "paid 411111******1111"),
        (Mask.CLEAR, 4111111111111111, "411111******1111"),
        (Mask.CLEAR, 1000, 1000),
        (Mask.CLEAR, True, True),
        (Mask.CLEAR, {"4111111111111111": ["4111111111111111"]}, {"411111******1111": ["411111******1111"]}),
        (Mask.TRUNCATED, "4111111111111111", "411111******1111"),
        (Mask.TRUNCATED, 79161234567, "*******4567"),
        (Mask.LINK, "https://u:p@pay.example/x?token=1#f", "https://pay.example/x?[hidden]"),
        (Mask.LINK, "https://pay.example/4111111111111111", "https://pay.example/411111******1111"),
        (Mask.LINK, "http://[", HIDDEN),
        (Mask.LINK, ["https://pay.example/?token=1"], HIDDEN),
        (Mask.PROVIDER_ID, 100001524, 100001524),
        (Mask.WORDS, "79031112233 of ivan@shop.example is invalid", "*******2233 of i***@shop.example is invalid"),
        (Mask.WORDS, {"number": ["4111 1111 1111 1111", 79031112233, 5, None, True]},
         {"number": ["4111 11** **** 1111", "*******2233", 5, None, True]}),
        (Mask.WORDS, {"ivan@shop.example": "taken"}, {"i***@shop.example": "taken"}),
        (Mask.PHONE, "+79031112233", "+7******2233"),
        (Mask.PHONE, 79031112233, "7******2233"),
        (Mask.NAME, "IVAN IVANOV", "I*** I*****"),
        (Mask.NAME, {"first": "IVAN"}, HIDDEN),
        (Mask.EMAIL, "ivan@shop.example", "i***@shop.example"),
        (Mask.BIRTH, "1990-01-31", "1990-**-**"),
        (Mask.BIRTH, dt.date(1990, 1, 31), "1990-**-**"),
        (Mask.IP, "203.0.113.24", "203.0.*.*"),
        (Mask.TRUNCATED, ["4111111111111111"], HIDDEN),
        (Mask.TRUNCATED, "4" * 10_000, HIDDEN),
        (Mask.TRUNCATED, msgspec.UNSET, msgspec.UNSET),
        (Mask.HIDDEN, "secret", HIDDEN),
        (Mask.HIDDEN, 0, HIDDEN),
        (Mask.HIDDEN, "", ""),
        (Mask.HIDDEN, None, None),
    ],
)  # fmt: skip
def test_show(mask: Mask, value: object, expected: object) -> None:
    """Each mask shows what it says; nothing hides an empty value, because it has nothing to hide."""
    assert expected == mask_value(value, mask)


EXAMPLES = [
    "4111111111111111", "+7 (903) 111-22-33", "79031112233", "IVAN IVANOV", "ivan@shop.example", "1990-01-31",
    "203.0.113.24", "2001:db8::1", "https://u:p@pay.example/x?a=1", "sign=sesame of 79031112233 4111 1111 1111 1111",
]  # fmt: skip


@pytest.mark.parametrize("mask", Mask)
@pytest.mark.parametrize("value", EXAMPLES)
def test_what_is_masked_can_be_masked_again(mask: Mask, value: str) -> None:
    """What is masked already stays as it is: a cassette and a ticket mask once more."""
    once = mask_value(value, mask)
    assert once == mask_value(once, mask)


def test_every_mask_is_tried_here() -> None:
    """The table above has every mask."""
    [table] = [mark for mark in test_show.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    assert set(Mask) == {mask for mask, _, _ in table.args[1]}


@given(st.sampled_from(Mask), cards, st.text(max_size=5))
def test_rule_12_no_mask_shows_a_card_number(mask: Mask, card: str, around: str) -> None:
    """Rule 12: a card number in a field of whatever else is not shown whole."""
    for value in (
        card,
        f"{around}@{card}",
        f"{card}@{card}.example",
        f"https://{card}@x.example/{card}",
        [card],
        {card: card},
    ):
        assert card not in json.dumps(mask_value(value, mask))


class Inner(msgspec.Struct):
    seen: Clear[str]
    unseen: str


class Outer(msgspec.Struct, rename="camel"):
    order_id: Clear[str]
    card_number: Truncated[str]
    back_url: Link[str]
    password: str
    inner: Inner
    several: list[Inner]
    maybe: Inner | None
    free: Clear[dict[str, Any]]


class Answer(msgspec.Struct, rename={"number": "ID"}):
    number: ProviderId[int | str]
    order_id: Clear[str] = ""


@pytest.mark.parametrize(
    ("value", "shape", "expected"),
    [
        ({"order_id": "1", "ID": "7"}, Answer, "7"),
        ({"ID": 7}, Answer, "7"),
        ({"ID": 4111111111111111}, Answer, "411111******1111"),
        ({"ID": ""}, Answer, None),
        ({"ID": None}, Answer, None),
        ({"ID": [7]}, Answer, None),
        ({"number": 7}, Answer, None),
        ([{"ID": 7}], Answer, None),
        ("7", Answer, None),
        ({"ID": 7}, Inner, None),
        ({"ID": 7}, None, None),
    ],
)
def test_the_providers_id_is_found(value: object, shape: type[msgspec.Struct] | None, expected: str | None) -> None:
    """The field that is declared as the provider's id is found in an answer, whatever the answer is."""
    assert expected == find_provider_id(value, shape)


def test_json_is_masked_by_its_struct() -> None:
    """Of decoded JSON each field is shown as its struct declares it, under its name on the wire."""
    value = {
        "orderId": "1", "cardNumber": "4111111111111111", "backUrl": "https://shop.example/?a=1", "password": "p",
        "inner": {"seen": "s", "unseen": "u", "new": 1}, "several": [{"seen": "s", "unseen": "u"}],
        "maybe": None, "free": {"a": 1}, "unknown": {"deep": "4111111111111111"}, "password2": ["x"],
    }  # fmt: skip
    expected = {
        "orderId": "1",
        "cardNumber": "411111******1111",
        "backUrl": "https://shop.example/?[hidden]",
        "password": HIDDEN,
        "inner": {"seen": "s", "unseen": HIDDEN, "new": HIDDEN},
        "several": [{"seen": "s", "unseen": HIDDEN}],
        "maybe": None,
        "free": {"a": 1},
        "unknown": HIDDEN,
        "password2": HIDDEN,
    }
    assert expected == mask_json(value, Outer)


@pytest.mark.parametrize("value", ["text", 1, None, [1, "a"], {"a": {"b": 1}}])
def test_without_a_struct_every_value_is_hidden(value: object) -> None:
    """Without a struct that declares it, no value is shown; only the names of fields are."""
    shown = json.dumps(mask_json(value, None))
    assert (True, False) == ("hidden" in shown, any(each in shown for each in ("text", "1", '"a": {')))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | cards,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | cards, inner, max_size=4),
    max_leaves=20,
)


@given(json_values, st.sampled_from([None, Outer, Inner]))
def test_rule_12_no_card_number_in_masked_json(value: object, shape: type[msgspec.Struct] | None) -> None:
    """Rule 12: whatever JSON comes, and wherever a card number stands in it, none is shown whole."""
    shown = json.dumps(mask_json(value, shape))
    assert [] == [card for card in CARDS if card in shown]


class Person(MaskedStruct, frozen=True):
    name: Clear[str]
    number: Truncated[str]
    secret: str
    page: Link[str] = ""
    friend: Clear["Person | None"] = None


PERSON = Person("Ann 4111111111111111", "4111111111111111", "sesame", "https://x.example/?key=sesame",
                Person("Bob", "79161234567", "sesame"))  # fmt: skip
SHOWN = (
    "Person(name='Ann 411111******1111', number='411111******1111', secret='[hidden]', "
    "page='https://x.example/?[hidden]', "
    "friend=Person(name='Bob', number='*******4567', secret='[hidden]', page='', friend=None))"
)


@pytest.mark.parametrize(
    "printed",
    [
        repr,
        str,
        pprint.pformat,
        lambda person: rich.pretty.pretty_repr(person, max_width=1000),
        lambda person: f"{person}",
    ],
    ids=["repr", "str", "pprint", "rich", "format"],
)
def test_repr_obeys_the_masks(printed: Any) -> None:
    """Rule 12: however a struct is printed, its fields are shown by their masks."""
    assert SHOWN == printed(PERSON)


def test_a_very_long_text_is_cut_and_not_within_a_number() -> None:
    """Of a very long text the beginning is shown; no part of a number stands at the cut."""
    text = "x" * 8180 + " 4111111111111111 " + "y" * 10_000
    assert "x" * 8180 + " [18198 characters]" == mask_value(text, Mask.CLEAR)
