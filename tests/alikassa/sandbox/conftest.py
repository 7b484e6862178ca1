"""One running sandbox for all tests, as good as new for each."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from payhub_alikassa.sandbox import Sandbox, Settings

from .merchant import Merchant
from .receiver import PATIENCE, Receiver, receiving

CALM = Settings(payout_delay=None, notification_timeout=PATIENCE)


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory of the keys."""
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture(scope="session")
def running(directory: Path) -> Iterator[Sandbox]:
    """Start the sandbox once."""
    with Sandbox(directory) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    """Give the sandbox without orders or faults; payouts wait until they are settled, and endpoints have time."""
    running.configure(**msgspec.to_builtins(CALM))
    running.reset()
    return running


@pytest.fixture(scope="session")
def lasting_merchant(running: Sandbox, directory: Path) -> Iterator[Merchant]:
    """Load the keys and open the connection once."""
    merchant = Merchant(directory, running.url)
    with merchant.client:
        yield merchant


@pytest.fixture
def merchant(sandbox: Sandbox, lasting_merchant: Merchant) -> Merchant:
    """Give a merchant who holds the keys, before a sandbox as good as new."""
    del sandbox
    return lasting_merchant


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Serve an endpoint that keeps what it is sent."""
    with receiving() as receiver:
        yield receiver
