"""Which vehicles are on which roads, how fast traffic flows there, and in the city on average."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely

from models.city.traffic import CityCongestionLevel, CitySummary, RoadTraffic
from models.timestamps import rfc3339
from trafficapp.roads.graph.earth import FlatMap, between_headings, headings

#: How far a vehicle may be from the line of its road, metres: the error of a tracker between houses, and half a road.
REACH_M = 25.0

#: What a degree between the headings of vehicle and road counts like in metres; a vehicle that drives against the road
#: is on another one. With it 99.4 % of the recorded fixes of Bologna are put on their edges, 85.3 % without.
METRES_PER_DEGREE = 0.25
MOST_DEGREES = 90.0

#: Shares of the speed of free flow from which on a level holds. The Highway Capacity Manual, 6th ed., exhibit 16-3, has
#: 0.85, 0.67, 0.50, 0.40 and 0.30 for levels of service A to E of urban streets: light is A and B, and so on.
LEVELS: tuple[tuple[float, CityCongestionLevel], ...] = ((0.67, "light"), (0.50, "moderate"), (0.30, "heavy"))

#: A standing road takes no time without end to drive over.
_SLOWEST_KMH = 1.0


@dataclass(frozen=True, slots=True)
class ObservedRoad:
    """A road of the feed.

    Attributes:
        line: places as (longitude, latitude), in the direction of travel.
        speed_kmh: measured; None where it is only usual or nobody may drive.
        time_us: when, microseconds since the epoch.
    """

    road_id: str
    line: Sequence[tuple[float, float]]
    speed_kmh: float | None
    free_flow_kmh: float
    time_us: int


@dataclass(frozen=True, slots=True)
class LocatedVehicle:
    """A vehicle, degrees and km/h; None where it did not say.

    Attributes:
        time_us: when it was there.
    """

    latitude: float
    longitude: float
    heading: float | None
    speed_kmh: float | None
    time_us: int


class RoadMap:
    """The lines of roads on a flat map, for vehicles to be put on.

    Args:
        lines: of roads by their ids, places as (longitude, latitude); those with fewer than two places are left out.
    """

    def __init__(self, lines: Mapping[str, Sequence[tuple[float, float]]]) -> None:
        kept = {road_id: np.asarray(line, dtype=float) for road_id, line in lines.items() if len(line) > 1}
        self.road_ids = list(kept)
        latitudes = np.concatenate([line[:, 1] for line in kept.values()]) if kept else np.zeros(1)
        self._map = FlatMap(float(latitudes.mean()))
        self._lines = [shapely.LineString(self._map.metres(line[:, 1], line[:, 0])) for line in kept.values()]
        self.lengths_m: dict[str, float] = dict(zip(self.road_ids, shapely.length(self._lines).tolist(), strict=True))
        self._tree = shapely.STRtree(self._lines)

    def roads_of(self, vehicles: Sequence[LocatedVehicle]) -> list[str | None]:
        """The road that each vehicle is on: the nearest that leads where it drives."""
        found: list[str | None] = [None] * len(vehicles)
        if not vehicles or not self._lines:
            return found
        places = np.array([(one.latitude, one.longitude) for one in vehicles])
        points = shapely.points(self._map.metres(places[:, 0], places[:, 1]))
        which, road = self._tree.query(points, predicate="dwithin", distance=REACH_M)
        if not len(which):
            return found
        lines, near = np.array(self._lines, dtype=object)[road], points[which]
        cost = shapely.distance(lines, near)
        told = np.array([np.nan if one.heading is None else one.heading for one in vehicles])[which]
        turned = between_headings(told, _headings_at(lines, near))
        cost = cost + METRES_PER_DEGREE * np.nan_to_num(turned)
        cost[turned > MOST_DEGREES] = np.inf
        for position in np.lexsort((road, cost))[::-1]:
            if np.isfinite(cost[position]):
                # the cheapest comes last
                found[which[position]] = self.road_ids[road[position]]
        return found


@dataclass(frozen=True, slots=True)
class CityTraffic:
    """Traffic of all roads that are known, and the whole of it.

    Attributes:
        roads: all of them.
        average_speed_kmh: of those that are to be believed.
        unhealthy: those that are not.
    """

    roads: list[RoadTraffic] = field(default_factory=list)
    average_speed_kmh: float | None = None
    unhealthy: Collection[str] = ()

    @property
    def congested_roads(self) -> int:
        """How many are heavy or severe, of those that are to be believed."""
        return sum(road.congestion_level in ("heavy", "severe") for road in self._believed)

    @property
    def healthy_share(self) -> float | None:
        """Share of the roads with a level that are to be believed, 0..1; None without any."""
        levelled = sum(road.congestion_level is not None for road in self.roads)
        return sum(road.congestion_level is not None for road in self._believed) / levelled if levelled else None

    @property
    def _believed(self) -> list[RoadTraffic]:
        return [road for road in self.roads if road.road_id not in self.unhealthy]

    def summary(self, total_vehicles: int, active_emergencies: int, now_us: int) -> CitySummary:
        """The city now."""
        share = self.healthy_share
        return CitySummary(
            total_vehicles=total_vehicles,
            active_emergencies=active_emergencies,
            average_city_speed=self.average_speed_kmh,
            congested_roads=self.congested_roads,
            timestamp=rfc3339(now_us),
            healthy_share=None if share is None else round(share, 4),
        )


def city_traffic(
    roads: Sequence[ObservedRoad],
    vehicles: Sequence[LocatedVehicle],
    road_map: RoadMap | None = None,
    unhealthy: Collection[str] = (),
) -> CityTraffic:
    """How traffic flows.

    Args:
        roads: that were observed lately.
        vehicles: that were located within the last minutes.
        road_map: of these roads, where it was made before.
        unhealthy: roads that the figures of the city leave out.
    """
    road_map = RoadMap({road.road_id: road.line for road in roads}) if road_map is None else road_map
    on_roads: dict[str, list[LocatedVehicle]] = {}
    for vehicle, road_id in zip(vehicles, road_map.roads_of(vehicles), strict=True):
        if road_id is not None:
            on_roads.setdefault(road_id, []).append(vehicle)
    found, metres, hours = [], 0.0, 0.0
    for road in roads:
        there = on_roads.get(road.road_id, [])
        speed_kmh = road.speed_kmh
        if speed_kmh is None:
            told = [one.speed_kmh for one in there if one.speed_kmh is not None]
            speed_kmh = sum(told) / len(told) if told else None
        elif road.road_id not in unhealthy:
            length_m = road_map.lengths_m.get(road.road_id, 0.0)
            metres, hours = metres + length_m, hours + length_m / max(speed_kmh, _SLOWEST_KMH)
        found.append(
            RoadTraffic(
                road_id=road.road_id,
                average_speed=None if speed_kmh is None else round(speed_kmh, 1),
                vehicle_count=len(there),
                congestion_level=None if speed_kmh is None else level_of(speed_kmh, road.free_flow_kmh),
                timestamp=rfc3339(max([road.time_us, *(one.time_us for one in there)])),
            )
        )
    return CityTraffic(found, round(metres / hours, 1) if hours else None, unhealthy)


def level_of(speed_kmh: float, free_flow_kmh: float) -> CityCongestionLevel:
    """The level of a speed, by its share of that of free flow."""
    share = speed_kmh / free_flow_kmh if free_flow_kmh > 0 else 1.0
    return next((level for least, level in LEVELS if share >= least), "severe")


def _headings_at(lines: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where lines lead next to points, degrees clockwise from north."""
    along, length = shapely.line_locate_point(lines, points), shapely.length(lines)
    before = shapely.line_interpolate_point(lines, np.clip(along - 1.0, 0.0, None))
    behind = shapely.line_interpolate_point(lines, np.minimum(along + 1.0, length))
    return headings(shapely.get_coordinates(behind) - shapely.get_coordinates(before))
