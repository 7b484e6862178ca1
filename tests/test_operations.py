"""A kind of order is a row: what a made-up one needs, and that nothing else lists kinds or operations."""

import ast
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import payhub
from payhub import InvalidOrder, Money, Status, UnsupportedOperation, hookimpl, hookspecs, operations
from payhub.cli import main
from payhub.driver import Capabilities, Creating, Flow, Offer, ProviderInfo, StatusQuery
from payhub.masking import Clear, Truncated
from payhub.models import Order, Ref, Result, Summary
from payhub.operations import KINDS, QUERIES, VERIFICATIONS, OrderKind
from payhub.plans import identity
from payhub.plans.rules import check_order
from payhub.testing import answer, fake
from payhub.testing.conformance import CHECKS, Check, Subject
from tests.raw_server import answer as served
from tests.samples import PAYMENT as PAYMENT_ORDER
from tests.samples import PAYOUT as PAYOUT_ORDER
from tests.samples import known

NUMBER = "6362970000457013"


class GiftOrder(Order, frozen=True, kw_only=True):
    """A gift, which nobody has yet: money on a stranger's gift card."""

    card: Truncated[str]
    wrapping: Clear[str | None] = None

    def summary(self) -> Summary:
        """Return which card is charged."""
        return Summary(method="gift_card", number=self.card)


class Gift(Result, frozen=True, kw_only=True):
    """What is known of a gift."""


GIFT = OrderKind("gift", GiftOrder, Gift, method="card")
ORDER = GiftOrder(order_id="gift-1", amount=Money("10.00", "EUR"), card=NUMBER)


@hookspecs.hookspec(firstresult=True)
def payhub_create_gift(account: Any, order: GiftOrder) -> Flow[Gift]:
    """Return the flow that creates a gift."""
    raise NotImplementedError


@hookspecs.hookspec(firstresult=True)
def payhub_fetch_gift(account: Any, ref: Ref) -> Flow[Gift]:
    """Return the flow that asks for a gift's status."""
    raise NotImplementedError


class Gifts:
    """A driver that gives: the fake one's words, and nothing but gifts."""

    @hookimpl
    def payhub_provider(self) -> ProviderInfo:
        offer = Offer(method="gift_card", currencies=frozenset({"EUR"}))
        can = Capabilities(
            create={"gift": Creating(offers=(offer,), refusals=frozenset({422}))},
            fetch={"gift": StatusQuery(by=frozenset({"order_id", "provider_id"}))},
        )
        return ProviderInfo(name="gifts", title="Gifts", config=fake.FakeConfig, connect=fake.connect, capabilities=can)

    @hookimpl
    def payhub_create_gift(self, account: Any, order: GiftOrder) -> Flow[Gift]:
        asked = fake.NewPayout(
            order_id=order.order_id,
            amount=str(order.amount.amount),
            currency=order.amount.currency,
            to="gift_card",
            number=order.card,
        )
        call = account.call("create_gift", "gifts", asked, fake.Created, order_id=order.order_id, moves_money=True)
        return Gift(**fake.known(fake.created((yield call))))

    @hookimpl
    def payhub_fetch_gift(self, account: Any, ref: Ref) -> Flow[Gift]:
        asked = fake.Question(order_id=ref.order_id, id=ref.provider_id)
        response = yield account.call("fetch_gift", "gifts/find", asked, fake.Order)
        return Gift(**fake.known(fake.found(response)))


ACCOUNT = {"provider": "gifts", "base_url": "https://pay.example"}
ANOTHER = {"base_url": "https://other.example"}


@pytest.fixture
def gifts(monkeypatch: pytest.MonkeyPatch) -> Gifts:
    """Add the kind as one would: a row, and its two hooks. No file of payhub is changed."""
    monkeypatch.setitem(KINDS, "gift", GIFT)
    for spec in (payhub_create_gift, payhub_fetch_gift):
        monkeypatch.setattr(hookspecs, spec.__name__, spec, raising=False)
    return Gifts()


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    return None if request.param == "memory" else f"sqlite:///{tmp_path}/payhub.db"


def give(hub: Any, account: str = "shop") -> Gift:
    """Do what the hub's named method of one line would do."""
    runner, registry = (getattr(getattr(hub, "hub", hub), name) for name in ("_runner", "registry"))
    order = check_order(GIFT, ORDER)
    run = functools.partial(hub.portal.call, runner.run) if hasattr(hub, "portal") else runner.run
    known: Gift | None = run(registry.recall(account, GIFT, order))
    return known or run(registry.account(account).create(GIFT, order))


