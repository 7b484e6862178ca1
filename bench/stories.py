"""Fill a journal with very many exchanges, for `bench.py`: every order is like one that was really made."""

import sqlite3
import sys
from pathlib import Path

from payhub import Hub, Money, PayoutOrder, ToCard

EACH = 4
"""Exchanges that an order has."""

_ORDERS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
INSERT INTO payhub_orders (account, provider, kind, order_id, method, amount, currency, fingerprint, tail, state,
                           contradicted, notified, attempts, checks, created_at, updated_at)
SELECT account, provider, kind, 'many-' || n, method, amount, currency, fingerprint, tail, 'new',
       contradicted, notified, attempts, checks, created_at + n, updated_at + n
FROM payhub_orders, numbers WHERE order_id = 'po-1'
"""
_EXCHANGES = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
INSERT INTO payhub_exchanges ("order", at, body)
SELECT o.id, o.created_at + n, (SELECT body FROM payhub_exchanges WHERE id = 1)
FROM payhub_orders o, numbers WHERE o.order_id LIKE 'many-%'
"""


def fill(config: str, exchanges: int) -> None:
    """Make one payout, and as many orders like it as have so many exchanges together."""
    with Hub.from_file(config) as hub:
        order = PayoutOrder(order_id="po-1", amount=Money("500", "RUB"), to=ToCard("4111111111111111"))
        hub.create_payout("alikassa-rub", order)
    with sqlite3.connect(Path(config).with_name("payhub.db")) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(_ORDERS, (exchanges // EACH,))
        connection.execute("UPDATE payhub_orders SET state = 'sending' WHERE state = 'new'")
        connection.execute("UPDATE payhub_orders SET state = 'pending', provider_id = id WHERE state = 'sending'")
        connection.execute(_EXCHANGES, (EACH,))
        (kept,) = connection.execute("SELECT count(*) FROM payhub_exchanges").fetchone()
    connection.close()
    print(kept)


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))
