"""What a notification is, to the byte: as PHP writes it, and so that the driver and PHP verify it."""

import base64
import datetime as dt
import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from payhub import Money, Status
from payhub.models import Delivery
from payhub_alikassa.sandbox import Sandbox, Settings
from payhub_alikassa.sandbox.notifications import FieldName, add_signature, notification_fields, return_fields
from payhub_alikassa.sandbox.php import php_json, php_query
from payhub_alikassa.sandbox.records import Account, Record
from payhub_alikassa.sandbox.signatures import load_signer

from .merchant import ACCOUNT, HOSTED, PAYOUT, Merchant
from .receiver import PATIENCE, Receiver, eventually, key, read, require_php, verified_by_php

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "vectors.json").read_text("utf-8"))["notifications"]
VARIANTS = {
    "ten fields, no commission_amount": {"notification_fields": 10},
    "twelve fields, card_brand last": {"notification_fields": 12},
    "boolean false signed": {"notification_booleans": True},
    "boolean true signed, payout": {"notification_booleans": True},
}
ELEVEN = get_args(FieldName)
TRANSPORTS = ["GET", "form", "JSON"]


def _record(signed: dict[str, Any]) -> Record:
    """Build the payment or payout that PHP signed a notification of."""
    return Record(
        kind=signed["type"],
        id=signed["id"],
        uuid="",
        order_id=signed["order_id"],
        amount=Decimal(signed["amount"]),
        service=signed["service"],
        created_at=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        fields={"desc": signed["desc"]},
        status=signed["payment_status"],
        paid=Decimal(signed["payment_amount"]),
        commission=Decimal(signed.get("commission_amount", "90.00")),
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['name']}, {v['digest']}")
def test_what_is_signed_and_sent_is_what_php_signs_and_sends(vector: dict[str, str]) -> None:
    """The signed text, the query, the form and the JSON are PHP's, byte for byte."""
    settings = msgspec.convert(VARIANTS.get(vector["name"], {}), Settings)
    fields = notification_fields(_record(json.loads(vector["signed_string"])), Account(), settings)
    sent = {**fields, "sign": json.loads(vector["json"])["sign"]}
    written = (php_json(fields), php_query(sent), php_query(sent), php_json(sent))
    assert tuple(text.decode() for text in written) == tuple(
        vector[name] for name in ("signed_string", "query", "form", "json")
    )


def test_every_character_is_written_as_php_writes_it() -> None:
    """Slashes, quotes, DEL, what is beyond the first plane; true, false and null too."""
    require_php()
    every = "".join(map(chr, (*range(0x300), 0x2028, 0x2029, 0xFEFF, 0xFFFF, 0x1F600, 0x10FFFF)))
    fields = {"every": every, "words": '\\u007f\\"\\/\x7f~', "true": True, "false": False, "null": None, "id": 7}
    program = (
        "$fields = json_decode(stream_get_contents(STDIN), true);"
        "echo json_encode([base64_encode(json_encode($fields)), base64_encode(http_build_query($fields))]);"
    )
    asked = json.dumps(fields).encode()
    done = subprocess.run(["php", "-r", program], input=asked, capture_output=True, check=True)
    assert [base64.b64decode(text) for text in json.loads(done.stdout)] == [php_json(fields), php_query(fields)]


def _one(sandbox: Sandbox, merchant: Merchant, receiver: Receiver, **settings: object) -> Delivery:
    """Have a payment paid in part, and give the one notification of it."""
    sandbox.configure(**settings)
    desc = "Оплата заказа №1/2 https://shop.example/a?b=1&c=~ \x7f+%"
    merchant.ask("payment", {**HOSTED, "notification_endpoint_url": receiver.url, "desc": desc})
    sandbox.settle("payment", "in-1", "paid", "1000.50")
    (delivery,) = receiver.received(1)
    return delivery


def _raw(delivery: Delivery) -> bytes:
    return delivery.query or delivery.body


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_driver_reads_what_is_sent(
    sandbox: Sandbox, merchant: Merchant, receiver: Receiver, directory: Path, transport: str
) -> None:
    """Every field of it."""
    delivery = _one(sandbox, merchant, receiver, notification_transport=transport)
    result = read(delivery, key(directory))
    assert result is not None
    expected = {
        "kind": "payment",
        "order_id": "in-1",
        "provider_id": str(merchant.ask("payment/status", {"order_id": "in-1"})["id"]),
        "status": Status.SUCCEEDED,
        "provider_status": "paid",
        "requested": Money("1500.00", "RUB"),
        "paid": Money("1000.50", "RUB"),
        "commission": Money("30.02", "RUB"),
        "partial": True,
    }
    assert {name: getattr(result, name) for name in expected} == expected
    assert (tuple(result.fields), type(result.fields["id"])) == (ELEVEN, int)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_php_verifies_what_is_sent(
    sandbox: Sandbox, merchant: Merchant, receiver: Receiver, directory: Path, transport: str
) -> None:
    """As the provider's page does; one changed digit, and it does not."""
    raw = _raw(_one(sandbox, merchant, receiver, notification_transport=transport))
    assert verified_by_php(directory, "notification", raw)
    assert not verified_by_php(directory, "notification", raw.replace(b"1000.50", b"1000.51"))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_php_verifies_what_has_no_sums_yet(
    sandbox: Sandbox, merchant: Merchant, receiver: Receiver, directory: Path, transport: str
) -> None:
    """Of a waiting payment without a description; a query leaves these fields out."""
    sandbox.configure(notification_endpoints={5: receiver.url}, notification_transport=transport)
    merchant.ask("payment", {**HOSTED, "notification_endpoint_id": 5})
    (delivery,) = receiver.received(1)
    result = read(delivery, key(directory))
    assert result is not None
    assert (result.status, result.paid, result.commission, result.fields["desc"]) == (Status.PENDING, None, None, None)
    assert verified_by_php(directory, "notification", _raw(delivery))


