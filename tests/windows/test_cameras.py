"""How many cameras are known, and for how long."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from models.alerts import encode_alert_event
from tests.windows.entries import RULES, SECOND_US, T0_US, Entry, Picture, Seen, Tick, fresh, records
from tests.windows.whole import WholeWindows
from trafficapp.engine.state_rows import forgotten_row, is_forgotten, partition_key
from trafficapp.settings import Settings
from trafficapp.windows.camera_state import CameraState
from trafficapp.windows.cameras import Remembering
from trafficapp.windows.partition import PartitionRules
from trafficapp.windows.rules import partition_rules

T0_MS = T0_US // 1000
MINUTE_US = 60 * SECOND_US
#: Names that were made up are forgotten after two minutes, others after five.
SHORT = replace(RULES, remembering=Remembering(4, 3, 2 * MINUTE_US, 5 * MINUTE_US))


def car(camera_id: str, second: float, vehicle: str = "v1") -> Picture:
    time_us = T0_US + round(second * SECOND_US)
    key = camera_id.encode()
    return Picture(
        camera_id, time_us, round(second * 10), (Seen(vehicle, speed_kmh=9.0),), "nested", key, time_us // 1000
    )


def ticks(begin: int, end: int) -> list[Entry]:
    return [Tick(T0_MS + 1000 * second) for second in range(begin, end)]


def live(camera_id: str, begin: int, end: int, apart: int = 1) -> list[Entry]:
    """A camera that sends, among ticks."""
    log: list[Entry] = []
    for second in range(begin, end):
        log.append(Tick(T0_MS + 1000 * second))
        if second % apart == 0:
            log.append(car(camera_id, second + 0.1))
    return log


def names(windows: WholeWindows) -> set[str]:
    return {key.decode() for key in windows.cameras.states}


def test_one_camera_too_many_is_refused_and_those_that_are_known_go_on() -> None:
    windows = fresh(rules=SHORT)
    log = [car(name, second) for second, name in enumerate(["a", "b", "c", "d", "e", "a", "e", "d"])]
    outcome = windows.apply(records(log))
    assert names(windows) == {"a", "b", "c", "d"}
    assert outcome.rejected == {"too_many_cameras": 2} == windows.state.rejected
    assert [(one.offset, one.reason) for one in outcome.dead_letters] == [
        (4, "too_many_cameras"),
        (6, "too_many_cameras"),
    ]
    assert outcome.counted == 6


def test_what_is_refused_takes_no_place() -> None:
    ahead = replace(car("b", 0), time_us=T0_US + 3600 * SECOND_US)
    foreign = replace(car("c", 0), key=b"x")
    windows = fresh(rules=SHORT)
    windows.apply(records([car("a", 0), ahead, foreign, *[car(name, 1) for name in "defg"]]))
    assert names(windows) == {"a", "d", "e", "f"}


def test_a_name_that_was_made_up_is_forgotten_soon_and_a_camera_late() -> None:
    windows = fresh(rules=SHORT)
    windows.apply(records([*live("real", 0, 30), car("made up", 29), *ticks(30, 140)]))
    assert names(windows) == {"real", "made up"}
    windows = fresh(rules=SHORT)
    windows.apply(records([*live("real", 0, 30), car("made up", 29), *ticks(30, 190)]))
    assert names(windows) == {"real"}
    windows = fresh(rules=SHORT)
    windows.apply(records([*live("real", 0, 30), *ticks(30, 420)]))
    assert names(windows) == set()


def test_a_forgotten_camera_leaves_a_tombstone_behind_the_partition_s_row() -> None:
    windows = fresh(rules=SHORT)
    log = records([*live("real", 0, 30), car("made up", 29), *ticks(30, 190)])
    list(windows.all_rows())
    windows.apply(log)
    rows = list(windows.changed_rows())
    assert [key for key, _ in rows] == [b"real", partition_key(0), b"made up"]
    assert rows[-1][1] == forgotten_row(log[-1].offset)
    assert [key for key, _ in windows.changed_rows()] == [partition_key(0)]


def test_a_camera_that_comes_back_before_its_tombstone_is_written_has_none() -> None:
    windows = fresh(rules=SHORT)
    windows.apply(records([*ticks(0, 2), car("a", 1), *ticks(2, 190), car("a", 189.5), *ticks(190, 192)]))
    assert not [key for key, row in windows.changed_rows() if is_forgotten(row)]
    assert windows.cameras.states[b"a"].counted == 1


def test_a_stale_row_behind_the_tombstone_brings_nobody_back() -> None:
    log = records([*live("real", 0, 30), car("made up", 29), *ticks(30, 190)])
    windows = fresh(rules=SHORT)
    windows.apply(log[:70])
    stale = dict(windows.all_rows())
    assert b"made up" in stale
    windows.apply(log[70:])
    rows = {key: row for key, row in windows.all_rows() if not is_forgotten(row)}
    successor = fresh(rows | {b"made up": stale[b"made up"]}, rules=SHORT)
    assert names(successor) == {"real"}
    assert (b"made up", forgotten_row(log[-1].offset)) in list(successor.changed_rows())


def test_rows_of_later_cameras_leave_room_for_those_that_came_before() -> None:
    # x is met, forgotten, and y takes its place; the worker dies when y's row is written and nothing else
    rest = [*live("a", 2, 200, 20), *(car(name, 199.5) for name in "bc"), *ticks(200, 260), car("y", 260)]
    log = records([*(car(name, 0) for name in "abc"), *ticks(0, 2), car("x", 2), *rest])
    windows = fresh(rules=SHORT)
    windows.apply(log[:5])
    rows = dict(windows.changed_rows())
    outcome = windows.apply(log[5:])
    assert outcome.rejected == {}
    assert names(windows) == {"a", "b", "c", "y"}
    successor = fresh(rows | {b"y": dict(windows.changed_rows())[b"y"]}, rules=SHORT)
    assert successor.apply(log[5:]).rejected == {}
    assert names(successor) == {"a", "b", "c", "y"}


def test_an_alert_about_silence_ends_when_its_camera_is_forgotten() -> None:
    windows = fresh(rules=SHORT)
    alerts = windows.apply(records([*live("real", 0, 30), *ticks(30, 420)])).alerts
    assert [alert.action for alert in alerts] == ["opened", "resolved"]
    assert alerts[0].id == alerts[1].id
    assert (alerts[1].revision, alerts[1].message.split(":")[0]) == (2, "Forgotten")
    assert alerts[1].resolved_at == "2023-11-14T22:19:20Z"


def test_ticks_look_only_at_cameras_that_they_mean_something_for() -> None:
    windows = fresh(rules=replace(SHORT, remembering=Remembering(5000, 3, 600 * MINUTE_US, 600 * MINUTE_US)))
    flood = [car(f"c{number}", 1 + number / 1000) for number in range(1000)]
    windows.apply(records([*ticks(0, 2), *flood]))
    assert len(windows.cameras.awake) == 1000
    windows.apply([replace(one, offset=2000 + place) for place, one in enumerate(records(ticks(2, 60)))])
    # closed, too short-lived to be missed, told to be quiet once
    assert len(windows.cameras.awake) == 0
    assert len(windows.cameras.states) == 1000


def test_the_limits_come_from_the_settings_and_outlast_open_windows() -> None:
    remembering = partition_rules(Settings()).remembering
    assert (remembering.max_cameras, remembering.made_up_us, remembering.forget_us) == (
        5000,
        60 * MINUTE_US,
        30 * 24 * 60 * MINUTE_US,
    )
    short = partition_rules(Settings(windows={"forget_made_up_minutes": 1, "forget_days": 0.001}))
    assert min(short.remembering.made_up_us, short.remembering.forget_us) > (10 + 60 + 60) * SECOND_US
    assert min(short.remembering.made_up_us, short.remembering.forget_us) > (short.quiet_us or 0) + 60 * SECOND_US


entries = st.one_of(
    st.builds(lambda name, vehicle: (name, vehicle), st.sampled_from("abcdefg"), st.sampled_from(["v1", "v2"])),
    st.integers(1, 90),
)


@given(st.lists(entries, max_size=30), st.lists(st.integers(1, 40), max_size=30), st.data())
@settings(deadline=None, max_examples=150)
def test_who_is_known_does_not_depend_on_runs_and_crashes(
    plan: list[tuple[str, str] | int], lengths: list[int], data: st.DataObject
) -> None:
    log, second = list[Entry](), 0
    for one in plan:
        if isinstance(one, int):
            log += ticks(second, second + one)
            second += one
        else:
            log.append(car(one[0], second - 0.5, one[1]))
    everything = records(log)
    right = _outcome(fresh(rules=SHORT), everything)
    windows, done, parts, rows = fresh(rules=SHORT), 0, _nothing(), dict[bytes, bytes]()
    for length in [*lengths, len(everything)]:
        parts = _joined(parts, _outcome(windows, everything[done : done + length]))
        done += length
        for key, row in windows.changed_rows():
            if is_forgotten(row):
                rows.pop(key, None)
            else:
                rows[key] = row
            if data.draw(st.booleans(), label="dies while it writes"):
                break
        windows = fresh(rows, rules=SHORT)
        done = windows.applied + 1
    parts = _joined(parts, _outcome(windows, everything[done:]))
    assert {key: set(value) for key, value in parts.items()} == {key: set(value) for key, value in right.items()}
    end = _end(everything)
    assert _states(windows) == _states(end)
    assert windows.state == end.state


def _states(windows: WholeWindows) -> dict[bytes, CameraState]:
    """When a camera was known before is told only as exactly as a partition's row may lack it."""
    return {key: structs.replace(camera, known_before=[]) for key, camera in windows.cameras.states.items()}


Parts = dict[str, list[object]]


def _nothing() -> Parts:
    return {"rows": [], "letters": [], "alerts": []}


def _joined(first: Parts, then: Parts) -> Parts:
    return {key: first[key] + then[key] for key in first}


def _outcome(windows: WholeWindows, log: list[object]) -> Parts:
    outcome = windows.apply(log)  # type: ignore[arg-type]
    return {
        "rows": [str(row) for row in outcome.rows],
        "letters": [(letter.offset, letter.reason) for letter in outcome.dead_letters],
        "alerts": [encode_alert_event(alert) for alert in outcome.alerts],
    }


def _end(log: list[object], rules: PartitionRules = SHORT) -> WholeWindows:
    windows = fresh(rules=rules)
    windows.apply(log)  # type: ignore[arg-type]
    return windows
