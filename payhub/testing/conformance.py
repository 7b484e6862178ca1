"""Check that a driver keeps the rules of money: one parametrised test runs them all.

    import pytest
    from payhub.testing.conformance import CHECKS, Subject

    SUBJECT = Subject(plugin=my_driver, config={...}, another={...}, orders=(PayoutOrder(...),), answer=my_answer)

    @pytest.mark.parametrize("check", CHECKS, ids=str)
    def test_conformance(check):
        check.run(SUBJECT)

A check raises `AssertionError` with what is wrong. Nothing is sent: the checks play the provider.
"""

import contextlib
import datetime as dt
import pprint
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from payhub.accounts.account import OpenAccount
from payhub.accounts.config import account_config, read_mapping
from payhub.accounts.registry import Registry
from payhub.driver import Call, Flow, Response
from payhub.errors import BrokenPlugin, ConfigurationError, Declined, NotFound, Unavailable
from payhub.exchanges.record import describe
from payhub.exchanges.reply import Reply
from payhub.journal.memory import MemoryJournal
from payhub.models import Order, Period, Phase, Ref, Result, Status
from payhub.operations import KINDS, PAYMENTS, QUERIES
from payhub.plans.plan import Plan
from payhub.testing import answer, next_call

__all__ = ["CHECKS", "Check", "Subject"]

ACCOUNT = "conformance"
MOST_CALLS = 50
OK = 200
LONG = 60

Answerer = Callable[[Call], Response]


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is checked, and with what.

    `plugin` is the driver's module or object and `config` an account's table for it, with paths
    relative to `base`; with `another`'s keys in it, it is the table of another account with the
    provider. `orders` are orders that the driver accepts, one at least of each kind that
    it creates. `answer` plays the provider when all is well: it takes a call and
    returns the answer. `secrets` are texts that nobody may see: passwords, tokens, names.
    """

    plugin: Any
    config: Mapping[str, Any]
    another: Mapping[str, Any]
    answer: Answerer
    orders: tuple[Order, ...]
    base: Path = Path()
    secrets: tuple[str, ...] = ()

    def account(self, config: Mapping[str, Any] | None = None) -> OpenAccount:
        """Open the account, or one with another configuration."""
        return self.registry(config).account(ACCOUNT)

    def registry(self, config: Mapping[str, Any] | None = None) -> Registry:
        """Load the plugin, with the configuration or with another one."""
        tables = {"accounts": {ACCOUNT: self.config if config is None else config}}
        return Registry(read_mapping(tables, self.base), (self.plugin,))


class Check(msgspec.Struct, frozen=True):
    """Name one check and run it."""

    name: str
    run: Callable[[Subject], None]

    def __str__(self) -> str:
        """Show the name, for a test's id."""
        return self.name


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """Start one operation with one sample, as often as needed."""

    operation: str
    start: Callable[[], Plan[Any]]
    order: Order | None = None
    refusals: frozenset[int] = frozenset()


class _Create(_Case, frozen=True, kw_only=True):
    """Start a create, or the driver's flow of it alone."""

    flow: Callable[[], Flow[Any]]


class _Ended(msgspec.Struct, frozen=True, kw_only=True):
    """Hold how an operation ended, and the calls it made."""

    value: Any
    exchanges: tuple[tuple[Call, Reply], ...]

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(call for call, _ in self.exchanges)


def _creates(subject: Subject) -> Iterator[_Create]:
    account = subject.account()
    for order in subject.orders:
        kind = next(each for each in KINDS.values() if isinstance(order, each.order))
        creating = account.capabilities.create.get(kind.word)
        yield _Create(
            operation=kind.create,
            start=partial(account.create, kind, order),
            order=order,
            refusals=creating.refusals if creating else frozenset(),
            flow=partial(account.flow, kind.create, order=order),
        )


def _first_creates(subject: Subject) -> Iterator[_Case]:
    """Take one sample for each operation, where every sample would only cost time."""
    yield from {case.operation: case for case in reversed(list(_creates(subject)))}.values()


# What a question needs besides the account.
_ASKED: Mapping[str, Mapping[str, object]] = {
    PAYMENTS.word: {"period": Period(first=dt.date(2026, 1, 1), last=dt.date(2026, 1, 2))},
}


