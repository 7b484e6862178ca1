import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from payhub import Declined, Money, NotSent, OrderConflict, Payment, Payout, Status, ToCard
from payhub.driver import Call
from payhub.journal import Facts, Key, Source, State
from payhub.journal.memory import MemoryJournal
from payhub.operations import PAYOUT as PAYOUTS
from payhub.plans.create import create
from payhub.plans.plan import Act as JournalAct
from payhub.plans.plan import Pause
from payhub.testing import fake, next_call
from tests.plain_account import TIMING, PlainAccount, facts
from tests.raw_server import Act, RawServer, answer, close
from tests.samples import PAYMENT, PAYOUT, known

from .conftest import KEY, OpenShop, Place
from .making import LATER, found

PO_1 = Key("shop", "payout", "po-1")
OTHERS = [
    msgspec.structs.replace(PAYOUT, amount=Money("1000.45", "RUB")),
    msgspec.structs.replace(PAYOUT, to=ToCard("5555555555554444")),
]


def order_facts() -> Facts:
    """Make what the shop's journal keeps of the payout."""
    return facts("shop", "waiting", PAYOUT, KEY.encode())


def without_raw(result: Any) -> Any:
    """Leave out the answer's own fields, which are not kept, and when the order was opened, which no answer says."""
    return msgspec.structs.replace(result, raw={}, created_at=None)


@pytest.mark.parametrize("status", [word for word, status in fake.STATUSES.items() if status is not Status.REVERSED])
def test_the_same_payout_again_is_what_is_recorded(open_shop: OpenShop, status: str) -> None:
    """The same order again returns what is recorded, in every status, and sends nothing."""
    shop = open_shop(answer(known(PAYOUT, status=status, paid="1000.44")))
    first, again = (shop.hub.create_payout("shop", PAYOUT) for _ in range(2))
    assert (without_raw(first), ["payouts"]) == (without_raw(again), shop.sent)


def test_the_same_payment_again_has_its_link(open_shop: OpenShop) -> None:
    """A payment again returns what is recorded, also where the payer has to go, whole."""
    shop = open_shop(answer(known(PAYMENT, page="https://pay.example/7?token=1")))
    first, again = (shop.hub.create_payment("shop", PAYMENT) for _ in range(2))
    assert (without_raw(first), "https://pay.example/7?token=1", ["payments"]) == (
        without_raw(again), again.redirect_url, shop.sent
    )  # fmt: skip


@pytest.mark.parametrize("act", [close, answer(b"", 500), answer(b"<html>")], ids=["cut", "500", "html"])
def test_rule_4_an_unknown_payout_is_not_sent_again(open_shop: OpenShop, act: Act) -> None:
    """Rule 4: an order whose outcome is unknown stays unknown, however often it is created again."""
    shop = open_shop(act)
    results = [shop.hub.create_payout("shop", PAYOUT).status for _ in range(3)]
    assert ([Status.UNKNOWN] * 3, ["payouts"]) == (results, shop.sent)


@pytest.mark.parametrize("url", [None])
def test_another_hub_remembers(open_shop: OpenShop, place: Place) -> None:
    """A hub that is opened later, on the same database, returns what the first one recorded."""
    first = open_shop(answer(known(PAYOUT)), where=place.url)
    later = open_shop(answer({}), where=place.url)
    results = [each.hub.create_payout("shop", PAYOUT) for each in (first, later)]
    assert (["7", "7"], []) == ([each.provider_id for each in results], later.sent)


@pytest.mark.parametrize("other", OTHERS, ids=["amount", "to.number"])
def test_another_order_under_the_same_order_id_is_a_conflict(open_shop: OpenShop, other: Any) -> None:
    """A different order under the same order_id is refused, in words that quote no value, and nothing is sent."""
    shop = open_shop(answer(known(PAYOUT)))
    shop.hub.create_payout("shop", PAYOUT)
    with pytest.raises(OrderConflict) as caught:
        shop.hub.create_payout("shop", other)
    field = "amount" if other.amount != PAYOUT.amount else "to.number"
    words = f"order_id 'po-1' already stands for another payout: {field} differs; see: payhub trace po-1"
    assert f"account 'shop': {words}" == str(caught.value)
    assert ["payouts"] == shop.sent


def test_a_payment_and_a_payout_may_share_an_order_id(open_shop: OpenShop) -> None:
    """An order_id is unique within an account and a kind."""
    payment = msgspec.structs.replace(PAYMENT, order_id="po-1")
    shop = open_shop(answer(known(PAYOUT)), answer(known(payment)))
    results = [shop.hub.create_payout("shop", PAYOUT), shop.hub.create_payment("shop", payment)]
    assert ([Payout, Payment], ["payouts", "payments"]) == ([type(each) for each in results], shop.sent)


