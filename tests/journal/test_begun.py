"""A journal that was begun and is gone, replaced, or older than it was: nothing is sent until a person agrees."""

import contextlib
import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from payhub import JournalFailed, Status
from payhub.cli import app
from payhub.journal.sql import SqlJournal, note
from payhub.journal.sql.tables import tables
from tests.raw_server import answer
from tests.samples import PAYOUT, known

from .conftest import OpenShop, Place, Server, Shop
from .making import PREFIX, key
from .test_notices import notice

PO_2 = msgspec.structs.replace(PAYOUT, order_id="po-2")
PO_3 = msgspec.structs.replace(PAYOUT, order_id="po-3")
AGREE = "a person has to agree: payhub journal accept"


@pytest.fixture
def url(place: Place) -> str:
    return place.url


@pytest.fixture
def begun(open_shop: OpenShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shop]:
    """Open shops as processes that are started in one directory, where the key is in a file."""
    monkeypatch.chdir(tmp_path)

    def opened(**options: Any) -> Shop:
        orders = [answer(known(order)) for order in (PAYOUT, PO_2, PO_3)]
        return open_shop(*options.pop("script", orders), **{"journal": {"key": None}, **options})

    return opened


def gone(place: Place) -> None:
    """Delete a journal: SQLite's file, or PostgreSQL's tables."""
    if place.backend == "sqlite":
        for path in files(place):
            path.unlink()
        return
    with place.engine().begin() as connection:
        tables(PREFIX).metadata.drop_all(connection)
        connection.exec_driver_sql(f"DROP TABLE {PREFIX}version")


def files(place: Place) -> list[Path]:
    path = Path(place.url.removeprefix("sqlite:///"))
    return sorted(path.parent.glob(f"{path.name}*"))


@pytest.fixture
def place(own: Place) -> Place:
    return own


def refused(shop: Shop, words: str, *orders: Any) -> None:
    """See that orders are not sent, and why."""
    before = shop.sent
    for order in orders:
        with pytest.raises(JournalFailed, match=words):
            shop.hub.create_payout("shop", order)
    assert before == shop.sent


def run(place: Place, *words: str) -> int:
    """Run a command on the journal; the key is in a file."""
    Path("payhub.toml").write_text(f'[journal]\nurl = "{place.url}"\n')
    return app.run([*words, "--config", "payhub.toml"])


def agreed(place: Place) -> int:
    return run(place, "journal", "accept", "--reason", "the volume was lost; card 4111111111111111", "--by", "anna")


def test_a_journal_that_is_gone_is_not_begun_anew(begun: Callable[..., Shop], place: Place) -> None:
    """After a restart without its journal a program sends nothing, and makes none in its place."""
    first = begun()
    first.hub.create_payout("shop", PAYOUT)
    first.journal.close()
    gone(place)
    later = begun()
    refused(later, f"it was begun, and is gone; nothing is sent: .*{AGREE}", PAYOUT, PO_2, PAYOUT)
    only_here: list[Callable[[], Any]] = [
        later.hub.sweep,
        lambda: later.hub.find("payout", "po-1"),
        lambda: later.hub.advance("shop", "payout", "po-1"),
        lambda: later.journal.keep_notification(notice(), 60.0, 60.0),
    ]
    for act in only_here:
        with pytest.raises(JournalFailed, match="is gone"):
            act()
    assert ([], 3) == (files(place) if place.backend == "sqlite" else [], run(place, "journal", "init"))


