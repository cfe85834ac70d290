"""Progress along a path goes on from where it was: it does not jump between branches that are near each other."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transit import lines
from trafficapp.settings.transit import TransitSettings
from trafficapp.transit.path import RoutePath
from trafficapp.transit.progress import Progress, ProgressRule

RULE = ProgressRule.of(TransitSettings())
CLOSED = [lines.loop, lines.figure_eight, lines.out_and_back]
ALL = [*CLOSED, lines.straight, lines.spiral_with_crossing]


def path_of(line: lines.Metres) -> RoutePath:
    return RoutePath(lines.places(line), TransitSettings().closed_within_m)


def followed(
    path: RoutePath, told: Iterable[tuple[float, float]], seconds: float, before: Progress | None = None
) -> list[Progress]:
    """Progress at each place."""
    found: list[Progress] = []
    was_at = None
    for place in told:
        before = RULE.follow(path, before, was_at, place, round(seconds * 1e6))
        found.append(before)
        was_at = place
    return found


def travelled(path: RoutePath, progress: Progress) -> float:
    """Metres since the first beginning of the path."""
    assert progress.at_m is not None
    return progress.rounds * path.length_m + progress.at_m


@pytest.mark.parametrize("seconds", [2, 10, 60])
@pytest.mark.parametrize("noise_m", [0, 15])
@pytest.mark.parametrize("line", ALL)
def test_a_vehicle_that_drives_is_where_it_is(line: Callable[[], lines.Metres], noise_m: float, seconds: float) -> None:
    """Also in the third round, at crossings, and in the street that it comes back on."""
    path, length = path_of(line()), lines.length_of(line())
    metres = 3.4 * length if path.is_closed else length
    for seed in range(2 if noise_m else 1):
        drive = lines.drive(line(), metres=metres, kmh=35, seconds=seconds, noise_m=noise_m, seed=seed)
        found = followed(path, (place for _, place in drive), seconds)
        on = [travelled(path, one) for one in found]
        assert on == sorted(on)
        for is_m, (true_m, _) in zip(on, drive, strict=True):
            # as far as noise of several fixes carries it
            most_m = 1 + 8 * noise_m
            if line is lines.out_and_back:
                # before and behind a turn places are the same; a step later it is seen which it was
                since_turn_m = (true_m + length / 4) % (length / 2) - length / 4
                near_m = 150 + seconds * 35 / 3.6
                most_m += 2 * near_m if abs(since_turn_m) < near_m else 0
            assert abs(is_m - true_m) <= most_m


@pytest.mark.parametrize("line", CLOSED)
def test_a_new_round_begins_where_the_path_ends(line: Callable[[], lines.Metres]) -> None:
    path = path_of(line())
    drive = lines.drive(line(), metres=2.2 * path.length_m, kmh=35, seconds=5)
    found = followed(path, (place for _, place in drive), 5)
    assert found[-1].rounds == 2
    assert all(one.at_m is not None and 0 <= one.at_m <= path.length_m for one in found)


def test_a_line_that_is_driven_again_from_its_beginning_is_a_new_round() -> None:
    path = path_of(lines.straight())
    drive = [place for _, place in lines.drive(lines.straight(), metres=3000, kmh=35, seconds=5)]
    found = followed(path, [*drive, *drive], 5)
    assert [one.rounds for one in found] == [0] * len(drive) + [1] * len(drive)
    assert found[len(drive)].at_m == pytest.approx(0, abs=1)


@pytest.mark.parametrize("line", ALL)
def test_a_vehicle_that_stands_stays_where_it_is(line: Callable[[], lines.Metres]) -> None:
    """Noise does not carry it along, nor onto the other branch."""
    path, dice = path_of(line()), random.Random(5)
    stands_m = 0.3 * path.length_m
    east, north = lines.at(line(), stands_m)
    noisy = [(east + dice.gauss(0, 8), north + dice.gauss(0, 8)) for _ in range(300)]
    found = followed(path, lines.places(noisy), 5, Progress(stands_m, 0, 0.0))
    assert {one.rounds for one in found} == {0}
    assert abs(travelled(path, found[-1]) - stands_m) < 50


@pytest.mark.parametrize("line", ALL)
def test_one_that_jumps_about_is_somewhere_on_its_route_or_beside_it(line: Callable[[], lines.Metres]) -> None:
    path, dice = path_of(line()), random.Random(7)
    box = lines.places([(dice.uniform(-4000, 4000), dice.uniform(-4000, 4000)) for _ in range(500)])
    for one in followed(path, box, 5):
        assert one.off_m >= 0
        assert one.at_m is None or 0 <= one.at_m <= path.length_m


def test_off_its_route_it_keeps_the_progress_that_it_had() -> None:
    path = path_of(lines.straight())
    on, off = lines.places([(1200, 3), (1300, 450)])
    found = followed(path, [on, off], 5)
    assert found[1].at_m == found[0].at_m == pytest.approx(1200, abs=1)
    assert found[1].off_m == pytest.approx(450, abs=1)
    (nowhere,) = followed(path, [off], 5)
    assert nowhere.at_m is None
    assert nowhere.off_m == pytest.approx(450, abs=1)


def test_after_a_detour_or_a_jump_it_is_found_again() -> None:
    path = path_of(lines.straight())
    told = lines.places([(100, 0), (500, 400), (1500, 400), (2600, 2)])
    assert followed(path, told, 5)[-1].at_m == pytest.approx(2600, abs=1)


def test_one_that_is_found_in_the_street_of_both_branches_is_on_the_one_that_it_drives_along() -> None:
    path = path_of(lines.out_and_back())
    on_its_way_back = [(2000.0 - 60 * n, 3.0) for n in range(30)]
    found = followed(path, lines.places(on_its_way_back), 5)
    assert found[-1].at_m == pytest.approx(path.length_m - on_its_way_back[-1][0], abs=20)


def test_a_gap_is_made_up_for() -> None:
    """Twenty minutes in a tunnel of the network."""
    path = path_of(lines.spiral_with_crossing())
    told = lines.places([(300, 0), (700, -500)])
    assert followed(path, told, 1200)[-1].at_m == pytest.approx(1500 + 800 + 800 + 800 + 500, abs=1)


def test_metres_are_metres_and_not_degrees() -> None:
    """At 60 degrees north a degree of longitude is half as long: the other branch is nearer in degrees."""
    path = RoutePath([(60.0, 10.0), (60.0, 10.04), (60.005, 10.04), (60.005, 10.0)], 100)
    assert path.length_m == pytest.approx(2 * 2224 + 556, abs=2)
    # 167 m north of the first branch, 390 m south of the second one
    found = RULE.follow(path, None, None, (60.0015, 10.02), 0)
    assert found.at_m == pytest.approx(1112, abs=2)
    assert found.off_m == pytest.approx(167, abs=1)


def test_a_path_across_the_antimeridian_is_short() -> None:
    path = RoutePath([(-17.0, 179.99), (-17.0, -179.99)], 100)
    assert path.length_m == pytest.approx(2127, abs=2)
    assert RULE.follow(path, None, None, (-17.0, -179.995), 0).at_m == pytest.approx(1595, abs=2)


@pytest.mark.parametrize("points", [[], [(44.0, 11.0)], [(44.0, 11.0)] * 3, [(90.0, 10.0), (90.0, 50.0)]])
def test_a_path_without_a_length_is_refused(points: lines.Places) -> None:
    with pytest.raises(ValueError, match="no length"):
        RoutePath(points, 100)


def test_a_path_may_come_back_on_the_same_line() -> None:
    path = path_of([(0, 0), (400, 0), (1000, 0), (600, 0), (0, 0)])
    drive = [(50.0 * n, 0.0) for n in range(20)] + [(1000 - 50.0 * n, 0.0) for n in range(19)]
    on = [one.at_m for one in followed(path, lines.places(drive), 5)]
    assert on == pytest.approx([50 * n for n in range(39)], abs=1)


def test_points_that_are_there_twice_change_nothing() -> None:
    line = lines.places(lines.loop())
    doubled = [place for place in line for _ in range(2)]
    assert RoutePath(doubled, 100).length_m == RoutePath(line, 100).length_m


_degrees = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(_degrees, min_size=2, max_size=40),
    st.lists(st.tuples(_degrees, st.integers(0, 10**10)), min_size=1, max_size=20),
)
def test_any_path_and_any_places_give_a_place_on_the_path(
    points: lines.Places, told: list[tuple[tuple[float, float], int]]
) -> None:
    try:
        path = RoutePath(points, 100)
    except ValueError:
        return
    before, was_at = None, None
    for place, elapsed_us in told:
        after = RULE.follow(path, before, was_at, place, elapsed_us)
        assert after.off_m >= 0
        assert after.at_m is None or 0 <= after.at_m <= path.length_m
        if before is not None:
            assert after.rounds - before.rounds in (0, 1)
        before, was_at = after, place


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-2000, 2000), st.integers(-2000, 2000)), min_size=30, max_size=80, unique=True),
    st.integers(0, 2**32),
)
def test_long_paths_are_searched_like_short_ones(line: list[tuple[float, float]], seed: int) -> None:
    """The step that looks for near pieces first leaves out none that counts."""
    long, dice = path_of(line), random.Random(seed)
    every = path_of(line)
    every._is_long = False
    for _ in range(10):
        x, y = long.on_map(*lines.places([(dice.uniform(-2500, 2500), dice.uniform(-2500, 2500))])[0])
        heading = (dice.uniform(-1, 1), dice.uniform(-1, 1))
        at_m = dice.uniform(0, long.length_m)
        assert long.anywhere(x, y, at_m, heading, 30) == every.anywhere(x, y, at_m, heading, 30)
