"""What is written is exact, what is read is tolerant where the documents differ."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhub import Declined, NotFound
from payhub.driver import Response, Unreadable
from payhub_alikassa import models, wire
from tests.alikassa.orders import CARD


def answer(body: Any, status: int = 200) -> Response:
    """Make a response with a JSON body."""
    return Response(status=status, body=json.dumps(body).encode())


def test_a_request_without_fields_is_phps_empty_array() -> None:
    """The balance is asked for with `[]`, as the documents' PHP writes it."""
    assert wire.write(models.NoFields()) == b"[]"


def test_a_request_is_compact_json_in_the_documented_order() -> None:
    """Fields follow the documents' order, absent ones are left out, text stays UTF-8."""
    request = models.PaymentRequest(
        notification_endpoint_id=5, desc="Заказ №1/2", service="s", order_id="заказ/1", amount="1.00"
    )
    assert wire.write(request).decode() == (
        '{"amount":"1.00","order_id":"заказ/1","service":"s","desc":"Заказ №1/2","notification_endpoint_id":5}'
    )


@given(st.text(min_size=1, max_size=128))
def test_any_order_id_survives_the_wire(order_id: str) -> None:
    """Whatever text an order_id is, a JSON reader gets the same text back."""
    body = wire.write(models.StatusRequest(order_id=order_id))
    assert json.loads(body) == {"order_id": order_id}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10.000000000", Decimal(10)),
        ("290", Decimal(290)),
        (290, Decimal(290)),
        (10.5, Decimal("10.5")),
        ("", None),
        (None, None),
    ],
    ids=repr,
)
def test_amounts_come_in_every_form(value: Any, expected: Decimal | None) -> None:
    """Strings, numbers, empty and null amounts are read, exactly and never as floats."""
    _, raw = wire.read(answer({"payment_status": "paid", "id": 1, "amount": value}), models.PayoutState)
    found = wire.amount(raw["amount"])
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "value",
    [True, [], {}, "ten", "1,5", "NaN", "Infinity", "1_000", " 1", "1 ", "+1", "1e3", "1.", ".5", "1\n", "\u0661"],
)
def test_what_is_no_amount_is_unreadable(value: Any) -> None:
    """An amount that is not a plain decimal number is unreadable, not zero, and not what Python makes of it."""
    with pytest.raises(Unreadable):
        wire.amount(value)


@pytest.mark.parametrize(("value", "expected"), [(1, "1"), ("1", "1"), ("", None), (None, None)], ids=repr)
def test_ids_come_as_numbers_or_texts(value: Any, expected: str | None) -> None:
    """An id is one text, however it came."""
    assert wire.identifier(value) == expected


@pytest.mark.parametrize("value", [True, 1.5, [], {}])
def test_what_is_no_id_is_unreadable(value: Any) -> None:
    """An id of another type makes the answer unreadable."""
    with pytest.raises(Unreadable):
        wire.identifier(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (False, False), ("1", True), ("0", False), ("true", True), (0, False), ("", None), ("?", None)],
    ids=repr,
)
def test_flags_come_in_every_form(value: Any, expected: bool | None) -> None:
    """A boolean is read from booleans, numbers and texts."""
    assert wire.flag(value) is expected


@pytest.mark.parametrize(
    "body",
    [b"", b"<html></html>", b"[]", b"null", b"1", b'"wait"', b'{"payment_status":"wait"', b"\xff\xfe", b"[" * 100_000],
)
def test_what_is_not_a_json_object_is_unreadable(body: bytes) -> None:
    """Whatever comes instead of a JSON object is unreadable and breaks nothing."""
    with pytest.raises(Unreadable):
        wire.read(Response(status=200, body=body), models.PayoutCreated)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"payment_status": "wait"}, Unreadable),
        (200, {"id": 1}, Unreadable),
        (200, {"id": None, "payment_status": "wait"}, Unreadable),
        (200, {"id": 1, "payment_status": "wait", "errors": {"amount": ["bad"]}}, Unreadable),
        (200, {"message": "Payment not found"}, NotFound),
        (400, {"message": "Payment not found"}, NotFound),
        (404, {"message": "Payment not found"}, NotFound),
        (400, {"message": "The given data was invalid."}, Unreadable),
        (400, {"message": "The given data was invalid.", "errors": {"amount": ["bad"]}}, Declined),
        (400, {"errors": "bad"}, Unreadable),
        (400, {"errors": ["The order id has already been taken."]}, Unreadable),
        (400, {"errors": "The order id has already been taken."}, Unreadable),
        (400, {"errors": {"order_id.0": ["The order id has already been taken."]}}, Unreadable),
        (400, {"errors": {"orderId": ["The order id has already been taken."]}}, Unreadable),
        (400, {"errors": {"order": ["The order id has already been taken."]}}, Unreadable),
        (400, {"errors": {"base": ["The order id has already been taken."]}}, Unreadable),
        (400, {"errors": {"code": "DUPLICATE_ORDER"}}, Unreadable),
        (400, {"errors": {"amount": ["bad"], "base": ["taken"]}}, Unreadable),
        (400, {"errors": {"": ["taken"]}}, Unreadable),
        (400, {"errors": {"extra.card_holder": ["The card holder field is required."]}}, Declined),
        (400, {"errors": {"customer_code": ["The customer code field is required."], "amount": "bad"}}, Declined),
        (400, {"errors": {"order_id": ["The order id has already been taken."]}}, Unreadable),
        (400, {"errors": {"amount": ["bad"], "order_id": ["bad"]}}, Unreadable),
        (422, {"message": "x", "errors": {"amount": ["bad"]}}, Unreadable),
        (500, {"message": "Internal server error"}, Unreadable),
        (500, {"id": 1, "payment_status": "wait"}, Unreadable),
        (201, {"id": 1, "payment_status": "wait"}, Unreadable),
    ],
)
def test_answers_other_than_the_promised_one(status: int, body: Any, kind: type[Exception]) -> None:
    """Only HTTP 400 with complaints about the request's own fields is a refusal, if the order's id is none of them.

    Only "not found" is not found.
    """
    with pytest.raises(kind):
        wire.read(answer(body, status), models.PayoutCreated, models.PayoutRequest)


