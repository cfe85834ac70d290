"""Which units get to an incident first, on the roads as they are now."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import numpy as np

from trafficapp.roads.graph.index import InvalidPlace, OffTheMap, PlaceOnEdge
from trafficapp.roads.routing.routes import Place, RoutePlanner
from trafficapp.roads.routing.search import Conditions, Drive, Ends


class Unit(NamedTuple):
    """A unit that was heard lately.

    Attributes:
        unit_id: the vehicle's id.
        unit_type: such as ``ambulance``.
        lat: degrees WGS 84.
        lon: likewise.
        heard_us: when, as it says, microseconds since the epoch.
    """

    unit_id: str
    unit_type: str
    lat: float
    lon: float
    heard_us: int


class UnitOnTheWay(NamedTuple):
    """A unit, and what it takes to get there: seconds, and metres along the roads."""

    unit: Unit
    eta_seconds: float
    distance_m: float


def nearest_units(
    planner: RoutePlanner, conditions: Conditions, to: Place, units: Sequence[Unit], limit: int, reach_m: float
) -> list[UnitOnTheWay]:
    """The units that get to a place first, the quickest first; those on no road, or without a way, are left out.

    One sweep tells the times of all of them, and only those that are told of are looked at more closely.

    Args:
        planner: of the city.
        conditions: travel times; those of now count.
        to: where they are needed.
        units: who there is.
        limit: how many are told.
        reach_m: how far a place may be from a road.

    Raises:
        OffTheMap: no road is near the place.
    """
    ends = planner.index.places_on_roads(to.lat, to.lon, reach_m)
    metric = conditions.metrics[0]
    found: list[tuple[float, str, Unit, Ends]] = []
    asked = [(unit, _ends(planner, conditions, unit, ends, reach_m)) for unit in units]
    known = [(unit, question) for unit, question in asked if question is not None]
    if not known:
        return []
    states = [question.on(metric) for _, question in known]
    edges = np.array(sorted({state.edge for one in states for state in one.origins}), np.int64)
    # the destinations are those of one place, whoever asks
    there = metric.seconds_from(edges, states[0].destinations)
    from_edge = dict(zip(edges.tolist(), there.tolist(), strict=True))
    for (unit, question), one in zip(known, states, strict=True):
        seconds = min((state.seconds + from_edge[state.edge] for state in one.origins), default=inf)
        seconds = min([seconds, *map(question.eta_seconds, question.along_one_edge())])
        if seconds < inf:
            found.append((seconds, unit.unit_id, unit, question))
    found.sort(key=lambda row: row[:2])
    return [_on_the_way(planner, conditions, unit, question) for _, _, unit, question in found[:limit]]


def _ends(
    planner: RoutePlanner, conditions: Conditions, unit: Unit, to: list[PlaceOnEdge], reach_m: float
) -> Ends | None:
    try:
        begin = planner.index.places_on_roads(unit.lat, unit.lon, reach_m)
    except (OffTheMap, InvalidPlace):
        return None
    return Ends(planner.graph, conditions.times, begin, to, 0.0)


def _on_the_way(planner: RoutePlanner, conditions: Conditions, unit: Unit, question: Ends) -> UnitOnTheWay:
    drives: list[tuple[float, Drive]] = [(question.eta_seconds(drive), drive) for drive in question.along_one_edge()]
    quickest = question.quickest(conditions.metrics[0])
    if quickest is not None:
        drives.append((quickest.seconds, quickest.drive))
    seconds, drive = min(drives, key=lambda one: one[0])
    return UnitOnTheWay(unit, seconds, float((planner.graph.length_m[list(drive.edges)] * drive.parts()).sum()))
