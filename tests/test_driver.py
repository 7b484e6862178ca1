import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhub.driver import AccountConfig, Call, Capabilities, Creating, Offer, Response, insecure

SECRET = "sesame-open"


def call(**fields: object) -> Call:
    return Call(**{"operation": "create_payout", "url": "https://pay.example/x", "moves_money": True, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä", "a\x00"])
def test_header_names_are_tokens(name: str) -> None:
    """A header name that could smuggle in another line is refused."""
    with pytest.raises(ValueError, match=r"^header: not a valid name$"):
        call(headers={name: "x"})


@pytest.mark.parametrize("value", ["", " ", " x", "x ", "a\r\nX: b", "a\nb", "a\rb", "a\x00b", "ä", "a\tb", "x\n"])
def test_header_values_are_one_line(value: str) -> None:
    """A header value that could smuggle in another line is refused, and not quoted."""
    with pytest.raises(ValueError, match=r"^header authorization: the value is empty or has characters that a header"):
        call(headers={"authorization": value})


@pytest.mark.parametrize("method", ["", "PO ST", "GET / HTTP/1.1\r\nHost: x", "GET\n"])
def test_methods_are_tokens(method: str) -> None:
    """A method that could smuggle in another line is refused."""
    with pytest.raises(ValueError, match=r"^method: not a valid name$"):
        call(method=method)


@given(st.text(), st.text())
def test_a_call_has_no_header_of_two_lines(name: str, value: str) -> None:
    """Whatever a driver puts into a header, it is one line of printable ASCII or refused."""
    try:
        made = call(headers={name: value})
    except ValueError:
        return
    allowed = set(string.printable) - set("\t\r\n\x0b\x0c")
    assert ({name: value}, True) == (made.headers, set(name + value) <= allowed)


@pytest.mark.parametrize(
    "thing",
    [
        call(headers={"sign": SECRET}, body=SECRET.encode(), url=f"https://u:{SECRET}@pay.example/?k={SECRET}"),
        Response(status=200, headers={"set-cookie": SECRET}, body=SECRET.encode()),
    ],
    ids=["call", "response"],
)
def test_rule_12_no_repr_shows_what_is_sent(thing: object) -> None:
    """Rule 12: neither headers nor bodies show in the repr of a call or a response."""
    assert SECRET not in repr(thing)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://pay.example/x", None),
        ("http://127.0.0.1:8000", None),
        ("http://127.8.9.1", None),
        ("http://[::1]:8000", None),
        ("http://localhost:1", None),
        ("http://pay.example", "plain http is allowed to this machine only; use https"),
        ("http://127.0.0.1@pay.example", "plain http is allowed to this machine only; use https"),
        ("http://127.0.0.1.pay.example", "plain http is allowed to this machine only; use https"),
        ("http://localhost.pay.example", "plain http is allowed to this machine only; use https"),
        ("http://10.0.0.1", "plain http is allowed to this machine only; use https"),
        ("http://0.0.0.0", "plain http is allowed to this machine only; use https"),
        ("http://2130706433", "plain http is allowed to this machine only; use https"),
        ("ftp://127.0.0.1", "not an http or https URL"),
        ("file:///etc/passwd", "not an http or https URL"),
        ("https://", "not an http or https URL"),
        ("pay.example", "not an http or https URL"),
        ("", "not an http or https URL"),
        ("https://[", "not a URL"),
    ],
)
def test_where_bytes_may_go(url: str, expected: str | None) -> None:
    """Bytes go by https anywhere, and by plain http to this machine only."""
    assert expected == insecure(url)


@given(st.text())
def test_any_url_is_judged(url: str) -> None:
    """Whatever is configured as a URL is judged, and never raises."""
    assert insecure(url) is None or isinstance(insecure(url), str)


@pytest.mark.parametrize("method", ["CONNECT", "connect"])
def test_a_call_asks_no_proxy(method: str) -> None:
    """CONNECT is what is said to a proxy: such a call could not be told from one that was not sent yet."""
    with pytest.raises(ValueError, match="CONNECT is for proxies"):
        call(method=method)


def test_capabilities_default_to_the_unsafe_reading() -> None:
    """What a driver does not say is not supported, and refuses nothing for good."""
    offer = Offer(method="card", currencies=frozenset({"RUB"}))
    assert ({}, {}) == (Capabilities().create, Capabilities().fetch)
    assert frozenset() == Creating(offers=(offer,)).refusals


def test_the_schedule_of_a_driver_that_says_none() -> None:
    """The first question comes after 5 seconds, none waits longer than an hour, and after a week a person looks."""
    schedule = Capabilities().schedule
    assert (5.0, 1.7, 3600.0, 604800.0) == (schedule.first, schedule.growth, schedule.longest, schedule.until)


def test_rule_12_fields_of_a_configuration_are_hidden_unless_declared() -> None:
    """Rule 12: a driver's configuration shows only the fields that it declares clear."""

    class Config(AccountConfig, frozen=True, kw_only=True):
        password: str

    shown = repr(Config(name="a", provider="p", password=SECRET))
    assert (True, True, False) == ("name='a'" in shown, "password='[hidden]'" in shown, SECRET in shown)
