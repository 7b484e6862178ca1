"""An account's calls keep under its rate limit, in one process and across them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from payhub import NotSent, Unavailable
from payhub.limits import Limits
from tests.raw_server import RawServer
from tests.raw_server import answer as scripted
from tests.samples import PAYOUT

SLOWLY = 0.001  # one call in a thousand seconds: the second one never passes while a test runs


@pytest.fixture
def limits(url: str | None) -> Iterator[Callable[[], Limits]]:
    """Make limits that count where a journal is, as each process makes its own."""
    made: list[Limits] = []

    def make() -> Limits:
        made.append(Limits(url, "payhub_"))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_only_so_many_calls_pass(limits: Callable[[], Limits]) -> None:
    """The first call passes, the next one does not while there is no room; another account is not touched."""
    one = limits()
    passed = [one.acquire(account, SLOWLY, 0) for account in ("ak", "ak", "other")]
    assert passed == [True, False, True]


def test_processes_share_a_limit_where_the_journal_is_postgresql(limits: Callable[[], Limits], url: str | None) -> None:
    """With PostgreSQL a second process finds no room either; elsewhere each counts for itself."""
    passed = [limits().acquire("shared", SLOWLY, 0) for _ in range(2)]
    assert passed == [True, not (url or "").startswith("postgresql")]


def test_a_call_over_the_limit_is_not_sent(open_hub: Callable[..., Any], serve: Callable[..., RawServer]) -> None:
    """Where the limit leaves no room within the deadline, nothing leaves: creating may be repeated."""
    provider = serve(scripted({"id": "7", "status": "new"}))
    account = {"provider": "fake", "base_url": provider.url, "max_per_second": SLOWLY}
    hub = open_hub(provider.url, accounts={"slow": account}, transport={"deadline": 0.3})
    with pytest.raises(Unavailable):
        hub.fetch_balance("slow")
    with pytest.raises(NotSent, match="rate limit left no room"):
        hub.create_payout("slow", PAYOUT)
    assert [request.path for request in provider.requests if "payout" in request.path] == []
