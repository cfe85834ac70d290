"""The arrays of a road graph, whatever they hold."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class GraphArrays:
    """A directed road graph as arrays. Edges and nodes are named by their position in them.

    Attributes:
        city: what the graph is of.
        source: where the data comes from, with its licence; goes wherever the graph goes.
        node_ids: names of the nodes, as in the source.
        node_lat: latitude of each node, degrees, WGS 84.
        node_lon: longitude of each node.
        edge_ids: names of the edges, unique.
        road_ids: the road an edge belongs to; the edge's own name where the source knows no roads.
        edge_names: street names, "" where there is none.
        edge_from: node an edge begins at.
        edge_to: node it ends at.
        length_m: length of each edge in metres.
        free_flow_kmh: speed on the empty road.
        lanes: number of lanes.
        shape_offsets: edge e's line is points ``shape_offsets[e]`` up to ``shape_offsets[e + 1]``.
        shape_lat: latitude of the points of all lines.
        shape_lon: longitude of the points of all lines.
        turn_from: edge before an allowed turn. What is not listed is forbidden.
        turn_to: edge after it.
        turn_seconds: time spent inside the junction.
    """

    city: str
    source: str
    node_ids: Texts
    node_lat: Floats
    node_lon: Floats
    edge_ids: Texts
    road_ids: Texts
    edge_names: Texts
    edge_from: Integers
    edge_to: Integers
    length_m: Floats
    free_flow_kmh: Floats
    lanes: Integers
    shape_offsets: Integers
    shape_lat: Floats
    shape_lon: Floats
    turn_from: Integers
    turn_to: Integers
    turn_seconds: Floats

    @property
    def node_count(self) -> int:
        """Number of nodes."""
        return len(self.node_ids)

    @property
    def edge_count(self) -> int:
        """Number of directed edges."""
        return len(self.edge_ids)


#: Numpy's letter for what an array holds, by its annotation.
KINDS = {"Floats": "f", "Integers": "i", "Texts": "U"}
#: The names of all arrays of a graph, in order.
ARRAYS = tuple(field.name for field in fields(GraphArrays) if field.name not in {"city", "source"})
