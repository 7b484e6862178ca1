"""Write a driver with what is here: calls, flows, and what a provider can do.

A driver says what to send, somebody else sends it. Each operation returns a *flow*: a generator
that yields calls, is sent responses, and returns a model. It does no I/O of its own, so one flow
serves synchronous and asynchronous applications and is tested with plain values.
"""

import contextlib
import functools
import re
from collections.abc import Callable, Generator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar
from urllib.parse import urlsplit

import msgspec

from payhub.errors import InvalidOrder
from payhub.forms import expected, find_half, find_place, refusal, type_name
from payhub.masking import Clear, Link, MaskedStruct
from payhub.models import Presentation, Service

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


class Call(MaskedStruct, frozen=True, kw_only=True):
    """Describe one HTTP request that a driver wants made, and what the core must know about it.

    `body` is sent as it is, byte for byte. `moves_money` is true for a call that may start a
    payment or payout: it is never sent twice. `asked` and `promised` are the wire structs of the
    request and the answer; their masks decide what a log shows, and without one nothing is shown.
    `shown_headers` names headers that may be shown besides the usual ones, `signed_with` says with
    which digest and key the call is signed, never the signature itself.

    Raises:
        ValueError: a method or header that cannot be sent as one line; its value is not quoted.
    """

    operation: Clear[str]
    url: Link[str]
    moves_money: Clear[bool]
    body: bytes = b""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    method: Clear[str] = "POST"
    order_id: Clear[str | None] = None
    provider_id: Clear[str | None] = None
    asked: type[msgspec.Struct] | None = None
    promised: type[msgspec.Struct] | None = None
    shown_headers: Clear[frozenset[str]] = frozenset()
    signed_with: Clear[str | None] = None

    def __post_init__(self) -> None:
        """Refuse what could smuggle in another line."""
        if not _TOKEN.fullmatch(self.method):
            raise ValueError("method: not a valid name")
        if self.method.upper() == "CONNECT":
            raise ValueError("method: CONNECT is for proxies")
        for name, value in self.headers.items():
            if not _TOKEN.fullmatch(name):
                raise ValueError("header: not a valid name")
            if not _VALUE.fullmatch(value):
                raise ValueError(f"header {name}: the value is empty or has characters that a header cannot hold")


class Response(MaskedStruct, frozen=True, kw_only=True):
    """Hold a complete answer; header names are in lower case."""

    status: Clear[int]
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""


Flow = Generator[Call, Response, T]
"""A driver's conversation: yields calls, is sent responses, returns a model."""


class Unreadable(Exception):
    """Report, from a flow, an answer that is not the promised one.

    After a call that moves money the outcome is then unknown; a read becomes `Unavailable`.
    The text must not quote the answer.
    """


def exact(struct: S, names: Mapping[str, str] | None = None) -> S:
    """Check a struct against its own annotations and return it with exact types.

    `names` says what the application calls a field (`{"customer_ip": "payer.ip"}`).

    Raises:
        InvalidOrder: a field has the wrong type, length or form; its value is not quoted.
    """
    strange: list[object] = []

    def refuse(value: object) -> None:
        strange.append(value)
        raise TypeError

    try:
        return msgspec.json.decode(msgspec.json.encode(struct, enc_hook=refuse), type=type(struct))
    except msgspec.ValidationError as cause:
        field, words = refusal(cause, type(struct), struct)
    except UnicodeEncodeError:
        field, words = find_half(struct) or "", "has half of a character"
    except (TypeError, ValueError, OverflowError, RecursionError):
        field = find_place(struct, lambda value: any(value is each for each in strange)) or ""
        words = f"must be {expected(type(struct), field)}, not {type_name(strange[0])}" if strange else "is malformed"
    name = (names or {}).get(field, field) or "order"
    known_as = "" if name.rpartition(".")[2] == field else f" ({field})"  # what the provider calls it, if that differs
    raise InvalidOrder(name, f"{words}{known_as if field in (names or {}) else ''}")


class Offer(MaskedStruct, frozen=True, kw_only=True):
    """One way to pay or be paid that a provider offers, and in which currencies.

    `method` is a `Method` of payments, or for payouts the tag of the destination (`card`, `phone`,
    `bank_account`, `wallet`); payouts have no `presentation`. `currencies` is `None` where only the
    account's own services tell them: the driver then refuses the others.
    """

    method: Clear[str]
    presentation: Clear[Presentation | None] = None
    currencies: Clear[frozenset[str] | None]


class Creating(MaskedStruct, frozen=True, kw_only=True):
    """How a provider creates orders of one kind.

    An order that no offer has is refused before it is sent. `refusals` are the HTTP statuses after
    which certainly nothing moves. `final` tells that the provider's documents let the answer to a
    create be an order's end; where they do not, a final word in it is only a reason to ask at once.
    """

    offers: Clear[tuple[Offer, ...]]
    refusals: Clear[frozenset[int]] = frozenset()
    final: Clear[bool] = False


class Schedule(MaskedStruct, frozen=True, kw_only=True):
    """Say when an open order is asked for: after `first` seconds, then after growing pauses.

    No pause is longer than `longest`; when the order is older than `until`, a person has to look.
    """

    first: Clear[float] = 5.0
    growth: Clear[float] = 1.7
    longest: Clear[float] = 3600.0
    until: Clear[float] = 7 * 24 * 3600.0


