from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trafficapp.analytics.spans import HOUR, Grain, Span, cut

BASE = datetime(2026, 3, 28, 22, tzinfo=UTC)
seconds = st.integers(0, 8 * 3600)


def count(span: Span, moment: datetime) -> int:
    """How often a moment is counted."""
    whole = int(span.first_hour <= moment < span.end_hour)
    return whole + sum(
        piece.sign for edge in span.edges for piece in edge.pieces() if piece.start <= moment < piece.end
    )


@given(seconds, seconds, st.lists(seconds, min_size=1, max_size=20))
def test_every_moment_of_a_range_is_counted_once_and_no_other(first: int, last: int, moments: list[int]) -> None:
    if first == last:
        return
    start, end = (BASE + timedelta(seconds=value) for value in sorted((first, last)))
    span = cut(start, end)
    tick = timedelta(microseconds=1)
    for moment in [*(BASE + timedelta(seconds=value) for value in moments), start, start - tick, end, end - tick]:
        assert count(span, moment) == int(start <= moment < end)


@given(seconds, seconds)
def test_pieces_stay_in_their_hour_and_are_whole_minutes_or_less_than_one(first: int, last: int) -> None:
    if first == last:
        return
    start, end = (BASE + timedelta(seconds=value) for value in sorted((first, last)))
    for edge in cut(start, end).edges:
        for piece in edge.pieces():
            assert edge.hour <= piece.start < piece.end <= edge.hour + HOUR
            if piece.grain is Grain.MINUTES:
                assert piece.start.second == piece.end.second == 0
                assert piece.end - piece.start <= timedelta(minutes=30)
            if piece.grain is Grain.WINDOWS:
                assert piece.end - piece.start <= timedelta(seconds=30)


def test_whole_hours_have_no_edges() -> None:
    assert cut(BASE, BASE + 3 * HOUR).edges == ()


def test_a_range_at_the_end_of_the_calendar_is_refused() -> None:
    with pytest.raises(OverflowError):
        cut(datetime(9999, 12, 31, 23, 10, tzinfo=UTC), datetime(9999, 12, 31, 23, 50, tzinfo=UTC))
