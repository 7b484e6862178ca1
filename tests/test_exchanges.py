import asyncio
import contextlib
import datetime as dt
import importlib.metadata
import json
import platform
import types
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from payhub.driver import Call, Response
from payhub.exchanges import events, record
from payhub.exchanges.events import Event
from payhub.exchanges.reply import Reply
from payhub.journal import Key
from payhub.masking import Clear, ProviderId, Truncated
from payhub.models import Exchange, Phase
from payhub.testing import answer
from tests.raw_server import answer as raw_answer
from tests.samples import CARD, PAYOUT, known

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=dt.UTC)
SENDER: dict[str, Any] = {"account": "shop", "provider": "fake", "software": "payhub 1"}


class Asked(msgspec.Struct):
    order_id: Clear[str]
    number: Truncated[str]
    password: str


class Promised(msgspec.Struct):
    id: ProviderId[str]


CALL = Call(
    operation="create_payout", url="https://pay.example/payouts?key=sesame", moves_money=True, order_id="po-1",
    headers={"Content-Type": "application/json", "Account": "93d5df06", "Sign": "sesame"},
    body=json.dumps({"order_id": "po-1", "number": CARD, "password": "sesame"}).encode(),
    asked=Asked, promised=Promised, shown_headers=frozenset({"account"}), signed_with="sha1, key SHA256:ab:12",
)  # fmt: skip
ANSWER = Response(
    status=200,
    headers={"date": "Fri, 02 Jan 2026 03:04:05 GMT", "cf-ray": "8f3b2c1d4e5f6a7b-FRA", "set-cookie": "sesame"},
    body=json.dumps({"id": "7", "token": "sesame", "card": CARD}).encode(),
)  # fmt: skip


def recorded(reply: Reply, call: Call = CALL) -> Exchange:
    return record.describe(call, reply, **SENDER, started_at=NOW, duration=0.1234567)


def test_record_of_an_answer() -> None:
    """The record of an exchange says who, what, where, how far, how long, how much, and shows masked bodies."""
    expected = Exchange(
        account="shop", provider="fake", operation="create_payout", order_id="po-1", provider_id="7", method="POST",
        url="https://pay.example/payouts?[hidden]", phase=Phase.ANSWERED, status=200, problem=None, started_at=NOW,
        duration=0.123457, server_time=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        bytes_sent=len(CALL.body), bytes_received=len(ANSWER.body),
        request={"order_id": "po-1", "number": "411111******1111", "password": "[hidden]"},
        response={"id": "7", "token": "[hidden]", "card": "[hidden]"},
        request_headers={"content-type": "application/json", "account": "93d5df06"},
        response_headers={"date": "Fri, 02 Jan 2026 03:04:05 GMT", "cf-ray": "8f3b2c1d4e5f6a7b-FRA"},
        signed_with="sha1, key SHA256:ab:12", software="payhub 1",
    )  # fmt: skip
    assert expected == recorded(Reply(phase=Phase.ANSWERED, response=ANSWER))


def test_rule_12_a_mark_before_json_takes_no_mask_away() -> None:
    """Rule 12: JSON after a byte order mark is masked field by field, whole or cut."""
    body = b"\xef\xbb\xbf" + ANSWER.body
    whole = recorded(Reply(phase=Phase.ANSWERED, response=msgspec.structs.replace(ANSWER, body=body)))
    assert ({"id": "7", "token": "[hidden]", "card": "[hidden]"}, "7", len(body)) == (
        whole.response, whole.provider_id, whole.bytes_received
    )  # fmt: skip
    cut = recorded(Reply(phase=Phase.MAYBE_SENT, part=msgspec.structs.replace(ANSWER, body=body[:-5])))
    assert "sesame" not in str(cut.response)


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
        (b"<html>502 Bad Gateway</html>", "[not JSON, 28 bytes] <html>502 Bad Gateway</html>"),
        (b"\xff\xfe", "[not JSON, 2 bytes] \ufffd\ufffd"),
        (b'{"id": ', '[not JSON, 7 bytes] {"id": '),
        (b'{"number":"4111111111111111","to', '[not JSON, 32 bytes] {"number":"[hidden]","to'),
        ("4111 1111 1111 1111".encode("utf-16-le"), "[not JSON, 38 bytes] 4111 11** **** 1111"),
        (b"\x1b[31mred\x07", "[not JSON, 9 bytes] \ufffd[31mred\ufffd"),
        (b"[" * 100_000, f"[not JSON, 100000 bytes, cut] {'[' * 8192}"),
        (b"a " * 4097, f"[not JSON, 8194 bytes, cut] {'a ' * 4095}a"),
        (b"ab " * 2726 + b"4111111111111111", f"[not JSON, 8194 bytes, cut] {('ab ' * 2726).rstrip()}"),
        ("\N{GRINNING FACE}".encode() * 9000, f"[not JSON, 36000 bytes, cut] {chr(0x1F600) * 8192}"),
        (b'"sesame"', "[hidden]"),
        (b"4111111111111111", "[hidden]"),
        (b"null", "[hidden]"),
        (b'[{"id": "1"}, {"id": 2.50, "x": 1}]', [{"id": "1"}, {"id": "2.50", "x": "[hidden]"}]),
        (b'{"id": {"nested": "4111 1111 1111 1111"}}', {"id": {"nested": "4111 11** **** 1111"}}),
    ],
)  # fmt: skip
def test_bodies(body: bytes, expected: object) -> None:
    """A body is shown as masked JSON; another is masked as a text, cut at 8192 characters, its bytes counted."""
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
        events.publish(recorded(Reply(phase=Phase.ANSWERED, response=response), call), ())


