"""Measure what payhub's code looks like, beside what it is meant to look like, and fail where it does not.

Run it as `python -m tools.measure`; with `--list` it names each offender by file and line. `--root` measures another
checkout.
"""

import argparse
import sys
from pathlib import Path

from tools import sources

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {"sandbox", "migrations"}
"""Directories that are counted apart, or not at all: a simulator of a provider, and scripts that Alembic runs."""

ONCE, ABOVE = 10.0, 4.0


def main() -> int:
    """Print the figures and return 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.measure", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the offenders by file and line")
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout to measure")
    options = parser.parse_args()
    every = sources.read(options.root, "payhub", "payhub_alikassa")
    own = [source for source in every if not ELSEWHERE & set(source.path.parts)]
    missed = False
    for words, share, target in (
        ("private functions with one use in their file", sources.used_once(own), ONCE),
        ("module constants first used above their definition", sources.used_above(own), ABOVE),
    ):
        missed |= share.percent > target
        print(f"{words}: {len(share.found)} of {share.whole}, {share.percent:.1f} % (target: {target:g} % or less)")
        if options.list:
            print(*(f"  {place}" for place in share.found), sep="\n")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
