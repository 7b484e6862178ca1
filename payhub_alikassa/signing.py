"""Sign and verify bytes with RSA PKCS#1 v1.5; nothing else here imports cryptography.

The provider's samples sign with SHA-1, PHP's default; SHA-256 appears on some of its pages and is
a setting. See https://doc-merchant.alikassa.com/api/sign and
https://doc-merchant.alikassa.com/payout/create.
"""

import base64
import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from payhub import ConfigurationError
from payhub.files import in_utf8
from payhub.masking import HiddenBytes, hide

Digest = Literal["sha1", "sha256"]

_DIGESTS: dict[Digest, tuple[hashes.HashAlgorithm, Callable[[bytes], Any]]] = {
    "sha1": (hashes.SHA1(), hashlib.sha1),  # noqa: S303 - what the provider signs with
    "sha256": (hashes.SHA256(), hashlib.sha256),
}
_PADDING = padding.PKCS1v15()
_SHORTEST_KEY = 2048  # bits
_PROBE = b"payhub"
_SANDBOX_PASSWORD = b"sandbox-"
"""How the passwords of a sandbox's private keys begin, so that a copy of one is known wherever it lies."""


class BadSignature(Exception):
    """A signature that is not the key's, or not over these bytes."""


class Verifier:
    """A public key and a digest, to verify with; the message never chooses either."""

    def __init__(self, key: rsa.RSAPublicKey, digest: Digest) -> None:
        """Keep the key, whose length is already checked."""
        self._key = key
        self._algorithm, self._hash = _DIGESTS[digest]

    def __repr__(self) -> str:
        """Show the key by its fingerprint only."""
        return f"Verifier({self.fingerprint})"

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the public key in DER form, as `openssl dgst -sha256 -c` writes it."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return hashlib.sha256(self._key.public_bytes(serialization.Encoding.DER, form)).digest().hex(":")

    def find_signed(self, texts: Iterable[bytes], signature: bytes) -> bytes:
        """Return the first of the texts that the signature is over: one RSA operation, and one hash a text.

        The digest is recovered from the signature once, with the same check that verifying makes:
        OpenSSL's `ossl_rsa_verify` does both, and compares padding, DigestInfo and length in full.
        If that fails, no text is taken from the iterable. Everything compared is public, so the time
        it takes reveals nothing.
        See https://cryptography.io/en/latest/hazmat/primitives/asymmetric/rsa/ and RFC 8017, 8.2.2.

        Raises:
            BadSignature: the signature is not this key's, or over none of the texts.
        """
        try:
            digest = self._key.recover_data_from_signature(signature, _PADDING, self._algorithm)
        except InvalidSignature as cause:
            raise BadSignature("the signature is not this key's") from cause
        for text in texts:
            if self._hash(text).digest() == digest:
                return text
        raise BadSignature("the signature is not over these bytes")

    def verify(self, data: bytes, signature: str) -> None:
        """Return nothing if the Base64 signature is this key's over the bytes.

        Raises:
            BadSignature: it is not, or it is not Base64.
        """
        try:
            decoded = base64.b64decode(signature, validate=True)
        except ValueError as cause:
            raise BadSignature("the signature is not Base64") from cause
        self.find_signed((data,), decoded)


class Signer:
    """A private key and a digest, to sign with."""

    def __init__(self, key: rsa.RSAPrivateKey, digest: Digest) -> None:
        """Keep the key, whose length is already checked."""
        self._key = key
        self._algorithm, _ = _DIGESTS[digest]
        self.verifier = Verifier(key.public_key(), digest)
        self.description = f"{digest}, key SHA256:{self.verifier.fingerprint}"

    def __repr__(self) -> str:
        """Show the key by its public half's fingerprint only."""
        return f"Signer({self.verifier.fingerprint})"

    def sign(self, data: bytes) -> str:
        """Return the signature over the bytes: standard Base64, one line."""
        return base64.b64encode(self._key.sign(data, _PADDING, self._algorithm)).decode("ascii")


