"""Let two orders live through every sequence of deliveries, faults, restarts and operators, over three accounts.

Hypothesis draws the sequences. The hubs, plans and journals are the real ones; the providers are in
this process, accept whatever they are sent, and know the truth. After every step it must be true
that no order was accepted twice (rule 2), that a call which raised moved nothing, and raised nothing
about an order that a provider has (rule 3), and that what was final still is, unless an operator or
the provider's own taking back says otherwise (rule 8).
"""

import contextlib
import functools
import shutil
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from payhub import Hub, IllegalStep, JournalFailed, PayhubError, Payout, PayoutOrder, Status, hookimpl
from payhub.driver import ProviderInfo, Schedule
from payhub.journal import Record, State
from payhub.journal.rules import is_live
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.tables import tables
from payhub.testing import fake, forget_memory
from payhub.transport.http import httpcore, httpx
from payhub.transport.pool import AT_ONCE
from payhub.transport.runner import Runner
from torture.experiments.evidence import FINAL, QUICK, play
from torture.market import BROKEN, SPELLINGS, Accounts, Veto, order_id, provider_of, spelled
from torture.report import Bench, Finding, Found

_STEPS = 14
"""How many steps a sequence has at most."""

_NAMES = ("a", "b", "c")
_ORDERS = (0, 1)
_LEASE, _DEADLINE = 0.12, 0.04  # seconds; a call that a busy machine does not make in time was not sent

_BREAKABLE = sorted(set(BROKEN) - {"its certificate missing", "its variable unset", "its currency changed"})
"""What may be wrong with an account of the fake provider, which has no keys and no currency."""

_FAULTS = (
    "refused", "declined", "accepted, then cut", "cut before accepting", "accepted, 503", "accepted, another amount",
    "killed before sending", "killed after accepting",
)  # fmt: skip


# In half of the accounts nothing goes wrong, and of the rest more moves nothing than its share: there a call raises.
_ANY_FAULT = st.sampled_from([*[""] * 12, *_FAULTS, *["refused", "declined"] * 2])
_ANY_FAULTS = st.lists(_ANY_FAULT, min_size=len(_NAMES), max_size=len(_NAMES))

_DECIDABLE = frozenset({State.UNKNOWN, State.NEEDS_ATTENTION})
"""The states in which an operator is asked what became of an order."""


class _Killed(BaseException):
    """The end of a process that was killed: nothing that follows happens."""


class _Providers(httpx.BaseTransport):
    """The providers of all accounts: what each has accepted, as which word, and what goes wrong next.

    They stand in the place of a pool of connections.
    """

    def __init__(self, tally: Counter[str]) -> None:
        self._tally = tally
        self.slots = threading.BoundedSemaphore(AT_ONCE)
        self.words: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.amounts: dict[str, tuple[str, str]] = {}
        self.faults: dict[str, str] = {}
        self.silent: set[str] = set()
        self.dead = mock.patch.object(Runner, "_carry_out", side_effect=_Killed)
        self.lies: dict[tuple[str, str], str] = {}

    def having(self, known: str) -> list[str]:
        """Return the accounts whose providers have an order, once for each time they accepted it."""
        return [name for (name, each), words in self.words.items() if each == known for w in words if w != "failed"]

    def accepted(self, known: str) -> int:
        """Return how often an order was accepted, whatever became of it."""
        return sum(len(words) for (_, each), words in self.words.items() if each == known)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        _, name, *path = request.url.path.split("/")
        asked = msgspec.json.decode(request.read())
        # What httpcore says when the first byte is about to leave.
        sent = httpcore.Request(request.method, str(request.url))
        leaves = functools.partial(
            request.extensions["trace"], "http11.send_request_headers.started", {"request": sent}
        )
        if path == ["payouts"]:
            return self._create(name, asked, leaves)
        leaves()
        if name in self.silent:
            self.silent.discard(name)
            raise httpx.ReadError("silent")
        known = asked.get("order_id") or asked["id"].partition("/")[2].partition("/")[0]
        words = self.words[name, known]
        if not words:
            return _response(404, {})
        return _response(200, self._order(name, known, self.lies.pop((name, known), words[-1])))

    def _create(self, name: str, asked: dict[str, str], leaves: Callable[[], object]) -> httpx.Response:
        fault, known = self.faults.pop(name, ""), asked["order_id"]
        if fault == "refused":
            raise httpx.ConnectError("refused")
        if fault == "killed before sending":
            self._kill()
        leaves()
        if fault == "declined":
            return _response(422, {"code": "limit", "text": "over the limit"})
        if fault == "cut before accepting":
            raise httpx.ReadError("cut")
        self.words[name, known].append("new")
        self._tally["orders accepted"] += 1
        self.amounts[known] = asked["amount"], asked["currency"]
        if fault == "killed after accepting":
            self._kill()
        if fault == "accepted, then cut":
            raise httpx.ReadError("cut")
        if fault == "accepted, 503":
            return _response(503, {})
        answer = self._order(name, known, "new")
        return _response(200, {**answer, "amount": "0.01"} if fault == "accepted, another amount" else answer)

    def _kill(self) -> NoReturn:
        self.dead.start()
        raise _Killed

    def _order(self, name: str, known: str, word: str) -> dict[str, str]:
        amount, currency = self.amounts[known]
        number = f"{name}/{known}/{len(self.words[name, known])}"
        return {"id": number, "order_id": known, "status": word, "amount": amount, "currency": currency}


