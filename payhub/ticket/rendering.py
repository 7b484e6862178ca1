"""A ticket as Markdown, JSON or zip; it is refused if it would show what must not be shown."""

import datetime as dt
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from typing import Literal

import msgspec

from payhub.errors import TicketRefused
from payhub.masking import printable_json
from payhub.masking.leaks import find_leaks
from payhub.models import encodable
from payhub.ticket import values
from payhub.ticket.contents import Contents
from payhub.ticket.markdown import markdown

Format = Literal["md", "json", "zip"]
FORMATS: tuple[Format, ...] = ("md", "json", "zip")

_LISTED = 5
"""How many findings a refusal names."""


def rendered(ticket: Contents, form: Format) -> bytes:
    """Return a ticket's bytes, searched for what must not be shown.

    Raises:
        TicketRefused: something was found; its kind and place are named.
    """
    match form:
        case "md":
            return _searched(markdown(ticket).encode())
        case "json":
            return _searched(_json(values.whole(ticket)))
        case "zip":
            members = {name: _searched(content, name) for name, content in _members(ticket).items()}
            return _zipped(members, ticket.manifest.last_at)


def _searched(content: bytes, name: str = "") -> bytes:
    if found := find_leaks(content):
        places = ", ".join(f"{finding}{f' of {name}' if name else ''}" for finding in found[:_LISTED])
        raise TicketRefused(f"the ticket would show what must not be shown: {places}")
    return content


def _json(value: object) -> bytes:
    written = msgspec.json.format(msgspec.json.encode(value, enc_hook=encodable), indent=2).decode()
    return printable_json(written).encode() + b"\n"


def _members(ticket: Contents) -> dict[str, bytes]:
    """Return the page, each exchange and each notification as a file of its own, and a manifest with their hashes."""
    mark = "-internal" if ticket.internal else ""
    members = {f"ticket{mark}.md": markdown(ticket).encode()}
    for exchange in values.exchanges(ticket):
        operation = re.sub("[^a-z_]", "", exchange["operation"])
        members[f"exchanges/{exchange['number']:04}-{operation}.json"] = _json(exchange)
    for notification in values.notifications(ticket):
        members[f"notifications/{notification['number']:04}.json"] = _json(notification)
    if ticket.internal:
        members[f"history{mark}.json"] = _json(values.history(ticket))
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(members.items())}
    manifest = {**values.head(ticket), "manifest": values.jsonable(ticket.manifest), "sha256": sums}
    return {**members, "manifest.json": _json(manifest)}


_BEGINNING = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)  # of time, in a zip
_UNIX = 3


def _zipped(members: Mapping[str, bytes], at: dt.datetime | None) -> bytes:
    """Store members uncompressed: the bytes depend on nothing else, and a search of the file sees all of it."""
    written = io.BytesIO()
    time = (at or _BEGINNING).astimezone(dt.UTC)
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(members.items()):
            info = zipfile.ZipInfo(name, (time.year, time.month, time.day, time.hour, time.minute, time.second))
            info.create_system, info.external_attr = _UNIX, 0o600 << 16
            archive.writestr(info, content)
    return written.getvalue()
