"""The signatures are judged by other parties: PHP's vectors and the openssl command."""

import base64
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from payhub import ConfigurationError
from payhub_alikassa.signing import BadSignature, Digest, Signer, Verifier, load_signer, load_verifier
from tests.alikassa.conftest import openssl

VECTORS = Path(__file__).parent / "vectors"
REQUESTS: list[dict[str, Any]] = json.loads((VECTORS / "vectors.json").read_text("utf-8"))["requests"]
BODY = '{"order_id":"заказ/1","amount":"1000.44"}'.encode()

Archive = Callable[..., Path]


@pytest.mark.parametrize("digest", ["sha1", "sha256"])
@pytest.mark.parametrize("vector", REQUESTS, ids=lambda v: v["body"][:30])
def test_php_signatures_verify(vector: dict[str, Any], digest: Digest) -> None:
    """A signature made by PHP over its own bytes is accepted."""
    verifier = load_verifier(VECTORS / "cert" / vector["cert"] / "public.pem", digest)
    verifier.verify(vector["body"].encode(), vector[f"sign_{digest}"])  # raises if it is not


@pytest.mark.parametrize("vector", REQUESTS, ids=lambda v: v["body"][:30])
def test_another_digest_body_or_key_is_refused(vector: dict[str, Any]) -> None:
    """A signature counts for one digest, one key and these bytes only."""
    folder, other = ("payment", "payout") if vector["cert"] == "payment" else ("payout", "payment")
    body, sign = vector["body"].encode(), vector["sign_sha1"]
    forged: list[tuple[Digest, str, bytes]]
    forged = [("sha256", folder, body), ("sha1", other, body), ("sha1", folder, body + b" ")]
    for digest, key, data in forged:
        with pytest.raises(BadSignature):
            load_verifier(VECTORS / "cert" / key / "public.pem", digest).verify(data, sign)


@pytest.mark.parametrize("junk", ["", "not base64!", "AAAA", "=", "é"])
def test_junk_is_a_bad_signature(junk: str) -> None:
    """What is no signature at all is refused as one."""
    with pytest.raises(BadSignature):
        load_verifier(VECTORS / "cert/payout/public.pem", "sha1").verify(b"[]", junk)


@pytest.mark.parametrize("digest", ["sha1", "sha256"])
@pytest.mark.parametrize("form", ["pkcs8", "legacy", "plain"])
def test_openssl_accepts_our_signatures(archive: Archive, form: str, digest: Digest, tmp_path: Path) -> None:
    """Every form of private key signs so that the openssl command verifies it."""
    folder = archive(form)
    (tmp_path / "sign").write_bytes(base64.b64decode(load_signer(folder, None, digest).sign(BODY)))
    verify = ("dgst", f"-{digest}", "-verify", folder / "public.pem", "-signature", tmp_path / "sign")
    assert openssl(*verify, stdin=BODY).stdout == b"Verified OK\n"


def test_a_signature_is_one_line_of_base64(archive: Archive) -> None:
    """2048 bits make 344 characters without a line break."""
    sign = load_signer(archive(), None, "sha1").sign(BODY)
    assert (len(sign), sign.split()) == (344, [sign])


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_the_password_files_line_end_is_stripped(archive: Archive, ending: bytes) -> None:
    """An editor's line end after the password does no harm."""
    folder = archive()
    (folder / "password.txt").write_bytes(b"secret-pass" + ending)
    assert load_signer(folder, None, "sha1").verifier.fingerprint


