"""Notifications are judged by PHP: its vectors, and its json_encode asked message by message.

With PAYHUB_LONG set PHP is asked about 20,000 messages and every value of every byte is tried, in
about a quarter of an hour; without it a sample of both is run:

    PAYHUB_LONG=1 pytest -o faulthandler_timeout=3600 tests/alikassa/test_notifications.py
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import parse_qsl, quote, quote_from_bytes, urlencode

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from payhub import BadNotification, ConfigurationError, Money, Status
from payhub.masking import Mask
from payhub.models import Delivery, Notification, ReturnedPayer
from payhub_alikassa import models, notifications, php
from payhub_alikassa.signing import BadSignature, Verifier, load_verifier
from tests.raw_server import RawServer
from tests.raw_server import answer as raw_answer

LONG = bool(os.environ.get("PAYHUB_LONG"))
EXAMPLES = 20_000 if LONG else 500
FLIPS = range(1, 256) if LONG else [1 << bit for bit in range(8)]

VECTORS = Path(__file__).parent / "vectors"
PHP_MADE: dict[str, Any] = json.loads((VECTORS / "vectors.json").read_text("utf-8"))
NOTIFICATIONS: list[dict[str, str]] = PHP_MADE["notifications"]
DOCUMENTED = NOTIFICATIONS[0]
REDIRECT: dict[str, str] = PHP_MADE["redirects"][0]
PUBLIC = VECTORS / "cert/notification/public.pem"

ACCOUNT = "93d5df06-996c-48c3-9847-348d6b580b80"
ELEVEN = (
    "type",
    "id",
    "order_id",
    "payment_status",
    "amount",
    "payment_amount",
    "commission_amount",
    "is_partial_payment",
    "account",
    "service",
    "desc",
)
TWELVE = (*ELEVEN, "card_brand")
TEN = (*ELEVEN[:6], *ELEVEN[7:])
MESSAGE: dict[str, Any] = json.loads(DOCUMENTED["signed_string"])


def key(digest: str = "sha1") -> Verifier:
    return load_verifier(PUBLIC, "sha256" if digest == "sha256" else "sha1")


def got(query: str | bytes) -> Delivery:
    return Delivery(method="GET", query=query if isinstance(query, bytes) else query.encode())


def posted(body: str | bytes, content_type: str = "") -> Delivery:
    return Delivery(
        method="POST",
        headers={"content-type": content_type} if content_type else {},
        body=body if isinstance(body, bytes) else body.encode(),
    )


FORMS: dict[str, Callable[[dict[str, str]], Delivery]] = {
    "query": lambda vector: got(vector["query"]),
    "form": lambda vector: posted(vector["form"], "application/x-www-form-urlencoded"),
    "json": lambda vector: posted(vector["json"], "application/json"),
    "json_unescaped": lambda vector: posted(vector["json_unescaped"], "application/json"),
}


def outcome(delivery: Delivery, *verifiers: Any) -> Notification | None:
    """Return what was read, `None` if it was refused; anything else that is raised fails the test."""
    try:
        return notifications.read(delivery, verifiers, account=ACCOUNT, currency="RUB")
    except BadNotification:
        return None


def payer(delivery: Delivery, *verifiers: Any) -> ReturnedPayer | None:
    try:
        return notifications.read_return(delivery, verifiers)
    except BadNotification:
        return None


def fields_of(read: Notification | None) -> dict[str, Any] | None:
    return None if read is None else dict(read.fields)


def digest_of(text: str | bytes) -> str:
    return hashlib.sha256(text if isinstance(text, bytes) else text.encode()).hexdigest()


class Anything:
    """A verifier that accepts the first text, to show what comes behind a signature."""

    def find_signed(self, texts: Iterable[bytes], signature: bytes) -> bytes:
        return next(iter(texts))


class Counting:
    """A verifier that accepts one text only, and keeps those that it is asked about."""

    def __init__(self, text: bytes = b"") -> None:
        self.text = text
        self.asked: list[bytes] = []

    def find_signed(self, texts: Iterable[bytes], signature: bytes) -> bytes:
        for text in texts:
            self.asked.append(text)
            if text == self.text:
                return text
        raise BadSignature


class CountedKey:
    """A key that counts its RSA operations."""

    def __init__(self, verifier: Verifier) -> None:
        self._key = verifier._key
        self.operations = 0

    def recover_data_from_signature(self, *arguments: Any) -> bytes:
        self.operations += 1
        return self._key.recover_data_from_signature(*arguments)


class Sender:
    """A sender that signs as the provider does, with a key of the test's own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        private = serialization.load_pem_private_key(path.read_bytes(), None)
        assert isinstance(private, rsa.RSAPrivateKey)
        self._key = private
        self.verifier = Verifier(private.public_key(), "sha1")

    def sign(self, text: bytes) -> str:
        return base64.b64encode(self._key.sign(text, padding.PKCS1v15(), hashes.SHA1())).decode()

    def signed(self, fields: dict[str, Any], sent: dict[str, Any] | None = None) -> dict[str, Any]:
        """Sign plain fields as PHP would write them, and return what is sent with the signature."""
        text = json.dumps(fields, separators=(",", ":")).replace("/", "\\/")
        return {**(fields if sent is None else sent), "sign": self.sign(text.encode())}


@pytest.fixture(scope="session")
def sender(rsa_key: Path) -> Sender:
    return Sender(rsa_key)


# --- what PHP signed is accepted


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("vector", NOTIFICATIONS, ids=lambda v: f"{v['name']}, {v['digest']}")
def test_phps_vectors_are_accepted_in_every_form(vector: dict[str, str], form: str) -> None:
    """All nine come through as a query, a form and JSON, and the result is what was signed.

    The query and the form have no types, no null and no difference between false and 0: the known
    lists of fields bring these back. What cannot come back is shown by `carries` below.
    """
    read = outcome(FORMS[form](vector), key(vector["digest"]))
    assert fields_of(read) == json.loads(vector["signed_string"])


def test_the_documented_notification_is_told_in_payhubs_words() -> None:
    """Every field of the documents has its place."""
    assert outcome(got(DOCUMENTED["query"]), key()) == Notification(
        kind="payment",
        order_id="1700000000",
        provider_id="108465371",
        status=Status.SUCCEEDED,
        provider_status="paid",
        requested=Money("3000.00", "RUB"),
        paid=Money("3000.00", "RUB"),
        commission=Money("90.00", "RUB"),
        partial=False,
        digest=digest_of(DOCUMENTED["signed_string"]),
        fields=MESSAGE,
        shape=models.NotificationFields,
    )


def test_a_partial_payout_is_told_as_one() -> None:
    """What was paid is not what was asked."""
    vector = next(v for v in NOTIFICATIONS if v["name"] == "boolean true signed, payout")
    read = outcome(posted(vector["form"]), key())
    assert read is not None
    expected = ("payout", Money("3000.00", "RUB"), Money("1500.00", "RUB"), True)
    assert (read.kind, read.requested, read.paid, read.partial) == expected


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/json"])
@pytest.mark.parametrize("form", ["form", "json"])
def test_the_body_says_what_it_is(form: str, content_type: str) -> None:
    """A body is read whatever it is called: the content type is often wrong, and not signed."""
    read = outcome(posted(DOCUMENTED[form], content_type), key())
    assert fields_of(read) == MESSAGE


