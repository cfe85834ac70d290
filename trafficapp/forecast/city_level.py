"""What slows the whole city at once, such as rain: the level of its speeds beside what is usual, step by step.

A model that learnt on dry days takes the first minutes of rain for so many jams, and expects all of them to dissolve.
So it is asked as if it were dry: speeds of each step are divided by the level of that step, and what it says is
multiplied by the level of the newest one (who knows how long it goes on raining?). A jam, however large, leaves many
roads as they are; rain, snow and fog leave none (docs/decisions/0043-speeds-of-the-whole-city-at-once.md).
"""

from __future__ import annotations

import numpy as np

from trafficapp.forecast.clock import Bools, Floats

#: There is a level where so many of the roads are slower than usual by so much. In simulated rain nine of ten are, on
#: dry days half of them at most; in the first week of METR-LA never two of three.
_SLOWED_SHARE, _SLOWER_BY = 2 / 3, 0.05
#: A step says something of the city where so many of the roads were measured in it, and not fewer than these.
_LEAST_SHARE, _LEAST_ROADS = 0.5, 30
#: Where even the median road nearly stands it is no weather: nothing is divided by less.
_LEAST_LEVEL = 0.5


def city_level(kmh: Floats, usual_kmh: Floats) -> Floats:
    """The median of speeds beside the usual ones where nearly all are slower; 1 else.

    A step of which too little is known, as one that has just begun, has the level of the one before.

    Args:
        kmh: shape (steps, roads), NaN where nothing was measured.
        usual_kmh: what is usual at these times, the same shape.

    Returns:
        shape (steps), above 0 and at most 1.
    """
    beside = kmh / np.maximum(usual_kmh, np.float32(1))
    known: Bools = np.isfinite(beside)
    roads = known.sum(1)
    slowed = (beside < 1 - _SLOWER_BY).sum(1) >= _SLOWED_SHARE * roads
    tells = roads >= max(_LEAST_ROADS, _LEAST_SHARE * kmh.shape[1])
    level = np.ones(len(kmh), np.float32)
    for step in range(len(kmh)):
        if not tells[step]:
            level[step] = level[step - 1] if step else 1
        elif slowed[step]:
            level[step] = max(float(np.median(beside[step, known[step]])), _LEAST_LEVEL)
    return level
