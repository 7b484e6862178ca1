"""Run payhub with a canary in every place where an application or a provider can put one."""

import contextlib
import datetime as dt
import http.client
import io
import json
import re
import socket
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import msgspec
import structlog

from payhub import (
    Browser,
    Delivery,
    Hub,
    Money,
    Payer,
    PaymentOrder,
    PayoutOrder,
    Recipient,
    ToBankAccount,
    ToCard,
    ToPhone,
)
from payhub.cli import main
from payhub.receivers import asgi
from payhub.ticket import FORMATS, LANGS
from payhub_alikassa import AliKassaPayment, AliKassaPayout
from payhub_alikassa.sandbox import Sandbox, Settings
from tests.canaries import Canary, card, card_number, date, noise, pem, phone, words
from tests.conftest import in_mode
from tests.loud import Heard
from tests.raw_server import Act, RawServer, answer, close, part, serving
from tests.receivers.conftest import by_uvicorn

NUMBERS = {length: card_number(length) for length in range(13, 20)}
CARD = NUMBERS[16]
PHONE = "79995550142"
BANK_ACCOUNT = "40817810099910004312"
BANK = "100000000111"
NAME, SURNAME = "Zebulonia", "Златоустова"
EMAIL = "zebulonia.quince@mail.example"
BIRTH = dt.date(1987, 11, 23)
ADDRESS, CITY, STATE, POST_CODE = "17 Canary Wharf Lane", "Kenigstadt", "Kenigstate", "443099918273"
PAYER_ID, IP = "payer-canary-000815-end", "198.51.100.177"
DESCRIPTION = "A birdcage for Felicity"
TOKEN, JOURNAL_KEY, DATABASE_PASSWORD = (
    "link-canary-9911",
    "journal-key-canary-5566-of-full-length",
    "database-canary-7788",
)
PAGE = "https://pay.example/page?session=page-canary-3344"

PLANTED = [
    *map(card, [*NUMBERS.values(), BANK_ACCOUNT]), phone(PHONE), date("birth date", BIRTH),
    words("first name", NAME), words("first name, large", NAME.upper()), words("last name", SURNAME),
    words("e-mail", EMAIL.partition("@")[0]), words("address", ADDRESS), words("city", CITY), words("state", STATE),
    words("post code", POST_CODE), words("payer's id", PAYER_ID[6:-4]), words("address of IP", IP[7:]),
    words("description", DESCRIPTION), words("token of a link", TOKEN), words("journal's key", JOURNAL_KEY),
    words("database's password", DATABASE_PASSWORD), words("token of the payment page", PAGE[-16:]),
]  # fmt: skip

PAYER = Payer(
    id=PAYER_ID, ip=IP, email=EMAIL, phone="+7 999 555-01-42", first_name=NAME, last_name=SURNAME, address=ADDRESS,
    post_code=POST_CODE, state=STATE, city=CITY, browser=Browser(user_agent="Mozilla/5.0 (X11; Linux x86_64)"),
)  # fmt: skip
RECIPIENT = Recipient(email=EMAIL, phone="+7 999 555-01-42", first_name=NAME, last_name=SURNAME, country="DEU")
LINK = f"https://user:{TOKEN}@shop.example/back?token={TOKEN}&card={CARD}"


def payment(order_id: str, **fields: Any) -> PaymentOrder:
    """Make a payment order with canaries in every field."""
    given: dict[str, Any] = {
        "amount": Money("3000", "RUB"), "method": "card", "payer": PAYER, "description": DESCRIPTION,
        "success_url": LINK, "fail_url": LINK, "extra": AliKassaPayment(customer_account=BANK_ACCOUNT),
    }  # fmt: skip
    return PaymentOrder(order_id=order_id, **{**given, **fields})


def payout(order_id: str, to: Any = None, **fields: Any) -> PayoutOrder:
    """Make a payout order with canaries in every field."""
    given: dict[str, Any] = {"amount": Money("1000", "RUB"), "recipient": RECIPIENT}
    to = to or ToCard(CARD, holder=f"{NAME.upper()} Q")
    return PayoutOrder(order_id=order_id, to=to, **{**given, **fields})


