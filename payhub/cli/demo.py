"""Show payments and payouts from end to end, against a provider's sandbox."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from payhub.cli import views
from payhub.cli.command import command
from payhub.cli.console import cell
from payhub.cli.recorder import Recorder
from payhub.cli.sandbox import started
from payhub.cli.session import Session
from payhub.driver import Sandbox
from payhub.errors import Unavailable
from payhub.hub import Hub
from payhub.journal import Key
from payhub.masking import one_line
from payhub.models import (
    Balance,
    Destination,
    Exchange,
    Payer,
    PaymentOrder,
    Payout,
    PayoutOrder,
    Result,
    ToBankAccount,
    ToCard,
    ToPhone,
)
from payhub.money import Money
from payhub.receivers import asgi
from payhub.ticket.values import jsonable

app = typer.Typer()

PATIENCE = 20.0
PAUSE = 0.25

# Numbers for tests; nobody is behind them.
PAYOUTS: Mapping[str, Destination] = {
    "to card": ToCard("4111111111111111"),
    "to phone (SBP)": ToPhone("79031112233", bank_code="100000000111"),
    "to bank account": ToBankAccount("40817810000000000001", bic="041351902", bank_code="sberbank"),
}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One order of the demonstration: how it was paid, its result, and how that was found out."""

    method: str
    result: Result
    settled_by: str = "asking"


@command(app)
def demo(
    session: Session,
    provider: Annotated[str, typer.Argument(help="A provider that ships a sandbox.")] = "alikassa",
) -> None:
    """Make payments and payouts against a local sandbox, from end to end, in a few seconds.

    No money moves and nothing leaves this machine. No configuration is read: the sandbox brings one.
    """
    recorder = Recorder()
    with (
        tempfile.TemporaryDirectory() as directory,
        Console(stderr=True).status("payments and payouts against the local sandbox …"),
        started(provider, Path(directory), 0) as (info, sandbox),
        Hub.from_file(sandbox.config, plugins=[recorder]) as hub,
    ):
        from payhub.receivers.server import Server  # noqa: PLC0415 - a sandbox that has started has what it needs

        account = hub.accounts[0]
        orders = [
            PayoutOrder(order_id=f"demo-out-{number}", amount=Money(f"{500 * number}.44", "RUB"), to=to)
            for number, to in enumerate(PAYOUTS.values(), 1)
        ]
        with Server(asgi(hub), "127.0.0.1", 0) as server:
            steps = [*_make_payments(hub, account, f"{server.url}/{account}", sandbox)]
            payouts = [hub.create_payout(account, order) for order in orders]
            for method, payout in zip(PAYOUTS, payouts, strict=True):
                steps.append(Step(method=method, result=_await_final(hub.fetch_payout, account, payout)))
        sent = len(recorder.exchanges)
        again = hub.create_payout(account, orders[0])  # as a program does that has lost its memory
        sent = len(recorder.exchanges) - sent
        balance = hub.fetch_balance(account)
    own = (again.order_id, again.provider_id)  # it is asked about by the provider's id
    log = [each for each in recorder.exchanges if each.order_id == own[0] or each.provider_id == own[1]]
    values = {
        "provider": info.name,
        "account": account,
        "orders": [
            {"method": step.method, **views.result_values(step.result), "settled_by": step.settled_by} for step in steps
        ],
        "again": {"sent": sent, **views.result_values(again)},
        "balance": jsonable(balance),
        "exchanges": [jsonable(dict(each.__rich_repr__())) for each in log],
    }
    session.answer(values, *_show(f"{info.title} sandbox, account {account}", steps, balance, log, again, sent))


def _make_payments(hub: Hub, account: str, notification_url: str, sandbox: Sandbox) -> Iterator[Step]:
    """Take a hosted card payment and a direct SBP payment; the sandbox plays the payer of both.

    The first one is settled because the provider's notification comes; the second one is asked about.
    """
    payer = Payer(id="u-881", ip="203.0.113.24")
    hosted = PaymentOrder(
        order_id="demo-pay-card",
        amount=Money("3000.00", "RUB"),
        method="card",
        payer=payer,
        description="payhub demo",
        notification_url=notification_url,
    )
    direct = PaymentOrder(
        order_id="demo-pay-sbp",
        amount=Money("1250.50", "RUB"),
        method="sbp",
        presentation="direct",
        payer=payer,
        description="payhub demo",
    )
    hub.create_payment(account, hosted)
    created = hub.create_payment(account, direct)
    for order in (hosted, direct):
        sandbox.settle("payment", order.order_id)
    key = Key(account, "payment", hosted.order_id)
    _wait(hosted.order_id, lambda: (record := hub.journal.find(key)) is not None and not record.state.open)
    # The same order again sends nothing: the journal answers.
    yield Step(method="card, hosted", result=hub.create_payment(account, hosted), settled_by="notification")
    yield Step(method="sbp, direct", result=_await_final(hub.fetch_payment, account, created))


def _await_final(fetch: Callable[..., Result], account: str, created: Result) -> Result:
    """Ask until the status is final."""
    found = [created]

    def final() -> bool:
        found.append(fetch(account, order_id=created.order_id, amount=created.requested))
        return found[-1].status.final

    _wait(created.order_id or "", final)
    return found[-1]


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


def _show(
    title: str, steps: list[Step], balance: Balance, log: list[Exchange], again: Payout, sent: int
) -> Iterator[RenderableType]:
    shown = views.table(
        "order", "method", "requested", "paid", "commission", "status", "provider id",
        numbers=("requested", "paid", "commission"), wraps="method", title=title,
    )  # fmt: skip
    for step in steps:
        result = step.result
        amounts = map(cell, (result.requested, result.paid, result.commission))
        row = (cell(result.order_id), cell(step.method), *amounts, views.status(result), cell(result.provider_id))
        shown.add_row(*row)
    yield shown
    for step in steps:
        if step.settled_by == "notification":
            yield Text(f"{step.result.order_id} was settled by the provider's answer, asked for after its notification")
    known = f"{again.status}, provider id {again.provider_id}"
    yield Text(f"{again.order_id} submitted again: {sent} requests sent; the journal says {known}\n")
    yield views.balance(balance)
    yield Text(f"\nWhat support gets to see of {again.order_id} (masked)", style="bold")
    yield _exchange(log[0])
    yield Text(f"  … asked {len(log) - 1} times until it was final; the last time:", style="dim")
    yield _exchange(log[-1])


def _exchange(exchange: Exchange) -> Table:
    """Show a request and its answer as the log has them: masked."""
    masked = dict(exchange.__rich_repr__())
    sizes = f"{exchange.bytes_sent} bytes out, {exchange.bytes_received} back"
    outcome = f"HTTP {exchange.status}, {exchange.duration * 1000:.0f} ms, {sizes}"
    shown = Table.grid(padding=(0, 1))
    shown.add_row("", cell(f"{exchange.method} {masked['url']}: {outcome}"))
    for arrow, body in (("→", masked["request"]), ("←", masked["response"])):
        shown.add_row(arrow, cell(one_line(json.dumps(body, ensure_ascii=False)), "dim"))
    return shown
