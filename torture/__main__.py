"""Run the experiments, and write down what they found: `python -m torture`, or `make torture`."""

import argparse
import functools
import secrets
import select
import shlex
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from torture import ROOT
from torture.experiments import (
    answers,
    builds,
    deaths,
    deliveries,
    disks,
    evidence,
    hostile,
    kills,
    race,
    sequences,
    servers,
    stopped,
    strangers,
    switching,
)
from torture.processes import Child, start
from torture.report import NOT_TRIED, Bench, Finding, Found, Result, render_report
from torture.shop import make_keys, quiet

REPORT = ROOT / "docs" / "reliability.md"
_LONGEST = 3600  # seconds that one experiment may take


class Experiment(NamedTuple):
    """An experiment, and how large its short and its long version are."""

    title: str
    run: Callable[[Bench], Found]
    short: int
    long: int
    size: str


EXPERIMENTS: Mapping[str, Experiment] = {
    "kills": Experiment("Killed at random instants, SQLite", kills.sqlite, 10, 1000, "{} kills"),
    "lines": Experiment("Dead at each line", deaths.at_every_line, 0, 25, "{} deaths at each line"),
    "freezes": Experiment(
        "Killed and frozen, four workers, PostgreSQL", kills.postgresql, 3, 300, "{0} kills and {0} freezes"
    ),
    "answers": Experiment("Wrong answers", answers.wrong_answers, 0, 1, "each answer {} time(s)"),
    "race": Experiment("Two processes, the same orders", race.two_processes, 2, 6, "{} races"),
    "switching": Experiment("Several accounts, switched by hand", switching.by_hand, 12, 5600, "{} orders"),
    "sequences": Experiment("Switching, in any sequence", sequences.any_sequence, 100, 10_000, "{} sequences"),
    "evidence": Experiment("Evidence in any order", evidence.any_order, 100, 10_000, "{} sequences"),
    "disks": Experiment("No disk, SQLite", disks.at_each_statement, 1, 5, "{} at each statement"),
    "servers": Experiment("No server, PostgreSQL", servers.at_each_statement, 0, 3, "{} at each statement"),
    "stopped": Experiment("Stopped in a transaction", stopped.in_a_transaction, 0, 1, "{} at each statement"),
    "deliveries": Experiment(
        "Killed between keeping a notification and answering it", deliveries.kill_receivers, 6, 300, "{} deaths"
    ),
    "replays": Experiment("One notification, very often", deliveries.replay_messages, 200, 10_000, "{} times each"),
    "hostile": Experiment("Hostile answers", hostile.hostile_answers, 0, 100_000, "{} altered ones"),
    "strangers": Experiment(
        "Strangers at the receiver", strangers.face_strangers, 300, 100_000, "{} fuzzed deliveries"
    ),
    "builds": Experiment("Broken on purpose", builds.break_rules, 0, 1, "each build {} time(s)"),
}
"""Every experiment; 0 stands for a sample of an experiment that cannot be made smaller by repeating less."""


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked for; return 1 if a claim was broken."""
    asked = _asked(words)
    names = asked.only or list(EXPERIMENTS)
    seed = asked.seed if asked.seed is not None else secrets.randbelow(1 << 31)
    quiet()
    warnings.simplefilter("ignore")  # platformdirs and others have opinions about this machine
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture-") as directory:
        Path(directory).chmod(0o755)  # PostgreSQL runs as another user
        make_keys(Path(directory, "made"))
        results = _all(names, Path(directory), seed, short=asked.short, trials=asked.trials, jobs=asked.jobs)
    command = _command(asked, seed)
    report = asked.report or (None if asked.short or asked.only or asked.trials is not None else REPORT)
    if report is not None:
        told = render_report(results, command, time.monotonic() - began, whole=not asked.only)
        report.write_text(told, "utf-8")
    if asked.json is not None:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    return int(any(result.failed for result in results))


class _Asked(argparse.Namespace):
    only: list[str]
    short: bool
    trials: int | None
    seed: int | None
    jobs: int
    report: Path | None
    json: Path | None


def _command(asked: _Asked, seed: int) -> str:
    """Return what has to be typed for the same run."""
    words = ["python", "-m", "torture", *asked.only, "--seed", str(seed), "--jobs", str(asked.jobs)]
    words += ["--short"] * asked.short
    words += ["--trials", str(asked.trials)] if asked.trials is not None else []
    return shlex.join(words)


def _asked(words: Sequence[str] | None) -> _Asked:
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="EXPERIMENT", help=f"only these: {', '.join(EXPERIMENTS)}")
    parser.add_argument("--short", action="store_true", help="the short version")
    parser.add_argument("--trials", type=int, help="how many, instead of each experiment's own number")
    parser.add_argument("--seed", type=int, help="repeat a run's choices")
    parser.add_argument("--jobs", type=int, default=1, help="how many experiments side by side")
    parser.add_argument("--report", type=Path, help=f"where to write it; a complete long run writes {REPORT.name}")
    parser.add_argument("--json", type=Path, help="where to write the results as data")
    asked = parser.parse_args(words, namespace=_Asked())
    if unknown := sorted(set(asked.only) - set(EXPERIMENTS)):
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(EXPERIMENTS)}")
    return asked


def _all(
    names: Sequence[str], directory: Path, seed: int, *, short: bool, trials: int | None, jobs: int
) -> list[Result]:
    """Run experiments, each in a process of its own, begun in their order."""
    left = list(names)
    running: list[tuple[str, Child]] = []
    results: dict[str, Result] = {}
    while left or running:
        while left and len(running) < jobs:
            name = left.pop(0)
            count = trials if trials is not None else EXPERIMENTS[name].short if short else EXPERIMENTS[name].long
            bench = Bench(directory=directory / name, trials=count, seed=seed)
            bench.directory.mkdir()
            running.append((name, start(functools.partial(_run, name, bench), seconds=_LONGEST)))
        ready = select.select([child for _, child in running], [], [])[0]
        for name, child in [one for one in running if one[1] in ready]:
            running.remove((name, child))
            results[name] = child.returned(Result)
            _tell(results[name])
    return [results[name] for name in names]


def _run(name: str, bench: Bench) -> Result:
    experiment = EXPERIMENTS[name]
    began = time.monotonic()
    try:
        found = experiment.run(bench)
    except Exception as cause:  # noqa: BLE001 - an experiment that breaks down has shown nothing
        words = f"the experiment broke down: {type(cause).__name__}: {cause}"
        found = Found([Finding(fault="the harness", trials=0, failures=(words,))])
    return Result(
        name=name,
        title=experiment.title,
        size=experiment.size.format(bench.trials) if bench.trials else "a sample",
        seed=bench.seed,
        seconds=time.monotonic() - began,
        findings=tuple(found.findings),
        notes=tuple(found.notes),
    )


def _tell(result: Result) -> None:
    """Write an experiment's result to the terminal."""
    word = "FAILED" if result.failed else "passed"
    sys.stdout.write(
        f"{word}  {result.name}: {result.trials} trials, {result.failures} claims broken, {result.seconds:.0f} s\n"
    )
    for found in result.findings:
        for failure in found.failures[:5]:
            sys.stdout.write(f"        {found.fault}: {failure}\n")
    for note in result.notes:
        if note.startswith(NOT_TRIED):
            sys.stdout.write(f"        {note}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
