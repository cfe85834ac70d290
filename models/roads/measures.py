"""Reliability of roads, corridors and zones, surfaces, bottlenecks, comparisons: bodies of ``/api/...``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from models.plain_text import Name, Text
from models.roads.current import RoadIdentifier

#: Roads of a corridor at most: a surface has a row for each.
MOST_ROADS = 200


class NewCorridor(Struct, frozen=True, kw_only=True):
    """Body of ``POST /api/admin/corridors``.

    Attributes:
        road_ids: in driving direction; each must begin where the one before it ends.
    """

    name: Name
    road_ids: Annotated[list[RoadIdentifier], Meta(min_length=1, max_length=MOST_ROADS)]
    description: Text | None = None


class Corridor(Struct, frozen=True, kw_only=True):
    """A named chain of roads."""

    id: int
    name: str
    description: str | None
    road_ids: list[str]
    created_at: str


class PeriodReliability(Struct, frozen=True, kw_only=True):
    """The level of travel time reliability of one period of 23 CFR 490.511.

    Attributes:
        lottr: the 80th through the 50th percentile of the travel times; None without any.
    """

    period: str
    measured_steps: int
    p50_seconds: float | None = None
    p80_seconds: float | None = None
    lottr: float | None = None


class Reliability(Struct, frozen=True, kw_only=True):
    """How long a way takes, and how far one can rely on it, from what was measured; nothing is filled in.

    Attributes:
        roads: how many it has.
        steps: quarters of an hour in the range.
        measured_steps: those in which enough of it was measured: a road, every road of a corridor, half of a zone.
        coverage: share of them.
        free_flow_seconds: how long it takes at free flow.
        mean_seconds, median_seconds, p80_seconds, p95_seconds: of the travel times of these steps.
        delay_seconds: that a vehicle loses against free flow, the mean of the steps.
        travel_time_index: mean through free-flow time.
        planning_time_index: 95th percentile through free-flow time.
        buffer_index: (95th percentile - mean) / mean.
        lottr: of the worst of the periods.
        is_reliable: whether that is below 1.50.
        vehicles_per_hour: how many drove it, by cameras that are registered on its roads; None where there are none.
        vehicle_km, vehicle_hours: driven and spent in the steps measured, where vehicles are known.
        delay_vehicle_hours: of these, lost against free flow.
    """

    roads: int
    length_m: float
    steps: int
    measured_steps: int
    coverage: float
    free_flow_seconds: float
    periods: list[PeriodReliability]
    mean_seconds: float | None = None
    median_seconds: float | None = None
    p80_seconds: float | None = None
    p95_seconds: float | None = None
    mean_speed_kmh: float | None = None
    delay_seconds: float | None = None
    travel_time_index: float | None = None
    planning_time_index: float | None = None
    buffer_index: float | None = None
    lottr: float | None = None
    is_reliable: bool | None = None
    vehicles_per_hour: float | None = None
    vehicle_km: float | None = None
    vehicle_hours: float | None = None
    delay_vehicle_hours: float | None = None


class RangeReliability(Struct, frozen=True, kw_only=True):
    """Reliability of something in ``[range_start, range_end)``.

    Attributes:
        kind: ``road``, ``corridor`` or ``zone``.
        tz: the clock of the periods.
    """

    kind: str
    id: str
    name: str
    range_start: str
    range_end: str
    tz: str
    reliability: Reliability


class SurfaceRoad(Struct, frozen=True, kw_only=True):
    """A row of a surface.

    Attributes:
        begin_m, end_m: where it lies on the corridor.
    """

    road_id: str
    road_name: str
    begin_m: float
    end_m: float
    free_flow_kmh: float


class SpeedSurface(Struct, frozen=True, kw_only=True):
    """Speeds of a corridor over time and distance.

    Attributes:
        starts: of each step.
        roads: in driving direction.
        speeds_kmh: of each road in each step; None where nothing was measured.
    """

    corridor_id: int
    name: str
    step_seconds: int
    starts: list[str]
    roads: list[SurfaceRoad]
    speeds_kmh: list[list[float | None]]
