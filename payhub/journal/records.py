"""What a journal keeps: orders, notifications, and what happened to them."""

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from payhub.errors import JournalFailed, UnknownOrder
from payhub.journal.reasons import Why, explain
from payhub.journal.states import STATUSES, Evidence, State
from payhub.masking import Clear, Link, MaskedStruct, mask_cards
from payhub.models import Exchange, Status
from payhub.money import Money


class Key(NamedTuple):
    """The name of an order, unique in a journal."""

    account: str
    kind: str
    order_id: str


class Facts(MaskedStruct, frozen=True, kw_only=True):
    """What the application asked for: enough to compare answers, nothing that must not be kept.

    `fingerprint` stands for the whole order, and `payer` for the payer's id; they are keyed, and
    the key is not in the journal, and so is `identity`, which stands for who the account is with its
    provider. `tail` has the last four characters of the number that is paid to.
    """

    account: Clear[str]
    provider: Clear[str]
    namespace: Clear[str] = "default"
    kind: Clear[str]
    order_id: Clear[str]
    amount: Clear[Money]
    method: Clear[str]
    fingerprint: str
    identity: str | None = None
    tail: Clear[str | None] = None
    payer: str | None = None

    @property
    def key(self) -> Key:
        """Return the order's name."""
        return Key(self.account, self.kind, self.order_id)


class Record(MaskedStruct, frozen=True, kw_only=True):
    """What a journal knows of an order now.

    `attempts` counts sends, `checks` counts questions since the last change. `lease_until` is when
    a sender that has not reported is given up, `due_at` when the provider is to be asked next,
    `sent_at` when the order was last taken for sending.
    `contradicted` tells that evidence came which was kept and not applied, `resolved` that a person said
    how the order ended, or confirmed it, and `overruled` that this was against what contradicted it last.
    `notified` tells that a notification waits for the provider to be asked, `quiet_until` until when a
    repeat of one is no reason to ask.
    """

    facts: Clear[Facts]
    state: Clear[State]
    provider_id: Clear[str | None] = None
    provider_status: Clear[str | None] = None
    paid: Clear[Money | None] = None
    credited: Clear[Money | None] = None
    commission: Clear[Money | None] = None
    partial: Clear[bool | None] = None
    why: Clear[Why | None] = None
    http_status: Clear[int | None] = None
    reason: Clear[str | None] = None
    mismatches: Clear[tuple[str, ...]] = ()
    redirect_url: Link[str | None] = None
    contradicted: Clear[bool] = False
    attempts: Clear[int] = 0
    checks: Clear[int] = 0
    sent_at: Clear[dt.datetime | None] = None
    lease_until: Clear[dt.datetime | None] = None
    due_at: Clear[dt.datetime | None] = None
    resolved: Clear[bool] = False
    overruled: Clear[bool] = False
    notified: Clear[bool] = False
    quiet_until: Clear[dt.datetime | None] = None
    created_at: Clear[dt.datetime]
    updated_at: Clear[dt.datetime]

    @property
    def status(self) -> Status:
        """Return the status by which an application knows the order."""
        statuses = STATUSES[self.state]
        return statuses.contradicted if self.contradicted else statuses.notified if self.notified else statuses.plain

    @property
    def in_doubt(self) -> bool:
        """Tell whether the provider seems to have, or to have paid, an order of which no money should have moved."""
        return self.status is not STATUSES[self.state].plain

    @property
    def explanation(self) -> str | None:
        """Return the whole reason why the order is in its state, in English."""
        return explain(self.why, self.reason, http_status=self.http_status, fields=self.mismatches)


class NotificationContent(MaskedStruct, frozen=True, kw_only=True):
    """What an authentic notification says; `fields` are the signed ones, masked as in a log.

    `identity` stands for who the account that verified it is with its provider.
    """

    account: Clear[str]
    provider: Clear[str]
    kind: Clear[str]
    order_id: Clear[str]
    provider_id: Clear[str]
    state: Clear[State]
    provider_status: Clear[str]
    requested: Clear[Money | None] = None
    paid: Clear[Money | None] = None
    commission: Clear[Money | None] = None
    partial: Clear[bool | None] = None
    fields: Clear[Mapping[str, Any]] = msgspec.field(default_factory=dict)
    digest: Clear[str]
    identity: str | None = None

    @property
    def key(self) -> Key:
        """Return the name of the order that it is about."""
        return Key(self.account, self.kind, self.order_id)


