"""What an operator does with open orders: sweep, unknown, check, resolve, trace, journal."""

import contextlib
import datetime as dt
import json
import re
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from payhub.hub import Hub
from payhub.journal import Facts
from payhub.money import Money
from payhub_alikassa.sandbox import Sandbox

from .conftest import ACCOUNT, CARD, PAYER, Command, Done, start, wait_for

Write = Callable[[str], Path]


def payout(order_id: str) -> tuple[str, ...]:
    """Give the arguments of a payout."""
    return ("payout", ACCOUNT, "--order-id", order_id, "--amount", "500", "--currency", "RUB", "--to-card", CARD)


def shown_to_people(time: str) -> str:
    """Write a time of an answer in JSON as a person reads it."""
    return time.replace("T", " ").replace("Z", " UTC")


def cut(payhub: Command, sandbox: Sandbox, order_id: str = "po-1") -> None:
    """Make a payout that the provider accepts while its answer is lost."""
    sandbox.arm("cut_after_accepting", path="/v1/payout", exact=True)
    assert payhub(*payout(order_id)).code == 4


NEED_A_JOURNAL = {
    "sweep": (),
    "unknown": (),
    "health": (),
    "check": (ACCOUNT, "payout", "po-1"),
    "resolve": (ACCOUNT, "payout", "po-1", "--as", "failed", "--reason", "told so", "--by", "Anna"),
    "trace": ("po-1",),
    "find": ("--last4", "1111"),
    "logs": (),
    "notifications list": (),
    "journal init": (),
}


@pytest.mark.parametrize("command", NEED_A_JOURNAL)
def test_nothing_to_look_into_without_a_journal(payhub: Command, write_config: Write, command: str) -> None:
    """Where orders are kept in memory, a command that looks into the journal says so in one line: exit 2."""
    write_config('[accounts.alikassa-rub]\nprovider = "alikassa"\n')
    done = payhub(*command.split(), *NEED_A_JOURNAL[command])
    words = 'this command needs a journal in a database: set url = "sqlite:///payhub.db" under [journal]'
    assert (done.code, done.out, done.err) == (2, "", f"payhub: {words}\n")


NO_FILE = "no such file; if the address is right, `payhub journal init` creates it, and so does the first order"
LOOKING = {name: arguments for name, arguments in NEED_A_JOURNAL.items() if name != "journal init"} | {
    "ticket": ("po-1",),
    "notifications show": ("1",),
    "notifications replay": ("1",),
    "journal upgrade": (),
    "journal prune": (),
    "journal forget": ("--payer", "u-881"),
}


