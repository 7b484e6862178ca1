"""Compare what two commits cost: payouts a second with a journal in SQLite, in turns.

Run it as `python -m bench.compare OLD [NEW]`; without a second commit the files as they are now are compared. Each
commit makes its payouts in a process of its own, against one server that answers at once, and the two take many short
turns, so that a machine that is busy slows both; a commit that is compared with itself shows by how much that is not
so. It fails if the new one has less than 0.9 of the rate.
"""

import argparse
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.bench import stub

ROOT = Path(__file__).resolve().parents[1]
RATIO = 0.9
ROUNDS, SECONDS = 300, 0.1


def sources(commit: str | None, directory: Path) -> Path:
    """Return where the sources of a commit are: taken out of git, or as they are now."""
    if commit is None:
        return ROOT
    packed = subprocess.check_output(["git", "archive", commit, "payhub", "payhub_alikassa"], cwd=ROOT)  # noqa: S607
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(directory, filter="data")
    return directory


@contextlib.contextmanager
def maker(path: Path, directory: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """Run a process that makes payouts with the payhub that lies there, a turn for each line."""
    program = [sys.executable, str(Path(__file__).with_name("turns.py")), str(directory), str(port), str(SECONDS)]
    environment = {**os.environ, "PYTHONPATH": str(path)}
    process = subprocess.Popen(program, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.communicate()


class Turn(NamedTuple):
    """What a turn showed: payouts a second, and the milliseconds of the processor that one took."""

    rate: float
    work: float


def turn(process: subprocess.Popen[str]) -> Turn:
    """Let a process take its turn."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return Turn(*map(float, process.stdout.readline().split()))


def taken(old: subprocess.Popen[str], new: subprocess.Popen[str], *, turned: bool) -> tuple[Turn, Turn]:
    """Let both take a turn, the new one first if `turned`."""
    if turned:
        second, first = turn(new), turn(old)
        return first, second
    return turn(old), turn(new)


def main() -> int:
    """Compare, print the figures, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("old", help="a commit")
    parser.add_argument("new", nargs="?", help="another commit; without it, the files as they are now")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, stub() as port:
        here = Path(name)
        paths = [sources(asked.old, here / "old"), sources(asked.new, here / "new")]
        with maker(paths[0], here / "first", port) as first, maker(paths[1], here / "second", port) as second:
            turn(first), turn(second)  # everything is opened
            turns = [taken(first, second, turned=number % 2 == 1) for number in range(ROUNDS)]
    for title, each in ((asked.old, [old for old, _ in turns]), (asked.new or "now", [new for _, new in turns])):
        rates, works = zip(*each, strict=True)
        print(f"{title}: {statistics.median(rates):,.0f} / s, the best turn {max(rates):,.0f} / s; ", end="")
        print(f"{statistics.median(works):.2f} ms of the processor for one, {min(works):.2f} ms in the best turn")
    ratio = statistics.median(new.rate / old.rate for old, new in turns)
    print(f"new to old, median of {ROUNDS} pairs of turns: {ratio:.2f} x, at least {RATIO} x")
    return int(ratio < RATIO)


if __name__ == "__main__":
    sys.exit(main())