def _response(status: int, fields: Mapping[str, str]) -> httpx.Response:
    return httpx.Response(status, stream=httpx.ByteStream(msgspec.json.encode(fields)))


class _AtOnce:
    """The fake driver, with a schedule that lets everything be asked about at once."""

    payhub_create_payout = staticmethod(fake.payhub_create_payout)
    payhub_fetch_payout = staticmethod(fake.payhub_fetch_payout)

    def __init__(self, until: float) -> None:
        """Say for how many seconds an open order is asked about."""
        self._schedule = Schedule(first=0.0, growth=1.0, longest=0.0, until=until)

    @hookimpl
    def payhub_provider(self) -> ProviderInfo:
        """Introduce the fake provider under another name."""
        info = fake.payhub_provider()
        schedule = msgspec.structs.replace(info.capabilities, schedule=self._schedule)
        payouts = {"create": {"payout": schedule.create["payout"]}, "fetch": {"payout": schedule.fetch["payout"]}}
        capabilities = msgspec.structs.replace(schedule, **payouts)
        return msgspec.structs.replace(info, name="fake-at-once", capabilities=capabilities)


class Switching(RuleBasedStateMachine):
    """Two orders and three accounts; what is told is compared with what the providers have."""

    def __init__(self, directory: Path, number: int, *, tally: Counter[str]) -> None:
        """Begin with orders that nobody knows; what is reached is counted in the tally."""
        super().__init__()
        self._tally = tally
        self._directory = directory
        self._ids = {which: order_id(3 * number + which) for which in _ORDERS}
        self._providers = _Providers(tally)
        self._patched = mock.patch.object(Runner, "_open_pool", return_value=self._providers)
        self._patched.start()
        self._hub: Hub | None = None
        self._final: dict[tuple[str, str], State] = {}
        self._lied: set[str] = set()
        self._lease_over = 0.0
        forget_memory()

    @initialize(kept=st.booleans(), faults=_ANY_FAULTS)
    def begin(self, faults: Sequence[str], *, kept: bool) -> None:
        """Choose where the journal is, in SQLite or in memory, and deliver an order.

        No rule has a precondition: what can be done depends on how fast the machine is, and what is drawn must not.
        """
        self._journal = {"url": f"sqlite:///{self._directory}/payhub.db", "key": "any" * 11} if kept else {}
        self.restart(None, "a", patient=True)
        self.deliver(0, 0, _NAMES, faults, renamed=False)

    @rule(how=st.sampled_from([None, None, *_BREAKABLE]), name=st.sampled_from(_NAMES), patient=st.booleans())
    def restart(self, how: str | None, name: str, *, patient: bool) -> None:
        """Start the application anew, with something wrong with an account, or nothing."""
        if self._hub is not None:
            self._hub.close()
        accounts: Accounts = {
            each: {"provider": "fake-at-once", "base_url": f"http://127.0.0.1:9/{each}"} for each in _NAMES
        }
        plugins: list[object] = [_AtOnce(1e6 if patient else 0.0)]
        if how is None:
            accounts |= {f"{each}-renamed": table for each, table in accounts.items()}
        elif "vetoed" in how:
            plugins.append(Veto(name))
        else:
            BROKEN[how](accounts, name)
        self._how = (how, name, patient)
        journal, transport = {**self._journal, "lease": _LEASE}, {"deadline": _DEADLINE}
        configuration = {"accounts": accounts, "journal": journal, "transport": transport}
        self._hub = Hub.from_mapping(configuration, plugins=plugins)

    @property
    def _application(self) -> Hub:
        assert self._hub is not None  # noqa: S101 - for the type checker
        return self._hub

    def _order(self, which: int, spelling: int) -> PayoutOrder:
        known: Any = self._ids[which]
        written = str(known) if spelling % 2 else known
        return msgspec.structs.replace(spelled(which, spelling), order_id=written, extra=None)

    @rule(
        which=st.sampled_from(_ORDERS),
        spelling=st.integers(0, SPELLINGS - 1),
        names=st.permutations(_NAMES),
        renamed=st.booleans(),
        faults=_ANY_FAULTS,
    )
    def deliver(self, which: int, spelling: int, names: Sequence[str], faults: Sequence[str], *, renamed: bool) -> None:
        """Do what the README shows: on any error of payhub's, try the next account; so, too, after a failure.

        Each account has a fault for the next create that its provider is sent, or none.
        """
        self._providers.faults = dict(zip(_NAMES, faults, strict=True))
        for name in [*names, *([f"{names[0]}-renamed"] if renamed else [])]:
            result = self._create(name, self._order(which, spelling))
            if result is not None and result.status is not Status.FAILED:
                return

    def _create(self, name: str, order: PayoutOrder) -> Payout | None:
        known = order.order_id
        having, before = self._providers.having(known), self._providers.accepted(known)
        try:
            result = self._application.create_payout(name, order)
        except _Killed:
            self._providers.dead.stop()
            self._tally["senders killed"] += 1
            self._lease_over = time.monotonic() + _LEASE
            self.restart(*self._how[:2], patient=self._how[2])
            return None
        except PayhubError as cause:
            self._tally["calls that raised"] += 1
            told = f"{type(cause).__name__} with {name}"
            _claim(self._providers.accepted(known) == before, f"rule 3: {told} was raised, and the call moved money")
            _claim(isinstance(cause, JournalFailed) or not having, f"rule 3: {told} was raised, and {having} has it")
            return None
        self._tally["orders answered from the record"] += bool(having)
        if having and known not in self._lied:
            _claim(provider_of(result.account) in having, f"rule 2: told the record of {result.account}, not {having}")
        return result

    @rule(which=st.sampled_from(_ORDERS), word=st.sampled_from(["done", "done", "failed", "returned"]))
    def go_on(self, which: int, word: str) -> None:
        """Let the provider that has an order pay it, fail with it, or take it back once it was paid; ask about it."""
        for (_, known), words in self._providers.words.items():
            if known == str(self._ids[which]) and (words[-1:], word) in _WAYS:
                words[-1] = word
        self._advance(which)

    @rule(silent=st.sampled_from(["", "", *_NAMES]), which=st.sampled_from(_ORDERS), sweeps=st.booleans())
    def ask(self, silent: str, which: int, *, sweeps: bool) -> None:
        """Ask about what is due, or about an order with each account that knows it; one may give no answer."""
        self._providers.silent = {silent}
        if sweeps:
            self._application.sweep(4)
        else:
            self._advance(which)

    def _advance(self, which: int) -> None:
        for leg in self._legs(which):
            with contextlib.suppress(PayhubError):
                self._application.advance(*leg.facts.key)

    def _fetch(self, account: str, which: int) -> None:
        """Fetch an order as an application that polls does; a success that is recorded is what it is told."""
        with contextlib.suppress(PayhubError):
            told = self._application.fetch_payout(account, order_id=str(self._ids[which]))
            paid = [leg for leg in self._legs(which) if leg.facts.account == account and leg.state is State.SUCCEEDED]
            _claim(not paid or told.status is Status.SUCCEEDED, f"rule 8: fetched {told.status} of what succeeded")

    @rule(which=st.sampled_from(_ORDERS), word=st.sampled_from(["new", "done", "failed", "canceled"]))
    def lie(self, which: int, word: str) -> None:
        """Let a provider that is asked about a final order deny what it said."""
        for leg in self._legs(which):
            place = provider_of(leg.facts.account), leg.facts.order_id
            if leg.state in FINAL and self._providers.words[place]:
                self._providers.lies[place] = word
                self._lied.add(leg.facts.order_id)
                self._fetch(leg.facts.account, which)
        self._providers.lies.clear()

    @rule(which=st.sampled_from(_ORDERS), name=st.sampled_from(_NAMES))
    def fetch(self, which: int, name: str) -> None:
        """Fetch an order, known to the account or not."""
        self._fetch(name, which)

    @rule()
    def wait(self) -> None:
        """Let the lease of a killed sender end."""
        time.sleep(max(0.0, self._lease_over - time.monotonic()))

    @rule(which=st.sampled_from(_ORDERS))
    def decide(self, which: int) -> None:
        """Let an operator say what became of an order that nobody else can tell, as its provider told him."""
        for leg in self._legs(which):
            key = leg.facts.key
            words = self._providers.words[provider_of(key.account), key.order_id]
            outcome = "failed" if words in ([], ["failed"]) else "succeeded" if words == ["done"] else None
            if outcome is not None and leg.state in _DECIDABLE:
                with contextlib.suppress(IllegalStep):
                    self._application.resolve(*key, outcome, reason="the chat said so", by="me")  # type: ignore[arg-type]
                    self._final[key.account, key.order_id] = State(outcome)
                    self._tally["orders settled by an operator"] += 1

    def _legs(self, which: int) -> tuple[Record, ...]:
        return self._application.journal.legs("default", "payout", str(self._ids[which]))

    @invariant()
    def once(self) -> None:
        """Rule 2: no order is accepted twice, unless the provider says that the first time failed."""
        for known in map(str, self._ids.values()):
            having = self._providers.having(known)
            _claim(len(having) <= 1, f"rule 2: accepted {len(having)} times, by {' and '.join(having)}")

    @invariant()
    def lasting(self) -> None:
        """Rules 2 and 8: one leg is live, and what was final is as it was."""
        if self._hub is None:
            return
        for which in _ORDERS:
            legs = self._legs(which)
            live = [leg.facts.account for leg in legs if is_live(leg) and not leg.contradicted]
            _claim(len(live) <= 1, f"rule 2: the legs of {live} are live")
            for leg in legs:
                place = leg.facts.account, leg.facts.order_id
                was = self._final.get(place, leg.state)
                returned = (was, leg.state) == (State.SUCCEEDED, State.REVERSED)
                _claim(was is leg.state or returned, f"rule 8: {was} became {leg.state}")
                if leg.state in FINAL:
                    self._tally["legs that became final"] += place not in self._final
                    self._final[place] = leg.state
                self._tally["legs contradicted, by steps"] += leg.contradicted
                if leg.state is State.SUCCEEDED:
                    told = self._application.find("payout", leg.facts.order_id)
                    _claim(told is not None and told.status is Status.SUCCEEDED, "rule 8: a success is not told")

    def teardown(self) -> None:
        """Let no sweep of the next sequence find these orders."""
        if self._hub is not None:
            if isinstance(self._hub.journal, SqlJournal):
                with self._hub.journal.database.engine.begin() as connection:
                    connection.execute(tables("payhub_").orders.update().values(due_at=None))
            self._hub.close()
        self._patched.stop()