@pytest.mark.parametrize(
    "delivery",
    [
        Delivery(method="PUT", body=DOCUMENTED["form"].encode()),
        Delivery(method="get", query=DOCUMENTED["query"].encode()),
        Delivery(method="GET", body=DOCUMENTED["form"].encode()),
        posted(f"[{DOCUMENTED['json']}]"),
        posted(DOCUMENTED["json"] + "x"),
        posted(DOCUMENTED["json"].encode("utf-16")),
    ],
)
def test_only_known_ways_are_read(delivery: Delivery) -> None:
    """GET has its query; POST has a form, a form in parts or a JSON object, or else a query; nothing else is read."""
    assert outcome(delivery, key()) is None


PAIRS = parse_qsl(DOCUMENTED["query"])


def in_parts(pairs: list[tuple[str, str]], boundary: str = "XX", head: str = "", end: str = "--") -> bytes:
    """Write a form in parts, as PHP's curl does of an array."""
    disposition = f"Content-Disposition: form-data{head}"
    parts = (f'--{boundary}\r\n{disposition}; name="{name}"\r\n\r\n{value}\r\n' for name, value in pairs)
    return ("".join(parts) + f"--{boundary}{end}\r\n").encode()


MULTIPART = "multipart/form-data; boundary=XX"


@pytest.mark.parametrize(
    "delivery",
    [
        posted(in_parts(PAIRS), MULTIPART),
        posted(in_parts(PAIRS, "a b'()+_,-./:=?"), "multipart/form-data; boundary=\"a b'()+_,-./:=?\""),
        posted(in_parts(PAIRS[::-1]), "Multipart/Form-Data; charset=utf-8; boundary=XX"),
        Delivery(method="POST", query=DOCUMENTED["query"].encode()),
        Delivery(method="POST", query=DOCUMENTED["query"].encode(), body=b"[]"),
        Delivery(method="POST", query=b"shop=1", body=DOCUMENTED["form"].encode()),
        posted(b"\xef\xbb\xbf" + DOCUMENTED["json"].encode()),
        got("shop=1&" + DOCUMENTED["query"]),
        got("order_id=1700000000&" + DOCUMENTED["query"]),
        got(DOCUMENTED["query"] + "&order_id=1700000000"),
    ],
    ids=["parts", "quoted boundary", "parts in another order", "POST of a query", "POST of a query and an empty array",
         "POST to an address with a query", "JSON after a mark", "own parameter", "own order_id", "own order_id, last"],
)  # fmt: skip
def test_what_php_programs_send_is_read(delivery: Delivery) -> None:
    """A form in parts, a POST with its fields in the query, a mark before JSON, an address with a query of its own."""
    assert fields_of(outcome(delivery, key())) == MESSAGE


PHP_SENDER = r"""
$curl = curl_init($argv[1]);
$fields = json_decode($argv[2], true);
curl_setopt_array($curl, [CURLOPT_POSTFIELDS => $argv[3] === 'array' ? $fields : '', CURLOPT_RETURNTRANSFER => true]);
curl_exec($curl);
"""


@pytest.mark.parametrize("way", ["array", "query"])
def test_what_phps_curl_really_sends_is_read(serve: Callable[..., RawServer], way: str) -> None:
    """Given an array, PHP's curl sends a form in parts; told to POST to an address, it sends the query."""
    if shutil.which("php") is None:
        message = "NOT SHOWN: php is not installed, so nobody but our own code has said what it sends here"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    receiver = serve(raw_answer("OK"))
    address = f"{receiver.url}/?{DOCUMENTED['query']}" if way == "query" else receiver.url
    subprocess.run(["php", "-r", PHP_SENDER, address, json.dumps(dict(PAIRS)), way], check=True, timeout=30)
    (request,) = receiver.requests
    query = request.line.split(" ")[1].partition("?")[2]
    delivery = Delivery(method="POST", query=query.encode(), headers=dict(request.headers), body=request.body)
    assert fields_of(outcome(delivery, key())) == MESSAGE


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", in_parts(PAIRS)),
        ("multipart/mixed; boundary=XX", in_parts(PAIRS)),
        ("text/plain; boundary=XX", in_parts(PAIRS)),
        ("multipart/form-data; boundary=YY", in_parts(PAIRS)),
        ("multipart/form-data; boundary=\xff", in_parts(PAIRS)),
        ("multipart/form-data" + "; x" * 2000 + "; boundary=XX", in_parts(PAIRS)),
        (MULTIPART, in_parts(PAIRS, end="")),
        (MULTIPART, in_parts(PAIRS)[:-30]),
        (MULTIPART, in_parts([*PAIRS, ("id", "1")])),
        (MULTIPART, in_parts([*PAIRS, PAIRS[0]])),
        (MULTIPART, in_parts(PAIRS + [(f"x{number}", "") for number in range(60)])),
        (MULTIPART, in_parts(PAIRS, head=";" * 2000)),
        (MULTIPART, in_parts(PAIRS).replace(b"name=", b"named=")),
        (MULTIPART, b"--XX--"),
        (MULTIPART, b"--XX"),
        (MULTIPART, b"--XX\r\n" * 8000 + b"--XX--"),
    ],
    ids=range(16),
)
def test_a_form_in_parts_is_whole_or_refused(content_type: str, body: bytes) -> None:
    """What is cut, names nothing, names twice, or has too many or too long parts is no notification."""
    assert outcome(posted(body, content_type), key()) is None


@pytest.mark.parametrize("prefix", ["", " \r\n\t"])
def test_space_around_json_does_no_harm(prefix: str) -> None:
    """JSON may begin and end with white space."""
    assert fields_of(outcome(posted(prefix + DOCUMENTED["json"] + "\n"), key())) == MESSAGE


@pytest.mark.parametrize("form", FORMS)
def test_the_documented_text_is_tried_first(form: str) -> None:
    """The likeliest text is the first that is built, so a genuine notification costs one hash."""
    counting = Counting(DOCUMENTED["signed_string"].encode())
    outcome(FORMS[form](DOCUMENTED), counting)
    assert counting.asked == [DOCUMENTED["signed_string"].encode()]


# --- what nobody signed is refused


def decoded(wire: bytes, form: str) -> dict[str, Any] | None:
    """Read a message with other means than payhub's; `None` if it cannot be read.

    The signature comes without what may be repaired: `+` read as a space, lost padding.
    """
    try:
        text = wire.decode()
        fields = json.loads(text) if form == "json" else dict(parse_qsl(text, keep_blank_values=True, errors="strict"))
    except ValueError:
        return None
    return {**fields, "sign": str(fields.get("sign")).replace(" ", "+").rstrip("=")}


