"""Graphs as people have them: saved by osmnx, OpenStreetMap's own files, SUMO's networks, lines by hand."""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from trafficapp.roads.files.importing import import_graph
from trafficapp.roads.files.road_tags import Remarks
from trafficapp.roads.graph.checks import GraphError
from trafficapp.roads.graph.earth import utm_map
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.routing.routes import Place, RoutePlanner

OSM = Path(__file__).parents[2] / "data" / "osm"
SOURCE = "made up for a test"
NAN = float("nan")


def imported(*files: Path) -> tuple[RoadGraph, list[str]]:
    remarks = Remarks()
    return import_graph(files, city="town", source=SOURCE, remarks=remarks), list(remarks.lines())


def ways(graph: RoadGraph, street: str) -> set[tuple[str, str]]:
    """The directions of a street, by the names of nodes."""
    return {
        (str(graph.node_ids[graph.edge_from[edge]]), str(graph.node_ids[graph.edge_to[edge]]))
        for edge in range(graph.edge_count)
        if graph.edge_names[edge] == street
    }


def value(graph: RoadGraph, street: str, array: str) -> Any:
    (found,) = {
        getattr(graph, array)[edge].item() for edge in range(graph.edge_count) if graph.edge_names[edge] == street
    }
    return found


def both_ways(*pairs: tuple[str, str]) -> set[tuple[str, str]]:
    return {way for a, b in pairs for way in ((a, b), (b, a))}


@pytest.fixture(params=["graphml", "gpkg", "parquet"])
def saved_by_osmnx(request: pytest.FixtureRequest, tmp_path: Path) -> list[Path]:
    if request.param == "parquet":
        return [OSM / "town_edges.parquet", OSM / "town_nodes.parquet"]
    if request.param == "graphml":
        return [OSM / "town.graphml"]
    path = tmp_path / "town.gpkg"
    path.write_bytes(gzip.decompress((OSM / "town.gpkg.gz").read_bytes()))
    return [path]


def test_a_graph_saved_by_osmnx_imports_without_a_hand(saved_by_osmnx: list[Path]) -> None:
    graph, remarks = imported(*saved_by_osmnx)
    assert (graph.node_count, graph.edge_count) == (17, 36)
    assert set(graph.node_ids.tolist()) >= {"1000", "1014"}
    speeds = {
        "South Road": 85.0,  # 70|100
        "Middle Road": 48.28,  # 30 mph
        "North Motorway": 130.0,  # none
        "West Street": 50.0,  # DE:urban
        "East Street": 7.0,  # walk
        "Back Street": 25.0,  # not told: a residential street
        "Ring Lane / Ring Link": 40.0,  # one edge of two ways, with 30 and 50
    }
    for street, kmh in speeds.items():
        assert value(graph, street, "free_flow_kmh") == pytest.approx(kmh, abs=0.01)
    assert value(graph, "South Road", "lanes") == 2  # 2;3
    assert value(graph, "Ring Lane / Ring Link", "lanes") == 1
    assert value(graph, "Ring Lane / Ring Link", "road_ids") == "508 / 509"
    assert ways(graph, "One Street") == {("1001", "1005"), ("1005", "1009")}
    assert ways(graph, "Back Street") == {("1010", "1006"), ("1006", "1002")}
    assert ways(graph, "South Road") == both_ways(("1000", "1001"), ("1001", "1002"), ("1002", "1003"))
    assert ways(graph, "Circle") == {("1012", "1014"), ("1014", "1012")}
    bent = next(edge for edge in range(graph.edge_count) if graph.edge_names[edge] == "Bent Way")
    assert graph.length_m[bent] == pytest.approx(368.42, abs=0.01)
    assert graph.shape_offsets[bent + 1] - graph.shape_offsets[bent] == 5
    assert not ways(graph, "Closed") | ways(graph, "Private")
    assert sorted(line.partition(" (")[0] for line in remarks) == [
        "2 × way left out: access=no",
        "2 × way left out: access=private",
        "2 × way left out: highway=footway",
    ]
    assert np.isfinite(graph.free_flow_seconds).all()
    found = RoutePlanner(graph).recommend(Place(44.502, 11.303), Place(44.4986, 11.3))
    assert found.recommended.distance_m > 500
    assert found.detached == ()


