"""The provider's own sample programs and a verifier in PHP judge the sandbox and the driver.

The programs come out of the provider's documents at run time and only the host in them is
replaced. They speak https, so an authority made for this test and a TLS end stand before the
sandbox. Node takes the port apart from the host, so a module loaded before the program adds it.
"""

import ast
import asyncio
import functools
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import anyio.from_thread
import httpx
import pytest
import trustme

from payhub import Hub, Money, Payer, PaymentOrder, PayoutOrder, Status, ToCard
from payhub_alikassa.sandbox import Sandbox

from . import seeds
from .seeds import Program

HOST = "localhost"

EXPECTED: dict[str, tuple[str, dict[str, object]]] = {
    "000-php": ("v1/payout/status", {"id": 100000536}),
    "001-php": ("v1/payout", {"payment_status": "wait"}),
    "002-php": ("v1/payout", {"payment_status": "wait"}),
    "002-node": ("v1/payout", {"payment_status": "wait"}),
    "002-python": ("v1/payout", {"payment_status": "wait"}),
    "003-php": ("v1/payment", {"payment_status": "wait"}),
    "004-php": ("v1/payment/status", {"id": 100000536}),
    "004-node": ("v1/payment/status", {"id": 100000536}),
    "004-python": ("v1/payment/status", {"id": 100000536}),
}
"""What each program calls, and a part of the answer that it must get."""

PORT_FOR_NODE = """
const https = require('https');
const request = https.request;
https.request = (options, listener) => request({ ...options, port: process.env.TLS_PORT }, listener);
console.log = (value) => process.stdout.write(JSON.stringify(value));
"""

VERIFIER = """<?php
$role = str_starts_with($_SERVER['REQUEST_URI'], '/v1/payout') ? 'payout' : 'payment';
$key = file_get_contents(__DIR__ . "/cert/$role/public.pem");
$genuine = openssl_verify(
    file_get_contents('php://input'), base64_decode($_SERVER['HTTP_SIGN']), $key, getenv('DIGEST')
);
http_response_code($genuine === 1 ? 200 : 403);
header('Content-Type: application/json');
echo $genuine === 1 ? '{"payment_status":"wait","id":100000777}' : '{"message":"bad signature"}';
"""


def absent(what: str) -> None:
    """Skip where a user runs the tests; in CI nothing may be missing."""
    message = f"NOT SHOWN: {what}, so only our own code has judged the signatures here"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def command(name: str) -> str:
    """Return the path of a command that this machine must have."""
    path = shutil.which(name)
    if path is None:
        absent(f"{name} is not installed")
    return str(path)


def found(name: str) -> Program:
    """Return a program of the documents."""
    if not seeds.available():
        absent("the provider's documents do not lie beside this checkout")
    return next(program for program in seeds.programs() if str(program) == name)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory of the sandbox, whose `cert` is where the programs look for it."""
    return tmp_path_factory.mktemp("samples")


@pytest.fixture(scope="module")
def running(directory: Path) -> Iterator[Sandbox]:
    """Serve the sandbox for all programs."""
    with Sandbox(directory) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    """Give the sandbox without orders: two programs within one second use one order_id."""
    running.reset()
    return running


@pytest.fixture(scope="module")
def tls_port(running: Sandbox, directory: Path) -> Iterator[int]:
    """Stand before the sandbox with TLS, and pass every byte on."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "authority.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(context)
    sandbox_port = httpx.URL(running.url).port

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65536):
            sink.write(chunk)
            await sink.drain()
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", sandbox_port)
        await asyncio.gather(pump(reader, to_writer), pump(to_reader, writer))

    with anyio.from_thread.start_blocking_portal() as portal:
        server = portal.call(
            functools.partial(asyncio.start_server, serve, HOST, 0, family=socket.AF_INET, ssl=context)
        )
        yield server.sockets[0].getsockname()[1]
        portal.call(server.close)


def interpreter(language: str) -> list[str]:
    """Return the command that runs a program, in the directory of the sandbox."""
    match language:
        case "php":
            return [command("php")]
        case "node":
            return [command("node"), "--require", "./port.cjs"]
    return [sys.executable]


def run(program: Program, directory: Path, tls_port: int) -> Any:
    """Run a program with only its host replaced, and return the answer that it was given."""
    file = directory / {"php": "sample.php", "node": "sample.mjs", "python": "sample.py"}[program.language]
    host = HOST if program.language == "node" else f"{HOST}:{tls_port}"
    text = seeds.HOST.sub(host, program.text)
    if program.language == "php":
        text = f"<?php\n{text}\necho json_encode(${program.result});\n"
    file.write_text(text, "utf-8")
    (directory / "port.cjs").write_text(PORT_FOR_NODE, "utf-8")
    authority = str(directory / "authority.pem")
    trust = {"NODE_EXTRA_CA_CERTS": authority, "REQUESTS_CA_BUNDLE": authority, "TLS_PORT": str(tls_port)}
    done = subprocess.run(
        [*interpreter(program.language), file],
        cwd=directory,
        env={**os.environ, **trust},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout) if program.language == "python" else json.loads(done.stdout)


