"""Counters at some squares of the simulated city: how many vehicles are around."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

import numpy as np
import orjson

from trafficapp.movement.distance import metres_between
from trafficapp.roads.graph.earth import metres_along
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.simulation.city import LANE_JAM_VPKM, City, Floats, Integers
from trafficapp.simulation.feeds.forms import LocalClock
from trafficapp.simulation.vehicles import Fleet
from trafficapp.sources.outgoing import Outgoing

TRAFFIC_DATA = "traffic_data"

TELL_SECONDS = 10
RADIUS_M = 60.0

_SQUARES = 4
#: Squares are the busiest junctions that are so far apart.
_APART_M = 400.0
_SAMPLE_M = 2.0
#: Shares of the room that is taken, and the counter's word from there on.
_LABELS = ((0.5, "crowded"), (0.2, "normal"), (0.0, "low"))
_NAMESPACE = uuid.UUID("8c2b6a4e-3f57-4d1b-8a0e-1e0c5d7b9f42")


class Squares:
    """Counts vehicles at squares.

    Args:
        city: the city.
        clock: of the counters.

    Attributes:
        places: latitude and longitude of the middle of each square.
        lines: latitudes and longitudes of places on the roads around each.
    """

    def __init__(self, city: City, clock: LocalClock) -> None:
        graph = city.graph
        self._clock = clock
        self._nodes = _busiest(city)
        shape = (len(self._nodes), graph.edge_count)
        # what of an edge lies around a square, metres from its beginning; one that is not around ends before it begins
        self._begin_m, self._end_m = np.full(shape, np.inf), np.full(shape, -np.inf)
        samples = [_samples(graph, edge) for edge in range(graph.edge_count)]
        lat, lon, along = np.concatenate(samples, axis=1)
        edges = np.repeat(np.arange(graph.edge_count), [sample.shape[1] for sample in samples])
        self.lines: list[tuple[Floats, Floats]] = []
        for square, node in enumerate(self._nodes):
            near = metres_along(lat, lon, graph.node_lat[node], graph.node_lon[node]) <= RADIUS_M
            np.minimum.at(self._begin_m[square], edges[near], along[near])
            np.maximum.at(self._end_m[square], edges[near], along[near])
            self.lines.append((lat[near], lon[near]))
        lanes_m = (np.maximum(self._end_m - self._begin_m, 0.0) * graph.lanes).sum(1)
        self._room = np.maximum(lanes_m / 1000 * LANE_JAM_VPKM, 1).round().astype(int).tolist()
        self.places = [(float(graph.node_lat[node]), float(graph.node_lon[node])) for node in self._nodes]
        self._told: list[dict[str, object]] = [
            {
                "stream_id": str(uuid.uuid5(_NAMESPACE, str(graph.node_ids[node]))),
                "location": f"Square at junction {graph.node_ids[node]}",
                "longitude": round(float(graph.node_lon[node]), 6),
                "latitude": round(float(graph.node_lat[node]), 6),
            }
            for node in self._nodes
        ]

    def around(self, square: int, fleet: Fleet) -> Integers:
        """Which vehicles are at a square."""
        begin_m, end_m = self._begin_m[square, fleet.edge], self._end_m[square, fleet.edge]
        return np.flatnonzero((fleet.position_m >= begin_m) & (fleet.position_m <= end_m))

    def counts(
        self, fleet: Fleet, buses: Sequence[tuple[float, float]], second: int, time_us: int
    ) -> Iterator[Outgoing]:
        """Yield what is counted in a second.

        Args:
            fleet: all vehicles but buses of the network.
            buses: latitude and longitude of each of these.
            second: since the start.
            time_us: when that is.
        """
        if second % TELL_SECONDS:
            return
        for square, (told, here, room) in enumerate(zip(self._told, self.places, self._room, strict=True)):
            total = len(self.around(square, fleet)) + sum(metres_between(*here, *place) <= RADIUS_M for place in buses)
            message = {
                **told,
                "timestamp": self._clock.with_offset(time_us),
                "total_in_area": total,
                "estimated_max_people": room,
                "label": next(word for share, word in _LABELS if total >= share * room),
                "type": "vehicle",
            }
            yield Outgoing(time_us, None, orjson.dumps(message), 0, TRAFFIC_DATA)


def _samples(graph: RoadGraph, edge: int) -> Floats:
    """Places on an edge: rows of latitude, longitude and metres from its beginning."""
    line = slice(int(graph.shape_offsets[edge]), int(graph.shape_offsets[edge + 1]))
    lat, lon = graph.shape_lat[line], graph.shape_lon[line]
    steps = metres_along(lat[:-1], lon[:-1], lat[1:], lon[1:])
    driven = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(int(driven[-1] / _SAMPLE_M), 1) + 1
    shares = np.linspace(0, 1, count)
    places = [np.interp(shares * driven[-1], driven, degrees) for degrees in (lat, lon)]
    return np.array([*places, shares * graph.length_m[edge]])


def _busiest(city: City) -> list[int]:
    """Nodes that most vehicles come to in the morning peak, apart from each other."""
    graph = city.graph
    arriving = np.bincount(graph.edge_to, city.peak_vph, graph.node_count)
    chosen: list[int] = []
    for node in np.argsort(-arriving, kind="stable").tolist():
        here = (float(graph.node_lat[node]), float(graph.node_lon[node]))
        if all(metres_between(*here, graph.node_lat[each], graph.node_lon[each]) >= _APART_M for each in chosen):
            chosen.append(node)
        if len(chosen) == _SQUARES:
            break
    return chosen
