"""Let a test or a person decide what happens: `/sandbox/…`, in JSON, without a signature."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from payhub_alikassa.sandbox.api import json_response
from payhub_alikassa.sandbox.books import AlreadyFinal, Books
from payhub_alikassa.sandbox.courier import Courier
from payhub_alikassa.sandbox.faults import AnyFault, ArmedFaults, Refuse
from payhub_alikassa.sandbox.fields import amount_of
from payhub_alikassa.sandbox.records import Final, Kind, Outcome, Record, Settings, Transport
from payhub_alikassa.sandbox.server import LocalServer

Options = Mapping[str, object]
Command = Callable[[Options], Awaitable[None]]


class UnknownOrder(LookupError):
    """An order that the sandbox does not have."""


class Settlement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The outcome that an order shall have; `amount` is for another sum than was asked for."""

    kind: Kind
    order_id: str
    outcome: Final = "paid"
    amount: str | None = None
    error: str | None = None


class Reminder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A notification that shall be sent now; `to` is an address instead of the order's own endpoints."""

    kind: Kind
    order_id: str
    transport: Transport | None = None
    to: str | None = None


class Control:
    """The sandbox's commands; a command's options are those of its HTTP path.

    Where notifications go is named by whoever starts the sandbox, or by an order that the merchant has signed, so
    that no request to a control path makes the sandbox send one to another service of this machine.
    """

    def __init__(self, books: Books, faults: ArmedFaults, courier: Courier, server: LocalServer) -> None:
        """Control these books, faults, notifications and server."""
        self._books = books
        self._faults = faults
        self._courier = courier
        self._server = server

    def routes(self) -> list[Route]:
        """Return the paths."""
        return [
            _route("settle", "POST", self.settle),
            _route("faults", "POST", self.arm),
            _route("faults", "DELETE", self.disarm),
            _route("settings", "POST", self._configure_by_request),
            _route("reset", "POST", self.reset),
            _route("notify", "POST", self._notify_by_request),
            Route("/sandbox/ledger", self.show_ledger, methods=["GET"]),
            Route("/sandbox/notifications", self.show_notifications, methods=["GET"]),
        ]

    async def settle(self, options: Options) -> None:
        """Give the newest order with this `order_id` its outcome."""
        wanted = msgspec.convert(options, Settlement)
        amount = None if wanted.amount is None else amount_of(wanted.amount)
        if wanted.amount is not None and (amount is None or wanted.outcome != "paid"):
            message = "`amount` is a positive sum with at most 2 decimals, and only of a paid order"
            raise ValueError(message)
        outcome = Outcome(wanted.outcome, amount, wanted.error)
        self._books.settle(self._find(wanted.kind, wanted.order_id), outcome)

    async def notify(self, options: Options) -> None:
        """Send a notification of the status that the newest order with this `order_id` has now."""
        wanted = msgspec.convert(options, Reminder)
        self._courier.notify(self._find(wanted.kind, wanted.order_id), wanted.to, wanted.transport)

    async def _notify_by_request(self, options: Options) -> None:
        """Send a notification; a request chooses none but the addresses that others have named."""
        wanted = msgspec.convert(options, Reminder)
        record = self._find(wanted.kind, wanted.order_id)
        if wanted.to is not None and not self._courier.is_named(record, wanted.to):
            message = "`to`: a request cannot name a new address; give one where the order or the settings have one"
            raise ValueError(message)
        await self.notify(options)

    async def arm(self, options: Options) -> None:
        """Arm a fault for the next requests or notifications it meets; `refuse` begins at once."""
        fault = msgspec.convert(options, AnyFault)
        if isinstance(fault, Refuse):
            await self._server.refuse(fault.seconds)
        else:
            self._faults.arm(fault)

    async def disarm(self, _: Options) -> None:
        """Forget the armed faults, and listen again."""
        self._faults.disarm()
        await self._server.listen()

    async def configure(self, options: Options) -> None:
        """Change settings; those not named stay."""
        known = msgspec.to_builtins(self._books.settings)
        self._books.settings = msgspec.convert({**known, **options}, Settings, str_keys=True)

    async def _configure_by_request(self, options: Options) -> None:
        """Change settings, but for the addresses that notifications are sent to."""
        if "notification_endpoints" in options:
            message = "`notification_endpoints`: not by a request; give them when the sandbox starts, or in Python"
            raise ValueError(message)
        await self.configure(options)

    async def reset(self, options: Options) -> None:
        """Forget orders, counts, notifications and faults; settings stay."""
        self._books.reset()
        await self._courier.reset()
        await self.disarm(options)

    async def show_ledger(self, _: Request) -> Response:
        """Count what was accepted, per kind and order id, and what arrived, per path."""
        return json_response(200, {"accepted": self._books.accepted, "requests": self._books.requests})

    async def show_notifications(self, _: Request) -> Response:
        """List the attempts to notify endpoints, and count the notifications that are still under way."""
        attempts = msgspec.to_builtins(self._courier.attempts)
        return json_response(200, {"sent": attempts, "pending": self._courier.pending})

    def _find(self, kind: Kind, order_id: str) -> Record:
        record = self._books.by_order_id(kind, order_id)
        if record is None:
            message = f"The sandbox has no such {kind}."
            raise UnknownOrder(message)
        return record


def _route(path: str, method: str, command: Command) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            await command(msgspec.json.decode(await request.body() or b"{}", type=dict[str, object]))
        except msgspec.DecodeError:
            return json_response(400, {"message": "The body is not a JSON object."})
        except ValueError as problem:
            return json_response(400, {"message": str(problem)})
        except UnknownOrder as problem:
            return json_response(404, {"message": str(problem)})
        except AlreadyFinal as problem:
            return json_response(409, {"message": str(problem)})
        return json_response(200, {"message": "OK"})

    return Route(f"/sandbox/{path}", endpoint, methods=[method])
