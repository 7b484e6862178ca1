from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhub import (
    BrokenPlugin,
    ConfigurationError,
    Declined,
    InvalidOrder,
    Money,
    NotFound,
    NotSent,
    Payer,
    Payout,
    PayoutOrder,
    Status,
    ToCard,
    Unavailable,
)
from payhub.driver import Call, Flow, Response, Unreadable
from payhub.exchanges.reply import Reply
from payhub.journal import State, Why
from payhub.journal.memory import MemoryJournal
from payhub.models import Phase, Ref
from payhub.operations import PAYMENT as PAYMENTS
from payhub.operations import PAYOUT as PAYOUTS
from payhub.operations import OrderKind
from payhub.plans.create import create
from payhub.plans.fetch import read
from payhub.plans.plan import Attempt
from payhub.plans.rules import check_digits, check_order, compare, unknown_result
from payhub.testing import answer, next_call, play
from tests.plain_account import PlainAccount
from tests.samples import CARD, PAYMENT, PAYOUT

REFUSALS = frozenset({400, 422})
NOT_SENT = Reply(phase=Phase.NOT_SENT, problem="no connection")
MAYBE_SENT = Reply(phase=Phase.MAYBE_SENT, problem="the connection was cut")
KNOWN = Payout(account="shop", provider="fake", order_id="po-1", provider_id="7", requested=PAYOUT.amount,
               status=Status.PENDING)  # fmt: skip


def answered(status: int = 200) -> Reply:
    return Reply(phase=Phase.ANSWERED, response=answer({}, status))


def call(url: str = "https://pay.example/payouts", *, moves_money: bool = True) -> Call:
    return Call(operation="create_payout" if moves_money else "log_in", url=url, moves_money=moves_money)


def flow(*calls: Call, end: Payout | Exception | type[Exception] | None = KNOWN) -> Flow[Any]:
    """Make these calls, whatever is answered, and end so."""
    for each in calls:  # noqa: UP028 - what is sent to a flow must not reach the tuple
        yield each
    if isinstance(end, Exception) or (isinstance(end, type) and issubclass(end, Exception)):
        raise end
    return end


def created(driver: Flow[Any], *replies: Reply) -> Payout:
    result: Payout = play(plan(driver), *replies).result
    return result


def plan(driver: Flow[Any], refusals: frozenset[int] = REFUSALS) -> Any:
    return create(PlainAccount(driver, refusals=refusals), PAYOUTS, PAYOUT)


def test_an_answer_is_believed() -> None:
    """What the driver reads in the promised answer is the result."""
    assert KNOWN == created(flow(call()), answered())


def test_rule_3_not_sent_is_an_error() -> None:
    """Rule 3: what provably did not leave raises, so that another provider may be used."""
    with pytest.raises(NotSent, match=r"^no connection \(not sent\)$"):
        created(flow(call()), NOT_SENT)


def test_rule_3_maybe_sent_is_a_result() -> None:
    """Rule 3: what may have left is returned as UNKNOWN, with the order's own fields and the reason."""
    expected = Payout(account="shop", provider="fake", order_id="po-1", requested=PAYOUT.amount, status=Status.UNKNOWN,
                      reason="the connection was cut (maybe sent)")  # fmt: skip
    assert expected == created(flow(call()), MAYBE_SENT)


def test_rule_3_a_runner_that_fails_leaves_it_open() -> None:
    """Rule 3: if the runner itself fails during a call, nobody knows how far it got: UNKNOWN."""
    steps, journal = plan(flow(call())), MemoryJournal()
    next_call(steps, next(steps), journal)
    with pytest.raises(StopIteration) as ended:
        next_call(steps, steps.throw(MemoryError()), journal)
    assert (Status.UNKNOWN, "MemoryError in the runner (maybe sent)") == (
        ended.value.value.status,
        ended.value.value.reason,
    )


