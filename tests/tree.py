"""Find the files that are part of the project."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOT_OURS = {".git", ".venv", "build", "dist", "site", "__pycache__"}


def files() -> list[Path]:
    """Return the files of the project: all that git does not ignore, or all that a source distribution has."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0 and (names := listed.stdout.decode().split("\0")[:-1]):
        return [path for name in names if (path := ROOT / name).is_file()]
    found = (path for path in ROOT.rglob("*") if path.is_file())
    return [path for path in found if not NOT_OURS & set(path.relative_to(ROOT).parts)]
