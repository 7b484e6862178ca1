"""A commit took effect and its acknowledgement was lost: the order is sent once, by this call or by none."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from payhub import JournalFailed, PayhubError, Status
from payhub.journal.sql.database import Database
from tests.raw_server import Act, RawServer, answer, close
from tests.samples import PAYOUT, known

from .conftest import OpenShop, Place, Shop
from .making import key

CREATED = answer(known(PAYOUT))


@pytest.fixture
def url(place: Place) -> str:
    return place.url


@pytest.fixture
def lose(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Give what loses the acknowledgement of the n-th transaction from now on; the list counts down to nothing."""
    transaction = Database.cursor

    def lose(which: int) -> list[int]:
        left = [which]

        @contextlib.contextmanager
        def cursor(database: Database, **options: Any) -> Iterator[Any]:
            with transaction(database, **options) as opened:
                yield opened
            if left:
                left[0] -= 1
                if not left[0]:
                    left.clear()
                    raise JournalFailed("the journal failed: the connection was closed")

        monkeypatch.setattr(Database, "cursor", cursor)
        return left

    return lose


@pytest.mark.parametrize("which", [1, 2, 3, 4])
@pytest.mark.parametrize(("act", "again"), [(CREATED, False), (close, False), (CREATED, True), (close, True)])
def test_rule_2_an_order_is_sent_once(
    open_shop: OpenShop, serve: Callable[..., RawServer], lose: Callable[[int], list[int]], which: int, act: Act,
    again: bool,
) -> None:  # fmt: skip
    """Whichever transaction of a create it is, the documented loop over two accounts sends one payout at most."""
    other = serve(CREATED)
    accounts = {"other": {"provider": "fake", "base_url": other.url}}
    shop = open_shop(act, act, act, accounts=accounts)
    shop.journal.find(key("po-0"))
    if again:
        shop.hub.create_payout("shop", PAYOUT)
    left = lose(which)
    raised = 0
    for account in ("shop", "other"):
        try:
            shop.hub.create_payout(account, PAYOUT)
        except PayhubError:
            raised += 1
        else:
            break
    assert shop.sent.count("payouts") + len(other.requests) == 1
    lost = which == 1 or not again  # to create it again is one transaction, when the key has been compared
    assert (raised < 2, lost) == (True, not left)


def test_rule_3_a_commit_that_took_effect_is_gone_on_with(
    open_shop: OpenShop, lose: Callable[[int], list[int]]
) -> None:
    """The journal has the order as being sent by this very call: it sends, and nobody is told otherwise."""
    shop: Shop = open_shop(CREATED)
    shop.journal.find(key("po-0"))
    lose(4)  # the key and the look-up, the key and the reservation
    assert (Status.PENDING, ["payouts"]) == (shop.hub.create_payout("shop", PAYOUT).status, shop.sent)
