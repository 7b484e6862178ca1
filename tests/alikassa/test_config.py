"""An account's table is checked as a whole, and no message shows a secret."""

from pathlib import Path
from typing import Any

import pytest

from payhub import ConfigurationError, Hub, Service
from payhub_alikassa.account import AliKassaAccount
from payhub_alikassa.config import AliKassaConfig, PaymentServices, PayoutServices
from payhub_alikassa.signing import load_verifier
from tests.alikassa.orders import UUID, config

TABLE = {"provider": "alikassa", "account": UUID, "currency": "RUB", "payout_cert": "cert/payout"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"account": "not-a-uuid"}, "account"),
        ({"currency": "rub"}, "currency"),
        ({"base_url": "http://api-merchant.alikassa.com"}, "https"),
        ({"base_url": "https://u:p@api-merchant.alikassa.com"}, "base_url"),
        ({"base_url": "https://api-merchant.alikassa.com/?x=1"}, "base_url"),
        ({"base_url": "https://api-merchant.alikassa.com/v1"}, "base_url: give scheme and host only"),
        ({"base_url": "https://api-merchant.alikassa.com\n"}, "base_url: not a URL"),
        ({"payout_cert": None}, "payment_cert or payout_cert"),
        ({"digest": "md5"}, "digest"),
        ({"payout_passwort": "hunter2"}, "payout_password"),
        ({"payout_cert": "nowhere"}, "nowhere: private.pem cannot be read"),
        ({"payout_services": {"cart": "x"}}, "cart"),
        ({"payout_services": {"card": "x y"}}, "payout_services.card"),
        ({"payout_password": {"env": "PAYHUB_TEST_UNSET"}}, "PAYHUB_TEST_UNSET is not set"),
    ],
    ids=repr,
)
def test_a_wrong_table_is_refused_by_key(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Each mistake in the table names its key, and no value that could be a secret."""
    table = {key: value for key, value in {**TABLE, **change}.items() if value is not None}
    hub = Hub.from_mapping({"accounts": {"ak": table}}, base=tmp_path)
    with hub, pytest.raises(ConfigurationError) as error:
        hub.fetch_balance("ak")
    assert (words in str(error.value), "hunter2" in str(error.value)) == (True, False)


NEW, OLD = (Path(__file__).parent / "vectors/cert" / name / "public.pem" for name in ("payment", "notification"))


@pytest.fixture
def table(archive: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Make an account's table, with a key of the environment's."""
    monkeypatch.setenv("PAYHUB_TEST_KEY", str(OLD))
    return {**TABLE, "payout_cert": str(archive())}


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        (str(OLD), [OLD]),
        ([str(OLD)], [OLD]),
        ([str(NEW), str(OLD)], [NEW, OLD]),
        ((str(NEW), {"env": "PAYHUB_TEST_KEY"}), [NEW, OLD]),
        ({"env": "PAYHUB_TEST_KEY"}, [OLD]),
        (["payment/public.pem", "notification/public.pem"], [NEW, OLD]),
    ],
    ids=["one", "a list of one", "two", "one of the environment's", "only the environment's", "relative"],
)
def test_notifications_may_have_several_keys(table: dict[str, Any], configured: object, expected: list[Path]) -> None:
    """One key file or a list of them, each given as any path is; they keep their order."""
    tables = {"accounts": {"ak": {**table, "notification_key": configured}}}
    with Hub.from_mapping(tables, base=OLD.parents[1]) as hub:
        opened: Any = hub.registry.account("ak").driver
    assert [each.fingerprint for each in opened.verifiers()] == [
        load_verifier(path, "sha1").fingerprint for path in expected
    ]


@pytest.mark.parametrize("configured", [None, [], ()])
def test_without_a_key_notifications_are_refused(table: dict[str, Any], configured: object) -> None:
    """An account without a key works, but for notifications: the field that is missing is named."""
    tables = {"ak": {**table, **({} if configured is None else {"notification_key": configured})}}
    with Hub.from_mapping({"accounts": tables}) as hub:
        opened: Any = hub.registry.account("ak").driver
    with pytest.raises(ConfigurationError, match=r"^accounts\.ak: notifications need notification_key"):
        opened.verifiers()


PRIVATE = "-----BEGIN PRIVATE KEY-----\nhunter2/hunter2\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("no/such.pem", "such.pem cannot be read: No such file"),
        ("secret.pem", "secret.pem: not a public key in PEM form"),
        ("", "cannot be read: Is a directory"),
        (PRIVATE, "give the path of a file, not what is in it"),
        ("public.pem\0", "give the path of a file, not what is in it"),
        ({"env": "PAYHUB_TEST_UNSET"}, "the environment variable PAYHUB_TEST_UNSET is not set"),
        ({"file": "no/such"}, "cannot be read"),
        ({"hunter2": "hunter2"}, ""),
        (5, ""),
        (None, ""),
        ([str(OLD)], ""),
    ],
    ids=repr,
)
def test_a_key_that_cannot_be_used_is_named_by_its_number(
    table: dict[str, Any], second: object, words: str, tmp_path: Path
) -> None:
    """Of several keys the one that is wrong is named by its place in the list, from 0, and no secret is quoted."""
    (tmp_path / "secret.pem").write_text(PRIVATE)
    tables = {"accounts": {"ak": {**table, "notification_key": [str(OLD), second]}}}
    with Hub.from_mapping(tables, base=tmp_path) as hub, pytest.raises(ConfigurationError) as error:
        hub.registry.account("ak")
    text = str(error.value)
    expected = (True, True, False)
    assert (text.startswith("accounts.ak.notification_key[1]: "), words in text, "hunter2" in text) == expected


def test_no_repr_shows_a_password() -> None:
    """Passwords and the like are hidden in every repr."""
    shown = repr(config(payout_password="hunter2", payment_password="hunter2"))
    assert ("hunter2" in shown, "[hidden]" in shown) == (False, True)


def test_the_defaults_are_the_documents() -> None:
    """Without more words an account speaks SHA-1 to the documented host."""
    made = AliKassaConfig(name="ak", provider="alikassa", account=UUID, currency="RUB")
    assert (made.base_url, made.digest) == ("https://api-merchant.alikassa.com", "sha1")


def test_the_configured_services_are_listed_for_the_doctor(archive: Any) -> None:
    """What the configuration names can be compared with what the provider says is active."""
    services: dict[str, Any] = {
        "payment_services": PaymentServices(card_direct="payment_card_number_rub_card"),
        "payout_services": PayoutServices(card="payment_card_rub"),
    }
    account = AliKassaAccount(config(payout_cert=archive(), **services))
    assert account.services() == (
        Service(kind="payment", code="payment_card_number_rub_card", currency="RUB", active=True),
        Service(kind="payout", code="payment_card_rub", currency="RUB", active=True),
    )
    assert repr(account) == "AliKassaAccount('ak')"


def test_an_account_is_its_uuid_and_its_host() -> None:
    """Another uuid or host is another account; another digest or spelling is not."""
    mine = config().identity
    same = [{"account": UUID.upper()}, {"digest": "sha256"}, {"base_url": f"{config().base_url}/"}]
    other = [{"account": f"{UUID[:-1]}1"}, {"base_url": "https://api-merchant.alikassa.io"}]
    assert {mine} == {config(**fields).identity for fields in same}
    assert 3 == len({mine, *(config(**fields).identity for fields in other)})
