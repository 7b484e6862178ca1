"""A payhub that was put back after an upgrade finds tables that it does not know: it sends nothing, and says so."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from payhub import JournalFailed, Status
from payhub.cli import app
from payhub.journal.sql.migrate import HEAD, version_table
from tests.raw_server import answer, close
from tests.samples import PAYOUT, known

from .conftest import OpenShop, Place, Shop
from .making import PREFIX
from .test_notices import notice

DONE = answer(known(PAYOUT, status="done", paid="1000.44"))
PO_2 = msgspec.structs.replace(PAYOUT, order_id="po-2")
WORDS = (
    f"the journal failed: its tables are of version 9999, which a newer payhub has made; this payhub knows {HEAD}, and "
    "sends nothing: install the newer payhub again"
)


@pytest.fixture
def url(place: Place) -> str:
    return place.url


@pytest.fixture
def shop(open_shop: OpenShop, place: Place) -> Iterator[Shop]:
    """Open a shop that has sent `po-1`, without an answer, before a newer payhub had the tables and was taken away."""
    assert Status.UNKNOWN is open_shop(close).hub.create_payout("shop", PAYOUT).status
    kept = sa.table(version_table(PREFIX), sa.column("version_num"))
    with place.engine().begin() as connection:
        connection.execute(sa.update(kept).values(version_num="9999"))
    yield open_shop(DONE)
    with place.engine().begin() as connection:
        connection.execute(sa.update(kept).values(version_num=HEAD))


NEEDS_JOURNAL: dict[str, Callable[[Any], Any]] = {
    "create": lambda shop: shop.hub.create_payout("shop", PO_2),
    "create again": lambda shop: shop.hub.create_payout("shop", PAYOUT),
    "find": lambda shop: shop.hub.find("payout", "po-1"),
    "advance": lambda shop: shop.hub.advance("shop", "payout", "po-1"),
    "sweep": lambda shop: shop.hub.sweep(),
    "receive": lambda shop: shop.journal.keep_notification(notice(), 60.0, 60.0),
    "resolve": lambda shop: shop.hub.resolve("shop", "payout", "po-1", "failed", reason="phone", by="anna"),
    "ticket": lambda shop: shop.hub.ticket("shop", "payout", "po-1"),
}


@pytest.mark.parametrize("what", NEEDS_JOURNAL)
def test_rule_1_with_newer_tables_nothing_is_sent(shop: Shop, what: str) -> None:
    """Whatever needs the journal says which versions there are and what to do, as often as it is tried."""
    for _ in range(2):
        with pytest.raises(JournalFailed) as caught:
            NEEDS_JOURNAL[what](shop)
        assert (WORDS, []) == (str(caught.value), shop.sent)


def test_with_newer_tables_the_provider_can_still_be_asked(shop: Shop) -> None:
    """A question needs no journal; that its answer was not written down is logged."""
    with capture_logs() as logs:
        assert Status.SUCCEEDED is shop.hub.fetch_payout("shop", order_id="po-1").status
    assert ({WORDS}, ["payouts/find"]) == (
        {log["error"] for log in logs if log["log_level"] == "critical"}, shop.sent
    )  # fmt: skip


COMMANDS = [
    "unknown", "trace po-1", "find --last4 1111", "ticket po-1", "logs", "sweep",
    "journal init", "journal upgrade",
    "payout shop --order-id po-1 --amount 1000.44 --currency RUB --to-card 4111111111111111",
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_say_it_too(
    shop: Shop, place: Place, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command ends with the sentence and the exit code for what was refused."""
    written = tmp_path / "payhub.toml"
    written.write_text(
        f'[accounts.shop]\nprovider = "alikassa"\naccount = "{"1" * 8}-1111-4111-8111-{"1" * 12}"\ncurrency = "RUB"\n'
        f'base_url = "http://127.0.0.1:9"\n[journal]\nurl = "{place.url}"\nkey = "the secret key of all these tests"\n'
    )
    code = app.run([*words.split(), "--config", str(written)])
    assert (3, f"payhub: {WORDS}\n", []) == (code, capsys.readouterr().err, shop.sent)
