import contextlib
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from payhub.journal.sql.migrate import HEAD
from payhub_alikassa.sandbox import Sandbox
from tests.raw_server import RawServer, answer

from .conftest import ACCOUNT, CARD, Command

PAYOUT = ("payout", ACCOUNT, "--order-id", "po-1", "--amount", "500", "--currency", "RUB", "--to-card", CARD)

RIGHTS = {"payments": True, "payouts": True}
Write = Callable[[str], Path]
Install = Callable[..., None]


def test_providers(payhub: Command) -> None:
    """The installed driver is listed with what it can do; no configuration is needed."""
    done = payhub("providers", "--json")
    (alikassa,) = [row for row in done.json["providers"] if row["name"] == "alikassa"]
    assert alikassa["title"] == "AliKassa"
    assert alikassa["distribution"].startswith("payhub-core ")
    assert "create_payout" in alikassa["operations"]
    assert "service" in alikassa["payment_fields"]
    assert alikassa["sandbox"] is True
    shown = payhub("providers")
    assert shown.code == 0
    assert "alikassa: a payout takes --set of service, " in shown.out


def test_providers_of_other_distributions(payhub: Command, install: Install) -> None:
    """A third-party driver appears; a broken one is named with its cause, and costs only itself."""
    install("payhub-fake", "2.0", fake="payhub.testing.fake")
    install("payhub-worse", "0.1", "raise RuntimeError('card 4111111111111111')", worse="payhub_worse")
    done = payhub("providers", "--json")
    assert done.code == 0
    assert {"alikassa", "fake"} == {row["name"] for row in done.json["providers"]}
    cause = "RuntimeError: card 411111******1111"
    assert done.json["broken"] == [{"name": "worse", "distribution": "payhub-worse 0.1", "cause": cause}]
    assert "payhub.plugin_broken" in done.err
    assert f"✗ worse: broken: {cause}\n" in payhub("providers").out


COMPANIONS = """
from payhub import hookimpl

@hookimpl(wrapper=True)
def payhub_create_payout():
    return (yield)

@hookimpl
def payhub_event(event): ...
"""


def test_what_reaches_every_account_is_listed(payhub: Command, install: Install, sandbox: Sandbox) -> None:
    """A plugin that wraps or observes is named with its distribution and what it does, by `providers` and `doctor`."""
    install("payhub-limits", "1.0", COMPANIONS, limits="payhub_limits")
    limits = {"name": "limits", "distribution": "payhub-limits 1.0", "wraps": ["create_payout"], "observes": True}
    words = "limits (payhub-limits 1.0): wraps create_payout; observes every exchange"
    assert [limits] == payhub("providers", "--json").json["companions"]
    assert f"{words}\n" in payhub("providers").out
    checks = payhub("doctor", "--json").json["checks"]
    found = [check for check in checks if check["name"] == "plugin" and check["account"] is None]
    assert [("ok", words)] == [(check["state"], check["detail"]) for check in found]


def test_a_name_claimed_twice_is_shown(payhub: Command, install: Install) -> None:
    """Two distributions with one provider name are both shown, with the problem."""
    install("payhub-one", "1.0", fake="payhub.testing.fake")
    install("payhub-two", "1.0", "from payhub.testing.fake import *", fake="payhub_two")
    rows = [row for row in payhub("providers", "--json").json["providers"] if row["name"] == "fake"]
    assert {row["problem"] for row in rows} == {"more than one distribution claims the name; uninstall all but one"}
    assert "✗ fake: more than one distribution" in payhub("providers").out


def test_accounts(payhub: Command, sandbox: Sandbox) -> None:
    """An account that can be opened is ok; nothing is sent."""
    done = payhub("accounts", "--json")
    account = {"name": ACCOUNT, "provider": "alikassa", "opened": True, "problem": None}
    assert done.json == {"accounts": [account]}
    assert ACCOUNT in payhub("accounts").out
    assert sandbox.requests("/v1/account/info") == 0


def test_accounts_that_cannot_be_opened(payhub: Command, write_config: Write) -> None:
    """Each account says why it cannot be opened."""
    write_config('[accounts.a]\nprovider = "nobody"\n[accounts.b]\n')
    done = payhub("accounts", "--json")
    assert done.code == 0
    a, b = done.json["accounts"]
    assert (a["opened"], a["provider"]) == (False, "nobody")
    assert "no installed driver speaks to 'nobody'" in a["problem"]
    assert (b["opened"], b["provider"]) == (False, None)
    assert "the key 'provider' is missing" in b["problem"]
    assert "nobody" in payhub("accounts").out