def test_the_three_forms_are_one_graph(tmp_path: Path) -> None:
    gpkg = tmp_path / "town.gpkg"
    gpkg.write_bytes(gzip.decompress((OSM / "town.gpkg.gz").read_bytes()))
    graphs = [
        imported(*files)[0]
        for files in ([OSM / "town.graphml"], [gpkg], [OSM / "town_nodes.parquet", OSM / "town_edges.parquet"])
    ]
    for other in graphs[1:]:
        for name in (
            "edge_ids",
            "road_ids",
            "edge_names",
            "edge_from",
            "lanes",
            "free_flow_kmh",
            "node_lat",
            "turn_to",
        ):
            assert getattr(other, name).tolist() == getattr(graphs[0], name).tolist()
        assert np.allclose(other.shape_lon, graphs[0].shape_lon, rtol=0, atol=1e-9)


def test_one_row_for_both_directions_as_osmnx_saves_by_default_makes_the_same_graph(tmp_path: Path) -> None:
    """There `u` and `v` are in any order; `from` and `to` tell which way the line goes."""
    path = tmp_path / "town.gpkg"
    path.write_bytes(gzip.decompress((OSM / "town_undirected.gpkg.gz").read_bytes()))
    graph, other = imported(path)[0], imported(OSM / "town.graphml")[0]
    assert sorted(graph.edge_ids.tolist()) == sorted(other.edge_ids.tolist())
    assert ways(graph, "Back Street") == {("1010", "1006"), ("1006", "1002")}
    for name in other.edge_ids.tolist():
        one, same = graph.position_of_edge[name], other.position_of_edge[name]
        assert graph.free_flow_kmh[one] == other.free_flow_kmh[same]
        lines = [
            np.column_stack([g.shape_lat, g.shape_lon])[g.shape_offsets[at] : g.shape_offsets[at + 1]]
            for g, at in ((graph, one), (other, same))
        ]
        assert np.allclose(*lines, rtol=0, atol=1e-9)


def test_each_direction_of_a_way_has_its_own_tags(tmp_path: Path) -> None:
    graph, remarks = imported(
        osm_file(
            tmp_path,
            {"maxspeed": "40", "maxspeed:forward": "60", "lanes": "3", "lanes:forward": "2", "lanes:backward": "1"},
            {"oneway": "-1", "maxspeed:forward": "60", "maxspeed:backward": "30"},
            {"oneway:motor_vehicle": "yes"},
            {"oneway": "yes", "oneway:motorcar": "no", "oneway:motor_vehicle": "yes"},
            {"oneway": "yes", "oneway:bicycle": "no"},
            # by the hour: what holds at all other times counts
            {"oneway:conditional": "yes @ (Mo-Fr)", "maxspeed": "50", "maxspeed:conditional": "30 @ (22:00-06:00)"},
        )
    )
    assert remarks == []
    known = zip(graph.edge_ids, graph.free_flow_kmh, graph.lanes, strict=True)
    assert {str(name): (float(kmh), int(lanes)) for name, kmh, lanes in known} == {
        "1:1-2": (60.0, 2),
        "1:2-1": (40.0, 1),
        "2:3-2": (30.0, 1),
        "3:3-4": (25.0, 1),
        "4:4-5": (25.0, 1),
        "4:5-4": (25.0, 1),
        "5:5-6": (25.0, 1),
        "6:6-7": (50.0, 1),
        "6:7-6": (50.0, 1),
    }


@pytest.mark.parametrize(
    ("told", "expected", "words"),
    [
        ({"maxspeed": "0"}, (25.0, 1), "maxspeed not understood, .* no road has such a speed: '0'"),
        ({"maxspeed": ["30", "9999"]}, (25.0, 1), "no road has such a speed"),
        ({"maxspeed": "30", "lanes": "3+1"}, (30.0, 1), r"lanes not understood, .* '3\+1' \(first: edge 'a'\)"),
        ({"maxspeed": "30", "lanes": "0"}, (30.0, 1), "no road has so many lanes: '0'"),
    ],
)
def test_tags_in_tables_of_openstreetmap_stop_no_import_either(
    tmp_path: Path, told: dict[str, Any], expected: tuple[float, int], words: str
) -> None:
    graph, remarks = imported(geojson(tmp_path, (row_of(2), {"id": "a", "highway": "residential"} | told)))
    assert set(zip(graph.free_flow_kmh.tolist(), graph.lanes.tolist(), strict=True)) == {expected}
    assert re.search(words, "\n".join(remarks))


