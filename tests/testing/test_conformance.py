from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from payhub import (
    Balance,
    ConfigurationError,
    Money,
    Payer,
    PaymentOrder,
    Payout,
    PayoutOrder,
    Status,
    ToCard,
    ToPhone,
    hookimpl,
)
from payhub.driver import AccountConfig, Call, Flow, ProviderInfo, Response, Unreadable
from payhub.masking import Clear
from payhub.testing import answer, fake
from payhub.testing.conformance import CHECKS, Check, Subject


def provider(call: Call) -> Response:
    """Answer as the fake provider does when all is well."""
    asked = msgspec.json.decode(call.body)
    order = {"id": "7", "order_id": "conformance-1", "status": "new", "amount": "10.00", "currency": "RUB"}
    answers = {
        "fetch_balance": {"available": "10.00", "held": "0", "currency": "RUB"},
        "fetch_account_info": {"payments": True, "payouts": False},
        "list_payments": {"payments": [order]},
    }
    return answer(answers.get(call.operation, {**order, **{name: asked[name] for name in order if name in asked}}))


PAYER = Payer(id="u-1", phone="79161234567", email="ann@shop.example")
SUBJECT = Subject(
    plugin=fake,
    config={"provider": "fake", "base_url": "https://pay.example", "token": "sesame-open-the-door"},
    another={"base_url": "https://other.example"},
    orders=(
        PaymentOrder(order_id="in-1", amount=Money("3000", "RUB"), method="card", payer=PAYER),
        PayoutOrder(order_id="po-1", amount=Money("1000.44", "RUB"), to=ToCard("4111111111111111")),
        PayoutOrder(order_id="po-2", amount=Money("1.234", "KWD"), to=ToPhone("79161234567")),
    ),
    answer=provider,
    secrets=("sesame-open-the-door", "ann@shop.example"),
)


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_the_fake_driver_conforms(check: Check) -> None:
    """The driver that authors read first passes every check."""
    check.run(SUBJECT)


def test_every_check_has_its_sentence() -> None:
    """Every check says in its docstring what it requires."""
    assert [] == [check.name for check in CHECKS if not (check.run.__doc__ or "").startswith("Require")]


class Driver:
    """Behave as the fake driver does, but for one mistake."""

    def __init__(self, **mistakes: Any) -> None:
        self.mistakes = mistakes
        for name in vars(fake):
            if name.startswith("payhub_") and name != "payhub_provider":
                setattr(self, name, hookimpl(mistakes.get(name, getattr(fake, name))))

    @hookimpl
    def payhub_provider(self) -> ProviderInfo:
        info = fake.payhub_provider()
        can = msgspec.structs.replace(info.capabilities, **self.mistakes.get("capabilities", {}))
        return msgspec.structs.replace(info, name="mistaken", capabilities=can, **self.mistakes.get("info", {}))


ORDER = 0


def paid_out(account: Any, order: Any, *, read: Callable[[Response], Payout], **call: Any) -> Flow[Payout]:
    """Create a payout as the fake driver does, with another call, or another reading of the answer."""
    good = next(fake.payhub_create_payout(account, order))
    response = yield msgspec.structs.replace(good, **call)
    return read(response)


def well_read(response: Response) -> Payout:
    return fake.payout(fake.created(response))


def failing(response: Response) -> Payout:
    """Take everything unreadable for a failure: the mistake that pays twice."""
    try:
        return well_read(response)
    except Unreadable:
        return Payout(status=Status.FAILED)


def status_blind(response: Response) -> Payout:
    """Read the body whatever the status says."""
    return well_read(msgspec.structs.replace(response, status=200))


def nameless(response: Response) -> Payout:
    return Payout(status=Status.PENDING)


def unchecked(response: Response) -> Payout:
    """Leave out what the answer says of the order."""
    return msgspec.structs.replace(well_read(response), order_id=None)


def payout(read: Callable[[Response], Payout] = well_read, **call: Any) -> Any:
    return lambda account, order: paid_out(account, order, read=read, **call)


def twice(account: Any, order: Any) -> Flow[Payout]:
    call = next(fake.payhub_create_payout(account, order))
    yield call
    return well_read((yield msgspec.structs.replace(call, url=f"{call.url}/confirm")))


