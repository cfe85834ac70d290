"""Road graphs from files: parquet tables or GeoJSON, with the column names of SUMO, OpenStreetMap and our own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trafficapp.roads.earth import metres_along
from trafficapp.roads.graph import GraphError, RoadGraph
from trafficapp.roads.turns import Turn, allowed_turns

#: What a column may be called, the first found counts.
_NAMES: dict[str, tuple[str, ...]] = {
    "node_id": ("node_id", "osmid", "osm_node", "id"),
    "lat": ("lat", "latitude", "y"),
    "lon": ("lon", "lng", "longitude", "x"),
    "edge_id": ("edge_id", "id"),
    "from_node": ("from_node", "u", "source", "from"),
    "to_node": ("to_node", "v", "target", "to"),
    "road_id": ("road_id", "osm_way", "osmid"),
    "name": ("name", "road_name"),
    "length_m": ("length_m", "length"),
    "speed_kmh": ("speed_kmh", "free_flow_kmh", "maxspeed"),
    "speed_ms": ("speed_ms",),
    "lanes": ("lanes",),
    "geometry": ("geometry",),
    "from_edge": ("from_edge",),
    "to_edge": ("to_edge",),
    "turn_seconds": ("junction_s", "turn_seconds", "seconds"),
    "allowed": ("allowed",),
}
_DEFAULT_LANES = 1

Row = Mapping[str, Any]
Line = list[tuple[float, float]]


@dataclass
class _Tables:
    nodes: list[Row] = field(default_factory=list)
    edges: list[Row] = field(default_factory=list)
    turns: list[Row] | None = None


def import_graph(files: Sequence[Path], *, city: str, source: str) -> RoadGraph:
    """Make a graph of files; which of them has nodes, edges or turns is seen by their columns.

    Args:
        files: parquet tables and GeoJSON collections. Edges are needed; without nodes, the ends of the lines are
            nodes; without turns, all turns are allowed but turning back where one can drive on.
        city: what the graph is of.
        source: where the data comes from, with its licence.

    Raises:
        GraphError: a file cannot be read, or they make no road graph; the message says which and why.
    """
    if not source.strip():
        raise GraphError("say where the data comes from, with its licence: it goes wherever the graph goes")
    tables = _Tables()
    for path in files:
        _sort_in(tables, _rows(path), path)
    if not tables.edges:
        raise GraphError("none of the files has edges (columns from_node and to_node, or u and v, or lines)")
    return _assemble(tables, city, source)


def _rows(path: Path) -> list[Row]:
    import pyarrow.parquet

    try:
        if path.suffix == ".parquet":
            rows: list[Row] = pyarrow.parquet.read_table(path).to_pylist()
            return rows
        if path.suffix in {".geojson", ".json"}:
            return _features(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise GraphError(f"{path} cannot be read: {error}") from None
    raise GraphError(f"{path} is neither .parquet nor .geojson")


def _features(document: Any) -> list[Row]:
    """Rows of a GeoJSON collection: properties, with the line in ``geometry``, or latitude and longitude of a point."""
    if not isinstance(document, dict) or not isinstance(document.get("features"), list):
        raise ValueError("not a GeoJSON FeatureCollection")
    rows: list[Row] = []
    for number, feature in enumerate(document["features"]):
        try:
            geometry, properties = feature["geometry"], feature.get("properties") or {}
            kind, coordinates = geometry["type"], geometry["coordinates"]
            if kind == "Point":
                rows.append({**properties, "lon": coordinates[0], "lat": coordinates[1]})
            elif kind == "LineString":
                rows.append({**properties, "geometry": coordinates})
            else:
                raise ValueError(f"is a {kind}; only Point and LineString are understood")
        except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
            raise ValueError(f"feature {number}: {error}") from None
    return rows


def _sort_in(tables: _Tables, rows: list[Row], path: Path) -> None:
    """Tell nodes, edges and turns apart by their columns; one GeoJSON may have nodes and edges."""
    for row in rows:
        if _column(row, "from_edge") is not None:
            tables.turns = [] if tables.turns is None else tables.turns
            tables.turns.append(row)
        elif _column(row, "from_node") is not None or _column(row, "geometry") is not None:
            tables.edges.append(row)
        elif _column(row, "lat") is not None:
            tables.nodes.append(row)
        else:
            raise GraphError(f"{path} has neither nodes, edges nor turns: its columns are {', '.join(map(str, row))}")


def _assemble(tables: _Tables, city: str, source: str) -> RoadGraph:
    edges = [edge for row in tables.edges for edge in _directed(row)]
    nodes = _nodes(tables.nodes, edges)
    position = {name: number for number, name in enumerate(nodes)}
    ids = _edge_ids(edges)
    try:
        ends = np.array([(position[edge["from"]], position[edge["to"]]) for edge in edges], np.int64)
    except KeyError as error:
        at = next(
            i for i, e in zip(ids, edges, strict=True) if error.args[0] in (e["from"], e["to"])
        )  # pragma: no branch
        raise GraphError(f"edge {at!r}: unknown node {error.args[0]!r}") from None
    lines = [edge["line"] or [nodes[edge["from"]], nodes[edge["to"]]] for edge in edges]
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
        road_ids=np.array([edge["road"] or name for edge, name in zip(edges, ids, strict=True)]),
        edge_names=np.array([edge["name"] for edge in edges]),
        edge_from=ends[:, 0].copy(),
        edge_to=ends[:, 1].copy(),
        length_m=_lengths(edges, points, offsets),
        free_flow_kmh=np.array([edge["speed"] for edge in edges], float),
        lanes=np.array([edge["lanes"] for edge in edges], np.int64),
        shape_offsets=offsets,
        shape_lat=points[:, 0].copy(),
        shape_lon=points[:, 1].copy(),
        turn_from=np.array([turn.before for turn in turns], np.int64),
        turn_to=np.array([turn.after for turn in turns], np.int64),
        turn_seconds=np.array([turn.seconds for turn in turns], float),
    )


def _directed(row: Row) -> list[dict[str, Any]]:
    """One edge a direction. Rows with named nodes are directed; lines alone go both ways unless ``oneway`` says no."""
    identity = _column(row, "edge_id")
    where = f"edge {identity!r}"
    line = _line(_column(row, "geometry"), where)
    start, end = _column(row, "from_node"), _column(row, "to_node")
    if (start is None or end is None) and not line:
        raise GraphError(f"{where} has neither nodes nor a line")
    speed = _column(row, "speed_kmh")
    if speed is None and (per_second := _column(row, "speed_ms")) is not None:
        speed = _number(per_second, where, "speed_ms") * 3.6
    if speed is None:
        raise GraphError(f"{where} has no speed (speed_kmh or speed_ms)")
    length = _column(row, "length_m")
    lanes = _column(row, "lanes")
    edge: dict[str, Any] = {
        "id": None if identity is None else str(identity),
        "from": str(start) if start is not None else _place_name(line[0]),
        "to": str(end) if end is not None else _place_name(line[-1]),
        "road": _text(_column(row, "road_id")),
        "name": _text(_column(row, "name")),
        "length": None if length is None else _number(length, where, "length_m"),
        "speed": _number(speed, where, "speed"),
        "lanes": _DEFAULT_LANES if lanes is None else int(np.clip(np.rint(_number(lanes, where, "lanes")), -1, 99)),
        "line": line,
    }
    if (start is None or end is None) and str(row.get("oneway", "no")).lower() not in {"yes", "true", "1"}:
        back = {**edge, "from": edge["to"], "to": edge["from"], "line": line[::-1]}
        return [edge, back if edge["id"] is None else back | {"id": f"{edge['id']}:back"}]
    return [edge]


def _nodes(rows: Iterable[Row], edges: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Places by node name; nodes without a row of their own lie at the end of the first line that touches them."""
    nodes: dict[str, tuple[float, float]] = {}
    for row in rows:
        name = str(_column(row, "node_id"))
        if name in nodes:
            raise GraphError(f"node ids that are not unique: {name!r}")
        where = f"node {name!r}"
        nodes[name] = (_number(_column(row, "lat"), where, "lat"), _number(_column(row, "lon"), where, "lon"))
    if not nodes:
        for edge in edges:
            if edge["line"]:
                nodes.setdefault(edge["from"], edge["line"][0])
                nodes.setdefault(edge["to"], edge["line"][-1])
    return nodes