def payout_in_eur(order_id: str) -> PayoutOrder:
    """Make a payout order with all that only this currency needs of a card."""
    to = ToCard(CARD, holder=NAME, exp_year="29", exp_month="11", country="DE", birth_date=BIRTH)
    return payout(order_id, to, amount=Money("100", "EUR"), extra=AliKassaPayout(service="eur", project_url=LINK))


# What a provider may repeat of it: whatever patterns can tell, in its own words; a name, in a field for names.

SAID = (
    f"Cards {', '.join(NUMBERS.values())}; {' '.join(re.findall('.{4}', CARD))}, account {BANK_ACCOUNT}, "
    f"phone {PHONE}, +7 (999) 555-01-42, {EMAIL}, see {LINK}; password={DATABASE_PASSWORD} token: {JOURNAL_KEY}"
)


class Echo:
    """Answer a request with what came in it: its signature, and canaries in words, fields and headers."""

    def __init__(self, server: RawServer) -> None:
        self._server = server

    def json(self, status: int = 400, **fields: Any) -> Act:
        """Answer JSON: complaints, words, and fields of all kinds."""
        return self._act(status, lambda said: {"message": said, "errors": {said[-90:]: [said], CARD: said}, **fields})

    def fields(self, **fields: Any) -> Act:
        """Answer 200 with the promised fields, all of them full of what was sent."""
        return self._act(200, lambda said: _fields(said) | fields)

    def page(self, status: int = 500) -> Act:
        """Answer a page of HTML, as a proxy or a crash does."""
        return self._act(status, lambda said: f"<html><h1>Oops</h1><pre>{said}</pre></html>".encode())

    def half(self) -> Act:
        """Cut the answer in its middle."""
        return self._act(200, _fields, lambda whole: whole[:-40])

    def broken(self) -> Act:
        """Answer something that is no HTTP."""
        return self._act(200, lambda said: said.encode(), lambda whole: whole.partition(b"\r\n\r\n")[2])

    def zipped(self) -> Act:
        """Say that the answer is encoded, although it was not asked to be."""
        return self._act(200, lambda said: said.encode(), lambda whole: whole.replace(b"X-Coding", b"Content-Encoding"))

    def _act(
        self, status: int, make: Callable[[str], object], send: Callable[[bytes], bytes] = lambda whole: whole
    ) -> Act:
        def act(connection: socket.socket) -> None:
            sign = self._server.requests[-1].header("Sign")[0]
            headers = {
                "Set_Cookie": f"session={TOKEN}", "X_Request_Id": CARD, "Server": SAID, "Location": LINK,
                "Sign": sign, "X_Trace_Id": f"{PHONE} {EMAIL}", "X_Coding": "gzip", "ETag": sign[:60],
            }  # fmt: skip
            body = make(f"{SAID} Sign: {sign}")
            connection.sendall(send(answer(body, status, **headers)))

        return act


def _fields(said: str) -> dict[str, Any]:
    return {
        "payment_status": "wait", "id": "108465399", "url": PAGE, "uuid": said, "bank": said,
        "success_redirect_url": LINK,
        "cardNumber": CARD, "cardHolderName": NAME.upper(), "card_holder_name": f"{NAME} {SURNAME}", "secret": said,
        "customer_phone": PHONE, "customer_card_number": CARD, "card_mask": CARD, "payment_error_message": said,
        "antiFraud": {"said": said, said: [said]}, said: 1, "holder": NAME, "amount": "3000.00", "currency": "RUB",
    }  # fmt: skip


