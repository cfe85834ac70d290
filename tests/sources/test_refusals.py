"""What of a replay the application refuses is counted as the windows would count it."""

from __future__ import annotations

import io
import json
import time
from itertools import islice
from typing import Any

import pytest
from rich.console import Console

from tests.windows.entries import PlainRecord, fresh
from trafficapp.settings import load_settings
from trafficapp.sources.delivery import Delivery
from trafficapp.sources.faults import Spoiler
from trafficapp.sources.outgoing import Outgoing
from trafficapp.sources.progress import SendingProgress
from trafficapp.sources.recordings import open_recording, play, slice_path
from trafficapp.sources.refusals import Refusals


def looked_at(messages: list[Outgoing]) -> Refusals:
    refusals = Refusals(load_settings())
    for message in messages:
        refusals.look_at(message)
    refusals.read()
    return refusals


@pytest.mark.parametrize("frames", [False, True])
def test_it_counts_what_the_windows_refuse(frames: bool) -> None:
    recording = open_recording(slice_path(), cameras=["cam_01"], frames=frames)
    messages = list(islice(Spoiler(0.3, seed=4).spoil_some(play(recording)), 3000))
    windows = fresh()
    log = [
        PlainRecord(offset, message.event_time_us // 1000, message.key, message.value)
        for offset, message in enumerate(messages)
    ]
    outcome = windows.apply(log)
    refusals = looked_at(messages)
    assert refusals.messages == len(outcome.dead_letters) > 100
    assert refusals.detections.total() == sum(message.detections for message in messages) - outcome.counted


def detection(**fields: Any) -> Outgoing:
    now_ms = time.time_ns() // 1_000_000
    told = {"camera_id": "a", "timestamp": now_ms, "frame_id": 1, "vehicle_id": "v", "class": "car", "confidence": 0.9}
    told |= {"bbox": {"x": 1, "y": 2, "w": 3, "h": 4}} | fields
    return Outgoing(now_ms * 1000, b"a", json.dumps(told).encode(), 1)


def test_what_lies_in_the_future_and_stands_under_another_key_is_refused_too() -> None:
    ahead_ms = time.time_ns() // 1_000_000 + 120_000
    refusals = looked_at([detection(), detection(timestamp=ahead_ms), detection(camera_id="b"), detection(lane_id="1")])
    assert refusals.detections == {"future": 1, "key_mismatch": 1}


def test_messages_of_other_topics_are_none_of_it() -> None:
    assert looked_at([detection(vehicle_id=None)._replace(topic="traffic-raw")]).messages == 0


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([detection(), detection()], ["2 acknowledged, 0 rejected; whether any is late or repeated only shows when"]),
        (
            [detection(), detection(vehicle_id=None)],
            ["2 acknowledged by Kafka, 1 detections refused by the application (invalid_field 1)"],
        ),
        (
            [detection(vehicle_id=None)] * 3,
            ["3 detections refused by the application (invalid_field 3): it takes nothing of this"],
        ),
    ],
)
def test_the_last_line_tells_it(messages: list[Outgoing], words: list[str]) -> None:
    class Sent(Delivery):
        @property
        def in_flight(self) -> int:
            return 0

    delivery, out = Sent(load_settings(kafka={"bootstrap_servers": "127.0.0.1:1"}), "any"), io.StringIO()
    delivery.sent = len(messages)
    progress = SendingProgress(delivery, None, Console(file=out, width=500), looked_at(messages))
    progress.finish(len(messages))
    assert all(word in out.getvalue() for word in words), out.getvalue()
    assert ("0 rejected" in out.getvalue()) is ("refused" not in out.getvalue())
