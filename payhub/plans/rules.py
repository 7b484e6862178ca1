"""Hold the rules of money that are pure: what may be ordered, what is believed, what is compared."""

import datetime as dt
import re
import traceback
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, TypeVar, cast

import msgspec

from payhub.driver import Creating, Offer, Unreadable, exact, unfit_link
from payhub.errors import BrokenPlugin, ConfigurationError, InvalidOrder, PayhubError, Unavailable, UnsupportedOperation
from payhub.forms import find_half, type_name
from payhub.journal import Why
from payhub.journal.reasons import explain
from payhub.journal.rules import is_paid_otherwise
from payhub.masking import mask_cards
from payhub.models import LONGEST_ORDER_ID, Order, Period, Ref, Result, Status, Summary, plain_order_id
from payhub.money import InvalidMoney, Money, exponent
from payhub.operations import OrderKind
from payhub.plans.plan import Account, Undecided

OrderT = TypeVar("OrderT", bound=Order)
ResultT = TypeVar("ResultT", bound=Result)
AnswerT = TypeVar("AnswerT")
StructT = TypeVar("StructT", bound=msgspec.Struct)

_FINAL = frozenset(status for status in Status if status.final)


def check_order(kind: OrderKind[OrderT, Any], order: OrderT) -> OrderT:
    """Return an order with exact types, if it can be one of its kind with any account.

    Raises:
        ConfigurationError: it is an order of another kind.
        InvalidOrder: a field is missing or malformed.
    """
    if not isinstance(order, kind.order):
        raise ConfigurationError(f"a {kind.order.__name__} is needed, not {type(order).__name__}")
    plain = exact(msgspec.structs.replace(order, extra=None))
    _refuse_unclear_id(plain.order_id)
    if plain.amount.amount <= 0:
        raise InvalidOrder("amount", "must be more than zero")
    return msgspec.structs.replace(plain, extra=order.extra)


def check_order_id(order_id: str) -> str:
    """Return an order's id as it is kept, if it is one that nobody can take for another.

    Raises:
        InvalidOrder: it is none, has blanks at its ends or characters that are not seen, or holds a card number.
    """
    text: str = plain_order_id(order_id)
    _refuse_unclear_id(text)
    return text


# Control, format, surrogate, private and unassigned characters, separators of lines and paragraphs.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Of random UUIDs one in 600 has digits in a row, across its dashes, that would pass for a card number.
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _refuse_unclear_id(text: object) -> None:
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_ORDER_ID:
        raise InvalidOrder("order_id", f"a text of 1 to {LONGEST_ORDER_ID} characters is needed")
    if text != text.strip():
        raise InvalidOrder("order_id", "has a blank at its beginning or end")
    if not (text.isascii() and text.isprintable()) and any(unicodedata.category(each) in _UNSEEN for each in text):
        raise InvalidOrder("order_id", "has a character that is not seen")
    if mask_cards(text) != text and not _UUID.fullmatch(text):
        raise InvalidOrder("order_id", "holds a card number; give the order an id of its own")


def check_period(first: dt.date, last: dt.date) -> Period:
    """Return a period of whole days, the first of them not after the last.

    Raises:
        ConfigurationError: it is none.
    """
    days: dict[str, object] = {"first": first, "last": last}
    for name, day in days.items():
        if not isinstance(day, dt.date) or isinstance(day, dt.datetime):
            raise ConfigurationError(f"{name}: a datetime.date is needed, not {type(day).__name__}")
    if first > last:
        raise ConfigurationError("first: is after last")
    return Period(first=first, last=last)


def check_words(**texts: object) -> None:
    """Refuse what is no text, or has half a character in it, which no journal can hold.

    Raises:
        ConfigurationError: one is; it is named.
    """
    for name, text in texts.items():
        if not isinstance(text, str):
            raise ConfigurationError(f"{name}: must be a text, not {type_name(text)}")
        if find_half(text) is not None:
            raise ConfigurationError(f"{name}: has half of a character")


_LONGEST_WAIT = 100 * 366 * 86400
"""Seconds: a hundred years, which any clock can count back."""


def check_seconds(**waits: object) -> None:
    """Refuse what is no number of seconds.

    Raises:
        ConfigurationError: one is none; it is named.
    """
    for name, seconds in waits.items():
        if not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST_WAIT:
            raise ConfigurationError(f"{name}: must be a number of seconds, 0 or more")


