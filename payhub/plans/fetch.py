"""Ask a provider, as an application wants, and keep what the answer says of a known order.

An answer is evidence; a question without an answer is evidence of nothing, but it is kept. Neither
sends anything again.
"""

import datetime as dt
from collections.abc import Collection
from typing import Any, TypeVar, cast

import msgspec

from payhub.driver import Unreadable, exact
from payhub.errors import ConfigurationError, Declined, JournalFailed, NotFound, PayhubError, Unavailable
from payhub.exchanges.events import Event, log
from payhub.journal import Evidence, Key, Record, Source, State, Why
from payhub.journal.reasons import explain
from payhub.journal.rules import OTHER_ORDER, is_same_account
from payhub.journal.states import UNFINISHED, evidence_of
from payhub.models import Phase, Ref, Result
from payhub.operations import KINDS, OrderKind, Query
from payhub.plans.plan import Account, Attempt, NoAnswer, Steps, Undecided, drive
from payhub.plans.rules import check_answer, check_result, compare, raise_own, unsupported
from payhub.plans.settle import clock, find, hand_over, judge_notifications, result_of, settle

A = TypeVar("A")
ResultT = TypeVar("ResultT", bound=Result)
StructT = TypeVar("StructT", bound=msgspec.Struct)


def ask(account: Account, query: Query[A], **asked: Any) -> Steps[A]:
    """Ask a question that is about no order.

    Raises:
        UnsupportedOperation: the provider cannot be asked it.
        Unavailable: no usable answer came.
    """
    try:
        found = yield from read(account, query.word, Attempt(), query.answer, listed=query.listed, **asked)
    except Exception as cause:  # noqa: BLE001 - it is raised again
        raise_own(account, cause)
    return cast("A", tuple(map(account.named, found)) if query.listed else account.named(found[0]))


def read(
    account: Account, operation: str, attempt: Attempt, shape: type[StructT], *, listed: bool = False, **asked: Any
) -> Steps[tuple[StructT, ...]]:
    """Ask the provider, and return the answers, one where they are not listed; without usable ones it is `Unavailable`.

    Raises:
        UnsupportedOperation: the provider cannot be asked so.
        Unavailable: no answer came, or not the promised one.
        NotFound: the provider does not know it.
        Undecided: the driver returned something else than was promised.
    """
    try:
        found: object = yield from drive(account.flow(operation, **asked), attempt)
        several = found if listed and isinstance(found, tuple) else (found,)
        return tuple(check_answer(check_result(each, shape, attempt.status)) for each in several)
    except NoAnswer as cause:
        phase = Phase.NOT_SENT if cause.why is Why.NOT_SENT else Phase.MAYBE_SENT
        raise Unavailable(cause.words or str(cause), phase=phase) from None
    except (Unreadable, Declined) as cause:
        if not attempt.status and isinstance(cause, PayhubError):
            raise
        raise Unavailable(str(cause), http_status=attempt.status) from cause


def read_status(account: Account, kind: OrderKind[Any, ResultT], ref: Ref, attempt: Attempt) -> Steps[ResultT]:
    """Ask for the status of an order, and compare the answer with what is known of it."""
    (result,) = yield from read(account, kind.fetch, attempt, kind.result, ref=ref)
    return account.named(compare(kind, result, ref))


def fetch(account: Account, kind: OrderKind[Any, ResultT], ref: Ref) -> Steps[ResultT]:
    """Ask for a status as the application wants, and keep what the answer says of a known order.

    Of a known order the record is returned, as to every other reader, with the provider's own words
    of today beside it. It is asked for by the provider's id where that is known. Of an order of
    another account that had this name nothing is asked, and nothing that is answered is believed.

    Raises:
        ConfigurationError: both ids are given, or none; or the order is open, and the account is another one now.
        InvalidOrder: an id or the amount is of another type, or has half a character in it, which no request can hold.
        UnsupportedOperation: the provider cannot be asked, or not by this id.
        NotFound: the provider does not know the order.
        Unavailable: no usable answer came.
    """
    ref = exact(ref)
    if bool(ref.order_id) == bool(ref.provider_id):
        raise ConfigurationError("give order_id or provider_id, one of them")
    query = account.capabilities.fetch.get(kind.word)
    by = "order_id" if ref.order_id else "provider_id"
    if query is None or by not in query.by:
        raise unsupported(account, f"{kind.fetch} by {by}" if query else kind.fetch)
    attempt = Attempt()
    key = Key(account.name, kind.word, ref.order_id) if ref.order_id else None
    record = (yield from find(key)) if key else None
    if record is not None and not _is_own(account, record):
        return compare(kind, (yield from _answer_of_other(account, kind, record)), ref)
    began = (yield from clock()) if record is not None else dt.datetime.now(dt.UTC)
    asked = ref_to(record, query.by) if record is not None else None
    try:
        result = yield from read_status(account, kind, asked or msgspec.structs.replace(ref, amount=None), attempt)
    except Exception as cause:  # noqa: BLE001 - it is raised again
        record = (yield from find(key)) if key else None
        if record is not None and _is_own(account, record):
            yield from _keep_if_possible(account, record, unanswered(cause), attempt, began, answered=False)
        raise_own(account, cause)
    if key is None and result.order_id and OTHER_ORDER.isdisjoint(result.mismatches):
        key = Key(account.name, kind.word, result.order_id)
    record = (yield from find(key)) if key else None
    if record is not None and not _is_own(account, record):
        return compare(kind, (yield from _answer_of_other(account, kind, record)), ref)
    if record is not None:
        answer = compare_with_record(result, record)
        found = evidence_of(answer, Source.STATUS)
        known = yield from _keep_if_possible(account, record, found, attempt, began, answered=True)
        if known is not None:  # it is answered as every reader is, with what the provider says today in its own words
            names = ("provider_status", "raw", "requisites", "created_at")
            today = {name: getattr(answer, name) for name in names if getattr(answer, name, None) is not None}
            other = record.provider_id is not None and "provider_id" in answer.mismatches
            answer = msgspec.structs.replace(result_of(known, kind), **({} if other else today))
        result = answer
    return compare(kind, result, ref)


