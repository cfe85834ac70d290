"""Rows of a state changelog: each begins with the source offset that it covers.

One row for each camera under its camera_id, and one for the partition itself, which says how far it was
applied. `trafficapp.engine.state` merges rows by that offset and need not know what is in them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

#: Key of the row that says how far a partition was applied; no camera_id may begin with NUL.
PARTITION_KEY_PREFIX = b"\x00partition-"

#: Header of a tombstone: the source offset that it covers. One without it was not written by us and says nothing.
FORGOTTEN_HEADER = "forgotten-at"

#: How many bytes the offset takes; what follows is the state.
OFFSET_BYTES = 8

_OFFSET = struct.Struct(">q")
_encode = msgspec.msgpack.Encoder().encode


class SourceLog(NamedTuple):
    """Which log a state or an offset is of.

    Attributes:
        id: Kafka's id of the topic, another one when it is made anew; empty when it is not told.
        partitions: how many the topic has; 0 when it is not told.
    """

    id: str = ""
    partitions: int = 0


#: A log of which nothing is told.
UNTOLD = SourceLog()


class NoStateRow(Exception):
    """A record of a changelog is no row of ours; the message says why."""


class OtherLog(Exception):
    """A state or an offset is of another log than the one that is there."""


class TopicMadeAnew(OtherLog):
    """The topic was deleted and made again."""


class PartitionsChanged(OtherLog):
    """The topic has another number of partitions, so keys lie in others."""


def continued(kept: SourceLog, log: SourceLog) -> SourceLog:
    """The log that is there, if what was kept is of it; what is not told agrees with everything.

    Raises:
        OtherLog: it is of another one.
    """
    if kept.id and log.id and kept.id != log.id:
        raise TopicMadeAnew(f"what is kept is of the topic with the id {kept.id}; the one that is there has {log.id}")
    if kept.partitions and log.partitions and kept.partitions != log.partitions:
        raise PartitionsChanged(
            f"what is kept was made when the topic had {kept.partitions} partitions; it has {log.partitions} now"
        )
    return SourceLog(log.id or kept.id, log.partitions or kept.partitions)


def partition_key(partition: int) -> bytes:
    """Key of the row that says how far a partition was applied."""
    return PARTITION_KEY_PREFIX + str(partition).encode()


def offset_of(row: bytes) -> int:
    """The source offset that a state row covers."""
    offset: int = _OFFSET.unpack_from(row)[0]
    return offset


def forgotten_row(offset: int) -> bytes:
    """The row of something that is forgotten as of an offset: nothing follows it. In Kafka it is a tombstone."""
    return _OFFSET.pack(offset)


def is_forgotten(row: bytes) -> bool:
    """Whether a row says that what its key names is forgotten."""
    return len(row) == OFFSET_BYTES


def as_record(key: bytes, row: bytes) -> tuple[tuple[bytes, bytes | None], tuple[tuple[str, bytes], ...]]:
    """A row as it stands in the changelog: key and value, and headers.

    What is forgotten is a tombstone, so that compaction removes its row, and says in a header what it covers.
    """
    if is_forgotten(row):
        return (key, None), ((FORGOTTEN_HEADER, row),)
    return (key, row), ()


def row_of(value: bytes | None, headers: Iterable[tuple[str, bytes | None]]) -> bytes | None:
    """The row that a record of the changelog holds, as `as_record` made it; None when it is a tombstone of nobody.

    Raises:
        NoStateRow: it holds none.
    """
    if value is not None:
        if len(value) <= OFFSET_BYTES:
            raise NoStateRow("it has no state")
        return value
    for name, row in headers:
        if name == FORGOTTEN_HEADER:
            if row is None or not is_forgotten(row):
                raise NoStateRow("it does not say as of when something is forgotten")
            return row
    return None


def state_row(offset: int, state: Any) -> bytes:
    """The row of a state that covers everything up to an offset."""
    return _OFFSET.pack(offset) + _encode(state)


def decoded_row(
    key: bytes, row: bytes, decode_own: Callable[[bytes], Any], decode_partition: Callable[[bytes], Any]
) -> Any:
    """What a state row says: of its partition, or of what its key names, then with the key.

    Raises:
        Exception: one of `models.records.MALFORMED`, it is none.
    """
    state = row[OFFSET_BYTES:]
    return decode_partition(state) if key.startswith(PARTITION_KEY_PREFIX) else (key.decode(), decode_own(state))
