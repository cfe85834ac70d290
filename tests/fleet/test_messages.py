"""What cars and trackers send becomes plain numbers, or is refused with the reason."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cameras.detections import Rejected
from models.fleet.compass import heading_of
from models.fleet.fixes import Fix
from models.fleet.messages import CarMessage, TrackerMessage
from trafficapp.feeds.incoming import incoming_of
from trafficapp.fleet.feeds import CARS
from trafficapp.fleet.intake import car_fixes, tracker_fixes
from trafficapp.settings import load_settings

CAR = {
    "id": "0f6f", "device_id": "car-1", "timestamp": "2026-11-29T12:00:00", "location": [-6.2, 106.8],
    "speed": 35.5, "direction": "North-East", "make": "BMW", "model": "C500", "year": 2024, "fuel_type": "Hybrid",
}  # fmt: skip
TRACKER = {
    "id": "77aa", "device_id": "car-1", "timestamp": "2026-11-29T12:00:00", "speed": 31.0,
    "location": [-6.2, 106.8], "direction": 90, "vehicle_type": "private",
}  # fmt: skip

_WINDS = {
    "N": 0, "NNE": 22.5, "NE": 45, "ENE": 67.5, "E": 90, "ESE": 112.5, "SE": 135, "SSE": 157.5,
    "S": 180, "SSW": 202.5, "SW": 225, "WSW": 247.5, "W": 270, "WNW": 292.5, "NW": 315, "NNW": 337.5,
}  # fmt: skip
_WORDS = {"N": "north", "E": "east", "S": "south", "W": "west"}


def car(**changes: Any) -> Fix:
    message = msgspec.convert(CAR | changes, CarMessage)
    ((key, fix),) = car_fixes(load_settings())(message, 5)
    assert key == fix.device_id
    return fix


def tracker(**changes: Any) -> Fix:
    message = msgspec.convert(TRACKER | changes, TrackerMessage)
    ((_, fix),) = tracker_fixes(load_settings())(message, 5)
    return fix


def test_what_the_contract_shows_is_read() -> None:
    assert car() == Fix("vehicle_data", "car-1", 5, -6.2, 106.8, 35.5, 45.0, "BMW", "C500", 2024, "Hybrid")
    assert tracker() == Fix("gps_data", "car-1", 5, -6.2, 106.8, 31.0, 90.0, vehicle_type="private")


def test_a_fix_comes_back_out_of_the_inner_topic() -> None:
    fix = car()
    assert msgspec.json.decode(msgspec.json.encode(fix), type=Fix) == fix


@pytest.mark.parametrize(("wind", "degrees"), _WINDS.items())
def test_winds_are_read_in_all_their_spellings(wind: str, degrees: float) -> None:
    words = [_WORDS[letter] for letter in wind]
    spellings = [wind, wind.lower(), *(between.join(words) for between in ("", "-", " ", "_", " - "))]
    spellings += ["-".join(words).title(), "".join(words) + "bound", f" {wind} "]
    if len(words) == 3:
        spellings.append(f"{words[0].title()}-{words[1]}{words[2]}")
    assert {spelling: heading_of(spelling) for spelling in spellings} == dict.fromkeys(spellings, degrees)


@pytest.mark.parametrize(
    ("told", "degrees"),
    [
        *((0, 0), (360, 0), (359.5, 359.5), (-90, 270), (-0.0, 0), (-1e-20, 0), ("135", 135), ("135.5°", 135.5)),
        *(("-45 deg", 315), ("90 degrees", 90)),
    ],
)
def test_degrees_are_turned_into_one_circle(told: str | float, degrees: float) -> None:
    found = heading_of(told)
    assert found == degrees
    assert 0 <= found < 360


@pytest.mark.parametrize("told", ["", "up", "NN", "NS", "EN", "north by", "361", 361, -361.0, "1e2", "nan", "N" * 100])
def test_what_is_no_direction_is_refused(told: str | float) -> None:
    with pytest.raises(ValueError, match="degrees"):
        heading_of(told)


@given(st.floats(-360, 360))
def test_every_number_of_degrees_is_on_the_circle(degrees: float) -> None:
    assert 0 <= heading_of(degrees) < 360


@pytest.mark.parametrize("location", ["-6.2,106.8", " -6.2 , 106.8 ", "[-6.2, 106.8]", "(-6.2,106.8)", "-6.2,106.8,12",
                                      ["-6.2", "106.8"], [-6.2, 106.8, 12.0]])  # fmt: skip
def test_a_location_may_be_written_as_text(location: Any) -> None:
    assert (car(location=location).latitude, tracker(location=location).longitude) == (-6.2, 106.8)


@pytest.mark.parametrize("location", ["", "-6.2", "-6.2;106.8", "here, there", "-6.2,106.8,1,2", "6°12'S,106°48'E",
                                      ["a", "b"], "1," * 100, ["nan", "1"]])  # fmt: skip
def test_a_location_that_is_no_two_numbers_is_refused(location: Any) -> None:
    with pytest.raises(Rejected, match="location") as refused:
        car(location=location)
    assert refused.value.reason == "invalid_field"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"speed": -0.1}, "impossible_speed"),
        ({"speed": 251}, "impossible_speed"),
        ({"speed": "1e300"}, "impossible_speed"),
        ({"speed": "fast"}, "invalid_field"),
        ({"direction": "up"}, "invalid_field"),
        ({"direction": 400}, "invalid_field"),
    ],
)
def test_what_cannot_be_true_is_refused(changes: dict[str, Any], reason: str) -> None:
    for read in (car, tracker):
        with pytest.raises(Rejected) as refused:
            read(**changes)
        assert refused.value.reason == reason


def test_what_was_not_measured_is_not_known() -> None:
    assert (car(speed=None).speed_kmh, car(direction=None).heading, car(direction=" ").heading) == (None, None, None)
    assert (tracker(speed="31.5").speed_kmh, tracker(direction="W").heading) == (31.5, 270.0)


def test_what_only_describes_the_car_costs_no_place() -> None:
    odd = car(make=["BMW"], model=7, year="soon", fuel_type="x" * 500)
    assert (odd.make, odd.model, odd.year, odd.fuel_type) == (None, "7", None, "x" * 64)
    assert [car(year=year).year for year in ("2024", 2024, 24, True, None, 2024.0)] == [
        2024,
        2024,
        None,
        None,
        None,
        None,
    ]


def test_what_is_not_there_at_all_is_refused() -> None:
    for name in ("device_id", "timestamp", "location"):
        value = json.dumps({key: told for key, told in CAR.items() if key != name})
        with pytest.raises(msgspec.ValidationError, match=name):
            msgspec.json.decode(value, type=CarMessage)


def test_whoever_checks_a_file_is_told_what_would_be_refused() -> None:
    judge = incoming_of(CARS, load_settings()).judge(load_settings())
    found = [judge.judge(json.dumps(CAR | change).encode(), 0) for change in ({}, {"direction": "up"}, {"speed": 999})]
    assert [[refusal.reason for refusal in verdict.refused] for verdict in found] == [
        *([], ["invalid_field"], ["impossible_speed"])
    ]