class Verdict(enum.StrEnum):
    """What the provider's own answer makes of a notification."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    OUTDATED = "outdated"
    CONTRADICTED = "contradicted"


class StoredNotification(MaskedStruct, frozen=True, kw_only=True):
    """A notification as a journal has it: how often it came, first and last, and its verdict."""

    id: Clear[int]
    content: Clear[NotificationContent]
    verdict: Clear[Verdict]
    times: Clear[int]
    at: Clear[dt.datetime]
    last_at: Clear[dt.datetime]

    @property
    def entry(self) -> "Entry":
        """Return it as a part of its order's story."""
        return Entry(at=self.at, what="notification", key=self.content.key, notification=self, times=self.times)


class OrderFilter(MaskedStruct, frozen=True, kw_only=True):
    """Which orders are looked for: those that fit everything that is given; `day` is in UTC."""

    provider_id: Clear[str | None] = None
    tail: Clear[str | None] = None
    amount: Clear[Money | None] = None
    day: Clear[dt.date | None] = None

    def fits(self, record: Record) -> bool:
        """Tell whether an order is one of those that are looked for."""
        pairs = (
            (self.provider_id, record.provider_id),
            (self.tail, record.facts.tail),
            (self.amount, record.facts.amount),
            (self.day, record.created_at.date()),
        )
        return all(wanted in (None, known) for wanted, known in pairs)


class Erasure(NamedTuple):
    """How many orders of a payer keep nothing but the money facts now, and how many are still open."""

    done: int
    open: int


class Health(MaskedStruct, frozen=True, kw_only=True):
    """How the orders of a journal are: whether somebody asks about them, and what waits for a person.

    `overdue` counts those about which the provider should have been asked some time ago; `oldest` names the
    one that was due first, at `oldest_due_at`. `unknown`, `needs_attention` and `contradicted` count what is so;
    `waiting` are those of them that have been so for some time, which is too long for a sweep to find out
    by itself. `swept_at` is when a sweep last came to its end, give or take some seconds.
    """

    at: Clear[dt.datetime]
    overdue: Clear[int] = 0
    oldest: Clear[Key | None] = None
    oldest_due_at: Clear[dt.datetime | None] = None
    unknown: Clear[int] = 0
    needs_attention: Clear[int] = 0
    contradicted: Clear[int] = 0
    waiting: Clear[int] = 0
    swept_at: Clear[dt.datetime | None] = None

    @property
    def healthy(self) -> bool:
        """Tell whether nobody has to do anything: nothing is overdue, and nothing waits for long."""
        return not self.overdue and not self.waiting


class Entry(MaskedStruct, frozen=True, kw_only=True):
    """One thing that happened to an order: evidence, an exchange, a notification, or an operator's act.

    The same evidence again only counts: `times`, and `last_at`, when it came last.
    """

    at: Clear[dt.datetime]
    what: Clear[Literal["evidence", "exchange", "notification", "act"]]
    key: Clear[Key | None]
    evidence: Clear[Evidence | None] = None
    contradicts: Clear[bool] = False
    times: Clear[int] = 1
    last_at: Clear[dt.datetime | None] = None
    exchange: Clear[Exchange | None] = None
    notification: Clear[StoredNotification | None] = None
    by: Clear[str | None] = None


class Damaged(JournalFailed):
    """A row that cannot be read: somebody has changed it by hand, or the file is damaged."""


def unknown_order(key: Key) -> UnknownOrder:
    """Return the error for an order that the journal does not know."""
    return UnknownOrder(f"the journal of account {key.account!r} has no {key.kind} {mask_cards(key.order_id)!r}")
