"""Break payhub on purpose, one rule at a time, and see that an experiment notices.

Each broken build is a patch of named functions in a process of its own, where a small version of
one experiment then runs. It is noticed if the very claim is broken that the rule stands for: a
worker that crashed, or any other complaint, is not that. The same small versions run on the
unbroken build, and must find nothing.
"""

import contextlib
import datetime as dt
import functools
import os
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from unittest import mock

import msgspec
import sqlalchemy as sa

from payhub.driver import Schedule
from payhub.errors import PayhubError
from payhub.exchanges.reply import Reply
from payhub.journal import Evidence, Facts, Intake, NotificationContent, Record, Reservation, Source, State, Why, rules
from payhub.journal.rules import overdue_sender, take_for_sending
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.database import Database
from payhub.journal.sql.migrate import upgrade
from payhub.journal.states import allowed, evidence_of
from payhub.models import Order, Phase
from payhub.operations import OrderKind
from payhub.plans import create
from payhub.plans.fetch import unanswered
from payhub.plans.identity import facts_of
from payhub.plans.plan import Account, Act, Attempt, Plan, Send, Steps, drive
from payhub.plans.settle import result_of
from payhub.transport.runner import Runner
from torture.experiments import answers, deaths, deliveries, evidence, kills, race, switching
from torture.experiments.ways import WAYS
from torture.judge import Judge
from torture.postgres import Postgres
from torture.processes import start
from torture.report import Bench, Finding, Found
from torture.shop import Shop


def _shop(bench: Bench, judge: Judge) -> Shop:
    return Shop(directory=bench.directory / "shop", judge=judge, journal="sqlite:///payhub.db")


def _killed(bench: Bench) -> Iterable[str]:
    with Judge() as judge:
        shop = kills.in_a_hurry(bench.directory / "shop", judge, "sqlite:///payhub.db")
        return kills.kill_workers(bench, shop, kills=100)[0]


def _answered(bench: Bench) -> Iterable[str]:
    some, always = (29, _ALWAYS) if bench.trials else (_NONE, _FEW)
    bench = bench.beside("answers", 1)
    with Judge() as judge:
        findings = answers.give_answers(bench, _shop(bench, judge), every=some, always=always)
    return [failure for finding in findings for failure in finding.failures]


_ALWAYS = ("HTTP 404", "HTTP 500", "another amount")
"""Answers that the small version does not skip; the sample has `_FEW` of them, and hardly any other."""
_FEW = ("HTTP 404", "HTTP 500")
_NONE = 1 << 30


def _sequenced(bench: Bench) -> Iterable[str]:
    return evidence.play_sequences(bench.beside("sequences", 200), shrink=False)[0]


def _raced(bench: Bench) -> Iterable[str]:
    with Judge() as judge:
        return race.race_once(_shop(bench, judge), "r", 50)


def _died(bench: Bench) -> Iterable[str]:
    findings = deaths.at_every_line(bench, only=WAYS[:1])[0]
    return [failure for finding in findings for failure in finding.failures]


def _redelivered(bench: Bench) -> Iterable[str]:
    with Judge() as judge:
        problems = deliveries.redeliver(bench, deliveries.shop(bench, judge), after=3, before=1)
    return [problem for each in problems.values() for problem in each]


def _replayed(bench: Bench) -> Iterable[str]:
    with Judge() as judge:
        problems = deliveries.replay(deliveries.shop(bench, judge), 100)[0]
    return [problem for each in problems.values() for problem in each]


def _met(bench: Bench) -> Iterable[str]:
    with Postgres(bench.directory / "server") as server:
        return switching.meet(bench.beside("meeting", 3), server.database("meeting"))


def _to_broken(bench: Bench) -> Iterable[str]:
    return switching.to_broken(bench)[1]


def _in_other_words(bench: Bench) -> Iterable[str]:
    return switching.in_other_words(bench)[1]


class Build(NamedTuple):
    """A broken rule: how it is broken, which experiment has to notice, and by which broken claim.

    `claim` is a regular expression.
    """

    name: str
    patches: dict[str, Callable[..., Any]]
    noticed_by: Callable[[Bench], Iterable[str]]
    claim: str


