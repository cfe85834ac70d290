"""Buses of the simulated city: they drive their routes at the speeds of the roads, and stop where people wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from zoneinfo import ZoneInfo

import numpy as np
import orjson

from models.timestamps import rfc3339
from models.transit.vehicles import VehicleStatus
from trafficapp.simulation.city import Floats
from trafficapp.simulation.feeds.lines import Line, Route, Stop
from trafficapp.simulation.feeds.riders import Riders
from trafficapp.simulation.feeds.timetable import LineTimetable, Turn, is_timepoint
from trafficapp.simulation.standing import moving_kmh, standing_share
from trafficapp.simulation.vehicles import GOES_SHARE, stop_shares
from trafficapp.sources.outgoing import Outgoing

VEHICLE_LOCATIONS, VEHICLE_ROUTES = "vehicle_locations", "vehicle_routes"

TELL_SECONDS = 5
#: A bus takes no more: the room that `trafficapp.settings` takes a bus to have.
ROOM = 80
#: At least so long it stands at a stop, and at most; one rider gets on in a second.
_STOP_SECONDS, _LONGEST_STOP_SECONDS = 8, 45
#: So long it rests at the end of its way, and at most so long when it is early: who stands longer has broken down.
_LEAST_REST_SECONDS, _LONGEST_REST_SECONDS = 20, 240
#: So long it waits at a stop for its time.
_LONGEST_WAIT_SECONDS = 120
#: At the start each is at most so late.
_FIRST_LATE_S = 60.0
#: So many of those in it get off at a stop, and at a hub.
_GET_OFF, _GET_OFF_AT_HUB = 0.1, 0.3
#: Once in so long a bus breaks down, or its radio fails; chosen so that somebody who watches sees some of both an hour.
_BREAKS_SECONDS = _FAILS_SECONDS = 4 * 3600.0
#: How long that lasts; one that is silent is missed after two minutes.
_BROKEN_SECONDS, _SILENT_SECONDS = (360, 900), (150, 420)
#: Hours of the city in which no bus drives.
_NO_SERVICE = range(1, 5)


@dataclass
class Bus:
    """A bus.

    Attributes:
        vehicle_id: its name.
        timetable: of its line.
        number: among the buses of the line, from 0.
        trip: that it drives by the timetable.
        turn: which of them it is on.
        at_m: how far along.
        next_stop: place of the stop before it among those of the route; their number when all lie behind it.
        passengers: people in it.
        status: what it says it does.
        stands: whether traffic holds it.
        waits_seconds: so long it stays where it is.
        at_stop: the stop at which its doors are open, and for how long they have been.
        broken_seconds: until it goes again.
        silent_seconds: until its radio works again.
        boarded, left: riders who got on and off since the start.
    """

    vehicle_id: str
    timetable: LineTimetable
    number: int
    trip: Turn
    turn: int
    at_m: float
    next_stop: int
    passengers: int
    status: VehicleStatus = "in_service"
    stands: bool = False
    waits_seconds: int = 0
    at_stop: Stop | None = None
    open_seconds: int = 0
    broken_seconds: int = 0
    silent_seconds: int = 0
    boarded: int = 0
    left: int = 0

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes that it drives in turn."""
        return self.timetable.line.routes

    @property
    def route(self) -> Route:
        """The route it is on."""
        return self.routes[self.turn]

    @property
    def due_s(self) -> float:
        """When it should be where it is, seconds since the epoch."""
        return self.timetable.due_s(self.turn, self.trip.begins_s, self.at_m)

    @property
    def turn_after(self) -> int:
        """Which of its routes comes next; it begins where this one ends."""
        return (self.turn + 1) % len(self.routes)

    def rest(self, now_s: float) -> None:
        """Wait at the end of a route until the next trip begins."""
        early_s = self.timetable.turn(self.number, self.turn_after, now_s).begins_s - now_s
        self.waits_seconds = int(min(max(early_s, _LEAST_REST_SECONDS), _LONGEST_REST_SECONDS))

    def find_trip(self, now_s: float) -> None:
        """Take the trip of its route that is nearest to where it is now."""
        begun_s = now_s - (self.due_s - self.trip.begins_s)
        self.trip = self.timetable.turn(self.number, self.turn, begun_s)

    @property
    def place(self) -> tuple[float, float]:
        """Latitude and longitude."""
        return self.route.place_at(self.at_m)


