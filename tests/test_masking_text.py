import base64
import functools
import hashlib
import re
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payhub.masking import leaks
from payhub.masking.text import (
    HIDDEN,
    MAX_SHOWN,
    excerpt,
    mask_birth,
    mask_cards,
    mask_email,
    mask_ip,
    mask_link,
    mask_name,
    mask_phone,
    mask_text,
)
from tests.counting import lines_of_python
from tests.test_masking import CARDS, cards

SIGNATURE = base64.b64encode(hashlib.shake_256(b"payhub").digest(256)).decode()
PEM = "-----BEGIN PRIVATE KEY-----\nMIIE\nvQIB\n-----END PRIVATE KEY-----"

# Values that have a rule


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("79031112233", "7******2233"),
        ("+79031112233", "+7******2233"),
        ("+7 (903) 111-22-33", "+7 (***) ***-22-33"),
        ("+380441234567", "+3*******4567"),
        ("123456789", "1****6789"),
        ("12345678", "********"),
        ("ivan@shop.example", "*********.*******"),
        ("4111111111111111", "4***********1111"),
    ],
)
def test_phones(number: str, expected: str) -> None:
    """Of a phone number the first digit, the last four and its writing stay; of what is none, nothing does."""
    assert expected == mask_phone(number)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("IVAN IVANOV", "I*** I*****"),
        ("Иванов-Петров Иван", "И*****-П***** И***"),
        ("O'Brien, J.", "O'B****, J."),
        ("王小明", "王**"),
        ("a b c d e f", "a b c d * *"),
        ("4111111111111111", "****************"),
        ("4 1 1 1", "* * * *"),
        (" ", " "),
    ],
)
def test_names(name: str, expected: str) -> None:
    """Of a name the first letter of each word stays, of four words at most, and no digit."""
    assert expected == mask_name(name)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ivan@shop.example", "i***@shop.example"),
        ("ivan+x@mail.shop.example", "i*****@mail.shop.example"),
        ('"a@b"@shop.example', '"****@shop.example'),
        ("ivan@79031112233.example", "i***@*******2233.example"),
        ("ivan@79031112233", HIDDEN),
        ("@shop.example", HIDDEN),
        ("ivan", HIDDEN),
        ("ivan@", HIDDEN),
    ],
)
def test_emails(address: str, expected: str) -> None:
    """Of an e-mail address the first character and the domain stay; what is none is hidden."""
    assert expected == mask_email(address)


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("1990-01-31", "1990-**-**"),
        ("31.01.1990", "**.**.1990"),
        ("31 January 1990", "** ******* 1990"),
        ("19900131", HIDDEN),
        ("31.01.90", HIDDEN),
    ],
)
def test_births(date: str, expected: str) -> None:
    """Of a date of birth the year stays, however it is written; what has none is hidden."""
    assert expected == mask_birth(date)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.24", "203.0.*.*"),
        ("127.0.0.1", "127.0.*.*"),
        ("2001:db8::1", "2001:0db8::*"),
        ("::ffff:203.0.113.24", "0000:0000::*"),
        ("203.0.113", HIDDEN),
        ("fe80::1%4111111111111111", "fe80:0000::*"),
    ],
)
def test_ips(address: str, expected: str) -> None:
    """Of an IP address the first two groups stay: enough to see that it is a local one."""
    assert expected == mask_ip(address)


@given(st.text(max_size=40))
def test_a_rule_shows_no_other_letters_than_it_says(text: str) -> None:
    """Whatever is given to a rule, no more than its own few characters come through."""
    digits = sum(character.isdigit() for character in mask_phone(text))
    letters = sum(character.isalnum() for character in mask_name(text))
    assert (True, True) == (digits <= 5, letters <= 4)


# Texts of no known shape

