"""Sign and verify bytes with RSA PKCS#1 v1.5; nothing else here imports cryptography.

The provider's samples sign with SHA-1, PHP's default; SHA-256 appears on some of its pages and is
a setting. See https://doc-merchant.alikassa.com/api/sign and
https://doc-merchant.alikassa.com/payout/create.
"""

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from payhub import ConfigurationError
from payhub.masking import HiddenBytes, hide

Digest = Literal["sha1", "sha256"]

_DIGESTS: dict[Digest, tuple[hashes.HashAlgorithm, Callable[[bytes], Any]]] = {
    "sha1": (hashes.SHA1(), hashlib.sha1),  # noqa: S303 - what the provider signs with
    "sha256": (hashes.SHA256(), hashlib.sha256),
}
_PADDING = padding.PKCS1v15()
_SHORTEST = 2048
_PROBE = b"payhub"


class BadSignature(Exception):
    """Report that a signature is not the key's over these bytes."""


class Verifier:
    """Verify with one public key and one digest; the message never chooses either."""

    def __init__(self, key: rsa.RSAPublicKey, digest: Digest) -> None:
        """Take a key that is long enough."""
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

    def signed(self, texts: Iterable[bytes], signature: bytes) -> bytes:
        """Return the first of the texts that the signature is over: one RSA operation, and one hash a text.

        The digest is recovered from the signature, once, and with the very check that verifying
        makes: OpenSSL's `ossl_rsa_verify` does both, and compares the padding, the DigestInfo and
        the length whole. No text is asked for if that fails. All that is compared is public, so
        the time that it takes tells nothing.
        See https://cryptography.io/en/latest/hazmat/primitives/asymmetric/rsa/ and RFC 8017, 8.2.2.

        Raises:
            BadSignature: it is not this key's, or over none of the texts.
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
        """Return if the Base64 signature is this key's over the bytes.

        Raises:
            BadSignature: it is not, or it is not Base64.
        """
        try:
            decoded = base64.b64decode(signature, validate=True)
        except ValueError as cause:
            raise BadSignature("the signature is not Base64") from cause
        self.signed((data,), decoded)


class Signer:
    """Sign with one private key and one digest."""

    def __init__(self, key: rsa.RSAPrivateKey, digest: Digest) -> None:
        """Take a key that is long enough."""
        self._key = key
        self._algorithm, _ = _DIGESTS[digest]
        self.verifier = Verifier(key.public_key(), digest)

    def __repr__(self) -> str:
        """Show the key by its public half's fingerprint only."""
        return f"Signer({self.verifier.fingerprint})"

    def sign(self, data: bytes) -> str:
        """Return the signature over the bytes: standard Base64, one line."""
        return base64.b64encode(self._key.sign(data, _PADDING, self._algorithm)).decode("ascii")


def load_signer(folder: Path, password: str | None, digest: Digest) -> Signer:
    """Load `private.pem` of an unpacked certificate archive, and prove that it can sign.

    The password is the one given, else the content of `password.txt`; ends of line are stripped.
    Where `public.pem` is there too, a signature of the one must verify with the other.

    Raises:
        ConfigurationError: the folder is named, and what is wrong with it.
    """
    password = hide(password)
    key = _private_key(folder, _password(folder, password))
    _check_length(key.key_size, folder / "private.pem")
    signer = Signer(key, digest)
    try:
        signature = signer.sign(_PROBE)
    except (UnsupportedAlgorithm, ValueError) as cause:
        raise ConfigurationError(
            f"{folder}: OpenSSL on this machine refuses to sign with {digest} "
            "(a system-wide crypto policy may forbid it)"
        ) from cause
    if (folder / "public.pem").exists():
        _check_pair(folder, signature, digest)
    return signer


def load_verifier(path: Path, digest: Digest) -> Verifier:
    """Load a public key file.

    Raises:
        ConfigurationError: the file is missing, is not an RSA public key, the key is too short, or
            this machine does not verify with the digest.
    """
    try:
        key = serialization.load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as cause:
        raise ConfigurationError(f"{path}: not a public key in PEM form") from cause
    if not isinstance(key, rsa.RSAPublicKey):
        raise ConfigurationError(f"{path}: not an RSA key")
    _check_length(key.key_size, path)
    verifier = Verifier(key, digest)
    _check_policy(verifier, path, digest)
    return verifier


def _private_key(folder: Path, password: bytes | None) -> rsa.RSAPrivateKey:
    pem = _read(folder / "private.pem")
    try:
        key = _decrypted(pem, password)
    except TypeError as cause:
        raise ConfigurationError(f"{folder}: private.pem is encrypted and there is no password.txt") from cause
    except (ValueError, UnsupportedAlgorithm) as cause:
        raise ConfigurationError(
            f"{folder}: private.pem cannot be opened: the password is wrong, or the file is damaged"
        ) from cause
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigurationError(f"{folder}: private.pem is not an RSA key")
    return key


def _decrypted(pem: bytes, password: bytes | None) -> object:
    """Open a key with its password; a password beside a key that is not encrypted does no harm."""
    try:
        return serialization.load_pem_private_key(pem, password)
    except TypeError:
        if password is None:
            raise
        return serialization.load_pem_private_key(pem, None)


def _password(folder: Path, given: str | None) -> bytes | None:
    if given is not None:
        return HiddenBytes(given.rstrip("\r\n").encode()) or None
    path = folder / "password.txt"
    return HiddenBytes(_read(path).rstrip(b"\r\n")) or None if path.exists() else None


def _check_length(bits: int, path: Path) -> None:
    if bits < _SHORTEST:
        raise ConfigurationError(f"{path}: an RSA key of {bits} bits is too short; {_SHORTEST} are needed")


def _check_policy(verifier: Verifier, path: Path, digest: Digest) -> None:
    """Verify nothing, to see whether this machine would at all; else genuine notifications look forged."""
    try:
        with contextlib.suppress(BadSignature):
            verifier.signed((), b"")
    except UnsupportedAlgorithm as cause:
        raise ConfigurationError(
            f"{path}: OpenSSL on this machine refuses to verify with {digest} "
            "(a system-wide crypto policy may forbid it)"
        ) from cause


def _check_pair(folder: Path, signature: str, digest: Digest) -> None:
    try:
        load_verifier(folder / "public.pem", digest).verify(_PROBE, signature)
    except BadSignature as cause:
        raise ConfigurationError(f"{folder}: private.pem and public.pem are not a pair") from cause


def _read(path: Path) -> bytes:
    try:
        return HiddenBytes(path.read_bytes())
    except OSError as cause:
        raise ConfigurationError(f"{path.parent}: {path.name} cannot be read: {cause.strerror}") from cause
