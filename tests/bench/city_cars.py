"""Cars that drive over the shipped road graph, as fast as a benchmark needs them: for `tests.bench.city`."""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, pairwise

from trafficapp.movement.distance import METRES_PER_DEGREE
from trafficapp.roads.graph.road_graph import RoadGraph

_NOISE_M = 5.0
_SPEED_KMH = (15.0, 50.0)


class Cars:
    """Each takes allowed turns at random; who can go no farther begins elsewhere.

    Args:
        graph: the roads.
        count: how many.
        every_seconds: how often each tells where it is; they take turns.
    """

    def __init__(self, graph: RoadGraph, count: int, every_seconds: float) -> None:
        self._graph, self._every = graph, every_seconds
        self._chance = random.Random(3)
        self._lines = [_line(graph, edge) for edge in range(graph.edge_count)]
        self._edges = [self._chance.randrange(graph.edge_count) for _ in range(count)]
        self._along = [self._chance.random() * graph.length_list[edge] for edge in self._edges]
        self._kmh = [self._chance.uniform(*_SPEED_KMH) for _ in range(count)]

    def round(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Topic, key and value of a fix of each car, one step after the one before."""
        for car in range(len(self._edges)):
            self._advance(car)
            lat, lon = self._place(car)
            value = (
                f'{{"id":"{car:032x}","device_id":"car-{car}","timestamp":{time.time_ns() // 1_000_000},'
                f'"location":[{lat:.6f},{lon:.6f}],"speed":{self._kmh[car]:.1f},"make":"Fiat","model":"Panda",'
                f'"year":2024,"fuel_type":"Hybrid"}}'
            )
            yield "vehicle_data", f"{car:032x}".encode(), value.encode()

    def _advance(self, car: int) -> None:
        graph, along = self._graph, self._along[car] + self._kmh[car] / 3.6 * self._every
        while along > graph.length_list[self._edges[car]]:
            along -= graph.length_list[self._edges[car]]
            onward = graph.onward[self._edges[car]]
            if onward:
                self._edges[car] = self._chance.choice(onward)[1]
            else:
                self._edges[car], along = self._chance.randrange(graph.edge_count), 0.0
        self._along[car] = along

    def _place(self, car: int) -> tuple[float, float]:
        edge = self._edges[car]
        ends, points = self._lines[edge]
        along = self._along[car] * ends[-1] / self._graph.length_list[edge]
        at = min(max(bisect_right(ends, along), 1), len(points) - 1)
        span = ends[at] - ends[at - 1]
        share = (along - ends[at - 1]) / span if span else 0.0
        (lat, lon), (to_lat, to_lon) = points[at - 1], points[at]
        noise = [self._chance.gauss(0, _NOISE_M) / METRES_PER_DEGREE for _ in range(2)]
        return lat + (to_lat - lat) * share + noise[0], lon + (to_lon - lon) * share + noise[1]


def _line(graph: RoadGraph, edge: int) -> tuple[list[float], list[tuple[float, float]]]:
    """How far along each point of an edge's line is, in degrees; and the points."""
    begin, end = graph.shape_offsets[edge], graph.shape_offsets[edge + 1]
    points = list(zip(graph.shape_lat[begin:end].tolist(), graph.shape_lon[begin:end].tolist(), strict=True))
    steps = [((b[0] - a[0]) ** 2 + (0.71 * (b[1] - a[1])) ** 2) ** 0.5 for a, b in pairwise(points)]
    return list(accumulate(steps, initial=0.0)), points
