"""Directed edges from rows: which ways one may drive, how fast, on how many lanes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from trafficapp.roads.files.graph_rows import SPEEDS, Line, Row, column, ends_of, line_of, name_of, number, place_name
from trafficapp.roads.files.road_tags import (
    Directions,
    LeftOutError,
    Remarks,
    UnknownValueError,
    as_directions,
    as_lane_count,
    as_lanes,
    as_limit_kmh,
    as_speed_kmh,
    as_yes_or_no,
    check_for_cars,
    texts,
    usual_kmh,
)
from trafficapp.roads.graph.road_graph import GraphError

_DEFAULT_LANES = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One direction of a road.

    Attributes:
        id: its name; None where the file has none.
        begin: name of the node it begins at.
        end: name of the node it ends at.
        road: the road it belongs to, "" where none is told.
        piece_of: name of the edge that it was cut from; None when it is whole.
        name: its street, "" where none is told.
        length_m: None where only the line tells it.
        speed_kmh: on the empty road.
        lanes: in this direction, as far as the file tells.
        line: (latitude, longitude) in driving direction; empty where only the nodes tell it.
        layer: roads on different layers cross without meeting.
        nodes_told: whether the file names the nodes; else they are the ends of the line.
    """

    id: str | None
    begin: str
    end: str
    road: str
    name: str
    length_m: float | None
    speed_kmh: float
    lanes: int
    line: Line = field(default_factory=list)
    layer: int = 0
    nodes_told: bool = True
    piece_of: str | None = None

    def back(self) -> Edge:
        """The other direction."""
        name, whole = (None if one is None else f"{one}:back" for one in (self.id, self.piece_of))
        return replace(self, id=name, piece_of=whole, begin=self.end, end=self.begin, line=self.line[::-1])


@dataclass(frozen=True, slots=True)
class Way:
    """A road as one row tells it: the edge in drawing order, and which ways one may drive."""

    edge: Edge
    directions: Directions


def ways_of(rows: Sequence[Row], remarks: Remarks) -> list[Way]:
    """The roads of rows that cars may drive.

    A row that names its nodes is one direction, as osmnx and SUMO write them; where it has `oneway` and says that the
    road goes both ways, but no row goes back, it is both. A line alone goes both ways unless `oneway` says no.

    Args:
        rows: of edges.
        remarks: learns what is left out.

    Raises:
        GraphError: a row that makes no sense; the message names it.
    """
    ends = {ends_of(row) for row in rows}
    with_oneway = any("oneway" in row for row in rows)
    ways = []
    for row in rows:
        where = f"edge {_shown_id(row)}"
        try:
            check_for_cars(row)
            if as_yes_or_no(row.get("allowed"), "allowed") is False:
                raise LeftOutError("allowed=no")
            edge = _edge(row, where, remarks)
            told = as_directions(row.get("oneway"), row.get("junction"), row.get("highway"))
        except LeftOutError as reason:
            remarks.add(f"way left out: {reason}", where)
            continue
        except UnknownValueError as fault:
            raise GraphError(f"{where}: {fault}") from None
        if edge.nodes_told and (not with_oneway or (told.forward and (edge.end, edge.begin) in ends)):
            told = Directions(True, False)
        ways.append(Way(edge, told))
    return ways


def edges_of(ways: Sequence[Way]) -> list[Edge]:
    """One edge a direction."""
    edges = []
    for edge, (forward, back) in ((way.edge, way.directions) for way in ways):
        if forward:
            edges.append(edge)
        if back:
            # a street that only goes back keeps its name
            edges.append(edge.back() if forward else replace(edge.back(), id=edge.id, piece_of=edge.piece_of))
    return edges


def _edge(row: Row, where: str, remarks: Remarks) -> Edge:
    line = line_of(column(row, "geometry"), where)
    begin, end = ends_of(row)
    if (not begin or not end) and not line:
        raise GraphError(f"{where} has neither nodes nor a line")
    identity, length = column(row, "edge_id"), column(row, "length_m")
    return Edge(
        id=None if identity is None else name_of(identity) or str(identity),
        begin=begin or place_name(line[0]),
        end=end or place_name(line[-1]),
        road=name_of(column(row, "road_id")),
        name=name_of(column(row, "name")),
        length_m=None if not texts(length) else number(length, where, "length_m"),
        speed_kmh=_speed_kmh(row, where, remarks),
        lanes=_lanes(row, where, remarks),
        line=line,
        layer=_layer(row),
        nodes_told=bool(begin and end),
    )


def _lanes(row: Row, where: str, remarks: Remarks) -> int:
    """The lanes that are told; one where none are, or where a tag of OpenStreetMap says nothing."""
    told = column(row, "lanes")
    try:
        lanes = as_lane_count(told) if texts(row.get("highway")) else as_lanes(told)
    except UnknownValueError as fault:
        if not texts(row.get("highway")):
            raise
        remarks.add(f"lanes not understood, taken as is usual on such roads: {fault}", where)
        lanes = None
    return _DEFAULT_LANES if lanes is None else lanes


def _speed_kmh(row: Row, where: str, remarks: Remarks) -> float:
    """The first speed that is told, or what is usual on such a road."""
    fault = None
    for name, factor in SPEEDS:
        value = row.get(name)
        try:
            if name == "maxspeed":
                speed = as_limit_kmh(value)
            elif factor == 1:
                speed = as_speed_kmh(value)
            else:  # a unit of its own would be one too many
                speed = number(value, where, name) if texts(value) else None
        except UnknownValueError as error:
            if name != "maxspeed":
                raise
            fault = error
            continue
        if speed is not None:
            return speed * factor
    usual = usual_kmh(row.get("highway"))
    if fault is not None:
        if usual is None:
            raise fault
        remarks.add(f"maxspeed not understood, taken as is usual on such roads: {fault}", where)
    if usual is None:
        raise GraphError(f"{where} has no speed (speed_kmh, speed_ms, maxspeed, or a highway that cars drive on)")
    return usual


def _layer(row: Row) -> int:
    """The layer that is told; else a bridge is above the ground and a tunnel below."""
    for text in texts(row.get("layer")):
        try:
            return int(float(text))
        except (ValueError, OverflowError):
            break
    for name, layer in (("bridge", 1), ("tunnel", -1)):
        if any(text.lower() not in {"no", "false", "0"} for text in texts(row.get(name))):
            return layer
    return 0


def _shown_id(row: Row) -> str:
    """How to call a row in a message: by its own name, its road's, or its nodes."""
    for which in ("edge_id", "road_id"):
        if (value := column(row, which)) is not None:
            return repr(name_of(value) or str(value))
    if all(ends := ends_of(row)):
        return "-".join(ends)
    return f"{column(row, 'name')!r}"
