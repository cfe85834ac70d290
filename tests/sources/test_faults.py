"""Broken messages are refused for the reason for which they were broken."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from models.cameras.detections import DetectionDecoder, Rejected
from models.timestamps import epoch_us
from trafficapp.settings import Settings
from trafficapp.sources.faults import Spoiler
from trafficapp.sources.outgoing import Outgoing
from trafficapp.sources.recordings import open_recording, play, slice_path

DECODER = DetectionDecoder(Settings.model_fields["vehicle_classes"].default, 400.0)


def some(count: int, *, frames: bool = False) -> list[Outgoing]:
    return list(islice(play(open_recording(slice_path(), cameras=["cam_01"], frames=frames)), count))


@pytest.mark.parametrize("frames", [False, True])
def test_every_fault_is_refused_with_its_reason(frames: bool) -> None:
    spoiler, reasons = Spoiler(1.0, seed=1), Counter[str]()
    for message in some(400, frames=frames):
        broken, reason = spoiler.spoil(message)
        with pytest.raises(Rejected) as refused:
            DECODER.decode(broken.value)
        assert refused.value.reason == reason
        assert (broken.key, broken.event_time_us) == (message.key, message.event_time_us)
        assert broken.detections == refused.value.events
        reasons[reason] += 1
    assert reasons.keys() == {
        "empty", "not_json", "missing_field", "unknown_class", "impossible_speed", "invalid_field", "invalid_timestamp",
    }  # fmt: skip
    assert min(reasons.values()) >= 5


def test_the_rate_is_the_share_of_broken_messages_and_the_seed_repeats_it() -> None:
    clean = some(5000)
    once, again = (list(Spoiler(0.02, seed=7).spoil_some(clean)) for _ in range(2))
    assert once == again
    broken = sum(before.value != after.value for before, after in zip(clean, once, strict=True))
    assert 60 <= broken <= 140
    assert [message.event_time_us for message in once] == [message.event_time_us for message in clean]


def test_a_rate_is_a_share() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Spoiler(1.1)


def test_event_times_of_the_recording_are_read_alike() -> None:
    (message,) = some(1)
    detection, _ = DECODER.decode(message.value)
    assert epoch_us(detection.timestamp) == message.event_time_us
