"""Start a local AliKassa and control it from Python."""

from pathlib import Path
from typing import Literal, Self

from payhub_alikassa.sandbox.app import application
from payhub_alikassa.sandbox.books import Books
from payhub_alikassa.sandbox.control import Control
from payhub_alikassa.sandbox.courier import Courier
from payhub_alikassa.sandbox.delivery import Attempt
from payhub_alikassa.sandbox.directory import write_configuration, write_keys
from payhub_alikassa.sandbox.faults import ArmedFaults
from payhub_alikassa.sandbox.records import Account, Settings, Transport
from payhub_alikassa.sandbox.server import HOST, LocalServer
from payhub_alikassa.sandbox.signatures import load_keys, load_signer


class Sandbox:
    """A local AliKassa, served on 127.0.0.1 while the `with` block runs.

    `url` is its address and `config` the `payhub.toml` written beside the keys, from the
    block's beginning on. Every method may be called from any thread.
    """

    url: str
    config: Path

    def __init__(
        self,
        directory: Path,
        port: int = 0,
        currency: str = "RUB",
        *,
        digest: Literal["sha1", "sha256"] = "sha1",
        settings: Settings | None = None,
    ) -> None:
        """Choose the directory of the keys, the port (0 takes a free one) and the account."""
        self._directory = Path(directory)
        self._port = port
        self._account = Account(currency=currency, digest=digest)
        self._books = Books(self._account, settings or Settings())
        self._faults = ArmedFaults()

    def __enter__(self) -> Self:
        """Write what is missing in the directory, and serve."""
        write_keys(self._directory)
        self._keys = load_keys(self._directory)
        self._signer = load_signer(self._directory, self._account.digest)
        self._courier = Courier(self._books, self._faults, self._signer)
        self._books.on_change = self._courier.on_change
        self._server = LocalServer(
            lambda: application(self._books, self._keys, self._signer, self._control, self._faults),
            self._port,
            self._courier.close,
        )
        self._control = Control(self._books, self._faults, self._courier, self._server)
        self.config = write_configuration(self._directory, self._server.port, self._account)
        self.url = f"http://{HOST}:{self._server.port}"
        self._server.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop serving and sending; the counts can still be read."""
        self._server.stop()

    def wait(self) -> None:
        """Serve until interrupted from the keyboard."""
        try:
            self._server.wait()
        except KeyboardInterrupt:
            return

    def settle(
        self,
        kind: str,
        order_id: str,
        outcome: str = "paid",
        amount: str | None = None,
        *,
        error: str | None = None,
    ) -> None:
        """Give an order its outcome: `paid`, `cancel` or `fail`.

        With an `amount` another sum was paid than asked for; an `error` is the text of a
        failure. Raises `LookupError` for an unknown order.
        """
        options: dict[str, object] = {"kind": kind, "order_id": order_id, "outcome": outcome}
        options |= {"amount": amount, "error": error}
        self._server.run_coroutine(self._control.settle(options))

    def notify(self, kind: str, order_id: str, *, transport: Transport | None = None, to: str | None = None) -> None:
        """Send a notification now, of the status that the order has, and return at once.

        It goes to the order's endpoints, or `to` an address of this machine; `transport` replaces
        the configured one. Raises `LookupError` for an unknown order, `ValueError` if
        there is no endpoint.
        """
        options: dict[str, object] = {"kind": kind, "order_id": order_id, "transport": transport, "to": to}
        self._server.run_coroutine(self._control.notify(options))

    def arm(self, fault: str, **options: object) -> None:
        """Arm a fault for the next requests or notifications it meets; the options are those of its class."""
        self._server.run_coroutine(self._control.arm({"fault": fault, **options}))

    def disarm(self) -> None:
        """Forget the armed faults, and listen again after a `refuse`."""
        self._server.run_coroutine(self._control.disarm({}))

    def configure(self, **settings: object) -> None:
        """Change some of `Settings` while the sandbox runs."""
        self._server.run_coroutine(self._control.configure(settings))

    def reset(self) -> None:
        """Forget every order, count, notification and fault; settings stay."""
        self._server.run_coroutine(self._control.reset({}))

    def accepted(self, kind: str, order_id: str) -> int:
        """Return how many times an order was accepted: the judge of "never twice"."""
        return self._server.call(lambda: self._books.accepted[kind][order_id])

    def requests(self, path: str) -> int:
        """Return how many requests arrived for a path: the judge of "nothing was sent"."""
        return self._server.call(lambda: self._books.requests[path])

    def notifications(self, kind: str, order_id: str) -> list[Attempt]:
        """Return the attempts to notify an order's endpoints, oldest first."""
        attempts = self._server.call(lambda: self._courier.attempts)
        return [each for each in attempts if (each.kind, each.order_id) == (kind, order_id)]

    def pending_notifications(self) -> int:
        """Return how many notifications are under way: being sent, repeated, or held by a fault."""
        return self._server.call(lambda: self._courier.pending)
