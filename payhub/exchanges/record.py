"""Masked records of what was sent and answered.

A record never has a signature, a hash of a body or a header that may hold a secret: with a signature and
the public key, or with a hash, the hidden digits of a card in an otherwise known body are found in seconds.
"""

import contextlib
import datetime as dt
import functools
import platform
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from uuid import UUID

import msgspec
import structlog

from payhub.driver import Call
from payhub.exchanges.reply import Reply
from payhub.masking import Mask, find_provider_id, mask_cards, mask_json, mask_json_part, mask_value
from payhub.masking.text import MAX_SHOWN, excerpt, mask_email, mask_text
from payhub.models import Exchange

_json = msgspec.json.Decoder(float_hook=str)
_BOM = b"\xef\xbb\xbf"

SHOWN_HEADERS = frozenset(
    {
        # what was sent, by what, in what form
        *("user-agent", "content-type", "content-length", "content-encoding", "transfer-encoding"),
        # who answered, the provider or a proxy before it, and when
        *("server", "via", "date", "age", "x-cache", "cf-cache-status"),
        # what to do now
        *("retry-after", "allow", "location", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"),
        *("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
        # what the provider finds the exchange by in its own logs
        *("request-id", "x-request-id", "x-correlation-id", "x-trace-id", "traceparent", "cf-ray"),
        *("x-amzn-requestid", "x-amzn-trace-id", "x-amz-cf-id", "x-cloud-trace-context"),
    }
)
"""Headers that are shown, of requests and answers, besides those that a call names."""

SECRET_HEADERS = frozenset(
    {
        # they let anybody act as the account, or as its user
        *("authorization", "proxy-authorization", "authentication-info", "cookie", "set-cookie", "x-api-key"),
        # they let anybody try what is hidden in the body
        *("sign", "signature", "x-sign", "x-signature", "signature-input"),
        *("digest", "content-digest", "repr-digest", "content-md5", "etag"),
    }
)
"""Headers that are never shown, whatever a driver wants."""

BOUND = ("request_id", "user")
"""What is taken over of the values that the application bound to its log.

Not all of them: a dict of personal data that is bound must not turn up in what goes to a provider's support.
"""

_LONGEST_HEADER, _LONGEST_BOUND, _LONGEST_DATE = 512, 128, 64
_LONGEST_PART = 64 * 1024  # of an incomplete answer that is read as JSON all the same


def describe(
    call: Call,
    reply: Reply,
    *,
    account: str,
    provider: str,
    software: str | None,
    started_at: dt.datetime,
    duration: float,
) -> Exchange:
    """Return the masked record of one exchange; `duration` is in seconds."""
    response = reply.response or reply.part
    asked, _ = _body(call.body, call.asked)
    answered, provider_id = None, None
    if response:
        whole = reply.response is not None or len(response.body) <= _LONGEST_PART
        answered, provider_id = _body(response.body, call.promised, whole=whole)
    return Exchange(
        account=account,
        provider=provider,
        operation=call.operation,
        order_id=call.order_id and mask_cards(call.order_id),
        provider_id=mask_cards(call.provider_id) if call.provider_id else provider_id,
        method=call.method,
        url=str(mask_value(call.url, Mask.LINK)),
        phase=reply.phase,
        status=response.status if response else None,
        problem=reply.problem,
        started_at=started_at,
        duration=round(duration, 6),
        server_time=_date(response.headers.get("date")) if response else None,
        bytes_sent=len(call.body),
        bytes_received=len(response.body) if response else 0,
        request=asked,
        response=answered,
        request_headers=_headers(call.headers, call.shown_headers),
        response_headers=_headers(response.headers, call.shown_headers) if response else {},
        signed_with=call.signed_with,
        software=software,
        context=_context(),
    )


@functools.cache
def software(driver: str, driver_version: str) -> str:
    """Return the versions at work: payhub's, the driver's, Python's."""
    own, theirs = (f" {text}" if text else "" for text in (payhub_version(), driver_version))
    return f"payhub{own}, {driver}{theirs}, Python {platform.python_version()}"


def payhub_version() -> str | None:
    """Return payhub's own version, or `None` where it is run from its sources."""
    try:
        return version("payhub-core")
    except PackageNotFoundError:
        return None


def _body(body: bytes, shape: type[msgspec.Struct] | None, *, whole: bool = True) -> tuple[object, str | None]:
    """Return what is shown of a body, and the provider's id in it; a byte order mark before JSON is not shown."""
    body = body.removeprefix(_BOM)
    if not body:
        return None, None
    if whole:
        with contextlib.suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            value = _json.decode(body)
            return mask_json(value, shape), find_provider_id(value, shape)
    return _not_json(body, shape), None


def _not_json(body: bytes, shape: type[msgspec.Struct] | None) -> str:
    """Show the beginning of what is not JSON: a proxy's page, a crash, half an answer."""
    text = body[: 4 * (MAX_SHOWN + 1)].decode("utf-8", "replace")  # a character has four bytes at most
    head = excerpt(text)
    cut = ", cut" if len(head) < len(text) else ""
    if head.lstrip().startswith(("{", "[")):
        head = mask_json_part(head, shape)
    return f"[not JSON, {len(body)} bytes{cut}] {mask_text(head)}"


_ID = re.compile(r"[\w.:/=-]{1,100}", re.ASCII)


@functools.lru_cache(maxsize=256)  # most are the same with every exchange
def _header(name: str, value: str) -> str:
    if name == "location":
        return str(mask_value(value, Mask.LINK))[:_LONGEST_HEADER]
    return (mask_cards(value) if _ID.fullmatch(value) else mask_text(value))[:_LONGEST_HEADER]


def _headers(headers: Mapping[str, str], more: frozenset[str]) -> dict[str, str]:
    names = SHOWN_HEADERS.union(map(str.lower, more)) - SECRET_HEADERS
    return {
        # What follows would cost time, and is not shown.
        shown: _header(shown, value if len(value) <= _LONGEST_HEADER else excerpt(value, _LONGEST_HEADER))
        for name, value in headers.items()
        if (shown := name.lower()) in names
    }


def _context() -> dict[str, str]:
    """Return what is taken over of what the application bound."""
    bound = structlog.contextvars.get_contextvars()
    context = {}
    for name in BOUND:
        if isinstance(value := bound.get(name), str | int | UUID):
            text = mask_cards(str(value))[:_LONGEST_BOUND]
            context[name] = mask_email(text) if "@" in text else text
    return context


def _date(header: str | None) -> dt.datetime | None:
    """Return a time that every clock can show: in UTC, which is what a date without a zone means here."""
    if not header or len(header) > _LONGEST_DATE:
        return None
    try:
        found = parsedate_to_datetime(header)
        return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
