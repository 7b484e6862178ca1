"""Render a ticket as Markdown, JSON or zip, and refuse it if it would show what must not be shown."""

import datetime as dt
import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from payhub.errors import TicketRefused
from payhub.masking.leaks import find_leaks
from payhub.ticket import values
from payhub.ticket.markdown import markdown

if TYPE_CHECKING:
    from payhub.ticket import Ticket

Format = Literal["md", "json", "zip"]
FORMATS: tuple[Format, ...] = ("md", "json", "zip")

_LISTED = 5
"""How many findings a refusal names."""


def rendered(ticket: "Ticket", form: Format) -> bytes:
    """Return a ticket's bytes, searched for what must not be shown.

    Raises:
        TicketRefused: something was found; its kind and place are named.
    """
    return _RENDERERS[form](ticket)


def _searched(content: bytes, name: str = "") -> bytes:
    if found := find_leaks(content):
        places = ", ".join(f"{finding}{f' of {name}' if name else ''}" for finding in found[:_LISTED])
        raise TicketRefused(f"the ticket would show what must not be shown: {places}")
    return content


def _as_markdown(ticket: "Ticket") -> bytes:
    return _searched(markdown(ticket).encode())


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _as_json(ticket: "Ticket") -> bytes:
    return _searched(_json(values.whole(ticket)))


def _as_zip(ticket: "Ticket") -> bytes:
    """Put the page, each exchange and each notification into a file of its own, and say their hashes."""
    mark = "-internal" if ticket.internal else ""
    members = {f"ticket{mark}.md": markdown(ticket).encode()}
    for told in values.exchanges(ticket):
        operation = re.sub("[^a-z_]", "", told["operation"])
        members[f"exchanges/{told['number']:04}-{operation}.json"] = _json(told)
    for told in values.notifications(ticket):
        members[f"notifications/{told['number']:04}.json"] = _json(told)
    if ticket.internal:
        members[f"history{mark}.json"] = _json(values.history(ticket))
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(members.items())}
    about = {**values.head(ticket), "manifest": values.plain(ticket.manifest), "sha256": sums}
    members["manifest.json"] = _json(about)
    return _zipped({name: _searched(content, name) for name, content in members.items()}, ticket.manifest.last_at)


def _zipped(members: Mapping[str, bytes], at: dt.datetime | None) -> bytes:
    """Store members uncompressed: the bytes depend on nothing else, and whoever searches the file sees all of it."""
    written = io.BytesIO()
    time = (at or _BEGINNING).astimezone(dt.UTC)
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(members.items()):
            info = zipfile.ZipInfo(name, (time.year, time.month, time.day, time.hour, time.minute, time.second))
            info.create_system, info.external_attr = _UNIX, 0o600 << 16
            archive.writestr(info, content)
    return written.getvalue()


_BEGINNING = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)  # of time, in a zip
_UNIX = 3

_RENDERERS: Mapping[Format, Callable[["Ticket"], bytes]] = {"md": _as_markdown, "json": _as_json, "zip": _as_zip}