@pytest.mark.parametrize("form", ["query", "json"])
@pytest.mark.parametrize("vector", NOTIFICATIONS, ids=lambda v: f"{v['name']}, {v['digest']}")
def test_no_changed_byte_of_a_message_changes_what_is_told(vector: dict[str, str], form: str) -> None:
    """With any byte changed, a message is refused if a signed value or the signature changed with it.

    A change may leave them as they are, as `%2b` for `%2B` or `&` within the padding, or take away
    a field that is signed as null or empty: then, at most, exactly the signed fields are the result.
    """
    wire, verifier, signed = vector[form].encode(), key(vector["digest"]), json.loads(vector["signed_string"])
    genuine = decoded(wire, form)
    assert genuine is not None
    wrong = []
    for place in range(len(wire)):
        for flip in (1 << bit for bit in range(8)) if LONG else (1 << place % 6,):
            altered = wire[:place] + bytes([wire[place] ^ flip]) + wire[place + 1 :]
            result = fields_of(outcome(got(altered) if form == "query" else posted(altered), verifier))
            now = decoded(altered, form)
            changed = now is None or any(now.get(name, value) != value for name, value in genuine.items())
            if result is not None and (changed or result != signed):
                wrong.append(altered)
    assert wrong == []


@pytest.mark.parametrize("vector", NOTIFICATIONS, ids=lambda v: f"{v['name']}, {v['digest']}")
def test_every_other_byte_in_a_signed_value_is_refused(vector: dict[str, str]) -> None:
    """No byte of a value can be any of the 255 others: none of them leads to the text that was signed.

    So that all can be tried a stand-in takes the key's place, which accepts this one text.
    """
    pairs = [(name, value.encode()) for name, value in parse_qsl(vector["query"], keep_blank_values=True)]
    exact = Counting(vector["signed_string"].encode())
    wrong = []
    for at, (name, value) in enumerate(pairs[:-1]):
        for place in range(len(value)):
            for flip in FLIPS if LONG else (1 << place % 8,):
                altered = value[:place] + bytes([value[place] ^ flip]) + value[place + 1 :]
                changed = [*pairs[:at], (name, altered), *pairs[at + 1 :]]
                if outcome(got("&".join(f"{n}={quote_from_bytes(v, '')}" for n, v in changed)), exact) is not None:
                    wrong.append((name, altered))
    assert wrong == []


def test_every_changed_character_of_a_signature_is_refused() -> None:
    """Not one character can be another: unused bits at the end of Base64 are no second spelling.

    Only a `+` may be a space, which is how a careless query brings it.
    """
    pairs = parse_qsl(DOCUMENTED["query"])
    sign, verifier = pairs[-1][1].encode(), key()
    wrong = []
    for place in range(len(sign)):
        for flip in FLIPS:
            altered = sign[:place] + bytes([sign[place] ^ flip]) + sign[place + 1 :]
            query = f"{urlencode(pairs[:-1])}&sign={quote_from_bytes(altered, '')}"
            if altered.replace(b" ", b"+") != sign and outcome(got(query), verifier) is not None:
                wrong.append(altered)
    assert wrong == []


def test_every_changed_byte_of_the_key_is_refused(tmp_path: Path) -> None:
    """A public key with any byte changed does not load, or verifies nothing."""
    lines = PUBLIC.read_text().splitlines()
    der, path = base64.b64decode("".join(lines[1:-1])), tmp_path / "public.pem"
    wrong = []
    for place in range(len(der)):
        for flip in FLIPS if LONG else (1, 0x80):
            altered = der[:place] + bytes([der[place] ^ flip]) + der[place + 1 :]
            path.write_text(f"{lines[0]}\n{base64.b64encode(altered).decode()}\n{lines[-1]}\n")
            try:
                verifier = load_verifier(path, "sha1")
            except ConfigurationError:
                continue
            if outcome(got(DOCUMENTED["query"]), verifier) is not None:
                wrong.append((place, flip))
    assert wrong == []


def test_another_digest_is_refused() -> None:
    """The configuration alone names the digest; the message has no say."""
    by_digest = {v["digest"]: v for v in NOTIFICATIONS if v["name"] == DOCUMENTED["name"]}
    accepted = {
        (signed, configured): outcome(got(by_digest[signed]["query"]), key(configured)) is not None
        for signed in ("sha1", "sha256")
        for configured in ("sha1", "sha256")
    }
    assert accepted == {
        ("sha1", "sha1"): True,
        ("sha1", "sha256"): False,
        ("sha256", "sha1"): False,
        ("sha256", "sha256"): True,
    }


def test_keys_can_be_rotated(sender: Sender) -> None:
    """While two keys are configured both are good; with neither of them, or none at all, nothing is."""
    old, new = DOCUMENTED["query"], urlencode(sender.signed(MESSAGE))
    both = (sender.verifier, key())
    results = [
        outcome(got(query), *keys) is not None for query in (old, new) for keys in (both, both[:1], both[1:], ())
    ]
    assert results == [True, False, True, False, True, True, False, False]


def test_another_accounts_notification_is_refused(sender: Sender) -> None:
    """One key signs for all accounts of a merchant, so the signed account is compared."""
    other = ACCOUNT.replace("9", "8")
    sent = [urlencode(sender.signed({**MESSAGE, "account": uuid})) for uuid in (ACCOUNT, ACCOUNT.upper(), other)]
    assert [outcome(got(query), sender.verifier) is not None for query in sent] == [True, True, False]


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": None},
        {"id": True},
        {"id": []},
        {"account": ""},
        {"account": None},
        {"account": [ACCOUNT]},
    ],
)
def test_authentic_nonsense_is_refused(sender: Sender, change: dict[str, Any]) -> None:
    """A signature does not make a notification of what names nothing, or of what is another account's."""
    assert outcome(posted(json.dumps(sender.signed({**MESSAGE, **change}))), sender.verifier) is None


@pytest.mark.parametrize("missing", ["type", "id"])
def test_a_message_without_its_names_is_refused(sender: Sender, missing: str) -> None:
    """What it is about must be signed; the payer's return, which the same key signs, names neither."""
    fields = {name: value for name, value in MESSAGE.items() if name != missing}
    assert outcome(posted(json.dumps(sender.signed(fields))), sender.verifier) is None


PAID = {"kind": "payment", "order_id": "1700000000", "provider_id": "108465371", "status": Status.SUCCEEDED,
        "provider_status": "paid", "requested": Money("3000.00", "RUB"), "paid": Money("3000.00", "RUB"),
        "commission": Money("90.00", "RUB"), "partial": False}  # fmt: skip