@pytest.mark.parametrize("name", ["town.osm.pbf", "town.osm"])
def test_files_of_openstreetmap(name: str) -> None:
    graph, remarks = imported(OSM / name)
    assert (graph.node_count, graph.edge_count) == (15, 35)
    assert ways(graph, "One Street") == {("1001", "1005"), ("1005", "1009")}
    assert ways(graph, "Back Street") == {("1010", "1006"), ("1006", "1002")}
    # it has no oneway, but is a motorway
    assert ways(graph, "North Motorway") == {("1008", "1009"), ("1009", "1010"), ("1010", "1011")}
    assert ways(graph, "Circle") == {("1012", "1014"), ("1014", "1012")}
    assert ways(graph, "Middle Road") == both_ways(("1004", "1005"), ("1005", "1006"), ("1006", "1007"))
    assert value(graph, "Middle Road", "free_flow_kmh") == pytest.approx(48.28, abs=0.01)
    assert value(graph, "South Road", "lanes") == 1  # 2;3 in both directions together
    assert value(graph, "North Motorway", "lanes") == 3
    assert graph.road_ids[graph.position_of_edge["500:1000-1001"]] == "500"
    turns = {
        (str(graph.edge_ids[a]), str(graph.edge_ids[b])) for a, b in zip(graph.turn_from, graph.turn_to, strict=True)
    }
    # the restriction of the file: no right turn from West Street into Middle Road
    assert ("503:1000-1004", "501:1004-1005") not in turns
    assert ("503:1008-1004", "501:1004-1005") not in turns
    assert ("503:1000-1004", "503:1004-1008") in turns
    assert sorted(remarks) == [
        "1 × way left out: access=no (first: way 511)",
        "1 × way left out: access=private (first: way 512)",
        "1 × way left out: oneway=reversible (first: way 514)",
    ]
    route = RoutePlanner(graph).recommend(Place(44.5, 11.3), Place(44.502, 11.3025)).recommended
    assert [str(graph.edge_names[edge]) for edge in route.edges][-1] == "North Motorway"


def osm_file(folder: Path, *tags: dict[str, str]) -> Path:
    """Streets one after the other, with tags."""
    lines = ["<osm version='0.6'>"]
    lines += [f"<node id='{n + 1}' version='1' lat='44.5' lon='{11.3 + n / 1000:.4f}'/>" for n in range(len(tags) + 1)]
    for number, told in enumerate(tags):
        words = "".join(f"<tag k='{key}' v='{word}'/>" for key, word in ({"highway": "residential"} | told).items())
        lines.append(
            f"<way id='{number + 1}' version='1'><nd ref='{number + 1}'/><nd ref='{number + 2}'/>{words}</way>"
        )
    path = folder / "streets.osm"
    path.write_text("\n".join([*lines, "</osm>"]))
    return path


def test_tags_of_openstreetmap_that_say_nothing_stop_no_import_and_are_told(tmp_path: Path) -> None:
    graph, remarks = imported(
        osm_file(
            tmp_path,
            {},
            {"oneway": "perhaps"},
            {"oneway": "alternating"},
            {"maxspeed": "quick"},
            {"lanes": "many"},
            {"maxspeed": "signals"},
            {"highway": "via_ferrata"},
            {"maxspeed": "0"},
            {"maxspeed": "999"},
            {"lanes": "0", "oneway": "yes"},
            {"lanes": "100"},
        )
    )
    assert set(graph.road_ids.tolist()) == {"1", "4", "5", "6", "8", "9", "10", "11"}
    assert set(graph.free_flow_kmh.tolist()) == {25.0}
    assert set(graph.lanes.tolist()) == {1}
    told = "\n".join(remarks)
    for fault in ("such a speed: '0'", "such a speed: '999'", "so many lanes: '0'", "so many lanes: '100'"):
        assert f"taken as is usual on such roads: no road has {fault} (first: way" in told
    for word in ("'perhaps'", "oneway=alternating", "'quick'", "'many'", "highway=via_ferrata"):
        assert f"{word} (first: way" in told


