"""What a sender is answered, and whether to ask the provider then: the same for both receivers.

Forgers learn nothing: an account that does not exist, one that takes no notifications and a
signature that is wrong are answered alike.
"""

import contextlib
import threading
import time
import traceback
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from payhub.errors import BadNotification, PayhubError, UnknownAccount, UnsupportedOperation
from payhub.exchanges.events import Event, log
from payhub.masking import mask_cards
from payhub.models import LONGEST_DELIVERY, Notification, Received

METHODS = ("GET", "POST")

MOST_HEADERS = 100
"""The header lines that a request may have."""

LONGEST_HEADERS = 16 * 1024
"""The bytes that all names and values of a request's headers may have."""

LOG_PAUSE = 60.0
"""Seconds between two lines of the log about the same."""

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
BROKEN = Answer(400, REFUSED.text, unread=True)
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


def check_head(method: str, query: bytes, headers: Mapping[str, str]) -> None:
    """Refuse by the head what need not be read.

    Raises:
        Refusal: not a method of notifications, too large, or of two lengths: what is the next request then, two
            servers in a row may see differently (RFC 9112, 6.3).
    """
    if method not in METHODS:
        raise Refusal(NOT_ALLOWED)
    if len(query) > LONGEST_DELIVERY:
        raise Refusal(TOO_LONG)
    length = headers.get("content-length")
    if length and "transfer-encoding" in headers:
        raise Refusal(BROKEN)
    if announced_length(length) > LONGEST_DELIVERY:
        raise Refusal(TOO_LARGE)


def read_headers(lines: Collection[tuple[str, str]]) -> dict[str, str]:
    """Return headers by their names in lower case; one that comes several times has all its values, with commas.

    Raises:
        Refusal: too many, or too long.
    """
    if len(lines) > MOST_HEADERS or sum(len(name) + len(value) for name, value in lines) > LONGEST_HEADERS:
        raise Refusal(BROKEN)
    headers: dict[str, str] = {}
    for name, value in lines:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def announced_length(length: str | None) -> int:
    """Read how many bytes a body is to have; what is not a number is too many."""
    text = length or "0"
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _DIGITS else LONGEST_DELIVERY + 1


class _Line:
    """A line of the log that is written once in a pause, and stands for all of its kind since the last one."""

    def __init__(self) -> None:
        self.due = 0.0
        self.times = 0
        self.fields: Mapping[str, object] = {}

    def take(self, now: float) -> Mapping[str, object]:
        """Return what to write; the count begins anew."""
        taken = {**self.fields, "times": self.times}
        self.due, self.times = now + LOG_PAUSE, 0
        return taken


class SparingLog:
    """A log of what strangers can cause, which no flood of it fills: one line a minute, with a count."""

    def __init__(self) -> None:
        """Begin with nothing written."""
        self._lock = threading.Lock()
        self._lines: dict[tuple[Event, object, object, object], _Line] = {}

    def write(self, event: Event, **fields: object) -> None:
        """Write at once what is new; what comes again is counted, and written when the pause is over.

        The same is what has the same event, account, status and error; `reason` is the last one's.
        """
        same = event, fields.get("account"), fields.get("status"), fields.get("error")
        now = time.monotonic()
        with self._lock:
            line = self._lines.setdefault(same, _Line())
            line.times, line.fields = line.times + 1, fields
            due = [(key, each.take(now)) for key, each in self._lines.items() if each.times and each.due <= now]
        for (found, *_), taken in due:
            log(found, None, **taken)


class Refusals:
    """What senders are answered whose deliveries are not kept, and what the log says of it."""

    def __init__(self, known: Collection[str]) -> None:
        """Take the names of the accounts that are configured."""
        self._known = known
        self._log = SparingLog()

    def answer(self, account: str, cause: Exception) -> Answer:
        """Log why no notification was kept, and return what the sender is answered.

        A name that is not configured is the sender's own words, so it is not logged. That there is none is a warning
        all the same: the provider may have been given a wrong address, and then every notification is lost.
        """
        name = account if account in self._known else None
        kind = type(cause).__name__
        match cause:
            case Refusal(answer=answer):
                self._log.write(Event.DELIVERY_REFUSED, account=name, status=answer.status)
                return answer
            case BadNotification() | UnknownAccount() | UnsupportedOperation():
                self._log.write(Event.NOTIFICATION_REFUSED, account=name, status=REFUSED.status, error=kind)
                return REFUSED
        reason = _reason(cause)
        self._log.write(Event.NOTIFICATION_FAILED, account=name, status=AGAIN.status, error=kind, reason=reason)
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
        self.most = most
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
