"""Steady streams do not feel the rule of jumps, and a true jump is followed at its second picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from models.cameras.window_rows import encode_window_row
from tests.windows.entries import SECOND_US, T0_US, Entry, Limits, Tick
from tests.windows.oracle import key_of, refusal_of
from tests.windows.streams import in_order, shot, steps_us, streams
from tests.windows.test_against_oracle import PATIENT, assert_is_the_oracles, one_by_one

STEADY_MS = [500, 1000, 2500, 6000, 9000]
SLOW_MS = [9000, 10_000, 11_000, 15_000, 20_000, 30_000]

#: Further than any clock goes: the rule is off.
NEVER_US = 10**6 * SECOND_US

#: Out of order by more than any picture may be late.
SHUFFLED_MS = (0, 0, 200, 1900, 4000, 7000)


def all_of(log: list[Entry], limits: Limits) -> list[Any]:
    """Rows, dead letters and what is told of cameras, each with its offset, in order."""
    applied = one_by_one(log, limits)
    alerts = [(offset, alert.action, alert.camera_id) for offset, alert in applied.alerts]
    rows = [(offset, encode_window_row(row)) for offset, row in applied.rows]
    return [rows, [refusal_of(letter) for letter in applied.letters], alerts, applied.quiet]


@given(
    streams(STEADY_MS, delays_ms=SHUFFLED_MS, with_speed=False),
    st.sampled_from([0, 0.5, 2, 5, 15]).map(lambda seconds: round(seconds * SECOND_US)),
)
@settings(PATIENT, max_examples=120)
@example(in_order(shot(8), shot(0, 8.1), shot(4, 9), shot(0.5, 9)), 2 * SECOND_US)
@example(in_order(shot(0), shot(10), shot(20), shot(9, 20), shot(12, 20)), 2 * SECOND_US)
@example(in_order(shot(0, cars=0), shot(10, cars=0), shot(6, 12)), 2 * SECOND_US)
@example(in_order(shot(9.9, 0), shot(0, 10.5), shot(3, 12)), 2 * SECOND_US)
def test_a_steady_stream_does_not_feel_the_rule(log: list[Entry], lateness_us: int) -> None:
    assume(max(steps_us(log).values()) <= 10 * SECOND_US)
    limits = Limits(lateness_us=lateness_us)
    assert all_of(log, limits) == all_of(log, replace(limits, jump_us=NEVER_US))


@given(streams(SLOW_MS, delays_ms=SHUFFLED_MS, with_speed=False))
@settings(PATIENT, max_examples=25)
def test_slow_cameras_are_the_oracle_s(log: list[Entry]) -> None:
    assert_is_the_oracles(log)


def finals(log: list[Entry]) -> dict[int, int]:
    """By the second in which a window begins, the offset that makes it final."""
    return {(key_of(row).start_us - T0_US) // SECOND_US: offset for offset, row in one_by_one(log).rows}


@pytest.mark.parametrize("gap_s", [10.1, 11, 12.5, 29, 60, 600, 3600])
@pytest.mark.parametrize("straggler_s", [None, 1, 4, 9.9])
def test_a_true_jump_is_followed_at_its_second_picture(gap_s: float, straggler_s: float | None) -> None:
    before = [shot(second) for second in range(10)]
    back_s = 9 + gap_s
    first, second = shot(back_s), shot(back_s + 1)
    # one that was held up on the way, from before the first, does as well as a later one
    confirming = second if straggler_s is None else shot(back_s - straggler_s, back_s + 1)
    log: list[Entry] = [Tick(T0_US // 1000), *before, first, confirming, second]
    found = finals(log)
    assert found[0] == 1 + 7
    if straggler_s is None or gap_s - straggler_s > 10:
        assert found[5] == log.index(confirming)


def test_a_jump_is_not_followed_at_one_picture_however_many_detections_it_has() -> None:
    once = shot(100, cars=5)
    each = [replace(once, form="nested", seen=(seen,)) for seen in once.seen]
    log: list[Entry] = [shot(0), shot(1), once, *each, shot(0.5, 100), shot(2, 100)]
    assert finals(log) == {}
    assert one_by_one(log).counted == 4 + 5
