"""What works on a way cost: its travel times beside what was usual there at such times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

import numpy as np

from models.roads.measures import WorkZoneDelay
from trafficapp.measures.paces import Floats

#: The usual level is that of so many days before the works.
USUAL_DAYS = 28
_SATURDAY = 5


def usual_seconds(times: Floats, starts: Sequence[datetime], asked: Sequence[datetime], clock: tzinfo) -> Floats:
    """The median travel time at the same time of the day, of weekdays or of weekends; NaN where there is none.

    Args:
        times: travel times before, NaN where nothing was measured.
        starts: of their steps.
        asked: steps of which the usual level is wanted.
        clock: whose time of the day it is.
    """
    slots: dict[tuple[bool, int, int], list[float]] = {}
    for start, seconds in zip(starts, times.tolist(), strict=True):
        if np.isfinite(seconds):
            slots.setdefault(_slot(start, clock), []).append(seconds)
    medians = {slot: float(np.median(found)) for slot, found in slots.items()}
    return np.array([medians.get(_slot(start, clock), np.nan) for start in asked])


def work_zone_delay(times: Floats, usual: Floats, vehicles_per_hour: float | None, step_seconds: int) -> WorkZoneDelay:
    """The delay of works: what a vehicle took longer than usual, never less than nothing; the mean of the steps."""
    known = np.isfinite(times) & np.isfinite(usual)
    if not known.any():
        return WorkZoneDelay(steps=len(times), compared_steps=0)
    late = np.maximum(times[known] - usual[known], 0.0)
    hours = float(known.sum()) * step_seconds / 3600
    lost = None if vehicles_per_hour is None else vehicles_per_hour * hours * float(late.mean()) / 3600
    return WorkZoneDelay(
        steps=len(times),
        compared_steps=int(known.sum()),
        usual_seconds=round(float(usual[known].mean()), 1),
        mean_seconds=round(float(times[known].mean()), 1),
        delay_seconds=round(float(late.mean()), 1),
        worst_delay_seconds=round(float(late.max()), 1),
        vehicles_per_hour=None if vehicles_per_hour is None else round(vehicles_per_hour, 1),
        delay_vehicle_hours=None if lost is None else round(lost, 2),
    )


def _slot(start: datetime, clock: tzinfo) -> tuple[bool, int, int]:
    local = start.astimezone(clock)
    return local.weekday() < _SATURDAY, local.hour, local.minute
