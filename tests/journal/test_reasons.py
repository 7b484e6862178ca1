"""Reasons are data: what payhub itself concludes is one word of a list, and a sentence only where it is shown."""

import string

import pytest

from payhub import Status
from payhub.journal import Evidence, Journal, Source, State, Why
from payhub.journal.reasons import explain
from payhub.journal.states import evidence_of
from payhub.models import Payout

from .making import LATER, NOW, brought, facts, found, key


@pytest.mark.parametrize("why", Why)
def test_every_reason_has_its_words(why: Why) -> None:
    """Every reason makes a sentence, with what others say in it if there is a place for it."""
    text = explain(why, "the line is cut", fields=("paid", "requested"))
    assert text
    assert set(string.Formatter().parse(text)) == {(text, None, None, None)}


@pytest.mark.parametrize(
    ("why", "reason", "http_status", "expected"),
    [
        (None, "insufficient funds", None, "insufficient funds"),
        (None, None, None, None),
        (Why.NOT_SENT, "no connection", None, "no connection (not sent)"),
        (Why.NO_ANSWER, "the connection was cut", None, "the connection was cut (maybe sent)"),
        (Why.UNUSABLE_ANSWER, "it is not JSON", 200, "HTTP 200: it is not JSON"),
        (Why.UNPROVEN, "failed", 404, "HTTP 404: does not prove that it failed"),
        (Why.NOT_FOUND, None, None, "not found, which proves nothing"),
    ],
)
def test_a_reason_is_explained(why: Why | None, reason: str | None, http_status: int | None, expected: str) -> None:
    """Evidence explains itself: payhub's own reason, what others say, and which answer it was."""
    said = Evidence(source=Source.ANSWER, state=State.UNKNOWN, why=why, reason=reason, http_status=http_status)
    assert expected == said.explanation


def test_an_answer_that_contradicts_its_order_names_the_fields() -> None:
    """What does not match is named, whatever the driver has called the reason."""
    said = evidence_of(Payout(status=Status.UNKNOWN, mismatches=("paid",), reason="it says so"), Source.STATUS)
    assert (Why.CONTRADICTS_ORDER, None, "the answer contradicts the order: paid") == (
        said.why, said.reason, said.explanation
    )  # fmt: skip


def test_a_reason_is_kept(journal: Journal) -> None:
    """An order and its evidence keep the reason, the words of others and the HTTP status, each for itself."""
    brought(journal, State.UNKNOWN)
    said = found(State.NEEDS_ATTENTION, why=Why.UNUSABLE_ANSWER, reason="it is not JSON", http_status=502)
    record = journal.settle(key(), said, LATER)
    assert (Why.UNUSABLE_ANSWER, "it is not JSON", 502) == (record.why, record.reason, record.http_status)
    assert (record, "HTTP 502: it is not JSON") == (journal.find(key()), record.explanation)
    assert said == journal.story("po-1")[1][-1].evidence


@pytest.mark.parametrize("state", [State.PENDING, State.SUCCEEDED])
def test_one_reason_takes_the_place_of_another(journal: Journal, state: State) -> None:
    """Of two reasons for one state the later stands as a whole; what gives none leaves it where it was."""
    journal.open(facts(), 60.0)
    journal.settle(key(), found(state, Source.ANSWER, why=Why.UNPROVEN, reason="failed", http_status=404), NOW)
    assert (Why.UNPROVEN, "failed", 404) == _reason(journal)
    journal.settle(key(), found(state), NOW)
    assert (Why.UNPROVEN, "failed", 404) == _reason(journal)
    journal.settle(key(), found(state, reason="queued"), NOW)
    assert (None, "queued", None) == _reason(journal)


def _reason(journal: Journal) -> tuple[Why | None, str | None, int | None]:
    record = journal.find(key())
    assert record is not None
    return record.why, record.reason, record.http_status
