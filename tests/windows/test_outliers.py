"""One picture with a wrong clock, within what the broker's time allows, costs nothing but itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cameras.window_rows import WindowRow
from tests.windows.entries import SECOND_US, T0_US, Entry, Picture, Seen
from tests.windows.oracle import Refusal, RowKey, key_of, refusal_of
from tests.windows.streams import OUTLIERS_MS, Outlier, beside, in_order, outliers, shot, streams
from tests.windows.test_against_oracle import PATIENT, Applied, assert_is_the_oracles, one_by_one

#: Never more than `windows.jump_seconds` apart, as they arrive.
STEADY_MS = [500, 1000, 2500, 6000, 9000]

Disturbed = tuple[list[Entry], Outlier]


@st.composite
def disturbed(draw: st.DrawFn, *, with_speed: bool = True) -> Disturbed:
    """A log, and a picture with a wrong clock for it."""
    log = draw(streams(STEADY_MS, with_speed=with_speed))
    return log, draw(outliers(log, with_speed=with_speed))


def other_rows(applied: Applied, outlier: Outlier, *, shift: int = 0) -> dict[tuple[int, RowKey], WindowRow]:
    """Rows with their offsets in the log without the outlier, but those of the outlier's own window."""
    found = {}
    for offset, row in applied.rows:
        key = key_of(row)
        if (key.camera_id, key.start_us) != (outlier.camera_id, outlier.window_us):
            found[offset - shift if offset >= outlier.at else offset, key] = row
    return found


def other_letters(applied: Applied, outlier: Outlier, *, shift: int = 0) -> list[Refusal]:
    """Dead letters, but those of what stands in the outlier's place."""
    place = range(outlier.at, outlier.at + len(outlier.messages) if shift or not outlier.is_first else outlier.at)
    letters = [refusal_of(letter) for letter in applied.letters if letter.offset not in place]
    return [one._replace(offset=one.offset - shift) if one.offset >= outlier.at else one for one in letters]


def assert_costs_nothing(log: list[Entry], outlier: Outlier) -> None:
    """Compare everything with and without an outlier, and when it came."""
    with_it, without_it = (one_by_one(one) for one in beside(log, outlier))
    shift = len(outlier.messages) if outlier.is_first else 0
    right, found = other_rows(without_it, outlier), other_rows(with_it, outlier, shift=shift)
    times = {one.time_us for one in log if isinstance(one, Picture) and one.camera_id == outlier.camera_id}
    if len(times) == 1:
        # nothing tells which of the two clocks was right; both windows are closed by silence, when both may be over
        right, found = ({(0, key): row for (_, key), row in rows.items()} for rows in (right, found))
    assert found == right
    assert other_letters(with_it, outlier, shift=shift) == other_letters(without_it, outlier)


@given(disturbed())
@settings(PATIENT, max_examples=80)
def test_at_any_place_of_a_stream(disturbed: Disturbed) -> None:
    assert_costs_nothing(*disturbed)


@given(disturbed(with_speed=False))
@settings(PATIENT, max_examples=40)
def test_also_where_speeds_are_estimated(disturbed: Disturbed) -> None:
    assert_costs_nothing(*disturbed)


@given(disturbed(with_speed=False))
@settings(PATIENT, max_examples=40)
def test_logs_with_outliers_are_the_oracles(disturbed: Disturbed) -> None:
    log, outlier = disturbed
    assert_is_the_oracles(beside(log, outlier)[0])


def minute(*, until: int = 20) -> list[Picture]:
    """A picture each second."""
    return [shot(second) for second in range(until)]


def own_of(*messages: Picture) -> Outlier:
    return Outlier(0, messages, is_first=False)


def rows_of(*pictures: Picture) -> dict[RowKey, WindowRow]:
    rows = {key_of(row): row for _, row in one_by_one(in_order(*pictures)).rows}
    return rows


def assert_rows_but_its_own(pictures: list[Picture], *messages: Picture) -> None:
    """All rows but those of the outlier's window are those without it."""
    own = own_of(*messages)
    found, right = rows_of(*pictures, *messages), rows_of(*pictures)
    for rows in (found, right):
        for key in [key for key in rows if key.start_us == own.window_us]:
            del rows[key]
    assert found == right
    assert right


