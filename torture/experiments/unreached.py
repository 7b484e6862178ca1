"""Judge what no way reaches: whole functions are named with a reason, single lines are printed and limited.

A function that no way enters is named here. In a function that a way does enter, no line is named: the
report prints those that were not reached, and their share is limited. Where money is sent, it is zero.
"""

import fnmatch
from collections.abc import Collection, Iterator, Mapping

from torture.lines import Line, source
from torture.report import Finding

ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "prepare a hub, before any order": (
        "payhub.journal.states.<genexpr>",
        "payhub.plans.identity.account_key",
        "payhub.plans.rules.<genexpr>",
        "payhub.journal.sql.statements.Statements.of",
        "payhub.journal.sql.database.Database.__init__",
        "payhub.journal.sql.engine.open_engine*",
        "payhub.journal.sql.engine.placed",
        "payhub.journal.sql.journal.SqlJournal.<lambda>",
        "payhub.journal.sql.journal.SqlJournal.__init__",
        "payhub.journal.sql.journal.SqlJournal.has_key",
        "payhub.journal.sql.note.Note.<lambda>",
        "payhub.journal.sql.note.Note.__init__",
        "payhub.journal.sql.rows.<genexpr>",
        "payhub.journal.sql.statements.<genexpr>",
        "payhub.journal.sql.statements.Statements.__init__*",
        "payhub.journal.sql.statements.Statements.of",
        "payhub.journal.sql.statements._into.*",
        "payhub.journal.sql.statements._reserve_slot*",
        "payhub.transport.pool.Pools.__init__",
        "payhub.transport.connection.timeouts*",
        "payhub.transport.pool.tls_context",
        "payhub.transport.quiet.install",
        "payhub.transport.settings.*",
        "payhub.transport.runner._Runner.__init__",
        "payhub.transport.runner._Runner._open_pool",
    ),
    "make the tables": (
        "payhub.journal.sql.migrate.*",
        "payhub.journal.sql.tables.*",
        "payhub.journal.sql.triggers.*",
    ),
    "connect to PostgreSQL, which `servers` and `freezes` kill": ("payhub.journal.sql.postgresql.*",),
    "keep nothing for another process": (
        "payhub.journal.memory.*",
        "payhub.journal.rules.is_closed",
        "payhub.journal.rules.is_due",
    ),
    "only read the journal": (
        "payhub.plans.find.*",
        "payhub.plans.rules.check_seconds",
        "payhub.journal.records.Health.healthy",
        "payhub.journal.records.OrderFilter.fits*",
        "payhub.journal.records.StoredNotification.entry",
        "payhub.journal.rules.is_listed",
        "payhub.journal.rules.is_overdue",
        "payhub.journal.rules.waits_for_person",
        "payhub.journal.states.status_of",
        "payhub.journal.sql.database.Database.as_it_is",
        "payhub.journal.sql.database.Database.connection",
        "payhub.journal.sql.database.Database.has_tables",
        "payhub.journal.sql.examination.*",
        "payhub.journal.sql.journal.SqlJournal._readable",
        "payhub.journal.sql.journal.SqlJournal.examine",
        "payhub.journal.sql.journal.SqlJournal.exchanges",
        "payhub.journal.sql.journal.SqlJournal.health",
        "payhub.journal.sql.journal.SqlJournal.notifications",
        "payhub.journal.sql.journal.SqlJournal.search",
        "payhub.journal.sql.journal.SqlJournal.story",
        "payhub.journal.sql.journal.SqlJournal.unsettled",
        "payhub.journal.sql.queries.*",
        "payhub.journal.sql.rows._named",
        "payhub.journal.sql.rows.act",
        "payhub.journal.sql.rows.attempt",
        "payhub.journal.sql.rows.evidence",
        "payhub.journal.sql.rows.exchange",
        "payhub.journal.sql.rows.notification",
        "payhub.journal.sql.rows.readable",
        "payhub.journal.states.status_of",
    ),
    "tidy up when nothing is under way": (
        "payhub.journal.rules.without_personal_data",
        "payhub.journal.sql.database.Database.close",
        "payhub.journal.sql.database.Database.empty_log",
        "payhub.journal.sql.journal.SqlJournal.close",
        "payhub.journal.sql.journal.SqlJournal.forget",
        "payhub.journal.sql.journal.SqlJournal.prune",
        "payhub.journal.sql.retention.*",
        "payhub.transport.runner.*.close",
    ),
    "agree to another journal, when a person does": (
        "payhub.journal.sql.journal.SqlJournal.accept",
        "payhub.journal.sql.note.Note.accept",
    ),
    "belong to forks, which the tests of the journal make": (
        "payhub.journal.forks.*",
        "payhub.journal.sql.database.Database._disconnect",
        "payhub.journal.sql.database.Database.pause",
        "payhub.journal.sql.database.Database.resume",
    ),
    "look again at a commit that was not acknowledged, which `servers` makes": (
        "payhub.journal.sql.journal.SqlJournal._was_committed",
    ),
    "receive notifications, where `deliveries` kills": (
        "payhub.journal.records.NotificationContent.key",
        "payhub.journal.rules.judge_before_query",
        "payhub.journal.rules.note_notification*",
        "payhub.journal.sql.journal.SqlJournal.keep_notification*",
        "payhub.plans.receive.*",
    ),
    "belong to payments, which go the way of payouts": (
        "payhub.plans.identity.payer_key",
        "payhub.plans.rules._fit.<locals>.<dictcomp>",
        "payhub.plans.rules._is_shown",
    ),
    "ask a question that is about no order": ("payhub.plans.fetch.ask", "payhub.plans.rules.check_period"),
    "refuse what is not offered": (
        "payhub.plans.rules._listed",
        "payhub.plans.rules.unsupported",
    ),
    "belong to TLS and to proxies, which the tests of connections speak": (
        "payhub.transport.deadline._DeadlineStream.start_tls",
        "payhub.transport.pool._has_more",
        "payhub.transport.pool.SmallReads.start_tls",
        "payhub.transport.pool._read_proxy",
    ),
    "wait, where httpcore tries again, which payhub does not let it": ("payhub.transport.pool._Backend.sleep",),
    "belong to what other libraries log": ("payhub.transport.quiet._StepsOnly.filter",),
    "belong to a protocol, and have no body": ("payhub.journal.protocol.*", "payhub.plans.plan.Account.*"),
}
"""The functions that no way enters, by what they do; a name may have a pattern in it."""