def check_digits(amount: Money, exponents: Mapping[str, int]) -> None:
    """Refuse an amount with more digits than its currency has, at this provider.

    Raises:
        InvalidOrder: there are more.
    """
    try:
        Money(amount.amount, amount.currency, exponents.get(amount.currency, exponent(amount.currency)))
    except InvalidMoney as cause:
        raise InvalidOrder("amount", cause.reason) from None


def unsupported(account: Account, operation: str) -> UnsupportedOperation:
    """Return the error for an operation that the account's provider does not have."""
    return UnsupportedOperation(f"account {account.name!r}: provider {account.provider_name!r} has no {operation}")


def check_capabilities(account: Account, kind: OrderKind[OrderT, ResultT], order: OrderT) -> Creating:
    """Return how the provider creates orders of this kind, if it offers what this one asks for.

    Raises:
        UnsupportedOperation: the provider creates no such orders.
        InvalidOrder: no offer has its method, presentation and currency, and what is offered is listed; or the
            amount has more digits than its currency has at this provider.
    """
    capabilities = account.capabilities
    check_digits(order.amount, capabilities.exponents)
    creating = capabilities.create.get(kind.word)
    if creating is None:
        raise unsupported(account, kind.create)
    if kind.method is not None:
        _check_offers(kind.method, order.summary(), order.amount.currency, creating.offers)
    return creating


def _check_offers(field: str, asked: Summary, currency: str, offers: tuple[Offer, ...]) -> None:
    same_method = [offer for offer in offers if offer.method == asked.method]
    if not same_method:
        raise InvalidOrder(field, f"{asked.method} is not offered; offered: {_listed(o.method for o in offers)}")
    same_page = [offer for offer in same_method if offer.presentation == asked.presentation]
    if not same_page:
        found = _listed(str(offer.presentation) for offer in same_method)
        raise InvalidOrder("presentation", f"{asked.method} is not offered as {asked.presentation}; offered: {found}")
    if not any(offer.currencies is None or currency in offer.currencies for offer in same_page):
        found = _listed(each for offer in same_page for each in offer.currencies or ())
        raise InvalidOrder("amount.currency", f"{asked.method} is not offered in {currency}; offered: {found}")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(set(words))) or "nothing"


def unknown_result(kind: OrderKind[OrderT, ResultT], order: OrderT) -> ResultT:
    """Return a result of which nothing is known but what was asked."""
    return kind.result(order_id=order.order_id, requested=order.amount, status=Status.UNKNOWN)


def check_result(result: object, shape: type[StructT], status: int) -> StructT:
    """Return what a driver has returned, if it is what was promised, with fields of the right types.

    Raises:
        Undecided: it is not.
    """
    if not isinstance(result, shape):
        raise Undecided(Why.WRONG_RESULT, type(result).__name__, http_status=status)
    try:  # msgspec does not check a struct that is made in Python
        return msgspec.convert(msgspec.structs.asdict(result), type(result))
    except msgspec.ValidationError:
        raise Undecided(Why.MALFORMED_RESULT, type(result).__name__, http_status=status) from None


def broken(account: Account, cause: Exception) -> PayhubError:
    """Return the error that an application is told of a driver's mistake: payhub's own, if it is one of payhub's.

    The words of another error may quote anything, so only its kind is told, and where it was raised.
    """
    match cause:
        case PayhubError():
            return cause
        case Undecided(http_status=int(status)) if status:
            return Unavailable(explain(cause.why, cause.words) or str(cause), http_status=status)
    words = str(cause) if isinstance(cause, Undecided) else type(cause).__name__
    frame = traceback.extract_tb(cause.__traceback__)[-1]
    place = f"{frame.filename}:{frame.lineno}"
    return BrokenPlugin(f"the driver of provider {account.provider_name!r} failed: {words} in {place}")


def raise_own(account: Account, cause: Exception) -> NoReturn:
    """Raise what an application is told of an error: one of payhub's own as it is, a driver's mistake by its kind.

    Raises:
        PayhubError: always.
    """
    if isinstance(cause, PayhubError):
        raise cause
    raise broken(account, cause) from cause


