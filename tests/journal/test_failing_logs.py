"""A log that cannot be written changes nothing about money, wherever payhub writes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from payhub import Status
from payhub.journal import Key, State
from tests.raw_server import answer, close
from tests.samples import PAYOUT, known

from .conftest import OpenShop
from .making import facts
from .test_failing import impatient, locked

PO_1 = Key("shop", "payout", "po-1")
CREATED = answer(known(PAYOUT))
DONE = answer(known(PAYOUT, status="done"))


@pytest.fixture
def url() -> None:
    """Leave the matrix of journals out: every test here has a file of its own."""


@pytest.fixture(autouse=True)
def full_disk() -> Iterator[list[str]]:
    """Let every line of the log fail, as on a full disk; its events are listed."""
    events: list[str] = []

    def fail(_logger: object, _method: str, event: structlog.typing.EventDict) -> str:
        events.append(event["event"])
        raise OSError(28, "No space left on device")

    before = structlog.get_config()
    structlog.configure(processors=[fail])
    yield events
    structlog.configure(**before)


def test_a_result_is_returned_when_journal_and_log_fail(
    open_shop: OpenShop, tmp_path: Path, full_disk: list[str]
) -> None:
    """What could not be written down after sending, nor be logged, is returned all the same."""
    database = tmp_path / "payhub.db"
    holder = locked(str(database))

    def create(connection: Any) -> None:
        holder.__enter__()
        connection.sendall(CREATED)

    shop = open_shop(create, where=f"sqlite:///{database}")
    shop.journal.story("")
    impatient(shop.journal)
    try:
        result = shop.hub.create_payout("shop", PAYOUT)
    finally:
        holder.__exit__(None, None, None)
    assert (Status.PENDING, "7") == (result.status, result.provider_id)
    assert "payhub.journal_failed" in full_disk


def test_a_sweep_goes_on(open_shop: OpenShop, tmp_path: Path, full_disk: list[str]) -> None:
    """An order that cannot be asked about, and cannot be logged either, does not stop the others."""
    where = f"sqlite:///{tmp_path}/payhub.db"
    shop = open_shop(close, DONE, where=where, journal={"lease": 1.5}, transport={"deadline": 0.5})
    shop.journal.open(facts("po-0", account="sold"), -1.0)
    shop.hub.create_payout("shop", PAYOUT)
    assert [("po-1", Status.SUCCEEDED)] == [(each.order_id, each.status) for each in shop.hub.sweep()]
    assert "payhub.sweep_failed" in full_disk


def test_a_contradiction_is_kept(open_shop: OpenShop, tmp_path: Path, full_disk: list[str]) -> None:
    """Evidence that contradicts is written down, and the answer returned, although no log tells of it."""
    shop = open_shop(close, DONE, where=f"sqlite:///{tmp_path}/payhub.db")
    shop.hub.create_payout("shop", PAYOUT)
    shop.hub.resolve("shop", "payout", "po-1", "failed", reason="support says: never came", by="ann")
    shop.hub.fetch_payout("shop", order_id="po-1")
    record = shop.journal.find(PO_1)
    assert (State.FAILED, True) == (record.state, record.contradicted)
    assert "payhub.contradicted" in full_disk
