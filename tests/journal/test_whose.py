"""An order is with one account of one provider, whatever that account is called; nobody else is asked or believed."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from payhub import BrokenPlugin, ConfigurationError, Hub, NotSent, Status, hookimpl
from payhub.driver import AccountConfig
from payhub.journal import Journal, Key, Source, State, Verdict, Why
from payhub.journal.sql import SqlJournal
from payhub.testing import fake
from tests.raw_server import Act, RawServer, answer, close
from tests.samples import PAYOUT, known

from .conftest import KEY, OpenShop, Place
from .making import LATER, PREFIX, WAYS, facts, found, key
from .test_notices import notice
from .test_races import together

PO_1 = Key("shop", "payout", "po-1")
PO_2 = msgspec.structs.replace(PAYOUT, order_id="po-2")
GONE = "http://127.0.0.1:9"
CREATED = answer(known(PAYOUT))
DONE = answer(known(PAYOUT, status="done", paid="1000.44"))
OTHER = r"^account 'shop' is another one with its provider now than the one that has this order, so nobody is asked"

Serve = Callable[..., RawServer]


# The account is another one now


@pytest.mark.parametrize("first", [CREATED, close], ids=["pending", "unknown"])
def test_rule_4_another_account_is_asked_nothing_about_an_order(open_shop: OpenShop, first: Act) -> None:
    """Rule 4: the name stands for another account, which has an order of its own with this id: it is not ours."""
    before = open_shop(first)
    sent = before.hub.create_payout("shop", PAYOUT)
    later = open_shop(DONE)
    for ask in (
        lambda: later.hub.advance("shop", "payout", "po-1"),
        lambda: later.hub.fetch_payout("shop", order_id="po-1"),
    ):
        with pytest.raises(ConfigurationError, match=OTHER):
            ask()
    assert ((), []) == (later.hub.sweep(), later.sent)
    record = later.journal.find(PO_1)
    assert (record.state, [record]) == (before.journal.find(PO_1).state, list(later.journal.unsettled(0.0, 9)))
    again = later.hub.create_payout("shop", PAYOUT)
    assert (sent.status, sent.provider_id, True, []) == (
        again.status, again.provider_id, (again.reason or "").startswith("account 'shop' is another one"), later.sent
    )  # fmt: skip


@pytest.mark.parametrize("first", [CREATED, close], ids=["pending", "unknown"])
def test_the_former_account_is_asked_as_before(open_shop: OpenShop, first: Act) -> None:
    """When the account has its name back, a sweep asks there, and nobody need have looked."""
    before = open_shop(first, answer(b"", 404), DONE)
    before.hub.create_payout("shop", PAYOUT)
    open_shop(DONE).hub.sweep()
    assert Why.OTHER_ACCOUNT is before.journal.find(PO_1).why
    before.hub.sweep()
    after = before.journal.find(PO_1)
    listed = [after] if after.state is State.UNKNOWN else []
    assert (Why.NOT_FOUND, listed) == (after.why, list(before.journal.unsettled(0.0, 9)))
    assert [Status.SUCCEEDED] == [each.status for each in before.hub.sweep()]
    assert (None, ()) == (before.journal.find(PO_1).why, before.journal.unsettled(0.0, 9))


def test_what_another_account_says_of_an_order_by_its_own_id_is_not_believed(open_shop: OpenShop) -> None:
    """Asked by an id of its own, another account names an order_id that is ours: that is no word about our order."""
    open_shop(close).hub.create_payout("shop", PAYOUT)
    later = open_shop(DONE)
    with pytest.raises(ConfigurationError, match=OTHER):
        later.hub.fetch_payout("shop", provider_id="7")
    assert State.UNKNOWN is later.journal.find(PO_1).state


def test_rule_8_an_order_that_has_ended_is_told_as_it_ended(open_shop: OpenShop) -> None:
    """Rule 8: whoever the account is now, every reader is told the same, and nobody is asked."""
    open_shop(DONE).hub.create_payout("shop", PAYOUT)
    later = open_shop(answer(known(PAYOUT, status="failed")))
    results = [
        later.hub.advance("shop", "payout", "po-1"),
        later.hub.fetch_payout("shop", order_id="po-1"),
        later.hub.create_payout("shop", PAYOUT),
    ]
    assert ([Status.SUCCEEDED] * 3, []) == ([each.status for each in results], later.sent)


def test_another_provider_under_the_name_is_another_account(
    open_shop: OpenShop, open_hub: Callable[..., Any], url: str | None
) -> None:
    """The same address, spoken to by another driver, is not asked about orders of the former."""
    shop = open_shop(close, DONE)
    shop.hub.create_payout("shop", PAYOUT)
    assert shop.server is not None
    later = open_hub(shop.server.url, journal={"url": url, "key": KEY})
    with pytest.raises(ConfigurationError, match=OTHER):
        later.advance("shop", "payout", "po-1")
    assert (["payouts"], Status.SUCCEEDED) == (shop.sent.copy(), shop.hub.advance("shop", "payout", "po-1").status)


def test_a_notification_of_another_account_is_not_about_the_order(journal: Journal) -> None:
    """It is kept, and touches no order of the account that had the name before; nor does its verdict later."""
    journal.open(facts(identity="a"), 60.0)
    before = journal.settle(key(), found(State.PENDING, Source.ANSWER), LATER)
    intake = journal.keep_notification(notice(identity="b"), 60.0, 30.0)
    assert (None, False, before) == (intake.record, intake.ask, journal.find(key()))
    journal.keep_notification(notice(digest="e", identity="a"), 60.0, 30.0)
    journal.settle(key(), found(State.SUCCEEDED, Source.STATUS), LATER)
    record = journal.judge_notifications(key(), dt.datetime.now(dt.UTC))
    verdicts = {stored.content.identity: stored.verdict for stored in journal.notifications(9)}
    assert ({"a": Verdict.CONFIRMED, "b": Verdict.WAITING}, False, False) == (
        verdicts, record.notified, record.contradicted
    )  # fmt: skip


def test_a_notification_names_the_account_that_verified_it(open_hub: Callable[..., Any], url: str | None) -> None:
    """A notification of the account that has the order now makes it due; one of another that had the name does not."""

    def hub(address: str) -> Any:
        account = {"provider": "fake", "base_url": address, "secret": "sesame"}
        return open_hub(accounts={"shop": account}, journal={"url": url, "key": KEY})

    with pytest.raises(NotSent):
        hub(GONE).create_payout("shop", PAYOUT)
    told = fake.signed_notification("sesame", kind="payout", order_id="po-1", amount=PAYOUT.amount)
    other, same = (hub(address).receive("shop", told) for address in ("http://127.0.0.1:10", GONE))
    assert ((False, False), (True, True)) == ((other.known, other.ask), (same.known, same.ask))


# An order that was not sent


def test_an_order_goes_with_the_account_that_sends_it(open_shop: OpenShop) -> None:
    """What was not sent is sent by the account that has the name now; it has the order from then on, and is asked."""
    with pytest.raises(NotSent):
        open_shop(at=GONE).hub.create_payout("shop", PAYOUT)
    later = open_shop(CREATED, DONE)
    created = later.hub.create_payout("shop", PAYOUT)
    assert (Status.PENDING, [("po-1", Status.SUCCEEDED)]) == (
        created.status, [(each.order_id, each.status) for each in later.hub.sweep()]
    )  # fmt: skip
    assert (["payouts", "payouts/find"], State.SUCCEEDED) == (later.sent, later.journal.find(PO_1).state)


def test_an_order_goes_with_the_provider_that_it_is_sent_to(
    open_shop: OpenShop, open_hub: Callable[..., Any], url: str | None
) -> None:
    """The account was pointed to another provider, because the first could not be reached: that one has the order."""
    with pytest.raises(NotSent):
        open_hub(GONE, journal={"url": url, "key": KEY}).create_payout("shop", PAYOUT)
    later = open_shop(CREATED, DONE)
    created = later.hub.create_payout("shop", PAYOUT)
    record = later.journal.find(PO_1)
    assert ("waiting", "waiting", State.PENDING) == (created.provider, record.facts.provider, record.state)
    result = later.hub.advance("shop", "payout", "po-1")
    again = later.hub.create_payout("shop", PAYOUT)
    assert ([(Status.SUCCEEDED, "waiting")] * 2, ["payouts", "payouts/find"]) == (
        [(each.status, each.provider) for each in (result, again)], later.sent
    )  # fmt: skip


@pytest.mark.parametrize("state", WAYS)
def test_only_what_was_not_sent_changes_hands(journal: Journal, state: State) -> None:
    """In every other state an order stays with the account that it was sent with; nothing of that is taken along."""
    mine = facts(identity="a")
    journal.open(mine, 60.0)
    for then, source in WAYS[state]:
        journal.settle(key(), found(then, source), LATER)
    theirs = facts(identity="b", provider="other", namespace="second")
    opened = journal.open(theirs, 60.0)
    free = state is State.NOT_SENT
    assert (free, theirs if free else mine) == (opened.yours, opened.record.facts)
    assert (opened.record, [opened.record], []) == (
        journal.find(key()),
        list(journal.legs("second" if free else "default", "payout", "po-1")),
        list(journal.legs("default" if free else "second", "payout", "po-1")),
    )


def test_what_the_former_provider_called_it_is_not_asked_for(journal: Journal) -> None:
    """An id that another account's provider gave is nothing that the new one can be asked by."""
    journal.open(facts(identity="a"), 60.0)
    journal.settle(key(), found(State.UNKNOWN, Source.ANSWER, provider_id="7", provider_status="odd"), LATER)
    journal.settle(key(), found(State.NOT_SENT, Source.ANSWER), LATER)
    record = journal.open(facts(identity="b"), 60.0).record
    assert (State.SENDING, None, None) == (record.state, record.provider_id, record.provider_status)


