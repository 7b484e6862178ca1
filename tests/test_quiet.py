"""With everything on DEBUG, no logger of any library prints what a call of payhub has on the wire."""

import contextlib
import logging
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
import trustme

from payhub import hookimpl
from payhub.models import Exchange
from payhub.testing import fake
from payhub.transport import quiet
from payhub.transport.http import httpcore, httpx
from tests.raw_server import RawServer, answer, close
from tests.samples import CARD, PAYOUT, known

LOGGERS = (None, httpx.__name__, httpcore.__name__)  # the command line makes the last two quiet, for the whole process
HEAD: dict[str, Any] = {
    "Connection": "close",
    "Set_Cookie": "session=sesame-cookie",
    "Location": f"https://x.example/{CARD}?t=sesame-link",
    "X_Echo": CARD,
}
SCRIPTS: dict[str, Any] = {
    "answered": answer({**known(PAYOUT), "number": CARD, "secret": "sesame-field"}, **HEAD),
    "refused": answer({"code": CARD, "text": f"card {CARD}, password=sesame"}, 422, **HEAD),
    "failed": answer(f"<p>{CARD}</p>".encode(), 500, **HEAD),
    "not HTTP": f"HTTP/1.1 sesame {CARD}\r\nsesame: {CARD}\r\n\r\n".encode(),
    "cut": close,
}


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Log everything that any logger has to say, payhub's own events too, with its arguments and exceptions."""
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    )
    with contextlib.ExitStack() as levels:
        for name in LOGGERS:
            levels.enter_context(caplog.at_level(logging.DEBUG, name))
        yield caplog
    structlog.configure(**before)


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Make a server's certificate, and let payhub trust it."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setattr("certifi.where", lambda: str(tmp_path / "ca.pem"))
    return context


def steps(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if record.name.startswith(httpcore.__name__)]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_rule_12_no_library_logs_a_secret(
    open_hub: Any, serve: Any, everything: Any, secure: Any, script: str, tls: bool
) -> None:
    """Rule 12: whatever a provider answers, its head is in no log, and neither is what was sent."""
    server: RawServer = serve(SCRIPTS[script], tls=secure if tls else None)
    shop = {"provider": "fake", "base_url": f"{server.url}/?t=sesame-query", "token": "sesame-token"}
    hub = open_hub(accounts={"shop": shop})
    with contextlib.suppress(Exception):
        hub.create_payout("shop", PAYOUT)
    text = everything.text
    assert ([CARD in text, "sesame" in text], True, []) == (
        [False, False],
        "payhub.exchange" in text,
        [step for step in steps(everything) if not re.fullmatch(r"[a-z_]+\.[a-z]+", step)],
    )


def test_the_steps_are_still_logged(open_hub: Any, serve: Any, everything: Any) -> None:
    """How far a call got stays in httpcore's log: connected, sent, answered."""
    open_hub(serve(answer(known(PAYOUT))).url).create_payout("shop", PAYOUT)
    logged = steps(everything)
    assert [] == [step for step in ("connect_tcp.complete", "send_request_body.complete",
                                    "receive_response_headers.complete") if step not in logged]  # fmt: skip


class Fetching:
    """An observer that fetches something else, with the application's own httpx."""

    def __init__(self, url: str) -> None:
        self.url = url

    @hookimpl
    def payhub_event(self, event: Exchange) -> None:
        self.fetch()

    def fetch(self) -> None:
        with httpx.Client(trust_env=False) as client:
            client.get(self.url)


def test_other_users_of_httpx_are_left_alone(open_hub: Any, serve: Any, everything: Any) -> None:
    """What the application itself sends with httpx is logged as it wants, also beside and during an operation."""
    elsewhere: RawServer = serve(answer({}, X_Mine="mine"))
    hub = open_hub(serve(answer(known(PAYOUT), X_Theirs="theirs")).url, (Fetching(elsewhere.url),))
    hub.create_payout("shop", PAYOUT)
    Fetching(elsewhere.url).fetch()
    whole = [step for step in steps(everything) if step.startswith("receive_response_headers.complete ")]
    assert (2, False) == (len(whole), any("theirs" in step for step in steps(everything)))


def test_one_filter_is_enough() -> None:
    """However many hubs are opened, each logger of httpcore has one filter more, and its level and handlers stay."""
    logger = logging.getLogger(f"{httpcore.__name__}.http11")
    before = logger.level, list(logger.handlers), logger.propagate
    for _ in range(3):
        quiet.install()
    assert (before, 1) == (
        (logger.level, list(logger.handlers), logger.propagate),
        sum(each is quiet._steps_only for each in logger.filters),
    )


def test_the_loggers_are_those_that_httpcore_has() -> None:
    """Every logger of httpcore that says anything has the filter, whatever version is installed."""
    quiet.install()
    names = [name for name in logging.root.manager.loggerDict if name.startswith(f"{httpcore.__name__}.")]
    with_filter = [name for name in names if quiet._steps_only in logging.getLogger(name).filters]
    assert (True, names) == (
        {f"{httpcore.__name__}.connection", f"{httpcore.__name__}.http11"} <= set(names), with_filter
    )  # fmt: skip


def test_the_fake_is_a_driver() -> None:
    """The provider of these tests sends its token with every call, or they would prove nothing."""
    config = fake.FakeConfig(name="shop", provider="fake", base_url="https://x.example", token="sesame-token")
    call = fake.connect(config).call("x", "x", fake.Nothing(), fake.Nothing)
    assert "Bearer sesame-token" in msgspec.to_builtins(dict(call.headers)).values()
