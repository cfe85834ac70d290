"""Without a road graph vehicles are told all the same, and what needs it begins once it is there."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.fleet.drives import DrivingEvent
from models.fleet.fixes import Fix
from models.fleet.positions import VehiclePosition
from tests.matching.drives import SECOND, drive, way_from
from trafficapp.feeds.rules import LackingRules, Told, When
from trafficapp.fleet.fleet_rules import FleetRules
from trafficapp.fleet.topics import DRIVING_EVENTS, VEHICLE_POSITIONS
from trafficapp.fleet.vehicles import PartitionFleet
from trafficapp.matching.roads import MatchingRoads
from trafficapp.roads.graph.awaited import AwaitedGraph
from trafficapp.roads.graph.shipped import SHIPPED, city_graph
from trafficapp.settings import FleetSettings, MovementSettings, RoadSettings


def fixes() -> list[Fix]:
    """A car that is far too fast."""
    roads = MatchingRoads.build(city_graph(RoadSettings()), 40.0)
    rng = np.random.default_rng(1)
    driven = drive(roads, way_from(roads, 60, 900, rng), "car", rng).fixes
    columns = (getattr(driven, name).tolist() for name in ("time_us", "lat", "lon", "heading"))
    return [
        Fix("gps_data", "car", at, lat, lon, 120.0, heading) for at, lat, lon, heading in zip(*columns, strict=True)
    ]


def apply(rules: PartitionFleet, some: Sequence[Fix]) -> list[Told]:
    told = [one for fix in some for one in rules.apply(fix, When(fix.time_us, fix.time_us))]
    return [*told, *rules.finish()]


def positions(told: Iterable[Told]) -> list[VehiclePosition]:
    return [
        msgspec.json.decode(one.value or b"", type=VehiclePosition) for one in told if one.topic == VEHICLE_POSITIONS
    ]


def speeding(told: Iterable[Told]) -> list[str]:
    events = [msgspec.json.decode(one.value or b"", type=DrivingEvent) for one in told if one.topic == DRIVING_EVENTS]
    return [one.event for one in events]


def test_a_graph_is_taken_up_when_it_is_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "graph"
    awaited = AwaitedGraph(RoadSettings(graph=folder), "speeding is not told", look_seconds=0)
    fleet = FleetSettings(matching=True)
    rules = PartitionFleet(FleetRules(fleet, MovementSettings(), roads_topic="roads", awaited=awaited), {})
    assert isinstance(rules, LackingRules)
    all_of = fixes()
    half = len(all_of) // 2
    before = apply(rules, all_of[:half])
    before += rules.tick(all_of[half - 1].time_us)
    assert [one.edge for one in positions(before)] == [None] * half
    assert rules.lacking is not None
    assert str(folder) in rules.lacking
    # told once, however often it is looked for
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "speeding is not told" in caplog.text

    shutil.copytree(SHIPPED, folder)
    list(rules.tick(all_of[half - 1].time_us + SECOND))
    assert rules.lacking is None
    after = apply(rules, all_of[half:])
    on_roads = [one.edge is not None for one in positions(after)]
    assert sum(on_roads) > 0.8 * len(on_roads)
    after += rules.tick(all_of[-1].time_us + 3600 * SECOND)
    assert (speeding(before), speeding(after)) == ([], ["speeding"])
    rows = {key: row for key, row in rules.changed_rows() if row is not None}
    assert rows.keys() == {b"car"}


def test_rules_that_need_no_graph_wait_for_none() -> None:
    rules = PartitionFleet(FleetRules(FleetSettings(speeding=False), MovementSettings()), {})
    told = positions(apply(rules, fixes()))
    assert rules.lacking is None
    assert len(told) == len(fixes())
