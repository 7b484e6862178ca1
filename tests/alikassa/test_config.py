"""An account's table is checked as a whole, and no message shows a secret."""

from pathlib import Path
from typing import Any

import pytest

from payhub import ConfigurationError, Hub, Service
from payhub_alikassa.account import AliKassaAccount
from payhub_alikassa.config import AliKassaConfig, PaymentServices, PayoutServices
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
