"""A merchant's endpoint, and the two who judge what reaches it: the driver and PHP."""

import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from payhub import BadNotification
from payhub.models import Delivery, Notification
from payhub_alikassa import notifications
from payhub_alikassa.signing import Digest, Verifier, load_verifier

from .merchant import ACCOUNT

PATIENCE = 30.0
PHP_DIGESTS = {"sha1": "OPENSSL_ALGO_SHA1", "sha256": "OPENSSL_ALGO_SHA256"}


class Receiver:
    """A receiver that keeps every request as it came, and answers with the statuses of a script, then with 200."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.port: int = server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/notify"
        self.script: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.times: list[float] = []
        self._received: list[Delivery] = []
        self._change = threading.Condition()

    def take(self, delivery: Delivery) -> int:
        """Keep a request, and give the status it is answered with while the receiver is open."""
        with self._change:
            self.times.append(time.monotonic())
            self._received.append(delivery)
            status = self.script.pop(0) if self.script else 200
            self._change.notify_all()
        self.open.wait(PATIENCE)
        return status

    def received(self, count: int = 0) -> list[Delivery]:
        """Give what came so far, as soon as it is so many."""
        with self._change:
            assert self._change.wait_for(lambda: len(self._received) >= count, PATIENCE), len(self._received)
            return list(self._received)


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_GET(self) -> None:
        self._take()

    def do_POST(self) -> None:
        self._take()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _take(self) -> None:
        parts = urlsplit(self.path)
        delivery = Delivery(
            method=self.command,
            path=parts.path,
            query=parts.query.encode(),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length", 0))),
        )
        self.send_response(self.receiver.take(delivery))
        self.send_header("Location", "/elsewhere")
        self.end_headers()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Take no notice of a sender that has left."""


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Serve a receiver on this machine while the block runs."""
    handler = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", 0), handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        receiver = Receiver(server)
        handler.receiver = receiver  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.open.set()
            server.shutdown()
            thread.join()


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something is so; fail if it never is."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def key(directory: Path, digest: Digest = "sha1") -> Verifier:
    """Load the key with which a merchant verifies."""
    return load_verifier(directory / "cert/notification/public.pem", digest)


def read(delivery: Delivery, verifier: Verifier) -> Notification | None:
    """Let the driver judge a notification; `None` if it is refused."""
    try:
        return notifications.read(delivery, [verifier], account=ACCOUNT, currency="RUB")
    except BadNotification:
        return None


# As https://doc-merchant.alikassa.com/api/sign and /payment/check/sign verify, whatever brought the fields.
_PHP = r"""
[$_, $path, $what, $algorithm] = $argv;
$raw = stream_get_contents(STDIN);
if ($raw[0] === '{') { $got = json_decode($raw, true); } else { parse_str($raw, $got); }
$lists = [
    'notification' => ['type', 'id', 'order_id', 'payment_status', 'amount', 'payment_amount', 'commission_amount',
        'is_partial_payment', 'account', 'service', 'desc'],
    'return' => ['order_id', 'uuid'],
];
$data = [];
foreach ($lists[$what] as $name) { $data[$name] = $got[$name] ?? null; }
if (isset($data['id'])) { $data['id'] = (int) $data['id']; }
$key = openssl_pkey_get_public(file_get_contents($path));
echo openssl_verify(json_encode($data), base64_decode($got['sign']), $key, constant($algorithm));
"""


def verified_by_php(directory: Path, what: str, raw: bytes, digest: Digest = "sha1") -> bool:
    """Let PHP judge a query, a form or JSON; where a user has no PHP this is skipped, in CI it fails."""
    require_php()
    arguments: list[str | Path] = [directory / "cert/notification/public.pem", what, PHP_DIGESTS[digest]]
    done = subprocess.run(["php", "-r", _PHP, *arguments], input=raw, capture_output=True, check=True)
    assert done.stdout in {b"0", b"1"}, done.stdout
    return done.stdout == b"1"


def require_php() -> None:
    """Skip where PHP is not installed, and fail there in CI."""
    if shutil.which("php") is None:
        message = "NOT SHOWN: php is not installed, so only our own code has verified this"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
