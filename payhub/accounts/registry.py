"""Open accounts: a driver, its configuration, and who is asked for each operation."""

import threading
from collections.abc import Iterable
from typing import TypeVar

from payhub.accounts.account import OpenAccount
from payhub.accounts.config import Settings, account_config, journal_key
from payhub.accounts.plugins import Plugins, Provider
from payhub.driver import Schedule
from payhub.errors import ConfigurationError, UnknownAccount
from payhub.journal import Key, Record, State, forks
from payhub.models import Result
from payhub.operations import kind_named
from payhub.plans.advance import give_up
from payhub.plans.plan import Plan, Steps, Timing
from payhub.plans.resolve import resolve

T = TypeVar("T")

_REPORTING = 30.0  # seconds that a sender has to report, beyond the deadline of its call


class Registry:
    """The accounts of a configuration, each opened once, when it is first needed."""

    def __init__(self, settings: Settings, extra: Iterable[object] = ()) -> None:
        """Load the plugins; no account is opened yet."""
        self.settings = settings
        self.plugins = Plugins(extra)
        self._key = journal_key(settings)
        self._open: dict[str, OpenAccount] = {}
        self._lock = threading.Lock()
        forks.register(self)

    def pause(self) -> bool:
        """Let a thread that opens an account finish before this process forks."""
        return self._lock.acquire(timeout=forks.PATIENCE)

    def resume(self) -> None:
        """Go on, in the parent and in the child."""
        self._lock.release()

    @property
    def lease(self) -> float:
        """Return for how long, in seconds, a caller that has taken an order may take to report."""
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

    def resolve(self, key: Key, state: State, reason: str, by: str) -> Plan[Result]:
        """Plan to write down what a person found out about an order; its account need not be configured any more."""
        kind = kind_named(key.kind)
        return _unasked(key, resolve(key, kind, state, reason=reason, by=by, timing=self._timing()))

    def give_up(self, record: Record, cause: Exception) -> Plan[Record]:
        """Plan what becomes of an order that a sweep could not ask about."""
        return _unasked(record.facts.key, give_up(record, cause, self._timing()))

    def _opened(self, name: str) -> OpenAccount:
        provider = self.provider(name)
        config = account_config(self.settings, name, provider.info.config)
        timing = self._timing(provider.info.capabilities.schedule)
        return OpenAccount(provider, config, self.plugins, timing, self._key)

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
