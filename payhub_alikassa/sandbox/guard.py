"""Keep the web pages of the developer's browser out: a page of any site can send requests to this machine."""

from collections.abc import Iterator

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from payhub_alikassa.sandbox.addresses import is_local
from payhub_alikassa.sandbox.api import json_response

CONTROLS = "/sandbox/"
_OF_A_BODY = ("content-length", "transfer-encoding")


class GuardedApplication:
    """An application that answers programs of this machine and its own pages only.

    A name that a stranger's server resolves to this machine is no Host of it, so no page can read an answer by one.
    The Origin tells which page sends a request, and its form or text passes for no JSON without asking first.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Guard this application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say why not."""
        problems = _problems(Headers(scope=scope), scope["path"])
        status, message = next(problems, (0, ""))
        await (json_response(status, {"message": message}) if status else self._app)(scope, receive, send)


def _problems(headers: Headers, path: str) -> Iterator[tuple[int, str]]:
    host = headers.get("host", "")
    if "@" in host or not is_local(f"http://{host}/"):
        yield 403, "The Host is not this machine."
    if any(origin != f"http://{host}" for origin in headers.getlist("origin")):
        yield 403, "The Origin is another page's."
    has_body = any(headers.get(name, "0") != "0" for name in _OF_A_BODY)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if path.startswith(CONTROLS) and has_body and kind != "application/json":
        yield 415, "A control path takes application/json."
