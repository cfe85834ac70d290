"""What is held of a camera never outgrows what its state row may take, whatever it sends and whatever the settings."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.windows.entries import T0_US, Entry, Picture, Seen, fresh, records
from tests.windows.logs import logs, silence
from tests.windows.whole import WholeWindows
from trafficapp.settings import Settings
from trafficapp.topics import MAX_RECORD_BYTES
from trafficapp.windows.camera_state import CameraState
from trafficapp.windows.cameras import decode_camera_row
from trafficapp.windows.holding import MAX_CAMERA_BYTES
from trafficapp.windows.rules import partition_rules

T0_MS = T0_US // 1000

#: What of a row is not counted: names of fields there are none, so some numbers.
REST_BYTES = 300


def row_of(windows: WholeWindows, key: bytes = b"a") -> bytes:
    return dict(windows.all_rows())[key]


def frame(second: float, number: int, seen: tuple[Seen, ...], camera_id: str = "a") -> Picture:
    time_us = T0_US + round(second * 1000) * 1000
    return Picture(camera_id, time_us, number, seen, "frame", camera_id.encode(), time_us // 1000)


@given(logs())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_a_row_is_never_larger_than_what_was_counted(log: list[Entry]) -> None:
    windows = fresh()
    for record in records(log):
        windows.apply([record])
        for key, camera in windows.cameras.states.items():
            assert len(row_of(windows, key)) <= camera.held_bytes + REST_BYTES
            assert camera.held_bytes == _held_bytes(camera)


def _held_bytes(camera: CameraState) -> int:
    return sum(window.held_bytes for window in camera.windows.values()) + camera.tracked_bytes


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)


@given(st.lists(st.tuples(names, names, st.integers(-(2**63), 2**63 - 1), st.booleans()), min_size=1, max_size=30))
@settings(deadline=None, max_examples=60)
def test_names_and_numbers_of_any_size_are_counted(parts: list[tuple[str, str, int, bool]]) -> None:
    classes = sorted({name for _, name, _, _ in parts})
    windows = fresh(rules=partition_rules(Settings(vehicle_classes=tuple(classes))))
    log = [
        frame(step, number, (Seen(vehicle, name, 1.0 if slow else None, step % 3, 1e5, -1e5),))
        for step, (vehicle, name, number, slow) in enumerate(parts)
    ]
    windows.apply(records(log))
    assert len(row_of(windows)) <= windows.cameras.states[b"a"].held_bytes + REST_BYTES


@pytest.mark.parametrize("letter", ["v", "\u00e9", "\u9053", "\U0001f697"])
def test_places_are_counted_by_the_bytes_of_their_names(letter: str) -> None:
    windows = fresh()
    windows.apply(records([frame(0, 1, tuple(Seen(f"{letter * 200}{number}") for number in range(100)))]))
    camera = windows.cameras.states[b"a"]
    held = len(msgspec.msgpack.encode(camera.sightings)) + len(msgspec.msgpack.encode(camera.waiting_places))
    assert held <= camera.tracked_bytes <= held + 100 * 40


def busy(seconds: float, vehicles: int, rate: int = 12) -> list[Entry]:
    """Every detection a new vehicle without a speed."""
    return [
        frame(picture / rate, picture, tuple(Seen(f"{picture * vehicles + one:07d}") for one in range(vehicles)))
        for picture in range(round(seconds * rate))
    ]


def test_places_are_dropped_before_anything_is_refused() -> None:
    """500 new vehicles a picture, 12 pictures a second, none with a speed: 220,000 places within their 30 s."""
    windows, log = fresh(), busy(25, 500)
    outcome = windows.apply(records([*log, *silence(log[-1].record_ms)]))
    assert outcome.rejected == {}
    assert outcome.counted == 25 * 12 * 500
    whole = [row for row in outcome.rows if row.lane_id is None]
    assert [row.vehicle_count for row in whole] == [30_000] * 5


def test_the_row_of_a_busy_camera_fits_at_any_moment() -> None:
    windows, most = fresh(), 0
    for record in records(busy(20, 500)):
        windows.apply([record])
        if record.offset % 12 == 0:
            most = max(most, len(row_of(windows)))
    assert MAX_CAMERA_BYTES / 2 < most < MAX_CAMERA_BYTES + 100_000 < MAX_RECORD_BYTES


@pytest.mark.parametrize(
    "changes",
    [
        {"windows": {"allowed_lateness_seconds": 3600.0}},
        {"windows": {"size_seconds": 3600.0}},
        {"windows": {"size_seconds": 0.5, "allowed_lateness_seconds": 600.0}},
        {"speed": {"forget_after_seconds": 86_400.0}},
    ],
)
def test_whatever_the_settings_a_camera_is_refused_before_its_row_outgrows_a_record(changes: dict[str, object]) -> None:
    rules = partition_rules(Settings(**changes))
    windows = fresh(rules=rules)
    log = busy(40, 500, rate=8)
    outcome = windows.apply(records(log))
    assert outcome.counted + outcome.rejected.get("camera_full", 0) == 40 * 8 * 500
    assert outcome.rejected.get("camera_full", 0) > 0 or "speed" in changes
    assert len(row_of(windows)) < MAX_CAMERA_BYTES + 100_000


def test_what_is_refused_moves_the_time_so_that_the_camera_gets_free_again() -> None:
    name = "v" * 240
    crowd = [
        frame(second / 100, 10_000 + second, tuple(Seen(f"{name}{one}") for one in range(50))) for second in range(400)
    ]
    later = [frame(second, round(second * 10), (Seen("v1", speed_kmh=30.0),)) for second in (4.5, 6.0, 8.0, 9.0)]
    windows = fresh()
    outcome = windows.apply(records([*crowd, *later]))
    assert outcome.rejected["camera_full"] > 0
    assert windows.cameras.states[b"a"].held_bytes < MAX_CAMERA_BYTES / 2
    assert windows.apply([replace(records([frame(10, 999, (Seen("v2"),))])[0], offset=1000)]).counted == 1


def test_pictures_all_over_time_are_refused_too_and_open_nothing() -> None:
    """Each in a window of its own, each further back than the one before: nothing of it is confirmed."""
    log = [frame(3_000_000 - 11 * number, number, (Seen("v1"),)) for number in range(60_000)]
    log = [replace(one, record_ms=T0_MS + 4_000_000_000) for one in log]
    windows = fresh()
    outcome = windows.apply(records(log))
    assert outcome.rejected["camera_full"] == 60_000 - outcome.counted > 0
    assert len(row_of(windows)) < MAX_CAMERA_BYTES + 1000
    assert len(windows.cameras.states[b"a"].windows) == outcome.counted


def test_a_repeat_is_a_repeat_even_when_the_camera_is_full() -> None:
    name = "v" * 200
    log = [frame(0, number, (Seen(name, speed_kmh=30.0),)) for number in range(24_000)]
    windows = fresh()
    full = windows.apply(records(log)).rejected["camera_full"]
    again = records([*log, log[0]])[-1:]
    assert full > 0
    assert windows.apply(again).repeated == 1


def test_a_camera_is_full_at_the_same_detection_however_many_of_a_picture_come_at_once() -> None:
    """Messages of one picture are added together where none of them can be the one that is too much."""
    name = "\U0001f697" * 250
    before = [frame(-1 + number / 10, number, (Seen("v"),)) for number in range(3)]
    crowd = [replace(frame(0, 9, (Seen(f"{number}{name}", speed_kmh=30.0),)), form="nested") for number in range(5000)]
    log = [*before, *crowd]
    at_once, one_by_one = fresh(), fresh()
    together = at_once.apply(records(log))
    alone = [one_by_one.apply([record]) for record in records(log)]
    assert 0 < together.rejected["camera_full"] < 4000
    assert together.rejected["camera_full"] == sum(outcome.rejected.get("camera_full", 0) for outcome in alone)
    assert row_of(at_once) == row_of(one_by_one)


def test_rows_from_before_this_was_counted_are_counted_when_they_are_read() -> None:
    windows = fresh()
    windows.apply(records([frame(0, 1, (Seen("v1", speed_kmh=3.0),))]))
    camera = windows.cameras.states[b"a"]
    held_bytes, camera.held_bytes = camera.held_bytes, 0
    windows.cameras.changed(b"a")
    assert decode_camera_row(row_of(windows)).held_bytes == held_bytes > 0
    camera.tracked_bytes = camera.windows[T0_US].held_bytes = 0
    windows.cameras.changed(b"a")
    assert 0.5 * held_bytes < decode_camera_row(row_of(windows)).held_bytes < 2 * held_bytes