def test_ways_are_cut_where_the_extract_ends(tmp_path: Path) -> None:
    path = osm_file(tmp_path, {"name": "whole"})
    nodes = "".join(f"<nd ref='{ref}'/>" for ref in (1, 90, 91, 2, 1, 92))
    way = f"<way id='9' version='1'>{nodes}<tag k='highway' v='tertiary'/><tag k='name' v='cut'/></way>"
    path.write_text(path.read_text().replace("</osm>", f"{way}</osm>"))
    graph, remarks = imported(path)
    assert ways(graph, "cut") == both_ways(("1", "2"))
    assert remarks == ["1 × way cut at the border of the extract (first: way 9)"]


def test_without_the_reader_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "osmium", None)
    with pytest.raises(GraphError, match=r"pyosmium, which is not installed: pip install osmium \(the extra 'osm'\)"):
        imported(OSM / "town.osm.pbf")


@pytest.mark.parametrize("ending", [".osm.pbf", ".graphml", ".gpkg", ".parquet", ".net.xml", ".geojson", ".osm"])
def test_files_that_are_something_else_are_told_in_a_sentence(tmp_path: Path, ending: str) -> None:
    whole = {
        ".osm.pbf": (OSM / "town.osm.pbf").read_bytes(),
        ".graphml": (OSM / "town.graphml").read_bytes(),
        ".gpkg": gzip.decompress((OSM / "town.gpkg.gz").read_bytes()),
        ".parquet": (OSM / "town_edges.parquet").read_bytes(),
        ".osm": (OSM / "town.osm").read_bytes(),
    }.get(ending, b"<net><edge")
    for content in (b"", b"something else", whole[: len(whole) // 3]):
        path = tmp_path / f"town{ending}"
        path.write_bytes(content)
        with pytest.raises(GraphError, match="town"):
            imported(path)


def test_places_that_are_told_in_metres_are_refused(tmp_path: Path) -> None:
    text = (OSM / "town.graphml").read_text()
    assert "epsg:4326" in text
    path = tmp_path / "town.graphml"
    path.write_text(text.replace("epsg:4326", "epsg:32632"))
    with pytest.raises(GraphError, match=r"told in epsg:32632, not in degrees .* to_latlong=True"):
        imported(path)
    gpkg = tmp_path / "town.gpkg"
    gpkg.write_bytes(gzip.decompress((OSM / "town.gpkg.gz").read_bytes()))
    with sqlite3.connect(gpkg) as database:
        database.execute("DROP TRIGGER IF EXISTS gpkg_geometry_columns_update")
        database.execute("UPDATE gpkg_spatial_ref_sys SET organization_coordsys_id = 32632 WHERE srs_id = 4326")
    with pytest.raises(GraphError, match="told in EPSG:32632, not in degrees"):
        imported(gpkg)
    table = pa.parquet.read_table(OSM / "town_nodes.parquet")
    about = json.loads(table.schema.metadata[b"geo"])
    about["columns"]["geometry"]["crs"]["id"]["code"] = 32632
    pa.parquet.write_table(table.replace_schema_metadata({b"geo": json.dumps(about)}), tmp_path / "nodes.parquet")
    with pytest.raises(GraphError, match="told in 32632, not in degrees"):
        imported(tmp_path / "nodes.parquet")


def test_an_undirected_graph_and_entities_are_refused(tmp_path: Path) -> None:
    text = (OSM / "town.graphml").read_text()
    path = tmp_path / "town.graphml"
    path.write_text(text.replace('edgedefault="directed"', 'edgedefault="undirected"'))
    with pytest.raises(GraphError, match="an undirected graph"):
        imported(path)
    path.write_text(text.replace("<graphml ", '<!DOCTYPE graphml [<!ENTITY one "1">]><graphml ', 1))
    with pytest.raises(GraphError, match="it declares entities"):
        imported(path)


# ---------------------------------------------------------------- SUMO

#: Two streets that cross, a bus lane, and a way for trams only; the places are UTM 32 around 680,000 / 4,930,000.
NET = """<net version="1.20">
<location netOffset="-680000.00,-4930000.00" convBoundary="0,0,200,200" origBoundary="11,44,12,45"
 projParameter="+proj=utm +zone=32 +ellps=WGS84 +datum=WGS84 +units=m +no_defs"/>
<edge id=":c_0" function="internal">
 <lane id=":c_0_0" index="0" speed="10.00" length="20.00" shape="90,100 110,100"/></edge>
<edge id="in" from="w" to="c" priority="1" name="West">
 <lane id="in_0" index="0" disallow="all" allow="bus" speed="8.00" length="90.00" shape="0,97 90,97"/>
 <lane id="in_1" index="1" speed="13.89" length="90.00" shape="0,100 90,100"/></edge>
<edge id="out" from="c" to="e" priority="1">
 <lane id="out_0" index="0" speed="13.89" length="90.00" shape="110,100 200,100"/></edge>
<edge id="south" from="c" to="s" priority="1">
 <lane id="south_0" index="0" speed="8.33" length="90.00" shape="100,90 100,0"/></edge>
<edge id="tram" from="c" to="n" priority="1">
 <lane id="tram_0" index="0" allow="tram" speed="8" length="90" shape="100,110 100,200"/></edge>
<junction id="w" type="dead_end" x="0" y="100" incLanes="" intLanes="" shape=""/>
<junction id="c" type="priority" x="100" y="100" incLanes="in_0 in_1" intLanes=":c_0_0" shape=""/>
<junction id="e" type="dead_end" x="200" y="100" incLanes="" intLanes="" shape=""/>
<junction id="s" type="dead_end" x="100" y="0" incLanes="" intLanes="" shape=""/>
<junction id="n" type="dead_end" x="100" y="200" incLanes="" intLanes="" shape=""/>
<connection from="in" to="out" fromLane="1" toLane="0" via=":c_0_0" dir="s" state="M"/>
<connection from="in" to="south" fromLane="0" toLane="0" dir="r" state="M"/>
<connection from="in" to="tram" fromLane="1" toLane="0" dir="l" state="M"/>
<connection from=":c_0" to="out" fromLane="0" toLane="0" dir="s" state="M"/>
</net>"""


@pytest.mark.parametrize("packed", [False, True])
def test_a_network_of_sumo(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("town.net.xml.gz" if packed else "town.net.xml")
    path.write_bytes(gzip.compress(NET.encode()) if packed else NET.encode())
    graph, remarks = imported(path)
    assert graph.edge_ids.tolist() == ["in", "out", "south"]
    assert graph.node_ids.tolist() == ["w", "c", "e", "s"]
    assert graph.free_flow_kmh.tolist() == pytest.approx([50.004, 50.004, 29.988])
    assert graph.lanes.tolist() == [1, 1, 1]  # the bus lane is none
    assert graph.length_m.tolist() == [90, 90, 90]
    # the turn to the south is from the bus lane
    assert list(zip(graph.turn_from.tolist(), graph.turn_to.tolist(), graph.turn_seconds.tolist(), strict=True)) == [
        (0, 1, 2.0)
    ]
    # as pyproj 3.7.2 has it
    assert (graph.node_lat[0], graph.node_lon[0]) == pytest.approx((44.501774899, 11.264272579), abs=1e-8)
    assert remarks == ["1 × edge left out: no lane for cars (first: edge 'tram')"]
    begin, end = (
        Place(float(graph.shape_lat[point]), float(graph.shape_lon[point])) for point in (0, graph.shape_offsets[2] - 1)
    )
    assert RoutePlanner(graph).recommend(begin, end).recommended.edges == (0, 1)


@pytest.mark.parametrize("projection", ["!", "+proj=tmerc +lat_0=0 +lon_0=9"])
def test_a_network_on_no_map_is_refused(tmp_path: Path, projection: str) -> None:
    path = tmp_path / "town.net.xml"
    path.write_text(NET.replace("+proj=utm +zone=32 +ellps=WGS84 +datum=WGS84 +units=m +no_defs", projection))
    with pytest.raises(GraphError, match=r"on no map that is understood .* netconvert --proj\.utm"):
        imported(path)


@pytest.mark.parametrize(
    ("zone", "southern", "east", "north", "lat", "lon"),
    [
        (32, False, 682845.7559, 4929982.1824, 44.5, 11.3),
        (48, False, 586251.6745, 2324585.1938, 21.02, 105.83),
        (23, True, 333624.1812, 7394647.5221, -23.55, -46.63),
        (31, False, 662208.7702, 6643827.1453, 59.9, 5.9),
    ],
)
def test_places_of_utm_are_those_of_pyproj(  # 3.7.2, rounded to a tenth of a millimetre
    zone: int, southern: bool, east: float, north: float, lat: float, lon: float
) -> None:
    assert utm_map(zone, southern).degrees(east, north) == pytest.approx((lat, lon), abs=2e-9)


# ---------------------------------------------------------------- lines and tables by hand


def geojson(folder: Path, *features: tuple[list[list[float]], dict[str, Any]]) -> Path:
    path = folder / "roads.geojson"
    document = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": {"type": "LineString", "coordinates": line}, "properties": told}
            for line, told in features
        ],
    }
    path.write_text(json.dumps(document))
    return path


def row_of(count: int, north: float = 0.0) -> list[list[float]]:
    """Points from west to east."""
    return [[round(11.3 + number / 1000, 6), 44.5 + north] for number in range(count)]


COLUMN = [[11.301, 44.499], [11.301, 44.5], [11.301, 44.501]]


def test_lines_meet_at_a_point_in_their_middle(tmp_path: Path) -> None:
    told = {"speed_kmh": 30}
    path = geojson(
        tmp_path, (row_of(3), told | {"id": "row", "length_m": 160}), (COLUMN, told | {"id": "column", "oneway": "yes"})
    )
    graph, _ = imported(path)
    assert graph.node_count == 5
    assert graph.edge_ids.tolist() == ["row[1]", "row[1]:back", "row[2]", "row[2]:back", "column[1]", "column[2]"]
    assert graph.road_ids.tolist() == ["row", "row:back", "row", "row:back", "column", "column"]
    assert graph.length_m.tolist()[:4] == pytest.approx([80] * 4)
    route = RoutePlanner(graph).recommend(Place(44.4992, 11.301), Place(44.5, 11.3018)).recommended
    assert [str(graph.edge_ids[edge]) for edge in route.edges] == ["column[1]", "row[2]"]


def test_a_line_that_ends_on_another_ones_point_meets_it(tmp_path: Path) -> None:
    told = {"speed_kmh": 30}
    path = geojson(tmp_path, (row_of(3), told | {"id": "row"}), (COLUMN[:2], told | {"id": "arm", "layer": 1}))
    assert imported(path)[0].edge_ids.tolist() == ["row[1]", "row[1]:back", "row[2]", "row[2]:back", "arm", "arm:back"]


@pytest.mark.parametrize("bridge", [{"layer": 1}, {"layer": "1"}, {"bridge": "yes"}, {"tunnel": True}, {"layer": "-1"}])
def test_a_bridge_does_not_meet_the_road_below(tmp_path: Path, bridge: dict[str, Any]) -> None:
    told = {"speed_kmh": 30, "oneway": 1}
    graph, _ = imported(
        geojson(tmp_path, (row_of(3), told | {"id": "row"}), (COLUMN, told | bridge | {"id": "bridge"}))
    )
    assert graph.edge_ids.tolist() == ["row", "bridge"]
    flat, _ = imported(geojson(tmp_path, (row_of(3), told | {"id": "row"}), (COLUMN, told | {"id": "bridge"})))
    assert flat.edge_count == 4


def test_a_line_that_meets_itself_is_cut_there(tmp_path: Path) -> None:
    loop = [*row_of(2), [11.301, 44.501], [11.302, 44.501], [11.301, 44.5]]
    graph, _ = imported(geojson(tmp_path, (loop, {"id": "loop", "speed_kmh": 30, "oneway": True})))
    assert graph.edge_ids.tolist() == ["loop[1]", "loop[2]"]
    assert graph.edge_from[1] == graph.edge_to[1] == graph.edge_to[0]


def test_a_roundabout_is_met_at_each_arm_and_goes_one_way(tmp_path: Path) -> None:
    ring = [[11.301, 44.5], [11.3012, 44.5001], [11.3014, 44.5], [11.3012, 44.4999], [11.301, 44.5]]
    told = {"maxspeed": "30"}
    path = geojson(
        tmp_path,
        (ring, told | {"id": "ring", "junction": "roundabout"}),
        (row_of(2), told | {"id": "west"}),
        ([[11.3014, 44.5], [11.303, 44.5]], told | {"id": "east"}),
    )
    graph, _ = imported(path)
    assert [name for name in graph.edge_ids.tolist() if name.startswith("ring")] == ["ring[1]", "ring[2]"]
    planner = RoutePlanner(graph)
    route = planner.recommend(Place(44.5, 11.3002), Place(44.5, 11.3028)).recommended
    assert [str(graph.edge_ids[edge]) for edge in route.edges] == ["west", "ring[1]", "east"]
    back = planner.recommend(Place(44.5, 11.3028), Place(44.5, 11.3002)).recommended
    assert [str(graph.edge_ids[edge]) for edge in back.edges] == ["east:back", "ring[2]", "west:back"]


@pytest.mark.parametrize(
    ("oneway", "expected"),
    [("yes", {"a"}), (1, {"a"}), (True, {"a"}), (["yes"], {"a"}), ("no", {"a", "a:back"}), (False, {"a", "a:back"})],
)
def test_oneway_of_a_line(tmp_path: Path, oneway: Any, expected: set[str]) -> None:
    graph, _ = imported(geojson(tmp_path, (row_of(2), {"id": "a", "speed_kmh": 30, "oneway": oneway})))
    assert set(graph.edge_ids.tolist()) == expected


@pytest.mark.parametrize("oneway", ["-1", -1, "reverse"])
def test_a_line_that_is_driven_backwards(tmp_path: Path, oneway: Any) -> None:
    graph, _ = imported(geojson(tmp_path, (row_of(2), {"id": "a", "speed_kmh": 30, "oneway": oneway})))
    assert graph.edge_ids.tolist() == ["a"]
    assert graph.node_lon[graph.edge_from].tolist() == [11.301]
    assert graph.shape_lon.tolist() == [11.301, 11.3]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"oneway": "perhaps"}, r"edge 'a': oneway is neither yes, no nor -1: 'perhaps'"),
        ({"oneway": "reversible"}, r"no way is left .*oneway=reversible \(first: edge 'a'\)"),
        ({"oneway": "alternating"}, "oneway=alternating"),
        ({"speed_kmh": None, "maxspeed": "quick"}, "edge 'a': speed is no number: 'quick'"),
        ({"speed_kmh": None, "maxspeed": NAN}, "edge 'a' has no speed"),
        ({"speed_kmh": None, "maxspeed": 0}, "edge 'a': no road has such a speed: '0'"),
        ({"speed_kmh": None, "speed_ms": "30 mph"}, "edge 'a': speed_ms is no number: '30 mph'"),
        ({"length_m": "1_000"}, "edge 'a': length_m is no number: '1_000'"),
        ({"lanes": "many"}, "edge 'a': lanes is no number: 'many'"),
        ({"allowed": "perhaps"}, "edge 'a': allowed is neither yes nor no"),
        ({"access": "no"}, "no way is left that cars may drive: 1 × way left out: access=no"),
        ({"allowed": 0}, "allowed=no"),
    ],
)
def test_what_a_line_says_wrong_is_named(tmp_path: Path, told: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        imported(geojson(tmp_path, (row_of(2), {"id": "a", "speed_kmh": 30} | told)))


def test_nan_is_nothing_and_never_a_weight(tmp_path: Path) -> None:
    """As pandas writes a column in which some rows have nothing."""
    table = pa.table(
        {
            "u": [1.0, 2.0],
            "v": [2.0, 3.0],
            "lanes": [NAN, 2.0],
            "speed_kmh": [NAN, 40.0],
            "maxspeed": ["50", None],
            "length": [NAN, 70.0],
            "name": pa.array([NAN, None], pa.float64()),
            "oneway": pa.array([1.0, NAN]),
            "geometry": [json.dumps(row_of(2)), json.dumps(row_of(3)[1:])],
        }
    )
    nodes = pa.table({"osmid": [1, 2, 3], "x": [11.3, 11.301, 11.302], "y": [44.5] * 3})
    for name, made in (("edges", table), ("nodes", nodes)):
        pa.parquet.write_table(made, tmp_path / f"{name}.parquet")
    graph, _ = imported(tmp_path / "edges.parquet", tmp_path / "nodes.parquet")
    assert graph.edge_ids.tolist() == ["edge:1-2", "edge:2-3", "edge:3-2"]
    assert graph.free_flow_kmh.tolist() == [50, 40, 40]
    assert graph.lanes.tolist() == [1, 2, 2]
    assert graph.length_m.tolist() == pytest.approx([79.3, 70, 70], abs=0.1)
    assert np.isfinite(graph.free_flow_seconds).all()


def test_rows_with_nodes_are_directions_where_the_way_back_has_a_row_too(tmp_path: Path) -> None:
    told = {"speed_kmh": 30}
    back = row_of(2)[::-1]
    path = geojson(
        tmp_path,
        (row_of(2), told | {"u": 1, "v": 2, "oneway": False}),
        (back, told | {"u": 2, "v": 1, "oneway": False}),
        (row_of(2, 0.001), told | {"u": 3, "v": 4, "oneway": "no"}),
        (row_of(2, 0.002), told | {"u": 5, "v": 6, "oneway": "-1"}),
        (row_of(2, 0.003), told | {"u": 7, "v": 8, "oneway": "yes"}),
    )
    graph, _ = imported(path)
    assert graph.edge_ids.tolist() == ["edge:1-2", "edge:2-1", "edge:3-4", "edge:4-3", "edge:6-5", "edge:7-8"]
    without, _ = imported(geojson(tmp_path, (row_of(2), told | {"u": 1, "v": 2})))
    assert without.edge_ids.tolist() == ["edge:1-2"]


@pytest.mark.parametrize("word", [False, 0, 0.0, "false", "False", "no", "0"])
def test_a_forbidden_turn_in_whatever_type(tmp_path: Path, word: Any) -> None:
    told = {"speed_kmh": 30, "oneway": "yes"}
    path = geojson(tmp_path, (row_of(2), told | {"id": "a"}), (row_of(3)[1:], told | {"id": "b"}))
    turns = tmp_path / "turns.parquet"
    pa.parquet.write_table(pa.table({"from_edge": ["a"], "to_edge": ["b"], "allowed": [word]}), turns)
    assert len(imported(path, turns)[0].turn_from) == 0
    pa.parquet.write_table(pa.table({"from_edge": ["a"], "to_edge": ["b"], "allowed": [str(not word)]}), turns)
    if word not in {"false", "False", "no", "0"}:
        assert len(imported(path, turns)[0].turn_from) == 1
    pa.parquet.write_table(pa.table({"from_edge": ["a"], "to_edge": ["b"], "allowed": ["perhaps"]}), turns)
    with pytest.raises(GraphError, match="turn from edge 'a' to edge 'b': allowed is neither yes nor no: 'perhaps'"):
        imported(path, turns)


def test_lines_in_several_parts_are_one_where_they_go_on(tmp_path: Path) -> None:
    path = geojson(tmp_path, ([row_of(2), row_of(3)[1:]], {"id": "a", "speed_kmh": 30}))
    path.write_text(path.read_text().replace('"LineString"', '"MultiLineString"'))
    graph, _ = imported(path)
    assert graph.shape_lon.tolist()[:3] == [11.3, 11.301, 11.302]
    path = geojson(tmp_path, ([row_of(2), row_of(2, 0.001)], {"id": "a", "speed_kmh": 30}))
    path.write_text(path.read_text().replace('"LineString"', '"MultiLineString"'))
    with pytest.raises(GraphError, match="is a MultiLineString"):
        imported(path)
