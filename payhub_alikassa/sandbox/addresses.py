"""Decide which addresses the sandbox may send to: those of this machine, and no other.

Judged by the same parser that sends, so that no address means one thing here and another there.
"""

from ipaddress import ip_address

import httpx

_HIGHEST_PORT = 65_535


def is_local(address: str) -> bool:
    """Return whether an address is http or https, and of this machine: `localhost` or a loopback IP."""
    try:
        url = httpx.URL(address)
        local = url.host == "localhost" or ip_address(url.host).is_loopback
    except (httpx.InvalidURL, ValueError):
        return False
    return local and url.scheme in {"http", "https"} and (url.port or 0) <= _HIGHEST_PORT


def server_of(address: str) -> tuple[str, str, int | None] | None:
    """Return scheme, host and port of an address, or `None` if it is not one of this machine."""
    if not is_local(address):
        return None
    url = httpx.URL(address)
    return url.scheme, url.host, url.port


def with_query(address: str, query: bytes) -> httpx.URL:
    """Return an address with a query added, after the one that it may have."""
    url = httpx.URL(address)
    return url.copy_with(query=b"&".join(filter(None, (url.query, query))))
