from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.roads.conftest import FILES
from trafficapp.roads.files.importing import import_graph
from trafficapp.roads.graph.road_graph import GraphError, RoadGraph
from trafficapp.roads.graph.shipped import SHIPPED, city_graph
from trafficapp.roads.graph.storage import FILE_NAME
from trafficapp.settings import RoadSettings


def test_the_shipped_graph_is_what_importing_its_tables_gives(bologna: RoadGraph) -> None:
    imported = import_graph(FILES, city="bologna", source=bologna.source)
    assert (imported.version, imported.city, imported.edge_count) == (bologna.version, "bologna", 243)
    assert "629e34c" in bologna.source
    assert "EPL-2.0" in bologna.source


def test_a_graph_is_read_once_per_process(bologna: RoadGraph) -> None:
    assert city_graph(RoadSettings()) is bologna


def test_a_graph_of_another_city_is_refused() -> None:
    with pytest.raises(GraphError, match=r"of 'bologna', not of 'hanoi'.*roads\.graph"):
        city_graph(RoadSettings(city="hanoi"))


def test_a_folder_that_was_damaged_is_named(tmp_path: Path) -> None:
    shutil.copy(SHIPPED / FILE_NAME, tmp_path)
    whole = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(GraphError, match=f"{tmp_path.name}.*damaged"):
        city_graph(RoadSettings(graph=tmp_path))
    (tmp_path / FILE_NAME).write_bytes(whole)
    assert city_graph(RoadSettings(graph=tmp_path)).edge_count == 243


def test_a_folder_without_a_graph_is_named(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="no road graph at"):
        city_graph(RoadSettings(graph=tmp_path))
