"""Graphs come from files of several shapes, are checked, and survive the disk; what is wrong is said."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.roads.conftest import FOLDER
from tests.roads.towns import town
from trafficapp.roads.files.importing import import_graph
from trafficapp.roads.graph.road_graph import GraphError, RoadGraph
from trafficapp.roads.graph.storage import FILE_NAME, load, save

SOURCE = "made for a test"


def changed(graph: RoadGraph, **arrays: Any) -> RoadGraph:
    """The graph with other arrays in some places."""
    return RoadGraph(**({field.name: getattr(graph, field.name) for field in fields(RoadGraph)} | arrays))


def with_value(array: np.ndarray, position: int, value: Any) -> np.ndarray:
    copy = array.copy()
    copy[position] = value
    return copy


def test_bologna(bologna: RoadGraph) -> None:
    assert (bologna.node_count, bologna.edge_count, len(bologna.turn_from)) == (153, 243, 377)
    edge = bologna.position_of_edge["a10"]
    assert bologna.length_m[edge] == 94.63
    assert bologna.free_flow_kmh[edge] == pytest.approx(50.004)
    assert bologna.node_ids[bologna.edge_from[edge]] == "a7"
    assert bologna.road_name(edge) == "a10"


@pytest.mark.parametrize(
    ("array", "value", "message"),
    [
        ("node_lat", np.nan, "node 'n1': coordinates that are no numbers"),
        ("node_lat", 100.0, "node 'n1': latitude beyond"),
        ("edge_to", 99, "edge 'e1': an unknown node"),
        ("edge_ids", "e0", "edge ids that are not unique: 'e0'"),
        ("length_m", 0.0, "edge 'e1': a length of zero or less"),
        ("length_m", np.nan, "edge 'e1': a length that is no number"),
        ("free_flow_kmh", 900.0, "edge 'e1': a free-flow speed outside 1..200 km/h"),
        ("free_flow_kmh", -3.0, "edge 'e1': a free-flow speed outside"),
        ("free_flow_kmh", np.inf, "edge 'e1': a free-flow speed that is no number"),
        ("lanes", 0, "edge 'e1': a number of lanes"),
        ("shape_lat", np.nan, "edge 'e0': a line with points that are on no map"),
        ("turn_to", 99, "a turn names an unknown edge"),
        ("turn_seconds", -1.0, "turn from edge 'e0' to edge 'e4': a time outside"),
    ],
)
def test_what_is_wrong_is_named(array: str, value: Any, message: str) -> None:
    graph = town(2, 2)
    with pytest.raises(GraphError, match=message):
        changed(graph, **{array: with_value(getattr(graph, array), 1 if array != "turn_seconds" else 0, value)})


def test_a_turn_between_edges_that_do_not_meet_is_refused() -> None:
    graph = town(2, 2)
    with pytest.raises(GraphError, match="turn from edge 'e0' to edge 'e0': edges that do not meet"):
        changed(graph, turn_to=with_value(graph.turn_to, 0, 0))


def test_swapped_coordinates_are_seen(bologna: RoadGraph) -> None:
    with pytest.raises(GraphError, match="latitude and longitude are swapped"):
        changed(
            bologna,
            node_lat=bologna.node_lon,
            node_lon=bologna.node_lat,
            shape_lat=bologna.shape_lon,
            shape_lon=bologna.shape_lat,
        )
    with pytest.raises(GraphError, match="latitude and longitude swapped"):
        changed(bologna, shape_lat=bologna.shape_lon, shape_lon=bologna.shape_lat)


def test_arrays_cannot_be_written(bologna: RoadGraph) -> None:
    with pytest.raises(ValueError, match="read-only"):
        bologna.length_m[0] = 1.0


def test_without_turns_all_are_allowed_but_turning_back() -> None:
    graph = town(2, 3)
    turns = set(zip(graph.turn_from.tolist(), graph.turn_to.tolist(), strict=True))
    back = {
        (before, after)
        for before, after in turns
        if graph.edge_from[before] == graph.edge_to[after] and graph.edge_to[before] == graph.edge_from[after]
    }
    assert not back
    assert len(turns) == sum(
        (len(graph.edges_into[node]) * (len(graph.edges_out_of[node]) - 1)) for node in range(graph.node_count)
    )


def write(folder: Path, features: list[dict[str, Any]]) -> Path:
    path = folder / "roads.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def line(coordinates: Any, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "LineString", "coordinates": coordinates},
        "properties": {"speed_kmh": 30} | properties,
    }


STREET = [[11.3, 44.5], [11.301, 44.5]]
LANE = [[11.301, 44.5], [11.301, 44.501]]


def test_lines_alone_make_a_graph_both_ways_unless_one_way(tmp_path: Path) -> None:
    path = write(tmp_path, [line(STREET, id="street", name="Via"), line(LANE, id="lane", oneway="yes")])
    graph = import_graph([path], city="b", source=SOURCE)
    assert graph.edge_ids.tolist() == ["street", "street:back", "lane"]
    assert graph.node_count == 3
    assert graph.length_m[0] == pytest.approx(79.3, abs=0.1)
    turns = {
        (str(graph.edge_ids[a]), str(graph.edge_ids[b])) for a, b in zip(graph.turn_from, graph.turn_to, strict=True)
    }
    assert turns == {("street", "lane"), ("street:back", "street")}


def test_openstreetmap_tables_get_names_and_roads(tmp_path: Path) -> None:
    rows = [line(STREET, u=1, v=2, osm_way=77, name="Phố"), line(STREET, u=1, v=2, osm_way=77)]
    graph = import_graph([write(tmp_path, rows)], city="hanoi", source=SOURCE)
    assert graph.edge_ids.tolist() == ["77:1-2", "77:1-2-2"]
    assert graph.road_ids.tolist() == ["77", "77"]
    assert [graph.road_name(0), graph.road_name(1)] == ["Phố", "77"]


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (line(STREET, speed_kmh="fast"), "speed is no number: 'fast'"),
        (line(STREET, speed_kmh=None), "has no speed"),
        (line([[11.3, 44.5]]), "a line of less than two points"),
        (line([[11.3], [44.5]]), "neither a list of"),
        (line(STREET, speed_kmh=3000), "a free-flow speed outside"),
        (line(STREET, length_m=0), "a length of zero or less"),
        (line([[11.3, 44.5], [11.3, 444.5]]), "latitude beyond"),
        ({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": []}, "properties": {}}, "is a Polygon"),
        ({"type": "Feature"}, "feature 0: 'geometry'"),
        (7, "feature 0"),
    ],
)
def test_a_bad_feature_is_named(tmp_path: Path, feature: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        import_graph([write(tmp_path, [feature])], city="b", source=SOURCE)


def test_files_that_make_no_graph_are_refused(tmp_path: Path, bologna: RoadGraph) -> None:
    nodes, edges, turns = (FOLDER / f"bologna_{what}.parquet" for what in ("nodes", "edges", "turns"))
    with pytest.raises(GraphError, match="none of the files has edges"):
        import_graph([nodes, turns], city="b", source=SOURCE)
    with pytest.raises(GraphError, match="say where the data comes from"):
        import_graph([edges], city="b", source=" ")
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(edges.read_bytes()[:5000])
    with pytest.raises(GraphError, match=r"torn\.parquet cannot be read"):
        import_graph([nodes, torn], city="b", source=SOURCE)
    assert import_graph([edges], city="b", source=SOURCE).node_count == bologna.node_count


def test_a_graph_survives_the_disk(tmp_path: Path, bologna: RoadGraph) -> None:
    save(bologna, tmp_path)
    found = load(tmp_path)
    assert (found.version, found.source, found.city) == (bologna.version, bologna.source, bologna.city)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_damaged_files_are_refused_by_name(tmp_path: Path, bologna: RoadGraph) -> None:
    with pytest.raises(GraphError, match="no road graph at"):
        load(tmp_path / "nowhere")
    path = save(bologna, tmp_path)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"PK\x03\x04rubbish", whole[:9000] + b"\xff" * 9 + whole[9009:]):
        path.write_bytes(damaged)
        with pytest.raises(GraphError, match=r"graph\.npz"):
            load(tmp_path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / FILE_NAME, about=np.array(json.dumps({"format": "trafficapp-roads", "format_version": 99})))
    with pytest.raises(GraphError, match="version 99"):
        load(tmp_path)
