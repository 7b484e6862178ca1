"""Give the driver's tests real keys, a real sandbox and a hub in both modes."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from vcr import VCR
from vcr.serializers import yamlserializer

from payhub_alikassa.sandbox import Sandbox
from tests.conftest import in_mode

ACCOUNT = "alikassa-rub"


def openssl(*arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the openssl command, the independent party of the signature tests."""
    return subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=False)


@pytest.fixture(scope="session")
def rsa_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one RSA key of 2048 bits, not encrypted, for the session."""
    path = tmp_path_factory.mktemp("key") / "key.pem"
    assert openssl("genrsa", "-out", path, 2048).returncode == 0
    return path


@pytest.fixture
def archive(tmp_path: Path, rsa_key: Path) -> Callable[..., Path]:
    """Return a maker of unpacked certificate archives, as the cabinet gives them."""

    def make(form: str = "pkcs8", password: bytes | None = b"secret-pass", key: Path = rsa_key) -> Path:
        folder = tmp_path / f"cert-{form}"
        folder.mkdir()
        encrypt = ["-aes256", "-passout", f"pass:{password.decode().strip()}"] if password and form != "plain" else []
        traditional = ["-traditional"] if form == "legacy" else []
        done = openssl("rsa", "-in", key, *traditional, *encrypt, "-out", folder / "private.pem")
        assert done.returncode == 0, done.stderr
        assert openssl("rsa", "-in", key, "-pubout", "-out", folder / "public.pem").returncode == 0
        if password is not None:
            (folder / "password.txt").write_bytes(password)
        return folder

    return make


def open_hub(mode: str, config: Path) -> Iterator[Any]:
    """Open a hub in a mode and close it."""
    with in_mode(mode, lambda hub: hub.from_file(config)) as opened:
        yield opened


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Serve one sandbox for the session."""
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served: Sandbox) -> Sandbox:
    """Return the session's sandbox with empty books and no faults, and its configuration without a journal.

    The journal's own tests are in tests/journal; here each hub forgets its orders.
    """
    served.reset()
    served.config.write_text(re.sub(r"(?s)\[journal\].*?\n\n", "", served.config.read_text()))
    return served


@pytest.fixture(params=["sync", "async"])
def hub(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Any]:
    """Open a hub on the sandbox, in both modes."""
    yield from open_hub(request.param, sandbox.config)


class SaidToBeSimulated:
    """A serialiser that writes cassettes as YAML, under a line that says what they are."""

    NOTE = "# Recorded against payhub's local AliKassa, a simulation made from documents; masked.\n"

    @classmethod
    def serialize(cls, cassette: dict[str, Any]) -> str:
        """Write a cassette."""
        return cls.NOTE + str(yamlserializer.serialize(cassette))

    @staticmethod
    def deserialize(text: str) -> dict[str, Any]:
        """Read a cassette."""
        cassette: dict[str, Any] = yamlserializer.deserialize(text)
        return cassette


def pytest_recording_configure(config: pytest.Config, vcr: VCR) -> None:
    """Let cassettes say that they were recorded against a simulation."""
    vcr.register_serializer("said-to-be-simulated", SaidToBeSimulated)
