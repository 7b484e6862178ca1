import re

import pytest

from payhub import Declined, NotSent, Payout, Phase, Status
from payhub.accounts.config import read_mapping
from payhub.accounts.registry import Registry
from payhub.driver import Call, Flow, Response
from payhub.exchanges.reply import Reply
from payhub.models import Ref
from payhub.operations import PAYOUT as PAYOUTS
from payhub.testing import Played, answer, fake, play
from tests.samples import PAYOUT, known

ACCOUNT = fake.connect(fake.FakeConfig(name="shop", provider="fake", base_url="https://pay.example"))


def test_a_flow_is_played_with_plain_answers() -> None:
    """A driver's flow is driven with plain answers; its result and its calls are returned."""
    played = play(fake.payhub_create_payout(ACCOUNT, PAYOUT), answer(known(PAYOUT)))
    assert ("7", Status.PENDING, ["https://pay.example/payouts"]) == (
        played.result.provider_id, played.result.status, [call.url for call in played.calls]
    )  # fmt: skip


def test_what_a_flow_raises_is_raised() -> None:
    """What the driver raises reaches the test."""
    with pytest.raises(Declined, match=r"^no funds$"):
        play(fake.payhub_create_payout(ACCOUNT, PAYOUT), answer({"code": "1", "text": "no funds"}, 422))


def asking(times: int) -> Flow[int]:
    for number in range(times):
        yield Call(operation="ask", url=f"https://pay.example/{number}", moves_money=False, method="GET")
    return times


@pytest.mark.parametrize(
    ("calls", "answers", "message"),
    [
        (2, 1, "the flow wants 2 answers and was given 1; it made 2 calls: ask (GET https://pay.example/0), ask (GET"),
        (1, 0, "the flow wants 1 answers and was given 0; it made 1 calls: ask (GET https://pay.example/0)"),
        (1, 3, "the flow ended after 1 calls: ask (GET https://pay.example/0); 2 of the answers are left"),
        (0, 1, "the flow ended after no call; 1 of the answers are left"),
    ],
)
def test_more_or_fewer_answers_are_a_failure(calls: int, answers: int, message: str) -> None:
    """A flow that wants more answers, or leaves some, fails the test and says which calls it made."""
    with pytest.raises(AssertionError, match=re.escape(message)):
        play(asking(calls), *[answer()] * answers)


@pytest.mark.parametrize("times", [0, 1, 3])
def test_as_many_answers_as_calls(times: int) -> None:
    """A flow of any number of calls is played with as many answers."""
    assert (times, times) == (
        play(asking(times), *[answer()] * times).result,
        len(play(asking(times), *[answer()] * times).calls),
    )


def test_plans_are_played_with_replies() -> None:
    """The steps of a plan are played with replies, which also say that no answer came."""
    account = Registry(
        read_mapping({"accounts": {"shop": {"provider": "fake", "base_url": "https://pay.example"}}}), (fake,)
    ).account("shop")
    played: Played[Payout] = play(account.create(PAYOUTS, PAYOUT).steps, Reply(phase=Phase.MAYBE_SENT, problem="cut"))
    with pytest.raises(NotSent):
        play(account.create(PAYOUTS, PAYOUT).steps, Reply(phase=Phase.NOT_SENT, problem="no connection"))
    assert (Status.UNKNOWN, 1) == (played.result.status, len(played.calls))


@pytest.mark.parametrize(
    ("body", "expected"), [(b"\x00", b"\x00"), (None, b""), ({"a": 1}, b'{"a":1}'), ([], b"[]"), ("x", b'"x"')]
)
def test_answers_are_made_of_anything(body: object, expected: bytes) -> None:
    """An answer is made of bytes as they are, of anything else as JSON, of nothing without a body."""
    headers = {"content-type": "application/json"}
    assert Response(status=201, headers=headers, body=expected) == answer(body, 201)


def test_the_fake_driver_asks_by_either_id() -> None:
    """The fake driver asks by the id that is given, and names it in the call for the log."""
    calls = [
        play(fake.payhub_fetch_payout(ACCOUNT, ref), answer(known(PAYOUT))).calls[0]
        for ref in (Ref(order_id="po-1"), Ref(provider_id="7"))
    ]
    expected = [(b'{"order_id":"po-1"}', "po-1", None), (b'{"id":"7"}', None, "7")]
    assert expected == [(call.body, call.order_id, call.provider_id) for call in calls]