def test_an_order_of_which_the_new_account_has_told_is_not_sent_to_it(journal: Journal) -> None:
    """The new account's notification was of no order here; that order is not sent to it as a new one."""
    journal.open(facts(identity="a"), 60.0)
    journal.settle(key(), found(State.NOT_SENT, Source.ANSWER), LATER)
    journal.keep_notification(notice(identity="b"), 60.0, 30.0)
    opened = journal.open(facts(identity="b"), 60.0)
    assert (False, State.SENDING, Why.NOTIFIED_BEFORE) == (opened.yours, opened.record.state, opened.record.why)


# One account, two names


def _renamed(journal: Journal, state: State, provider_id: str | None, *, identity: str | None = "a") -> None:
    """Let an order fail that the provider has no id of, and then be created with another name of its account."""
    journal.open(facts(identity=identity), 60.0)
    journal.settle(key(), found(State.FAILED, Source.ANSWER), LATER)
    journal.open(facts(identity=identity, account="renamed"), 60.0)
    if state is not State.SENDING:
        renamed = Key("renamed", "payout", "po-1")
        journal.settle(renamed, found(state, Source.ANSWER, provider_id=provider_id), LATER)


@pytest.mark.parametrize("said", [State.PENDING, State.SUCCEEDED, State.FAILED])
@pytest.mark.parametrize(
    ("state", "provider_id"),
    [(State.SENDING, None), (State.UNKNOWN, None), (State.PENDING, "7"), (State.SUCCEEDED, "7"), (State.FAILED, "7")],
)
def test_what_a_provider_says_of_the_order_under_another_name_contradicts_nothing(
    journal: Journal, state: State, provider_id: str | None, said: State
) -> None:
    """Asked about the leg that failed, the provider tells of the one that the same account has by another name."""
    _renamed(journal, state, provider_id)
    record = journal.settle(key(), found(said, provider_id="7"), LATER)
    last = journal.story("po-1")[1][-1]
    why = last.evidence and last.evidence.why
    assert (State.FAILED, False, None, Why.OTHER_LEG) == (record.state, record.contradicted, record.provider_id, why)


