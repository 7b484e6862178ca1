"""Take the provider's own sample programs out of its documents, as they are printed there.

The documents lie beside a checkout of the project, in `../shared/reference/seeds`, and are not
part of it. A user's clone does not have them.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DOCUMENTS = Path(__file__).parents[3] / "shared" / "reference" / "seeds"

HOST = re.compile(r"api-merchant\.alikassa\.(?:com|io)")


def _program(first: str, last: str) -> re.Pattern[str]:
    """Match a whole program by its first line and its end, with no other beginning in between."""
    return re.compile(rf"^{first}$(?:(?!^{first}$).)*?{last}$", re.MULTILINE | re.DOTALL)


# A PHP program ends with the statement that calls the sample's function; some pages do not print
# what it returned.
_PROGRAMS = {
    "php": _program(r"function request\w+\(string [^\n]*", r"^\$(?P<result>\w+) = request\w+\([^\n]*\[\n.*?^\]\);"),
    "node": _program(r"import \{ readFileSync \} from 'fs';", r"^console\.log\((?P<result>\w+)\);\n\}\)\(\);"),
    "python": _program(r"import json", r"^print\((?P<result>\w+)\)"),
}


class Program(NamedTuple):
    """One sample program, its language, and the document it is printed in."""

    document: str
    language: str
    text: str
    result: str

    def __str__(self) -> str:
        """Name the program in the output of pytest."""
        return f"{self.document[:3]}-{self.language}"


def available() -> bool:
    """Tell whether the documents are there."""
    return DOCUMENTS.is_dir()


def programs() -> list[Program]:
    """Return every PHP, Node and Python program of the documents; none without the documents."""
    return [program for path in sorted(DOCUMENTS.glob("*.txt")) for program in _programs(path)]


def _programs(path: Path) -> Iterator[Program]:
    text = path.read_text("utf-8")
    for language, pattern in _PROGRAMS.items():
        for found in pattern.finditer(text):
            source = "\n".join(indented(found.group())) if language == "python" else found.group()
            yield Program(path.name, language, source, found["result"])


def indented(source: str) -> Iterator[str]:
    """Give Python lines the indentation that the documents have lost.

    Three facts of these programs suffice: a function's body ends with its `return`, the body of
    a `with` is one line, and what stands in braces needs no indentation.
    """
    body = block = 0
    for line in source.splitlines():
        yield "    " * (body + block) + line
        block = line.startswith("with ")
        body = (body or line.startswith("def ")) and not line.startswith("return ")
