"""Roads, stations and vehicles that tell what is not so, on plain readings."""

from __future__ import annotations

import msgspec
import pytest

from models.city_alerts import CityAlert
from models.quality.sources import ObservedWindow, SourceHealth, SourceReading
from models.timestamps import rfc3339
from trafficapp.feeds.rules import Told, When
from trafficapp.movement.plausibility import QUALITY_ALERTS
from trafficapp.quality.partition import SOURCE_HEALTH, PartitionSources
from trafficapp.quality.sources import CitySources
from trafficapp.settings.quality import QualitySettings, ReadingSettings

SECOND = 1_000_000
NOON = 1_768_392_000 * SECOND
OTHERS = 8


class City:
    """Eight roads that tell each minute, and one that does as a test says."""

    def __init__(self) -> None:
        self.rules = CitySources(ReadingSettings(), {})
        self.rows: dict[bytes, bytes] = {}
        self.told: list[Told] = []

    def minute(self, minute: int, *mine: SourceReading, others: bool = True) -> None:
        for number in range(OTHERS if others else 0):
            self.take(reading(minute, 40 + (minute * 7 + number) % 11, f"other-{number}"))
        for one in mine:
            self.take(one)
        for at in range(0, 60, 30):
            self.told += self.rules.tick(NOON + (60 * minute + at) * SECOND)

    def take(self, one: SourceReading) -> None:
        self.told += self.rules.apply(one, When(one.record_us, one.record_us))

    def take_over(self) -> None:
        """Another process goes on from what was to be remembered."""
        for key, row in self.rules.changed_rows():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        self.rules = CitySources(ReadingSettings(), self.rows)

    def states(self) -> list[tuple[str, str | None, str]]:
        """Source, reason and evidence of each change that was told."""
        found: list[tuple[str, str | None, str]] = []
        newest: dict[str, str | None] = {}
        for one in self.told:
            if one.topic == SOURCE_HEALTH:
                health = msgspec.json.decode(one.value or b"", type=SourceHealth)
                if newest.get(health.source_id) != health.reason:
                    found.append((health.source_id, health.reason, health.evidence))
                newest[health.source_id] = health.reason
        return found

    def alerts(self) -> list[tuple[str, str]]:
        """State and subject of each step of an alert."""
        steps = [
            msgspec.json.decode(one.value or b"", type=CityAlert) for one in self.told if one.topic == QUALITY_ALERTS
        ]
        return [(one.state, one.subject) for one in steps]


def reading(
    minute: float, value: float, name: str = "mine", lag_s: float = 2.0, possible: bool = True, moves: bool = True
) -> SourceReading:
    time_us = NOON + round(60 * minute * SECOND)
    return SourceReading(
        "road", name, time_us, time_us + round(lag_s * SECOND), (float(value),), f"{value:g} km/h", possible, moves
    )


@pytest.mark.parametrize("is_taken_over", [False, True])
def test_a_value_that_stays_while_others_change_is_stuck(is_taken_over: bool) -> None:
    city = City()
    for minute in range(40):
        city.minute(minute, reading(minute, 33))
        if is_taken_over and minute in (10, 29, 30):
            city.take_over()
    city.minute(40, reading(40, 34))
    assert city.states() == [
        ("road:mine", "stuck", "33 km/h in each reading for 30 min, while 89% change"),
        ("road:mine", None, "no rule has a doubt"),
    ]
    assert city.alerts() == [("opened", "road:mine"), ("resolved", "road:mine")]


def test_what_all_do_is_no_fault_of_one() -> None:
    city = City()
    # at night the feed tells free flow, and all stay
    for minute in range(60):
        for number in range(OTHERS):
            city.take(reading(minute, 50, f"other-{number}"))
        city.minute(minute, reading(minute, 50, moves=False), others=False)
    # an outage of the feed, from which one comes back last
    for minute in range(60, 90):
        city.minute(minute, others=False)
    for minute in range(90, 96):
        city.minute(minute)
    assert city.states() == []
    for minute in range(96, 103):
        city.minute(minute)
    assert [one[:2] for one in city.states()] == [("road:mine", "silent")]
    city.minute(103, reading(103, 41))
    assert [one[:2] for one in city.states()[1:]] == [("road:mine", None)]


