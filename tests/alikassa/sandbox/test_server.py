"""How the sandbox runs: where it listens, how it stops, what it never says."""

import ast
import logging
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import payhub_alikassa.sandbox
from payhub_alikassa.sandbox import Sandbox

from .merchant import HOSTED, PAYOUT, Merchant


def test_it_listens_on_this_machine_only(sandbox: Sandbox) -> None:
    """The same port of the machine's other addresses is still free."""
    port = httpx.URL(sandbox.url).port or 0
    assert sandbox.url == f"http://127.0.0.1:{port}"
    with socket.socket() as other:
        other.bind(("127.0.0.2", port))


def test_its_configuration_names_its_address(directory: Path) -> None:
    """`config` is the file an application is pointed at."""
    with Sandbox(directory) as sandbox:
        assert sandbox.config == directory / "payhub.toml"
        assert f'base_url = "{sandbox.url}"' in sandbox.config.read_text()


def test_a_port_can_be_chosen_once(directory: Path) -> None:
    """A second sandbox there says so at once."""
    with Sandbox(directory) as first:
        port = httpx.URL(first.url).port or 0
        with pytest.raises(OSError, match="in use"), Sandbox(directory, port):
            pass
    with Sandbox(directory, port) as again:
        assert again.url == first.url


def test_it_stops_whatever_its_clients_do(directory: Path) -> None:
    """A kept connection, a stalled request and a silent stranger do not hold it up."""
    with Sandbox(directory) as sandbox:
        merchant = Merchant(directory, sandbox.url)
        merchant.ask("account/balance", [])
        sandbox.arm("stall", path="/v1/payout")
        stalled = merchant.connect("payout", PAYOUT)
        silent = socket.create_connection(("127.0.0.1", httpx.URL(sandbox.url).port or 0), 5)
        while not sandbox.requests("/v1/payout"):
            pass
    merchant.client.close()
    with stalled, silent:
        assert (stalled.recv(1), silent.recv(1)) == (b"", b"")


def test_the_ledger_outlives_the_server(directory: Path) -> None:
    """A test may judge after the end."""
    with Sandbox(directory) as sandbox:
        merchant = Merchant(directory, sandbox.url)
        with merchant.client:
            merchant.ask("payout", PAYOUT)
    assert (sandbox.accepted("payout", "po-1"), sandbox.requests("/v1/payout")) == (1, 1)


def test_waiting_ends_with_an_interrupt(directory: Path) -> None:
    """Ctrl+C ends `wait` and the sandbox, without a traceback."""
    program = (  # what is started in the background ignores the signal, unless it says otherwise
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys; from pathlib import Path; from payhub_alikassa.sandbox import Sandbox\n"
        "with Sandbox(Path(sys.argv[1])) as sandbox:\n"
        "    print(sandbox.url, flush=True)\n"
        "    sandbox.wait()\n"
        "print('stopped')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx.get(f"{url}/sandbox/ledger").status_code == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (out, err, process.returncode) == ("stopped\n", "", 0)


def test_waiting_ends_with_the_sandbox(directory: Path) -> None:
    """From another thread too."""
    with ThreadPoolExecutor(1) as pool, Sandbox(directory) as sandbox:
        waiting = pool.submit(sandbox.wait)
    assert waiting.result() is None


def test_nothing_is_logged_or_printed(
    merchant: Merchant, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Least of all a card number: not on success, not on refusal, not in a record's repr."""
    with caplog.at_level(logging.DEBUG, logger="uvicorn"):
        merchant.ask("payout", PAYOUT)
        merchant.refusals("payout", PAYOUT)
        merchant.ask("payment", HOSTED)
        merchant.post("payout", b"{", Sign="x")
    said = capfd.readouterr()
    assert [record.name for record in caplog.records if record.name.startswith("uvicorn")] == []
    assert (said.out, said.err) == ("", "")


SOURCES = sorted(Path(payhub_alikassa.sandbox.__file__).parent.glob("*.py"))
ALLOWED = {"cryptography", "httpx", "msgspec", "starlette", "uvicorn"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_it_shares_nothing_with_the_driver(source: Path) -> None:
    """A judge that used the driver's code would make the driver's mistakes."""
    tree = ast.parse(source.read_text("utf-8"))
    names = [
        name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module or "."] if isinstance(node, ast.ImportFrom) else _names(node))
    ]
    ours = "payhub_alikassa.sandbox"
    foreign = {name.split(".")[0] for name in names if not name.startswith(ours)}
    assert foreign <= ALLOWED | sys.stdlib_module_names


def _names(node: ast.Import) -> list[str]:
    return [alias.name for alias in node.names]
