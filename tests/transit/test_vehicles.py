"""What vehicles say and do not say, case by case; `tests.transit.test_fleets` has any of them together."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec
import pytest

from models.fleet.fixes import Fix
from models.transit.inner import Position, RouteOf
from models.transit.vehicles import OccupancyStatus
from tests.transit import lines
from tests.transit.oracle import S, Said, Tick
from tests.transit.rig import ROUTES, VEHICLES, Rig, position
from trafficapp.feeds.rules import When
from trafficapp.settings.quality import MovementSettings
from trafficapp.settings.transit import TransitSettings, VehicleRoom
from trafficapp.transit.occupancy import occupancy
from trafficapp.transit.partition import TransitPartition
from trafficapp.transit.topics import LIVE_VEHICLE_TABLE

NOW = 1_780_000_000
STATION, HALL = lines.places([(0, 0), (2000, 0)])


def said(second: float, at: tuple[float, float] = STATION, status: str = "in_service", **others: Any) -> Said:
    """A message at a second of the clock; its own time is the same unless told otherwise."""
    ahead_s = others.pop("ahead_s", 0)
    moment = round((NOW + second) * S)
    return Said(others.pop("vehicle", "7"), moment + ahead_s * S, moment, *at, status, **others)


def tick(second: float) -> Tick:
    return Tick(round((NOW + second) * S))


def route(line: lines.Metres, name: str = "r1") -> RouteOf:
    return RouteOf("7", name, "bus", lines.places(line), 25)


def steps(rig: Rig, topic: str) -> list[tuple[str, str]]:
    return [(alert["state"], alert["severity"]) for alert in rig.of(topic)]


# ---------------------------------------------------------------------- the newest state


def test_an_older_message_changes_nothing_and_is_a_sign_of_life() -> None:
    rig = Rig()
    rig.take_all([said(0, HALL, passengers=3), tick(100), said(110, STATION, ahead_s=-500), tick(225)])
    assert [row["LATITUDE"] for row in rig.of(LIVE_VEHICLE_TABLE)] == [HALL[0]]
    assert rig.of("delay_alerts") == []


def test_of_two_with_the_same_time_the_later_one_counts_and_a_repeat_is_told_once() -> None:
    rig = Rig()
    one, other = said(0, passengers=1), said(0, passengers=2)
    rig.take_all([one, one, other, other])
    assert [row["PASSENGER_COUNT"] for row in rig.of(LIVE_VEHICLE_TABLE)] == [1, 2]
    assert rig.table()["7"]["PASSENGER_COUNT"] == 2


def test_a_clock_that_is_ahead_of_ours_is_a_clock() -> None:
    rig = Rig()
    rig.take_all([said(second, ahead_s=600 + 10 * second) for second in range(0, 60, 5)] + [tick(100)])
    assert len(rig.of(LIVE_VEHICLE_TABLE)) == 12
    assert rig.of("delay_alerts") == []


def test_vehicles_that_jump_about_give_positions_and_one_alert_each() -> None:
    """As StreamCity's producer does, for an hour."""
    rig, dice = Rig(), random.Random(1)
    boxes = {
        "bus-01": ((40.7128, -74.0060), (40.7580, -73.9855)),
        "bus-02": ((34.0522, -118.2437), (34.1522, -118.2537)),
        "train-A": ((40.7831, -73.9712), (40.7021, -74.0158)),
    }
    for second in range(0, 3600, 5):
        for vehicle, (one, other) in boxes.items():
            at = dice.uniform(one[0], other[0]), dice.uniform(one[1], other[1])
            rig.take(said(second, at, vehicle=vehicle))
        rig.take(tick(second))
    assert Counter(row["VEHICLE_ID"] for row in rig.of(LIVE_VEHICLE_TABLE)) == dict.fromkeys(boxes, 720)
    assert Counter((one["subject"], one["state"]) for one in rig.of("quality_alerts")) == {
        (vehicle, "opened"): 1 for vehicle in boxes
    }
    assert rig.of("breakdown_alerts") == rig.of("delay_alerts") == []
    assert {one["plausible"] for one in rig.table(VEHICLES).values()} == {False}


# ---------------------------------------------------------------------- silence


