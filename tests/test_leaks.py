"""What must never be shown is found in every encoding; what only looks like it is left alone."""

import base64
import hashlib
import json
import random
import uuid
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from payhub.masking import mask_cards
from payhub.masking.leaks import Finding, find_leaks

CARD = "4111111111111111"
SPACED = "4111 1111 1111 1111"
NOISE = random.Random(11)  # noqa: S311 - the same noise each time
SIGNATURE = base64.b64encode(NOISE.randbytes(256)).decode()


def leaks(text: str | bytes) -> set[str]:
    """Name the kinds of leaks that are found."""
    return {finding.leak for finding in find_leaks(text)}


def percent(text: str) -> str:
    """Encode every character as in a URL, needed or not."""
    return "".join(f"%{byte:02x}" for byte in text.encode())


def b64(text: str) -> str:
    """Encode in Base64."""
    return base64.b64encode(text.encode()).decode()


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "URL": percent,
    "URL, where needed": quote,
    "form": quote_plus,
    "hexadecimal": lambda text: text.encode().hex(),
    "capital hexadecimal": lambda text: text.encode().hex().upper(),
    "spaced hexadecimal": lambda text: text.encode().hex(" "),
    "escaped hexadecimal": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "hexadecimal, one off": lambda text: "a" + text.encode().hex(),
    "Base64": b64,
    "Base64 without padding": lambda text: b64(text).rstrip("="),
    "Base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "Base64 in Base64": lambda text: b64(b64(text)),
    "Base64 in a URL": lambda text: quote(b64(text), safe=""),
    "hexadecimal in Base64": lambda text: b64(text.encode().hex()),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"text": text})),
}
FORMS = {
    "plain": CARD,
    "spaced": SPACED,
    "dashed": SPACED.replace(" ", "-"),
    "dotted": SPACED.replace(" ", "."),
    "13 digits": "4222222222222",
    "15 digits": "378282246310005",
    "19 digits": "6304000000000000000",
    "Mir": "2200000000000004",
    "in words": f"the card {CARD} was refused",
    "in JSON": json.dumps({"number": CARD}),
    "as a number": json.dumps({"number": int(CARD)}),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_card_number_is_found(form: str, encode: Callable[[str], str]) -> None:
    """A card number is found however it is written, and however that is encoded, in the middle of other text."""
    assert {"card number"} == leaks(f"x {encode(form)} y")


@pytest.mark.parametrize("name", ["plain", "URL", "Base64", "Base64 in Base64", "JSON in JSON"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_truncated_card_number_is_none(form: str, name: str) -> None:
    """What masking has truncated is left alone."""
    assert set() == leaks(f"x {ENCODINGS[name](mask_cards(form))} y")


@pytest.mark.parametrize("start", range(4))
def test_base64_is_read_wherever_it_begins(start: int) -> None:
    """What stands before Base64, and looks like a part of it, hides nothing."""
    assert {"card number"} == leaks("/path"[:start] + b64(CARD))


def test_bytes_of_other_alphabets_are_read() -> None:
    """UTF-16 hides nothing, nor do bytes that are no text."""
    assert {"card number"} == leaks(CARD.encode("utf-16-le")) == leaks(b"\xff\xfe" + CARD.encode() + b"\x80")


KEYS = ["PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "PUBLIC KEY"]


@pytest.mark.parametrize("encode", [str, percent, b64], ids=["plain", "URL", "Base64"])
@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_found(name: str, encode: Callable[[str], str]) -> None:
    """The beginning of a PEM block with a key is found."""
    assert {"key"} == leaks(f"x {encode(f'-----BEGIN {name}-----')} y")


def folded(width: int, end: str) -> str:
    """Fold a signature into lines."""
    return end.join(SIGNATURE[place : place + width] for place in range(0, len(SIGNATURE), width))


SIGNATURES = {
    "256 bytes": SIGNATURE,
    "128 bytes": base64.b64encode(NOISE.randbytes(128)).decode(),
    "without padding": SIGNATURE.rstrip("="),
    "for URLs": SIGNATURE.translate(str.maketrans("+/", "-_")),
    "in a URL": quote(SIGNATURE, safe=""),
    "as PHP writes JSON": SIGNATURE.replace("/", "\\/"),
    "hexadecimal": NOISE.randbytes(256).hex(),
    "in Base64": b64(SIGNATURE),
    "folded at 60": folded(60, "\n"),
    "folded at 64": folded(64, "\r\n"),
    "folded at 76": folded(76, "\n"),
    "folded in JSON": folded(64, "\\n"),
}


@pytest.mark.parametrize("text", SIGNATURES.values(), ids=SIGNATURES)
def test_a_signature_is_found(text: str) -> None:
    """Random bytes of the length of an RSA signature are found, whatever they are called."""
    assert {"signature"} == leaks(f'x "{text}" y')


def test_a_signature_cannot_escape_by_chance() -> None:
    """A thousand signatures are found, each."""
    made = (base64.b64encode(NOISE.randbytes(128)).decode() for _ in range(1000))
    assert [] == [text for text in made if leaks(text) != {"signature"}]


SECRETS = {
    "JSON": '{"password": "hunter2"}',
    "number": '{"cvv": 123}',
    "JSON in JSON": r'{"body": "{\"sign\":\"abc\"}"}',
    "prefix": '{"payout_password": "x"}',
    "header": "Sign: c2lnbmF0dXJl==",
    "header of one's own": "X-Api-Key: abc",
    "quoted header": "> Authorization: Bearer abc",
    "basic": "authorization: Basic dTpw",
    "digest": 'Authorization: Digest username="x"',
    "cookie": "Set-Cookie: session=abc; Path=/",
    "query": "https://shop.example/?order_id=1&sign=abc&x=1",
    "form": "token=abc",
    "TOML": 'secret = "sesame"',
    "repr": "Config(name='x', password='sesame')",
    "repr of a dict": "{'Sign': 'abc'}",
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_a_named_secret_is_found(text: str) -> None:
    """A value under a name that stands for a secret is found."""
    assert {"secret"} == leaks(text)


HARMLESS = {
    "masked card": "411111******1111",
    "masked phone": "*******2233",
    "hidden": '{"password": "[hidden]", "sign": "", "token": null, "cvv": "***"}',
    "partly masked": '{"token": "abcdef******7890"}',
    "hidden header": "Sign: [hidden]",
    "complaint": '{"errors": {"sign": ["The sign field is required."]}}',
    "complaint in words": "The given data was invalid. (sign: required)",
    "complaint in a list": "- sign: the field is required",
    "prose": "The signature is not kept; signed with sha1, see the password's file.",
    "milliseconds": '{"at": 1756900030123}',
    "time": "2026-01-31T12:00:00.162000Z 2026-01-31 12:00:00.162",
    "amounts": '{"balance": "1093.84000000", "hold": "0.00000000", "amount": "10.000000000"}',
    "id": '{"id": 108465371, "order_id": "po-771", "rrn": "402812345678"}',
    "path": "https://api-merchant.alikassa.com/v1/payment/status/of/a/very/long/path/" + "with/many/parts/" * 20,
    "long word": "a" * 500,
    "long slug": "order-2026-01-31-of-shop-" * 10,
    "zeros": "0" * 600,
    "public key's fingerprint": "SHA256:" + base64.b64encode(hashlib.sha256(b"").digest()).decode(),
    "fingerprint with colons": hashlib.sha256(b"key").digest().hex(":"),
    "not found": "[not JSON, 120 bytes]",
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_no_false_alarm(text: str) -> None:
    """What is masked, absent, or only looks like a secret is left alone."""
    assert () == find_leaks(text)


def test_no_false_alarm_by_chance() -> None:
    """Thousands of UUIDs, digests and tokens are left alone, as they stand in a ticket."""
    found: list[Finding] = []
    for number in range(3000):
        digest = hashlib.sha256(str(number).encode())
        text = json.dumps({
            "uuid": str(uuid.UUID(int=NOISE.getrandbits(128), version=4)),
            "fingerprint": digest.hexdigest(),
            "sha1": hashlib.sha1(digest.digest()).hexdigest(),  # noqa: S324 - a digest like those of files
            "sha512": hashlib.sha512(digest.digest()).hexdigest(),
            "base64": base64.b64encode(digest.digest()).decode(),
            "txid": NOISE.randbytes(64).hex(),
            "at": 1_700_000_000_000 + number * 7_777_777,
        })  # fmt: skip
        found += find_leaks(text)
    assert [] == found


def test_the_place_is_told_and_not_the_value() -> None:
    """A finding says what, in which line and how written; it quotes nothing."""
    text = f'order\n{CARD}\n{b64(SPACED)}\n\n"password": "hunter2", "card": "{CARD}"'
    assert (
        Finding("card number", 2),
        Finding("card number", 3, "Base64"),
        Finding("card number", 5),
        Finding("secret", 5),
    ) == find_leaks(text)
    assert ["card number in line 2", "card number in line 3 (Base64)"] == [str(each) for each in find_leaks(text)[:2]]


def test_several_encodings_are_named_from_the_inside() -> None:
    """Of what was encoded more than once every step is named."""
    assert (Finding("card number", 1, "hexadecimal in Base64"),) == find_leaks(b64(CARD.encode().hex()))


def test_a_large_text_is_no_matter() -> None:
    """Every line of a text of many is looked at."""
    lines = [json.dumps({"id": number, "uuid": str(uuid.UUID(int=number))}) for number in range(2000)]
    assert (Finding("card number", 2001),) == find_leaks("\n".join([*lines, CARD]))
