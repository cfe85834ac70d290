"""How far it is from the end of one edge to the beginning of another, for all pairs that are near."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trafficapp.roads.graph.road_graph import Floats, Integers

#: Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4): 2^64 over the golden ratio.
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
#: Numbers of distances that are held at once while they are found.
_HELD = 4_000_000
#: scipy takes a distance of nothing for no way.
_LEAST_M = 1e-3


@dataclass(frozen=True, eq=False, slots=True)
class Ways:
    """Distances over the allowed turns, in a hash table of pairs of edges that is asked for many pairs at once.

    Attributes:
        edge_count: of the graph.
        pairs: how many pairs are known.
    """

    edge_count: int
    pairs: int
    _keys: Integers
    _metres: npt.NDArray[np.float32]
    _shift: np.uint64

    @classmethod
    def build(
        cls, lengths_m: Floats, turn_from: Integers, turn_to: Integers, turn_m: Floats, farthest_m: float
    ) -> Ways:
        """Find them.

        Args:
            lengths_m: of the edges.
            turn_from: edge before each allowed turn.
            turn_to: edge behind it.
            turn_m: metres between the end of one and the beginning of the other.
            farthest_m: longer ways are not looked for.
        """
        # whoever declares feeds has this module, and only who matches pays for scipy
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import dijkstra

        count = len(lengths_m)
        # an edge is two nodes, its beginning and its end, so that ways are cut where the next edge begins
        begins, ends = np.arange(count), np.arange(count) + count
        roads = csr_array(
            (
                np.maximum(np.concatenate([lengths_m, turn_m]), _LEAST_M),
                (np.concatenate([begins, turn_from + count]), np.concatenate([ends, turn_to])),
            ),
            shape=(2 * count, 2 * count),
        )
        keys, metres = [], []
        at_once = max(1, _HELD // (2 * count))
        for first in range(0, count, at_once):
            sources = np.arange(first, min(first + at_once, count))
            found = np.atleast_2d(dijkstra(roads, indices=sources + count, limit=farthest_m))[:, :count]
            before, after = np.nonzero(np.isfinite(found))
            keys.append(sources[before] * count + after)
            metres.append(found[before, after])
        return cls._hashed(count, np.concatenate(keys), np.concatenate(metres))

    @classmethod
    def _hashed(cls, edge_count: int, keys: Integers, metres: Floats) -> Ways:
        bits = max(4, int(np.ceil(np.log2(2 * len(keys) + 1))))
        size, shift = 1 << bits, np.uint64(64 - bits)
        table, values = np.full(size, -1, np.int64), np.full(size, np.inf, np.float32)
        slots, waiting = _hash(keys, shift), np.arange(len(keys))
        while len(waiting):
            free = table[slots] < 0
            table[slots[free]] = keys[waiting[free]]  # of several for one slot the last has it
            placed = table[slots] == keys[waiting]
            values[slots[placed]] = metres[waiting[placed]]
            waiting, slots = waiting[~placed], (slots[~placed] + 1) & (size - 1)
        return cls(edge_count, len(keys), table, values, shift)

    def metres(self, before: Integers, after: Integers) -> Floats:
        """From the end of each edge to the beginning of the one beside it in the arrays; inf where it is too far."""
        keys = before * self.edge_count + after
        slots = _hash(keys, self._shift)
        there = self._keys[slots]
        metres: Floats = self._metres[slots].astype(float)
        wrong = np.flatnonzero(there != keys)
        if len(wrong):
            metres[wrong] = np.inf
            last = len(self._keys) - 1
            # where a slot is free the pair is not known
            wrong = wrong[there[wrong] >= 0]
            while len(wrong):
                slots[wrong] = following = (slots[wrong] + 1) & last
                there = self._keys[following]
                found = there == keys[wrong]
                metres[wrong[found]] = self._metres[following[found]]
                wrong = wrong[~found & (there >= 0)]
        return metres


def _hash(keys: Integers, shift: np.uint64) -> npt.NDArray[np.int64]:
    return ((keys.view(np.uint64) * _MULTIPLIER) >> shift).view(np.int64)
