"""Figures of roads over a range, from sums of their observations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from models.roads.trends import CongestedRoad, HourSpeed, RushHourPattern

#: Speeds and jam factors are added up in units of 1e-4, as integers.
_UNIT = 10_000
_NOON = 12


@dataclass(frozen=True, slots=True)
class RoadSums:
    """Sums of observations.

    Attributes:
        speed_e4: of their speeds, in units of 1e-4 km/h.
        jam_e4: of their jam factors, in units of 1e-4.
        high: how many have the congestion level high.
    """

    observations: int = 0
    speed_e4: int = 0
    jam_e4: int = 0
    high: int = 0

    def __add__(self, other: RoadSums) -> RoadSums:
        return RoadSums(
            self.observations + other.observations,
            self.speed_e4 + other.speed_e4,
            self.jam_e4 + other.jam_e4,
            self.high + other.high,
        )

    @property
    def avg_speed_kmh(self) -> float | None:
        """The mean speed, 2 decimals; None without observations."""
        return round(self.speed_e4 / (self.observations * _UNIT), 2) if self.observations else None

    @property
    def avg_jam_factor(self) -> float | None:
        """The mean jam factor, 2 decimals; None without observations."""
        return round(self.jam_e4 / (self.observations * _UNIT), 2) if self.observations else None

    @property
    def high_share(self) -> float | None:
        """The share at high, 4 decimals; None without observations."""
        return round(self.high / self.observations, 4) if self.observations else None


def by_local_hour(slots: Mapping[datetime, RoadSums], zone: tzinfo) -> list[RoadSums]:
    """The sums of each hour of the day.

    Args:
        slots: by their begin, aware; none of them straddles a local hour.
        zone: of the hours.
    """
    hours = [RoadSums()] * 24
    for start, sums in slots.items():
        hour = start.astimezone(zone).hour
        hours[hour] = hours[hour] + sums
    return hours


def hourly_speeds(hours: Sequence[RoadSums]) -> list[HourSpeed]:
    """The mean speed of each hour of the day."""
    return [HourSpeed(hour, sums.avg_speed_kmh) for hour, sums in enumerate(hours)]


def rush_hour_patterns(hours: Sequence[RoadSums], rush_hours: Sequence[tuple[int, int]]) -> list[RushHourPattern]:
    """Each rush hour beside the rest of the day."""
    rushing = {hour for begin, end in rush_hours for hour in range(begin, end)}
    outside = total(sums for hour, sums in enumerate(hours) if hour not in rushing)
    return [_pattern(begin, end, hours, outside) for begin, end in rush_hours]


def congested_road(road_id: str, road_name: str, sums: RoadSums) -> CongestedRoad:
    """A road of the list of the most congested ones; it has observations."""
    return CongestedRoad(
        road_id=road_id,
        road_name=road_name,
        observations=sums.observations,
        avg_jam_factor=sums.avg_jam_factor or 0.0,
        avg_speed=sums.avg_speed_kmh or 0.0,
        high_share=sums.high_share or 0.0,
    )


def total(parts: Iterable[RoadSums]) -> RoadSums:
    """All of them."""
    return sum(parts, RoadSums())


def _pattern(begin: int, end: int, hours: Sequence[RoadSums], outside: RoadSums) -> RushHourPattern:
    inside = total(hours[begin:end])
    speeds = [(sums.speed_e4 / sums.observations, hour) for hour, sums in enumerate(hours) if sums.observations]
    speeds = [(speed, hour) for speed, hour in speeds if begin <= hour < end]
    slowdown = None
    if inside.observations and outside.speed_e4:
        mean_inside = inside.speed_e4 / inside.observations
        slowdown = round(1 - mean_inside / (outside.speed_e4 / outside.observations), 4)
    return RushHourPattern(
        name="morning" if begin < _NOON else "evening",
        from_hour=begin,
        to_hour=end,
        observations=inside.observations,
        avg_speed=inside.avg_speed_kmh,
        avg_jam_factor=inside.avg_jam_factor,
        high_share=inside.high_share,
        slowest_hour=min(speeds)[1] if speeds else None,
        avg_speed_outside=outside.avg_speed_kmh,
        avg_jam_factor_outside=outside.avg_jam_factor,
        slowdown=slowdown,
    )
