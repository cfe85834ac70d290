"""Recommended routes and their alternatives, under the travel times that hold now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import numpy as np

from trafficapp.roads.graph.index import DISTANCE_LIMIT_M, PlaceOnEdge, RoadIndex
from trafficapp.roads.graph.islands import End, Islands
from trafficapp.roads.graph.road_graph import Floats, RoadGraph
from trafficapp.roads.routing.alternatives import Bounds, Chosen, ViaEdges, by_way_of_others
from trafficapp.roads.routing.congestion import Jam, RouteCongestion, congestion_along, kept_off
from trafficapp.roads.routing.router import CchRouter, Router
from trafficapp.roads.routing.search import Conditions, Drive, Ends, quickest_drives
from trafficapp.roads.routing.waypoints import Waypoint, WaypointWriter, read_waypoints
from trafficapp.roads.routing.weights import TravelTimes, free_flow

#: Places are moved onto other roads than most up to the reach of a place, or this share of the way asked for.
_MOVED_SHARE = 0.9


#: The version of the roads when nothing is known.
FREE_FLOW = "free-flow"


class Unreachable(ValueError):
    """There is no way between two places on the map."""


class Place(NamedTuple):
    """A place, degrees, WGS 84."""

    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class Route:
    """One way to go.

    Attributes:
        edges: positions of its edges in order.
        eta_seconds: time under way.
        distance_m: length along the edges; the way across junctions is not measured.
        line: points to draw it by, with the names of the roads: a JSON array of `Waypoint`.
        congestion: how freely it flows.
    """

    edges: tuple[int, ...]
    eta_seconds: float
    distance_m: float
    line: bytes
    congestion: RouteCongestion

    @property
    def waypoints(self) -> list[Waypoint]:
        """The points of its line."""
        return read_waypoints(self.line)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The answer to a question for a route.

    Attributes:
        version: the travel times it was found under.
        recommended: the quickest route.
        alternatives: others worth a choice, quickest first.
        avoided: closed edges that the quickest way would lead over were they open, in its order.
        origin_moved_m: how far the recommended route begins from the place that was asked for.
        destination_moved_m: how far it ends from the place that was asked for.
        detached: which of the places lie on roads that no way leads from, or to, so that others were taken.
        as_if_open: positions of the edges of the way that would be the quickest were nothing in the way; empty when
            nothing is, or nobody asked.
        jams: roads on which time is lost now, which the quickest way through an empty city would lead over and the
            recommended one does not.
    """

    version: str
    recommended: Route
    alternatives: list[Route]
    avoided: Avoided | None = None
    origin_moved_m: float = 0.0
    destination_moved_m: float = 0.0
    detached: tuple[End, ...] = ()
    as_if_open: tuple[int, ...] = ()
    jams: tuple[Jam, ...] = ()


@dataclass(frozen=True, slots=True)
class Avoided:
    """What is closed on the way that would be the quickest.

    Attributes:
        edges: positions of the closed edges, in the order of that way.
        at_start: whether that way begins on the first of them.
        at_end: whether it ends on the last of them.
    """

    edges: tuple[int, ...]
    at_start: bool
    at_end: bool


