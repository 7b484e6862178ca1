"""Answer payouts, and questions about them, in every way that a provider or a network can get wrong.

Each trial is an order of its own. Right after the wrong answer, and again after the same order was
submitted again, its row must say `unknown` or `needs_attention`, and nothing may have been sent a
second time. Once the judge tells the truth again, sweeps must find out.
"""

import functools
from collections.abc import Collection, Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from payhub import Hub
from payhub.journal import Key
from payhub.journal.states import State, status_of
from payhub.models import Result
from torture.claims import find_broken_claims, finish
from torture.judge import FIRST_ID, Fault, Judge, render_answer
from torture.processes import start
from torture.report import Bench, Finding, Found
from torture.shop import ACCOUNT, Shop, order, submit

_HTML = "<!doctype html><title>502</title><h1>Bad Gateway</h1>"
_REFUSAL = '{"message":"The given data was invalid.","errors":{"amount":["too much"]}}'
_WRONG = (
    "null",
    "[]",
    "{}",
    '"ok"',
    "17",
    '{"id":1}',
    '{"payment_status":"paid"}',
    '{"payment_status":7,"id":1}',
    '{"payment_status":"paid","id":',
    '{"payment_status":"fail","id":null}',
    '{"payment_status":"fail","id":""}',
    '{"error":"fail"}',
    '{"errors":["fail"],"payment_status":"fail","id":1}',
    '{"message":"Payout not found"}',
    "\ufeff{}",
    '{"payment_status":"wait","id":true}',
    "[" * 5000,
)
_NO_SUMS = (
    '{"payment_status":"wait","id":1,"amount":"NaN"}',
    '{"payment_status":"wait","id":1,"amount":[1]}',
    '{"payment_status":"wait","id":1,"amount":"1e400","currency":"RUB"}',
    '{"payment_status":"wait","id":1,"currency":"rouble"}',
)
_DEADLINE = 1.5  # seconds; a question that is answered 5xx is repeated until then, so the long version is not patient
_STEADY = 30.0  # seconds; an answer that is right after all comes within them on any machine
_PARTS = 6  # processes side by side: most of their time is spent waiting

_UNKNOWN = frozenset({State.UNKNOWN, State.NEEDS_ATTENTION})
_OPEN = _UNKNOWN | {State.PENDING}


