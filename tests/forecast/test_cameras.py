"""Cameras and lanes as entities: their names, and who tells about whom on the graph of Bologna."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import trafficapp.sources
from trafficapp.forecast.cameras import camera_links, entity_of, lanes_of
from trafficapp.forecast.learning.history import read_history
from trafficapp.forecast.quantities import CONGESTION_SCORE
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings

CAMERAS = Path(trafficapp.sources.__file__).parent / "data" / "bologna-cameras.json"


def follows(graph: RoadGraph, before: str, after: str) -> bool:
    """Whether there is an allowed turn from one edge onto another."""
    first, second = graph.position_of_edge[before], graph.position_of_edge[after]
    return any(graph.turn_heads[turn] == second for turn in graph.turns_out_of[first])


def test_names_of_lanes_belong_to_their_camera() -> None:
    assert (entity_of("cam_1", None), entity_of("cam_1", 0)) == ("cam_1", "cam_1/0")
    entities = ["a/b", "a/b/10", "a/b/2", "cam_1", "cam_1/0", "other/7", "cam_1/²"]
    assert lanes_of(entities) == {
        "a/b": {2: "a/b/2", 10: "a/b/10"},
        "cam_1": {0: "cam_1/0"},
        "other/7": {},  # no camera is called other
        "cam_1/²": {},
    }


def test_cameras_are_linked_with_their_lanes_and_with_those_down_the_road() -> None:
    graph = city_graph(RoadSettings())
    road_of = {one["camera_id"]: one["road_segment"] for one in json.loads(CAMERAS.read_bytes())["cameras"]}
    cameras = sorted(road_of)
    entities = [*cameras, *(f"{camera}/{lane}" for camera in cameras for lane in (0, 1))]
    links = camera_links(entities, road_of, graph)
    weights, count = links.matrix(), len(cameras)
    for place in range(count):
        lanes = [entities.index(f"{entities[place]}/{lane}") for lane in (0, 1)]
        assert set(np.flatnonzero(weights[place, count:]) + count) == set(lanes)
        assert (weights[lanes, place] == 1).all()
    between = weights[:count, :count]
    assert 100 < (between > 0).sum() < 600
    nearest = np.unravel_index(between.argmax(), between.shape)
    before, after = (road_of[cameras[place]] for place in nearest)
    assert follows(graph, before, after)
    # Without a graph, or a road that is on it, a camera still has its lanes.
    assert (camera_links(entities, road_of, None).matrix()[:count, :count] == 0).all()
    assert (camera_links(entities, {}, graph).matrix() == camera_links(entities, road_of, None).matrix()).all()


def test_scores_are_read_and_averaged_by_the_minute(tmp_path: Path) -> None:
    at = datetime(2026, 5, 4, 8, 0, 10, tzinfo=UTC).timestamp()
    rows = [("cam_1", 0, 0.2), ("cam_1", 5, 0.4), ("cam_1/0", 60, 0.5), ("cam_1", 60, 1.5), ("cam_1", 120, None)]
    table = {
        "entity": [row[0] for row in rows],
        "timestamp": [datetime.fromtimestamp(at + row[1], UTC) for row in rows],
        "congestion_score": [row[2] for row in rows],
    }
    pq.write_table(pa.table(table), tmp_path / "cameras.parquet")
    history = read_history(tmp_path / "cameras.parquet", quantity=CONGESTION_SCORE)
    assert (history.road_ids, history.step_seconds) == (("cam_1", "cam_1/0"), 60)
    np.testing.assert_allclose(history.speeds_kmh, [[0.3, np.nan], [np.nan, 0.5], [np.nan, np.nan]])
