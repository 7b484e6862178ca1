"""What is in a ticket; no I/O."""

import datetime as dt

from payhub.journal import Entry, State, StoredNotification
from payhub.masking import Clear, MaskedStruct
from payhub.models import Exchange
from payhub.money import Money
from payhub.ticket.situations import Situation
from payhub.ticket.texts import Lang

VERSION = 1
"""The version of a ticket's format; it grows when a program that reads tickets has to change."""


class Manifest(MaskedStruct, frozen=True, kw_only=True):
    """How a ticket was made, and what is in it.

    `software` names the versions that made the requests, oldest first; `sent` counts how often sending the order
    was begun. `masks` explains each mask that the ticket shows, by a sample.
    """

    version: Clear[int]
    internal: Clear[bool]
    made_at: Clear[dt.datetime]
    made_with: Clear[dict[str, str]]
    software: Clear[tuple[str, ...]]
    method: Clear[str]
    amount: Clear[Money]
    paid: Clear[Money | None]
    credited: Clear[Money | None]
    commission: Clear[Money | None]
    provider_status: Clear[str | None]
    sent: Clear[int]
    created_at: Clear[dt.datetime]
    changed_at: Clear[dt.datetime]
    exchanges: Clear[int]
    notifications: Clear[int]
    first_at: Clear[dt.datetime | None]
    last_at: Clear[dt.datetime | None]
    statement: Clear[str]
    masks: Clear[dict[str, str]]


class Contents(MaskedStruct, frozen=True, kw_only=True):
    """All that a ticket says, as values.

    `text` is in Markdown, in `lang`. `history` has what happened on our own side, which only an
    `internal` ticket has: evidence, operators' acts, what the application bound to its log.
    """

    account: Clear[str]
    provider: Clear[str]
    kind: Clear[str]
    order_id: Clear[str]
    provider_id: Clear[str | None]
    situation: Clear[Situation]
    state: Clear[State]
    lang: Clear[Lang]
    text: Clear[str]
    exchanges: Clear[tuple[Exchange, ...]]
    notifications: Clear[tuple[StoredNotification, ...]]
    manifest: Clear[Manifest]
    internal: Clear[bool] = False
    history: Clear[tuple[Entry, ...]] = ()
