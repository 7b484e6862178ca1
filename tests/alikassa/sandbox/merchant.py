"""A merchant of the sandbox's, written for its tests alone: the driver must not judge itself."""

import base64
import json
import socket
from collections.abc import Mapping
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ACCOUNT = "93d5df06-996c-48c3-9847-348d6b580b80"

HOSTED = {
    "order_id": "in-1",
    "amount": "1500.00",
    "service": "payment_card_number_rub_hpp",
    "customer_ip": "203.0.113.24",
    "customer_user_id": "u-881",
}
PAYOUT = {
    "order_id": "po-1",
    "amount": "1000.44",
    "number": "4111111111111111",
    "service": "payment_card_rub",
}


class Merchant:
    """A merchant that signs as the provider's Python sample does, and sends over one kept connection."""

    def __init__(self, directory: Path, url: str) -> None:
        """Load both keys."""
        self.url = url
        self.client = httpx.Client(base_url=url)
        self._keys = {role: _load(directory / "cert" / role) for role in ("payment", "payout")}

    def headers(self, path: str, body: bytes, role: str | None = None) -> dict[str, str]:
        """Sign a body with the path's own certificate, or with another one."""
        key = self._keys[role or ("payment" if path.startswith("payment") else "payout")]
        sign = base64.b64encode(key.sign(body, padding.PKCS1v15(), hashes.SHA1()))
        headers = {"Content-Type": "application/json", "Account": ACCOUNT, "Sign": sign.decode()}
        return {**headers, "User-Agent": "AliKassa2.0 API"}

    def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        """Send bytes as they are."""
        signed = self.headers(path, body)
        return self.client.post(f"/v1/{path}", content=body, headers={**signed, **headers})

    def send(self, path: str, fields: object) -> httpx.Response:
        """Send fields as JSON."""
        return self.post(path, json.dumps(fields).encode())

    def ask(self, path: str, fields: object) -> dict[str, object]:
        """Send fields and give the answer's, which must be a success."""
        response = self.send(path, fields)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def refusals(self, path: str, fields: object) -> dict[str, list[str]]:
        """Send fields that must be refused, and give the complaints."""
        response = self.send(path, fields)
        assert response.status_code == 400, response.text
        answer = response.json()
        assert answer["message"] == "The given data was invalid."
        return dict(answer["errors"])

    def control(self, path: str, fields: Mapping[str, object], method: str = "POST") -> int:
        """Use a control path and give the status."""
        return self.client.request(method, f"/sandbox/{path}", json=fields).status_code

    def connect(self, path: str, fields: object, promised: int = 0) -> socket.socket:
        """Send a signed request over a bare socket, to see what really comes back.

        ``promised`` bytes more than are sent are announced.
        """
        body = json.dumps(fields).encode()
        lines = [f"POST /v1/{path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        lines += [f"Content-Length: {len(body) + promised}"]
        lines += [f"{name}: {value}" for name, value in self.headers(path, body).items()]
        connection = socket.create_connection(("127.0.0.1", httpx.URL(self.url).port or 0), 20)
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return connection


def _load(directory: Path) -> rsa.RSAPrivateKey:
    password = (directory / "password.txt").read_bytes().strip()
    key = serialization.load_pem_private_key((directory / "private.pem").read_bytes(), password)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key