@pytest.mark.parametrize("error", [ConfigurationError("x"), InvalidOrder("to", "x"), Declined("x")])
def test_rule_3_before_anything_was_sent_every_error_passes(error: Exception) -> None:
    """Rule 3: what a driver raises before it sent anything reaches the caller as it is."""
    with pytest.raises(type(error)) as caught:
        created(flow(end=error))
    assert error is caught.value


def test_rule_3_a_mistake_of_a_driver_is_an_error_of_payhubs() -> None:
    """Rule 3: what is no error of payhub's is `BrokenPlugin`, with its kind and not its words."""
    with pytest.raises(
        BrokenPlugin, match=r"^the driver of provider 'fake' failed: ValueError in .*test_plan\.py:\d+$"
    ) as caught:
        created(flow(end=ValueError(CARD)))
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unreadable("not the promised one"), "HTTP 200: not the promised one"),
        (Declined("no funds"), "HTTP 200: no funds"),
        (NotFound("nobody knows"), "HTTP 200: nobody knows"),
        (NotSent("it says"), "HTTP 200: it says"),
        (ValueError(f"cannot parse {CARD}"), "HTTP 200: ValueError in the driver"),
        (KeyError(CARD), "HTTP 200: KeyError in the driver"),
        (RecursionError("deep"), "HTTP 200: RecursionError in the driver"),
    ],
)
def test_rule_3_after_sending_no_error_passes(error: Exception, reason: str) -> None:
    """Rule 3: whatever a driver raises after money may have moved becomes UNKNOWN, and quotes no stray value."""
    result = created(flow(call(), end=error), answered(200))
    assert (Status.UNKNOWN, reason) == (result.status, result.reason)


@pytest.mark.parametrize("status", sorted(REFUSALS))
def test_a_declared_refusal_passes(status: int) -> None:
    """`Declined` passes when the answer has a status that the capabilities call a refusal."""
    with pytest.raises(Declined, match=r"^no funds$"):
        created(flow(call(), end=Declined("no funds")), answered(status))


@pytest.mark.parametrize("status", [200, 201, 301, 401, 403, 404, 409, 429, 500, 502, 503, 504])
def test_rule_7_a_refusal_that_is_not_declared_is_unknown(status: int) -> None:
    """Rule 7: `Declined` under any other status is UNKNOWN: do not cancel on your side."""
    assert Status.UNKNOWN is created(flow(call(), end=Declined("no funds")), answered(status)).status


@pytest.mark.parametrize("status", [100, 199, 200, 400, 422, 500, 599])
def test_rule_7_without_declared_refusals_nothing_is_declined(status: int) -> None:
    """Rule 7: a provider whose capabilities name no refusal, as AliKassa's payouts, cannot refuse for good."""
    steps = plan(flow(call(), end=Declined("no")), frozenset())
    assert Status.UNKNOWN is play(steps, answered(status)).result.status


def test_a_refusal_after_money_moved_is_unknown() -> None:
    """`Declined` passes only of the call that moves money, not of a question after it."""
    driver = flow(call(), call(moves_money=False), end=Declined("no"))
    assert Status.UNKNOWN is created(driver, answered(), answered(422)).status


def test_a_refusal_of_a_first_question_passes() -> None:
    """A driver that asks first (for a token, say) may be refused there: no money moved."""
    with pytest.raises(Declined):
        created(flow(call(moves_money=False), end=Declined("no")), answered(500))


@pytest.mark.parametrize("reply", [NOT_SENT, MAYBE_SENT], ids=["not sent", "maybe sent"])
def test_a_first_question_without_an_answer_is_not_sent(reply: Reply) -> None:
    """If a question before the money gets no answer, nothing that moves money was sent."""
    with pytest.raises(NotSent):
        created(flow(call(moves_money=False), call()), reply)