def test_a_new_kind_is_carried_by_plan_journal_and_hub(
    gifts: Gifts, open_hub: Callable[..., Any], serve: Callable[..., Any], url: str | None
) -> None:
    """An order of a made-up kind is sent once, remembered, asked about and settled by a person."""
    server = serve(served(b"", 500), served(b"", 503), served(b"", 503), served(b"", 503), served(b"", 503))
    account = {"provider": "gifts", "base_url": server.url}
    hub = open_hub(
        server.url, (gifts,), accounts={"shop": account}, journal={"url": url, "key": "k" * 32} if url else {}
    )
    first, again = give(hub), give(hub)
    assert (Gift, Status.UNKNOWN, Status.UNKNOWN) == (type(first), first.status, again.status)
    assert ["/gifts"] == [request.path for request in server.requests]
    assert Status.UNKNOWN is hub.advance("shop", "gift", "gift-1").status
    resolved = hub.resolve("shop", "gift", "gift-1", "succeeded", reason="seen in the cabinet", by="Ann")
    assert (Gift, Status.SUCCEEDED) == (type(resolved), resolved.status)


def canonical(order: GiftOrder) -> bytes:
    return identity.canonical("gift", order.amount, order.summary())


def test_a_new_kind_has_a_fingerprint(gifts: Gifts) -> None:
    """What makes a gift this one is which card is charged with how much; how it is wrapped is not."""
    other = msgspec.structs.replace(ORDER, card="6362970000457021")
    assert canonical(ORDER) == canonical(msgspec.structs.replace(ORDER, wrapping="blue")) != canonical(other)


def provider(call: Any) -> Any:
    asked = msgspec.json.decode(call.body)
    order = {"id": "7", "order_id": "conformance-1", "status": "new", "amount": "10.00", "currency": "EUR"}
    return answer({**order, **{name: asked[name] for name in order if name in asked}})


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_a_new_kind_is_checked_by_the_conformance_kit(gifts: Gifts, check: Check) -> None:
    """A driver of a made-up kind passes every check, given a sample order."""
    check.run(Subject(plugin=gifts, config=ACCOUNT, another=ANOTHER, orders=(ORDER,), answer=provider))


def test_the_conformance_kit_finds_a_driver_that_pays_twice(gifts: Gifts) -> None:
    """The checks really try the made-up kind: a driver that takes garbage for a failure is found."""

    class Mistaken(Gifts):
        @hookimpl
        def payhub_create_gift(self, account: Any, order: GiftOrder) -> Flow[Gift]:
            try:
                return (yield from super().payhub_create_gift(account, order))
            except Exception:  # noqa: BLE001 - the mistake
                return Gift(status=Status.FAILED)

    [check] = [check for check in CHECKS if check.name == "garbage_is_unknown"]
    with pytest.raises(AssertionError, match="create_gift: an empty body must be UNKNOWN"):
        check.run(Subject(plugin=Mistaken(), config=ACCOUNT, another=ANOTHER, orders=(ORDER,), answer=provider))