MONEY: tuple[str, ...] = (
    "payhub.plans.create.*",
    "payhub.plans.plan.drive",
    "payhub.plans.plan.Attempt.*",
    "payhub.plans.rules.believe",
    "payhub.plans.rules.compare",
    "payhub.plans.settle.settle",
    "payhub.transport.connection.CallTrace.*",
    "payhub.transport.runner.Runner.*",
    "payhub.transport.runner.AsyncRunner.*",
    "payhub.transport.runner._Runner.*",
)
"""Where money is sent, and where it is decided whether it may have been: a way leads along every line."""

LIMIT = 0.08
"""The share of the lines of all entered functions that may be left out: a little more than when it was set."""


def find_names_gone(listed: Collection[Line]) -> list[str]:
    """Return the names above that match no function."""
    functions = {_function(line) for line in listed}
    names = (*MONEY, *(name for names in ELSEWHERE.values() for name in names))
    return [name for name in names if not fnmatch.filter(functions, name)]


def judge_unreached(reached: Collection[Line], unreached: Collection[Line]) -> Finding:
    """Return what is wrong: names that are not true any more, and lines that need a way."""
    entered = {_function(line) for line in reached}
    left_out = [line for line in unreached if _function(line) in entered]
    strict = [line for line in left_out if any(fnmatch.fnmatchcase(_function(line), name) for name in MONEY)]
    skipped = {_function(line) for line in unreached} - entered
    gone = find_names_gone([*reached, *unreached])
    failures = [f"{name}: no function has this name" for name in gone]
    failures += [f"{name}: no way enters it, and it is not named" for name in sorted(skipped) if not _why(name)]
    names = [name for names in ELSEWHERE.values() for name in names if not fnmatch.filter(skipped, name)]
    failures += [f"{name}: named as never entered, and a way enters it" for name in names if name not in gone]
    failures += [f"{line} `{line.text}`: no way leads here, where money is sent" for line in sorted(strict)]
    share = len(left_out) / max(1, len(reached) + len(left_out))
    if share > LIMIT:
        failures.append(f"{share:.1%} of the lines of entered functions are not reached; the limit is {LIMIT:.1%}")
    fault = f"lines without a way are few ({share:.1%} of entered functions), and none is where money is sent"
    return Finding(fault=fault, trials=1, failures=tuple(failures))


def describe_unreached(reached: Collection[Line], unreached: Collection[Line]) -> Iterator[str]:
    """Write down for the report what no way reached: functions by reason, and every other line with its text."""
    entered = {_function(line) for line in reached}
    skipped = sorted({_function(line) for line in unreached} - entered)
    counts = {why: sum(_why(name) == why for name in skipped) for why in ELSEWHERE}
    yield f"Functions that no way enters: {'; '.join(f'{count} {why}' for why, count in counts.items() if count)}."
    left_out = [line for line in unreached if _function(line) in entered]
    total = len(reached) + len(left_out)
    texts = {(source(line), line.number): line.text for line in left_out}
    lines = "\n".join(f"{file}:{number}  {text}" for (file, number), text in sorted(texts.items()))
    yield f"Not reached in functions that are entered, {len(left_out)} of {total} lines:\n\n```text\n{lines}\n```"


def _function(line: Line) -> str:
    return f"{line.module}.{line.function}"


def _why(function: str) -> str | None:
    """Say why no way enters a function, if it is named."""
    for why, names in ELSEWHERE.items():
        if any(fnmatch.fnmatchcase(function, name) for name in names):
            return why
    return None
