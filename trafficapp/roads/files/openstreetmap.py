"""OpenStreetMap's own files (PBF and XML), read with pyosmium, which is no part of the smallest installation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

from trafficapp.roads.files.road_tags import (
    USUAL_KMH,
    Directions,
    LeftOutError,
    Remarks,
    UnknownValueError,
    as_directions,
    as_lane_count,
    as_limit_kmh,
    check_for_cars,
)

#: Whose restrictions of turns hold for cars, the most special first.
_RESTRICTIONS = ("restriction:motorcar", "restriction:motor_vehicle", "restriction")
#: Which ways cars may drive, the most special first.
_ONEWAY = ("oneway:motorcar", "oneway:motor_vehicle", "oneway:vehicle", "oneway")
_NOT_FOR_CARS = frozenset({"motorcar", "motor_vehicle", "vehicle"})

Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Way:
    id: int
    tags: dict[str, str]
    directions: Directions
    refs: list[int]


@dataclass(slots=True)
class _Found:
    ways: list[_Way] = field(default_factory=list)
    places: dict[int, Place] = field(default_factory=dict)
    restrictions: list[tuple[str, int, int, int]] = field(default_factory=list)


def read_openstreetmap(path: Path, remarks: Remarks) -> list[dict[str, Any]]:
    """Rows of nodes, edges and forbidden turns: ways that cars drive, cut where they share a node.

    A way with a tag that says nothing is left out (`oneway`) or taken as is usual (`maxspeed`, `lanes`), and told.

    Args:
        path: an extract of a city or region.
        remarks: learns what was left out.

    Raises:
        ValueError: the reader is not installed, or cannot read the file.
    """
    try:
        import osmium
    except ImportError:
        raise ValueError(
            "files of OpenStreetMap need pyosmium, which is not installed: pip install osmium (the extra 'osm')"
        ) from None
    found = _Found()
    try:
        # nodes come before ways, and ways before relations: places are known when a way is read
        for thing in (
            osmium.FileProcessor(str(path))
            .with_locations()
            .with_filter(osmium.filter.KeyFilter("highway", *_RESTRICTIONS))
        ):
            if thing.is_way():
                _take_way(found, thing, remarks)
            elif thing.is_relation():
                _take_restriction(found, thing, remarks)
    except RuntimeError as error:
        raise ValueError(str(error)) from None
    return list(_rows(found, remarks))


def _take_way(found: _Found, way: Any, remarks: Remarks) -> None:
    tags = {tag.k: tag.v for tag in way.tags}
    where = f"way {way.id}"
    if tags.get("highway") not in USUAL_KMH:
        if not way.is_closed() and tags.get("highway") not in {"footway", "path", "cycleway", "steps", "pedestrian"}:
            remarks.add(f"way left out: highway={tags.get('highway', '')[:40]}", where)
        return
    try:
        check_for_cars(tags)
        oneway = next((tags[name] for name in _ONEWAY if tags.get(name)), None)
        directions = as_directions(oneway, tags.get("junction"), tags["highway"])
    except (LeftOutError, UnknownValueError) as reason:
        remarks.add(f"way left out: {reason}", where)
        return
    for name in ("maxspeed", "maxspeed:forward", "maxspeed:backward"):
        _drop(tags, name, as_limit_kmh, remarks, where)
    for name in ("lanes", "lanes:forward", "lanes:backward"):
        _drop(tags, name, as_lane_count, remarks, where)
    runs: list[list[int]] = [[]]
    for node in way.nodes:
        if node.location.valid():
            found.places[node.ref] = (node.location.lon, node.location.lat)
            runs[-1].append(node.ref)
        else:  # beyond the border of the extract
            runs.append([])
    if len(runs) > 1:
        remarks.add("way cut at the border of the extract", where)
    for run in runs:
        _keep(found, way.id, tags, directions, run)


def _keep(found: _Found, way_id: int, tags: dict[str, str], directions: Directions, refs: list[int]) -> None:
    once = [ref for number, ref in enumerate(refs) if not number or ref != refs[number - 1]]
    if len(once) > 1:
        found.ways.append(_Way(way_id, tags, directions, once))


def _drop(tags: dict[str, str], name: str, read: Any, remarks: Remarks, where: str) -> None:
    """Forget a tag that says nothing."""
    try:
        read(tags.get(name))
    except UnknownValueError as fault:
        remarks.add(f"{name} not understood, taken as is usual on such roads: {fault}", where)
        del tags[name]


def _take_restriction(found: _Found, relation: Any, remarks: Remarks) -> None:
    tags = {tag.k: tag.v for tag in relation.tags}
    what = next((tags[name] for name in _RESTRICTIONS if name in tags), "")
    if _NOT_FOR_CARS & set(tags.get("except", "").split(";")) or not what.startswith(("no_", "only_")):
        return
    members = {(member.role, member.type): member.ref for member in relation.members}
    roles = Counter(member.role for member in relation.members)
    ends = [members.get(one) for one in (("from", "w"), ("via", "n"), ("to", "w"))]
    if None in ends or any(roles[role] > 1 for role in ("from", "via", "to")):
        remarks.add(
            "restriction of turns left out: only those from one way over one node to another are taken",
            f"relation {relation.id}",
        )
        return
    before, via, after = ends
    assert before is not None and via is not None and after is not None  # noqa: S101, PT018 - seen above
    found.restrictions.append((what, before, via, after))


def _rows(found: _Found, remarks: Remarks) -> Iterator[dict[str, Any]]:
    uses = Counter(ref for way in found.ways for ref in way.refs)
    # ends count twice: they are nodes of their own
    uses.update(ref for way in found.ways for ref in (way.refs[0], way.refs[-1]))
    pieces = [piece for way in found.ways for piece in _pieces(way, uses)]
    nodes = dict.fromkeys(ref for _, refs in pieces for ref in (refs[0], refs[-1]))
    for ref in nodes:
        lon, lat = found.places[ref]
        yield {"node_id": str(ref), "lon": lon, "lat": lat}
    edges = list(_edges(found, pieces))
    yield from edges
    yield from _turns(found.restrictions, edges)


def _pieces(way: _Way, uses: Counter[int]) -> Iterator[tuple[_Way, list[int]]]:
    last = len(way.refs) - 1
    cuts = [number for number, ref in enumerate(way.refs) if number in (0, last) or uses[ref] > 1]
    for begin, end in pairwise(cuts):
        yield way, way.refs[begin : end + 1]


def _edges(found: _Found, pieces: Sequence[tuple[_Way, list[int]]]) -> Iterator[dict[str, Any]]:
    """Rows of edges, one a direction, called way:from-to."""
    used: Counter[str] = Counter()
    for way, refs in pieces:
        row: dict[str, Any] = {
            "osm_way": str(way.id),
            "name": way.tags.get("name") or way.tags.get("ref"),
            "highway": way.tags["highway"],
        }
        for drive, on, side in zip(way.directions, (refs, refs[::-1]), ("forward", "backward"), strict=True):
            if not drive:
                continue
            stem = f"{way.id}:{on[0]}-{on[-1]}"
            used[stem] += 1
            yield row | {
                "edge_id": stem if used[stem] == 1 else f"{stem}-{used[stem]}",
                "u": str(on[0]),
                "v": str(on[-1]),
                "maxspeed": way.tags.get(f"maxspeed:{side}") or way.tags.get("maxspeed"),
                "lanes": _lanes(way, side),
                "geometry": [found.places[ref] for ref in on],
            }


def _lanes(way: _Way, side: str) -> int | None:
    """Lanes in one direction; `lanes` counts both."""
    lanes = as_lane_count(way.tags.get("lanes"))
    if not (way.directions.forward and way.directions.back):
        return lanes
    if (told := as_lane_count(way.tags.get(f"lanes:{side}"))) is not None:
        return told
    return None if lanes is None else ceil(lanes / 2)


def _turns(
    restrictions: Sequence[tuple[str, int, int, int]], edges: Sequence[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The turns that restrictions forbid."""
    into: dict[tuple[str, str], list[str]] = {}
    out_of: dict[str, list[tuple[str, str]]] = {}
    for edge in edges:
        into.setdefault((edge["v"], edge["osm_way"]), []).append(edge["edge_id"])
        out_of.setdefault(edge["u"], []).append((edge["osm_way"], edge["edge_id"]))
    for what, before, via, after in restrictions:
        for from_edge in into.get((str(via), str(before)), []):
            for way, to_edge in out_of.get(str(via), []):
                if (way == str(after)) == what.startswith("no_"):
                    yield {"from_edge": from_edge, "to_edge": to_edge, "allowed": False}
