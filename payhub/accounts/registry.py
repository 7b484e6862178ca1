"""Open accounts: a driver, its configuration, and who is asked for each operation."""

import contextlib
import copy
import time
from collections.abc import Iterable
from typing import Any, TypeVar

from payhub.accounts.account import OpenAccount
from payhub.accounts.config import Settings, account_config, journal_key, namespace_of
from payhub.accounts.plugins import Plugins, Provider
from payhub.driver import Schedule
from payhub.errors import ConfigurationError, PayhubError, UnknownAccount
from payhub.journal import Key, forks
from payhub.journal.rules import LONGEST_JITTER
from payhub.models import Order, Result
from payhub.operations import OrderKind, kind_named
from payhub.plans.advance import Visit, give_up
from payhub.plans.create import recall
from payhub.plans.find import find_order
from payhub.plans.plan import Place, Plan, Steps, Timing
from payhub.plans.resolve import Outcome, resolve
from payhub.plans.rules import check_order_id, check_words

T = TypeVar("T")
OrderT = TypeVar("OrderT", bound=Order)
ResultT = TypeVar("ResultT", bound=Result)

_REPORTING = 30.0  # seconds that a sender has to report, beyond the deadline of its call

REMEMBERED = 5.0
"""Seconds for which an account that could not be opened is not tried again."""


