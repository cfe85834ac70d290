"""A message that was refused, with the reason: topic ``traffic.dead-letters``."""

from __future__ import annotations

import base64

import msgspec
from msgspec import Struct


class DeadLetter(Struct, frozen=True, kw_only=True):
    """What was refused, where it stands and why.

    Attributes:
        topic, partition, offset: where the message stands in Kafka; together they identify it.
        timestamp: the record's own time, RFC 3339 UTC.
        reason: a stable word: ``not_json``, ``empty``, ``missing_field``, ``invalid_field``,
            ``invalid_timestamp``, ``unknown_class``, ``impossible_speed``, ``key_mismatch``,
            ``future``, ``late`` or ``window_full``.
        detail: what exactly is wrong, for a person.
        events: how many detections were refused; a message that cannot be read counts as one.
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


encode_dead_letter = msgspec.json.Encoder().encode
decode_dead_letter = msgspec.json.Decoder(DeadLetter).decode
