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
from payhub.receivers.answers import TAKEN, TOO_LARGE, TOO_SLOW, Answer, Questions, Refusal, check_head, failed

if TYPE_CHECKING:
    from payhub import AsyncHub, Hub


def application(hub: "AsyncHub | Hub", questions: Questions, body_timeout: float, *, ask: bool) -> ASGIApp:
    """Make the application; lifespan and websockets are the router's matter."""
    receiver = _Receiver(hub, questions, body_timeout, ask=ask)
    return Router([Route("/{account:path}", receiver)], redirect_slashes=False)


_KEPT_AT_ONCE = 4  # more would wait for the database in no order, some of them for very long


class _Receiver:
    """Take one request: keep the notification, answer it, ask the provider."""

    def __init__(self, hub: "AsyncHub | Hub", questions: Questions, body_timeout: float, *, ask: bool) -> None:
        self._known = frozenset(hub.accounts)
        self._keep = _awaited(functools.partial(hub.receive, ask=ask))
        self._advance = _awaited(hub.advance)
        self._turns = anyio.Semaphore(_KEPT_AT_ONCE)
        self._questions = questions
        self._body_timeout = body_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        account = request.path_params["account"]
        received: Received | None = None
        try:
            delivery = await self._delivery(request)
            async with self._turns:
                received = await self._keep(account, delivery)
            answer = TAKEN
        except ClientDisconnect:
            return
        except Exception as cause:  # noqa: BLE001 - whatever it is, the sender is told to send again
            answer = failed(account, self._known, cause)
        with contextlib.suppress(OSError):  # who has gone is not told, and what is kept is kept
            await _response(answer, scope)(scope, receive, send)
        with self._questions.about(received) as told:
            if told:
                await self._advance(told.account, told.kind, told.order_id)

    async def _delivery(self, request: Request) -> Delivery:
        query: bytes = request.scope["query_string"]
        check_head(request.method, query, request.headers.get("content-length"))
        return Delivery(
            method=request.method,
            path=request.scope["path"],
            query=query,
            headers={name: ", ".join(request.headers.getlist(name)) for name in request.headers},
            body=await self._body(request),
        )

    async def _body(self, request: Request) -> bytes:
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


def _awaited(method: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Let a method be awaited: one that blocks goes to a thread."""
    return method if inspect.iscoroutinefunction(method) else functools.partial(anyio.to_thread.run_sync, method)


def _response(answer: Answer, scope: Scope) -> Response:
    """Write an answer; HTTP/1 has to be told that nobody reads the rest of a body."""
    close = {"Connection": "close"} if answer.unread and scope["http_version"].startswith("1") else {}
    return Response(answer.body, answer.status, {**answer.headers, **close})
