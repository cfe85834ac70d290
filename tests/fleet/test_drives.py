"""What vehicles did: trips, zones, braking and speeding, as an oracle works them out that shares no code."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from models.fleet.drives import DrivingEvent, GeofenceEvent, VehicleTrip
from models.fleet.fences import FenceChange
from models.fleet.fixes import Fix, FleetFeed
from models.timestamps import epoch_us
from tests.fleet import drive_oracle
from tests.fleet.lives import Life, zones
from trafficapp.administration.zones import lies_inside, places_inside
from trafficapp.feeds.rules import Told, When
from trafficapp.fleet.driving import Limits
from trafficapp.fleet.fleet_rules import FleetRules
from trafficapp.fleet.topics import DRIVING_EVENTS, GEOFENCE_EVENTS, VEHICLE_TRIPS
from trafficapp.fleet.vehicles import PartitionFleet
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.roads.limits import SpeedLimits
from trafficapp.settings import FleetSettings, MovementSettings, Settings

SECOND = 1_000_000
NOON = epoch_us("2026-11-29T12:00:00Z")


class Roads:
    """A city whose roads have many limits."""

    def __init__(self) -> None:
        shipped = city_graph(Settings().roads)
        kmh = np.array([30.0 + 10 * (edge % 5) for edge in range(shipped.edge_count)])
        self.graph: RoadGraph = replace(shipped, free_flow_kmh=kmh)
        self.limits = SpeedLimits(self.graph)
        self.zones = zones(self.graph)


@pytest.fixture(scope="module")
def roads() -> Roads:
    return Roads()


class Fleet:
    """A partition whose process ends now and then."""

    def __init__(self, limits: Limits, **settings: Any) -> None:
        self.rules = FleetRules(FleetSettings(**settings), MovementSettings(), limits)
        self.rows: dict[bytes, bytes] = {}
        self.partition = PartitionFleet(self.rules, {})
        self.clock_us = NOON

    def fence(self, zone_id: int, ring: list[tuple[float, float]] | None, version: int = 1) -> None:
        change = FenceChange(zone_id, version, f"zone {zone_id}", ring)
        assert not list(self.partition.apply(change, When(NOON, NOON)))

    def apply(self, fix: Fix) -> list[Told]:
        return list(self.partition.apply(fix, When(self.clock_us, self.clock_us)))

    def silence(self, seconds: float = 900) -> list[Told]:
        self.clock_us += round(seconds * SECOND)
        return list(self.partition.tick(self.clock_us))

    def end_and_begin(self) -> None:
        for key, row in self.partition.changed_rows():
            if row is None:
                del self.rows[key]
            else:
                self.rows[key] = row
        self.partition = PartitionFleet(self.rules, self.rows)


def plain(told: Iterable[Told]) -> list[dict[str, Any]]:
    """What was told, as the oracle names it."""
    found: list[dict[str, Any]] = []
    for one in told:
        if one.topic == VEHICLE_TRIPS:
            trip = msgspec.json.decode(one.value or b"", type=VehicleTrip)
            found.append({"event": "trip", "began": epoch_us(trip.began_at), "ended": epoch_us(trip.ended_at),
                          "metres": trip.distance_m, "moving": trip.moving_seconds, "standing": trip.standing_seconds,
                          "ended_by": trip.ended_by})  # fmt: skip
        elif one.topic == GEOFENCE_EVENTS:
            step = msgspec.json.decode(one.value or b"", type=GeofenceEvent)
            found.append({"event": step.event, "zone": step.zone_id, "at": epoch_us(step.timestamp),
                          "since": epoch_us(step.entered_at)})  # fmt: skip
        elif one.topic == DRIVING_EVENTS:
            event = msgspec.json.decode(one.value or b"", type=DrivingEvent)
            said: dict[str, Any] = {
                "event": event.event,
                "began": epoch_us(event.began_at),
                "ended": epoch_us(event.ended_at),
            }
            if event.event == "speeding":
                said |= {"speed": event.speed_kmh, "limit": event.limit_kmh}
            else:
                said |= {"from": event.speed_kmh, "to": event.to_speed_kmh, "mps2": event.deceleration_mps2}
            found.append(said)
    return found


def by_key(events: Iterable[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in events:
        key = one["event"], one.get("zone"), one.get("at", one.get("ended"))
        assert key not in found, key
        found[key] = one
    return found


def assert_same(told: Sequence[dict[str, Any]], right: Sequence[dict[str, Any]]) -> None:
    found, expected = by_key(told), by_key(right)
    assert found.keys() == expected.keys()
    for key, one in expected.items():
        for name, value in one.items():
            near = pytest.approx(value, rel=1e-4, abs=0.06) if isinstance(value, float) else value
            assert found[key][name] == near, (key, name)


def test_days_of_vehicles_are_what_the_oracle_says(roads: Roads) -> None:
    """Ends of processes and silences at any time; some jump about."""
    seen: Counter[str] = Counter()
    for seed in range(24):
        dice = random.Random(seed)
        fleet = Fleet(roads.limits)
        for zone in roads.zones:
            fleet.fence(zone.zone_id, zone.ring)
        life = Life(dice, roads.graph, "car-1", NOON, 4 * 3600, jumps=seed % 12 == 11)
        heard, told, silent_after = list(life.fixes()), [], set()
        for number, fix in enumerate(heard):
            told += fleet.apply(fix)
            if dice.random() < 0.1:
                fleet.end_and_begin()
            if dice.random() < 0.01 or number == len(heard) - 1:
                silent_after.add(number)
                told += fleet.silence()
                fleet.silence(5)
        right = drive_oracle.happened(
            heard,
            [drive_oracle.Zone(one.zone_id, one.ring) for one in roads.zones],
            roads.limits.limit_at,
            silent_after,
        )
        assert_same(plain(told), right)
        seen.update(one.get("ended_by", one["event"]) for one in right)
    assert seen.keys() >= {"enter", "dwell", "leave", "harsh_braking", "speeding", "stand", "gap", "silence"}, seen


def fix(second: float, metres: float, kmh: float | None = 36.0, feed: FleetFeed = "vehicle_data") -> Fix:
    """So many metres north of the middle of the city."""
    return Fix(feed, "car-1", NOON + round(second * SECOND), 44.5 + metres / 111_195, 11.34, kmh, 0.0)


def told_of(fleet: Fleet, fixes: Iterable[Fix]) -> list[dict[str, Any]]:
    return plain(one for each in fixes for one in fleet.apply(each))


def square(south_m: float, north_m: float) -> list[tuple[float, float]]:
    south, north = (44.5 + metres / 111_195 for metres in (south_m, north_m))
    return [(11.3, south), (11.4, south), (11.4, north), (11.3, north), (11.3, south)]


def test_vehicles_that_jump_about_give_next_to_nothing(roads: Roads) -> None:
    told: list[dict[str, Any]] = []
    for seed in range(30):
        fleet = Fleet(roads.limits)
        for zone in roads.zones:
            fleet.fence(zone.zone_id, zone.ring)
        life = Life(random.Random(seed), roads.graph, f"car-{seed}", NOON, 4 * 3600, jumps=True)
        told += told_of(fleet, life.fixes()) + plain(fleet.silence())
    # until an alert says that they jump about, after three moves or four, a vehicle is believed
    assert len(told) < 30


def test_it_does_not_matter_which_feed_says_the_same_time_first(roads: Roads) -> None:
    both = [[fix(5 * n, 50 * n), fix(5 * n, 50 * n + 9, 31.0, "gps_data")] for n in range(60)]
    found = []
    for seed in range(4):
        dice, fleet = random.Random(seed), Fleet(roads.limits)
        fleet.fence(1, square(500, 1000))
        told = told_of(fleet, (one for pair in both for one in dice.sample(pair, 2)))
        found.append([*told, *plain(fleet.silence())])
    assert found[0] == found[1] == found[2] == found[3]
    assert [one["event"] for one in found[0]] == ["enter", "leave", "trip"]


def test_one_that_errs_at_the_border_enters_once_and_the_border_is_of_one_zone(roads: Roads) -> None:
    fleet = Fleet(roads.limits)
    fleet.fence(1, square(0, 100))
    fleet.fence(2, square(100, 200))
    border = fleet.partition._fences._fences[1].ring[2][1]
    there = msgspec.structs.replace(fix(0, 0), latitude=border)
    wobbling = [fix(5 * n, 100 + (-1) ** n * 25) for n in range(1, 100)]
    assert told_of(fleet, [there, fix(1, 101), fix(2, 102)]) == [
        {"event": "enter", "zone": 2, "at": NOON, "since": NOON}
    ]
    assert [(one["event"], one["zone"]) for one in told_of(fleet, wobbling)] == [("enter", 1)]
    assert [(one["event"], one["zone"]) for one in told_of(fleet, [fix(600, 250), fix(605, 260)])] == [
        *[("leave", 2), ("leave", 1)]
    ]


def test_zones_may_change_while_vehicles_are_in_them(roads: Roads) -> None:
    fleet = Fleet(roads.limits)
    fleet.fence(1, square(0, 100), version=2)
    fleet.fence(2, square(0, 100))
    assert [one["zone"] for one in told_of(fleet, [fix(0, 50), fix(5, 50)])] == [1, 2]
    fleet.end_and_begin()
    fleet.fence(1, square(1000, 1100), version=1)
    fleet.fence(2, None, version=2)
    assert told_of(fleet, [fix(10, 50), fix(15, 50)]) == []
    fleet.fence(1, square(1000, 1100), version=3)
    fleet.end_and_begin()
    assert [(one["event"], one["zone"]) for one in told_of(fleet, [fix(20, 50), fix(25, 50)])] == [("leave", 1)]


def test_a_clock_that_is_set_back_ends_what_went_on(roads: Roads) -> None:
    fleet = Fleet(roads.limits)
    fleet.fence(1, square(0, 100_000))
    told_of(fleet, [fix(50_000 + 5 * n, 50 * n) for n in range(20)])
    fleet.clock_us += 3600 * SECOND
    (left, trip) = told_of(fleet, [fix(5, 0)])[::-1]
    assert (trip["event"], trip["ended_by"], left["event"]) == ("trip", "clock", "leave")
    assert [one["event"] for one in told_of(fleet, [fix(10, 50)])] == ["enter"]


def test_who_is_forgotten_leaves_its_zones(roads: Roads) -> None:
    fleet = Fleet(roads.limits)
    fleet.fence(1, square(0, 1000))
    told_of(fleet, [fix(0, 50), fix(5, 60)])
    fleet.end_and_begin()
    assert [one["event"] for one in plain(fleet.silence(86_400))] == ["leave"]
    fleet.end_and_begin()
    assert list(fleet.rows) == [b"\xff1"]


def test_each_can_be_switched_off() -> None:
    fixes = [fix(5 * n, 50 * n, 120.0 - 60 * (n % 2)) for n in range(60)]
    found: dict[str, set[str]] = {}
    for off in ("none", "trips", "geofences", "braking", "speeding"):
        switched = {} if off == "none" else {off: False}
        fleet = Fleet(_Everywhere(), **switched, braking_mps2=3.0, speeding_places=1)
        fleet.fence(1, square(0, 1000))
        told = told_of(fleet, fixes) + plain(fleet.silence())
        found[off] = {one["event"] for one in told}
    everything = {"trip", "enter", "leave", "harsh_braking", "speeding"}
    assert found == {
        "none": everything,
        "trips": everything - {"trip"},
        "geofences": everything - {"enter", "leave"},
        "braking": everything - {"harsh_braking"},
        "speeding": everything - {"speeding"},
    }


class _Everywhere:
    """50 km/h on all roads."""

    lowest_kmh = 50.0

    def limit_at(self, latitude: float, longitude: float, heading: float | None) -> float | None:
        return 50.0

    def lowest_near(self, latitude: float, longitude: float) -> float | None:
        return 50.0


def test_a_place_lies_in_a_zone_by_the_same_rule_as_many_do() -> None:
    dice = random.Random(1)
    corners = [float(number) for number in range(5)]
    for _ in range(300):
        ring = [(dice.choice(corners), dice.choice(corners)) for _ in range(dice.randrange(3, 8))]
        ring.append(ring[0])
        places = np.array([(x, y) for x in np.arange(-0.5, 5, 0.25) for y in np.arange(-0.5, 5, 0.25)])
        assert places_inside(ring, places).tolist() == [lies_inside(ring, x, y) for x, y in places.tolist()]


def test_who_comes_late_hides_nobodys_silence(roads: Roads) -> None:
    fleet = Fleet(roads.limits)
    told_of(fleet, (fix(5 * n, 50 * n) for n in range(20)))
    other = [msgspec.structs.replace(fix(5 * n, 50 * n), device_id="car-2") for n in range(20)]
    told_of(fleet, other)
    fleet.clock_us += 600 * SECOND
    told_of(fleet, [fix(7, 70)])
    assert [one["ended_by"] for one in plain(fleet.silence(300))] == ["silence"]
    assert [one["ended_by"] for one in plain(fleet.silence(600))] == ["silence"]
