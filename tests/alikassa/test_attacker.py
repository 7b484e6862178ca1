"""With all that is kept of a payout, and the public key, the hidden digits of the card cannot be found.

Of a truncated number 100,000 remain, and trying them all takes a second. So nothing may be kept against
which they can be tried: no hash of the number or of the request, and no signature, which is one.
"""

import base64
import hashlib
import itertools
import json
import logging
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from payhub import Hub
from payhub.accounts.config import JournalSettings, read_file
from payhub.masking import is_card_number
from payhub_alikassa.sandbox import Sandbox
from payhub_alikassa.signing import load_signer
from tests.alikassa.conftest import ACCOUNT
from tests.alikassa.orders import CARD, payout
from tests.conftest import Observer

SHOWN = "411111******1111"
HASHES = (hashlib.md5, hashlib.sha1, hashlib.sha256)
SIZES = (16, 20, 32)  # bytes of their digests
SIGNED = 256  # bytes of a signature by a key of 2048 bits


class Kept(NamedTuple):
    """What an attacker may have got hold of."""

    data: bytes
    request: dict[str, Any]
    key: rsa.RSAPublicKey
    sign: str


@pytest.fixture(scope="module")
def kept(served: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Make a payout to a card, ask for it, and gather all that is kept: database, logs at DEBUG, exchanges, reprs."""
    served.reset()
    directory, observer, log = tmp_path_factory.mktemp("kept"), Observer(), _Lines()
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    )
    root, levels = logging.getLogger(), {name: logging.getLogger(name).level for name in ("", "httpx", "httpcore")}
    root.addHandler(log)
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        journal = JournalSettings(url=f"sqlite:///{directory}/payhub.db")
        with Hub(msgspec.structs.replace(read_file(served.config), journal=journal), [observer]) as hub:
            result = hub.create_payout(ACCOUNT, payout())
            hub.advance(ACCOUNT, "payout", "po-1")
            files = sorted(directory.glob("payhub.db*"))
            assert [file.name for file in files] == ["payhub.db", "payhub.db-shm", "payhub.db-wal"]
            database = b"".join(file.read_bytes() for file in files)
    finally:
        structlog.configure(**before)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        root.removeHandler(log)
    texts = [*log.lines, repr(result), *map(repr, observer.exchanges)]
    texts += [msgspec.json.encode(exchange).decode() for exchange in observer.exchanges]
    certificate = served.config.parent / "cert" / "payout"
    key = serialization.load_pem_public_key((certificate / "public.pem").read_bytes())
    assert isinstance(key, rsa.RSAPublicKey)
    request: Any = observer.exchanges[0].request
    sign = load_signer(certificate, None, "sha1").sign(body(request, CARD))
    return Kept(database + "\n".join(texts).encode(), request, key, sign)


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def body(request: dict[str, Any], number: str) -> bytes:
    """Rebuild the request from what is kept of it: only the number is missing."""
    return json.dumps({**request, "number": number}, separators=(",", ":"), ensure_ascii=False).encode()


# The attack


def candidates() -> Iterator[str]:
    """Return the card numbers that the shown digits leave: five more are free, the sixth makes it right."""
    head, tail = SHOWN[:6], SHOWN[-4:]
    for digits in map("".join, itertools.product("0123456789", repeat=5)):
        missing = -_luhn(f"{head}{digits}0{tail}") % 10
        yield f"{head}{digits}{missing}{tail}"


def _luhn(number: str) -> int:
    doubled = number[-2::-2].translate(str.maketrans("0123456789", "0246813579"))
    return sum(map(int, number[-1::-2] + doubled))


def windows(run: bytes, length: int) -> Iterator[bytes]:
    return (run[place : place + length] for place in range(len(run) - length + 1))


def values(data: bytes) -> Iterator[bytes]:
    """Return every value of a hash's or signature's length in some bytes: as it is, in hexadecimal, in Base64."""
    plain = data.replace(b"\\/", b"/").replace(b"%2B", b"+").replace(b"%2F", b"/")
    for size in SIZES:
        yield from windows(re.sub(rb"\0{16,}", b"\0" * 15, data), size)
    for size in (*SIZES, SIGNED):
        for run in re.findall(rb"[0-9a-fA-F]{%d,}" % (2 * size), plain.replace(b":", b"")):
            yield from map(bytes.fromhex, map(bytes.decode, windows(run, 2 * size)))
        length = -(-size * 4 // 3)
        for run in re.findall(rb"[A-Za-z0-9+/_-]{%d,}" % length, plain):
            for text in windows(run.translate(bytes.maketrans(b"-_", b"+/")), length):
                yield base64.b64decode(text + b"=" * (-length % 4))


def recovered(signature: bytes, key: rsa.RSAPublicKey) -> Iterator[bytes]:
    """Return the digest that a signature is over; this one needs the public key only."""
    for algorithm in (hashes.SHA1(), hashes.SHA256()):
        try:
            yield key.recover_data_from_signature(signature, padding.PKCS1v15(), algorithm)
        except InvalidSignature:
            continue


def attack(kept: Kept, data: bytes) -> set[str]:
    """Try every number that is left against every value, with all that can be computed; return those that fit."""
    found = set(values(data))
    signatures = {value for value in found if len(value) == SIGNED}
    found |= set(itertools.chain.from_iterable(recovered(signature, kept.key) for signature in signatures))
    before, after = body(kept.request, "?").split(b"?")
    return {
        number
        for number in candidates()
        for text in (number.encode(), before + number.encode() + after)
        for make in HASHES
        if make(text).digest() in found
    }


def test_the_attack_has_what_it_needs(kept: Kept) -> None:
    """The attack below is a real one: all but six digits is kept, and the right ones are among those tried."""
    numbers = list(candidates())
    assert (SHOWN, 100_000, True, True) == (
        kept.request["number"],
        len(set(numbers)),
        CARD in numbers,
        all(map(is_card_number, numbers[::1000])),
    )
    [digest] = recovered(base64.b64decode(kept.sign), kept.key)
    assert hashlib.sha1(body(kept.request, CARD)).digest() == digest  # noqa: S324


def test_rule_12_the_hidden_digits_cannot_be_found(kept: Kept) -> None:
    """Rule 12: with every kept byte, the public key and every number that is left, none is seen to be the right one."""
    assert len(kept.data) > 10_000
    assert attack(kept, kept.data) == set()
    assert kept.sign.encode() not in kept.data.replace(b"\\/", b"/")


def planted(kept: Kept) -> dict[str, bytes]:
    """Return what would give the number away."""
    request, signature = body(kept.request, CARD), base64.b64decode(kept.sign)
    return {
        "a hash of the request": hashlib.sha256(request).hexdigest().encode(),
        "one with colons": hashlib.sha1(request).digest().hex(":").encode(),  # noqa: S324
        "one in Base64": base64.b64encode(hashlib.md5(request).digest()),  # noqa: S324
        "one in the URL's Base64": base64.urlsafe_b64encode(hashlib.sha256(request).digest()).rstrip(b"="),
        "one as bytes": hashlib.sha1(request).digest(),  # noqa: S324
        "a hash of the number": hashlib.sha1(CARD.encode()).hexdigest().upper().encode(),  # noqa: S324
        "the signature": kept.sign.encode(),
        "the signature as PHP writes it": kept.sign.replace("/", "\\/").encode(),
        "the signature in hexadecimal": signature.hex().encode(),
    }


PLANTED = ("a hash of the request", "one with colons", "one in Base64", "one in the URL's Base64", "one as bytes",
           "a hash of the number", "the signature", "the signature as PHP writes it",
           "the signature in hexadecimal")  # fmt: skip


@pytest.mark.parametrize("what", PLANTED)
def test_the_attack_finds_the_number_with(kept: Kept, what: str) -> None:
    """The attack above can succeed: with a hash or a signature among what is kept it finds the number."""
    assert attack(kept, b'{"kept":"' + planted(kept)[what] + b'"}') == {CARD}
