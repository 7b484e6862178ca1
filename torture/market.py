"""An application with several accounts, which switches between them by hand as the README's loop does.

Each account has a judge of its own as its provider. Orders are written in many ways, accounts are
renamed and broken, and what each call was told is noted beside when it was made.
"""

import contextlib
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from payhub import (
    AsyncHub,
    Hub,
    InvalidOrder,
    Money,
    PayhubError,
    Payout,
    PayoutOrder,
    Recipient,
    Status,
    ToBankAccount,
    ToCard,
    ToPhone,
    hookimpl,
)
from payhub.models import Destination
from payhub_alikassa import AliKassaPayout
from torture import provider
from torture.judge import Judge
from torture.shop import put_keys

Accounts = dict[str, dict[str, Any]]


# One order, written in many ways

_IDS = uuid.UUID("5c1cbf2c-4d7b-4f8b-9a53-0b6f5d4f4c11")


def order_id(number: int) -> str | int | uuid.UUID:
    """Return the id of an order: in turns a text, a UUID, and a whole number."""
    return (f"shop-{number}", uuid.uuid5(_IDS, str(number)), 1_000_000 + number)[number % 3]


_ARABIC = {ord("0") + digit: 0x660 + digit for digit in range(10)}
_CARDS = (
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4111\u00a01111\u20131111\u20111111",
    "4111 1111 1111 1111".translate(_ARABIC),
)
_PHONES = ("79031112233", "+79031112233", "+7 (903) 111-22-33")
_BANK_ACCOUNTS = ("40817810099910004312", "40817 810 0 9991 0004312")
_BANK = "100000000111"
_DESTINATIONS: Sequence[tuple[Callable[[str], Destination], Sequence[str]]] = (
    (ToCard, _CARDS),
    (lambda number: ToPhone(number, bank_code=_BANK), _PHONES),
    (lambda number: ToBankAccount(number, bic="044525225", bank_code=_BANK), _BANK_ACCOUNTS),
)
_RECIPIENTS = (None, Recipient())
_EXTRAS = (None, AliKassaPayout())
_RELEASES = (None, "https://shop.example/1", "https://shop.example/2")

SPELLINGS = len(_CARDS) * 2
"""In how many ways `spelled` writes an order at least once each."""


