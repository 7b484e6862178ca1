import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from payhub import transcript
from payhub.driver import Call, Response
from payhub.masking import Clear, Truncated
from payhub.models import Exchange, Phase
from payhub.plan import Plan, Reply
from payhub.testing import answer
from tests.samples import CARD

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=dt.UTC)
PLAN: Plan[None] = Plan(account="shop", provider="fake", steps=iter(()))  # type: ignore[arg-type]


class Asked(msgspec.Struct):
    order_id: Clear[str]
    number: Truncated[str]
    password: str


class Promised(msgspec.Struct):
    id: Clear[str]


CALL = Call(
    operation="create_payout", url="https://pay.example/payouts?key=sesame", moves_money=True, order_id="po-1",
    headers={"sign": "sesame"}, body=json.dumps({"order_id": "po-1", "number": CARD, "password": "sesame"}).encode(),
    asked=Asked, promised=Promised,
)  # fmt: skip
ANSWER = Response(
    status=200, headers={"date": "Fri, 02 Jan 2026 03:04:05 GMT", "set-cookie": "sesame"},
    body=json.dumps({"id": "7", "token": "sesame", "card": CARD}).encode(),
)  # fmt: skip


def recorded(reply: Reply, call: Call = CALL) -> Exchange:
    return transcript.record(PLAN, call, reply, NOW, 0.1234567)


def test_record_of_an_answer() -> None:
    """The record of an exchange says who, what, where, how far, how long, how much, and shows masked bodies."""
    expected = Exchange(
        account="shop", provider="fake", operation="create_payout", order_id="po-1", provider_id=None, method="POST",
        url="https://pay.example/payouts?[hidden]", phase=Phase.ANSWERED, status=200, problem=None, started_at=NOW,
        duration=0.123457, server_time=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        bytes_sent=len(CALL.body), bytes_received=len(ANSWER.body),
        request={"order_id": "po-1", "number": "411111******1111", "password": "[hidden]"},
        response={"id": "7", "token": "[hidden]", "card": "[hidden]"},
    )  # fmt: skip
    assert expected == recorded(Reply(phase=Phase.ANSWERED, response=ANSWER))


def test_record_without_an_answer() -> None:
    """The record of a call without an answer says how far it got and what went wrong."""
    exchange = recorded(Reply(phase=Phase.MAYBE_SENT, problem="the connection was cut"))
    assert (Phase.MAYBE_SENT, "the connection was cut", None, None, 0, None) == (
        exchange.phase,
        exchange.problem,
        exchange.status,
        exchange.response,
        exchange.bytes_received,
        exchange.server_time,
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", None),
        (b"<html>sesame</html>", "[not JSON, 19 bytes]"),
        (b"\xff\xfe", "[not JSON, 2 bytes]"),
        (b'{"id": ', "[not JSON, 7 bytes]"),
        (b"[" * 100_000, "[not JSON, 100000 bytes]"),
        (b'"sesame"', "[hidden]"),
        (b"4111111111111111", "[hidden]"),
        (b"null", "[hidden]"),
        (b'[{"id": "1"}, {"id": 2.50, "x": 1}]', [{"id": "1"}, {"id": "2.50", "x": "[hidden]"}]),
        (b'{"id": {"nested": "4111 1111 1111 1111"}}', {"id": {"nested": "4111 11** **** 1111"}}),
    ],
)  # fmt: skip
def test_bodies(body: bytes, expected: object) -> None:
    """A body is shown as masked JSON; one that is not JSON is not shown, only its size is."""
    assert expected == recorded(Reply(phase=Phase.ANSWERED, response=answer(body))).response


@pytest.mark.parametrize(
    "date",
    ["", "yesterday", "Fri, 02 Jan 99999 03:04:05 GMT", "Fri, 02 Jan 2026 03:04:05 +99999999999999999999", " ,", "-"],
)
def test_a_date_that_is_none_is_left_out(date: str) -> None:
    """A server's date that cannot be read is no reason to lose the exchange."""
    response = Response(status=200, headers={"date": date})
    assert None is recorded(Reply(phase=Phase.ANSWERED, response=response)).server_time


@given(st.binary() | st.text().map(str.encode), st.text(), st.text(), st.text(), st.integers(100, 599))
def test_whatever_comes_is_recorded(body: bytes, date: str, url: str, order_id: str, status: int) -> None:
    """Whatever a provider answers and a driver calls, its record is made: the outcome must not depend on it."""
    call = Call(operation="x", url=url, moves_money=True, order_id=order_id, body=body)
    response = Response(status=status, headers={"date": date}, body=body)
    with capture_logs():
        transcript.publish(recorded(Reply(phase=Phase.ANSWERED, response=response), call), ())


def test_rule_11_nothing_secret_is_recorded() -> None:
    """Rule 11: card numbers, query, headers and undeclared fields are in no part of a record."""
    call = msgspec.structs.replace(
        CALL, order_id=CARD, provider_id=CARD, url=f"https://u:sesame@pay.example/{CARD}?sesame"
    )
    shown = str(msgspec.to_builtins(recorded(Reply(phase=Phase.ANSWERED, response=ANSWER), call)))
    assert (False, False) == (CARD in shown, "sesame" in shown)


def test_one_event() -> None:
    """An exchange is one structlog event `payhub.exchange`, of plain values that any renderer takes."""
    with capture_logs() as logs:
        transcript.publish(recorded(Reply(phase=Phase.ANSWERED, response=ANSWER)), ())
    expected = {
        "event": "payhub.exchange",
        "log_level": "info",
        "account": "shop",
        "provider": "fake",
        "operation": "create_payout",
        "order_id": "po-1",
        "provider_id": None,
        "method": "POST",
        "url": "https://pay.example/payouts?[hidden]",
        "phase": "answered",
        "status": 200,
        "problem": None,
        "started_at": "2026-01-02T03:04:05.678+00:00",
        "duration": 0.123457,
        "server_time": "2026-01-02T03:04:05+00:00",
        "bytes_sent": len(CALL.body),
        "bytes_received": len(ANSWER.body),
        "request": {"order_id": "po-1", "number": "411111******1111", "password": "[hidden]"},
        "response": {"id": "7", "token": "[hidden]", "card": "[hidden]"},
    }
    assert [expected] == json.loads(json.dumps(logs))


@pytest.fixture
def broken_log() -> Iterator[None]:
    """Configure structlog as an application may: with a processor that fails."""

    def fail(*_: Any) -> Any:
        raise ValueError("the log is full")

    before = structlog.get_config()
    structlog.configure(processors=[fail])
    yield
    structlog.configure(**before)


def test_a_log_that_fails_changes_nothing(broken_log: None) -> None:
    """A log that cannot be written must not turn an answer about money into an error; observers still hear."""
    heard: list[Exchange] = []
    exchange = recorded(Reply(phase=Phase.ANSWERED, response=ANSWER))
    transcript.publish(exchange, [("me", lambda *, event: heard.append(event))])
    assert [exchange] == heard