class Aviary:
    """Hold a sandbox, a server that repeats what it is sent, their accounts, and what is heard of it all."""

    def __init__(self, directory: Path, sandbox: Sandbox, server: RawServer, heard: Heard) -> None:
        """Put the passwords of the keys into the configuration."""
        self.directory = directory
        self.sandbox = sandbox
        self.server = server
        self.heard = heard
        self.echo = Echo(server)
        certificates = directory / "cert"
        self.passwords = {role: (certificates / role / "password.txt").read_text() for role in ("payment", "payout")}
        account = tomllib.loads(sandbox.config.read_text("utf-8"))["accounts"]["alikassa-rub"]
        account |= {f"{role}_password": password for role, password in self.passwords.items()}
        self.account: dict[str, Any] = account
        repeats = {**account, "base_url": server.url}
        self.tables: dict[str, Any] = {
            "journal": {"url": "sqlite:///payhub.db", "key": JOURNAL_KEY},
            "accounts": {"alikassa-rub": account, "echo": repeats, "echo-eur": {**repeats, "currency": "EUR"}},
        }
        self.deliveries: list[Delivery] = []

    def canaries(self) -> list[Canary]:
        """Return what was planted, with the keys and with the signatures that were received in this run."""
        keys = [pem(f"{path.parent.name}'s key", path.read_text()) for path in self.directory.rglob("*private*.pem")]
        passwords = [words(f"password of {role}'s key", password) for role, password in self.passwords.items()]
        signs = [sign for request in self.server.requests for sign in request.header("Sign")]
        signs += [_sign_of(delivery) for delivery in self.deliveries]
        return [*PLANTED, *keys, *passwords, *(noise("signature", sign) for sign in dict.fromkeys(signs))]

    def use(self, hub: Any) -> None:
        """Create, ask and settle, through every fault."""
        self._pay(hub)
        self._ask(hub)
        self._refuse(hub)

    def _pay(self, hub: Any) -> None:
        attempt, sandbox = self.heard.attempt, self.sandbox
        attempt(hub.create_payment, "alikassa-rub", payment("in-1"))
        destinations: dict[str, Any] = {str(length): ToCard(number) for length, number in NUMBERS.items()}
        destinations |= {"phone": ToPhone(f"+{PHONE}", BANK), "account": ToBankAccount(BANK_ACCOUNT, "041351902", BANK)}
        for name, to in destinations.items():
            attempt(hub.create_payout, "alikassa-rub", payout(f"po-{name}", to))
        faults: dict[str, dict[str, Any]] = {
            "cut_after_accepting": {}, "cut_mid_body": {}, "error_500_after_accepting": {}, "html": {}, "gzip": {},
            "redirect": {"location": LINK}, "status": {"status": 500, "body": {"message": SAID}},
            "body": {"body": {"cardNumber": CARD, "cardHolderName": NAME.upper(), "payment_status": "x"}},
        }  # fmt: skip
        for fault, options in faults.items():
            sandbox.arm(fault, path="/v1/pay", times=2, **options)
            direct = payment(f"in-{fault}", presentation="direct", method="sbp")
            attempt(hub.create_payment, "alikassa-rub", direct)
            attempt(hub.create_payout, "alikassa-rub", payout(f"po-{fault}"))
            sandbox.disarm()
        acts = {
            "refused": self.echo.json(400), "invalid": self.echo.json(422), "fields": self.echo.fields(),
            "strange": self.echo.fields(amount={"said": SAID}), "page": self.echo.page(), "moved": self.echo.page(302),
            "list": answer([SAID]), "half": self.echo.half(), "broken": self.echo.broken(), "zip": self.echo.zipped(),
            "cut": close, "part": part(answer(SAID.encode())[:200]),
        }  # fmt: skip
        for name, act in acts.items():
            self.server.script[:] = [act]
            attempt(hub.create_payment, "echo", payment(f"in-echo-{name}"))
            attempt(hub.create_payout, "echo", payout(f"po-echo-{name}"))
            attempt(hub.create_payout, "echo-eur", payout_in_eur(f"eur-{name}"))

    def _ask(self, hub: Any) -> None:
        attempt = self.heard.attempt
        day = {"first": dt.date(2020, 1, 1), "last": dt.date(2020, 1, 2)}
        history = {"data": [_fields(SAID) | {"status": SAID, "amount": {"said": SAID}}], "links": {"next": LINK}}
        acts = [self.echo.json(404), self.echo.fields(), self.echo.fields(amount={"said": SAID}), self.echo.page(200)]
        acts += [answer(history), answer([SAID]), answer({**_fields(SAID), "errors": SAID})]
        for act in acts:
            self.server.script[:] = [act]
            attempt(hub.fetch_payment, "echo", order_id="in-echo-refused")
            attempt(hub.fetch_payout, "echo", order_id="po-echo-refused")
            attempt(hub.advance, "echo", "payout", "po-echo-page")
            attempt(hub.list_payments, "echo", **day)
            attempt(hub.fetch_balance, "echo")
            attempt(hub.fetch_account_info, "echo")
        attempt(hub.advance, "alikassa-rub", "payment", "in-1")
        reason = f"support says: {CARD} and {NUMBERS[19]}"
        attempt(hub.resolve, "echo", "payout", "po-echo-cut", "failed", reason=reason, by="operator")
        attempt(hub.fetch_balance, "alikassa-rub")
        attempt(hub.fetch_account_info, "alikassa-rub")

    def _refuse(self, hub: Any) -> None:
        attempt = self.heard.attempt
        wrong = f"{CARD} {NAME} {'x' * 120}"
        for field in ("id", "ip", "email", "phone", "first_name", "last_name", "address", "post_code", "state", "city"):
            payer = msgspec.structs.replace(PAYER, **{field: wrong})
            attempt(hub.create_payment, "echo", payment("wrong", payer=payer))
        orders: list[dict[str, Any]] = [
            {"success_url": f"ftp://{LINK}"}, {"success_url": f"http://[{LINK}"}, {"extra": {"number": CARD}},
            {"extra": CARD}, {"extra": AliKassaPayment(lifetime=CARD)}, {"description": DESCRIPTION * 20},  # type: ignore[arg-type]
            {"payer": msgspec.structs.replace(PAYER, id=int(CARD))}, {"amount": Money("0", "RUB")},
        ]  # fmt: skip
        for fields in orders:
            attempt(hub.create_payment, "echo", payment("wrong", **fields))
        for to in (ToCard(f"{CARD}0"), ToPhone(CARD), ToPhone(NAME), ToBankAccount(f"{BANK_ACCOUNT}1"),
                   ToBankAccount(BANK_ACCOUNT, CARD), ToCard(CARD, holder=wrong)):  # fmt: skip
            attempt(hub.create_payout, "echo", payout("wrong", to))
        attempt(hub.create_payment, "alikassa-rub", payment("in-1", amount=Money("5", "RUB")))
        attempt(hub.create_payment, "alikassa-rub", payout("po-1"))
        attempt(hub.fetch_payment, "nobody", order_id="in-1")

    def misconfigure(self) -> None:
        """Open hubs on configurations that are wrong, each with its secrets in it."""
        key = (self.directory / "cert" / "payment" / "private.pem").read_text()
        mistakes: list[dict[str, Any]] = [
            {"payment_password": self.passwords["payout"]}, {"payment_pasword": self.passwords["payout"]},
            {"payment_password": 17}, {"account": self.passwords["payout"]}, {"notification_key": key},
            {"notification_key": [key, key]}, {"notification_key": "cert/payment/private.pem"},
            {"base_url": f"https://user:{TOKEN}@pay.example"}, {"payout_cert": key}, {"max_per_second": key},
        ]  # fmt: skip
        for mistake in mistakes:
            accounts = {"wrong": {**self.account, **mistake}}
            self.heard.attempt(self._balance, {**self.tables, "accounts": accounts})
        secret = f"user:{DATABASE_PASSWORD}@127.0.0.1:9/db"
        journals: list[Any] = [
            {"url": f"{scheme}://{secret}"} for scheme in ("postgresql+psycopg", "mysql", "nothing", "sqlite+x", "")
        ]
        journals += [{"url": "sqlite:///x.db", "kye": 1}, {"url": "sqlite:///x.db", "lease": DATABASE_PASSWORD},
                     {"url": {"env": "NOBODY"}}, f"postgresql://{secret}"]  # fmt: skip
        for journal in journals:
            told = {**journal, "key": JOURNAL_KEY} if isinstance(journal, dict) else journal
            self.heard.attempt(self._balance, {**self.tables, "journal": told}, pays=True)
        for text in ("foo = \n", "[foo]\n", f'[journal]\nkey = ["{JOURNAL_KEY}"]\n', "\xff"):
            path = self.directory / "wrong.toml"
            path.write_bytes(
                f'[accounts.x]\npayment_password = "{self.passwords["payment"]}"\n{text}'.encode("latin-1")
            )
            self.heard.attempt(Hub.from_file, path)
            path.unlink()

    def _balance(self, tables: Any, *, pays: bool = False) -> None:
        with Hub.from_mapping(tables, base=self.directory) as hub:
            if pays:
                hub.create_payment("echo", payment("in-other"))
            hub.fetch_balance("wrong")

    def receive(self, hub: Any) -> None:
        """Take notifications that are genuine, altered and forged, in all transports, by the hub and by a receiver."""
        self.sandbox.settle("payment", "in-1")
        with serving(answer()) as endpoint:
            for number, transport in enumerate(("GET", "form", "JSON"), 1):
                self.sandbox.notify("payment", "in-1", to=endpoint.url, transport=transport)  # type: ignore[arg-type]
                while len(endpoint.requests) < number:
                    endpoint.requested.wait(0.01)
            requests = list(endpoint.requests)
        for request in requests:
            method, target, _ = request.line.split(" ")
            headers = {name: value for name, value in request.headers if name in {"content-type", "content-length"}}
            query = target.partition("?")[2].encode()
            self.deliveries.append(Delivery(method=method, query=query, headers=headers, body=request.body))
        taken = [*self.deliveries, *map(_altered, self.deliveries), *_forged(_sign_of(self.deliveries[0]))]
        for delivery in taken:
            self.heard.attempt(hub.read_notification, "alikassa-rub", delivery)
            self.heard.attempt(hub.receive, "alikassa-rub", delivery)
            self.heard.attempt(hub.read_return, "alikassa-rub", delivery)
        with Hub.from_mapping(self.tables, base=self.directory) as receiving, by_uvicorn(asgi(receiving)) as port:
            for delivery in taken:
                self.heard.reprs.append(_sent(port, delivery))

    def show(self, hub: Any) -> None:
        """Show what an application may show of a hub, its parts, its settings, and what the journal tells."""
        opened = getattr(hub, "hub", hub)
        accounts = [opened.registry.account(name) for name in opened.accounts]
        records = [record for name in self._orders(opened) for record in opened.journal.story(name)]
        told = [opened, opened.registry, opened.registry.settings, opened.journal, *records, accounts]
        told += [part for account in accounts for part in (account.driver, account.driver.config, vars(account.driver))]
        told += [payment("x"), payout("x"), payout_in_eur("x"), PAYER, RECIPIENT, *self.deliveries]
        self.heard.reprs += [show(each) for each in told for show in (repr, str)]

    def tickets(self, hub: Any) -> Iterator[bytes]:
        """Make every ticket in every form and language, for the provider and for ourselves."""
        opened = getattr(hub, "hub", hub)
        for order_id in self._orders(opened):
            for record in opened.journal.story(order_id)[0]:
                for lang in LANGS:
                    for internal in (False, True):
                        ticket = hub.ticket(*record.facts.key, lang=lang, internal=internal)
                        yield from (ticket.rendered(form) for form in FORMATS if form != "zip")
                        self.heard.reprs.append(repr(ticket))

    def _orders(self, hub: Any) -> list[str]:
        return list(dict.fromkeys(entry.key.order_id for _, entry in hub.journal.exchanges(10_000) if entry.key))

    def command(self, *arguments: str) -> str:
        """Run a command, and return all that it says."""
        said = io.StringIO()
        before = structlog.get_config()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
            main([*arguments, "-v", "--config", str(self.directory / "canary.toml")])
        structlog.configure(**before)
        return said.getvalue()

    def commands(self) -> Iterator[str]:
        """Run commands, with canaries in their options and in what the provider answers."""
        (self.directory / "canary.toml").write_text(_as_toml(self.tables), "utf-8")
        self.server.script[:] = [self.echo.json(400)]
        pay = ("--amount", "500", "--currency", "RUB", "--order-id")
        payer = ("--payer-id", PAYER_ID, "--payer-ip", IP, "--description", DESCRIPTION, "--success-url", LINK)
        who = ("--set", f"payer.first_name={NAME}", "--set", f"payer.email={EMAIL}", "--set", f"payer.phone={PHONE}")
        for form in ((), ("--json",)):
            end = form[-1:] or ("plain",)
            yield self.command("pay", "echo", *pay, f"cli-in-{end[0]}", "--method", "card", *payer, *who, *form)
            yield self.command("payout", "echo", *pay, f"cli-po-{end[0]}", "--to-card", CARD, *form)
            yield self.command("status", "echo", "payment", "--order-id", "in-echo-refused", *form)
            self.server.script[:] = [self.echo.fields(amount="1000.00"), self.echo.json(400)]
            yield self.command("status", "echo", "payout", "--order-id", "po-echo-refused", *form)
            yield self.command("balance", "echo", *form)
            yield self.command("doctor", *form)
            yield self.command("accounts", *form)
            for order_id in ("in-1", "po-echo-cut", "in-echo-strange"):
                yield self.command("trace", order_id, *form)
                yield self.command("ticket", order_id, "--internal", *form)
            yield self.command("notifications", "list", *form)
            yield self.command("notifications", "show", "1", *form)
            yield self.command("logs", *form)
            yield self.command("unknown", *form)
            yield self.command("health", *form)
            yield self.command("find", "--number-end", CARD[-4:], "--amount", "1000", *form)

    def files(self) -> dict[str, bytes]:
        """Return every byte of every file that payhub made here, with SQLite's own ones."""
        given = {"cert", "sandbox", "payhub.toml", "canary.toml"}
        paths = [path for path in self.directory.rglob("*") if path.is_file()]
        return {
            path.name: path.read_bytes() for path in paths if path.relative_to(self.directory).parts[0] not in given
        }