NGINX = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>nginx/1.18.0 (Ubuntu)</center>\r\n</body>\r\n</html>\r\n"
)
CLOUDFLARE = (
    "<title>api-merchant.alikassa.com | 522: Connection timed out</title> <span>2026-01-02 03:04:05 UTC</span> "
    "Cloudflare Ray ID: <strong>8f3b2c1d4e567890</strong> &bull; Your IP: 203.0.113.24 "
    "see https://www.cloudflare.com/5xx-error-landing and /usr/share/nginx/html/error-pages/some/long/directory/index"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NGINX, NGINX.replace("\r", " ")),
        (CLOUDFLARE, CLOUDFLARE.replace("&bull;", "•")),
        ("upstream request timeout", "upstream request timeout"),
        ("X-Request-Id: 93d5df06-996c-48c3-9847-348d6b580b80", "X-Request-Id: 93d5df06-996c-48c3-9847-348d6b580b80"),
        ("request d41d8cd98f00b204e9800998ecf8427e failed", "request d41d8cd98f00b204e9800998ecf8427e failed"),
        ("id req_93d5df06-996c-48c3-9847-348d6b580b80!", "id req_93d5df06-996c-48c3-9847-348d6b580b80!"),
        ("at /v1/merchant/payouts/create_with/words.php:42", "at /v1/merchant/payouts/create_with/words.php:42"),
        ("-" * 60, "-" * 60),
        ("The design: blue, 12345678 of 2026-01-02", "The design: blue, 12345678 of 2026-01-02"),
    ],
)  # fmt: skip
def test_what_support_needs_stays_readable(text: str, expected: str) -> None:
    """A page of a proxy stays readable: its words, times, short numbers, addresses of files and request ids."""
    assert expected == mask_text(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"number":"4111111111111111","', '{"number":"411111******1111","'),
        ("4111+1111+1111+1111", "4111+11**+****+1111"),
        ("4111&nbsp;1111&#160;1111 1111", "4111 11** **** 1111"),
        ("4111%201111%201111%201111", "4111 11** **** 1111"),
        ("4111\u00a01111\u20111111\u20131111", "4111 11**\u2011****\u20131111"),
        ("phone 79031112233, account 40817120273018899310", "phone *******2233, account 408171**********9310"),
        ("call +7 (903) 111-22-33 or 8(903)1112233", "call +7 (***) ***-22-33 or 8(***)***2233"),
        ("ivan@shop.example is taken", "i***@shop.example is taken"),
        ("ivan%40shop.example ivan&#64;shop.example", "i***@shop.example i***@shop.example"),
        (f"before {PEM} after", f"before {HIDDEN} after"),
        (f"before {PEM[:40]}", f"before {HIDDEN}"),
        (f"Sign: {SIGNATURE}", f"Sign: {HIDDEN}"),
        (f"the text {SIGNATURE} signed", f"the text {HIDDEN} signed"),
        (f'"x":"{SIGNATURE.replace("/", chr(92) + "/")}"', f'"x":"{HIDDEN}"'),
        (f"x={SIGNATURE.replace('+', '%2B').replace('/', '%2F').replace('=', '%3D')}&y", f"x={HIDDEN}&y"),
        ("sha1 da39a3ee5e6b4b0d3255bfef95601890afd80709", f"sha1 {HIDDEN}"),
        ("password=sesame&a=1", f"password={HIDDEN}&a=1"),
        ('{"client_secret": "open sesame", "a": 1', f'{{"client_secret": "{HIDDEN}", "a": 1'),
        (r"{\"api_key\":\"sesame\",", f'{{"api_key":"{HIDDEN}",'),
        ("'token' => 'ses ame'", f"'token' => '{HIDDEN}'"),
        ("<password>sesame</password>", f"<password>{HIDDEN}</password>"),
        ("<th>Secret</th>\n <td class='x'>sesame</td>", f"<th>Secret</th>\n <td class='x'>{HIDDEN}</td>"),
        ("Authorization: Bearer sesame\nA: 1", f"Authorization: {HIDDEN}\nA: 1"),
        ("Set-Cookie: a=sesame; b=sesame\nA: 1", f"Set-Cookie: {HIDDEN}\nA: 1"),
        ("X-Sign: sesame", f"X-Sign: {HIDDEN}"),
        ("cvv=123 cvc2: 123", f"cvv={HIDDEN} cvc2: {HIDDEN}"),
        ("postgresql://u:sesame@host/db?x=sesame", f"postgresql://host/db?{HIDDEN}"),
        ("see https://pay.example/x?t=a%20sesame.", f"see https://pay.example/x?{HIDDEN}"),
        ("\x1b[31mred\x07 \u202e", "\ufffd[31mred\ufffd \ufffd"),
    ],
)  # fmt: skip
def test_what_must_not_be_shown_is_hidden(text: str, expected: str) -> None:
    """In a text of no known shape, what patterns know is masked where it stands, however it is escaped."""
    assert expected == mask_text(text)


