"""Half a character, or a card's number, where an application or an operator writes a text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from payhub import Payer, PayhubError, ToCard, ToWallet
from tests.raw_server import RawServer, answer, close
from tests.samples import CARD, PAYMENT, PAYOUT, known

HALF = "\ud800"
ODD: dict[str, Callable[[Any], Any]] = {
    "fetch by order_id": lambda hub: hub.fetch_payout("shop", order_id=HALF),
    "fetch by provider_id": lambda hub: hub.fetch_payment("shop", provider_id=HALF),
    "fetch with account": lambda hub: hub.fetch_payment(HALF, order_id="in-1"),
    "create order_id": lambda hub: hub.create_payout("shop", msgspec.structs.replace(PAYOUT, order_id=HALF)),
    "create with account": lambda hub: hub.create_payout(HALF, PAYOUT),
    "create number": lambda hub: hub.create_payout("shop", msgspec.structs.replace(PAYOUT, to=ToWallet(HALF))),
    "create holder": lambda hub: hub.create_payout(
        "shop", msgspec.structs.replace(PAYOUT, to=ToCard(CARD, holder=HALF))
    ),
    "create payer": lambda hub: hub.create_payment("shop", msgspec.structs.replace(PAYMENT, payer=Payer(id=HALF))),
    "create text": lambda hub: hub.create_payment("shop", msgspec.structs.replace(PAYMENT, description=HALF)),
    "find": lambda hub: hub.find("payout", HALF),
    "find kind": lambda hub: hub.find(HALF, "po-1"),
    "find namespace": lambda hub: hub.find("payout", "po-1", namespace=HALF),
    "advance": lambda hub: hub.advance("shop", "payout", HALF),
    "advance kind": lambda hub: hub.advance("shop", HALF, "po-1"),
    "resolve": lambda hub: hub.resolve("shop", "payout", HALF, "failed", reason="x", by="anna"),
    "resolve account": lambda hub: hub.resolve(HALF, "payout", "po-1", "failed", reason="x", by="anna"),
    "ticket": lambda hub: hub.ticket("shop", "payout", HALF),
    "ticket account": lambda hub: hub.ticket(HALF, "payout", "po-1"),
}


@pytest.mark.parametrize("what", ODD)
def test_half_a_character_is_refused(
    open_hub: Callable[..., Any], serve: Callable[..., RawServer], tmp_path: Path, what: str
) -> None:
    """Wherever half a character comes in, an error of payhub's refuses it, and nothing is sent because of it."""
    provider = serve(close)
    hub = open_hub(provider.url, journal={"url": f"sqlite:///{tmp_path}/payhub.db", "key": "k" * 32})
    if what.startswith("resolve"):
        hub.create_payout("shop", PAYOUT)
    before = len(provider.requests)
    with pytest.raises(PayhubError):
        ODD[what](hub)
    assert before == len(provider.requests)


def test_rule_12_no_card_number_of_an_operator_is_kept(
    open_hub: Callable[..., Any], serve: Callable[..., RawServer], tmp_path: Path
) -> None:
    """Rule 12: neither the reason nor the name of a person who decides has more of a card's number than is shown."""
    hub = open_hub(
        serve(close, answer(known(PAYOUT))).url, journal={"url": f"sqlite:///{tmp_path}/p.db", "key": "k" * 32}
    )
    hub.create_payout("shop", PAYOUT)
    hub.resolve("shop", "payout", "po-1", "failed", reason=f"card {CARD} is closed", by=f"anna {CARD}")
    act = getattr(hub, "hub", hub).journal.story("po-1")[1][-1]
    assert ("card 411111******1111 is closed", "anna 411111******1111") == (act.evidence.reason, act.by)
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("p.db*"))
    assert CARD.encode() not in kept
