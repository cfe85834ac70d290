"""The report on a range of time, from its sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo

from models.cameras.lanes import LaneFigures
from models.roads.measures import RangeBottlenecks, RangeReliability, SpeedSurface
from models.timestamps import epoch_us, rfc3339
from trafficapp.analytics import figures
from trafficapp.analytics.figures import RangeSums
from trafficapp.reports.report import Report


def report_of(
    sums: RangeSums,
    clock: tzinfo,
    *,
    tz: str,
    zone: str | None,
    segment: Callable[[str], str | None],
    generated_at: datetime,
    lanes: Sequence[LaneFigures] = (),
    surfaces: Sequence[SpeedSurface] = (),
    reliability: Sequence[RangeReliability] = (),
    bottlenecks: RangeBottlenecks | None = None,
) -> Report:
    """Everything that is printed of a range.

    Args:
        sums: of the range.
        clock: of all times in the report.
        tz: its name.
        zone: whose cameras it is about; None for all.
        segment: the road segment of a camera.
        generated_at: aware.
        lanes: figures of cameras and their lanes.
        surfaces: of corridors.
        reliability: of the same corridors.
        bottlenecks: of all roads, where any was measured.
    """
    total = sums.total
    return Report(
        generated_at=rfc3339(epoch_us(generated_at.replace(microsecond=0))),
        tz=tz,
        zone=zone,
        cameras=len(sums.camera_ids),
        windows=int(total[figures.WINDOWS]),
        avg_vehicle_count=figures.mean_vehicles(total),
        avg_speed_kmh=figures.mean_speed_kmh(total),
        severe_minutes=figures.severe_minutes(total),
        high_minutes=figures.high_minutes(total),
        metrics=figures.metrics(sums, clock, segment),
        trends=figures.trends(sums, clock),
        lanes=list(lanes),
        surfaces=list(surfaces),
        reliability=list(reliability),
        bottlenecks=bottlenecks,
    )


def file_name(start: datetime, end: datetime) -> str:
    """What the report on ``[start, end)`` is called."""
    return f"traffic-{start:%Y%m%dT%H%M}-{end:%Y%m%dT%H%M}.pdf"