def _edge_ids(edges: list[dict[str, Any]]) -> list[str]:
    """The names of the edges; those without one are called way:from-to, and -2, -3 when there are several."""
    used: dict[str, int] = {}
    ids = []
    for edge in edges:
        name = edge["id"]
        if name is None:
            stem = f"{edge['road'] or 'edge'}:{edge['from']}-{edge['to']}"
            used[stem] = used.get(stem, 0) + 1
            name = stem if used[stem] == 1 else f"{stem}-{used[stem]}"
        ids.append(name)
    return ids


def _lengths(edges: list[dict[str, Any]], points: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The lengths that are told, and those of the lines where none is."""
    lat, lon = points[:, 0], points[:, 1]
    along = np.concatenate([[0], np.cumsum(metres_along(lat[:-1], lon[:-1], lat[1:], lon[1:]))])
    drawn = along[offsets[1:] - 1] - along[offsets[:-1]]
    return np.array([d if e["length"] is None else e["length"] for e, d in zip(edges, drawn.tolist(), strict=True)])


def _turns(rows: list[Row] | None, ids: list[str]) -> list[Turn] | None:
    """Turns by position, or None when the files have none."""
    if rows is None:
        return None
    position = {name: number for number, name in enumerate(ids)}
    turns = []
    for row in rows:
        names = [str(_column(row, which)) for which in ("from_edge", "to_edge")]
        for name in names:
            if name not in position:
                raise GraphError(f"turn from edge {names[0]!r} to edge {names[1]!r}: unknown edge {name!r}")
        seconds, allowed = _column(row, "turn_seconds"), _column(row, "allowed")
        where = f"turn from edge {names[0]!r} to edge {names[1]!r}"
        turns.append(
            Turn(
                position[names[0]],
                position[names[1]],
                0.0 if seconds is None else _number(seconds, where, "turn_seconds"),
                allowed is None or bool(allowed),
            )
        )
    return turns


def _column(row: Row, meaning: str) -> Any:
    for name in _NAMES[meaning]:
        if (value := row.get(name)) is not None:
            return value
    return None


def _number(value: Any, where: str, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise GraphError(f"{where}: {name} is no number: {str(value)[:40]!r}") from None


def _text(value: Any) -> str:
    """A name; SUMO and OSM exports write NaN or several names in a list where there is none or more than one."""
    if isinstance(value, list):
        return " / ".join(map(str, value))
    return "" if value is None or value != value else str(value)


def _line(value: Any, where: str) -> Line:
    """A line as (latitude, longitude); the file has JSON or a list of [longitude, latitude], or WKT."""
    if value is None:
        return []
    try:
        if isinstance(value, str):
            if value.lstrip().upper().startswith("LINESTRING"):
                inner = value[value.index("(") + 1 : value.rindex(")")]
                value = [pair.split() for pair in inner.split(",")]
            else:
                value = json.loads(value)
        line = [(float(point[1]), float(point[0])) for point in value]
    except (TypeError, ValueError, IndexError, KeyError, RecursionError):
        raise GraphError(f"{where}: the line is neither a list of [longitude, latitude] nor WKT") from None
    if len(line) < 2:
        raise GraphError(f"{where}: a line of less than two points")
    return line


def _place_name(point: tuple[float, float]) -> str:
    """A name for the end of a line, the same for all lines that end there (to a decimetre)."""
    return f"{point[0]:.6f},{point[1]:.6f}"
