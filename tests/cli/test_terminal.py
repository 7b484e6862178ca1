"""What differs on a terminal: colours, the log's form, and a prompt without an echo."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from payhub_alikassa.sandbox import Sandbox

from .conftest import ACCOUNT, CARD, Command

PROGRAM = str(Path(sys.executable).with_name("payhub"))
# pty.spawn gives the command a terminal of its own, which the pipes stand for.
ON_TERMINAL = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
PAYOUT = ("payout", ACCOUNT, "--order-id", "po-1", "--amount", "500", "--currency", "RUB")


def terminal(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a command on a terminal."""
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    command = [sys.executable, "-c", ON_TERMINAL, PROGRAM, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def read_until(process: subprocess.Popen[bytes], words: bytes) -> bytes:
    """Read what the terminal shows until some words have appeared."""
    assert process.stdout
    shown = b""
    while words not in shown:
        byte = process.stdout.read(1)
        assert byte, shown
        shown += byte
    return shown


def test_card_number_is_asked_for_without_an_echo(payhub: Command, sandbox: Sandbox) -> None:
    """`--to-card -` on a terminal asks, and what is typed does not appear."""
    with terminal(*PAYOUT, "--to-card", "-") as process:
        shown = read_until(process, b"Card number: ")
        assert process.stdin
        process.stdin.write(f"{CARD}\n".encode())
        process.stdin.flush()
        shown += read_until(process, b"not final")
        rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert CARD.encode() not in shown + rest
    assert sandbox.accepted("payout", "po-1") == 1


def test_giving_no_card_number(payhub: Command, sandbox: Sandbox) -> None:
    """Ending the input instead of typing a number sends nothing."""
    with terminal(*PAYOUT, "--to-card", "-") as process:
        shown = read_until(process, b"Card number: ")
        assert process.stdin
        process.stdin.write(b"\x04")
        process.stdin.flush()
        shown += read_until(process, b"stdin")
        process.communicate(timeout=30)
    assert process.returncode == 2
    assert sandbox.requests("/v1/payout") == 0


def test_log_for_a_person(payhub: Command, sandbox: Sandbox) -> None:
    """On a terminal the log is for a person, masked all the same."""
    with terminal(*PAYOUT, "--to-card", CARD, "-v") as process:
        shown, _ = process.communicate(timeout=30)
    text = shown.decode()
    assert process.returncode == 0
    assert "payhub.exchange" in text
    assert "\x1b[" in text
    assert "411111******1111" in text
    assert CARD not in text
    assert '"event"' not in text


EVIL = "7\x1b[31m\x1b]0;x\x07\x9b2J\x9d0;x\x9c\u202ed\u2028e\u2029f\x85g\x08\x7f\u200b\ufeff\U000e0041"
SAID = {"id": EVIL, "payment_status": EVIL, "payment_error_message": EVIL, "service_code": EVIL, "bank": EVIL}


def steering(text: str) -> list[str]:
    """List what is neither printable, nor the end of a line, nor a colour of our own."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r\n", "\n")
    return [each for each in plain if not each.isprintable() and each != "\n"]


def test_a_terminal_obeys_nobody_else(payhub: Command, sandbox: Sandbox) -> None:
    """Whatever the provider puts into its texts and ids, `-v` shows it to a person, and the terminal does not act."""
    sandbox.arm("body", body=SAID)
    payhub(*PAYOUT, "--to-card", CARD)
    with terminal("status", ACCOUNT, "payout", "--order-id", "po-1", "-v") as process:
        shown, _ = process.communicate(timeout=30)
    assert "payhub.exchange" in shown.decode()
    assert ([], False) == (steering(shown.decode()), "\x1b[31m7" in shown.decode() or "7\x1b[31m" in shown.decode())


def test_one_line_of_json_is_one_line(payhub: Command, sandbox: Sandbox) -> None:
    """For whatever ends a line elsewhere, an answer or an event in JSON is one line; a program reads what was said."""
    sandbox.arm("body", body=SAID)
    payhub(*PAYOUT, "--to-card", CARD)
    done = [payhub(*each, "--json", "-v") for each in (
        ("check", ACCOUNT, "payout", "po-1"), ("status", ACCOUNT, "payout", "--order-id", "po-1"), ("trace", "po-1"),
        ("logs",), ("unknown",), ("find", "--last4", "1111"))]  # fmt: skip
    for each in done:
        assert ([], len(each.out.splitlines())) == (steering(each.out), each.out.count("\n"))
        assert ([], len(each.err.splitlines())) == (steering(each.err), each.err.count("\n"))
    assert EVIL == done[2].json["orders"][0]["provider_id"]


@pytest.mark.parametrize(("columns", "widest"), [(None, 100), ("60", 60)])
def test_width_without_a_terminal(
    payhub: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, columns: str | None, widest: int
) -> None:
    """Without a terminal output is 100 columns wide, unless COLUMNS says otherwise; no escape codes."""
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    done = payhub("history", ACCOUNT, "--from", "2025-01-01", "--to", "2025-12-31")
    assert max(map(len, done.out.splitlines())) <= widest
    assert "\x1b" not in done.out
    assert "100000536" in done.out.replace("\n", "") or columns


def test_output_that_knows_ascii_only(sandbox: Sandbox) -> None:
    """Where stdout knows ASCII only, JSON is escaped and a person still gets an answer."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for form, expected in (("--json", b'{"ok": true'), ("-v", b"alikassa-rub keys: loaded")):
        done = subprocess.run([PROGRAM, "doctor", form], capture_output=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout


def test_version(payhub: Command) -> None:
    """The version is that of the distribution."""
    done = payhub("--version")
    assert done.code == 0
    assert done.out.startswith("payhub 0.")


def test_without_a_command(payhub: Command) -> None:
    """Without a command the help is shown."""
    done = payhub()
    assert done.code == 0
    assert "providers" in done.out
