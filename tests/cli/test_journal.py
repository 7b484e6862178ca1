import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from payhub_alikassa.sandbox import Sandbox

from .conftest import ACCOUNT, CARD, Command

PROGRAM = Path(sys.executable).with_name("payhub")
PAYOUT = ("payout", ACCOUNT, "--order-id", "po-1", "--amount", "500", "--currency", "RUB", "--to-card", CARD)


def test_the_same_order_again_sends_nothing(payhub: Command, sandbox: Sandbox) -> None:
    """With a journal a command that is repeated answers what is known, and pays once."""
    first, again = payhub(*PAYOUT, "--json"), payhub(*PAYOUT, "--json")
    assert first.code == again.code == 0
    assert first.json["provider_id"] == again.json["provider_id"]
    assert sandbox.requests("/v1/payout") == 1


def test_another_order_under_the_same_id_is_refused(payhub: Command, sandbox: Sandbox) -> None:
    """With a journal an order_id stands for one order: another one is exit 3, and not sent."""
    payhub(*PAYOUT)
    done = payhub(*PAYOUT, "--amount", "501", "--json")
    assert (done.code, done.json["error"]["type"]) == (3, "OrderConflict")
    assert sandbox.requests("/v1/payout") == 1


def test_no_card_number_in_the_journal(payhub: Command, sandbox: Sandbox) -> None:
    """What the command keeps has no full card number."""
    payhub(*PAYOUT)
    kept = b"".join(path.read_bytes() for path in sandbox.config.parent.glob("payhub.db*"))
    assert (b"po-1" in kept, CARD.encode() in kept) == (True, False)


def test_rule_1_creating_wants_a_journal(
    payhub: Command, sandbox: Sandbox, write_config: Callable[[str], Path]
) -> None:
    """An order that would be forgotten when the command ends is not sent; what to write is said: exit 2."""
    accounts = sandbox.config.read_text("utf-8").partition("\n\n")[2]
    config = write_config(accounts.replace('"cert', f'"{sandbox.config.parent}/cert'))
    words = (
        "payhub: without a journal this order is forgotten when the command ends, and may be paid twice: write "
        '[journal] and url = "sqlite:///payhub.db" into the configuration, or give --without-journal\n'
    )
    for _ in range(2):
        done = payhub(*PAYOUT, "--config", config)
        assert (done.code, done.out, done.err) == (2, "", words)
    assert sandbox.requests("/v1/payout") == 0


@pytest.mark.parametrize(
    ("arguments", "warned"), [((*PAYOUT, "--without-journal"), True), (("balance", ACCOUNT), False)]
)
def test_creating_without_a_journal_is_warned_of(
    sandbox: Sandbox, write_config: Callable[[str], Path], arguments: tuple[str, ...], warned: bool
) -> None:
    """Only a command that creates an order warns that nothing is remembered."""
    accounts = sandbox.config.read_text("utf-8").partition("\n\n")[2]
    config = write_config(accounts.replace('"cert', f'"{sandbox.config.parent}/cert'))
    command = [str(PROGRAM), *arguments, "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ("payhub.journal_in_memory" in done.stderr) == warned
