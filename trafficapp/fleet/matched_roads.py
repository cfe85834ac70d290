"""What follows from matched vehicles for the roads of the city: their speeds, and who drives the wrong way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from models.fleet.travels import Travel, WrongWay
from trafficapp.feeds.rules import Told, When
from trafficapp.fleet.road_speeds import CityRoadSpeeds
from trafficapp.fleet.wrong_ways import WrongWays, is_wrong_way_row
from trafficapp.roads.graph.awaited import AwaitedGraph
from trafficapp.settings import FleetSettings


class CityMatchedRoads:
    """All edges of the city; see `trafficapp.feeds.rules.PartitionRules`.

    Args:
        settings: of the fleet.
        awaited: the road graph. Vehicles are matched by those who have it, so there is nothing to do before.
        highest_kmh: a speed above this is none.
        rows: what was to be remembered.
    """

    def __init__(
        self,
        settings: FleetSettings,
        awaited: AwaitedGraph,
        highest_kmh: float,
        rows: Mapping[bytes, bytes],
    ) -> None:
        of_speeds = {key: row for key, row in rows.items() if not is_wrong_way_row(key)}
        self._awaited = awaited
        self._speeds = CityRoadSpeeds(self._free_flow_kmh(), settings.road_speed_vehicles, highest_kmh, of_speeds)
        self._wrong_ways = WrongWays(settings.wrong_way_vehicles, rows)

    def _free_flow_kmh(self) -> dict[str, float]:
        graph = self._awaited.graph
        return {} if graph is None else dict(zip(graph.edge_ids.tolist(), graph.free_flow_kmh.tolist(), strict=True))

    def apply(self, message: Travel | WrongWay, when: When) -> Iterable[Told]:
        """Take a message in; what follows from it, in order."""
        if isinstance(message, WrongWay):
            return self._wrong_ways.take(message)
        self._speeds.take(message, when)
        return ()

    def tick(self, clock_us: int) -> Iterator[Told]:
        """The partition's clock has moved on; what follows, in order."""
        self._wrong_ways.tick(clock_us)
        if not self._speeds.free_flow_kmh:
            self._speeds.free_flow_kmh = self._free_flow_kmh()
        return self._speeds.tick(clock_us)

    def erase(self, vehicle_ids: Collection[str]) -> Iterable[Told]:
        """See `trafficapp.feeds.rules.ErasingRules`. Minutes that are not told forget their vehicles when they are."""
        self._wrong_ways.erase(frozenset(vehicle_ids))
        return ()

    def changed_rows(self) -> Iterator[tuple[bytes, bytes | None]]:
        """What is to be remembered of each edge that changed since the last call."""
        yield from self._speeds.changed_rows()
        yield from self._wrong_ways.changed_rows()
