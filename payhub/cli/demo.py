"""Show payments and payouts from end to end, against a provider's sandbox."""

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Annotated
from urllib.parse import urljoin

import httpx
import msgspec
import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from payhub.cli import views
from payhub.cli.console import ConfigOption, JsonOption, Session, VerboseOption, cell, one_line
from payhub.cli.sandbox import started
from payhub.errors import Unavailable
from payhub.hookspecs import hookimpl
from payhub.hub import Hub
from payhub.journal import Key, Record
from payhub.models import (
    Balance,
    Destination,
    Exchange,
    Method,
    Payer,
    Payment,
    PaymentOrder,
    Payout,
    PayoutOrder,
    Presentation,
    Result,
    ToBankAccount,
    ToCard,
    ToPhone,
)
from payhub.money import Money
from payhub.receivers import asgi

PATIENCE = 20.0
PAUSE = 0.25

# Numbers for tests; nobody is behind them.
PAYOUTS: Mapping[str, Destination] = {
    "to card": ToCard("4111111111111111"),
    "to phone (SBP)": ToPhone("79031112233", bank_code="100000000111"),
    "to bank account": ToBankAccount("40817810000000000001", bic="041351902", bank_code="sberbank"),
}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Keep what one order was, what became of it, and how that was found out."""

    method: str
    result: Result
    settled_by: str = "asking"


class Recorder:
    """Keep every exchange, as an application's own observer would."""

    def __init__(self) -> None:
        """Begin with none."""
        self.exchanges: list[Exchange] = []

    @hookimpl
    def payhub_event(self, event: Exchange) -> None:
        """Keep one."""
        self.exchanges.append(event)


