"""Boundaries of the levels that are changed at run time."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.administration.thresholds import Thresholds
from models.cameras.window_rows import WindowRow
from tests.windows.entries import SECOND_US, T0_US, Change, Picture, Seen, fresh, records
from tests.windows.logs import silence
from trafficapp.engine.state_rows import partition_key, state_row
from trafficapp.windows.congestion import MAX_CHANGES, CongestionScale, with_change

T0_MS = T0_US // 1000


def car(second: int, camera_id: str = "a") -> Picture:
    """One car at 30 km/h: a score of 0.208 by the general constants."""
    time_us = T0_US + second * SECOND_US
    parts = (Seen("v1", speed_kmh=30.0),)
    return Picture(camera_id, time_us, second, parts, "nested", camera_id.encode(), time_us // 1000)


def change(version: int, second: int, moderate: float) -> Change:
    boundaries = (moderate, moderate + 0.1, moderate + 0.2)
    return Change(version, T0_US + second * SECOND_US, boundaries, T0_MS)


def levels(rows: list[WindowRow]) -> list[str]:
    return [row.congestion_level for row in rows]


def test_a_change_holds_from_its_window_on_and_not_before() -> None:
    log = records([car(0), change(1, 5, 0.2), car(4), car(6), *silence(T0_MS + 6000)])
    assert levels(fresh().apply(log).rows) == ["LOW", "MODERATE"]


def test_a_camera_keeps_its_own_constants() -> None:
    # 0.4·1/2 + 0.4·(1 − 30/30) = 0.2 against 0.4·1/50 + 0.4·(1 − 30/60) = 0.208
    log = records([change(1, 0, 0.205), car(0, "special"), car(0, "a"), *silence(T0_MS)])
    assert {row.camera_id: row.congestion_level for row in fresh().apply(log).rows} == {
        "a": "MODERATE",
        "special": "LOW",
    }


def test_a_change_that_comes_late_leaves_what_is_final() -> None:
    log = records([car(0), car(7), change(1, 0, 0.15), car(8), *silence(T0_MS + 8000)])
    assert levels(fresh().apply(log).rows) == ["LOW", "MODERATE"]


def test_a_change_survives_a_takeover_and_rows_from_before_changes_are_read() -> None:
    first = fresh()
    log = records([change(1, 5, 0.2), car(6), *silence(T0_MS + 6000)])
    first.apply(log[:1])
    assert levels(fresh(dict(first.all_rows())).apply(log[1:]).rows) == ["MODERATE"]
    old = {partition_key(0): state_row(41, (41, 7, 8, {"late": 3}))}
    state = fresh(old).state
    assert (state.applied, state.rejected, state.thresholds) == (41, {"late": 3}, [])
    camera = fresh({b"a": state_row(3, msgspec.to_builtins(fresh_camera())[:11])}).cameras.states[b"a"]
    assert (camera.counted, camera.finished, camera.silence) == (1, 0, None)


def fresh_camera() -> object:
    windows = fresh()
    windows.apply(records([car(0)]))
    return windows.cameras.states[b"a"]


changes = st.builds(
    lambda version, start: Thresholds(version, start, version / 100, version / 100 + 0.1, version / 100 + 0.2),
    st.integers(1, 30),
    st.integers(0, 10),
)


@given(st.lists(changes, max_size=20, unique_by=lambda one: one.version), st.integers(0, 12))
def test_what_is_dropped_no_window_can_take(given_: list[Thresholds], start_us: int) -> None:
    kept: list[Thresholds] = []
    for one in [*given_, *given_]:
        kept = with_change(kept, one)
    in_force = [one for one in given_ if one.effective_from_us <= start_us]
    newest = max(in_force, key=lambda one: one.version, default=None)
    scale = CongestionScale().at(start_us, kept)
    assert (scale.moderate, scale.high, scale.severe) == (
        (newest.moderate, newest.high, newest.severe) if newest else (0.30, 0.55, 0.80)
    )


def test_only_so_many_changes_are_kept() -> None:
    kept: list[Thresholds] = []
    for version in range(1, 3 * MAX_CHANGES):
        kept = with_change(kept, Thresholds(version, version, 0.1, 0.2, 0.3))
    assert [one.version for one in kept] == list(range(2 * MAX_CHANGES, 3 * MAX_CHANGES))
    assert with_change(kept, Thresholds(1, 1, 0.1, 0.2, 0.3)) == kept
