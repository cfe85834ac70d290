"""The road-speed feed of the simulated city."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import orjson

from models.roads.current import SIMULATED_ID
from models.timestamps import rfc3339
from trafficapp.simulation.city import City, Floats
from trafficapp.sources.outgoing import Outgoing
from trafficapp.topics import ROADS_RAW


def jam_factors(speed_kmh: Floats, free_flow_kmh: Floats) -> Floats:
    """Jam factor from 0 (free) to 9.99 (stands; 10 is closed): ten times the lost share of free flow."""
    lost: Floats = 1 - speed_kmh / free_flow_kmh
    return np.round(np.clip(10 * lost, 0.0, 9.99), 2).astype(np.float64)


class Feed:
    """Messages of all roads; a road is an edge of the graph."""

    def __init__(self, city: City) -> None:
        graph = city.graph
        self._free_kmh = np.round(city.free_flow_kmh, 2)
        self._roads = []
        for edge, road_id in enumerate(graph.edge_ids.tolist()):
            line = slice(int(graph.shape_offsets[edge]), int(graph.shape_offsets[edge + 1]))
            points = zip(graph.shape_lon[line].tolist(), graph.shape_lat[line].tolist(), strict=True)
            self._roads.append((road_id, graph.road_name(edge), [list(point) for point in points]))

    def batch(self, measured_kmh: Floats, time_us: int, sent_us: int) -> Iterator[Outgoing]:
        """Yield a message for each road.

        Args:
            measured_kmh: speed of each road.
            time_us: when it was measured.
            sent_us: when the messages are due.
        """
        speeds = np.round(measured_kmh, 2)
        jams = jam_factors(speeds, self._free_kmh).tolist()
        timestamp = rfc3339(time_us)
        for road, speed, free, jam in zip(self._roads, speeds.tolist(), self._free_kmh.tolist(), jams, strict=True):
            road_id, name, coordinates = road
            message = {
                "event_id": f"{SIMULATED_ID}{road_id}-{time_us // 1_000_000}",
                "timestamp": timestamp,
                "road_id": road_id,
                "road_name": name,
                "current_speed": speed,
                "free_flow_speed": free,
                "jam_factor": jam,
                "coordinates": coordinates,
            }
            yield Outgoing(sent_us, road_id.encode(), orjson.dumps(message), 0, ROADS_RAW)
