"""Bodies of ``/api/analytics/...``."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from models.alerts import Severity


class HourFigures(Struct, frozen=True):
    """One hour of the day, over all days of a range.

    Attributes:
        hour: 0..23 in the time zone asked for.
        avg_vehicle_count: vehicles in a window of a camera, the mean of all windows; 0 when there is none.
        avg_congestion_score: the mean of all windows that have a score; None when there is none.
    """

    hour: int
    avg_vehicle_count: float
    avg_congestion_score: float | None


class SegmentFigures(Struct, frozen=True):
    """One camera over a range; ``severe_minutes`` is the length of its windows at SEVERE."""

    camera_id: str
    road_segment: str | None
    avg_congestion_score: float
    severe_minutes: float


class SeverityCount(Struct, frozen=True):
    """Alerts of one severity that were triggered in a range."""

    severity: Severity
    count: int


class AnalyticsMetrics(Struct, frozen=True):
    """Figures of the windows that begin in ``[range_start, range_end)``.

    Attributes:
        avg_congestion_score: the mean of all windows that have a score; None when there is none.
        peak_hour_distribution: 24 entries, hour 0 first.
        top_segments: the ten most congested cameras, the worst first.
        incident_pie: severities that occurred, the gravest first.
    """

    range_start: str
    range_end: str
    avg_congestion_score: float | None
    peak_hour_distribution: list[HourFigures]
    top_segments: list[SegmentFigures]
    incident_pie: list[SeverityCount]


class AnalyticsComparison(Struct, frozen=True):
    """Two ranges side by side."""

    range_a: AnalyticsMetrics
    range_b: AnalyticsMetrics


class TrendHour(Struct, frozen=True):
    """An hour of the local clock; of the first and the last one only what lies in the range is counted.

    Attributes:
        hour_start: RFC 3339 UTC.
        local_hour_start: the same moment with the offset of the time zone asked for.
        windows: finished windows of all cameras.
        avg_vehicle_count: vehicles in a window; None without windows.
        avg_speed_kmh: the mean of the windows' speeds, every window weighing the same; None without any speed.
        avg_congestion_score: likewise.
        severe_minutes: length of all windows at SEVERE, added up over the cameras.
    """

    hour_start: str
    local_hour_start: str
    windows: int
    avg_vehicle_count: float | None
    avg_speed_kmh: float | None
    avg_congestion_score: float | None
    severe_minutes: float


encode_analytics = msgspec.json.Encoder().encode
