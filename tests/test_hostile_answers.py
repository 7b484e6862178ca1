"""What an answer may cost and do: its size, its parts and its values are a stranger's choice."""

import datetime as dt
import itertools
import json
import re
import string
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhub import Payment, Payout, Requisites, Status, Unavailable
from payhub.driver import Call, Response, unfit_link
from payhub.exchanges import record
from payhub.exchanges.reply import Reply
from payhub.journal import Evidence, Key, Source, State
from payhub.masking import Clear, MaskedStruct, ProviderId, Words, mask_json
from payhub.masking.masks import MAX_KEPT
from payhub.models import Exchange, Phase
from payhub.plans.rules import check_answer
from payhub.testing import fake
from payhub.ticket.values import clock, jsonable
from payhub.transport.connection import MAX_BODY, MAX_VALUES
from tests.counting import lines_of_python
from tests.raw_server import RawServer, answer
from tests.samples import CARD, PAYMENT, PAYOUT, known


class Item(MaskedStruct, frozen=True):
    id: Clear[Any] = None


class Shape(MaskedStruct, frozen=True):
    """The wire struct of an answer with fields of every kind."""

    id: ProviderId[Any] = None
    status: Clear[Any] = None
    message: Words[Any] = None
    errors: Words[Any] = None
    data: Clear[tuple[Item, ...]] = ()


NAMES = ["".join(each) for each in itertools.islice(itertools.product(string.ascii_letters, repeat=3), 100_000)]
DIGITS = ("4." * 5000)[:8150]
LARGE: dict[str, object] = {
    "texts": {"errors": {name: [DIGITS] for name in NAMES[:125]}},
    "texts in a list": {"message": [DIGITS] * 125},
    "short texts": {"status": ["4." * 49] * 10_000},
    "long names": {f"{'4.' * 49}{number}": 1 for number in range(10_000)},
    "names": dict.fromkeys(NAMES, 1),
    "names of texts": {"errors": dict.fromkeys(NAMES, 1)},
    "numbers": {"errors": [1] * 500_000},
    "empty lists": {"message": [[]] * 350_000},
    "empty objects": {"status": [{}] * 350_000},
    "items": {"data": [{"id": 1}] * 100_000},
    "lists in lists": {"data": [[[]] * 10_000] * 30},
    "nothing declared": [{"a": 1}] * 100_000,
}


@pytest.mark.parametrize("value", LARGE.values(), ids=LARGE)
def test_what_is_kept_of_an_answer_is_bounded(value: object) -> None:
    """Of a value of any size no more than 16 KiB and its notes are shown; what was left out is counted."""
    shown = mask_json(value, Shape)
    assert len(json.dumps(shown)) <= 2 * MAX_KEPT
    assert " more]" in json.dumps(shown)[-200:] or " characters]" in json.dumps(shown)[-200:]


@pytest.mark.parametrize("value", LARGE.values(), ids=LARGE)
def test_what_is_masked_of_an_answer_is_bounded(value: object) -> None:
    """The work of masking does not grow with an answer, once it is as large as what is shown."""
    assert lines_of_python(lambda: mask_json(value, Shape)) < 600_000


def test_an_ordinary_answer_is_shown_whole() -> None:
    """A page of a hundred payments, or a complaint about every field, has room."""
    page = {"data": [{"id": str(number)} for number in range(100)], "message": "The given data was invalid."}
    errors = {"errors": {name: ["This field is required."] for name in NAMES[:40]}}
    assert [page, errors] == [mask_json(page, Shape), mask_json(errors, Shape)]


