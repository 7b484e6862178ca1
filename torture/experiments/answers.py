"""Answer payouts, and questions about them, in every way that a provider or a network can get wrong.

Each trial is an order of its own. Right after the wrong answer, and again after the same order was
submitted again, its row must say `unknown` or `needs_attention`, and nothing may have been sent a
second time. Once the judge tells the truth again, sweeps must find out.
"""

from collections.abc import Iterator, Sequence

import msgspec

from payhub import Hub, Payment, Payout, Status
from payhub.journal import Key
from payhub.journal.states import State
from torture.claims import broken, finish
from torture.judge import FIRST_ID, Fault, Judge, written_answer
from torture.processes import start
from torture.report import Bench, Finding
from torture.shop import ACCOUNT, Shop, opened, order

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
    '{"payment_status":"wait","id":1,"amount":"NaN"}',
    '{"payment_status":"wait","id":1,"amount":[1]}',
    '{"payment_status":"wait","id":1,"amount":"1e400","currency":"RUB"}',
    '{"payment_status":"wait","id":true}',
    "[" * 5000,
)
_PARTS = 6  # processes side by side: most of their time is spent waiting

_UNKNOWN = frozenset({State.UNKNOWN, State.NEEDS_ATTENTION})
_OPEN = _UNKNOWN | {State.PENDING}


