"""Make the plans of one open account."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
import pluggy

from payhub.accounts.plugins import OPERATIONS, Plugins, Provider
from payhub.driver import AccountConfig, Asking, Capabilities, Flow
from payhub.errors import BadNotification, ConfigurationError, PayhubError, UnsupportedOperation
from payhub.exchanges.record import software
from payhub.journal import Facts, Key, Record
from payhub.models import (
    AccountInfo,
    Balance,
    Delivery,
    Kind,
    Notification,
    Payment,
    PaymentOrder,
    Payout,
    PayoutOrder,
    Period,
    Received,
    Ref,
    ReturnedPayer,
)
from payhub.plans import advance
from payhub.plans.advance import advancing
from payhub.plans.create import Terms, facts, recorded, result_of
from payhub.plans.fetch import noticed
from payhub.plans.plan import (
    Plan,
    Recorded,
    Steps,
    checked,
    compared,
    creating,
    finished,
    reading,
    unknown_payment,
    unknown_payout,
)
from payhub.plans.receive import receiving

R = TypeVar("R", bound=msgspec.Struct)

_REPORTING = 30.0  # seconds that a sender has to report, beyond the deadline of its call


class OpenAccount:
    """Make the plans of one account; it holds this account's driver and the wrappers, no other driver."""

    def __init__(self, provider: Provider, config: AccountConfig, plugins: Plugins, terms: Terms, key: bytes) -> None:
        """Load the keys and make the caller of each operation, once."""
        account = provider.info.connect(config)
        self.name = account.name
        self._max_per_second = config.max_per_second
        self._software = software(provider.info.name, provider.version)
        self.provider = provider
        self.driver = account
        self._terms = terms
        self._key = key
        callers = {operation: plugins.caller(provider, operation) for operation in OPERATIONS}
        self._callers = {operation: caller for operation, caller in callers.items() if caller}

    @property
    def capabilities(self) -> Capabilities:
        """Return what the provider can do."""
        return self.provider.info.capabilities

    def create_payment(self, order: PaymentOrder) -> Plan[Payment]:
        """Plan a payment."""
        can, call = self.capabilities.create_payment, self._caller("create_payment")
        if can is None:
            raise self._unsupported("create_payment")
        order = checked(_expect(order, PaymentOrder), self.capabilities.exponents)
        steps = creating(self._flow(call, order), can, unknown_payment(order))
        steps = finished(steps, lambda payment: self._named(compared(payment, order)))
        return self._plan(recorded(steps, self._facts(order), self._terms, Payment))

    def create_payout(self, order: PayoutOrder) -> Plan[Payout]:
        """Plan a payout."""
        can, call = self.capabilities.create_payout, self._caller("create_payout")
        if can is None:
            raise self._unsupported("create_payout")
        order = checked(_expect(order, PayoutOrder), self.capabilities.exponents)
        steps = creating(self._flow(call, order), can, unknown_payout(order))
        steps = finished(steps, lambda payout: self._named(compared(payout, order)))
        return self._plan(recorded(steps, self._facts(order), self._terms, Payout))

    def _flow(self, call: pluggy.HookCaller, order: PaymentOrder | PayoutOrder) -> Flow[Any]:
        """Begin a create only with its plan: a veto against an order that was sent already is too late."""
        return (yield from call(account=self.driver, order=order))

    def fetch_payment(self, ref: Ref) -> Plan[Payment]:
        """Plan to ask for a payment's status, and to keep the answer where the order is known."""
        return self._noticed("payment", ref, self._payment_status)

    def _payment_status(self, ref: Ref) -> Steps[Payment]:
        steps = reading(self._caller("fetch_payment")(account=self.driver, ref=_one_id(ref)))
        return finished(steps, lambda payment: self._named(compared(payment, ref)))

    def fetch_payout(self, ref: Ref) -> Plan[Payout]:
        """Plan to ask for a payout's status, and to keep the answer where the order is known."""
        return self._noticed("payout", ref, self._payout_status)

    def _payout_status(self, ref: Ref) -> Steps[Payout]:
        steps = reading(self._caller("fetch_payout")(account=self.driver, ref=_one_id(ref)))
        return finished(steps, lambda payout: self._named(compared(payout, ref)))

    def read_notification(self, delivery: Delivery) -> Notification:
        """Verify a notification; this is no plan, for nothing is sent and nothing kept.

        Raises:
            BadNotification: not authentic, or not readable.
        """
        return self._verified("read_notification", delivery, Notification)

    def receive(self, delivery: Delivery, *, ask: bool) -> Plan[Received]:
        """Verify a notification, and plan to keep it; whoever will not `ask` leaves its order due for a sweep.

        Raises:
            BadNotification: not authentic, or not readable.
        """
        return self._plan(receiving(self.read_notification(delivery), self._terms, self._key, ask=ask))

    def read_return(self, delivery: Delivery) -> ReturnedPayer:
        """Verify with what a payer's browser came back; no plan either.

        Raises:
            BadNotification: not authentic, or not readable.
        """
        return self._verified("read_return", delivery, ReturnedPayer)

    def _verified(self, operation: str, delivery: Delivery, promised: type[R]) -> R:
        caller = self._caller(operation)
        try:
            return self._named(_told(caller(account=self.driver, delivery=delivery), promised))
        except PayhubError:
            raise
        except Exception as cause:
            raise BadNotification("the driver could not read it") from cause

    def advance(self, kind: Kind, order_id: str) -> Plan[Payment | Payout]:
        """Plan to take an order as far as it can go now."""
        if kind not in _RESULTS:
            raise ConfigurationError(f"kind: payment or payout is needed, not {kind!r}")
        can: Asking | None = getattr(self.capabilities, f"fetch_{kind}")
        steps = getattr(self, f"_{kind}_status")
        asking = advance.Asking(self.provider.info.name, can.by if can else frozenset(), steps)
        return self._plan(as_result(advancing(Key(self.name, kind, order_id), asking, self._terms), kind))

    def _noticed(self, kind: Kind, ref: Ref, ask: Callable[[Ref], Steps[Any]]) -> Plan[Any]:
        key = Key(self.name, kind, ref.order_id) if ref.order_id else None
        return self._plan(noticed(ask, key, ref, self.provider.info.name, self._terms))

    def _facts(self, order: PaymentOrder | PayoutOrder) -> Facts:
        return facts(self.name, self.provider.info.name, order, self._key)

    def fetch_balance(self) -> Plan[Balance]:
        """Plan to ask for the balance."""
        steps = reading(self._caller("fetch_balance")(account=self.driver))
        return self._plan(finished(steps, lambda balance: msgspec.structs.replace(balance, account=self.name)))

    def fetch_account_info(self) -> Plan[AccountInfo]:
        """Plan to ask what the account is allowed to do."""
        steps = reading(self._caller("fetch_account_info")(account=self.driver))
        return self._plan(finished(steps, lambda info: msgspec.structs.replace(info, account=self.name)))

    def list_payments(self, period: Period) -> Plan[tuple[Payment, ...]]:
        """Plan to list the payments of a period."""
        steps = reading(self._caller("list_payments")(account=self.driver, period=period))
        return self._plan(finished(steps, lambda payments: tuple(self._named(p) for p in payments)))

    def _caller(self, operation: str) -> pluggy.HookCaller:
        if operation not in self._callers:
            raise self._unsupported(operation)
        return self._callers[operation]

    def _unsupported(self, operation: str) -> UnsupportedOperation:
        return UnsupportedOperation(f"account {self.name!r}: provider {self.provider.info.name!r} has no {operation}")

    def _plan(self, steps: Steps[Any] | Recorded[Any]) -> Plan[Any]:
        return Plan(
            account=self.name,
            provider=self.provider.info.name,
            steps=steps,
            max_per_second=self._max_per_second,
            software=self._software,
        )

    def _named(self, result: R) -> R:
        return msgspec.structs.replace(result, account=self.name, provider=self.provider.info.name)


_RESULTS: Mapping[Kind, type[Any]] = {"payment": Payment, "payout": Payout}


def as_result(steps: Recorded[Record], kind: Kind) -> Recorded[Any]:
    """Return what the steps end with as the application knows results."""
    return result_of((yield from steps), _RESULTS[kind])


def _expect(order: Any, kind: type[Any]) -> Any:
    if not isinstance(order, kind):
        raise ConfigurationError(f"a {kind.__name__} is needed, not {type(order).__name__}")
    return order


def _told(value: Any, kind: type[R]) -> R:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} from the driver")
    return value


def _one_id(ref: Ref) -> Ref:
    if bool(ref.order_id) == bool(ref.provider_id):
        raise ConfigurationError("give order_id or provider_id, one of them")
    return ref
