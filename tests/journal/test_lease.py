"""A sender that was stopped for too long does not send any more."""

from collections.abc import Callable
from typing import Any

import pytest

from payhub import NotSent
from tests.raw_server import RawServer, answer
from tests.samples import PAYOUT


def test_a_sender_that_overslept_its_lease_sends_nothing(
    open_hub: Callable[..., Any], serve: Callable[..., RawServer]
) -> None:
    """With a lease that ended before the order could leave, nothing leaves, however often it is tried."""
    provider = serve(answer({}))
    late = open_hub(provider.url, journal={"lease": 5.000001}, transport={"deadline": 5.0})
    for _ in range(2):
        with pytest.raises(NotSent, match="stopped for so long that the order's lease may end while it sends"):
            late.create_payout("shop", PAYOUT)
    assert [] == provider.requests