def ref_to(record: Record, by: Collection[str]) -> Ref | None:
    """Name an order by the provider's id where it is known, else by ours, as far as the provider can be asked so."""
    if record.provider_id and "provider_id" in by:
        return Ref(provider_id=record.provider_id, amount=record.facts.amount)
    if "order_id" in by:
        return Ref(order_id=record.facts.order_id, amount=record.facts.amount)
    return None


def require_own(account: Account, record: Record) -> Steps[None]:
    """Refuse to ask about an order of another account that had this name; that nobody can be asked is kept.

    Raises:
        ConfigurationError: the account is another one now.
    """
    if _is_own(account, record):
        return
    found = Evidence(source=Source.STATUS, state=State.UNKNOWN, why=Why.OTHER_ACCOUNT, reason=repr(account.name))
    yield from settle(record.facts.key, found, account.timing)
    raise ConfigurationError(explain(Why.OTHER_ACCOUNT, repr(account.name)))


def _is_own(account: Account, record: Record) -> bool:
    return is_same_account(record.facts, account.provider_name, account.place.identity)


def _answer_of_other(account: Account, kind: OrderKind[Any, ResultT], record: Record) -> Steps[ResultT]:
    """Answer a question about an order of another account that had this name: with how it ended, if it has.

    Raises:
        ConfigurationError: it is open.
    """
    if record.state in UNFINISHED or record.notified:
        yield from require_own(account, record)
    return result_of(record, kind)


def _keep_if_possible(
    account: Account, record: Record, found: Evidence, attempt: Attempt, began: dt.datetime, *, answered: bool
) -> Steps[Record | None]:
    """Keep evidence, and return what is known then; a journal that fails keeps nobody from the answer.

    Then what is known is what was known, if that was final.
    """
    try:
        return (yield from keep(account, record.facts.key, found, attempt, began, answered=answered))
    except JournalFailed as cause:
        log(Event.JOURNAL_FAILED, record.facts.key, error=str(cause), state=str(found.state))
        return None if record.state in UNFINISHED else record


def keep(
    account: Account, key: Key, found: Evidence, attempt: Attempt, began: dt.datetime, *, answered: bool
) -> Steps[Record]:
    """Keep what a question gave, judge the notifications that an answer is about, and mind the schedule."""
    record = yield from settle(key, found, account.timing, attempt)
    if answered and record.notified:
        record = yield from judge_notifications(key, began)
    has_answered = not found.inconclusive or found.why is Why.NOT_FOUND
    return (yield from hand_over(record, began, account.timing, answered=has_answered))


def unanswered(cause: Exception) -> Evidence:
    """Return what a question that got no usable answer is evidence for: nothing, but it is kept."""
    why: Why | None = None
    words: str | None = str(cause)
    http_status = None
    match cause:
        case NotFound():
            why, words = Why.NOT_FOUND, None
        case Unavailable(http_status=int()):
            why, words, http_status = Why.UNUSABLE_ANSWER, cause.text, cause.http_status
        case Unavailable(phase=Phase()):
            why = Why.NOT_SENT if cause.phase is Phase.NOT_SENT else Why.NO_ANSWER
            words = cause.text
        case PayhubError():
            pass  # its own words are all there is
        case Undecided():
            why, words, http_status = cause.why, cause.words, cause.http_status
        case _:
            why, words = Why.DRIVER_FAILED, type(cause).__name__
    return Evidence(source=Source.STATUS, state=State.UNKNOWN, why=why, reason=words, http_status=http_status)


def compare_with_record(result: ResultT, record: Record) -> ResultT:
    """Compare an answer with all that is recorded of its order."""
    facts = record.facts
    kind: OrderKind[Any, ResultT] = KINDS[facts.kind]
    return compare(kind, result, Ref(order_id=facts.order_id, provider_id=record.provider_id, amount=facts.amount))
