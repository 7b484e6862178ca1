"""Torture payhub: kill it, freeze it, give it wrong answers, fill its disk, and count what the provider accepted.

`python -m torture` runs the experiments and writes their report. The only judge is a provider in a
process of its own (`torture.judge`), which accepts every create it is sent and counts them.
"""

import os
import sys
from pathlib import Path

if os.environ.get("PAYHUB_TESTS_ON") != "httpx2":
    sys.modules["httpx2"] = None  # type: ignore[assignment]  # what is tortured is what users have

ROOT = Path(__file__).resolve().parents[1]
"""The directory of the repository."""