class _Trial(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    order_id: str
    fault: Fault
    expected: frozenset[State] = _UNKNOWN
    lied: bool = False
    right: bool = False
    twin: str | None = None


class _Wrong(NamedTuple):
    """A wrong answer, and the states that an order may be in after it.

    `lied` contradicts the order. `right` is right after all, and to be believed.
    """

    kind: str
    fault: Fault
    expected: frozenset[State] = _UNKNOWN
    lied: bool = False
    right: bool = False


def _statuses() -> Iterator[_Wrong]:
    """Give every status but 200, with the right body and with others, accepted or not.

    A head of 1xx, but 101, is no answer yet: HTTP says that one follows. Here none does, or the
    right one, or none within the deadline.
    """
    for status in range(100, 600):
        if status == _PROMISED:
            continue
        kind = f"HTTP {status // 100}xx"
        end: Literal["keep", "close"] = "close" if status < _PROMISED and status != _SWITCHING else "keep"
        for accept in (True, False):
            for body in (None, *_BODIES):
                yield _Wrong(kind, Fault(status=status, accept=accept, body=body, end=end))
    for status in (100, 102, 103):
        yield _Wrong("HTTP 1xx, then the right answer", Fault(interim=status), frozenset({State.PENDING}), right=True)
        yield _Wrong("HTTP 1xx, then no answer", Fault(interim=status, cut=30, end="stall"))


def _damaged(example: bytes) -> Iterator[_Wrong]:
    """Cut the answer at each of its bytes, send none of it, or send something else."""
    for place in range(len(example)):
        yield _Wrong("cut at a byte of the answer", Fault(cut=place, end="close"))
        yield _Wrong("reset at a byte of the answer", Fault(cut=place, end="reset"))
    for place in (0, 1, 20, len(example) - 1):
        yield _Wrong("stall", Fault(cut=place, end="stall"))
    for accept in (True, False):
        yield _Wrong("empty", Fault(accept=accept, body=""))
        yield _Wrong("HTML", Fault(accept=accept, body=_HTML, kind="text/html"))
        yield _Wrong("too large", Fault(accept=accept, pad=1 << 20))
        for body in _WRONG:
            yield _Wrong("wrong JSON", Fault(accept=accept, body=body))


def _contrary(on: str) -> Iterator[_Wrong]:
    """Speak of another order, another amount, another currency, whatever the status."""
    yield _Wrong("another order's order_id", Fault(change={"order_id": "another"}), lied=True)
    yield _Wrong("another order's order_id", Fault(change={"order_id": "0"}), lied=True)
    yield _Wrong("an empty order_id", Fault(change={"order_id": ""}), lied=True)
    if on == "status":
        yield _Wrong("another payout's id", Fault(change={"id": 5}), _OPEN, lied=True)
    for body in _NO_SUMS:
        yield _Wrong("a sum that cannot be read", Fault(body=body), lied=True)
    for word in ("wait", "paid", "fail", "cancel"):
        for amount in ("1.00", "0", "-1", "1000000000000"):
            yield _Wrong("another amount", Fault(change={"amount": amount, "payment_status": word}), lied=True)
        change = {"amount": _ITS_OWN, "currency": "USD", "payment_status": word}
        yield _Wrong("another currency", Fault(change=change), lied=True)


_PROMISED = 200  # the one status that AliKassa's documents promise
_SWITCHING = 101
_ITS_OWN = "the order's own amount"
_BODIES = ('{"message":"Payout not found"}', _REFUSAL, '{"payment_status":"fail","id":5}', _HTML, "")


def wrong_answers(bench: Bench) -> Found:
    """Give every wrong answer to a create, and then to a status query, `trials` times; 0 is a sample."""
    with Judge() as judge:
        shop = Shop(directory=bench.directory / "shop", judge=judge, journal="sqlite:///payhub.db", deadline=_DEADLINE)
        if not bench.trials:
            return Found(give_answers(msgspec.structs.replace(bench, trials=1), shop, every=67))
        return Found(give_answers(bench, shop))


def give_answers(bench: Bench, shop: Shop, *, every: int = 1, always: Sequence[str] = ()) -> list[Finding]:
    """Give every n-th wrong answer, and return what came of it."""
    judge = shop.judge
    judge.order(waits=0)
    example = render_answer({"payment_status": "wait", "id": FIRST_ID}, Fault())
    trials = [
        trial
        for on in ("create", "status")
        for number in range(bench.trials)
        for place, wrong in enumerate((*_statuses(), *_damaged(example), *_contrary(on)))
        if (place + number) % every == 0 or {wrong.kind, f"HTTP {wrong.fault.status}"} & set(always)
        for trial in _trial(on, f"a-{on}-{number}-{place}", wrong)
    ]
    trials += [_twin(number) for number in range(bench.trials)]
    hub = shop.hub()
    steady = shop.beside("steady", deadline=_STEADY, lease=2 * _STEADY).hub()
    works = [functools.partial(_carried_out, hub, steady, shop, trials[part::_PARTS]) for part in range(_PARTS)]
    parts = [start(work, seconds=1200) for work in works]
    problems = [problem for part in parts for problem in part.returned(list[str])]
    submitted = [trial.order_id for trial in trials] + [trial.twin for trial in trials if trial.twin]
    problems += finish(shop, hub, submitted)
    problems += find_broken_claims(shop, submitted, excused={trial.order_id for trial in trials if trial.lied})
    return _findings(trials, problems)


def _trial(on: Literal["create", "status"], order_id: str, wrong: _Wrong) -> Iterator[_Trial]:
    """Make a trial; a status query is answered wrongly until the judge forgets the fault."""
    if on == "status" and not wrong.fault.accept:
        return  # that is about creates
    own = str(order(order_id).amount.amount)
    change = {name: own if value == _ITS_OWN else value for name, value in wrong.fault.change.items()}
    fault = msgspec.structs.replace(wrong.fault, on=on, change=change, times=1 if on == "create" else 0)
    asked = frozenset({State.SUCCEEDED}) if wrong.right else _OPEN
    expected = wrong.expected if on == "create" else asked
    yield _Trial(
        kind=f"{wrong.kind}, to a {on}",
        order_id=order_id,
        fault=fault,
        expected=expected,
        lied=wrong.lied,
        right=wrong.right,
    )


def _twin(number: int) -> _Trial:
    """Refuse a create, and name in the answer the payout of another order, of the same amount, that is paid."""
    twin, order_id = f"a-id-{number}~1", f"a-id-{number}~2"
    fault = Fault(accept=False, instead=twin)
    return _Trial(kind="another order's payout, to a create", order_id=order_id, fault=fault, expected=_OPEN, twin=twin)


def _carried_out(hub: Hub, steady: Hub, shop: Shop, trials: Sequence[_Trial]) -> list[str]:
    problems = []
    with hub, steady:
        for trial in trials:
            shop.judge.order({trial.order_id: [trial.fault]}, of=trial.order_id)
            try:
                problems += [
                    f"{trial.order_id}: {words}" for words in _tried(steady if trial.right else hub, shop, trial)
                ]
                shop.judge.order(forget=[trial.order_id], of=trial.order_id)
            except Exception as cause:  # noqa: BLE001 - whatever is raised here is a finding
                problems.append(f"{trial.order_id}: raised {type(cause).__name__}: {cause}")
    return problems


def _tried(hub: Hub, shop: Shop, trial: _Trial) -> Iterator[str]:
    if trial.twin:
        submit(hub, trial.twin, shop.judge)
    asking = trial.fault.on == "status"
    payout = submit(hub, trial.order_id, shop.judge)
    yield from _wrong(hub, trial, payout, _OPEN if asking else trial.expected)
    for _ in range(2 if asking else 0):
        yield from _wrong(hub, trial, hub.advance(ACCOUNT, "payout", trial.order_id), trial.expected)
    again = submit(hub, trial.order_id, shop.judge)
    yield from _wrong(hub, trial, again, trial.expected)
    received = shop.judge.verdict(trial.order_id).received[trial.order_id]
    if received != 1:
        yield f"sent {received} times"


def _wrong(hub: Hub, trial: _Trial, payout: Result, expected: Collection[State]) -> Iterator[str]:
    record = hub.journal.find(Key(ACCOUNT, "payout", trial.order_id))
    if record is None:
        yield "has no row"
    elif record.state not in expected:
        yield f"the journal says {record.state} after {trial.kind}"
    if payout.status not in map(status_of, expected):
        yield f"the caller got {payout.status} after {trial.kind}"


def _findings(trials: Sequence[_Trial], problems: Sequence[str]) -> list[Finding]:
    by_kind: dict[str, list[str]] = {}
    for trial in trials:
        by_kind.setdefault(trial.kind, []).append(trial.order_id)
    failed: dict[str, list[str]] = {}
    for problem in problems:
        failed.setdefault(problem.split(":")[0], []).append(problem)
    known = {order_id for order_ids in by_kind.values() for order_id in order_ids}
    found = [
        Finding(
            fault=kind,
            trials=len(order_ids),
            failures=tuple(problem for order_id in order_ids for problem in failed.get(order_id, ())),
        )
        for kind, order_ids in by_kind.items()
    ]
    elsewhere = tuple(problem for name, mine in failed.items() if name not in known for problem in mine)
    return found + [Finding(fault="afterwards", trials=len(trials), failures=elsewhere)] * bool(elsewhere)