def _reads(subject: Subject) -> Iterator[_Case]:
    registry = subject.registry()
    account = registry.account(ACCOUNT)
    refs = {"order_id": Ref(order_id="conformance-1"), "provider_id": Ref(provider_id="1")}
    for word, query in account.capabilities.fetch.items():
        for by in sorted(query.by):
            yield _Case(operation=KINDS[word].fetch, start=partial(account.fetch, KINDS[word], refs[by]))
    supported = registry.plugins.supported(account.provider)
    for question in QUERIES:
        if question.word in supported:
            yield _Case(operation=question.word, start=partial(account.ask, question, **_ASKED.get(question.word, {})))


def _carried_out(case: _Case, answer: Answerer) -> _Ended:
    """Carry an operation to its end with these answers; an error of payhub's is an end, too."""
    steps, journal = case.start().steps, MemoryJournal()
    exchanges: list[tuple[Call, Reply]] = []
    try:
        call = next_call(steps, next(steps), journal)
        while len(exchanges) < MOST_CALLS:
            reply = Reply(phase=Phase.ANSWERED, response=answer(call))
            exchanges.append((call, reply))
            call = next_call(steps, steps.send(reply), journal)
    except StopIteration as done:
        return _Ended(value=done.value, exchanges=tuple(exchanges))
    except (Declined, NotFound, Unavailable) as error:
        return _Ended(value=error, exchanges=tuple(exchanges))
    except Exception as cause:
        raise AssertionError(f"{case.operation}: raised {type(cause).__name__}: {cause}") from cause
    raise AssertionError(f"{case.operation}: made {MOST_CALLS} calls and wants more")


def _driver_calls(case: _Create, answer: Answerer) -> list[Call]:
    """Return the calls that a driver makes by itself: the rules of money around it would stop a second payment."""
    calls: list[Call] = []
    with contextlib.suppress(Exception):  # however it ends
        flow = case.flow()
        call = next(flow)
        while len(calls) < MOST_CALLS:
            calls.append(call)
            call = flow.send(answer(call))
    return calls


def _except(subject: Subject, response: Response, *, reading: bool = False) -> Answerer:
    """Give this answer where money moves (or to every question), a good one elsewhere."""
    return lambda call: response if call.moves_money or reading else subject.answer(call)


def _with_status(subject: Subject, status: int) -> Answerer:
    """Give the good answer under another status where money moves."""

    def answered(call: Call) -> Response:
        good = subject.answer(call)
        return msgspec.structs.replace(good, status=status) if call.moves_money else good

    return answered


def _with_body(subject: Subject, url: str, body: bytes) -> Answerer:
    """Give this body to the first call of one URL, a good answer elsewhere and afterwards."""
    spoiled = [answer(body)]
    return lambda call: spoiled.pop() if call.url == url and spoiled else subject.answer(call)


def _require(truth: object, message: str) -> None:
    if not truth:
        raise AssertionError(message)


def _require_unknown(case: _Case, ended: _Ended, given: str) -> None:
    status = getattr(ended.value, "status", type(ended.value).__name__)
    _require(status is Status.UNKNOWN, f"{case.operation}: {given} must be UNKNOWN, not {status}")


def _require_no_answer(case: _Case, ended: _Ended, given: str) -> None:
    unusable = isinstance(ended.value, Unavailable | NotFound)
    _require(unusable, f"{case.operation}: {given} must be Unavailable or NotFound, not {type(ended.value).__name__}")


GARBAGE: Mapping[str, bytes] = {
    "an empty body": b"",
    "a page of HTML": b"<html><body>502 Bad Gateway</body></html>",
    "a list": b"[]",
    "null": b"null",
    "a number": b"0",
    "a text": b'"ok"',
    "an empty object": b"{}",
    "bytes that are not UTF-8": b'{"id": "\xff\xfe"}',
    "deeply nested lists": b"[" * 100_000,
    "deeply nested objects": b'{"id":' * 100_000,
    "NUL bytes": b"\x00" * 64,
}
"""Name what a broken proxy, a firewall or a crashing provider may answer with 200."""

WRONG_TYPES: tuple[object, ...] = (None, True, -1, "", "nonsense", [], [[]], {}, {"id": []})
"""List what may stand in an answer where something else is promised."""

NONSENSE: tuple[object, ...] = (None, True, -1, [], {}, "", "nonsense\r\nX: y", "http://payments.example")
"""List what may stand in a configuration by mistake."""


