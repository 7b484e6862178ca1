"""The parts of the harness that judge: they count what they should, and they can fail."""

import http.client
import json
import pkgutil
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.torture.test_torture import ROOT

if not (ROOT / "torture").is_dir():
    pytest.skip("the harness is not here", allow_module_level=True)
sys.path.insert(0, str(ROOT))  # it is not part of the wheel

from payhub import Money
from payhub.journal import Evidence, Facts, Record, Source, State, rules
from payhub.journal.sql import SqlJournal
from payhub.journal.states import allowed
from payhub_alikassa.sandbox.signatures import Signer
from torture import __main__ as program
from torture.experiments import builds, disks, evidence, sequences, strangers, unreached
from torture.judge import Fault, Judge
from torture.lines import Line, list_lines
from torture.report import NOT_TRIED, Bench, Finding, Result, bound, render_report


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge


def ask(judge: Judge, path: str, **fields: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", judge.port, timeout=10)
    connection.request("POST", path, json.dumps(fields))
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, json.loads(body)


def test_the_judge_never_refuses_a_repeated_order(judge: Judge) -> None:
    """Both creates are accepted, under two ids, and counted."""
    first, second = (ask(judge, "/v1/payout", order_id="twice", amount="1.00") for _ in range(2))
    assert 200 == first[0] == second[0]
    assert first[1]["id"] != second[1]["id"]
    assert 2 == judge.verdict("twice").accepted["twice"]


def test_the_judge_tells_the_truth_about_payouts(judge: Judge) -> None:
    """An unknown order is not found; a known one waits once, then is paid."""
    assert 404 == ask(judge, "/v1/payout/status", order_id="never")[0]
    ask(judge, "/v1/payout", order_id="once", amount="2.50")
    judge.order(waits=1)
    words = [ask(judge, "/v1/payout/status", order_id="once")[1]["payment_status"] for _ in range(2)]
    assert ["wait", "paid"] == words


def test_the_judge_lies_on_request(judge: Judge) -> None:
    """A fault is for one request about one order, and says whether the create counts."""
    judge.order({"lied": [Fault(status=503, accept=False)]})
    assert 503 == ask(judge, "/v1/payout", order_id="lied", amount="1.00")[0]
    assert 200 == ask(judge, "/v1/payout", order_id="lied", amount="1.00")[0]
    verdict = judge.verdict("lied")
    assert (2, 1) == (verdict.received["lied"], verdict.accepted["lied"])


@pytest.mark.parametrize(("trials", "failures", "expected"), [(1000, 0, "0.003"), (2, 0, "—"), (1000, 1, "—")])
def test_the_rule_of_three(trials: int, failures: int, expected: str) -> None:
    """Three divided by the trials, and nothing where there was a failure."""
    assert expected == bound(trials, failures)


def result(*findings: Finding) -> Result:
    return Result(name="n", title="T", size="3 things", seed=7, seconds=1.0, findings=findings)


def test_a_report_shows_what_failed() -> None:
    """Faults, trials, claims broken, the bound, the seed."""
    text = render_report(
        [result(Finding(fault="a|b", trials=300), Finding(fault="c", trials=4, failures=("gone",)))], "x", 1
    )
    assert "| 1. T | 3 things | 304 | 1 | — | 7 |" in text
    assert "| a\\|b | 300 | 0 | 0.01 |" in text
    assert "* gone" in text


@pytest.mark.parametrize(
    "findings",
    [(), (Finding(fault="c", trials=0),), (Finding(fault="c", trials=1, failures=("gone",)),)],
    ids=["nothing", "not tried", "broken"],
)
def test_an_experiment_that_shows_nothing_has_failed(findings: tuple[Finding, ...]) -> None:
    """No findings, no trials, or a broken claim."""
    assert result(*findings).failed


BUILD = builds.Build("sends twice", {}, lambda bench: (), r"accepted \d+ times")


@pytest.mark.parametrize(
    "problems",
    [(), ("a worker ended with 70 although it was not killed", "a-1: still pending, due: True")],
    ids=["nothing", "other complaints"],
)
def test_a_broken_build_is_not_noticed_by_another_claim(problems: Sequence[str]) -> None:
    """A crash, or whatever else is complained of, shows nothing about the rule that was broken."""
    found = builds.judge_build(BUILD, [problems])
    assert result(found).failed
    assert f"{len(problems)} other claims broken" in found.failures[0]


def test_a_broken_build_is_noticed_each_time_by_its_claim() -> None:
    """The claim's breaches are counted, one is shown, and a run without any is a failure."""
    found = builds.judge_build(BUILD, [("a worker crashed", "k-0: accepted 2 times"), ("k-1: accepted 3 times",), ()])
    assert found.fault.endswith("2 claims broken, e.g. 'k-0: accepted 2 times'")
    assert (3, 1) == (found.trials, len(found.failures))


def test_every_build_names_its_claim() -> None:
    """No claim matches anything that is said, and the builds of the short version are among all."""
    assert all(build.claim and build not in builds.BUILDS[:place] for place, build in enumerate(builds.BUILDS))
    assert set(builds.SAMPLE) < {build.name for build in builds.BUILDS}


@pytest.mark.parametrize("target", sorted({target for build in builds.BUILDS for target in build.patches}))
def test_what_a_build_breaks_is_there(target: str) -> None:
    """A function that was moved or renamed is found here, and not by an experiment that breaks down."""
    assert callable(pkgutil.resolve_name(target))


def test_functions_named_as_unreached_are_there() -> None:
    """A function that was moved or renamed is found here, and not by a long run."""
    assert [] == unreached.find_names_gone(list_lines())


def a_line(function: str, number: int = 1) -> Line:
    module, _, name = function.rpartition(".")
    return Line(module, name, number)


CREATE, ASK = a_line("payhub.plans.create.create"), a_line("payhub.plans.fetch.ask")
FETCH = [a_line("payhub.plans.fetch.fetch", number) for number in range(100)]


@pytest.mark.parametrize(
    ("reached", "left_out", "words"),
    [
        ([], [a_line("payhub.plans.fetch.new")], r"payhub\.plans\.fetch\.new: no way enters it, and it is not named"),
        ([ASK], [], r"payhub\.plans\.fetch\.ask: named as never entered, and a way enters it"),
        ([CREATE], [CREATE._replace(number=2)], r"create:2 create `.*`: no way leads here, where money is sent"),
        (FETCH[:50], FETCH[50:], r"50\.0% of the lines of entered functions are not reached"),
    ],
    ids=["a new function", "a name too many", "money", "too many lines"],
)
def test_what_no_way_reaches_is_judged(reached: list[Line], left_out: list[Line], words: str) -> None:
    """A function without a reason, a reason without its function, a line that sends money, and too many of any."""
    assert any(
        re.fullmatch(f".*{words}.*", failure) for failure in unreached.judge_unreached(reached, left_out).failures
    )


def test_a_function_that_is_named_is_no_failure() -> None:
    """It is known why no way enters it; it is counted by its reason, and none of its lines is printed."""
    judged = unreached.judge_unreached(FETCH, [ASK])
    assert not any("fetch.ask" in failure for failure in judged.failures)
    assert "1 ask a question that is about no order." in next(unreached.describe_unreached(FETCH, [ASK]))


def test_the_report_shows_each_line_that_no_way_reaches() -> None:
    """The file, the number and what stands there."""
    line = min(line for line in list_lines() if line.function == "fetch")
    _, text = unreached.describe_unreached([line._replace(number=1)], [line])
    assert f"payhub/plans/fetch.py:{line.number}  {line.text}" in text
    assert "1 of 2 lines" in text


FACTS = Facts(
    account="shop",
    provider="any",
    kind="payout",
    order_id="o",
    amount=Money("1.00", "RUB"),
    method="card",
    fingerprint="f",
)


def test_the_build_that_does_not_commit_leaves_nothing(tmp_path: Path) -> None:
    """The caller is given the order, and another connection finds no row."""
    journal = SqlJournal(f"sqlite:///{tmp_path}/payhub.db")
    assert builds._not_committed(journal, FACTS, 30.0).yours
    other = sqlite3.connect(tmp_path / "payhub.db")
    assert (0,) == other.execute("SELECT count(*) FROM payhub_orders").fetchone()
    other.close()
    journal.close()


def played(tmp_path: Path) -> list[str]:
    return evidence.play_sequences(Bench(directory=tmp_path, trials=200, seed=7), shrink=False)[0]


def regressing(now: State, found: Evidence) -> bool:
    return builds._final_or_not(now, found)


def stuck(now: State, found: Evidence) -> bool:
    return allowed(now, found) and (now, found.state) != (State.SENDING, State.PENDING)


def believing(now: State, found: Evidence) -> bool:
    return allowed(now, found) or (now is State.SENDING and found.source is Source.LEASE)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (regressing, "final state"),
        (stuck, "legal step not taken: sending > pending"),
        (believing, "by lease ended"),
    ],
)
def test_sequences_notice_another_table(rule: Any, words: str, tmp_path: Path) -> None:
    """A step too many or too few is found, whatever the table of the states says."""
    with mock.patch.object(rules, "allowed", rule):
        (failure,) = played(tmp_path)
    assert words in failure


