"""Conversations recorded against the sandbox replay without it, and hold nothing that must not be kept.

To record them anew, delete `cassettes/*.yaml` and run
`pytest tests/alikassa/test_cassettes.py --record-mode=once -k "not async"`.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from payhub import Declined, Money, NotFound, Status
from payhub.masking import is_card_number, mask_json
from payhub_alikassa import AliKassaPayment, models
from payhub_alikassa.sandbox import Sandbox
from tests.alikassa.conftest import ACCOUNT, open_hub
from tests.alikassa.orders import TO_BANK_ACCOUNT, TO_CARD, TO_PHONE, UUID, payment, payout

CASSETTES = Path(__file__).parents[2] / "cassettes"
SHAPES: dict[str, tuple[type[msgspec.Struct], type[msgspec.Struct]]] = {
    "/v1/payment": (models.PaymentRequest, models.PaymentCreated),
    "/v1/payment/status": (models.StatusRequest, models.PaymentState),
    "/v1/payment/history": (models.HistoryRequest, models.HistoryPage),
    "/v1/payout": (models.PayoutRequest, models.PayoutCreated),
    "/v1/payout/status": (models.StatusRequest, models.PayoutState),
    "/v1/account/balance": (models.NoFields, models.BalanceState),
    "/v1/account/info": (models.NoFields, models.InfoState),
}
ANSWERS: tuple[type[msgspec.Struct], ...] = tuple(answer for _, answer in SHAPES.values())


def _mask_request(request: Any) -> Any:
    """Keep of a request what a log may show; this masked form is also what is matched."""
    asked, _ = SHAPES[request.path]
    request.body = json.dumps(mask_json(json.loads(request.body), asked)).encode()
    request.headers = {"Content-Type": "application/json"}
    request.uri = f"http://sandbox.invalid{request.path}"
    return request


def _mask_response(response: Any) -> Any:
    """Keep of an answer what a log may show, by the struct that declares the most of its fields."""
    fields = json.loads(response["body"]["string"])
    shape = max(ANSWERS, key=lambda s: len({f.encode_name for f in msgspec.structs.fields(s)} & set(fields)))
    body = json.dumps(mask_json(fields, shape)).encode()
    return {**response, "headers": {"Content-Type": ["application/json"]}, "body": {"string": body}}


@pytest.fixture
def vcr_config() -> dict[str, Any]:
    """Match by method, path and masked body."""
    return {
        "match_on": ["method", "path", "body"],
        "before_record_request": _mask_request,
        "before_record_response": _mask_response,
        "serializer": "said-to-be-simulated",
        "path_transformer": lambda path: str(Path(path).with_suffix(".yaml")),
    }


@pytest.fixture(scope="module")
def vcr_cassette_dir() -> str:
    """Keep the cassettes in one folder, whatever test plays them."""
    return str(CASSETTES)


@pytest.fixture(params=["sync", "async"])
def hub(request: pytest.FixtureRequest, sandbox: Sandbox, record_mode: str) -> Iterator[Any]:
    """Open a hub: on the sandbox while recording, else on a port that is not listened on."""
    text = sandbox.config.read_text()
    path = sandbox.config.with_name("cassette.toml")
    path.write_text(text if record_mode != "none" else text.replace(sandbox.url, "http://127.0.0.1:9"))
    yield from open_hub(request.param, path)


Settle = Callable[..., None]


@pytest.fixture
def settle(served: Sandbox, record_mode: str) -> Settle:
    """Settle an order in the sandbox while recording; a cassette needs no settling."""
    return served.settle if record_mode != "none" else lambda *_: None


@pytest.mark.vcr
@pytest.mark.default_cassette("payments")
def test_payments(hub: Any, settle: Settle) -> None:
    """A hosted card payment is paid, a direct SBP payment is paid in part."""
    hosted = hub.create_payment(ACCOUNT, payment(order_id="in-hosted", success_url="https://shop.example/ok"))
    direct = hub.create_payment(ACCOUNT, payment(order_id="in-direct", method="sbp", presentation="direct"))
    assert (hosted.status, direct.status, direct.requisites.kind) == (Status.PENDING, Status.PENDING, "phone")
    settle("payment", "in-hosted", "paid")
    settle("payment", "in-direct", "paid", "1000.50")
    paid = hub.fetch_payment(ACCOUNT, order_id="in-hosted", amount=Money(3000, "RUB"))
    partly = hub.fetch_payment(ACCOUNT, provider_id=direct.provider_id)
    assert (paid.status, paid.paid, paid.partial) == (Status.SUCCEEDED, Money(3000, "RUB"), False)
    assert (partly.status, partly.paid, partly.partial) == (Status.SUCCEEDED, Money("1000.50", "RUB"), True)


@pytest.mark.vcr
@pytest.mark.default_cassette("payouts")
def test_payouts(hub: Any, settle: Settle) -> None:
    """Payouts to a card, a phone and a bank account end as paid, cancelled and failed."""
    ends = {"card": Status.SUCCEEDED, "phone": Status.CANCELED, "account": Status.FAILED}
    for order_id, to in zip(ends, (TO_CARD, TO_PHONE, TO_BANK_ACCOUNT), strict=True):
        assert hub.create_payout(ACCOUNT, payout(to, order_id=order_id)).status is Status.PENDING
    for order_id, word in zip(ends, ("paid", "cancel", "fail"), strict=True):
        settle("payout", order_id, word)
    assert {order_id: hub.fetch_payout(ACCOUNT, order_id=order_id).status for order_id in ends} == ends


@pytest.mark.vcr
@pytest.mark.default_cassette("refusals")
def test_refusals(hub: Any) -> None:
    """A service that does not exist, an unknown order, and a payout larger than the balance."""
    order = payment(order_id="in-strange", extra=AliKassaPayment(service="nobodys"))
    with pytest.raises(Declined):
        hub.create_payment(ACCOUNT, order)
    with pytest.raises(NotFound):
        hub.fetch_payment(ACCOUNT, order_id="nobody")
    assert hub.create_payout(ACCOUNT, payout(amount="99999999")).status is Status.UNKNOWN


@pytest.mark.vcr
@pytest.mark.default_cassette("reads")
def test_reads(hub: Any) -> None:
    """Balance, account info and a day's history."""
    assert hub.fetch_balance(ACCOUNT).available.currency == "RUB"
    assert hub.fetch_account_info(ACCOUNT).payouts_allowed is True
    day = dt.date(2020, 1, 1)
    assert hub.list_payments(ACCOUNT, first=day, last=day) == ()