def operations_have_their_hooks(subject: Subject) -> None:
    """Require that a kind of order is among the capabilities exactly if its hook is implemented."""
    registry = subject.registry()
    provider = registry.provider(ACCOUNT)
    can = provider.info.capabilities
    declared = {*(KINDS[word].create for word in can.create), *(KINDS[word].fetch for word in can.fetch)}
    of_orders = {name for kind in KINDS.values() for name in (kind.create, kind.fetch)}
    have = {name for name in of_orders if registry.plugins.caller(provider, name)}
    _require(
        declared == have,
        f"capabilities without a hook: {sorted(declared - have)}; hooks not declared: {sorted(have - declared)}",
    )


def samples_are_complete(subject: Subject) -> None:
    """Require that every kind of order that is created has a sample, or the other checks prove nothing."""
    for word in subject.account().capabilities.create:
        found = any(isinstance(order, KINDS[word].order) for order in subject.orders)
        _require(found, f"give a sample {word} order")


def connect_refuses_nonsense(subject: Subject) -> None:
    """Require that an unusable configuration is a `ConfigurationError`, nothing else, and quotes no secret."""
    shape = subject.account().provider.info.config
    hints = get_type_hints(shape)
    for field in msgspec.structs.fields(shape):
        if field.name in {"name", "provider"}:
            continue
        for nonsense in NONSENSE:
            _refused(subject, {**subject.config, field.name: nonsense}, field.name)
        if Path in {hints[field.name], *get_args(hints[field.name])}:
            missing = {**subject.config, field.name: "no/such/file"}
            _require(_refused(subject, missing, field.name), f"{field.name}: a missing file must be refused")
        if field.required:
            less = {name: value for name, value in subject.config.items() if name != field.name}
            _require(_refused(subject, less, field.name), f"{field.name}: must be missed")


def _refused(subject: Subject, config: Mapping[str, Any], key: str) -> bool:
    try:
        subject.account(config)
    except BrokenPlugin as error:
        kind = type(error.__cause__ or error).__name__
        raise AssertionError(f"{key}: nonsense raised {kind}, not ConfigurationError") from error.__cause__
    except ConfigurationError as error:
        _require_hidden(subject.secrets, str(error), f"the error about {key}")
        return True
    return False


def accounts_are_told_apart(subject: Subject) -> None:
    """Require an identity that is another one exactly if the account is, whatever it is called, and shows no secret."""

    def identity(**changes: Any) -> object:
        registry = subject.registry({**subject.config, **changes})
        shape = registry.provider(ACCOUNT).info.config
        try:
            return msgspec.structs.replace(account_config(registry.settings, ACCOUNT, shape), name="renamed").identity
        except NotImplementedError:
            raise AssertionError("the configuration has no identity") from None

    mine = identity()
    _require(isinstance(mine, str) and mine, "identity: a text is needed")
    _require(mine == identity(namespace="another", max_per_second=1.0), "identity: changes with what is payhub's own")
    _require(mine != identity(**subject.another), "identity: two accounts have the same")
    _require_hidden(subject.secrets, str(mine), "identity")
    named = subject.account()
    config = account_config(subject.registry().settings, ACCOUNT, named.provider.info.config)
    _require(mine == config.identity, "identity: changes with the account's name")


def creating_moves_money_once(subject: Subject) -> None:
    """Require that a create makes exactly one call that is declared to move money, and names operation and order in it.

    After an answer that cannot be used it makes no other: the first may have paid.
    """
    for case in _creates(subject):
        moving = [call for call in _driver_calls(case, subject.answer) if call.moves_money]
        _require(len(moving) == 1, f"{case.operation}: {len(moving)} calls move money, not one")
        named = case.order is not None and moving[0].order_id == case.order.order_id
        _require(named, f"{case.operation}: the call's order_id is not the order's")
        _require(
            moving[0].operation == case.operation, f"{case.operation}: the call's operation is {moving[0].operation!r}"
        )
        for unusable in (answer(status=500), answer(b"<html>")):
            again = [call for call in _driver_calls(case, _except(subject, unusable)) if call.moves_money]
            _require(len(again) == 1, f"{case.operation}: sent again after an answer that cannot be used")


def reading_moves_no_money(subject: Subject) -> None:
    """Require that a read makes no call that is declared to move money: those are never repeated."""
    for case in _reads(subject):
        calls = _carried_out(case, subject.answer).calls
        _require(calls, f"{case.operation}: made no call")
        _require(not any(call.moves_money for call in calls), f"{case.operation}: a read must not move money")


