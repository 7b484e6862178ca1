"""Receive notifications: kept before they are answered, and a reason to ask, never to believe."""

from typing import Any

import msgspec

from payhub.exchanges.events import Event, log
from payhub.journal import Intake, Key, NotificationContent, Record
from payhub.journal.states import LONGEST_ID, state_for
from payhub.masking import mask_cards, mask_json
from payhub.models import Notification, Received
from payhub.operations import KINDS
from payhub.plans.identity import keyed
from payhub.plans.plan import Account, Act, Steps
from payhub.plans.settle import find

_LONGEST_KIND = 32


def receive(account: Account, notification: Notification, *, ask: bool) -> Steps[Received]:
    """Keep an authentic notification, and say whether its order is to be asked about now.

    A kind that there is not is the provider's own word: such a notification is about the order with its id, of
    whichever kind. Without `ask` the order is left due at once, for a sweep. The digest is kept keyed: with a bare
    one, what is masked could be found by trying.

    Raises:
        JournalFailed: nothing is kept; let the provider send it again.
    """
    if notification.kind not in KINDS:
        found: dict[str, Record] = {}
        for word in KINDS:
            key = Key(account.name, word, notification.order_id)
            record = yield from find(key)
            found |= {word: record} if record else {}
        theirs = notification.provider_id
        kind = min(found, key=lambda word: found[word].provider_id != theirs, default=notification.kind)
        notification = msgspec.structs.replace(notification, kind=kind)
    kept = _notice(notification, keyed(account.place.key, notification.digest.encode()), account.place.identity)
    lease = account.timing.lease if ask else 0.0
    intake: Intake = yield Act(lambda journal: journal.keep_notification(kept, account.timing.window, lease))
    received = Received(
        notification=notification, times=intake.times, known=intake.record is not None, ask=ask and intake.ask
    )
    log(
        Event.NOTIFICATION,
        kept.key,
        provider=kept.provider,
        provider_id=mask_cards(kept.provider_id),
        provider_status=mask_cards(kept.provider_status),
        times=received.times,
        known=received.known,
        ask=received.ask,
    )
    return received


def _notice(notification: Notification, digest: str, identity: str | None) -> NotificationContent:
    fields: Any = mask_json(dict(notification.fields), notification.shape)
    return NotificationContent(
        account=notification.account,
        provider=notification.provider,
        kind=notification.kind[:_LONGEST_KIND],
        order_id=notification.order_id.replace("\0", "\ufffd")[:LONGEST_ID],  # no order of ours has a longer one
        provider_id=notification.provider_id,
        state=state_for(notification.status),
        provider_status=notification.provider_status,
        requested=notification.requested,
        paid=notification.paid,
        commission=notification.commission,
        partial=notification.partial,
        fields=fields,
        digest=digest,
        identity=identity,
    )