def _sent_first(account: Account, kind: OrderKind[Any, Any], order: Order) -> Steps[Any]:
    """Look whether the order is known; send it; write it down."""
    facts = facts_of(kind.word, order, account.place, account.provider_name)
    flow = account.flow(kind.create, order=order)
    call_ = next(flow)
    known: Record | None = yield Act(lambda journal: journal.find(facts.key))
    if known is not None:
        return result_of(known, kind)
    result = account.named((yield from drive(flow, Attempt(), call_)))
    opened: Reservation = yield Act(lambda journal: journal.open(facts, account.timing.lease))
    if opened.yours:
        found = evidence_of(result, Source.ANSWER)
        yield Act(lambda journal: journal.settle(facts.key, found, account.timing.schedule))
    return result


_evidence_of_doubt: Any = vars(create)["_evidence_of_doubt"]
_try_once: Any = vars(Runner)["_try_once"]
_open: Any = vars(SqlJournal)["open"]
_lock: Any = vars(SqlJournal)["_lock"]
_update: Any = vars(SqlJournal)["_update"]
_cursor: Any = vars(Database)["cursor"]


def _twice_on_500(self: Runner, plan: Plan[Any], asked: Send, deadline: float) -> Reply:
    reply: Reply = _try_once(self, plan, asked, deadline)
    failed = reply.response is not None and reply.response.status >= 500  # noqa: PLR2004
    again: Reply = _try_once(self, plan, asked, deadline) if failed else reply
    return again


def _failed_on_404(cause: Exception, attempt: Attempt) -> Evidence:
    found: Evidence = _evidence_of_doubt(cause, attempt)
    return msgspec.structs.replace(found, state=State.FAILED) if found.http_status == 404 else found  # noqa: PLR2004


def _given_twice(self: SqlJournal, facts: Facts, lease: float) -> Reservation:
    """Give an order again, with a new lease, whose sender did not report in time."""
    opened: Reservation = _open(self, facts, lease)
    now = dt.datetime.now(dt.UTC)
    if opened.yours or overdue_sender(opened.record, now) is None:
        return opened
    with self.database.cursor() as cursor:
        row, record = _lock(self, cursor, facts.key)
        again = _update(self, cursor, row, record, take_for_sending(record, now, lease))
    return Reservation(again, yours=True)


class _Undo(Exception):
    """Nothing happened; a transaction is to be rolled back."""


@contextlib.contextmanager
def _rolled_back(self: Database, **how: bool) -> Iterator[Any]:
    """Open a transaction that leaves nothing behind."""
    with contextlib.suppress(_Undo), _cursor(self, **how) as cursor:
        yield cursor
        raise _Undo


def _not_committed(self: SqlJournal, facts: Facts, lease: float) -> Reservation:
    """Open an order, take it all back, and let the caller send it."""
    with mock.patch.object(Database, "cursor", _rolled_back):
        opened: Reservation = _open(self, facts, lease)
    if self.find(facts.key) is not None:
        raise RuntimeError("the order is there, although it was rolled back")
    return opened


def _absent_is_failed(cause: PayhubError) -> Evidence:
    found = unanswered(cause)
    return msgspec.structs.replace(found, state=State.FAILED) if found.why is Why.NOT_FOUND else found


def _cut_is_not_sent(_trace: object, cause: BaseException) -> Reply:
    return Reply(phase=Phase.NOT_SENT, problem=type(cause).__name__)


def _final_or_not(now: State, found: Evidence) -> bool:
    return (now in evidence.FINAL and found.state is not now) or allowed(now, found)


def _as_it_came(_kind: object, result: Any, _asked: object) -> Any:
    return result


def _as_it_came_in(result: Any, _record: object) -> Any:
    return result


def _everybodys(self: SqlJournal, facts: Facts, lease: float) -> Reservation:
    opened: Reservation = _open(self, facts, lease)
    return Reservation(opened.record, yours=True)