def test_a_delay_is_opened_once_told_now_and_then_and_over_when_the_vehicle_speaks() -> None:
    rig = Rig()
    rig.take_all([said(0), *(tick(second) for second in range(5, 1400, 5))])
    told = rig.of("delay_alerts")
    assert [one["TIME_SINCE_LAST_UPDATE_SECONDS"] for one in told] == [125, 725, 1325]
    assert steps(rig, "delay_alerts") == [("opened", "WARNING"), ("updated", "CRITICAL"), ("updated", "CRITICAL")]
    assert {one["VEHICLE_ID"] for one in told} == {"7"}
    assert told[0]["ALERT_MESSAGE"] == "Vehicle may be delayed. No update for 125 seconds."
    rig.take_all([said(1400), tick(1405)])
    assert rig.of("delay_alerts")[-1]["state"] == "resolved"
    assert rig.of("delay_alerts")[-1]["TIME_SINCE_LAST_UPDATE_SECONDS"] == 1400
    assert rig.table(VEHICLES)["7"]["delayed_since"] is None


@pytest.mark.parametrize(("second", "is_late"), [(120, False), (120.9, False), (121, True)])
def test_two_minutes_are_no_delay(second: float, is_late: bool) -> None:
    rig = Rig()
    rig.take_all([said(0), tick(second)])
    assert bool(rig.of("delay_alerts")) == is_late


def test_who_ends_service_or_has_broken_down_is_not_missed() -> None:
    rig = Rig()
    for number, status in enumerate(("end_of_service", "broken_down")):
        rig.take_all([said(0, status=status, vehicle=f"{number}"), tick(1000)])
    assert rig.of("delay_alerts") == []


def test_a_delay_is_over_when_the_vehicle_ends_its_service() -> None:
    rig = Rig()
    rig.take_all([said(0), tick(130), said(140, status="end_of_service"), tick(1000)])
    assert [state for state, _ in steps(rig, "delay_alerts")] == ["opened", "resolved"]


def test_one_that_begins_its_service_is_missed_from_then_on() -> None:
    rig = Rig()
    rig.take_all([said(0, status="end_of_service"), tick(500), said(505), tick(600), tick(630)])
    assert [state for state, _ in steps(rig, "delay_alerts")] == ["opened"]


def test_times_that_people_read_are_the_brokers_though_the_clock_is_behind() -> None:
    """After an outage the clock is behind for good."""
    rig = Rig()
    behind_us = 3600 * S
    event = said(0)
    position = Position("7", "bus", *STATION, None, "in_service", event.at_us)
    rig.rules.apply(position, When(event.clock_us, event.clock_us - behind_us))
    (alert, shown) = list(rig.rules.tick(event.clock_us - behind_us + 121 * S))
    assert b'"timestamp":"2026-05-28T20:28:41Z"' in (alert.value or b"")
    assert b'"delayed_since":"2026-05-28T20:26:40Z"' in (shown.value or b"")


# ---------------------------------------------------------------------- breakdowns


def test_one_that_says_so_has_broken_down_until_it_says_otherwise() -> None:
    rig = Rig()
    rig.take_all([said(0), said(5, status="broken_down"), said(10, HALL, status="broken_down"), said(15, HALL)])
    assert steps(rig, "breakdown_alerts") == [("opened", "CRITICAL"), ("resolved", "CRITICAL")]
    rig.take_all([said(20, HALL, status="broken_down"), said(25, status="end_of_service")])
    assert [state for state, _ in steps(rig, "breakdown_alerts")] == ["opened", "resolved"] * 2
    assert len({one["alert_id"] for one in rig.of("breakdown_alerts")}) == 2


def test_one_that_does_not_move_has_broken_down_though_its_places_are_noisy() -> None:
    rig, dice = Rig(), random.Random(2)
    noisy = lines.places([(dice.gauss(0, 8), dice.gauss(0, 8)) for _ in range(80)])
    rig.take_all([said(5 * number, at) for number, at in enumerate(noisy)])
    assert steps(rig, "breakdown_alerts") == [("opened", "WARNING")]
    assert rig.of("breakdown_alerts")[0]["timestamp"] == "2026-05-28T20:31:40Z"
    rig.take_all([said(405, status="broken_down"), said(410)])
    assert steps(rig, "breakdown_alerts")[1:] == [("updated", "CRITICAL"), ("resolved", "CRITICAL")]


