"""The clock of an inner partition: it follows the furthest behind, and no gap moves it far."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trafficapp.feeds.clock import ClockState, SilenceClock, Tick, decode_tick, encode_tick

SECOND = 1_000_000
BEGIN = 1_700_000_000 * SECOND


def at(seconds: float, partition: int = 0, feed: str = "one", partitions: int = 2) -> Tick:
    return Tick(feed, partition, partitions, BEGIN + round(seconds * SECOND))


def test_it_shows_nothing_before_every_partition_was_heard() -> None:
    clock = SilenceClock(["one", "other"], 5.0)
    assert not clock.take(at(0))
    assert not clock.take(at(1, partition=1))
    assert not clock.take(at(2))
    assert clock.clock_us == 0
    assert clock.take(at(3, feed="other", partitions=1))
    assert clock.clock_us == BEGIN + 1 * SECOND


def test_it_follows_the_furthest_behind() -> None:
    clock = SilenceClock(["one"], 5.0)
    clock.take(at(0))
    clock.take(at(0, 1))
    assert not clock.take(at(5))
    assert not clock.take(at(10))
    assert clock.take(at(4, 1))
    assert clock.clock_us == BEGIN + 4 * SECOND


def test_an_outage_moves_it_no_further_than_two_intervals() -> None:
    clock = SilenceClock(["one"], 5.0)
    for seconds in (0, 600):
        clock.take(at(seconds))
        clock.take(at(seconds, 1))
    assert clock.clock_us == BEGIN + 10 * SECOND


def test_a_partition_that_was_added_is_waited_for() -> None:
    clock = SilenceClock(["one"], 5.0)
    clock.take(at(0))
    clock.take(at(0, 1))
    assert not clock.take(at(5, 0, partitions=3))
    assert not clock.take(at(5, 1, partitions=3))
    assert clock.take(at(5, 2, partitions=3))
    assert clock.clock_us == BEGIN + 5 * SECOND


def test_what_a_feed_said_that_sends_no_more_holds_nothing_up() -> None:
    clock = SilenceClock(["one", "other"], 5.0)
    for tick in (at(0), at(0, 1), at(0, feed="other", partitions=1)):
        clock.take(tick)
    alone = SilenceClock(["one"], 5.0, clock.state)
    alone.take(at(5))
    assert alone.take(at(5, 1))
    assert not alone.take(at(9, feed="other", partitions=1))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 120)), max_size=40), st.integers(0, 40))
def test_it_never_goes_back_and_goes_on_from_what_is_remembered(told: list[tuple[int, int]], crash: int) -> None:
    through, crashed = SilenceClock(["one"], 5.0), SilenceClock(["one"], 5.0)
    shown = 0
    for number, (partition, seconds) in enumerate(told):
        if number == crash:
            state = crashed.state
            crashed = SilenceClock(["one"], 5.0, ClockState(state.clock_us, state.least_us, dict(state.heard)))
        tick = decode_tick(encode_tick(at(seconds, partition, partitions=3)))
        assert through.take(tick) == crashed.take(tick)
        assert through.clock_us == crashed.clock_us >= shown
        shown = through.clock_us