def rewritten(path: Path, encoding: str = "utf-8", line: str = "{}\n") -> None:
    """Write a file anew, as another editor does."""
    path.write_bytes("".join(line.format(each) for each in path.read_text().splitlines()).encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("form", ["pkcs8", "legacy", "plain"])
def test_keys_and_passwords_of_other_editors(archive: Archive, form: str, encoding: str) -> None:
    """A byte order mark, or the encoding that it names, is no part of a key or a password."""
    folder = archive(form)
    for path in folder.iterdir():
        rewritten(path, encoding)
    assert load_signer(folder, None, "sha1").verifier.fingerprint


@pytest.mark.parametrize("line", ["{}\r\n", "{}\r", "  {}\n", "\t{} \r\n"])
def test_lines_of_other_editors(archive: Archive, line: str) -> None:
    """A key's lines may end anyhow, and may have been indented when they were pasted."""
    folder = archive("legacy")
    for name in ("private.pem", "public.pem"):
        rewritten(folder / name, line=line)
    assert load_signer(folder, None, "sha1").verifier.fingerprint


def test_a_password_in_another_encoding_is_its_bytes(archive: Archive, rsa_key: Path) -> None:
    """A password is bytes: what no mark names is taken as it is."""
    folder = archive("plain", None)
    source = folder / "password.txt"
    source.write_bytes("пароль".encode("cp1251"))
    done = openssl("rsa", "-in", rsa_key, "-aes256", "-passout", f"file:{source}", "-out", folder / "private.pem")
    assert done.returncode == 0, done.stderr
    assert load_signer(folder, None, "sha1").verifier.fingerprint


def test_a_given_password_wins_over_the_file(archive: Archive) -> None:
    """A password from the configuration is used even where a stale file lies."""
    folder = archive()
    (folder / "password.txt").write_text("stale")
    assert load_signer(folder, "secret-pass\n", "sha1").verifier.fingerprint


def _break_password(folder: Path) -> None:
    (folder / "password.txt").write_text("wrong-pass")


def _remove_password(folder: Path) -> None:
    (folder / "password.txt").unlink()


def _remove_key(folder: Path) -> None:
    (folder / "private.pem").unlink()


def _damage_key(folder: Path) -> None:
    (folder / "private.pem").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


def _foreign_pair(folder: Path) -> None:
    (folder / "public.pem").write_bytes((VECTORS / "cert/payout/public.pem").read_bytes())


def _damage_public(folder: Path) -> None:
    (folder / "public.pem").write_text("junk")


def _short_key(folder: Path) -> None:
    openssl("genrsa", "-out", folder / "private.pem", 1024)


def _elliptic_key(folder: Path) -> None:
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", folder / "private.pem")


@pytest.mark.parametrize("form", ["pkcs8", "legacy"])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_break_password, "the password is wrong"),
        (_remove_password, "there is no password.txt"),
        (_remove_key, "private.pem cannot be read: No such file"),
        (_damage_key, "the file is damaged"),
        (_foreign_pair, "are not a pair"),
        (_damage_public, "not a public key"),
        (_short_key, "1024 bits is too short"),
        (_elliptic_key, "is not an RSA key"),
    ],
)
def test_a_bad_archive_is_refused_by_name(
    archive: Archive, form: str, damage: Callable[[Path], None], words: str
) -> None:
    """Whatever is wrong with an archive, the error names the folder and no secret."""
    folder = archive(form)
    damage(folder)
    with pytest.raises(ConfigurationError) as error:
        load_signer(folder, None, "sha1")
    text = str(error.value)
    assert (str(folder) in text, words in text, "secret-pass" in text) == (True, True, False)


def test_a_short_public_key_is_refused(tmp_path: Path) -> None:
    """Notifications are not trusted to a key under 2048 bits either."""
    openssl("genrsa", "-out", tmp_path / "key", 1024)
    openssl("rsa", "-in", tmp_path / "key", "-pubout", "-out", tmp_path / "public.pem")
    with pytest.raises(ConfigurationError, match="1024 bits is too short"):
        load_verifier(tmp_path / "public.pem", "sha1")


def test_no_repr_shows_a_key(archive: Archive) -> None:
    """Keys are shown by the fingerprint of their public half."""
    signer = load_signer(archive(), None, "sha1")
    assert repr(signer) == f"Signer({signer.verifier.fingerprint})"
    assert repr(signer.verifier) == f"Verifier({signer.verifier.fingerprint})"


