"""What can be replayed, and what keeps a file from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from trafficapp.sources.outgoing import Lap, Outgoing


class RecordingError(Exception):
    """A file that cannot be replayed; the message names the file and what is wrong with it."""


class Recording(Protocol):
    """What can be replayed.

    Attributes:
        detections: how many a lap holds.
        first_us, last_us: event times of the first and last message, microseconds since the epoch.
        frame_ids: the number of frame ids a lap spans.
    """

    detections: int
    first_us: int
    last_us: int
    frame_ids: int

    def messages(self, lap: Lap) -> Iterator[Outgoing]:
        """Yield every message of one lap in the order of event time."""
        ...