@pytest.mark.parametrize("command", LOOKING)
def test_looking_makes_no_journal(payhub: Command, write_config: Write, tmp_path: Path, command: str) -> None:
    """A command that reads, or works on orders that are there, names a mistyped address, and leaves no file: exit 2."""
    write_config('[journal]\nurl = "sqlite:///typo.db"\n[accounts.alikassa-rub]\nprovider = "alikassa"\n')
    done = payhub(*command.split(), *LOOKING[command])
    assert (done.code, done.out, done.err) == (2, "", f"payhub: journal.url: {tmp_path}/typo.db: {NO_FILE}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["payhub.toml"]


@pytest.mark.parametrize("command", LOOKING)
def test_looking_makes_no_tables(
    payhub: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A command that reads names a mistyped prefix, and makes nothing: a monitor must not be silent: exit 2."""
    payhub(*payout("po-1"))
    file = sandbox.config.with_name("payhub.db")
    before = tables(file)
    text = sandbox.config.read_text("utf-8")
    mistyped = sandbox.config.with_name("mistyped.toml")
    mistyped.write_text(text.replace("[journal]", '[journal]\nprefix = "pahub_"'), "utf-8")
    monkeypatch.setenv("PAYHUB_CONFIG", str(mistyped))
    done = payhub(*command.split(), *LOOKING[command])
    hint = "bring back the one that was begun here; if it is lost, a person has to agree: payhub journal accept"
    assert (done.code, done.err) == (2, f"payhub: journal.prefix: {file} has no tables pahub_…; {hint}\n")
    assert before == tables(file)


def tables(file: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return sorted(name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))


@pytest.fixture
def without_file(sandbox: Sandbox) -> Path:
    """Have the sandbox's journal configured and not made, and give its file."""
    file = sandbox.config.with_name("payhub.db")
    file.unlink()
    return file


@pytest.mark.parametrize(
    ("command", "made"),
    [
        (payout("po-1"), True),
        (
            ("pay", ACCOUNT, "--order-id", "in-1", "--amount", "5", "--currency", "RUB", "--method", "card", *PAYER),
            True,
        ),
        (("journal", "init"), True),
        (("status", ACCOUNT, "payout", "--provider-id", "100000536"), False),
        (("balance", ACCOUNT), False),
        (("doctor",), False),
    ],
    ids=lambda given: given[0] if isinstance(given, tuple) else "",
)
def test_the_first_order_makes_the_journal(
    payhub: Command, without_file: Path, command: tuple[str, ...], made: bool
) -> None:
    """A command that creates an order creates SQLite's file; one that asks the provider does without."""
    done = payhub(*command)
    assert (done.code, done.err, without_file.exists()) == (0, "", made)


def test_a_watch_waits_for_the_first_order(payhub: Command, sandbox: Sandbox, without_file: Path) -> None:
    """A watch may be started before the first order: it says once that it waits, and makes no file."""
    with start("sweep", "--watch", "0.1", "--json") as running:
        assert running.stderr
        said = json.loads(running.stderr.readline())
        assert (said["event"], said["hint"]) == ("payhub.journal_missing", f"journal.url: {without_file}: {NO_FILE}")
        assert not without_file.exists()
        payhub(*payout("po-1"))
        done = ended(running, signal.SIGTERM)
    assert (done.code, done.err, done.json["failed"]) == (0, "", 0)


def test_a_watch_that_waits_can_be_stopped(without_file: Path) -> None:
    """While it waits, a signal ends it at once, and no file is created."""
    with start("sweep", "--watch", "3600", "--json") as running:
        assert running.stderr
        running.stderr.readline()
        done = ended(running, signal.SIGTERM)
    assert (done.code, done.json["swept"], without_file.exists()) == (0, 0, False)


# unknown


def test_unknown_orders_are_exit_5(payhub: Command, sandbox: Sandbox) -> None:
    """An order whose outcome is unknown is listed, for a person and for a program: exit 5."""
    cut(payhub, sandbox)
    shown, done = payhub("unknown"), payhub("unknown", "--json")
    assert shown.code == done.code == 5
    assert "the connection" in shown.out
    (order,) = done.json["orders"]
    assert (order["account"], order["kind"], order["order_id"], order["state"]) == (
        ACCOUNT,
        "payout",
        "po-1",
        "unknown",
    )
    assert order["requested"] == {"amount": "500.00", "currency": "RUB"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", order["changed_at"])


def test_a_failure_that_the_provider_denies_waits_for_a_person(payhub: Command, sandbox: Sandbox) -> None:
    """It is listed, and returned as unknown, until a person has looked and confirms it."""
    cut(payhub, sandbox)
    said = ("resolve", ACCOUNT, "payout", "po-1", "--as", "failed", "--reason", "told so", "--by", "Anna", "--yes")
    assert (payhub(*said).code, payhub("unknown").code) == (0, 0)
    payhub("status", ACCOUNT, "payout", "--order-id", "po-1")
    shown, done = payhub("unknown"), payhub("unknown", "--json")
    assert (shown.code, "failed, contradicted" in " ".join(shown.out.split())) == (5, True)
    assert [("po-1", "failed", True)] == [
        (order["order_id"], order["state"], order["contradicted"]) for order in done.json["orders"]
    ]
    assert payhub(*payout("po-1")).code == 4
    assert "would stay failed" in " ".join(payhub(*said[:-1]).out.split())
    assert (payhub(*said).code, payhub("unknown").code, payhub(*payout("po-1")).code) == (0, 0, 3)


def test_no_unknown_orders_are_exit_0(payhub: Command, sandbox: Sandbox) -> None:
    """Neither a pending order nor one that is unknown since a moment only is listed with `--older 1h`: exit 0."""
    payhub(*payout("po-1"))
    assert (payhub("unknown").code, payhub("unknown").out) == (0, "none\n")
    cut(payhub, sandbox, "po-2")
    done = payhub("unknown", "--older", "1h", "--json")
    assert (done.code, done.json) == (0, {"orders": [], "more": False})


def test_more_unknown_orders_than_are_listed(
    payhub: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest are listed, and the answer says that there are more."""
    monkeypatch.setattr("payhub.cli.unsettled.MAX_LISTED", 1)
    for order_id in ("po-1", "po-2"):
        cut(payhub, sandbox, order_id)
    done = payhub("unknown", "--json")
    assert ([order["order_id"] for order in done.json["orders"]], done.json["more"]) == (["po-1"], True)
    assert "the 1 oldest; there are more" in payhub("unknown").out


@pytest.mark.parametrize("older", ["90s", "10m", "1h", "2d", "0s"])
def test_durations(payhub: Command, sandbox: Sandbox, older: str) -> None:
    """A duration is a number and s, m, h or d."""
    assert payhub("unknown", "--older", older).code == 0


@pytest.mark.parametrize("older", ["1", "h", "1.5h", "-1h", "1w", "1h30m", "", "9999999d"])
def test_not_a_duration(payhub: Command, sandbox: Sandbox, older: str) -> None:
    """Anything else is refused: exit 2."""
    done = payhub("unknown", f"--older={older}")
    assert (done.code, done.err) == (2, "payhub: --older: not a duration, as 90s, 10m, 1h or 2d\n")


def long_ago(sandbox: Sandbox, days: int = 10) -> None:
    """Let all that the journal has be so many days older."""
    with contextlib.closing(sqlite3.connect(sandbox.config.with_name("payhub.db"))) as connection, connection:
        for name in ("sent_at", "due_at", "created_at", "updated_at"):
            connection.execute(f"UPDATE payhub_orders SET {name} = {name} - {days * 86400} * 1000000")  # noqa: S608 - names of this test


def test_orders_about_which_nobody_asks_are_listed(payhub: Command, sandbox: Sandbox) -> None:
    """No sweep for ten days: pending orders are listed with how long they have been overdue, until one runs: exit 5."""
    payhub(*payout("po-1"))
    assert payhub("unknown").code == 0
    long_ago(sandbox)
    shown, done = payhub("unknown", "--older", "1h"), payhub("unknown", "--json")
    (order,) = done.json["orders"]
    assert (shown.code, done.code, order["state"]) == (5, 5, "pending")
    assert re.search(r"\b9 d 23 h\b|\b10 d\b", " ".join(shown.out.split()))
    assert 9 * 86400 < order["overdue"] < 11 * 86400
    assert payhub("unknown", "--overdue", "20d").code == 0
    sandbox.settle("payout", "po-1")
    payhub("sweep")
    assert payhub("unknown").code == 0


# health


def test_health_is_for_a_monitor(payhub: Command, sandbox: Sandbox) -> None:
    """Exit 0 while somebody asks, 7 when nobody does or an order waits too long, and another one if it cannot tell."""
    payhub(*payout("po-1"))
    well = payhub("health", "--json")
    assert (well.code, well.json) == (0, {
        "healthy": True, "overdue": 0, "oldest_overdue": None, "unknown": 0, "needs_attention": 0, "contradicted": 0,
        "waiting": 0, "swept_at": None,
    })  # fmt: skip
    long_ago(sandbox)
    done, shown = payhub("health", "--json"), payhub("health")
    oldest = done.json["oldest_overdue"]
    assert (done.code, done.json["healthy"], done.json["overdue"]) == (7, False, 1)
    assert (oldest["account"], oldest["kind"], oldest["order_id"]) == (ACCOUNT, "payout", "po-1")
    assert 9 * 86400 < oldest["overdue"] < 11 * 86400
    assert "run `payhub sweep` regularly" in shown.out
    assert payhub("health", "--overdue", "20d").code == 0
    sandbox.settle("payout", "po-1")
    payhub("sweep")
    swept = payhub("health", "--json")
    assert (swept.code, swept.json["swept_at"] is not None) == (0, True)
    cut(payhub, sandbox, "po-2")
    assert (payhub("health").code, payhub("health", "--json").json["unknown"]) == (0, 1)
    waiting = payhub("health", "--older", "0s")
    assert (waiting.code, "see `payhub unknown`" in waiting.out) == (7, True)


@pytest.mark.parametrize("option", ["--overdue", "--older"])
def test_health_takes_durations(payhub: Command, sandbox: Sandbox, option: str) -> None:
    """What is no duration is refused: exit 2."""
    done = payhub("health", f"{option}=soon")
    assert (done.code, done.err) == (2, f"payhub: {option}: not a duration, as 90s, 10m, 1h or 2d\n")


def test_a_sweep_of_one_account(payhub: Command, sandbox: Sandbox) -> None:
    """A sweep may be of one account and ask about several orders at once; a mistyped name is no quiet one: exit 2."""
    for number in range(3):
        payhub(*payout(f"po-{number}"))
        sandbox.settle("payout", f"po-{number}")
    long_ago(sandbox, 1)
    mistyped = payhub("sweep", "--account", "alikasa")
    assert (mistyped.code, "known: alikassa-rub" in mistyped.err) == (2, True)
    swept = payhub("sweep", "--account", ACCOUNT, "--concurrency", "3", "--json")
    assert (swept.code, swept.json) == (0, {"swept": 3, "statuses": {"succeeded": 3}, "failed": 0})


# check


def test_check_asks_and_keeps_the_answer(payhub: Command, sandbox: Sandbox) -> None:
    """`check` asks the provider about an unknown order, sends nothing again, and the journal knows then."""
    cut(payhub, sandbox)
    sandbox.settle("payout", "po-1")
    done = payhub("check", ACCOUNT, "payout", "po-1", "--json")
    assert (done.code, done.json["status"], done.json["state"]) == (0, "succeeded", "succeeded")
    assert sandbox.requests("/v1/payout") == 1
    assert payhub("unknown").code == 0
    asked = sandbox.requests("/v1/payout/status")
    closed = payhub("check", ACCOUNT, "payout", "po-1")
    assert "state: succeeded\nthe provider was not asked: this is what is recorded\n" in closed.out
    assert (done.json["asked"], payhub("check", ACCOUNT, "payout", "po-1", "--json").json["asked"]) == (True, False)
    assert sandbox.requests("/v1/payout/status") == asked


def test_check_of_an_order_that_was_not_sent(payhub: Command, sandbox: Sandbox) -> None:
    """An order that did not leave this machine is failed; the answer says that it may be created again, and it may."""
    sandbox.arm("refuse", seconds=None)
    assert payhub(*payout("po-1")).code == 3
    done = payhub("check", ACCOUNT, "payout", "po-1")
    sandbox.disarm()
    assert (done.code, "state: not_sent\n" in done.out) == (0, True)
    assert "nothing left this machine: the order may be created again under its id" in done.out
    assert payhub(*payout("po-1")).code == 0
    assert "created again" not in payhub("check", ACCOUNT, "payout", "po-1").out


def test_times_are_written_in_one_way(payhub: Command, sandbox: Sandbox) -> None:
    """When an order was made is UTC with milliseconds, as every other time."""
    payhub(*payout("po-1"))
    made = payhub("trace", "po-1", "--json").json["orders"][0]["created_at"]
    shown, done = payhub(*payout("po-1")), payhub(*payout("po-1"), "--json")
    assert re.search(rf"created +{shown_to_people(made)}", shown.out)
    assert done.json["created_at"] == made


def test_check_without_an_answer_is_unknown(payhub: Command, sandbox: Sandbox) -> None:
    """Where the provider does not say, the order stays unknown: exit 4."""
    cut(payhub, sandbox)
    sandbox.arm("html", path="/v1/payout/status", times=5)
    done = payhub("check", ACCOUNT, "payout", "po-1", "--json")
    assert (done.code, done.json["status"], done.json["state"]) == (4, "unknown", "unknown")


@pytest.mark.parametrize("command", ["check", "status"])
def test_an_account_that_is_another_one_now(payhub: Command, sandbox: Sandbox, command: str) -> None:
    """It is not asked about an order of the account that had the name before: exit 2, and the order is listed."""
    cut(payhub, sandbox)
    other = sandbox.config.with_name("other.toml")
    other.write_text(re.sub(r'account = "[0-9a-f]{8}', 'account = "00000000', sandbox.config.read_text()))
    order = (ACCOUNT, "payout", "po-1") if command == "check" else (ACCOUNT, "payout", "--order-id", "po-1")
    done = payhub(command, *order, "--config", str(other))
    words = "account 'alikassa-rub' is another one with its provider now than the one that has this order"
    (listed,) = payhub("unknown", "--json", "--config", str(other)).json["orders"]
    assert (2, True, "other_account") == (done.code, words in done.err, listed["why"])
    assert (5, 0) == (payhub("unknown").code, payhub(command, *order).code)


def test_check_of_an_order_that_nobody_made(payhub: Command, sandbox: Sandbox) -> None:
    """An order that the journal does not know is a mistake, and is named: exit 2."""
    done = payhub("check", ACCOUNT, "payment", "in-1")
    assert (done.code, done.err) == (2, f"payhub: the journal of account {ACCOUNT!r} has no payment 'in-1'\n")


@pytest.mark.parametrize("command", ["check", "resolve", "trace", "ticket"])
def test_an_id_of_another_order(payhub: Command, sandbox: Sandbox, command: str) -> None:
    """For the provider's id, or the other kind, the message says what the journal has."""
    given = payhub(*payout("po-1"), "--json").json["provider_id"]
    arguments = (NEED_A_JOURNAL | {"ticket": ("po-1",)})[command]
    by_provider = payhub(command, *(given if word == "po-1" else word for word in arguments))
    hint = f"; it is the provider's id of an order, see: payhub find --provider-id {given}\n"
    assert by_provider.err.endswith(hint)
    if "payout" in arguments:
        other = payhub(command, *("payment" if word == "payout" else word for word in arguments))
        known = f"the journal of account {ACCOUNT!r} has no payment 'po-1'; with this id it has: payout of {ACCOUNT}"
        assert (other.code, other.err) == (2, f"payhub: {known}\n")


def test_check_says_what_the_provider_answered(payhub: Command, sandbox: Sandbox) -> None:
    """The answer to the question that was just asked is shown in the provider's word, to a person and a program."""
    payhub(*payout("po-1"))
    shown, done = (payhub("check", ACCOUNT, "payout", "po-1", *form) for form in ((), ("--json",)))
    assert "state: pending\nasked: the provider says wait\n" in shown.out
    assert done.json["answer"] == "asked: the provider says wait"
    sandbox.arm("body", path="/v1/payout/status", body={"amount": "7.00"})
    answer = payhub("check", ACCOUNT, "payout", "po-1", "--json").json["answer"]
    assert answer == "asked: the provider says wait, which contradicts the order: requested"


WITHOUT_RESULT: dict[str, tuple[str, dict[str, Any]]] = {
    "not found": ("status", {"status": 404, "body": {"message": "Payment not found"}}),
    "no connection": ("refuse", {"seconds": None}),
    "no usable answer": ("html", {"path": "/v1/payout/status", "times": 5}),
}
SAID = {
    "not found": "asked: the provider does not find it, which proves nothing",
    "no connection": "asked without result: no connection; it is the question that was not sent",
    "no usable answer": "asked without result: HTTP 200: the answer is not JSON",
}


@pytest.mark.parametrize("fate", WITHOUT_RESULT)
def test_check_says_that_it_asked_without_result(payhub: Command, sandbox: Sandbox, fate: str) -> None:
    """Without a result the answer says why, and that nothing follows from it: the order stays as it was."""
    cut(payhub, sandbox)
    fault, options = WITHOUT_RESULT[fate]
    sandbox.arm(fault, **options)
    done = payhub("check", ACCOUNT, "payout", "po-1", "--json")
    sandbox.disarm()
    assert (done.code, done.json["asked"], done.json["answer"]) == (4, True, SAID[fate])


def test_check_of_a_closed_order_has_no_answer(payhub: Command, sandbox: Sandbox) -> None:
    """An earlier answer is not shown as one of now."""
    payhub(*payout("po-1"))
    sandbox.settle("payout", "po-1")
    first, second = (payhub("check", ACCOUNT, "payout", "po-1", "--json").json["answer"] for _ in range(2))
    assert (first, second) == ("asked: the provider says paid", None)


def test_an_order_that_is_being_sent(payhub: Command, sandbox: Sandbox) -> None:
    """Checking or resolving it shows until when its sender has to report."""
    facts = Facts(
        account=ACCOUNT, provider="alikassa", kind="payout", order_id="po-1", amount=Money("500", "RUB"),
        method="card", fingerprint="of-po-1",
    )  # fmt: skip
    with Hub.from_file(sandbox.config) as hub:
        until = hub.journal.open(facts, 600.0).record.lease_until
    assert until
    words = f"its sender has until {until:%H:%M:%S} UTC to report; after that a sweep or a check asks the provider"
    checked, resolved = payhub("check", ACCOUNT, "payout", "po-1"), payhub(*RESOLVE)
    assert checked.out.endswith(f"the provider was not asked: this is what is recorded\n{words}\n")
    assert resolved.err == f"payhub: an order that is sending is not an operator's to make failed; {words}\n"


# resolve

RESOLVE = ("resolve", ACCOUNT, "payout", "po-1", "--as", "failed", "--reason", "support, chat of 3 May", "--by", "Anna")


def test_resolve_only_shows_what_it_would_do(payhub: Command, sandbox: Sandbox) -> None:
    """Without `--yes` it is shown what would be done, and nothing is changed."""
    cut(payhub, sandbox)
    done = payhub(*RESOLVE, "--json")
    assert (done.code, done.json["done"], done.json["from"], done.json["to"]) == (0, False, "unknown", "failed")
    shown = payhub(*RESOLVE)
    assert "would become failed" in " ".join(shown.out.split())
    assert "Nothing was changed. With --yes it is recorded." in shown.out
    assert payhub("unknown").code == 5
    assert {entry["what"] for entry in payhub("trace", "po-1", "--json").json["story"]} == {
        "attempt",
        "exchange",
        "evidence",
    }


@pytest.mark.parametrize("form", [(), ("--yes",)], ids=["dry run", "yes"])
def test_resolve_shows_the_facts_of_the_order(payhub: Command, sandbox: Sandbox, form: tuple[str, ...]) -> None:
    """What was requested, how it is paid, when, and why it is as it is: nobody decides about an order unseen."""
    cut(payhub, sandbox)
    order = payhub(*RESOLVE, "--json").json["order"]
    assert (order["method"], order["tail"]) == ("card", "1111")
    shown = " ".join(payhub(*RESOLVE, *form).out.replace("│", "").split())
    times = [f"{name} {shown_to_people(order[f'{name}_at'])}" for name in ("created", "changed")]
    for words in (
        "requested 500.00 RUB method card …1111",
        *times,
        "reason so far the connection was cut (maybe sent)",
    ):
        assert words in shown
    assert "contradicted by" not in shown


def test_resolve_shows_what_contradicts(payhub: Command, sandbox: Sandbox) -> None:
    """Before confirming a failure, what the provider said against it is shown, and what the application gets then."""
    cut(payhub, sandbox)
    payhub(*RESOLVE, "--yes")
    sandbox.settle("payout", "po-1")
    payhub("status", ACCOUNT, "payout", "--order-id", "po-1")
    done, shown = payhub(*RESOLVE, "--json").json["contradicted_by"], payhub(*RESOLVE)
    assert (done["source"], done["state"], done["provider_status"]) == ("status query", "succeeded", "paid")
    said = " ".join(shown.out.replace("│", "").split())
    what = f"succeeded (provider: paid), id {done['provider_id']}, paid 500.00 RUB, {shown_to_people(done['at'])}"
    assert f"contradicted by status query: {what} " in said
    assert "order is failed, contradicted would stay failed" in said
    assert "application gets failed again from then on, no longer unknown" in said
    assert "gets failed again from now on" in " ".join(payhub(*RESOLVE, "--yes").out.split())


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_resolve_is_done_and_kept(payhub: Command, sandbox: Sandbox, outcome: str) -> None:
    """With `--yes` the order has the outcome that a person found out, with reason and name; nothing is sent."""
    cut(payhub, sandbox)
    calls = sandbox.requests("/v1/payout/status")
    done = payhub(*RESOLVE, "--as", outcome, "--yes")
    assert (done.code, "Recorded permanently." in done.out) == (0, True)
    assert sandbox.requests("/v1/payout/status") == calls
    act = payhub("trace", "po-1", "--json").json["story"][-1]
    assert (act["what"], act["state"], act["by"]) == ("act", outcome, "Anna")
    assert act["reason"] == "support, chat of 3 May"
    assert payhub("unknown").code == 0


@pytest.mark.parametrize("form", [(), ("--yes",)], ids=["dry run", "yes"])
def test_resolve_of_an_order_that_is_settled(payhub: Command, sandbox: Sandbox, form: tuple[str, ...]) -> None:
    """Only an order that is unknown or needs attention can be resolved; the dry run says so: exit 3."""
    payhub(*payout("po-1"))
    done = payhub(*RESOLVE, *form)
    why = "an order that is pending is not an operator's to make failed"
    instead = "ask the provider with `payhub check`, or wait for a sweep"
    assert (done.code, done.err) == (3, f"payhub: {why}; {instead}\n")


@pytest.mark.parametrize(
    ("state", "outcome", "instead"),
    [
        ("succeeded", "succeeded", "it is closed; `payhub trace` shows how"),
        ("not_sent", "failed", "nothing was sent, and it may be created again under its order_id"),
    ],
)
def test_resolve_says_what_to_do_instead(
    payhub: Command, sandbox: Sandbox, state: str, outcome: str, instead: str
) -> None:
    """Where an order cannot be resolved, the message says what to do with it."""
    if state == "not_sent":
        sandbox.arm("refuse", seconds=None)
    payhub(*payout("po-1"))
    sandbox.disarm()
    if state == "succeeded":
        sandbox.settle("payout", "po-1")
        payhub("check", ACCOUNT, "payout", "po-1")
    done = payhub(*RESOLVE, "--as", outcome, "--yes")
    assert (done.code, done.err) == (
        3, f"payhub: an order that is {state} is not an operator's to make {outcome}; {instead}\n"
    )  # fmt: skip


def test_resolve_an_order_that_needs_attention(payhub: Command, sandbox: Sandbox) -> None:
    """An answer that contradicts the order needs a person, who may settle it."""
    sandbox.arm("body", path="/v1/payout", body={"order_id": "another"})
    payhub(*payout("po-1"))
    assert payhub("unknown", "--json").json["orders"][0]["state"] == "needs_attention"
    assert payhub(*RESOLVE, "--yes").code == 0
    assert payhub("unknown").code == 0


def test_resolve_corrects_an_end(payhub: Command, sandbox: Sandbox) -> None:
    """A payout that came back is reversed; the question says what the application gets, and what it may do then."""
    payhub(*payout("po-1"))
    sandbox.settle("payout", "po-1")
    payhub("check", ACCOUNT, "payout", "po-1")
    shown = " ".join(payhub(*RESOLVE).out.replace("│", "").split())
    assert "application gets failed from then on, no longer succeeded may create the order again" in shown
    returned = payhub(*RESOLVE, "--as", "reversed", "--yes", "--json")
    assert (returned.code, returned.json["from"], returned.json["to"]) == (0, "succeeded", "reversed")
    assert payhub(*payout("po-1"), "--json").json["status"] == "reversed"
    assert "gets succeeded from then on, no longer reversed" in " ".join(
        payhub(*RESOLVE, "--as", "succeeded").out.replace("│", "").split()
    )


def test_resolve_names_the_account_that_has_the_order(payhub: Command, sandbox: Sandbox) -> None:
    """Where another account has it, the correction is refused and the account named; what was found out is kept."""
    payhub(*payout("po-1"))
    sandbox.settle("payout", "po-1", "fail")
    payhub("check", ACCOUNT, "payout", "po-1")
    with Hub.from_file(sandbox.config) as hub:
        mine = hub.journal.story("po-1")[0][0].facts
        assert hub.journal.open(msgspec.structs.replace(mine, account="other"), 60.0).yours
    tried = payhub(*RESOLVE, "--as", "succeeded")
    assert (tried.code, "account 'other' has this payout, too" in tried.err) == (3, True)
    assert "With --yes this stays refused, and what you found out is kept and flagged" in tried.err
    assert payhub("unknown").code == 0
    done = payhub(*RESOLVE, "--as", "succeeded", "--yes")
    assert (done.code, "account 'other' has this payout, too" in done.err) == (3, True)
    (order,) = payhub("unknown", "--json").json["orders"]
    assert (order["account"], order["state"], order["contradicted"]) == (ACCOUNT, "failed", True)
    traced = " ".join(payhub("trace", "po-1").out.split())
    assert "operator Anna: succeeded: support, chat of 3 May; CONTRADICTS" in traced
    question = payhub(*RESOLVE, "--json").json
    assert question["contradicted_by"]["source"] == "operator"


@pytest.mark.parametrize("blank", ["--reason", "--by"])
def test_resolve_must_say_why_and_who(payhub: Command, sandbox: Sandbox, blank: str) -> None:
    """A reason or a name of blanks is none: exit 2."""
    cut(payhub, sandbox)
    done = payhub(*RESOLVE, blank, "  ")
    assert (done.code, done.err) == (
        2,
        "payhub: --reason and --by must say something: they are kept with the order\n",
    )


def test_no_card_number_in_what_an_operator_says(payhub: Command, sandbox: Sandbox) -> None:
    """A card number in a reason or a name is truncated before it is kept."""
    cut(payhub, sandbox)
    done = payhub(*RESOLVE, "--reason", f"card {CARD}", "--by", f"Anna {CARD}", "--yes", "--json")
    trace = payhub("trace", "po-1")
    kept = b"".join(path.read_bytes() for path in sandbox.config.parent.glob("payhub.db*"))
    assert done.json["reason"] == "card 411111******1111"
    assert CARD not in done.out + trace.out
    assert CARD.encode() not in kept


def test_resolve_for_another_account(payhub: Command, sandbox: Sandbox) -> None:
    """An account that is not configured lists those that are: exit 2."""
    done = payhub("resolve", "alikasa", *RESOLVE[2:])
    assert (done.code, f"known: {ACCOUNT}" in done.err) == (2, True)


# trace


def test_trace_tells_the_story_in_order(payhub: Command, sandbox: Sandbox) -> None:
    """An order's story is its attempt, its exchanges, its evidence and what operators did, each at its time."""
    cut(payhub, sandbox)
    sandbox.arm("html", path="/v1/payout/status", times=5)
    payhub("check", ACCOUNT, "payout", "po-1")
    payhub(*RESOLVE, "--yes")
    done = payhub("trace", "po-1", "--json")
    story = done.json["story"]
    whats = [entry["what"] for entry in story]
    assert (whats[:3], whats[-1]) == (["attempt", "exchange", "evidence"], "act")
    assert [entry["at"] for entry in story] == sorted(entry["at"] for entry in story)
    assert story[1]["exchange"]["request"]["number"] == "411111******1111"
    assert [entry["source"] for entry in story if entry["what"] == "evidence"][:2] == ["answer", "status query"]
    shown = payhub("trace", "po-1").out
    assert f"payout po-1 of {ACCOUNT}, 500.00 RUB by card: failed\n" in shown
    assert re.search(r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC  attempt ", shown)
    assert "act       operator Anna: failed: support, chat of 3 May" in shown
    assert CARD not in shown + done.out


def test_trace_flags_what_contradicts(payhub: Command, sandbox: Sandbox) -> None:
    """Evidence that contradicts a final state is in the story, flagged; the state stays."""
    payhub(*payout("po-1"))
    sandbox.settle("payout", "po-1")
    payhub("check", ACCOUNT, "payout", "po-1")
    sandbox.arm("body", path="/v1/payout/status", body={"payment_status": "fail"}, times=3)
    payhub("status", ACCOUNT, "payout", "--order-id", "po-1")
    done = payhub("trace", "po-1", "--json").json
    assert (done["orders"][0]["state"], done["orders"][0]["contradicted"]) == ("succeeded", True)
    assert (done["story"][-1]["state"], done["story"][-1]["contradicts"]) == ("failed", True)
    shown = " ".join(payhub("trace", "po-1").out.split())
    assert "status query: failed (provider: fail)" in shown
    assert "CONTRADICTS what was known: kept, not applied" in shown


def test_trace_counts_the_same_answer(payhub: Command, sandbox: Sandbox) -> None:
    """The same answer again takes no room: it is counted, with the time when it came last."""
    payhub(*payout("po-1"))
    for _ in range(3):
        payhub("check", ACCOUNT, "payout", "po-1")
    story = payhub("trace", "po-1", "--json").json["story"]
    (said,) = (entry for entry in story if entry.get("times") == 3)
    assert said["at"] <= story[-1]["at"] <= said["last_at"]  # the newest is the third question
    last = shown_to_people(said["last_at"]).partition(" ")[2]
    assert f"status query: pending (provider: wait), 3 times, last {last}" in " ".join(
        payhub("trace", "po-1").out.split()
    )


def test_trace_of_a_payment_and_a_payout_with_one_id(payhub: Command, sandbox: Sandbox) -> None:
    """Both are shown, and each line says which one it is about."""
    payhub(*payout("x-1"))
    pay = ("--order-id", "x-1", "--amount", "5", "--currency", "RUB", "--method", "card")
    payhub("pay", ACCOUNT, *pay, *PAYER)
    done = payhub("trace", "x-1", "--json").json
    assert {order["kind"] for order in done["orders"]} == {"payment", "payout"}
    assert f"attempt ({ACCOUNT} payout)" in payhub("trace", "x-1").out


def test_times_are_utc_wherever_the_machine_stands(
    payhub: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that lives by the time of Tokyo, nine hours ahead, writes down and shows UTC."""
    begun = dt.datetime.now(dt.UTC).replace(microsecond=0)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    shown = "".join(
        start(*command).communicate()[0]
        for command in (
            payout("po-1"), ("check", ACCOUNT, "payout", "po-1"), ("trace", "po-1"), ("trace", "po-1", "--json"),
            ("find", "--last4", "1111"), ("ticket", "po-1"),
        )
    )  # fmt: skip
    times = re.findall(r"\b(\d{4}-\d\d-\d\d)[T ]+(\d\d:\d\d:\d\d)", shown)
    found = [dt.datetime.fromisoformat(f"{day}T{time}+00:00") for day, time in times]
    assert (len(found) > 20, "+09:00" in shown) == (True, False)
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)  # also the time when the provider is asked next
    assert [] == [time for time in found if not begun <= time <= soon]


def test_trace_of_an_order_that_nobody_made(payhub: Command, sandbox: Sandbox) -> None:
    """An id that the journal does not have is not found: exit 3."""
    done = payhub("trace", "po-1")
    assert (done.code, done.err) == (3, "payhub: the journal has no order with this id\n")


# sweep

EAGER_DRIVER = """
import msgspec
from payhub import hookimpl
from payhub.driver import Schedule
from payhub_alikassa import plugin
from payhub_alikassa.plugin import *

@hookimpl
def payhub_provider():
    info = plugin.payhub_provider()
    capabilities = msgspec.structs.replace(info.capabilities, schedule=Schedule(first=0.0))
    return msgspec.structs.replace(info, name="eager", capabilities=capabilities)
"""


@pytest.fixture
def eager(
    sandbox: Sandbox,
    install: Callable[..., None],
    write_config: Write,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Path:
    """Speak to the sandbox with a driver that asks at once, in commands here and in processes."""
    install("payhub-eager", "1.0", EAGER_DRIVER, eager="payhub_eager")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site-payhub_eager"))
    text = sandbox.config.read_text("utf-8").replace('provider = "alikassa"', 'provider = "eager"')
    config = write_config(text.replace('"cert', f'"{sandbox.config.parent}/cert'))
    monkeypatch.setenv("PAYHUB_CONFIG", str(config))
    return config


@pytest.fixture
def orders(payhub: Command, sandbox: Sandbox, eager: Path) -> None:
    """Have two payouts that are paid while the answers to their creation were lost."""
    for order_id in ("po-1", "po-2"):
        cut(payhub, sandbox, order_id)
        sandbox.settle("payout", order_id)


@pytest.mark.usefixtures("orders")
def test_sweep_asks_about_what_is_due(payhub: Command, sandbox: Sandbox) -> None:
    """A sweep asks about every order that is due and keeps the answers; nothing is sent again."""
    done = payhub("sweep", "--json")
    assert (done.code, done.json) == (0, {"swept": 2, "statuses": {"succeeded": 2}, "failed": 0})
    assert sandbox.requests("/v1/payout") == 2
    assert (payhub("sweep").code, payhub("sweep").out) == (0, "nothing was due\n")


@pytest.mark.usefixtures("orders")
def test_sweep_says_what_became_of_each(payhub: Command) -> None:
    """A person gets a line for each order, and the sum; `--limit` is the most that are asked about."""
    first, second = payhub("sweep", "--limit", "1"), payhub("sweep", "--limit", "5")
    for done, order_id in ((first, "po-1"), (second, "po-2")):
        line, total = done.out.splitlines()
        assert re.fullmatch(rf"[\d-]+ [\d:.]+ UTC  {ACCOUNT} payout {order_id}  succeeded", line)
        assert total == "1 succeeded"


@pytest.mark.usefixtures("orders")
def test_sweep_of_orders_that_cannot_be_asked_about(payhub: Command, eager: Path) -> None:
    """Orders of an account that is gone are counted: exit 3, and they are due again later."""
    eager.write_text(eager.read_text("utf-8").replace(ACCOUNT, "another"), "utf-8")
    shown, done = payhub("sweep", "--limit", "1"), payhub("sweep", "--json")
    assert (shown.code, shown.out) == (3, "1 could not be asked about, see stderr\n")
    assert (done.code, done.json) == (3, {"swept": 0, "statuses": {}, "failed": 1})
    assert (shown.err + done.err).count("payhub.sweep_failed") == 2
    assert {order["state"] for order in payhub("unknown", "--json").json["orders"]} == {"unknown"}


@pytest.mark.usefixtures("orders")
def test_sweep_says_why_an_account_cannot_be_opened(payhub: Command, eager: Path) -> None:
    """A mistyped key is named as by `check`, once for all orders of the account; each of them is still named."""
    eager.write_text(eager.read_text("utf-8").replace("payment_cert", "payment_cret"), "utf-8")
    done = payhub("sweep")
    cause = payhub("check", ACCOUNT, "payout", "po-1").err.removeprefix("payhub: ").rstrip()
    assert (done.code, done.err.count("payhub.sweep_failed")) == (3, 2)
    assert [cause, None] == [json.loads(line).get("reason") for line in done.err.splitlines()]
    assert "payment_cret" in cause


def test_sweep_without_its_database(payhub: Command, eager: Path) -> None:
    """A journal that cannot be read ends a single sweep: exit 3, one line."""
    eager.with_name("payhub.db").write_text("these are my notes\n" * 100)
    done = payhub("sweep")
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert "payhub: the journal failed: " in done.err


def ended(running: object, number: int) -> Done:
    """Send a signal and wait for the end."""
    running.send_signal(number)  # type: ignore[attr-defined]
    out, err = running.communicate(timeout=60)  # type: ignore[attr-defined]
    return Done(running.returncode, out, err)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_finishes_the_order_at_hand(payhub: Command, sandbox: Sandbox, number: int) -> None:
    """Ctrl-C and SIGTERM let a watch finish the order at hand, keep the answer, and begin no other: exit 0."""
    sandbox.arm("slow", path="/v1/payout/status", seconds=1)
    with start("sweep", "--watch", "0.1", "--json") as running:
        wait_for(lambda: sandbox.requests("/v1/payout/status") == 1)
        done = ended(running, number)
    assert (done.code, done.err) == (0, "")
    assert done.json == {"swept": 1, "statuses": {"succeeded": 1}, "failed": 0}
    assert sandbox.requests("/v1/payout/status") == 1
    assert [order["order_id"] for order in payhub("unknown", "--json").json["orders"]] == ["po-2"]


@pytest.mark.usefixtures("orders")
def test_a_watch_goes_on(payhub: Command, sandbox: Sandbox) -> None:
    """A watch asks about all that is due, in sweeps of its limit, waits, and ends at once after a signal."""
    with start("sweep", "--watch", "3600", "--limit", "1", "--json") as running:
        wait_for(lambda: sandbox.requests("/v1/payout/status") == 2)
        wait_for(lambda: payhub("unknown").code == 0)
        done = ended(running, signal.SIGTERM)
    assert (done.code, done.json["swept"]) == (0, 2)


@pytest.mark.usefixtures("orders")
def test_a_watch_outlasts_a_failing_journal(sandbox: Sandbox, eager: Path) -> None:
    """A database that is away is logged, and looked for again."""
    away = eager.with_name("away")
    away.mkdir()
    for path in eager.parent.glob("payhub.db*"):
        path.rename(away / path.name)
    eager.with_name("payhub.db").write_text("these are my notes\n" * 100)
    with start("sweep", "--watch", "0.1", "--json") as running:
        assert running.stderr
        assert '"event": "payhub.sweep_failed"' in running.stderr.readline()
        for path in away.iterdir():
            path.rename(path.parents[1] / path.name)
        wait_for(lambda: sandbox.requests("/v1/payout/status") == 2)
        done = ended(running, signal.SIGTERM)
    assert (done.code, done.json["statuses"]) == (0, {"succeeded": 2})


# journal


@pytest.fixture
def configured(write_config: Write, tmp_path: Path) -> Path:
    """Configure a journal that is not there yet, and give its file."""
    write_config('[journal]\nurl = "sqlite:///shop.db"\nprefix = "pay_"\n')
    return tmp_path / "shop.db"


def test_init_makes_the_tables_once(payhub: Command, configured: Path) -> None:
    """`journal init` makes the tables under the prefix, and may be repeated."""
    first, again = payhub("journal", "init", "--json"), payhub("journal", "init")
    assert (first.code, first.json["before"], first.json["changed"]) == (0, None, True)
    assert (again.code, again.out.startswith("tables: up to date, version ")) == (0, True)
    with contextlib.closing(sqlite3.connect(configured)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"pay_orders", "pay_attempts", "pay_exchanges", "pay_evidence", "pay_acts", "pay_version"} <= tables


def test_upgrade_makes_no_second_journal(payhub: Command, configured: Path) -> None:
    """`journal upgrade` wants tables under the prefix: a mistyped one must not begin another journal."""
    configured.touch()  # a database without tables
    done = payhub("journal", "upgrade")
    assert (done.code, "payhub journal init` creates them" in done.err) == (2, True)
    payhub("journal", "init")
    done = payhub("journal", "upgrade", "--json")
    assert (done.code, done.json["changed"]) == (0, False)


def test_init_in_a_directory_that_is_not_there(payhub: Command, write_config: Write) -> None:
    """SQLite's own words are shown: no address has a password there."""
    write_config('[journal]\nurl = "sqlite:///later/shop.db"\n')
    done = payhub("journal", "init")
    words = "the journal's database cannot be used: OperationalError: unable to open database file"
    assert (done.code, done.err) == (3, f"payhub: {words}\n")


def test_tables_that_are_gone(payhub: Command, configured: Path) -> None:
    """A table that was dropped is named, and not created anew: exit 3."""
    payhub("journal", "init")
    with contextlib.closing(sqlite3.connect(configured)) as database:
        database.execute("DROP TABLE pay_acts")
    words = "tables are missing: pay_acts; restore the database from its backup"
    for action in ("init", "upgrade"):
        done = payhub("journal", action)
        assert (done.code, done.err) == (3, f"payhub: {words}\n")


def test_tables_of_another_version(payhub: Command, configured: Path) -> None:
    """Tables that a newer payhub made are left alone: exit 3."""
    payhub("journal", "init")
    with contextlib.closing(sqlite3.connect(configured)) as database:
        database.execute("UPDATE pay_version SET version_num = '9999'")
        database.commit()
    done = payhub("journal", "upgrade")
    assert (done.code, "of version 9999, which a newer payhub has made" in done.err) == (3, True)


def test_a_database_that_is_away(payhub: Command, write_config: Write) -> None:
    """A database that cannot be reached is exit 3, one line, and its password is not shown."""
    write_config('[journal]\nurl = "postgresql+psycopg://shop:hunter2@127.0.0.1:9/shop"\n')
    done = payhub("journal", "init")
    assert (done.code, done.err) == (3, "payhub: the journal's database cannot be used: OperationalError\n")
