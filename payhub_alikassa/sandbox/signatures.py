"""Verify a request's `Sign` header, and sign what the sandbox sends: RSA, PKCS#1 v1.5."""

import base64
import binascii
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from payhub_alikassa.sandbox.directory import NOTIFICATION_PRIVATE_KEY

Role = Literal["payment", "payout"]
Keys = Mapping[Role, rsa.RSAPublicKey]

_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - the provider's own choice, it cannot be another
    "sha256": hashes.SHA256(),
}


class Signer:
    """A key and a digest, to sign as the provider signs its notifications."""

    def __init__(self, key: rsa.RSAPrivateKey, digest: str) -> None:
        """Keep a key and the name of a digest."""
        self._key = key
        self._digest = digest

    def sign(self, text: bytes) -> str:
        """Return the signature over a text: Base64, one line."""
        signature = self._key.sign(text, padding.PKCS1v15(), _DIGESTS[self._digest])
        return base64.b64encode(signature).decode()

    def with_unknown_key(self) -> "Signer":
        """Return a signer with the same digest, and a key that nobody knows."""
        return Signer(_unknown_key(), self._digest)


def load_signer(directory: Path, digest: str) -> Signer:
    """Load the private half of the notification key."""
    key = serialization.load_pem_private_key((directory / NOTIFICATION_PRIVATE_KEY).read_bytes(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        message = f"{NOTIFICATION_PRIVATE_KEY} is not an RSA private key."
        raise TypeError(message)
    return Signer(key, digest)


def load_keys(directory: Path) -> Keys:
    """Load the public half of both API certificates, as the provider keeps them."""
    return {"payment": _load(directory, "payment"), "payout": _load(directory, "payout")}


def is_signed(body: bytes, sign: str, key: rsa.RSAPublicKey, digest: str) -> bool:
    """Return whether `sign` is one line of Base64, signed over exactly these bytes by this key."""
    try:
        signature = base64.b64decode(sign, validate=True)
        key.verify(signature, body, padding.PKCS1v15(), _DIGESTS[digest])
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True


@functools.cache
def _unknown_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _load(directory: Path, role: Role) -> rsa.RSAPublicKey:
    path = directory / "cert" / role / "public.pem"
    key = serialization.load_pem_public_key(path.read_bytes())
    if not isinstance(key, rsa.RSAPublicKey):
        message = f"{path} is not an RSA public key."
        raise TypeError(message)
    return key
