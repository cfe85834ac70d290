from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trafficapp.alarms.load import MINUTE_US, WINDOW_US, load_of

_HOUR_US = 60 * MINUTE_US


def test_a_flood_begins_above_ten_and_ends_below_five() -> None:
    # eleven in the tenth minute, then four more in the fifteenth
    raised = [9 * MINUTE_US + number for number in range(11)] + [15 * MINUTE_US + number for number in range(4)]

    found = load_of(raised, 0, _HOUR_US)

    # windows of 10..19 hold the eleven; from 20 on only four are left, which is no flood any more
    assert (found.peak, found.share_in_flood) == (15, 10 / 51)
    assert (found.mean, found.newest, found.flood_since_us) == (15 / 6, 0, None)


def test_five_in_a_window_keep_a_flood_up_and_ten_do_not_begin_one() -> None:
    eleven = [number for number in range(11)]
    five_a_window = [number * 2 * MINUTE_US for number in range(1, 30)]

    assert load_of(sorted(eleven + five_a_window), 0, _HOUR_US).flood_since_us == 10 * MINUTE_US
    assert load_of(eleven[1:], 0, _HOUR_US).share_in_flood == 0


@given(st.lists(st.integers(0, _HOUR_US - 1)), st.integers(0, 50))
def test_the_fullest_window_is_that_of_counting_each(raised: list[int], minutes: int) -> None:
    until = WINDOW_US + minutes * MINUTE_US + 7
    mine = sorted(one for one in raised if one < until)

    ends = [until - number * MINUTE_US for number in range(minutes + 1)]

    assert load_of(mine, 0, until).peak == max(sum(end - WINDOW_US <= one < end for one in mine) for end in ends)


def test_less_than_a_window_has_no_load() -> None:
    with pytest.raises(ValueError, match="ten minutes"):
        load_of([], 0, WINDOW_US - 1)
