"""Values where nothing was measured, each with the method that made it: for pictures and people, never for measures.

The methods, in the order in which they are tried, are those that Caltrans PeMS tells of its filled values (local,
regional, global): between two measured steps of the same road not far apart, from roads that touch it, what is usual.
"""

from __future__ import annotations

import numpy as np

from models.roads.measures import FilledSpeed, FillMethod
from models.timestamps import epoch_us, rfc3339
from trafficapp.measures.paces import Floats, StepPaces

#: A gap is bridged when it is no longer than so many seconds.
BRIDGED_SECONDS = 900
_DAY_SECONDS = 86_400


def filled_speeds(paces: StepPaces) -> list[FilledSpeed]:
    """What can be said of each road and step that was not measured, by road and time.

    Args:
        paces: measured; nothing in them is changed.
    """
    measured = paces.hours_per_km
    free = np.array([1 / road.free_flow_kmh for road in paces.roads])
    # times as multiples of those at free flow: roads of different speeds can stand for one another
    ratios: Floats = measured / free if len(free) else measured
    starts = paces.starts
    found: list[FilledSpeed] = []
    methods: tuple[tuple[FillMethod, Floats], ...] = (
        ("interpolated", _bridged(ratios, paces.step_seconds)),
        ("neighbours", _beside(paces, ratios)),
        ("usual", _usual(ratios, paces)),
    )
    for road in range(measured.shape[1]):
        for step in np.flatnonzero(~np.isfinite(measured[:, road])).tolist():
            for method, values in methods:
                if np.isfinite(values[step, road]):
                    speed = 1 / (values[step, road] * free[road])
                    found.append(
                        FilledSpeed(
                            road_id=paces.roads[road].road_id, start=rfc3339(epoch_us(starts[step])),
                            filled_kmh=round(float(speed), 1), method=method,
                        )
                    )  # fmt: skip
                    break
    return found


def _bridged(ratios: Floats, step_seconds: int) -> Floats:
    """Gaps that are short, on the straight line between their ends."""
    values = np.full_like(ratios, np.nan)
    steps = np.arange(len(ratios))
    for road in range(ratios.shape[1]):
        known = np.flatnonzero(np.isfinite(ratios[:, road]))
        if len(known) < 2:
            continue
        line = np.interp(steps, known, ratios[known, road])
        after = np.searchsorted(known, steps)
        inside = (after > 0) & (after < len(known))
        gap = np.full(len(steps), np.inf)
        gap[inside] = (known[after[inside]] - known[after[inside] - 1] - 1) * step_seconds
        values[:, road] = np.where(gap <= BRIDGED_SECONDS, line, np.nan)
    return values


def _beside(paces: StepPaces, ratios: Floats) -> Floats:
    """The mean of the roads that touch a road, in the same step."""
    values = np.full_like(ratios, np.nan)
    for road, one in enumerate(paces.roads):
        beside = [
            place for place, other in enumerate(paces.roads)
            if place != road and one.begin >= 0 and (other.end == one.begin or other.begin == one.end)
        ]  # fmt: skip
        if beside:
            known = np.isfinite(ratios[:, beside])
            count = known.sum(axis=1)
            total = np.where(known, ratios[:, beside], 0.0).sum(axis=1)
            values[:, road] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return values


def _usual(ratios: Floats, paces: StepPaces) -> Floats:
    """The median of a road at the same time of other days of the span, else of all of the span."""
    values = np.full_like(ratios, np.nan)
    a_day = max(1, _DAY_SECONDS // paces.step_seconds)
    slots = (paces.first_step + np.arange(len(ratios))) % a_day
    for road in range(ratios.shape[1]):
        column = ratios[:, road]
        known = np.isfinite(column)
        if not known.any():
            continue
        values[:, road] = np.median(column[known])
        for slot in np.unique(slots[~known]).tolist():
            alike = column[(slots == slot) & known]
            if len(alike):
                values[slots == slot, road] = np.median(alike)
    return values
