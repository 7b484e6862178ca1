"""docs/journal.md says of the journal what is so."""

import re
from pathlib import Path

from payhub.journal import Source, State, Why
from payhub.journal.sql.tables import tables
from payhub.journal.states import EDGES, STATUSES

PAGE = (Path(__file__).parents[1] / "docs" / "journal.md").read_text("utf-8")


def test_every_step_is_in_the_table() -> None:
    """The page has the whole state machine, in its order, each step with its evidence."""
    table = PAGE.partition("<!-- edges:")[2].partition("<!-- end -->")[0]
    assert [line for line in table.splitlines() if line.startswith("| `")] == [
        f"| `{now}` | `{then}` | {', '.join(source for source in Source if source in by)} |"
        for now, steps in EDGES.items()
        for then, by in steps.items()
    ]


def test_every_state_is_explained_with_its_status() -> None:
    """Each state has a row, with the statuses that an application is told."""
    found = re.findall(r"(?m)^\| `(\w+)` \| `([A-Z_]+)` \| `([A-Z]+)` \| `([A-Z]+)` \|", PAGE)
    assert found == [(state.value, *(status.name for status in STATUSES[state])) for state in State]


def test_every_kind_of_evidence_is_explained() -> None:
    """Each source has a row."""
    assert [source for source in Source if f"\n| {source} | " not in PAGE] == []


def test_every_reason_is_explained() -> None:
    """Each reason of payhub's own has a row, in its order."""
    table = PAGE.partition("<!-- reasons:")[2].partition("<!-- end -->")[0]
    assert [word for row in re.findall(r"(?m)^\| (`.*?`) \|", table) for word in re.findall(r"`(\w+)`", row)] == [
        "why", *Why
    ]  # fmt: skip


def test_every_table_is_named() -> None:
    """Each table of the database has a row, under the default prefix."""
    assert re.findall(r"(?m)^\| `(payhub_\w+)` \|", PAGE) == list(tables("payhub_").metadata.tables)