def load_signer(folder: Path, password: str | None, digest: Digest, *, real: bool = False) -> Signer:
    """Load `private.pem` of an unpacked certificate archive, and prove that it can sign.

    The password is the one given, else the content of `password.txt`; ends of line are stripped.
    Where `public.pem` is there too, a signature of the one must verify with the other. For a `real`
    host a sandbox's key is refused.

    Raises:
        ConfigurationError: the folder is named, and what is wrong with it.
    """
    password = hide(password)
    secret, file = HiddenBytes(), folder / "password.txt"
    if password is not None:
        secret = HiddenBytes(password.encode())
    elif os.path.lexists(file):  # one that cannot be read is not left out
        secret = _read(file)
    if real and secret.startswith(_SANDBOX_PASSWORD):
        raise ConfigurationError(f"{folder}: a sandbox's key, which must not be used with a real host")
    key = _load_private_key(folder, HiddenBytes(secret.rstrip(b"\r\n")) or None)
    _check_length(key.key_size, folder / "private.pem")
    signer = Signer(key, digest)
    try:
        signature = signer.sign(_PROBE)
    except (UnsupportedAlgorithm, ValueError) as cause:
        raise ConfigurationError(
            f"{folder}: OpenSSL on this machine refuses to sign with {digest} "
            "(a system-wide crypto policy may forbid it)"
        ) from cause
    if os.path.lexists(folder / "public.pem"):
        try:
            load_verifier(folder / "public.pem", digest).verify(_PROBE, signature)
        except BadSignature as cause:
            raise ConfigurationError(f"{folder}: private.pem and public.pem are not a pair") from cause
    return signer


def load_verifier(path: Path, digest: Digest) -> Verifier:
    """Load a public key file.

    Raises:
        ConfigurationError: the file is missing, is not an RSA public key, the key is too short, or
            this machine does not verify with the digest.
    """
    try:
        key = serialization.load_pem_public_key(_read_pem(path))
    except (ValueError, UnsupportedAlgorithm) as cause:
        raise ConfigurationError(f"{path}: not a public key in PEM form") from cause
    if not isinstance(key, rsa.RSAPublicKey):
        raise ConfigurationError(f"{path}: not an RSA key")
    _check_length(key.key_size, path)
    verifier = Verifier(key, digest)
    # A machine that refuses the digest would take genuine notifications for forged ones: better to learn it here.
    try:
        with contextlib.suppress(BadSignature):
            verifier.find_signed((), b"")
    except UnsupportedAlgorithm as cause:
        raise ConfigurationError(
            f"{path}: OpenSSL on this machine refuses to verify with {digest} "
            "(a system-wide crypto policy may forbid it)"
        ) from cause
    return verifier


def _load_private_key(folder: Path, password: bytes | None) -> rsa.RSAPrivateKey:
    pem = _read_pem(folder / "private.pem")
    try:
        try:
            key = serialization.load_pem_private_key(pem, password)
        except TypeError:  # a password is missing, or there is one for a key that is not encrypted, which does no harm
            if password is None:
                raise
            key = serialization.load_pem_private_key(pem, None)
    except TypeError as cause:
        raise ConfigurationError(f"{folder}: private.pem is encrypted and there is no password.txt") from cause
    except (ValueError, UnsupportedAlgorithm) as cause:
        raise ConfigurationError(
            f"{folder}: private.pem cannot be opened: the password is wrong, or the file is damaged"
        ) from cause
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigurationError(f"{folder}: private.pem is not an RSA key")
    return key


def _check_length(bits: int, path: Path) -> None:
    if bits < _SHORTEST_KEY:
        raise ConfigurationError(f"{path}: an RSA key of {bits} bits is too short; {_SHORTEST_KEY} are needed")


def _read_pem(path: Path) -> HiddenBytes:
    """Read a file in PEM form, whatever ends its lines, and whatever was put before them when it was pasted."""
    return HiddenBytes(b"\n".join(line.strip() for line in _read(path).splitlines()))


def _read(path: Path) -> HiddenBytes:
    """Read a file; a text that has a byte order mark is taken to UTF-8, in which passwords are."""
    try:
        return HiddenBytes(in_utf8(HiddenBytes(path.read_bytes())))
    except (OSError, ValueError) as cause:
        words = getattr(cause, "strerror", None) or "not a path"
        raise ConfigurationError(f"{path.parent}: {path.name} cannot be read: {words}") from cause