def test_a_digest_that_openssl_refuses_is_said(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a crypto policy forbids SHA-1, connecting says so and names the folder.

    The refusal is put in by hand: the OpenSSL that cryptography's wheels bring obeys no policy.
    """

    def refuse(*_: object) -> str:
        raise UnsupportedAlgorithm("sha1 is not supported by this backend for RSA signing")

    folder = archive()
    monkeypatch.setattr(Signer, "sign", refuse)
    with pytest.raises(ConfigurationError, match=f"{folder}: OpenSSL on this machine refuses to sign with sha1"):
        load_signer(folder, None, "sha1")


def test_a_digest_that_openssl_does_not_verify_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a policy forbids it, the key's file is named when the account is opened; no notification is called forged.

    The refusal is put in by hand, as above.
    """

    def refuse(*_: object) -> bytes:
        raise UnsupportedAlgorithm("sha1 is not supported by this backend for RSA signing")

    path = VECTORS / "cert/notification/public.pem"
    monkeypatch.setattr(Verifier, "find_signed", refuse)
    with pytest.raises(ConfigurationError, match=f"^{path}: OpenSSL on this machine refuses to verify with sha1"):
        load_verifier(path, "sha1")


# --- a digest recovered from a signature is as good as a signature verified
#
# A forger who has no private key makes blocks that look like PKCS#1 v1.5 to a careless reader. Here
# the test has the private key, so that each block arrives whole, as it does from a forger whose
# cube root came out even. The judge is `verify` of cryptography, on the same key and bytes.

TEXT = b'{"type":"payment","id":108465371}'
DIGEST_INFO: dict[Digest, bytes] = {  # RFC 8017, 9.2, note 1
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
}
SIZE = 256


def hashed(text: bytes, digest: Digest = "sha1") -> bytes:
    return hashlib.new(digest, text).digest()


class Forger:
    """A key that makes signatures out of any block at all."""

    def __init__(self, exponent: int) -> None:
        private = rsa.generate_private_key(cast("Any", exponent), 8 * SIZE)
        self._key = private.private_numbers()
        self.public = private.public_key()

    def wrap(self, block: bytes | int) -> bytes:
        """Return the signature that opens to this block."""
        key, number = self._key, block if isinstance(block, int) else int.from_bytes(block)
        one, two = pow(number, key.dmp1, key.p), pow(number, key.dmq1, key.q)
        return (two + key.iqmp * (one - two) % key.p * key.q).to_bytes(SIZE)

    def beyond(self, signature: bytes) -> bytes | None:
        """Return the same signature as a number above the modulus, if it is not too long for it."""
        above = int.from_bytes(signature) + self._key.public_numbers.n
        return above.to_bytes(SIZE) if above < 1 << 8 * SIZE else None

    def judged(self, signature: bytes, digest: Digest, text: bytes = TEXT) -> tuple[bool, bool]:
        """Say whether payhub accepts a signature over the text, and whether cryptography does."""
        algorithm = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}[digest]
        try:
            self.public.verify(signature, text, padding.PKCS1v15(), algorithm)
            genuine = True
        except InvalidSignature:
            genuine = False
        try:
            return Verifier(self.public, digest).find_signed([text], signature) == text, genuine
        except BadSignature:
            return False, genuine


def block(info: bytes, digest: bytes, fill: bytes = b"\xff", begin: bytes = b"\x00\x01", end: bytes = b"") -> bytes:
    """Build what is signed: 00 01 FF … FF 00, the DigestInfo, the digest; and what else is asked for."""
    room = SIZE - len(begin) - 1 - len(info) - len(digest) - len(end)
    return begin + (fill * room)[:room] + b"\x00" + info + digest + end


def short(info: bytes, digest: bytes, length: int) -> bytes:
    """Build the block of Bleichenbacher's forgery of 2006: short padding, the digest, then garbage."""
    head = b"\x00\x01" + b"\xff" * length + b"\x00" + info + digest
    return head + b"\xa5" * (SIZE - len(head))


def without_null(info: bytes) -> bytes:
    """Leave out the NULL parameters, which RFC 8017 wants and old signers forgot."""
    return bytes((info[0], info[1] - 2, info[2], info[3] - 2)) + info[4:].replace(b"\x05\x00", b"", 1)


def long_form(info: bytes) -> bytes:
    """Write the outermost length in BER's long form: the same value, another encoding."""
    return bytes((info[0], 0x81, info[1])) + info[2:]


