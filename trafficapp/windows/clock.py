"""The clocks of windows: that of a camera, by what it says, and that of a partition, which measures silence.

Event time is integer microseconds since the epoch. docs/windows.md has the rules in words.
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
        lateness_us: how far the watermark trails the camera's time.
        idle_us: silence after which a camera's windows are closed.
        future_us: how far an event may be ahead of its record's timestamp.
        jump_us: a picture further ahead of the camera's time than this moves it only once another one confirms it.
    """

    size_us: int
    lateness_us: int
    idle_us: int
    future_us: int
    jump_us: int

    def window_start(self, time_us: int) -> int:
        """Start of the window an event time falls into."""
        return time_us - time_us % self.size_us

    def watermark(self, newest_us: int) -> int:
        """Watermark of a camera whose time is `newest_us`, to be shown; `Windower.add` has the same in `open_us`."""
        return newest_us - self.lateness_us


def elapsed_us(tick_us: int, later_us: int) -> int:
    """How far a partition's clock has moved between a tick and a later record, by the broker's times of both.

    Args:
        tick_us: record time of the tick, 0 when there was none.
        later_us: record time of the tick or record behind it; one before the tick moves nothing.
    """
    if not tick_us:
        return 0
    return min(max(later_us - tick_us, 0), MAX_TICK_ADVANCE_US)
