"""Speeds of roads are what vehicles drove over what it took them, each once, whatever ends the process."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from models.fleet.fixes import Fix
from models.fleet.travels import Travel
from models.roads.messages import MatchedVehicles, RoadMessage, decode_road_message
from models.timestamps import epoch_us
from tests.matching.drives import NOON_US, SECOND, drive, together, way_from
from trafficapp.feeds.rules import Told, When
from trafficapp.fleet.fleet_rules import FleetRules
from trafficapp.fleet.matching import FleetRoads
from trafficapp.fleet.road_speeds import CityRoadSpeeds
from trafficapp.fleet.travels import Driving, TravelRule
from trafficapp.fleet.vehicles import PartitionFleet
from trafficapp.matching.stretches import Stretch
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import FleetSettings, MovementSettings, RoadSettings
from trafficapp.topics import ROADS_RAW

TRAVELS = "travels"
MINUTE = 60 * SECOND
GRAPH = city_graph(RoadSettings())
ROADS = FleetRoads(city_graph(RoadSettings()))
RULES = FleetRules(FleetSettings(), MovementSettings(), roads=ROADS, roads_topic=TRAVELS)
RULE = TravelRule.of(FleetSettings())
FREE_FLOW = {"one": 50.0, "two": 70.0}


class Rows:
    """What is remembered of rules whose process may end after each run."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def take(self, changed: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, row in changed:
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row


# ---------------------------------------------------------------------- what vehicles drove


def fixes_of(*, transit: bool = False) -> list[Fix]:
    """Twelve vehicles on their ways through Bologna, in order of time."""
    rng = np.random.default_rng(9)
    roads = ROADS.matcher._roads
    ways = [way_from(roads, edge, 900, rng) for edge in rng.integers(GRAPH.edge_count, size=12).tolist()]
    traffic = together([drive(roads, way, f"car-{number}", rng) for number, way in enumerate(ways)]).fixes
    columns = (getattr(traffic, name).tolist() for name in ("time_us", "lat", "lon", "speed_kmh", "heading"))
    return [
        Fix("gps_data", vehicle, time_us, lat, lon, None, None, vehicle_type="bus", is_transit=True)
        if transit
        else Fix("gps_data", vehicle, time_us, lat, lon, speed, heading)
        for vehicle, time_us, lat, lon, speed, heading in zip(traffic.vehicles, *columns, strict=True)
    ]


def travels_of(fixes: Sequence[Fix], size: int, *, ends_often: bool = False, ahead_us: int = 0) -> list[Travel]:
    """What comes of fixes in runs, all ticks of the clock at the same places in the log."""
    kept, rules = Rows(), PartitionFleet(RULES, {})
    told: list[Told] = []
    for begin in range(0, len(fixes), size):
        run = fixes[begin : begin + size]
        for fix in run:
            sent_us = fix.time_us - ahead_us
            told += rules.apply(fix, When(sent_us, sent_us))
        told += rules.finish()
        kept.take(rules.changed_rows())
        if ends_often:
            rules = PartitionFleet(RULES, kept.rows)
    told += rules.tick(fixes[-1].time_us - ahead_us + MINUTE)
    return sorted(
        (msgspec.json.decode(one.value or b"", type=Travel) for one in told if one.topic == TRAVELS),
        key=lambda one: (one.vehicle, one.time_us, one.edge),
    )


def test_travels_are_the_same_however_runs_are_cut_and_wherever_the_process_ends() -> None:
    fixes = fixes_of()
    whole = travels_of(fixes, len(fixes))
    assert len(whole) > 50
    assert travels_of(fixes, 7, ends_often=True) == travels_of(fixes, 1) == whole


def test_a_travel_is_the_length_of_its_edge_by_the_brokers_clock() -> None:
    travels = travels_of(fixes_of(), 50, ahead_us=3600 * SECOND)
    lengths = GRAPH.length_m[[GRAPH.position_of_edge[one.edge] for one in travels]]
    share = np.array([one.metres for one in travels]) / lengths
    # the first edge of each was not driven from its beginning
    assert np.median(share) == pytest.approx(1, abs=0.02)
    assert share.max() < 1.2
    assert all(NOON_US - 3600 * SECOND <= one.time_us <= NOON_US - 3300 * SECOND for one in travels)