def _nobodys(_self: SqlJournal, *_: str) -> tuple[Record, ...]:
    """Find no leg, so that the second caller asks for the order, too."""
    return ()


def _answered_and_forgotten(self: SqlJournal, notice: NotificationContent, *_: object, **__: object) -> Intake:
    return Intake(1, self.find(notice.key), ask=False)


_note_notification: Any = vars(rules)["note_notification"]


def _always_news(*arguments: Any, **_: Any) -> Any:
    return _note_notification(*arguments, new=True)


def _believed(self: SqlJournal, notice: NotificationContent, *arguments: Any, **named: Any) -> Intake:
    """Keep a notification, and take its word for the provider's answer."""
    noticed: Intake = _notice(self, notice, *arguments, **named)
    if noticed.record is not None:
        said = Evidence(source=Source.STATUS, state=notice.state, provider_id=notice.provider_id, paid=notice.paid)
        self.settle(notice.key, said, Schedule())
    return noticed


_notice: Any = vars(SqlJournal)["keep_notification"]


def _without_index(engine: sa.Engine, prefix: str) -> bool:
    """Make the tables, and take away the index that keeps an order's second leg from becoming live."""
    made = upgrade(engine, prefix)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP INDEX uq_{prefix}orders_live")
    return made


def _recalls_nothing(*_: object) -> Steps[None]:
    """Look at no record before the account is opened."""
    yield from ()


def _as_written(number: Any, _separators: str = "") -> Any:
    return number


_PAID_TWICE = r"accepted \d+ times"

BUILDS = (
    Build(
        "the journal is written after sending", {"payhub.accounts.account.create": _sent_first}, _killed, _PAID_TWICE
    ),
    Build(
        "the journal is written after sending, and death at each line",
        {"payhub.accounts.account.create": _sent_first},
        _died,
        _PAID_TWICE,
    ),
    Build(
        "what is written before sending is not committed",
        {"payhub.journal.sql.journal.SqlJournal.open": _not_committed},
        _killed,
        "sent without a row in the journal",
    ),
    Build(
        "HTTP 500 is sent again",
        {"payhub.transport.runner.Runner._try_once": _twice_on_500},
        _answered,
        r"(sent|accepted) 2 times",
    ),
    Build(
        "HTTP 404 is a failure",
        {"payhub.plans.create._evidence_of_doubt": _failed_on_404},
        _answered,
        "the journal says failed after HTTP 4xx, to a create",
    ),
    Build(
        "a cut connection counts as not sent",
        {"payhub.transport.connection.CallTrace.fail": _cut_is_not_sent},
        _answered,
        _PAID_TWICE,
    ),
    Build(
        "an order is given again when the lease ends",
        {
            "payhub.journal.sql.journal.SqlJournal.open": _given_twice,
            "payhub.journal.sql.journal.SqlJournal.legs": _nobodys,
        },
        _died,
        _PAID_TWICE,
    ),
    Build(
        "settle ignores final states",
        {"payhub.journal.rules.allowed": _final_or_not},
        _sequenced,
        r"final state \w+ regressed",
    ),
    Build(
        "a status query's `not found` is a failure",
        {"payhub.plans.advance.unanswered": _absent_is_failed},
        _died,
        "never accepted, and the journal says failed",
    ),
    Build(
        "answers are not compared with the order",
        {"payhub.plans.create.compare": _as_it_came},
        _answered,
        r"the journal says \w+ after another amount, to a create",
    ),
    Build(
        "answers are not compared with the record",
        {"payhub.plans.advance.compare_with_record": _as_it_came_in},
        _answered,
        "never accepted, and the journal says succeeded",
    ),
    Build(
        "a notification is answered and not kept",
        {"payhub.journal.sql.journal.SqlJournal.keep_notification": _answered_and_forgotten},
        _redelivered,
        r"and kept, and the journal has \[\]",
    ),
    Build(
        "every repeat is a reason to ask",
        {"payhub.journal.rules.note_notification": _always_news},
        _replayed,
        r"the provider was asked \d+ times, \d+ are allowed",
    ),
    Build(
        "a notification is believed",
        {"payhub.journal.sql.journal.SqlJournal.keep_notification": _believed},
        _replayed,
        "the order is succeeded",
    ),
    Build(
        "every caller is given the order",
        {
            "payhub.journal.sql.journal.SqlJournal.open": _everybodys,
            "payhub.journal.sql.journal.SqlJournal.legs": _nobodys,
        },
        _raced,
        _PAID_TWICE,
    ),
    Build(
        "the database lets an order have two live legs", {"torture.postgres.upgrade": _without_index}, _met, _PAID_TWICE
    ),
    Build(
        "an account is opened before the order is looked up",
        {"payhub.accounts.registry.recall": _recalls_nothing},
        _to_broken,
        r"told \w+ with [abc][-\w]*, although a had accepted it",
    ),
    Build(
        "numbers are compared as they were written",
        {"payhub.models.plain_number": _as_written},
        _in_other_words,
        r"told OrderConflict with [abc], although a had accepted it",
    ),
)