TOO_MUCH: dict[str, bytes] = {
    "values": answer(b"[" + b"1," * MAX_VALUES + b"1]"),
    "lists": answer(b"[" + b"[]," * (MAX_VALUES // 2 + 1) + b"[]]"),
    "names": answer(dict.fromkeys(NAMES, 1)),
    "header lines": answer({}).replace(b"\r\n\r\n", b"\r\nX: y" * 201 + b"\r\n\r\n"),
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n1\r\n" * 2000 + b"0\r\n\r\n",
    "one header": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"Content-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("sent", TOO_MUCH.values(), ids=TOO_MUCH)
def test_an_answer_of_too_many_parts_is_none(
    open_hub: Callable[..., Any], serve: Callable[..., RawServer], observer: Any, sent: bytes
) -> None:
    """An answer that takes long to read is not read: the outcome is unknown, and the record is small."""
    hub = open_hub(serve(sent).url)
    payout = hub.create_payout("shop", PAYOUT)
    assert (Status.UNKNOWN, True) == (payout.status, bool(re.search("more than|too many", payout.reason)))
    with pytest.raises(Unavailable, match=r"more than|too many"):
        hub.fetch_balance("shop")
    assert all(len(msgspec.json.encode(each)) < 3 * MAX_KEPT for each in observer.exchanges)


def test_what_is_kept_of_words_is_bounded() -> None:
    """A provider's word and its reason are cut where they are kept with an order, and no number is cut in two."""
    found = Evidence(
        source=Source.STATUS, state=State.UNKNOWN, provider_status=DIGITS, reason=f"{'no, ' * 499}{CARD}0, {DIGITS}"
    )
    assert (True, True) == (len(found.provider_status or "") <= 255, len(found.reason or "") <= 2000)
    assert CARD[:9] not in (found.reason or "")


# What a reader could break on.

ODD = ["\x00", "\x1b[2J", "\x9b31m", "\u202e", "\u2028", "\x7f", "\U000e0041", "a\r\nb", "\ufeff"]
CALL = Call(operation="fetch_payout", url="https://pay.example/x", moves_money=False, promised=Shape)
SENDER: dict[str, Any] = {"account": "shop", "provider": "fake", "software": None, "duration": 0.1}
NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def recorded(body: bytes, **headers: str) -> Exchange:
    response = Response(status=200, headers=headers, body=body)
    return record.describe(CALL, Reply(phase=Phase.ANSWERED, response=response), **SENDER, started_at=NOW)


@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_what_is_kept_prints(odd: str) -> None:
    """Names and values of an answer, and its headers, are kept without what steers a terminal or ends a line."""
    body = json.dumps({odd: odd, "id": f"7{odd}", "status": {odd: [odd]}, "data": [{"id": odd}], "errors": {odd: odd}})
    kept = recorded(body.encode(), server=odd, date=odd, location=odd, **{"x-request-id": odd})
    texts = msgspec.json.decode(msgspec.json.encode(kept))
    assert [] == [each for each in _texts(texts) if not each.replace("\n", "").isprintable()]


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for each in pair for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


DATES = {
    "Fri, 31 Dec 9999 23:59:59 -2359": None,
    "Mon, 01 Jan 2024 00:00:00 +9999": None,
    "Mon, 01 Jan 9999999 00:00:00 GMT": None,
    "Mon, 01 Jan 2024 00:00:00 " + "9" * 60_000: None,
    "Mon, 01 Jan 2024 00:00:00 -0000": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    "Mon, 01 Jan 2024 00:00:00": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    "Mon, 01 Jan 2024 05:00:00 +0500": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    "Fri, 31 Dec 9999 23:59:59 GMT": dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC),
}


@pytest.mark.parametrize(("date", "expected"), DATES.items(), ids=lambda each: str(each)[:40])
def test_the_providers_clock_is_one_that_can_be_shown(date: str, expected: dt.datetime | None) -> None:
    """A date is kept in UTC; one that no clock in UTC shows is not kept."""
    found = recorded(b"{}", date=date)
    assert (expected, True) == (found.server_time, bool(jsonable(found)))


@given(st.datetimes(timezones=st.timezones() | st.none()))
def test_every_time_can_be_shown(time: dt.datetime) -> None:
    """No reader breaks on a time, at whichever end of time and in whichever zone somebody has kept it."""
    assert str(time.year) in clock(time) or abs(int(clock(time)[:4]) - time.year) <= 1


def test_times_at_the_end_of_time() -> None:
    """A time that UTC does not have is shown in its own zone."""
    last = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.timezone(dt.timedelta(hours=-12)))
    assert "9999-12-31 23:59:59.000-12:00" == clock(last)


# Where a payer may be sent, and what he may be shown.

NO_LINKS = [
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd",
    "//evil.example",
    "/admin", "https://shop.example@evil.example/", "https://u:p@evil.example/", "http://pay.example/", "https:///x",
    "https://pay.example/\r\nSet-Cookie: a=b", 'https://pay.example/"><script>',
    "https://pay.example/'x", " https://x/",
    "https://pay.example/\x1b[2J", "\u202ehttps://x", "blob:x", "intent://x#Intent;scheme=http;end",
    "tel:+7900", "x" * 5000,
    "https://pay.example\\@evil.example", "https://[", f"https://pay.example/{'x' * 9000}", "",
]  # fmt: skip
LINKS = [
    "https://pay.example/p?a=1&b=[2]#c", "https://xn--80ak6aa92e.example/", "https://оплата.example/счёт",
    "http://127.0.0.1:8000/pay/1", "https://pay.example/@user",
]  # fmt: skip


@pytest.mark.parametrize("link", NO_LINKS, ids=ascii)
def test_a_link_that_nobody_may_be_sent_to(link: str) -> None:
    """What could be script in the shop's own page, a header of its own, or another host than it looks is no link."""
    assert unfit_link(link) is not None


@pytest.mark.parametrize("link", LINKS)
def test_a_link_to_be_sent_to(link: str) -> None:
    """Addresses as providers have them are taken."""
    assert unfit_link(link) is None


def test_what_is_no_address_is_not_handed_on() -> None:
    """A payment without a usable address or number says why, is as it was otherwise, and keeps its own reason."""
    wrong = Payment(
        status=Status.PENDING, redirect_url="javascript:x", requisites=Requisites(kind="card", number="4111<b>")
    )
    found = check_answer(wrong)
    assert (None, None, Status.PENDING, ()) == (found.redirect_url, found.requisites, found.status, found.mismatches)
    assert "redirect_url of the answer: not an http or https URL" in (found.reason or "")
    assert "blocked" == check_answer(msgspec.structs.replace(wrong, reason="blocked")).reason
    number = Requisites(kind="phone", number="+7 903 111-22-33", holder="И. <b>", bank="Bank\x1b", bic="044525225")
    shown = check_answer(Payment(status=Status.PENDING, requisites=number)).requisites
    assert Requisites(kind="phone", number="+7 903 111-22-33", bic="044525225") == shown
    listed = check_answer((wrong,))
    assert (None,) == tuple(each.redirect_url for each in listed)


@pytest.mark.parametrize("link", NO_LINKS[:-1:4], ids=ascii)
def test_no_way_leads_a_payer_there(open_hub: Callable[..., Any], serve: Callable[..., RawServer], link: str) -> None:
    """Neither who creates a payment, nor who asks about it, nor who looks into the journal is given such an address."""
    hub = open_hub(serve(answer(known(PAYMENT, page=link))).url)
    found = [
        hub.create_payment("shop", PAYMENT),
        hub.fetch_payment("shop", order_id="in-1"),
        hub.find("payment", "in-1"),
    ]
    assert [(None, Status.PENDING)] * 3 == [(each.redirect_url, each.status) for each in found]


# Half a character, from a driver that reads answers otherwise.

HALF = "7\ud800"


@pytest.mark.parametrize(
    "result",
    [Payout(status=Status.SUCCEEDED, provider_id=HALF), Payout(status=Status.PENDING, reason=HALF),
     Payment(status=Status.PENDING, requisites=Requisites(kind="card", number=HALF))],
    ids=["id", "reason", "requisites"],
)  # fmt: skip
def test_half_a_character_is_no_answer(
    open_hub: Callable[..., Any], serve: Callable[..., RawServer], monkeypatch: pytest.MonkeyPatch, result: Any
) -> None:
    """What no database can hold leaves the outcome unknown, and a question without an answer."""
    kind = "payout" if isinstance(result, Payout) else "payment"
    order = PAYOUT if kind == "payout" else PAYMENT
    for name in ("payout", "payment"):
        monkeypatch.setattr(fake, name, lambda *_: result)
    hub = open_hub(serve(answer(known(order))).url)
    created = getattr(hub, f"create_{kind}")("shop", order)
    assert Status.UNKNOWN is created.status
    with pytest.raises(Unavailable):
        getattr(hub, f"fetch_{kind}")("shop", order_id=order.order_id)
    journal = getattr(hub, "hub", hub).journal
    assert State.UNKNOWN is journal.find(Key("shop", kind, order.order_id)).state


# Whatever comes.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["id", "order_id", "status", "amount", "currency", "page", "x"]), JSON))
def test_whatever_is_answered_is_an_outcome(fields: dict[str, Any]) -> None:
    """No value of any field makes a driver, the record of it, or a reader raise what is not documented."""
    body = json.dumps({**known(PAYOUT), **fields}).encode()
    kept = recorded(body, server=str(fields))
    again = msgspec.json.decode(msgspec.json.encode(kept), type=Exchange)
    assert msgspec.json.encode(jsonable(again))
    assert len(body) < MAX_BODY
    assert isinstance(repr(kept), str)
