"""Rules of timetables: what is told is the same whoever tells it, and wherever one process follows another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from models.timetables.runs import Fix, RunName
from tests.timetables import synthetic
from tests.timetables.rig import day_s, fixes_of, standing, timetable_of
from trafficapp.feeds.rules import Told, When
from trafficapp.settings.transit import TransitSettings
from trafficapp.timetables.headways import Headways
from trafficapp.timetables.live.partition import TimetablesPartition, Topics
from trafficapp.timetables.live.source import TimetableSource
from trafficapp.timetables.storage import save

RUNS, STOPS, OUTCOMES, ALERTS = "runs", "stops", "outcomes", "alerts"
TICK_S = 5


class Rig:
    """Rules with rows that outlive them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.rows, self.told = folder, dict[bytes, bytes](), list[Told]()
        self.counts: Counter[str] = Counter()
        self.restart()

    def restart(self) -> None:
        """A new process, from what was to be remembered."""
        source, topics = TimetableSource(self.folder, 0), Topics(RUNS, STOPS, OUTCOMES, ALERTS)
        self.rules = TimetablesPartition(TransitSettings(), source, topics, dict(self.rows))

    def take(self, fix: Fix, came_s: float | None = None) -> None:
        record_us = fix.time_us if came_s is None else round(came_s * 1e6)
        self.told += self.rules.apply(fix, When(record_us, record_us))

    def settle(self) -> None:
        """Remember what is to be remembered."""
        for key, row in self.rules.changed_rows():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        self.counts.update(self.rules.take_counts())

    def run(self, fixes: Sequence[Fix], until_s: float, restart_every: int = 0) -> None:
        """Take fixes in, and tick; a new process after every so many steps."""
        steps: list[Fix | float] = [*fixes, *(day_s() + 7.9 * 3600 + at for at in range(0, 4 * 3600, TICK_S))]
        steps = [step for step in steps if _at_s(step) <= until_s]
        for number, step in enumerate(sorted(steps, key=_at_s)):
            if isinstance(step, Fix):
                self.take(step)
            else:
                self.told += self.rules.read("vehicle-locations", 0, 1, round(step * 1e6))
            self.settle()
            if restart_every and number % restart_every == 0:
                self.restart()

    def of(self, topic: str) -> list[dict[str, Any]]:
        return [msgspec.json.decode(one.value or b"") for one in self.told if one.topic == topic]


def _at_s(step: Fix | float) -> float:
    return step.time_us / 1e6 if isinstance(step, Fix) else step


