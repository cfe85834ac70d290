"""Days of simulated vehicles on the roads of a city: made from a seed, for tests and verification.

A vehicle is parked, drives along edges of the road graph, waits at lights, brakes harshly now and then, is too fast on
some roads, and is not heard for a while. Some jump about as random simulators do. Both feeds may say the same time;
fixes come late or twice.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from models.fleet.fixes import Fix, FleetFeed
from trafficapp.roads.graph.road_graph import RoadGraph

SECOND = 1_000_000
#: South, west, north, east of where some jump about.
BOX = (44.40, 11.20, 44.60, 11.50)
_METRES = 111_195.0


class Zone(NamedTuple):
    """A zone, its ring closed, of (longitude, latitude)."""

    zone_id: int
    name: str
    ring: list[tuple[float, float]]


def zones(graph: RoadGraph) -> list[Zone]:
    """A grid of squares over the middle of the roads that share borders, and a triangle across some of them."""
    west, east = (float(edge) for edge in (graph.node_lon.min(), graph.node_lon.max()))
    south, north = (float(edge) for edge in (graph.node_lat.min(), graph.node_lat.max()))
    found: list[Zone] = []
    for row in range(3):
        for column in range(3):
            w, e = (west + (east - west) * (column + 1 + more) / 5 for more in (0, 1))
            s, n = (south + (north - south) * (row + 1 + more) / 5 for more in (0, 1))
            number = len(found) + 1
            found.append(Zone(number, f"square {number}", [(w, s), (e, s), (e, n), (w, n), (w, s)]))
    middle = (west + east) / 2
    found.append(Zone(10, "triangle", [(west, south), (east, south), (middle, north), (west, south)]))
    return found


@cache
def core(graph: RoadGraph) -> frozenset[int]:
    """Edges of the largest part of a graph in which every edge leads to every other."""
    heads = [[head for _, head, _ in onward] for onward in graph.onward]
    tails = [edge for edge, found in enumerate(heads) for _ in found]
    flat = [head for found in heads for head in found]
    links = coo_array((np.ones(len(flat)), (tails, flat)), shape=(len(heads), len(heads)))
    _, parts = connected_components(links, directed=True, connection="strong")
    return frozenset(np.flatnonzero(parts == np.bincount(parts).argmax()).tolist())


class Life:
    """What one vehicle sends, in order.

    Args:
        dice: of the vehicle.
        graph: that it drives on.
        device: its id.
        begin_us: of its day, by its own clock.
        seconds: of its day.
        step_seconds: between two fixes while it drives.
        jumps: whether it jumps about.
        restless: share of what it does next that is driving.
        pauses: seconds between two fixes while it is parked, one of them.
    """

    def __init__(
        self, dice: random.Random, graph: RoadGraph, device: str, begin_us: int, seconds: float,
        step_seconds: float = 20.0, *, jumps: bool = False, restless: float = 0.5,
        pauses: Sequence[float] = (20, 60, 290, 1500),
    ) -> None:  # fmt: skip
        self._dice, self._graph, self._device = dice, graph, device
        self._now, self._end = float(begin_us), begin_us + seconds * SECOND
        self._step, self._jumps = step_seconds, jumps
        self._restless, self._pauses = restless, pauses
        self._feeds: tuple[FleetFeed, ...] = dice.choice(
            (("vehicle_data",), ("gps_data",), ("vehicle_data", "gps_data"))
        )
        self._core = core(graph)
        self._edge, self._along, self._kmh = dice.choice(sorted(self._core)), 0.0, 0.0
        self._hurry = dice.uniform(0.6, 1.3)

    def fixes(self) -> Iterator[Fix]:
        """All that is heard of it, in order."""
        kept: list[Fix] = []
        dice = self._dice
        for fix in self._told():
            if dice.random() < 0.02:
                kept.append(fix)  # comes late
                continue
            yield fix
            if dice.random() < 0.02:
                yield fix
            if kept and dice.random() < 0.4:
                yield kept.pop()

    def _told(self) -> Iterator[Fix]:
        while self._now < self._end:
            if self._jumps:
                yield from self._jump()
            elif self._dice.random() < self._restless:
                yield from self._drive(self._dice.uniform(60, 1500))
            else:
                yield from self._park()

    def _jump(self) -> Iterator[Fix]:
        south, west, north, east = BOX
        self._now += self._dice.uniform(30, 90) * SECOND
        for feed in self._feeds:
            place = self._dice.uniform(south, north), self._dice.uniform(west, east)
            yield self._fix(feed, *place, round(self._dice.uniform(0, 90), 1), None)

    def _park(self) -> Iterator[Fix]:
        self._kmh = 0.0
        until = self._now + self._dice.choice((150, 400, 4000, 12_000)) * self._dice.uniform(0.7, 1.3) * SECOND
        pause = self._dice.choice(self._pauses)
        while self._now < min(until, self._end):
            self._now += pause * self._dice.uniform(0.8, 1.2) * SECOND
            yield from self._here()

    def _drive(self, seconds: float) -> Iterator[Fix]:
        dice, until = self._dice, self._now + seconds * SECOND
        while self._now < min(until, self._end):
            what = dice.random()
            if what < 0.05:  # a light
                self._kmh = 0.0
                for _ in range(dice.randrange(1, 5)):
                    self._now += self._step * SECOND
                    yield from self._here()
            elif what < 0.08 and self._kmh > 25:
                self._forward(2.0)
                self._kmh -= dice.uniform(20, 50)
                self._kmh = max(self._kmh, 0.0)
                yield from self._here()
            elif what < 0.1:  # a tunnel
                self._forward(dice.uniform(60, 900))
                yield from self._here()
            else:
                limit = float(self._graph.free_flow_kmh[self._edge])
                self._kmh = max(limit * self._hurry * dice.uniform(0.6, 1.1), 3.0)
                self._forward(self._step * dice.uniform(0.5, 1.5))
                yield from self._here()

    def _forward(self, seconds: float) -> None:
        self._now += seconds * SECOND
        self._along += self._kmh / 3.6 * seconds
        graph = self._graph
        while self._along > (length := graph.length_list[self._edge]):
            self._along -= length
            onward = [edge for _, edge, _ in graph.onward[self._edge] if edge in self._core]
            self._edge = self._dice.choice(onward)

    def _here(self) -> Iterator[Fix]:
        lat, lon, heading = self._place()
        for feed in self._feeds:
            told = None if self._dice.random() < 0.1 else round(self._kmh * self._dice.uniform(0.97, 1.03), 1)
            angle = None if self._dice.random() < 0.2 else round(heading, 1) % 360
            north, east = (self._dice.gauss(0, 3) / _METRES for _ in range(2))
            yield self._fix(feed, lat + north, lon + east / math.cos(math.radians(lat)), told, angle)

    def _fix(self, feed: FleetFeed, lat: float, lon: float, kmh: float | None, heading: float | None) -> Fix:
        time_us = round(self._now / 1000) * 1000
        return Fix(feed, self._device, time_us, round(lat, 7), round(lon, 7), kmh, heading)

    def _place(self) -> tuple[float, float, float]:
        graph, edge = self._graph, self._edge
        begin, end = graph.shape_offsets[edge : edge + 2].tolist()
        left = self._along / graph.length_list[edge] * (end - begin - 1)
        piece = min(int(left), end - begin - 2)
        part = left - piece
        one = float(graph.shape_lat[begin + piece]), float(graph.shape_lon[begin + piece])
        other = float(graph.shape_lat[begin + piece + 1]), float(graph.shape_lon[begin + piece + 1])
        lat, lon = (a + (b - a) * part for a, b in zip(one, other, strict=True))
        east = (other[1] - one[1]) * math.cos(math.radians(lat))
        return lat, lon, math.degrees(math.atan2(east, other[0] - one[0])) % 360