def test_sequences_notice_journals_that_disagree(tmp_path: Path) -> None:
    """What one journal has and the other has not is found."""
    deaf = mock.Mock(wraps=rules, note_notification=lambda record, *_, **__: (record, False))
    with mock.patch("payhub.journal.memory.rules", deaf):
        (failure,) = played(tmp_path)
    assert failure.startswith("AssertionError: memory: ")


def test_sequences_notice_what_changes_when_it_is_final(tmp_path: Path) -> None:
    """The amount that was paid stands once the status is final."""
    true = rules.apply

    def applied(record: Record, found: Evidence, *rest: Any) -> tuple[Record, bool]:
        after, contrary = true(record, found, *rest)
        if record.state in evidence.FINAL and found.paid:
            after = msgspec.structs.replace(after, paid=found.paid)
        return after, contrary

    with mock.patch("payhub.journal.rules.apply", applied):
        (failure,) = played(tmp_path)
    assert "paid of what is" in failure or "paid taken over" in failure


@pytest.mark.parametrize(
    ("target", "broken", "words"),
    [
        ("payhub.accounts.registry.recall", builds._recalls_nothing, "rule 3: .* was raised, and"),
        ("payhub.models.plain_number", builds._as_written, "rule 3: OrderConflict with . was raised, and"),
        ("payhub.transport.connection.CallTrace.fail", builds._cut_is_not_sent, "rule 3: .* and the call moved money"),
        ("payhub.journal.rules.is_live", lambda _: False, "rule 2: "),
        ("payhub.journal.rules.allowed", lambda *_: True, "rule 8: "),
    ],
    ids=["no early look", "numbers as written", "a cut is not sent", "no leg is live", "every step is allowed"],
)
def test_sequences_of_switching_notice_what_is_broken(target: str, broken: Any, words: str, tmp_path: Path) -> None:
    """What would pay twice, raise for an order that was sent, or change what is final is found."""
    with mock.patch(target, broken):
        (failure,), _ = sequences.play_sequences(Bench(directory=tmp_path, trials=1000, seed=7), shrink=False)
    assert re.search(words, failure)


