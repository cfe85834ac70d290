"""How far the feed was read: the partition of it that is furthest behind.

Taps of one zone come through all partitions of the feed, and these are read side by side, one of them faster than
another: after an outage by minutes. So a zone's time, as a tap said it, makes windows final only when every partition
was read up to that tap, by the broker's times.
"""

from __future__ import annotations

from msgspec import Struct


class Reading(Struct, array_like=True):
    """How far each partition was read.

    Attributes:
        heard_us: by partition, the broker's time of the newest tap, or a time at which it was read to its end.
        partitions: how many there are; 0 before that was told.
    """

    heard_us: list[int] = []
    partitions: int = 0

    def heard(self, partition: int, time_us: int) -> int:
        """Take a tap or a tick in; up to where all was read, 0 while that is not known."""
        heard_us = self.heard_us
        if partition >= len(heard_us):
            heard_us += [0] * (partition + 1 - len(heard_us))
        heard_us[partition] = max(heard_us[partition], time_us)
        return min(heard_us) if len(heard_us) >= self.partitions > 0 else 0
