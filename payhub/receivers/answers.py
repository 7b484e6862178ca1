"""What a sender is answered, and whether to ask the provider then: the same for both receivers.

Forgers learn nothing: an account that does not exist, one that takes no notifications and a
signature that is wrong are answered alike.
"""

import contextlib
import threading
import traceback
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from payhub.errors import BadNotification, PayhubError, UnknownAccount, UnsupportedOperation
from payhub.exchanges.events import Event, log
from payhub.masking import mask_cards
from payhub.models import LONGEST_DELIVERY, Notification, Received

METHODS = ("GET", "POST")

_NOT_ALLOWED = 405
_DIGITS = 19  # of a length; Python would take long to read much more


class Answer(NamedTuple):
    """What a sender is answered; `unread` says that the request's body was not read to its end."""

    status: int
    text: str
    unread: bool = False

    @property
    def body(self) -> bytes:
        """Return the body."""
        return self.text.encode("ascii")

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers."""
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(self.body))}
        return headers | ({"Allow": ", ".join(METHODS)} if self.status == _NOT_ALLOWED else {})


TAKEN = Answer(200, "OK")
REFUSED = Answer(400, "not a notification that is accepted here")
NOT_ALLOWED = Answer(_NOT_ALLOWED, "GET or POST", unread=True)
TOO_SLOW = Answer(408, "the body did not come in time", unread=True)
TOO_LARGE = Answer(413, "the body is too large", unread=True)
TOO_LONG = Answer(414, "the query is too long", unread=True)
AGAIN = Answer(503, "cannot be accepted now, send it again")


class Refusal(Exception):
    """A request that is refused before anything looks at what it says."""

    def __init__(self, answer: Answer) -> None:
        """Keep what is answered."""
        super().__init__(answer.text)
        self.answer = answer


def account_at(path: str) -> str:
    """Return the account that an address names; a slash too many, before or behind it, names no other one."""
    return path.strip("/")


def check_head(method: str, query: bytes, length: str | None) -> None:
    """Refuse by the head what need not be read; `length` is what it announces of the body.

    Raises:
        Refusal: not a method of notifications, or too large.
    """
    if method not in METHODS:
        raise Refusal(NOT_ALLOWED)
    if len(query) > LONGEST_DELIVERY:
        raise Refusal(TOO_LONG)
    if announced_length(length) > LONGEST_DELIVERY:
        raise Refusal(TOO_LARGE)


def announced_length(length: str | None) -> int:
    """Read how many bytes a body is to have; what is not a number is too many."""
    text = length or "0"
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _DIGITS else LONGEST_DELIVERY + 1


def answer_failure(account: str, known: Collection[str], cause: Exception) -> Answer:
    """Log why no notification was kept, and return what the sender is answered.

    A name that is not configured is the sender's own words, so it is not logged. That there is none is a warning all
    the same: the provider may have been given a wrong address, and then every notification is lost.
    """
    name = account if account in known else None
    kind = type(cause).__name__
    match cause:
        case Refusal(answer=answer):
            log(Event.DELIVERY_REFUSED, account=name, status=answer.status)
            return answer
        case BadNotification() | UnknownAccount() | UnsupportedOperation():
            log(Event.NOTIFICATION_REFUSED, account=name, status=REFUSED.status, error=kind)
            return REFUSED
    log(Event.NOTIFICATION_FAILED, account=name, status=AGAIN.status, error=kind, reason=_reason(cause))
    return AGAIN


def _reason(cause: Exception) -> str:
    """Return payhub's own words, which quote no secret; of any other error the place, for its words may."""
    if isinstance(cause, PayhubError):
        return mask_cards(str(cause))
    frame = traceback.extract_tb(cause.__traceback__)[-1]
    return f"in {frame.name}, {frame.filename}:{frame.lineno}"


class Questions:
    """The questions that notifications give reason to ask: so many at once, and the others are left to a sweep."""

    def __init__(self, most: int) -> None:
        """Begin with nothing asked."""
        self._room = threading.BoundedSemaphore(most)

    @contextlib.contextmanager
    def about(self, received: Received | None) -> Iterator[Notification | None]:
        """Give the notification to ask about now, if there is one; a failure is logged, for a sweep asks again."""
        if received is None or not received.ask or not self._room.acquire(blocking=False):
            yield None
            return
        notification = received.notification
        try:
            yield notification
        except Exception as cause:  # noqa: BLE001 - it is kept and answered, and its order is due
            account, kind, error = notification.account, notification.kind, type(cause).__name__
            log(Event.QUESTION_FAILED, account=account, kind=kind, error=error, reason=_reason(cause))
        finally:
            self._room.release()
