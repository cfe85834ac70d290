"""Rows of nodes, edges and turns, whatever their columns are called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from models.text_numbers import number as text_number
from trafficapp.roads.files.road_tags import texts
from trafficapp.roads.graph.road_graph import GraphError

#: What a column may be called, the first that tells something counts.
NAMES: dict[str, tuple[str, ...]] = {
    "node_id": ("node_id", "osmid", "osm_node", "id"),
    "lat": ("lat", "latitude", "y"),
    "lon": ("lon", "lng", "longitude", "x"),
    "edge_id": ("edge_id", "id"),
    "from_node": ("from_node", "u", "source", "from"),
    "to_node": ("to_node", "v", "target", "to"),
    "road_id": ("road_id", "osm_way", "osmid"),
    "name": ("name", "road_name"),
    "length_m": ("length_m", "length"),
    "lanes": ("lanes",),
    "geometry": ("geometry",),
    "from_edge": ("from_edge",),
    "to_edge": ("to_edge",),
    "turn_seconds": ("junction_s", "turn_seconds", "seconds"),
    "allowed": ("allowed",),
}
#: Speeds in order, with what makes km/h of them. `speed_kph` is what osmnx reckons where no limit is told.
SPEEDS = (("speed_kmh", 1.0), ("free_flow_kmh", 1.0), ("maxspeed", 1.0), ("speed_ms", 3.6), ("speed_kph", 1.0))

Row = Mapping[str, Any]
Line = list[tuple[float, float]]


def column(row: Row, meaning: str) -> Any:
    """What a row tells; None where it tells nothing, as NaN does."""
    for name in NAMES[meaning]:
        value = row.get(name)
        if value is not None and value == value:
            return value
    return None


def ends_of(row: Row) -> tuple[str, str]:
    """The nodes a row begins and ends at, "" where none is told.

    Where osmnx saves one row for both directions, `u` and `v` are in any order, `from` and `to` in that of the line.
    """
    told = tuple(name_of(column(row, which)) for which in ("from_node", "to_node"))
    drawn = tuple(name_of(row.get(which)) for which in ("from", "to"))
    begin, end = drawn if all(drawn) and drawn == told[::-1] else told
    return begin, end


def number(value: Any, where: str, name: str) -> float:
    """A number, also one that is written as text.

    Raises:
        GraphError: it is none.
    """
    try:
        return float(text_number(value))
    except (TypeError, ValueError):
        raise GraphError(f"{where}: {name} is no number: {str(value)[:40]!r}") from None


def name_of(value: Any) -> str:
    """A name or id as text; several, as tools that join ways leave them, in an order of their own."""
    return " / ".join(sorted(set(texts(value))))


def line_of(value: Any, where: str) -> Line:
    """A line as (latitude, longitude); the file has JSON or a list of [longitude, latitude], or WKT.

    Raises:
        GraphError: it is no line.
    """
    if value is None or value == "":
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


def place_name(point: tuple[float, float]) -> str:
    """A name for the end of a line, the same for all lines that end there (to a decimetre)."""
    return f"{point[0]:.6f},{point[1]:.6f}"