def test_the_three_transports(sandbox: Sandbox, merchant: Merchant, receiver: Receiver) -> None:
    """GET has a query and no body; a form and JSON are posted, and say what they are."""
    merchant.ask("payment", HOSTED)
    sent = []
    for number, transport in enumerate(("GET", "form", "JSON"), 1):
        sandbox.configure(notification_transport=transport)
        sandbox.notify("payment", "in-1", to=receiver.url)
        sent.append(receiver.received(number)[-1])
    assert [(each.method, each.headers.get("content-type")) for each in sent] == [
        ("GET", None),
        ("POST", "application/x-www-form-urlencoded"),
        ("POST", "application/json"),
    ]
    assert [(bool(each.query), bool(each.body)) for each in sent] == [(True, False), (False, True), (False, True)]
    assert sent[0].query == sent[1].body


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_address_keeps_its_own_query(
    sandbox: Sandbox, merchant: Merchant, receiver: Receiver, directory: Path, transport: str
) -> None:
    """A notification by GET stands behind it."""
    merchant.ask("payment", HOSTED)
    sandbox.notify("payment", "in-1", to=f"{receiver.url}?shop=1&a=%2F#here", transport=transport)  # type: ignore[arg-type]
    (delivery,) = receiver.received(1)
    assert delivery.query.startswith(b"shop=1&a=%2F&type=payment&" if transport == "GET" else b"shop=1&a=%2F")
    assert read(delivery, key(directory)) is not None


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("booleans", [False, True])
@pytest.mark.parametrize("count", [10, 11, 12])
def test_the_driver_reads_every_variant(
    sandbox: Sandbox,
    merchant: Merchant,
    receiver: Receiver,
    directory: Path,
    count: int,
    booleans: bool,
    transport: str,
) -> None:
    """Ten, eleven or twelve fields, and `is_partial_payment` signed as a text or as a boolean."""
    settings = {"notification_fields": count, "notification_booleans": booleans, "notification_transport": transport}
    result = read(_one(sandbox, merchant, receiver, **settings), key(directory))
    assert result is not None
    assert (len(result.fields), result.fields["is_partial_payment"], result.partial) == (
        count,
        True if booleans else "1",
        True,
    )
    assert ("commission_amount" in result.fields, "card_brand" in result.fields) == (count > 10, count > 11)


def test_a_payout_is_told_apart_by_its_type(
    sandbox: Sandbox, merchant: Merchant, receiver: Receiver, directory: Path
) -> None:
    """All else is the same."""
    merchant.ask("payout", {**PAYOUT, "notification_endpoint_url": receiver.url})
    sandbox.settle("payout", "po-1", "fail")
    (delivery,) = receiver.received(1)
    result = read(delivery, key(directory))
    assert result is not None
    assert (result.kind, result.order_id, result.status, result.paid) == ("payout", "po-1", Status.FAILED, None)
    assert (result.fields["account"], tuple(result.fields)) == (ACCOUNT, ELEVEN)


@pytest.mark.parametrize("digest", ["sha1", "sha256"])
def test_the_digest_is_the_accounts(directory: Path, receiver: Receiver, digest: Any) -> None:
    """And no other one verifies."""
    with Sandbox(directory, digest=digest, settings=Settings(notification_timeout=PATIENCE)) as sandbox:
        sandbox.notify("payment", "1756900030", to=receiver.url)
        (delivery,) = receiver.received(1)
        eventually(lambda: not sandbox.pending_notifications())
    both = [read(delivery, key(directory, each)) is not None for each in ("sha1", "sha256")]
    assert both == [digest == "sha1", digest == "sha256"]
    assert verified_by_php(directory, "notification", _raw(delivery), digest)


@pytest.mark.parametrize("digest", ["sha1", "sha256"])
def test_the_payers_return_is_signed_with_the_accounts_digest(directory: Path, digest: Any) -> None:
    """As notifications are."""
    fields = return_fields(_record(json.loads(VECTORS[0]["signed_string"])))
    form = php_query(add_signature(fields, load_signer(directory, digest)))
    assert verified_by_php(directory, "return", form, digest)


def test_a_signature_is_one_line(directory: Path) -> None:
    """Of 344 characters, for a key of 2048 bits."""
    sign = str(add_signature({"id": 1}, load_signer(directory, "sha1"))["sign"])
    assert (len(sign), sign.split()) == (344, [sign])