NOT_UNDERSTOOD = {"status": Status.UNKNOWN}
ODD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "refund"}, {"kind": "refund", **NOT_UNDERSTOOD}),
    ({"type": ""}, {"kind": "unknown", **NOT_UNDERSTOOD}),
    ({"type": []}, {"kind": "unknown", **NOT_UNDERSTOOD}),
    ({"type": "4111111111111111"}, {"kind": "unknown", **NOT_UNDERSTOOD}),
    ({"order_id": ""}, {"order_id": ""}),
    ({"order_id": None}, {"order_id": ""}),
    ({"order_id": []}, {"order_id": ""}),
    ({"payment_status": "hold"}, {"provider_status": "hold", **NOT_UNDERSTOOD}),
    ({"payment_status": None}, {"provider_status": "", **NOT_UNDERSTOOD}),
    ({"payment_status": 2}, {"provider_status": "2", **NOT_UNDERSTOOD}),
    ({"amount": "3,000.00"}, {"requested": None, **NOT_UNDERSTOOD}),
    ({"amount": []}, {"requested": None, **NOT_UNDERSTOOD}),
    ({"payment_amount": "1e400"}, {"paid": None, **NOT_UNDERSTOOD}),
    ({"commission_amount": "0.1234567891"}, {"commission": None}),
    ({"commission_amount": "-"}, {"commission": None}),
    ({"is_partial_payment": {}}, {"partial": None}),
    ({"meta": []}, {}),
    ({"meta": {"a": 1, "b": [1.50, "/é", None, {"c": True}]}}, {}),
    ({"currency": "rub"}, {}),
    ({"currency": "EUR"}, {"requested": Money("3000.00", "EUR"), "paid": Money("3000.00", "EUR"),
                           "commission": Money("90.00", "EUR")}),
    ({"currency": "?"}, {"requested": None, "paid": None, **NOT_UNDERSTOOD}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), ODD, ids=repr)
def test_a_genuine_message_with_something_odd_is_a_hint(
    sender: Sender, change: dict[str, Any], expected: dict[str, Any]
) -> None:
    """An id is enough to ask: what cannot be read is absent, and where it decides, the status is unknown."""
    fields = {**MESSAGE, **change}
    read = outcome(posted(json.dumps(sender.signed(fields))), sender.verifier)
    assert read is not None
    assert {name: getattr(read, name) for name in PAID} == {**PAID, **expected}
    assert json.loads(json.dumps(fields_of(read), default=float)) == fields


def test_a_message_without_order_and_status_is_a_hint(sender: Sender) -> None:
    """A payment by a link of the cabinet has no order_id: the notification is kept, and nobody is asked."""
    fields = {name: MESSAGE[name] for name in ("type", "id", "amount", "account")}
    read = outcome(posted(json.dumps(sender.signed(fields))), sender.verifier)
    assert read is not None
    assert (read.order_id, read.provider_id, read.status) == ("", "108465371", Status.UNKNOWN)


def test_what_is_nested_is_bounded(sender: Sender) -> None:
    """Values within values count as fields do: a text that is tried again and again must be short."""
    results = [
        outcome(posted(json.dumps(sender.signed({**MESSAGE, "meta": [1] * count}))), sender.verifier) is not None
        for count in (50, 60, 20_000)
    ]
    assert results == [True, False, False]


def test_every_refusal_reads_the_same(sender: Sender) -> None:
    """One text, one type and no cause, whatever was wrong: who probes learns nothing."""
    deliveries = [
        got(""),
        got(b"\xff"),
        posted("{"),
        posted("[" * 70_000),
        posted('{"a":' * 10_000),
        got(DOCUMENTED["query"] + "&id=1"),
        posted(json.dumps({**MESSAGE, "sign": None})),
        got(DOCUMENTED["query"].replace("paid", "fail")),
        got(urlencode(sender.signed({**MESSAGE, "id": ""}))),
        got(urlencode(sender.signed({**MESSAGE, "account": "another"}))),
    ]
    seen = set()
    for delivery in deliveries:
        with pytest.raises(BadNotification) as refused:
            notifications.read(delivery, [key(), sender.verifier], account=ACCOUNT, currency="RUB")
        seen.add((str(refused.value), refused.value.__cause__, refused.value.__suppress_context__))
    assert seen == {("not an authentic notification of this account", None, True)}


# --- bounds


@pytest.mark.parametrize(
    "query",
    [
        DOCUMENTED["query"],
        DOCUMENTED["query"].replace("3000.00", "3000.01"),
        urlencode({**MESSAGE, "sign": base64.b64encode(bytes(256)).decode()}),
        urlencode({**MESSAGE, "sign": "AAAA"}),
    ],
    ids=["genuine", "altered", "signed with zeros", "signed with nothing"],
)
def test_a_message_costs_one_rsa_operation_a_key(sender: Sender, query: str) -> None:
    """However many texts a forgery makes one try, the costly part is done once for each key that is configured."""
    counted = [CountedKey(verifier) for verifier in (sender.verifier, key(), key("sha256"))]
    verifiers = [Verifier(one, "sha1") for one in counted]  # type: ignore[arg-type]
    genuine = outcome(got(query), *verifiers) is not None
    assert [one.operations for one in counted] == ([1, 1, 0] if genuine else [1, 1, 1])


def test_a_forged_message_costs_a_bounded_number_of_texts() -> None:
    """Out of the worst message that can be made 208 texts are built, out of the documented one 15."""
    worst = {**MESSAGE, "id": "1", "desc": None, "payment_amount": "", "is_partial_payment": "false", "order_id": "/é"}
    worst = {name: worst[name] for name in sorted(worst)} | {"sign": "AAAA"}
    asked = []
    for delivery in (posted(json.dumps(worst)), got(urlencode({**MESSAGE, "sign": "AAAA"}))):
        counting = Counting()
        outcome(delivery, counting)
        asked.append((len(counting.asked), len(set(counting.asked))))
    assert asked == [(208, 208), (15, 15)]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_not_read_is_not_long_either(method: str) -> None:
    """A body beside a query that is read, or the other way round, has the same bound."""
    results = []
    for length in (16 * 1024, 16 * 1024 + 1):
        sent, beside = DOCUMENTED["query"].encode(), b"x" * length
        query, body = (sent, beside) if method == "GET" else (beside, sent)
        results.append(outcome(Delivery(method=method, query=query, body=body), key()) is not None)
    assert results == [True, False]


@pytest.mark.parametrize("form", ["query", "form", "json"])
@pytest.mark.parametrize(("spare", "accepted"), [(0, True), (1, False)])
def test_16_kib_are_read_and_not_one_byte_more(form: str, spare: int, accepted: bool) -> None:
    """What is too long is refused before it is looked at."""
    room = 16 * 1024 + spare - len(DOCUMENTED[form])
    filled = f"&x={'x' * (room - 3)}" if form != "json" else " " * room
    delivery = got if form == "query" else posted
    assert (outcome(delivery(DOCUMENTED[form] + filled), key()) is not None) == accepted


LONGEST = 4 * 1024  # bytes of a text that is signed, as PHP writes it by default


