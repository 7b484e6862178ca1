import copy
import pickle
from typing import Any

import pytest

from payhub import errors
from payhub.errors import (
    BadNotification,
    BrokenPlugin,
    ConfigurationError,
    Declined,
    IllegalStep,
    InvalidOrder,
    JournalFailed,
    NotFound,
    NotSent,
    OrderConflict,
    PayhubError,
    TicketRefused,
    Unavailable,
    UnknownAccount,
    UnknownOrder,
    UnknownProvider,
    UnsupportedOperation,
)

EXAMPLES: list[PayhubError] = [
    PayhubError("x"),
    ConfigurationError("x"),
    UnknownAccount("x"),
    UnknownProvider("x"),
    BrokenPlugin("x"),
    UnsupportedOperation("x"),
    InvalidOrder("payer.id", "is missing"),
    OrderConflict("shop", "po-1", "amount", "payout"),
    UnknownOrder("x"),
    IllegalStep("x"),
    JournalFailed("x"),
    NotSent("x"),
    Declined("no funds", code="17", errors={"amount": ("too much", "odd")}),
    NotFound("x"),
    Unavailable("x"),
    BadNotification("x"),
    TicketRefused("x"),
]


def all_errors(kind: type[PayhubError] = PayhubError) -> set[type[PayhubError]]:
    return {kind}.union(*(all_errors(inner) for inner in kind.__subclasses__() if inner.__module__ == errors.__name__))


def test_every_error_is_tried_here() -> None:
    """Every error class of payhub has its example in this file."""
    assert all_errors() == {type(example) for example in EXAMPLES}


@pytest.mark.parametrize("kind", sorted(all_errors(), key=str))
def test_every_error_is_in_the_tree(kind: type[PayhubError]) -> None:
    """Every error class stands in the tree that the module's docstring draws."""
    assert f"* `{kind.__name__}`" in (errors.__doc__ or "")


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
def test_errors_travel(error: PayhubError, copied: Any) -> None:
    """An error that Celery or a process pool carries elsewhere keeps its type, its text and its fields."""
    travelled = copied(error)
    assert (type(error), str(error), vars(error)) == (type(travelled), str(travelled), vars(travelled))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InvalidOrder("payer.id", "is missing"), "payer.id: is missing"),
        (Declined("no funds"), "no funds"),
        (Declined("bad", errors={"a": ("x", "y"), "b": ("z",)}), "bad (a: x y; b: z)"),
    ],
)
def test_errors_say_what_is_wrong(error: PayhubError, text: str) -> None:
    """An error's text names the field and the reason."""
    assert text == str(error)


def test_rule_12_a_refusal_that_quotes_a_card_number_does_not_pass_it_on() -> None:
    """Rule 12: a provider may quote a card number in its refusal; the error does not."""
    card = "4111111111111111"
    error = Declined(f"card {card} is bad", errors={f"card {card}": (f"{card} expired",)})
    shown = f"{error} {error!r} {vars(error)} {error.args}"
    assert (False, True) == (card in shown, "411111******1111" in shown)