class Registry:
    """The accounts of a configuration, each opened once, when it is first needed."""

    def __init__(self, settings: Settings, extra: Iterable[object] = ()) -> None:
        """Load the plugins; no account is opened yet."""
        self.settings = settings
        self.plugins = Plugins(extra)
        self._key = journal_key(settings)
        # An account's own lock: who loads keys that do not come, or are slow to decrypt, holds up no other account.
        self._locks = {name: forks.new_lock() for name in settings.accounts}
        self._open: dict[tuple[str, bool], OpenAccount] = {}
        self._failed: dict[tuple[str, bool], tuple[float, PayhubError]] = {}

    @property
    def lease(self) -> float:
        """Return for how long, in seconds, a caller that has taken an order may take to report."""
        return self.settings.journal.lease or self.settings.transport.deadline + _REPORTING

    @property
    def longest(self) -> float:
        """Return how far ahead, in seconds, anything may be due: the longest pause between two questions, or lease."""
        pauses = [Schedule().longest]
        for name in self.names:
            with contextlib.suppress(ConfigurationError):  # an account that cannot be opened asks nothing
                pauses.append(self.provider(name).info.capabilities.schedule.longest)
        return max(max(pauses) * LONGEST_JITTER, self.lease, self.settings.notifications.window)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the configured accounts, sorted."""
        return tuple(sorted(self.settings.accounts))

    def account(self, name: str) -> OpenAccount:
        """Return an account, opened. One that could not be opened is not tried again for some seconds.

        Raises:
            UnknownAccount: the configuration has no such account; the known ones are listed.
            ConfigurationError: its table, its driver or its keys cannot be used, or another name in another namespace
                stands for it, too.
        """
        return (type(name) is str and self._open.get((name, False))) or self._once(name, receives=False)

    def receiver(self, name: str) -> OpenAccount:
        """Return an account that verifies what is delivered, opened without the keys that sign; see `account`."""
        return (type(name) is str and self._open.get((name, False))) or self._once(name, receives=True)

    def _once(self, name: str, *, receives: bool) -> OpenAccount:
        check_words(account=name)
        provider, place = self.provider(name), (name, receives)
        with self._locks[name]:
            if place not in self._open:
                until, cause = self._failed.get(place, (0.0, None))
                if cause and time.monotonic() < until:
                    raise copy.copy(cause)
                try:
                    self._open[place] = self._opened(name, provider, receives=receives)
                except PayhubError as failure:
                    # The copy has no traceback, and so none of the secrets that one holds on to.
                    self._failed[place] = time.monotonic() + REMEMBERED, copy.copy(failure)
                    raise
            return self._open[place]

    def _opened(self, name: str, provider: Provider, *, receives: bool) -> OpenAccount:
        config = account_config(self.settings, name, provider.info.config)
        timing = self._timing(provider.info.capabilities.schedule)
        opened = OpenAccount(provider, config, self.plugins, timing, self._place(name), receives=receives)
        for twin in self.twins(name):
            if namespace_of(self.settings, twin) != opened.place.namespace:
                raise ConfigurationError(
                    f"accounts.{name}: is the same account with its provider as {twin!r}, in another "
                    "namespace: one order_id would stand for two orders there; give both one namespace"
                )
        return opened

    def twins(self, name: str) -> tuple[str, ...]:
        """Return the other names that stand for the same account with its provider; what cannot be read has none."""
        provider = self.provider(name)
        mine = account_config(self.settings, name, provider.info.config).identity
        found: list[str] = []
        for other in self.names:
            with contextlib.suppress(Exception):  # its table may have any mistake, which is said where it is opened
                if other != name and self.provider(other) is provider:
                    theirs = account_config(self.settings, other, provider.info.config)
                    namespace_of(self.settings, other)
                    found += [other] if theirs.identity == mine else []
        return tuple(found)

    def provider(self, name: str) -> Provider:
        """Return the driver of an account without opening it."""
        check_words(account=name)
        if name not in self.settings.accounts:
            known = ", ".join(self.names) or "none"
            raise UnknownAccount(f"no account {name!r} in the configuration; known: {known}")
        provider = self.settings.accounts[name].get("provider")
        if not isinstance(provider, str):
            raise ConfigurationError(f"accounts.{name}: the key 'provider' is missing")
        return self.plugins.provider(provider)

    def recall(self, name: str, kind: OrderKind[OrderT, ResultT], order: OrderT) -> Plan[ResultT | None]:
        """Plan to look whether an order is live already; no account is opened, and this one need not be usable."""
        steps = recall(kind, order, self._place(name), self.settings.transport.deadline)
        return Plan(account=name, provider="", steps=steps)

    def find(self, kind: OrderKind[Any, ResultT], order_id: str, namespace: str) -> Plan[ResultT | None]:
        """Plan to look up what became of an order, with whichever account it is or was."""
        check_words(namespace=namespace)
        return Plan(account="", provider="", steps=find_order(kind, check_order_id(order_id), namespace))

    def resolve(self, key: Key, outcome: Outcome, reason: str, by: str) -> Plan[Result]:
        """Plan to write down what a person found out about an order; its account need not be configured any more."""
        check_words(account=key.account)
        kind = kind_named(key.kind)
        timing = self._timing_of(key.account)
        return _unasked(key, resolve(key, kind, outcome, reason=reason, by=by, timing=timing))

    def give_up(self, key: Key, cause: Exception) -> Plan[Visit]:
        """Plan what becomes of an order that a sweep could not ask about."""
        return _unasked(key, give_up(key, cause, self._timing_of(key.account)))

    def _place(self, name: str) -> Place:
        if type(name) is not str:
            check_words(account=name)
        return Place(name, namespace_of(self.settings, name), self._key)

    def _timing_of(self, name: str) -> Timing:
        """Return an account's timing; where its driver cannot be found, that of the default schedule."""
        try:
            schedule = self.provider(name).info.capabilities.schedule
        except ConfigurationError:
            return self._timing()
        return self._timing(schedule)

    def _timing(self, schedule: Schedule = Schedule()) -> Timing:  # noqa: B008 - frozen
        return Timing(
            lease=self.lease,
            patience=self.settings.transport.deadline,
            schedule=schedule,
            window=self.settings.notifications.window,
            keep_exchanges=self.settings.journal.keep_seconds != 0,
        )


def _unasked(key: Key, steps: Steps[T]) -> Plan[T]:
    """Plan steps that ask no provider."""
    return Plan(account=key.account, provider="", steps=steps)
