"""What a report says."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from models.cameras.analytics import AnalyticsMetrics, TrendHour
from models.cameras.lanes import LaneFigures
from models.roads.measures import RangeBottlenecks, RangeReliability, SpeedSurface


class Report(Struct, frozen=True, kw_only=True):
    """Everything that is printed.

    Attributes:
        generated_at: RFC 3339 UTC.
        tz: the clock of all times in it.
        zone: the zone whose cameras it is about; None for all cameras.
        cameras: how many have windows in the range.
        severe_minutes, high_minutes: added up over the cameras.
        lanes: percentile speeds and flows of cameras, and of their lanes.
        surfaces, reliability: of corridors, in the same order.
        bottlenecks: the worst of all roads; None where no road was measured, or nobody asked.
    """

    generated_at: str
    tz: str
    zone: str | None
    cameras: int
    windows: int
    avg_vehicle_count: float | None
    avg_speed_kmh: float | None
    severe_minutes: float
    high_minutes: float
    metrics: AnalyticsMetrics
    trends: list[TrendHour]
    lanes: list[LaneFigures] = []
    surfaces: list[SpeedSurface] = []
    reliability: list[RangeReliability] = []
    bottlenecks: RangeBottlenecks | None = None


encode_report = msgspec.json.Encoder().encode
decode_report = msgspec.json.Decoder(Report).decode
