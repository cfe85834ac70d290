"""Networks of SUMO (.net.xml): edges, their lanes for cars, and the turns across junctions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trafficapp.roads.files.elements import read_elements
from trafficapp.roads.files.road_tags import Remarks
from trafficapp.roads.graph.earth import TransverseMercator, utm_map

#: SUMO's class of ordinary cars.
_CAR = "passenger"
#: Lanes inside of a junction follow each other at most so often.
_LONGEST_CHAIN = 5


@dataclass(slots=True)
class _Lane:
    shape: list[tuple[float, float]]
    length_m: float
    speed_ms: float
    for_cars: bool


@dataclass(slots=True)
class _Edge:
    id: str
    begin: str
    end: str
    name: str
    inside: bool
    lanes: dict[str, _Lane] = field(default_factory=dict)


def read_sumo(path: Path, remarks: Remarks) -> list[dict[str, Any]]:
    """Rows of nodes, edges and turns, for cars.

    Args:
        path: the network, packed with gzip or not.
        remarks: learns what was left out.

    Raises:
        ValueError: it is no network of SUMO, or its places are on no map.
    """
    reader = _Reader()
    read_elements(path, reader.begin)
    if reader.degrees is None:
        raise ValueError("no network of SUMO: it has no location")
    return reader.rows(reader.degrees, remarks)


class _Map:
    """From the network's metres to degrees."""

    def __init__(self, projection: str, offset: str) -> None:
        self._flat: TransverseMercator | None = None
        self._east, self._north = _pair(offset)
        words = dict(word.lstrip("+").partition("=")[::2] for word in projection.split())
        if words.get("proj") == "utm" and words.get("zone", "").isdigit() and 1 <= int(words["zone"]) <= 60:
            self._flat = utm_map(int(words["zone"]), "south" in words)
        elif projection != "-" and words.get("proj") not in {"longlat", "latlong"}:
            said = "none" if projection in {"", "!"} else repr(projection[:80])
            raise ValueError(
                f"its places are on no map that is understood (projParameter: {said}; +proj=utm is): build it with "
                "netconvert --proj.utm"
            )

    def degrees(self, place: tuple[float, float]) -> tuple[float, float]:
        """Longitude and latitude."""
        east, north = place[0] - self._east, place[1] - self._north
        if self._flat is None:
            return east, north
        lat, lon = self._flat.degrees(east, north)
        return lon, lat


class _Reader:
    def __init__(self) -> None:
        self.degrees: _Map | None = None
        self._edges: dict[str, _Edge] = {}
        self._edge: _Edge | None = None
        self._nodes: dict[str, tuple[float, float]] = {}
        self._connections: list[dict[str, str]] = []
        self._lanes: dict[str, _Lane] = {}
        self._via: dict[str, str] = {}

    def begin(self, tag: str, told: dict[str, str]) -> None:
        if tag == "location":
            self.degrees = _Map(told.get("projParameter", "!"), told["netOffset"])
        elif tag == "edge":
            # also walking areas and crossings are inside of junctions
            inside = told.get("function", "normal") not in {"normal", "connector"}
            self._edge = _Edge(told["id"], told.get("from", ""), told.get("to", ""), told.get("name", ""), inside)
            self._edges[told["id"]] = self._edge
        elif tag == "lane" and self._edge is not None:
            lane = _Lane(
                [_pair(place) for place in told["shape"].split()],
                float(told["length"]),
                float(told["speed"]),
                _for_cars(told.get("allow"), told.get("disallow")),
            )
            self._edge.lanes[told.get("index", str(len(self._edge.lanes)))] = lane
            self._lanes[told["id"]] = lane
        elif tag == "junction" and told.get("type") != "internal":
            self._nodes[told["id"]] = (float(told["x"]), float(told["y"]))
        elif tag == "connection":
            self._connections.append(told)

    def rows(self, flat: _Map, remarks: Remarks) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        kept = set()
        for edge in self._edges.values():
            lanes = [lane for lane in edge.lanes.values() if lane.for_cars]
            if edge.inside:
                continue
            if not lanes:
                remarks.add("edge left out: no lane for cars", f"edge {edge.id!r}")
                continue
            kept.add(edge.id)
            middle = lanes[len(lanes) // 2]
            rows.append(
                {
                    "edge_id": edge.id,
                    "from_node": edge.begin,
                    "to_node": edge.end,
                    "name": edge.name,
                    "length_m": max(middle.length_m, 0.1),
                    "speed_ms": max(lane.speed_ms for lane in lanes),
                    "lanes": len(lanes),
                    "geometry": [flat.degrees(place) for place in middle.shape],
                }
            )
        used = {name for row in rows for name in (row["from_node"], row["to_node"])}
        for name, place in self._nodes.items():
            if name in used:
                lon, lat = flat.degrees(place)
                rows.append({"node_id": name, "lon": lon, "lat": lat})
        return rows + self._turns(kept)

    def _turns(self, kept: set[str]) -> list[dict[str, Any]]:
        for told in self._connections:
            if "via" in told:
                self._via.setdefault(f"{told['from']}_{told.get('fromLane', '0')}", told["via"])
        turns = []
        for told in self._connections:
            before, after = told["from"], told["to"]
            if before not in kept or after not in kept:
                continue
            lanes = self._edges[before].lanes.get(told["fromLane"]), self._edges[after].lanes.get(told["toLane"])
            if any(lane is not None and not lane.for_cars for lane in lanes):
                continue
            turns.append({"from_edge": before, "to_edge": after, "seconds": self._seconds(told.get("via"))})
        return turns

    def _seconds(self, via: str | None) -> float:
        """Time across the junction, along its inner lanes."""
        seconds = 0.0
        for _ in range(_LONGEST_CHAIN):
            lane = None if via is None else self._lanes.get(via)
            if lane is None or via is None:
                break
            seconds += lane.length_m / lane.speed_ms if lane.speed_ms > 0 else 0.0
            via = self._via.get(via)
        return seconds


def _for_cars(allow: str | None, disallow: str | None) -> bool:
    if allow is not None:
        return bool({_CAR, "all"} & set(allow.split()))
    return not {_CAR, "all"} & set((disallow or "").split())


def _pair(text: str) -> tuple[float, float]:
    """Two numbers; a third one is the height.

    Raises:
        ValueError: there are none.
    """
    east, north, *_ = text.split(",")
    return float(east), float(north)
