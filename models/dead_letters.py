"""A message that was refused, with the reason: topic ``traffic.dead-letters``."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

import msgspec
from msgspec import Struct

from models.cameras.detections import MAX_MESSAGE_BYTES, Rejected
from models.timestamps import rfc3339

#: A frame may have a thousand faults; the message itself is in the dead letter as it came.
_DETAIL_CHARS = 1000
_DETAILS = 20

#: A value of up to this size is kept whole. Compressed batches may bring larger ones; a letter must never be larger
#: than what a topic takes.
WHOLE_VALUE_BYTES = MAX_MESSAGE_BYTES
#: What is kept of a larger value, and of a key.
BEGINNING_BYTES = 64 << 10
_KEY_BYTES = 1 << 10


class DeadLetter(Struct, frozen=True, kw_only=True):
    """What was refused, where it stands and why. A message has one, whatever number of its parts is refused.

    Attributes:
        topic, partition, offset: where the message stands in Kafka; together they identify it.
        timestamp: the record's own time, RFC 3339 UTC.
        reason: a stable word: ``not_json``, ``empty``, ``missing_field``, ``invalid_field``,
            ``invalid_timestamp``, ``unknown_class``, ``impossible_speed``, ``key_mismatch``,
            ``future``, ``late``, ``too_large``, ``camera_full``, ``too_many_cameras``, ``unreadable_record``,
            ``failed``, and of roads ``swapped_coordinates``, ``unknown_road`` or ``too_many_roads``. Of several the
            first one.
        detail: what exactly is wrong, for a person.
        events: how many detections were refused; a message that cannot be read, or of a road, counts as one.
        key_base64: the message's raw key, its first KiB if it is longer.
        value_base64: the message's raw value, its first 64 KiB if it is longer than 1 MiB.
        reasons: when there are several, how many detections were refused for each.
        key_bytes, value_bytes: how long key and value are; None where there is none.
        value_sha256: SHA-256 of the whole value, in hexadecimal digits.
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
    reasons: dict[str, int] | None = None
    key_bytes: int | None = None
    value_bytes: int | None = None
    value_sha256: str | None = None

    @property
    def value(self) -> bytes | None:
        """The refused message's value, or its beginning; see `is_whole`."""
        return None if self.value_base64 is None else base64.b64decode(self.value_base64)

    @property
    def key(self) -> bytes | None:
        """The refused message's key, or its beginning."""
        return None if self.key_base64 is None else base64.b64decode(self.key_base64)

    @property
    def is_whole(self) -> bool:
        """Whether the value is here as it came; letters of before lengths were told have it whole."""
        return self.value_bytes is None or self.value_bytes <= WHOLE_VALUE_BYTES


class RefusedRecord(Protocol):
    """What is read of the Kafka record of a refused message; ``timestamp`` is milliseconds since the epoch."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def dead_letter_of(topic: str, partition: int, record: RefusedRecord, error: Rejected, *more: Rejected) -> DeadLetter:
    """The dead letter of a record that was refused, or parts of which were."""
    refused = [*error.parts, *(part for one in more for part in one.parts)]
    reasons: dict[str, int] = {}
    for part in refused:
        reasons[part.reason] = reasons.get(part.reason, 0) + part.events
    key, value = record.key, record.value
    return DeadLetter(
        topic=topic,
        partition=partition,
        offset=record.offset,
        timestamp=rfc3339(record.timestamp * 1000),
        reason=refused[0].reason,
        detail=_detail(refused),
        events=sum(reasons.values()),
        key_base64=None if key is None else base64.b64encode(key[:_KEY_BYTES]).decode(),
        value_base64=None if value is None else base64.b64encode(_kept(value)).decode(),
        reasons=reasons if len(reasons) > 1 else None,
        key_bytes=None if key is None else len(key),
        value_bytes=None if value is None else len(value),
        value_sha256=None if value is None else hashlib.sha256(value).hexdigest(),
    )


def _kept(value: bytes) -> bytes:
    return value if len(value) <= WHOLE_VALUE_BYTES else value[:BEGINNING_BYTES]


def _detail(refused: Sequence[Rejected]) -> str:
    details = [part.detail for part in islice(refused, _DETAILS)]
    if len(refused) > _DETAILS:
        details.append(f"and {len(refused) - _DETAILS:,} more")
    return "; ".join(details)[:_DETAIL_CHARS]


encode_dead_letter = msgspec.json.Encoder().encode
decode_dead_letter = msgspec.json.Decoder(DeadLetter).decode
