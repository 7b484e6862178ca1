import json
import socket
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import ACCOUNT, Command, interrupted, start


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["for people", "json"])
def test_sandbox_serves_until_interrupted(payhub: Command, tmp_path: Path, form: tuple[str, ...]) -> None:
    """The sandbox writes a payhub.toml with which the other commands work, and ends well on Ctrl-C."""
    config = tmp_path / "sb" / "payhub.toml"
    with start("sandbox", "alikassa", "--dir", tmp_path / "sb", *form) as running:
        assert running.stdout
        first = running.stdout.readline()
        doctor = payhub("doctor", "--config", config)
        done = interrupted(running)
    assert (done.code, done.err, doctor.code) == (0, "", 0)
    if form:
        url = tomllib.loads(config.read_text("utf-8"))["accounts"][ACCOUNT]["base_url"]
        assert json.loads(first + done.out) == {
            "provider": "alikassa",
            "url": url,
            "config": str(config),
            "account": ACCOUNT,
            "pid": running.pid,
        }
    else:
        assert f"  payhub doctor {ACCOUNT} --config {config}\n" in done.out


def test_settings_of_the_sandbox(payhub: Command, tmp_path: Path) -> None:
    """They are set before it serves: JSON, or a text without quotes."""
    settings = ('inactive_services=["payment_card_sbp_rub_card"]', "notification_transport=form", "payout_delay=null")
    chosen = [part for setting in settings for part in ("--set", setting)]
    with start("sandbox", "alikassa", "--dir", tmp_path / "sb", *chosen) as running:
        assert running.stdout
        running.stdout.readline()
        doctor = payhub("doctor", "--config", tmp_path / "sb" / "payhub.toml")
        done = interrupted(running)
    assert (done.code, done.err) == (0, "")
    assert "13 of 14 active" in doctor.out


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("colour=red", "Object contains unknown field `colour`"),
        ("payout_delay=soon", "Expected `float | null`, got `str` - at `$.payout_delay`"),
        ("payout_delay", "Expected `float | null`, got `str` - at `$.payout_delay`"),
    ],
)
def test_a_wrong_setting_of_the_sandbox(payhub: Command, setting: str, complaint: str) -> None:
    """A setting that there is not, or that cannot be that, is named."""
    done = payhub("sandbox", "alikassa", "--dir", "sb", "--set", setting)
    assert (done.code, done.err) == (2, f"payhub: --set: {complaint}\n")


RIGID_DRIVER = """
import msgspec
from payhub import hookimpl
from payhub_alikassa import plugin
from payhub_alikassa.plugin import *

class Rigid:
    def __init__(self, directory, port): ...
    def __enter__(self): return self
    def __exit__(self, *error): ...

@hookimpl
def payhub_provider():
    return msgspec.structs.replace(plugin.payhub_provider(), name="rigid", sandbox=Rigid)
"""


def test_a_sandbox_without_settings(payhub: Command, install: Callable[..., None]) -> None:
    """A provider's sandbox need not have any."""
    install("payhub-rigid", "1.0", RIGID_DRIVER, rigid="payhub_rigid")
    done = payhub("sandbox", "rigid", "--dir", "sb", "--set", "payout_delay=null")
    assert (done.code, done.err) == (2, "payhub: --set: this sandbox has no settings\n")


def test_sandbox_of_an_unknown_provider(payhub: Command) -> None:
    """An unknown provider lists the known ones."""
    done = payhub("sandbox", "alikasa", "--dir", "sb")
    assert done.code == 2
    assert "known: alikassa" in done.err


def test_provider_without_a_sandbox(payhub: Command, install: Callable[..., None]) -> None:
    """A provider that ships no sandbox lists those that do."""
    install("payhub-fake", "1.0", fake="payhub.testing.fake")
    done = payhub("sandbox", "fake", "--dir", "sb")
    assert (done.code, done.err) == (2, "payhub: provider 'fake' ships no sandbox; these do: alikassa\n")


def test_without_the_extra(payhub: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra `server` the sandbox says which one to install."""
    for name in [name for name in sys.modules if name.startswith("payhub_alikassa.sandbox")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = payhub("sandbox", "alikassa", "--dir", "sb")
    assert (done.code, done.err) == (2, "payhub: the sandbox needs uvicorn: pip install 'payhub-core[server]'\n")


def test_port_in_use(payhub: Command) -> None:
    """A port that is taken is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = payhub("sandbox", "alikassa", "--dir", "sb", "--port", port)
    assert done.code == 2
    assert f"port {port}: Address already in use" in done.err


def test_directory_that_cannot_be_used(payhub: Command, tmp_path: Path) -> None:
    """A directory that cannot be written is named."""
    (tmp_path / "sb").write_text("a file", "utf-8")
    done = payhub("sandbox", "alikassa", "--dir", "sb")
    assert done.code == 2
    assert "the sandbox cannot start: sb: " in done.err


def test_demo(payhub: Command) -> None:
    """The demonstration takes payments, makes payouts and shows all of it in one table, without a full number."""
    done = payhub("demo")
    assert (done.code, done.err) == (0, "")
    for method in ("card, hosted", "sbp, direct", "to card", "to phone (SBP)", "to bank account"):
        assert method in done.out
    assert done.out.count("succeeded") == 6
    assert "demo-pay-card was settled by the provider's answer, asked for after its notification" in done.out
    assert "demo-out-1 submitted again: 0 requests sent; the journal says succeeded, provider id" in done.out
    assert "101061.63 RUB" in done.out
    assert "411111******1111" in done.out
    assert "4111111111111111" not in done.out
    assert max(map(len, done.out.splitlines())) <= 100


def test_demo_in_json(payhub: Command) -> None:
    """A program gets the same: orders, balance and the masked exchanges of one payout."""
    found = payhub("demo", "--json").json
    assert set(found) == {"provider", "account", "orders", "again", "balance", "exchanges"}
    assert (found["again"]["sent"], found["again"]["status"]) == (0, "succeeded")
    assert {order["status"] for order in found["orders"]} == {"succeeded"}
    assert [order["settled_by"] for order in found["orders"]] == ["notification", *["asking"] * 4]
    assert found["exchanges"][0]["request"]["number"] == "411111******1111"
    assert found["exchanges"][0]["phase"] == "answered"
    assert "paid" in {exchange["response"]["payment_status"] for exchange in found["exchanges"]}  # it was asked about


IMPATIENT_DRIVER = """
from pathlib import Path
import msgspec
from payhub import hookimpl
from payhub_alikassa import plugin
from payhub_alikassa.plugin import *
from payhub_alikassa.sandbox import Sandbox, Settings

def sandbox(directory, port):
    return Sandbox(directory, port, settings=Settings(payout_delay={delay}))

@hookimpl
def payhub_provider():
    return msgspec.structs.replace(plugin.payhub_provider(), name="other", sandbox=sandbox)
"""


def test_demo_of_another_provider_that_never_ends(
    payhub: Command, install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A payout that does not become final ends the demonstration with exit 3."""
    install("payhub-other", "1.0", IMPATIENT_DRIVER.format(delay=None), other="payhub_other")
    monkeypatch.setattr("payhub.cli.demo.PATIENCE", 0.5)
    done = payhub("demo", "other")
    assert done.code == 3
