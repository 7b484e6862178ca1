"""docs/logging.md, and what other pages say of masks, is so."""

import ast
import re
from pathlib import Path

import pytest
import structlog

import payhub
from payhub import masking
from payhub.exchanges import record
from payhub.exchanges.events import Event
from payhub.masking import Mask, mask_value
from payhub.models import Exchange

ROOT = Path(__file__).parents[1]
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("logging", "how-it-works", "drivers")}


def table(page: str, name: str) -> list[list[str]]:
    """Return the rows of a table that a comment names, without its head."""
    text = PAGES[page].partition(f"<!-- {name}:")[2].partition("<!-- end -->")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return rows[1:]


def named(cells: list[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_every_mask_has_its_row_and_does_what_it_says() -> None:
    """The page has every mask, and of the example of each what really is shown."""
    rows = table("how-it-works", "masks")
    masks = [Mask(cells[0].strip("`").partition(",")[0]) for cells in rows]
    assert list(Mask) == masks
    for mask, (*_, value, shown) in zip(masks, rows, strict=True):
        assert str(mask_value(value.strip("`"), mask)) == shown.strip("`")


def test_every_mask_can_be_imported_by_its_name() -> None:
    """What a page calls a mask is what a driver imports."""
    assert {mask: getattr(masking, mask.value).__metadata__ for mask in Mask if mask is not Mask.HIDDEN} == {
        mask: (mask,) for mask in Mask if mask is not Mask.HIDDEN
    }


def test_authors_are_told_of_every_mask() -> None:
    """The page for drivers' authors says of every mask what to give it to."""
    rows = table("drivers", "masks")
    assert [mask.value for mask in Mask] == [*named([cells[0] for cells in rows]), "none"]


def test_every_field_of_an_exchange_is_explained() -> None:
    """The page has every field of an exchange, in its place."""
    assert sorted(named([cells[0] for cells in table("logging", "exchange")])) == sorted(Exchange.__struct_fields__)


def test_every_shown_header_is_listed() -> None:
    """The page lists the headers that are shown, and none besides."""
    listed = named([cells[0] for cells in table("logging", "headers")])
    assert (len(listed), set(listed)) == (len(record.SHOWN_HEADERS), set(record.SHOWN_HEADERS))


def test_no_shown_header_is_a_secret_one() -> None:
    """What is shown and what is never shown exclude each other, and both are in lower case."""
    assert set() == record.SHOWN_HEADERS & record.SECRET_HEADERS
    assert [] == [name for name in record.SHOWN_HEADERS | record.SECRET_HEADERS if name != name.lower()]


def test_every_event_is_listed() -> None:
    """The page lists every event that payhub logs, with its levels and fields."""
    listed = {
        event.strip("`"): (set(re.findall(r"\b(?:info|warning|error|critical)\b", level)), named([fields]))
        for event, level, fields, _ in table("logging", "events")
    }
    assert listed.pop(Event.EXCHANGE.title) == ({"info"}, [])  # its fields have a table of their own
    others = [event for event in Event if event is not Event.EXCHANGE]
    levels = {event.title: {each.level for each in others if each.title == event.title} for event in others}
    assert {event.title: (levels[event.title], list(event.fields)) for event in others} == listed


def test_the_fields_of_the_exchange_event_are_those_of_the_table() -> None:
    """The event has every field of an exchange; what the application bound stands in it by itself."""
    fields = set(named([cells[0] for cells in table("logging", "exchange")])) - {"context"}
    assert fields | set(record.BOUND) == set(Event.EXCHANGE.fields)


SOURCES = [path.read_text("utf-8") for path in sorted(Path(payhub.__file__).parent.rglob("*.py"))]
CALLS = [
    call for source in SOURCES for call in ast.walk(ast.parse(source))
    if isinstance(call, ast.Call) and ast.unparse(call.func) == "log"
]  # fmt: skip


def test_every_call_logs_an_event_of_the_table() -> None:
    """What is logged is an event of the table, with fields that its row has."""
    unknown = []
    for call in CALLS:
        names = re.findall(r"Event\.(\w+)", ast.unparse(call.args[0]))
        given = {keyword.arg for keyword in call.keywords if keyword.arg}
        unknown += [(name, given - set(Event[name].fields)) for name in names if not given <= set(Event[name].fields)]
    assert [] == unknown


def test_every_event_of_the_table_is_logged() -> None:
    """No row of the table is dead."""
    sources = "\n".join(SOURCES)
    assert [] == [event.name for event in Event if f"Event.{event.name}" not in sources]


CARD = "4111111111111111"


def _fail(card: str) -> None:
    raise ValueError(f"no {len(card)}")


@pytest.mark.parametrize("terminal", [False, True], ids=["machines", "people"])
def test_the_recipe_shows_no_local_variable(terminal: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """An exception that is logged as the page says shows no local variable; one logged as structlog likes shows all."""
    [recipe] = re.findall(r'```python title="shop_log.py"\n(.*?)```', PAGES["logging"], re.DOTALL)
    names: dict[str, object] = {}
    exec(recipe, names)  # noqa: S102 - what the page shows
    configure = names["configure"]
    assert callable(configure)
    before = structlog.get_config()
    shown: list[bool] = []
    try:
        for as_is in (False, True):
            configure(terminal=terminal)
            if as_is:
                structlog.configure([structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()])
            log = structlog.get_logger()
            try:
                _fail(CARD)
            except ValueError:
                log.exception("failed")
            shown.append(CARD in capsys.readouterr().err)
    finally:
        structlog.configure(**before)
    assert [False, True] == shown