@given(st.text(st.sampled_from(" .-+abc:\n\u00a0")), cards, st.sampled_from(["", " ", "-", "\u00a0", "+"]), st.text())
@example(before="a", card="4111111111111111", separator="-", after="")
def test_rule_12_no_card_number_survives_blotting(before: str, card: str, separator: str, after: str) -> None:
    """Rule 12: whatever stands around a card number in a text of no known shape, it is not shown whole."""
    written = separator.join(re.findall("....?", card))
    shown = re.sub(r"[ +-]", "", mask_text(f"{before} {written}\n{after}"))
    assert card not in shown


@given(st.text(max_size=300))
def test_blotting_takes_any_text(text: str) -> None:
    """Any text is taken, and what comes out prints."""
    assert all(character.isprintable() or character == "\n" for character in mask_text(text))


@pytest.mark.parametrize("planted", ["4111 1111 1111 1111", SIGNATURE, PEM, "password: sesame", "Cookie: sesame"])
def test_the_scanner_finds_nothing_in_what_is_blotted(planted: str) -> None:
    """The second look at what leaves finds what is planted, and nothing once it is masked."""
    text = f"<p>an error</p>\n{planted}\n<p>502</p>"
    assert (True, ()) == (leaks.find_leaks(text) != (), leaks.find_leaks(mask_text(text)))


def test_a_long_text_is_cut() -> None:
    """Of a long text the beginning is shown, and how long it is."""
    assert f"{'no, ' * 2047}no, [9000 characters]" == mask_text("no, " * 2250)


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("shift", range(1, 13))
def test_no_part_of_a_number_stands_at_the_cut(card: str, shift: int) -> None:
    """Where a text is cut within a number, nothing of the number is left: a part of it would not be recognised."""
    for separator in ("", " ", "/", ",", "\n", "\u2212"):
        written = separator.join(re.findall("....?", card))
        text = "no, " * 2048
        head = excerpt(text[: MAX_SHOWN - shift] + written + " yes" * 100)
        assert not re.search(r"\d", head)


SEPARATORS = ["", " ", " - ", "   ", "\n", "\r\n", "\u2212", "/", "_", ",", ", ", "\u00b7", "|", " | ", "\u3000",
              "</b><b>", "<br/>", '<span class="n1">', "</td> <td>"]  # fmt: skip
SCRIPTS = {"ASCII": "0", "full-width": "\uff10", "Arabic": "\u0660", "Persian": "\u06f0", "Devanagari": "\u0966"}


def in_script(text: str, zero: str) -> str:
    """Write the digits of a text in another script."""
    return "".join(chr(ord(zero) + int(each)) if each.isdecimal() else each for each in text)


def digits_in(text: str) -> str:
    return "".join(str(int(each)) for each in re.sub("<[^<>]*>", "", text) if each.isdecimal())


