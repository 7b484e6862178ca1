import itertools
import re

import pytest

from payhub_alikassa.sandbox import Sandbox

from .conftest import ACCOUNT, CARD, Command

PAYOUT = ("payout", ACCOUNT, "--order-id", "po-1", "--amount", "500", "--currency", "RUB")
HIDDEN = CARD[6:-4]

MISUSES = {
    "well": ("--to-card", CARD),
    "spaces": ("--to-card", " ".join(re.findall("....", CARD))),
    "dashes": ("--to-card", "-".join(re.findall("....", CARD))),
    "pieces": ("--to-card", *re.findall("....", CARD)),
    "long pieces": ("--to-card", CARD[:4], CARD[4:]),
    "no number": ("--to-card", CARD, CARD),
    "glued to the option": (f"--to-card{CARD}",),
    "as another option": ("--to-card", CARD, f"--{CARD}"),
    "as a phone": ("--to-phone", CARD),
    "as a bank account": ("--to-account", CARD),
    "as a field's name": ("--to-card", CARD, "--set", f"{CARD}=1"),
    "as a path": ("--to-card", CARD, "--set", f"to.{CARD}=1"),
    "as a field's value": ("--to-card", CARD, "--set", f"notification_endpoint_id={CARD}"),
    "without an equals sign": ("--to-card", CARD, "--set", CARD),
    "as an amount": ("--to-card", CARD, "--amount", CARD),
    "as a currency": ("--to-card", CARD, "--currency", CARD),
}


@pytest.mark.parametrize("arguments", MISUSES.values(), ids=MISUSES)
def test_no_card_number_is_shown(payhub: Command, sandbox: Sandbox, arguments: tuple[str, ...]) -> None:
    """No byte of stdout and stderr has more of a card number than its first six and last four, however it came in."""
    for form in ((), ("--json",)):
        done = payhub(*PAYOUT, *arguments, "-v", *form)
        assert HIDDEN not in re.sub(r"[ \-]", "", done.out + done.err)


FAULTS = ("cut_after_accepting", "cut_mid_body", "error_500_after_accepting", "html", "gzip", "huge_body", "redirect")


@pytest.mark.parametrize("fault", FAULTS)
def test_no_card_number_after_a_fault(payhub: Command, sandbox: Sandbox, fault: str) -> None:
    """Whatever goes wrong on the way, what is shown stays masked."""
    sandbox.arm(fault, path="/v1/payout")
    done = payhub(*PAYOUT, "--to-card", CARD, "-v")
    assert done.code in {3, 4}
    assert "411111******1111" in done.err
    assert CARD not in done.out + done.err


def test_a_provider_that_echoes_the_card(payhub: Command, sandbox: Sandbox) -> None:
    """A card number in the provider's own words is truncated in reasons and errors."""
    words: dict[str, object] = {"message": f"Card {CARD} is blocked", "errors": {"number": [f"{CARD} is blocked"]}}
    sandbox.arm("status", path="/v1/payout", status=400, body=words)
    unknown = payhub(*PAYOUT, "--to-card", CARD, "-v", "--json")
    words["errors"] = {"customer_account": [f"{CARD} is blocked"]}
    sandbox.arm("status", path="/v1/payment", status=400, body=words)
    pay = ("pay", ACCOUNT, "--order-id", "in-1", "--amount", "5", "--currency", "RUB", "--method", "card")
    declined = payhub(*pay, "--payer-id", "u-1", "--payer-ip", "203.0.113.24", "-v", "--json")
    assert (unknown.code, declined.code) == (4, 3)
    assert "411111******1111 is blocked" in unknown.json["reason"]
    assert "411111******1111 is blocked" in declined.json["error"]["message"]
    for text in itertools.chain(unknown[1:], declined[1:]):
        assert CARD not in str(text)


def test_no_secret_is_shown(payhub: Command, sandbox: Sandbox) -> None:
    """Neither the password of a key nor a signature is in what is shown."""
    password = (sandbox.config.parent / "cert" / "payout" / "password.txt").read_text("utf-8")
    shown = [payhub(*PAYOUT, "--to-card", CARD, "-v"), payhub("doctor", "-v"), payhub("balance", ACCOUNT, "-v")]
    text = "".join(done.out + done.err for done in shown)
    assert password not in text
    assert "Sign" not in text
    assert not re.search(r"[A-Za-z0-9+/]{64,}", text)
