"""What a vehicle did, worked out from all that was heard of it at once: shares no code with what it checks.

The rules stand in docs/fleet.md; the numbers are the defaults of the settings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import shapely

from models.fleet.fixes import Fix
from tests.fleet import oracle

STAND_S, GAP_S, DWELL_S, PAUSE_S = 200, 600, 600, 10
STANDING_M, TRIP_M, BORDER_M = 20.0, 200.0, 30.0
MOVING_KMH = 5.0
BRAKING, MOST_BRAKING = 3.4, 12.0

#: Latitude, longitude and heading to a limit in km/h.
LimitAt = Callable[[float, float, float | None], float | None]


class Zone(NamedTuple):
    """A zone, its ring closed, of (longitude, latitude)."""

    zone_id: int
    ring: Sequence[tuple[float, float]]


@dataclass
class Place:
    """What counts of a time.

    Attributes:
        jumped: whether it cannot have got here.
        doubted: whether an alert says that it jumps about.
        silent_after: whether nothing was heard for long behind it.
        braked: drops of speed told here: begin, both speeds.
    """

    time_us: int
    fixes: list[Fix]
    heading: float | None
    jumped: bool = False
    doubted: bool = False
    first_jumped: bool = False
    silent_after: bool = False

    @property
    def fix(self) -> Fix:
        """The one that counts."""
        return self.fixes[0]

    @property
    def speed(self) -> float | None:
        """What was told of it."""
        return next((one.speed_kmh for one in self.fixes if one.speed_kmh is not None), None)

    @property
    def is_true(self) -> bool:
        """Whether it was driven to."""
        return not (self.jumped or self.doubted)


def happened(
    heard: Sequence[Fix], zones: Sequence[Zone], limit_at: LimitAt, silent_after: Collection[int]
) -> list[dict[str, Any]]:
    """Everything that must be told of a vehicle.

    Args:
        heard: its fixes in their order; no clock was set back.
        zones: all.
        limit_at: of roads.
        silent_after: numbers of fixes behind which nothing was heard for long; the last one for what is over.
    """
    places, brakes = judged_places(heard, silent_after)
    last_is_open = len(heard) - 1 not in silent_after
    if last_is_open:
        # it may still be corrected
        places = places[:-1]
    return [
        *brakes,
        *(one for run in runs_of(places) for one in trips(run)),
        *(one for zone in zones for one in visits(zone, [place for place in places if place.is_true])),
        *(one for run in runs_of(places) for one in speeding(run, limit_at)),
    ]


def judged_places(heard: Sequence[Fix], silent_after: Collection[int]) -> tuple[list[Place], list[dict[str, Any]]]:
    """Places by their times, and brakings on the way."""
    places: list[Place] = []
    last_of_feed: dict[str, Fix] = {}
    brakes: list[dict[str, Any]] = []
    moves: list[bool] = []
    is_open, braked_us, mps2 = False, None, 0.0
    for number, fix in enumerate(heard):
        newest = places[-1] if places else None
        known = last_of_feed.get(fix.feed)
        is_late = newest is not None and fix.time_us < newest.time_us
        if known is None or known.time_us < fix.time_us:
            last_of_feed[fix.feed] = fix
        elif not is_late:
            if number in silent_after:
                places[-1].silent_after = True
            continue  # once more
        if not is_late:
            if newest is None or fix.time_us > newest.time_us:
                place = Place(fix.time_us, [fix], None)
                if newest is not None:
                    place.first_jumped = jump(newest.fix, fix)
                    moves.append(place.first_jumped)
                    if not is_open and sum(moves[-10:]) >= 3:
                        is_open, moves = True, []
                    elif is_open and len(moves) >= 20 and not any(moves[-20:]):
                        is_open, moves = False, []
                places.append(place)
            elif not newest.silent_after:
                newest.fixes = sorted([*newest.fixes, fix], key=lambda one: oracle.PRECEDENCE.index(one.feed))
            place = places[-1]
            place.doubted = is_open
            if known is None or known.speed_kmh is None or fix.speed_kmh is None:
                is_braking = False
            else:
                seconds = (fix.time_us - known.time_us) / 1e6
                mps2 = (known.speed_kmh - fix.speed_kmh) / 3.6 / seconds
                is_braking = seconds >= 0.5 and BRAKING <= mps2 <= MOST_BRAKING
            if is_braking and known is not None and not is_open and not place.first_jumped:
                if braked_us is None or known.time_us - braked_us > PAUSE_S * 1e6:
                    brakes.append({"event": "harsh_braking", "began": known.time_us, "ended": fix.time_us,
                                   "from": known.speed_kmh, "to": fix.speed_kmh, "mps2": mps2})  # fmt: skip
                braked_us = fix.time_us
        if number in silent_after:
            places[-1].silent_after = True
    for before, place in pairwise(places):
        place.jumped = jump(before.fix, place.fix)
    headings(places)
    return places, brakes


def headings(places: Sequence[Place]) -> None:
    """What was told, else the way from the place before, if that is far enough, else what was known."""
    known = None
    for number, place in enumerate(places):
        told = next((one.heading for one in place.fixes if one.heading is not None), None)
        if told is None and number and metres(places[number - 1], place) >= oracle.DIRECTION_FROM_M:
            told = oracle.bearing(places[number - 1].fix, place.fix)
        known = place.heading = known if told is None else told


def jump(one: Fix, other: Fix) -> bool:
    return oracle.distance(one, other) > 200 + 250 / 3.6 * (other.time_us - one.time_us) / 1e6


def metres(one: Place, other: Place) -> float:
    return oracle.distance(one.fix, other.fix)


def kmh(one: Place, other: Place) -> float:
    return metres(one, other) / ((other.time_us - one.time_us) / 1e6) * 3.6


class Run(NamedTuple):
    """Places that were driven to one after the other, and why there are no more; None where more may follow."""

    places: list[Place]
    ended_by: str | None


def runs_of(places: Sequence[Place]) -> Iterator[Run]:
    run: list[Place] = []
    for number, place in enumerate(places):
        if not place.is_true:
            if run:
                yield Run(run, "jump")
            run = []
            continue
        if number and run and place.time_us - places[number - 1].time_us > GAP_S * 1e6:
            yield Run(run, "gap")
            run = []
        run.append(place)
    if run:
        yield Run(run, None)


class Leg(NamedTuple):
    begin: int
    end: int
    is_driven: bool


def legs_of(places: Sequence[Place]) -> list[Leg]:
    found, anchor = [], 0
    for number in range(1, len(places)):
        if metres(places[anchor], places[number]) < STANDING_M:
            continue
        if kmh(places[anchor], places[number]) >= MOVING_KMH:
            found.append(Leg(anchor, number, True))
        elif kmh(places[number - 1], places[number]) >= MOVING_KMH:
            found.append(Leg(number - 1, number, True))
        else:
            found.append(Leg(anchor, number, False))
        anchor = number
    return found


def trips(run: Run) -> Iterator[dict[str, Any]]:
    places = run.places
    legs = legs_of(places)
    driven = [number for number, leg in enumerate(legs) if leg.is_driven]
    groups: list[list[int]] = []
    for number in driven:
        if groups and why_over(places, legs[groups[-1][-1]].end, legs[number].end) is None:
            groups[-1].append(number)
        else:
            groups.append([number])
    for at, group in enumerate(groups):
        first, last = legs[group[0]], legs[group[-1]]
        until = legs[groups[at + 1][0]].end if at + 1 < len(groups) else len(places)
        ended_by = why_over(places, last.end, until) or run.ended_by
        begin = places[first.begin]
        reached = max(metres(begin, places[legs[number].end]) for number in group)
        if ended_by is None or reached < TRIP_M:
            continue
        moving = sum(places[legs[number].end].time_us - places[legs[number].begin].time_us for number in group)
        yield {
            "event": "trip",
            "began": begin.time_us,
            "ended": places[last.end].time_us,
            "metres": sum(metres(places[leg.begin], places[leg.end]) for leg in legs[group[0] : group[-1] + 1]),
            "moving": moving / 1e6,
            "standing": (places[last.end].time_us - begin.time_us - moving) / 1e6,
            "ended_by": ended_by,
        }


def why_over(places: Sequence[Place], end: int, until: int) -> str | None:
    """Why a trip that drove up to one place is over before another."""
    for number in range(end, until):
        if places[number].time_us - places[end].time_us >= STAND_S * 1e6:
            return "stand"
        if places[number].silent_after:
            return "silence"
    return None


def visits(zone: Zone, places: Sequence[Place]) -> Iterator[dict[str, Any]]:
    since: int | None = None
    told = False
    for place in places:
        is_inside = inside(zone.ring, place.fix.longitude, place.fix.latitude)
        said = {"zone": zone.zone_id, "at": place.time_us}
        if since is None:
            if is_inside:
                since, told = place.time_us, False
                yield said | {"event": "enter", "since": since}
        elif is_inside or border_m(zone.ring, place.fix.longitude, place.fix.latitude) <= BORDER_M:
            if not told and place.time_us - since >= DWELL_S * 1e6:
                told = True
                yield said | {"event": "dwell", "since": since}
        else:
            yield said | {"event": "leave", "since": since}
            since = None


def inside(ring: Sequence[tuple[float, float]], x: float, y: float) -> bool:
    """Edges that a ray to the east crosses; an edge has its lower end, not its upper one."""
    crossed = 0
    for (x1, y1), (x2, y2) in pairwise(ring):
        (lower_x, lower_y), (upper_x, upper_y) = sorted([(x1, y1), (x2, y2)], key=lambda one: one[1])
        if lower_y <= y < upper_y:
            # on its left
            crossed += (upper_x - lower_x) * (y - lower_y) - (x - lower_x) * (upper_y - lower_y) > 0
    return crossed % 2 == 1


def border_m(ring: Sequence[tuple[float, float]], x: float, y: float) -> float:
    metres_per_degree = math.radians(1) * 6_371_008.8
    wide = metres_per_degree * math.cos(math.radians(y))
    line = shapely.LineString([((lon - x) * wide, (lat - y) * metres_per_degree) for lon, lat in ring])
    return float(line.distance(shapely.Point(0, 0)))


def speeding(run: Run, limit_at: LimitAt) -> Iterator[dict[str, Any]]:
    group: list[tuple[float, float, Place]] = []
    for place in run.places:
        limit = None if place.speed is None else limit_at(place.fix.latitude, place.fix.longitude, place.heading)
        is_over = False
        if limit is not None and place.speed is not None and place.speed > limit + max(5, limit * 0.05):
            is_over = True
            group.append((place.speed, limit, place))
        if group and (not is_over or place.silent_after):
            yield from _told(group)
            group = []
    if run.ended_by is not None:
        yield from _told(group)


def _told(group: Sequence[tuple[float, float, Place]]) -> Iterator[dict[str, Any]]:
    if len(group) >= 2:
        speed, limit, _ = max(group, key=lambda one: one[0] - one[1])
        yield {"event": "speeding", "began": group[0][2].time_us, "ended": group[-1][2].time_us, "speed": speed,
               "limit": limit}  # fmt: skip