def test_a_question_is_refused_by_nobody() -> None:
    """Complaints about what was asked are no refusal of an order."""
    with pytest.raises(Unreadable, match=r"^The given data was invalid\. id: bad$"):
        wire.read(answer({"message": "The given data was invalid.", "errors": {"id": "bad"}}, 400), models.PayoutState)


def test_complaints_without_names_are_told() -> None:
    """A list or a text of complaints is told in its own words."""
    for errors in (["taken", "bad"], "taken bad"):
        with pytest.raises(Unreadable, match=r"^taken bad$"):
            wire.read(answer({"errors": errors}, 400), models.PayoutCreated, models.PayoutRequest)


def test_a_mark_before_json_is_skipped() -> None:
    """The byte order mark that some editors put at the beginning of a PHP file is no part of the answer."""
    body = b"\xef\xbb\xbf" + json.dumps({"payment_status": "wait", "id": 1}).encode()
    assert wire.read(Response(status=200, body=body), models.PayoutCreated)[0].id == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [("RUB", "RUB"), ("rub", "RUB"), ("RUR", "RUB"), ("643", "RUB"), (643, "RUB"), ("978", "EUR"), ("", None),
     (None, None)],
    ids=repr,
)  # fmt: skip
def test_a_currency_has_several_names(value: object, expected: str | None) -> None:
    """A code in any case, its number in ISO 4217, and the rouble's code from before 1998, which many still write."""
    assert wire.currency(value) == expected


@pytest.mark.parametrize("value", ["xx", "R", "810", "\u0131dr", "RUB ", "₽", True, [], {}, 1.5])
def test_what_is_no_currency_is_unreadable(value: object) -> None:
    """A name that may mean another currency, or none, is not guessed at."""
    with pytest.raises(Unreadable):
        wire.currency(value)


def test_a_refusal_keeps_the_complaints_and_no_card_number() -> None:
    """The complaints are kept by field; a card number that the provider quotes is truncated."""
    body = {"message": "The given data was invalid.", "errors": {"number": [f"{CARD} is not valid."], "amount": "bad"}}
    with pytest.raises(Declined) as error:
        wire.read(answer(body, 400), models.PayoutCreated, models.PayoutRequest)
    assert (error.value.code, error.value.text, error.value.errors) == (
        "400",
        "The given data was invalid.",
        {"number": ("411111******1111 is not valid.",), "amount": ("bad",)},
    )


def test_unknown_fields_are_kept() -> None:
    """What the documents do not name is still there in the raw fields."""
    _, raw = wire.read(answer({"payment_status": "wait", "id": 1, "new_field": [1]}), models.PayoutCreated)
    assert raw == {"payment_status": "wait", "id": 1, "new_field": [1]}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.text() | st.sampled_from(["id", "payment_status", "errors", "message"]), inner)
        ),
    )
)
def test_no_answer_breaks_the_reader(body: Any) -> None:
    """Whatever JSON comes, it is read, refused, or unreadable; nothing else is raised."""
    try:
        state, _ = wire.read(answer(body), models.PayoutState)
    except (Unreadable, NotFound, Declined):
        return
    assert isinstance(state.payment_status, str)


@pytest.mark.parametrize(
    ("status", "words"),
    [(200, "the answer lacks the promised fields"), (201, "it is not HTTP 200, the only one promised")],
)
def test_an_answer_without_words_gets_the_right_ones(status: int, words: str) -> None:
    """An answer that has all fields, but another status, lacks none."""
    body: dict[str, Any] = {"id": 1, "payment_status": "wait"} if status != 200 else {}
    with pytest.raises(Unreadable) as caught:
        wire.read(answer(body, status), models.PayoutCreated)
    assert words == str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2025-02-03 10:15:42", "2025-02-03T07:15:42+00:00"),
        ("2025-02-03T10:15:42Z", "2025-02-03T10:15:42+00:00"),
        ("2025-02-03 10:15:42+05:00", "2025-02-03T05:15:42+00:00"),
        ("yesterday", None),
        ("", None),
        (1738566942, None),
    ],
)
def test_every_time_has_a_zone(value: object, expected: str | None) -> None:
    """A time without a zone is in the provider's own; what is none is absent."""
    found = wire.local_time(value)
    assert expected == (found and found.isoformat())
