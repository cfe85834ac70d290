"""Load of alarms and floods, as ANSI/ISA-18.2 and EEMUA 191 count them.

Alarms are counted in windows of ten minutes; one ends each minute. About one alarm per operator in ten minutes is
acceptable, two the most that can be managed, ten the most at the peak. A flood begins with a window of more than ten
and ends with one of fewer than five; it may take less than 1 % of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from models.timestamps import MICROSECONDS_PER_SECOND

#: ISA-18.2: in ten minutes, a flood begins above and ends below.
FLOOD_ABOVE, FLOOD_BELOW = 10, 5

MINUTE_US = 60 * MICROSECONDS_PER_SECOND
WINDOW_US = 10 * MINUTE_US


class Load(NamedTuple):
    """Of a span.

    Attributes:
        mean: alarms per ten minutes.
        peak: alarms of the fullest window.
        share_in_flood: of the windows, 0..1.
        newest: alarms of the newest window.
        flood_since_us: end of the window with which the flood of the newest window began; None when it is in none.
    """

    mean: float
    peak: int
    share_in_flood: float
    newest: int
    flood_since_us: int | None


def load_of(raised_us: Sequence[int], since_us: int, until_us: int) -> Load:
    """The load of a span.

    Windows end each whole minute before ``until``, and at ``until``; before ``since`` there was no flood.

    Args:
        raised_us: times of alarms in ``[since, until)``, ascending, microseconds since the epoch.
        since_us: begin of the span.
        until_us: its end, at least ten minutes later.

    Raises:
        ValueError: the span is shorter than a window.
    """
    if until_us - since_us < WINDOW_US:
        raise ValueError("a span must have ten minutes at least")
    windows = (until_us - since_us - WINDOW_US) // MINUTE_US + 1
    first_us = until_us - (windows - 1) * MINUTE_US
    begin = end = peak = flooded = count = 0
    flood_since_us: int | None = None
    for number in range(windows):
        end_us = first_us + number * MINUTE_US
        while end < len(raised_us) and raised_us[end] < end_us:
            end += 1
        while begin < end and raised_us[begin] < end_us - WINDOW_US:
            begin += 1
        count = end - begin
        peak = max(peak, count)
        if count > FLOOD_ABOVE and flood_since_us is None:
            flood_since_us = end_us
        elif count < FLOOD_BELOW:
            flood_since_us = None
        flooded += flood_since_us is not None
    mean = len(raised_us) * WINDOW_US / (until_us - since_us)
    return Load(mean, peak, flooded / windows, count, flood_since_us)
