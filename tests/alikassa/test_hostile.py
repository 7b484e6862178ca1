"""What a provider that is not itself any more may answer: values, sizes and lists that nobody expects."""

import datetime as dt
import itertools
import json
import operator
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from payhub import Money, NotFound, Payment, Status, Unavailable
from payhub.driver import Response, Unreadable
from payhub.masking import mask_cards
from payhub_alikassa import mapping, models, wire
from payhub_alikassa.sandbox.directory import write_directory
from tests.alikassa.conftest import ACCOUNT
from tests.alikassa.orders import CARD, payment, payout
from tests.conftest import in_mode
from tests.raw_server import RawServer, answer

DAY = dt.date(2026, 1, 1)
RUB = Money("3000", "RUB")
GOOD: dict[str, Any] = {
    "payment_status": "paid", "id": 7, "amount": "3000.00", "payment_amount": "3000.00", "currency": "RUB",
    "balance": "1", "is_allowed_payment": True, "is_allowed_payout": True, "data": [], "links": {"next": None},
}  # fmt: skip
QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "payment": lambda hub: hub.fetch_payment(ACCOUNT, order_id="x"),
    "payout": lambda hub: hub.fetch_payout(ACCOUNT, provider_id="7"),
    "balance": lambda hub: hub.fetch_balance(ACCOUNT),
    "info": lambda hub: hub.fetch_account_info(ACCOUNT),
    "history": lambda hub: hub.list_payments(ACCOUNT, first=DAY, last=DAY),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make keys once."""
    return tmp_path_factory.mktemp("shop")


@pytest.fixture
def asked(mode: str, folder: Path, serve: Callable[..., RawServer]) -> Iterator[Callable[..., Any]]:
    """Open a hub for a server that answers as it is told."""
    server = serve(answer(GOOD))
    config = write_directory(folder, server.port)
    config.with_name("payhub.db").unlink(missing_ok=True)
    config.with_name("payhub.note").unlink(missing_ok=True)
    with in_mode(mode, lambda hub: hub.from_file(config)) as hub:

        def ask(body: bytes, question: Callable[[Any], Any]) -> Any:
            server.script = [answer(body)]
            try:
                return question(hub)
            except (Unavailable, NotFound) as cause:
                return cause

        yield ask


def written(field: str, value: str) -> bytes:
    return json.dumps({**GOOD, field: "@"}).replace('"@"', value).encode()


EXPONENTS = ["1e99999999999999999999", "-1e-99999999999999999999", "1e999999", "-0e1000000000000000000000"]


FIELDS = ["id", "amount", "payment_amount", "balance", "undeclared", "data"]


def test_a_number_of_any_exponent_is_an_answer_or_none(asked: Callable[..., Any]) -> None:
    """Every question returns or is `Unavailable`; where the number decides nothing, it is answered."""
    for number, field, question in itertools.product(EXPONENTS, FIELDS, QUESTIONS.values()):
        found = asked(written(field, number), question)  # whatever else is raised fails the test
        assert field != "undeclared" or not isinstance(found, Exception)
        assert not (isinstance(found, Payment) and field == "payment_amount" and found.status is Status.SUCCEEDED)


def test_a_create_with_a_number_of_any_exponent(asked: Callable[..., Any]) -> None:
    """A payment of which the answer's sum is none is unknown, and so is a payout."""
    for number in EXPONENTS:
        for make, order in (("create_payment", payment), ("create_payout", payout)):
            create = operator.methodcaller(make, ACCOUNT, order(order_id=f"x{number}"))
            assert Status.UNKNOWN is asked(written("amount", number), create).status


TIMES = {
    "2026-01-01 10:00:00": dt.datetime(2026, 1, 1, 7, tzinfo=dt.UTC),
    "2026-01-01T10:00:00+03:00": dt.datetime(2026, 1, 1, 7, tzinfo=dt.UTC),
    "9999-12-31T23:59:59-12:00": None,
    "0001-01-01T00:00:00+12:00": None,
    "9999-12-31T23:59:59.999999": dt.datetime(9999, 12, 31, 20, 59, 59, 999999, tzinfo=dt.UTC),
    "x" * 100_000: None,
    "2026-01-01T10:00:00+99:99": None,
}


@pytest.mark.parametrize(("time", "expected"), TIMES.items(), ids=lambda each: str(each)[:30])
def test_a_time_is_one_that_can_be_shown(time: str, expected: dt.datetime | None) -> None:
    """A time at the end of time, which no clock in UTC shows, is absent."""
    assert expected == wire.local_time(time)


def refused(fields: dict[str, Any], status: int = 400, asked: Any = models.PaymentRequest) -> Exception:
    try:
        wire.read(Response(status=status, body=json.dumps(fields).encode()), models.PaymentCreated, asked)
    except Exception as cause:  # noqa: BLE001 - the kind of it is what is tested
        return cause
    raise AssertionError("it was read")


def test_complaints_are_told_as_far_as_there_is_room() -> None:
    """Of many complaints the first are told, masked, and a refusal stays one; the rest costs nothing."""
    texts = [f"card {CARD} is blocked"] * 5000
    found: Any = refused({"message": "x" * 100_000, "errors": {"amount": texts, "service": texts}})
    assert ("Declined", True) == (type(found).__name__, len(str(found)) < 20_000)
    assert str(found) == mask_cards(str(found))
    assert CARD not in str(found)


def test_a_complaint_that_has_no_room_counts_all_the_same() -> None:
    """A complaint about the order's id behind a thousand others makes the outcome unknown, told or not."""
    found = refused({"errors": {**{f"customer_{number}": ["x"] for number in range(1000)}, "order_id": ["taken"]}})
    fits = refused({"errors": dict.fromkeys(models.PaymentRequest.__struct_fields__, "x")})
    assert [Unreadable, Unreadable] == [type(found), type(fits)]


@pytest.mark.parametrize("message", [[["not found"]] * 50, "x" * 600 + " not found", {"a": "not found"}])
def test_not_found_is_what_the_provider_says_at_once(message: object) -> None:
    """Only the beginning of a message is looked at, and only that of a text."""
    assert not isinstance(refused({"message": message}, 404, None), NotFound)
    assert isinstance(refused({"message": "Payment not found"}, 404, None), NotFound)


def test_a_longer_list_than_was_asked_for_is_no_answer(asked: Callable[..., Any]) -> None:
    """A page of 1,001 payments, or as many services, costs too much to be read, and is not the promised one."""
    page = {**GOOD, "data": [{"id": number, "status": "paid", "amount": "1"} for number in range(1001)]}
    info = {**GOOD, "payments": [{"service_code": "x"}] * 1001}
    found = [
        asked(json.dumps(page).encode(), QUESTIONS["history"]),
        asked(json.dumps(info).encode(), QUESTIONS["info"]),
    ]
    assert [Unavailable, Unavailable] == [type(each) for each in found]


def test_a_sum_that_is_no_number_contradicts() -> None:
    """What no decimal can hold is no sum: it is named, and nothing is made of it."""
    body = written("payment_amount", EXPONENTS[0])
    read, raw = wire.read(Response(status=200, body=body), models.PaymentState)
    found = mapping.payment(read, raw, "RUB")
    assert (None, ("paid",)) == (found.paid, found.mismatches)
