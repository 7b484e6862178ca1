"""Torture payhub: kill it, freeze it, give it wrong answers, fill its disk, and count what the provider accepted.

`python -m torture` runs the experiments and writes their report. The only judge is a provider in a
process of its own (`torture.judge`), which accepts every create it is sent and counts them.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The directory of the repository."""
