"""Whether the day comes at another time than usual: a feed in another zone, a clock that was set wrong, a shifted day.

The mean speeds of the last hours are laid beside what is usual at every time of the day. Where another time of the day
fits better by a tenth than the one that the clock says, the model is asked as if it were that time. A common day fits
its own time best to within three hundredths (simulated days of two seeds), an hour off is told from two hours off by
the rush hours alone, so less than a tenth says nothing.
"""

from __future__ import annotations

import numpy as np

from trafficapp.forecast.clock import DAY_SECONDS, Floats
from trafficapp.forecast.profiles import UsualSpeeds

HOUR_SECONDS = 3600

#: Hours that are kept of each road, the one that is not over among them.
HOURS = 25
#: With less than this, night fits night at any hour.
_LEAST_HOURS = 12
#: An hour counts where so many of the roads were measured.
_LEAST_SHARE = 0.5
#: Clocks are tried at every half hour.
_APART_SECONDS = 1800
_BETTER_BY = 0.1


def clock_off(usual: UsualSpeeds, hours_kmh: Floats, last_hour: int) -> int:
    """What is to be added to times, in seconds, so that the last hours are the usual ones; 0 where nothing is clear.

    Args:
        usual: speeds over the day.
        hours_kmh: mean speeds, shape (hours, roads), NaN where nothing was measured; the newest hour, which may not be
            over, last.
        last_hour: when that one began, in seconds since the epoch.
    """
    whole = hours_kmh[:-1]
    times = last_hour - HOUR_SECONDS * np.arange(len(whole), 0, -1, dtype=np.int64)
    known = np.isfinite(whole).mean(1) >= _LEAST_SHARE if whole.size else np.zeros(len(whole), bool)
    if known.sum() < _LEAST_HOURS:
        return 0
    whole, middles = whole[known], times[known] + HOUR_SECONDS // 2
    half = DAY_SECONDS // 2
    tried = sorted(range(-half, half, _APART_SECONDS), key=abs)
    off = [float(np.nanmean(np.abs(whole - usual.at(middles + seconds)))) for seconds in tried]
    best = int(np.argmin(off))
    return tried[best] if off[best] < off[0] * (1 - _BETTER_BY) else 0
