"""The road graph of a city: nodes, directed edges, allowed turns, as arrays that are checked when they are made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trafficapp.roads.graph.arrays import ARRAYS, KINDS, Floats, GraphArrays, Integers, Texts
from trafficapp.roads.graph.checks import GraphError, check_edges, check_nodes, check_turns

__all__ = ["Floats", "GraphError", "Integers", "RoadGraph", "Texts"]


@dataclass(frozen=True, eq=False)
class RoadGraph(GraphArrays):
    """A directed road graph that was checked; its arrays cannot be written."""

    def __post_init__(self) -> None:
        """Check everything.

        Raises:
            GraphError: the data cannot be a road graph; the message names what is wrong and where.
        """
        for name in ARRAYS:
            kind = KINDS[str(GraphArrays.__annotations__[name])]
            if getattr(self, name).dtype.kind != kind:
                raise GraphError(f"{name} holds {getattr(self, name).dtype}, which is not what belongs there")
        check_nodes(self)
        check_edges(self)
        check_turns(self)
        for name in ARRAYS:
            getattr(self, name).setflags(write=False)

    @cached_property
    def free_flow_seconds(self) -> Floats:
        """Time each edge takes on the empty road."""
        seconds: Floats = self.length_m / self.free_flow_kmh * 3.6
        seconds.setflags(write=False)
        return seconds

    @cached_property
    def length_list(self) -> list[float]:
        """The lengths as a list, which is quicker to look up one by one."""
        lengths: list[float] = self.length_m.tolist()
        return lengths

    @cached_property
    def turn_tails(self) -> list[int]:
        """The edges before the turns, as a list."""
        tails: list[int] = self.turn_from.tolist()
        return tails

    @cached_property
    def turn_heads(self) -> list[int]:
        """The edges after the turns, as a list."""
        heads: list[int] = self.turn_to.tolist()
        return heads

    @cached_property
    def turn_seconds_list(self) -> list[float]:
        """The times of the turns, as a list."""
        seconds: list[float] = self.turn_seconds.tolist()
        return seconds

    @cached_property
    def onward(self) -> list[list[tuple[int, int, float]]]:
        """The turns that lead away from each edge: turn, edge after it, seconds."""
        heads, seconds = self.turn_heads, self.turn_seconds_list
        return [[(turn, heads[turn], seconds[turn]) for turn in turns] for turns in self.turns_out_of]

    @cached_property
    def position_of_edge(self) -> dict[str, int]:
        """Position of each edge by its name."""
        return {name: position for position, name in enumerate(self.edge_ids.tolist())}

    @cached_property
    def position_of_node(self) -> dict[str, int]:
        """Position of each node by its name."""
        return {name: position for position, name in enumerate(self.node_ids.tolist())}

    @cached_property
    def version(self) -> str:
        """Twelve hex digits that differ when anything in the graph differs: weights of one graph fit no other."""
        digest = hashlib.sha256()
        for name in ARRAYS:
            array = getattr(self, name)
            digest.update(f"{name}:{array.shape}".encode())
            text = array.dtype.kind == "U"
            digest.update("\0".join(array.tolist()).encode() if text else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]

    @cached_property
    def edges_out_of(self) -> list[list[int]]:
        """Edges that begin at each node, ascending."""
        return _grouped(self.edge_from, self.node_count)

    @cached_property
    def edges_into(self) -> list[list[int]]:
        """Edges that end at each node, ascending."""
        return _grouped(self.edge_to, self.node_count)

    @cached_property
    def turns_out_of(self) -> list[list[int]]:
        """Turns that lead away from each edge, ascending."""
        return _grouped(self.turn_from, self.edge_count)

    @cached_property
    def turns_into(self) -> list[list[int]]:
        """Turns that lead onto each edge, ascending."""
        return _grouped(self.turn_to, self.edge_count)

    def road_name(self, edge: int) -> str:
        """What to call an edge: its street's name, or the name of its road where the street has none."""
        return str(self.edge_names[edge]) or str(self.road_ids[edge])


def _grouped(groups: Integers, count: int) -> list[list[int]]:
    """Positions by group, ascending in each."""
    positions: list[list[int]] = [[] for _ in range(count)]
    for position, group in enumerate(groups.tolist()):
        positions[group].append(position)
    return positions