def demo(
    provider: Annotated[str, typer.Argument(help="A provider that ships a sandbox.")] = "alikassa",
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Make payments and payouts against a local sandbox, from end to end, in a few seconds.

    No money moves and nothing leaves this machine. Reads no configuration: the sandbox brings one.
    """
    session = Session.begin(config, as_json=as_json, verbose=verbose)
    recorder = Recorder()
    with (
        tempfile.TemporaryDirectory() as directory,
        Console(stderr=True).status("payments and payouts against the local sandbox …"),
        started(provider, Path(directory), 0) as (info, sandbox),
        Hub.from_file(sandbox.config, plugins=[recorder]) as hub,
        _receiving(hub) as url,
    ):
        account = hub.accounts[0]
        steps = [
            *_payments(hub, account, f"{url}/{account}", lambda order_id: sandbox.settle("payment", order_id)),
            *_payouts(hub, account),
        ]
        again, sent = _again(hub, account, recorder)
        balance = hub.fetch_balance(account)
    log = [each for each in recorder.exchanges if each.order_id == _CARD_PAYOUT]
    values = {
        "provider": info.name,
        "account": account,
        "orders": [
            {"method": step.method, **views.plain(step.result), "settled_by": step.settled_by} for step in steps
        ],
        "again": {"sent": sent, **views.plain(again)},
        "balance": views.plain(balance),
        "exchanges": [views.plain(dict(each.__rich_repr__())) for each in log],
    }
    session.answer(values, *_shown(f"{info.title} sandbox, account {account}", steps, balance, log, again, sent))


@contextlib.contextmanager
def _receiving(hub: Hub) -> Iterator[str]:
    """Receive the provider's notifications on this machine; give the address."""
    from payhub.receivers.server import Server  # noqa: PLC0415 - a sandbox has what it needs

    with Server(asgi(hub), "127.0.0.1", 0) as server:
        yield server.url


def _payments(hub: Hub, account: str, notification_url: str, settle: Callable[[str], None]) -> Iterator[Step]:
    """Take a hosted card payment and a direct SBP payment, and be the payer of both.

    Nobody asks about the first one by himself: the provider's notification is the reason to.
    """
    order = _payment_order("demo-pay-card", "3000.00", "card", "hosted", notification_url)
    hosted = hub.create_payment(account, order)
    direct = hub.create_payment(account, _payment_order("demo-pay-sbp", "1250.50", "sbp", "direct"))
    press_pay(hosted.redirect_url or "")
    settle("demo-pay-sbp")
    yield Step(method="card, hosted", result=_told(hub, account, order), settled_by="notification")
    yield Step(method="sbp, direct", result=_final(hub.fetch_payment, account, direct))


def _told(hub: Hub, account: str, order: PaymentOrder) -> Payment:
    """Wait until the journal says how a payment ended, and return what it says; nothing is sent for that."""
    _wait(order.order_id, lambda: not _record(hub, account, order).state.open)
    return hub.create_payment(account, order)


def _record(hub: Hub, account: str, order: PaymentOrder) -> Record:
    record = hub.journal.find(Key(account, "payment", order.order_id))
    assert record is not None  # noqa: S101 - it was created
    return record


def _wait(order_id: str, ended: Callable[[], bool]) -> None:
    """Wait for as long as a demonstration may take.

    Raises:
        Unavailable: it has not ended in time.
    """
    deadline = time.monotonic() + PATIENCE
    while not ended():
        if time.monotonic() > deadline:
            raise Unavailable(f"{order_id} was not final within {PATIENCE:.0f} s")
        time.sleep(PAUSE)


def _payment_order(
    order_id: str, amount: str, method: Method, presentation: Presentation, notification_url: str | None = None
) -> PaymentOrder:
    return PaymentOrder(
        order_id=order_id,
        amount=Money(amount, "RUB"),
        method=method,
        presentation=presentation,
        payer=Payer(id="u-881", ip="203.0.113.24"),
        description="payhub demo",
        notification_url=notification_url,
    )


_CARD_PAYOUT = "demo-out-1"


def _payouts(hub: Hub, account: str) -> Iterator[Step]:
    """Make all payouts first, then ask for each until it is final."""
    made = {method: hub.create_payout(account, _payout_order(method)) for method in PAYOUTS}
    for method, payout in made.items():
        yield Step(method=method, result=_final(hub.fetch_payout, account, payout))


def _payout_order(method: str) -> PayoutOrder:
    number = list(PAYOUTS).index(method) + 1
    amount = Money(f"{500 * number}.44", "RUB")
    return PayoutOrder(order_id=f"demo-out-{number}", amount=amount, to=PAYOUTS[method])


def _again(hub: Hub, account: str, recorder: Recorder) -> tuple[Payout, int]:
    """Submit a payout once more, as a program does that lost its memory; return what is known, and what was sent."""
    before = len(recorder.exchanges)
    known = hub.create_payout(account, _payout_order(next(iter(PAYOUTS))))
    return known, len(recorder.exchanges) - before


def _final(fetch: Callable[..., Result], account: str, made: Result) -> Result:
    """Ask until the status is final."""
    found = [made]

    def ended() -> bool:
        found.append(fetch(account, order_id=made.order_id, amount=made.requested))
        return found[-1].status.final

    _wait(made.order_id or "", ended)
    return found[-1]


class _Page(HTMLParser):
    """Find a page's first form and its buttons."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action = ""
        self.buttons: dict[str, dict[str, str]] = {}
        self._open: dict[str, str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = found.get("action", "")
        if tag == "button":
            self._open = {found["name"]: found.get("value", "")} if "name" in found else {}

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.buttons[data.strip().lower()] = self._open
            self._open = None


def press_pay(url: str) -> None:
    """Do what a payer's browser does: open the page, press its button "Pay".

    Raises:
        Unavailable: the page does not take it.
    """
    with httpx.Client(trust_env=False) as browser:
        page = _Page(browser.get(url).raise_for_status().text)
        answer = browser.post(urljoin(url, page.action), data=page.buttons["pay"])
    if answer.is_error:
        raise Unavailable(f"the payment's page answered HTTP {answer.status_code}")


def _shown(
    title: str, steps: list[Step], balance: Balance, log: list[Exchange], again: Payout, sent: int
) -> Iterator[RenderableType]:
    yield _orders(title, steps)
    yield from (_told_by(step) for step in steps if step.settled_by == "notification")
    yield _asked_again(again, sent)
    yield views.balance(balance)
    yield Text(f"\nWhat support gets to see of {_CARD_PAYOUT} (masked)", style="bold")
    yield _exchange(log[0])
    yield Text(f"  … asked {len(log) - 1} times until it was final; the last time:", style="dim")
    yield _exchange(log[-1])


def _told_by(step: Step) -> Text:
    """Say which order nobody had to ask about by himself."""
    return Text(f"{step.result.order_id} was settled by a notification, and the provider's answer on account of it")


def _asked_again(again: Payout, sent: int) -> Text:
    """Say what came of submitting a payout twice."""
    known = f"{again.status}, provider id {again.provider_id}"
    return Text(f"{again.order_id} submitted again: {sent} requests sent; the journal says {known}\n")


def _orders(title: str, steps: list[Step]) -> Table:
    shown = views.table(
        "order", "method", "asked", "paid", "commission", "status", "provider id",
        numbers=("asked", "paid", "commission"), title=title,
    )  # fmt: skip
    for step in steps:
        found = step.result
        shown.add_row(
            cell(found.order_id),
            cell(step.method),
            cell(found.requested),
            cell(found.paid),
            cell(found.commission),
            views.status(found),
            cell(found.provider_id),
        )
    return shown


def _exchange(exchange: Exchange) -> Table:
    """Show a request and its answer as the log has them: masked."""
    masked = dict(exchange.__rich_repr__())
    shown = Table.grid(padding=(0, 1))
    shown.add_row("", cell(f"{exchange.method} {masked['url']}: {_outcome(exchange)}"))
    for arrow, body in (("→", masked["request"]), ("←", masked["response"])):
        shown.add_row(arrow, cell(one_line(json.dumps(body, ensure_ascii=False)), "dim"))
    return shown


def _outcome(exchange: Exchange) -> str:
    sizes = f"{exchange.bytes_sent} bytes out, {exchange.bytes_received} back"
    return f"HTTP {exchange.status}, {exchange.duration * 1000:.0f} ms, {sizes}"


COMMANDS = (demo,)
