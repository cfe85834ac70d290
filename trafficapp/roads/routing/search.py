"""The quickest way between two places while travel times change under way.

Each horizon has a metric. The quickest ways of those horizons that the drive reaches make a small graph, in which a
search by the clock finds the way (Strasser: Dynamic Time-Dependent Routing in Road Networks Through Sampling, 2017,
there called TD-S). It is exact when the way is among those roads, which it nearly always is.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

import numpy as np

from trafficapp.roads.graph.index import PlaceOnEdge
from trafficapp.roads.graph.road_graph import Floats, RoadGraph
from trafficapp.roads.routing.router import Metric, Router, State
from trafficapp.roads.routing.weights import TravelTimes


@dataclass(frozen=True, eq=False)
class Conditions:
    """Travel times and their metrics: one never-changing state of the roads, replaced as a whole by the next.

    Attributes:
        version: its name.
        times: travel times by horizon.
        metrics: a metric for each horizon; the same object where nothing differs.
    """

    version: str
    times: TravelTimes
    metrics: tuple[Metric, ...]

    @classmethod
    def build(cls, router: Router, times: TravelTimes, version: str, previous: Conditions | None = None) -> Conditions:
        """Make travel times ready for questions; 4 ms a horizon for 19,000 edges.

        Args:
            router: makes the metrics.
            times: travel times by horizon.
            version: their name.
            previous: metrics of a horizon in which nothing changed since are taken over.
        """
        known = list(previous.metrics) if previous else []
        metrics: list[Metric] = []
        for seconds in times.seconds:
            same = next((metric for metric in known if np.array_equal(metric.seconds, seconds)), None)
            metrics.append(same or router.customize(seconds))
            known.append(metrics[-1])
        return cls(version, times, tuple(metrics))


class Drive(NamedTuple):
    """A way from a place on an edge to another.

    Attributes:
        edges: every edge in order; the first and the last one are driven in part.
        turns: the turns between them.
        begin: where on the first edge it begins, as a fraction.
        end: where on the last edge it ends.
    """

    edges: tuple[int, ...]
    turns: tuple[int, ...]
    begin: float
    end: float

    def parts(self) -> Floats:
        """Which share of each edge is driven."""
        shares = np.ones(len(self.edges))
        shares[0] -= self.begin
        shares[-1] -= 1 - self.end
        return shares


@dataclass(frozen=True, eq=False)
class Ends:
    """One question: where drives may begin and end, at what time they start, and the travel times they meet.

    Attributes:
        graph: the road graph.
        times: the travel times.
        origins: places to start from.
        destinations: places to arrive at.
        departure_seconds: time of the start, since the speeds were told.
    """

    graph: RoadGraph
    times: TravelTimes
    origins: Sequence[PlaceOnEdge]
    destinations: Sequence[PlaceOnEdge]
    departure_seconds: float
    _clocks: dict[Drive, list[float]] = field(default_factory=dict)
    _quickest: dict[Metric, Quickest | None] = field(default_factory=dict)

    def clock(self, drive: Drive) -> list[float]:
        """When a drive leaves each of its edges, in seconds since the speeds were told."""
        known = self._clocks.get(drive)
        if known is None:
            known = self._clocks[drive] = clock(self.graph, self.times, drive, self.departure_seconds)
        return known

    def eta_seconds(self, drive: Drive) -> float:
        """Time under way of a drive."""
        return self.clock(drive)[-1] - self.departure_seconds

    def quickest(self, metric: Metric) -> Quickest | None:
        """The quickest drive that takes a turn, under one metric all the way; None when there is none."""
        if metric not in self._quickest:
            states = self.on(metric)
            way = metric.way(states.origins, states.destinations)
            self._quickest[metric] = way and Quickest(states, states.drive(way.edges, way.turns), way.seconds)
        return self._quickest[metric]

    def on(self, metric: Metric) -> StatesOfEnds:
        """The ends as states of a metric."""
        seconds, turn_from, turn_seconds = metric.seconds, self.graph.turn_tails, self.graph.turn_seconds_list
        origins = [
            State(place.edge, float((1 - place.fraction) * seconds[place.edge]))
            for place in self.origins
            if seconds[place.edge] < inf
        ]
        last: dict[int, tuple[float, int, PlaceOnEdge]] = {}
        for place in self.destinations:
            whole = float(seconds[place.edge])
            if whole == inf:
                continue
            part = whole * place.fraction
            for turn in self.graph.turns_into[place.edge]:
                edge = turn_from[turn]
                cost = turn_seconds[turn] + part
                last[edge] = min(last.get(edge, (inf, turn, place)), (cost, turn, place))
        begins = {place.edge: place.fraction for place in self.origins}
        return StatesOfEnds(origins, [State(edge, cost) for edge, (cost, _, _) in last.items()], begins, last)

    def along_one_edge(self) -> list[Drive]:
        """Drives that need no turn: both places on one edge, in its direction."""
        return [
            Drive((origin.edge,), (), origin.fraction, destination.fraction)
            for origin in self.origins
            for destination in self.destinations
            if origin.edge == destination.edge
            and origin.fraction <= destination.fraction
            and self.times.rows[0][origin.edge] < inf
        ]

    def origin_of(self, drive: Drive) -> PlaceOnEdge:
        """Where a drive begins."""
        return next(place for place in self.origins if place.edge == drive.edges[0])

    def destination_of(self, drive: Drive) -> PlaceOnEdge:
        """Where a drive ends."""
        return next(place for place in self.destinations if place.edge == drive.edges[-1])


@dataclass(frozen=True, eq=False)
class StatesOfEnds:
    """Ends as states of a metric: the ends of the first edges, and of the edges before the last.

    Attributes:
        origins: states to start from.
        destinations: states from which a turn leads onto a last edge.
    """

    origins: list[State]
    destinations: list[State]
    _begins: dict[int, float]
    _last: dict[int, tuple[float, int, PlaceOnEdge]]

    def drive(self, edges: Sequence[int], turns: Sequence[int]) -> Drive:
        """The drive along a way between states: with the last edge, to which the states only lead."""
        _, turn, place = self._last[edges[-1]]
        return Drive((*edges, place.edge), (*turns, turn), self._begins[edges[0]], place.fraction)


class Quickest(NamedTuple):
    """The quickest drive under one metric.

    Attributes:
        states: where it could begin and end.
        drive: the drive.
        seconds: what it takes under that metric.
    """

    states: StatesOfEnds
    drive: Drive
    seconds: float


def clock(graph: RoadGraph, times: TravelTimes, drive: Drive, departure_seconds: float) -> list[float]:
    """When a drive leaves each of its edges, in seconds since the speeds were told."""
    turn_seconds, edges = graph.turn_seconds_list, drive.edges
    now = times.leave(edges[0], departure_seconds, drive.begin, drive.end if len(edges) == 1 else 1.0)
    left = [now]
    horizon = times.at(now)
    until, row = times.until_seconds[horizon], times.rows[horizon]
    for edge, turn in zip(edges[1:-1], drive.turns):  # noqa: B905 - one turn more leads onto the last edge
        leaving = now + turn_seconds[turn] + row[edge]
        if leaving > until:
            leaving = times.leave(edge, now + turn_seconds[turn])
            horizon = times.at(leaving)
            until, row = times.until_seconds[horizon], times.rows[horizon]
        now = leaving
        left.append(now)
    if drive.turns:
        left.append(times.leave(edges[-1], now + turn_seconds[drive.turns[-1]], 0.0, drive.end))
    return left


def quickest_drives(metrics: Sequence[Metric], ends: Ends) -> list[Drive]:
    """The quickest drive, and behind it those that are quickest at one horizon's speeds; empty when there is none."""
    drives = ends.along_one_edge()
    first = ends.times.at(ends.departure_seconds)
    arrival = inf
    for number in range(first, len(metrics)):
        begins = ends.times.until_seconds[number - 1] if number else 0.0
        if number > first and (begins >= arrival or metrics[number] is metrics[number - 1]):
            continue
        if (quickest := ends.quickest(metrics[number])) is not None:
            drives.append(quickest.drive)
            arrival = min(arrival, ends.clock(quickest.drive)[-1])
    drives = list(dict.fromkeys(drives))
    if len(drives) > 1:
        drives = list(dict.fromkeys([_by_the_clock(ends, drives), *drives]))

    return sorted(drives, key=ends.eta_seconds)


