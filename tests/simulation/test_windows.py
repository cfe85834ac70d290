"""History of cameras is what live cameras would have seen."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pytest

from models.timestamps import epoch_us
from trafficapp.simulation.city import City, Floats
from trafficapp.simulation.days import simulate_days
from trafficapp.simulation.live import LiveCity
from trafficapp.simulation.views import CameraView
from trafficapp.simulation.windows import Windows, lane_windows
from trafficapp.topics import EVENTS_RAW
from trafficapp.windows.congestion import CongestionScale

START = datetime(2026, 11, 18, 7, 30, tzinfo=UTC)
MINUTES = 15
SEED = 5
SCALE = CongestionScale()

Views = tuple[CameraView, ...]


def history(city: City, views: Views, rome: ZoneInfo, start: datetime, minutes: int) -> Windows:
    (traffic,) = simulate_days(city, SEED, start, start + timedelta(minutes=minutes), rome)
    return lane_windows(city, views, traffic, [SCALE] * len(views))


@pytest.fixture(scope="module")
def past(city: City, views: Views, rome: ZoneInfo) -> Windows:
    return history(city, views, rome, START, MINUTES)


def live_scores(city: City, views: Views, rome: ZoneInfo) -> Floats:
    """Scores of what is sent live, shape (windows, lanes)."""
    lane_of = {key: place for place, key in enumerate((v.camera_id, lane.lane_id) for v in views for lane in v.lanes)}
    first_us = epoch_us(START)
    seen = defaultdict(list)
    sent = LiveCity(city, views, SEED, rome).messages(first_us)
    for message in takewhile(lambda each: each.event_time_us < first_us + MINUTES * 60_000_000, sent):
        if message.topic == EVENTS_RAW:
            event = orjson.loads(message.value or b"")
            window = (message.event_time_us - first_us) // 5_000_000
            lane = lane_of[event["camera_id"], event["lane_id"]]
            seen[window, lane].append((event["vehicle_id"], event["speed_estimate"]))
    scores = np.full((MINUTES * 12, len(lane_of)), np.nan)
    for place, detections in seen.items():
        vehicles, speeds = {vehicle for vehicle, _ in detections}, [speed for _, speed in detections]
        standing = sum(speed < 5 for speed in speeds) / len(speeds)
        score = SCALE.score(len(vehicles), float(np.mean(speeds)), standing)
        assert score is not None
        scores[place] = score
    return scores


def by_minute(scores: Floats) -> Floats:
    windows = scores.reshape(MINUTES, 12, -1)
    known = np.isfinite(windows).sum(1)
    return np.where(known > 0, np.nansum(windows, axis=1) / np.maximum(known, 1), np.nan)


def test_minutes_vary_as_live_and_are_the_same_on_average(
    city: City, views: Views, rome: ZoneInfo, past: Windows
) -> None:
    live, then = by_minute(live_scores(city, views, rome)), by_minute(past.score)
    spreads = [float(np.nanstd(np.diff(scores, axis=0))) for scores in (live, then)]
    assert spreads[1] == pytest.approx(spreads[0], rel=0.15)
    both = np.isfinite(live) & np.isfinite(then)
    assert abs((live - then)[both].mean()) < 0.02


def test_a_minute_is_the_same_however_the_day_is_cut(city: City, views: Views, rome: ZoneInfo, past: Windows) -> None:
    longer = history(city, views, rome, START - timedelta(minutes=95), 95 + MINUTES - 5)
    shorter = past.cut(slice(0, (MINUTES - 5) * 12))
    for name, values in vars(longer.cut(slice(95 * 12, None))).items():
        np.testing.assert_array_equal(values, getattr(shorter, name), name)
