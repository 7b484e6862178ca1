"""Programs for those who work on payhub itself; no part of the distribution.

`make measure` (or `python -m tools.measure`) counts what the code looks like, follows one payout through it at run
time, and prints each figure beside its target; it fails where a target is missed. `--list` names what to look at, by
file and line. Run it before and after moving code: the figures are no aim in themselves, but they show where a reader
has to jump.
"""
