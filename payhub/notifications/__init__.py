"""Read what a provider tells us by itself: a notification is a hint, and proves nothing until asked.

A driver verifies a `Delivery` and returns a `Notification` that holds only what the signature
covers. Whoever once saw a notification can send it again, so it changes no order by itself.
"""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from payhub.errors import ConfigurationError
from payhub.masking import Clear, Shown
from payhub.models import Kind, Status
from payhub.money import Money

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from starlette.types import ASGIApp

    from payhub import AsyncHub, Hub

LONGEST = 64 * 1024
"""Bytes that a query or a body may have; drivers refuse more, and whoever receives need not take it."""


class Delivery(Shown, frozen=True, kw_only=True):
    """Hold one HTTP request that claims to be a notification, as it came: query and body are raw bytes.

    Header names are in lower case.
    """

    method: Clear[str]
    path: Clear[str] = "/"
    query: bytes = b""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""


class Notification(Shown, frozen=True, kw_only=True):
    """Say what an authentic notification says; every field is covered by its signature.

    `fields` has the signed fields under the provider's names; `shape` is the wire struct whose masks
    decide what the journal keeps of them, and without one no value is kept. Amounts are what the provider says
    now; ask for the status before crediting anybody.

    `digest` tells one message from another: the SHA-256, in hexadecimal, of the text that is
    signed. It covers every signed field and nothing else that was delivered, so a message that is
    sent again has the same one, whatever is put around it and however it is encoded. No secret is
    in it; but whoever has all of a message except a few digits can find those from it.
    """

    account: Clear[str] = ""
    provider: Clear[str] = ""
    kind: Clear[Kind]
    order_id: Clear[str]
    provider_id: Clear[str]
    status: Clear[Status]
    provider_status: Clear[str]
    requested: Clear[Money | None] = None
    paid: Clear[Money | None] = None
    commission: Clear[Money | None] = None
    partial: Clear[bool | None] = None
    digest: Clear[str]
    fields: Mapping[str, Any] = msgspec.field(default_factory=dict)
    shape: type[msgspec.Struct] | None = None


class Received(Shown, frozen=True, kw_only=True):
    """Say what became of a notification that was received and kept.

    `times` counts how often this message has come, `known` tells whether the journal has the
    order, `ask` that the provider is to be asked about it now: answer, then `advance` it.
    """

    notification: Clear[Notification]
    times: Clear[int]
    known: Clear[bool]
    ask: Clear[bool]


class ReturnedPayer(Shown, frozen=True, kw_only=True):
    """Say which payer's browser came back, authentically; it says nothing about money.

    `reference` is the provider's, as it stands in the signed form.
    """

    account: Clear[str] = ""
    provider: Clear[str] = ""
    order_id: Clear[str]
    reference: Clear[str]


def asgi(hub: "AsyncHub | Hub", *, ask: bool = True, questions: int = 8, body_timeout: float = 10.0) -> "ASGIApp":
    """Make an ASGI application that receives notifications at `/ACCOUNT`, wherever it is mounted.

    Each is verified and kept before it is answered 200; then the provider is asked, `questions` at
    once at most, and the others are left to the sweep, as all are with `ask=False`. `body_timeout`
    is for how many seconds a body may take to come. The calls of a `Hub` go to threads.

    Raises:
        ConfigurationError: the extra `server` is not installed.
    """
    try:
        from payhub.notifications import asgi_receiver  # noqa: PLC0415 - needs the extra `server`
    except ImportError as cause:
        raise ConfigurationError("receiving by ASGI needs Starlette: pip install 'payhub[server]'") from cause
    from payhub.notifications.answers import Questions  # noqa: PLC0415 - `import payhub` stays light

    return asgi_receiver.application(hub, Questions(questions), body_timeout, ask=ask)


def wsgi(hub: "Hub", *, ask: bool = True, questions: int = 8) -> "WSGIApplication":
    """Make a WSGI application that receives notifications at `/ACCOUNT`, wherever it is mounted.

    See `asgi`. How long a body may take is the server's matter, and the server's thread that has
    sent the answer asks the provider then.

    Raises:
        ConfigurationError: it is given an `AsyncHub`.
    """
    if inspect.iscoroutinefunction(hub.receive):
        raise ConfigurationError("receiving by WSGI needs a Hub, not an AsyncHub")
    from payhub.notifications import wsgi_receiver  # noqa: PLC0415 - `import payhub` stays light
    from payhub.notifications.answers import Questions  # noqa: PLC0415 - the same

    return wsgi_receiver.application(hub, Questions(questions), ask=ask)
