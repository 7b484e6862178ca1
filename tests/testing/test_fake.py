"""The fake driver's deliveries are verified as a real driver's are, so that what receives them is tested with them."""

import hashlib
from typing import Any

import msgspec
import pytest

from payhub import BadNotification, ConfigurationError, Delivery, Money, Notification, ReturnedPayer, Status
from payhub.models import LONGEST_DELIVERY
from payhub.testing import fake

SECRET = "sesame"
RUB = Money("10", "RUB")
NOTICE = fake.signed_notification(SECRET, order_id="in-1", amount=RUB)
RETURN = fake.signed_return(SECRET, order_id="in-1")


def account(secret: str | None = SECRET) -> fake.FakeAccount:
    return fake.connect(fake.FakeConfig(name="shop", provider="fake", base_url="https://pay.example", secret=secret))


def refused(delivery: Delivery, secret: str = SECRET) -> bool:
    """Tell whether a delivery is refused, both as a notification and as a return, in the same words."""
    words = set()
    for read in (fake.payhub_read_notification, fake.payhub_read_return):
        try:
            read(account(secret), delivery)
        except BadNotification as error:
            words.add(str(error))
        else:
            words.add("read")
    return words == {fake.REFUSED}


def test_a_notification_tells_what_it_was_made_of() -> None:
    """Every argument of the maker comes back, and the digest is of the body, which is what is signed."""
    delivery = fake.signed_notification(
        SECRET, kind="payout", order_id="po-1", provider_id="8", status="failed", amount=RUB, paid=Money("9", "RUB")
    )
    told = fake.payhub_read_notification(account(), delivery)
    assert told == Notification(
        kind="payout", order_id="po-1", provider_id="8", status=Status.FAILED, provider_status="failed", requested=RUB,
        paid=Money("9", "RUB"), digest=hashlib.sha256(delivery.body).hexdigest(), shape=fake.Notice,
        fields={"kind": "payout", "id": "8", "order_id": "po-1", "status": "failed", "amount": "10.00",
                "currency": "RUB", "paid": "9.00"},
    )  # fmt: skip


@pytest.mark.parametrize(("word", "status"), [*fake.STATUSES.items(), ("hold", Status.UNKNOWN), ("", Status.UNKNOWN)])
def test_a_notification_has_any_status(word: str, status: Status) -> None:
    """Every word of the provider can be told; of one that is not in the table nobody knows what it means."""
    delivery = fake.signed_notification(SECRET, order_id="in-1", amount=RUB, status=word)
    assert fake.payhub_read_notification(account(), delivery).status is status


def test_a_return_tells_what_it_was_made_of() -> None:
    """Both arguments of the maker come back."""
    told = fake.payhub_read_return(account(), fake.signed_return(SECRET, order_id="in-1", reference="u-7"))
    assert told == ReturnedPayer(order_id="in-1", reference="u-7")


@pytest.mark.parametrize("genuine", [NOTICE, RETURN], ids=["notification", "return"])
@pytest.mark.parametrize(
    "change",
    [
        {"headers": {}},
        {"headers": {fake.SIGNATURE: ""}},
        {"headers": {fake.SIGNATURE: "é\udcff"}},
        {"headers": {fake.SIGNATURE: fake.sign("other", NOTICE.body)}},
        {"body": b""},
        {"body": b"{}"},
        {"body": NOTICE.body.replace(b"in-1", b"in-2")},
        {"body": RETURN.body + b" "},
    ],
    ids=repr,
)
def test_what_is_not_signed_is_refused(genuine: Delivery, change: dict[str, Any]) -> None:
    """A body or a signature that was altered is no delivery of the provider's."""
    assert refused(msgspec.structs.replace(genuine, **change))


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 10_000, b'{"order_id":"1"}', NOTICE.body.replace(b"10.00", b"much"),
     NOTICE.body.replace(b"{", b'{"more":1,', 1)],
)  # fmt: skip
def test_authentic_nonsense_is_refused(body: bytes) -> None:
    """A signature does not make a notification of what is none."""
    assert refused(Delivery(method="POST", headers={fake.SIGNATURE: fake.sign(SECRET, body)}, body=body))


@pytest.mark.parametrize(("spare", "expected"), [(0, False), (1, True)])
def test_a_long_body_is_refused(spare: int, expected: bool) -> None:
    """What is too long is refused, whoever signed it."""
    body = NOTICE.body.ljust(LONGEST_DELIVERY + spare)
    delivery = Delivery(method="POST", headers={fake.SIGNATURE: fake.sign(SECRET, body)}, body=body)
    assert refused(delivery) == expected


def test_one_secret_is_not_anothers() -> None:
    """What is signed for one account is refused by the other."""
    assert [refused(delivery, "other") for delivery in (NOTICE, RETURN)] == [True, True]


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_nothing_is_verified(secret: str | None) -> None:
    """An account without a secret says what is missing."""
    for read in (fake.payhub_read_notification, fake.payhub_read_return):
        with pytest.raises(ConfigurationError, match=r"^accounts\.shop: notifications need secret$"):
            read(account(secret), NOTICE)


def test_the_secret_is_not_shown() -> None:
    """Neither the account nor a delivery shows the secret or what it signs."""
    shown = f"{account()!r} {NOTICE!r}"
    assert [text for text in (SECRET, NOTICE.headers[fake.SIGNATURE], "in-1") if text in shown] == []