def test_rule_12_nothing_secret_is_recorded() -> None:
    """Rule 12: card numbers, query, headers and undeclared fields are in no part of a record."""
    call = msgspec.structs.replace(
        CALL, order_id=CARD, provider_id=CARD, url=f"https://u:sesame@pay.example/{CARD}?sesame"
    )
    shown = str(msgspec.to_builtins(recorded(Reply(phase=Phase.ANSWERED, response=ANSWER), call)))
    assert (False, False) == (CARD in shown, "sesame" in shown)


def test_half_an_answer_is_kept() -> None:
    """Of an incomplete answer, status, headers and body are what was received."""
    part = Response(status=502, headers={"cf-ray": "8f3b2c1d4e5f6a7b-FRA"}, body=b'{"id": "7", "num')
    exchange = recorded(Reply(phase=Phase.MAYBE_SENT, part=part, problem="the connection was cut after HTTP 502"))
    assert (502, {"cf-ray": "8f3b2c1d4e5f6a7b-FRA"}, '[not JSON, 16 bytes] {"id": "7", "num', 16, None) == (
        exchange.status,
        exchange.response_headers,
        exchange.response,
        exchange.bytes_received,
        exchange.provider_id,
    )


def test_the_order_of_fields_is_kept() -> None:
    """Fields stand as they were sent and answered, the unknown ones too: hidden, but named."""
    body = b'{"z": 1, "id": "7", "a": {"b": 1}, "Id": [1]}'
    shown = recorded(Reply(phase=Phase.ANSWERED, response=answer(body))).response
    assert '{"z": "[hidden]", "id": "7", "a": "[hidden]", "Id": "[hidden]"}' == json.dumps(shown)


# Headers


@pytest.mark.parametrize("name", sorted(record.SHOWN_HEADERS - {"location"}))
def test_shown_headers(name: str) -> None:
    """The headers that are shown are shown, of requests and answers, however they are written; a card number is not."""
    call = msgspec.structs.replace(CALL, headers={name.title(): f"x {CARD}"})
    response = msgspec.structs.replace(ANSWER, headers={name: f"x {CARD}"})
    exchange = recorded(Reply(phase=Phase.ANSWERED, response=response), call)
    assert [{name: "x 411111******1111"}] * 2 == [exchange.request_headers, exchange.response_headers]


@pytest.mark.parametrize("name", [*sorted(record.SECRET_HEADERS), "X-Whatever"])
def test_other_headers_are_not_shown(name: str) -> None:
    """No other header is shown, and one that holds a secret or a hash not even if a driver names it."""
    named = frozenset({name, name.title()} - {"X-Whatever"})
    call = msgspec.structs.replace(CALL, headers={name.title(): "sesame"}, shown_headers=named)
    response = msgspec.structs.replace(ANSWER, headers={name: "sesame"})
    exchange = recorded(Reply(phase=Phase.ANSWERED, response=response), call)
    assert ({}, {}) == (exchange.request_headers, exchange.response_headers)


def test_a_driver_names_further_headers() -> None:
    """A header that the driver names is shown, in answers too, whatever case either writes."""
    call = msgspec.structs.replace(CALL, headers={"Shop-Id": "7"}, shown_headers=frozenset({"SHOP-ID"}))
    response = msgspec.structs.replace(ANSWER, headers={"shop-id": "8"})
    exchange = recorded(Reply(phase=Phase.ANSWERED, response=response), call)
    assert ({"shop-id": "7"}, {"shop-id": "8"}) == (exchange.request_headers, exchange.response_headers)


def test_a_redirect_is_shown_without_its_query() -> None:
    """Where a redirect leads is shown as a link is: without user, query and fragment."""
    response = Response(status=302, headers={"location": f"https://u:sesame@pay.example/{CARD}?t=sesame#sesame"})
    exchange = recorded(Reply(phase=Phase.ANSWERED, response=response))
    assert {"location": "https://pay.example/411111******1111?[hidden]"} == exchange.response_headers


