"""All other feeds of the simulated city together, second by second, from the same traffic that cameras see."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from trafficapp.simulation.chance import DayChance
from trafficapp.simulation.city import City, Floats
from trafficapp.simulation.feeds.buses import VEHICLE_LOCATIONS, VEHICLE_ROUTES, Buses
from trafficapp.simulation.feeds.forms import FeedZones, LocalClock, MessageIds
from trafficapp.simulation.feeds.incidents import EMERGENCY_INCIDENTS, TRAFFIC_INCIDENTS, Desks
from trafficapp.simulation.feeds.lines import bus_lines
from trafficapp.simulation.feeds.pictures import TRAFFIC_CAMERA_DATA, StillCameras
from trafficapp.simulation.feeds.riders import RIDER_TAPPED_ON, Riders
from trafficapp.simulation.feeds.squares import TRAFFIC_DATA, Squares
from trafficapp.simulation.feeds.weather import Stations
from trafficapp.simulation.vehicles import Fleet
from trafficapp.sources.outgoing import Outgoing
from trafficapp.weather.topics import WEATHER_DATA

#: Where the messages go.
FEED_TOPICS = (
    *(VEHICLE_ROUTES, VEHICLE_LOCATIONS, RIDER_TAPPED_ON, TRAFFIC_INCIDENTS, EMERGENCY_INCIDENTS),
    *(WEATHER_DATA, TRAFFIC_DATA, TRAFFIC_CAMERA_DATA),
)


class CityFeeds:
    """What the city tells beside roads, cameras and probes.

    Args:
        city: the city.
        seed: of all chance.
        zone: the city's time zone.
        zones: of producers that write times without an offset.
        shift: the city's time less the clock.
        first_at_us: when it begins to tell.
        demand: how many are under way then, as a share of the morning peak.
    """

    def __init__(
        self,
        city: City,
        seed: int,
        zone: ZoneInfo,
        zones: FeedZones,
        shift: timedelta,
        first_at_us: int,
        demand: float,
    ) -> None:
        chance = np.random.default_rng([seed, first_at_us // 1_000_000, 7])
        ids = MessageIds(chance.spawn(1)[0])
        lines = bus_lines(city)
        stops = [stop for line in lines for route in line.routes for stop in route.stops]
        self._zone, self._second = zone, 0
        self.riders = Riders(stops, chance, ids, demand)
        self.buses = Buses(lines, self.riders, chance, demand, zone, first_at_us)
        self._desks = Desks(city.graph, shift, LocalClock(zones.incidents), ids)
        self._stations = Stations(city.graph, seed, LocalClock(zones.weather), ids)
        self._squares = Squares(city, LocalClock(zone))
        self._cameras = StillCameras(city.graph, self._squares, LocalClock(zones.still_cameras), ids)

    def messages(
        self, chance: DayChance, played: datetime, speed_kmh: Floats, fleet: Fleet, time_us: int
    ) -> Iterator[Outgoing]:
        """Yield what is told in a second; seconds follow each other.

        Args:
            chance: what happens on this day.
            played: the time in the city.
            speed_kmh: mean speed on each edge.
            fleet: all vehicles.
            time_us: the time of the clock.
        """
        demand, local = chance.demand(played), played.astimezone(self._zone)
        if not self._second:
            yield from self.buses.routes(time_us)
        self.riders.come(demand)
        yield from self.buses.step(speed_kmh, local.hour, time_us)
        yield from self._desks.reports(chance, played, time_us)
        yield from self._stations.readings(self._second, local, chance.rain_mm_h(played), demand, time_us)
        yield from self._squares.counts(fleet, [bus.place for bus in self.buses.buses], self._second, time_us)
        yield from self._cameras.pictures(fleet, self._second, time_us)
        self._second += 1