class Buses:
    """Moves buses second by second.

    Args:
        lines: that they serve.
        riders: who get on.
        chance: the source of chance.
        demand: how many are under way at the start, as a share of the morning peak.
        zone: the city's time zone.
        first_at_us: when they begin to drive; each is about where the timetable has it then.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        riders: Riders,
        chance: np.random.Generator,
        demand: float,
        zone: ZoneInfo,
        first_at_us: int,
    ) -> None:
        self._riders, self._chance = riders, chance
        self.buses: list[Bus] = []
        for line in lines:
            timetable = LineTimetable(line, zone)
            for number in range(line.buses):
                late_s = float(chance.uniform(0, _FIRST_LATE_S))
                turn, trip, share = timetable.at(number, first_at_us / 1e6 - late_s)
                route = line.routes[turn]
                at_m = share * route.length_m
                next_stop = sum(stop.at_m <= at_m for stop in route.stops)
                passengers = min(int(chance.poisson(15 * demand)), ROOM)
                name = f"bus-{line.name}-{number + 1}"
                bus = Bus(name, timetable, number, trip, turn, at_m, next_stop, passengers)
                if share == 1.0:
                    bus.passengers = 0
                    bus.rest(first_at_us / 1e6)
                self.buses.append(bus)

    def routes(self, time_us: int) -> Iterator[Outgoing]:
        """Yield which route each bus is on."""
        for bus in self.buses:
            yield _route_message(bus, time_us)

    def step(self, speed_kmh: Floats, hour: int, time_us: int) -> Iterator[Outgoing]:
        """Move on by a second; yield what buses and those who get on them tell.

        Args:
            speed_kmh: mean speed on each edge of the graph.
            hour: of the city's day.
            time_us: when that is.
        """
        mean_kmh = speed_kmh[[bus.route.edge_at(bus.at_m) for bus in self.buses]]
        standing = standing_share(mean_kmh)
        stops, moving_ms = stop_shares(standing).tolist(), (moving_kmh(mean_kmh) / 3.6).tolist()
        drawn = self._chance.random((len(self.buses), 3)).tolist()
        for bus, stop_share, metres, (stands, breaks, fails), turn in zip(
            self.buses, stops, moving_ms, drawn, count(), strict=False
        ):
            bus.stands ^= stands < (GOES_SHARE if bus.stands else stop_share)
            yield from self._move(bus, metres, hour, time_us, breaks < 1 / _BREAKS_SECONDS)
            if bus.silent_seconds:
                bus.silent_seconds -= 1
            elif bus.status == "in_service" and fails < 1 / _FAILS_SECONDS:
                bus.silent_seconds = int(self._chance.integers(*_SILENT_SECONDS))
            elif (time_us // 1_000_000 + turn) % TELL_SECONDS == 0:
                yield _location(bus, time_us)

    def _move(self, bus: Bus, metres: float, hour: int, time_us: int, breaks: bool) -> Iterator[Outgoing]:
        if bus.status == "end_of_service":
            if hour in _NO_SERVICE:
                return
            bus.status = "in_service"
            bus.find_trip(time_us / 1e6)
        if bus.status == "broken_down":
            bus.broken_seconds -= 1
            if bus.broken_seconds > 0:
                return
            bus.status = "in_service"
        if bus.at_stop is not None:
            yield from self._board(bus, bus.at_stop, hour, time_us)
        elif bus.waits_seconds:
            bus.waits_seconds -= 1
            if not bus.waits_seconds:
                bus.turn, bus.at_m, bus.next_stop = bus.turn_after, 0.0, 0
                bus.find_trip(time_us / 1e6)
                if len(bus.routes) > 1:
                    yield _route_message(bus, time_us)
        elif breaks:
            bus.status, bus.broken_seconds = "broken_down", int(self._chance.integers(*_BROKEN_SECONDS))
        elif not bus.stands:
            self._drive(bus, metres, time_us // 1_000_000)

    def _drive(self, bus: Bus, metres: float, now_s: int) -> None:
        """Get on along the route, to the next stop at most, or to its end."""
        route = bus.route
        bus.at_m += metres
        if bus.next_stop < len(route.stops) and bus.at_m >= route.stops[bus.next_stop].at_m:
            stop = route.stops[bus.next_stop]
            bus.at_m, bus.at_stop, bus.open_seconds = stop.at_m, stop, 0
            bus.next_stop += 1
            self._leave(bus, _GET_OFF_AT_HUB if stop.is_hub else _GET_OFF)
        elif bus.at_m >= route.length_m:
            bus.at_m = route.length_m
            if len(bus.routes) > 1:
                self._leave(bus, 1.0)
            bus.rest(now_s)

    def _leave(self, bus: Bus, share: float) -> None:
        """Let get off who wants to."""
        leaving = int(self._chance.binomial(bus.passengers, share))
        bus.passengers -= leaving
        bus.left += leaving

    def _board(self, bus: Bus, stop: Stop, hour: int, time_us: int) -> Iterator[Outgoing]:
        """A second with open doors."""
        bus.open_seconds += 1
        if hour in _NO_SERVICE:
            self._leave(bus, 1.0)
            bus.status, bus.at_stop = "end_of_service", None
            return
        wanted = self._riders.waiting[stop.number] > 0 and bus.passengers < ROOM
        if wanted and bus.open_seconds <= _LONGEST_STOP_SECONDS:
            bus.passengers += 1
            bus.boarded += 1
            yield self._riders.tap(stop, time_us)
        elif bus.open_seconds >= _STOP_SECONDS and not _waits_for_its_time(bus, time_us):
            bus.at_stop = None


def _waits_for_its_time(bus: Bus, time_us: int) -> bool:
    """Whether a bus is early where it may not be."""
    is_early = is_timepoint(bus.next_stop - 1) and time_us / 1e6 < bus.due_s
    return is_early and bus.open_seconds < _LONGEST_WAIT_SECONDS


def _location(bus: Bus, time_us: int) -> Outgoing:
    latitude, longitude = bus.place
    message = {
        "vehicle_id": bus.vehicle_id,
        "type": "bus",
        "latitude": round(latitude, 6),
        "longitude": round(longitude, 6),
        "passenger_count": bus.passengers,
        "status": bus.status,
        "timestamp": rfc3339(time_us),
        "trip_id": bus.trip.trip_id,
        "route_id": bus.timetable.line.name,
        "start_date": bus.trip.start_date,
    }
    return Outgoing(time_us, bus.vehicle_id.encode(), orjson.dumps(message), 0, VEHICLE_LOCATIONS)


def _route_message(bus: Bus, time_us: int) -> Outgoing:
    """Schedules tell no time with a route."""
    route = bus.route
    route_id = f"route-{route.name}-{bus.vehicle_id.rsplit('-', 1)[1]}"
    message = {
        "route_id": route_id,
        "vehicle_id": bus.vehicle_id,
        "vehicle_type": "bus",
        "path": [[round(latitude, 6), round(longitude, 6)] for latitude, longitude in route.path],
        "expected_travel_time_minutes": route.minutes,
    }
    return Outgoing(time_us, route_id.encode(), orjson.dumps(message), 0, VEHICLE_ROUTES)
