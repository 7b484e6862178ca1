import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from payhub import Hub, Money, Payer, PaymentOrder, PayoutOrder, Recipient, ToBankAccount, ToCard, ToPhone
from payhub.accounts.config import JournalSettings, journal_key, read_file, read_mapping
from payhub_alikassa.sandbox import Sandbox
from tests.plain_account import facts
from tests.raw_server import RawServer, answer
from tests.samples import CARD, PAYOUT, known

from .conftest import OpenShop, Place
from .making import PREFIX

PAYER = Payer(
    id="u-secret-881", ip="203.0.113.24", email="ivan@shop.example", phone="+79001112233", first_name="IVAN",
    last_name="IVANOV", address="1 Long Street",
)  # fmt: skip
RECIPIENT = Recipient(email="ivan@shop.example", phone="+79001112233", first_name="IVAN", last_name="IVANOV")
ACCOUNT_NUMBER = "40817120273018899310"
PHONE = "79031112233"
ORDERS: dict[str, PaymentOrder | PayoutOrder] = {
    "payment": PaymentOrder(
        order_id="in-1", amount=Money("3000", "RUB"), method="card", payer=PAYER, description="SHOES"
    ),
    "card": PayoutOrder(order_id="po-1", amount=Money("1000", "RUB"), to=ToCard(CARD, holder="IVAN IVANOV")),
    "phone": PayoutOrder(order_id="po-2", amount=Money("1000", "RUB"), to=ToPhone(PHONE, "100000000111")),
    "account": PayoutOrder(
        order_id="po-3",
        amount=Money("1000", "RUB"),
        recipient=RECIPIENT,
        to=ToBankAccount(ACCOUNT_NUMBER, "041351902", "100000000111"),
    ),
}
SECRETS = [CARD, ACCOUNT_NUMBER, PHONE, "9001112233", "IVAN", "ivan@shop", "u-secret", "203.0.113.24", "Long Street",
           "SHOES", "sesame"]  # fmt: skip


def content(place: Place, directory: Path) -> bytes:
    """Return every byte of SQLite's files, or every row of every table of PostgreSQL."""
    if place.backend == "sqlite":
        files = sorted(directory.glob("payhub.db*"))
        assert {"payhub.db", "payhub.db-shm", "payhub.db-wal"} == {file.name for file in files}
        return b"".join(file.read_bytes() for file in files)
    engine = place.engine()
    with engine.connect() as connection:
        names = [name for name in sa.inspect(engine).get_table_names() if name.startswith(PREFIX)]
        whole = sa.cast(sa.literal_column("t"), sa.Text)
        rows = [connection.execute(sa.select(whole).select_from(sa.table(name).alias("t"))).all() for name in names]
    return "\n".join(row for table in rows for (row,) in table).encode()


def leaked(data: bytes, secrets: list[str]) -> list[str]:
    return [secret for secret in secrets if secret.encode() in data or secret.encode("utf-16-le") in data]


def test_rule_12_no_database_has_what_must_not_be_kept(place: Place, tmp_path: Path, open_hub: Any, serve: Any) -> None:
    """Rule 12: of the payer, the card and the account's token not a byte is in the database; the order is."""
    texts = {"text": f"card {CARD} refused", "code": CARD}
    server: RawServer = serve(
        answer({**known(PAYOUT), "number": CARD, "status": f"sent to {CARD}", "holder": "IVAN"}), answer(texts, 422),
        answer(texts, 500), answer({**known(ORDERS["account"]), "order_id": "another"}),
    )  # fmt: skip
    account = {"provider": "fake", "base_url": server.url, "token": "sesame"}
    hub = open_hub(
        accounts={"shop": account}, journal={"url": place.url, "key": "sesame too, in 32 characters or more"}
    )
    hub.create_payout("shop", ORDERS["card"])
    with pytest.raises(Exception, match="refused"):
        hub.create_payment("shop", ORDERS["payment"])
    hub.create_payout("shop", ORDERS["phone"])
    hub.create_payout("shop", ORDERS["account"])
    data = content(place, tmp_path)
    assert ([], []) == (
        leaked(data, SECRETS),
        [name for name in ("in-1", "po-1", "po-2", "po-3") if name.encode() not in data],
    )


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


def test_rule_12_no_database_has_what_alikassa_is_told(place: Place, tmp_path: Path, sandbox: Sandbox) -> None:
    """Rule 12: through AliKassa's driver, too, neither a number, a name, a key, a password nor a signature is kept."""
    sandbox.reset()
    sandbox.config.with_name("payhub.note").unlink(missing_ok=True)  # each time it is another journal
    settings = read_file(sandbox.config)
    settings = msgspec.structs.replace(settings, journal=JournalSettings(url=place.url, prefix=PREFIX))
    with Hub(settings) as hub:
        account = next(name for name in hub.accounts if name.endswith("rub"))
        for order in ORDERS.values():
            if isinstance(order, PaymentOrder):
                hub.create_payment(account, order)
                hub.advance(account, "payment", order.order_id)
            else:
                hub.create_payout(account, order)
                hub.advance(account, "payout", order.order_id)
        data = content(place, tmp_path)
        key = hub.registry._key.decode()
    keys = [line for pem in settings.base.rglob("private.pem") for line in pem.read_text().split() if len(line) > 40]
    passwords = [file.read_text().strip() for file in settings.base.rglob("password.txt") if file.stat().st_size]
    secrets = [*SECRETS, *keys, *passwords, "PRIVATE KEY", '"sign"', '"Sign"', key]
    assert (True, True, []) == (len(keys) > 10, len(passwords) > 0, leaked(data, secrets))


# The key


def test_the_key_is_for_its_owner_only(tmp_path: Path) -> None:
    """Without a configured key one is made beside the configuration, which only its owner may read, and it stays."""
    settings = read_mapping({"journal": {"url": "sqlite:///payhub.db"}}, tmp_path)
    key = journal_key(settings)
    path = tmp_path / "payhub.key"
    assert (key, key, 0o600) == (journal_key(settings), path.read_bytes(), stat.S_IMODE(path.stat().st_mode))


def test_no_fingerprint_can_be_made_without_the_key() -> None:
    """With another key the fingerprint of the same order is another one: the database alone lets nobody guess."""
    assert facts("shop", "fake", PAYOUT, b"one").fingerprint != facts("shop", "fake", PAYOUT, b"two").fingerprint


def test_an_equal_order_has_an_equal_fingerprint() -> None:
    """Two orders that are equal have one fingerprint, however their amounts were written."""
    amounts = [Money("1000.5", "RUB"), Money("1000.50", "RUB"), Money("1000.5", "RUB", 4), Money("1000.5", "RUB", 1)]
    orders = [msgspec.structs.replace(PAYOUT, amount=amount) for amount in amounts]
    assert 1 == len({facts("shop", "fake", order, b"key").fingerprint for order in orders})


def test_a_hub_uses_the_key_of_its_configuration(open_shop: OpenShop, serve: Any) -> None:
    """Hubs with one key know an order again."""
    shop = open_shop(answer(known(PAYOUT)))
    shop.hub.create_payout("shop", PAYOUT)
    again = shop.hub.create_payout("shop", PAYOUT)
    assert ("7", ["payouts"]) == (again.provider_id, shop.sent)