def _by_the_clock(ends: Ends, drives: list[Drive]) -> Drive:
    """The quickest drive along the edges of some drives. Last edges are written ``~edge``: they may end early."""
    leave, rows, untils = ends.times.leave, ends.times.rows, ends.times.until_seconds
    turns_out_of = ends.graph.onward
    edges = {edge for drive in drives for edge in drive.edges}
    begins = {drive.edges[0]: drive.begin for drive in drives if len(drive.edges) > 1}
    finishes = {drive.edges[-1]: drive.end for drive in drives if len(drive.edges) > 1}
    queue = [(leave(edge, ends.departure_seconds, begin), edge, -1, -1) for edge, begin in begins.items()]
    heapq.heapify(queue)
    came: dict[int, tuple[int, int]] = {}
    horizon = 0
    while queue:
        now, state, before, turn = heapq.heappop(queue)
        if state in came:
            continue
        came[state] = (before, turn)
        if state < 0:
            way, turns = _back(came, state)
            return Drive(tuple(way), tuple(turns), begins[way[0]], finishes[~state])
        while now >= untils[horizon]:
            horizon += 1
        until, row = untils[horizon], rows[horizon]
        for turn, after, turn_seconds in turns_out_of[state]:
            if after not in edges:
                continue
            entered = now + turn_seconds
            if after not in came:
                leaving = entered + row[after]
                heapq.heappush(queue, (leaving if leaving <= until else leave(after, entered), after, state, turn))
            if after in finishes:
                arrival = leave(after, entered, 0.0, finishes[after])
                heapq.heappush(queue, (arrival, ~after, state, turn))
    return drives[0]


def _back(came: dict[int, tuple[int, int]], state: int) -> tuple[list[int], list[int]]:
    """Edges and turns of the way to a last state."""
    edges, turns = [~state], []
    before, turn = came[state]
    while before >= 0:
        edges.append(before)
        turns.append(turn)
        before, turn = came[before]
    return edges[::-1], turns[::-1]
