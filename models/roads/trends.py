"""Body of ``/analytics/trends``: how roads were over a range of time."""

from __future__ import annotations

import msgspec
from msgspec import Struct


class HourSpeed(Struct, frozen=True):
    """One hour of the day, over all days of a range.

    Attributes:
        hour: 0..23, local time of the city.
        speed: mean of all observations in that hour, km/h; None when there is none.
    """

    hour: int
    speed: float | None


class RushHourPattern(Struct, frozen=True, kw_only=True):
    """One of the city's rush hours beside the rest of the day.

    Attributes:
        name: ``morning`` when it begins before noon, else ``evening``.
        from_hour, to_hour: local hours, ``[from_hour, to_hour)``.
        observations: how many observations of roads lie in it.
        avg_speed: their mean, km/h; None, as all means, when there are no observations.
        avg_jam_factor: their mean, 0 (free) to 10 (closed).
        high_share: share of them whose congestion level is high.
        slowest_hour: the hour of it with the least mean speed.
        avg_speed_outside: mean speed outside of all rush hours, km/h.
        avg_jam_factor_outside: mean jam factor outside of all rush hours.
        slowdown: share of the speed outside that is lost, 4 decimals; negative when it is faster than outside.
    """

    name: str
    from_hour: int
    to_hour: int
    observations: int
    avg_speed: float | None
    avg_jam_factor: float | None
    high_share: float | None
    slowest_hour: int | None
    avg_speed_outside: float | None
    avg_jam_factor_outside: float | None
    slowdown: float | None


class CongestedRoad(Struct, frozen=True, kw_only=True):
    """A road over a range.

    Attributes:
        observations: how many there are.
        avg_jam_factor: their mean, 0 (free) to 10 (closed).
        avg_speed: their mean, km/h.
        high_share: share of them whose congestion level is high.
    """

    road_id: str
    road_name: str
    observations: int
    avg_jam_factor: float
    avg_speed: float
    high_share: float


class RoadTrends(Struct, frozen=True, kw_only=True):
    """Figures of the observations of roads in a range; every observation weighs the same.

    Attributes:
        hourly_avg_speed: 24 entries, hour 0 first.
        rush_hour_patterns: one for each rush hour of the settings.
        top_congested_roads: the ten with the largest mean jam factor, the worst first.
    """

    hourly_avg_speed: list[HourSpeed]
    rush_hour_patterns: list[RushHourPattern]
    top_congested_roads: list[CongestedRoad]


encode_road_trends = msgspec.json.Encoder().encode