def test_one_that_creeps_has_not_broken_down() -> None:
    rig = Rig()
    crawl = lines.places([(1.1 * number, 0) for number in range(1000)])
    rig.take_all([said(5 * number, at) for number, at in enumerate(crawl)])
    assert rig.of("breakdown_alerts") == []


def test_it_is_over_when_the_vehicle_drives() -> None:
    rig = Rig()
    rig.take_all([said(0), said(301), said(310, HALL)])
    assert [state for state, _ in steps(rig, "breakdown_alerts")] == ["opened", "resolved"]


def test_time_out_of_service_does_not_count() -> None:
    rig = Rig()
    rig.take_all([said(0), said(200, status="end_of_service"), said(400), said(699)])
    assert rig.of("breakdown_alerts") == []
    rig.take_all([said(700)])
    assert [state for state, _ in steps(rig, "breakdown_alerts")] == ["opened"]


# ---------------------------------------------------------------------- routes


def test_progress_is_told_with_the_route() -> None:
    rig = Rig()
    rig.take(route(lines.straight()), NOW * S)
    for step in range(5):
        rig.take(said(5 * step, lines.places([(40 * step, 3)])[0]))
    shown = rig.table(VEHICLES)["7"]
    assert shown["route_id"] == "r1"
    assert shown["progress_m"] == pytest.approx(160, abs=0.5)
    assert shown["progress_share"] == pytest.approx(160 / 3000, abs=1e-3)
    assert shown["off_route_m"] == pytest.approx(3, abs=0.1)
    (told,) = rig.of(ROUTES)
    assert (told["length_m"], told["is_closed"]) == (pytest.approx(3000, abs=1), False)


def test_without_a_route_there_is_none() -> None:
    rig = Rig()
    rig.take(said(0))
    shown = rig.table(VEHICLES)["7"]
    assert [shown[name] for name in ("route_id", "progress_m", "progress_share", "rounds", "off_route_m")] == [None] * 5


def test_another_route_begins_anew_and_the_same_one_told_again_does_not() -> None:
    rig = Rig()
    for line, name in ((lines.straight(), "r1"), (lines.straight(), "r1"), (lines.straight()[1:], "r2")):
        rig.take(route(line, name), NOW * S)
        rig.take(said(len(rig.told), lines.places([(1500, 0)])[0]))
    on = [(one["route_id"], round(one["progress_m"])) for one in rig.of(VEHICLES)]
    assert on == [("r1", 1500), ("r1", 1500), ("r2", 500)]


def test_the_same_route_told_again_keeps_rounds_and_the_branch_that_the_vehicle_is_on() -> None:
    rig, line = Rig(), lines.out_and_back()
    drive = lines.drive(line, metres=1.8 * lines.length_of(line), kmh=36, seconds=5)
    for second, (_, at) in enumerate(drive):
        if second in (100, 170):
            rig.take(route(line), (NOW + second) * S)
            rig.settle()
            rig.restart()
        if second == 0:
            rig.take(route(line), NOW * S)
        rig.take(said(5 * second, at))
        rig.settle()
    shown = rig.table(VEHICLES)["7"]
    assert shown["rounds"] == 1
    assert shown["progress_share"] == pytest.approx(0.8, abs=0.01)


def test_a_route_that_was_told_earlier_does_not_replace_a_later_one() -> None:
    rig = Rig()
    rig.take(route(lines.straight(), "newer"), NOW * S)
    rig.take(route(lines.loop(), "older"), (NOW - 1) * S)
    rig.take(said(0))
    assert rig.table(VEHICLES)["7"]["route_id"] == "newer"


# ---------------------------------------------------------------------- forgetting


def test_a_vehicle_is_forgotten_and_its_route_is_not() -> None:
    rig = Rig()
    rig.take(route(lines.straight()), NOW * S)
    rig.settle()
    hours = 6 * 3600
    rig.take_all([said(0, status="broken_down"), tick(hours - 1)])
    assert rig.table() != {}
    rig.take_all([tick(hours)])
    assert rig.table() == {}
    assert rig.of(LIVE_VEHICLE_TABLE)[-1] is None
    assert [state for state, _ in steps(rig, "breakdown_alerts")] == ["opened", "resolved"]
    assert list(rig.rows) == [b"route/7"]
    rig.restart()
    rig.take_all([tick(2 * hours), said(4 * hours, lines.places([(1500, 0)])[0])])
    assert rig.table(VEHICLES)["7"]["progress_share"] == pytest.approx(0.5, abs=1e-3)


