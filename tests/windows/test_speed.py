"""Speed from two sightings."""

from __future__ import annotations

import pytest

from tests.windows.entries import SECOND_US
from trafficapp.windows.speed import Sighting, SpeedEstimator

ESTIMATOR = SpeedEstimator(pixel_to_meter=0.05, forget_after_us=30 * SECOND_US, max_kmh=400.0)


@pytest.mark.parametrize(
    ("before", "now", "speed_kmh"),
    [
        ((0, 0.0, 0.0), (SECOND_US, 30.0, 40.0), 9.0),  # 50 px are 2.5 m, in one second
        ((0, 0.0, 0.0), (SECOND_US // 2, 30.0, 40.0), 18.0),
        ((0, 5.0, 5.0), (SECOND_US, 5.0, 5.0), 0.0),
        ((0, 0.0, 0.0), (30 * SECOND_US, 600.0, 0.0), 3.6),
        ((0, 0.0, 0.0), (30 * SECOND_US + 1, 600.0, 0.0), None),  # too long ago
        ((SECOND_US, 0.0, 0.0), (SECOND_US, 30.0, 40.0), None),  # the same moment
        ((SECOND_US, 0.0, 0.0), (0, 30.0, 40.0), None),  # out of order
        ((0, 0.0, 0.0), (SECOND_US, 3000.0, 0.0), None),  # 540 km/h: another vehicle
        (None, (0, 0.0, 0.0), None),
    ],
)
def test_estimate(before: Sighting | None, now: Sighting, speed_kmh: float | None) -> None:
    found = ESTIMATOR.estimate_kmh(before, now)
    assert found == (None if speed_kmh is None else pytest.approx(speed_kmh))
