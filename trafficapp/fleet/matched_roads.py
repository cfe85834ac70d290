"""What follows from matched vehicles for the roads of the city: their speeds, and who drives the wrong way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from models.fleet.travels import Travel, WrongWay
from trafficapp.feeds.rules import Told, When
from trafficapp.fleet.road_speeds import CityRoadSpeeds
from trafficapp.fleet.wrong_ways import WrongWays, is_wrong_way_row
from trafficapp.settings import FleetSettings


class CityMatchedRoads:
    """All edges of the city; see `trafficapp.feeds.rules.PartitionRules`.

    Args:
        settings: of the fleet.
        free_flow_kmh: of each edge of the graph, by name.
        highest_kmh: a speed above this is none.
        rows: what was to be remembered.
    """

    def __init__(
        self,
        settings: FleetSettings,
        free_flow_kmh: Mapping[str, float],
        highest_kmh: float,
        rows: Mapping[bytes, bytes],
    ) -> None:
        of_speeds = {key: row for key, row in rows.items() if not is_wrong_way_row(key)}
        self._speeds = CityRoadSpeeds(free_flow_kmh, settings.road_speed_vehicles, highest_kmh, of_speeds)
        self._wrong_ways = WrongWays(settings.wrong_way_vehicles, rows)

    def apply(self, message: Travel | WrongWay, when: When) -> Iterable[Told]:
        """Take a message in; what follows from it, in order."""
        if isinstance(message, WrongWay):
            return self._wrong_ways.take(message)
        self._speeds.take(message, when)
        return ()

    def tick(self, clock_us: int) -> Iterator[Told]:
        """The partition's clock has moved on; what follows, in order."""
        self._wrong_ways.tick(clock_us)
        return self._speeds.tick(clock_us)

    def changed_rows(self) -> Iterator[tuple[bytes, bytes | None]]:
        """What is to be remembered of each edge that changed since the last call."""
        yield from self._speeds.changed_rows()
        yield from self._wrong_ways.changed_rows()
