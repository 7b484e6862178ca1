"""Receive notifications over HTTP: as an ASGI or a WSGI application in front of a hub."""

import inspect
from typing import TYPE_CHECKING

from payhub.errors import ConfigurationError

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from starlette.types import ASGIApp

    from payhub import AsyncHub, Hub


def asgi(hub: "AsyncHub | Hub", *, ask: bool = True, questions: int = 8, body_timeout: float = 10.0) -> "ASGIApp":
    """Make an ASGI application that receives notifications at `/ACCOUNT`, wherever it is mounted.

    Each is verified and kept before it is answered 200; then the provider is asked. At most
    `questions` are asked at once, and the others are left to the sweep, as all are with
    `ask=False`. `body_timeout` is how many seconds a body may take to come. The calls of a `Hub`
    are made in threads.

    Raises:
        ConfigurationError: the extra `server` is not installed.
    """
    try:
        from payhub.receivers import asgi_app  # noqa: PLC0415 - needs the extra `server`
    except ImportError as cause:
        raise ConfigurationError("receiving by ASGI needs Starlette: pip install 'payhub-core[server]'") from cause
    from payhub.receivers.answers import Questions  # noqa: PLC0415 - `import payhub` stays light

    return asgi_app.application(hub, Questions(questions), body_timeout, ask=ask)


def wsgi(hub: "Hub", *, ask: bool = True, questions: int = 8) -> "WSGIApplication":
    """Make a WSGI application that receives notifications at `/ACCOUNT`, wherever it is mounted.

    See `asgi`. How long a body may take is up to the server. The server's thread that has sent the
    answer then asks the provider.

    Raises:
        ConfigurationError: it is given an `AsyncHub`.
    """
    if inspect.iscoroutinefunction(hub.receive):
        raise ConfigurationError("receiving by WSGI needs a Hub, not an AsyncHub")
    from payhub.receivers import wsgi_app  # noqa: PLC0415 - `import payhub` stays light
    from payhub.receivers.answers import Questions  # noqa: PLC0415 - the same

    return wsgi_app.application(hub, Questions(questions), ask=ask)