def test_jumps_are_told_and_one_jam_is_none() -> None:
    city = City()
    for minute in range(30):
        city.minute(minute, reading(minute, 90 if minute < 15 else 6))
    assert city.states() == []
    for minute in range(30, 40):
        city.minute(minute, reading(minute, 90 if minute % 2 else 6))
    ((name, reason, evidence),) = city.states()
    assert (name, reason) == ("road:mine", "jumps")
    assert evidence == "from 90 to 6 within 1.0 min; 4 of 10 readings cannot follow"


def test_values_that_cannot_be_are_out_of_bounds_and_no_jumps() -> None:
    city = City()
    for minute in range(40):
        city.minute(minute, reading(minute, 300 if minute in (20, 22, 24) else 50, possible=minute not in (20, 22, 24)))
    assert [one[:2] for one in city.states()] == [("road:mine", "out_of_bounds"), ("road:mine", None)]


@pytest.mark.parametrize(
    ("lag_s", "slope_s", "evidence"),
    [
        (92, 0, "its clock is 90 s behind those of 9 others"),
        (-60, 0, "its clock is 62 s ahead of those of 9 others"),
        (2, 30, "its clock goes 30 s an hour slow"),
        (2, 10, None),
    ],
)
def test_clocks_of_producers(lag_s: float, slope_s: float, evidence: str | None) -> None:
    city = City()
    for minute in range(80):
        lag = lag_s + slope_s * minute / 60
        one = reading(minute, 40 + minute % 7)
        # the broker's clock is right: what it says happened too early or late
        city.minute(minute, msgspec.structs.replace(one, time_us=one.record_us - round(lag * SECOND)))
    found = city.states()
    assert [one[2] for one in found[:1]] == ([] if evidence is None else [evidence])
    assert {one[0] for one in found} <= {"road:mine"}


def test_repeats_and_late_readings_change_nothing_and_who_is_gone_is_forgotten() -> None:
    city = City()
    for minute in range(3):
        city.minute(minute, reading(minute, 30 + minute), reading(minute, 30 + minute), reading(0, 99))
    assert city.rules.sources["road:mine"].series.readings == 3
    city.take_over()
    assert list(city.rules.tick(NOON + 49 * 3600 * SECOND)) == []
    assert not city.rules.sources
    assert all(row is None for _, row in city.rules.changed_rows())


def test_figures_of_a_healthy_source() -> None:
    city = City()
    for minute in range(90):
        if minute % 10:
            city.minute(minute, reading(minute, 40 + minute % 7, lag_s=90 if minute % 9 == 1 else 2))
        else:
            city.minute(minute)
    told = [msgspec.json.decode(one.value or b"", type=SourceHealth) for one in city.told if one.topic == SOURCE_HEALTH]
    last = [one for one in told if one.source_id == "road:mine"][-1]
    assert (last.kind, last.camera_id, last.state, last.since) == ("road", None, "healthy", rfc3339(NOON + 60 * SECOND))
    assert 0.8 < last.timeliness < 0.95
    assert last.validity == 1.0
    assert 0.9 < last.completeness <= 1.0


@pytest.mark.parametrize(("turns", "is_told"), [(1, False), (3, False), (4, True)])
def test_windows_that_come_in_two_partitions_by_turns(turns: int, is_told: bool) -> None:
    """A topic that is given more partitions moves a camera once."""
    rules, told = PartitionSources(QualitySettings(), {}), list[Told]()
    for number in range(20):
        start_us = NOON + 10 * number * SECOND
        partition = 3 if number and min(number, turns) % 2 else 5
        window = ObservedWindow("camera", None, start_us, start_us + 10 * SECOND, 4, 80, 30.0 + number, 0.0, partition)
        told += rules.apply(window, When(start_us + 12 * SECOND, start_us + 12 * SECOND))
        if number == 6:
            rows = {key: row for key, row in rules.changed_rows() if row is not None}
            rules = PartitionSources(QualitySettings(), rows)
    health = [msgspec.json.decode(one.value or b"", type=SourceHealth) for one in told if one.topic == SOURCE_HEALTH]
    assert ("two_partitions" in {one.reason for one in health}) == is_told
    if is_told:
        assert any("partitions 3 and 5 by turns" in one.evidence for one in health)
