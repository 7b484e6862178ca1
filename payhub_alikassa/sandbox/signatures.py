"""Judge a request's ``Sign`` header: RSA, PKCS#1 v1.5, over the bytes of the body as they came."""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

Role = Literal["payment", "payout"]
Keys = Mapping[Role, rsa.RSAPublicKey]

_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - the provider's own choice, it cannot be another
    "sha256": hashes.SHA256(),
}


def load_keys(directory: Path) -> Keys:
    """Load the public half of both API certificates, as the provider keeps them."""
    return {"payment": _load(directory, "payment"), "payout": _load(directory, "payout")}


def is_signed(body: bytes, sign: str, key: rsa.RSAPublicKey, digest: str) -> bool:
    """Tell whether ``sign`` is one line of base64 over exactly these bytes by this key."""
    try:
        signature = base64.b64decode(sign, validate=True)
        key.verify(signature, body, padding.PKCS1v15(), _DIGESTS[digest])
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True


def _load(directory: Path, role: Role) -> rsa.RSAPublicKey:
    path = directory / "cert" / role / "public.pem"
    key = serialization.load_pem_public_key(path.read_bytes())
    if not isinstance(key, rsa.RSAPublicKey):
        message = f"{path} is not an RSA public key."
        raise TypeError(message)
    return key