def flows_are_repeatable(subject: Subject) -> None:
    """Require the same bytes for the same order: nothing is rounded, shuffled or stamped on the way."""
    for case in (*_creates(subject), *_reads(subject)):
        first, second = (
            [(call.method, call.url, call.body) for call in _carried_out(case, subject.answer).calls] for _ in range(2)
        )
        _require(first == second, f"{case.operation}: two runs made different calls")


def good_answers_are_understood(subject: Subject) -> None:
    """Require a known status and the provider's id from a good answer to a create, a result from a read."""
    for case in _creates(subject):
        result = _carried_out(case, subject.answer).value
        good = isinstance(result, Result) and result.status is not Status.UNKNOWN and result.provider_id
        _require(good, f"{case.operation}: a good answer became {result!r}")
    for asking in _reads(subject):
        result = _carried_out(asking, subject.answer).value
        _require(not isinstance(result, Exception), f"{asking.operation}: a good answer became {result!r}")


def only_promised_statuses_are_believed(subject: Subject) -> None:
    """Require UNKNOWN after a create for every status but 200 and the refusals, whatever the body says."""
    for case in _first_creates(subject):
        for status in sorted(set(range(100, 600)) - case.refusals - {OK}):
            ended = _carried_out(case, _except(subject, answer(status=status)))
            _require_unknown(case, ended, f"HTTP {status} without a body")
            if status // 100 != OK // 100:
                ended = _carried_out(case, _with_status(subject, status))
                _require_unknown(case, ended, f"HTTP {status} with the body of a good answer")


def refusals_are_declined_or_unknown(subject: Subject) -> None:
    """Require that a declared refusal of a create is `Declined` if it can be read, and UNKNOWN if not."""
    for case in _first_creates(subject):
        for status in sorted(case.refusals):
            for given, body in GARBAGE.items():
                ended = _carried_out(case, _except(subject, answer(body, status)))
                if not isinstance(ended.value, Declined):
                    _require_unknown(case, ended, f"HTTP {status} with {given}")


def unusable_statuses_answer_no_question(subject: Subject) -> None:
    """Require that a read that is not answered with 200 is `Unavailable` or `NotFound`."""
    for case in _reads(subject):
        for status in sorted(set(range(100, 600)) - {OK}):
            ended = _carried_out(case, _except(subject, answer(status=status), reading=True))
            _require_no_answer(case, ended, f"HTTP {status} without a body")


def garbage_is_unknown(subject: Subject) -> None:
    """Require UNKNOWN after a create for a 200 that is not the promised answer."""
    for case in _creates(subject):
        for given, body in GARBAGE.items():
            _require_unknown(case, _carried_out(case, _except(subject, answer(body))), given)


def garbage_answers_no_question(subject: Subject) -> None:
    """Require that a read answered with garbage is `Unavailable` or `NotFound`; an empty list is a list."""
    for case in _reads(subject):
        for given, body in GARBAGE.items():
            if case.operation == "list_payments" and given in {"a list", "an empty object"}:
                continue
            _require_no_answer(case, _carried_out(case, _except(subject, answer(body), reading=True)), given)


