"""Messages are due by the clock, from the first one on."""

from __future__ import annotations

import pytest

from trafficapp.sources.pacing import Pace


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_event_seconds_pass_at_the_speed_from_the_first_message_on() -> None:
    clock = Clock()
    pace = Pace(10.0, clock)
    assert pace.due_in(5_000_000) == 0
    assert pace.due_in(25_000_000) == pytest.approx(2.0)
    clock.seconds += 1.5
    assert pace.due_in(25_000_000) == pytest.approx(0.5)
    clock.seconds += 5
    assert pace.due_in(25_000_000) < 0


def test_without_a_speed_everything_is_due() -> None:
    pace = Pace(None)
    assert pace.due_in(0) == pace.due_in(10**15) == 0


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_is_positive(speed: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Pace(speed)