def morning(folder: Path) -> list[Fix]:
    """Six runs: one stands, one is nobody's, one comes right before the next; the timetable lies in the folder."""
    timetable = timetable_of(synthetic.write(folder / "feed.zip", synthetic.tables()))
    save(timetable, folder)
    late = {"line-0": 0, "line-1": 60, "line-4": 20, "line-5": 500, "line-6": 10}
    fixes = [fix for trip, late_s in late.items() for fix in fixes_of(timetable, trip, f"v-{trip}", late_s=late_s)]
    fixes += standing(timetable, "line-3", "v-line-3", day_s() + 8.8 * 3600)
    return [msgspec.structs.replace(fix, passengers=fix.time_us // 15_000_000 % 40) for fix in fixes]


def test_a_morning_is_told_once_and_the_same_wherever_another_process_goes_on(tmp_path: Path) -> None:
    fixes, until_s = morning(tmp_path), day_s() + 10 * 3600
    whole, broken = Rig(tmp_path), Rig(tmp_path)
    whole.run(fixes, until_s)
    broken.run(fixes, until_s, restart_every=7)
    assert broken.told == whole.told
    assert broken.rows == whole.rows

    served = whole.of(STOPS)
    assert Counter(one["trip_id"] for one in served if one["trip_id"] != "line-3") == {
        trip: 10 for trip in ("line-0", "line-1", "line-4", "line-5", "line-6")
    }
    assert {one["late_seconds"] // 100 for one in served if one["trip_id"] == "line-5"} == {4, 5}
    at_l5 = {one["trip_id"]: one for one in served if one["stop_id"] == "L5"}
    assert at_l5["line-1"]["spacing"] == "regular"
    assert (at_l5["line-6"]["spacing"], at_l5["line-6"]["previous_trip_id"]) == ("bunched", "line-5")
    assert 90 <= at_l5["line-6"]["headway_seconds"] <= 130
    became = {(one["trip_id"], one["result"]) for one in whole.of(OUTCOMES)}
    assert {("line-2", "missed"), ("line-0", "completed"), ("line-3", "broken_off")} <= became
    full = next(one for one in whole.of(OUTCOMES) if one["trip_id"] == "line-0" and one["result"] == "completed")
    assert full["most_passengers"] == 39
    steps = [(one["alert_type"], one["trip_id"], one["state"]) for one in whole.of(ALERTS)]
    for kind, trip in (
        ("missed_run", "line-2"),
        ("run_breakdown", "line-3"),
        ("bunching", "line-6"),
        ("gap", "line-4"),
    ):
        assert [state for *which, state in steps if which == [kind, trip]] == ["opened", "resolved"], (kind, trip)
    told = [one for one in whole.of(RUNS) if one["vehicle_id"] == "v-line-0"]
    assert [told[0]["state"], told[-1]["state"], told[-1]["stops"]] == ["waiting", "over", []]
    on_way = next(one for one in told if one["state"] == "on_way")
    assert [one["stop_id"] for one in on_way["stops"]] == [f"L{number}" for number in range(1, 10)]
    assert abs(on_way["late_seconds"]) < 30


def test_what_says_nothing_of_a_run_is_counted_and_hurts_nobody(tmp_path: Path) -> None:
    fix = next(fix for fix in morning(tmp_path) if fix.trip_id == "line-1")
    at_s = fix.time_us / 1e6
    rig = Rig(tmp_path)
    wrong = (
        *({"start_date": day} for day in ("2026-01-15", "99999999", "²0260115", "20260110")),
        *({"trip_id": "nobody's"}, {"trip_id": "night", "start_date": "20260117x"}),
        *({"time_us": fix.time_us - 3_600_000_000}, {"time_us": fix.time_us + 3_600_000_000}),
        {"trip_id": "night"},
    )
    for number, others in enumerate(wrong):
        rig.take(msgspec.structs.replace(fix, vehicle_id=f"w{number}", **others), at_s)
    rig.settle()
    assert (rig.counts, rig.told) == ({"unknown_trip": 6, "trip_of_another_time": 1, "old": 1, "ahead": 1}, [])
    # the start of a trip that runs once a day says nothing, and no day the nearest one
    rig.take(msgspec.structs.replace(fix, start_s=-1, start_date=None))
    assert [(one["trip_id"], one["start_date"], one["start_time"]) for one in rig.of(RUNS)] == [
        ("line-1", "20260115", "08:10:00")
    ]


def test_another_timetable_is_taken_up_without_a_restart_and_knows_what_was_learnt(tmp_path: Path) -> None:
    fixes = morning(tmp_path)
    rig, other = (
        Rig(tmp_path / "none"),
        timetable_of(synthetic.write(tmp_path / "other.zip", synthetic.tables(every_s=300))),
    )
    rig.take(fixes[0])
    rig.settle()
    assert (rig.counts, rig.rows) == ({"no_timetable": 1}, {})
    rig = Rig(tmp_path)
    rig.run(fixes, day_s() + 8.6 * 3600)
    learnt = {key for key in rig.rows if key.startswith((b"segment/", b"visit/", b"begun/"))}
    assert learnt
    assert any(key.startswith(b"run/") for key in rig.rows)
    save(other, tmp_path)
    # by the one that ticks, and by one that begins anew
    rows = dict(rig.rows)
    anew = Rig(tmp_path)
    anew.rows, at_us = rows, round((day_s() + 8.6 * 3600 + TICK_S) * 1e6)
    anew.restart()
    for one in (rig, anew):
        one.told = list(one.rules.read("vehicle-locations", 0, 1, at_us))
        one.settle()
        steps = [(step["alert_type"], step["state"]) for step in one.of(ALERTS)]
        assert steps == [("gap", "resolved"), ("missed_run", "resolved")]
    assert rig.rows == anew.rows
    assert {key for key in rig.rows if key.startswith((b"segment/", b"visit/", b"begun/"))} == learnt
    assert not any(key.startswith(b"run/") for key in rig.rows)
    later = [fix for fix in fixes if fix.time_us > at_us and fix.vehicle_id == "v-line-5"]
    for fix in later:
        rig.take(fix)
    # line-5 leaves at 8:25 there
    assert next(one for one in rig.of(RUNS))["start_time"] == "08:25:00"


def test_what_is_told_late_of_a_backlog_is_no_headway() -> None:
    headways = Headways()
    runs = [RunName(f"t{number}", "20260115", 0) for number in range(5)]

    def came(number: int, at_s: float) -> tuple[float, RunName] | None:
        found = headways.came(runs[number], "R", 0, "S", at_s, 600)
        return None if found is None else (found.headway_s, found.previous)

    assert came(0, 1000) is None
    assert came(1, 1700) == (700, runs[0])
    # the one between them; nobody knows after whom it came
    assert came(2, 1300) is None
    assert came(3, 2200) == (500, runs[1])
    # of two that came at once the later one may be told first
    assert came(4, 2180) == (20, runs[3])


def test_a_trip_whose_name_no_table_holds_is_told_to_nobody(tmp_path: Path) -> None:
    tables = synthetic.tables()
    longest = "x" * 3000
    for name in ("trips", "stop_times"):
        tables[name] = [
            dict(row) | ({"trip_id": longest} if row["trip_id"] == "line-1" else {}) for row in tables[name]
        ]
    timetable = timetable_of(synthetic.write(tmp_path / "feed.zip", tables))
    save(timetable, tmp_path)
    rig = Rig(tmp_path)
    rig.run(list(fixes_of(timetable, "line-0", "v0")) + list(fixes_of(timetable, "line-2", "v2")), day_s() + 8.8 * 3600)
    assert {one["trip_id"] for one in rig.of(OUTCOMES)} == {"line-0"}
    assert "missed_run" not in {one["alert_type"] for one in rig.of(ALERTS)}


def test_an_erased_vehicle_is_forgotten_in_the_middle_of_its_run_and_nobody_else_is(tmp_path: Path) -> None:
    fixes, gone = morning(tmp_path), "v-line-3"
    rig, beside = Rig(tmp_path), Rig(tmp_path)
    until_s = day_s() + 9.1 * 3600
    for one in (rig, beside):
        one.run(fixes, until_s)
    naming = {key for key, row in rig.rows.items() if gone.encode() in key + row}
    assert {key.partition(b"/")[0] for key in naming} == {b"run", b"alert"}  # it stands there, broken down
    # a worker that has no timetable yet, and one in the midst of things
    waiting = TimetablesPartition(
        TransitSettings(), TimetableSource(tmp_path / "none", 0), Topics(RUNS, STOPS, OUTCOMES, ALERTS), rig.rows
    )
    assert list(waiting.erase([gone, "never seen"])) == []
    assert dict(waiting.changed_rows()) == dict.fromkeys(naming)
    assert list(rig.rules.erase([gone, "never seen"])) == []
    rig.settle()
    assert not [key for key, row in rig.rows.items() if gone.encode() in key + row]
    assert rig.rows.keys() == beside.rows.keys() - naming
    # what is told later of others is what would have been told, and the run is not missed
    told = len(rig.told)
    for one in (rig, beside):
        one.told += one.rules.read("vehicle-locations", 0, 1, round((until_s + 60) * 1e6))
    assert "line-3" not in str([one for one in rig.told[told:] if one.topic == OUTCOMES])
    of_others = [one for one in beside.told[told:] if gone.encode() not in (one.key or b"") + (one.value or b"")]
    assert [one for one in rig.told[told:] if one.topic == RUNS] == [one for one in of_others if one.topic == RUNS]
