"""Reliability of roads, corridors and zones, surfaces, bottlenecks, comparisons: bodies of ``/api/...``."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from models.plain_text import Name, Text

#: Roads of a corridor at most: a surface has a row for each.
MOST_ROADS = 200


class NewCorridor(Struct, frozen=True, kw_only=True):
    """Body of ``POST /api/admin/corridors``.

    Attributes:
        road_ids: in driving direction; each must begin where the one before it ends.
    """

    name: Name
    road_ids: Annotated[list[Name], Meta(min_length=1, max_length=MOST_ROADS)]
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


FillMethod = Literal["interpolated", "neighbours", "usual"]


class FilledSpeed(Struct, frozen=True, kw_only=True):
    """A speed that was not measured, where one was asked to be filled in.

    Attributes:
        start: of the step.
        filled_kmh: what is assumed.
        method: ``interpolated`` between measured steps of the road at most 15 minutes apart, from ``neighbours`` that
            touch it in the same step, or what is ``usual`` of the road in the range.
    """

    road_id: str
    start: str
    filled_kmh: float
    method: FillMethod


class SpeedSurface(Struct, frozen=True, kw_only=True):
    """Speeds of a corridor over time and distance.

    Attributes:
        starts: of each step.
        roads: in driving direction.
        speeds_kmh: of each road in each step; None where nothing was measured.
        filled: what was filled in there, when that was asked for; it is in no other field and in no measure.
    """

    corridor_id: int
    name: str
    step_seconds: int
    starts: list[str]
    roads: list[SurfaceRoad]
    speeds_kmh: list[list[float | None]]
    filled: list[FilledSpeed] | None = None


class Bottleneck(Struct, frozen=True, kw_only=True):
    """A road at which queues begin, over a range.

    Attributes:
        delay_vehicle_hours: lost in its queues, estimated (Greenshields), not counted.
        activations: how often it became one.
        active_minutes, longest_minutes: in all, and at one go.
        mean_extent_m, max_extent_m: of its queue.
        roads: that its queue ever reached, itself among them.
    """

    road_id: str
    road_name: str
    latitude: float | None
    longitude: float | None
    delay_vehicle_hours: float
    activations: int
    active_minutes: float
    longest_minutes: float
    mean_extent_m: float
    max_extent_m: float
    first_active: str
    last_active: str
    roads: list[str]


class RangeBottlenecks(Struct, frozen=True, kw_only=True):
    """Bottlenecks of ``[range_start, range_end)``, the worst first.

    Attributes:
        jam_share: share of free flow below which a road is slow.
        delay_method: how the delay is estimated.
    """

    range_start: str
    range_end: str
    jam_share: float
    delay_method: str
    bottlenecks: list[Bottleneck]


class ComparedSpan(Struct, frozen=True, kw_only=True):
    """Daily means of a span.

    Attributes:
        days: that were measured for at least half of the longest day of the span.
        deviation_seconds: of the daily means.
    """

    days: int
    mean_seconds: float | None = None
    deviation_seconds: float | None = None


class TravelTimeComparison(Struct, frozen=True, kw_only=True):
    """The travel time after something beside that before, by daily means.

    Attributes:
        difference_seconds: after less before.
        relative: of that before.
        low_seconds, high_seconds: Welch's interval of the difference; None where a span has fewer than two days.
        is_significant: whether 0 lies outside of it.
    """

    before: ComparedSpan
    after: ComparedSpan
    difference_seconds: float | None = None
    relative: float | None = None
    low_seconds: float | None = None
    high_seconds: float | None = None
    confidence: float | None = None
    degrees_of_freedom: float | None = None
    is_significant: bool | None = None
    method: str = "Welch's interval of the difference of daily means"


class WorkZoneDelay(Struct, frozen=True, kw_only=True):
    """What works cost those who drove past them.

    Attributes:
        steps: quarters of an hour of the works.
        compared_steps: those that were measured, and of which the usual level is known.
        usual_seconds, mean_seconds: travel times, usual and during the works, the means of these.
        delay_seconds: longer than usual, the mean; a step that was quicker counts as 0.
        delay_vehicle_hours: of all vehicles, where cameras count them.
        method: of the usual level.
    """

    steps: int
    compared_steps: int
    usual_seconds: float | None = None
    mean_seconds: float | None = None
    delay_seconds: float | None = None
    worst_delay_seconds: float | None = None
    vehicles_per_hour: float | None = None
    delay_vehicle_hours: float | None = None
    method: str = "median of the same quarter of an hour of weekdays or weekends in the 28 days before"
