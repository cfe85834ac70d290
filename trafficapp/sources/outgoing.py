"""A message that is ready to be sent, and how a recording continues when it is played again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Outgoing(NamedTuple):
    """One message of a source.

    Attributes:
        event_time_us: when it happened, microseconds since the epoch; messages are sent in this order.
        key: the record key, the camera; None when the message names none.
        value: the JSON text; None for a message without value.
        detections: how many detections it carries; an unreadable message counts as one.
        topic: where it goes, when the source has more than one topic.
    """

    event_time_us: int
    key: bytes | None
    value: bytes | None
    detections: int
    topic: str | None = None


@dataclass(frozen=True)
class Lap:
    """One pass through a recording, made distinct from the passes before it.

    Attributes:
        number: 0 for the first pass.
        shift_us: added to every event time.
        frame_shift: added to every frame_id, so that no picture looks like a repeated one.
    """

    number: int = 0
    shift_us: int = 0
    frame_shift: int = 0

    @property
    def changes_nothing(self) -> bool:
        """Whether messages can be sent as they were recorded."""
        return self.number == 0 and self.shift_us == 0

    def vehicle_id(self, recorded: str) -> str:
        """The vehicle's id in this lap: a vehicle that passes again is another vehicle."""
        return recorded if self.number == 0 else f"{recorded}~{self.number + 1}"