@pytest.mark.parametrize("letter", [*'a/"ж漢😀\u2028', "\uffff"])
@pytest.mark.parametrize(("spare", "accepted"), [(0, True), (1, False)])
def test_no_long_text_is_signed(sender: Sender, letter: str, spare: int, accepted: bool) -> None:
    """Whoever has one signature can have all texts of a message written and compared: 4 KiB each, and no byte more."""
    each = len(php.write({"desc": letter}, php.STYLES[0])) - len(php.write({"desc": ""}, php.STYLES[0]))
    room = LONGEST - len(php.write({**MESSAGE, "desc": ""}, php.STYLES[0]))
    filled = {**MESSAGE, "desc": letter * (room // each) + "x" * (room % each + spare)}
    delivery = posted(json.dumps(sender.signed(filled), ensure_ascii=False))
    assert (outcome(delivery, sender.verifier) is not None) == accepted


def test_a_long_text_costs_no_rsa_operation(sender: Sender) -> None:
    """It is refused before the digest is recovered."""
    recovered = CountedKey(sender.verifier)
    delivery = posted(json.dumps(sender.signed({**MESSAGE, "desc": "x" * LONGEST})))
    assert (None, 0) == (outcome(delivery, Verifier(recovered, "sha1")), recovered.operations)  # type: ignore[arg-type]


def test_what_is_long_and_not_signed_does_no_harm(sender: Sender) -> None:
    """A parameter of the shop's own in the address may have any length that a delivery has."""
    query = urlencode({**sender.signed(MESSAGE), "own": "x" * LONGEST})
    assert outcome(got(query), sender.verifier) is not None


def test_no_long_return_is_signed(sender: Sender) -> None:
    """Neither in the form of a payer who comes back."""
    forms = [urlencode(sender.signed({"order_id": "1" * count, "uuid": "2"})) for count in (100, LONGEST)]
    assert [False, True] == [payer(posted(form), sender.verifier) is None for form in forms]


@pytest.mark.parametrize(("others", "accepted"), [(64 - 12, True), (64 - 11, False)])
def test_a_message_of_too_many_fields_is_refused(others: int, accepted: bool) -> None:
    """A few parameters of the shop's own in the URL are fine, thousands are an attack."""
    query = "".join(f"p{number}=1&" for number in range(others)) + DOCUMENTED["query"]
    assert (outcome(got(query), key()) is not None) == accepted


PIECES = [*"%+=&aF;é", "2B", "3D", *(f"%{code}" for code in ("25", "2B", "2b", "2F", "3D", "3d", "26", "C3", "A9"))]


@settings(max_examples=EXAMPLES)
@given(st.lists(st.sampled_from(PIECES), max_size=12))
@example(["a", "=", "%25", "2B"])
def test_a_query_is_read_as_urllib_reads_it(parts: list[str]) -> None:
    """Escapes are decoded once, wrong ones stay, and what is in a value does not become a name."""
    text = "".join(parts)
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=99)
        expected = dict(pairs) if len(dict(pairs)) == len(set(pairs)) else None
    except ValueError:
        expected = None
    try:
        read = notifications._form(text.encode())
    except ValueError:
        read = None
    assert read == expected


# --- what is not signed is not in the result


@pytest.mark.parametrize("vector", NOTIFICATIONS, ids=lambda v: f"{v['name']}, {v['digest']}")
def test_unsigned_fields_are_not_told(vector: dict[str, str]) -> None:
    """What is put before or behind a signed message neither shows nor disturbs."""
    signed, verifier = json.loads(vector["signed_string"]), key(vector["digest"])
    more: dict[str, Any] = {"order": "x/é", "credited": "9", "_": "\x7f", "currency": "USD"}
    more |= {} if "card_brand" in signed else {"card_brand": "MIR"}
    more |= {} if "commission_amount" in signed else {"commission_amount": "0"}
    nested = {"list": [1, {"a": None}], "object": {"id": 1, "sign": "x"}, "number": 1e5, "true": True}
    body = json.loads(vector["json"])
    results = [
        fields_of(outcome(delivery, verifier))
        for delivery in (
            got(urlencode(more) + "&" + vector["query"]),
            got(vector["query"] + "&" + urlencode(more)),
            posted(json.dumps({**more, **nested, **body})),
            posted(json.dumps({**body, **nested, **more})),
        )
    ]
    assert results == [signed] * 4


@pytest.mark.parametrize("form", ["query", "form", "json"])
@pytest.mark.parametrize("name", [*ELEVEN, "sign", "other"])
def test_a_repeated_field_is_refused(form: str, name: str) -> None:
    """Two readers could take two values of one name, so neither is taken; in JSON not even the same twice."""
    value = parse_qsl(DOCUMENTED["query"])[-1][1] if name == "sign" else str(MESSAGE.get(name, "x"))
    if form == "json":
        wire = DOCUMENTED["json"][:-1] + "".join(f",{json.dumps(name)}:{json.dumps(value)}" for _ in range(2)) + "}"
    else:
        wire = f"{DOCUMENTED[form]}&{urlencode({name: value})}&{urlencode({name: f'{value}0'}).replace('_', '%5F')}"
    assert outcome(got(wire) if form == "query" else posted(wire), key()) is None


def test_a_plus_that_became_a_space_is_repaired() -> None:
    """A sender that does not escape its Base64, or takes the padding off, is understood."""
    query, sign = DOCUMENTED["query"].split("&sign=")
    plain = sign.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
    assert plain.count("+") > 0
    results = [outcome(got(f"{query}&sign={spelling}"), key()) for spelling in (plain, plain.rstrip("="))]
    assert [fields_of(read) for read in results] == [MESSAGE] * 2


@pytest.mark.parametrize("names", [TEN, ELEVEN, TWELVE], ids=len)
def test_the_known_lists_verify_in_whatever_order_they_come(sender: Sender, names: tuple[str, ...]) -> None:
    """The order of a known list is known, so that the order of arrival does not matter."""
    fields = {name: {**MESSAGE, "card_brand": "VISA"}[name] for name in names}
    message = sender.signed(fields)
    orders = (sorted(message), sorted(message, reverse=True), sorted(message, key=lambda name: name[::-1]))
    results = [outcome(got(urlencode([(n, message[n]) for n in order])), sender.verifier) for order in orders]
    assert [fields_of(read) for read in results] == [fields] * 3


def test_an_unknown_list_verifies_in_the_order_it_came(sender: Sender) -> None:
    """A field that AliKassa may add one day is in the result, as long as it signs what it sends in order."""
    fields = {**MESSAGE, "currency": "RUB"}
    message = sender.signed(fields)
    orders = (list(message), sorted(message))
    results = [outcome(got(urlencode([(n, message[n]) for n in names])), sender.verifier) for names in orders]
    assert [fields_of(read) for read in results] == [fields, None]


@pytest.mark.parametrize(
    ("name", "signed", "sent", "accepted"),
    [
        ("is_partial_payment", False, "0", True),
        ("is_partial_payment", False, "", True),
        ("is_partial_payment", False, "false", True),
        ("is_partial_payment", True, "1", True),
        ("is_partial_payment", True, "true", True),
        ("is_partial_payment", "", "0", True),
        ("is_partial_payment", "0", "false", True),
        ("is_partial_payment", "1", "true", True),
        ("is_partial_payment", None, None, True),
        ("is_partial_payment", "", None, True),
        ("is_partial_payment", True, "0", False),
        ("is_partial_payment", False, "1", False),
        ("is_partial_payment", "0", "", False),
        ("is_partial_payment", False, None, False),
        ("is_partial_payment", False, "no", False),
        ("desc", None, None, True),
        ("desc", "", None, True),
        ("desc", None, "", True),
        ("desc", "null", None, False),
        ("payment_amount", None, None, True),
        ("payment_amount", None, "", True),
        ("payment_amount", "", None, True),
        ("payment_amount", "0", "", False),
        ("commission_amount", None, "", True),
        ("commission_amount", "", None, True),
        ("id", 108465371, "108465371", True),
        ("id", "108465371", "108465371", True),
        ("id", 108465371, "0108465371", False),
        ("id", "0108465371", "0108465371", True),
        ("id", "po-1", "po-1", True),
        ("id", 108465371, " 108465371", False),
        ("id", 108465371, "108465371.0", False),
        ("id", 108465371, "\u0661", False),
        ("amount", 3000, "3000", False),
        ("service", None, None, False),
    ],
    ids=repr,
)
def test_the_types_that_a_query_loses_are_a_closed_list(
    sender: Sender, name: str, signed: object, sent: object, accepted: bool
) -> None:
    """Each type that may come back is listed, and no other; where `sent` is None the query lacks the field."""
    fields = {**MESSAGE, name: signed}
    message = sender.signed(fields, {**MESSAGE, name: sent})
    query = urlencode([(name, value) for name, value in message.items() if value is not None])
    assert fields_of(outcome(got(query), sender.verifier)) == (fields if accepted else None)


@pytest.mark.parametrize("literal", ["10.00", "10.0", "10", "1.0e+2", "1E2", "-0", "0.1", "123456789012345678"])
def test_a_number_is_verified_as_it_was_written(sender: Sender, literal: str) -> None:
    """The digits of a JSON number are signed, so they are kept: 10.00 is not 10.0."""
    text = json.dumps(MESSAGE, separators=(",", ":")).replace('"amount":"3000.00"', f'"amount":{literal}')
    body = f'{text[:-1]},"sign":"{sender.sign(text.encode())}"}}'
    results = [
        outcome(posted(body.replace(f'"amount":{literal},', f'"amount":{other},')), sender.verifier)
        for other in (literal, f"{literal}0", f'"{literal}"')
    ]
    assert [read and (str(read.fields["amount"]), read.requested) for read in results] == [
        (str(json.loads(literal, parse_float=Decimal)), Money(Decimal(literal), "RUB", 9)),
        None,
        None,
    ]


@pytest.mark.parametrize("literal", ["1e99999999999999999999", "9" * 5000, "NaN", "Infinity", "-", "01", "1."])
def test_a_number_beyond_measure_is_refused(literal: str) -> None:
    """A number that no amount can be is refused, even if it is signed."""
    body = json.dumps({**MESSAGE, "sign": "AAAA"}).replace('"3000.00"', literal)
    assert outcome(posted(body), Anything()) is None


@pytest.mark.parametrize("text", [b"[1]", b'"x"', b"1", b"null", b"", b'{"a":1,"a":1}', b'{"a":{"b":1,"b":1}}'])
def test_only_an_object_without_repeated_names_is_read(text: bytes) -> None:
    """What is no object has no fields, and a name that comes twice has no value."""
    with pytest.raises(ValueError, match=r"not a JSON object|a name comes twice|Expecting value"):
        php.read(text)


# --- one message has one digest


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("vector", NOTIFICATIONS, ids=lambda v: f"{v['name']}, {v['digest']}")
def test_the_digest_is_of_the_signed_text(vector: dict[str, str], form: str) -> None:
    """It is the SHA-256 of what PHP signed, to the byte, in whatever form the message comes."""
    read = outcome(FORMS[form](vector), key(vector["digest"]))
    assert read is not None
    assert read.digest == digest_of(vector["signed_string"])


def spelt(text: str) -> str:
    """Percent-encode every byte, in lower case."""
    return "".join(f"%{byte:02x}" for byte in text.encode())


def test_a_message_that_is_sent_again_has_the_same_digest() -> None:
    """Nothing that can be changed without the key makes an old message look new: all of it is not signed."""
    pairs = parse_qsl(DOCUMENTED["query"])
    fields = json.loads(DOCUMENTED["json"])
    sign = pairs[-1][1]
    deliveries = [
        got(DOCUMENTED["query"]),
        got("x=1&" + DOCUMENTED["query"]),
        got(DOCUMENTED["query"] + "&card_brand=MIR&x=%2F"),
        got("&&" + DOCUMENTED["query"] + "&"),
        got(urlencode(pairs[::-1])),
        got(urlencode(sorted(pairs))),
        got(urlencode(pairs, quote_via=quote)),
        got("&".join(f"{spelt(name)}={spelt(value)}" for name, value in pairs)),
        got(urlencode([*pairs[:-1], ("sign", sign.rstrip("="))])),
        got(urlencode([*pairs[:-1], ("sign", sign.replace("+", " "))])),
        got(urlencode([(n, "false" if n == "is_partial_payment" else v) for n, v in pairs])),
        Delivery(method="GET", path="/other", query=DOCUMENTED["query"].encode(), headers={"x": "1"}, body=b"x"),
        posted(DOCUMENTED["form"]),
        posted(DOCUMENTED["form"] + "&x=1", "text/plain"),
        posted(DOCUMENTED["json"]),
        posted(DOCUMENTED["json_unescaped"]),
        posted(json.dumps({"x": [1], **fields}, indent=2)),
        posted(json.dumps(dict(reversed(fields.items())))),
        posted("".join(f"\\u{ord(c):04x}" if c in "paid" else c for c in DOCUMENTED["json"])),
    ]
    results = [outcome(delivery, key()) for delivery in deliveries]
    assert [read and read.digest for read in results] == [digest_of(DOCUMENTED["signed_string"])] * len(deliveries)


def test_two_keys_make_one_digest(sender: Sender) -> None:
    """While keys are changed, the same message signed with the other key is no other message."""
    old, new = DOCUMENTED["query"], urlencode(sender.signed(MESSAGE))
    results = [outcome(got(query), sender.verifier, key()) for query in (old, new)]
    assert [read and read.digest for read in results] == [digest_of(DOCUMENTED["signed_string"])] * 2


def test_different_messages_have_different_digests(sender: Sender) -> None:
    """A change of any signed field makes another message of it: the next status is not a repetition."""
    changes: list[dict[str, Any]] = [
        {}, {"type": "payout"}, {"id": 1}, {"id": "108465371"}, {"order_id": "2"}, {"payment_status": "wait"},
        {"amount": "3000.0"}, {"payment_amount": "1"}, {"commission_amount": ""}, {"is_partial_payment": "1"},
        {"is_partial_payment": False}, {"account": ACCOUNT.upper()}, {"service": "x"}, {"desc": ""}, {"desc": None},
        {"card_brand": "MIR"}, {"card_brand": ""},
    ]  # fmt: skip
    results = [outcome(posted(json.dumps(sender.signed({**MESSAGE, **c}))), sender.verifier) for c in changes]
    assert len({read.digest for read in results if read}) == len(changes)


def test_no_card_number_is_signed() -> None:
    """None of the fields that are signed is a number of a card, phone or account anywhere in the protocol."""
    shapes = [each for each in vars(models).values() if isinstance(each, type) and issubclass(each, msgspec.Struct)]
    hints = [get_type_hints(shape, include_extras=True) for shape in shapes]
    masks = {(n, m) for each in hints for n, hint in each.items() for m in getattr(hint, "__metadata__", ())}
    numbers = {name for name, mask in masks if mask in {Mask.TRUNCATED, Mask.PHONE}}
    assert (numbers >= {"number", "cardNumber", "card_mask", "customer_phone"}, numbers & set(TWELVE)) == (True, set())


# --- the payer's return


def test_phps_redirect_is_accepted() -> None:
    """The payer's signed form says who came back, and no status."""
    expected = ReturnedPayer(order_id="1700000000", reference="bd291fe1-5c19-4113-ae62-a2d3c4d01d20")
    results = [payer(posted(REDIRECT["form"] + more), key()) for more in ("", "&payment_status=paid&amount=9")]
    assert results == [expected] * 2


def test_a_return_is_not_a_notification_nor_a_notification_a_return() -> None:
    """One key signs both, so each is refused in the place of the other."""
    deliveries = [got(REDIRECT["form"]), posted(REDIRECT["form"])]
    assert [outcome(delivery, key()) for delivery in deliveries] == [None] * 2
    more = "&uuid=bd291fe1-5c19-4113-ae62-a2d3c4d01d20"
    assert [payer(posted(DOCUMENTED["form"] + end), key()) for end in ("", more)] == [None] * 2


@pytest.mark.parametrize(
    "delivery",
    [
        got(REDIRECT["form"]),
        posted(json.dumps(dict(parse_qsl(REDIRECT["form"])))),
        posted(REDIRECT["form"] + "&uuid=1"),
        posted(REDIRECT["form"] + "&x=" + "x" * 65536),
        posted("order_id=1&uuid=2"),
        posted("sign=AAAA&uuid=2"),
        posted(b"\xff"),
        posted(""),
    ],
)
def test_only_a_signed_form_is_a_return(delivery: Delivery) -> None:
    """The browser posts a form; nothing else brings a payer back."""
    assert payer(delivery, key()) is None


def test_every_changed_byte_of_a_return_is_refused() -> None:
    """No byte on the wire can be another, unless the values and the signature stay as they are."""
    wire, verifier = REDIRECT["form"].encode(), key()
    genuine, wrong = decoded(wire, "form"), []
    assert genuine is not None
    for place in range(len(wire)):
        for flip in FLIPS:
            altered = wire[:place] + bytes([wire[place] ^ flip]) + wire[place + 1 :]
            now = decoded(altered, "form")
            changed = now is None or {**now, **genuine} != now
            if payer(posted(altered), verifier) is not None and changed:
                wrong.append(altered)
    assert wrong == []


def test_an_empty_return_is_refused(sender: Sender) -> None:
    """A genuine form without an order or a uuid names nobody."""
    results = [
        payer(posted(urlencode(sender.signed({"order_id": order, "uuid": uuid}))), sender.verifier)
        for order, uuid in (("1", ""), ("", "1"), ("1/é", "2"))
    ]
    assert results == [None, None, ReturnedPayer(order_id="1/é", reference="2")]


# --- PHP itself, asked message by message

PHP_SIGNER = r"""
$key = openssl_pkey_get_private(file_get_contents($argv[1]));
while (($line = fgets(STDIN)) !== false) {
    $asked = json_decode($line, true);
    $fields = [];
    foreach ($asked['fields'] as [$name, $value]) {
        $fields[$name] = is_array($value) ? (float) $value[0] : $value;
    }
    $text = json_encode($fields, $asked['signing']);
    openssl_sign($text, $signature, $key, OPENSSL_ALGO_SHA1);
    $sent = $fields + ['sign' => base64_encode($signature)];
    echo json_encode([
        base64_encode($text), http_build_query($sent), base64_encode(json_encode($sent, $asked['sending'])),
    ]), "\n";
}
"""
UNESCAPED_SLASHES, UNESCAPED_UNICODE = 64, 256
FLAGS = st.sampled_from([0, UNESCAPED_SLASHES, UNESCAPED_UNICODE, UNESCAPED_SLASHES | UNESCAPED_UNICODE])


class Php:
    """A running PHP that signs and sends what it is given, with its own json_encode."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def __call__(self, fields: dict[str, Any], signing: int, sending: int) -> tuple[bytes, bytes, bytes]:
        """Return the signed text, the query, and the JSON body."""
        asked = {"fields": list(fields.items()), "signing": signing, "sending": sending}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        text, query, body = json.loads(self._process.stdout.readline())
        return base64.b64decode(text), query.encode(), base64.b64decode(body)


@pytest.fixture(scope="session")
def ask_php(rsa_key: Path) -> Iterator[Php]:
    """Start PHP; where a user has none this is skipped, in CI it fails."""
    if shutil.which("php") is None:
        message = "NOT SHOWN: php is not installed, so nobody but our own code has said what PHP signs here"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    with subprocess.Popen(["php", "-r", PHP_SIGNER, rsa_key], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Php(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.parametrize("style", php.STYLES)
def test_every_character_is_written_as_php_writes_it(ask_php: Php, style: php.Style) -> None:
    """All characters of the first plane, and some beyond, are the same bytes in both languages."""
    flags = UNESCAPED_SLASHES * (not style.escape_slashes) | UNESCAPED_UNICODE * (not style.escape_unicode)
    every = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x10000), *range(0x1F300, 0x1F700))))
    fields: dict[str, php.Value] = {
        "a/\x7fé": every,
        "backslashes": '\\u00e9\\\\"\\é\\\\u007f\\\x7f\\"é\\',
        "words": None,
        "true": True,
        "false": False,
    }
    assert php.write(fields, style) == ask_php(fields, flags, 0)[0]


@pytest.mark.parametrize("number", ["10.0", "0.1", "1e25", "1.5e-7", "-0.0", "123456789.123456789", "1e-10", "3000.50"])
def test_a_number_that_php_sends_is_the_number_that_it_signs(ask_php: Php, sender: Sender, number: str) -> None:
    """PHP's forms of a number, as 10 for 10.0 and 1.0e+25, come through as PHP wrote them."""
    text, _, body = ask_php({**MESSAGE, "rate": [number]}, 0, 0)
    result = fields_of(outcome(posted(body), sender.verifier))
    assert result == json.loads(text, parse_float=Decimal)


TEXTS = st.text(
    st.one_of(
        st.sampled_from("/\\\"'<>&+=%;#? \x00\x1f\x7f\x80éЯ№\u2028\u2029\ufeff\uffff😀\U0010ffff"),
        st.characters(codec="utf-8"),
    ),
    max_size=30,
)
AMOUNTS = st.decimals(0, 10**9, places=2).map(str) | st.decimals(0, 1000, places=9).map(lambda d: f"{d:f}")
OPTIONAL_AMOUNTS = AMOUNTS | st.sampled_from(["", None])
MESSAGES = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["payment", "payout"]),
        "id": st.integers(0, 2**63 - 1) | st.integers(0, 10**9).map(str) | TEXTS.filter(bool),
        "order_id": TEXTS.filter(bool),
        "payment_status": st.sampled_from(["wait", "paid", "cancel", "fail"]) | TEXTS,
        "amount": AMOUNTS | st.integers(0, 10**6) | st.tuples(st.decimals(0, 1000, places=2).map(str)),
        "payment_amount": OPTIONAL_AMOUNTS,
        "commission_amount": OPTIONAL_AMOUNTS,
        "is_partial_payment": st.sampled_from(["0", "1", "", False, True, None]),
        "account": st.just(ACCOUNT),
        "service": TEXTS,
        "desc": TEXTS | st.none(),
        "card_brand": TEXTS | st.none(),
        "future": TEXTS | st.none(),
    }
)


