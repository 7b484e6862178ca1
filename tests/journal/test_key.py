"""A journal knows the key that it was begun with, and no order is sent with another one."""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from payhub import ConfigurationError, Hub, Money, NotSent, Status
from payhub.journal import KeyCheck, State
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.tables import tables
from payhub.testing import fake
from tests.raw_server import answer, close
from tests.samples import PAYMENT, PAYOUT, known

from .conftest import KEY, OpenShop, Place
from .making import LATER, PREFIX, facts, found, key
from .test_races import processes, together

SECRET = "sesame-open-the-other-door-of-the-hill"
OTHER = {"key": SECRET}
WORDS = (
    "journal.key: it is not the key that this journal was begun with, so no order can be compared with those that were "
    "sent: bring that key back; it is looked for in [journal] key of the configuration"
)


@pytest.fixture
def url(place: Place) -> str:
    """Keep orders in each kind of database: a journal in memory has one key, and dies with it."""
    return place.url


def test_a_new_order_with_another_key_is_refused(open_shop: OpenShop) -> None:
    """With another key than the journal was begun with nothing new is sent; neither key is quoted."""
    open_shop(answer(known(PAYOUT))).hub.create_payout("shop", PAYOUT)
    later = open_shop(answer(known(PAYOUT)), journal=OTHER)
    for _ in range(2):
        with pytest.raises(ConfigurationError) as caught:
            later.hub.create_payout("shop", msgspec.structs.replace(PAYOUT, order_id="po-2"))
        assert WORDS == str(caught.value)
    assert (((), ()), []) == (later.journal.story("po-2"), later.sent)


@pytest.mark.parametrize(
    "act", [answer(known(PAYOUT)), answer(known(PAYOUT, status="done", paid="1000.44")), close, answer({}, 422)]
)
def test_rule_3_an_order_that_was_sent_is_unknown_with_another_key(open_shop: OpenShop, act: Any) -> None:
    """Rule 3: where nobody can tell whether it is the same order, none is raised that invites to pay elsewhere."""
    first = open_shop(act)
    try:
        first.hub.create_payout("shop", PAYOUT)
    except Exception:  # noqa: BLE001 - one is declined
        assert State.DECLINED is first.journal.find(key()).state
    before = first.journal.story("po-1")
    later = open_shop(answer(known(PAYOUT)), journal=OTHER)
    for order in (PAYOUT, msgspec.structs.replace(PAYOUT, amount=Money("7", "RUB"))):
        result = later.hub.create_payout("shop", order)
        assert (Status.UNKNOWN, WORDS, []) == (result.status, result.reason, later.sent)
    assert before == later.journal.story("po-1")


def test_what_was_not_sent_is_refused_with_another_key(open_shop: OpenShop) -> None:
    """An order of which it is known that it was not sent is not sent with another key, and may be paid elsewhere."""
    with pytest.raises(NotSent):
        open_shop(at="http://127.0.0.1:9").hub.create_payout("shop", PAYOUT)
    later = open_shop(answer(known(PAYOUT)), journal=OTHER)
    with pytest.raises(ConfigurationError, match=r"^journal\.key: it is not the key"):
        later.hub.create_payout("shop", PAYOUT)
    assert [] == later.sent


def test_the_right_key_goes_on(open_shop: OpenShop) -> None:
    """What was tried with another key leaves no trace: with the right one an order is known again."""
    first = open_shop(answer(known(PAYOUT))).hub.create_payout("shop", PAYOUT)
    open_shop(answer({}), journal=OTHER).hub.create_payout("shop", PAYOUT)
    again = open_shop(answer({}))
    assert (first.provider_id, []) == (again.hub.create_payout("shop", PAYOUT).provider_id, again.sent)


