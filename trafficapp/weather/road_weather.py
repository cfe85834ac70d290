"""How much the weather slows each edge of a road graph whose speed is not measured: that of the nearest station.

What is measured has the weather in it already. Usual speeds and free flow do not: they are multiplied by the factor of
the nearest station that is current and within reach; where there is none nothing is known, and nothing is slowed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

import numpy as np
import shapely

from models.timestamps import epoch_us, from_epoch_us
from models.weather.current import CurrentWeather, Phenomenon
from models.weather.observed import WeatherObserved
from trafficapp.roads.graph.earth import FlatMap
from trafficapp.roads.graph.road_graph import Floats, Integers, RoadGraph

_METRES_PER_KM = 1000.0


class StationWeather(NamedTuple):
    """What a station says of speeds.

    Attributes:
        station: its name.
        latitude, longitude: degrees WGS 84.
        received_at: when its newest reading came, aware.
        phenomena: what slows roads around it.
        factor: what is left of usual speeds.
        reading: all that it told; None where nobody needs it.
    """

    station: str
    latitude: float
    longitude: float
    received_at: datetime
    phenomena: tuple[Phenomenon, ...]
    factor: float
    reading: WeatherObserved | None = None

    @property
    def words(self) -> str:
        """Its weather in words."""
        return " and ".join(name.replace("_", " ") for name in self.phenomena)


def station_weather(current: CurrentWeather) -> StationWeather:
    """What a document of a station says of speeds."""
    return StationWeather(
        current.station,
        current.latitude,
        current.longitude,
        from_epoch_us(epoch_us(current.received_at)),
        tuple(current.phenomena),
        current.speed_factor,
        WeatherObserved(
            station=current.station,
            observed_us=epoch_us(current.timestamp),
            latitude=current.latitude,
            longitude=current.longitude,
            temperature=current.temperature,
            condition=current.weather_condition,
            humidity=current.humidity,
            wind_speed=current.wind_speed,
            wind_gust=current.wind_gust,
            precipitation=current.precipitation,
            visibility=current.visibility,
            air_quality_index=current.air_quality_index,
            pm2_5=current.pm2_5,
        ),
    )


def current_stations(
    stations: Iterable[StationWeather], now: datetime, current_minutes: float
) -> tuple[StationWeather, ...]:
    """Stations whose newest reading came lately, in order of their names."""
    longest = timedelta(minutes=current_minutes)
    return tuple(sorted(one for one in stations if now - one.received_at <= longest))


@dataclass(frozen=True, eq=False)
class RoadWeather:
    """The weather on the edges of a graph.

    Attributes:
        stations: those that are current, in order of their names.
        station_of: position of the station of each edge; -1 where none is within reach.
    """

    stations: tuple[StationWeather, ...]
    station_of: Integers

    @cached_property
    def factors(self) -> Floats:
        """What is left of usual speeds on each edge; 1 where nothing is known."""
        of_stations = np.array([*(one.factor for one in self.stations), 1.0])
        factors: Floats = of_stations[self.station_of]
        factors.setflags(write=False)
        return factors

    @cached_property
    def slowing(self) -> tuple[StationWeather, ...]:
        """Stations that slow any edge, the worst first."""
        used = np.unique(self.station_of[self.station_of >= 0]).tolist()
        return tuple(sorted((self.stations[number] for number in used), key=lambda one: one.factor))[: self._slow(used)]

    def _slow(self, used: Sequence[int]) -> int:
        return sum(self.stations[number].factor < 1 for number in used)

    @cached_property
    def version(self) -> str:
        """Differs when any factor does; "" where nothing is slowed."""
        if not self.slowing:
            return ""
        return hashlib.blake2b(self.factors.tobytes(), digest_size=8).hexdigest()

    def of_edge(self, edge: int) -> StationWeather | None:
        """The station of an edge."""
        number = int(self.station_of[edge])
        return None if number < 0 else self.stations[number]

    def note(self) -> str | None:
        """What is done to speeds, for people; None where nothing is."""
        if not self.slowing:
            return None
        worst, more = self.slowing[0], len(self.slowing) - 1
        others = f" and {more} more" if more else ""
        return (
            f"for {worst.words} (station {worst.station}{others}) roads whose speed was not measured are taken to be "
            f"up to {100 * (1 - worst.factor):.0f} % slower"
        )


class EdgePlaces:
    """Where the edges of a graph are, to look for stations around them.

    Args:
        graph: the road graph.
    """

    def __init__(self, graph: RoadGraph) -> None:
        self._flat = FlatMap(float((graph.node_lat.min() + graph.node_lat.max()) / 2))
        middle = (graph.shape_offsets[:-1] + graph.shape_offsets[1:] - 1) // 2
        self._metres = self._flat.metres(graph.shape_lat[middle], graph.shape_lon[middle])
        self._points = shapely.points(self._metres)
        self._south_west, self._north_east = self._metres.min(0), self._metres.max(0)

    def weather(self, stations: Sequence[StationWeather], reach_km: float) -> RoadWeather:
        """The weather of each edge: 20,000 edges take some milliseconds, more than an event loop has.

        Args:
            stations: those that are current.
            reach_km: how far a station may be.
        """
        reach_m = reach_km * _METRES_PER_KM
        places = self._flat.metres(
            np.array([one.latitude for one in stations]), np.array([one.longitude for one in stations])
        )
        near = ((places >= self._south_west - reach_m) & (places <= self._north_east + reach_m)).all(1)
        kept = np.flatnonzero(near)
        station_of = np.full(len(self._points), -1, np.int64)
        if len(kept):
            tree = shapely.STRtree(shapely.points(places[kept]))
            edges, found = tree.query_nearest(self._points, max_distance=reach_m, all_matches=False)
            station_of[edges] = found
        return RoadWeather(tuple(stations[number] for number in kept.tolist()), station_of)


class WeatherOfRoads:
    """The weather of roads, by the edges that they are on.

    Args:
        weather: of the edges.
        position_of_edge: of the graph.
        edges: of each road, with the share of each that it covers.
    """

    def __init__(
        self,
        weather: RoadWeather,
        position_of_edge: Mapping[str, int],
        edges: Mapping[str, Sequence[tuple[str, float]]],
    ) -> None:
        self._weather, self._position, self._edges = weather, position_of_edge, edges

    def of_road(self, road_id: str) -> StationWeather | None:
        """The station of the middle one of a road's edges; None for a road that is not on the graph."""
        known = [place for name, _ in self._edges.get(road_id, ()) if (place := self._position.get(name)) is not None]
        return self._weather.of_edge(known[len(known) // 2]) if known else None
