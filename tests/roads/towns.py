"""Small road graphs: a town of streets at right angles, and graphs by chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from trafficapp.roads.graph.earth import metres_along
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.graph.turns import Turn, allowed_turns

#: Degrees between two junctions of a town, about 111 m to the north and 79 m to the east.
BLOCK = 0.001
SOUTH, WEST = 44.5, 11.3


def graph_of(
    places: np.ndarray,
    ends: list[tuple[int, int]],
    *,
    speeds_kmh: Any = 50.0,
    turns: list[Turn] | None = None,
    names: list[str] | None = None,
) -> RoadGraph:
    """A graph of straight edges between places (latitude, longitude)."""
    count = len(ends)
    edge_from, edge_to = np.array(ends, np.int64).reshape(-1, 2).T
    lat, lon = places[:, 0], places[:, 1]
    length = metres_along(lat[edge_from], lon[edge_from], lat[edge_to], lon[edge_to])
    allowed = allowed_turns(edge_from, edge_to, turns)
    ids = np.array([f"e{number}" for number in range(count)])
    return RoadGraph(
        city="town",
        source="made for a test",
        node_ids=np.array([f"n{number}" for number in range(len(places))]),
        node_lat=lat.copy(),
        node_lon=lon.copy(),
        edge_ids=ids,
        road_ids=ids.copy(),
        edge_names=np.array(names or [""] * count, "U20"),
        edge_from=edge_from.copy(),
        edge_to=edge_to.copy(),
        length_m=np.where(edge_from == edge_to, 30.0, length),
        free_flow_kmh=np.broadcast_to(np.asarray(speeds_kmh, float), count).copy(),
        lanes=np.ones(count, np.int64),
        shape_offsets=np.arange(count + 1) * 2,
        shape_lat=np.column_stack([lat[edge_from], lat[edge_to]]).ravel(),
        shape_lon=np.column_stack([lon[edge_from], lon[edge_to]]).ravel(),
        turn_from=np.array([turn.before for turn in allowed], np.int64),
        turn_to=np.array([turn.after for turn in allowed], np.int64),
        turn_seconds=np.array([turn.seconds for turn in allowed], float),
    )


def town(rows: int, columns: int) -> RoadGraph:
    """Streets at right angles, both directions; junction (row, column) is node ``row * columns + column``."""
    places = np.array(
        [(SOUTH + row * BLOCK, WEST + column * BLOCK) for row in range(rows) for column in range(columns)]
    )
    ends, names = [], []
    for row in range(rows):
        for column in range(columns):
            node = row * columns + column
            if column + 1 < columns:
                ends += [(node, node + 1), (node + 1, node)]
                names += [f"Row {row}"] * 2
            if row + 1 < rows:
                ends += [(node, node + columns), (node + columns, node)]
                names += [f"Column {column}"] * 2
    return graph_of(places, ends, names=names)


def by_chance(seed: int) -> RoadGraph:
    """A graph with one-way streets, parallel edges, loops, dead ends, forbidden turns and slow junctions."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 30))
    places = np.column_stack([SOUTH + rng.random(count) * 0.05, WEST + rng.random(count) * 0.05])
    ends = [(int(a), int(b)) for a, b in rng.integers(count, size=(int(rng.integers(1, 4 * count)), 2))]
    edge_from, edge_to = np.array(ends).T
    turns = [
        turn._replace(seconds=float(rng.choice([0.0, rng.random() * 30])))
        for turn in allowed_turns(edge_from, edge_to, None)
        if rng.random() < 0.8
    ]
    forbid_all = [Turn(0, 0, allowed=False)]
    return graph_of(places, ends, speeds_kmh=rng.uniform(5, 130, len(ends)), turns=turns or forbid_all)


def chain(count: int, id_length: int, road: str = "way") -> RoadGraph:
    """Edges one after the other, all of one road, whose ids have so many characters."""
    places = np.column_stack([np.full(count + 1, SOUTH), WEST + np.arange(count + 1) * BLOCK / 4])
    graph = graph_of(places, [(number, number + 1) for number in range(count)])
    fields = {name: getattr(graph, name) for name in graph.__dataclass_fields__}
    fields["edge_ids"] = np.array([f"{number:0{id_length}d}" for number in range(count)])
    fields["road_ids"] = np.full(count, road)
    return RoadGraph(**fields)