def believe(result: object, status: int, unknown: ResultT, *, definite: bool, final: bool) -> ResultT:
    """Return the result of a create, if an answer with this HTTP status can prove it.

    Where such answers are not `final`, what is more than pending is pending; a `definite` refusal is what it says.

    Raises:
        Undecided: it proves nothing.
    """
    try:
        result = check_answer(check_result(result, type(unknown), status))
    except Unreadable:
        raise Undecided(Why.MALFORMED_RESULT, type(result).__name__, http_status=status) from None
    unproven = result.status in _FINAL and status // 100 != 2  # noqa: PLR2004
    refused = definite and result.status in {Status.FAILED, Status.CANCELED}
    # That nothing was sent, nothing that came back can say.
    if (unproven and not refused) or result.status is Status.NOT_SENT:
        raise Undecided(Why.UNPROVEN, str(result.status), http_status=status)
    if result.status in _FINAL and not (final or refused):
        return msgspec.structs.replace(result, status=Status.PENDING)
    return result


_LONGEST_REQUISITE = 255


def check_answer(answer: AnswerT) -> AnswerT:
    """Return a driver's answer without what nobody may be sent to, or shown, on an application's own page.

    That is an address that is none, and requisites with characters that no account has; where a payment then lacks
    what its payer needs, its `reason` says so.

    Raises:
        Unreadable: a text has half a character in it, which can be neither kept nor shown.
    """
    if (place := find_half(answer)) is not None:
        raise Unreadable(f"{place or 'a text'} of the answer has half a character in it")
    fit: Any = tuple(map(_fit, answer)) if isinstance(answer, tuple) else _fit(answer)
    return cast("AnswerT", fit)


def _fit(result: Any) -> Any:
    link, requisites = (getattr(result, name, None) for name in ("redirect_url", "requisites"))
    wrong = {}
    if link and (problem := unfit_link(link) if isinstance(link, str) else "not a text"):
        wrong["redirect_url"] = problem
    if requisites is not None and not _is_shown(requisites.number):
        wrong["requisites"] = "the number has characters of no account"
    elif requisites is not None:
        words = {name: getattr(requisites, name) for name in ("holder", "bank", "bic")}
        unfit = {name: None for name, text in words.items() if text is not None and not _is_shown(text)}
        result = msgspec.structs.replace(result, requisites=msgspec.structs.replace(requisites, **unfit))
    if not wrong:
        return result
    listed = "; ".join(f"{name} of the answer: {problem}" for name, problem in wrong.items())
    return msgspec.structs.replace(result, **dict.fromkeys(wrong), reason=result.reason or listed)


def _is_shown(text: object) -> bool:
    return (
        isinstance(text, str) and len(text) <= _LONGEST_REQUISITE and text.isprintable() and {"<", ">"}.isdisjoint(text)
    )


def compare(kind: OrderKind[Any, ResultT], result: ResultT, ref: Ref) -> ResultT:
    """Compare an answer with what is known of its order: that stands, and what contradicts it is flagged.

    So is a sum that cannot be that of an order that succeeded. The contradicting values themselves are in `raw`.
    What was flagged before, by the driver too, stays flagged.
    """
    expected = {"order_id": ref.order_id, "requested": ref.amount, "provider_id": ref.provider_id}
    known = {name: value for name, value in expected.items() if value is not None}
    wrong = [name for name, value in known.items() if getattr(result, name) not in (None, value)]
    if ref.amount is not None:
        sums = [(name, getattr(result, name)) for name in ("paid", "credited", "commission")]
        wrong += [name for name, money in sums if money and money.currency != ref.amount.currency]
        wrong += ["currency"] if result.currency not in {None, ref.amount.currency} else []
    result = msgspec.structs.replace(result, **known)
    if (
        result.status is Status.SUCCEEDED
        and result.paid is not None
        and "requested" not in wrong
        and is_paid_otherwise(result.paid, result.requested, partial=result.partial, exact=kind.exact)
    ):
        wrong.append("paid")
    wrong = list(dict.fromkeys((*result.mismatches, *wrong)))
    if not wrong:
        return result
    return msgspec.structs.replace(
        result,
        status=Status.UNKNOWN,
        mismatches=tuple(wrong),
        reason=explain(Why.CONTRADICTS_ORDER, fields=wrong),
    )
