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
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from payhub.models import LONGEST_DELIVERY, Delivery, Received
from payhub.receivers.answers import (
    TAKEN,
    TOO_LARGE,
    TOO_SLOW,
    Questions,
    Refusal,
    Refusals,
    account_at,
    check_head,
    read_headers,
)

if TYPE_CHECKING:
    from payhub import AsyncHub, Hub

_KEPT_AT_ONCE = 4  # more would wait for the database in no order, some of them for very long


def application(hub: "AsyncHub | Hub", questions: Questions, body_timeout: float, *, ask: bool) -> ASGIApp:
    """Make the application; the router, which has no routes, answers lifespan.

    A route would not match every path (one with a line end, `*`), and what it does not match it answers otherwise.
    """
    return Router(redirect_slashes=False, default=_Receiver(hub, questions, body_timeout, ask=ask))


class _Receiver:
    """An ASGI application for one request after another: keep the notification, answer it, ask the provider."""

    def __init__(self, hub: "AsyncHub | Hub", questions: Questions, body_timeout: float, *, ask: bool) -> None:
        # As many threads as are needed at once, and none that slow endpoints of the application could keep.
        threads = anyio.CapacityLimiter(_KEPT_AT_ONCE + questions.most)
        self._keep = _awaitable(functools.partial(hub.receive, ask=ask), threads)
        self._advance = _awaitable(hub.advance, threads)
        self._turns = anyio.Semaphore(_KEPT_AT_ONCE)
        self._questions = questions
        self._refusals = Refusals(frozenset(hub.accounts))
        self._body_timeout = body_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await WebSocketClose()(scope, receive, send)
            return
        request = Request(scope, receive)
        account = account_at(scope["path"].removeprefix(scope.get("root_path", "")))
        received: Received | None = None
        try:
            lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
            headers = read_headers(lines)
            check_head(request.method, scope["query_string"], headers)
            delivery = Delivery(
                method=request.method,
                path=scope["path"],
                query=scope["query_string"],
                headers=headers,
                body=await self._read_body(request),
            )
            async with self._turns:
                received = await self._keep(account, delivery)
            answer = TAKEN
        except ClientDisconnect:
            return
        except Exception as cause:  # noqa: BLE001 - whatever it is, the sender must send again
            answer = self._refusals.answer(account, cause)
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


def _awaitable(method: Callable[..., Any], threads: anyio.CapacityLimiter) -> Callable[..., Awaitable[Any]]:
    """Return a method that can be awaited: one that blocks is run in a thread."""
    if inspect.iscoroutinefunction(method):
        return method
    return functools.partial(anyio.to_thread.run_sync, method, limiter=threads)
