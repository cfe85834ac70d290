"""Roads that are slow: since when, whether that has lasted, and which of them touch each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from models.roads.current import RoadObservation
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.congestion.network import RoadLie, RoadNetwork
from trafficapp.settings import JamSettings

_METRES_PER_KM = 1000.0
_US_PER_HOUR = 3600 * MICROSECONDS_PER_SECOND
#: Between two observations that lie further apart nobody knows what was lost.
_LONGEST_SPAN_US = 300 * MICROSECONDS_PER_SECOND

#: What an observation does to a road: it is slow from now on, jammed, calm, or as before.
Change = Literal["slow", "jammed", "calm", ""]


class SlowRoad(Struct, array_like=True, gc=False):
    """A road that is slow, or was jammed and is not calm for long enough; part of the state row.

    Attributes:
        edges: of the graph, with the share that it covers.
        begin, end: of its line, (longitude, latitude); None where the feed tells no line.
        since_us: of the first slow observation in a row.
        slow, calm: observations in a row.
        is_jammed: whether it has been slow for long enough.
        event: id of the event that it belongs to; "" while there is none.
        line_m: length of its line.
        lost: vehicle-hours that no event has been told of.
        flowed_share, days: see `trafficapp.congestion.suspicion.flowed_before`.
    """

    road_id: str
    road_name: str
    edges: list[tuple[str, float]]
    begin: tuple[float, float] | None
    end: tuple[float, float] | None
    observed_us: int
    speed_kmh: float
    free_kmh: float
    since_us: int
    slow: int = 1
    calm: int = 0
    is_jammed: bool = False
    event: str = ""
    line_m: float = 0.0
    lost: float = 0.0
    flowed_share: float = 0.0
    days: int = 0
    # new fields go to the end


class SlowRoads:
    """All slow roads of the city.

    Args:
        settings: what is slow, and for how long.
        network: where roads lie.
        roads: to go on from.
    """

    def __init__(self, settings: JamSettings, network: RoadNetwork, roads: Iterable[SlowRoad]) -> None:
        self._settings, self._network = settings, network
        self._jam_us = round(settings.jam_seconds * MICROSECONDS_PER_SECOND)
        self.roads: dict[str, SlowRoad] = {}
        self.lies: dict[str, RoadLie] = {}
        self._at_node: dict[int, set[str]] = {}
        for road in roads:
            self._put(road)

    def get(self, road_id: str) -> SlowRoad | None:
        """A slow road."""
        return self.roads.get(road_id)

    def touching(self, road_id: str) -> Iterator[str]:
        """Slow roads that share a node with one, itself among them; in no order."""
        for node in self.lies[road_id].nodes:
            yield from self._at_node[node]

    def touching_edges(self, edges: list[tuple[str, float]]) -> Iterator[SlowRoad]:
        """Slow roads that touch a road on these edges."""
        for node in self._network.lie(edges, ()).nodes:
            yield from (self.roads[road_id] for road_id in self._at_node.get(node, ()))

    def together(self, road_ids: Iterable[str], within: set[str] | None = None) -> list[set[str]]:
        """Roads that hang together with some of them, each set once, in the order of the ids of their first roads.

        Args:
            road_ids: where to begin.
            within: only these count; None is all slow roads.
        """
        found: list[set[str]] = []
        seen: set[str] = set()
        for first in sorted(road_ids):
            if first in seen:
                continue
            together, open_ = {first}, [first]
            while open_:
                for other in self.touching(open_.pop()):
                    if other not in together and (within is None or other in within):
                        together.add(other)
                        open_.append(other)
            seen |= together
            found.append(together)
        return found

    def observe(self, observation: RoadObservation, observed_us: int) -> tuple[Change, float]:
        """Take in an observation with a measured speed that is newer than what is known of the road.

        Returns:
            what it does, and the vehicle-hours that were lost on the road since the observation before.
        """
        settings, known = self._settings, self.roads.get(observation.road_id)
        share = observation.current_speed / observation.free_flow_speed
        if known is None:
            if share >= settings.jam_share:
                return "", 0.0
            line = observation.coordinates
            lie = self._network.lie(observation.edges, line)
            road = SlowRoad(
                observation.road_id,
                observation.road_name,
                list(observation.edges),
                line[0] if line else None,
                line[-1] if line else None,
                observed_us,
                observation.current_speed,
                observation.free_flow_speed,
                observed_us,
                line_m=lie.length_m,
            )
            self._put(road)
            if not self._has_lasted(road):
                return "slow", 0.0
            road.is_jammed = True
            return "jammed", 0.0
        lost = self._lost_vehicle_hours(known, observed_us)
        known.observed_us = observed_us
        known.speed_kmh, known.free_kmh = observation.current_speed, observation.free_flow_speed
        if share < settings.jam_share:
            known.slow, known.calm = known.slow + 1, 0
            if known.is_jammed or not self._has_lasted(known):
                return "", lost
            known.is_jammed = True
            return "jammed", lost
        known.slow = 0
        if not known.is_jammed:
            return "calm", lost
        known.calm = known.calm + 1 if share >= settings.clear_share else 0
        return "calm" if known.calm >= settings.clear_observations else "", lost

    def forget(self, road_id: str) -> SlowRoad | None:
        """A road is not slow any more."""
        road = self.roads.pop(road_id, None)
        if road is not None:
            for node in self.lies.pop(road_id).nodes:
                at_node = self._at_node[node]
                at_node.discard(road_id)
                if not at_node:
                    del self._at_node[node]
        return road

    def unheard(self, before_us: int, after_us: int) -> list[str]:
        """Roads whose newest observation is older than a time, or later than can be."""
        return sorted(name for name, one in self.roads.items() if not before_us <= one.observed_us <= after_us)

    def _put(self, road: SlowRoad) -> None:
        self.roads[road.road_id] = road
        lie = self._network.lie(road.edges, ())
        if lie.begin < 0:
            lie = lie._replace(length_m=road.line_m)
        self.lies[road.road_id] = lie
        for node in lie.nodes:
            self._at_node.setdefault(node, set()).add(road.road_id)

    def _has_lasted(self, road: SlowRoad) -> bool:
        return road.slow >= self._settings.jam_observations and road.observed_us - road.since_us >= self._jam_us * (
            self._settings.jam_observations > 1
        )

    def _lost_vehicle_hours(self, road: SlowRoad, until_us: int) -> float:
        """Vehicles on the road, by Greenshields, times the share of their time that they lose, times hours."""
        slower = min(max(1 - road.speed_kmh / road.free_kmh, 0.0), 1.0)
        lie = self.lies[road.road_id]
        standing = self._settings.jam_vehicles_per_km * lie.lanes * lie.length_m / _METRES_PER_KM
        return standing * slower * slower * min(until_us - road.observed_us, _LONGEST_SPAN_US) / _US_PER_HOUR


def copies(roads: Mapping[str, SlowRoad], road_ids: Iterable[str]) -> list[SlowRoad]:
    """Roads as they are now, in order."""
    return [msgspec.structs.replace(roads[road_id]) for road_id in sorted(road_ids) if road_id in roads]
