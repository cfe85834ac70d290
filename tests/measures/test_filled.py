"""What is filled in says how, and changes nothing that was measured."""

from __future__ import annotations

import numpy as np

from trafficapp.measures.filled import filled_speeds
from trafficapp.measures.paces import MeasuredRoad, StepPaces


def test_each_gap_is_filled_by_the_nearest_method() -> None:
    roads = [
        MeasuredRoad("a", "a", 100.0, 50.0, begin=0, end=1),
        MeasuredRoad("b", "b", 100.0, 100.0, begin=1, end=2),
        MeasuredRoad("alone", "alone", 100.0, 50.0, begin=8, end=9),
        MeasuredRoad("never", "never", 100.0, 50.0),
    ]
    speeds = np.full((12, 4), 40.0)
    speeds[:, 3] = np.nan
    # a short gap, a long one beside a road that was measured, and one of a road that touches none
    speeds[2:4, 0] = np.nan
    speeds[6:11, 1] = np.nan
    speeds[1:11, 2] = np.nan
    speeds[0, 2] = speeds[11, 2] = 20.0
    paces = StepPaces(roads, 0, 300, 1 / speeds)
    before = paces.hours_per_km.copy()
    found = filled_speeds(paces)
    assert np.array_equal(paces.hours_per_km, before, equal_nan=True)
    told = {(one.road_id, one.start): (one.filled_kmh, one.method) for one in found}
    assert told["a", "1970-01-01T00:10:00Z"] == (40.0, "interpolated")
    # a has 40 of 50 km/h then, so b is taken to have 80 of 100
    assert told["b", "1970-01-01T00:40:00Z"] == (80.0, "neighbours")
    assert told["alone", "1970-01-01T00:30:00Z"] == (20.0, "usual")
    assert len(found) == 2 + 5 + 10
    assert not any(road == "never" for road, _ in told)
