"""What happens to runs: progress on a loop, deviation, missed runs, breakdowns, and a replay with all troubles."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from models.timetables.runs import Fix, RunBroken, RunEnded, RunEvent, RunMissed, StopServed
from models.timetables.timetable import Timetable
from tests.timetables import synthetic
from tests.timetables.rig import day_s, fixes_of, standing, timetable_of
from tests.verification.timetables import lines, replay
from trafficapp.settings.transit import TransitSettings
from trafficapp.timetables.operations import Operations

SETTINGS = TransitSettings()


@pytest.fixture(scope="module")
def timetable(tmp_path_factory: pytest.TempPathFactory) -> Timetable:
    return timetable_of(synthetic.write(tmp_path_factory.mktemp("feed") / "feed.zip", synthetic.tables()))


def told(operations: Operations, fixes: Iterable[Fix]) -> list[RunEvent]:
    return [event for fix in fixes for event in operations.fix(fix)]


def noisy(fixes: Iterable[Fix], noise_m: float) -> list[Fix]:
    chance = random.Random(1)

    def moved(fix: Fix) -> Fix:
        north, east = (chance.gauss(0, noise_m) / 100_000 for _ in range(2))
        return msgspec.structs.replace(fix, latitude=fix.latitude + north, longitude=fix.longitude + east)

    return [moved(fix) for fix in fixes]


def test_on_a_figure_of_eight_nobody_goes_back(timetable: Timetable) -> None:
    """It begins and ends at one place, and crosses its own way twice."""
    operations = Operations(timetable, SETTINGS, day_s())
    places, events = list[float](), list[RunEvent]()
    for fix in noisy(fixes_of(timetable, "eight", "v", late_s=240, every_s=10), 8):
        events += operations.fix(fix)
        places.append(operations.runs["v"].at_m or 0.0)
    assert places == sorted(places)
    assert max(there - here for here, there in pairwise(places)) < 300
    stops = [event for event in events if isinstance(event, StopServed)]
    assert [event.stop_index for event in stops] == list(range(7))
    assert all(event.late_s == pytest.approx(240, abs=12) for event in stops)


def test_a_vehicle_that_is_met_on_its_way(timetable: Timetable) -> None:
    """What lies behind it was seen by nobody; deviation is right from the first fix on."""
    operations = Operations(timetable, SETTINGS, day_s())
    fixes = list(fixes_of(timetable, "line-0", "v", late_s=100))
    events = told(operations, fixes[len(fixes) // 2 :])
    assert min(event.stop_index for event in events if isinstance(event, StopServed)) >= 4
    assert operations.late_s(operations.runs["v"]) == pytest.approx(100, abs=10)


def test_one_outlier_does_not_carry_a_vehicle_off_its_first_stop(timetable: Timetable) -> None:
    operations = Operations(timetable, SETTINGS, day_s())
    fixes = list(fixes_of(timetable, "line-0", "v", late_s=300))
    waiting = [msgspec.structs.replace(fixes[0], time_us=fixes[0].time_us - 15_000_000 * n) for n in range(9, 0, -1)]
    waiting[5] = msgspec.structs.replace(waiting[5], longitude=waiting[5].longitude + 0.0015)
    events = told(operations, [*waiting, *fixes])
    first = next(event for event in events if isinstance(event, StopServed))
    assert first.stop_index == 0
    assert first.late_s == pytest.approx(300, abs=12)


def test_who_comes_to_a_stop(timetable: Timetable) -> None:
    """Vehicles on their way as late as they are, and by the timetable those that are to leave yet."""
    operations = Operations(timetable, SETTINGS, day_s())
    now_s = day_s() + 8 * 3600 + 420.0
    told(operations, (fix for fix in fixes_of(timetable, "line-0", "v", late_s=120) if fix.time_us <= now_s * 1e6))
    found = operations.arrivals_at("L5", now_s, within_s=2200)
    assert [(one.run.trip_id, one.vehicle_id, one.stop_index) for one in found] == [
        ("line-0", "v", 5),
        ("line-1", None, 5),
        ("line-2", None, 5),
        ("line-3", None, 5),
    ]
    assert found[0].likeliest_s == pytest.approx(found[0].scheduled_s + 120, abs=20)
    for one in found:
        assert one.earliest_s < one.likeliest_s < one.latest_s
        assert now_s < one.arrives_s < one.likeliest_s <= one.departs_s
    assert operations.arrivals_at("nowhere", now_s) == []


def test_runs_that_nobody_serves_are_missed(timetable: Timetable) -> None:
    """Unless the whole feed was silent; and it is taken back when one comes after all."""
    operations = Operations(timetable, SETTINGS, day_s() + 7.5 * 3600)
    served = ["line-0", "line-1", "line-3", "line-4"]
    fixes = [fix for number, trip in enumerate(served) for fix in fixes_of(timetable, trip, f"v{number}")]
    fixes += list(fixes_of(timetable, "line-2", "late", late_s=1200))
    # the desk hears of the vehicle of another line all the time
    events = list[RunEvent]()
    for fix in sorted(fixes, key=lambda fix: fix.time_us):
        events += operations.tick(fix.time_us / 1e6)
        events += operations.fix(fix)
    missed = [event for event in events if isinstance(event, RunMissed)]
    assert [(event.run.trip_id, event.is_over) for event in missed] == [("line-2", False), ("line-2", True)]
    # nothing was heard since: nothing is told of those that should have run in the silence
    silent = list(operations.tick(day_s() + 11.9 * 3600))
    assert {type(event) for event in silent} == {RunEnded}
    again = told(operations, fixes_of(timetable, "often", "w", start_s=43_200))
    again += operations.tick(day_s() + 43_200 + 600.0)
    assert not [event for event in again if isinstance(event, RunMissed)]


def test_who_stands_on_the_way_has_broken_down_and_who_waits_for_its_time_has_not(timetable: Timetable) -> None:
    operations = Operations(timetable, SETTINGS, day_s())
    leaves_s = day_s() + 8 * 3600
    events = told(operations, standing(timetable, "line-0", "v", leaves_s + 1200.0))
    broken = [event for event in events if isinstance(event, RunBroken)]
    assert [event.is_over for event in broken] == [False]
    assert broken[0].since_s == pytest.approx(leaves_s + 3.5 * 90, abs=20)
    assert broken[0].at_s == pytest.approx(broken[0].since_s + SETTINGS.breakdown_seconds, abs=20)
    waiting = next(iter(fixes_of(timetable, "line-1", "w")))
    early = [msgspec.structs.replace(waiting, time_us=waiting.time_us - n * 15_000_000) for n in range(40, 0, -1)]
    assert not [event for event in told(operations, early) if isinstance(event, RunBroken)]
    over = told(operations, fixes_of(timetable, "line-3", "v"))
    assert [type(event) for event in over[:2]] == [RunBroken, RunEnded]


def test_a_replay_is_told_as_it_was(tmp_path: Path) -> None:
    """Late, missed, bunched, broken down, after midnight; `make verify-timetables` does so with a real feed."""
    tables = synthetic.tables(every_s=480, until_s=13 * 3600)
    timetable = timetable_of(synthetic.write(tmp_path / "feed.zip", tables))
    score = replay(timetable, [synthetic.DAY - timedelta(days=1), synthetic.DAY], seed=3, scored=1)
    print(*lines(score), sep="\n")
    # some dozens of each: one more or less is some percent
    assert min(min(one.precision, one.recall) for one in score.kinds.values()) >= 0.9
    assert all(one.right for one in score.kinds.values())
    ours, usual = score.shares(score.ours), score.shares(score.usual)
    assert sum(ours) / 4 > max(0.86, sum(usual) / 4)


def waiting_before(fixes: list[Fix], count: int) -> list[Fix]:
    """So many fixes of who stands where the first one is, 15 s apart, before it."""
    return [msgspec.structs.replace(fixes[0], time_us=fixes[0].time_us - 15_000_000 * n) for n in range(count, 0, -1)]


def left_first_stop(events: Iterable[RunEvent]) -> list[float]:
    return [event.late_s for event in events if isinstance(event, StopServed) and event.stop_index == 0]


def test_who_waits_long_has_not_left_by_the_farthest_of_many_noisy_fixes(timetable: Timetable) -> None:
    """Some of 160 fixes are 30 m on, by noise alone; progress never goes back."""
    operations = Operations(timetable, SETTINGS, day_s())
    fixes = list(fixes_of(timetable, "line-0", "v", late_s=300))
    events = told(operations, [*noisy(waiting_before(fixes, 160), 20), *fixes])
    assert left_first_stop(events) == [pytest.approx(300, abs=15)]
    assert not [event for event in events if isinstance(event, RunBroken)]


@pytest.mark.parametrize("first", [1, 2, 5])
def test_two_outliers_do_not_carry_a_vehicle_off_its_first_stop(timetable: Timetable, first: int) -> None:
    """One of the first fixes, and two of one reflection: neither has left early, nor is broken down where it waits."""
    operations = Operations(timetable, SETTINGS, day_s())
    fixes = list(fixes_of(timetable, "line-0", "v", late_s=300))
    waiting = waiting_before(fixes, 40)
    for place in (first, first + 1):
        waiting[place] = msgspec.structs.replace(waiting[place], longitude=waiting[place].longitude + 0.0015)
    events = told(operations, [*waiting, *fixes])
    assert left_first_stop(events) == [pytest.approx(300, abs=12)]
    assert not [event for event in events if isinstance(event, RunBroken)]


def test_a_doubted_fix_at_the_end_counts_once_the_next_run_says_that_it_moved(timetable: Timetable) -> None:
    """It stood before its last stop; only one fix of this run saw it there, the next one is of another."""
    operations = Operations(timetable, SETTINGS, day_s())
    fixes = list(fixes_of(timetable, "line-0", "v", every_s=15))
    end = max(index for index, fix in enumerate(fixes) if fix.longitude < synthetic.LINE[-1][1] - 0.003)
    stood = [msgspec.structs.replace(fixes[end], time_us=fixes[end].time_us + 15_000_000 * n) for n in range(1, 4)]
    last = msgspec.structs.replace(fixes[-1], time_us=stood[-1].time_us + 15_000_000)
    events = told(operations, [*fixes[: end + 1], *stood, last])
    assert max(event.stop_index for event in events if isinstance(event, StopServed)) == 8
    another = msgspec.structs.replace(next(iter(fixes_of(timetable, "line-2", "v"))), time_us=last.time_us + 60_000_000)
    assert max(event.stop_index for event in told(operations, [another]) if isinstance(event, StopServed)) == 9
