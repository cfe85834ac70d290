"""Body of ``/api/dead-letters``: refused messages as people read them."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from models.dead_letters import DeadLetter

#: Bytes of a message that are shown.
_SHOWN_BYTES = 4 << 10


class RefusedMessage(Struct, frozen=True, kw_only=True):
    """A refused message and why.

    Attributes:
        topic, partition, offset: where it stands in Kafka.
        timestamp: of its record, RFC 3339 UTC.
        reason: a stable word; `models.dead_letters.DeadLetter` has all of them.
        detail: what exactly is wrong.
        events: how many detections were refused with it.
        key: of the record, as text; bytes that are none are shown as U+FFFD.
        value: likewise, its beginning.
        value_bytes: how long it is; null where there is none.
        is_whole: whether all of it is shown.
    """

    topic: str
    partition: int
    offset: int
    timestamp: str
    reason: str
    detail: str
    events: int
    key: str | None
    value: str | None
    value_bytes: int | None
    is_whole: bool

    @classmethod
    def of(cls, letter: DeadLetter) -> RefusedMessage:
        """A dead letter as it is shown."""
        value = letter.value
        return cls(
            topic=letter.topic,
            partition=letter.partition,
            offset=letter.offset,
            timestamp=letter.timestamp,
            reason=letter.reason,
            detail=letter.detail,
            events=letter.events,
            key=None if letter.key is None else letter.key.decode("utf-8", "replace"),
            value=None if value is None else value[:_SHOWN_BYTES].decode("utf-8", "replace"),
            value_bytes=letter.value_bytes if letter.value_bytes is not None or value is None else len(value),
            is_whole=letter.is_whole and (value is None or len(value) <= _SHOWN_BYTES),
        )


encode_refused = msgspec.json.Encoder().encode
