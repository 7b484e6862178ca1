"""What goes wrong on demand, seen from the other end of the wire."""

import gzip
import json
import socket
from pathlib import Path

import httpx
import msgspec
import pytest

from payhub_alikassa.sandbox import Sandbox

from .merchant import HOSTED, PAYOUT, Merchant

UNPROCESSED = {
    "cut_before_answer": {},
    "html": {},
    "redirect": {},
    "status": {"status": 503},
}
PROCESSED = {
    "cut_after_accepting": {},
    "cut_mid_body": {},
    "error_500_after_accepting": {},
    "slow": {"seconds": 0},
    "drip": {"interval": 0},
    "huge_body": {},
    "gzip": {},
    "body": {"body": {"id": 1}},
    "html": {"accept": True},
    "redirect": {"accept": True},
    "status": {"status": 502, "accept": True},
}


def _read(connection: socket.socket) -> tuple[bytes, bool]:
    """Read to the end: what came, and whether a reset ended it."""
    received = b""
    with connection:
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            return received, True
    return received, False


def _kinds(sandbox: Sandbox) -> tuple[int, int]:
    return sandbox.accepted("payment", "in-1"), sandbox.accepted("payout", "po-1")


@pytest.mark.parametrize(("fault", "options"), UNPROCESSED.items())
def test_some_faults_leave_the_request_unprocessed(
    merchant: Merchant, sandbox: Sandbox, fault: str, options: dict[str, object]
) -> None:
    """It arrived and was not accepted: the next one is."""
    sandbox.arm(fault, **options)
    _read_all(merchant)
    assert (_kinds(sandbox), sandbox.requests("/v1/payout")) == ((0, 0), 1)
    assert merchant.send("payout", PAYOUT).status_code == 200
    assert (_kinds(sandbox), sandbox.requests("/v1/payout")) == ((0, 1), 2)


@pytest.mark.parametrize(("fault", "options"), PROCESSED.items())
def test_the_other_faults_come_after_accepting(
    merchant: Merchant, sandbox: Sandbox, fault: str, options: dict[str, object]
) -> None:
    """The order stands, whatever answer its sender got."""
    sandbox.arm(fault, **options)
    _read_all(merchant)
    assert _kinds(sandbox) == (0, 1)
    assert merchant.ask("payout/status", {"order_id": "po-1"})["payment_status"] == "wait"


def _read_all(merchant: Merchant) -> None:
    _read(merchant.connect("payout", PAYOUT))


def test_cut_before_answer_ends_the_stream_politely(merchant: Merchant, sandbox: Sandbox) -> None:
    """No byte, and an end of stream."""
    sandbox.arm("cut_before_answer")
    assert _read(merchant.connect("payout", PAYOUT)) == (b"", False)


def test_cut_after_accepting_resets_without_a_byte(merchant: Merchant, sandbox: Sandbox) -> None:
    """No byte, and a reset."""
    sandbox.arm("cut_after_accepting")
    assert _read(merchant.connect("payout", PAYOUT)) == (b"", True)


def test_cut_mid_body_promises_more_than_it_sends(merchant: Merchant, sandbox: Sandbox) -> None:
    """Whole headers with the full length, half the body, a reset."""
    sandbox.arm("cut_mid_body")
    received, reset = _read(merchant.connect("payment", HOSTED))
    head, _, body = received.partition(b"\r\n\r\n")
    assert (head.startswith(b"HTTP/1.1 200 "), reset) == (True, True)
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-len"))
    assert len(body) == length // 2
    assert body.startswith(b'{"url":')


def test_a_cut_can_meet_a_kept_connection(merchant: Merchant, sandbox: Sandbox) -> None:
    """Where a client cannot know whether its request was read."""
    with httpx.Client(base_url=sandbox.url) as client:
        headers = merchant.headers("account/balance", b"[]")
        client.post("/v1/account/balance", content=b"[]", headers=headers).raise_for_status()
        sandbox.arm("cut_before_answer")
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/v1/account/balance", content=b"[]", headers=headers)
    assert sandbox.requests("/v1/account/balance") == 2


