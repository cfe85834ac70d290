"""Simulated traffic is acceptable, in order, and moves as fast as it says."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from itertools import islice, pairwise, takewhile
from statistics import mean
from typing import Any

from models.cameras.detections import DetectionDecoder
from trafficapp.settings import Settings
from trafficapp.sources.outgoing import Outgoing
from trafficapp.sources.simulated import SimulatedTraffic

DECODER = DetectionDecoder(Settings.model_fields["vehicle_classes"].default, 400.0)
START_US = 1_768_374_000_000_000


def fields(message: Outgoing) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(message.value or b"")
    return decoded


def minute(**arguments: Any) -> list[Outgoing]:
    traffic = SimulatedTraffic(**{"cameras": 4, "rate": 10.0, "seed": 3, **arguments})
    return list(takewhile(lambda message: message.event_time_us < START_US + 60_000_000, traffic.messages(START_US)))


def test_every_message_is_acceptable_and_in_order() -> None:
    messages = minute(lanes=True)
    times = [message.event_time_us for message in messages]
    assert times == sorted(times)
    for message in messages:
        detection, rejected = DECODER.decode(message.value)
        assert rejected == []
        assert detection.camera_id.encode() == message.key


def test_the_rate_is_kept_for_each_camera() -> None:
    for rate in (0.5, 3.0, 10.0):
        counts = Counter(message.key for message in minute(rate=rate))
        assert len(counts) == 4
        assert all(abs(count - rate * 60) <= rate * 2 + 1 for count in counts.values())


def test_the_way_of_the_centroid_gives_the_speed() -> None:
    before: dict[str, dict[str, Any]] = {}
    speeds: list[float] = []
    for now in map(fields, minute(cameras=1)):
        if last := before.get(now["vehicle_id"]):
            metres = (now["centroid"]["x"] - last["centroid"]["x"]) * 0.05
            speed_kmh = metres / (now["timestamp"] - last["timestamp"]) * 3600
            assert math.isclose(speed_kmh, now["speed_estimate"], abs_tol=0.5)
            speeds.append(speed_kmh)
        before[now["vehicle_id"]] = now
    assert min(speeds) < 5 < 10 < mean(speeds) < 50
    assert max(speeds) <= 60.5


def test_vehicles_of_a_lane_do_not_drive_through_each_other() -> None:
    pictures = defaultdict(list)
    for now in map(fields, minute(cameras=1, rate=40.0, lanes=True)):
        pictures[now["timestamp"], now["lane_id"]].append((now["bbox"]["x"], now["bbox"]["x"] + now["bbox"]["w"]))
    gaps = [ahead[0] - behind[1] for boxes in pictures.values() for behind, ahead in pairwise(sorted(boxes))]
    assert len(gaps) > 1000
    assert min(gaps) >= 39.8  # written with one decimal


def test_lanes_and_speeds_are_optional_and_the_seed_repeats() -> None:
    plain = fields(minute(speeds=False)[0])
    assert not {"lane_id", "speed_estimate"} & plain.keys()
    assert {fields(message)["lane_id"] for message in minute(lanes=True)} == {0, 1, 2}
    assert minute() == minute()
    assert list(islice(minute(seed=4), 9)) != list(islice(minute(), 9))
