"""What others wrote, put into Markdown unchanged and harmless; no I/O."""

import itertools
import json
import re

import msgspec

from payhub.masking import one_line


def _longest_run(text: str) -> int:
    """Count the backticks of the longest run of them: a fence has to be longer."""
    return max((len(list(run)) for character, run in itertools.groupby(text) if character == "`"), default=0)


def quoted(text: object) -> str:
    """Quote a text within a line."""
    line = one_line(text)
    fence = "`" * (_longest_run(line) + 1)
    space = " " if line.startswith(("`", " ")) or line.endswith(("`", " ")) else ""
    return f"{fence}{space}{line}{space}{fence}"


# No link, image, tag or heading can be made of these; programs make links of addresses by themselves.
_PLAIN = re.compile(r"(?!.*(?://|www\.))[\w .,:;()+/-]*", re.IGNORECASE)


def plain_or_quoted(text: object) -> str:
    """Return a text as it is where Markdown means nothing by it, else quoted."""
    line = one_line(text)
    return line if _PLAIN.fullmatch(line) else quoted(line)


def fenced(text: str, language: str) -> str:
    """Put lines into a block of their own."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def body(value: object, indent: int | None = None) -> str:
    """Write a body as it is kept: JSON in the order in which it was sent, or the text that stands for it."""
    if isinstance(value, str):
        return value
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False, indent=indent)
