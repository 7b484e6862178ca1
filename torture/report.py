"""Hold what the experiments found, and write it down for people."""

import datetime as dt
import os
import platform
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

ROOT = Path(__file__).resolve().parents[1]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Say how often one fault was tried, and what was wrong afterwards."""

    fault: str
    trials: int
    failures: tuple[str, ...] = ()


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one experiment's findings, and what its reader has to know beside them."""

    name: str
    title: str
    seed: int
    seconds: float
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Tell whether any claim was broken, or nothing was tried."""
        return any(found.failures or not found.trials for found in self.findings) or not self.findings


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """Give an experiment what it needs: an empty directory, a number of trials, a seed."""

    directory: Path
    trials: int
    seed: int

    def chance(self, *names: object) -> random.Random:
        """Return a source of chance that the seed and the names decide."""
        return random.Random(f"{self.seed} {names}")

    def beside(self, name: str, trials: int) -> Self:
        """Return a bench of the same seed in a directory beside this one's contents."""
        return msgspec.structs.replace(self, directory=self.directory / name, trials=trials)
