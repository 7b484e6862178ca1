"""Sign and verify bytes with RSA PKCS#1 v1.5; nothing else here imports cryptography.

The provider's samples sign with SHA-1, PHP's default; SHA-256 appears on some of its pages and is
a setting. See https://doc-merchant.alikassa.com/api/sign and
https://doc-merchant.alikassa.com/payout/create.
"""

import base64
import binascii
import hashlib
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from payhub import ConfigurationError

Digest = Literal["sha1", "sha256"]

_DIGESTS: dict[Digest, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
}
_SHORTEST = 2048
_PROBE = b"payhub"


class BadSignature(Exception):
    """Report that a signature is not the key's over these bytes."""


class Verifier:
    """Verify with one public key and one digest; the message never chooses either."""

    def __init__(self, key: rsa.RSAPublicKey, digest: Digest) -> None:
        """Take a key that is long enough."""
        self._key = key
        self._digest = _DIGESTS[digest]()

    def __repr__(self) -> str:
        """Show the key by its fingerprint only."""
        return f"Verifier({self.fingerprint})"

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the public key in DER form, in hexadecimal."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return hashlib.sha256(self._key.public_bytes(serialization.Encoding.DER, form)).hexdigest()

    def verify(self, data: bytes, signature: str) -> None:
        """Return if the Base64 signature is this key's over the bytes.

        Raises:
            BadSignature: it is not, or it is not Base64.
        """
        try:
            self._key.verify(base64.b64decode(signature, validate=True), data, padding.PKCS1v15(), self._digest)
        except (InvalidSignature, binascii.Error, ValueError) as cause:
            raise BadSignature("the signature is not this key's over these bytes") from cause


class Signer:
    """Sign with one private key and one digest."""

    def __init__(self, key: rsa.RSAPrivateKey, digest: Digest) -> None:
        """Take a key that is long enough."""
        self._key = key
        self._digest = _DIGESTS[digest]()
        self._padding = padding.PKCS1v15()
        self.verifier = Verifier(key.public_key(), digest)

    def __repr__(self) -> str:
        """Show the key by its public half's fingerprint only."""
        return f"Signer({self.verifier.fingerprint})"

    def sign(self, data: bytes) -> str:
        """Return the signature over the bytes: standard Base64, one line."""
        return base64.b64encode(self._key.sign(data, self._padding, self._digest)).decode("ascii")


def load_signer(folder: Path, password: str | None, digest: Digest) -> Signer:
    """Load `private.pem` of an unpacked certificate archive, and prove that it can sign.

    The password is the one given, else the content of `password.txt`; ends of line are stripped.
    Where `public.pem` is there too, a signature of the one must verify with the other.

    Raises:
        ConfigurationError: the folder is named, and what is wrong with it.
    """
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
        ConfigurationError: the file is missing, is not an RSA public key, or the key is too short.
    """
    try:
        key = serialization.load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as cause:
        raise ConfigurationError(f"{path}: not a public key in PEM form") from cause
    if not isinstance(key, rsa.RSAPublicKey):
        raise ConfigurationError(f"{path}: not an RSA key")
    _check_length(key.key_size, path)
    return Verifier(key, digest)


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
        return given.rstrip("\r\n").encode() or None
    path = folder / "password.txt"
    return _read(path).rstrip(b"\r\n") or None if path.exists() else None


def _check_length(bits: int, path: Path) -> None:
    if bits < _SHORTEST:
        raise ConfigurationError(f"{path}: an RSA key of {bits} bits is too short; {_SHORTEST} are needed")


def _check_pair(folder: Path, signature: str, digest: Digest) -> None:
    try:
        load_verifier(folder / "public.pem", digest).verify(_PROBE, signature)
    except BadSignature as cause:
        raise ConfigurationError(f"{folder}: private.pem and public.pem are not a pair") from cause


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        raise ConfigurationError(f"{path.parent}: {path.name} cannot be read: {cause.strerror}") from cause
