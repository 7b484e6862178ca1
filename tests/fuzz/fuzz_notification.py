"""Fuzz what reads notifications: nothing but a refusal may come of bytes that nobody signed.

Run by hand; atheris is no dependency of payhub, and has wheels for some versions of Python only:

    pip install atheris
    python -m tests.fuzz.fuzz_notification -max_total_time=300

Every input is read twice, as a notification and as the payer's return: with PHP's real public key,
where nothing may be told but what PHP signed, and with a stand-in that accepts every signature, so
that what lies behind one is reached too. The corpus begins with PHP's vectors. libFuzzer's options
(`-help=1`) follow the name; a directory among them keeps the corpus.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["payhub_alikassa", "payhub.money", "json", "urllib"]):
    from payhub import BadNotification
    from payhub.models import Delivery
    from payhub_alikassa import notifications
    from payhub_alikassa.signing import Verifier, load_verifier

VECTORS = Path(__file__).parents[1] / "alikassa/vectors"
MADE = json.loads((VECTORS / "vectors.json").read_text("utf-8"))
SIGNED = [json.loads(vector["signed_string"]) for vector in MADE["notifications"] + MADE["redirects"]]
KEY = load_verifier(VECTORS / "cert/notification/public.pem", "sha1")
ACCOUNT = "93d5df06-996c-48c3-9847-348d6b580b80"
FORMS = ("query", "form", "json", "json_unescaped")
METHODS = ("GET", "POST", "PUT")


class Anything(Verifier):
    """Accept every signature."""

    def __init__(self) -> None:
        """Need no key."""

    def signed(self, texts: Iterable[bytes], signature: bytes) -> bytes:
        """Return the first text."""
        return next(iter(texts))


def one_input(data: bytes) -> None:
    """Read one input, whose first byte is the method, in every way."""
    method = METHODS[data[0] % len(METHODS)] if data else "GET"
    delivery = Delivery(method=method, query=data[1:], body=data[1:])
    for verifier in (KEY, Anything()):
        told = []
        with contextlib.suppress(BadNotification):
            told.append(dict(notifications.read(delivery, [verifier], account=ACCOUNT, currency="RUB").fields))
        with contextlib.suppress(BadNotification):
            payer = notifications.read_return(delivery, [verifier])
            told.append({"order_id": payer.order_id, "uuid": payer.reference})
        if verifier is KEY and not all(fields in SIGNED for fields in told):
            raise AssertionError("told what PHP did not sign")


def main() -> None:
    """Write the first corpus and hand over to libFuzzer."""
    with tempfile.TemporaryDirectory() as corpus:
        seeds = [bytes([form != "query"]) + v[form].encode() for v in MADE["notifications"] for form in FORMS]
        seeds += [b"\1" + vector["form"].encode() for vector in MADE["redirects"]]
        for number, seed in enumerate(seeds):
            (Path(corpus) / f"{number}").write_bytes(seed)
        atheris.Setup([*sys.argv, corpus], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
