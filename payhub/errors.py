"""What went wrong, and what the caller may conclude from it.

* `PayhubError`
    * `ConfigurationError`: fix the program
        * `UnknownAccount`
        * `UnknownProvider`
        * `BrokenPlugin`
        * `UnsupportedOperation`
    * `InvalidOrder`: refused here, before anything was sent
    * `OrderConflict`: this order_id already stands for a different order
    * `UnknownOrder`: the journal has no such order
    * `IllegalStep`: an operator may not do that to this order
    * `JournalFailed`: the journal cannot be read or written; nothing was sent
    * `NotSent`: nothing left this machine; safe to repeat, here or elsewhere
    * `Declined`: the provider refused for good; nothing moved
    * `NotFound`: (reads) the provider does not know it; proves nothing about money
    * `Unavailable`: (reads) no usable answer; ask again later
    * `BadNotification`: not authentic, or not readable
    * `TicketRefused`: a ticket is not made, for it would show what must not be shown

When `create_payment` or `create_payout` raises one of these, that call moved no money. It says nothing
of earlier calls; trying another account is safe all the same, because an order that one account may have
sent is given to no other. An unknown outcome is not an error: it is returned, with `status=UNKNOWN`.
"""

import shlex
from collections.abc import Mapping

from payhub.masking import mask_text
from payhub.models import Phase


class PayhubError(Exception):
    """The base class of payhub's errors. Raised by a create call, it means that this call moved no money."""


class ConfigurationError(PayhubError):
    """A mistake in the program or its configuration."""


class UnknownAccount(ConfigurationError):
    """An account name that the configuration does not have."""


class UnknownProvider(ConfigurationError):
    """A provider that no installed driver speaks to."""


class BrokenPlugin(ConfigurationError):
    """A driver that is installed but cannot be used; the cause is chained."""


class UnsupportedOperation(ConfigurationError):
    """An operation that the account's driver does not have."""


class InvalidOrder(PayhubError):
    """An order that was refused here, before anything was sent.

    `field` names the field, as `amount` or `payer.id`; the message never quotes its value.
    """

    def __init__(self, field: str, reason: str) -> None:
        """Name the field and say what is wrong with it."""
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        """Show the field and the reason."""
        return f"{self.field}: {self.reason}"


class OrderConflict(PayhubError):
    """An order_id that already stands for another order of its kind; nothing was sent.

    `account` has that order, and `field` is the first one that differs; no other value is quoted.
    """

    def __init__(self, account: str, order_id: str, field: str, kind: str) -> None:
        """Name the account, the order, the field and the kind."""
        super().__init__(account, order_id, field, kind)
        self.account = account
        self.order_id = order_id
        self.field = field
        self.kind = kind

    def __str__(self) -> str:
        """Show who has the other order, what differs, and how to look at it."""
        other = f"order_id {self.order_id!r} already stands for another {self.kind}: {self.field} differs"
        return f"account {self.account!r}: {other}; see: payhub trace {shlex.quote(self.order_id)}"


class UnknownOrder(PayhubError):
    """An order that the journal does not have: another id, kind or account was meant, or it was never created."""


class IllegalStep(PayhubError):
    """A decision that an operator may not take on an order as it is; its state is not changed."""


class JournalFailed(PayhubError):
    """A journal that could not be read or written; nothing was changed and nothing was sent. The cause is chained."""


class NotSent(PayhubError):
    """Nothing left this machine; the order may be repeated, here or elsewhere. `text` says what prevented it."""

    def __init__(self, text: str) -> None:
        """Keep what prevented it."""
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        """Say what prevented it, and that nothing was sent."""
        return f"{self.text} (not sent)"


class Declined(PayhubError):
    """The provider refused for good, and nothing moved.

    `code` is the provider's code or the HTTP status, `text` its words, `errors` its complaints
    by field; what they quote is masked (see `payhub.masking.mask_text`).
    """

    def __init__(self, text: str, *, code: str = "", errors: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Keep what the provider said."""
        self.text = mask_text(text)
        super().__init__(self.text)
        self.code = code
        self.errors = {mask_text(name): tuple(map(mask_text, texts)) for name, texts in (errors or {}).items()}

    def __str__(self) -> str:
        """Show the provider's text and its complaints by field."""
        fields = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in self.errors.items())
        return f"{self.text} ({fields})" if fields else self.text


class NotFound(PayhubError):
    """(Of a read) The provider does not know it; this proves nothing about money."""


class Unavailable(PayhubError):
    """(Of a read) No usable answer came; ask again later.

    `text` says what was wrong. `http_status` is that of an answer that could not be used; where no complete answer
    came, `phase` says how far the question got.
    """

    def __init__(self, text: str, *, http_status: int | None = None, phase: Phase | None = None) -> None:
        """Keep what was wrong."""
        super().__init__(text)
        self.text = text
        self.http_status = http_status
        self.phase = phase

    def __str__(self) -> str:
        """Say what was wrong, and with which answer or how far the question got."""
        answer = f"HTTP {self.http_status}: " if self.http_status is not None else ""
        return f"{answer}{self.text}{f' ({self.phase})' if self.phase else ''}"


class BadNotification(PayhubError):
    """A notification that is not authentic, or not readable."""


class TicketRefused(PayhubError):
    """A ticket that would show what must not be shown; kinds and places are named, no value is quoted."""
