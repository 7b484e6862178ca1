"""The environment of the commands that README and docs show."""

import os
import sys
from pathlib import Path


def environment(*without: str, **more: str) -> dict[str, str]:
    """Return this environment with the programs of this interpreter on the path, for commands that are not counted.

    To count the lines that a command runs takes as long as the command itself, and tests/cli count them.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV") and name not in without}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **more}