@pytest.mark.parametrize("reply", [NOT_SENT, MAYBE_SENT], ids=["not sent", "maybe sent"])
def test_a_second_call_without_an_answer_is_unknown(reply: Reply) -> None:
    """If money may have moved, a later call that was not sent proves nothing."""
    assert Status.UNKNOWN is created(flow(call(), call(moves_money=False)), answered(), reply).status


@pytest.mark.parametrize("first", [answered(), answered(500), answered(422)])
@pytest.mark.parametrize("url", ["https://pay.example/payouts", "https://pay.example/?retry=1", "https://b.example/"])
def test_rule_5_no_second_money_call_is_sent(first: Reply, url: str) -> None:
    """Rule 5: a driver that wants to pay once more, at whatever address, is stopped, and the outcome is UNKNOWN."""
    played = play(plan(flow(call(), call(url))), first)
    assert (Status.UNKNOWN, "the driver wanted to send it again", 1) == (
        played.result.status, played.result.reason, len(played.calls)
    )  # fmt: skip


def failing_over() -> Flow[Any]:
    """Use a second host when the first cannot be reached."""
    try:
        yield call()
    except NotSent:
        yield call("https://b.example/")
    return KNOWN


def test_rule_5_what_was_not_sent_may_go_to_the_second_host() -> None:
    """Rule 5: a driver is told what provably was not sent, and may send it to another host."""
    played = play(plan(failing_over()), NOT_SENT, answered())
    assert (KNOWN, ["https://pay.example/payouts", "https://b.example/"]) == (
        played.result, [each.url for each in played.calls]
    )  # fmt: skip


@pytest.mark.parametrize("reply", [MAYBE_SENT, Reply(phase=Phase.NOT_SENT, problem="too late", too_late=True)])
def test_rule_5_what_may_be_sent_or_comes_too_late_does_not(reply: Reply) -> None:
    """Rule 5: of anything else a driver is not told, and its second host is not reached."""
    steps, journal = plan(failing_over()), MemoryJournal()
    next_call(steps, next(steps), journal)
    with pytest.raises((StopIteration, NotSent)):
        next_call(steps, steps.send(reply), journal)


@pytest.mark.parametrize("end", [KNOWN, Payout(status=Status.FAILED)])
def test_a_result_without_a_call_that_moves_money_is_unknown(end: Payout) -> None:
    """A driver that says what became of an order which it never sent is not believed."""
    result = created(flow(call(moves_money=False), end=end), answered())
    assert (Status.UNKNOWN, "the driver has a result without a call that moves money") == (result.status, result.reason)


@pytest.mark.parametrize("reply", [MAYBE_SENT, answered(500)], ids=["cut", "HTTP 500"])
def test_rule_4_a_call_that_creates_moves_money_whatever_it_says(reply: Reply) -> None:
    """Rule 4: a wrapper that makes the driver's call anew, and says that it moves no money, is not believed."""
    anew = msgspec.structs.replace(call(), moves_money=False)
    played = play(plan(flow(anew, end=Unreadable("no"))), reply)
    assert (Status.UNKNOWN, [True]) == (played.result.status, [each.moves_money for each in played.calls])


def test_rule_5_a_stopped_driver_cannot_object() -> None:
    """Rule 5: a driver that ignores being closed, and yields on, changes nothing."""

    def stubborn() -> Flow[Payout]:
        while True:
            try:
                yield call()
            except GeneratorExit:
                yield call()

    assert Status.UNKNOWN is created(stubborn(), MAYBE_SENT).status


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELED])
@pytest.mark.parametrize(
    ("http", "believed"),
    [(200, True), (201, True), (299, True), (422, True), (199, False), (300, False), (404, False), (500, False)],
)
def test_a_failure_needs_proof(status: Status, http: int, believed: bool) -> None:
    """A driver's FAILED or CANCELED stands after 2xx or a declared refusal; elsewhere it is UNKNOWN."""
    result = created(flow(call(), end=Payout(status=status)), answered(http))
    assert (status if believed else Status.UNKNOWN) is result.status


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.REVERSED])
def test_rule_7_an_answer_is_no_more_final_than_the_documents_say(status: Status) -> None:
    """Rule 7: where no create is promised to be final, a final word is pending, keeps its words, and is asked about."""
    account = PlainAccount(flow(call(), end=Payout(status=status, provider_status="word")), final=False)
    steps, journal = create(account, PAYOUTS, PAYOUT), MemoryJournal()
    next_call(steps, next(steps), journal)
    with pytest.raises(StopIteration) as ended:
        next_call(steps, steps.send(answered()), journal)
    result: Payout = ended.value.value
    (due,) = journal.claim(1, 60.0)
    record = journal.find(due)
    assert record is not None
    assert (Status.PENDING, "word", State.PENDING, "word", Why.TOO_EARLY) == (
        result.status, result.provider_status, record.state, record.provider_status, record.why
    )  # fmt: skip
    assert record.explanation == result.reason


