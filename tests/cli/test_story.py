"""How orders are found, followed, and in part forgotten: find, logs, journal prune and forget."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from payhub_alikassa.sandbox import Sandbox

from .conftest import ACCOUNT, CARD, PAYER, Command, interrupted, start, wait_for

PAYOUT = ("payout", ACCOUNT, "--order-id", "po-1", "--amount", "500", "--currency", "RUB", "--to-card", CARD)
PAYMENT = ("pay", ACCOUNT, "--order-id", "in-1", "--amount", "3000", "--currency", "RUB", "--method", "card", *PAYER)
TODAY = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"


def ids(payhub: Command, *arguments: str) -> list[str]:
    return [order["order_id"] for order in payhub("find", *arguments, "--json").json["orders"]]


# find


def test_an_order_is_found_by_what_a_customer_knows(payhub: Command, sandbox: Sandbox) -> None:
    """The last four, amount and day, for a person and for a program."""
    payhub(*PAYOUT)
    criteria = ("--last4", "1111", "--amount", "500", "--currency", "RUB", "--day", TODAY)
    shown = payhub("find", *criteria)
    assert (0, ["po-1"]) == (shown.code, ids(payhub, *criteria))
    for words in ("po-1", "card …1111", "500.00 RUB"):
        assert words in shown.out
    assert CARD not in shown.out


def test_an_order_is_found_by_the_providers_id(payhub: Command, sandbox: Sandbox) -> None:
    """The provider's support knows its own id."""
    found = payhub(*PAYOUT, "--json").json["provider_id"]
    assert ["po-1"] == ids(payhub, "--provider-id", found)


@pytest.mark.usefixtures("sandbox")
def test_nothing_found_is_exit_6(payhub: Command) -> None:
    """A script can tell it from a mistake and from a defect."""
    done = payhub("find", "--last4", "9999")
    assert (6, "none\n") == (done.code, done.out)


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say what to look for: --provider-id, --last4, --amount with --currency, --day"),
        (("--amount", "500"), "--amount and --currency go together"),
        (("--amount", "1e3", "--currency", "RUB"), "--amount: "),
        (("--day", "today"), "--day: not a date, as 2026-01-31"),
        (("--last4", "11"), "--last4: four characters are needed\n"),
        (("--last4", CARD), "--last4: four characters are needed\n"),
    ],
)
def test_what_cannot_be_looked_for(payhub: Command, arguments: tuple[str, ...], words: str) -> None:
    """The option is named: exit 2."""
    done = payhub("find", *arguments)
    assert 2 == done.code
    assert done.err.startswith(f"payhub: {words}")