def failing_over(account: Any, order: Any) -> Flow[Payout]:
    """Send again, to another host, what was not answered as promised."""
    call = next(fake.payhub_create_payout(account, order))
    response = yield call
    if response.status != 200:
        response = yield msgspec.structs.replace(call, url=call.url.replace("pay.", "pay2."))
    return well_read(response)


def unstable(account: Any, order: Any) -> Flow[Payout]:
    global ORDER  # noqa: PLW0603 - the mistake
    ORDER += 1
    call = next(fake.payhub_create_payout(account, order))
    return well_read((yield msgspec.structs.replace(call, body=call.body[:-1] + b',"nonce":%d}' % ORDER)))


def endless(account: Any) -> Flow[Any]:
    while True:
        yield next(fake.payhub_fetch_balance(account))


def moving(account: Any) -> Flow[Any]:
    call = next(fake.payhub_fetch_balance(account))
    response = yield msgspec.structs.replace(call, moves_money=True)
    return Balance(available=Money(fake.read(response, fake.Funds).available, "RUB"))


def careless(account: Any) -> Flow[Any]:
    return Balance(
        available=Money(msgspec.json.decode((yield next(fake.payhub_fetch_balance(account))).body)["available"], "RUB")
    )


def optimistic(account: Any) -> Flow[Any]:
    """Take an unreadable balance for an empty one."""
    try:
        return (yield from fake.payhub_fetch_balance(account))
    except Unreadable:
        return Balance(available=Money("0", "RUB"))


def silent(account: Any) -> Flow[Any]:
    """Make no call."""
    yield from ()
    return Balance(available=Money("0", "RUB"))


def careless_connect(config: Any) -> Any:
    int(config.base_url.removeprefix("https://pay.example") or "1")
    return fake.connect(config)


def quoting_connect(config: Any) -> Any:
    if config.base_url != "https://pay.example":
        raise ConfigurationError(f"{config.base_url} does not go with {config.token}")
    return fake.connect(config)


class OpenConfig(AccountConfig, frozen=True, kw_only=True):
    base_url: Clear[str]
    token: Clear[str]
    identity = fake.FakeConfig.identity


class NobodyConfig(AccountConfig, frozen=True, kw_only=True):
    base_url: Clear[str]
    token: str


class NamedConfig(NobodyConfig, frozen=True, kw_only=True):
    @property
    def identity(self) -> str:
        return f"{self.base_url} {self.name}"


class SameConfig(NobodyConfig, frozen=True, kw_only=True):
    @property
    def identity(self) -> str:
        return "a shop"


class TokenConfig(NobodyConfig, frozen=True, kw_only=True):
    @property
    def identity(self) -> str:
        return f"{self.base_url} {self.token}"


class PacedConfig(NobodyConfig, frozen=True, kw_only=True):
    @property
    def identity(self) -> str:
        return f"{self.base_url} {self.max_per_second}"


class OpenPayout(msgspec.Struct):
    order_id: Clear[str]
    number: Clear[str]


def refusing(response: Response) -> Payout:
    """Take a refusal that cannot be read for a failure."""
    try:
        return well_read(response)
    except Unreadable:
        if response.status == 422:
            return Payout(status=Status.FAILED)
        raise


