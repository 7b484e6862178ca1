"""What an operator gives the provider's support: `payhub ticket`."""

import io
import json
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from payhub_alikassa.sandbox import Sandbox

from .conftest import ACCOUNT, CARD, PAYER, Command
from .test_operators import cut, payout
from .test_reference import sample, shape


def pay(order_id: str) -> tuple[str, ...]:
    """Give the arguments of a payment."""
    return ("pay", ACCOUNT, "--order-id", order_id, "--amount", "5", "--currency", "RUB", "--method", "card", *PAYER)


@pytest.fixture
def unknown(payhub: Command, sandbox: Sandbox) -> None:
    """Have a payout whose outcome is unknown."""
    cut(payhub, sandbox)


@pytest.mark.usefixtures("unknown")
def test_the_first_lines_answer_what_happened(payhub: Command, sandbox: Sandbox) -> None:
    """Order, amount, method, the provider's id, when, the state, and what is asked stand first; nothing is sent."""
    sent = sandbox.requests("/v1/payout/status")
    done = payhub("ticket", "po-1")
    patterns = (
        r"# Payout po-1, 500\.00 RUB: outcome unknown, our create request got no complete answer",
        r"",
        r"- Order: `po-1` \(our account `alikassa-rub`\)",
        r"- Amount: 500\.00 RUB",
        r"- Method: card, ending in 1111",
        r"- Your id: not known to us",
        r"- Sent: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC",
        r"- Answer to our create request: no complete answer: `the connection was cut`",
        r"- Our status now: unknown, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC",
        r"- \*\*What we need from you\.\*\* Please tell us whether you accepted this payout, .*",
    )
    lines = done.out.splitlines()
    assert [] == [each for each, line in zip(patterns, lines, strict=False) if not re.fullmatch(each, line)]
    assert (0, "", False) == (done.code, done.err, CARD in done.out)
    assert sandbox.requests("/v1/payout/status") == sent


@pytest.mark.usefixtures("unknown")
def test_in_russian(payhub: Command) -> None:
    """The text is in the language that is asked for, and no other is known."""
    done = payhub("ticket", "po-1", "--lang", "ru")
    assert done.out.startswith("# Выплата po-1, 500.00 RUB: результат неизвестен, ")
    assert payhub("ticket", "po-1", "--lang", "de").code == 2


@pytest.mark.usefixtures("unknown")
def test_json_is_one_object(payhub: Command) -> None:
    """With `--json`, and with `--format json`, the ticket is one JSON object."""
    done, same = payhub("ticket", "po-1", "--json"), payhub("ticket", "po-1", "--format", "json")
    assert ("unknown", "411111******1111") == (
        done.json["situation"],
        done.json["exchanges"][0]["request"]["body"]["number"],
    )
    assert set(same.json) == set(done.json)
    assert "history" not in done.json


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize("form", ["md", "json", "zip"])
def test_into_a_file(payhub: Command, tmp_path: Path, form: str) -> None:
    """With `-o` the ticket goes into a file of its suffix's format, for its owner only; the answer names it."""
    done = payhub("ticket", "po-1", "-o", f"po-1.{form}")
    path = tmp_path / f"po-1.{form}"
    assert (0, f"written: po-1.{form}\n", 0o600) == (done.code, done.out, stat.S_IMODE(path.stat().st_mode))
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            assert "exchanges/0001-create_payout.json" in archive.namelist()
    else:
        assert path.read_text("utf-8").startswith("# Payout" if form == "md" else "{")


@pytest.mark.usefixtures("unknown")
def test_the_answer_has_the_documented_keys(payhub: Command, tmp_path: Path) -> None:
    """With `-o` and `--json` the answer is as the sample; a format that is named outdoes the suffix."""
    done = payhub("ticket", "po-1", "-o", "po-1.txt", "--format", "json", "--json")
    assert shape(sample("payhub ticket")) == shape(done.json)
    assert ("po-1.txt", "json") == (done.json["file"], done.json["format"])
    assert json.loads((tmp_path / "po-1.txt").read_text("utf-8"))["order_id"] == "po-1"


