"""What differs on a terminal: colours, the log's form, and a prompt without an echo."""

import os
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