def forgeries(digest: Digest) -> Iterator[tuple[str, bytes]]:
    info, other = DIGEST_INFO[digest], DIGEST_INFO["sha256" if digest == "sha1" else "sha1"]
    made = hashed(TEXT, digest)
    others = hashed(TEXT, "sha256" if digest == "sha1" else "sha1")
    yield "the other digest", block(other, others)
    yield "the other digest under this name", block(info, others)
    yield "this digest under the other name", block(other, made)
    yield "no DigestInfo", block(b"", made)
    yield "MD5's DigestInfo", block(bytes.fromhex("3020300c06082a864886f70d020505000410"), made[:16])
    yield "a digest cut short", block(info, made[:-1])
    yield "a digest of another text", block(info, made[::-1])
    yield "one byte of garbage behind", block(info, made, end=b"\x00")
    yield "much garbage behind", block(info, made, end=b"\xa5" * 64)
    yield "garbage in the parameters", block(bytes((info[0], info[1] + 4)) + info[2:] + b"\x04\x02ab", made)
    yield "no NULL parameters", block(without_null(info), made)
    yield "a length in BER's long form", block(long_form(info), made)
    yield "padding of zeros", block(info, made, fill=b"\x00")
    yield "padding of another byte", block(info, made, fill=b"\xfe")
    yield "one byte of the padding changed", block(info, made, fill=b"\xff" * 100 + b"\xfe" + b"\xff" * 200)
    yield "block type 2", block(info, made, begin=b"\x00\x02")
    yield "block type 0", block(info, made, begin=b"\x00\x00")
    yield "a first byte", block(info, made, begin=b"\x01\x01")
    yield "no zero behind the padding", block(b"\xff" + info, made)
    for length in (0, 1, 7, 8, 100):
        yield f"short padding ({length}) and garbage behind", short(info, made, length)
    yield "nothing", b""
    yield "zeros", bytes(SIZE)
    yield "all padding", b"\x00\x01" + b"\xff" * (SIZE - 2)


FORGER = {exponent: Forger(exponent) for exponent in (3, 65537)}  # the exponents that are in use


@pytest.mark.parametrize("exponent", FORGER)
@pytest.mark.parametrize("digest", ["sha1", "sha256"])
def test_no_block_but_the_right_one_is_accepted(digest: Digest, exponent: int) -> None:
    """Every byte of the padded block is checked, also for the exponent 3 that Bleichenbacher's forgery needs."""
    forger, made = FORGER[exponent], hashed(TEXT, digest)
    accepted = {what: forger.judged(forger.wrap(forged), digest) for what, forged in forgeries(digest)}
    assert accepted == dict.fromkeys(accepted, (False, False))
    assert forger.judged(forger.wrap(block(DIGEST_INFO[digest], made)), digest) == (True, True)


@pytest.mark.parametrize("exponent", FORGER)
def test_a_signature_is_as_long_as_the_modulus_and_less_than_it(exponent: int) -> None:
    """Zeros in front, bytes behind and a cut make a bad signature of a good one."""
    forger = FORGER[exponent]
    right = forger.wrap(block(DIGEST_INFO["sha1"], hashed(TEXT)))
    wrong = [b"", b"\x00", right[:-1], right[1:], b"\x00" + right, right + b"\x00", right * 2, b"\xff" * SIZE,
             bytes(SIZE), bytes(SIZE - 1) + b"\x01", b"\x00" * 8192]  # fmt: skip
    assert [forger.judged(each, "sha1") for each in (right, *wrong)] == [(True, True), *[(False, False)] * len(wrong)]


@pytest.mark.parametrize("exponent", FORGER)
def test_a_signature_above_the_modulus_is_refused(exponent: int) -> None:
    """The modulus added to a good signature opens to the same block, and is a second spelling that is not taken."""
    forger = FORGER[exponent]
    texts = (TEXT + b" " * number for number in itertools.count())
    made = ((text, forger.wrap(block(DIGEST_INFO["sha1"], hashed(text)))) for text in texts)
    text, right, above = next((*each, beyond) for each in made if (beyond := forger.beyond(each[1])))
    assert [forger.judged(each, "sha1", text) for each in (right, above)] == [(True, True), (False, False)]


