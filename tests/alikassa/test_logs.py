"""What is kept of a conversation with AliKassa is what its support asks for, and no more."""

import hashlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from payhub import Phase, Status
from payhub_alikassa.sandbox import Sandbox
from tests.alikassa.conftest import ACCOUNT, openssl
from tests.alikassa.orders import (
    BANK_ACCOUNT,
    CARD,
    PHONE,
    RECIPIENT,
    TO_BANK_ACCOUNT,
    TO_EUR_CARD,
    TO_PHONE,
    payment,
    payout,
)
from tests.conftest import Observer, in_mode


@pytest.fixture(params=["sync", "async"])
def watched(request: pytest.FixtureRequest, sandbox: Sandbox, observer: Observer) -> Iterator[Any]:
    """Open a hub on the sandbox whose exchanges are remembered, in both modes."""
    with in_mode(request.param, lambda hub: hub.from_file(sandbox.config, plugins=[observer])) as hub:
        yield hub


def fingerprint(key: Path) -> str:
    """Return a public key's fingerprint as openssl makes it, as the docs say to."""
    der = openssl("pkey", "-pubin", "-in", key, "-outform", "DER")
    return hashlib.sha256(der.stdout).digest().hex(":")


def test_the_whole_record_of_a_payout(watched: Any, sandbox: Sandbox, observer: Observer) -> None:
    """The record has all that AliKassa's support asks for: what went out, by whom signed, and what came back."""
    paid = watched.create_payout(ACCOUNT, payout(TO_PHONE, recipient=RECIPIENT))
    [exchange] = observer.exchanges
    table = sandbox.config.read_text()
    uuid = re.search(r'account = "([0-9a-f-]{36})"', table)
    assert uuid
    key = sandbox.config.parent / "cert" / "payout" / "public.pem"
    assert {
        "operation": "create_payout",
        "provider_id": paid.provider_id,
        "order_id": "po-1",
        "method": "POST",
        "url": f"{sandbox.url}/v1/payout",
        "phase": Phase.ANSWERED,
        "status": 200,
        "request": {
            "amount": "1000.44",
            "number": f"*******{PHONE[-4:]}",
            "order_id": "po-1",
            "service": "payment_card_sbp_rub",
            "customer_phone": "7******2233",
            "customer_email": "i***@shop.example",
            "customer_code": "100000000111",
            "customer_first_name": "I***",
            "customer_last_name": "I*****",
            "customer_country": "DEU",
        },
        "request_headers": {
            "content-type": "application/json",
            "account": uuid[1],
            "user-agent": "AliKassa2.0 API",
        },
        "signed_with": f"sha1, key SHA256:{fingerprint(key)}",
    } == {
        name: getattr(exchange, name)
        for name in ("operation", "provider_id", "order_id", "method", "url", "phase", "status", "request",
                     "request_headers", "signed_with")
    }  # fmt: skip
    assert re.fullmatch(r"payhub \S+, alikassa \S+, Python \S+", str(exchange.software))
    assert (True, True) == ("date" in exchange.response_headers, exchange.started_at.tzinfo is not None)


def test_fields_stand_as_they_were_sent(watched: Any, observer: Observer) -> None:
    """The fields of a request are kept in the order in which they were signed."""
    watched.create_payout(ACCOUNT, payout(TO_BANK_ACCOUNT))
    [exchange] = observer.exchanges
    fields = ["amount", "number", "order_id", "service", "customer_code", "bik_bank"]
    assert (fields, "408171**********9310") == (list(exchange.request), exchange.request["number"])


def test_payments_are_signed_with_the_other_key(watched: Any, sandbox: Sandbox, observer: Observer) -> None:
    """Which key has signed is said of each exchange: a payment's is not a payout's."""
    watched.create_payment(ACCOUNT, payment())
    watched.fetch_balance(ACCOUNT)
    keys = [sandbox.config.parent / "cert" / name / "public.pem" for name in ("payment", "payout")]
    assert [f"sha1, key SHA256:{fingerprint(key)}" for key in keys] == [e.signed_with for e in observer.exchanges]


FAULTS = {
    "html": (200, r"^\[not JSON, \d+ bytes\] <"),
    "error_500_after_accepting": (500, r"Internal server error"),
    "cut_mid_body": (200, r"^\[not JSON, \d+ bytes\] \{"),
    "huge_body": (200, None),
    "gzip": (200, None),
    "redirect": (302, None),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_promised_answer_is_kept(watched: Any, sandbox: Sandbox, observer: Observer, fault: str) -> None:
    """Whatever comes instead of the promised answer is kept as far as it came: its status, its headers, its text."""
    sandbox.arm(fault, path="/v1/payout")
    assert watched.create_payout(ACCOUNT, payout()).status is Status.UNKNOWN
    [exchange] = observer.exchanges
    status, text = FAULTS[fault]
    assert status == exchange.status
    assert exchange.response_headers != {}
    if text:
        assert re.search(text, str(exchange.response))
    assert len(str(exchange.response)) < 9000


def test_complaints_that_quote_values_are_masked(watched: Any, sandbox: Sandbox, observer: Observer) -> None:
    """AliKassa's complaints are kept in its own words; the numbers and addresses that they quote are masked."""
    words = {
        "message": f"The given data was invalid: {PHONE}",
        "errors": {
            "number": [f"{CARD} is no card", f"{BANK_ACCOUNT}?"],
            "customer_email": ["ivan@shop.example is taken"],
        },
    }
    sandbox.arm("status", path="/v1/payout", status=400, body=words)
    unknown = watched.create_payout(ACCOUNT, payout())
    [exchange] = observer.exchanges
    assert exchange.response == {
        "message": "The given data was invalid: *******2233",
        "errors": {
            "number": ["411111******1111 is no card", "408171**********9310?"],
            "customer_email": ["i***@shop.example is taken"],
        },
    }
    assert "i***@shop.example is taken" in unknown.reason
    assert not re.search("ivan|90311122|1111111|12027301", unknown.reason)


def test_rule_12_nothing_is_logged_at_debug(watched: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Rule 12: with every logger at DEBUG there is no signature, no number and no name in any record."""
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer(ensure_ascii=False)],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    )
    try:
        with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "httpcore"):
            watched.create_payout(ACCOUNT, payout(TO_PHONE, recipient=RECIPIENT))
            watched.create_payout(ACCOUNT, payout(order_id="po-2"))
            watched.create_payment(ACCOUNT, payment())
            watched.fetch_payout(ACCOUNT, order_id="po-1")
    finally:
        structlog.configure(**before)
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("uvicorn", "asyncio"))]
    text = "\n".join(ours)
    assert (True, True) == ("payhub.exchange" in text, "receive_response_headers.complete" in text)
    assert [] == re.findall(r"[A-Za-z0-9+/]{300,}", text)
    assert [] == [each for each in (CARD, PHONE, "9001112233", "IVAN", "ivan@shop", "203.0.113.24") if each in text]


def test_the_holder_of_a_card_is_masked() -> None:
    """Of a card's holder initials and year of birth are shown, and of its expiry nothing."""
    shown = repr(TO_EUR_CARD)
    assert shown == (
        "ToCard(number='411111******1111', holder='C********* N***', exp_year='[hidden]', exp_month='[hidden]', "
        "country='UA', birth_date='1999-**-**')"
    )
