"""Write what an application needs to use the sandbox: keys, passwords, `payhub.toml`."""

import dataclasses
import os
import re
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from payhub_alikassa.sandbox.records import Account
from payhub_alikassa.sandbox.server import HOST

NOTIFICATION_PRIVATE_KEY = Path("sandbox", "notification-private.pem")

_JOURNAL = """[journal]
url = "sqlite:///payhub.db"

"""
_SECTION = """[accounts.{name}]
provider = "alikassa"
account = "{uuid}"
currency = "{currency}"
base_url = "{url}"
payment_cert = "cert/payment"
payout_cert = "cert/payout"
notification_key = "cert/notification/public.pem"
digest = "{digest}"
"""


def write_directory(directory: Path, port: int, account: Account | None = None) -> Path:
    """Write the keys and the `payhub.toml` of a sandbox, and return the path of the latter.

    Keys that are there already stay; so does the configuration, but for the sandbox's address.
    Raises `FileExistsError` if a directory holds only a part of its files.
    """
    write_keys(directory)
    return write_configuration(directory, port, account or Account())


def write_keys(directory: Path) -> None:
    """Make the two encrypted certificates and the notification pair, if they are not there."""
    # Both forms are in use: the provider's Java and Go samples open only the older one.
    _write_certificate(directory / "cert" / "payment", PrivateFormat.PKCS8)
    _write_certificate(directory / "cert" / "payout", PrivateFormat.TraditionalOpenSSL)
    private = directory / NOTIFICATION_PRIVATE_KEY
    public = directory / "cert" / "notification" / "public.pem"
    if _are_missing(private, public):
        _write_pair(private, public, PrivateFormat.PKCS8, NoEncryption())


def write_configuration(directory: Path, port: int, account: Account) -> Path:
    """Write `payhub.toml`: a journal, the account's section; bring its address up to date if it exists."""
    path = directory / "payhub.toml"
    name = f"alikassa-{account.currency.lower()}"
    url = f"http://{HOST}:{port}"
    section = _SECTION.format(name=name, url=url, **dataclasses.asdict(account))
    if not path.exists():
        _write(path, f"{_JOURNAL}{section}".encode())
        return path
    text = path.read_text("utf-8")
    known = re.compile(rf"(?ms)^\[accounts\.{name}\]\s*$.*?(?=^\[|\Z)")
    if known.search(text):
        address = f'base_url = "{url}"'
        text = known.sub(lambda section: re.sub(r"(?m)^base_url\s*=.*$", address, section[0]), text)
    else:
        text = f"{text.rstrip()}\n\n{section}"
    path.write_text(text, "utf-8")
    return path


def _write_certificate(directory: Path, form: PrivateFormat) -> None:
    names = ("private.pem", "public.pem", "password.txt")
    private, public, password = (directory / name for name in names)
    if _are_missing(private, public, password):
        # Its beginning tells the driver that the key is not the provider's, also when the folder is copied.
        secret = f"sandbox-{secrets.token_urlsafe(18)}".encode()
        _write_pair(private, public, form, BestAvailableEncryption(secret))
        # No newline at the end: the provider's PHP sample does not strip one.
        _write(password, secret)


def _are_missing(*paths: Path) -> bool:
    missing = [path for path in paths if not path.exists()]
    if missing and len(missing) < len(paths):
        message = f"{missing[0]} is missing beside its other half; nothing was changed."
        raise FileExistsError(message)
    return bool(missing)


def _write_pair(private: Path, public: Path, form: PrivateFormat, encryption: KeySerializationEncryption) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _write(private, key.private_bytes(Encoding.PEM, form, encryption))
    _write(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _write(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read; never over an old one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
