"""Ticks with a wrong time: what silence decides is off by two seconds at most, and right again afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.windows.entries import Entry, Tick
from tests.windows.oracle import RowKey, key_of
from tests.windows.streams import in_order, shot, streams
from tests.windows.test_against_oracle import PATIENT, assert_is_the_oracles, one_by_one

_MINUTE_MS = 60_000

#: How wrong a tick's time is.
WRONG_MS = [50 * _MINUTE_MS, -50 * _MINUTE_MS, 3_600_000, 5000, -5000, 1500, -1500, 10**12, -(10**12)]


@dataclass(frozen=True)
class Disturbance:
    """Ticks with a wrong time in a log: before which entries, and how wrong they are."""

    places: tuple[tuple[int, int], ...]

    def applied_to(self, log: Sequence[Entry]) -> tuple[list[Entry], dict[int, int]]:
        """The log with the wrong ticks, and by offset in it the broker's true time in milliseconds."""
        disturbed: list[Entry] = []
        true_ms: dict[int, int] = {}
        wrong = dict(self.places)
        for place, entry in enumerate(log):
            if place in wrong:
                true_ms[len(disturbed)] = entry.record_ms
                disturbed.append(Tick(max(entry.record_ms + wrong[place], 1), key=b"a", value=None))
            true_ms[len(disturbed)] = entry.record_ms
            disturbed.append(entry)
        return disturbed, true_ms


@st.composite
def disturbances(draw: st.DrawFn, log: Sequence[Entry]) -> Disturbance:
    """One wrong tick, anywhere behind the first one."""
    return Disturbance(((draw(st.integers(1, len(log) - 1)), draw(st.sampled_from(WRONG_MS))),))


@st.composite
def disturbed(draw: st.DrawFn) -> tuple[list[Entry], Disturbance]:
    log = draw(streams([500, 2500, 9000]))
    return log, draw(disturbances(log))


def told_ms(log: list[Entry], true_ms: dict[int, int]) -> dict[RowKey | str, list[int]]:
    """When each row came and each camera was missed, by the broker's true time."""
    applied = one_by_one(log)
    found: dict[RowKey | str, list[int]] = {}
    for offset, row in applied.rows:
        found.setdefault(key_of(row), []).append(true_ms[offset])
    for offset, alert in applied.alerts:
        found.setdefault(f"{alert.action} {alert.camera_id}", []).append(true_ms[offset])
    return found


SEEN_ONCE = in_order(shot(0), shot(3), shot(5.5))


@given(disturbed())
@settings(PATIENT, max_examples=60)
@example((SEEN_ONCE, Disturbance(((8, 50 * _MINUTE_MS),))))
@example((SEEN_ONCE, Disturbance(((8, -50 * _MINUTE_MS),))))
def test_one_wrong_tick_moves_what_silence_decides_by_two_seconds_at_most(
    log_and_disturbance: tuple[list[Entry], Disturbance],
) -> None:
    log, disturbance = log_and_disturbance
    right = told_ms(log, {offset: entry.record_ms for offset, entry in enumerate(log)})
    found = told_ms(*disturbance.applied_to(log))
    # a picture that comes as a camera is being closed may come before or behind it
    assert found.keys() == right.keys()
    for what, moments in right.items():
        pairs = zip(found[what], moments, strict=True)
        assert all(abs(one - other) <= 2000 for one, other in pairs), (what, found[what], moments)


def closed_at_s(ticks_ms: Sequence[int]) -> float | None:
    """When the window of a car that was seen with the first tick is closed, seconds since then."""
    begin_ms = shot(0).record_ms
    log: list[Entry] = [Tick(begin_ms), shot(0), *(Tick(begin_ms + tick_ms) for tick_ms in ticks_ms)]
    for offset, _ in one_by_one(log).rows:
        return (log[offset].record_ms - begin_ms) / 1000
    return None


def seconds(first: int, last: int) -> Iterator[int]:
    return iter(range(first * 1000, last * 1000 + 1, 1000))


@pytest.mark.parametrize(
    ("ticks_ms", "closed_s"),
    [
        ([*seconds(1, 20)], 10),
        # 50 minutes ahead between two right ones: 2 s for it, nothing for the next
        ([*seconds(1, 5), 50 * _MINUTE_MS, *seconds(6, 20)], 9),
        # and back: nothing for it, 2 s for the next
        ([*seconds(1, 5), -50 * _MINUTE_MS, *seconds(6, 20)], 9),
        # a clock that stays ahead from then on goes on with its own seconds
        ([*seconds(1, 5), *(50 * _MINUTE_MS + one for one in seconds(6, 20))], 50 * 60 + 9),
        # ticks far apart move it by 2 s each
        ([10_000, 20_000, 30_000, 40_000, 50_000, 60_000], 50),
        # none at all, whatever passes
        ([3_600_000], None),
    ],
)
def test_by_hand(ticks_ms: list[int], closed_s: float | None) -> None:
    assert closed_at_s(ticks_ms) == closed_s


def test_a_record_stands_as_far_behind_its_tick_as_the_broker_says_and_two_seconds_at_most() -> None:
    begin_ms = shot(0).record_ms
    for behind_ms, closed_s in ((0, 10), (900, 11), (1900, 12), (600_000, 12)):
        late = shot(0, behind_ms / 1000)
        log: list[Entry] = [Tick(begin_ms), late, *(Tick(begin_ms + tick_ms) for tick_ms in seconds(1, 20))]
        ((offset, _),) = one_by_one(log).rows
        assert log[offset].record_ms == begin_ms + closed_s * 1000


@given(disturbed())
@settings(PATIENT, max_examples=40)
def test_logs_with_wrong_ticks_are_the_oracle_s(log_and_disturbance: tuple[list[Entry], Disturbance]) -> None:
    log, disturbance = log_and_disturbance
    assert_is_the_oracles(disturbance.applied_to(log)[0])
