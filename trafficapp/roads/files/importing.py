"""Road graphs from files, with the column names of SUMO, OpenStreetMap, osmnx and our own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trafficapp.roads.files.crossings import cut_at_crossings
from trafficapp.roads.files.edge_rows import Edge, edges_of, ways_of
from trafficapp.roads.files.graph_files import rows_of
from trafficapp.roads.files.graph_rows import Row, column, name_of, number
from trafficapp.roads.files.road_tags import Remarks, UnknownValueError, as_yes_or_no
from trafficapp.roads.graph.earth import metres_along
from trafficapp.roads.graph.road_graph import GraphError, RoadGraph
from trafficapp.roads.graph.turns import Turn, allowed_turns


@dataclass
class _Tables:
    nodes: list[Row] = field(default_factory=list)
    edges: list[Row] = field(default_factory=list)
    turns: list[Row] | None = None


def import_graph(files: Sequence[Path], *, city: str, source: str, remarks: Remarks | None = None) -> RoadGraph:
    """Make a graph of files; which of them has nodes, edges or turns is seen by their columns.

    Args:
        files: parquet tables, GeoJSON, GraphML, GeoPackage, OpenStreetMap's own (.osm, .pbf) and SUMO's networks.
            Edges are needed; without nodes, the ends of the lines are nodes, and lines meet where they share a point;
            without turns, all turns are allowed but turning back where one can drive on.
        city: what the graph is of.
        source: where the data comes from, with its licence.
        remarks: learns what was left out or not understood.

    Raises:
        GraphError: a file cannot be read, or they make no road graph; the message says which and why.
    """
    if not source.strip():
        raise GraphError("say where the data comes from, with its licence: it goes wherever the graph goes")
    tables = _Tables()
    remarks = Remarks() if remarks is None else remarks
    for path in files:
        _sort_in(tables, rows_of(path, remarks), path)
    if not tables.edges:
        raise GraphError("none of the files has edges (columns from_node and to_node, or u and v, or lines)")
    return _assemble(tables, city, source, remarks)


def _sort_in(tables: _Tables, rows: Iterable[Row], path: Path) -> None:
    """Tell nodes, edges and turns apart by their columns; one GeoJSON may have nodes and edges."""
    for row in rows:
        if column(row, "from_edge") is not None:
            tables.turns = [] if tables.turns is None else tables.turns
            tables.turns.append(row)
        elif column(row, "from_node") is not None or column(row, "geometry") is not None:
            tables.edges.append(row)
        elif column(row, "lat") is not None:
            tables.nodes.append(row)
        else:
            raise GraphError(f"{path} has neither nodes, edges nor turns: its columns are {', '.join(map(str, row))}")


def _assemble(tables: _Tables, city: str, source: str, remarks: Remarks) -> RoadGraph:
    ways = ways_of(tables.edges, remarks)
    # a list of turns is of whole edges, and says where they meet
    edges = edges_of(ways if tables.turns else cut_at_crossings(ways))
    if not edges:
        raise GraphError("no way is left that cars may drive: " + "; ".join(remarks.lines()))
    nodes = _nodes(tables.nodes, edges)
    position = {name: number for number, name in enumerate(nodes)}
    ids = _edge_ids(edges)
    try:
        ends = np.array([(position[edge.begin], position[edge.end]) for edge in edges], np.int64)
    except KeyError as error:
        at = next(i for i, e in zip(ids, edges, strict=True) if error.args[0] in (e.begin, e.end))  # pragma: no branch
        raise GraphError(f"edge {at!r}: unknown node {error.args[0]!r}") from None
    lines = [edge.line or [nodes[edge.begin], nodes[edge.end]] for edge in edges]
    points = np.array([point for line in lines for point in line], float).reshape(-1, 2)
    offsets = np.concatenate([[0], np.cumsum([len(line) for line in lines])]).astype(np.int64)
    turns = allowed_turns(ends[:, 0], ends[:, 1], _turns(tables.turns, ids))
    return RoadGraph(
        city=city,
        source=source,
        node_ids=np.array(list(nodes)),
        node_lat=np.array([lat for lat, _ in nodes.values()], float),
        node_lon=np.array([lon for _, lon in nodes.values()], float),
        edge_ids=np.array(ids),
        road_ids=np.array([edge.road or edge.piece_of or name for edge, name in zip(edges, ids, strict=True)]),
        edge_names=np.array([edge.name for edge in edges]),
        edge_from=ends[:, 0].copy(),
        edge_to=ends[:, 1].copy(),
        length_m=_lengths(edges, points, offsets),
        free_flow_kmh=np.array([edge.speed_kmh for edge in edges], float),
        lanes=np.array([edge.lanes for edge in edges], np.int64),
        shape_offsets=offsets,
        shape_lat=points[:, 0].copy(),
        shape_lon=points[:, 1].copy(),
        turn_from=np.array([turn.before for turn in turns], np.int64),
        turn_to=np.array([turn.after for turn in turns], np.int64),
        turn_seconds=np.array([turn.seconds for turn in turns], float),
    )


def _nodes(rows: Iterable[Row], edges: list[Edge]) -> dict[str, tuple[float, float]]:
    """Places by node name; nodes without a row of their own lie at the end of the first line that touches them."""
    nodes: dict[str, tuple[float, float]] = {}
    for row in rows:
        name = name_of(column(row, "node_id"))
        if name in nodes:
            raise GraphError(f"node ids that are not unique: {name!r}")
        where = f"node {name!r}"
        nodes[name] = (number(column(row, "lat"), where, "lat"), number(column(row, "lon"), where, "lon"))
    if not nodes:
        for edge in edges:
            if edge.line:
                nodes.setdefault(edge.begin, edge.line[0])
                nodes.setdefault(edge.end, edge.line[-1])
    return nodes


def _edge_ids(edges: list[Edge]) -> list[str]:
    """The names of the edges; those without one are called way:from-to, and -2, -3 when there are several."""
    used: dict[str, int] = {}
    ids = []
    for edge in edges:
        name = edge.id
        if name is None:
            stem = f"{edge.road or 'edge'}:{edge.begin}-{edge.end}"
            used[stem] = used.get(stem, 0) + 1
            name = stem if used[stem] == 1 else f"{stem}-{used[stem]}"
        ids.append(name)
    return ids


def _lengths(edges: list[Edge], points: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The lengths that are told, and those of the lines where none is."""
    lat, lon = points[:, 0], points[:, 1]
    along = np.concatenate([[0], np.cumsum(metres_along(lat[:-1], lon[:-1], lat[1:], lon[1:]))])
    drawn = along[offsets[1:] - 1] - along[offsets[:-1]]
    return np.array([d if e.length_m is None else e.length_m for e, d in zip(edges, drawn.tolist(), strict=True)])


def _turns(rows: list[Row] | None, ids: list[str]) -> list[Turn] | None:
    """Turns by position, or None when the files have none."""
    if rows is None:
        return None
    position = {name: number for number, name in enumerate(ids)}
    turns = []
    for row in rows:
        names = [name_of(column(row, which)) for which in ("from_edge", "to_edge")]
        for name in names:
            if name not in position:
                raise GraphError(f"turn from edge {names[0]!r} to edge {names[1]!r}: unknown edge {name!r}")
        seconds = column(row, "turn_seconds")
        where = f"turn from edge {names[0]!r} to edge {names[1]!r}"
        try:
            allowed = as_yes_or_no(column(row, "allowed"), "allowed")
        except UnknownValueError as fault:
            raise GraphError(f"{where}: {fault}") from None
        turns.append(
            Turn(
                position[names[0]],
                position[names[1]],
                0.0 if seconds is None else number(seconds, where, "turn_seconds"),
                allowed is not False,
            )
        )
    return turns