def spelled(number: int, spelling: int) -> PayoutOrder:
    """Write an order: the same one for a number, in another way for another spelling; 0 is the plain one."""
    chance = random.Random(number)  # noqa: S311 - no secret
    rubles = chance.randrange(100, 99_999)
    cents = "" if number % 2 else f".{chance.randrange(100):02}"
    destination, numbers = chance.choice(_DESTINATIONS)
    known: Any = order_id(number)
    return PayoutOrder(
        order_id=str(known) if spelling % 2 else known,
        amount=Money(f"{rubles}{cents or '.00' * (spelling % 2)}", "RUB"),
        to=destination(numbers[spelling % len(numbers)]),
        recipient=_RECIPIENTS[spelling // 2 % 2],
        extra=_EXTRAS[spelling // 3 % 2],
        notification_url=_RELEASES[spelling % 3],
    )


# The accounts, and what may be wrong with one


class Veto:
    """A plugin of the application that refuses every payout with one account."""

    def __init__(self, account: str) -> None:
        """Name the account."""
        self._account = account

    @hookimpl(wrapper=True)
    def payhub_create_payout(self, account: Any, order: PayoutOrder) -> Any:  # noqa: ARG002 - pluggy looks at names
        """Refuse."""
        if account.name == self._account:
            raise InvalidOrder("amount", "over the limit of today")
        return (yield)


def _renamed(accounts: Accounts, name: str) -> None:
    accounts[f"{name}-renamed"] = accounts.pop(name)


BROKEN: Mapping[str, Callable[[Accounts, str], object]] = {
    "removed": lambda accounts, name: accounts.pop(name),
    "renamed": _renamed,
    "its certificate missing": lambda accounts, name: accounts[name].update(payout_cert="not-mounted"),
    "its variable unset": lambda accounts, name: accounts[name].update(payout_password={"env": "PAYHUB_NOT_SET"}),
    "its driver gone": lambda accounts, name: accounts[name].update(provider="gone"),
    "its currency changed": lambda accounts, name: accounts[name].update(currency="USD"),
    "a typing mistake in its table": lambda accounts, name: accounts[name].update(payout_certt="cert"),
    "vetoed by a plugin": lambda _accounts, _name: None,
}
"""What may be wrong with an account in a deployment."""


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """One application's configuration: its journal, and its accounts with a judge each.

    `lease` and `deadline` are in seconds; a busy machine does not keep them, which is one more fault.
    """

    directory: Path
    judges: Mapping[str, Judge]
    journal: str
    lease: float = 1.0
    deadline: float = 0.5

    @property
    def database(self) -> str:
        """Return the journal's address, absolute."""
        return self.journal.replace("sqlite:///", f"sqlite:///{self.directory}/", 1)

    def prepare(self) -> None:
        """Make the directory and the keys."""
        self.directory.mkdir(parents=True, exist_ok=True)
        put_keys(self.directory)

    def accounts(self) -> Accounts:
        """Return the tables of the accounts, with nothing wrong."""
        return {
            name: {
                "provider": provider.NAME,
                "account": str(uuid.uuid5(_IDS, name)),
                "currency": "RUB",
                "base_url": judge.url,
                "payout_cert": "cert/payout",
            }
            for name, judge in self.judges.items()
        }

    def everywhere(self) -> Accounts:
        """Return the tables of the accounts under every name that they ever had, as whoever finishes needs them."""
        accounts = self.accounts()
        return {**accounts, **{f"{name}-renamed": table for name, table in accounts.items()}}

    def deployment(self, how: str, name: str) -> tuple[dict[str, Any], tuple[object, ...]]:
        """Return a configuration in which something is wrong with an account, and the plugins that it has."""
        accounts = self.accounts()
        BROKEN[how](accounts, name)
        return self.tables(accounts), (provider, *([Veto(name)] if "vetoed" in how else []))

    def tables(self, accounts: Accounts) -> dict[str, Any]:
        """Return a configuration with these accounts."""
        journal = {"url": self.journal, "key": "the secret key of all of this market", "lease": self.lease}
        return {"journal": journal, "transport": {"deadline": self.deadline}, "accounts": accounts}

    def hub(self, how: str | None = None, name: str = "") -> Hub:
        """Open a hub: whole, or with something wrong with an account."""
        tables, plugins = self._deployed(how, name)
        return Hub.from_mapping(tables, base=self.directory, plugins=plugins)

    def async_hub(self, how: str | None = None, name: str = "") -> AsyncHub:
        """Open an asynchronous hub: whole, or with something wrong with an account."""
        tables, plugins = self._deployed(how, name)
        return AsyncHub.from_mapping(tables, base=self.directory, plugins=plugins)

    def _deployed(self, how: str | None, name: str) -> tuple[dict[str, Any], tuple[object, ...]]:
        return self.deployment(how, name) if how else (self.tables(self.everywhere()), (provider,))

    def accepted(self, known: str) -> int:
        """Return how often all providers together have accepted an order."""
        return sum(judge.verdict(known).accepted.get(known, 0) for judge in self.judges.values())


def provider_of(account: str) -> str:
    """Return the name that an account had at first."""
    return account.partition("-")[0]


# The loop


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What one call was told: a status and by which account's record, or the error's name; and when it was made."""

    order_id: str
    account: str
    began: float
    word: str
    by: str | None = None


class Calls:
    """A file in which every process notes what its calls were told, one a line."""

    def __init__(self, path: Path) -> None:
        """Name the file."""
        self._path = path
        self._path.touch()
        self.last = ""
        """What this process's last call was told."""

    @contextlib.contextmanager
    def noted(self, known: str, account: str) -> Iterator[list[Payout]]:
        """Note what a call is told that is made within; an error of payhub's is noted and goes no further.

        The call puts what it returns into the list.
        """
        returned: list[Payout] = []
        began, word, by = time.monotonic(), "", None
        try:
            yield returned
        except PayhubError as cause:
            word = type(cause).__name__
        else:
            word, by = str(returned[0].status), returned[0].account
        self.last = word
        told = Told(order_id=known, account=account, began=began, word=word, by=by)
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND)  # a whole line at once, among many writers
        os.write(file, msgspec.json.encode(told) + b"\n")
        os.close(file)

    def read(self) -> list[Told]:
        """Return what all calls were told."""
        lines = self._path.read_bytes().splitlines()
        return [msgspec.json.decode(line, type=Told) for line in lines]


def deliver(hub: Hub, names: Sequence[str], order: PayoutOrder, calls: Calls) -> Payout | None:
    """Do what the README shows: on any error of payhub's, try the next account; so, too, after a failure."""
    for name in names:
        with calls.noted(order.order_id, name) as returned:
            returned.append(hub.create_payout(name, order))
        if returned and returned[0].status is not Status.FAILED:
            return returned[0]
    return None


async def deliver_async(hub: AsyncHub, names: Sequence[str], order: PayoutOrder, calls: Calls) -> Payout | None:
    """Do the same, awaited."""
    for name in names:
        with calls.noted(order.order_id, name) as returned:
            returned.append(await hub.create_payout(name, order))
        if returned and returned[0].status is not Status.FAILED:
            return returned[0]
    return None
