"""What of the messages that are sent the application will refuse, as far as that shows in a message itself.

A broker takes anything: that it acknowledged a message does not say that it means something.
"""

from __future__ import annotations

import time
from collections import Counter

from models.cameras.detections import DetectionDecoder
from models.records import PlainRecord
from trafficapp.settings import Settings
from trafficapp.sources.outgoing import Outgoing
from trafficapp.topics import EVENTS_RAW
from trafficapp.windows.pictures import Picture, PictureReader, Refused

_TOGETHER = 500


class Refusals:
    """Reads messages as the windows do, with the settings of this process.

    What depends on what a camera sent before cannot be known here: whether an event is late, or repeated.

    Attributes:
        messages: of which nothing can be accepted.
        detections: refused, by reason, those of frames among them of which the rest is accepted.
    """

    def __init__(self, settings: Settings) -> None:
        self.messages = 0
        self.detections: Counter[str] = Counter()
        decoder = DetectionDecoder(settings.vehicle_classes, settings.speed.max_kmh)
        self._reader = PictureReader(decoder, round(settings.windows.future_guard_seconds * 1_000_000))
        self._waiting: list[PlainRecord] = []

    def look_at(self, message: Outgoing) -> None:
        """Count a message that is sent now."""
        if message.topic not in (None, EVENTS_RAW):
            return
        self._waiting.append(PlainRecord(0, time.time_ns() // 1_000_000, 1, message.key, message.value))
        if len(self._waiting) >= _TOGETHER:
            self.read()

    def read(self) -> None:
        """Count all that were looked at."""
        for one in self._reader.read(self._waiting):
            if isinstance(one, Refused):
                self.messages += 1
                for part in one.parts:
                    self.detections[part.reason] += part.events
            elif isinstance(one, Picture):
                for part in one.left_out:
                    self.detections[part.reason] += part.events
        self._waiting.clear()

    def told(self) -> str:
        """The reasons, the most frequent one first."""
        return ", ".join(f"{reason} {count:,}" for reason, count in self.detections.most_common())