def test_what_was_declined_is_declined_again(open_shop: OpenShop) -> None:
    """A refusal for good is raised again, with the same words, and nothing is sent."""
    shop = open_shop(answer({"code": "limit", "text": "over the limit"}, 422))
    words = []
    for _ in range(2):
        with pytest.raises(Declined) as caught:
            shop.hub.create_payout("shop", PAYOUT)
        words.append(str(caught.value))
    assert (["over the limit"] * 2, ["payouts"]) == (words, shop.sent)


def test_what_was_not_sent_may_be_sent_again(open_shop: OpenShop, serve: Callable[..., RawServer]) -> None:
    """An order that did not leave this machine is sent when it is created again, and then no more."""
    gone = serve()
    gone.stop()
    shop = open_shop(at=gone.url)
    with pytest.raises(NotSent):
        shop.hub.create_payout("shop", PAYOUT)
    back = serve(answer(known(PAYOUT)), port=gone.port)
    results = [shop.hub.create_payout("shop", PAYOUT).status for _ in range(2)]
    record = shop.journal.find(PO_1)
    assert ([Status.PENDING] * 2, 1, 2) == (results, len(back.requests), record.attempts)


def test_what_was_declined_or_failed_is_not_sent_elsewhere(open_shop: OpenShop) -> None:
    """`failed` is final: the same order_id is not sent again."""
    shop = open_shop(answer(known(PAYOUT, status="failed")))
    results = [shop.hub.create_payout("shop", PAYOUT).status for _ in range(2)]
    assert ([Status.FAILED] * 2, ["payouts"]) == (results, shop.sent)


def test_an_invalid_order_is_not_written_down(open_shop: OpenShop) -> None:
    """What is refused here leaves no order behind, so the mistake may be corrected under the same order_id."""
    shop = open_shop(answer(known(PAYOUT)))
    with pytest.raises(Exception, match="amount"):
        shop.hub.create_payout("shop", msgspec.structs.replace(PAYOUT, amount=Money("0", "RUB")))
    assert ((), ()) == shop.journal.story("po-1")
    assert Status.PENDING is shop.hub.create_payout("shop", PAYOUT).status


# While the first is under way


