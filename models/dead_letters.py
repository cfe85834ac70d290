"""A message that was refused, with the reason: topic ``traffic.dead-letters``."""

from __future__ import annotations

import base64
from typing import Protocol

import msgspec
from msgspec import Struct

from models.detections import Rejected
from models.timestamps import rfc3339

#: A frame may have a thousand faults; the message itself is in the dead letter as it came.
_DETAIL_CHARS = 1000


class DeadLetter(Struct, frozen=True, kw_only=True):
    """What was refused, where it stands and why.

    Attributes:
        topic, partition, offset: where the message stands in Kafka; together they identify it.
        timestamp: the record's own time, RFC 3339 UTC.
        reason: a stable word: ``not_json``, ``empty``, ``missing_field``, ``invalid_field``,
            ``invalid_timestamp``, ``unknown_class``, ``impossible_speed``, ``key_mismatch``,
            ``future``, ``late``, ``window_full``, and of roads ``swapped_coordinates``, ``unknown_road`` or
            ``too_many_roads``.
        detail: what exactly is wrong, for a person.
        events: how many detections were refused; a message that cannot be read, or of a road, counts as one.
        key_base64, value_base64: the message's raw bytes.
    """

    topic: str
    partition: int
    offset: int
    timestamp: str
    reason: str
    detail: str
    events: int = 1
    key_base64: str | None = None
    value_base64: str | None = None

    @property
    def value(self) -> bytes | None:
        """The refused message's value, as it came."""
        return None if self.value_base64 is None else base64.b64decode(self.value_base64)

    @property
    def key(self) -> bytes | None:
        """The refused message's key, as it came."""
        return None if self.key_base64 is None else base64.b64decode(self.key_base64)


class RefusedRecord(Protocol):
    """What is read of the Kafka record of a refused message; ``timestamp`` is milliseconds since the epoch."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def dead_letter_of(topic: str, partition: int, record: RefusedRecord, error: Rejected) -> DeadLetter:
    """The dead letter of a record that was refused."""
    return DeadLetter(
        topic=topic,
        partition=partition,
        offset=record.offset,
        timestamp=rfc3339(record.timestamp * 1000),
        reason=error.reason,
        detail=error.detail[:_DETAIL_CHARS],
        events=error.events,
        key_base64=None if record.key is None else base64.b64encode(record.key).decode(),
        value_base64=None if record.value is None else base64.b64encode(record.value).decode(),
    )


encode_dead_letter = msgspec.json.Encoder().encode
decode_dead_letter = msgspec.json.Decoder(DeadLetter).decode
