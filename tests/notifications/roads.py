"""Roads under observation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.notifications.conditions import RoadCondition
from trafficapp.notifications.notices import Notice, OpenNotices, RoadNotices
from trafficapp.settings import NotificationSettings

#: 2026-03-02T07:00:00Z.
BEGIN_US = 1_772_434_800 * MICROSECONDS_PER_SECOND
MINUTE_US = 60 * MICROSECONDS_PER_SECOND


def road(minute: float = 0, **values: Any) -> RoadCondition:
    """A road of 50 km/h that flows freely unless told otherwise."""
    free = {"current_speed_kmh": 50.0, "free_flow_kmh": 50.0, "jam_factor": 0.0}
    at = BEGIN_US + round(minute * MINUTE_US)
    return RoadCondition(road_id="r1", road_name="Via Emilia", observed_at_us=at, **{**free, **values})


def drive(speeds_kmh: Sequence[float], minutes: float = 5, free_flow_kmh: float = 50.0) -> list[RoadCondition]:
    """A road that is measured every so many minutes; nothing is predicted."""
    times = [BEGIN_US + round(number * minutes * MINUTE_US) for number in range(len(speeds_kmh))]
    measured = list(zip(times, speeds_kmh, strict=True))
    return [
        road(
            number * minutes,
            current_speed_kmh=speed,
            free_flow_kmh=free_flow_kmh,
            speeds_before=measured[max(number - 12, 0) : number],
        )
        for number, speed in enumerate(speeds_kmh)
    ]


def raised(roads: Sequence[RoadCondition], notices: OpenNotices | None = None, **settings: Any) -> list[Notice]:
    """What is raised by observations in a row; by the first one, unless the settings say otherwise."""
    settings = {"raise_observations": 1} | settings
    rules, notices, found = RoadNotices(NotificationSettings(**settings)), notices or OpenNotices(), list[Notice]()
    for one in roads:
        new, notices = rules.judge(one, notices)
        found += new
    return found