def states(done: object) -> dict[str, str]:
    """Return the state of every check by its name."""
    return {check["name"]: check["state"] for check in done.json["checks"]}  # type: ignore[attr-defined]


def test_doctor_finds_all_well(payhub: Command, sandbox: Sandbox) -> None:
    """A good account passes every check, and no money is moved."""
    done = payhub("doctor", "--json")
    assert done.code == 0
    assert done.json["ok"] is True
    assert states(done) == dict.fromkeys(
        (
            "configuration",
            "files",
            "journal",
            "journal tables",
            "journal key",
            "orders",
            "plugin",
            "keys",
            "address",
            "account information",
            "clock",
            "services",
            "payment requests",
            "payout requests",
        ),
        "ok",
    )
    shown = payhub("doctor", ACCOUNT)
    assert shown.code == 0
    assert {line[0] for line in shown.out.splitlines() if not line.startswith("    → ")} == {"✓"}
    assert sandbox.requests("/v1/payment") == sandbox.requests("/v1/payout") == 0


def seen(payhub: Command) -> dict[str, tuple[str, str, str | None]]:
    """Return what the doctor says of each thing: state, detail, advice."""
    checks = payhub("doctor", "--json").json["checks"]
    return {check["name"]: (check["state"], check["detail"], check["advice"]) for check in checks}


def changed(sandbox: Sandbox, statement: str) -> None:
    """Change the journal as somebody else may."""
    with contextlib.closing(sqlite3.connect(sandbox.config.with_name("payhub.db"))) as connection, connection:
        connection.execute(statement)


def test_doctor_says_where_the_journal_is(payhub: Command, sandbox: Sandbox) -> None:
    """Its file, its version, its key, that it is empty; then, once it has orders, whether they are swept."""
    empty = seen(payhub)
    compare = "if your application has made orders, it keeps them elsewhere: compare url and prefix"
    assert empty["journal"] == ("ok", str(sandbox.config.with_name("payhub.db")), None)
    assert empty["journal tables"] == ("ok", f"version {HEAD}", None)
    assert empty["journal key"] == ("ok", "the first order begins with it", None)
    assert empty["orders"] == ("ok", "none yet", compare)
    payhub(*PAYOUT)
    begun = seen(payhub)
    sweeps = "call `payhub sweep` regularly, from cron or with --watch, and read its log"
    assert begun["journal key"] == ("ok", "the one that the journal was begun with", None)
    assert begun["sweeps"] == ("warning", "none has ended yet", sweeps)
    assert "orders" not in begun
    payhub("sweep")
    state, detail, _ = seen(payhub)["sweeps"]
    assert (state, re.sub(r"\d+", "N", detail)) == ("ok", "the last one ended N s ago")
    changed(sandbox, "UPDATE payhub_orders SET due_at = due_at - 864000 * 1000000")
    state, detail, advice = seen(payhub)["sweeps"]
    assert (state, advice) == ("warning", sweeps)
    assert re.search(r"; 1 orders are overdue, the oldest for (9 d 23 h|10 d.*)$", detail)


def test_doctor_finds_another_key(payhub: Command, sandbox: Sandbox) -> None:
    """A key that is not the journal's is found before an order is refused because of it: exit 2."""
    payhub(*PAYOUT)
    key = sandbox.config.with_name("payhub.key")
    was = key.read_bytes()
    try:
        key.write_bytes(b"another" * 5)
        done = payhub("doctor", "--json")
    finally:
        key.write_bytes(was)
    assert (done.code, states(done)["journal key"]) == (2, "failed")


def test_doctor_finds_other_tables(payhub: Command, sandbox: Sandbox) -> None:
    """Tables of another version, and tables that are gone, are named with what to do: exit 2."""
    changed(sandbox, "DROP TABLE payhub_slots")
    gone = payhub("doctor", "--json")
    assert (gone.code, seen(payhub)["journal tables"][1]) == (2, "missing: payhub_slots")
    changed(sandbox, "UPDATE payhub_version SET version_num = '9999'")
    newer = payhub("doctor", "--json")
    assert (newer.code, seen(payhub)["journal tables"][1]) == (2, f"of version 9999, and this payhub needs {HEAD}")


