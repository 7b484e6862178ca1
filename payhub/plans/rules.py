"""Hold the rules of money that are pure: what may be ordered, what is believed, what is compared."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from payhub.driver import Offer, exact
from payhub.errors import InvalidOrder, UnsupportedOperation
from payhub.journal import Why
from payhub.journal.reasons import explain
from payhub.models import Order, Ref, Result, Status, Summary
from payhub.money import InvalidMoney, Money, exponent
from payhub.operations import OrderKind
from payhub.plans.plan import Account, Undecided

OrderT = TypeVar("OrderT", bound=Order)
ResultT = TypeVar("ResultT", bound=Result)


def check_order(order: OrderT, exponents: Mapping[str, int]) -> OrderT:
    """Return an order with exact types, if it can be one at any provider.

    Raises:
        InvalidOrder: a field is missing, malformed, or asks for more digits than the currency has.
    """
    plain = exact(msgspec.structs.replace(order, extra=None))
    money = plain.amount
    if money.amount <= 0:
        raise InvalidOrder("amount", "must be more than zero")
    try:
        Money(money.amount, money.currency, exponents.get(money.currency, exponent(money.currency)))
    except InvalidMoney as cause:
        raise InvalidOrder("amount", cause.reason) from None
    return msgspec.structs.replace(plain, extra=order.extra)


def unsupported(account: Account, operation: str) -> UnsupportedOperation:
    """Return the error for an operation that the account's provider does not have."""
    return UnsupportedOperation(f"account {account.name!r}: provider {account.provider_name!r} has no {operation}")


def check_capabilities(account: Account, kind: OrderKind[OrderT, ResultT], order: OrderT) -> frozenset[int]:
    """Return the statuses that refuse an order of this kind for good, if the provider offers what it asks for.

    Raises:
        UnsupportedOperation: the provider creates no such orders.
        InvalidOrder: no offer has its method, presentation and currency; what is offered is listed.
    """
    creating = account.capabilities.create.get(kind.word)
    if creating is None:
        raise unsupported(account, kind.create)
    if kind.method is not None:
        _check_offers(kind.method, order.summary(), order.amount.currency, creating.offers)
    return creating.refusals


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


def believe(result: object, status: int, unknown: ResultT, *, definite: bool) -> ResultT:
    """Return the result of a create, if an answer with this HTTP status can prove it.

    Raises:
        Undecided: it proves nothing.
    """
    if not isinstance(result, type(unknown)):
        raise Undecided(Why.WRONG_RESULT, type(result).__name__, http_status=status)
    try:  # msgspec does not check a struct that is made in Python
        result = msgspec.convert(msgspec.structs.asdict(result), type(result))
    except msgspec.ValidationError:
        raise Undecided(Why.MALFORMED_RESULT, type(result).__name__, http_status=status) from None
    unproven = result.status.final and status // 100 != 2  # noqa: PLR2004
    if unproven and not (definite and result.status in {Status.FAILED, Status.CANCELED}):
        raise Undecided(Why.UNPROVEN, str(result.status), http_status=status)
    return result


def compare(result: ResultT, ref: Ref) -> ResultT:
    """Compare an answer with what is known of its order: that stands, and what contradicts it is flagged.

    The contradicting values themselves are in `raw`. What was flagged before stays flagged.
    """
    expected = {"order_id": ref.order_id, "requested": ref.amount, "provider_id": ref.provider_id}
    known = {name: value for name, value in expected.items() if value is not None}
    wrong = [name for name, value in known.items() if getattr(result, name) not in (None, value)]
    wrong += _other_currencies(result, ref.amount)
    result = msgspec.structs.replace(result, **known)
    if not wrong:
        return result
    return msgspec.structs.replace(
        result,
        status=Status.UNKNOWN,
        mismatches=tuple(dict.fromkeys((*result.mismatches, *wrong))),
        reason=explain(Why.CONTRADICTS_ORDER, fields=wrong),
    )


def _other_currencies(result: Result, amount: Money | None) -> list[str]:
    if amount is None:
        return []
    values = [(name, getattr(result, name)) for name in ("paid", "credited", "commission")]
    return [name for name, value in values if value and value.currency != amount.currency]
