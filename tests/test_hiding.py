import json
import pprint
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from rich.pretty import pretty_repr

from payhub import ConfigurationError, Hub, Money
from payhub.driver import Response
from payhub.masking import HIDDEN, Clear, MaskedStruct, Name, hide, mask_json, mask_json_part
from payhub.masking.hidden import HiddenText
from payhub_alikassa.account import AliKassaAccount
from tests.alikassa.orders import config
from tests.loud import Heard

SESAME = "sesame " * 30
VALUES: list[Any] = [SESAME, SESAME.encode(), {"password": SESAME, SESAME: 1}, [SESAME], "", {}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("around", [lambda value: value, lambda value: {"x": [value]}], ids=["alone", "inside"])
def test_nothing_is_shown(value: object, around: Any) -> None:
    """Neither `repr` nor pprint nor rich shows a hidden value, alone or in something else, long or short."""
    shown = around(hide(value))
    for text in (repr(shown), pprint.pformat(shown), pretty_repr(shown, max_string=20), f"{shown!r}"):
        assert "sesame" not in text


def as_sentry(value: Any) -> str:
    """Show a value as Sentry's serializer does: what is in dicts and lists, whatever their own repr says."""
    if hasattr(value, "__sentry_repr__"):
        return str(value.__sentry_repr__())
    match value:
        case dict():
            return "".join(f"{as_sentry(name)}={as_sentry(each)}" for name, each in value.items())
        case list() | tuple():
            return "".join(map(as_sentry, value))
    return repr(value)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_sentry_is_shown_nothing(value: object) -> None:
    """A tracker of errors that looks into the local variables of every frame finds that something is hidden."""
    assert HIDDEN == as_sentry(hide(value))


MISTAKES: list[dict[str, Any]] = [
    {"transport": {"deadlin": 10}},
    {"journal": {"key": SESAME, "url": "sqlite:///x.db", "lease": 1}},
    {"accounts": {"a": {"provider": "alikassa", "payout_password": SESAME, "curency": "RUB"}}},
    {"accounts": {"a": {"provider": "alikassa", "payout_password": {"env": "SESAME"}, "digest": "md5"}}},
    {"transport": {"client_password": SESAME, "client_cert": "none.pem"}},
]


@pytest.mark.parametrize("tables", MISTAKES, ids=["unknown key", "lease", "account", "environment", "certificate"])
def test_a_mistake_in_the_configuration_shows_no_secret(
    tables: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In no frame of payhub's own, of a configuration that is refused, is a secret that Sentry would find."""
    monkeypatch.setenv("SESAME", SESAME)
    secret = {"key": SESAME, "url": "sqlite:///y.db"}
    with pytest.raises(ConfigurationError) as caught:
        Hub.from_mapping({"journal": secret, **tables}).registry.account("a")
    frames = [each.tb_frame for each in tracebacks(caught.value.__traceback__)]
    ours = [frame for frame in frames if str(frame.f_globals.get("__name__", "")).startswith("payhub")]
    assert ours
    assert [] == [name for frame in ours for name, value in frame.f_locals.items() if "sesame" in as_sentry(value)]


def tracebacks(trace: Any) -> Iterator[Any]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_hidden_value_is_the_same_value(value: object) -> None:
    """It is equal to the plain one, and of its type."""
    assert (value, True) == (hide(value), isinstance(hide(value), type(value)))


@pytest.mark.parametrize("value", [None, 7, Decimal("1.5"), True])
def test_what_holds_no_text_stays_as_it_is(value: object) -> None:
    """Numbers and nothing are not hidden."""
    assert value is hide(value)


def test_a_plain_text_is_made_again() -> None:
    """`str` gives the plain text back."""
    assert (str, "sesame") == (type(str(HiddenText("sesame"))), str(HiddenText("sesame")))


class Shape(MaskedStruct, frozen=True):
    id: Clear[str] = ""
    holder: Name[str] = ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"id": "7", "holder": "IVAN IVANOV", "pin": 12', '{"id": "7", "holder": "I*** I*****", "pin": "[hidden]"'),
        ('{"id": "7", "holder": "IVAN', '{"id": "7", "holder": "[hidden]"'),
        ('[{"holder": "IV\\u0041N"}, {"x": {"holder": "I', '[{"holder": "I***"}, {"x": {"holder": "[hidden]"'),
        ('{"id": "a \\" b", "ho', '{"id": "a \\" b", "ho'),
        ('{"id"', '{"id"'),
    ],
)
def test_half_a_json_text_is_masked_by_its_names(text: str, expected: str) -> None:
    """Of an answer that was cut, each value is shown as that of a whole one would be; the cut one is hidden."""
    assert expected == mask_json_part(text, Shape)


def test_a_long_text_is_no_id() -> None:
    """A clear field shows ids and amounts; what is longer is somebody's words, and may quote anything."""
    said = f"{'x ' * 50} phone 79031112233, Sign: {'aB3' * 100}"
    shown: Any = mask_json({"id": said, said: 1, "holder": ""}, Shape)
    assert "79031112233" not in json.dumps(shown)
    assert "aB3aB3" not in json.dumps(shown)
    assert {"id": "x" * 100} == mask_json({"id": "x" * 100}, Shape)


# What is half made when a traceback shows it.


def test_an_amount_that_is_refused_can_be_shown() -> None:
    """The repr of an amount that is being refused fails nothing and quotes nothing."""
    heard = Heard()
    heard.attempt(Money, "4111 1111", "RUB")
    assert ("InvalidMoney", True) == (heard.errors[0][0], any("Money('str', 'RUB')" in f.shown for f in heard.frames))


def test_an_account_that_cannot_be_opened_can_be_shown() -> None:
    """The repr of an account that is being refused fails nothing."""
    heard = Heard()
    heard.attempt(AliKassaAccount, config(payout_cert=None))
    assert (ConfigurationError.__name__, True) == (heard.errors[0][0], any("'ak'" in f.shown for f in heard.frames))


def test_a_response_hides_what_it_holds() -> None:
    """An answer in a local variable shows its status only."""
    assert f"Response(status=200, headers={HIDDEN!r}, body={HIDDEN!r})" == repr(
        Response(status=200, headers={"set-cookie": "sesame"}, body=msgspec.json.encode("sesame"))
    )
