"""Levels changed at run time: what a control record on ``traffic.events.raw`` says.

A control record stands in every partition and carries the header ``trafficapp-tick``, so that whoever reads
events skips it as it skips a tick; unlike a tick it has a value, and moves no clock.
"""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
from msgspec import Struct


class Thresholds(Struct, frozen=True):
    """Scores from which a level holds, for windows that begin at `effective_from_us` or later.

    Attributes:
        version: of those in force, the largest version wins.
        effective_from_us: microseconds since the epoch.
        moderate, high, severe: ascending, between 0 and 1; where two are equal, the level between does not occur.
    """

    version: int
    effective_from_us: int
    moderate: float
    high: float
    severe: float

    @property
    def valid(self) -> bool:
        """Whether the boundaries ascend within 0 and 1, and numbers are ones that a state row can keep."""
        numbers = (self.moderate, self.high, self.severe)
        return (
            all(map(math.isfinite, numbers))
            and all(0 < number < 1 for number in numbers)
            and all(low <= high for low, high in pairwise(numbers))
            and all(0 <= whole < 1 << 63 for whole in (self.version, self.effective_from_us))
        )


class Control(Struct, frozen=True):
    """A control record; a field that this version does not know is ignored."""

    thresholds: Thresholds | None = None


encode_control = msgspec.json.Encoder().encode
decode_control = msgspec.json.Decoder(Control).decode