@pytest.mark.parametrize(
    ("state", "provider_id", "identity"),
    [
        (State.PENDING, "8", "a"),  # the provider tells of yet another one
        (State.NOT_SENT, None, "a"),  # nobody has it by another name
        (State.PENDING, "7", None),  # nobody knows whether it is the same account
        (State.UNKNOWN, None, None),
    ],
)
def test_what_a_provider_says_of_a_leg_itself_contradicts(
    journal: Journal, state: State, provider_id: str | None, identity: str | None
) -> None:
    """Where the provider need not mean another leg, that an order which failed is paid is a contradiction."""
    _renamed(journal, state, provider_id, identity=identity)
    assert journal.settle(key(), found(State.SUCCEEDED, provider_id="7"), LATER).contradicted


def test_an_answer_about_another_id_than_the_leg_s_is_about_the_other_one(journal: Journal) -> None:
    """A provider that is asked by our id tells of the new order, which has another id of the provider's."""
    journal.open(facts(identity="a"), 60.0)
    journal.settle(key(), found(State.FAILED, Source.ANSWER, provider_id="6"), LATER)
    journal.open(facts(identity="a", account="renamed"), 60.0)
    journal.settle(Key("renamed", "payout", "po-1"), found(State.SUCCEEDED, Source.ANSWER, provider_id="7"), LATER)
    said = found(State.SUCCEEDED, provider_id="6", mismatches=("provider_id",))
    assert not journal.settle(key(), said, LATER).contradicted


