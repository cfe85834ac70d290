"""Positions get the road they are on, the same however runs are cut and wherever the process ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
import pytest

from models.fleet.fixes import Fix
from models.fleet.positions import VehiclePosition
from models.fleet.travels import Travel, WrongWay
from tests.matching.drives import SECOND, Drive, drive, together, way_from
from trafficapp.feeds.rules import Told, When
from trafficapp.fleet.fleet_rules import FleetRules
from trafficapp.fleet.matching import FleetRoads
from trafficapp.fleet.topics import VEHICLE_POSITIONS
from trafficapp.fleet.vehicles import PartitionFleet
from trafficapp.matching.roads import MatchingRoads
from trafficapp.matching.rule import MatchingRule
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import FleetSettings, MovementSettings, RoadSettings

ON_ROADS = "on-roads"
RULES = FleetRules(
    FleetSettings(), MovementSettings(), roads=FleetRoads(city_graph(RoadSettings())), roads_topic=ON_ROADS
)
GRAPH = city_graph(RoadSettings())


@pytest.fixture(scope="module")
def roads() -> MatchingRoads:
    return MatchingRoads.build(GRAPH, MatchingRule().reach_m)


@pytest.fixture(scope="module")
def traffic(roads: MatchingRoads) -> Drive:
    """Ten vehicles, and one that drives against a one-way road."""
    rng = np.random.default_rng(3)
    drives = [
        drive(roads, way_from(roads, edge, 1000, rng), f"car-{edge}", rng)
        for edge in rng.integers(GRAPH.edge_count, size=10).tolist()
    ]
    wrong = drive(roads, [GRAPH.position_of_edge["a153"]], "wrong", rng, backwards=True)
    return together([*drives, wrong])


def fixes_of(traffic: Drive) -> list[Fix]:
    one = traffic.fixes
    columns = (getattr(one, name).tolist() for name in ("time_us", "lat", "lon", "speed_kmh", "heading"))
    return [Fix("vehicle_data", *row) for row in zip(one.vehicles, *columns, strict=True)]


class Partition:
    """Runs of a partition; its process may end behind each."""

    def __init__(self, ends_often: bool = False) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.ends_often = ends_often
        self.rules = PartitionFleet(RULES, {})

    def run(self, fixes: Sequence[Fix]) -> list[Told]:
        clock_us = fixes[-1].time_us
        told = [one for fix in fixes for one in self.rules.apply(fix, When(fix.time_us, fix.time_us))]
        told += self.rules.tick(clock_us)
        told += self.rules.finish()
        for key, row in self.rules.changed_rows():
            if row is None:
                del self.rows[key]
            else:
                self.rows[key] = row
        if self.ends_often:
            self.rules = PartitionFleet(RULES, self.rows)
        return told


def told_of(fixes: Sequence[Fix], size: int, ends_often: bool = False) -> list[Told]:
    partition = Partition(ends_often)
    runs = [fixes[begin : begin + size] for begin in range(0, len(fixes), size)]
    return [told for run in runs for told in partition.run(run)]


def positions(told: Iterable[Told]) -> list[VehiclePosition]:
    return [
        msgspec.json.decode(one.value or b"", type=VehiclePosition) for one in told if one.topic == VEHICLE_POSITIONS
    ]


def test_positions_are_on_their_roads_and_come_in_order(traffic: Drive) -> None:
    fixes = fixes_of(traffic)
    told = positions(told_of(fixes, 100))
    assert [one.vehicle_id for one in told] == [fix.device_id for fix in fixes]
    true = [
        str(GRAPH.edge_ids[edge]) if edge >= 0 and fix.device_id != "wrong" else None
        for edge, fix in zip(traffic.edge, fixes, strict=True)
    ]
    right = [one.edge == edge for one, edge in zip(told, true, strict=True) if edge is not None]
    assert len(right) > 200
    assert np.mean(right) > 0.97
    assert all(one.road_id == GRAPH.road_ids[GRAPH.position_of_edge[one.edge]] for one in told if one.edge is not None)


def test_how_runs_are_cut_and_where_the_process_ends_changes_nothing(traffic: Drive) -> None:
    fixes = fixes_of(traffic)

    def all_told(size: int, ends_often: bool) -> list[bytes]:
        told = told_of(fixes, size, ends_often)
        against = [msgspec.json.encode(one) for one in wrong_ways(told)]
        return sorted([one.value or b"" for one in told if one.topic == VEHICLE_POSITIONS] + against)

    whole = all_told(len(fixes), False)
    assert all_told(7, True) == all_told(50, False) == all_told(1, False) == whole


def wrong_ways(told: Iterable[Told]) -> list[WrongWay]:
    decode = msgspec.json.Decoder(Travel | WrongWay).decode
    found = [decode(one.value or b"") for one in told if one.topic == ON_ROADS]
    return [one for one in found if isinstance(one, WrongWay)]


def test_who_drives_the_wrong_way_is_told_once(traffic: Drive) -> None:
    (told,) = wrong_ways(told_of(fixes_of(traffic), 30, True))
    assert (told.vehicle, told.edge) == ("wrong", "a153")
    note = told.notification
    assert (note.alert_type, note.road_id, note.severity) == ("wrong_way", "a153", "CRITICAL")
    assert note.message.startswith(f"{note.road_name}: a vehicle drives against the direction of the road")
    assert "wrong" not in note.message


@pytest.mark.parametrize("vehicle_type", ["bus", "Taxi", "ambulance", "bicycle", "private"])
def test_those_whom_roads_let_through_against_all_others_are_not_told(traffic: Drive, vehicle_type: str) -> None:
    fixes = [
        msgspec.structs.replace(fix, feed="gps_data", vehicle_type=vehicle_type)
        for fix in fixes_of(traffic)
        if fix.device_id == "wrong"
    ]
    assert len(wrong_ways(told_of(fixes, 30))) == (vehicle_type == "private")


def test_another_feed_of_the_same_time_is_on_the_same_road_and_a_late_fix_on_none(traffic: Drive) -> None:
    fixes = [fix for fix in fixes_of(traffic) if fix.device_id == fixes_of(traffic)[0].device_id][:6]
    partition = Partition()
    (*_, newest) = positions(partition.run(fixes))
    again = msgspec.structs.replace(fixes[-1], feed="gps_data")
    late = msgspec.structs.replace(fixes[-1], time_us=fixes[-1].time_us - SECOND)
    same, before = positions(partition.run([again, late]))
    assert newest.edge is not None
    assert (same.edge, same.road_id, before.edge) == (newest.edge, newest.road_id, None)


def test_a_clock_that_was_set_back_and_a_vehicle_that_was_forgotten_begin_anew(traffic: Drive) -> None:
    fixes = [fix for fix in fixes_of(traffic) if fix.device_id == fixes_of(traffic)[0].device_id][:6]
    day_us = 86_400 * SECOND
    partition = Partition()
    partition.run(fixes)
    clock_us = fixes[-1].time_us + 2 * 3600 * SECOND
    back = [msgspec.structs.replace(fix, time_us=fix.time_us - day_us) for fix in fixes]
    told = [one for fix in back for one in partition.rules.apply(fix, When(clock_us, clock_us))]
    told += partition.rules.finish()
    assert [one.edge for one in positions(told)] == [one.edge for one in positions(told_of(fixes, 6))]
    list(partition.rules.tick(clock_us + 2 * day_us))
    assert dict(partition.rules.changed_rows()) == {fixes[0].device_id.encode(): None}