def test_the_cube_root_of_a_text_is_no_signature() -> None:
    """Without any private key: with the exponent 3 a cube root opens to the right beginning, and is refused."""
    forger = FORGER[3]
    head = b"\x00\x01" + b"\xff" * 8 + b"\x00" + DIGEST_INFO["sha1"] + hashed(TEXT)
    wanted = int.from_bytes(head + b"\xff" * (SIZE - len(head)))
    root = 1 << (wanted.bit_length() // 3 + 1)
    while (better := (2 * root + wanted // (root * root)) // 3) < root:  # Newton's
        root = better
    opened = pow(root, 3).to_bytes(SIZE)
    assert (opened.startswith(head), forger.judged(root.to_bytes(SIZE), "sha1")) == (True, (False, False))


class Parts(NamedTuple):
    """The parts of a block, and which of its bits are flipped."""

    begin: bytes = b"\x00\x01"
    padded: int = SIZE - 38
    separator: bytes = b"\x00"
    info: bytes = DIGEST_INFO["sha1"]
    made: bytes = hashed(TEXT)
    end: bytes = b""
    flipped: int = 0

    def number(self) -> int:
        """Put the block together, cut or filled up to the size of the key."""
        body = self.begin + b"\xff" * self.padded + self.separator + self.info + self.made + self.end
        return int.from_bytes(body[:SIZE].ljust(SIZE, b"\x00")) ^ self.flipped


RIGHT: dict[Digest, Parts] = {
    "sha1": Parts(),
    "sha256": Parts(padded=SIZE - 54, info=DIGEST_INFO["sha256"], made=hashed(TEXT, "sha256")),
}
OTHERS: dict[str, list[Any]] = {
    "begin": [b"\x00\x02", b"\x00\x00", b"\x00", b"\x01", b""],
    "padded": [0, 1, 7, 8, 9, 100, *range(SIZE - 60, SIZE)],
    "separator": [b"", b"\x01", b"\xff", b"\x00\x00"],
    "info": [*DIGEST_INFO.values(), without_null(DIGEST_INFO["sha1"]), long_form(DIGEST_INFO["sha1"]), b""],
    "made": [hashed(TEXT), hashed(TEXT, "sha256"), hashed(TEXT)[:-1], b""],
    "end": [b"\x00", b"\xff\xff", b"garbage" * 20],
    "flipped": [1 << bit for bit in range(8 * SIZE)],
}


@st.composite
def nearly_right(draw: st.DrawFn) -> Parts:
    """Draw a right block, of either digest, with up to three of its parts replaced."""
    names = draw(st.sets(st.sampled_from(sorted(OTHERS)), max_size=3))
    replaced = {name: draw(st.sampled_from(OTHERS[name])) for name in names}
    return draw(st.sampled_from([*RIGHT.values()]))._replace(**replaced)


@settings(max_examples=500, deadline=None)
@given(nearly_right(), st.sampled_from(sorted(RIGHT)), st.sampled_from(sorted(FORGER)))
@example(RIGHT["sha1"], "sha1", 3)
@example(RIGHT["sha256"], "sha256", 65537)
def test_recovering_decides_as_verifying_does(parts: Parts, digest: Digest, exponent: int) -> None:
    """Of whatever block is signed payhub accepts the right one and no other, and so does cryptography."""
    forger, right = FORGER[exponent], parts.number() == RIGHT[digest].number()
    assert forger.judged(forger.wrap(parts.number()), digest) == (right, right)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.binary(min_size=SIZE, max_size=SIZE))
def test_arbitrary_bytes_are_no_signature(signature: bytes) -> None:
    """Nothing but a refusal comes of any bytes, and cryptography refuses them, too."""
    assert {forger.judged(signature, "sha1") for forger in FORGER.values()} == {(False, False)}


@pytest.mark.parametrize("bits", [2048, 2049, 2055, 3072, 4096])
def test_keys_of_other_lengths_verify(bits: int) -> None:
    """A modulus need not be a whole number of bytes."""
    key = rsa.generate_private_key(65537, bits)
    signature = key.sign(TEXT, padding.PKCS1v15(), hashes.SHA1())
    assert Verifier(key.public_key(), "sha1").find_signed([b"other", TEXT], signature) == TEXT


def test_a_bad_signature_asks_for_no_text() -> None:
    """What is not this key's is refused before any text is built."""
    with pytest.raises(BadSignature):
        Verifier(FORGER[3].public, "sha1").find_signed((pytest.fail("a text was built") for _ in [0]), bytes(SIZE))