def test_vehicles_of_public_transport_are_matched_and_are_nothing_else_here() -> None:
    fixes = fixes_of(transit=True)
    buses = travels_of(fixes, 40, ends_often=True)
    assert len(buses) > 50
    assert all(one.is_bus for one in buses)
    rules = PartitionFleet(RULES, {})
    told = [one for fix in fixes for one in rules.apply(fix, When(fix.time_us, fix.time_us))] + list(rules.finish())
    assert {one.topic for one in told} == {TRAVELS}
    kept = Rows()
    kept.take(rules.changed_rows())
    assert len(kept.rows) == 12
    list(rules.tick(fixes[-1].time_us + 3700 * SECOND))
    kept.take(rules.changed_rows())
    assert kept.rows == {}


def driven(*parts: tuple[int, float, float], is_bus: bool = False) -> list[Stretch]:
    """What is told of stretches of edges 0 and 1, 100 m each."""
    driving = Driving(is_bus=is_bus)
    return [one for part in parts for one in RULE.drive(driving, [Stretch(*part)], (100.0, 100.0))]


STANDING = (0, 0.0, 5.0)


def test_who_waits_counts_once_he_drives_on_and_who_parks_does_not() -> None:
    waiting = [(0, 60.0, 6.0), *[STANDING] * 12, (0, 40.0, 4.0), (1, 10.0, 1.0)]
    assert driven(*waiting) == [(0, 100.0, 70.0)]
    parked = [(0, 60.0, 6.0), *[STANDING] * 41, (0, 40.0, 4.0), (1, 10.0, 1.0)]
    assert driven(*parked) == []
    # nobody knows how long he who stands will
    assert driven((0, 60.0, 6.0), *[STANDING] * 12) == []


def test_satellites_that_err_at_rest_drive_nothing() -> None:
    noise = [(0, metres, 5.0) for metres in (4.0, -6.0, 5.0, -3.0) * 5]
    assert driven((0, 50.0, 5.0), *noise, (0, 50.0, 5.0), (1, 5.0, 1.0)) == [(0, 100.0, 110.0)]


def test_a_bus_at_a_stop_is_not_told_to_be_slow() -> None:
    assert driven((0, 50.0, 5.0), *[STANDING] * 6, (0, 50.0, 5.0), (1, 5.0, 1.0), is_bus=True) == [(0, 100.0, 10.0)]


def test_long_edges_and_jams_are_told_in_parts() -> None:
    told = driven(*[(0, 25.0, 20.0)] * 4, (1, 10.0, 1.0))
    assert told == [(0, 75.0, 60.0), (0, 25.0, 20.0)]


def test_an_edge_that_was_but_touched_is_not_told() -> None:
    assert driven((0, 15.0, 2.0), (1, 90.0, 9.0), (0, 10.0, 1.0)) == [(1, 90.0, 9.0)]


# ---------------------------------------------------------------------- what follows from it


class City:
    """The rules over all edges, whose process may end after each run."""

    def __init__(self, ends_often: bool = False) -> None:
        self.kept, self.ends_often = Rows(), ends_often
        self.rules = self.made()
        self.told: list[RoadMessage] = []

    def made(self) -> CityRoadSpeeds:
        return CityRoadSpeeds(FREE_FLOW, 2, 250.0, self.kept.rows)

    def take(self, *travels: Travel, clock_us: int) -> None:
        for travel in travels:
            self.rules.take(travel, When(clock_us, clock_us))
        self._end()

    def tick(self, clock_us: int) -> None:
        for one in self.rules.tick(clock_us):
            assert one.topic == ROADS_RAW
            self.told.append(decode_road_message(one.value))
            assert self.told[-1].road_id.encode() == one.key
        self._end()

    def _end(self) -> None:
        self.kept.take(self.rules.changed_rows())
        if self.ends_often:
            self.rules = self.made()


def travel(edge: str, vehicle: str, metres: float, seconds: float, at: float, **others: Any) -> Travel:
    return Travel(edge, vehicle, metres, seconds, NOON_US + round(at * SECOND), **others)


