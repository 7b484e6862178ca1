"""The provider as a sender: sign notifications of payouts, and deliver them to a receiver by HTTP."""

import contextlib
import http.client
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import msgspec
import uvicorn
from starlette.types import ASGIApp

from payhub import Payout
from payhub_alikassa.sandbox.notifications import add_signature
from payhub_alikassa.sandbox.php import php_query
from payhub_alikassa.sandbox.signatures import Signer, load_signer
from torture.processes import Child, die_with_parent, start
from torture.shop import ACCOUNT, UUID

_PATIENCE = 30.0


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A signed notification: the order that it is about, and the query that carries it."""

    order_id: str
    query: str


def sign(keys: Path, order_id: str, payout: Payout) -> Signed:
    """Return a notification that a payout is paid, signed as the provider signs it."""
    amount = str(payout.requested.amount) if payout.requested else None
    fields = signed_fields(load_signer(keys, "sha1"), order_id, int(payout.provider_id or 0), amount)
    return Signed(order_id=order_id, query=php_query(fields).decode())


def signed_fields(signer: Signer, order_id: str, provider_id: int, amount: str | None) -> Mapping[str, object]:
    """Return the fields of a notification that a payout is paid, with the provider's signature."""
    fields: dict[str, object] = {
        "type": "payout",
        "id": provider_id,
        "order_id": order_id,
        "payment_status": "paid",
        "amount": amount,
        "payment_amount": amount,
        "commission_amount": None,
        "is_partial_payment": "0",
        "account": UUID,
        "service": "payment_card_rub",
        "desc": None,
    }
    return add_signature(fields, signer)


class Endpoint:
    """A port of this machine, for receivers that come and go."""

    def __enter__(self) -> Self:
        """Take a port; connections that come while there is no receiver wait."""
        # Only a socket that says TCP is freed of Nagle's delays by asyncio.
        self._listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen()
        self.port: int = self._listening.getsockname()[1]
        return self

    def __exit__(self, *exc: object) -> None:
        """Give the port back."""
        self._listening.close()

    def receiver(self, app: Callable[[], ASGIApp], before: Callable[[], object] = lambda: None) -> Child:
        """Start a process that receives; `before` happens in it first."""

        def serve() -> None:
            die_with_parent()
            before()
            config = uvicorn.Config(app(), loop="asyncio", ws="none", lifespan="off", log_config=None, access_log=False)
            uvicorn.Server(config).run(sockets=[self._listening])

        return start(serve, seconds=600)

    def connection(self) -> http.client.HTTPConnection:
        """Connect to the receiver, or to the next one."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)

    def deliver(self, message: Signed) -> int | None:
        """Deliver once; return the answer's status, `None` where the connection was cut instead."""
        with contextlib.closing(self.connection()) as connection:
            return deliver(connection, message)


def deliver(connection: http.client.HTTPConnection, message: Signed) -> int | None:
    """Deliver over a connection; return the answer's status, `None` where it was cut instead."""
    try:
        connection.request("GET", f"/{ACCOUNT}?{message.query}")
        response = connection.getresponse()
        response.read()
    except (ConnectionError, http.client.HTTPException):
        return None
    return response.status
