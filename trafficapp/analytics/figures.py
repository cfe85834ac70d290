"""What the sums of a range say: means, profiles by hour of day, the worst cameras.

Every window weighs the same, for speeds as for scores: a mean over time. Rows do not tell how many of
their detections had a speed, so a mean over vehicles could not be exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import groupby

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.alerts import Severity
from models.cameras.analytics import (
    AnalyticsComparison,
    AnalyticsMetrics,
    ComparedRange,
    HourFigures,
    HourTrend,
    IncidentCounts,
    SegmentFigures,
    SeverityCount,
    TrendHour,
)
from models.timestamps import epoch_us, rfc3339
from trafficapp.analytics.local_hours import local_hour_start

#: The columns of sums, in the order of the tables ``metrics_1m`` and ``metrics_1h``.
WINDOWS, VEHICLES, SCORED, SCORE_E4, SPEEDS, SPEED_E4, SEVERE_US, HIGH_US, QUEUED, QUEUE = range(10)
COLUMNS = 10
UNIT = 10_000
MICROSECONDS_PER_MINUTE = 60_000_000

SEVERITIES: tuple[Severity, ...] = ("EMERGENCY", "CRITICAL", "WARNING")
TOP_SEGMENTS = 10
#: The camera system's dashboard shows so many minutes at SEVERE for each incident of a segment.
_MINUTES_OF_AN_INCIDENT = 5

Sums = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RangeSums:
    """Everything that was summed over a range of time.

    Attributes:
        start, end: the range, aware.
        slot_starts: begins of parts of an hour, or of hours, in order; a part never straddles a local hour.
        slots: for each of them the sums over all cameras that lie in the range.
        camera_ids: cameras that have windows in the range.
        cameras: the sums of each of them.
        alerts: triggered in the range, by severity.
        left_out_windows: of cameras that were unhealthy, which are in no sum.
    """

    start: datetime
    end: datetime
    slot_starts: Sequence[datetime]
    slots: Sums
    camera_ids: Sequence[str]
    cameras: Sums
    alerts: Mapping[str, int]
    left_out_windows: int = 0

    @property
    def healthy_share(self) -> float | None:
        """Share of the windows that are in the sums, 0..1; None without any."""
        kept = int(self.total[WINDOWS])
        return kept / (kept + self.left_out_windows) if kept + self.left_out_windows else None

    @property
    def total(self) -> Sums:
        """The sums over everything."""
        return np.asarray(self.cameras.sum(axis=0, dtype=np.int64))


def metrics(sums: RangeSums, zone: tzinfo, segment: Callable[[str], str | None]) -> AnalyticsMetrics:
    """The figures of a range, hours of the day by the clock of `zone`.

    Args:
        sums: of the range.
        zone: whose hours.
        segment: the road segment of a camera.
    """
    start, end, score = rfc3339(epoch_us(sums.start)), rfc3339(epoch_us(sums.end)), mean_score(sums.total)
    hours = _by_hour(sums, zone)
    counts = {name: sums.alerts.get(name, 0) for name in SEVERITIES}
    share = sums.healthy_share
    return AnalyticsMetrics(
        range_start=start,
        range_end=end,
        avg_congestion_score=score,
        peak_hour_distribution=[HourFigures(hour, mean_vehicles(row) or 0.0, mean_score(row)) for hour, row in hours],
        top_segments=_top_segments(sums, segment),
        incident_pie=[SeverityCount(name, count) for name, count in counts.items()],
        start=start,
        end=end,
        average_congestion=score,
        average_speed_kmh=mean_speed_kmh(sums.total),
        peak_hour_trends=[
            HourTrend(hour, mean_vehicles(row) or 0.0, mean_score(row), mean_speed_kmh(row)) for hour, row in hours
        ],
        incidents=IncidentCounts(sum(counts.values()), high=counts["WARNING"], critical=counts["CRITICAL"]),
        healthy_share=None if share is None else round(share, 4),
    )


def comparison(a: RangeSums, b: RangeSums, zone: tzinfo, segment: Callable[[str], str | None]) -> AnalyticsComparison:
    """The figures of two ranges, and what b has more than a; arguments as for `metrics`."""
    one, other = _compared(a, zone, segment), _compared(b, zone, segment)
    return AnalyticsComparison(
        range_a=one,
        range_b=other,
        congestion_delta=_difference(one.average_congestion, other.average_congestion, 4),
        vehicle_count_delta=_difference(one.vehicle_count, other.vehicle_count, 2),
        speed_delta=_difference(one.average_speed_kmh, other.average_speed_kmh, 2),
        incident_delta=other.incident_count - one.incident_count,
    )


def _compared(sums: RangeSums, zone: tzinfo, segment: Callable[[str], str | None]) -> ComparedRange:
    found = metrics(sums, zone, segment)
    busiest = max(found.peak_hour_trends, key=lambda hour: (hour.vehicle_count, -hour.hour), default=None)
    return ComparedRange(
        **msgspec.structs.asdict(found),
        vehicle_count=mean_vehicles(sums.total),
        incident_count=found.incidents.total_incidents,
        peak_hour=None if busiest is None else busiest.hour,
    )


def _difference(a: float | None, b: float | None, decimals: int) -> float | None:
    return None if a is None or b is None else round(b - a, decimals)


def trends(sums: RangeSums, zone: tzinfo) -> list[TrendHour]:
    """One entry for each local hour that the range touches, in order."""
    # compared in UTC: the two hours at which clocks are set back have the same name
    hours = groupby(
        range(len(sums.slot_starts)), lambda slot: local_hour_start(zone, sums.slot_starts[slot]).astimezone(UTC)
    )
    return [_trend(start.astimezone(zone), sums.slots[list(slots)].sum(axis=0)) for start, slots in hours]


def mean_score(sums: Sums) -> float | None:
    """The mean congestion score, 4 decimals."""
    return _mean(sums[SCORE_E4], sums[SCORED], UNIT, 4)


def mean_speed_kmh(sums: Sums) -> float | None:
    """The mean speed, 2 decimals."""
    return _mean(sums[SPEED_E4], sums[SPEEDS], UNIT, 2)


def mean_vehicles(sums: Sums) -> float | None:
    """Vehicles in a window, 2 decimals."""
    return _mean(sums[VEHICLES], sums[WINDOWS], 1, 2)


def severe_minutes(sums: Sums) -> float:
    """The length of the windows at SEVERE, 2 decimals."""
    return round(int(sums[SEVERE_US]) / MICROSECONDS_PER_MINUTE, 2)


def high_minutes(sums: Sums) -> float:
    """The length of the windows at HIGH, 2 decimals."""
    return round(int(sums[HIGH_US]) / MICROSECONDS_PER_MINUTE, 2)


def _mean(total: np.int64, count: np.int64, unit: int, decimals: int) -> float | None:
    return round(int(total) / (int(count) * unit), decimals) if count else None


def mean_queue(sums: Sums) -> float | None:
    """Vehicles in the queue of a window, 2 decimals."""
    return _mean(sums[QUEUE], sums[QUEUED], 1, 2)


def _by_hour(sums: RangeSums, zone: tzinfo) -> list[tuple[int, Sums]]:
    """The sums of each hour of the day that has windows."""
    by_hour = np.zeros((24, COLUMNS), dtype=np.int64)
    local = [start.hour if zone is UTC else start.astimezone(zone).hour for start in sums.slot_starts]
    np.add.at(by_hour, local, sums.slots)
    return [(hour, row) for hour, row in enumerate(by_hour) if row[WINDOWS]]


def _top_segments(sums: RangeSums, segment: Callable[[str], str | None]) -> list[SegmentFigures]:
    """Ordered by the exact mean, then by camera_id."""
    scored = np.flatnonzero(sums.cameras[:, SCORED])
    means = sums.cameras[scored, SCORE_E4] / sums.cameras[scored, SCORED]
    if len(scored) > TOP_SEGMENTS:
        # all that tie with the tenth stay, so that the order by name decides
        least = np.partition(means, -TOP_SEGMENTS)[-TOP_SEGMENTS]
        scored, means = scored[means >= least], means[means >= least]
    pairs = zip(means.tolist(), scored.tolist(), strict=True)
    ranked = sorted(pairs, key=lambda pair: (-pair[0], sums.camera_ids[pair[1]]))
    return [_segment(sums.camera_ids[place], sums.cameras[place], segment) for _, place in ranked[:TOP_SEGMENTS]]


def _segment(camera_id: str, row: Sums, segment: Callable[[str], str | None]) -> SegmentFigures:
    score, minutes = mean_score(row) or 0.0, severe_minutes(row)
    return SegmentFigures(
        camera_id=camera_id,
        road_segment=segment(camera_id),
        avg_congestion_score=score,
        severe_minutes=minutes,
        average_congestion=score,
        average_queue_length=mean_queue(row),
        incident_count=round(minutes / _MINUTES_OF_AN_INCIDENT),
    )


def _trend(start: datetime, row: Sums) -> TrendHour:
    return TrendHour(
        hour_start=rfc3339(epoch_us(start)),
        local_hour_start=start.isoformat(),
        windows=int(row[WINDOWS]),
        avg_vehicle_count=mean_vehicles(row),
        avg_speed_kmh=mean_speed_kmh(row),
        avg_congestion_score=mean_score(row),
        severe_minutes=severe_minutes(row),
    )