class StatusQuery(MaskedStruct, frozen=True, kw_only=True):
    """By which ids a provider can be asked for the status of an order."""

    by: Clear[frozenset[Literal["order_id", "provider_id"]]]


class Capabilities(MaskedStruct, frozen=True, kw_only=True):
    """What a provider can do; what is not said is refused before anything is sent.

    `create` and `fetch` have a row for each kind of order (`"payment"`, `"payout"`); a question
    about no order, as for the balance, can be asked if its hook is implemented. `exponents` gives
    the digits of a currency where the provider departs from ISO 4217.
    """

    create: Clear[Mapping[str, Creating]] = msgspec.field(default_factory=dict)
    fetch: Clear[Mapping[str, StatusQuery]] = msgspec.field(default_factory=dict)
    exponents: Clear[Mapping[str, int]] = msgspec.field(default_factory=dict)
    schedule: Clear[Schedule] = Schedule()


DEFAULT_NAMESPACE = "default"

Namespace = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+\Z",
        description="a text of 1 to 255 ASCII characters, without blanks",
    ),
]


class AccountConfig(MaskedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Begin a driver's configuration: one table `[accounts.NAME]` of payhub.toml.

    A driver's own struct adds its fields. A `pathlib.Path` is taken relative to the file; a text
    may also be given as `{ env = "NAME" }` or `{ file = "path" }`. `max_per_second` keeps the
    account's calls, reads included, under the provider's rate limit.

    Within a `namespace` one order_id names one order of its kind, whichever accounts it is created
    with; two shops that number their orders each for itself have one each. A driver's own struct
    says by `identity` who the account is with the provider.
    """

    name: Clear[str]
    provider: Clear[str]
    namespace: Clear[Namespace] = DEFAULT_NAMESPACE
    max_per_second: Clear[Annotated[float, msgspec.Meta(gt=0, le=1000)] | None] = None

    @property
    def identity(self) -> str:
        """Return who the account is with its provider, whatever it is called here: its id there, and the host.

        It changes exactly if the account is another one, not with a name, a key or a password, and
        holds no secret. What was sent with one account is never asked about with another.
        """
        raise NotImplementedError


class Account(Protocol):
    """Be what a driver's `connect` returns: an account with its keys loaded, ready for flows."""

    @property
    def name(self) -> str:
        """Return the name that the application chose."""
        ...

    def services(self) -> tuple[Service, ...]:
        """Return the services that the configuration names, for `payhub doctor` to check."""
        ...


class Sandbox(Protocol):
    """Be a local simulation of the provider, for tutorials and tests."""

    url: str
    config: Path

    def __enter__(self) -> Self:
        """Start serving on this machine only."""
        ...

    def __exit__(self, *exc: object) -> None:
        """Stop serving."""
        ...

    def settle(self, kind: str, order_id: str, outcome: str = "paid", amount: str | None = None) -> None:
        """Set the outcome of an order, as the payer or the bank would."""
        ...

    def wait(self) -> None:
        """Serve until interrupted."""
        ...


class ProviderInfo(MaskedStruct, frozen=True, kw_only=True):
    """A provider as its driver introduces it: its name, its configuration, what it can do.

    `extras` has, by the kind of order, the struct that an order's `extra` takes. `connect` loads the
    keys, once, and raises `ConfigurationError` if they cannot be used. `receive` does it for an account
    that only verifies what is delivered, without the keys that sign; where there is none, `connect` does.
    `sandbox(directory, port)` makes a local simulation, if the driver ships one.
    """

    name: Clear[str]
    title: Clear[str]
    config: Clear[type[AccountConfig]]
    capabilities: Clear[Capabilities]
    connect: Clear[Callable[[Any], Account]]
    receive: Clear[Callable[[Any], Account] | None] = None
    api_version: Clear[str] = ""
    documentation: Clear[str] = ""
    extras: Clear[Mapping[str, type[msgspec.Struct]]] = msgspec.field(default_factory=dict)
    sandbox: Clear[Callable[[Path, int], Sandbox] | None] = None


@functools.lru_cache(maxsize=256)  # every call asks, and a driver has few URLs
def insecure(url: str) -> str | None:
    """Return why nothing may be sent to a URL, or `None`: https anywhere, http to this machine only."""
    return _insecure(url)


_LONGEST_LINK = 8192
_NOT_IN_LINKS = re.compile(r"""["'<>\\^`{|}]""")


def unfit_link(url: str) -> str | None:
    """Return why nobody may be sent to a URL that a provider has given, or `None`.

    It is one that a call could be sent to, without a user part, and has nothing in it that could end an HTML
    attribute or a header: an application puts it into its own pages.
    """
    if len(url) > _LONGEST_LINK or _NOT_IN_LINKS.search(url):
        return "not a URL"
    if problem := _insecure(url):
        return problem
    return "a user part is not allowed" if "@" in urlsplit(url).netloc else None


def _insecure(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "not a URL"
    if " " in url or not url.isprintable():  # urlsplit would leave a line end out
        return "not a URL"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "not an http or https URL"
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        return "plain http is allowed to this machine only; use https"
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def leads_here(url: str) -> bool:
    """Return whether a URL leads to this machine, as that of a sandbox does."""
    with contextlib.suppress(ValueError):
        return _is_loopback(urlsplit(url).hostname or "")
    return False