@pytest.mark.parametrize("ahead_ms", OUTLIERS_MS)
@pytest.mark.parametrize("said_at", [0.5, 7.5, 19.5])
def test_in_the_midst_of_a_stream(ahead_ms: int, said_at: float) -> None:
    assert_rows_but_its_own(minute(), shot(int(said_at) + ahead_ms / 1000, said_at))


@pytest.mark.parametrize("ahead_ms", OUTLIERS_MS)
def test_as_the_first_picture(ahead_ms: int) -> None:
    assert_rows_but_its_own(minute(), shot(ahead_ms / 1000, -0.5))


@pytest.mark.parametrize("ahead_ms", OUTLIERS_MS)
def test_as_the_first_picture_and_the_only_other_one_follows(ahead_ms: int) -> None:
    assert_rows_but_its_own([shot(0)], shot(ahead_ms / 1000, -0.5))


@pytest.mark.parametrize("ahead_ms", OUTLIERS_MS)
def test_as_single_detections_of_one_picture_as_a_frame_and_sent_twice(ahead_ms: int) -> None:
    frame = shot(7 + ahead_ms / 1000, 7.5, cars=4)
    single = [replace(frame, form="nested", seen=(seen,)) for seen in frame.seen]
    assert_rows_but_its_own(minute(), frame)
    assert_rows_but_its_own(minute(), *single)
    assert_rows_but_its_own(minute(), frame, replace(frame, record_ms=frame.record_ms + 3000))
    assert_rows_but_its_own(minute(), *single, *(replace(one, record_ms=one.record_ms + 3000) for one in single))


@pytest.mark.parametrize("ahead_ms", OUTLIERS_MS)
@pytest.mark.parametrize("gap_s", [70, 90, 3600])
def test_before_a_silence_that_closes_everything(ahead_ms: int, gap_s: int) -> None:
    again = [shot(19 + gap_s + second) for second in range(20)]
    assert_rows_but_its_own([*minute(), *again], shot(19 + ahead_ms / 1000, 19.5))


@pytest.mark.parametrize("gap_s", [11, 13, 15, 18, 20, 25, 30, 40, 55, 65])
def test_before_a_silence_that_closes_the_camera_s_windows(gap_s: int) -> None:
    again = [shot(19 + gap_s + second) for second in range(20)]
    for ahead_s in (10.1, 12, 15, 18, 20, 25, 30, 35, 45, 59.9):
        assert_rows_but_its_own([*minute(), *again], shot(19 + ahead_s, 19.5))


@pytest.mark.parametrize("period_s", [11, 12, 15, 20, 25, 30])
def test_of_a_camera_whose_pictures_are_further_apart_than_a_jump(period_s: int) -> None:
    pictures = [shot(number * period_s) for number in range(8)]
    for ahead_s in (10.1, 12, 15, 18, 20, 25, 29.9, 35, 45, 59.9):
        assert_rows_but_its_own(pictures, shot(3 * period_s + ahead_s, 3 * period_s + 0.5))


def test_a_straggler_counts_as_it_would_without_the_outlier() -> None:
    pictures = [*minute(), shot(14.2, 18.6), shot(12.9, 18.7)]
    assert_rows_but_its_own(pictures, shot(18 + 31, 18.5))


def test_its_own_window_keeps_what_the_camera_really_sees_then() -> None:
    outlier = replace(shot(30.5, 7.5), frame_id=9999, seen=(Seen("ghost", "bus", 90.0),))
    rows = rows_of(*[shot(second) for second in range(40)], outlier)
    row = rows[RowKey("a", T0_US + 30 * SECOND_US, None)]
    assert (row.detections, row.counts_by_class) == (6, {"car": 1, "bus": 1})


def test_a_window_that_only_an_outlier_opened_is_closed_when_the_camera_may_be_there() -> None:
    log = in_order(*minute(until=10), shot(9 + 45, 9.5))
    made = [(key_of(row).start_us, log[offset].record_ms) for offset, row in one_by_one(log).rows]
    ended = {(start_us - T0_US) // SECOND_US: (at_ms * 1000 - T0_US) / SECOND_US for start_us, at_ms in made}
    # silent since 9.5 s; the camera's time is that of second 9, and the window begins 41 s beyond it
    assert ended == {0: 7.0, 5: 20.0, 50: 9 + 10 + 41}