@pytest.mark.parametrize("zero", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("card", CARDS)
def test_rule_12_card_numbers_in_groups(card: str, separator: str, zero: str) -> None:
    """Rule 12: in groups of four, whatever stands between them and in whatever script, a card number is truncated.

    The scanner finds what masking hides, and nothing afterwards.
    """
    groups = [in_script(each, zero) for each in re.findall("....(?:.{1,2}$)?|.{1,3}$", card)]
    text = f"Card {separator.join(groups)} is blocked"
    for shown in (mask_cards(text), mask_text(text)):
        assert card[:6] + card[-4:] == digits_in(shown)
    assert {"card number"} == {each.leak for each in leaks.find_leaks(text)}
    assert () == leaks.find_leaks(mask_text(text))


CARD = "5105105105105100"
ALIKE = ["/", "_", ",", ", ", ":", "|", "*", "\\", "   ", "\n", "<br>", "'", ")(", " - ", "\\n", "&nbsp;", "\u00ad"]
FIRST = {"raised": 0x2070, "lowered": 0x2080, "circled": 0x245F, "bold": 0x1D7CE}  # where the digits of a form are
ONCE = {("raised", 1): 0xB9, ("circled", 0): 0x24EA, ("raised", 2): 0xB2, ("raised", 3): 0xB3}  # but for these


def in_form(text: str, form: str) -> str:
    """Write the digits of a text in another form."""
    return "".join(chr(ONCE.get((form, int(each)), FIRST[form] + int(each))) for each in text)


@pytest.mark.parametrize(
    "written",
    [*(each.join(CARD) for each in ALIKE), *(in_form(CARD, form) for form in FIRST),
     "5,105,105,105,105,100", "5'105'105'105'105'100", "5105\\n1051\\n0510\\n5100", "5105&#8203;105105&#8203;105100"],
)  # fmt: skip
def test_rule_12_card_numbers_in_odd_groups_and_digits(written: str) -> None:
    """Rule 12: one by one, in thousands, in digits of any form: mask and scanner know a card number alike."""
    text = f"Card {written} is blocked"
    for shown in (mask_cards(text), mask_text(text)):
        assert 6 == shown.count("*") - written.count("*")
    assert {"card number"} == {each.leak for each in leaks.find_leaks(text)}
    assert () == leaks.find_leaks(mask_text(text))


def test_letters_between_groups_are_no_gap() -> None:
    """The limit of what is found: digits with letters between them are words, as sizes and times are."""
    assert "5105x1051x0510x5100" == mask_cards("5105x1051x0510x5100")


@pytest.mark.parametrize("zero", SCRIPTS.values(), ids=SCRIPTS)
def test_phones_of_other_scripts(zero: str) -> None:
    """A phone number is shown as everywhere, in whatever digits it is written."""
    phones = in_script("phone 79031112233 or +7 (903) 111-22-33", zero)
    assert "phone *******2233 or +7 (***) ***-22-33" == mask_text(phones)


@pytest.mark.parametrize(
    "text",
    ["2026/01/02/03/04/05", "2026-01-02 03:04:05.123456", "2026-01-02 - 2026-01-31", "%34%31%31%31%31%31%31%31",
     "card%204111%201111%201111%201111",
     "100, 200, 300, 400, 500, 600", "4,111.00; 1,111.00; 111.00", "[41, 11, 11, 11, 11, 11, 11, 11]",
     "4:1:1:1:1:1, 1:1:1:1:1:1:1:1:1:1"],
)  # fmt: skip
def test_times_sums_and_codes_are_no_card_numbers(text: str) -> None:
    """What is made of short groups, with other separators than those of numbers, stays as it is."""
    last = [f"{text}{digit}" for digit in range(10)] + [text]
    assert last == [mask_cards(each) for each in last]


HOSTILE_RUNS = ["1", "1 - ", "4 1 1 1 <", "1<b>", "1</", "1<a" + "x" * 70, "<a<a1", "1_", "\uff11", "4111/"]


@pytest.mark.parametrize("pattern", HOSTILE_RUNS)
def test_the_work_grows_with_the_text_only(pattern: str) -> None:
    """To mask a text four times as long costs about four times as much: what is found once is not tried otherwise."""
    sizes = (2_000, 8_000)
    counts = [lines_of_python(functools.partial(mask_cards, pattern * size)) for size in sizes]
    assert counts[1] <= counts[0] * 5


HOSTILE = ["a.", "a", "1 ", "+1", "password", "a@", "-", "a-", "sign:", "<td>", "x@a.a.a.", r"\u00", "%41", "&amp", "a://",
           "11111111 ", "-----BEGIN ", "f" * 31 + " ", "password</td>", "1" * 8, "token=\"'",
           *HOSTILE_RUNS]  # fmt: skip


@pytest.mark.parametrize("pattern", HOSTILE)
def test_no_text_takes_long(pattern: str) -> None:
    """A text made to keep patterns busy costs some milliseconds, however long it is."""
    started = time.process_time()
    mask_text(pattern * (1024 * 1024 // len(pattern)))
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("url", ["http://[", "https://u:p@pay.example/4111111111111111?a#b"])
def test_links(url: str) -> None:
    """Of a link scheme, host and path stay, without a card number; what is none is hidden."""
    shown: Any = {"http://[": HIDDEN}.get(url, f"https://pay.example/411111******1111?{HIDDEN}")
    assert shown == mask_link(url)