def test_a_declared_refusal_is_final_all_the_same() -> None:
    """What the driver declares to be a refusal ends an order, also where other answers to a create do not."""
    steps = create(PlainAccount(flow(call(), end=Payout(status=Status.FAILED)), refusals=REFUSALS, final=False),
                   PAYOUTS, PAYOUT)  # fmt: skip
    assert Status.FAILED is play(steps, answered(422)).result.status


@pytest.mark.parametrize("http", [199, 300, 400, 404, 422, 500])
def test_a_success_needs_proof(http: int) -> None:
    """A driver's SUCCEEDED never stands on an answer other than 2xx, a declared refusal least of all."""
    result = created(flow(call(), end=Payout(status=Status.SUCCEEDED)), answered(http))
    assert Status.UNKNOWN is result.status


@pytest.mark.parametrize(
    "nothing", [None, "paid", {}, unknown_result(PAYMENTS, PAYMENT)], ids=lambda value: type(value).__name__
)
def test_what_is_no_result_is_unknown(nothing: Any) -> None:
    """A driver that returns something else after sending has lost the answer: UNKNOWN."""
    assert Status.UNKNOWN is created(flow(call(), end=nothing), answered()).status


@pytest.mark.parametrize("field", [{"status": None}, {"status": "odd"}, {"provider_id": 7}, {"paid": Decimal(5)}])
def test_a_result_of_wrong_types_is_unknown(field: dict[str, Any]) -> None:
    """A driver that returns a result with a value of another type after sending has lost the answer: UNKNOWN."""
    result = created(flow(call(), end=msgspec.structs.replace(KNOWN, **field)), answered())
    assert (Status.UNKNOWN, "HTTP 200: a malformed Payout from the driver") == (result.status, result.reason)


def test_a_flow_without_calls_ends_at_once() -> None:
    """A flow that needs no call, as a wrapper's may, gives its result."""
    assert KNOWN == created(flow())


REPLIES = st.one_of(
    st.just(NOT_SENT),
    st.just(MAYBE_SENT),
    st.integers(100, 599).map(answered),
    st.sampled_from([200, 400, 422]).map(answered),
)
CALLS = st.builds(call, st.sampled_from(["https://a.example/1", "https://a.example/2"]), moves_money=st.booleans())
ENDS: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(Status).map(lambda status: Payout(status=status)),
    st.sampled_from(
        [Declined("x"), NotFound("x"), Unreadable("x"), InvalidOrder("x", "x"), NotSent("x"), KeyError("x")]
    ),
    st.none(),
)


def endless(replies: list[Reply]) -> Iterator[Reply]:
    while True:
        yield from replies


