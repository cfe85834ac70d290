"""When a message of a recording is due."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Maps event time to the clock, starting with the first message asked about.

    Args:
        speed: event seconds per second of the clock; None for as fast as possible.
        clock: monotonic seconds.

    Raises:
        ValueError: the speed is not positive.
    """

    def __init__(self, speed: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        if speed is not None and not speed > 0:
            raise ValueError(f"a speed is positive, not {speed}")
        self._speed = speed
        self._clock = clock
        self._first_event_us: int | None = None
        self._started = 0.0

    def due_in(self, event_time_us: int) -> float:
        """Seconds until a message of this event time is due; not above 0 when it is due now."""
        if self._speed is None:
            return 0.0
        if self._first_event_us is None:
            self._first_event_us, self._started = event_time_us, self._clock()
        elapsed = (event_time_us - self._first_event_us) / 1e6 / self._speed
        return self._started + elapsed - self._clock()
