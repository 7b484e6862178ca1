"""Offer every operation on every account: `Hub` for threads, `AsyncHub` for event loops."""

import contextvars
import datetime as dt
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

import anyio

from payhub.accounts import config
from payhub.accounts.config import Settings
from payhub.accounts.registry import Registry
from payhub.driver import DEFAULT_NAMESPACE
from payhub.errors import ConfigurationError
from payhub.journal import Health, Key
from payhub.journal.rules import OVERDUE, WAITING
from payhub.masking import HiddenFields
from payhub.models import (
    AccountInfo,
    Balance,
    Delivery,
    Notification,
    Order,
    Payment,
    PaymentOrder,
    Payout,
    PayoutOrder,
    Received,
    Ref,
    Result,
    ReturnedPayer,
    plain_order_id,
)
from payhub.money import Money
from payhub.operations import (
    ACCOUNT_INFO,
    BALANCE,
    NOTIFICATION,
    PAYMENT,
    PAYMENTS,
    PAYOUT,
    RETURN,
    OrderKind,
    kind_named,
)
from payhub.plans.advance import Visit
from payhub.plans.plan import Plan
from payhub.plans.resolve import Outcome
from payhub.plans.rules import check_order, check_order_id, check_period, check_seconds
from payhub.plans.sweep import Turns
from payhub.ticket import Lang, Ticket
from payhub.transport.runner import AsyncRunner, Runner
from payhub.transport.signals import is_from_signal

OrderT = TypeVar("OrderT", bound=Order)
ResultT = TypeVar("ResultT", bound=Result)


def _in_threads(
    threads: Executor, visit: Callable[[str, dt.datetime], Visit | None], accounts: Sequence[str], due: dt.datetime
) -> list[Visit | None]:
    """Give each account its turn, side by side; a single one in the calling thread, where a signal interrupts it."""
    if len(accounts) == 1:
        return [visit(accounts[0], due)]
    turns = [threads.submit(contextvars.copy_context().run, visit, account, due) for account in accounts]
    return [turn.result() for turn in turns]


async def _in_tasks(
    visit: Callable[[str, dt.datetime], Awaitable[Visit | None]], accounts: Sequence[str], due: dt.datetime
) -> list[Visit | None]:
    """Give each account its turn, side by side."""
    visits: list[Visit | None] = [None] * len(accounts)
    failures: list[Exception] = []

    async def take_turn(place: int) -> None:
        try:
            visits[place] = await visit(accounts[place], due)
        except Exception as cause:  # noqa: BLE001 - raised below, as it is and not in a group
            failures.append(cause)

    async with anyio.create_task_group() as tasks:
        for place in range(len(accounts)):
            tasks.start_soon(take_turn, place)
    if failures:
        raise failures[0]
    return visits


def _ref(order_id: str | None, provider_id: str | None, amount: Money | None) -> Ref:
    """Name an order; a UUID or a whole number is a text, but one that is the provider's stays as it is."""
    theirs = provider_id if isinstance(provider_id, str) else plain_order_id(provider_id)
    return Ref(order_id=plain_order_id(order_id), provider_id=theirs, amount=amount)


class _Hub:
    """Share how both hubs are made."""

    def __init__(self, settings: Settings, plugins: Iterable[object] = ()) -> None:
        """Load the plugins and take the configuration; nothing is opened or connected yet."""
        self._registry = Registry(settings, plugins)
        self.journal = config.open_journal(settings, keyed=True)
        self._closed = False

    @property
    def registry(self) -> Registry:
        """Return the accounts.

        Raises:
            ConfigurationError: the hub is closed.
        """
        self._require_open()
        return self._registry

    def _require_open(self) -> None:
        """Refuse to do anything more once the hub is closed; it would connect anew, and nobody would close that."""
        if self._closed:
            raise ConfigurationError("this hub is closed; make a new one")

    @classmethod
    def from_file(cls, path: str | Path | None = None, *, plugins: Iterable[object] = ()) -> Self:
        """Make a hub from a file: the one given, else `PAYHUB_CONFIG`, else `payhub.toml` here.

        `plugins` are the application's own: modules or objects with hook implementations.
        """
        return cls(config.read_file(path), plugins)

    @classmethod
    def from_mapping(cls, tables: Mapping[str, Any], *, base: str | Path = ".", plugins: Iterable[object] = ()) -> Self:
        """Make a hub from a mapping of the same form as payhub.toml; paths are relative to `base`."""
        tables = HiddenFields(tables)
        return cls(config.read_mapping(tables, base), plugins)

    @property
    def accounts(self) -> tuple[str, ...]:
        """Return the names of the configured accounts."""
        return self.registry.names