@st.composite
def orders_of_fields(draw: st.DrawFn) -> tuple[str, ...]:
    """Draw one of the known lists, or an unknown one."""
    unknown = st.permutations((*TWELVE, "future")).map(tuple)
    return draw(st.sampled_from([TEN, ELEVEN, TWELVE]) | unknown)


def carries(way: str, fields: dict[str, Any]) -> bool:
    """Tell whether a way can bring a message that PHP signed; the rule, said once more and differently.

    JSON brings every type. A query has texts only: a number other than the id is lost; so is a
    null in an unknown list; so is a boolean beside an id that is signed as a text of
    digits, for which no sender was ever seen.
    """
    if way == "json":
        return True
    if any(isinstance(value, int | tuple) and not isinstance(value, bool) for n, value in fields.items() if n != "id"):
        return False
    if None in fields.values() and tuple(fields) not in {TEN, ELEVEN, TWELVE}:
        return False
    whole = isinstance(fields["id"], str) and fields["id"].isascii() and fields["id"].isdigit()
    return not (whole and isinstance(fields["is_partial_payment"], bool))


@settings(max_examples=EXAMPLES)
@given(MESSAGES, orders_of_fields(), FLAGS, FLAGS)
def test_what_php_signs_is_accepted_and_nothing_else(
    ask_php: Php, sender: Sender, message: dict[str, Any], names: tuple[str, ...], signing: int, sending: int
) -> None:
    """A message is accepted if and only if its transport can carry what PHP signed, and the result is just that."""
    fields = {name: message[name] for name in names}
    text, query, body = ask_php(fields, signing, sending)
    signed = json.loads(text, parse_float=Decimal)
    expected = {way: signed if carries(way, fields) else None for way in ("query", "json")}
    results = {"query": outcome(got(query), sender.verifier), "json": outcome(posted(body), sender.verifier)}
    assert {way: fields_of(read) for way, read in results.items()} == expected


