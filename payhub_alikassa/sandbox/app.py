"""Put the sandbox's paths together, behind the armed faults."""

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from payhub_alikassa.sandbox.api import Api, Refusal, json_response
from payhub_alikassa.sandbox.books import Books
from payhub_alikassa.sandbox.control import Control
from payhub_alikassa.sandbox.exchange import Exchange
from payhub_alikassa.sandbox.faults import ArmedFaults
from payhub_alikassa.sandbox.guard import CONTROLS, GuardedApplication
from payhub_alikassa.sandbox.page import PaymentPage
from payhub_alikassa.sandbox.signatures import Keys, Signer


def application(books: Books, keys: Keys, signer: Signer, control: Control, faults: ArmedFaults) -> ASGIApp:
    """Build the whole application."""
    routes = [*Api(books, keys).routes(), PaymentPage(books, signer).route(), *control.routes()]
    # Starlette types every handler as one of plain `Exception`; hence the `Any`.
    handlers: dict[Any, Any] = {Refusal: _refused, HTTPException: _not_served}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False  # a wrong path must look wrong, not be corrected
    return GuardedApplication(FaultyApplication(app, books, faults))


class FaultyApplication:
    """An application behind armed faults, which counts every request."""

    def __init__(self, app: ASGIApp, books: Books, faults: ArmedFaults) -> None:
        """Serve this application, count in these books, and perform these faults."""
        self._app = app
        self._books = books
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; control paths are neither counted nor disturbed."""
        if scope["path"].startswith(CONTROLS):
            await self._app(scope, receive, send)
            return
        self._books.requests[scope["path"]] += 1
        fault = self._faults.take(scope["path"])
        if fault is None:
            await self._app(scope, receive, send)
            return
        exchange = Exchange(self._app, scope, receive, send)
        if await exchange.read():
            await fault.perform(exchange)


async def _refused(_: Request, refusal: Refusal) -> Response:
    return json_response(refusal.status, refusal.body)


async def _not_served(_: Request, problem: HTTPException) -> Response:
    return json_response(problem.status_code, {"message": problem.detail})
