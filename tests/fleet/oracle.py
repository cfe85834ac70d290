"""Where a vehicle is, worked out anew from everything that was heard of it: shares no code with what it checks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from models.fleet.fixes import Fix

PRECEDENCE = ["vehicle_data", "gps_data"]
DIRECTION_FROM_M = 10.0


def records(heard: Sequence[Fix]) -> list[dict[str, Any]]:
    """What is told of a device after each of its fixes; nothing of one that repeats what its feed said just now."""
    told = []
    for number, fix in enumerate(heard):
        before = heard[:number]
        newest = max((one.time_us for one in before), default=fix.time_us)
        own = {
            "fix_latitude": fix.latitude,
            "fix_longitude": fix.longitude,
            "fix_speed": fix.speed_kmh,
            "fix_direction": fix.heading,
            "feed": fix.feed,
        }
        if fix.time_us < newest:
            told.append(own | {"latitude": fix.latitude, "longitude": fix.longitude, "time_us": fix.time_us,
                               "speed": fix.speed_kmh, "direction": fix.heading, "computed_speed": None})  # fmt: skip
        elif not any(one.feed == fix.feed and one.time_us == fix.time_us for one in before):
            told.append(own | state(heard[: number + 1]))
    return told


def state(heard: Sequence[Fix]) -> dict[str, Any]:
    """Where a device is after all of this."""
    newest = max(one.time_us for one in heard)
    there = of_time(heard, newest)
    place = there[0]
    first = next(number for number, one in enumerate(heard) if one.time_us == newest)
    earlier = heard[:first]
    computed = direction = None
    if earlier:
        last = max(one.time_us for one in earlier)
        from_ = of_time(earlier, last)[0]
        metres = distance(from_, place)
        computed = metres / ((newest - last) / 1e6) * 3.6
        direction = state(earlier)["direction"]
        if metres >= DIRECTION_FROM_M:
            direction = bearing(from_, place)
    return {
        "latitude": place.latitude,
        "longitude": place.longitude,
        "time_us": newest,
        "speed": first_known([one.speed_kmh for one in there], computed),
        "direction": first_known([one.heading for one in there], direction),
        "computed_speed": computed,
    }


def of_time(heard: Sequence[Fix], time_us: int) -> list[Fix]:
    """What each feed said first of a time, the one that counts most at the beginning."""
    found = {}
    for one in heard:
        if one.time_us == time_us:
            found.setdefault(one.feed, one)
    return [found[feed] for feed in PRECEDENCE if feed in found]


def first_known(told: Sequence[float | None], otherwise: float | None) -> float | None:
    return next((one for one in told if one is not None), otherwise)


def distance(one: Fix, other: Fix) -> float:
    """Metres, by vectors from the middle of the earth."""
    angle = math.atan2(
        math.dist((0, 0, 0), cross(one, other)), sum(a * b for a, b in zip(xyz(one), xyz(other), strict=True))
    )
    return angle * 6_371_008.8


def bearing(one: Fix, other: Fix) -> float:
    """Degrees at the beginning of the great circle."""
    phi, other_phi = math.radians(one.latitude), math.radians(other.latitude)
    turned = math.radians(other.longitude - one.longitude)
    east = math.sin(turned) * math.cos(other_phi)
    north = math.cos(phi) * math.sin(other_phi) - math.sin(phi) * math.cos(other_phi) * math.cos(turned)
    return math.degrees(math.atan2(east, north)) % 360


def xyz(place: Fix) -> tuple[float, float, float]:
    phi, theta = math.radians(place.latitude), math.radians(place.longitude)
    return math.cos(phi) * math.cos(theta), math.cos(phi) * math.sin(theta), math.sin(phi)


def cross(one: Fix, other: Fix) -> tuple[float, float, float]:
    (a, b, c), (d, e, f) = xyz(one), xyz(other)
    return b * f - c * e, c * d - a * f, a * e - b * d