def test_a_route_without_a_vehicle_is_forgotten_after_a_year() -> None:
    rig = Rig()
    rig.take(route(lines.straight()), NOW * S)
    rig.settle()
    rig.take_all([tick(400 * 86_400 - 1)])
    assert rig.rows
    rig.take_all([tick(400 * 86_400)])
    assert rig.rows == {}


def test_nothing_is_looked_through_at_a_tick_but_what_is_due() -> None:
    rig = Rig()
    for number in range(50):
        rig.take_all([said(number, vehicle=f"{number}"), said(number + 60, vehicle=f"{number}")])
    rig.take_all([tick(100)])
    assert len(rig.rules._dues) == len(rig.rules._due) == 50


# ---------------------------------------------------------------------- occupancy


@pytest.mark.parametrize(
    ("kind", "passengers", "word", "percentage"),
    [
        ("bus", 0, "EMPTY", 0),
        ("bus", 1, "MANY_SEATS_AVAILABLE", 1),
        ("bus", 17, "MANY_SEATS_AVAILABLE", 21),
        ("bus", 18, "FEW_SEATS_AVAILABLE", 22),
        ("bus", 34, "FEW_SEATS_AVAILABLE", 42),
        ("bus", 35, "STANDING_ROOM_ONLY", 44),
        ("bus", 58, "CRUSHED_STANDING_ROOM_ONLY", 72),
        ("bus", 79, "CRUSHED_STANDING_ROOM_ONLY", 99),
        ("bus", 80, "FULL", 100),
        ("bus", 90, "FULL", 112),
        ("rideshare", 3, "FEW_SEATS_AVAILABLE", 75),
        ("rideshare", 4, "FULL", 100),
        ("bus", None, "NO_DATA_AVAILABLE", None),
        ("gondola", 4, "NO_DATA_AVAILABLE", None),
    ],
)
def test_how_full_a_vehicle_is(
    kind: str, passengers: int | None, word: OccupancyStatus, percentage: int | None
) -> None:
    assert occupancy(kind, passengers, TransitSettings().capacity) == (word, percentage)


def test_the_type_of_a_vehicle_is_read_in_any_case() -> None:
    rig = Rig(TransitSettings(capacity={"Tram": VehicleRoom(seats=10, standing=0)}))
    rig.take(said(0, passengers=5, type="TRAM"))
    shown = rig.table(VEHICLES)["7"]
    assert (shown["type"], shown["occupancy_status"]) == ("TRAM", "MANY_SEATS_AVAILABLE")


@pytest.mark.parametrize(
    "wrong", [{"forget_hours": 1, "delay_seconds": 4000}, {"time_zone": "Mars"}, {"capacity": {"bus": {"seats": 0}}}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"delay_seconds|IANA|seats|standing"):
        TransitSettings(**wrong)


def test_road_vehicles_in_service_that_can_have_got_there_are_put_onto_the_roads() -> None:
    rules = TransitPartition(TransitSettings(), MovementSettings(), VEHICLES, ROUTES, {}, "fixes")

    def matched(one: Said) -> list[Fix]:
        told = rules.apply(position(one), When(one.clock_us, one.clock_us))
        return [msgspec.json.decode(this.value or b"", type=Fix) for this in told if this.topic == "fixes"]

    (fix,) = matched(said(5))
    assert (fix.device_id, fix.time_us) == ("7", (NOW + 5) * S)
    assert ((fix.latitude, fix.longitude), fix.vehicle_type, fix.is_transit) == (STATION, "bus", True)
    assert (fix.speed_kmh, fix.heading) == (None, None)
    # neither what is told again, nor what stands broken down, jumps, or drives elsewhere
    assert not matched(said(5))
    assert not matched(said(10, status="broken_down"))
    assert not matched(said(15, lines.places([(900_000, 0)])[0]))
    assert not matched(said(20, vehicle="8", type="Train"))
    assert len(matched(said(25, vehicle="9"))) == 1
