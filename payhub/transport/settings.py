"""The time that a call may take, and the way it takes: `[transport]` of the configuration."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from payhub.masking import Clear, Link, MaskedStruct

Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
"""Seconds: more than zero, an hour at most."""


class Transport(MaskedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How calls are made.

    The limits are in seconds: `deadline` is total, from name resolution to the last byte. `proxy` is the URL of an
    HTTP proxy, with name and password if it wants them; `ca_file` has certificates of authorities, in PEM form,
    that are trusted besides the usual ones. `client_cert` has a certificate that is shown to who wants one, and its
    private key, which `client_password` opens if it is encrypted.
    """

    deadline: Clear[Seconds] = 30.0
    connect_timeout: Clear[Seconds] = 5.0
    read_timeout: Clear[Seconds] = 30.0
    proxy: Link[str | None] = None
    ca_file: Clear[Path | None] = None
    client_cert: Clear[Path | None] = None
    client_password: str | None = None

    def problem(self) -> str | None:
        """Return what is wrong with the key that it begins with, or `None`; no value is quoted."""
        bad = self.proxy is not None and not _is_proxy(self.proxy)
        return "proxy: give the URL of an HTTP proxy, as http://proxy.example:3128" if bad else None


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host_only = parts.path in {"", "/"} and not any(parts[3:]) and parts.hostname and port != 0
    return parts.scheme in {"http", "https"} and bool(host_only) and url.isascii() and url.isprintable()
