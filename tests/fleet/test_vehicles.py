"""Two feeds of a device are one vehicle: where it is, and what is said of its moves."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.city_alerts import CityAlert
from models.fleet.fixes import FEEDS, Fix, FleetFeed
from models.fleet.positions import VehiclePosition
from models.timestamps import epoch_us
from tests.fleet import oracle
from trafficapp.feeds.rules import Told, When
from trafficapp.fleet.fleet_rules import FleetRules
from trafficapp.fleet.topics import VEHICLE_POSITIONS
from trafficapp.fleet.vehicles import PartitionFleet
from trafficapp.movement.plausibility import QUALITY_ALERTS
from trafficapp.settings import FleetSettings, MovementSettings

SECOND = 1_000_000
HOUR = 3600 * SECOND
NOON = epoch_us("2026-11-29T12:00:00Z")
RULES = FleetRules(FleetSettings(), MovementSettings())


def fix(
    second: float, place: tuple[float, float] = (44.5, 11.34), speed: float | None = 30.0, heading: float | None = 90.0,
    feed: FleetFeed = "vehicle_data", device: str = "car-1", **more: Any,
) -> Fix:  # fmt: skip
    return Fix(feed, device, NOON + round(second * SECOND), *place, speed, heading, **more)


class Fleet:
    """A partition whose process ends between any two messages, if it shall."""

    def __init__(self, ends_often: bool = False) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.rules = PartitionFleet(RULES, {})
        self.ends_often = ends_often

    def apply(self, fix: Fix, clock_us: int = NOON, record_us: int = NOON) -> list[Told]:
        told = list(self.rules.apply(fix, When(record_us, clock_us)))
        self.keep()
        return told

    def tick(self, clock_us: int) -> list[Told]:
        told = list(self.rules.tick(clock_us))
        self.keep()
        return told

    def keep(self) -> None:
        for key, row in self.rules.changed_rows():
            if row is None:
                del self.rows[key]
            else:
                self.rows[key] = row
        if self.ends_often:
            self.rules = PartitionFleet(RULES, self.rows)


def positions(told: Iterable[Told]) -> list[VehiclePosition]:
    return [msgspec.json.decode(one.value, type=VehiclePosition) for one in told if one.topic == VEHICLE_POSITIONS]


def alerts(told: Iterable[Told]) -> list[CityAlert]:
    return [msgspec.json.decode(one.value, type=CityAlert) for one in told if one.topic == QUALITY_ALERTS]


def told_of(fixes: Iterable[Fix]) -> list[Told]:
    fleet = Fleet()
    return [one for each in fixes for one in fleet.apply(each)]


# ---------------------------------------------------------------------- where it is


def test_a_fix_becomes_a_position() -> None:
    (told,) = Fleet().apply(fix(0, make="BMW", model="C500", year=2024, fuel_type="Hybrid"), record_us=NOON + SECOND)
    assert (told.topic, told.key) == ("vehicle-positions", b"car-1")
    (position,) = positions([told])
    assert (position.vehicle_id, position.latitude, position.longitude) == ("car-1", 44.5, 11.34)
    assert (position.speed, position.direction, position.computed_speed) == (30.0, 90.0, None)
    shown = msgspec.json.decode(told.value)
    assert (shown["timestamp"], shown["received_at"]) == ("2026-11-29T12:00:00Z", "2026-11-29T12:00:01Z")
    assert (position.make, position.model, position.year, position.fuel_type) == ("BMW", "C500", 2024, "Hybrid")


@pytest.mark.parametrize("car_first", [True, False])
def test_of_two_feeds_at_the_same_time_the_cars_own_counts_and_both_are_there(car_first: bool) -> None:
    car = fix(0, (44.5, 11.34), 30.0, 90.0, make="BMW")
    tracker = fix(0, (44.6, 11.44), 36.0, 45.0, "gps_data", vehicle_type="private")
    told = positions(told_of([car, tracker] if car_first else [tracker, car]))
    last = told[-1]
    assert (last.latitude, last.longitude, last.speed, last.direction) == (44.5, 11.34, 30.0, 90.0)
    assert {feed: said.speed for feed, said in last.feeds.items()} == {"vehicle_data": 30.0, "gps_data": 36.0}
    assert (last.make, last.vehicle_type) == ("BMW", "private")
    assert {(one.feed, one.fix_latitude, one.fix_longitude, one.fix_speed, one.fix_direction) for one in told} == {
        ("vehicle_data", 44.5, 11.34, 30.0, 90.0),
        ("gps_data", 44.6, 11.44, 36.0, 45.0),
    }


def test_what_the_car_does_not_say_the_tracker_says() -> None:
    car, tracker = fix(0, speed=None, heading=None), fix(0, speed=36.0, heading=45.0, feed="gps_data")
    for order in ([car, tracker], [tracker, car]):
        last = positions(told_of(order))[-1]
        assert (last.speed, last.direction) == (36.0, 45.0)


def test_what_is_known_of_a_car_stays_known() -> None:
    fixes = [
        fix(0, make="BMW", year=2024),
        fix(5),
        fix(10, model="C500"),
        fix(15, feed="gps_data", vehicle_type="taxi"),
    ]
    last = positions(told_of(fixes))[-1]
    assert (last.make, last.model, last.year, last.fuel_type, last.vehicle_type) == ("BMW", "C500", 2024, None, "taxi")


def test_the_newer_of_two_feeds_counts() -> None:
    (_, last) = positions(told_of([fix(0), fix(1, (44.5001, 11.34), 36.0, 0.0, "gps_data")]))
    assert (last.latitude, last.speed, last.direction, last.feed) == (44.5001, 36.0, 0.0, "gps_data")
    assert epoch_us(last.feeds["vehicle_data"].timestamp) == NOON


def test_speed_and_direction_are_computed_where_nobody_says_them() -> None:
    told = positions(told_of([fix(0, (44.5, 11.34), None, None), fix(60, (44.505, 11.34), None, None),
                              fix(120, (44.505, 11.34), None, None)]))  # fmt: skip
    assert [one.speed for one in told] == [None, pytest.approx(33.36, abs=0.01), 0.0]
    assert [one.direction for one in told] == [None, 0.0, 0.0]
    assert [one.computed_speed for one in told] == [one.speed for one in told]


def test_a_fix_that_is_sent_twice_is_told_once() -> None:
    fixes = [fix(0), fix(0, feed="gps_data"), fix(0), fix(0, feed="gps_data"), fix(0, speed=99.0)]
    assert [one.feed for one in positions(told_of(fixes))] == ["vehicle_data", "gps_data"]


def test_a_late_fix_is_told_and_changes_nothing() -> None:
    fleet = Fleet()
    fleet.apply(fix(0))
    fleet.apply(fix(60, (44.505, 11.34)))
    (late,) = positions(fleet.apply(fix(30, (44.4, 11.2), 5.0, 180.0)))
    assert (late.latitude, late.speed, late.computed_speed) == (44.4, 5.0, None)
    assert epoch_us(late.timestamp) == NOON + 30 * SECOND
    (last,) = positions(fleet.apply(fix(120, (44.51, 11.34))))
    assert last.computed_speed == pytest.approx(33.36, abs=0.01)


def test_clocks_that_run_ahead_without_end_are_followed() -> None:
    """Half a minute or more each round, all of them heard within some seconds."""
    dice = random.Random(1)
    seconds, fleet = 0.0, Fleet()
    for number in range(500):
        seconds += dice.uniform(30, 60)
        (told,) = positions(fleet.apply(fix(seconds, (44.5 + number * 1e-4, 11.34)), NOON + number * SECOND))
        assert epoch_us(told.timestamp) == NOON + round(seconds * SECOND)
        assert told.plausible


def test_a_clock_that_was_set_back_counts_anew_after_an_hour_without_newer_ones() -> None:
    fleet = Fleet()
    fleet.apply(fix(49_990, (44.4, 11.34)), NOON)
    assert not positions(fleet.apply(fix(50_000, (44.5, 11.34)), NOON))[0].plausible
    for clock_us in (NOON + HOUR - 1, NOON + HOUR):
        (told,) = positions(fleet.apply(fix(5, (44.6, 11.34), None, None), clock_us))
        assert (len(told.feeds), told.computed_speed, told.latitude) == (1, None, 44.6)
        assert told.plausible
    (told,) = positions(fleet.apply(fix(65, (44.605, 11.34), None), NOON + HOUR + SECOND))
    assert told.computed_speed == pytest.approx(33.36, abs=0.01)
    assert told.plausible


Places = st.sampled_from([(44.5, 11.34), (44.50001, 11.34), (44.5001, 11.3405), (44.52, 11.3), (44.47, 11.41)])
Fixes = st.lists(
    st.builds(
        fix,
        st.integers(0, 12),
        Places,
        st.sampled_from([None, 0.0, 30.0, 55.5]),
        st.sampled_from([None, 0.0, 90.0, 270.5]),
        st.sampled_from(FEEDS),
    ),
    min_size=1,
    max_size=25,
)


@given(Fixes, st.booleans())
def test_all_that_is_told_is_what_the_oracle_says(fixes: list[Fix], ends_often: bool) -> None:
    fleet = Fleet(ends_often)
    told = positions(one for each in fixes for one in fleet.apply(each))
    expected = oracle.records(fixes)
    assert len(told) == len(expected)
    for found, right in zip(told, expected, strict=True):
        assert epoch_us(found.timestamp) == right.pop("time_us")
        for name, value in right.items():
            shown = getattr(found, name)
            assert shown == (pytest.approx(value, abs=0.1) if isinstance(value, float) else value), name


@given(Fixes, st.data())
def test_it_does_not_matter_in_what_order_feeds_say_the_same_time(fixes: list[Fix], data: st.DataObject) -> None:
    """Each feed says each time once; those of a time come in any order."""
    each = {(one.feed, one.time_us): one for one in fixes}
    ordered = sorted(each.values(), key=lambda one: one.time_us)
    other = sorted(data.draw(st.permutations(ordered)), key=lambda one: one.time_us)
    last, same = (positions(told_of(one))[-1] for one in (ordered, other))
    own = ["feed", *(f"fix_{name}" for name in ("latitude", "longitude", "speed", "direction")), "plausible"]
    nothing = dict.fromkeys(own)
    assert msgspec.structs.asdict(last) | nothing == msgspec.structs.asdict(same) | nothing


# ---------------------------------------------------------------------- how it moves


def jumping(device: str, rounds: int, seed: int) -> list[Fix]:
    """As one real simulator does it: both feeds at the same time, anywhere in the city."""
    dice, seconds, found = random.Random(seed), 0.0, []
    for _ in range(rounds):
        seconds += dice.uniform(30, 60)
        for feed in FEEDS:
            place = dice.uniform(-6.4, -6.0), dice.uniform(106.6, 107.0)
            found.append(fix(seconds, place, dice.uniform(10, 40), 45.0, feed, device))
    return found


def test_vehicles_that_jump_about_give_positions_and_one_alert_each() -> None:
    fixes = [one for number in range(20) for one in jumping(f"car-{number}", 200, number)]
    random.Random(3).shuffle(fixes)
    fixes.sort(key=lambda one: one.time_us)
    told = told_of(fixes)
    assert len(positions(told)) == len(fixes)
    assert not all(one.plausible for one in positions(told))
    found = alerts(told)
    assert Counter(one.subject for one in found) == dict.fromkeys({one.device_id for one in fixes}, 1)
    assert {(one.alert_type, one.state) for one in found} == {("implausible_movement", "opened")}
    assert {one.key.decode() for one in told if one.topic == QUALITY_ALERTS} == {one.subject for one in found}


def driving(start: float, count: int) -> list[Fix]:
    return [fix(start + 5 * number, (44.5 + number * 5e-4, 11.34)) for number in range(count)]


def test_the_alert_is_over_when_the_vehicle_drives_again() -> None:
    fixes = [
        *driving(0, 5),
        *(replace_place(one, number) for number, one in enumerate(driving(25, 6))),
        *driving(60, 40),
    ]
    found = alerts(told_of(fixes))
    assert [one.state for one in found] == ["opened", "resolved"]
    assert found[0].alert_id == found[1].alert_id


def replace_place(one: Fix, number: int) -> Fix:
    return msgspec.structs.replace(one, latitude=44.0 + number % 2)


# ---------------------------------------------------------------------- who is forgotten


def test_a_device_that_was_not_heard_for_a_day_is_forgotten_with_its_alert() -> None:
    fleet = Fleet(ends_often=True)
    # rows come back in any order
    fleet.apply(fix(0, device="a"), NOON + 2 * HOUR)
    for each in jumping("jumps", 20, 1):
        fleet.apply(each, NOON)
    fleet.apply(fix(0, device="stays"), NOON + HOUR)
    assert fleet.tick(NOON + 24 * HOUR - 1) == []
    assert fleet.rows.keys() == {b"a", b"jumps", b"stays"}
    (over,) = alerts(fleet.tick(NOON + 24 * HOUR))
    assert (over.subject, over.state, over.message) == ("jumps", "resolved", "vehicle jumps was not heard any more")
    assert fleet.rows.keys() == {b"a", b"stays"}
    assert fleet.tick(NOON + 25 * HOUR) == []
    assert fleet.rows.keys() == {b"a"}


def test_what_is_heard_keeps_a_device_also_when_it_is_late_or_repeated() -> None:
    fleet = Fleet()
    fleet.apply(fix(0), NOON)
    fleet.apply(fix(0, device="other"), NOON)
    fleet.apply(fix(0), NOON + HOUR)
    fleet.tick(NOON + 24 * HOUR)
    assert fleet.rows.keys() == {b"car-1"}


def test_a_device_that_was_heard_before_the_clock_was_told_anything_is_not_forgotten_at_once() -> None:
    fleet = Fleet()
    fleet.apply(fix(0), clock_us=0, record_us=NOON)
    fleet.tick(NOON + SECOND)
    assert fleet.rows.keys() == {b"car-1"}
    fleet.tick(NOON + 24 * HOUR)
    assert fleet.rows == {}


def test_rows_are_those_that_changed() -> None:
    fleet = PartitionFleet(RULES, {})
    list(fleet.apply(fix(0), When(NOON, NOON)))
    assert [key for key, _ in fleet.changed_rows()] == [b"car-1"]
    assert list(fleet.changed_rows()) == []