def test_looking_needs_no_key(open_shop: OpenShop, kept: SqlJournal) -> None:
    """With another key, or none, orders are looked at, asked about, and settled by hand."""
    open_shop(close).hub.create_payout("shop", PAYOUT)
    later = open_shop(answer(known(PAYOUT)), journal=OTHER)
    assert ["po-1"] == [record.facts.order_id for record in kept.story("po-1")[0]]
    assert Status.PENDING is later.hub.advance("shop", "payout", "po-1").status
    kept.settle(key(), found(State.SUCCEEDED), LATER)
    assert State.SUCCEEDED is later.journal.find(key()).state


def test_no_payer_is_forgotten_with_another_key(place: Place) -> None:
    """With another key the payer would not be found: that is an error, and nothing passes for done."""
    first, second = (sealed(place, value) for value in ("one", "two"))
    first.open(facts(), 60.0)
    with pytest.raises(ConfigurationError, match="bring that key back"):
        second.forget("p" * 64)
    for journal in (first, second):
        journal.close()


def sealed(place: Place, value: str) -> SqlJournal:
    """Open a journal with what stands for a key."""
    return SqlJournal(place.url, PREFIX, KeyCheck(value, "a test"))


def test_two_who_begin_at_once_agree(place: Place) -> None:
    """Of threads that bring two keys at the same moment one key's go on, and the other's are refused."""
    journals = [sealed(place, value) for value in "abababab"]

    def begun(number: int) -> str | None:
        try:
            journals[number].open(facts(f"po-{number}"), 60.0)
        except ConfigurationError:
            return None
        return "abababab"[number]

    told = together(*[lambda number=number: begun(number) for number in range(8)])
    assert (4, 1) == (len([each for each in told if each]), len({*told} - {None}))
    for journal in journals:
        journal.close()


def test_threads_of_one_hub_begin_at_once(place: Place) -> None:
    """The threads of one journal that is just being begun are not in each other's way."""
    for turn in range(5):
        journal = sealed(place, "one")
        opened = together(*[lambda n=n, j=journal, turn=turn: j.open(facts(f"po-{turn}-{n}"), 60.0) for n in range(8)])
        assert [True] * 8 == [each.yours for each in opened]
        journal.close()


def test_processes_that_begin_at_once_agree(place: Place, tmp_path: Path) -> None:
    """Of processes with a key of their own each, as in containers, one may create orders."""
    assert [False, False, True] == sorted(processes(3, "first", place.url, str(tmp_path)))


def test_a_key_file_that_was_not_brought_back_is_named(serve: Any, tmp_path: Path, place: Place) -> None:
    """Where the key is looked for in a file, the file is named, and none is made that would look like it."""
    other = msgspec.structs.replace(PAYMENT, order_id="in-2")
    provider = serve(answer(known(PAYMENT)), answer(known(other)))
    configured = {
        "accounts": {"shop": {"provider": "fake", "base_url": provider.url}},
        "journal": {"url": place.url},
    }
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    with Hub.from_mapping(configured, base=tmp_path / "old", plugins=(fake,)) as hub:
        hub.create_payment("shop", PAYMENT)
    lost = tmp_path / "new" / "payhub.key"
    with Hub.from_mapping(configured, base=tmp_path / "new", plugins=(fake,)) as hub:
        with pytest.raises(ConfigurationError, match=f"it is looked for in {lost}$"):
            hub.create_payment("shop", other)
        assert Status.UNKNOWN is hub.create_payment("shop", PAYMENT).status
    assert not lost.exists()
    shutil.copy(tmp_path / "old" / "payhub.key", lost)
    with Hub.from_mapping(configured, base=tmp_path / "new", plugins=(fake,)) as hub:
        assert Status.PENDING is hub.create_payment("shop", other).status


def test_rule_12_the_key_is_not_in_the_journal(open_shop: OpenShop, kept: SqlJournal) -> None:
    """Rule 12: what stands for the key in a journal is not the key."""
    open_shop(answer(known(PAYOUT))).hub.create_payout("shop", PAYOUT)
    with kept.database.engine.connect() as connection:
        rows = connection.execute(sa.select(tables(PREFIX).settings).order_by("name")).all()
    assert ([("identity", 32), ("key", 64)], False) == ([(name, len(value)) for name, value in rows], KEY in str(rows))
