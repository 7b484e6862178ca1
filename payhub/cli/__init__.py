"""Offer payhub on the command line; needs the extra `cli`."""

import sys
from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `payhub` with the arguments given, else those of the process, and exit."""
    try:
        from payhub.cli.app import run  # noqa: PLC0415 - typer and rich are an extra
    except ModuleNotFoundError as missing:
        library = (missing.name or "").partition(".")[0]
        if library not in {"rich", "typer"}:
            raise
        sys.stderr.write(f"payhub: {library} is not installed: pip install 'payhub-core[cli]'\n")
        sys.exit(2)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))