FILES = sorted(CASSETTES.glob("*.yaml"))


def test_there_are_cassettes() -> None:
    """The checks below have something to check."""
    assert [path.stem for path in FILES] == ["payments", "payouts", "reads", "refusals"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_cassette_says_what_it_is(path: Path) -> None:
    """Who opens a cassette reads that it is no record of the live API."""
    assert path.read_text("utf-8").startswith("# Recorded against payhub's local AliKassa, a simulation")


def leaks(text: str) -> list[str]:
    """Name what must not be in a cassette: card numbers, signatures, keys, passwords, personal data."""
    found = [f"card {run[:6]}" for run in re.findall(r"\d{13,19}", text) if is_card_number(run)]
    found += ["signature" for _ in re.findall(r"[A-Za-z0-9+/]{86,}={0,2}", text)]
    words = ("sign:", "private key", "password", "ivan", "203.0.113.24", UUID, "79031112233", "40817120273018899310")
    return found + [word for word in words if word in text.lower()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_cassette_holds_no_secret(path: Path) -> None:
    """No card number, signature, key, password or personal data is in a cassette."""
    assert leaks(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "planted", ["4111111111111111", "A" * 344, "Sign: x", "BEGIN PRIVATE KEY", "IVAN", UUID, "79031112233"]
)
def test_the_search_for_leaks_finds_what_is_planted(planted: str) -> None:
    """The check above can fail."""
    assert leaks(FILES[0].read_text("utf-8") + f"\n    body: '{planted}'\n") != []


def test_a_cassette_is_plain_yaml() -> None:
    """The note at the top does not keep other tools from reading it."""
    assert [sorted(yaml.safe_load(path.read_text("utf-8"))) for path in FILES] == [["interactions", "version"]] * 4
