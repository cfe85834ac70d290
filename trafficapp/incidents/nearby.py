"""Which incidents are near a place. A look costs the same whatever their number.

Places are points of a sphere in metres, in cubes twice as wide as the reach: whoever is within reach of a place is in
one of at most eight cubes, at the poles and at 180 degrees, too.
"""

from __future__ import annotations

from math import cos, floor, radians, sin
from typing import NamedTuple, TypeAlias

from trafficapp.movement.distance import EARTH_RADIUS_M

#: A cube holds so many incidents at most; of more, the one that was opened first is no longer found. Incidents that
#: are open at one time are merged within the reach, so that it takes days of event time in a cube to get there.
MOST_IN_A_CUBE = 64

_Point: TypeAlias = tuple[float, float, float]
_Cube: TypeAlias = tuple[int, int, int]


class Near(NamedTuple):
    """An incident near a place; ``squared`` is the square of its distance as the crow flies, through the earth."""

    squared: float
    number: int
    incident_id: str


class _Place(NamedTuple):
    point: _Point
    cube: _Cube
    number: int


_NONE: dict[str, _Place] = {}


class Nearby:
    """Incidents by where they are.

    Args:
        reach_m: how near is near, along the surface.
    """

    def __init__(self, reach_m: float) -> None:
        #: The chord of the arc.
        self._reach = 2 * EARTH_RADIUS_M * sin(reach_m / (2 * EARTH_RADIUS_M))
        self._side = 2 * self._reach
        self._cubes: dict[_Cube, dict[str, _Place]] = {}
        self._places: dict[str, _Place] = {}

    def put(self, incident_id: str, number: int, lat: float, lon: float) -> str | None:
        """Put an incident at a place, in degrees; ``number`` is in the order in which they were opened.

        Returns:
            the one that is no longer found, where there are too many; it may be the same one.
        """
        self.remove(incident_id)
        point = point_of(lat, lon)
        side = self._side
        cube = (floor(point[0] / side), floor(point[1] / side), floor(point[2] / side))
        place = _Place(point, cube, number)
        inside = self._cubes.setdefault(cube, {})
        if len(inside) >= MOST_IN_A_CUBE:
            first = min(inside, key=lambda one: inside[one].number)
            if inside[first].number > number:
                return incident_id
            self.remove(first)
            inside[incident_id] = self._places[incident_id] = place
            return first
        inside[incident_id] = self._places[incident_id] = place
        return None

    def remove(self, incident_id: str) -> None:
        """Forget an incident; one that is not there is no fault."""
        place = self._places.pop(incident_id, None)
        if place is not None:
            inside = self._cubes[place.cube]
            del inside[incident_id]
            if not inside:
                del self._cubes[place.cube]

    def find(self, lat: float, lon: float) -> list[Near]:
        """All within reach of a place, in degrees: the nearest first, of equals that which was opened first."""
        x, y, z = point_of(lat, lon)
        reach, side, cubes = self._reach, self._side, self._cubes
        farthest = reach * reach
        found: list[Near] = []
        # the edges of the box around the reach; both are mostly in one cube
        ys = {floor((y - reach) / side), floor((y + reach) / side)}
        zs = {floor((z - reach) / side), floor((z + reach) / side)}
        for i in {floor((x - reach) / side), floor((x + reach) / side)}:
            for j in ys:
                for k in zs:
                    for incident_id, ((a, b, c), _, number) in cubes.get((i, j, k), _NONE).items():
                        squared = (a - x) ** 2 + (b - y) ** 2 + (c - z) ** 2
                        if squared <= farthest:
                            found.append(Near(squared, number, incident_id))
        found.sort()
        return found


def point_of(lat: float, lon: float) -> _Point:
    """A place in degrees as a point of the sphere, metres."""
    phi, lam = radians(lat), radians(lon)
    ring = EARTH_RADIUS_M * cos(phi)
    return ring * cos(lam), ring * sin(lam), EARTH_RADIUS_M * sin(phi)
