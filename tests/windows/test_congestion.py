"""Scores worked out by hand, and the thresholds."""

from __future__ import annotations

import pytest

from trafficapp.windows.congestion import CongestionScale


@pytest.mark.parametrize(
    ("count", "speed_kmh", "stopped", "score"),
    [
        (0, 60.0, 0.0, 0.0),
        (50, 0.0, 1.0, 1.0),
        (25, 30.0, 0.5, 0.5),  # 0.4·0.5 + 0.4·0.5 + 0.2·0.5
        (100, 120.0, 0.0, 0.4),  # both shares end at 1
        (7, 41.3, 0.125, 0.2057),  # 0.056 + 0.12466… + 0.025
        (1, None, None, None),
    ],
)
def test_score(count: int, speed_kmh: float | None, stopped: float | None, score: float | None) -> None:
    assert CongestionScale().score(count, speed_kmh, stopped) == score


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (None, "UNKNOWN"),
        (0.0, "LOW"),
        (0.2999, "LOW"),
        (0.30, "MODERATE"),
        (0.5499, "MODERATE"),
        (0.55, "HIGH"),
        (0.7999, "HIGH"),
        (0.80, "SEVERE"),
        (1.0, "SEVERE"),
    ],
)
def test_level(score: float | None, level: str) -> None:
    assert CongestionScale().level(score) == level


def test_constants_can_be_others() -> None:
    scale = CongestionScale(max_count=10, max_speed_kmh=100.0, moderate=0.1, high=0.2, severe=0.3)
    assert scale.score(5, 50.0, 0.0) == 0.4
    assert scale.level(0.25) == "HIGH"
