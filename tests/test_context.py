"""What an application binds to its log goes into the exchanges that it causes, and nothing else of it."""

import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import anyio
import pytest
import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars, merge_contextvars
from structlog.testing import LogCapture

from payhub import AsyncHub, Hub, PayoutOrder
from payhub.models import Exchange
from payhub.testing import fake
from tests.conftest import Observer
from tests.raw_server import answer
from tests.samples import CARD, PAYMENT, PAYOUT, known


@pytest.fixture(autouse=True)
def nothing_bound() -> Iterator[None]:
    clear_contextvars()
    yield
    clear_contextvars()


@pytest.fixture
def log() -> Iterator[LogCapture]:
    """Configure structlog as most applications do, with what is bound merged into every event."""
    before, seen = structlog.get_config(), LogCapture()
    structlog.configure(
        processors=[merge_contextvars, seen], wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG)
    )
    yield seen
    structlog.configure(**before)


def exchanges(log: LogCapture) -> list[Any]:
    return [entry for entry in log.entries if entry["event"] == "payhub.exchange"]


def test_what_is_bound_is_in_the_event_once_and_in_the_exchange(
    open_hub: Any, serve: Any, observer: Observer, log: LogCapture
) -> None:
    """The request's id and the user stand in the exchange, and once in its event, under their own names."""
    hub = open_hub(serve(answer(known(PAYOUT))).url)
    with bound_contextvars(request_id="req-1", user=7, tenant="x"):
        hub.create_payout("shop", PAYOUT)
    [event], [exchange] = exchanges(log), observer.exchanges
    assert ({"request_id": "req-1", "user": "7"}, "req-1", "7", "x", False) == (
        exchange.context, event["request_id"], event["user"], event["tenant"], "context" in event,
    )  # fmt: skip


def test_what_is_bound_is_in_the_event_without_merging(open_hub: Any, serve: Any) -> None:
    """An application that does not merge what is bound finds it in the event all the same."""
    before, seen = structlog.get_config(), LogCapture()
    structlog.configure(processors=[seen], wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    try:
        hub = open_hub(serve(answer(known(PAYOUT))).url)
        with bound_contextvars(request_id="req-1"):
            hub.create_payout("shop", PAYOUT)
    finally:
        structlog.configure(**before)
    assert ["req-1"] == [event["request_id"] for event in exchanges(seen)]


PERSON = {"name": "IVAN IVANOV", "card": CARD}


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ({}, {}),
        ({"request_id": "r", "user": "u"}, {"request_id": "r", "user": "u"}),
        ({"user": 881}, {"user": "881"}),
        ({"request_id": UUID(int=1)}, {"request_id": "00000000-0000-0000-0000-000000000001"}),
        ({"user": PERSON, "request_id": [PERSON]}, {}),
        ({"user": None, "request_id": b"x"}, {}),
        ({"payer": "IVAN", "email": "ivan@shop.example", "card": CARD}, {}),
        ({"user": "ivan@shop.example"}, {"user": "i***@shop.example"}),
        ({"user": f"u {CARD}"}, {"user": "u 411111******1111"}),
        ({"request_id": "x" * 1000}, {"request_id": "x" * 128}),
    ],
)
def test_what_is_taken_over(
    open_hub: Any, serve: Any, observer: Observer, bound: dict[str, Any], expected: dict[str, str]
) -> None:
    """Taken over are `request_id` and `user`, if they are plain, swept and cut; nothing else that is bound."""
    hub = open_hub(serve(answer(known(PAYOUT))).url)
    with bound_contextvars(**bound):
        hub.create_payout("shop", PAYOUT)
    assert [expected] == [exchange.context for exchange in observer.exchanges]


def test_no_field_of_an_exchange_can_be_bound_over(open_hub: Any, serve: Any, log: LogCapture) -> None:
    """What an application binds under a name that an exchange has does not change what its event says."""
    assert set() == {"request_id", "user"} & set(Exchange.__struct_fields__)
    hub = open_hub(serve(answer(known(PAYOUT))).url)
    with bound_contextvars(account="another", status=500, phase="x"):
        hub.create_payout("shop", PAYOUT)
    assert [("shop", 200, "answered")] == [(e["account"], e["status"], e["phase"]) for e in exchanges(log)]


def tables(url: str) -> dict[str, Any]:
    return {"accounts": {"shop": {"provider": "fake", "base_url": url}}}


def orders(count: int) -> list[PayoutOrder]:
    return [PayoutOrder(order_id=f"po-{n}", amount=PAYOUT.amount, to=PAYOUT.to) for n in range(count)]


def expected(count: int) -> dict[str | None, dict[str, str]]:
    return {f"po-{n}": {"request_id": f"r-{n}"} for n in range(count)}


def test_threads_do_not_mix(serve: Any, observer: Observer) -> None:
    """Each thread's exchanges have what that thread has bound, also on one hub and at once."""
    url, together = serve(answer(known(PAYOUT))).url, threading.Barrier(4)

    def pay(order: PayoutOrder) -> None:
        bind_contextvars(request_id=order.order_id.replace("po", "r"))
        together.wait(timeout=30)
        hub.create_payout("shop", order)

    with Hub.from_mapping(tables(url), plugins=(fake, observer)) as hub, ThreadPoolExecutor(4) as threads:
        list(threads.map(pay, orders(4)))
    assert expected(4) == {exchange.order_id: exchange.context for exchange in observer.exchanges}


def test_tasks_do_not_mix(serve: Any, observer: Observer) -> None:
    """Each task's exchanges have what that task has bound."""
    url = serve(answer(known(PAYOUT))).url

    async def pay(hub: AsyncHub, order: PayoutOrder) -> None:
        bind_contextvars(request_id=order.order_id.replace("po", "r"))
        await hub.create_payout("shop", order)

    async def main() -> None:
        async with (
            AsyncHub.from_mapping(tables(url), plugins=(fake, observer)) as hub,
            anyio.create_task_group() as group,
        ):
            for order in orders(4):
                group.start_soon(pay, hub, order)

    anyio.run(main)
    assert expected(4) == {exchange.order_id: exchange.context for exchange in observer.exchanges}


def test_what_is_bound_is_kept(open_hub: Any, serve: Any, tmp_path: Any) -> None:
    """What is bound is in the journal, with the exchange that it caused: a refusal can be found by the request's id."""
    url = f"sqlite:///{tmp_path}/payhub.db"
    hub = open_hub(serve(answer(known(PAYMENT))).url, journal={"url": url, "key": "k" * 32})
    with bound_contextvars(request_id="req-1", user="u-1"):
        hub.create_payment("shop", PAYMENT)
    _, entries = hub.hub.journal.story("in-1") if hasattr(hub, "hub") else hub.journal.story("in-1")
    kept = [entry.exchange.context for entry in entries if entry.exchange]
    assert [{"request_id": "req-1", "user": "u-1"}] == json.loads(json.dumps(kept))
