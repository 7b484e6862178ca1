"""Measure what payhub's code looks like, and print each figure beside what it is meant to be.

The figures are those of a review of commit 6d21160; there they come out as follows:

============================================  ========================  =========================================
figure                                        in the review             here
============================================  ========================  =========================================
files / lines                                 105 / 18,073              the same
lines of a file, of a body                    134/351/622, 3/12/93      the same
private functions with one use in their file  241 of 1,017 (24 %)       the same
constants first used above their definition   72 of 370 (19 %)          72 of 376 (19 %): also 6 unpacked ones
comments per 100 lines, docstrings            1.8, 16 %                 the same
public definitions / documented               839 / 100 %               the same
class docstrings that open with a verb        251 of 251                249: in "Tell of ..." it takes a noun
one payout: calls, functions, files           461 to 464, 157, 25       462 or 464, 157, 25
one payout: rooms, moves, generators          17, 115, 7                the same
arrows upward                                 1                         1, of 5 imports
============================================  ========================  =========================================

What is a use, a constant, an arrow or a call is said where it is counted: in `sources`, `rooms` and `payout`. The
first column is all that is installed, but functions with one use and constants are counted without the sandbox, which
simulates a provider, and without migrations, which are kept as they were. The core is payhub without commands,
tickets, testing and migrations; the driver is without its sandbox.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tools import rooms, sources
from tools.sources import Place, Share, Source

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("payhub + driver", "core", "driver", "sandbox")


class Row(NamedTuple):
    """A figure: its value in each part of the tree, and the target of the first."""

    words: str
    values: Sequence[str]
    target: str = ""
    missed: bool = False


class Report(NamedTuple):
    """The figures of one kind, and for each list the lines that it names."""

    rows: list[Row]
    lists: dict[str, list[str]]


def parted(every: list[Source]) -> tuple[list[Source], ...]:
    """Return the files of each of the parts, and after them those of the first that are counted for all figures."""
    counted = [source for source in every if not {"sandbox", "migrations"} & set(source.path.parts)]
    driver = [source for source in counted if source.path.parts[0] != "payhub"]
    core = [
        source
        for source in counted
        if source.path.parts[0] == "payhub" and source.path.parts[1] not in {"cli", "ticket", "testing"}
    ]
    sandbox = [source for source in every if source.path.parts[:2] == ("payhub_alikassa", "sandbox")]
    return every, core, driver, sandbox, counted


def files(part: list[Source]) -> str:
    """Return how many files there are, and how many lines in them."""
    return f"{len(part)} / {sum(len(source.text.splitlines()) for source in part):,}"


def file_lines(part: list[Source]) -> str:
    """Return the spread of the lines of files."""
    return str(sources.spread(len(source.text.splitlines()) for source in part))


def body_lines(part: list[Source]) -> str:
    """Return the spread of the lines of functions' bodies."""
    return str(sources.spread(sources.body_lines(each) for source in part for each in sources.functions(source)))


def comments(part: list[Source]) -> str:
    """Return how many comments there are in 100 lines that are not blank."""
    prose = sources.prose(part)
    return f"{100 * prose.comments / max(prose.lines, 1):.1f}"


def docstrings(part: list[Source]) -> str:
    """Return how many of the lines that are not blank are docstrings'."""
    prose = sources.prose(part)
    return f"{100 * prose.docstrings / max(prose.lines, 1):.0f} %"


def documented(part: list[Source]) -> str:
    """Return how many public definitions there are, and how many of them are documented."""
    bare = sources.undocumented(part)
    return f"{bare.whole} / {100 - bare.percent:.0f} %"


def text(every: list[Source]) -> Report:
    """Return the figures of what stands in the files."""
    *parts, counted = parted(every)

    def row(words: str, count: Callable[[list[Source]], str]) -> Row:
        return Row(words, [count(part) if part else "" for part in parts])

    def share(words: str, count: Callable[[Iterable[Source]], Share], most: float) -> Row:
        shares = [count(part) for part in (counted, *parts[1:])]
        values = [f"{len(each.found)} of {each.whole:,} ({each.percent:.1f} %)" for each in shares]
        return Row(words, values, f"≤ {most:g} %", shares[0].percent > most)

    def verbs(part: Iterable[Source]) -> Share:
        return sources.imperative(part, every)

    return Report(
        [
            row("files / lines", files),
            row("lines of a file: median / p90 / max", file_lines),
            row("lines of a body: median / p90 / max", body_lines),
            share("private functions with one use in their file", sources.used_once, 10),
            share("constants first used above their definition", sources.used_above, 4),
            row("comments per 100 lines that are not blank", comments),
            row("docstrings' share of those lines", docstrings),
            row("public definitions / documented", documented),
            row(
                "class docstrings that open with a verb",
                lambda part: f"{len(verbs(part).found)} of {verbs(part).whole}",
            ),
        ],
        {
            "once": lines(sources.used_once(counted).found),
            "above": lines(sources.used_above(counted).found),
            "undocumented": lines(sources.undocumented(every).found),
            "verbs": lines(verbs(every).found),
        },
    )


