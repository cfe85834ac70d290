"""A vehicle that cannot have moved as it says: one alert, whatever it goes on saying."""

from __future__ import annotations

import random
from collections.abc import Iterable
from math import asin, cos, isclose, radians, sin, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.city_alerts import CityAlert
from trafficapp.movement.distance import metres_between
from trafficapp.movement.plausibility import Movement, MovementRule, Verdict, quality_alert
from trafficapp.settings.quality import MovementSettings

SECOND = 1_000_000
RULE = MovementRule.of(MovementSettings())
DEGREE_M = 111_195.08

Place = tuple[float, float, float]


def steps(places: Iterable[Place], rule: MovementRule = RULE) -> list[tuple[int, str]]:
    """Number of the place and step, of (second, latitude, longitude)."""
    movement, found = None, list[tuple[int, str]]()
    for number, (second, latitude, longitude) in enumerate(places):
        if movement is None:
            movement = Movement(round(second * SECOND), latitude, longitude)
        elif verdict := rule.move(movement, round(second * SECOND), latitude, longitude):
            found.append((number, verdict.step))
    return found


def anywhere(seed: int, count: int, seconds: float = 5) -> list[Place]:
    """As StreamCity's simulator has it: somewhere in the whole box at every tick."""
    dice = random.Random(seed)
    return [(number * seconds, dice.uniform(44.4, 44.6), dice.uniform(11.2, 11.5)) for number in range(count)]


def driving(count: int, start: float = 0, kmh: float = 40) -> list[Place]:
    return [(start + 5 * n, 44.5 + n * 5 * kmh / 3.6 / DEGREE_M, 11.3) for n in range(count)]


@pytest.mark.parametrize("seconds", [1, 5, 45])
def test_a_vehicle_that_is_anywhere_at_every_tick_gives_one_alert(seconds: float) -> None:
    for seed in range(20):
        (found,) = steps(anywhere(seed, 2000, seconds))
        assert found[1] == "opened"
        assert found[0] <= 40


def test_one_that_drives_gives_none() -> None:
    assert steps(driving(1000, kmh=240)) == []


def test_a_single_wrong_fix_gives_none() -> None:
    places = driving(40)
    places[20] = (100, 45.5, 11.3)
    assert steps(places) == []


def test_a_vehicle_that_is_elsewhere_after_a_gap_gives_none() -> None:
    """Its device was carried to another depot, or it was in a tunnel for long."""
    assert steps([*driving(20), *((2000 + second, lat + 0.5, lon) for second, lat, lon in driving(20))]) == []


def test_noise_of_places_gives_none() -> None:
    dice = random.Random(3)
    noisy = [(s / 5, lat + dice.gauss(0, 30) / DEGREE_M, lon) for s, lat, lon in driving(2000, kmh=10)]
    assert steps(noisy) == []


def test_it_is_over_after_so_many_possible_moves_and_may_come_again() -> None:
    jumps = anywhere(1, 10)
    calm = driving(40, start=100)
    again = [(1000 + second, lat, lon) for second, lat, lon in anywhere(2, 30)]
    found = steps([*jumps, *calm, *again])
    assert [step for _, step in found] == ["opened", "resolved", "opened"]
    # the way to the first place of the road is a jump, or is not
    assert found[1][0] in (len(jumps) + 20, len(jumps) + 19)


def test_what_is_not_newer_changes_nothing() -> None:
    movement = Movement(100 * SECOND, 44.5, 11.3)
    for second in (100, 99, 0):
        assert RULE.move(movement, second * SECOND, 10.0, 10.0) is None
    assert movement == Movement(100 * SECOND, 44.5, 11.3)


def test_both_steps_are_of_one_alert() -> None:
    movement = Movement(50 * SECOND, 44.5, 11.3, opened_us=7 * SECOND)
    opened = quality_alert("bus", "7", movement, Verdict("opened", 7 * SECOND))
    over = movement.close()
    assert over == Verdict("resolved", 7 * SECOND)
    assert movement.close() is None
    resolved = quality_alert("bus", "7", movement, over, note="bus 7 was not heard of for 6 h")
    assert isinstance(opened, CityAlert)
    assert opened.alert_id == resolved.alert_id
    assert (opened.revision, resolved.revision) == (0, 1)
    assert (opened.resolved_at, resolved.resolved_at) == (None, "1970-01-01T00:00:50Z")
    assert resolved.message == "bus 7 was not heard of for 6 h"
    assert quality_alert("car", "7", movement, over).alert_id != opened.alert_id


_degrees = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
_places = st.lists(st.tuples(st.integers(0, 400), st.sampled_from([44.5, 44.501, 44.6, 45.0])), min_size=1, max_size=60)
_small = MovementSettings(judged_moves=4, implausible_moves=2, plausible_moves=3)


@settings(max_examples=100)
@given(_places)
def test_any_places_give_what_the_whole_list_of_moves_says(places: list[tuple[int, float]]) -> None:
    """A second look at all moves at once."""
    newest, moves = places[0], list[tuple[int, bool]]()
    for number, (second, latitude) in enumerate(places):
        if second > newest[0]:
            metres = abs(latitude - newest[1]) * DEGREE_M
            moves.append((number, metres > 200 + (second - newest[0]) * 250 / 3.6))
            newest = (second, latitude)
    found, since, is_open = [], 0, False
    for index, (number, _) in enumerate(moves):
        last = [jump for _, jump in moves[since : index + 1]]
        if not is_open and sum(last[-4:]) >= 2:
            found.append((number, "opened"))
            is_open, since = True, index + 1
        elif is_open and len(last) >= 3 and not any(last[-3:]):
            found.append((number, "resolved"))
            is_open, since = False, index + 1
    assert steps([(second, lat, 11.3) for second, lat in places], MovementRule.of(_small)) == found


@given(_degrees, _degrees)
def test_distances_are_those_of_a_globe(one: tuple[float, float], other: tuple[float, float]) -> None:
    metres = metres_between(*one, *other)
    assert 0 <= metres <= 20_015_115
    assert isclose(metres, metres_between(*other, *one), abs_tol=1e-3)


@given(_degrees, st.floats(-0.19, 0.19), st.floats(-0.19, 0.19))
def test_near_places_are_as_far_apart_as_on_a_globe(one: tuple[float, float], north: float, east: float) -> None:
    latitude, longitude = one[0] * 0.99, one[1]
    other_latitude, other_longitude = latitude + north, longitude + east
    across, along = sin(radians(north) / 2), sin(radians(east) / 2)
    chord = across**2 + cos(radians(latitude)) * cos(radians(other_latitude)) * along**2
    metres = 2 * 6_371_008.8 * asin(sqrt(chord))
    assert isclose(
        metres_between(latitude, longitude, other_latitude, other_longitude), metres, rel_tol=1e-5, abs_tol=1e-3
    )


@pytest.mark.parametrize(
    ("one", "other", "metres"),
    [
        ((0, 0), (1, 0), 111_195),
        ((60, 10), (60, 11), 55_597),
        ((0, 179.9), (0, -179.9), 22_239),
        ((90, 0), (90, 77), 0),
        ((44.4949, 11.3426), (45.4642, 9.19), 201_000),
    ],
)
def test_known_distances(one: tuple[float, float], other: tuple[float, float], metres: float) -> None:
    assert isclose(metres_between(*one, *other), metres, rel_tol=5e-3, abs_tol=1e-3)


def test_settings_that_cannot_be_reached_are_refused() -> None:
    with pytest.raises(ValueError, match="implausible_moves"):
        MovementSettings(judged_moves=2, implausible_moves=3)