@pytest.fixture
def other_url(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have the sandbox's orders kept elsewhere."""

    def use(line: str) -> None:
        text = sandbox.config.read_text("utf-8")
        other = sandbox.config.with_name("other.toml")
        other.write_text(text.replace('url = "sqlite:///payhub.db"', line), "utf-8")
        monkeypatch.setenv("PAYHUB_CONFIG", str(other))

    return use


def test_doctor_of_an_unreachable_database(payhub: Command, other_url: Callable[[str], None]) -> None:
    """A database that does not answer is named without its password: exit 3, and the accounts are examined."""
    other_url('url = "postgresql+psycopg://shop:sesame@127.0.0.1:9/orders"\nkey = "secret, and it has 32 characters"')
    done = payhub("doctor", "--json")
    found = states(done)
    assert (done.code, found["journal"], found["services"]) == (3, "failed", "ok")
    assert "sesame" not in done.out + done.err


def test_doctor_of_orders_in_memory(payhub: Command, other_url: Callable[[str], None]) -> None:
    """Without an address orders are forgotten, which is a warning."""
    other_url("")
    assert seen(payhub)["journal"][:2] == ("warning", "in memory: orders are forgotten when a process ends")


def test_doctor_without_a_configuration(payhub: Command) -> None:
    """Without a configuration nothing else can be examined: exit 2, and what to do."""
    done = payhub("doctor")
    assert done.code == 2
    assert done.out.startswith("✗ configuration: ")
    assert "\n    → " in done.out


def test_doctor_without_accounts(payhub: Command, write_config: Write) -> None:
    """A configuration without accounts is not well."""
    write_config("")
    done = payhub("doctor", "--json")
    found = {"configuration": "ok", "files": "ok", "journal": "warning", "accounts": "failed"}
    assert (done.code, states(done)) == (2, found)


@pytest.mark.usefixtures("sandbox")
def test_doctor_of_an_unknown_account(payhub: Command) -> None:
    """An unknown account lists the known ones."""
    done = payhub("doctor", "alikasa")
    assert done.code == 2
    assert "known: alikassa-rub" in done.out


def test_doctor_names_unusable_keys(payhub: Command, sandbox: Sandbox, write_config: Write) -> None:
    """Keys that cannot be loaded are named with their folder; other accounts are examined all the same."""
    good = sandbox.config.read_text("utf-8").replace('"cert', f'"{sandbox.config.parent}/cert')
    section = good.partition("\n\n")[2]
    write_config(good + section.replace(ACCOUNT, "wrong").replace("cert/payment", "cert/nothing"))
    done = payhub("doctor", "--config", "payhub.toml")
    assert done.code == 2
    assert "✗ wrong keys: " in done.out
    assert "cert/nothing" in done.out
    assert "✓ alikassa-rub payout requests" in done.out


def test_doctor_names_two_names_of_one_account(payhub: Command, sandbox: Sandbox, write_config: Write) -> None:
    """Two tables with one uuid and host are one account: a warning, for each of them."""
    good = sandbox.config.read_text("utf-8").replace('"cert', f'"{sandbox.config.parent}/cert')
    write_config(good + good.partition("\n\n")[2].replace(ACCOUNT, "twin"))
    done = payhub("doctor", "--config", "payhub.toml")
    assert (0, True, True) == (
        done.code,
        "! twin identity: the same account with its provider as alikassa-rub" in done.out,
        "! alikassa-rub identity: the same account with its provider as twin" in done.out,
    )


def test_doctor_warns_of_broken_plugins(payhub: Command, install: Install, sandbox: Sandbox) -> None:
    """A broken plugin that no account needs is a warning."""
    install("payhub-worse", "0.1", "import nothing_like_this", worse="payhub_worse")
    done = payhub("doctor")
    assert done.code == 0
    assert "! plugin: worse (payhub-worse 0.1): ModuleNotFoundError" in done.out


def test_doctor_of_an_unreachable_provider(payhub: Command, sandbox: Sandbox) -> None:
    """An unreachable provider is exit 3, with what to check."""
    sandbox.arm("refuse", seconds=None)
    done = payhub("doctor", "--json")
    sandbox.disarm()
    assert done.code == 3
    assert states(done)["account information"] == "failed"
    (failed,) = [check for check in done.json["checks"] if check["state"] == "failed"]
    assert "firewall" in failed["advice"]


def test_doctor_of_refused_keys(payhub: Command, sandbox: Sandbox) -> None:
    """Keys that the provider does not accept are exit 3, and the clock is still compared."""
    sandbox.arm("status", path="/v1/account/info", status=403, body={"message": "Invalid signature."})
    done = payhub("doctor")
    assert done.code == 3
    assert "✗ alikassa-rub account information: " in done.out
    assert "→ check the account's id, its keys and the digest" in done.out
    assert "✓ alikassa-rub clock" in done.out


def test_doctor_tries_the_keys_of_payments_too(payhub: Command, sandbox: Sandbox) -> None:
    """Account information proves one pair of keys only; a question about a payment proves the other."""
    sandbox.arm("status", path="/v1/payment/status", status=403, body={"message": "Invalid signature."})
    done = payhub("doctor")
    assert done.code == 3
    assert "✗ alikassa-rub payment requests: " in done.out
    assert "✓ alikassa-rub payout requests: " in done.out


def test_doctor_knows_an_account_for_payouts_only(payhub: Command, sandbox: Sandbox, write_config: Write) -> None:
    """An account that has no keys for payments is not ill."""
    text = sandbox.config.read_text("utf-8").replace('payment_cert = "cert/payment"\n', "")
    write_config(text.replace('"cert', f'"{sandbox.config.parent}/cert'))
    done = payhub("doctor", "--config", "payhub.toml")
    assert done.code == 0
    assert "! alikassa-rub payment requests: not examined: " in done.out


@pytest.mark.parametrize(
    ("code", "detail"),
    [("payment_card_sbp_rub_card", "not active"), ("another_rub_card", "the provider does not list it")],
)
def test_doctor_compares_services(
    payhub: Command, sandbox: Sandbox, write_config: Write, code: str, detail: str
) -> None:
    """A service that the configuration names must be active."""
    sandbox.configure(inactive_services=["payment_card_sbp_rub_card"])
    text = sandbox.config.read_text("utf-8").replace('"cert', f'"{sandbox.config.parent}/cert')
    services = 'card_hosted = "payment_card_number_rub_hpp"'
    write_config(f'{text}\n[accounts.{ACCOUNT}.payment_services]\n{services}\nsbp_direct = "{code}"\n')
    done = payhub("doctor", "--config", "payhub.toml")
    assert done.code == 3
    assert f"✗ alikassa-rub payment service {code}: {detail}\n    → " in done.out
    assert "✓ alikassa-rub payment service payment_card_number_rub_hpp: active" in done.out


def test_doctor_names_the_services(payhub: Command, sandbox: Sandbox) -> None:
    """The code of every service is shown, with its kind, and which services are not active."""
    sandbox.configure(inactive_services=["payment_card_sbp_rub_card"])
    (check,) = [check for check in payhub("doctor", "--json").json["checks"] if check["name"] == "services"]
    count, payments, payouts, inactive = check["detail"].split("; ")
    assert ("13 of 14 active", "not active: payment payment_card_sbp_rub_card") == (count, inactive)
    assert payments.startswith("payment payment_card_")
    assert "payout payment_card_rub" in payouts
    assert "payment_card_sbp_rub_card" not in payments + payouts
    assert f"services: {check['detail']}\n" in payhub("doctor").out


@pytest.fixture
def shop(install: Install, write_config: Write, serve: Callable[..., RawServer]) -> Callable[..., None]:
    """Configure an account whose provider answers by a script."""

    def configured(*script: bytes) -> None:
        install("payhub-fake", "1.0", fake="payhub.testing.fake")
        server = serve(*script)
        write_config(f'[accounts.shop]\nprovider = "fake"\nbase_url = "{server.url}"\n')

    return configured


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_doctor_warns_of_a_wrong_clock(payhub: Command, shop: Callable[..., None], zone: str) -> None:
    """A clock more than 30 seconds off is a warning."""
    shop(answer(RIGHTS, Date=f"Wed, 21 Oct 2015 07:28:00 {zone}"), answer({}, 404))
    done = payhub("doctor")
    assert done.code == 0
    assert "! shop clock: " in done.out
    assert "→ set this machine's clock" in done.out


def test_doctor_without_a_date(payhub: Command, shop: Callable[..., None]) -> None:
    """Without a Date header there is no clock to compare with; missing rights are warnings."""
    shop(answer({"payments": False, "payouts": False}), answer({}, 404))
    done = payhub("doctor", "--json")
    assert done.code == 0
    assert "clock" not in states(done)
    assert (states(done)["payments"], states(done)["payouts"]) == ("warning", "warning")


CARELESS_DRIVER = """
import msgspec
from payhub.testing import fake
from payhub.testing.fake import *

@hookimpl
def payhub_provider():
    return msgspec.structs.replace(fake.payhub_provider(), name="careless", connect=FakeAccount)
"""


def test_doctor_of_an_insecure_address(payhub: Command, install: Install, write_config: Write) -> None:
    """Plain http to another machine is a mistake of configuration, whatever the driver says; nothing is sent."""
    install("payhub-careless", "1.0", CARELESS_DRIVER, careless="payhub_careless")
    write_config('[accounts.shop]\nprovider = "careless"\nbase_url = "http://pay.example"\n')
    done = payhub("doctor")
    assert done.code == 2
    assert "✗ shop address: plain http is allowed to this machine only" in done.out


SMALL_DRIVER = """
from payhub.testing import fake
from payhub.testing.fake import hookimpl

payhub_provider = fake.payhub_provider
{more}
"""


@pytest.mark.parametrize("more", ["", "payhub_fetch_account_info = fake.payhub_fetch_account_info"])
def test_doctor_of_a_small_driver(
    payhub: Command, install: Install, write_config: Write, serve: Callable[..., RawServer], more: str
) -> None:
    """What a driver cannot do is not examined."""
    install("payhub-small", "1.0", SMALL_DRIVER.format(more=more), fake="payhub_small")
    write_config(f'[accounts.shop]\nprovider = "fake"\nbase_url = "{serve(answer(RIGHTS)).url}"\n')
    done = payhub("doctor", "--json")
    assert done.code == 0
    assert "payment requests" not in states(done)
    assert ("connection" in states(done)) == (not more)


@pytest.fixture
def entered_by_all(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Copy the sandbox's folder to where every user of this machine may go; pytest's folders are the owner's only."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        folder = Path(shutil.copytree(sandbox.config.parent, Path(made) / "shop"))
        folder.chmod(0o755)
        for inner in folder.rglob("*"):
            inner.chmod(0o755 if inner.is_dir() else 0o600)
        with (folder / "payhub.toml").open("a") as file:
            file.write('payout_password = { file = "secret.txt" }\n')
        shutil.copy(folder / "cert/payout/password.txt", folder / "secret.txt")
        monkeypatch.setenv("PAYHUB_CONFIG", str(folder / "payhub.toml"))
        yield folder


@pytest.mark.parametrize("name", [
    "payhub.toml", "secret.txt", "payhub.db", "payhub.key", "cert/payment/private.pem", "cert/payout/password.txt",
])  # fmt: skip
def test_doctor_names_what_others_can_read(payhub: Command, entered_by_all: Path, name: str) -> None:
    """Of configuration, keys and journal each file that others may read or write is named, with what to do."""
    assert "ok" == states(payhub("doctor", "--json"))["files"]
    path = entered_by_all / name
    for mode, words in ((0o644, "read"), (0o606, "read and write")):
        path.chmod(mode)
        done = payhub("doctor", "--json")
        found = [check for check in done.json["checks"] if check["name"] == "files"]
        assert [("warning", f"others may {words} {path}", f"chmod go= {path}")] == [
            (check["state"], check["detail"], check["advice"]) for check in found
        ]
        assert done.code == 0


def test_doctor_minds_who_can_change_a_public_key(payhub: Command, entered_by_all: Path) -> None:
    """Everybody may read the provider's public key, but nobody may put another one in its place."""
    path = entered_by_all / "cert/notification/public.pem"
    path.chmod(0o644)
    assert "ok" == states(payhub("doctor", "--json"))["files"]
    path.parent.chmod(0o777)
    found = [check for check in payhub("doctor", "--json").json["checks"] if check["name"] == "files"]
    assert [(f"others may replace {path}", f"chmod go-w {path.parent}")] == [
        (check["detail"], check["advice"]) for check in found
    ]
    path.chmod(0o666)
    found = [check for check in payhub("doctor", "--json").json["checks"] if check["name"] == "files"]
    assert [(f"others may replace and write {path}", f"chmod go= {path}; chmod go-w {path.parent}")] == [
        (check["detail"], check["advice"]) for check in found
    ]
