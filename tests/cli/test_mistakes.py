import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from payhub import errors
from payhub.cli.app import EXIT_CODES
from payhub.cli.session import ExitCode
from payhub.errors import PayhubError
from payhub.hub import Hub
from payhub.journal.sql import SqlJournal
from payhub_alikassa.sandbox import Sandbox
from tests.raw_server import RawServer, answer

from .conftest import ACCOUNT, CARD, PAYER, Command, interrupted, start, wait_for

PAY = ("pay", ACCOUNT, "--order-id", "in-1", "--amount", "500", "--currency", "RUB", "--method", "card")
PAYOUT = ("payout", ACCOUNT, "--order-id", "po-1", "--amount", "500", "--currency", "RUB")


def replaced(arguments: tuple[str, ...], option: str, value: str) -> tuple[str, ...]:
    """Give another value to an option."""
    place = arguments.index(option) + 1
    return (*arguments[:place], value, *arguments[place + 1 :])


# arguments, exit code, what the line says
MISTAKES = {
    "no such command": (("payuot",), 2, "No such command 'payuot'"),
    "no command": (("--version=x",), 2, "--version"),
    "misspelt option": ((*PAYOUT, "--to-crad", CARD), 2, "No such option: --to-crad"),
    "missing option": (("pay", ACCOUNT, "--order-id", "in-1"), 2, "Missing option '--amount'"),
    "missing argument": (("balance",), 2, "Missing argument"),
    "unknown method": (replaced(PAY, "--method", "crypto"), 2, "'crypto' is not one of 'card', 'sbp'"),
    "no destination": (PAYOUT, 2, "give one of --to-card, --to-phone, --to-account, --to-wallet; none given"),
    "two destinations": ((*PAYOUT, "--to-card", CARD, "--to-phone", "79031112233"), 2, "--to-wallet; 2 given"),
    "a watch without a pause": (("sweep", "--watch", "0"), 2, "should be greater than or equal to 0.1\n"),
    "a watch for no time": (("sweep", "--watch", "nan"), 2, "should be greater than or equal to 0.1\n"),
    "card number in pieces": ((*PAYOUT, "--to-card", "4111", "1111", "1111", "1111"), 2, "(**** **** ****)"),
    "option of another destination": (
        (*PAYOUT, "--to-card", CARD, "--bic", "041351902"), 2, "--bic does not go with the rest: there is no to.bic",
    ),
    "set without a value": ((*PAY, "--set", "lifetime"), 2, "--set: write it as FIELD=VALUE"),
    "set twice": ((*PAY, "--set", "lifetime=900", "--set", "lifetime=901"), 2, "--set: lifetime is given twice"),
    "set what an option gives": (
        (*PAY, *PAYER, "--set", "payer.id=u-2"), 2, "--set payer.id: --payer-id already gives it",
    ),
    "set an unknown field of the order": (
        (*PAY, "--set", "payer.emial=x"), 2, "--set payer.emial: no such field; did you mean 'payer.email'?",
    ),
    "set an unknown field of the provider": (
        (*PAY, "--set", "lifetme=900"), 2, "payer.email); did you mean 'lifetime'?\n",
    ),
    "set something far off": ((*PAYOUT, "--to-card", CARD, "--set", "zzz=1"), 2, "known: service, customer_code"),
    "no id": (("status", ACCOUNT, "payout"), 2, "give --order-id or --provider-id, one of them"),
    "both ids": (("status", ACCOUNT, "payout", "--order-id", "1", "--provider-id", "1"), 2, "one of them"),
    "not a date": (("history", ACCOUNT, "--from", "2026-13-01", "--to", "2026-12-31"), 2, "--from: not a date"),
    "days in the wrong order": (
        ("history", ACCOUNT, "--from", "2026-02-01", "--to", "2026-01-01"), 2, "--to is before --from",
    ),
    "missing file": (("accounts", "--config", "nowhere.toml"), 2, "nowhere.toml: no such file"),
    "unknown account": (("balance", "alikasa"), 2, "no account 'alikasa' in the configuration; known: alikassa-rub"),
    "amount with a comma": (replaced(PAY, "--amount", "1,5"), 3, "amount: not a plain decimal number"),
    "too many digits": (replaced(PAY, "--amount", "1.555"), 3, "amount: RUB has 2 digits after the point"),
    "no such currency": (replaced(PAY, "--currency", "RUR"), 3, "currency: not an ISO 4217 code"),
    "missing bank code": ((*PAYOUT, "--to-phone", "79031112233"), 3, "to.bank_code: "),
    "missing payer": (PAY, 3, "payer.ip: "),
    "not a card number": ((*PAYOUT, "--to-card", "4111111111111112"), 3, "to.number: not a card number"),
    "not a whole number": ((*PAY, *PAYER, "--set", "lifetime=long"), 3, "extra.lifetime: must be a whole number"),
    "not a day": (
        (*PAYOUT, "--to-card", CARD, "--set", "to.birth_date=today"), 3, "to.birth_date: must be a date, as 1990-12-31",
    ),
    "no such order": (
        ("status", ACCOUNT, "payout", "--order-id", "none"), 3,
        "payout none: the provider does not find it (Payment not found); this does not prove that it failed",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(("arguments", "code", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line(payhub: Command, arguments: tuple[str, ...], code: int, words: str) -> None:
    """A mistake ends with its exit code and one readable line on stderr; with --json also one object on stdout."""
    plain = payhub(*arguments)
    assert (plain.code, plain.out) == (code, "")
    assert plain.err.startswith("payhub: ")
    assert plain.err.count("\n") == 1
    assert words in plain.err
    in_json = payhub(*arguments, "--json")
    assert in_json.code == code
    assert in_json.json["error"]["message"] == in_json.err.removeprefix("payhub: ").rstrip("\n")


@pytest.mark.parametrize(
    "place",
    [("{}", "notifications", "list"), ("notifications", "{}", "list"), ("notifications", "list", "{}")],
    ids=["before the command", "after its group", "after it"],
)
def test_common_options_may_stand_anywhere(payhub: Command, sandbox: Sandbox, place: tuple[str, ...]) -> None:
    """Where an option stands makes no difference; of two configurations the nearest to the command's end counts."""
    done = payhub(*(word for each in place for word in (("--json",) if each == "{}" else (each,))))
    assert (done.code, done.json) == (0, {"notifications": []})
    there = payhub(*(f"--config={sandbox.config}" if each == "{}" else each for each in place))
    assert (there.code, there.out) == (0, "none\n")
    missing = payhub(*("--config=nowhere.toml" if each == "{}" else each for each in place))
    assert (missing.code, "nowhere.toml: no such file" in missing.err) == (2, True)
    assert payhub("--config=nowhere.toml", "accounts", f"--config={sandbox.config}").code == 0


def test_the_refused_field_is_named_in_json(payhub: Command, sandbox: Sandbox) -> None:
    """A program learns which field was refused, and nothing was sent."""
    done = payhub(*replaced(PAYOUT, "--amount", "0"), "--to-card", CARD, "--json")
    assert done.json == {
        "error": {"type": "InvalidOrder", "message": "amount: must be more than zero", "field": "amount"}
    }
    assert sandbox.requests("/v1/payout") == 0


def test_a_refusal_has_the_providers_code(payhub: Command, sandbox: Sandbox) -> None:
    """What the provider refuses for good is exit 3, with its words and code."""
    done = payhub(*PAY, *PAYER, "--set", "service=nobodys", "--json")
    assert done.code == 3
    assert done.json["error"]["type"] == "Declined"
    assert done.json["error"]["code"] == "400"
    assert "service: " in done.json["error"]["message"]


def test_what_the_provider_has_already_is_unknown(payhub: Command, sandbox: Sandbox) -> None:
    """The outcome of an order that a lost journal forgot, and the provider refuses to take twice, is asked for."""
    payhub(*PAY, *PAYER)
    for path in (*sandbox.config.parent.glob("payhub.db*"), sandbox.config.with_name("payhub.note")):
        path.unlink()
    assert payhub(*PAY, *PAYER).code == 4
    done = payhub("check", ACCOUNT, "payment", "in-1", "--json")
    assert (done.code, done.json["status"]) == (0, "pending")


def test_misspelt_key_of_the_configuration(payhub: Command, write_config: Callable[[str], Path]) -> None:
    """A misspelt key is refused with the nearest known one, and its value is not shown."""
    write_config('[accounts.shop]\nprovider = "alikassa"\npayot_cert = "cert/secret"\n')
    done = payhub("balance", "shop")
    assert done.code == 2
    assert "payot_cert" in done.err
    assert "payout_cert" in done.err
    assert "cert/secret" not in done.err


def test_not_sent(payhub: Command, sandbox: Sandbox) -> None:
    """When nothing left this machine, exit 3: no money moved."""
    sandbox.arm("refuse", seconds=None)
    done = payhub(*PAYOUT, "--to-card", CARD, "--json")
    sandbox.disarm()
    assert (done.code, done.json["error"]["type"]) == (3, "NotSent")


def test_unavailable(payhub: Command, sandbox: Sandbox) -> None:
    """A question without a usable answer is exit 3."""
    sandbox.arm("html", times=5)
    done = payhub("balance", ACCOUNT, "--json")
    assert (done.code, done.json["error"]["type"]) == (3, "Unavailable")


UNKNOWN = {
    "cut after accepting": ("cut_after_accepting", {}),
    "500 after accepting": ("error_500_after_accepting", {}),
    "refused by status": ("status", {"status": 400, "body": {"message": "The given data was invalid."}}),
    "a page": ("html", {"accept": True}),
}


@pytest.mark.parametrize(("fault", "options"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_outcome(payhub: Command, sandbox: Sandbox, fault: str, options: dict[str, object]) -> None:
    """An outcome that is unknown is the result: exit 4, and stderr has the command that asks."""
    sandbox.arm(fault, path="/v1/payout", **options)
    done = payhub(*PAYOUT, "--to-card", CARD, "--json", "--config", sandbox.config)
    assert done.code == 4
    assert done.json["status"] == "unknown"
    ask = f"payhub check {ACCOUNT} payout po-1 --config {sandbox.config}"
    assert done.err == f"payhub: the outcome is unknown: do not create it again, ask: {ask}\n"


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["for people", "json"])
def test_ctrl_c_while_creating(sandbox: Sandbox, form: tuple[str, ...]) -> None:
    """Ctrl-C during a payout says that the outcome may be unknown and how to ask: exit 4."""
    sandbox.arm("stall", path="/v1/payout")
    with start(*PAYOUT, "--to-card", CARD, *form) as running:
        wait_for(lambda: sandbox.requests("/v1/payout") == 1)
        done = interrupted(running)
    assert done.code == 4
    assert done.err.count("\n") == 1
    assert "interrupted by KeyboardInterrupt; the outcome of the payout may be unknown" in done.err
    assert f"ask: payhub check {ACCOUNT} payout po-1" in done.err
    assert (done.json["error"]["type"] if form else done.out) == ("OutcomeUnknown" if form else "")


def test_ctrl_c_while_asking(sandbox: Sandbox) -> None:
    """Ctrl-C during a question is only that."""
    sandbox.arm("stall", path="/v1/account/balance")
    with start("balance", ACCOUNT) as running:
        wait_for(lambda: sandbox.requests("/v1/account/balance") == 1)
        done = interrupted(running)
    assert done == (130, "", "")


BROKEN_DRIVER = """
from payhub.testing.fake import *
from payhub.testing import fake

payhub_provider = fake.payhub_provider

@hookimpl
def payhub_create_payout(account, order):
    raise ZeroDivisionError(order.to.number)
    yield

@hookimpl
def payhub_fetch_balance(account):
    raise ZeroDivisionError("secret")
    yield
"""


def test_a_defect_while_creating_is_unknown(payhub: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only payhub's own errors prove that no money moved: anything else is exit 4."""
    monkeypatch.setattr(Hub, "create_payout", lambda *_: 1 / 0)
    done = payhub(*PAYOUT, "--to-card", CARD)
    assert done.code == 4
    assert "interrupted by ZeroDivisionError" in done.err
    assert "ask: payhub check alikassa-rub payout po-1\n" in done.err
    assert CARD not in done.err


@pytest.mark.usefixtures("broken_driver")
def test_a_mistake_of_a_driver_before_it_sends_moved_nothing(payhub: Command) -> None:
    """What a driver raises before its first call is a broken plugin; no money moved."""
    done = payhub(*replaced(PAYOUT, "payout", "shop"), "--to-card", CARD, "--without-journal")
    words = r"payhub: the driver of provider 'fake' failed: ZeroDivisionError in .*broken_driver\.py:\d+\n"
    assert (2, True) == (done.code, bool(re.fullmatch(words, done.err)))


@pytest.mark.usefixtures("broken_driver")
def test_a_mistake_of_a_driver_is_one_line(payhub: Command) -> None:
    """A driver's mistake names the place, shows no traceback and does not quote the foreign error."""
    done = payhub("balance", "shop", "--json")
    assert (2, 1, "BrokenPlugin") == (done.code, done.err.count("\n"), done.json["error"]["type"])
    assert "broken_driver.py:" in done.err
    assert "secret" not in done.err


def test_a_defect_is_one_line(payhub: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect names the place, shows no traceback and does not quote the foreign error."""

    def defect(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(Hub, "fetch_balance", defect)
    done = payhub("balance", ACCOUNT, "--json")
    assert (1, 1, "ZeroDivisionError") == (done.code, done.err.count("\n"), done.json["error"]["type"])
    assert "unexpected ZeroDivisionError in " in done.err
    assert "test_mistakes.py:" in done.err
    assert "secret" not in done.err


def test_a_monitor_can_tell_a_defect_from_orders_that_wait(
    payhub: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`unknown` ends with 5 if there are such orders, with 1 if it failed by a defect, and with 3 without a journal."""
    sandbox.arm("cut_after_accepting", path="/v1/payout")
    payhub(*PAYOUT, "--to-card", CARD)
    assert payhub("unknown").code == ExitCode.WAITING
    with monkeypatch.context() as defect:
        defect.setattr(SqlJournal, "unsettled", lambda *_: 1 / 0)
        assert payhub("unknown").code == ExitCode.DEFECT
    sandbox.config.with_name("payhub.db").write_text("these are my notes\n" * 100)
    assert payhub("unknown").code == ExitCode.REFUSED


@pytest.fixture
def broken_driver(install: Callable[..., None], write_config: Callable[[str], Path]) -> None:
    """Install a driver with defects, and configure it."""
    install("broken-driver", "1.0", BROKEN_DRIVER, fake="broken_driver")
    write_config('[accounts.shop]\nprovider = "fake"\nbase_url = "http://127.0.0.1:9"\n')


def test_words_of_the_provider_cannot_steer_the_terminal(
    payhub: Command, install: Callable[..., None], write_config: Callable[[str], Path], serve: Callable[..., RawServer]
) -> None:
    """Control characters of an answer are shown as such, never sent to the terminal."""
    install("fake-driver", "1.0", fake="payhub.testing.fake")
    server = serve(answer({"code": "no", "text": "\x1b[2Jdeclined\nfor 4111 1111 1111 1111"}, 422))
    write_config(f'[accounts.shop]\nprovider = "fake"\nbase_url = "{server.url}"\n')
    done = payhub(*replaced(PAY, "pay", "shop"), "--without-journal")
    assert (done.code, done.err) == (3, "payhub: \N{REPLACEMENT CHARACTER}[2Jdeclined for 4111 11** **** 1111\n")


def test_every_error_has_an_exit_code() -> None:
    """Errors of configuration, and an order that the journal does not have, are 2; every other error of payhub is 3."""
    found = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, PayhubError)}
    codes = {kind.__name__: next(EXIT_CODES[base] for base in kind.__mro__ if base in EXIT_CODES) for kind in found}
    mistakes = (errors.ConfigurationError, errors.UnknownOrder)
    usage = {kind.__name__ for kind in found if issubclass(kind, mistakes)}
    assert {name for name, code in codes.items() if code == 2} == usage
    assert {code for name, code in codes.items() if name not in usage} == {3}


def without(module: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a Python that lacks a module."""
    program = f"import sys; sys.modules[{module!r}] = None; from payhub.cli import main; main(['providers'])"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra(missing: str) -> None:
    """Without the extra the command says which one to install: exit 2."""
    done = without(missing)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"payhub: {missing} is not installed: pip install 'payhub-core[cli]'\n"


def test_another_missing_module_is_not_hidden() -> None:
    """Only the extra's own libraries are taken for the extra."""
    assert "import of sqlite3 halted" in without("sqlite3").stderr
