"""Serve `v1/…`: check the signature, check the fields, keep the books, answer.

Only HTTP 200, the 400 of wrong fields, `Payment not found` and the 500 are documented, the third
without its status. The bodies and statuses of all other refusals are the sandbox's own.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from payhub_alikassa.sandbox import answers
from payhub_alikassa.sandbox.books import Books, RefusedOrder
from payhub_alikassa.sandbox.fields import (
    HISTORY_FIELDS,
    NUMBER_FIELDS,
    PAYMENT_FIELDS,
    PAYOUT_FIELDS,
    STATUS_FIELDS,
    Errors,
    Fields,
    check,
    date_of,
    whole_of,
)
from payhub_alikassa.sandbox.php import php_json
from payhub_alikassa.sandbox.records import Kind, Outcome, Record
from payhub_alikassa.sandbox.services import (
    PAYMENT_SERVICES,
    PAYOUT_SERVICES,
    PaymentService,
    PayoutService,
)
from payhub_alikassa.sandbox.signatures import Keys, Role, is_signed

Handler = Callable[[Request, Fields], answers.Answer]

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_EVERY_ORDER = ("amount", "order_id", "service")
_PAGE_SIZE = 15  # Laravel's own when `paginate` is not given


class Refusal(Exception):
    """A refused request: the status and body of its answer."""

    def __init__(self, status: int, body: answers.Answer) -> None:
        """Keep the answer."""
        super().__init__(status)
        self.status = status
        self.body = body


class Api:
    """The provider's paths, served from one set of books."""

    def __init__(self, books: Books, keys: Keys) -> None:
        """Serve these books to the holders of these keys."""
        self._books = books
        self._keys = keys

    def routes(self) -> list[Route]:
        """Return the paths, each with the certificate that must have signed."""
        return [
            self._route("payment", "payment", self.create_payment),
            self._route("payment/status", "payment", self.payment_status),
            self._route("payment/history", "payment", self.payment_history),
            self._route("payout", "payout", self.create_payout),
            self._route("payout/status", "payout", self.payout_status),
            # The payout certificate, whatever the names suggest: /method/balance, /method/info.
            self._route("account/balance", "payout", self.account_balance),
            self._route("account/info", "payout", self.account_info),
        ]

    def create_payment(self, request: Request, fields: Fields) -> answers.Answer:
        """Take a payment order."""
        service = PAYMENT_SERVICES.get(str(fields.get("service")))
        required = (*_EVERY_ORDER, *(service.required if service else ("customer_ip",)))
        errors = check(fields, PAYMENT_FIELDS, required)
        self._refuse(errors or self._wrong_service(service))
        record = self._accept("payment", fields)
        return answers.payment_created(record, page_of(request, record))

    def create_payout(self, _: Request, fields: Fields) -> answers.Answer:
        """Take a payout order, and settle it after the configured delay."""
        service = PAYOUT_SERVICES.get(str(fields.get("service")))
        required = (*_EVERY_ORDER, "number", *(service.required if service else ()))
        table = (*PAYOUT_FIELDS, *([NUMBER_FIELDS[service.number]] if service else []))
        errors = check(fields, table, required)
        self._refuse(errors or self._wrong_service(service))
        record = self._accept("payout", fields)
        delay = self._books.settings.payout_delay
        if delay is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(delay, self._books.settle_waiting, record.kind, record.id, Outcome("paid"))
        return answers.payout_created(record)

    def payment_status(self, request: Request, fields: Fields) -> answers.Answer:
        """Return the status of a payment."""
        record = self._find("payment", fields)
        page = page_of(request, record)
        return answers.payment_status(record, page, self._books.account.currency)

    def payout_status(self, _: Request, fields: Fields) -> answers.Answer:
        """Return the status of a payout."""
        return answers.payout_status(self._find("payout", fields))

    def payment_history(self, request: Request, fields: Fields) -> answers.Answer:
        """List payments, page by page."""
        self._refuse(check(fields, HISTORY_FIELDS))
        since, until = date_of(fields.get("date_from")), date_of(fields.get("date_to"))
        return answers.history(
            self._books.payments(since, until),
            whole_of(fields.get("page")) or 1,
            whole_of(fields.get("paginate")) or _PAGE_SIZE,
            f"{request.base_url}v1/payment/history",
            self._books.account.currency,
        )

    def account_balance(self, _: Request, __: Fields) -> answers.Answer:
        """Return the account's balance; the body's content does not matter."""
        return answers.account_balance(self._books)

    def account_info(self, _: Request, __: Fields) -> answers.Answer:
        """List the account's services; the body's content does not matter."""
        return answers.account_info(self._books)

    def _route(self, path: str, role: Role, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            self._authenticate(request, role, body)
            return json_response(200, handler(request, _decode(request, body)))

        return Route(f"/v1/{path}", endpoint, methods=["POST"])

    def _authenticate(self, request: Request, role: Role, body: bytes) -> None:
        # Undocumented: 401 for an unknown account, 403 for a signature that does not fit.
        account = self._books.account
        if request.headers.get("Account") != account.uuid:
            raise Refusal(401, {"message": "Unauthenticated."})
        sign = request.headers.get("Sign", "")
        if not is_signed(body, sign, self._keys[role], account.digest):
            raise Refusal(403, {"message": "Invalid signature."})

    def _accept(self, kind: Kind, fields: Fields) -> Record:
        try:
            return self._books.accept(kind, fields)
        except RefusedOrder as refused:
            raise Refusal(400, answers.invalid(refused.errors)) from None

    def _find(self, kind: Kind, fields: Fields) -> Record:
        id_, order_id = fields.get("id"), fields.get("order_id")
        required = () if id_ or order_id else ("order_id", "id")
        self._refuse(check(fields, STATUS_FIELDS, required))
        # Both at once is not documented; the provider's own id asks for less.
        books = self._books
        record = books.by_id(kind, id_) if id_ else books.by_order_id(kind, order_id)
        if record is None:
            # The page prints this text for payments only, and no status beside it.
            raise Refusal(books.settings.not_found_status, {"message": "Payment not found"})
        return record

    def _wrong_service(self, service: PaymentService | PayoutService | None) -> Errors:
        if service and service.currency == self._books.account.currency and self._books.is_active(service.code):
            return {}
        return {"service": ["The selected service is invalid."]}

    def _refuse(self, errors: Errors) -> None:
        if errors:
            raise Refusal(400, answers.invalid(errors))


def page_of(request: Request, record: Record) -> str:
    """Return the address of a payment's page."""
    return f"{request.base_url}pay/{record.uuid}"


def json_response(status: int, body: answers.Answer) -> Response:
    """Return an answer in JSON as the provider writes it."""
    return Response(php_json(body), status, media_type="application/json")


def _decode(request: Request, body: bytes) -> Fields:
    # The header is documented as required; the answer to its absence is not documented.
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip()
    if media_type != "application/json":
        raise Refusal(415, {"message": "The request must be application/json."})
    try:
        fields = _DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError):
        fields = None
    if fields == []:
        return {}  # PHP writes an empty array so: /method/balance
    if not isinstance(fields, dict):
        raise Refusal(400, {"message": "The request must be a JSON object."})
    return fields
