"""Receive notifications in a WSGI application: https://peps.python.org/pep-3333/."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from payhub.models import LONGEST_DELIVERY, Delivery, Received
from payhub.receivers.answers import (
    BROKEN,
    TAKEN,
    TOO_LARGE,
    TOO_SLOW,
    Questions,
    Refusal,
    Refusals,
    account_at,
    announced_length,
    check_head,
    read_headers,
)

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from payhub import Hub

_BARE = ("CONTENT_TYPE", "CONTENT_LENGTH")  # headers that WSGI names without HTTP_


class _Body:
    """The body of an answer; when the server has sent it, the provider is asked."""

    def __init__(self, content: bytes, hub: "Hub", received: Received | None, questions: Questions) -> None:
        self._content = content
        self._hub = hub
        self._received = received
        self._questions = questions

    def __iter__(self) -> Iterator[bytes]:
        yield self._content

    def close(self) -> None:
        """Ask; the server calls this once, when the answer was sent or the sender has left."""
        with self._questions.about(self._received) as notification:
            if notification:
                self._hub.advance(notification.account, notification.kind, notification.order_id)


def application(hub: "Hub", questions: Questions, *, ask: bool) -> "WSGIApplication":
    """Make the application."""
    refusals = Refusals(frozenset(hub.accounts))

    def receiver(environ: "WSGIEnvironment", start_response: "StartResponse") -> _Body:
        account = account_at(_bytes(environ.get("PATH_INFO", "")).decode("utf-8", "replace"))
        received: Received | None = None
        try:
            received = hub.receive(account, _read_delivery(environ), ask=ask)
            answer = TAKEN
        except Exception as cause:  # noqa: BLE001 - whatever it is, the sender must send again
            answer = refusals.answer(account, cause)
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", [*answer.headers.items()])
        return _Body(b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body, hub, received, questions)

    return receiver


def _read_delivery(environ: "WSGIEnvironment") -> Delivery:
    query = _bytes(environ.get("QUERY_STRING", ""))
    headers = read_headers(
        [
            (key.removeprefix("HTTP_").replace("_", "-").lower(), value)
            for key, value in environ.items()
            if key.startswith("HTTP_") or key in _BARE
        ]
    )
    check_head(environ["REQUEST_METHOD"], query, headers)
    return Delivery(
        method=environ["REQUEST_METHOD"],
        path=_bytes(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).decode("utf-8", "replace"),
        query=query,
        headers=headers,
        body=_read_body(environ),
    )


def _read_body(environ: "WSGIEnvironment") -> bytes:
    """Return the body; one without a length is read only where the server says that the input ends by itself."""
    ends = environ.get("wsgi.input_terminated")
    most = LONGEST_DELIVERY + 1 if ends else announced_length(environ.get("CONTENT_LENGTH"))
    body = bytearray()
    try:
        while len(body) < most and (chunk := environ["wsgi.input"].read(most - len(body))):
            body += chunk
    except (TimeoutError, ConnectionError):  # the server does not wait any longer, or the sender has left
        raise Refusal(TOO_SLOW) from None
    except Exception:  # noqa: BLE001 - a chunk that is none, for one: each server has its own errors for that
        raise Refusal(BROKEN) from None
    if len(body) > LONGEST_DELIVERY:
        raise Refusal(TOO_LARGE)
    return bytes(body)


def _bytes(text: str) -> bytes:
    """Return the bytes that a WSGI server puts into a text."""
    return text.encode("latin-1")