@given(st.lists(CALLS, max_size=5), ENDS, st.lists(REPLIES, min_size=1, max_size=6))
def test_rules_3_and_5_hold_for_every_driver_and_every_answer(
    calls: list[Call], end: Any, replies: list[Reply]
) -> None:
    """Rules 3 and 5: whatever a driver does and whatever happens, an error means that no money moved.

    And no money call that may have been sent is made again, and no failure stands without proof.
    """
    steps, journal = plan(flow(*calls, end=end)), MemoryJournal()
    sent: list[tuple[Call, Reply]] = []
    last: Reply | None = None
    given_replies = endless(replies)
    try:
        made = next_call(steps, next(steps), journal)
        while True:
            assert [] == sent or not made.moves_money
            last = next(given_replies)
            if made.moves_money and last.phase is not Phase.NOT_SENT:
                sent.append((made, last))
            made = next_call(steps, steps.send(last), journal)
    except StopIteration as done:
        result = done.value
        if sent:
            assert isinstance(result, Payout)
            failed = result.status in {Status.FAILED, Status.CANCELED}
            proof = (
                last is not None and last.response is not None and last.response.status in {*range(200, 300), *REFUSALS}
            )
            assert proof or not failed
    except Declined:
        assert all(len(sent) == 1 and reply.response and reply.response.status in REFUSALS for _, reply in sent)
    except Exception:  # noqa: BLE001 - any other error
        assert [] == sent


# Reads


def asked(driver: Flow[Any], *replies: Reply) -> Any:
    return play(read(PlainAccount(driver), "fetch_payout", Attempt(), Payout), *replies).result[0]


def test_a_read_gives_what_the_driver_reads() -> None:
    """A read returns what the driver makes of the answers, all of them."""
    ask = call(moves_money=False)
    assert KNOWN == asked(flow(ask, ask, ask), answered(), answered(), answered())


@pytest.mark.parametrize("reply", [NOT_SENT, MAYBE_SENT], ids=["not sent", "maybe sent"])
def test_a_read_without_an_answer_is_unavailable(reply: Reply) -> None:
    """Without an answer a read says nothing about money: ask again later."""
    with pytest.raises(Unavailable, match=f"{reply.problem} .{reply.phase}."):
        asked(flow(call(moves_money=False)), reply)


@pytest.mark.parametrize("error", [Unreadable("not it"), Unavailable("later")])
def test_a_read_that_is_not_the_promised_one_is_unavailable(error: Exception) -> None:
    """An answer that is not the promised one is none."""
    with pytest.raises(Unavailable, match=r"not it|later"):
        asked(flow(call(moves_money=False), end=error), answered())


def test_a_read_may_find_nothing() -> None:
    """`NotFound` passes: the provider does not know it, which proves nothing about money."""
    with pytest.raises(NotFound, match="nobody"):
        asked(flow(call(moves_money=False), end=NotFound("nobody")), answered(404))


def test_a_read_without_calls_ends_at_once() -> None:
    """A read that needs no call gives its result."""
    assert KNOWN == asked(flow())


# Comparing


RUB = Money("10", "RUB")
ORDER = Ref(order_id=PAYOUT.order_id, amount=PAYOUT.amount)


@pytest.mark.parametrize(
    ("fields", "mismatches"),
    [
        ({}, ()),
        ({"order_id": "po-1", "requested": PAYOUT.amount}, ()),
        ({"paid": PAYOUT.amount, "credited": Money("1", "RUB"), "commission": Money("1", "RUB")}, ()),
        ({"currency": "RUB"}, ()),
        ({"currency": "EUR"}, ("currency",)),
        ({"mismatches": ("paid",)}, ("paid",)),
        ({"order_id": "po-2"}, ("order_id",)),
        ({"order_id": ""}, ("order_id",)),
        ({"requested": RUB}, ("requested",)),
        ({"requested": Money("1000.44", "EUR")}, ("requested",)),
        ({"paid": Money("1", "EUR")}, ("paid",)),
        ({"credited": Money("1", "EUR")}, ("credited",)),
        ({"commission": Money("1", "EUR")}, ("commission",)),
        ({"order_id": "po-2", "requested": RUB, "paid": Money("0", "EUR")}, ("order_id", "requested", "paid")),
    ],
)
@pytest.mark.parametrize("status", [Status.PENDING, Status.SUCCEEDED, Status.FAILED])
def test_rule_10_answers_are_compared_with_the_order(
    fields: dict[str, Any], mismatches: tuple[str, ...], status: Status
) -> None:
    """Rule 10: an answer about another order or amount, or in another currency, is UNKNOWN and says why."""
    result = compare(PAYOUTS, Payout(status=status, **fields), ORDER)
    reason = f"the answer contradicts the order: {', '.join(mismatches)}" if mismatches else None
    expected = (mismatches, Status.UNKNOWN if mismatches else status, reason)
    assert expected == (result.mismatches, result.status, result.reason)


