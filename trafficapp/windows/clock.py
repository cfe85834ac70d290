"""When a window is final: the watermark of a camera and the clock of a partition.

Event time is integer microseconds since the epoch. A camera's watermark trails its newest event by
the allowed lateness; a window is final once the watermark has reached its end. A camera that falls
silent has no newer event, so silence is measured by ticks that stand in the partition between the
events: the partition clock moves by the time between two ticks, but never by more than
`MAX_TICK_ADVANCE_US`, so that an outage or a backlog (no ticks) closes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

MICROSECONDS = 1_000_000

#: The most one tick moves a partition's clock.
MAX_TICK_ADVANCE_US = 2 * MICROSECONDS


@dataclass(frozen=True, slots=True)
class EventClock:
    """The rules of time for cameras, in microseconds.

    Attributes:
        size_us: length of a window; windows are aligned to the epoch.
        lateness_us: how far the watermark trails the newest event.
        idle_us: silence after which a camera's windows are closed.
        future_us: how far an event may be ahead of its record's timestamp.
    """

    size_us: int = 5 * MICROSECONDS
    lateness_us: int = 2 * MICROSECONDS
    idle_us: int = 10 * MICROSECONDS
    future_us: int = 60 * MICROSECONDS

    def window_start(self, time_us: int) -> int:
        """Start of the window an event time falls into."""
        return time_us - time_us % self.size_us

    def watermark(self, newest_us: int) -> int:
        """Watermark of a camera whose newest event is at `newest_us`."""
        return newest_us - self.lateness_us


def advanced(clock_us: int, previous_tick_us: int, tick_us: int) -> int:
    """The partition clock after a tick.

    Args:
        clock_us: the clock before.
        previous_tick_us: record time of the tick before, 0 when there was none.
        tick_us: record time of this tick; one before the previous moves nothing.
    """
    if not previous_tick_us:
        return clock_us
    return clock_us + min(max(tick_us - previous_tick_us, 0), MAX_TICK_ADVANCE_US)
