"""Records of Kafka that did not come out of a batch as they should: they have a place in the log, but say nothing.

Whatever reads records can meet one, since a broker takes records that no client can unpack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

#: Name of the only header of a record that cannot be read; its value is the reason. Compared by identity (``is``): what
#: came out of the log may have a header of the same letters, but never this object.
UNREADABLE: Final = "trafficapp-unreadable"

#: The word for it in dead letters and counters.
UNREADABLE_REASON: Final = "unreadable_record"

#: What reading a value raises that is not what it should be: by its form, its texts, its depth, or its times.
MALFORMED = (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError)


class WithHeaders(Protocol):
    """What is asked of a record here."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Names and values, in order."""
        ...


@dataclass(slots=True)
class PlainRecord:
    """A record that was unpacked here and not by the client library, with the names that the library uses.

    Attributes:
        timestamp: milliseconds since the epoch; -1 where its producer gave none.
        timestamp_type: 1 when it is the broker's time, else 0.
    """

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None = None
    value: bytes | None = None
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)
    checksum: None = None


def unreadable(
    offset: int,
    timestamp: int,
    timestamp_type: int,
    reason: str,
    key: bytes | None = None,
    value: bytes | None = None,
) -> PlainRecord:
    """A record that cannot be read, with what could be told of it."""
    return PlainRecord(offset, timestamp, timestamp_type, key, value, [(UNREADABLE, reason.encode())])


def why_unreadable(record: WithHeaders) -> str | None:
    """Why a record cannot be read; None for one that can."""
    headers = record.headers
    if not headers or headers[0][0] is not UNREADABLE:
        return None
    return (headers[0][1] or b"").decode()
