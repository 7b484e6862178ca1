"""Small made-up sources."""

import ast
from pathlib import Path
from textwrap import dedent

from tools.sources import Source


def source(text: str, path: str = "payhub/made.py") -> Source:
    text = dedent(text)
    return Source(Path(path), text, ast.parse(text))
