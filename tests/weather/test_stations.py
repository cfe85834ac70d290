"""What follows from readings of stations: what is current, and which alerts are raised and end."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.weather.observed import WeatherObserved
from tests.weather.stations import (
    HOUR,
    MINUTE,
    NOON,
    alerts_in,
    current_in,
    observed,
    stations,
    steps,
    when,
)
from trafficapp.feeds.rules import Told, When

AHEAD = 1_000_000  # minutes


def test_a_reading_is_told_with_what_follows_from_it() -> None:
    reading = observed(
        temperature=12.5, condition="Rain", precipitation=8.0, air_quality_index=377.39, wind_speed=20.0, humidity=90.0
    )
    (current,) = current_in(stations().apply(reading, when(0.5)))
    assert (current.station, current.timestamp, current.received_at) == (
        "a",
        "2026-01-14T12:00:00Z",
        "2026-01-14T12:00:30Z",
    )
    assert (current.is_current, current.age_seconds) == (True, 0)
    assert (current.air_quality_index, current.air_quality_band, current.air_quality_colour) == (
        377,
        "Hazardous",
        "#7E0023",
    )
    assert (current.phenomena, current.speed_factor, current.precipitation_mm_h) == (["heavy_rain"], 0.75, 8.0)


def test_an_older_reading_changes_nothing_nor_does_a_repeat() -> None:
    rules = stations()
    list(rules.apply(observed(5, temperature=3.0), when(5)))
    assert rules.apply(observed(4, wind_speed=200.0), when(6)) == []
    assert rules.apply(observed(5, temperature=3.0), when(6)) == []


def test_of_two_readings_of_one_time_the_later_counts() -> None:
    rules = stations()
    list(rules.apply(observed(5, temperature=3.0), when(5)))
    (current,) = current_in(rules.apply(observed(5, temperature=4.0), when(5)))
    assert current.temperature == 4.0


def test_clocks_that_run_ahead_without_end_are_current_by_their_records() -> None:
    rules = stations()
    for number in range(5):
        (current,) = current_in(rules.apply(observed(AHEAD + 2 * number), when(number)))
        assert current.is_current
    assert list(rules.tick(NOON + 19 * MINUTE)) == []
    (current,) = current_in(rules.tick(NOON + 19 * MINUTE + 1))
    assert not current.is_current


def test_a_reading_is_current_for_15_minutes_of_its_record_and_its_silence_is_told_once() -> None:
    rules = stations()
    list(rules.apply(observed(0), when(0)))
    assert list(rules.tick(NOON + 15 * MINUTE)) == []
    (current,) = current_in(rules.tick(NOON + 15 * MINUTE + 1))
    assert (current.is_current, current.age_seconds, current.received_at) == (False, 900.0, "2026-01-14T12:00:00Z")
    assert list(rules.tick(NOON + 2 * HOUR)) == []
    (current,) = current_in(rules.apply(observed(121), when(121)))
    assert current.is_current
    assert list(rules.tick(NOON + 136 * MINUTE)) == []
    assert [one.is_current for one in current_in(rules.tick(NOON + 137 * MINUTE))] == [False]


def test_a_clock_that_was_set_back_is_believed_when_nothing_else_is_current() -> None:
    rules = stations()
    list(rules.apply(observed(AHEAD), when(0)))
    assert rules.apply(observed(10), when(10)) == []
    assert [one.timestamp for one in current_in(rules.apply(observed(16), when(16)))] == ["2026-01-14T12:16:00Z"]
    assert [one.timestamp for one in current_in(rules.apply(observed(17), when(17)))] == ["2026-01-14T12:17:00Z"]


@pytest.mark.parametrize(
    ("told", "alert", "severity", "value", "unit"),
    [
        ({"air_quality_index": 100.4}, None, "", None, ""),
        ({"air_quality_index": 100.5}, ("air_quality", "Unhealthy for Sensitive Groups"), "WARNING", 101, ""),
        ({"air_quality_index": 199.0}, ("air_quality", "Unhealthy"), "WARNING", 199, ""),
        ({"air_quality_index": 250.0}, ("air_quality", "Very Unhealthy"), "CRITICAL", 250, ""),
        ({"air_quality_index": 500.0}, ("air_quality", "Hazardous"), "EMERGENCY", 500, ""),
        ({"pm2_5": 35.4}, None, "", None, ""),
        ({"pm2_5": 35.5}, ("air_quality", "Unhealthy for Sensitive Groups"), "WARNING", 101, ""),
        ({"precipitation": 7.6}, None, "", None, ""),
        ({"precipitation": 7.7}, ("heavy_rain", "heavy rain"), "WARNING", 7.7, "mm/h"),
        ({"precipitation": 50.0}, ("heavy_rain", "violent rain"), "CRITICAL", 50, "mm/h"),
        ({"condition": "Heavy rain"}, ("heavy_rain", "heavy rain"), "WARNING", None, "mm/h"),
        ({"precipitation": 20.0, "condition": "Snow"}, None, "", None, ""),
        ({"visibility": 1000.0}, None, "", None, ""),
        ({"visibility": 999.0}, ("fog", "fog"), "WARNING", 999, "m"),
        ({"visibility": 399.0}, ("fog", "dense fog"), "CRITICAL", 399, "m"),
        ({"condition": "Foggy"}, ("fog", "fog"), "WARNING", None, "m"),
        ({"condition": "Thick fog"}, ("fog", "dense fog"), "CRITICAL", None, "m"),
        ({"temperature": 1.0, "precipitation": 1.0}, ("ice", "ice"), "WARNING", 1, "°C"),
        ({"temperature": 1.1, "precipitation": 1.0}, None, "", None, ""),
        ({"temperature": 0.0, "condition": "Rain"}, ("ice", "freezing rain or black ice"), "CRITICAL", 0, "°C"),
        ({"temperature": -9.0, "condition": "Sunny"}, None, "", None, ""),
        ({"condition": "Icy"}, ("ice", "ice"), "WARNING", None, "°C"),
        ({"condition": "Freezing drizzle"}, ("ice", "freezing rain or black ice"), "CRITICAL", None, "°C"),
        ({"wind_speed": 61.9}, None, "", None, ""),
        ({"wind_speed": 62.0}, ("wind", "gale"), "WARNING", 62, "km/h"),
        ({"wind_speed": 30.0, "wind_gust": 89.0}, ("wind", "storm"), "CRITICAL", 89, "km/h"),
        ({"wind_speed": 118.0}, ("wind", "hurricane force"), "CRITICAL", 118, "km/h"),
        ({}, None, "", None, ""),
    ],
)
def test_each_threshold_raises_an_alert(
    told: dict[str, Any], alert: tuple[str, str] | None, severity: str, value: float | None, unit: str
) -> None:
    found = alerts_in(stations().apply(observed(**told), when(0)))
    if alert is None:
        assert found == []
        return
    (one,) = found
    assert ((one.alert_type, one.level), one.severity, one.value, one.unit) == (alert, severity, value, unit)
    assert (one.state, one.revision, one.station, one.subject) == ("opened", 0, "a", "a")
    assert (one.latitude, one.longitude, one.opened_at, one.resolved_at) == (44.5, 11.3, "2026-01-14T12:00:00Z", None)


def test_the_bands_name_and_colour_are_told() -> None:
    (one,) = alerts_in(stations().apply(observed(air_quality_index=160.0), when(0)))
    assert (one.level, one.colour) == ("Unhealthy", "#FF0000")
    assert "160" in one.message
    assert "Unhealthy" in one.title


def test_steps_of_one_alert_have_one_id_and_another_one_has_another() -> None:
    rules = stations()
    told: list[Told] = []
    for minute, kmh in [(0, 70.0), (1, 95.0), (2, 10.0), (20, 10.0), (33, 10.0), (34, 70.0)]:
        told += rules.apply(observed(minute, wind_speed=kmh), when(minute))
    assert steps(told) == [
        ("wind", "opened", "gale"),
        ("wind", "updated", "storm"),
        ("wind", "resolved", "gale"),
        ("wind", "opened", "gale"),
    ]
    found = alerts_in(told)
    assert [one.revision for one in found] == [0, 1, 2, 0]
    assert len({one.alert_id for one in found[:3]}) == 1
    assert found[3].alert_id != found[0].alert_id
    assert (found[2].resolved_at, found[2].opened_at) == ("2026-01-14T12:33:00Z", "2026-01-14T12:00:00Z")


def test_values_around_a_threshold_do_not_flap() -> None:
    rules = stations()
    told: list[Told] = []
    for minute in range(0, 600, 5):
        told += rules.apply(observed(minute, precipitation=7.7 if minute % 10 else 7.5), when(minute))
    assert steps(told) == [("heavy_rain", "opened", "heavy rain")]


def test_what_a_station_does_not_tell_neither_raises_nor_ends() -> None:
    rules = stations()
    list(rules.apply(observed(0, wind_speed=100.0), when(0)))
    told = [one for minute in range(1, 100) for one in rules.apply(observed(minute, temperature=4.0), when(minute))]
    assert steps(told) == []


def test_random_values_are_no_flood() -> None:
    """As one real producer sends them: each value drawn anew, clocks 30 to 60 s further ahead with each round."""
    chance = random.Random(13)
    rules = stations()
    counts: dict[tuple[str, str], int] = {}
    clocks = dict.fromkeys((f"s{number}" for number in range(100)), 0.0)
    for number in range(360):
        for station in clocks:
            clocks[station] += chance.uniform(0.5, 1.0)
            reading = observed(
                clocks[station],
                station,
                temperature=chance.uniform(-5, 26),
                condition=chance.choice(["Sunny", "Cloudy", "Rain", "Snow", "Fog"]),
                precipitation=chance.uniform(0, 25),
                wind_speed=chance.uniform(0, 100),
                humidity=chance.uniform(0, 100),
                air_quality_index=chance.uniform(0, 500),
            )
            for one in alerts_in(rules.apply(reading, when(number / 60))):
                key = (one.station, one.alert_type)
                counts[key] = counts.get(key, 0) + 1
    assert {station for station, _ in counts} == clocks.keys()
    # four and a half hours of readings: of each kind of alert a step in more than an hour
    hours = min(clocks.values()) / 60
    assert max(counts.values()) <= hours


def test_alerts_of_a_station_that_fell_silent_end() -> None:
    rules = stations()
    list(rules.apply(observed(0, wind_speed=70.0, air_quality_index=400.0), when(0)))
    assert steps(rules.tick(NOON + HOUR - 1)) == []
    told = list(rules.tick(NOON + HOUR))
    assert sorted(steps(told)) == [
        ("air_quality", "resolved", "Unhealthy for Sensitive Groups"),
        ("wind", "resolved", "gale"),
    ]
    assert all(one.value is None and one.resolved_at == "2026-01-14T13:00:00Z" for one in alerts_in(told))
    (again,) = alerts_in(rules.apply(observed(70, wind_speed=70.0), when(70)))
    assert (again.state, again.revision) == ("opened", 0)


def test_a_station_that_is_gone_for_a_day_is_forgotten() -> None:
    rules = stations()
    list(rules.apply(observed(0), when(0)))
    list(rules.apply(observed(0, "b"), when(60)))
    assert {key: row is not None for key, row in rules.changed_rows()} == {b"a": True, b"b": True}
    list(rules.tick(NOON + 24 * HOUR - 1))
    assert {key: row is not None for key, row in rules.changed_rows()} == {b"a": True, b"b": True}
    list(rules.tick(NOON + 24 * HOUR))
    assert dict(rules.changed_rows()) == {b"a": None}
    assert list(rules.changed_rows()) == []


_READINGS = st.builds(
    lambda station, minute, told: observed(minute, station, **told),
    st.sampled_from("ab"),
    st.integers(0, 400),
    st.fixed_dictionaries(
        {},
        optional={
            "wind_speed": st.sampled_from([0.0, 55.0, 70.0, 120.0]),
            "precipitation": st.sampled_from([0.0, 6.0, 9.0, 60.0]),
            "air_quality_index": st.sampled_from([20.0, 95.0, 120.0, 480.0]),
            "temperature": st.sampled_from([-3.0, 2.0, 15.0]),
            "condition": st.sampled_from(["Fog", "Sunny", "Icy"]),
        },
    ),
)


@given(st.lists(st.tuples(_READINGS, st.integers(0, 40)), max_size=40), st.integers(0, 40), st.integers(0, 10))
def test_it_goes_on_from_what_it_remembered_as_if_nothing_had_happened(
    messages: list[tuple[WeatherObserved, int]], restarted_at: int, raise_minutes: int
) -> None:
    def run(restart: int | None) -> list[Told]:
        rules, rows, told, now = stations(raise_minutes=raise_minutes), dict[bytes, bytes](), list[Told](), NOON
        for number, (reading, wait) in enumerate(messages):
            now += wait * MINUTE
            if number == restart:
                rules = stations(rows, raise_minutes=raise_minutes)
            told += rules.tick(now)
            told += rules.apply(reading, When(now, now))
            for key, row in rules.changed_rows():
                if row is None:
                    rows.pop(key, None)
                else:
                    rows[key] = row
        return told

    assert run(restarted_at) == run(None)
