"""A run is applied in steps, none of which is much work."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.windows import test_letters
from tests.windows.entries import T0_US, Entry, Picture, PlainRecord, Seen, fresh, records
from tests.windows.logs import logs, silence
from tests.windows.test_against_oracle import PATIENT
from tests.windows.whole import WholeWindows, joined
from trafficapp.windows import partition as partition_module
from trafficapp.windows.camera_state import CameraState
from trafficapp.windows.outcome import Outcome

T0_MS = T0_US // 1000


def steps(log: Sequence[PlainRecord]) -> list[Outcome]:
    return list(fresh().steps(log))


def test_a_usual_run_is_one_step() -> None:
    cars = [
        Picture("a", T0_US + n * 1000, n, (Seen(f"v{n}", speed_kmh=9.0),), "nested", b"a", T0_MS) for n in range(4000)
    ]
    assert len(steps(records(cars))) == 1
    assert len(steps([])) == 1


def test_frames_and_refusals_make_steps_by_what_they_hold() -> None:
    frames = [test_letters.frame(*(test_letters.car(f"v{n}") for n in range(1000)), number=n) for n in range(100)]
    log = [PlainRecord(offset, T0_MS, b"a", value) for offset, value in enumerate(frames)]
    parts = steps(log)
    assert sum(part.counted for part in parts) == 100_000
    assert max(part.counted for part in parts) <= 22_000
    refused = [PlainRecord(offset, T0_MS, b"a", b"{") for offset in range(4000)]
    parts = steps(refused)
    assert sum(len(part.dead_letters) for part in parts) == 4000
    assert max(len(part.dead_letters) for part in parts) < 1000
    faulty = test_letters.frame(*({} for _ in range(5000)))
    parts = steps([PlainRecord(offset, T0_MS, b"a", faulty) for offset in range(40)])
    assert sum(part.rejected["missing_field"] for part in parts) == 200_000
    assert max(part.rejected["missing_field"] for part in parts) <= 25_000


def test_a_tick_that_finishes_the_windows_of_many_cameras_is_many_steps() -> None:
    log: list[Entry] = [
        Picture(f"c{n}", T0_US, 1, (Seen("v", lane_id=1), Seen("w", lane_id=2)), "frame", b"c%d" % n, T0_MS)
        for n in range(4900)
    ]
    parts = steps(records([*log, *silence(T0_MS)]))
    assert sum(len(part.rows) for part in parts) == 3 * 4900
    assert max(len(part.rows) for part in parts) <= 2003


def test_one_camera_with_very_many_windows_is_many_steps() -> None:
    """Each further back than the one before, so that all of them wait until silence closes them."""
    log: list[Entry] = [
        Picture("a", T0_US - n * 11_000_000, n, (Seen("v"),), "nested", b"a", T0_MS) for n in range(9000)
    ]
    parts = steps(records([*log, *silence(T0_MS, 90)]))
    assert sum(len(part.rows) for part in parts) == 9000
    assert max(len(part.rows) for part in parts) <= 2001
    starts = [row.window_start for part in parts for row in part.rows]
    assert starts == sorted(starts)


@given(logs(), st.integers(0, 60))
@settings(PATIENT, max_examples=60)
def test_where_a_step_ends_changes_nothing_but_in_which_outcome_something_is(log: list[Entry], work: int) -> None:
    everything = records([*log, *silence(max(entry.record_ms for entry in log))])
    whole = fresh()
    right = whole.apply(everything)
    usual = partition_module._STEP_WORK
    try:
        partition_module._STEP_WORK = work
        stepwise = fresh()
        found = joined(stepwise.steps(everything))
    finally:
        partition_module._STEP_WORK = usual
    assert found == right
    assert (stepwise.state, states(stepwise)) == (whole.state, states(whole))


def states(windows: WholeWindows) -> dict[bytes, CameraState]:
    return windows.cameras.states