def test_an_answer_about_the_id_of_the_leg_is_about_the_leg(journal: Journal) -> None:
    """The leg failed, the provider has an id of it, and says now that this very one is paid."""
    journal.open(facts(identity="a"), 60.0)
    journal.settle(key(), found(State.FAILED, Source.ANSWER, provider_id="6"), LATER)
    journal.open(facts(identity="a", account="renamed"), 60.0)
    assert journal.settle(key(), found(State.SUCCEEDED, provider_id="6"), LATER).contradicted


def test_an_answer_with_the_id_of_another_order_is_about_no_leg(journal: Journal) -> None:
    """The id is that of another order, whatever else the account has by another name: a person has to look."""
    _renamed(journal, State.PENDING, "8")
    journal.open(facts("po-2", identity="a"), 60.0)
    journal.settle(key("po-2"), found(State.PENDING, Source.ANSWER, provider_id="9"), LATER)
    record = journal.settle(key(), found(State.FAILED, provider_id="9"), LATER)
    assert (True, None) == (record.contradicted, record.provider_id)


def test_legs_that_are_sent_again_stay_where_they_were(journal: Journal) -> None:
    """Every journal returns legs of which none is live in the order in which they were begun."""
    for name in ("shop", "renamed", "shop"):
        journal.open(facts(account=name), 60.0)
        journal.settle(Key(name, "payout", "po-1"), found(State.NOT_SENT, Source.ANSWER), LATER)
    assert ["shop", "renamed"] == [leg.facts.account for leg in journal.legs("default", "payout", "po-1")]


@pytest.mark.parametrize(("identity", "expected"), [("a", Verdict.CONFIRMED), (None, Verdict.CONTRADICTED)])
def test_a_notification_of_the_order_under_another_name_contradicts_nothing(
    journal: Journal, identity: str | None, expected: Verdict
) -> None:
    """It comes to the address of the former name, and says what is true of the leg that the account has by now."""
    _renamed(journal, State.SUCCEEDED, "7", identity=identity)
    journal.keep_notification(notice(identity=identity), 60.0, 30.0)
    record = journal.judge_notifications(key(), dt.datetime.now(dt.UTC))
    verdicts = [stored.verdict for stored in journal.notifications(9)]
    assert ([expected], expected is Verdict.CONTRADICTED) == (verdicts, record.contradicted)


# One id of the provider's, two orders


