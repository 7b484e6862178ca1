"""Decide whose order a sweep asks about next: accounts take turns, and one that does not answer has none any more."""

from collections import deque
from collections.abc import Iterable

from payhub.errors import ConfigurationError
from payhub.plans.advance import Visit


class Turns:
    """The turns of the accounts in one sweep; no I/O.

    Each account has a turn, and joins the queue again when its order was asked about. Until it has answered once it is
    asked one question at a time, so an account that does not answer costs a sweep one deadline; its other orders
    are left to the next sweep, as they are.
    """

    def __init__(self, accounts: Iterable[str], limit: int, concurrency: int) -> None:
        """Begin with the accounts that have orders due, in this order.

        `limit` is the most orders to ask about, `concurrency` the most at once.

        Raises:
            ConfigurationError: they are no whole numbers, or not even one may be asked about at once.
        """
        for name, number in {"limit": limit, "concurrency": concurrency}.items():
            if not isinstance(number, int):
                raise ConfigurationError(f"{name}: must be a whole number")
        if concurrency < 1:
            raise ConfigurationError("concurrency: one at least")
        self._most = concurrency
        self._waiting = deque(accounts)
        self._answering: set[str] = set()
        self._left = limit

    def take(self) -> list[str]:
        """Take the accounts whose next orders are asked about now, side by side; none if the sweep is at its end."""
        taken: list[str] = []
        while self._waiting and len(taken) < min(self._most, self._left):
            account = self._waiting.popleft()
            taken.append(account)
            if account in self._answering:
                self._waiting.append(account)
        self._left -= len(taken)
        return taken

    def report(self, account: str, visit: Visit | None) -> None:
        """Note how a turn went: `None` if nothing of the account's was due."""
        self._left += visit is None
        if visit is None or visit.silent:
            self._answering.discard(account)
            self._waiting = deque(each for each in self._waiting if each != account)
        elif account not in self._answering:
            self._answering.add(account)
            self._waiting.append(account)
