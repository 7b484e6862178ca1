"""The signatures are judged by other parties: PHP's vectors and the openssl command."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from payhub import ConfigurationError
from payhub_alikassa.signing import BadSignature, Digest, Signer, load_signer, load_verifier
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