SAMPLE = (
    "the journal is written after sending, and death at each line",
    "HTTP 500 is sent again",
    "HTTP 404 is a failure",
    "settle ignores final states",
    "every caller is given the order",
    "the database lets an order have two live legs",
    "an account is opened before the order is looked up",
    "numbers are compared as they were written",
)
"""The builds that the short version breaks."""


def break_rules(bench: Bench) -> Found:
    """Run every broken build, and the unbroken one, `trials` times; 0 is a sample, with smaller experiments."""
    builds = [build for build in BUILDS if bench.trials or build.name in SAMPLE]
    whole = [Build("nothing", {}, experiment, "") for experiment in dict.fromkeys(b.noticed_by for b in builds)]
    trials = bench.trials or 1
    works = [(build, f"build-{n}-{trial}") for n, build in enumerate(builds + whole) for trial in range(trials)]
    played = _played(bench, works)
    found = [judge_build(build, [next(played) for _ in range(trials)]) for build in builds]
    for build in whole:
        problems = tuple(problem for _ in range(trials) for problem in next(played))
        fault = f"the unbroken build, with the same small experiment ({build.noticed_by.__name__.strip('_')})"
        found.append(Finding(fault=fault, trials=trials, failures=problems))
    return Found(found)


def judge_build(build: Build, runs: Sequence[Sequence[str]]) -> Finding:
    """Judge by the broken claims of each run whether a build was noticed each time, for the right reason."""
    noticed = [[words for words in problems if re.search(build.claim, words)] for problems in runs]
    failures = [
        f"not noticed: nothing says {build.claim!r}; {len(problems)} other claims broken, e.g. {problems[:1]}"
        for problems, right in zip(runs, noticed, strict=True)
        if not right
    ]
    count = sum(map(len, noticed))
    example = textwrap.shorten(next((right[0] for right in noticed if right), ""), 120)
    return Finding(
        fault=f"broken build: {build.name}. {count} claims broken, e.g. {example!r}",
        trials=len(runs),
        failures=tuple(failures),
    )


def _played(bench: Bench, works: Sequence[tuple[Build, str]]) -> Iterator[list[str]]:
    """Run builds' experiments, each in a process of its own, some of a sample side by side; yield the broken claims."""
    at_once = 1 if bench.trials else _AT_ONCE
    for first in range(0, len(works), at_once):
        batch = works[first : first + at_once]
        for child in [start(functools.partial(_run, bench, *work), seconds=300) for work in batch]:
            yield child.returned(list[str])


_AT_ONCE = 3  # most of their time is spent waiting


def _run(bench: Bench, build: Build, name: str) -> list[str]:
    with open(bench.directory / f"{name}.log", "wb") as log:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(log.fileno(), 2)  # broken builds raise, and that is not news
    for target, substitute in build.patches.items():
        mock.patch(target, substitute).start()  # until the process ends
    return list(build.noticed_by(bench.beside(name, min(bench.trials, 1))))
