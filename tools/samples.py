"""Write the samples of a page that are headed by a file's name: `python -m tools.samples PAGE DIRECTORY`.

So a driver begins as a copy of one that works, the one in docs/drivers.md.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

SAMPLE = re.compile(r'^```python title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def samples(text: str) -> dict[str, str]:
    """Return the files that a page shows, by their names."""
    return dict(SAMPLE.findall(text))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files of a page into a directory; one that is there already is left alone, and the exit code is 1."""
    parser = argparse.ArgumentParser(prog="python -m tools.samples", description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("directory", type=Path)
    asked = parser.parse_args(arguments)
    kept = 0
    for name, source in samples(asked.page.read_text("utf-8")).items():
        path = asked.directory / name
        if path.exists():
            print(f"{path} is there already")
            kept += 1
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
        print(path)
    return int(bool(kept))


if __name__ == "__main__":
    raise SystemExit(main())