@pytest.mark.parametrize("word", ["new", "done", "failed"])
def test_rule_10_an_id_that_another_order_has_is_a_contradiction(open_shop: OpenShop, word: str) -> None:
    """Rule 10: two creates are answered with one id; the second is not believed, and the first goes on."""
    second = answer(known(PO_2, id="7", status=word, paid="1000.44"))
    shop = open_shop(CREATED, second, answer(b"", 404), DONE)
    shop.hub.create_payout("shop", PAYOUT)
    created = shop.hub.create_payout("shop", PO_2)
    record = shop.journal.find(Key("shop", "payout", "po-2"))
    assert (Status.UNKNOWN, None, ("provider_id",), "the answer has the provider's id of another order") == (
        created.status, created.provider_id, created.mismatches, created.reason
    )  # fmt: skip
    assert (State.NEEDS_ATTENTION, Why.SHARED_ID, None, None, [record]) == (
        record.state, record.why, record.provider_id, record.paid, list(shop.journal.unsettled(0.0, 9))
    )  # fmt: skip
    assert Status.UNKNOWN is shop.hub.advance("shop", "payout", "po-2").status
    assert {"order_id": "po-2"} == msgspec.json.decode(shop.server.bodies[-1])  # type: ignore[union-attr]
    assert [("po-1", Status.SUCCEEDED)] == [(each.order_id, each.status) for each in shop.hub.sweep()]


def test_rule_10_an_id_from_a_question_that_another_order_has(open_shop: OpenShop) -> None:
    """Rule 10: it is found when a question is answered, too."""
    shop = open_shop(CREATED, close, answer(known(PO_2, id="7", status="done", paid="1000.44")))
    shop.hub.create_payout("shop", PAYOUT)
    shop.hub.create_payout("shop", PO_2)
    result = shop.hub.advance("shop", "payout", "po-2")
    assert (Status.UNKNOWN, ("provider_id",), None) == (result.status, result.mismatches, result.paid)


@pytest.mark.parametrize(
    "other",
    [{"identity": "b", "account": "other"}, {"kind": "payment"}],
    ids=["another account", "another kind"],
)
def test_another_accounts_ids_are_its_own(journal: Journal, other: dict[str, Any]) -> None:
    """Two accounts, or two kinds of orders, may number theirs alike."""
    records = []
    for number, fields in enumerate(({}, other)):
        asked = facts(f"po-{number}", **{"identity": "a", **fields})
        journal.open(asked, 60.0)
        records.append(journal.settle(asked.key, found(State.PENDING, Source.ANSWER, provider_id="7"), LATER))
    assert [(State.PENDING, "7")] * 2 == [(each.state, each.provider_id) for each in records]


def test_two_names_of_one_account_share_its_ids(journal: Journal) -> None:
    """What an account is called here makes no other account of it."""
    records = []
    for name in ("shop", "renamed"):
        asked = facts(f"po-{name}", identity="a", account=name)
        journal.open(asked, 60.0)
        records.append(journal.settle(asked.key, found(State.PENDING, Source.ANSWER, provider_id="7"), LATER))
    assert [(State.PENDING, "7"), (State.NEEDS_ATTENTION, None)] == [(r.state, r.provider_id) for r in records]


def test_two_answers_with_one_id_at_once(place: Place) -> None:
    """Of orders that are answered with one id at the same moment, one has it."""
    journals = [SqlJournal(place.url, PREFIX) for _ in range(4)]
    for number, journal in enumerate(journals):
        journal.open(facts(f"po-{number}", identity="a"), 60.0)

    def settled(number: int) -> State:
        said = found(State.PENDING, Source.ANSWER, provider_id="7")
        return journals[number].settle(key(f"po-{number}"), said, LATER).state

    states = together(*[lambda number=number: settled(number) for number in range(4)])
    assert [State.NEEDS_ATTENTION] * 3 + [State.PENDING] == sorted(states)
    for journal in journals:
        journal.close()


def test_the_database_itself_keeps_an_id_to_one_order(kept: SqlJournal, place: Place) -> None:
    """Whatever program writes, an id of the provider's names one order of an account."""
    for number in range(2):
        kept.open(facts(f"po-{number}", identity="a"), 60.0)
    with pytest.raises(sa.exc.IntegrityError), place.engine().begin() as connection:
        connection.exec_driver_sql(f"UPDATE {PREFIX}orders SET provider_id = '7'")  # noqa: S608 - no stranger names it


