"""Open accounts: a driver, its configuration, and who is asked for each operation."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
import pluggy

from payhub import forks, resolver
from payhub.asking import noticed
from payhub.config import Settings, account_config, journal_key
from payhub.driver import AccountConfig, Asking, Capabilities, Flow, Schedule
from payhub.errors import BadNotification, ConfigurationError, PayhubError, UnknownAccount, UnsupportedOperation
from payhub.journal import Facts, Key, Record, State
from payhub.models import AccountInfo, Balance, Kind, Payment, PaymentOrder, Payout, PayoutOrder, Period, Ref
from payhub.notifications import Delivery, Notification, Received, ReturnedPayer
from payhub.plan import (
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
from payhub.plugins import OPERATIONS, Plugins, Provider
from payhub.receiving import receiving
from payhub.recording import Terms, facts, recorded, result_of
from payhub.resolver import advancing, giving_up, resolving
from payhub.transcript import software

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
        asking = resolver.Asking(self.provider.info.name, can.by if can else frozenset(), steps)
        return self._plan(_as_result(advancing(Key(self.name, kind, order_id), asking, self._terms), kind))

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


def _as_result(steps: Recorded[Record], kind: Kind) -> Recorded[Any]:
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


class Registry:
    """Know the accounts of a configuration; open each when it is first needed, once."""

    def __init__(self, settings: Settings, extra: Iterable[object] = ()) -> None:
        """Load the plugins; no account is opened yet."""
        self.settings = settings
        self.plugins = Plugins(extra)
        self._key = journal_key(settings)
        self._open: dict[str, OpenAccount] = {}
        self._lock = threading.Lock()
        forks.watch(self)

    def pause(self) -> bool:
        """Let a thread that opens an account finish before this process forks."""
        return self._lock.acquire(timeout=forks.PATIENCE)

    def resume(self) -> None:
        """Go on, in the parent and in the child."""
        self._lock.release()

    @property
    def lease(self) -> float:
        """Return for how long, in seconds, whoever takes an order is trusted to report."""
        return self.settings.journal.lease or self.settings.transport.deadline + _REPORTING

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the configured accounts, sorted."""
        return tuple(sorted(self.settings.accounts))

    def account(self, name: str) -> OpenAccount:
        """Return an account, opened.

        Raises:
            UnknownAccount: the configuration has no such account; the known ones are listed.
            ConfigurationError: its table, its driver or its keys cannot be used.
        """
        with self._lock:
            if name not in self._open:
                self._open[name] = self._opened(name)
            return self._open[name]

    def provider(self, name: str) -> Provider:
        """Return the driver of an account without opening it."""
        if name not in self.settings.accounts:
            known = ", ".join(self.names) or "none"
            raise UnknownAccount(f"no account {name!r} in the configuration; known: {known}")
        provider = self.settings.accounts[name].get("provider")
        if not isinstance(provider, str):
            raise ConfigurationError(f"accounts.{name}: the key 'provider' is missing")
        return self.plugins.provider(provider)

    def resolve(self, key: Key, state: State, reason: str, by: str) -> Plan[Payment | Payout]:
        """Plan to write down what a person found out about an order; its account need not be configured any more."""
        return _unasked(key, _as_result(resolving(key, state, reason, by, self._terms()), key.kind))

    def give_up(self, record: Record, cause: Exception) -> Plan[Record]:
        """Plan what becomes of an order that a sweep could not ask about."""
        return _unasked(record.facts.key, giving_up(record, cause, self._terms()))

    def _opened(self, name: str) -> OpenAccount:
        provider = self.provider(name)
        config = account_config(self.settings, name, provider.info.config)
        terms = self._terms(provider.info.capabilities.schedule)
        return OpenAccount(provider, config, self.plugins, terms, self._key)

    def _terms(self, schedule: Schedule = Schedule()) -> Terms:  # noqa: B008 - frozen
        return Terms(
            lease=self.lease,
            patience=self.settings.transport.deadline,
            schedule=schedule,
            window=self.settings.notifications.window,
            keep=self.settings.journal.keep_seconds != 0,
        )


def _unasked(key: Key, steps: Recorded[R]) -> Plan[R]:
    """Plan steps that ask no provider."""
    return Plan(account=key.account, provider="", steps=steps)