def test_a_long_header_is_cut() -> None:
    """A header takes no more room than support needs of it."""
    exchange = recorded(Reply(phase=Phase.ANSWERED, response=Response(status=200, headers={"server": "ab " * 3000})))
    assert {"server": f"{'ab ' * 169}ab"} == exchange.response_headers


# Versions


@pytest.mark.parametrize(("driver", "version", "expected"), [("alikassa", "2.1", "alikassa 2.1"), ("mine", "", "mine")])
def test_software(driver: str, version: str, expected: str) -> None:
    """The versions of payhub, the driver and Python are named; that of a driver that has none is left out."""
    ours, python = importlib.metadata.version("payhub-core"), platform.python_version()
    assert f"payhub {ours}, {expected}, Python {python}" == record.software(driver, version)


def test_software_of_an_account(open_hub: Any, serve: Any, observer: Any) -> None:
    """Every exchange of an account names the versions at work."""
    hub = open_hub(serve(raw_answer(known(PAYOUT))).url)
    hub.create_payout("shop", PAYOUT)
    assert [record.software("fake", "")] == [exchange.software for exchange in observer.exchanges]


# The event


def test_one_event() -> None:
    """An exchange is one structlog event `payhub.exchange`, of plain values that any renderer takes."""
    with capture_logs() as logs:
        events.publish(recorded(Reply(phase=Phase.ANSWERED, response=ANSWER)), ())
    expected = {
        "event": "payhub.exchange",
        "log_level": "info",
        "account": "shop",
        "provider": "fake",
        "operation": "create_payout",
        "order_id": "po-1",
        "provider_id": "7",
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
        "request_headers": {"content-type": "application/json", "account": "93d5df06"},
        "response_headers": {"date": "Fri, 02 Jan 2026 03:04:05 GMT", "cf-ray": "8f3b2c1d4e5f6a7b-FRA"},
        "attempt": None,
        "signed_with": "sha1, key SHA256:ab:12",
        "software": "payhub 1",
    }
    assert [expected] == json.loads(json.dumps(logs))


@contextlib.contextmanager
def configured(**settings: Any) -> Iterator[None]:
    """Configure structlog as an application may."""
    before = structlog.get_config()
    structlog.configure(**settings)
    try:
        yield
    finally:
        structlog.configure(**before)


def fail(*_: Any) -> Any:
    raise OSError("No space left on device")


FAILING = {
    "processor": {"processors": [fail]},
    "file": {"logger_factory": lambda *_: types.SimpleNamespace(info=fail, warning=fail, error=fail, critical=fail)},
    "logger": {"logger_factory": fail},
    "wrapper without our levels": {"wrapper_class": structlog.BoundLoggerBase},
}


@pytest.mark.parametrize("settings", FAILING.values(), ids=FAILING)
def test_a_log_that_fails_changes_nothing(settings: dict[str, Any]) -> None:
    """A log that cannot be written must not turn an answer about money into an error; observers still hear."""
    heard: list[Exchange] = []
    exchange = recorded(Reply(phase=Phase.ANSWERED, response=ANSWER))
    with configured(**settings):
        events.publish(exchange, [("broken", fail), ("me", lambda *, event: heard.append(event))])
        for event in Event:
            events.log(event, Key("shop", "payout", "po-1"), error="E")
    assert [exchange] == heard


def test_an_event_names_its_order_without_a_card_number() -> None:
    """An order's key is three fields of the event, and an application may number its orders as it likes."""
    with capture_logs() as logs:
        events.log(Event.CONTRADICTED, Key("shop", "payout", CARD))
    order = {"account": "shop", "kind": "payout", "order_id": "411111******1111"}
    assert [{"event": "payhub.contradicted", "log_level": "warning", **order}] == logs


def test_no_text_of_an_event_steers_a_terminal() -> None:
    """Whoever has written a text, and however it is rendered, nothing in it acts on what shows it, or begins a line."""
    with capture_logs() as logs:
        events.log(
            Event.NOTIFICATION, Key("shop", "payout", "po"), provider_status="a\x1b[2J\x9b\u202e\u2028\x85\rb", times=1
        )
    assert ("a\ufffd[2J\ufffd\ufffd\ufffd\ufffd\ufffdb", 1) == (logs[0]["provider_status"], logs[0]["times"])


def test_a_logger_of_coroutines_loses_no_event() -> None:
    """An application that logs with structlog's asynchronous logger has payhub's events, too."""
    seen = structlog.testing.LogCapture()

    async def program() -> None:
        events.log(Event.JOURNAL_FAILED, error="E")

    with configured(processors=[seen], wrapper_class=structlog.stdlib.AsyncBoundLogger):
        asyncio.run(program())
    assert [{"event": "payhub.journal_failed", "log_level": "critical", "error": "E"}] == seen.entries
