"""Who may ask, and how it must be signed."""

import base64
import json
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from payhub_alikassa.sandbox import Sandbox

from .merchant import ACCOUNT, HOSTED, PAYOUT, Merchant

PATHS = {
    "payment": "payment",
    "payment/status": "payment",
    "payment/history": "payment",
    "payout": "payout",
    "payout/status": "payout",
    "account/balance": "payout",
    "account/info": "payout",
}


@pytest.mark.parametrize(("path", "role"), PATHS.items())
def test_every_path_wants_its_own_certificate(merchant: Merchant, path: str, role: str) -> None:
    """The right key is accepted (and missing fields are then refused), the other is not."""
    other = "payout" if role == "payment" else "payment"
    statuses = [
        merchant.client.post(f"/v1/{path}", content=b"{}", headers=merchant.headers(path, b"{}", key)).status_code
        for key in (role, other)
    ]
    assert statuses[0] in {200, 400}
    assert statuses[1] == 403


BODIES = {
    "compact": json.dumps(PAYOUT, separators=(",", ":")),
    "spaces": json.dumps(PAYOUT),
    "php": json.dumps({**PAYOUT, "notification_endpoint_url": "https://x.y/z"}).replace("/", "\\/"),
    "raw unicode": json.dumps({**PAYOUT, "customer_first_name": "Иван"}, ensure_ascii=False),
    "escaped unicode": json.dumps({**PAYOUT, "customer_first_name": "Иван"}),
    "sorted": json.dumps(PAYOUT, sort_keys=True),
    "indented": json.dumps(PAYOUT, indent=4),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_any_jsonable_is_fine_if_the_signed_bytes_are_the_sent_bytes(merchant: Merchant, body: str) -> None:
    """The signature is over the raw body, never over a re-encoding."""
    assert merchant.post("payout", body.encode()).status_code == 200


def test_other_bytes_of_the_same_value_are_refused(merchant: Merchant, sandbox: Sandbox) -> None:
    """Signing one encoding and sending another, as an HTTP library's `json=` does, fails."""
    headers = merchant.headers("payout", json.dumps(PAYOUT).encode())
    response = merchant.client.post("/v1/payout", json=PAYOUT, headers=headers)
    assert response.status_code == 403
    assert sandbox.accepted("payout", "po-1") == 0


@pytest.mark.parametrize("sign", ["", "AAAA", "не", "=", "A" * 344])
def test_a_sign_that_is_not_one_is_refused(merchant: Merchant, sign: str) -> None:
    """Nothing but base64 of a signature passes."""
    headers = {**merchant.headers("payout", b"{}"), "Sign": sign}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    response = merchant.client.post("/v1/payout", content=b"{}", headers=encoded)
    assert (response.status_code, response.json()) == (403, {"message": "Invalid signature."})


def test_base64_with_line_breaks_is_refused(merchant: Merchant) -> None:
    """The header holds one line; a blank where a line was folded is not base64."""
    sign = merchant.headers("payout", b"{}")["Sign"]
    folded = f"{sign[:76]} {sign[76:]}"
    assert merchant.post("payout", b"{}", Sign=folded).status_code == 403


@pytest.mark.parametrize("account", ["", ACCOUNT.upper(), "00000000-0000-0000-0000-000000000000"])
def test_another_account_is_refused(merchant: Merchant, account: str) -> None:
    """The uuid in `Account` must be the sandbox's own, even under a good signature."""
    assert merchant.post("payout", b"{}", Account=account).status_code == 401


def test_without_headers_nobody_is_let_in(sandbox: Sandbox) -> None:
    """A bare request is refused."""
    assert httpx.post(f"{sandbox.url}/v1/payment", json=HOSTED).status_code == 401


def test_sha256_is_refused_unless_configured(merchant: Merchant, directory: Path, sandbox: Sandbox) -> None:
    """The digest is the sandbox's choice, never the request's."""
    folder = directory / "cert" / "payout"
    password = (folder / "password.txt").read_bytes()
    key = serialization.load_pem_private_key((folder / "private.pem").read_bytes(), password)
    assert isinstance(key, rsa.RSAPrivateKey)
    sign = base64.b64encode(key.sign(b"[]", padding.PKCS1v15(), hashes.SHA256())).decode()
    headers = {**merchant.headers("account/balance", b"[]"), "Sign": sign}
    with Sandbox(directory, digest="sha256") as other:
        urls = (sandbox.url, other.url)
        answers = [httpx.post(f"{u}/v1/account/balance", content=b"[]", headers=headers) for u in urls]
    assert [answer.status_code for answer in answers] == [403, 200]


@pytest.mark.parametrize("body", [b"", b"null", b"1", b'"x"', b"[1]", b"{", b"\xff", b"[" * 5000])
def test_a_body_that_is_no_object_is_refused(merchant: Merchant, body: bytes) -> None:
    """Signed nonsense is still nonsense."""
    assert merchant.post("account/balance", body).status_code == 400


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_the_body_must_be_declared_as_json(merchant: Merchant, media_type: str) -> None:
    """`Content-Type` is one of the documented headers."""
    response = merchant.post("account/balance", b"[]", **{"Content-Type": media_type})
    assert response.status_code == 415


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_served(merchant: Merchant, method: str) -> None:
    """Reads are POST too."""
    response = merchant.client.request(method, "/v1/account/balance")
    assert (response.status_code, response.json()) == (405, {"message": "Method Not Allowed"})


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/payment/", "/v2/payment", "/v1/refund"])
def test_other_paths_are_not_mended(merchant: Merchant, path: str) -> None:
    """A wrong path is answered 404, not redirected to a right one."""
    response = merchant.client.post(path)
    assert (response.status_code, response.json()) == (404, {"message": "Not Found"})
