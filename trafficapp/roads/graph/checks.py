"""What must hold for a road graph; each fault is told with the names of the first few places where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from trafficapp.roads.graph.arrays import GraphArrays
from trafficapp.roads.graph.earth import metres_along

#: Free-flow speeds outside of this are no road's.
SLOWEST_FREE_FLOW_KMH = 1.0
FASTEST_FREE_FLOW_KMH = 200.0
LONGEST_EDGE_M = 50_000.0
MOST_LANES = 20
LONGEST_TURN_SECONDS = 600.0
#: An edge's line may end this far from its node: lines of simulated networks stop at the junction's border.
FARTHEST_FROM_NODE_M = 500.0

_Where = npt.NDArray[np.bool_]


class GraphError(ValueError):
    """The data cannot be a road graph; the message says what is wrong, where, and what would be right."""


def check_nodes(graph: GraphArrays) -> None:
    """Nodes: known, named once, on the globe."""
    if not graph.edge_count or not graph.node_count:
        raise GraphError(f"the graph of {graph.city!r} has {graph.node_count} nodes and {graph.edge_count} edges")
    _same_length(graph, "node_ids", "node_lat", "node_lon")
    _unique(graph.node_ids, "node")
    node = _namer("node", graph.node_ids)
    _refuse(~np.isfinite(graph.node_lat) | ~np.isfinite(graph.node_lon), node, "coordinates that are no numbers")
    beyond = (abs(graph.node_lat) > 90) | (abs(graph.node_lon) > 180)
    _refuse(beyond, node, "latitude beyond ±90 or longitude beyond ±180; latitude and longitude may be swapped")


def check_edges(graph: GraphArrays) -> None:
    """Edges: between known nodes, with possible lengths, speeds, lanes and lines."""
    _same_length(
        graph, "edge_ids", "road_ids", "edge_names", "edge_from", "edge_to", "length_m", "free_flow_kmh", "lanes"
    )
    _unique(graph.edge_ids, "edge")
    edge = _namer("edge", graph.edge_ids)
    for end in (graph.edge_from, graph.edge_to):
        _refuse((end < 0) | (end >= graph.node_count), edge, "an unknown node")
    _refuse(~np.isfinite(graph.length_m), edge, "a length that is no number")
    _refuse(graph.length_m <= 0, edge, "a length of zero or less")
    _refuse(graph.length_m > LONGEST_EDGE_M, edge, f"a length above {LONGEST_EDGE_M / 1000:.0f} km")
    speed = graph.free_flow_kmh
    _refuse(~np.isfinite(speed), edge, "a free-flow speed that is no number")
    impossible = (speed < SLOWEST_FREE_FLOW_KMH) | (speed > FASTEST_FREE_FLOW_KMH)
    _refuse(impossible, edge, f"a free-flow speed outside {SLOWEST_FREE_FLOW_KMH:g}..{FASTEST_FREE_FLOW_KMH:g} km/h")
    _refuse((graph.lanes < 1) | (graph.lanes > MOST_LANES), edge, f"a number of lanes outside 1..{MOST_LANES}")
    _check_lines(graph, edge)


def check_turns(graph: GraphArrays) -> None:
    """Turns: from an edge that ends where the other begins, each named once."""
    _same_length(graph, "turn_from", "turn_to", "turn_seconds")
    for end in (graph.turn_from, graph.turn_to):
        if ((end < 0) | (end >= graph.edge_count)).any():
            raise GraphError("a turn names an unknown edge")

    def turn(position: int) -> str:
        before, after = graph.turn_from[position], graph.turn_to[position]
        return f"turn from edge {str(graph.edge_ids[before])!r} to edge {str(graph.edge_ids[after])!r}"

    apart = graph.edge_to[graph.turn_from] != graph.edge_from[graph.turn_to]
    _refuse(apart, turn, "edges that do not meet")
    seconds = graph.turn_seconds
    wrong = ~np.isfinite(seconds) | (seconds < 0) | (seconds > LONGEST_TURN_SECONDS)
    _refuse(wrong, turn, f"a time outside 0..{LONGEST_TURN_SECONDS:g} s")
    pairs = graph.turn_from * graph.edge_count + graph.turn_to
    if len(np.unique(pairs)) < len(pairs):
        raise GraphError("a turn is listed twice")


def _check_lines(graph: GraphArrays, edge: Callable[[int], str]) -> None:
    """Lines of edges: two points or more, on the globe, near their nodes, not swapped."""
    offsets = graph.shape_offsets
    _same_length(graph, "shape_lat", "shape_lon")
    if len(offsets) != graph.edge_count + 1 or offsets[0] != 0 or offsets[-1] != len(graph.shape_lat):
        raise GraphError("the lines do not fit the edges")
    _refuse(np.diff(offsets) < 2, edge, "a line of less than two points")
    wrong = ~np.isfinite(graph.shape_lat) | ~np.isfinite(graph.shape_lon)
    wrong |= (abs(graph.shape_lat) > 90) | (abs(graph.shape_lon) > 180)
    owners = np.repeat(np.arange(graph.edge_count), np.diff(offsets))
    _refuse(np.isin(np.arange(graph.edge_count), owners[wrong]), edge, "a line with points that are on no map")
    first, last = offsets[:-1], offsets[1:] - 1
    lat, lon = graph.shape_lat, graph.shape_lon
    gaps = [
        metres_along(graph.node_lat[node], graph.node_lon[node], lat[point], lon[point])
        for node, point in ((graph.edge_from, first), (graph.edge_to, last))
    ]
    swapped = metres_along(
        graph.node_lat[graph.edge_from], graph.node_lon[graph.edge_from], *_swapped(lat[first], lon[first])
    )
    _refuse(
        (gaps[0] > FARTHEST_FROM_NODE_M) & (swapped <= FARTHEST_FROM_NODE_M), edge, "latitude and longitude swapped"
    )
    for gap in gaps:
        _refuse(gap > FARTHEST_FROM_NODE_M, edge, f"a line more than {FARTHEST_FROM_NODE_M:.0f} m from its node")
    _check_orientation(graph, owners)


def _check_orientation(graph: GraphArrays, owners: npt.NDArray[np.int64]) -> None:
    """A whole file can have latitude and longitude swapped: then lines are longer or shorter than their roads."""
    inside = owners[1:] == owners[:-1]

    def misfit(lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]) -> float:
        steps = np.where(inside, metres_along(lat[:-1], lon[:-1], lat[1:], lon[1:]), 0)
        drawn = np.bincount(owners[1:], steps, graph.edge_count)
        return float(np.median(abs(np.log(np.maximum(drawn, 1e-3) / graph.length_m))))

    as_is = misfit(graph.shape_lat, graph.shape_lon)
    other = misfit(*_swapped(graph.shape_lat, graph.shape_lon))
    if as_is > 0.05 and other < as_is / 2:
        raise GraphError(
            "latitude and longitude are swapped: the lines have the lengths of their roads only when read the other "
            "way round"
        )


def _swapped(
    lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return np.clip(lon, -90, 90), lat


def _same_length(graph: GraphArrays, *names: str) -> None:
    lengths = {name: len(getattr(graph, name)) for name in names}
    if len(set(lengths.values())) > 1:
        raise GraphError(f"arrays of different lengths: {lengths}")


def _unique(names: npt.NDArray[np.str_], kind: str) -> None:
    found, counts = np.unique(names, return_counts=True)
    if (counts > 1).any():
        repeated = ", ".join(repr(str(name)) for name in found[counts > 1][:3])
        raise GraphError(f"{kind} ids that are not unique: {repeated} ({int((counts > 1).sum())} in all)")


def _namer(kind: str, names: npt.NDArray[Any]) -> Callable[[int], str]:
    return lambda position: f"{kind} {str(names[position])!r}"


def _refuse(where: _Where, name: Callable[[int], str], fault: str) -> None:
    if where.any():
        places = np.flatnonzero(where)
        shown = ", ".join(name(int(place)) for place in places[:3])
        raise GraphError(f"{shown}: {fault}" + (f" ({len(places)} in all)" if len(places) > 3 else ""))
