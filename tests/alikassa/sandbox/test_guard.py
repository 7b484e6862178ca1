"""No web page, and no name that leads here from elsewhere, can use the sandbox; nor does it knock at other services."""

import json
from collections.abc import Mapping

import httpx
import pytest

from payhub_alikassa.sandbox import Sandbox

from .merchant import HOSTED, Merchant
from .receiver import Receiver, receiving

JSON = {"content-type": "application/json"}
SETTLE = {"kind": "payment", "order_id": "in-1", "outcome": "paid"}
PATHS = ["/sandbox/settle", "/sandbox/faults", "/sandbox/settings", "/sandbox/reset", "/sandbox/notify", "/v1/payment"]


def asked(merchant: Merchant, path: str, headers: Mapping[str, str], fields: object = SETTLE) -> int:
    """Send a body as a program or a page would, and return the status."""
    return merchant.client.post(path, content=json.dumps(fields).encode(), headers=headers).status_code


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "192.0.2.1",
     "x@127.0.0.1"],
)  # fmt: skip
def test_a_host_that_is_not_this_machine_is_refused(merchant: Merchant, path: str, host: str) -> None:
    """A page whose own name was made to lead to this machine can neither send nor read."""
    rebound = {"host": host.format(port=httpx.URL(merchant.url).port)}
    assert 403 == asked(merchant, path, {**JSON, **rebound})
    for shown in ("/sandbox/ledger", "/sandbox/notifications", "/pay/1"):
        assert 403 == merchant.client.get(shown, headers=rebound).status_code


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3000", "http://127.0.0.1", "null", ""])
def test_a_foreign_origin_is_refused(merchant: Merchant, sandbox: Sandbox, path: str, origin: str) -> None:
    """A page of any other site, also of another service of this machine, changes nothing, whatever it sends."""
    merchant.ask("payment", HOSTED)
    for kind in (JSON, {"content-type": "text/plain;charset=UTF-8"}, {}):
        assert 403 == asked(merchant, path, {**kind, "origin": origin})
    assert "wait" == merchant.ask("payment/status", {"order_id": "in-1"})["payment_status"]
    assert 1 == sandbox.accepted("payment", "in-1")


def test_its_own_page_and_programs_are_served(merchant: Merchant) -> None:
    """The payment page's own form, and any local name, are let in."""
    page = str(merchant.ask("payment", HOSTED)["url"])
    port = httpx.URL(merchant.url).port
    for host in (f"localhost:{port}", f"[::1]:{port}", "127.0.0.1", f"LOCALHOST:{port}"):
        assert 200 == merchant.client.get("/sandbox/ledger", headers={"host": host}).status_code
    done = merchant.client.post(page, data={"choice": "pay"}, headers={"origin": merchant.url})
    assert 200 == done.status_code
    assert "paid" == merchant.ask("payment/status", {"order_id": "in-1"})["payment_status"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_the_controls_take_json_only(merchant: Merchant, kind: str) -> None:
    """What a form or a page can send without asking is no command."""
    merchant.ask("payment", HOSTED)
    assert 415 == asked(merchant, "/sandbox/settle", {"content-type": kind})
    assert 200 == asked(merchant, "/sandbox/settle", {"content-type": "application/json; charset=utf-8"})


def test_no_request_makes_it_send_one_to_another_service(merchant: Merchant, sandbox: Sandbox) -> None:
    """A control path cannot name an address that no order and nobody who started the sandbox has named."""
    with receiving() as other:
        merchant.ask("payment", HOSTED)
        notify = {"kind": "payment", "order_id": "in-1", "to": f"{other.url}/admin/delete?x=1"}
        assert 400 == asked(merchant, "/sandbox/notify", JSON, notify)
        assert 400 == asked(merchant, "/sandbox/notify", JSON, {**notify, "transport": "JSON"})
        assert 400 == asked(merchant, "/sandbox/settings", JSON, {"notification_endpoints": {"5": other.url}})
        assert ([], 0) == (sandbox.notifications("payment", "in-1"), sandbox.pending_notifications())


@pytest.mark.parametrize("named_by", ["the order", "who started it"])
def test_a_request_may_use_a_server_that_is_named(
    merchant: Merchant, sandbox: Sandbox, receiver: Receiver, named_by: str
) -> None:
    """Another path of the merchant's own server, or of a configured one, is sent to."""
    if named_by == "the order":
        merchant.ask("payment", {**HOSTED, "notification_endpoint_url": receiver.url})
    else:
        sandbox.configure(notification_endpoints={5: receiver.url})
        merchant.ask("payment", HOSTED)
    notify = {"kind": "payment", "order_id": "in-1", "to": f"http://127.0.0.1:{receiver.port}/elsewhere"}
    assert 200 == asked(merchant, "/sandbox/notify", JSON, notify)
    assert 400 == asked(merchant, "/sandbox/notify", JSON, {**notify, "to": "http://127.0.0.1:9/elsewhere"})