MISTAKES: dict[str, tuple[str, Driver]] = {
    "hook without a declaration": ("operations_have_their_hooks", Driver(capabilities={"fetch": {}})),
    "unforeseen error at connect": ("connect_refuses_nonsense", Driver(info={"connect": careless_connect})),
    "secret quoted at connect": ("connect_refuses_nonsense", Driver(info={"connect": quoting_connect})),
    "nobody": ("accounts_are_told_apart", Driver(info={"config": NobodyConfig})),
    "its name": ("accounts_are_told_apart", Driver(info={"config": NamedConfig})),
    "all are one": ("accounts_are_told_apart", Driver(info={"config": SameConfig})),
    "known by its token": ("accounts_are_told_apart", Driver(info={"config": TokenConfig})),
    "another one with each limit": ("accounts_are_told_apart", Driver(info={"config": PacedConfig})),
    "money not declared": ("creating_moves_money_once", Driver(payhub_create_payout=payout(moves_money=False))),
    "money moved twice": ("creating_moves_money_once", Driver(payhub_create_payout=twice)),
    "money moved again after an error": ("creating_moves_money_once", Driver(payhub_create_payout=failing_over)),
    "operation not named": ("creating_moves_money_once", Driver(payhub_create_payout=payout(operation="send"))),
    "order not named": ("creating_moves_money_once", Driver(payhub_create_payout=payout(order_id=None))),
    "read moves money": ("reading_moves_no_money", Driver(payhub_fetch_balance=moving)),
    "read makes no call": ("reading_moves_no_money", Driver(payhub_fetch_balance=silent)),
    "read never ends": ("good_answers_are_understood", Driver(payhub_fetch_balance=endless)),
    "other bytes each time": ("flows_are_repeatable", Driver(payhub_create_payout=unstable)),
    "provider's id lost": ("good_answers_are_understood", Driver(payhub_create_payout=payout(nameless))),
    "status not looked at": ("only_promised_statuses_are_believed", Driver(payhub_create_payout=payout(status_blind))),
    "garbage understood": ("garbage_is_unknown", Driver(payhub_create_payout=payout(nameless))),
    "garbage is a failure": ("garbage_is_unknown", Driver(payhub_create_payout=payout(failing))),
    "cut answer is a failure": ("cut_answers_are_unknown", Driver(payhub_create_payout=payout(failing))),
    "wrong type is a failure": ("wrong_types_are_survived", Driver(payhub_create_payout=payout(failing))),
    "refusal is a failure": ("refusals_are_declined_or_unknown", Driver(payhub_create_payout=payout(refusing))),
    "garbage is a balance": ("garbage_answers_no_question", Driver(payhub_fetch_balance=optimistic)),
    "error is a balance": ("unusable_statuses_answer_no_question", Driver(payhub_fetch_balance=optimistic)),
    "garbage raises": ("garbage_answers_no_question", Driver(payhub_fetch_balance=careless)),
    "wrong type raises": ("wrong_types_are_survived", Driver(payhub_fetch_balance=careless)),
    "another order believed": ("other_orders_are_not_believed", Driver(payhub_create_payout=payout(unchecked))),
    "secret in a repr": ("nothing_secret_is_shown", Driver(info={"config": OpenConfig})),
    "number in a record": ("nothing_secret_is_shown", Driver(payhub_create_payout=payout(asked=OpenPayout))),
}


@pytest.mark.parametrize(("name", "driver"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_found(name: str, driver: Driver) -> None:
    """A driver with one mistake fails the check that looks for it."""
    [check] = [check for check in CHECKS if check.name == name]
    subject = msgspec.structs.replace(SUBJECT, plugin=driver, config={**SUBJECT.config, "provider": "mistaken"})
    with pytest.raises(AssertionError):
        check.run(subject)


def test_a_hook_that_is_not_declared_is_found() -> None:
    """A driver with an operation that its capabilities do not name fails, and the operation is named."""
    driver = Driver(capabilities={"fetch": {}})
    subject = msgspec.structs.replace(SUBJECT, plugin=driver, config={**SUBJECT.config, "provider": "mistaken"})
    with pytest.raises(AssertionError, match=r"hooks not declared: \['fetch_payment', 'fetch_payout'\]"):
        CHECKS[0].run(subject)


@pytest.mark.parametrize("kind", [PaymentOrder, PayoutOrder])
def test_a_subject_without_samples_proves_nothing(kind: type[Any]) -> None:
    """A kit that was given no order to try says so instead of passing."""
    [check] = [check for check in CHECKS if check.name == "samples_are_complete"]
    with pytest.raises(AssertionError, match="give a sample"):
        check.run(msgspec.structs.replace(SUBJECT, orders=tuple(o for o in SUBJECT.orders if type(o) is not kind)))


def test_refusals_may_be_many() -> None:
    """A driver that declares more refusals than it reads still conforms: what it cannot read is UNKNOWN."""
    create = fake.payhub_provider().capabilities.create
    many = msgspec.structs.replace(create["payout"], refusals=frozenset({400, 422}))
    driver = Driver(capabilities={"create": {**create, "payout": many}})
    subject = msgspec.structs.replace(SUBJECT, plugin=driver, config={**SUBJECT.config, "provider": "mistaken"})
    for check in CHECKS:
        check.run(subject)