ALTERATIONS: dict[str, Callable[[list[tuple[str, str]], int, str], list[tuple[str, str]]]] = {
    "replace": lambda pairs, at, text: [*pairs[:at], (pairs[at][0], text), *pairs[at + 1 :]],
    "append": lambda pairs, at, text: [*pairs[:at], (pairs[at][0], pairs[at][1] + text), *pairs[at + 1 :]],
    "drop": lambda pairs, at, _: pairs[:at] + pairs[at + 1 :],
    "rename": lambda pairs, at, text: [*pairs[:at], (text, pairs[at][1]), *pairs[at + 1 :]],
    "insert": lambda pairs, at, text: [*pairs[:at], (text, "1"), *pairs[at:]],
    "repeat": lambda pairs, at, text: [*pairs, (pairs[at][0], text)],
    "swap": lambda pairs, at, _: [*pairs[:at], (pairs[at][0], pairs[-at][1]), *pairs[at + 1 :]],
    "move": lambda pairs, at, _: [*pairs[:at], *pairs[at + 1 :], pairs[at]],
}


@settings(max_examples=EXAMPLES)
@given(
    MESSAGES,
    orders_of_fields(),
    FLAGS,
    st.sampled_from(sorted(ALTERATIONS)),
    st.integers(0, 9),
    TEXTS | st.sampled_from([*TWELVE, "0", "1", "", "true", "false"]),
    st.booleans(),
)
def test_an_altered_message_tells_nothing_that_was_not_signed(
    ask_php: Php,
    sender: Sender,
    message: dict[str, Any],
    names: tuple[str, ...],
    signing: int,
    alteration: str,
    at: int,
    text: str,
    as_json: bool,
) -> None:
    """Whatever is done to a genuine message, it is refused, or the result is exactly what was signed."""
    signed, query, _ = ask_php({name: message[name] for name in names}, signing, 0)
    pairs = parse_qsl(query.decode(), keep_blank_values=True)
    pairs = ALTERATIONS[alteration](pairs, min(at, len(pairs) - 1), text)
    members = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs)
    read = outcome(posted(f"{{{members}}}") if as_json else got(urlencode(pairs)), sender.verifier)
    assert fields_of(read) in (None, json.loads(signed, parse_float=Decimal))
    assert read is None or read.digest == digest_of(signed)