@pytest.mark.usefixtures("unknown")
def test_a_file_that_is_there(payhub: Command, tmp_path: Path) -> None:
    """A file is not written over without `--force`: exit 2."""
    (tmp_path / "po-1.md").write_text("mine")
    done = payhub("ticket", "po-1", "-o", "po-1.md")
    assert (2, "payhub: the file exists already; with force it is written over\n") == (done.code, done.err)
    assert (tmp_path / "po-1.md").read_text() == "mine"
    assert payhub("ticket", "po-1", "-o", "po-1.md", "--force").code == 0


MISTAKES = {
    "zip to stdout": (("--format", "zip"), "a zip needs a file: -o FILE"),
    "no format": (("-o", "po-1.txt"), "the file's suffix says no format; known: md, json, zip"),
    "no directory": (("-o", "none/po-1.md"), "the file cannot be written: No such file or directory"),
    "another account": (
        ("--account", "shop"),
        f"say which with --account and --kind; the journal has with this id: payout of {ACCOUNT}",
    ),
}


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize(("options", "words"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(payhub: Command, tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    """What cannot be done is refused in one line: exit 2, and no file."""
    done = payhub("ticket", "po-1", *options)
    assert (2, "", f"payhub: {words}\n", []) == (done.code, done.out, done.err, list(tmp_path.iterdir()))


def test_an_order_that_nobody_made(payhub: Command, sandbox: Sandbox) -> None:
    """An id that the journal does not have is not found: exit 3."""
    done = payhub("ticket", "po-1")
    assert (3, "payhub: the journal has no order with this id\n") == (done.code, done.err)


def test_nothing_without_a_journal(payhub: Command, write_config: Callable[[str], Path]) -> None:
    """Where orders are kept in memory there is nothing to make a ticket of: exit 2."""
    write_config('[accounts.alikassa-rub]\nprovider = "alikassa"\n')
    done = payhub("ticket", "po-1")
    assert (2, True) == (done.code, "this command needs a journal in a database" in done.err)


def test_a_payment_and_a_payout_with_one_id(payhub: Command, sandbox: Sandbox) -> None:
    """Where an id is not enough the command says what there is, and takes what is meant: exit 2."""
    payhub(*payout("x-1"))
    payhub(*pay("x-1"))
    done = payhub("ticket", "x-1", "--account", ACCOUNT)
    assert done.code == 2
    assert f"payment of {ACCOUNT}" in done.err
    assert f"payout of {ACCOUNT}" in done.err
    for kind in ("payment", "payout"):
        assert payhub("ticket", "x-1", "--kind", kind, "--json").json["kind"] == kind


@pytest.mark.usefixtures("unknown")
def test_an_internal_ticket(payhub: Command, tmp_path: Path) -> None:
    """An internal ticket shows what operators did, says that it is internal, and so does its file's name."""
    resolve = ("resolve", ACCOUNT, "payout", "po-1", "--as", "failed", "--reason", "by phone", "--by", "Anna", "--yes")
    payhub(*resolve)
    ours, theirs = payhub("ticket", "po-1", "--internal").out, payhub("ticket", "po-1").out
    assert ours.startswith("**INTERNAL: not for the provider**\n")
    assert (True, False) == ("Anna" in ours, "Anna" in theirs)
    assert payhub("ticket", "po-1", "--internal", "-o", "po-1.zip").out == "written: po-1-internal.zip\n"
    assert ["po-1-internal.zip"] == [path.name for path in tmp_path.iterdir()]


def test_a_ticket_that_would_show_a_secret(payhub: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    """A leak that masking lets through is found before anything is written: exit 3, and no value is quoted."""
    leak = CARD.encode().hex()
    payhub("payout", ACCOUNT, *payout(leak)[2:])
    for options in ((), ("-o", "ticket.zip")):
        done = payhub("ticket", leak, *options)
        assert (3, "", False, []) == (done.code, done.out, leak in done.err, list(tmp_path.iterdir()))
        assert re.match(r"payhub: the ticket would show what must not be shown: card number in line 1 \(hex", done.err)
