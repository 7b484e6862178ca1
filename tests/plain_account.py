"""Stand in for an open account where a test is about plans: its flows are given, it has no driver and no keys."""

from typing import Any, TypeVar

import msgspec

from payhub.driver import Capabilities, Creating, Flow, Offer, Schedule, StatusQuery
from payhub.journal import Facts
from payhub.models import Order
from payhub.operations import KINDS
from payhub.plans.identity import facts_of
from payhub.plans.plan import Place, Timing

S = TypeVar("S", bound=msgspec.Struct)

LATER = Schedule(first=3600.0)
TIMING = Timing(lease=60.0, patience=1.0, schedule=LATER, window=60.0)
_OFFERS = tuple(
    Offer(method=method, presentation=presentation, currencies=None)
    for method in ("card", "sbp", "phone", "bank_account", "wallet")
    for presentation in (None, "hosted", "direct")
)


class PlainAccount:
    """An account whose flow is given; it offers everything."""

    def __init__(
        self,
        flow: Flow[Any] | None = None,
        *,
        name: str = "shop",
        provider: str = "fake",
        key: bytes = b"key",
        refusals: frozenset[int] = frozenset(),
        final: bool = True,
        timing: Timing = TIMING,
        by: frozenset[Any] = frozenset({"order_id", "provider_id"}),
        exponents: dict[str, int] | None = None,
    ) -> None:
        self._flow = flow
        self.name = name
        self.provider_name = provider
        self.place = Place(name, "default", key)
        self.timing = timing
        self.capabilities = Capabilities(
            create={kind: Creating(offers=_OFFERS, refusals=refusals, final=final) for kind in KINDS},
            fetch={kind: StatusQuery(by=by) for kind in KINDS},
            exponents=exponents or {},
        )

    def named(self, result: S) -> S:
        return msgspec.structs.replace(result, account=self.name, provider=self.provider_name)

    def flow(self, operation: str, **asked: Any) -> Flow[Any]:
        assert self._flow is not None, f"{operation} of an account without a flow"
        return self._flow


def facts(account: str, provider: str, order: Order, key: bytes) -> Facts:
    """Make what a journal keeps of an order."""
    kind = next(kind for kind in KINDS.values() if isinstance(order, kind.order))
    return facts_of(kind.word, order, Place(account, "default", key), provider)
