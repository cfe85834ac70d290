"""How long a way takes, and how far one can rely on that.

Sources: travel time, planning time and buffer index as in FHWA, Travel Time Reliability: Making It There On Time, All
The Time (FHWA-HOP-06-070); level of travel time reliability as in 23 CFR 490.511 and 490.513, with the periods of
490.511(a)(1) and its rule that what was not measured is not filled in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo

import numpy as np

from models.roads.measures import PeriodReliability, Reliability
from trafficapp.measures.paces import Floats, StepPaces

#: Travel times are those of 15 minutes (23 CFR 490.511(a)(1)).
STEP_SECONDS = 900

#: Below it a way counts as reliable (23 CFR 490.513(c)).
RELIABLE_BELOW = 1.50

#: The four periods of 23 CFR 490.511(a)(1), by the local clock: name, whether it is of a weekday, hours [from, to).
PERIODS = (
    ("weekday 06-10", True, 6, 10),
    ("weekday 10-16", True, 10, 16),
    ("weekday 16-20", True, 16, 20),
    ("weekend 06-20", False, 6, 20),
)

_SATURDAY = 5


def travel_seconds(paces: StepPaces, least_coverage: float = 1.0) -> Floats:
    """How long the way took in each step, seconds; NaN where less of it was measured than must be.

    Where a part is missing, which only a zone may have, the rest stands for all: its time as a multiple of its
    free-flow time.

    Args:
        paces: of its roads.
        least_coverage: share of the free-flow time that must be measured; 1 of roads and corridors.
    """
    measured = np.isfinite(paces.hours_per_km)
    free = paces.free_flow_seconds
    known = np.where(measured, free, 0.0).sum(axis=1)
    took = np.where(measured, paces.seconds, 0.0).sum(axis=1)
    total = free.sum()
    enough = known >= least_coverage * total - 1e-9 * total
    with np.errstate(divide="ignore", invalid="ignore"):
        times: Floats = np.where(enough & (known > 0), took / known * total, np.nan)
    return times


def reliability(
    paces: StepPaces,
    clock: tzinfo,
    *,
    least_coverage: float = 1.0,
    vehicles_per_hour: float | None = None,
) -> Reliability:
    """The figures of a way: a road, the roads of a corridor, or those of a zone.

    Args:
        paces: of its roads, in steps of `STEP_SECONDS`.
        clock: whose hours the periods are of.
        least_coverage: see `travel_seconds`.
        vehicles_per_hour: how many vehicles drove it, where that is known.
    """
    times = travel_seconds(paces, least_coverage)
    starts = paces.starts
    known = np.isfinite(times)
    seconds = times[known]
    free_seconds = float(paces.free_flow_seconds.sum())
    length_m = sum(road.length_m for road in paces.roads)
    hours = float(known.sum()) * paces.step_seconds / 3600
    if not len(seconds) or not free_seconds:
        return Reliability(
            roads=len(paces.roads), length_m=_rounded(length_m, 1), steps=len(times), measured_steps=0, coverage=0.0,
            free_flow_seconds=_rounded(free_seconds, 1), periods=_periods(times, starts, clock),
        )  # fmt: skip
    mean, p95 = float(seconds.mean()), float(np.quantile(seconds, 0.95))
    delay_seconds = np.maximum(seconds - free_seconds, 0.0)
    vehicle_km = vehicle_hours = lost_hours = None
    if vehicles_per_hour is not None:
        vehicle_km = vehicles_per_hour * hours * length_m / 1000
        vehicle_hours = vehicles_per_hour * hours * mean / 3600
        lost_hours = vehicles_per_hour * hours * float(delay_seconds.mean()) / 3600
    periods = _periods(times, starts, clock)
    ratios = [period.lottr for period in periods if period.lottr is not None]
    return Reliability(
        roads=len(paces.roads),
        length_m=_rounded(length_m, 1),
        steps=len(times),
        measured_steps=len(seconds),
        coverage=_rounded(len(seconds) / len(times), 4),
        free_flow_seconds=_rounded(free_seconds, 1),
        mean_seconds=_rounded(mean, 1),
        median_seconds=_rounded(float(np.quantile(seconds, 0.5)), 1),
        p80_seconds=_rounded(float(np.quantile(seconds, 0.8)), 1),
        p95_seconds=_rounded(p95, 1),
        mean_speed_kmh=_rounded(length_m * 3.6 / mean, 2),
        delay_seconds=_rounded(float(delay_seconds.mean()), 1),
        travel_time_index=_rounded(mean / free_seconds, 4),
        planning_time_index=_rounded(p95 / free_seconds, 4),
        buffer_index=_rounded((p95 - mean) / mean, 4),
        lottr=max(ratios, default=None),
        is_reliable=None if not ratios else max(ratios) < RELIABLE_BELOW,
        periods=periods,
        vehicles_per_hour=None if vehicles_per_hour is None else _rounded(vehicles_per_hour, 1),
        vehicle_km=None if vehicle_km is None else _rounded(vehicle_km, 1),
        vehicle_hours=None if vehicle_hours is None else _rounded(vehicle_hours, 2),
        delay_vehicle_hours=None if lost_hours is None else _rounded(lost_hours, 2),
    )


def _periods(times: Floats, starts: Sequence[datetime], clock: tzinfo) -> list[PeriodReliability]:
    local = [start.astimezone(clock) for start in starts]
    return [_period(name, times, local, _within(weekday, begin, end)) for name, weekday, begin, end in PERIODS]


def _within(weekday: bool, begin: int, end: int) -> Callable[[datetime], bool]:
    return lambda time: (time.weekday() < _SATURDAY) == weekday and begin <= time.hour < end


def _period(
    name: str, times: Floats, local: Sequence[datetime], is_in: Callable[[datetime], bool]
) -> PeriodReliability:
    chosen = np.fromiter(map(is_in, local), bool, len(local))
    seconds = times[chosen & np.isfinite(times)]
    if not len(seconds):
        return PeriodReliability(period=name, measured_steps=0)
    p50, p80 = (float(value) for value in np.quantile(seconds, (0.5, 0.8)))
    # the ratio is rounded to a hundredth (23 CFR 490.511(e)(1))
    return PeriodReliability(
        period=name, measured_steps=len(seconds), p50_seconds=_rounded(p50, 1), p80_seconds=_rounded(p80, 1),
        lottr=_rounded(p80 / p50, 2),
    )  # fmt: skip


def _rounded(value: float, decimals: int) -> float:
    return round(value, decimals) if math.isfinite(value) else 0.0