class RoutePlanner:
    """Answers questions for routes. Any thread may ask while another one brings new travel times.

    A question is answered under one state of the roads from beginning to end: ``use`` puts the next one in the place of
    the last in one step.
    """

    def __init__(self, graph: RoadGraph, router: Router | None = None, bounds: Bounds | None = None) -> None:
        """Index a graph; until told otherwise, roads flow freely."""
        self.graph = graph
        self.index = RoadIndex.build(graph)
        self.router = router or CchRouter(graph)
        self._islands = Islands(self.index)
        self._bounds = bounds or Bounds()
        self._via = ViaEdges(graph, self.index.points)
        self._writer = WaypointWriter(self.index)
        self._empty = self._conditions = Conditions.build(self.router, free_flow(graph), FREE_FLOW)

    @property
    def conditions(self) -> Conditions:
        """The travel times in use."""
        return self._conditions

    def prepare(self, times: TravelTimes, version: str) -> Conditions:
        """Make travel times ready; takes some milliseconds a horizon, in any thread, while questions go on."""
        return Conditions.build(self.router, times, version, self._conditions)

    def use(self, conditions: Conditions) -> None:
        """Answer under these travel times from now on.

        Raises:
            ValueError: they are of another graph.
        """
        if conditions.times.seconds.shape[1] != self.graph.edge_count:
            raise ValueError("travel times of another graph")
        self._conditions = conditions

    def recommend(
        self,
        origin: Place,
        destination: Place,
        *,
        departure_seconds: float = 0.0,
        limit_m: float = DISTANCE_LIMIT_M,
        under: Conditions | None = None,
        free_flow_kmh: Floats | None = None,
        as_if_open: Conditions | None = None,
    ) -> Recommendation:
        """The quickest route and up to two alternatives.

        Args:
            origin: where to start.
            destination: where to go.
            departure_seconds: when to start, seconds after the travel times were told; the last horizon holds on.
            limit_m: how far a place may be from a road.
            under: travel times from `prepare`; those in use unless given.
            free_flow_kmh: of each edge, what congestion is measured against, NaN where only the graph knows.
            as_if_open: the same travel times without anything in the way, to tell what is avoided; None tells nothing.

        Raises:
            InvalidPlace: a place that is not on the globe.
            OffTheMap: a place with no road near enough.
            Unreachable: no way leads there.
            ValueError: a departure before the travel times.
        """
        if not 0 <= departure_seconds < float("inf"):
            raise ValueError(f"a departure {departure_seconds} s after now")
        conditions = under or self._conditions
        asked = origin, destination, departure_seconds, limit_m
        undisturbed = None if as_if_open is None else self._drives(as_if_open, *asked)[1][0]
        avoided = None if undisturbed is None else self._avoided(conditions, undisturbed)
        try:
            ends, drives, detached = self._drives(conditions, *asked)
        except Unreachable as error:
            if avoided is None:
                raise
            raise Unreachable(f"{error}: closed to traffic is {self._names(avoided.edges)}") from None
        chosen = self._choose(conditions, ends, drives)
        routes = [self._route(ends, drive, free_flow_kmh) for drive in chosen]
        origin_m, destination_m = (
            place.distance_m for place in (ends.origin_of(chosen[0]), ends.destination_of(chosen[0]))
        )
        return Recommendation(
            *(conditions.version, routes[0], routes[1:], avoided, origin_m, destination_m, detached),
            as_if_open=() if undisturbed is None else undisturbed.edges,
            jams=self._jams(ends, chosen[0], free_flow_kmh),
        )

    def _jams(self, ends: Ends, taken: Drive, free_flow_kmh: Floats | None) -> tuple[Jam, ...]:
        """What a drive keeps off that slows the way which is the quickest when all roads are free."""
        if ends.times is self._empty.times:
            return ()
        through_empty = Ends(self.graph, self._empty.times, ends.origins, ends.destinations, 0.0)
        empty = quickest_drives(self._empty.metrics, through_empty)[0]
        return tuple(kept_off(self.graph, ends.times, ends.departure_seconds, empty, taken, free_flow_kmh))

    def _avoided(self, conditions: Conditions, drive: Drive) -> Avoided | None:
        """What is closed of a drive."""
        closed = [conditions.times.rows[0][edge] == inf for edge in drive.edges]
        edges = tuple(edge for edge, is_closed in zip(drive.edges, closed, strict=True) if is_closed)
        return Avoided(edges, closed[0], closed[-1]) if edges else None

    def _names(self, edges: Iterable[int]) -> str:
        return ", ".join(dict.fromkeys(repr(self.graph.road_name(edge)) for edge in edges))

    def _drives(
        self, conditions: Conditions, origin: Place, destination: Place, departure_seconds: float, limit_m: float
    ) -> tuple[Ends, list[Drive], tuple[End, ...]]:
        begin, end = (self.index.places_on_roads(place.lat, place.lon, limit_m) for place in (origin, destination))
        ends = Ends(self.graph, conditions.times, begin, end, departure_seconds)
        if drives := quickest_drives(conditions.metrics, ends):
            return ends, drives, ()
        metric = conditions.metrics[conditions.times.at(departure_seconds)]
        longest_m = max(limit_m, _MOVED_SHARE * self.index.metres_between(origin, destination))
        found = self._islands.moved(origin, destination, ends, np.isfinite(metric.seconds))
        # most roads of the city count as where one wants to be, unless that is as far as the whole way
        found.sort(key=lambda moved: (moved.metres > longest_m or not moved.to_most_roads, moved.metres))
        for moved in found:
            if moved.metres > longest_m and not moved.to_most_roads:
                continue
            ends = Ends(self.graph, conditions.times, moved.begin, moved.end, departure_seconds)
            if drives := quickest_drives(conditions.metrics, ends):
                return ends, drives, moved.which
        raise Unreachable(
            f"no way leads from {origin.lat:g}, {origin.lon:g} (near {self._road(begin)}) "
            f"to {destination.lat:g}, {destination.lon:g} (near {self._road(end)})"
        )

    def _choose(self, conditions: Conditions, ends: Ends, drives: list[Drive]) -> list[Drive]:
        """The quickest drive and its alternatives, quickest first."""
        best = drives[0]
        longest_seconds = self._bounds.longer * ends.eta_seconds(best)
        longest_m = self._bounds.longer * self._distance_m(best)
        chosen = Chosen(self.graph, best, self._bounds)
        for drive in self._candidates(conditions, ends, drives, chosen):
            if (
                chosen.differs(drive.edges)
                and self._distance_m(drive) <= longest_m
                and ends.eta_seconds(drive) <= longest_seconds
            ):
                chosen.add(drive)
                if chosen.complete:
                    break
        return [best, *sorted(chosen.drives[1:], key=ends.eta_seconds)]

    def _candidates(self, conditions: Conditions, ends: Ends, drives: list[Drive], chosen: Chosen) -> Iterator[Drive]:
        yield from drives[1:]
        metric = conditions.metrics[conditions.times.at(ends.departure_seconds)]
        if (quickest := ends.quickest(metric)) is not None:
            yield from by_way_of_others(metric, quickest, self._via, chosen, self._bounds.longer)

    def _route(self, ends: Ends, drive: Drive, free_flow_kmh: Floats | None) -> Route:
        left = ends.clock(drive)
        lengths = self.graph.length_m[list(drive.edges)] * drive.parts()
        eta_seconds = ends.eta_seconds(drive)
        entered = np.concatenate([[ends.departure_seconds], left[:-1]])
        return Route(
            drive.edges,
            eta_seconds,
            float(lengths.sum()),
            self._writer.along(drive),
            congestion_along(self.graph, ends.times, drive, entered, lengths, eta_seconds, free_flow_kmh),
        )

    def _distance_m(self, drive: Drive) -> float:
        return float((self.graph.length_m[list(drive.edges)] * drive.parts()).sum())

    def _road(self, places: list[PlaceOnEdge]) -> str:
        return repr(self.graph.road_name(places[0].edge))