def cut_answers_are_unknown(subject: Subject) -> None:
    """Require UNKNOWN after a create for a good answer that ends too early, wherever it ends."""
    for case in _first_creates(subject):
        moving = next(call for call in _carried_out(case, subject.answer).calls if call.moves_money)
        body = subject.answer(moving).body.rstrip()
        for end in range(0, len(body), max(1, len(body) // 50)):
            _require_unknown(
                case, _carried_out(case, _except(subject, answer(body[:end]))), f"{end} bytes of {len(body)}"
            )


def wrong_types_are_survived(subject: Subject) -> None:
    """Require that one field of a wrong type raises nothing unforeseen, and never makes a create fail."""
    for case in (*_first_creates(subject), *_reads(subject)):
        for call, reply in _carried_out(case, subject.answer).exchanges:
            for name, body in _spoiled(reply.response.body if reply.response else b""):
                value = _carried_out(case, _with_body(subject, call.url, body)).value
                failed = isinstance(value, Exception) or getattr(value, "status", None) in {
                    Status.FAILED,
                    Status.CANCELED,
                }
                _require(not failed or not case.order, f"{case.operation}: a wrong type of {name} became {value!r}")


def _spoiled(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Replace each field of a JSON object, and of the objects in it, by values of other types."""
    whole = msgspec.json.decode(body) if body else None
    for path in _paths(whole):
        for wrong in WRONG_TYPES:
            yield ".".join(map(str, path)), msgspec.json.encode(_replaced(whole, path, wrong))


def _paths(value: object) -> Iterator[tuple[Any, ...]]:
    match value:
        case dict():
            items: Iterator[tuple[Any, object]] = iter(value.items())
        case list():
            items = iter(enumerate(value[:1]))
        case _:
            return
    for key, inner in items:
        yield (key,)
        yield from ((key, *path) for path in _paths(inner))


def _replaced(value: Any, path: tuple[Any, ...], wrong: object) -> Any:
    if not path:
        return wrong
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], wrong)
    return copy


def results_name_the_order(subject: Subject) -> None:
    """Require that every result names the account, the provider, the order_id and what was requested, known or not."""
    for case in _creates(subject):
        for response in (subject.answer, _except(subject, answer(status=500))):
            result = _carried_out(case, response).value
            named = (result.account, result.provider != "", result.order_id, result.requested)
            expected = (ACCOUNT, True, *((case.order.order_id, case.order.amount) if case.order else ()))
            _require(named == expected, f"{case.operation}: the result names {named}")


def other_orders_are_not_believed(subject: Subject) -> None:
    """Require UNKNOWN for an answer that names another order, where answers name their order."""
    for case in _creates(subject):
        mine = case.order.order_id.encode() if case.order else b""
        good = [
            reply.response.body
            for call, reply in _carried_out(case, subject.answer).exchanges
            if call.moves_money and reply.response
        ]
        if mine in good[0]:
            other = answer(good[0].replace(mine, mine[:-1] + (b"0" if mine[-1:] != b"0" else b"1")))
            _require_unknown(case, _carried_out(case, _except(subject, other)), "an answer about another order")


def _echo(call: Call) -> Response:
    """Answer as a debugging provider would: with the request in unknown places and in an error's text."""
    body = call.body.decode("utf-8", "replace")
    return answer({"request": body, "echo": {"body": [body]}, "text": "see request", "message": "see request"})


def nothing_secret_is_shown(subject: Subject) -> None:
    """Require that no card, phone or account number, secret or long header shows in a record or a repr."""
    registry = subject.registry()
    account = registry.account(ACCOUNT)
    config = account_config(registry.settings, ACCOUNT, account.provider.info.config)
    for case in (*_creates(subject), *_reads(subject)):
        for response in (subject.answer, _echo):
            ended = _carried_out(case, response)
            # Long headers hold signatures and tokens.
            headers = (value for call in ended.calls for value in call.headers.values() if len(value) > LONG)
            phone = getattr(getattr(case.order, "payer", None), "phone", None)
            numbers = (case.order.summary().number, phone) if case.order else ()
            hidden = (*subject.secrets, *filter(None, numbers), *headers)
            for thing in (registry.settings, config, account.driver, case.order, ended.value, *ended.calls):
                _require_hidden(hidden, f"{thing!r} {thing} {pprint.pformat(thing)}", type(thing).__name__)
            for call, reply in ended.exchanges:
                exchange = describe(
                    call,
                    reply,
                    account=account.name,
                    provider=account.provider.info.name,
                    software=None,
                    started_at=dt.datetime.now(dt.UTC),
                    duration=0.0,
                )
                _require_hidden(hidden, str(msgspec.to_builtins(exchange)), "the record of an exchange")


def _require_hidden(hidden: tuple[str, ...], shown: str, where: str) -> None:
    for number, secret in enumerate(hidden):
        _require(
            not secret or secret not in shown, f"{where} shows what must be hidden (number {number + 1} of the list)"
        )


CHECKS = tuple(
    Check(function.__name__, function)
    for function in (
        operations_have_their_hooks,
        samples_are_complete,
        connect_refuses_nonsense,
        accounts_are_told_apart,
        creating_moves_money_once,
        reading_moves_no_money,
        flows_are_repeatable,
        good_answers_are_understood,
        only_promised_statuses_are_believed,
        refusals_are_declined_or_unknown,
        unusable_statuses_answer_no_question,
        garbage_is_unknown,
        garbage_answers_no_question,
        cut_answers_are_unknown,
        wrong_types_are_survived,
        results_name_the_order,
        other_orders_are_not_believed,
        nothing_secret_is_shown,
    )
)
"""List every check."""
