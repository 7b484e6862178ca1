"""The watch over the whole suite bites; and what lies in the repository for everybody to read has no secret."""

import base64
import logging
import random
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog

from payhub.masking.leaks import Finding, find_leaks
from tests.canaries import card_number
from tests.leak_watch import WATCH
from tests.samples import CARD

ROOT = Path(__file__).parents[1]
SIGNATURE = base64.b64encode(random.Random(5).randbytes(256)).decode()  # noqa: S311 - the same noise each time
LEAKS = {
    "card": f"paying to {CARD}",
    "card in groups": f"paying to {' '.join(re.findall('....', CARD))}",
    "another card": f"paying to {card_number(19)}",
    "card in JSON": f'{{"number": "{card_number(13)}"}}',
    "card in hexadecimal": CARD.encode().hex(),
    "card in a URL": "".join(f"%{ord(digit):x}" for digit in CARD),
    "signature": f"Sign: {SIGNATURE}",
    "signature in a URL": f"HTTP Request: GET http://127.0.0.1/?sign={quote(SIGNATURE, safe='')}",
    "key": "-----BEGIN RSA PRIVATE KEY-----",
}


@pytest.fixture
def unseen() -> Iterator[None]:
    """Take what was planted off the watch again, so that these tests do not fail by it."""
    yield
    WATCH.leaks.clear()


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
@pytest.mark.parametrize("library", ["httpx", "sqlalchemy.engine", "some.library"])
def test_a_leak_in_a_log_fails_its_test(unseen: None, request: pytest.FixtureRequest, library: str, leak: str) -> None:
    """Whatever library logs it, and be it at DEBUG, the test in which it is logged fails."""
    logging.getLogger(library).debug("%s", leak)
    with pytest.raises(pytest.fail.Exception, match="must not be"):
        WATCH.check(request.node)


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_a_leak_in_an_event_fails_its_test(unseen: None, request: pytest.FixtureRequest, leak: str) -> None:
    """So does an event of structlog, if the test leaves structlog as it is."""
    structlog.get_logger("payhub").info("payhub.exchange", request={"number": leak})
    with pytest.raises(pytest.fail.Exception, match="must not be"):
        WATCH.check(request.node)


@pytest.mark.leaks(reason="shows that the marker is heeded")
def test_a_test_that_leaks_on_purpose_says_so(request: pytest.FixtureRequest) -> None:
    """With the marker, and its reason, a test may plant a leak."""
    logging.getLogger("httpx").debug("%s", CARD)
    WATCH.check(request.node)


def test_what_is_watched_is_not_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody hears more than without the watch: what is below WARNING stays with it, if no test asks for it."""
    logging.getLogger("some.library").debug("silent")
    logging.getLogger("some.library").warning("loud")
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("some.library").debug("asked for")
    assert ["loud", "asked for"] == caplog.messages


def test_what_is_masked_is_no_leak(request: pytest.FixtureRequest) -> None:
    """A truncated number, an id and a fingerprint fail nothing."""
    logging.getLogger("httpx").debug("411111******1111 93d5df06-996c-48c3-9847-348d6b580b80 %s", ":".join(["5a"] * 32))
    WATCH.check(request.node)


# What lies there for everybody.

PUBLISHED = sorted([
    *(ROOT / "cassettes").glob("*.yaml"), *(ROOT / "tests" / "ticket" / "golden").iterdir(),
    *(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md",
])  # fmt: skip
# Samples have public test numbers; a page on keys may name the first line of one.
ALLOWED = frozenset({"card number", "secret"})


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_what_is_published_has_no_secret(path: Path) -> None:
    """Cassettes and golden tickets have nothing that must not be shown; docs have public test numbers at most."""
    found = find_leaks(path.read_bytes())
    allowed = ALLOWED if path.suffix == ".md" and "golden" not in path.parts else frozenset[str]()
    assert () == tuple(finding for finding in found if finding.leak not in allowed)


@pytest.mark.parametrize("leak", ["signature", "card", "key"])
def test_the_search_of_what_is_published_can_fail(leak: str) -> None:
    """Planted in a cassette, each is found."""
    cassette = next(path for path in PUBLISHED if path.suffix == ".yaml").read_text("utf-8")
    found: tuple[Finding, ...] = find_leaks(f"{cassette}\n    body: '{LEAKS[leak]}'\n")
    assert leak in {finding.leak.partition(" ")[0] for finding in found}
