"""How traffic flows in a city, from roads and vehicles as plain values."""

from __future__ import annotations

import msgspec
import pytest

from trafficapp.city.traffic import CityTraffic, LocatedVehicle, ObservedRoad, RoadMap, city_traffic, level_of

BEGIN_US = 1_768_392_000_000_000
SECOND = 1_000_000
#: About 79 m east and 111 m north of each other.
EAST, NORTH = 0.001, 0.001
SOUTH, WEST = 44.5, 11.3


def road(road_id: str, *, speed_kmh: float | None = 40.0, east: float = 0.0, turned: bool = False) -> ObservedRoad:
    line = [(WEST + east, SOUTH), (WEST + east, SOUTH + 10 * NORTH)]
    return ObservedRoad(road_id, line[::-1] if turned else line, speed_kmh, 50.0, BEGIN_US)


def vehicle(east: float, heading: float | None, speed_kmh: float | None = 30.0) -> LocatedVehicle:
    return LocatedVehicle(SOUTH + 5 * NORTH, WEST + east, heading, speed_kmh, BEGIN_US + SECOND)


def by_id(found: CityTraffic) -> dict[str, tuple[float | None, int, str | None]]:
    return {one.road_id: (one.average_speed, one.vehicle_count, one.congestion_level) for one in found.roads}


def test_a_vehicle_is_on_the_road_that_leads_where_it_drives() -> None:
    roads = [road("north"), road("south", turned=True), road("far", east=10 * EAST)]
    vehicles = [
        vehicle(0.0, 3.0),
        vehicle(0.0, 355.0),
        vehicle(0.0001, 180.0),
        vehicle(5 * EAST, 0.0),
        vehicle(0, 90.0),
    ]
    assert RoadMap({one.road_id: one.line for one in roads}).roads_of(vehicles)[:4] == ["north", "north", "south", None]
    counted = {name: count for name, (_, count, _) in by_id(city_traffic(roads, vehicles[:4])).items()}
    assert counted == {"north": 2, "south": 1, "far": 0}


def test_a_vehicle_without_a_heading_is_on_the_nearest_road() -> None:
    roads = [road("here"), road("there", east=0.5 * EAST)]
    assert RoadMap({one.road_id: one.line for one in roads}).roads_of([vehicle(0.3 * EAST, None)]) == ["there"]


def test_the_figures_of_the_city_leave_out_what_is_not_to_be_believed() -> None:
    roads = [road("slow", speed_kmh=10.0), road("fast", speed_kmh=50.0), road("stuck", speed_kmh=1.0)]
    roads.append(road("nobody", speed_kmh=None))

    believed = city_traffic(roads, [], unhealthy={"stuck"})

    # 2 / (1 / 10 + 1 / 50)
    assert (believed.average_speed_kmh, believed.congested_roads, believed.healthy_share) == (16.7, 1, 2 / 3)
    # what it told is still shown
    assert by_id(believed)["stuck"] == (1.0, 0, "severe")
    everything = city_traffic(roads, [])
    assert (everything.average_speed_kmh, everything.congested_roads, everything.healthy_share) == (2.7, 2, 1.0)
    assert city_traffic([road("nobody", speed_kmh=None)], []).healthy_share is None


def test_a_road_that_was_not_measured_is_as_fast_as_its_vehicles() -> None:
    roads = [
        road("measured", speed_kmh=12.0),
        road("not", speed_kmh=None, east=2 * EAST),
        road("nobody", speed_kmh=None),
    ]
    there = [vehicle(2 * EAST, 0.0, 20.0), vehicle(2 * EAST, 0.0, 30.0), vehicle(2 * EAST, 0.0, None)]
    assert by_id(city_traffic(roads, there)) == {
        "measured": (12.0, 0, "severe"),
        "not": (25.0, 3, "moderate"),
        "nobody": (None, 0, None),
    }


def test_the_city_is_as_fast_as_somebody_who_drives_over_each_road() -> None:
    slow, fast = road("slow", speed_kmh=10.0), road("fast", speed_kmh=40.0, east=2 * EAST)
    found = city_traffic([slow, fast, road("unknown", speed_kmh=None)], [])
    # as long as each other: 2 / (1 / 10 + 1 / 40)
    assert found.average_speed_kmh == 16.0
    assert found.congested_roads == 1
    assert city_traffic([road("unknown", speed_kmh=None)], []).average_speed_kmh is None
    assert city_traffic([], [vehicle(0.0, 0.0)]).roads == []


def test_the_whole_city_can_be_sent_as_json() -> None:
    found = city_traffic([road("flows", speed_kmh=30.0)], [])
    assert msgspec.json.decode(msgspec.json.encode(found.summary(0, 0, 0)))["average_city_speed"] == 30.0


def test_a_standing_road_does_not_stop_the_city_for_ever() -> None:
    found = city_traffic([road("stands", speed_kmh=0.0), road("flows", speed_kmh=50.0, east=2 * EAST)], [])
    assert found.average_speed_kmh == pytest.approx(2 / (1 / 1 + 1 / 50), abs=0.05)
    assert by_id(found)["stands"] == (0.0, 0, "severe")


@pytest.mark.parametrize(
    ("share", "level"),
    [
        (1.4, "light"),
        (0.67, "light"),
        (0.66, "moderate"),
        (0.5, "moderate"),
        (0.3, "heavy"),
        (0.29, "severe"),
        (0, "severe"),
    ],
)
def test_levels_go_by_the_share_of_free_flow(share: float, level: str) -> None:
    assert level_of(50.0 * share, 50.0) == level


def test_a_road_was_last_heard_of_when_its_newest_vehicle_was() -> None:
    found = city_traffic([road("here")], [vehicle(0.0, 0.0)])
    assert found.roads[0].timestamp == "2026-01-14T12:00:01Z"
    assert found.summary(7, 2, BEGIN_US).timestamp == "2026-01-14T12:00:00Z"
