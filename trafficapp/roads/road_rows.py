"""The state rows of roads: which of them changed, made once and early, and how many roads there were at an offset."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Collection, Iterable, Mapping
from operator import itemgetter

from models.roads.current import MOST_EDGES_OF_A_ROAD
from trafficapp.engine.state_rows import forgotten_row

#: Edges that all roads together are on, for each road that may be known. Roads of a feed share a graph: of most edges
#: one or two roads tell.
_EDGES_A_ROAD = 10


class RoadRows:
    """The rows of the roads of one partition.

    Args:
        rows: as they were read, by key.
        make: makes the row of a road.
    """

    def __init__(self, rows: Mapping[bytes, bytes], make: Callable[[bytes], bytes]) -> None:
        self._rows = dict(rows)
        self._make = make
        #: Changed since rows were told; changed since their row was made; forgotten since rows were told.
        self._untold: set[bytes] = set()
        self._old: set[bytes] = set()
        self._forgotten: set[bytes] = set()

    def changed(self, key: bytes) -> None:
        """A road changed, or is new."""
        self._untold.add(key)
        self._old.add(key)
        self._forgotten.discard(key)

    def forgotten(self, keys: Iterable[bytes]) -> None:
        """Roads were forgotten."""
        for key in keys:
            self._rows.pop(key, None)
            self._untold.discard(key)
            self._old.discard(key)
            self._forgotten.add(key)

    def prepare(self) -> None:
        """Make the rows that changed. For many roads this takes a while: not for an event loop."""
        for key in self._old:
            self._rows[key] = self._make(key)
        self._old.clear()

    def tell(self, partition_row: tuple[bytes, bytes], offset: int, everything: bool) -> list[tuple[bytes, bytes]]:
        """Rows of roads, the partition's, and tombstones of forgotten roads that cover an offset.

        Roads are those that changed since the last call; all of them when `everything` is asked for.
        """
        self.prepare()
        rows = [(key, self._rows[key]) for key in sorted(self._rows if everything else self._untold)]
        rows.append(partition_row)
        rows += [(key, forgotten_row(offset)) for key in sorted(self._forgotten)]
        self._untold.clear()
        self._forgotten.clear()
        return rows


class RoadLimits:
    """How many roads may be known, and how many edges all of them together may be on.

    Rows may be ahead of the partition's. So that whoever goes on from rows decides like the owner before, roads that
    began later do not count until then. (A road that was forgotten and came back in between counts once too little.)

    Args:
        most_roads: roads at once.
    """

    def __init__(self, most_roads: int) -> None:
        self._most_roads = most_roads
        self._most_edges = max(most_roads * _EDGES_A_ROAD, MOST_EDGES_OF_A_ROAD)
        self._edges: dict[str, int] = {}
        self._all_edges = 0
        self._later: list[tuple[int, int]] = []

    def known(self, road_id: str, edges: int, first: int, applied: int) -> None:
        """A road is known from a row; it began at the offset `first`, and the partition was applied up to `applied`."""
        self._put(road_id, edges)
        if first > applied:
            insort(self._later, (first, edges))

    def changed(self, road_id: str, edges: int) -> None:
        """A road is new, or on other edges."""
        self._put(road_id, edges)

    def forgotten(self, road_ids: Collection[str]) -> None:
        """Roads were forgotten."""
        for road_id in road_ids:
            self._all_edges -= self._edges.pop(road_id)

    def refusal(self, road_id: str, edges: int, offset: int) -> str | None:
        """Why a road may not be known at an offset, with so many edges; None when it may."""
        later = self._later[bisect_right(self._later, offset, key=itemgetter(0)) :]
        own = self._edges.get(road_id)
        count = len(self._edges) - len(later)
        if own is None and count >= self._most_roads:
            return f"{count:,} roads are known, and {road_id!r} is none of them"
        total = self._all_edges - sum(told for _, told in later) + edges - (own or 0)
        if edges > (own or 0) and total > self._most_edges:
            return f"{road_id!r} is on {edges:,} edges, all roads would be on {total:,}, more than {self._most_edges:,}"
        return None

    def _put(self, road_id: str, edges: int) -> None:
        self._all_edges += edges - self._edges.get(road_id, 0)
        self._edges[road_id] = edges