# --- arbitrary bytes

SCALARS = (
    st.none()
    | st.booleans()
    | TEXTS
    | st.integers()
    | st.floats()
    | st.decimals(allow_nan=False, allow_infinity=False).map(str)
)
VALUES = SCALARS | st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner))
NAMES = st.sampled_from([*TWELVE, "sign", "uuid"]) | TEXTS
LOOSE = st.dictionaries(NAMES, VALUES, max_size=20).map(lambda fields: {"sign": "AAAA", **fields})
NEARLY = MESSAGES.flatmap(
    lambda m: st.dictionaries(NAMES, VALUES, max_size=3).map(lambda more: {**m, "sign": "", **more})
)
WIRES = (
    st.binary(max_size=300)
    | st.binary(max_size=300).map(lambda raw: b"{" + raw)
    | (LOOSE | NEARLY).map(lambda fields: json.dumps(fields).encode())
    | (LOOSE | NEARLY).map(lambda fields: urlencode(fields, errors="surrogatepass").encode())
    | st.tuples(st.sampled_from(NOTIFICATIONS), st.sampled_from(list(FORMS)), st.integers(0, 999), st.binary()).map(
        lambda drawn: drawn[0][drawn[1]].encode()[: drawn[2]] + drawn[3] + drawn[0][drawn[1]].encode()[drawn[2] :]
    )
)


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(["GET", "POST"]) | st.text(max_size=5), WIRES)
def test_arbitrary_bytes_are_refused_or_read_and_nothing_else(method: str, wire: bytes) -> None:
    """Nothing but `BadNotification` is raised for any bytes, whether no signature holds or every one."""
    delivery = Delivery(method=method, path="/", query=wire, body=wire)
    for read in (outcome(delivery, key()), outcome(delivery, Anything())):
        assert read is None or (read.kind != "" and read.provider_id != "")
    for back in (payer(delivery, key()), payer(delivery, Anything())):
        assert back is None or (back.order_id != "" and back.reference != "")
