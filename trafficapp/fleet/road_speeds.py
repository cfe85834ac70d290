"""Speeds of roads from the vehicles that drove them, as messages of the road-speed feed.

Of each edge and minute the speed is what all vehicles drove over what it took them: the space-mean speed, the one whose
travel time is right (Edie: Discussion of traffic stream measurements and definitions, 1963). A minute is told once it
and a while are over by the partition's clock, which follows whoever matches fixes slowest; what comes later still makes
a speed of its own. So everything that was driven is in one speed, whenever it comes.

How far a speed is believed follows from how many vehicles it is of (Bühlmann: Experience rating and credibility, 1967):
n / (n + k), where k is how much vehicles on a road differ from each other, over how much the road differs from itself
(variances). On Bologna's probes k is 1.7 for a minute (`tests.bench.matching`).

What free flow is on a road, signals included, is learnt: the 85th percentile of its speeds, as for the reference speeds
of INRIX, by stochastic approximation (Robbins and Monro, 1951). It is never above what the graph has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID, uuid5

import msgspec
from msgspec import Struct, field

from models.fleet.travels import Travel
from models.roads.messages import MATCHED_VEHICLES, RoadMessage
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.feeds.rules import Told, When
from trafficapp.roads.feed import LEAST_FREE_FLOW_KMH, jam_factor
from trafficapp.topics import ROADS_RAW

_NAMESPACE = UUID("6f1c3f3e-3a54-5a0c-9c0a-1b8f6f0e2d71")
_MINUTE_US = 60 * MICROSECONDS_PER_SECOND
#: What was driven in a minute is known so long after it: fixes are settled ten seconds later, clocks tick every five.
_WAIT_US = 15 * MICROSECONDS_PER_SECOND

#: k, see above.
_VARIANCES = 2.0
#: A bus says half of what a car says: it is held up elsewhere, and what it stands is left out.
_BUS_COUNTS = 0.5

_PERCENTILE = 0.85
#: Steps of the approximation, km/h: the first, and the least.
_FIRST_STEP_KMH, _LEAST_STEP_KMH = 10.0, 0.5


class Sums(Struct, array_like=True, gc=False):
    """What was driven of an edge in a minute, by whom."""

    metres: float = 0.0
    seconds: float = 0.0
    vehicles: list[str] = field(default_factory=list)

    def add(self, travel: Travel) -> None:
        """Add what one vehicle drove."""
        self.metres += travel.metres
        self.seconds += travel.seconds
        if travel.vehicle not in self.vehicles:
            self.vehicles.append(travel.vehicle)


class Minute(Struct, array_like=True, gc=False):
    """A minute of an edge that is not told.

    Attributes:
        begun_us: the partition's clock when the first of it came.
        newest_us: when a vehicle was seen last, microseconds since the epoch, by the broker's clock.
        cars: of all vehicles that drive with the traffic.
        buses: of those that stop where it does not.
    """

    begun_us: int
    newest_us: int = 0
    cars: Sums = field(default_factory=Sums)
    buses: Sums = field(default_factory=Sums)


class EdgeSpeeds(Struct, array_like=True, gc=False):
    """What is remembered of an edge; its state row.

    Attributes:
        minutes: that are not told, by their numbers since the epoch.
        told: how many speeds were.
        free_flow_kmh: what was learnt of them.
    """

    minutes: dict[int, Minute] = field(default_factory=dict)
    told: int = 0
    free_flow_kmh: float = 0.0

    def learn(self, speed_kmh: float) -> None:
        """Move free flow towards the percentile of all speeds."""
        self.told += 1
        if self.told == 1:
            self.free_flow_kmh = speed_kmh
            return
        step = max(_LEAST_STEP_KMH, _FIRST_STEP_KMH / self.told)
        share = _PERCENTILE if speed_kmh >= self.free_flow_kmh else _PERCENTILE - 1
        self.free_flow_kmh = max(self.free_flow_kmh + step * share, LEAST_FREE_FLOW_KMH)


@dataclass(frozen=True, slots=True)
class MatchedSpeed:
    """A speed of an edge.

    Attributes:
        kmh: what all drove over what it took.
        vehicles: how many they were.
        credibility: 0 to 1.
    """

    kmh: float
    vehicles: int
    credibility: float


def speed_of(minute: Minute, least_vehicles: int) -> MatchedSpeed | None:
    """The speed that a minute tells; None where too few vehicles drove.

    Buses count where cars alone are too few.
    """
    cars, buses = minute.cars, minute.buses
    with_buses = len(cars.vehicles) < least_vehicles
    vehicles = len(cars.vehicles) + (len(buses.vehicles) if with_buses else 0)
    metres = cars.metres + (buses.metres if with_buses else 0)
    seconds = cars.seconds + (buses.seconds if with_buses else 0)
    if vehicles < least_vehicles or seconds <= 0:
        return None
    counting = len(cars.vehicles) + _BUS_COUNTS * (vehicles - len(cars.vehicles))
    credibility = counting / (counting + _VARIANCES)
    return MatchedSpeed(round(metres / seconds * 3.6, 2), vehicles, round(credibility, 3))


_encode = msgspec.json.Encoder().encode
_encode_row = msgspec.msgpack.Encoder().encode
_decode_row = msgspec.msgpack.Decoder(EdgeSpeeds).decode


class CityRoadSpeeds:
    """All edges of the city.

    Args:
        free_flow_kmh: of each edge of the graph, by name; others are of a graph before.
        least_vehicles: a speed is of so many at least.
        highest_kmh: a speed above this is none.
        rows: what was to be remembered.
    """

    def __init__(
        self,
        free_flow_kmh: Mapping[str, float],
        least_vehicles: int,
        highest_kmh: float,
        rows: Mapping[bytes, bytes],
    ) -> None:
        self.free_flow_kmh, self._least, self._highest_kmh = free_flow_kmh, least_vehicles, highest_kmh
        self._edges = {key.decode(): _decode_row(row) for key, row in rows.items()}
        self._waiting = {name for name, edge in self._edges.items() if edge.minutes}
        self._changed: dict[str, None] = {}

    def take(self, travel: Travel, when: When) -> None:
        """Take in what a vehicle drove; nothing follows before its minute is over."""
        if travel.edge not in self.free_flow_kmh:
            return
        edge = self._edges.get(travel.edge)
        if edge is None:
            edge = self._edges[travel.edge] = EdgeSpeeds()
        number = travel.time_us // _MINUTE_US
        minute = edge.minutes.get(number)
        if minute is None:
            minute = edge.minutes[number] = Minute(when.clock_us)
        minute.newest_us = max(minute.newest_us, travel.time_us)
        (minute.buses if travel.is_bus else minute.cars).add(travel)
        self._waiting.add(travel.edge)
        self._changed[travel.edge] = None

    def tick(self, clock_us: int) -> Iterator[Told]:
        """Tell the minutes that are over."""
        begun_us = clock_us - _MINUTE_US - _WAIT_US
        for name in sorted(self._waiting):
            edge = self._edges[name]
            for number in sorted(one for one, minute in edge.minutes.items() if minute.begun_us <= begun_us):
                self._changed[name] = None
                minute = edge.minutes.pop(number)
                speed = speed_of(minute, self._least)
                if speed is not None and speed.kmh <= self._highest_kmh:
                    edge.learn(speed.kmh)
                    yield self._told(name, edge, minute.newest_us, speed)
            if not edge.minutes:
                self._waiting.discard(name)

    def changed_rows(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Each edge that changed since the last call."""
        changed, self._changed = self._changed, {}
        for name in changed:
            yield name.encode(), _encode_row(self._edges[name])

    def _told(self, name: str, edge: EdgeSpeeds, time_us: int, speed: MatchedSpeed) -> Told:
        free_flow_kmh = round(max(min(edge.free_flow_kmh, self.free_flow_kmh[name]), LEAST_FREE_FLOW_KMH), 2)
        message = RoadMessage(
            event_id=str(uuid5(_NAMESPACE, f"{name}\n{time_us}\n{edge.told}")),
            timestamp=rfc3339(time_us),
            road_id=name,
            road_name="",
            current_speed=speed.kmh,
            free_flow_speed=free_flow_kmh,
            jam_factor=jam_factor(speed.kmh, free_flow_kmh),
            coordinates=[],
            provider=MATCHED_VEHICLES,
            vehicles=speed.vehicles,
            credibility=speed.credibility,
        )
        return Told(ROADS_RAW, name.encode(), _encode(message))
