"""Receive notifications in a WSGI application: https://peps.python.org/pep-3333/."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from payhub.models import LONGEST_DELIVERY, Delivery, Received
from payhub.receivers.answers import TAKEN, TOO_LARGE, TOO_SLOW, Questions, Refusal, announced, check_head, failed

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from payhub import Hub


def application(hub: "Hub", questions: Questions, *, ask: bool) -> "WSGIApplication":
    """Make the application."""
    known = frozenset(hub.accounts)

    def receiver(environ: "WSGIEnvironment", start_response: "StartResponse") -> _Answered:
        account = _raw(environ.get("PATH_INFO", "")).decode("utf-8", "replace").removeprefix("/")
        received: Received | None = None
        try:
            received = hub.receive(account, _delivery(environ), ask=ask)
            answer = TAKEN
        except Exception as cause:  # noqa: BLE001 - whatever it is, the sender is told to send again
            answer = failed(account, known, cause)
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", [*answer.headers.items()])
        body = b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body
        return _Answered(body, lambda: _ask(hub, received, questions))

    return receiver


def _ask(hub: "Hub", received: Received | None, questions: Questions) -> None:
    with questions.about(received) as told:
        if told:
            hub.advance(told.account, told.kind, told.order_id)


class _Answered:
    """Be the body of an answer, and do what is to be done when the server has sent it."""

    def __init__(self, body: bytes, sent: Callable[[], object]) -> None:
        self._body = body
        self._sent = sent

    def __iter__(self) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None:
        """Be called by the server, once, when the answer was sent or its receiver has gone."""
        self._sent()


def _delivery(environ: "WSGIEnvironment") -> Delivery:
    query = _raw(environ.get("QUERY_STRING", ""))
    check_head(environ["REQUEST_METHOD"], query, environ.get("CONTENT_LENGTH"))
    return Delivery(
        method=environ["REQUEST_METHOD"],
        path=_raw(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).decode("utf-8", "replace"),
        query=query,
        headers={_name(key): value for key, value in environ.items() if key.startswith("HTTP_") or key in _BARE},
        body=_body(environ),
    )


_BARE = ("CONTENT_TYPE", "CONTENT_LENGTH")


def _name(key: str) -> str:
    return key.removeprefix("HTTP_").replace("_", "-").lower()


def _raw(text: str) -> bytes:
    """Return the bytes that a WSGI server wraps in a text."""
    return text.encode("latin-1")


def _body(environ: "WSGIEnvironment") -> bytes:
    """Read what was announced; without a length only where the server says that the input ends by itself."""
    ends = environ.get("wsgi.input_terminated")
    most = LONGEST_DELIVERY + 1 if ends else announced(environ.get("CONTENT_LENGTH"))
    body = bytearray()
    try:
        while len(body) < most and (chunk := environ["wsgi.input"].read(most - len(body))):
            body += chunk
    except OSError:  # the sender has gone, or the server has no more patience with him
        raise Refusal(TOO_SLOW) from None
    if len(body) > LONGEST_DELIVERY:
        raise Refusal(TOO_LARGE)
    return bytes(body)
