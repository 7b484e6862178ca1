"""The short version of the torture: every experiment, a few trials of each."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "torture").is_dir(), reason="the harness is not here")

EXPERIMENTS = (
    "kills", "lines", "freezes", "answers", "race", "evidence", "disks", "servers", "stopped", "deliveries", "replays",
    "builds",
)  # fmt: skip


class Finding(msgspec.Struct):
    fault: str
    trials: int
    failures: list[str]


class Result(msgspec.Struct):
    name: str
    findings: list[Finding]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """Run all experiments side by side: most of their time is spent waiting.

    It is a process that nothing of pytest's is in: it forks, and its children die without a goodbye.
    """
    path = tmp_path_factory.mktemp("torture") / "results.json"
    command = [sys.executable, "-m", "torture", "--short", "--jobs", str(len(EXPERIMENTS)), "--json", str(path)]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, timeout=110, check=False)
    assert path.exists(), done.stdout + done.stderr
    return {result.name: result for result in msgspec.json.decode(path.read_bytes(), type=list[Result])}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_claim_is_broken(name: str, results: dict[str, Result]) -> None:
    """Every fault of an experiment was tried, and nothing was paid twice, lost or misreported."""
    findings = results[name].findings
    assert findings
    assert [] == [finding.fault for finding in findings if not finding.trials]
    assert [] == [f"{finding.fault}: {failure}" for finding in findings for failure in finding.failures]


def test_all_experiments_are_run(results: dict[str, Result]) -> None:
    """The list here is the harness's own."""
    assert EXPERIMENTS == tuple(results)