# Two names


def named(url: str | None, **accounts: dict[str, Any]) -> Hub:
    """Open a hub of accounts of the fake provider."""
    tables = {name: {"provider": "fake", **table} for name, table in accounts.items()}
    return Hub.from_mapping({"accounts": tables, "journal": {"url": url, "key": KEY}}, plugins=(fake,))


@pytest.mark.parametrize("first", [DONE, CREATED, close], ids=["succeeded", "pending", "unknown"])
def test_rule_2_a_renamed_account_knows_its_orders(
    open_hub: Callable[..., Any], serve: Serve, url: str | None, first: Act
) -> None:
    """Rule 2: the account has another name, or a second one, and the order comes again: it is not sent again."""
    server = serve(first, CREATED)
    here, journal = {"provider": "fake", "base_url": server.url}, {"url": url, "key": KEY}
    sent = open_hub(accounts={"rub": here}, journal=journal).create_payout("rub", PAYOUT)
    for accounts in ({"renamed": here}, {"renamed": here, "rub": here}):
        again = open_hub(accounts=accounts, journal=journal).create_payout("renamed", PAYOUT)
        assert ("rub", sent.status, 1) == (again.account, again.status, len(server.requests))


def test_one_account_in_two_namespaces_is_refused(url: str | None) -> None:
    """With the provider one order_id would stand for two orders: neither name can be used, whichever comes first."""
    accounts: dict[str, dict[str, Any]] = {
        "a": {"base_url": GONE},
        "b": {"base_url": GONE, "namespace": "second"},
        "c": {"base_url": 1},
    }
    with named(url, **accounts) as hub:
        for name in ("a", "b", "a"):
            with pytest.raises(
                ConfigurationError, match=r"is the same account with its provider as '[ab]', in another"
            ):
                hub.create_payout(name, PAYOUT)
    accounts["b"]["namespace"] = "default"
    with named(url, **accounts) as hub, pytest.raises(NotSent):
        hub.create_payout("b", PAYOUT)


def test_a_driver_that_does_not_say_who_an_account_is_is_broken() -> None:
    """Without that nothing could be compared: the account is not opened, and the driver is named."""

    class Nobody(AccountConfig, frozen=True, kw_only=True):
        base_url: str

    class Driver:
        @hookimpl
        def payhub_provider(self) -> Any:
            return msgspec.structs.replace(
                fake.payhub_provider(), name="nobody", config=Nobody, connect=lambda config: config
            )

    tables = {"accounts": {"shop": {"provider": "nobody", "base_url": GONE}}}
    with (
        Hub.from_mapping(tables, plugins=(Driver(),)) as hub,
        pytest.raises(BrokenPlugin, match="'nobody' does not say"),
    ):
        hub.fetch_balance("shop")


def test_rule_12_who_an_account_is_is_not_in_the_journal(open_shop: OpenShop, place: Place) -> None:
    """Rule 12: the journal has a keyed hash, the same for each order of the account, and not the account's own id."""
    shop = open_shop(CREATED, answer(known(PO_2)), where=place.url)
    for order in (PAYOUT, PO_2):
        shop.hub.create_payout("shop", order)
    with place.engine().connect() as connection:
        (rows,) = [connection.exec_driver_sql(f"SELECT identity FROM {PREFIX}orders").scalars().all()]  # noqa: S608
    assert (1, 64) == (len({*rows}), len(rows[0]))
    assert shop.server is not None
    assert shop.server.url not in rows[0]


def test_with_another_key_the_provider_alone_is_compared(open_shop: OpenShop, place: Place) -> None:
    """What stands for an account is keyed: with another key nobody can tell who it was, and questions go on."""
    first = open_shop(close, DONE, where=place.url)
    first.hub.create_payout("shop", PAYOUT)
    assert first.server is not None
    later = open_shop(at=first.server.url, where=place.url, journal={"key": "another secret key than that of all"})
    assert Status.SUCCEEDED is later.hub.advance("shop", "payout", "po-1").status
