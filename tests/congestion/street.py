"""A street of roads one behind the other, e0 to e9, each of 111 m, with a side street e10 into the begin of e5."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.roads.current import RoadObservation
from models.timestamps import rfc3339
from tests.roads.towns import BLOCK, SOUTH, WEST, graph_of
from trafficapp.congestion.events import Change, CongestionEvents
from trafficapp.congestion.network import RoadNetwork
from trafficapp.settings import JamSettings

ROADS = 10
_PLACES = np.array(
    [(SOUTH + number * BLOCK, WEST) for number in range(ROADS + 1)] + [(SOUTH + 5 * BLOCK, WEST - BLOCK)]
)
GRAPH = graph_of(_PLACES, [(number, number + 1) for number in range(ROADS)] + [(ROADS + 1, 5)])
NETWORK = RoadNetwork(GRAPH)

#: 2026-03-02T07:00:00Z.
BEGIN_US = 1_772_434_800_000_000
MINUTE_US = 60_000_000
FREE, JAM = 50.0, 10.0


def observed(number: int, minute: float, speed_kmh: float, offset: int, **changes: Any) -> RoadObservation:
    """An observation of a road of the street."""
    name = f"e{number}"
    lon = WEST if number < ROADS else WEST - BLOCK
    values: dict[str, Any] = {
        "event_id": f"{name}-{offset}",
        "timestamp": rfc3339(BEGIN_US + round(minute * MINUTE_US)),
        "road_id": name,
        "road_name": f"Via {number}",
        "current_speed": speed_kmh,
        "free_flow_speed": 50.0,
        "jam_factor": 0.0,
        "congestion_level": "low",
        "speed_ratio": 0.0,
        "rush_hour": False,
        "coordinates": [(lon, SOUTH + number * BLOCK), (lon, SOUTH + (number + 1) * BLOCK)],
        "edges": [(name, 1.0)],
        "graph_version": "",
        "source_partition": 0,
        "source_offset": offset,
    }
    return RoadObservation(**(values | changes))


class Street:
    """Observes all its roads minute by minute; keeps what is told."""

    def __init__(self, row: bytes | None = None, **settings: Any) -> None:
        self.settings = JamSettings(**settings)
        self.events = CongestionEvents(self.settings, NETWORK, row, 30 * MINUTE_US)
        self.offset, self.minute = 0, 0
        self.told: list[Change] = []

    def see(self, minutes: int, *jammed: int, **speeds: float) -> list[Change]:
        """So many minutes with these roads jammed and all others free; what is told in them."""
        before = len(self.told)
        for _ in range(minutes):
            for number in range(ROADS + 1):
                speed = speeds.get(f"e{number}", JAM if number in jammed else FREE)
                self.take(observed(number, self.minute, speed, self.offset))
            self.minute += 1
        return self.told[before:]

    def take(self, observation: RoadObservation) -> None:
        """Take in one observation."""
        at_us = BEGIN_US + self.minute * MINUTE_US
        self.events.apply(self.offset, observation, at_us, at_us)
        self.offset += 1
        self.told += self.events.take_changes()