PAID_OTHERWISE = [
    # paid, whether it is called partial, whether a payment and a payout can have been paid so
    ("1000.44", None, True, True),
    ("1000.44", False, True, True),
    ("1000.43", True, True, True),
    ("1000.43", False, False, False),
    ("1.00", None, False, False),
    ("0", None, False, False),
    ("0", True, False, False),
    ("-1000.44", None, False, False),
    ("1000.45", None, True, False),
    ("1000.45", True, True, False),
]


@pytest.mark.parametrize("asked", [PAYOUT.amount, None], ids=["ordered", "said by the answer"])
@pytest.mark.parametrize(("amount", "partial", "payment", "payout"), PAID_OTHERWISE)
def test_rule_10_a_sum_that_nobody_can_have_paid_is_no_success(
    amount: str, partial: bool | None, payment: bool, payout: bool, asked: Money | None
) -> None:
    """Rule 10: nothing, less than nothing, less than asked without the flag, and of a payout more: a contradiction."""
    said: Any = {"requested": PAYOUT.amount, "paid": Money(amount, "RUB"), "partial": partial}
    kinds: tuple[tuple[OrderKind[Any, Any], bool], ...] = ((PAYMENTS, payment), (PAYOUTS, payout))
    for kind, possible in kinds:
        for status in (Status.SUCCEEDED, Status.PENDING, Status.FAILED):
            found = compare(kind, kind.result(status=status, **said), Ref(order_id="po-1", amount=asked))
            expected = () if possible or status is not Status.SUCCEEDED else ("paid",)
            assert (expected, Status.UNKNOWN if expected else status) == (found.mismatches, found.status)


def test_rule_10_what_was_paid_is_not_what_was_asked() -> None:
    """Rule 10: `paid` is what the provider says, never filled from the order."""
    result = compare(PAYOUTS, Payout(status=Status.SUCCEEDED), ORDER)
    assert (PAYOUT.amount, None, "po-1") == (result.requested, result.paid, result.order_id)


@pytest.mark.parametrize(
    ("ref", "mismatches"),
    [
        (Ref(order_id="po-1"), ()),
        (Ref(provider_id="7"), ()),
        (Ref(provider_id="7", amount=RUB), ()),
        (Ref(order_id="po-2"), ("order_id",)),
        (Ref(provider_id="8"), ("provider_id",)),
        (Ref(order_id="po-1", amount=Money("11", "RUB")), ("requested",)),
        (Ref(order_id="po-1", amount=Money("10", "EUR")), ("requested", "paid")),
    ],
)
def test_rule_10_answers_are_compared_with_the_question(ref: Ref, mismatches: tuple[str, ...]) -> None:
    """Rule 10: the answer to a question is compared with the ids and the amount that were asked for."""
    found = Payout(order_id="po-1", provider_id="7", requested=RUB, paid=RUB, status=Status.SUCCEEDED)
    assert mismatches == compare(PAYOUTS, found, ref).mismatches


# Checking


def order(**fields: Any) -> PayoutOrder:
    return msgspec.structs.replace(PAYOUT, **fields)


