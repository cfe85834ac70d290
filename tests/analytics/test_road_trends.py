"""Hours of the day and rush hours from sums of observations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from models.roads.trends import HourSpeed, RushHourPattern
from trafficapp.analytics.road_trends import RoadSums, by_local_hour, hourly_speeds, rush_hour_patterns

ROME = ZoneInfo("Europe/Rome")


def sums(observations: int, speed: float, jam: float = 0.0, high: int = 0) -> RoadSums:
    return RoadSums(observations, round(observations * speed * 10_000), round(observations * jam * 10_000), high)


def test_hours_are_local_when_clocks_change() -> None:
    # at 01:00 UTC of this day clocks went from 02:00 to 03:00
    spring = datetime(2026, 3, 29, tzinfo=UTC)
    slots = {spring + timedelta(hours=hour): sums(1, 10.0 + hour) for hour in range(-1, 3)}
    found = {entry.hour: entry.speed for entry in hourly_speeds(by_local_hour(slots, ROME)) if entry.speed is not None}
    assert found == {0: 9.0, 1: 10.0, 3: 11.0, 4: 12.0}
    # in autumn two hours have one name
    autumn = datetime(2026, 10, 25, tzinfo=UTC)
    hours = by_local_hour({autumn: sums(1, 10), autumn + timedelta(hours=1): sums(3, 20)}, ROME)
    assert hourly_speeds(hours)[2] == HourSpeed(2, 17.5)


def test_every_observation_weighs_the_same_and_nothing_is_null() -> None:
    hours = [RoadSums()] * 24
    assert hourly_speeds(hours) == [HourSpeed(hour, None) for hour in range(24)]
    (empty,) = rush_hour_patterns(hours, [(7, 9)])
    assert (empty.observations, empty.avg_speed, empty.slowdown, empty.slowest_hour) == (0, None, None, None)


def test_rush_hours_beside_the_time_outside_of_all_of_them() -> None:
    hours = [RoadSums()] * 24
    hours[7], hours[8], hours[17] = sums(10, 30, 4, 1), sums(30, 20, 8, 15), sums(4, 5, 9, 4)
    hours[3], hours[12] = sums(10, 50, 1), sums(10, 40, 2)
    morning, evening = rush_hour_patterns(hours, [(7, 9), (17, 19)])
    assert morning == RushHourPattern(
        name="morning",
        from_hour=7,
        to_hour=9,
        observations=40,
        avg_speed=22.5,
        avg_jam_factor=7.0,
        high_share=0.4,
        slowest_hour=8,
        avg_speed_outside=45.0,
        avg_jam_factor_outside=1.5,
        slowdown=0.5,
    )
    assert (evening.name, evening.avg_speed, evening.avg_speed_outside) == ("evening", 5.0, 45.0)