def lines(places: Iterable[Place]) -> list[str]:
    """Return places as they are shown."""
    return [str(place) for place in places]


def most(words: str, value: int, target: int) -> Row:
    """Return a figure that shall not be greater than its target."""
    return Row(words, [str(value)], f"≤ {target}" if target else "0", value > target)


def imports(every: list[Source], order: Sequence[str]) -> Report:
    """Return the figures of arrows between rooms."""
    arrows = rooms.arrows(every)
    upward = rooms.upward(arrows, order)
    between: dict[str, set[str]] = {}
    for arrow in arrows:
        between.setdefault(arrow.origin, set()).add(arrow.target)
    inside = {own: {target for target, _ in found} for own, found in rooms.imported(every).items()}
    return Report(
        [
            Row("arrows between rooms / imports", [f"{sum(map(len, between.values()))} / {len(arrows)}"]),
            most("arrows upward", len({arrow[:2] for arrow in upward}), 0),
            most("circles of rooms", len(rooms.circles(between)), 0),
            Row("circles of modules, inside rooms too", [str(len(rooms.circles(inside)))]),
        ],
        {
            "arrows": lines(arrow.place for arrow in upward),
            "circles": [" ⇄ ".join(circle) for circle in rooms.circles(between) + rooms.circles(inside)],
        },
    )


def times(names: Iterable[str]) -> str:
    """Return names in the order of their first call, and how often each was called."""
    return ", ".join(name if count == 1 else f"{name} x{count}" for name, count in Counter(names).items())


def payout(root: Path) -> Report:
    """Return the figures of one payout, made by a program of its own with the code of a checkout."""
    program = [sys.executable, "-P", str(ROOT / "tools" / "payout.py")]
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONHASHSEED": "0"}
    output = subprocess.run(program, env=environment, cwd=root, stdout=subprocess.PIPE, text=True, check=True).stdout
    trip = json.loads(output.splitlines()[-1])
    calls = [(path, name) for path, name in trip["calls"]]
    stays = rooms.stays(calls)
    named = {(path, name) for path, name in calls if not name.endswith(">")}
    return Report(
        [
            Row("one payout: calls / functions / files", [f"{len(calls)} / {len(named)} / {len(dict(calls))}"]),
            most("one payout: rooms", len({stay.room for stay in stays}), 12),
            most("one payout: moves from room to room", len(stays) - 1, 80),
            most("one payout: generators suspended while sending", len(trip["suspended"]), 4),
        ],
        {
            "trip": [f"{number}. {stay.room}: {times(stay.names)}" for number, stay in enumerate(stays)],
            "suspended": [f"{path}: {name}" for path, name in trip["suspended"]],
        },
    )


def table(headings: Sequence[str], rows: Sequence[Row]) -> None:
    """Print figures in columns, the target and whether it is missed last."""
    cells = [[row.words, *row.values, row.target, "MISSED" if row.missed else ""] for row in rows]
    cells = [["", *headings, "target", ""], *cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for first, *others in cells:
        print(
            first.ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)),
            sep="  ",
        )
    print()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures, and return 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.measure", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout to measure")
    parser.add_argument(
        "--list",
        nargs="*",
        choices=("once", "above", "undocumented", "verbs", "arrows", "circles", "trip", "suspended"),
        help="name what was found, by file and line: all of it, or of these figures",
    )
    options = parser.parse_args(arguments)
    root: Path = options.root.resolve()
    every = sources.read(root, "payhub", "payhub_alikassa")
    reports = [text(every), imports(every, rooms.order_of(root)), payout(root)]
    table(PARTS, reports[0].rows)
    table(["value"], [row for report in reports[1:] for row in report.rows])
    if options.list is not None:
        for name, found in {name: found for report in reports for name, found in report.lists.items()}.items():
            if not options.list or name in options.list:
                print(f"{name}: {len(found)}", *found, "", sep="\n  ")
    return int(any(row.missed for report in reports for row in report.rows))


if __name__ == "__main__":
    sys.exit(main())
