"""Tell which addresses the sandbox may send to: those of this machine, and no other.

Judged by the same parser that sends, so that no address means one thing here and another there.
"""

from ipaddress import ip_address

import httpx

_HIGHEST_PORT = 65_535


def is_local(address: str) -> bool:
    """Tell whether an address is http or https, and of this machine: ``localhost`` or a loopback IP."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return False
    return url.scheme in {"http", "https"} and _is_loopback(url.host) and (url.port or 0) <= _HIGHEST_PORT


def with_query(address: str, query: bytes) -> httpx.URL:
    """Add a query to an address, behind the one that it may have."""
    url = httpx.URL(address)
    return url.copy_with(query=b"&".join(filter(None, (url.query, query))))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