@pytest.mark.parametrize("columns", [45, 60, 95, 100, 120, 200])
def test_no_id_is_broken(payhub: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """However narrow the terminal: an id is copied whole, and no line is longer than it."""
    found = payhub(*PAYOUT, "--order-id", "a-long-order-id-of-27-chars", "--json").json["provider_id"]
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = payhub("find", "--last4", "1111").out
    words = {"a-long-order-id-of-27-chars", found, ACCOUNT, TODAY, "500.00", "…1111", "pending"}
    assert (set(), True) == (words - set(shown.split()), max(map(len, shown.splitlines())) <= columns)


# logs


def test_the_newest_exchanges_are_shown(payhub: Command, sandbox: Sandbox) -> None:
    """As they are kept: masked, in order, no more than asked for."""
    for command in (PAYOUT, ("check", ACCOUNT, "payout", "po-1")):
        payhub(*command)
    shown, one = payhub("logs"), payhub("logs", "--limit", "1", "--json")
    assert shown.out.index("/v1/payout:") < shown.out.index("/v1/payout/status:")
    assert "411111******1111" in shown.out
    assert "fetch_payout" == json.loads(one.out)["exchange"]["operation"]


def test_exchanges_are_followed(payhub: Command, sandbox: Sandbox) -> None:
    """Each is shown when it is kept, also one of another process; Ctrl-C ends it."""
    payhub(*PAYOUT)
    with start("logs", "--follow", "--json", "--config", sandbox.config) as running:
        assert running.stdout
        first = json.loads(running.stdout.readline())
        payhub("check", ACCOUNT, "payout", "po-1")
        second = json.loads(running.stdout.readline())
        done = interrupted(running)
    operations = [each["exchange"]["operation"] for each in (first, second)]
    assert (["create_payout", "fetch_payout"], "") == (operations, done.out)


# journal prune and forget


def configured(sandbox: Sandbox, tmp_path: Path, line: str) -> Path:
    """Write the sandbox's configuration with one more line under [journal]."""
    text = sandbox.config.read_text("utf-8").replace("[journal]\n", f"[journal]\n{line}\n")
    changed = sandbox.config.with_name("pruning.toml")
    changed.write_text(text, "utf-8")
    return changed


def exchanges(payhub: Command, order: str) -> list[Any]:
    return [each for each in payhub("trace", order, "--json").json["story"] if each["what"] == "exchange"]


def test_old_exchanges_are_pruned(payhub: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    """Those of closed orders, once they are older than `keep_exchanges`."""
    payhub(*PAYOUT)
    sandbox.settle("payout", "po-1")
    payhub("check", ACCOUNT, "payout", "po-1")
    config = configured(sandbox, tmp_path, 'keep_exchanges = "1s"')
    wait_for(lambda: payhub("journal", "prune", "--config", config).code == 0 and not exchanges(payhub, "po-1"))
    kept = configured(sandbox, tmp_path, 'keep_exchanges = "400d"')
    assert "0 exchanges from before" in payhub("journal", "prune", "--config", kept).out


@pytest.mark.usefixtures("sandbox")
def test_without_a_term_nothing_is_pruned(payhub: Command) -> None:
    """How long to keep is the configuration's to say."""
    done = payhub("journal", "prune")
    assert (2, True) == (done.code, "keep_exchanges" in done.err)


def test_a_payer_is_forgotten(payhub: Command, sandbox: Sandbox) -> None:
    """When the payment is closed; the facts of money stay."""
    payhub(*PAYMENT)
    waiting = payhub("journal", "forget", "--payer", "u-881", "--json")
    assert {"forgotten": 0, "open": 1} == waiting.json
    sandbox.settle("payment", "in-1")
    payhub("check", ACCOUNT, "payment", "in-1")
    done = payhub("journal", "forget", "--payer", "u-881")
    assert (0, True) == (done.code, done.out.startswith("1 orders: "))
    trace = payhub("trace", "in-1", "--json").json
    assert ("succeeded", "3000.00", []) == (
        trace["orders"][0]["state"], trace["orders"][0]["paid"]["amount"], exchanges(payhub, "in-1")
    )  # fmt: skip


def test_a_payer_whom_the_journal_does_not_have(payhub: Command, sandbox: Sandbox) -> None:
    """A mistyped id is not counted as a payer who was forgotten."""
    payhub(*PAYMENT)
    done, counted = (payhub("journal", "forget", "--payer", "u-818", *form) for form in ((), ("--json",)))
    words = "nothing was erased: the journal has no payment of this payer, or they were erased before"
    assert (done.code, done.out) == (0, f"{words}\n")
    assert {"forgotten": 0, "open": 0} == counted.json


@pytest.mark.usefixtures("sandbox")
def test_nobody_is_forgotten_with_another_key(payhub: Command, sandbox: Sandbox) -> None:
    """With another key than the journal's no payer would be found: the message says so, and not that there is none."""
    payhub(*PAYMENT)
    sandbox.config.with_name("payhub.key").write_text("another" * 5)
    done = payhub("journal", "forget", "--payer", "u-881")
    assert (done.code, "it is not the key that this journal was begun with" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("forget",), "Missing option '--payer'."),
        (("prune", "--payer", "u-881"), "No such option: --payer"),
        (("init", "--payer", "u-881"), "No such option: --payer"),
        ((), "Missing command."),
    ],
)
def test_only_to_forget_needs_a_payer(payhub: Command, arguments: tuple[str, ...], words: str) -> None:
    """Nothing is deleted by a slip."""
    done = payhub("journal", *arguments)
    assert (2, f"payhub: {words}\n") == (done.code, done.err)
