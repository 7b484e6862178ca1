"""Behind a pooler in transaction mode, as PgBouncer's, every order is durable and none is lost."""

from collections.abc import Iterator

import msgspec
import psycopg
import pytest

from payhub import Status
from payhub.journal.sql import SqlJournal
from tests.raw_server import answer
from tests.samples import PAYOUT, known

from .conftest import OpenShop, Server
from .making import PREFIX
from .pooler import Pooler

pytestmark = pytest.mark.block_network(allowed_hosts=["127.0.0.1", "localhost", "::1", "/tmp/payhub-.*"])

SETTINGS = ("synchronous_commit", "transaction_isolation", "lock_timeout", "idle_in_transaction_session_timeout")
SHOWN = f"SELECT {', '.join(f'current_setting({name!r})' for name in SETTINGS)}"


@pytest.fixture
def url() -> None:
    """Leave the matrix of journals out: every test here has the one database."""


@pytest.fixture
def mode() -> str:
    """Try one kind of hub: what is tested is the journal's."""
    return "sync"


@pytest.fixture
def where(server: Server) -> Iterator[str]:
    """Name the database as it is seen through the pooler, with defaults that lose what was written last."""
    server.emptied()
    server.run(
        "ALTER ROLE postgres SET synchronous_commit = off",
        "ALTER ROLE postgres SET default_transaction_isolation = 'repeatable read'",
    )
    pooler = Pooler(server.socket)
    yield f"postgresql+psycopg://postgres:@127.0.0.1:{pooler.port}/postgres"
    pooler.stop()
    server.run("ALTER ROLE postgres RESET ALL")


def test_rule_1_every_transaction_is_durable(where: str) -> None:
    """What a commit needs is set in each transaction, and stays in no session that others have next."""
    journal = SqlJournal(where, PREFIX)
    found = []
    for _ in range(4):
        with journal.database.cursor() as cursor:
            found.append(cursor.execute(SHOWN).fetchone())
        with journal.database.connection() as connection:
            found.append(tuple(connection.exec_driver_sql(SHOWN).one()))
    journal.close()
    with psycopg.connect(where.replace("+psycopg", ""), prepare_threshold=None, autocommit=True) as others:
        left = {others.execute(SHOWN).fetchone() for _ in range(2)}
    assert ({("on", "read committed", "10s", "10s")}, {("off", "repeatable read", "0", "0")}) == (set(found), left)


def test_no_order_is_lost(open_shop: OpenShop, where: str) -> None:
    """However often a statement is used, it is prepared in no session that another transaction has next."""
    orders = [msgspec.structs.replace(PAYOUT, order_id=f"po-{number}") for number in range(12)]
    shop = open_shop(*(answer({**known(order), "id": order.order_id}) for order in orders), where=where)
    statuses = [shop.hub.create_payout("shop", order).status for order in orders]
    assert ({Status.PENDING}, 12) == (set(statuses), len(shop.sent))
