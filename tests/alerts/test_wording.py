"""What alerts say to people."""

from __future__ import annotations

import pytest

from trafficapp.alerts.wording import duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.5, "0.5 s"),
        (25, "25 s"),
        (60, "1 min"),
        (95, "1 min 35 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        # two parts at most
        (7507, "2 h 5 min"),
        (7207, "2 h 7 s"),
    ],
)
def test_a_length_of_time_is_said_in_two_parts_at_most(seconds: float, said: str) -> None:
    assert duration(seconds) == said