def test_a_shut_judge_refuses_connections(judge: Judge) -> None:
    """Its port stays its own, and it counts what it did before."""
    ask(judge, "/v1/payout", order_id="before", amount="1.00")
    judge.order(shut=True)
    with pytest.raises(ConnectionRefusedError):
        ask(judge, "/v1/payout", order_id="meanwhile", amount="1.00")
    judge.order(shut=False)
    assert 200 == ask(judge, "/v1/payout/status", order_id="before")[0]
    assert "meanwhile" not in judge.verdict().received


def test_a_disk_that_cannot_be_mounted_is_named(tmp_path: Path) -> None:
    """What mount said is the reason."""
    refusal = subprocess.CompletedProcess([], 32, "", "mount: permission denied.")
    with (
        mock.patch("os.geteuid", return_value=0),
        mock.patch("subprocess.run", return_value=refusal),
        pytest.raises(disks.Forbidden, match="permission denied"),
        disks._small_disk(tmp_path / "small"),
    ):
        pass


def test_what_was_not_tried_is_shown_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """It is not only in the report."""
    note = f"{NOT_TRIED}a fault.** It needs a machine."
    program._tell(Result(name="n", title="T", size="", seed=7, seconds=1.0, findings=(), notes=("more", note)))
    shown = capsys.readouterr().out
    assert note in shown
    assert "more" not in shown


class Gullible:
    """A receiver that answers everything alike, and keeps whatever it is told of."""

    def __init__(self, status: int, *kept: tuple[str, str, str]) -> None:
        self.signer = Signer(rsa.generate_private_key(65537, 2048), "sha1")
        self.status = status
        self._kept = iter([(), kept])

    def send(self, _request: bytes, _patience: float = 0) -> int:
        return self.status

    def kept(self) -> tuple[tuple[str, str, str], ...]:
        return next(self._kept)


@pytest.mark.parametrize(
    ("status", "kept", "failures"),
    [
        (400, [("fuzz-1", "424242", "paid")], 0),
        (400, [("fuzz-1", "424242", "paid"), ("fuzz-2", "424242", "paid")], 2),
        (500, [], 20),
    ],
)
def test_what_is_taken_for_genuine_is_a_broken_claim(
    status: int, kept: list[tuple[str, str, str]], failures: int
) -> None:
    """So is an answer that nothing explains; the very message that was signed may be kept."""
    found = strangers._fuzzed(Gullible(status, *kept), Bench(directory=ROOT, trials=20, seed=1).chance(), 20)  # type: ignore[arg-type]
    assert (20, failures) == (found.trials, len(found.failures))