def oracle(log: Sequence[tuple[int, Travel]]) -> Iterator[tuple[str, float, int, float, int]]:
    """Edge, km/h, vehicles, credibility, time of each speed, from the clock and travel of each record.

    By brute force: all travels of an edge's minute, cut where more than 75 s of the clock lie since the first.
    """
    groups = defaultdict[tuple[str, int], list[tuple[int, Travel]]](list)
    for clock_us, one in log:
        groups[one.edge, one.time_us // MINUTE].append((clock_us, one))
    for (edge, _), group in groups.items():
        while group:
            first_us = group[0][0]
            told = [one for clock_us, one in group if clock_us < first_us + 75 * SECOND]
            group = [(clock_us, one) for clock_us, one in group if clock_us >= first_us + 75 * SECOND]
            cars = {one.vehicle for one in told if not one.is_bus}
            if len(cars) >= 2:
                used, count, weight = [one for one in told if not one.is_bus], len(cars), float(len(cars))
            else:
                buses = {one.vehicle for one in told if one.is_bus}
                used, count, weight = told, len(cars) + len(buses), len(cars) + len(buses) / 2
            if count >= 2:
                kmh = sum(one.metres for one in used) / sum(one.seconds for one in used) * 3.6
                yield edge, round(kmh, 2), count, round(weight / (weight + 2), 3), max(one.time_us for one in told)


@pytest.mark.parametrize("seed", range(6))
def test_all_that_was_driven_is_in_one_speed(seed: int) -> None:
    chance = random.Random(seed)
    log: list[tuple[int, Travel]] = []
    ours, ending = City(), City(ends_often=True)
    for clock_s in range(0, 900, 5):
        clock_us = NOON_US + clock_s * SECOND
        travels = [
            travel(
                chance.choice(["one", "two"]),
                f"car-{chance.randrange(6)}",
                chance.uniform(5, 120),
                chance.uniform(1, 60),
                # of another worker, that is behind
                clock_s - chance.choice([12, 12, 15, 20, 300]),
                is_bus=chance.random() < 0.3,
            )
            for _ in range(chance.randrange(4))
        ]
        log += [(clock_us, one) for one in travels]
        for city in (ours, ending):
            city.take(*travels, clock_us=clock_us)
            city.tick(clock_us + 1)
    for city in (ours, ending):
        for clock_s in range(900, 1000, 10):
            city.tick(NOON_US + clock_s * SECOND)
    assert ours.told == ending.told
    told = []
    for one in ours.told:
        matched = one.matched
        assert matched is not None
        told.append((one.road_id, one.current_speed, *matched, epoch_us(str(one.timestamp))))
    expected = list(oracle(log))
    assert sorted(told) == sorted(expected)
    assert len(told) > 20


def test_one_vehicle_tells_nothing_and_the_mean_is_that_of_travel_times() -> None:
    city = City()
    city.take(travel("one", "a", 100, 5, 0), travel("one", "a", 100, 5, 20), clock_us=NOON_US)
    city.take(travel("two", "a", 100, 5, 0), travel("two", "b", 100, 20, 10), clock_us=NOON_US)
    city.tick(NOON_US + 75 * SECOND)
    (told,) = city.told
    # 72 and 18 km/h: both take 12.5 s on average, which is 28.8 km/h and not 45
    assert (told.road_id, told.current_speed, told.matched) == ("two", 28.8, MatchedVehicles(2, 0.5))
    assert not told.is_closed


def test_cars_count_before_buses() -> None:
    city = City()
    bus = travel("one", "bus", 100, 100, 1, is_bus=True)
    city.take(travel("one", "a", 100, 10, 0), travel("one", "b", 100, 10, 0), bus, clock_us=NOON_US)
    city.take(travel("two", "a", 100, 10, 0), msgspec.structs.replace(bus, edge="two"), clock_us=NOON_US)
    city.tick(NOON_US + 75 * SECOND)
    assert [(one.road_id, one.current_speed, one.matched) for one in city.told] == [
        ("one", 36.0, MatchedVehicles(2, 0.5)),
        ("two", 6.55, MatchedVehicles(2, 0.429)),
    ]


def test_free_flow_is_learnt_and_never_above_that_of_the_graph() -> None:
    city, chance = City(), random.Random(4)
    speeds = [chance.uniform(10, 40) for _ in range(1500)]
    for minute, kmh in enumerate([90.0, *speeds]):
        clock_us, seconds = NOON_US + minute * 100 * SECOND, 100 / kmh * 3.6
        for vehicle in "ab":
            city.take(travel("one", vehicle, 100, seconds, minute * 100), clock_us=clock_us)
        city.tick(clock_us + 80 * SECOND)
    assert city.told[0].free_flow_speed == 50
    newest = [one.free_flow_speed or 0 for one in city.told[-200:]]
    # 85 % of the speeds are below 35.5 km/h
    assert np.mean(newest) == pytest.approx(35.5, abs=1.5)
    last = city.told[-1]
    assert last.jam_factor == pytest.approx(10 * max(1 - last.current_speed / (last.free_flow_speed or 1), 0), abs=0.01)


def test_an_edge_of_another_graph_is_left_out() -> None:
    city = City()
    city.take(travel("three", "a", 100, 10, 0), travel("three", "b", 100, 10, 0), clock_us=NOON_US)
    city.tick(NOON_US + 200 * SECOND)
    assert city.told == []
    assert city.kept.rows == {}