def test_error_500_is_the_documented_one(merchant: Merchant, sandbox: Sandbox) -> None:
    """With the documented text."""
    sandbox.arm("error_500_after_accepting")
    response = merchant.send("payout", PAYOUT)
    assert (response.status_code, response.json()) == (500, {"message": "Internal server error"})


def test_a_long_request_is_read_to_its_end(merchant: Merchant, sandbox: Sandbox) -> None:
    """Also by a fault, in as many pieces as it comes."""
    sandbox.arm("slow", seconds=0)
    assert merchant.send("payout", {**PAYOUT, "padding": "0" * 300_000}).status_code == 200
    sandbox.arm("cut_before_answer")
    with pytest.raises(httpx.RemoteProtocolError):
        merchant.send("payout", {**PAYOUT, "padding": "0" * 300_000})


@pytest.mark.parametrize("fault", ["cut_before_answer", "cut_after_accepting", "cut_mid_body", "drip"])
def test_a_client_that_leaves_in_the_middle_of_its_request(
    merchant: Merchant, sandbox: Sandbox, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """Has sent no order, and breaks nothing."""
    sandbox.arm(fault)
    with merchant.connect("payout", PAYOUT, promised=1000):
        while not sandbox.requests("/v1/payout"):
            pass
    sandbox.disarm()
    assert merchant.send("account/balance", []).status_code == 200
    assert _kinds(sandbox) == (0, 0)
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


def test_slow_outlasts_a_client(merchant: Merchant, sandbox: Sandbox) -> None:
    """Who leaves without an answer has an accepted order nevertheless."""
    sandbox.arm("slow", seconds=3600)
    with merchant.connect("payout", PAYOUT) as connection:
        while not sandbox.accepted("payout", "po-1"):
            pass
        assert _has_said_nothing(connection)
    assert merchant.ask("payout/status", {"order_id": "po-1"})["payment_status"] == "wait"


def test_slow_answers_truly_in_the_end(merchant: Merchant, sandbox: Sandbox) -> None:
    """The answer itself is the usual one."""
    sandbox.arm("slow", seconds=0.01)
    assert merchant.ask("payout", PAYOUT)["payment_status"] == "wait"


def test_a_drip_is_one_byte_at_a_time(merchant: Merchant, sandbox: Sandbox) -> None:
    """The first byte of the status line comes alone."""
    sandbox.arm("drip", interval=3600)
    with merchant.connect("payout", PAYOUT) as connection:
        assert connection.recv(65536) == b"H"


def test_a_drip_is_a_whole_answer_in_the_end(merchant: Merchant, sandbox: Sandbox) -> None:
    """Any client can read it, if it has the time."""
    sandbox.arm("drip", interval=0)
    response = merchant.send("payout", PAYOUT)
    assert (response.status_code, response.json()["payment_status"]) == (200, "wait")
    assert response.headers["Connection"] == "close"


def test_html_is_a_success_that_is_none(merchant: Merchant, sandbox: Sandbox) -> None:
    """200, and a web page."""
    sandbox.arm("html")
    response = merchant.send("payout", PAYOUT)
    assert (response.status_code, response.text[:9]) == (200, "<!doctype")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


def test_a_huge_body_is_good_json(merchant: Merchant, sandbox: Sandbox) -> None:
    """More than a mebibyte of it, with the true answer inside."""
    sandbox.arm("huge_body")
    response = merchant.send("payout", PAYOUT)
    assert len(response.content) > 1024 * 1024
    assert response.json()["payment_status"] == "wait"


@pytest.mark.parametrize("padding", [0, 5_000_000])
def test_gzip_comes_unasked(merchant: Merchant, sandbox: Sandbox, padding: int) -> None:
    """Even to a client that takes only plain answers; with padding it is a bomb."""
    sandbox.arm("gzip", padding=padding)
    body = json.dumps(PAYOUT).encode()
    headers = {**merchant.headers("payout", body), "Accept-Encoding": "identity"}
    with merchant.client.stream("POST", "/v1/payout", content=body, headers=headers) as response:
        packed = b"".join(response.iter_raw())
    assert response.headers["Content-Encoding"] == "gzip"
    assert len(packed) == int(response.headers["Content-Length"])
    plain = gzip.decompress(packed)
    assert json.loads(plain)["payment_status"] == "wait"
    assert len(plain) >= padding > len(packed) or not padding


def test_a_redirect_that_is_followed_is_told_by_the_ledger(merchant: Merchant, sandbox: Sandbox) -> None:
    """Nobody who signs may follow."""
    sandbox.arm("redirect", times=2)
    response = merchant.send("payout", PAYOUT)
    assert (response.status_code, response.headers["Location"]) == (302, "/elsewhere")
    assert sandbox.requests("/elsewhere") == 0
    body = b"{}"
    httpx.post(
        f"{sandbox.url}/v1/payout",
        content=body,
        headers=merchant.headers("payout", body),
        follow_redirects=True,
    )
    assert sandbox.requests("/elsewhere") == 1


@pytest.mark.parametrize("status", [200, 201, 400, 429, 502, 599])
def test_any_status_with_any_object(merchant: Merchant, sandbox: Sandbox, status: int) -> None:
    """The body is what was asked for."""
    sandbox.arm("status", status=status, body={"message": "Слишком часто", "n": [1]})
    response = merchant.send("payout", PAYOUT)
    assert (response.status_code, response.json()) == (
        status,
        {"message": "Слишком часто", "n": [1]},
    )


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_have_no_body(merchant: Merchant, sandbox: Sandbox, status: int) -> None:
    """HTTP allows none."""
    sandbox.arm("status", status=status, body={"ignored": True})
    response = merchant.send("payout", PAYOUT)
    assert (response.status_code, response.content) == (status, b"")


def test_a_body_is_laid_over_the_true_answer(merchant: Merchant, sandbox: Sandbox) -> None:
    """What is named differs, the rest is true."""
    merchant.ask("payout", PAYOUT)
    truth = merchant.ask("payout/status", {"order_id": "po-1"})
    sandbox.arm("body", body={"order_id": "po-2", "amount": "1.00", "new": None})
    answer = merchant.ask("payout/status", {"order_id": "po-1"})
    assert answer == {**truth, "order_id": "po-2", "amount": "1.00", "new": None}
    assert merchant.ask("payout/status", {"order_id": "po-1"}) == truth


@pytest.mark.parametrize(("accept", "accepted"), [(False, 0), (True, 1)])
def test_a_stall_lasts_until_the_client_leaves(
    merchant: Merchant, sandbox: Sandbox, *, accept: bool, accepted: int
) -> None:
    """No byte comes; afterwards the sandbox serves on."""
    sandbox.arm("stall", accept=accept)
    with merchant.connect("payout", PAYOUT) as connection:
        while not sandbox.requests("/v1/payout"):
            pass
        assert merchant.send("account/balance", []).status_code == 200
        assert _has_said_nothing(connection)
    assert sandbox.accepted("payout", "po-1") == accepted
    assert merchant.send("account/balance", []).status_code == 200


def _has_said_nothing(connection: socket.socket) -> bool:
    connection.setblocking(False)
    with pytest.raises(BlockingIOError):
        connection.recv(1)
    return True


def test_refuse_closes_the_socket(merchant: Merchant, sandbox: Sandbox) -> None:
    """New connections are refused and kept ones are closed, until faults are disarmed."""
    merchant.ask("account/balance", [])
    sandbox.arm("refuse", seconds=None)
    with pytest.raises(ConnectionRefusedError):
        merchant.connect("payout", PAYOUT)
    with pytest.raises(httpx.ConnectError):
        merchant.send("payout", PAYOUT)
    sandbox.arm("refuse", seconds=None)
    sandbox.disarm()
    sandbox.disarm()
    merchant.ask("payout", PAYOUT)
    assert sandbox.requests("/v1/payout") == 1


def test_refuse_ends_by_itself(merchant: Merchant, sandbox: Sandbox) -> None:
    """A client that tries to connect again gets in, on the same port."""
    assert merchant.control("faults", {"fault": "refuse", "seconds": 0.05}) == 200
    patient = httpx.HTTPTransport(retries=20)
    headers = merchant.headers("account/balance", b"[]")
    with httpx.Client(base_url=sandbox.url, transport=patient) as client:
        response = client.post("/v1/account/balance", content=b"[]", headers=headers)
    assert response.status_code == 200


def test_a_refusing_sandbox_can_be_stopped(directory: Path) -> None:
    """Its port is free afterwards, whatever was armed."""
    with Sandbox(directory) as sandbox:
        port = httpx.URL(sandbox.url).port or 0
        sandbox.arm("refuse", seconds=3600)
    with Sandbox(directory, port) as sandbox:
        assert httpx.get(f"{sandbox.url}/sandbox/ledger").status_code == 200


def test_faults_are_used_up_in_order(merchant: Merchant, sandbox: Sandbox) -> None:
    """Each as often as it was armed for, then all is well again."""
    sandbox.arm("status", status=502, times=2)
    sandbox.arm("status", status=503)
    statuses = [merchant.send("account/balance", []).status_code for _ in range(4)]
    assert statuses == [502, 502, 503, 200]


def test_a_fault_meets_a_paths_beginning(merchant: Merchant, sandbox: Sandbox) -> None:
    """Or, if asked for, exactly one path; the leading slash may be left out."""
    sandbox.arm("status", status=503, path="v1/payout/status")
    sandbox.arm("status", status=502, path="/v1/account", times=2)
    paths = ["payout", "account/info", "account/balance", "payout/status"]
    assert [merchant.send(path, {}).status_code for path in paths] == [400, 502, 502, 503]
    sandbox.arm("status", status=503, path="/v1/payout", exact=True)
    assert [merchant.send(path, {}).status_code for path in ("payout/status", "payout")] == [
        400,
        503,
    ]


def test_the_page_and_the_control_paths_stay_well(merchant: Merchant, sandbox: Sandbox) -> None:
    """Unless a fault is armed for the page by its path."""
    page = str(merchant.ask("payment", HOSTED)["url"])
    sandbox.arm("status", status=503)
    assert merchant.client.get(page).status_code == 200
    assert merchant.client.get("/sandbox/ledger").status_code == 200
    sandbox.arm("status", status=503, path="/")
    sandbox.arm("html", path="/pay/")
    assert merchant.client.get("/sandbox/ledger").status_code == 200
    assert merchant.client.get(page).status_code == 503
    assert "Maintenance" in merchant.client.get(page).text


def test_faults_are_armed_and_disarmed_over_http(merchant: Merchant) -> None:
    """With the same names and options."""
    assert merchant.control("faults", {"fault": "status", "status": 502, "times": 9}) == 200
    assert merchant.send("account/balance", []).status_code == 502
    assert merchant.control("faults", {}, method="DELETE") == 200
    assert merchant.send("account/balance", []).status_code == 200


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"fault": "earthquake"},
        {"fault": "slow", "seconds": -1},
        {"fault": "slow", "second": 1},
        {"fault": "html", "times": 0},
        {"fault": "status"},
        {"fault": "status", "status": 99},
        {"fault": "cut_before_answer", "accept": True},
        {"fault": "refuse", "path": "/v1/payout"},
    ],
)
def test_a_wrong_fault_is_refused(merchant: Merchant, sandbox: Sandbox, wanted: dict[str, object]) -> None:
    """An option that a fault does not have would be a test that tests nothing."""
    assert merchant.control("faults", wanted) == 400
    name = str(wanted.pop("fault", ""))
    with pytest.raises(msgspec.ValidationError):
        sandbox.arm(name, **wanted)
    assert merchant.send("account/balance", []).status_code == 200