class Held:
    """Hold an answer back until it is let go."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.go = threading.Event()

    def __call__(self, connection: Any) -> None:
        self.go.wait(20)
        connection.sendall(self.content)


def test_the_second_waits_for_the_first(open_shop: OpenShop) -> None:
    """Creating an order that is just being sent waits, and returns its outcome; it is sent once."""
    held = Held(answer(known(PAYOUT)))
    shop = open_shop(held)
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(shop.hub.create_payout, "shop", PAYOUT)
        assert shop.server is not None
        assert shop.server.requested.wait(20)
        others = [threads.submit(shop.hub.create_payout, "shop", PAYOUT) for _ in range(2)]
        time.sleep(0.2)  # let them come to wait; without it they would find the order settled
        held.go.set()
        results = [each.result(20) for each in (first, *others)]
    assert ([Status.PENDING] * 3, ["7"] * 3, ["payouts"]) == (
        [each.status for each in results], [each.provider_id for each in results], shop.sent
    )  # fmt: skip


def test_the_second_does_not_wait_beyond_the_deadline(open_shop: OpenShop) -> None:
    """If the first takes longer than the deadline, the second returns that nothing is known yet; nothing is sent."""
    shop = open_shop(transport={"deadline": 0.2})
    shop.journal.open(order_facts(), 60.0)  # by a sender in another process
    result = shop.hub.create_payout("shop", PAYOUT)
    assert (Status.UNKNOWN, State.SENDING, []) == (result.status, shop.journal.find(PO_1).state, shop.sent)


def test_nobody_waits_for_a_sender_that_died(open_shop: OpenShop) -> None:
    """When the lease has ended, the first will not report: the second hears at once that nothing is known."""
    shop = open_shop(transport={"deadline": 3600.0})
    shop.journal.open(order_facts(), -1.0)
    result = shop.hub.create_payout("shop", PAYOUT)
    assert (Status.UNKNOWN, []) == (result.status, shop.sent)


def test_a_conflict_does_not_wait(open_shop: OpenShop) -> None:
    """A different order under the order_id of one that is being sent is refused at once."""
    shop = open_shop(transport={"deadline": 3600.0})
    shop.journal.open(order_facts(), 60.0)
    with pytest.raises(OrderConflict):
        shop.hub.create_payout("shop", OTHERS[0])


def test_rule_3_who_waited_is_told_that_nothing_was_sent(open_shop: OpenShop) -> None:
    """Rule 3: if the call that was waited for could not send, its caller may be elsewhere by now: nobody takes over."""
    shop = open_shop(answer(known(PAYOUT)))
    shop.journal.open(order_facts(), 60.0)
    with ThreadPoolExecutor(1) as threads:
        second = threads.submit(shop.hub.create_payout, "shop", PAYOUT)
        time.sleep(0.2)  # let it come to wait; without it, it would find the order free, and send it
        shop.journal.settle(PO_1, found(State.NOT_SENT, Source.ANSWER), LATER)
        with pytest.raises(NotSent):
            second.result(20)
    assert [] == shop.sent
    assert Status.PENDING is shop.hub.create_payout("shop", PAYOUT).status  # asked for anew, it is sent


def test_many_creators_send_once(open_shop: OpenShop) -> None:
    """Sixteen threads that create one order at once send it once, and all hear the same."""
    shop = open_shop(answer(known(PAYOUT)))
    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(lambda _: shop.hub.create_payout("shop", PAYOUT), range(16)))
    assert ({"7"}, ["payouts"]) == ({each.provider_id for each in results}, shop.sent)


# The plan with a journal, played


ORDER = facts("shop", "fake", PAYOUT, b"key")


def _steps(*, moves_money: bool = True, patience: float = 0.0) -> Any:
    flow = _flow(moves_money=moves_money)
    return create(PlainAccount(flow, timing=TIMING._replace(patience=patience)), PAYOUTS, PAYOUT)


def _flow(*, moves_money: bool) -> Any:
    operation = "create_payout" if moves_money else "log_in"
    yield Call(operation=operation, url="https://pay.example", moves_money=moves_money)
    return Payout(status=Status.PENDING)


def test_rule_1_nothing_is_sent_before_it_is_written_down() -> None:
    """Rule 1: when the plan wants its call made, the journal says that the order is being sent."""
    journal, steps = MemoryJournal(), _steps()
    first = next(steps)
    assert isinstance(first, JournalAct)
    assert isinstance(next_call(steps, first, journal), Call)
    assert [State.SENDING] == [record.state for record in journal.story("po-1")[0]]


@pytest.mark.parametrize(("moves_money", "expected"), [(True, State.UNKNOWN), (False, State.NOT_SENT)])
def test_rule_4_a_runner_that_fails_leaves_the_order_unknown(moves_money: bool, expected: State) -> None:
    """Rule 4: a runner that fails in a call that moves money leaves the order unknown: it is not sent again."""
    journal, steps = MemoryJournal(), _steps(moves_money=moves_money)
    next_call(steps, next(steps), journal)
    with pytest.raises((StopIteration, NotSent)):
        next_call(steps, steps.throw(RuntimeError("the runner broke")), journal)
    assert expected is journal.story("po-1")[0][0].state


@pytest.mark.parametrize("patience", [0.0, 0.02, 10.0])
def test_the_second_waits_for_the_whole_deadline_and_no_longer(patience: float) -> None:
    """A caller that waits for another reads the journal now and then, and no longer than the deadline."""
    journal = MemoryJournal()
    journal.open(ORDER, 3600.0)
    pauses = list(_pauses(journal, _steps(patience=patience), at_most=100))
    assert pytest.approx(patience) == sum(pauses)
    assert all(0.0 < pause <= 1.0 for pause in pauses)


def _pauses(journal: MemoryJournal, steps: Any, at_most: int) -> Iterator[float]:
    """Carry steps out without waiting, and tell for how long they wanted to."""
    with contextlib.suppress(StopIteration):
        step = next(steps)
        for _ in range(at_most):
            if isinstance(step, Pause):
                yield step.seconds
            step = steps.send(step.perform(journal) if isinstance(step, JournalAct) else None)


def test_a_driver_that_needs_no_call_is_not_written_down() -> None:
    """A driver (or a wrapper) that answers without a call sends nothing, so there is nothing to remember."""

    def answering() -> Any:
        yield from ()
        return Payout(status=Status.PENDING)

    with pytest.raises(StopIteration) as ended:
        next(create(PlainAccount(answering()), PAYOUTS, PAYOUT))
    assert (Status.PENDING, "po-1") == (ended.value.value.status, ended.value.value.order_id)
