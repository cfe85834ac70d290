"""Bodies of ``/api/analytics/...``."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from models.alerts import Severity


class HourFigures(Struct, frozen=True):
    """One hour of the day, over all days of a range; hours without windows are left out.

    Attributes:
        hour: 0..23 in the time zone asked for.
        avg_vehicle_count: vehicles in a window of a camera, the mean of all windows.
        avg_congestion_score: the mean of all windows that have a score; None when there is none.
    """

    hour: int
    avg_vehicle_count: float
    avg_congestion_score: float | None


class HourTrend(Struct, frozen=True):
    """The same hour in other words, with its speed.

    Attributes:
        hour: 0..23 in the time zone asked for.
        vehicle_count: vehicles in a window of a camera, the mean of all windows.
        average_congestion: the mean of all windows that have a score; None when there is none.
        average_speed_kmh: likewise of those that have a speed.
    """

    hour: int
    vehicle_count: float
    average_congestion: float | None
    average_speed_kmh: float | None


class SegmentFigures(Struct, frozen=True, kw_only=True):
    """One camera over a range.

    Attributes:
        avg_congestion_score, average_congestion: the mean of its windows that have a score.
        severe_minutes: length of its windows at SEVERE.
        average_queue_length: the mean of its windows; None when their sums know of no queue.
        incident_count: spans of five minutes at SEVERE, rounded: a fifth of ``severe_minutes``, since dashboards show
            five times this number as minutes.
        lane_id: always None: the whole camera.
    """

    camera_id: str
    road_segment: str | None
    avg_congestion_score: float
    severe_minutes: float
    average_congestion: float
    average_queue_length: float | None
    incident_count: int
    lane_id: None = None


class SeverityCount(Struct, frozen=True):
    """Alerts of one severity that were triggered in a range."""

    severity: Severity
    count: int


class IncidentCounts(Struct, frozen=True):
    """Alerts that were triggered in a range.

    Attributes:
        total_incidents: of all severities.
        high: those of WARNING, which begins at HIGH.
        critical: those of CRITICAL.
    """

    total_incidents: int
    high: int
    critical: int


class AnalyticsMetrics(Struct, frozen=True, kw_only=True):
    """Figures of the windows that begin in ``[range_start, range_end)``, but for those of unhealthy cameras.

    Attributes:
        avg_congestion_score, average_congestion: the mean of all windows that have a score; None when there is none.
        peak_hour_distribution, peak_hour_trends: hours of the day that have windows, in order.
        top_segments: the ten most congested cameras, the worst first.
        incident_pie: every severity, the gravest first.
        start, end: the range once more.
        average_speed_kmh: the mean of all windows that have a speed.
        incidents: the alerts once more.
        healthy_share: of the windows, 0 to 1: those that all but the alerts is of. Windows of a camera that was
            unhealthy by ``/api/quality`` are left out. Null without any.
    """

    range_start: str
    range_end: str
    avg_congestion_score: float | None
    peak_hour_distribution: list[HourFigures]
    top_segments: list[SegmentFigures]
    incident_pie: list[SeverityCount]
    start: str
    end: str
    average_congestion: float | None
    average_speed_kmh: float | None
    peak_hour_trends: list[HourTrend]
    incidents: IncidentCounts
    healthy_share: float | None = None


class ComparedRange(AnalyticsMetrics, frozen=True, kw_only=True):
    """Figures of a range that is held against another one.

    Attributes:
        vehicle_count: vehicles in a window of a camera, the mean of all windows; None when there is none.
        incident_count: alerts triggered in the range.
        peak_hour: the hour of the day with the most vehicles in a window; None without windows.
    """

    vehicle_count: float | None
    incident_count: int
    peak_hour: int | None


class AnalyticsComparison(Struct, frozen=True, kw_only=True):
    """Two ranges side by side; differences are those of b less those of a, None where one of them is not known."""

    range_a: ComparedRange
    range_b: ComparedRange
    congestion_delta: float | None
    vehicle_count_delta: float | None
    speed_delta: float | None
    incident_delta: int


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