def test_the_documents_hold_the_expected_programs() -> None:
    """Five programs in PHP, two in Node and two in Python are found, none is overlooked."""
    found("000-php")
    assert [str(program) for program in seeds.programs()] == list(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_provider_s_own_program_is_accepted(name: str, sandbox: Sandbox, directory: Path, tls_port: int) -> None:
    """The sandbox answers the provider's samples as the provider does, so it checks what they send."""
    path, expected = EXPECTED[name]
    answer = run(found(name), directory, tls_port)
    assert {key: answer[key] for key in expected} == expected
    assert sandbox.requests(f"/{path}") == 1
    accepted = httpx.get(f"{sandbox.url}/sandbox/ledger").json()["accepted"]
    creates = {"v1/payment": "payment", "v1/payout": "payout"}
    assert {kind: sum(orders.values()) for kind, orders in accepted.items()} == {
        kind: int(creates.get(path) == kind) for kind in ("payment", "payout")
    }


def changed(old: str, new: str) -> Program:
    """Return the payout program in Node with one thing changed."""
    program = found("002-node")
    assert old in program.text
    return program._replace(text=program.text.replace(old, new))


def test_another_digest_is_refused(sandbox: Sandbox, directory: Path, tls_port: int) -> None:
    """The sandbox does verify: the same program with SHA-256 gets no payout."""
    answer = run(changed("'SHA1'", "'SHA256'"), directory, tls_port)
    assert "payment_status" not in answer
    assert sandbox.requests("/v1/payout") == 1


def test_another_form_of_the_same_json_is_accepted(sandbox: Sandbox, directory: Path, tls_port: int) -> None:
    """The bytes that came are verified, not another writing of them."""
    answer = run(changed("JSON.stringify(data)", "JSON.stringify(data, null, 1)"), directory, tls_port)
    assert answer["payment_status"] == "wait"


@pytest.fixture(params=["sha1", "sha256"])
def php_server(request: pytest.FixtureRequest, running: Sandbox, directory: Path) -> Iterator[tuple[str, str]]:
    """Let PHP itself be the provider: it verifies the raw body and answers accordingly."""
    (directory / "verifier.php").write_text(VERIFIER, "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [command("php"), "-S", f"127.0.0.1:{port}", "verifier.php"],
        cwd=directory,
        env={**os.environ, "DIGEST": request.param},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}", request.param
    finally:
        server.terminate()
        server.wait()


def wait_for(port: int) -> None:
    """Wait until somebody listens on a port."""
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the server did not start")


def hub(directory: Path, url: str, digest: str) -> Hub:
    """Open the sandbox's keys towards another server."""
    account = {
        "provider": "alikassa",
        "account": "93d5df06-996c-48c3-9847-348d6b580b80",
        "currency": "RUB",
        "base_url": url,
        "payment_cert": "cert/payment",
        "payout_cert": "cert/payout",
        "digest": digest,
    }
    return Hub.from_mapping({"accounts": {"rub": account}}, base=directory)


def test_php_verifies_what_the_driver_sends(php_server: tuple[str, str], directory: Path) -> None:
    """PHP's openssl_verify over the raw body accepts the driver's payouts and payments, whatever text they carry."""
    url, digest = php_server
    payout = PayoutOrder(order_id='по/1 "x"', amount=Money("1000.44", "RUB"), to=ToCard("4111111111111111"))
    payment = PaymentOrder(
        order_id="in-1",
        amount=Money("3000.00", "RUB"),
        method="card",
        payer=Payer(id="u-881", ip="203.0.113.24"),
        description='Заказ № 1 </script> \\ "quoted" 😀',
        success_url="https://shop.example/ok?a=1&b=2",
    )
    with hub(directory, url, digest) as opened:
        assert opened.create_payout("rub", payout).provider_id == "100000777"
        assert opened.create_payment("rub", payment).provider_id == "100000777"


def test_php_refuses_another_digest(php_server: tuple[str, str], directory: Path) -> None:
    """The verifier in PHP does refuse: signed with the other digest, a payout's outcome is unknown."""
    url, digest = php_server
    other: Literal["sha1", "sha256"] = "sha256" if digest == "sha1" else "sha1"
    order = PayoutOrder(order_id="po-1", amount=Money("5", "RUB"), to=ToCard("4111111111111111"))
    with hub(directory, url, other) as opened:
        assert opened.create_payout("rub", order).status is Status.UNKNOWN
