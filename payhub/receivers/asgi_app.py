"""Receive notifications in an ASGI application: https://asgi.readthedocs.io/en/latest/specs/www.html."""

import contextlib
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from payhub.models import LONGEST_DELIVERY, Delivery, Received
from payhub.receivers.answers import (
    TAKEN,
    TOO_LARGE,
    TOO_SLOW,
    Questions,
    Refusal,
    account_at,
    answer_failure,
    check_head,
)

if TYPE_CHECKING:
    from payhub import AsyncHub, Hub

_KEPT_AT_ONCE = 4  # more would wait for the database in no order, some of them for very long

_THREADS = 40


def application(hub: "AsyncHub | Hub", questions: Questions, body_timeout: float, *, ask: bool) -> ASGIApp:
    """Make the application; the router answers lifespan and websockets."""
    receiver = _Receiver(hub, questions, body_timeout, ask=ask)
    return Router([Route("/{account:path}", receiver)], redirect_slashes=False)


class _Receiver:
    """An ASGI application for one request after another: keep the notification, answer it, ask the provider."""

    def __init__(self, hub: "AsyncHub | Hub", questions: Questions, body_timeout: float, *, ask: bool) -> None:
        self._known = frozenset(hub.accounts)
        self._keep = _awaitable(functools.partial(hub.receive, ask=ask))
        self._advance = _awaitable(hub.advance)
        self._turns = anyio.Semaphore(_KEPT_AT_ONCE)
        self._questions = questions
        self._body_timeout = body_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        account = account_at(request.path_params["account"])
        received: Received | None = None
        try:
            check_head(request.method, scope["query_string"], request.headers.get("content-length"))
            delivery = Delivery(
                method=request.method,
                path=scope["path"],
                query=scope["query_string"],
                headers={name: ", ".join(request.headers.getlist(name)) for name in request.headers},
                body=await self._read_body(request),
            )
            async with self._turns:
                received = await self._keep(account, delivery)
            answer = TAKEN
        except ClientDisconnect:
            return
        except Exception as cause:  # noqa: BLE001 - whatever it is, the sender must send again
            answer = answer_failure(account, self._known, cause)
        # HTTP/1 would take the rest of an unread body for the next request.
        close = {"Connection": "close"} if answer.unread and scope["http_version"].startswith("1") else {}
        response = Response(answer.body, answer.status, {**answer.headers, **close})
        with contextlib.suppress(OSError):  # the sender may have left; what is kept stays kept
            await response(scope, receive, send)
        with self._questions.about(received) as notification:
            if notification:
                await self._advance(notification.account, notification.kind, notification.order_id)

    async def _read_body(self, request: Request) -> bytes:
        body = bytearray()
        try:
            with anyio.fail_after(self._body_timeout):
                async with contextlib.aclosing(request.stream()) as stream:
                    async for chunk in stream:
                        body += chunk
                        if len(body) > LONGEST_DELIVERY:
                            raise Refusal(TOO_LARGE)
        except TimeoutError:
            raise Refusal(TOO_SLOW) from None
        return bytes(body)


def _awaitable(method: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return a method that can be awaited: one that blocks is run in a thread."""
    if inspect.iscoroutinefunction(method):
        return method
    # Threads of payhub's own: those that everything in an event loop shares may all be held by who waits for payhub.
    return functools.partial(anyio.to_thread.run_sync, method, limiter=anyio.CapacityLimiter(_THREADS))
