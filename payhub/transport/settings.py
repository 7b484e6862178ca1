"""The time that a call may take: `[transport]` of the configuration."""

from typing import Annotated

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
"""Seconds: more than zero, an hour at most."""


class Transport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of every call, in seconds: `deadline` is total, from name resolution to the last byte."""

    deadline: Seconds = 30.0
    connect_timeout: Seconds = 5.0
    read_timeout: Seconds = 30.0
