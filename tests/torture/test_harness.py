"""The parts of the harness that judge: they count what they should, and they can fail."""

import http.client
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.torture.test_torture import ROOT

if not (ROOT / "torture").is_dir():
    pytest.skip("the harness is not here", allow_module_level=True)
sys.path.insert(0, str(ROOT))  # it is not part of the wheel

from torture.judge import Fault, Judge
from torture.report import Finding, Result, bound, written


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


def test_the_judge_lies_when_told_to(judge: Judge) -> None:
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
    text = written([result(Finding(fault="a|b", trials=300), Finding(fault="c", trials=4, failures=("gone",)))], "x", 1)
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
