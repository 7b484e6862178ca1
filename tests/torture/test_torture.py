"""The short version of the torture: every experiment, a few trials of each."""

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.commands import environment

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "torture").is_dir(), reason="the harness is not here")

EXPERIMENTS = (
    "kills", "lines", "freezes", "answers", "race", "switching", "sequences", "evidence", "disks", "servers", "stopped",
    "deliveries", "replays", "hostile", "strangers", "builds",
)  # fmt: skip


class Finding(msgspec.Struct):
    fault: str
    trials: int
    failures: list[str]


class Result(msgspec.Struct):
    name: str
    findings: list[Finding]
    notes: list[str]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """Run all experiments side by side: most of their time is spent waiting.

    It is a process that nothing of pytest's is in: it forks, and its children die without a goodbye.
    """
    path = tmp_path_factory.mktemp("torture") / "results.json"
    command = [sys.executable, "-m", "torture", "--short", "--jobs", str(len(EXPERIMENTS)), "--json", str(path)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=500, check=False
    )
    assert path.exists(), done.stdout + done.stderr
    return {result.name: result for result in msgspec.json.decode(path.read_bytes(), type=list[Result])}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_claim_is_broken(name: str, results: dict[str, Result]) -> None:
    """Every fault of an experiment was tried, and nothing was paid twice, lost or misreported."""
    findings = results[name].findings
    assert findings
    assert [] == [f"{finding.fault}: {failure}" for finding in findings for failure in finding.failures]
    assert [] == [finding.fault for finding in findings if not finding.trials]


def test_all_experiments_are_run(results: dict[str, Result]) -> None:
    """The list here is the harness's own."""
    assert EXPERIMENTS == tuple(results)


@pytest.mark.parametrize("name", ["HTTP 500 is sent again", "HTTP 404 is a failure", "written after sending"])
def test_the_harness_bites(name: str, results: dict[str, Result]) -> None:
    """What would pay twice or lose a payout is broken on purpose in every run, and noticed."""
    (build,) = [finding for finding in results["builds"].findings if name in finding.fault]
    assert [] == build.failures
    assert re.search(r"[1-9][0-9]* claims broken", build.fault)


@pytest.mark.parametrize("fault", ["disk full", "file turns read-only"])
def test_a_disk_that_may_not_be_broken_is_noted(fault: str, results: dict[str, Result]) -> None:
    """The fault is tried, or the report says that it was not, and what the system said; root is always let try."""
    tried = [finding for finding in results["disks"].findings if fault in finding.fault]
    noted = [note for note in results["disks"].notes if note.startswith(f"**NOT TRIED: {fault}.**")]
    assert 1 == len(tried) + len(noted)
    assert all(re.search(r"It needs root.*; here: [^.]+", note) for note in noted)
    assert not any("here: not root" in note for note in noted) or os.geteuid()