def _sign_of(delivery: Delivery) -> str:
    body = delivery.query or delivery.body
    sign: str = json.loads(body)["sign"] if body.startswith(b"{") else parse_qs(body.decode())["sign"][0]
    return sign


def _altered(delivery: Delivery) -> Delivery:
    """Change a field behind the signature's back."""
    changed = {name: getattr(delivery, name).replace(b"in-1", b"in-2") for name in ("query", "body")}
    return msgspec.structs.replace(delivery, **changed)


def _forged(sign: str) -> list[Delivery]:
    """Send what nobody signed, or signed for something else, and what cannot be read."""
    fields = {"type": "payment", "id": CARD, "order_id": SAID, "desc": DESCRIPTION, "account": NAME, "sign": sign}
    query = urlencode(fields).encode()
    bodies = [query, json.dumps(fields).encode(), json.dumps([fields]).encode(), SAID.encode(), query[:-7]]
    return [Delivery(method="GET", query=query), *(Delivery(method="POST", body=body) for body in bodies)]


def _sent(port: int, delivery: Delivery) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(delivery.method, f"/alikassa-rub?{delivery.query.decode()}", delivery.body)
    response = connection.getresponse()
    answered = f"{response.status} {response.getheaders()} {response.read().decode()}"
    connection.close()
    return answered


def _as_toml(tables: dict[str, Any]) -> str:
    sections = {"journal": tables["journal"], **{f"accounts.{name}": t for name, t in tables["accounts"].items()}}
    lines = [[f"[{name}]", *(f"{key} = {json.dumps(v)}" for key, v in t.items())] for name, t in sections.items()]
    return "\n".join(line for section in lines for line in [*section, ""])


@contextlib.contextmanager
def aviary(directory: Path, heard: Heard) -> Iterator[Aviary]:
    """Open a sandbox and a server that repeats what it is sent."""
    with Sandbox(directory, settings=Settings(payout_delay=None)) as sandbox, serving() as server:
        yield Aviary(directory, sandbox, server, heard)


def opened(mode: str, place: Aviary) -> contextlib.AbstractContextManager[Any]:
    """Open a hub of either kind on all the accounts."""
    return in_mode(mode, lambda kind: kind.from_mapping(place.tables, base=place.directory))
