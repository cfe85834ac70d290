"""Words of road data have one meaning each, in whatever type they come; what has none is named."""

from __future__ import annotations

from typing import Any

import pytest

from trafficapp.roads.files.road_tags import (
    LeftOutError,
    UnknownValueError,
    as_directions,
    as_lanes,
    as_speed_kmh,
    as_yes_or_no,
    check_for_cars,
    texts,
    usual_kmh,
)

NAN = float("nan")
FORWARD, BACK, BOTH = (True, False), (False, True), (True, True)
NOTHING = [None, NAN, "", "nan", "None", "<NA>", [], [None], "[]"]


@pytest.mark.parametrize(
    ("oneway", "expected"),
    [
        *[
            (value, FORWARD)
            for value in ("yes", "true", "True", "YES", "1", 1, 1.0, "1.0", True, ["yes"], "['yes']", "[True]")
        ],
        *[(value, BOTH) for value in ("no", "false", "False", "0", 0, 0.0, False, ["no"], [False, False], *NOTHING)],
        *[(value, BACK) for value in ("-1", -1, -1.0, "-1.0", "reverse", ["-1"], [-1])],
    ],
)
def test_oneway(oneway: Any, expected: tuple[bool, bool]) -> None:
    assert as_directions(oneway) == expected


@pytest.mark.parametrize(
    "value", ["nonsense", "2", 7, 0.5, "yes;no", ["yes", "no"], [True, False], "[True, False]", "T", "F"]
)
def test_a_oneway_that_says_nothing_is_named(value: Any) -> None:
    with pytest.raises(UnknownValueError, match="oneway"):
        as_directions(value)


@pytest.mark.parametrize("value", ["reversible", "alternating", ["reversible"]])
def test_a_direction_by_the_hour_is_left_out(value: Any) -> None:
    with pytest.raises(LeftOutError, match=r"oneway=(reversible|alternating)"):
        as_directions(value)


@pytest.mark.parametrize("tags", [{"junction": "roundabout"}, {"junction": "circular"}, {"highway": "motorway"}])
def test_roundabouts_and_motorways_go_one_way_unless_told_otherwise(tags: dict[str, str]) -> None:
    assert as_directions(None, **tags) == FORWARD
    assert as_directions(NAN, **tags) == FORWARD
    assert as_directions("no", **tags) == BOTH
    assert as_directions("-1", **tags) == BACK
    assert as_directions(None, **dict.fromkeys(tags, "motorway_link")) == BOTH


@pytest.mark.parametrize(
    ("told", "kmh"),
    [
        (50, 50),
        (50.5, 50.5),
        ("50", 50),
        ("50.0", 50),
        ("30 mph", 48.28),
        ("30mph", 48.28),
        ("30 MPH", 48.28),
        ("50 km/h", 50),
        ("10 knots", 18.52),
        ("70|100", 85),
        ("50, 30", 40),
        ("50,30", 40),
        ("7,5", 7.5),
        ("50;30 mph", 49.14),
        ("RU:urban", 60),
        ("walk;50", 28.5),
        (["walk"], 7),
        ("70;100", 85),
        (["30", "50"], 40),
        ("['30', '50']", 40),
        (["30 mph", "50"], 49.14),
        ("none", 130),
        ("walk", 7),
        ("DE:urban", 50),
        ("de:rural", 100),
        ("DE:zone:30", 30),
        ("DE:zone30", 30),
        ("IT:rural", 90),
        ("GB:nsl_dual", 112.65),
        ("DE:living_street", 7),
        (["DE:urban", "none"], 90),
        *[(value, None) for value in NOTHING],
        ("signals", None),
    ],
)
def test_speeds(told: Any, kmh: float | None) -> None:
    found = as_speed_kmh(told)
    assert found == (None if kmh is None else pytest.approx(kmh, abs=0.01))


@pytest.mark.parametrize(
    "told", ["fast", "30 miles", "fifty", True, "-30", "50 60", "DE:moon", "1e3", "nan mph", "５０", "1_0"]
)
def test_a_speed_that_is_none_is_named(told: Any) -> None:
    with pytest.raises(UnknownValueError, match="speed is no number"):
        as_speed_kmh(told)


@pytest.mark.parametrize(
    ("told", "lanes"),
    [
        (2, 2),
        (2.0, 2),
        ("3", 3),
        ("2;3", 2),
        ("3|2", 2),
        (["3", "2"], 2),
        ("['1', '2']", 1),
        ("1.0", 1),
        (NAN, None),
        ("", None),
    ],
)
def test_lanes(told: Any, lanes: int | None) -> None:
    assert as_lanes(told) == lanes


@pytest.mark.parametrize("told", ["many", float("inf"), "inf", "nan lanes", "1_0", "２", "3+1"])
def test_lanes_that_are_no_number_are_named(told: Any) -> None:
    with pytest.raises(UnknownValueError, match="lanes is no number"):
        as_lanes(told)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[(value, True) for value in (True, 1, 1.0, "1", "yes", "True", "true", ["yes"])],
        *[(value, False) for value in (False, 0, 0.0, "0", "no", "False", "false", "FALSE", "0.0")],
        *[(value, None) for value in NOTHING],
    ],
)
def test_yes_and_no(value: Any, expected: bool | None) -> None:
    assert as_yes_or_no(value, "allowed") is expected


@pytest.mark.parametrize("value", ["maybe", 2, -1, "yes no", [True, False]])
def test_what_is_neither_yes_nor_no_is_named(value: Any) -> None:
    with pytest.raises(UnknownValueError, match="allowed is neither yes nor no"):
        as_yes_or_no(value, "allowed")


@pytest.mark.parametrize(
    "tags",
    [
        {"access": "no"},
        {"access": False},
        {"access": 0},
        {"access": "private"},
        {"motor_vehicle": "no"},
        {"access": "yes", "motorcar": "no"},
        {"access": ["yes", "private"]},
        {"access": "['yes', 'no']"},
        {"access": "something new"},
        {"highway": "footway"},
        {"highway": "construction"},
        {"highway": "service", "area": "yes"},
    ],
)
def test_ways_that_cars_may_not_drive_are_left_out(tags: dict[str, Any]) -> None:
    with pytest.raises(LeftOutError, match="="):
        check_for_cars(tags)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"access": NAN},
        {"access": "yes"},
        {"access": 1.0},
        {"access": True},
        {"access": "no", "motor_vehicle": "yes"},
        {"access": "destination"},
        {"access": "customers"},
        {"highway": "residential"},
        {"highway": ["residential", "footway"]},
    ],
)
def test_other_ways_are_not(tags: dict[str, Any]) -> None:
    check_for_cars(tags)


def test_texts() -> None:
    assert texts("['A', \"B's\"]") == ["A", "B's"]
    assert texts("[A, B") == ["[A, B"]
    assert texts("[not a list]") == ["[not a list]"]
    assert texts(1012.0) == ["1012"]
    assert texts("[" * 50_000 + "]") == ["[" * 50_000 + "]"]


def test_usual_speeds() -> None:
    assert usual_kmh("residential") == 25
    assert usual_kmh(["primary", "secondary"]) == 60
    assert usual_kmh("highway.tertiary") == 40
    assert usual_kmh("towpath") is None