_WAYS = ((["new"], "done"), (["new"], "failed"), (["done"], "returned"))
"""What may become of an accepted order."""


def _claim(holds: bool, words: str) -> None:  # noqa: FBT001 - a claim, and what its breach is called
    if not holds:
        raise AssertionError(words)


def any_sequence(bench: Bench) -> Found:
    """Play `trials` random sequences."""
    tally: Counter[str] = Counter()
    failures, played = play_sequences(bench, tally=tally)
    fault = "deliveries, faults, spellings, restarts and operators in any order; three accounts, memory or SQLite"
    reached = ", ".join(f"{count} {words}" for words, count in sorted(tally.items()))
    return Found([Finding(fault=fault, trials=played, failures=tuple(failures))], [f"What was reached: {reached}."])


_REACHED = ("orders accepted", "orders answered from the record", "calls that raised", "legs that became final")


def play_sequences(bench: Bench, *, shrink: bool = True, tally: Counter[str] | None = None) -> tuple[list[str], int]:
    """Play sequences until one breaks a claim, and return what broke and how many were played.

    Sequences in which nothing happens show nothing: of each hundred some must get somewhere.
    """
    tally = Counter() if tally is None else tally
    with _directory() as directory:
        make = functools.partial(Switching, directory, tally=tally)
        failures, played = play(bench, make, steps=_STEPS, shrink=shrink)
    if not failures:
        few = [f"{tally[words]} {words}" for words in _REACHED if tally[words] < played // 10]
        failures = [f"in {played} sequences only {', '.join(few)}"] if few else []
    return failures, played


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(dir=QUICK if QUICK.is_dir() else None))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