class _Trial(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    order_id: str
    fault: Fault
    expected: frozenset[State] = _UNKNOWN
    lied: bool = False
    twin: str | None = None


def _kinds(on: str, example: bytes) -> Iterator[tuple[str, Fault, frozenset[State], bool]]:
    """Name every wrong answer; `example` is a right one, for the places to cut at."""
    for status in range(100, 600):
        if status == 200:  # noqa: PLR2004 - the one status that AliKassa's documents promise
            continue
        kind = f"HTTP {status // 100}xx"
        # A head of 1xx but 101 is no answer yet: HTTP says that one follows, and here none does.
        end = "keep" if status >= 200 or status == 101 else "close"  # noqa: PLR2004
        for accept in (True, False):
            yield kind, Fault(status=status, accept=accept, end=end), _UNKNOWN, False  # type: ignore[arg-type]
            for body in ('{"message":"Payout not found"}', _REFUSAL, '{"payment_status":"fail","id":5}', _HTML, ""):
                yield kind, Fault(status=status, accept=accept, body=body, end=end), _UNKNOWN, False  # type: ignore[arg-type]
    for status in (100, 102, 103):
        right = frozenset({State.PENDING})
        yield "HTTP 1xx, then the right answer", Fault(interim=status), right, False
        yield "HTTP 1xx, then no answer", Fault(interim=status, cut=30, end="stall"), _UNKNOWN, False
    for place in range(len(example)):
        yield "cut at a byte of the answer", Fault(cut=place, end="close"), _UNKNOWN, False
        yield "reset at a byte of the answer", Fault(cut=place, end="reset"), _UNKNOWN, False
    for place in (0, 1, 20, len(example) - 1):
        yield "stall", Fault(cut=place, end="stall"), _UNKNOWN, False
    for accept in (True, False):
        yield "empty", Fault(accept=accept, body=""), _UNKNOWN, False
        yield "HTML", Fault(accept=accept, body=_HTML, kind="text/html"), _UNKNOWN, False
        yield "too large", Fault(accept=accept, body=" " * (1 << 20 | 1)), _UNKNOWN, False
        for body in _WRONG:
            yield "wrong JSON", Fault(accept=accept, body=body), _UNKNOWN, False
    for order_id in ("another", "", "0"):
        states = _UNKNOWN if order_id else _OPEN
        yield "another order's order_id", Fault(change={"order_id": order_id}), states, bool(order_id)
    if on == "status":
        yield "another payout's id", Fault(change={"id": 5}), _OPEN, True
    for amount in ("1.00", "0", "-1", "1000000000000"):
        for word in ("wait", "paid", "fail", "cancel"):
            change = {"amount": amount, "payment_status": word}
            yield "another amount", Fault(change=change), _UNKNOWN, True
    for word in ("wait", "paid", "fail", "cancel"):
        yield "another currency", Fault(change={"amount": "AMOUNT", "currency": "USD", "payment_status": word}), _UNKNOWN, True


def wrong_answers(bench: Bench) -> list[Finding]:
    """Give every wrong answer to a create, and then to a status query, `trials` times."""
    with Judge() as judge:
        shop = Shop(directory=bench.directory / "shop", judge=judge, journal="sqlite:///payhub.db")
        return answered(bench, shop)


def answered(bench: Bench, shop: Shop, *, every: int = 1, always: Sequence[str] = ()) -> list[Finding]:
    """Give every n-th wrong answer, and return what came of it."""
    judge = shop.judge
    judge.order(waits=0)
    example = written_answer({"payment_status": "wait", "id": FIRST_ID}, Fault())
    trials = []
    for on in ("create", "status"):
        for number in range(bench.trials):
            for place, (kind, fault, expected, lied) in enumerate(_kinds(on, example)):
                skipped = (place + number) % every and f"HTTP {fault.status}" not in always and kind not in always
                if skipped or (on == "status" and not fault.accept):
                    continue
                order_id = f"a-{on}-{number}-{place}"
                change = {k: str(order(order_id).amount.amount) if v == "AMOUNT" else v for k, v in fault.change.items()}
                made = msgspec.structs.replace(fault, on=on, change=change, times=1 if on == "create" else 0)
                trials.append(
                    _Trial(
                        kind=f"{kind}, to a {on}",
                        order_id=order_id,
                        fault=made,
                        expected=expected if on == "create" else _OPEN,
                        lied=lied,
                    )
                )
    trials += [_twin(number) for number in range(bench.trials)]
    hub = shop.hub()
    parts = [start(lambda part=part: _carried_out(hub, shop, trials[part::_PARTS]), seconds=900) for part in range(_PARTS)]  # type: ignore[misc]
    problems = [problem for part in parts for problem in part.returned(list[str])]
    submitted = [trial.order_id for trial in trials] + [trial.twin for trial in trials if trial.twin]
    problems += finish(shop, hub, submitted)
    problems += broken(shop, submitted, excused={trial.order_id for trial in trials if trial.lied})
    return _findings(trials, problems)


def _twin(number: int) -> _Trial:
    """Refuse a create, and name in the answer the payout of another order, of the same amount, that is paid."""
    twin, order_id = f"a-id-{number}~1", f"a-id-{number}~2"
    fault = Fault(accept=False, instead=twin)
    return _Trial(kind="another order's payout, to a create", order_id=order_id, fault=fault, expected=_OPEN, twin=twin)


def _carried_out(hub: Hub, shop: Shop, trials: Sequence[_Trial]) -> list[str]:
    problems = []
    with opened(hub):
        for trial in trials:
            shop.judge.order({trial.order_id: [trial.fault]}, of=trial.order_id)
            try:
                problems += [f"{trial.order_id}: {words}" for words in _tried(hub, shop, trial)]
                shop.judge.order(forget=[trial.order_id], of=trial.order_id)
            except Exception as cause:  # noqa: BLE001 - whatever is raised here is a finding
                problems.append(f"{trial.order_id}: raised {type(cause).__name__}: {cause}")
    return problems


def _tried(hub: Hub, shop: Shop, trial: _Trial) -> Iterator[str]:
    if trial.twin:
        hub.create_payout(ACCOUNT, order(trial.twin))
    payout = hub.create_payout(ACCOUNT, order(trial.order_id))
    yield from _wrong(hub, trial, payout)
    if trial.fault.on == "status":
        for _ in range(2):
            yield from _wrong(hub, trial, hub.advance(ACCOUNT, "payout", trial.order_id))
    again = hub.create_payout(ACCOUNT, order(trial.order_id))
    yield from _wrong(hub, trial, again)
    received = shop.judge.verdict(trial.order_id).received[trial.order_id]
    if received != 1:
        yield f"sent {received} times"


def _wrong(hub: Hub, trial: _Trial, payout: Payment | Payout) -> Iterator[str]:
    record = hub.journal.find(Key(ACCOUNT, "payout", trial.order_id))
    if record is None:
        yield "has no row"
    elif record.state not in trial.expected:
        yield f"the journal says {record.state} after {trial.kind}"
    if payout.status.final or (payout.status is Status.PENDING and State.PENDING not in trial.expected):
        yield f"the caller was told {payout.status} after {trial.kind}"


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
