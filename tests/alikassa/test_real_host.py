"""What was made to play with is refused before anything is sent to a real host."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from payhub import ConfigurationError
from payhub_alikassa.account import AliKassaAccount
from payhub_alikassa.config import SAMPLE_ACCOUNT
from payhub_alikassa.sandbox import Sandbox
from payhub_alikassa.sandbox.records import Account
from tests.alikassa.orders import config
from tests.tree import ROOT

REAL = "https://api-merchant.alikassa.com"
HERE = "http://127.0.0.1:9"


@pytest.fixture
def sandbox_keys(served: Sandbox) -> Path:
    """Give the folder of a sandbox's certificates, where the sandbox has made it."""
    return served.config.parent / "cert"


def test_the_sample_account_is_refused(archive: Any) -> None:
    """The uuid of the documents is nobody's: with a real host it is refused, in capitals, too."""
    assert Account().uuid == SAMPLE_ACCOUNT
    assert SAMPLE_ACCOUNT in (ROOT / "docs" / "going-live.md").read_text("utf-8")
    keys = {"payout_cert": archive()}
    for uuid in (SAMPLE_ACCOUNT, SAMPLE_ACCOUNT.upper()):
        with pytest.raises(ConfigurationError, match=r"accounts\.ak: account: the one of the documents"):
            AliKassaAccount(config(account=uuid, **keys, base_url=REAL))
        AliKassaAccount(config(account=uuid, **keys, base_url=HERE))


@pytest.mark.parametrize(
    ("key", "path"),
    [("payment_cert", "payment"), ("payout_cert", "payout"), ("notification_key", "notification/public.pem")],
)
def test_a_sandboxes_keys_are_refused(archive: Any, sandbox_keys: Path, key: str, path: str) -> None:
    """Each key that lies where a sandbox has made it is named, and no real host ever sees what it signs."""
    made = (sandbox_keys / path,) if key == "notification_key" else sandbox_keys / path
    keys = {"payout_cert": archive(), key: made}
    with pytest.raises(ConfigurationError, match=rf"accounts\.ak: {key}: a sandbox's key"):
        AliKassaAccount(config(**keys, base_url=REAL))
    AliKassaAccount(config(**keys, base_url=HERE))


@pytest.mark.parametrize("key", ["payment_cert", "payout_cert"])
@pytest.mark.parametrize("given", ["in its file", "in the configuration"])
def test_a_copy_of_a_sandboxes_key_is_refused(sandbox_keys: Path, tmp_path: Path, key: str, given: str) -> None:
    """A private key of a sandbox is known by its password, wherever it was copied to; the password is not quoted."""
    copy = shutil.copytree(sandbox_keys / key.removesuffix("_cert"), tmp_path / "own" / "cert")
    password = (copy / "password.txt").read_text()
    fields: dict[str, Any] = {"payout_cert": copy, key: copy}
    if given == "in the configuration":
        (copy / "password.txt").unlink()
        fields |= {f"{name}_password": password for name in ("payment", "payout")}
    with pytest.raises(ConfigurationError, match="a sandbox's key") as error:
        AliKassaAccount(config(**fields, base_url=REAL))
    assert password not in str(error.value)
    AliKassaAccount(config(**fields, base_url=HERE))
