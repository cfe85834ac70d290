"""Faults as real feeds have them: messages that are broken on purpose, each in a known way."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

import orjson

from trafficapp.sources.outgoing import Outgoing

_NEEDED = ("camera_id", "timestamp", "frame_id", "vehicle_id", "class", "confidence", "bbox")

#: Values that no camera can mean, and the reason with which each is refused.
_IMPOSSIBLE: tuple[tuple[str, Any, str], ...] = (
    ("speed_estimate", 1234.5, "impossible_speed"),
    ("speed_estimate", -3.0, "invalid_field"),
    ("confidence", 1.7, "invalid_field"),
    ("bbox", {"x": 10, "y": 10, "w": -4, "h": 8}, "invalid_field"),
    ("frame_id", "twelve", "invalid_field"),
    ("timestamp", "yesterday", "invalid_timestamp"),
)


class Fault(StrEnum):
    """A way to break a message."""

    MISSING_FIELD = "missing field"
    NOT_JSON = "not JSON"
    EMPTY = "empty"
    UNKNOWN_CLASS = "unknown class"
    IMPOSSIBLE_VALUE = "impossible value"


class Spoiler:
    """Breaks a share of messages, chosen by a seed.

    Args:
        rate: share of the messages that are broken, 0..1.
        seed: the same seed breaks the same messages in the same way.

    Raises:
        ValueError: the rate is no share.
    """

    def __init__(self, rate: float, seed: int | None = None) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(f"a malformed rate lies between 0 and 1, not at {rate}")
        self.rate = rate
        self._random = random.Random(seed)

    def spoil_some(self, messages: Iterable[Outgoing]) -> Iterator[Outgoing]:
        """Pass messages on, a share of them broken."""
        chance, rate = self._random.random, self.rate
        for message in messages:
            yield self.spoil(message)[0] if chance() < rate else message

    def spoil(self, message: Outgoing) -> tuple[Outgoing, str]:
        """Break one message.

        Returns:
            the message, of which nothing can be accepted any more, and the reason with which it is refused.
        """
        value, reason, detections = self._spoiled(message.value or b"{}")
        return message._replace(value=value, detections=detections), reason

    def _spoiled(self, value: bytes) -> tuple[bytes | None, str, int]:
        """Return the broken value, the reason, and how many detections are refused with it."""
        fault = self._random.choice(list(Fault))
        if fault is Fault.EMPTY:
            return self._random.choice((b"", None)), "empty", 1
        if fault is Fault.NOT_JSON:
            # at least the closing brace goes
            return value[: self._random.randrange(1, max(len(value), 2))], "not_json", 1
        try:
            fields = orjson.loads(value)
        except orjson.JSONDecodeError:
            return value, "not_json", 1
        if not isinstance(fields, dict):
            return value, "invalid_field", 1
        if fault is Fault.MISSING_FIELD:
            name = self._random.choice([name for name in _NEEDED if name in fields])
            del fields[name]
            return orjson.dumps(fields), "missing_field", 1
        if fault is Fault.UNKNOWN_CLASS:
            name, broken, reason = "class", self._random.choice(("hovercraft", "", "CAR?")), "unknown_class"
        else:
            name, broken, reason = self._random.choice(_IMPOSSIBLE)
        parts = self._parts_with(fields, name)
        for part in parts:
            part[name] = broken
        return orjson.dumps(fields), reason, len(parts)

    @staticmethod
    def _parts_with(fields: dict[str, Any], name: str) -> list[dict[str, Any]]:
        """The objects that hold a field: the message, or in a frame every detection."""
        if fields.get("detections") and name not in ("timestamp", "frame_id"):
            return list(fields["detections"])
        return [fields]