def test_a_person_agrees_to_begin_anew(
    begun: Callable[..., Shop], place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """`payhub journal accept` makes a new journal, and keeps who agreed and why; then orders are sent again."""
    begun().hub.create_payout("shop", PAYOUT)
    gone(place)
    refused(begun(), "is gone", PO_2)
    assert (0, 0) == (agreed(place), agreed(place))
    assert [
        "this journal is gone on with; restart what runs",
        "nothing to agree to: it is as it was noted",
    ] == capsys.readouterr().out.splitlines()[-2:]
    later = begun()
    assert Status.PENDING is later.hub.create_payout("shop", PAYOUT).status
    settings = tables(PREFIX).settings.c
    with later.journal.database.connection() as connection:
        kept = connection.execute(sa.select(settings.value).where(settings.name.like("accepted%"))).scalar_one()
    act = msgspec.json.decode(kept)
    because = {"sqlite": "it is another one than was begun", "postgresql": "its tables were dropped"}[place.backend]
    assert ("anna", True, False) == (act["by"], because in act["because"], "4111111111111111" in kept)


def copied(place: Place, copy: Path) -> None:
    """Back a SQLite file up."""
    with contextlib.closing(sqlite3.connect(place.url.removeprefix("sqlite:///"))) as database:
        database.execute("VACUUM INTO ?", (str(copy),))


def put_back(place: Place, copy: Path) -> None:
    """Put a copy in a journal's place, as an operator does."""
    for path in files(place):
        path.rename(path.with_name(f"aside-{path.name}"))
    shutil.copy(copy, place.url.removeprefix("sqlite:///"))


only_sqlite = pytest.mark.parametrize("empty", ["sqlite"], indirect=True)  # the other has no file


@only_sqlite
@pytest.mark.parametrize("given", [None, "the secret key of the configuration"])
def test_a_file_that_is_deleted_under_a_process_is_noticed(
    begun: Callable[..., Shop], place: Place, given: str | None
) -> None:
    """A process goes on in no file that nobody else can see, and makes no other; wherever the key is."""
    shop = begun(journal={"key": given})
    shop.hub.create_payout("shop", PAYOUT)
    gone(place)
    refused(shop, "its file, or the log beside it, was deleted or replaced while it was in use", PO_2)
    refused(shop, "it was begun, and is gone", PO_2, PAYOUT)
    assert [] == files(place)


@only_sqlite
@pytest.mark.parametrize("end", ["-wal", "-shm"])
def test_a_log_that_is_replaced_under_a_process_is_noticed(begun: Callable[..., Shop], place: Place, end: str) -> None:
    """A process writes into no log that nobody else can see: one call is refused, and the next opens what is there."""
    shop = begun()
    shop.hub.create_payout("shop", PAYOUT)
    log = Path(f"{place.url.removeprefix('sqlite:///')}{end}")
    shutil.copy(log, f"{log}.copy")
    Path(f"{log}.copy").replace(log)
    refused(shop, "the log beside it, was deleted or replaced", PO_2)
    assert [Status.PENDING] * 2 == [shop.hub.create_payout("shop", order).status for order in (PAYOUT, PO_2)]


ANOTHER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
connection.close()
"""


@only_sqlite
def test_a_program_that_reads_its_own_file_writes_into_no_deleted_log(begun: Callable[..., Shop], place: Place) -> None:
    """Whoever closes the file takes this process's locks along, and the next one to close it deletes the log."""
    shop = begun()
    shop.hub.create_payout("shop", PAYOUT)
    path = Path(place.url.removeprefix("sqlite:///"))
    path.read_bytes()  # a backup, a checksum, an upload
    subprocess.run([sys.executable, "-c", ANOTHER, str(path)], check=True)
    assert [path] == files(place)
    refused(shop, "the log beside it, was deleted or replaced", PO_2)
    assert [Status.PENDING] * 2 == [shop.hub.create_payout("shop", order).status for order in (PO_2, PAYOUT)]
    assert ["po-1", "po-2"] == [msgspec.json.decode(body)["order_id"] for body in shop.server.bodies]  # type: ignore[union-attr]


@only_sqlite
@pytest.mark.parametrize("given", [None, "the secret key of the configuration"])
def test_an_older_copy_under_a_process_is_noticed(
    begun: Callable[..., Shop], place: Place, tmp_path: Path, given: str | None
) -> None:
    """A process whose file is replaced by an older copy sends nothing that the copy may lack."""
    shop = begun(journal={"key": given})
    shop.hub.create_payout("shop", PAYOUT)
    copied(place, tmp_path / "copy.db")
    shop.hub.create_payout("shop", PO_2)
    put_back(place, tmp_path / "copy.db")
    refused(shop, "its file, or the log beside it, was deleted or replaced while it was in use", PO_3)
    refused(
        shop, "it is older than it was: its newest order has the number 1, and there was one with the number 2", PO_2
    )
    assert Status.PENDING is shop.hub.create_payout("shop", PAYOUT).status  # the copy has it


@only_sqlite
def test_a_file_put_back_whole_is_gone_on_with(begun: Callable[..., Shop], place: Place, tmp_path: Path) -> None:
    """A replaced file that lacks nothing costs one call: the order is not sent twice, and new ones are sent."""
    shop = begun()
    shop.hub.create_payout("shop", PAYOUT)
    copied(place, tmp_path / "copy.db")
    put_back(place, tmp_path / "copy.db")
    refused(shop, "deleted or replaced", PO_2)
    assert [Status.PENDING] * 2 == [shop.hub.create_payout("shop", order).status for order in (PAYOUT, PO_2)]
    assert ["payouts"] * 2 == shop.sent


@only_sqlite
def test_an_answer_that_comes_when_the_file_is_gone_is_returned(begun: Callable[..., Shop], place: Place) -> None:
    """Rule 3: what was sent before the file was deleted is no error."""

    def delete(connection: Any) -> None:
        gone(place)
        connection.sendall(answer(known(PAYOUT, status="done", paid="1000.44")))

    assert Status.SUCCEEDED is begun(script=(delete,)).hub.create_payout("shop", PAYOUT).status


@only_sqlite
def test_an_older_copy_is_noticed_after_a_restart(begun: Callable[..., Shop], place: Place, tmp_path: Path) -> None:
    """What an older copy lacks is not sent again; what it has can be read, and is known."""
    first = begun()
    first.hub.create_payout("shop", PAYOUT)
    copied(place, tmp_path / "copy.db")
    first.hub.create_payout("shop", PO_2)
    first.journal.close()
    put_back(place, tmp_path / "copy.db")
    later = begun()
    refused(later, "it is older than it was", PO_2, PO_3)
    assert ("po-1", 0, "po-1", Status.PENDING) == (
        later.hub.find("payout", "po-1").order_id,
        run(place, "trace", "po-1"),
        later.journal.story("po-1")[0][0].facts.order_id,
        later.hub.create_payout("shop", PAYOUT).status,
    )
    assert 0 == agreed(place)
    assert Status.PENDING is begun(script=(answer(known(PO_2)),)).hub.create_payout("shop", PO_2).status


def test_another_journal_is_noticed(begun: Callable[..., Shop], place: Place, tmp_path: Path) -> None:
    """An address that was mistyped leads to no second journal."""
    begun().hub.create_payout("shop", PAYOUT)
    refused(begun(where=f"sqlite:///{tmp_path}/another.db"), "is gone", PAYOUT)
    other = SqlJournal(f"sqlite:///{tmp_path}/other.db", PREFIX)
    assert other.find(key()) is None
    other.close()
    refused(begun(where=f"sqlite:///{tmp_path}/other.db"), "it is another one than was begun here", PAYOUT)


def test_a_standby_without_the_last_orders_is_noticed(begun: Callable[..., Shop], server: Server) -> None:
    """After a failover that lost what was written last nothing is sent, by new processes and by running ones."""
    place = server.emptied()
    shop = begun(where=place.url)
    shop.hub.create_payout("shop", PAYOUT)
    server.run(
        f"TRUNCATE {PREFIX}orders RESTART IDENTITY CASCADE",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL",
    )
    for each in (shop, begun(where=place.url)):
        refused(each, "it is older than it was", PO_2)


def test_the_note_costs_no_write_for_each_order(
    begun: Callable[..., Shop], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written with the first order, from time to time, and when the journal is closed."""
    written: list[int] = []
    write = note.write_private  # type: ignore[attr-defined]  # where it is used

    def counting(path: Path, content: bytes, **options: Any) -> Path:
        written.append(msgspec.json.decode(content)["newest"])
        return write(path, content, **options)

    monkeypatch.setattr(note, "write_private", counting)
    shop = begun()
    for order in (PAYOUT, PO_2, PO_3, PAYOUT):
        shop.hub.create_payout("shop", order)
    assert [1] == written
    shop.journal.close()
    assert ([1, 3], 3) == (written, msgspec.json.decode((tmp_path / "payhub.note").read_bytes())["newest"])


@only_sqlite
def test_a_note_that_cannot_be_written_is_said(begun: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a directory that is read-only orders are sent all the same, and a warning says what is not known then."""

    def read_only(*_: Any, **__: Any) -> Path:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(note, "write_private", read_only)
    with capture_logs() as logs:
        statuses = [begun().hub.create_payout("shop", order).status for order in (PAYOUT, PAYOUT)]
    assert ([Status.PENDING] * 2, ["Read-only file system"]) == (
        statuses, [log["error"] for log in logs if log["event"] == "payhub.journal_note_failed"]
    )  # fmt: skip


def test_a_note_that_cannot_be_read_sends_nothing(begun: Callable[..., Shop], tmp_path: Path) -> None:
    """A damaged note is no reason to forget that there was a journal."""
    begun().hub.create_payout("shop", PAYOUT)
    (tmp_path / "payhub.note").write_text("{")
    refused(begun(), "cannot be read", PO_2)