def test_a_new_kind_is_told_by_trace_and_ticket(
    gifts: Gifts,
    open_hub: Callable[..., Any],
    serve: Callable[..., Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    mode: str,
) -> None:
    """`payhub trace` and tickets in both languages tell what happened to a gift, and show no whole number."""
    database = f"sqlite:///{tmp_path}/payhub.db"
    server = serve(served(b"", 500))
    account = {"provider": "gifts", "base_url": server.url}
    hub = open_hub(server.url, (gifts,), accounts={"shop": account}, journal={"url": database, "key": "k" * 32})
    give(hub)
    tickets = [hub.ticket("shop", "gift", "gift-1", lang=lang) for lang in ("en", "ru")]
    texts = [ticket.rendered().decode() for ticket in tickets]
    config = tmp_path / "payhub.toml"
    config.write_text(f'[journal]\nurl = "{database}"\nkey = "{"k" * 32}"\n', "utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["trace", "gift-1", "--config", str(config)])
    trace = capsys.readouterr().out
    assert 0 == ended.value.code
    for text in (*texts, trace):
        assert ("gift-1" in text, "/gifts" in text, NUMBER in text) == (True, True, False)


# The rows are the only list


def test_every_hook_is_an_operation() -> None:
    """The hooks are those of the rows, the introduction and the observer, no more and no less."""
    hooks = {name.removeprefix("payhub_") for name in vars(hookspecs) if name.startswith("payhub_")}
    assert hooks == {*operations.operations(), "provider", "event"}


def test_the_rows_are_named_as_their_kinds() -> None:
    """A kind's word is what its row is found by, and no operation has two rows."""
    assert {word: kind.word for word, kind in KINDS.items()} == {word: word for word in KINDS}
    names = operations.operations()
    assert len(names) == len(set(names)) == 2 * len(KINDS) + len(QUERIES) + len(VERIFICATIONS)


STRUCTS = {kind.order.__name__ for kind in KINDS.values()} | {kind.result.__name__ for kind in KINDS.values()}


def modules() -> Iterator[tuple[str, ast.Module]]:
    root = Path(payhub.__file__).parent
    for path in sorted(root.rglob("*.py")):
        yield str(path.relative_to(root)), ast.parse(path.read_text("utf-8"))


def distinctions(tree: ast.Module) -> Iterator[str]:
    """Find where code tells kinds apart: `isinstance`, `case` and unions over their structs."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kinds]):
                found = {each.id for each in ast.walk(kinds) if isinstance(each, ast.Name)}
            case ast.MatchClass(cls=ast.Name(id=name)):
                found = {name}
            case ast.BinOp(op=ast.BitOr()):
                found = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
            case _:
                continue
        if found & STRUCTS:
            yield f"line {node.lineno}"


def test_nothing_tells_kinds_apart() -> None:
    """No `isinstance`, `case` or union over kinds is left in payhub: what differs stands in the rows and structs."""
    assert {} == {name: found for name, tree in modules() if (found := list(distinctions(tree)))}


def test_a_distinction_is_found() -> None:
    """The search finds what it is for."""
    code = (
        "def f(x: Payment | Payout):\n    if isinstance(x, Payment): ...\n    match x:\n        case PayoutOrder(): ..."
    )
    assert ["line 1", "line 2", "line 4"] == sorted(distinctions(ast.parse(code)))


# Capabilities are obeyed


class Modest:
    """A driver that can do everything, and declares payouts to cards in RUB only."""

    def __init__(self) -> None:
        for name in vars(fake):
            if name.startswith("payhub_") and name != "payhub_provider":
                setattr(self, name, getattr(fake, name))

    @hookimpl
    def payhub_provider(self) -> ProviderInfo:
        can = Capabilities(
            create={"payout": Creating(offers=(Offer(method="card", currencies=frozenset({"RUB"})),))},
            fetch={"payout": StatusQuery(by=frozenset({"provider_id"}))},
        )
        return msgspec.structs.replace(fake.payhub_provider(), name="modest", capabilities=can)


REFUSED: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "an operation": (
        lambda hub: hub.create_payment("shop", PAYMENT_ORDER), UnsupportedOperation, "has no create_payment$",
    ),
    "a question": (
        lambda hub: hub.fetch_payment("shop", order_id="in-1"), UnsupportedOperation, "has no fetch_payment$",
    ),
    "an id to ask by": (
        lambda hub: hub.fetch_payout("shop", order_id="po-1"), UnsupportedOperation, "has no fetch_payout by order_id$",
    ),
    "a method": (
        lambda hub: hub.create_payout("shop", msgspec.structs.replace(PAYOUT_ORDER, to=payhub.ToWallet("4100"))),
        InvalidOrder, r"^to: wallet is not offered; offered: card$",
    ),
    "a currency": (
        lambda hub: hub.create_payout("shop", msgspec.structs.replace(PAYOUT_ORDER, amount=Money("1", "EUR"))),
        InvalidOrder, r"^amount.currency: card is not offered in EUR; offered: RUB$",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_declared_is_refused_before_a_byte_leaves(
    open_hub: Callable[..., Any], serve: Callable[..., Any], what: str
) -> None:
    """An operation, id, method or currency that the capabilities do not name is refused, and nothing is connected."""
    server = serve(served(known(PAYOUT_ORDER)))
    hub = open_hub(server.url, (Modest(),), accounts={"shop": {"provider": "modest", "base_url": server.url}})
    act, error, words = REFUSED[what]
    with pytest.raises(error, match=words):
        act(hub)
    assert [] == server.requests


def test_a_presentation_that_is_not_offered_is_refused(open_hub: Callable[..., Any], serve: Callable[..., Any]) -> None:
    """A payment that the provider shows only on a page of its own is not asked for directly."""
    server = serve(served(known(PAYMENT_ORDER)))
    with pytest.raises(InvalidOrder, match=r"^presentation: card is not offered as direct; offered: hosted$"):
        open_hub(server.url).create_payment("shop", msgspec.structs.replace(PAYMENT_ORDER, presentation="direct"))
    assert [] == server.requests


def test_an_order_that_was_sent_is_not_refused_afterwards(
    open_hub: Callable[..., Any], serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 5: what is recorded of a sent order is returned, also when its provider offers no such thing any more."""
    server = serve(served(known(PAYOUT_ORDER)))
    hub = open_hub(server.url)
    hub.create_payout("shop", PAYOUT_ORDER)
    account = getattr(hub, "hub", hub).registry.account("shop")
    monkeypatch.setattr(account, "capabilities", Capabilities())
    assert Status.PENDING is hub.create_payout("shop", PAYOUT_ORDER).status
    with pytest.raises(UnsupportedOperation):
        hub.create_payout("shop", msgspec.structs.replace(PAYOUT_ORDER, order_id="po-2"))
    assert ["/payouts"] == [request.path for request in server.requests]


def test_capabilities_of_an_unknown_kind_are_refused(open_hub: Callable[..., Any]) -> None:
    """A driver that declares a kind that there is not is named when it is loaded, with the kinds there are."""

    class Misspelt(Modest):
        @hookimpl
        def payhub_provider(self) -> ProviderInfo:
            return msgspec.structs.replace(
                fake.payhub_provider(), capabilities=Capabilities(create={"payuot": Creating(offers=())})
            )

    with pytest.raises(payhub.ConfigurationError, match=r"names the kind 'payuot'; known: payment, payout"):
        open_hub(plugins=(Misspelt(),))