def test_a_good_order_is_returned_as_it_is() -> None:
    """An order that can be sent is not changed, and its `extra` is the very object given."""
    extra = object()
    given_order = order(extra=extra)
    assert (True, extra) == (given_order == check_order(PAYOUTS, given_order), check_order(PAYOUTS, given_order).extra)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"order_id": ""}, "order_id"),
        ({"order_id": "x" * 256}, "order_id"),
        ({"order_id": "po\n1"}, "order_id"),
        ({"order_id": "po-1\n"}, "order_id"),
        ({"order_id": "po\x7f1"}, "order_id"),
        ({"order_id": 1.5}, "order_id"),
        ({"order_id": None}, "order_id"),
        ({"amount": 10.5}, "amount"),
        ({"amount": "10"}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": Money("0", "RUB")}, "amount"),
        ({"amount": Money("-1", "RUB")}, "amount"),
        ({"to": ToCard(4111111111111111)}, "to.number"),  # type: ignore[arg-type]
        ({"to": ToCard(CARD, birth_date="1990-13-45")}, "to.birth_date"),  # type: ignore[arg-type]
        ({"to": Payer(id="1")}, "to"),
        ({"to": None}, "to"),
        ({"to": CARD}, "to"),
    ],
)
def test_a_bad_order_is_refused_by_its_field(fields: dict[str, Any], field: str) -> None:
    """An order that cannot be is refused before anything is sent; the field is named and no value quoted."""
    with pytest.raises(InvalidOrder) as caught:
        check_order(PAYOUTS, order(**fields))
    assert (field, False) == (caught.value.field, "4111" in str(caught.value))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "cash"}, "method: must be one of bank_account, card, sberpay, sbp, wallet"),
        ({"presentation": "popup"}, "presentation: must be one of direct, hosted"),
        ({"payer": Payer(phone=79161234567)}, "payer.phone: must be a text, not int"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_word_is_refused_by_its_field(fields: dict[str, Any], message: str) -> None:
    """A word that is not known, or a number in its place, is refused by the field's name and not quoted."""
    with pytest.raises(InvalidOrder) as caught:
        check_order(PAYMENTS, msgspec.structs.replace(PAYMENT, **fields))
    assert message == str(caught.value)


@pytest.mark.parametrize(
    ("amount", "exponents", "message"),
    [
        (Money("0.5", "RUB"), {"RUB": 0}, "amount: RUB has 0 digits after the point, 1 were given"),
        (Money("0.12345678", "RUB", 8), {}, "amount: RUB has 2 digits after the point, 8 were given"),
        (Money("0.12345678", "RUB", 8), {"RUB": 8}, None),
        (Money("1", "RUB"), {"RUB": 0}, None),
        (Money("1.5", "KWD"), {"RUB": 0}, None),
    ],
)
def test_rule_13_digits_are_those_of_the_provider(
    amount: Money, exponents: dict[str, int], message: str | None
) -> None:
    """Rule 13: a provider may count finer or coarser than ISO 4217; excess digits are refused, not rounded."""
    try:
        check_digits(amount, exponents)
        refused = None
    except InvalidOrder as error:
        refused = str(error)
    assert message == refused


@given(st.text(), st.text())
def test_any_text_is_sent_or_refused(order_id: str, number: str) -> None:
    """Whatever text an application puts into an order, it is sent as it is or refused as `InvalidOrder`."""
    given_order = order(order_id=order_id, to=ToCard(number))
    try:
        exact = check_order(PAYOUTS, given_order)
    except InvalidOrder:
        return
    assert (given_order, []) == (exact, [c for c in order_id if ord(c) < 32 or ord(c) == 127])


def test_responses_reach_the_driver_as_they_came() -> None:
    """A driver is sent the very response that came."""

    def driver() -> Flow[Payout]:
        response = yield call()
        return Payout(status=Status.PENDING, raw={"response": response})

    response = Response(status=200, headers={"date": "now"}, body=b"\x00\xff")
    assert response is created(driver(), Reply(phase=Phase.ANSWERED, response=response)).raw["response"]
