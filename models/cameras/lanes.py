"""Figures of cameras and their lanes over a range: body of ``/api/analytics/lanes``."""

from __future__ import annotations

from msgspec import Struct


class LaneFigures(Struct, frozen=True, kw_only=True):
    """A lane of a camera, or the whole camera, over a range.

    Attributes:
        lane_id: None of the whole camera.
        windows: those in which something was seen; a lane without any traffic has none.
        observed_hours: their length.
        speeds: how many the percentiles are of.
        p15_speed_kmh, p50_speed_kmh, p85_speed_kmh, p95_speed_kmh: at most 1 % from exact ones; None without speeds.
        flow_vehicles_per_hour: vehicles that come in an hour of these windows.
        headway_seconds: time between the fronts of two of them, the mean; None of the whole camera.
        vehicles_in_view: how many are on the lane in a picture, the mean. It is the nearest to occupancy that a camera
            of which nobody knows how long its view is can say: the share of time that a point of the lane is covered
            would be this times a vehicle's length through the length in view.
    """

    camera_id: str
    lane_id: int | None
    windows: int
    observed_hours: float
    speeds: int
    p15_speed_kmh: float | None
    p50_speed_kmh: float | None
    p85_speed_kmh: float | None
    p95_speed_kmh: float | None
    flow_vehicles_per_hour: float | None
    headway_seconds: float | None
    vehicles_in_view: float | None


class RangeLanes(Struct, frozen=True, kw_only=True):
    """Cameras and lanes in ``[range_start, range_end)``.

    Attributes:
        relative_accuracy: how far a percentile is from an exact one at most, relatively.
        all_cameras: of all speeds of the cameras chosen together; flows of cameras are not added up.
        lanes: by camera, the whole camera before its lanes.
    """

    range_start: str
    range_end: str
    relative_accuracy: float
    all_cameras: LaneFigures
    lanes: list[LaneFigures]
