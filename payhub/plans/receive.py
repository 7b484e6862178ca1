"""Receive notifications: kept before they are answered, and a reason to ask, never to believe."""

from typing import Any

import structlog

from payhub.journal import Notice, Noticed
from payhub.journal.states import LONGEST_ID, state_named
from payhub.masking import mask_cards, mask_json
from payhub.models import Notification, Received
from payhub.plans.create import Terms, keyed
from payhub.plans.plan import Do, Recorded

_log = structlog.get_logger("payhub")


def receiving(notification: Notification, terms: Terms, key: bytes, *, ask: bool) -> Recorded[Received]:
    """Keep an authentic notification, and say whether its order is to be asked about now.

    Whoever will not `ask` leaves the order due at once, for a sweep.
    Its digest is kept keyed: with a bare one, what is masked could be found by trying.

    Raises:
        JournalFailed: nothing is kept; let the provider send it again.
    """
    kept = _notice(notification, keyed(key, notification.digest.encode()))
    lease = terms.lease if ask else 0.0
    noticed: Noticed = yield Do(lambda journal: journal.notice(kept, terms.window, lease))
    received = Received(
        notification=notification, times=noticed.times, known=noticed.record is not None, ask=ask and noticed.ask
    )
    _log.info(
        "payhub.notification",
        account=kept.account,
        provider=kept.provider,
        kind=kept.kind,
        order_id=mask_cards(kept.order_id),
        provider_id=mask_cards(kept.provider_id),
        provider_status=mask_cards(kept.provider_status),
        times=received.times,
        known=received.known,
        ask=received.ask,
    )
    return received


def _notice(notification: Notification, digest: str) -> Notice:
    fields: Any = mask_json(dict(notification.fields), notification.shape)
    return Notice(
        account=notification.account,
        provider=notification.provider,
        kind=notification.kind,
        order_id=notification.order_id.replace("\0", "\ufffd")[:LONGEST_ID],  # no order of ours has a longer one
        provider_id=notification.provider_id,
        state=state_named(notification.status),
        provider_status=notification.provider_status,
        requested=notification.requested,
        paid=notification.paid,
        commission=notification.commission,
        fields=fields,
        digest=digest,
    )