class Hub(_Hub):
    """Take payments and make payouts through any configured account, from threads.

    One hub serves any number of threads. Use it as a context manager, or `close` it.
    """

    def __init__(self, settings: Settings, plugins: Iterable[object] = ()) -> None:
        """Open the pool of connections; see `from_file` and `from_mapping`."""
        super().__init__(settings, plugins)
        self._runner = Runner(settings.transport, self.registry.plugins.observers(), self.journal)

    def __enter__(self) -> Self:
        """Return the hub."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the hub."""
        self.close()

    def close(self) -> None:
        """Close the connections and the journal; whatever is asked of the hub from then on is refused."""
        self._closed = True
        self._runner.close()
        self.journal.close()

    def create_payment(self, account: str, order: PaymentOrder) -> Payment:
        """Create a payment; if this raises a `PayhubError`, this call moved nothing, and another account may be tried.

        That is safe because an order has one live leg: while it may have moved money with any account, what is
        recorded there is returned, whichever account is named and whatever is broken now. Creating the same order
        again is always safe, too. An unknown outcome is returned, with `status=UNKNOWN`: ask for it.

        Raises:
            InvalidOrder: refused here; the field is named.
            OrderConflict: the order_id stands for another order; the account and the field are named.
            NotSent: nothing left this machine.
            Declined: the provider refused for good.
            ConfigurationError: the account cannot be used.
            JournalFailed: it could not be looked up, or not written down first; nothing was sent.
        """
        return self._create(account, PAYMENT, order)

    def create_payout(self, account: str, order: PayoutOrder) -> Payout:
        """Create a payout; if this raises a `PayhubError`, this call moved nothing, and another account may be tried.

        That is safe because an order has one live leg: while it may have moved money with any account, what is
        recorded there is returned, whichever account is named and whatever is broken now. Creating the same order
        again is always safe, too. An unknown outcome is returned, with `status=UNKNOWN`: ask for it.

        Raises:
            InvalidOrder: refused here; the field is named.
            OrderConflict: the order_id stands for another order; the account and the field are named.
            NotSent: nothing left this machine.
            Declined: the provider refused for good.
            ConfigurationError: the account cannot be used.
            JournalFailed: it could not be looked up, or not written down first; nothing was sent.
        """
        return self._create(account, PAYOUT, order)

    def _create(self, account: str, kind: OrderKind[OrderT, ResultT], order: OrderT) -> ResultT:
        registry, order = self.registry, check_order(kind, order)
        known = self._runner.run(registry.recall(account, kind, order))
        return known if known is not None else self._runner.run(registry.account(account).create(kind, order))

    def find(self, kind: str, order_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> Result | None:
        """Return what the journal knows of an order, with whichever account it is; nobody is asked.

        If it is live with no account, this is what became of its last leg.
        """
        known: Result | None = self._runner.run(self.registry.find(kind_named(kind), order_id, namespace))
        return known

    def fetch_payment(
        self, account: str, *, order_id: str | None = None, provider_id: str | None = None, amount: Money | None = None
    ) -> Payment:
        """Ask for a payment's status; with `amount`, compare the answer with what was ordered.

        Raises:
            NotFound: the provider does not know it; this proves nothing about money.
            Unavailable: no usable answer; ask again later.
        """
        ref = _ref(order_id, provider_id, amount)
        return self._runner.run(self.registry.account(account).fetch(PAYMENT, ref))

    def fetch_payout(
        self, account: str, *, order_id: str | None = None, provider_id: str | None = None, amount: Money | None = None
    ) -> Payout:
        """Ask for a payout's status; with `amount`, compare the answer with what was ordered.

        Raises:
            NotFound: the provider does not know it; this proves nothing about money.
            Unavailable: no usable answer; ask again later.
        """
        ref = _ref(order_id, provider_id, amount)
        return self._runner.run(self.registry.account(account).fetch(PAYOUT, ref))

    def read_notification(self, account: str, delivery: Delivery) -> Notification:
        """Verify a provider's notification and return what its signature covers; nothing else is touched.

        A notification is a hint, and may be an old one sent again: ask with `fetch_payment` or
        `fetch_payout` before you credit anybody.

        Raises:
            BadNotification: not authentic, or not readable.
        """
        return self.registry.receiver(account).verify(NOTIFICATION, delivery)

    def read_return(self, account: str, delivery: Delivery) -> ReturnedPayer:
        """Verify with what a payer's browser came back to the success page, and return who it is.

        It says nothing about money: ask with `fetch_payment`.

        Raises:
            BadNotification: not authentic, or not readable.
        """
        return self.registry.receiver(account).verify(RETURN, delivery)

    def receive(self, account: str, delivery: Delivery, *, ask: bool = True) -> Received:
        """Verify a provider's notification and keep it; answer it when this has returned.

        It changes no order by itself. If the result says `ask`, the provider is to be asked now:
        answer the delivery first, then call `advance`. If that is not done, a sweep does it when the
        lease has ended; with `ask=False` the result never says so, and a sweep does it at once.

        Raises:
            BadNotification: not authentic, or not readable; nothing is kept. Answer 400.
            JournalFailed: it could not be kept. Answer 503, and the provider sends it again.
        """
        return self._runner.run(self.registry.receiver(account).receive(delivery, ask=ask))

    def advance(self, account: str, kind: str, order_id: str) -> Result:
        """Take an order as far as it can go now: ask the provider about it, never send it again.

        Safe to call at any time, any number of times, from any process.

        Raises:
            UnknownOrder: the journal does not know the order.
        """
        plan: Plan[Result] = self.registry.account(account).advance(kind_named(kind), check_order_id(order_id))
        return self._runner.run(plan)

    def resolve(self, account: str, kind: str, order_id: str, outcome: Outcome, *, reason: str, by: str) -> Result:
        """Settle an order by what a person found out, or correct how it is recorded; kept permanently.

        `reason` says how it was found out, with the provider's support say, `by` who says so. An order
        that the provider still works on, or that is just being sent, cannot be settled so. For as long
        as the schedule asks, the provider is asked about it from then on; what contradicts is flagged.

        Raises:
            UnknownOrder: the journal does not know the order.
            IllegalStep: the order is in a state that is not a person's to change; nothing is changed.
                Or another account has the order, and is named: this one keeps its state and is
                contradicted, for it may have been paid twice.
        """
        key = Key(account, kind, check_order_id(order_id))
        return self._runner.run(self.registry.resolve(key, outcome, reason, by))

    def sweep(self, limit: int = 100, *, account: str | None = None, concurrency: int = 1) -> tuple[Result, ...]:
        """Advance the orders that are due, `limit` at most, and return what is known of them then.

        Accounts take turns. One that does not answer costs a sweep one deadline, and its other orders are
        left to the next one. An order whose account cannot be used, or that cannot be asked about, is
        logged, and due again later. `account` leaves the others' orders alone; up to `concurrency`
        orders are asked about at once, in threads.

        Raises:
            UnknownAccount: the configuration has no such account.
        """
        found = self.sweeping(limit, account=account, concurrency=concurrency)
        return tuple(result for result in found if result is not None)

    def sweeping(
        self, limit: int = 100, *, account: str | None = None, concurrency: int = 1
    ) -> Iterator[Result | None]:
        """Advance the orders that are due, as they are iterated over; stop at any time. See `sweep`.

        `None` stands for an order that could not be asked about; it is logged. Each is claimed just
        before it is asked about, so that others take the rest.
        """
        longest, due = self.registry.longest, self.journal.now()
        if account is not None:
            self.registry.provider(account)  # a mistyped name is not an account that has nothing due
        found = [account] if account is not None else self.journal.due_accounts(due, longest)
        turns = Turns(found, limit, concurrency)
        with ThreadPoolExecutor(concurrency, "payhub-sweep") as threads:  # which begins no thread before it needs one
            while accounts := turns.take():
                for name, visit in zip(accounts, _in_threads(threads, self._visit, accounts, due), strict=True):
                    turns.report(name, visit)
                    if visit is not None:
                        yield visit.result
        self.journal.note_sweep()

    def _visit(self, account: str, due: dt.datetime) -> Visit | None:
        """Ask about the order of an account that has been due for longest; `None` if there is none."""
        claimed = self.journal.claim(1, self.registry.lease, due, account, self.registry.longest)
        if not claimed:
            return None
        key = claimed[0]
        try:
            return self._runner.run(self.registry.account(key.account).visit(kind_named(key.kind), key.order_id))
        except Exception as cause:  # one order must not keep the others from being asked about
            if is_from_signal(cause):
                raise
            return self._runner.run(self.registry.give_up(key, cause))

    def health(self, *, overdue: float = OVERDUE, waiting: float = WAITING) -> Health:
        """Tell how the orders are, for a monitor: whether somebody asks about them, and what waits for a person.

        An order is overdue if it has been due for so many seconds: nobody sweeps, or its account does not
        answer. One that is unknown, needs attention or is contradicted has been waiting if it has not changed
        for so many.
        """
        self._require_open()
        check_seconds(overdue=overdue, waiting=waiting)
        return self.journal.health(overdue, waiting)

    def ticket(self, account: str, kind: str, order_id: str, *, lang: Lang = "en", internal: bool = False) -> Ticket:
        """Make what the provider's support needs to find out what became of an order; nothing is sent or asked.

        An `internal` ticket also tells what happened on our side, and is not for the provider.

        Raises:
            UnknownOrder: the journal does not know the order.
        """
        self._require_open()
        key = Key(account, kind, check_order_id(order_id))
        return Ticket.of(key, *self.journal.story(key.order_id), lang=lang, internal=internal)

    def fetch_balance(self, account: str) -> Balance:
        """Ask for the account's balance.

        Raises:
            Unavailable: no usable answer; ask again later.
        """
        return self._runner.run(self.registry.account(account).ask(BALANCE))

    def fetch_account_info(self, account: str) -> AccountInfo:
        """Ask what the account is allowed to do.

        Raises:
            Unavailable: no usable answer; ask again later.
        """
        return self._runner.run(self.registry.account(account).ask(ACCOUNT_INFO))

    def list_payments(self, account: str, *, first: dt.date, last: dt.date) -> tuple[Payment, ...]:
        """List the payments of a period, both days included.

        Raises:
            ConfigurationError: these are no days, or the first is after the last.
            Unavailable: no usable answer; ask again later.
        """
        period = check_period(first, last)
        return self._runner.run(self.registry.account(account).ask(PAYMENTS, period=period))


class AsyncHub(_Hub):
    """Take payments and make payouts through any configured account, from an event loop.

    The methods, arguments and errors are those of `Hub`, awaited. Use it as an asynchronous
    context manager, or `close` it. In another event loop, of asyncio or trio, it connects anew.
    """

    def __init__(self, settings: Settings, plugins: Iterable[object] = ()) -> None:
        """Open the pool of connections; see `from_file` and `from_mapping`."""
        super().__init__(settings, plugins)
        self._runner = AsyncRunner(settings.transport, self.registry.plugins.observers(), self.journal)

    async def __aenter__(self) -> Self:
        """Return the hub."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the hub."""
        await self.close()

    async def close(self) -> None:
        """Close the connections and the journal; see `Hub.close`."""
        self._closed = True
        await self._runner.close()
        self.journal.close()

    async def create_payment(self, account: str, order: PaymentOrder) -> Payment:
        """Create a payment; see `Hub.create_payment`."""
        return await self._create(account, PAYMENT, order)

    async def create_payout(self, account: str, order: PayoutOrder) -> Payout:
        """Create a payout; see `Hub.create_payout`."""
        return await self._create(account, PAYOUT, order)

    async def _create(self, account: str, kind: OrderKind[OrderT, ResultT], order: OrderT) -> ResultT:
        order = check_order(kind, order)
        known = await self._runner.run(self.registry.recall(account, kind, order))
        if known is not None:
            return known
        return await self._runner.run(self.registry.account(account).create(kind, order))

    async def find(self, kind: str, order_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> Result | None:
        """Return what the journal knows of an order; see `Hub.find`."""
        known: Result | None = await self._runner.run(self.registry.find(kind_named(kind), order_id, namespace))
        return known

    async def fetch_payment(
        self, account: str, *, order_id: str | None = None, provider_id: str | None = None, amount: Money | None = None
    ) -> Payment:
        """Ask for a payment's status; see `Hub.fetch_payment`."""
        ref = _ref(order_id, provider_id, amount)
        return await self._runner.run(self.registry.account(account).fetch(PAYMENT, ref))

    async def fetch_payout(
        self, account: str, *, order_id: str | None = None, provider_id: str | None = None, amount: Money | None = None
    ) -> Payout:
        """Ask for a payout's status; see `Hub.fetch_payout`."""
        ref = _ref(order_id, provider_id, amount)
        return await self._runner.run(self.registry.account(account).fetch(PAYOUT, ref))

    async def read_notification(self, account: str, delivery: Delivery) -> Notification:
        """Verify a provider's notification; see `Hub.read_notification`."""
        return self.registry.receiver(account).verify(NOTIFICATION, delivery)

    async def read_return(self, account: str, delivery: Delivery) -> ReturnedPayer:
        """Verify with what a payer's browser came back; see `Hub.read_return`."""
        return self.registry.receiver(account).verify(RETURN, delivery)

    async def receive(self, account: str, delivery: Delivery, *, ask: bool = True) -> Received:
        """Verify a provider's notification and keep it; see `Hub.receive`."""
        return await self._runner.run(self.registry.receiver(account).receive(delivery, ask=ask))

    async def advance(self, account: str, kind: str, order_id: str) -> Result:
        """Take an order as far as it can go now; see `Hub.advance`."""
        plan: Plan[Result] = self.registry.account(account).advance(kind_named(kind), check_order_id(order_id))
        return await self._runner.run(plan)

    async def resolve(
        self, account: str, kind: str, order_id: str, outcome: Outcome, *, reason: str, by: str
    ) -> Result:
        """Settle an order by what a person found out; see `Hub.resolve`."""
        key = Key(account, kind, check_order_id(order_id))
        return await self._runner.run(self.registry.resolve(key, outcome, reason, by))

    async def sweep(self, limit: int = 100, *, account: str | None = None, concurrency: int = 1) -> tuple[Result, ...]:
        """Advance the orders that are due, up to `concurrency` at once, as tasks; see `Hub.sweep`."""
        found = self.sweeping(limit, account=account, concurrency=concurrency)
        return tuple([result async for result in found if result is not None])

    async def sweeping(
        self, limit: int = 100, *, account: str | None = None, concurrency: int = 1
    ) -> AsyncIterator[Result | None]:
        """Advance the orders that are due, as they are iterated over; see `Hub.sweeping`."""
        due, longest = await self._runner.in_thread(self.journal.now), self.registry.longest
        if account is not None:
            self.registry.provider(account)
        due_accounts = functools.partial(self.journal.due_accounts, due, longest)
        found = [account] if account is not None else await self._runner.in_thread(due_accounts)
        turns = Turns(found, limit, concurrency)
        while accounts := turns.take():
            for name, visit in zip(accounts, await _in_tasks(self._visit, accounts, due), strict=True):
                turns.report(name, visit)
                if visit is not None:
                    yield visit.result
        await self._runner.in_thread(self.journal.note_sweep)

    async def _visit(self, account: str, due: dt.datetime) -> Visit | None:
        """Ask about the order of an account that has been due for longest; see `Hub._visit`."""
        lease, longest = self.registry.lease, self.registry.longest
        claimed = await self._runner.in_thread(self.journal.claim, 1, lease, due, account, longest)
        if not claimed:
            return None
        key = claimed[0]
        try:
            plan = self.registry.account(key.account).visit(kind_named(key.kind), key.order_id)
            return await self._runner.run(plan)
        except Exception as cause:  # one order must not keep the others from being asked about
            if is_from_signal(cause):
                raise
            return await self._runner.run(self.registry.give_up(key, cause))

    async def health(self, *, overdue: float = OVERDUE, waiting: float = WAITING) -> Health:
        """Tell how the orders are, for a monitor; see `Hub.health`."""
        self._require_open()
        check_seconds(overdue=overdue, waiting=waiting)
        return await self._runner.in_thread(self.journal.health, overdue, waiting)

    async def ticket(
        self, account: str, kind: str, order_id: str, *, lang: Lang = "en", internal: bool = False
    ) -> Ticket:
        """Make a ticket of an order; see `Hub.ticket`."""
        self._require_open()
        key = Key(account, kind, check_order_id(order_id))
        told = await self._runner.in_thread(self.journal.story, key.order_id)
        return Ticket.of(key, *told, lang=lang, internal=internal)

    async def fetch_balance(self, account: str) -> Balance:
        """Ask for the account's balance; see `Hub.fetch_balance`."""
        return await self._runner.run(self.registry.account(account).ask(BALANCE))

    async def fetch_account_info(self, account: str) -> AccountInfo:
        """Ask what the account is allowed to do; see `Hub.fetch_account_info`."""
        return await self._runner.run(self.registry.account(account).ask(ACCOUNT_INFO))

    async def list_payments(self, account: str, *, first: dt.date, last: dt.date) -> tuple[Payment, ...]:
        """List the payments of a period; see `Hub.list_payments`."""
        return await self._runner.run(self.registry.account(account).ask(PAYMENTS, period=check_period(first, last)))
