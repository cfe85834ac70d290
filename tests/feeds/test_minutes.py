"""What of a minute of a feed was in time and repeated, as whoever checks it counts."""

from __future__ import annotations

from typing import Any

import msgspec

from agents.feeds import FeedIntake
from models.quality.feeds import FeedMinute
from tests.feeds.parking_bays import PARKING_BAYS
from tests.stores.postgres.records import record
from trafficapp.engine.telemetry import Telemetry
from trafficapp.feeds.minutes import IntakeMinutes
from trafficapp.settings import load_settings

SECOND = 1_000_000
NOON = 1_768_392_000 * SECOND


def test_a_minute_is_told_with_the_first_message_of_the_next() -> None:
    minutes = IntakeMinutes("bays", "bays-topic")
    told = [
        minutes.add(0, key, NOON + at * SECOND, NOON + (at + later) * SECOND)
        # in time, late, repeated, and of another partition's nobody asks
        for key, at, later in (("a", 1, 2), ("b", -100, 130), ("a", 1, 20), ("a", 5, 1))
    ]
    assert told == [None] * 4
    assert minutes.add(1, "a", NOON, NOON + 70 * SECOND) is None
    found = minutes.add(0, "a", NOON + 5 * SECOND, NOON + 60 * SECOND)
    assert found == FeedMinute(
        feed_minute="bays/0/2026-01-14T12:00:00Z",
        feed="bays",
        topic="bays-topic",
        partition=0,
        minute="2026-01-14T12:00:00Z",
        messages=4,
        timely=3,
        late_us=153 * SECOND,
        repeated=1,
    )
    # a repeat of the minute before is known; whose clock is ahead is not early by less than nothing
    minutes.add(0, "z", NOON + 100 * SECOND, NOON + 61 * SECOND)
    following = minutes.add(0, "a", NOON, NOON + 180 * SECOND)
    assert following is not None
    assert (following.messages, following.repeated, following.late_us) == (2, 1, 55 * SECOND)
    # two minutes later nothing is known any more
    minutes.add(0, "a", NOON + 5 * SECOND, NOON + 181 * SECOND)
    last = minutes.add(0, "a", NOON, NOON + 300 * SECOND)
    assert last is not None
    assert (last.messages, last.repeated) == (2, 0)


def test_the_intake_sends_minutes_of_what_it_accepts() -> None:
    settings = load_settings()
    intake = FeedIntake(PARKING_BAYS, settings, Telemetry("feeds", "test"))

    def bay(at: int, value: bytes | None = None) -> Any:
        message = {"bay_id": "a", "occupied": True, "timestamp": 1_768_392_000 + at, "lat": 44.5, "lon": 11.3}
        time_ms = NOON // 1000 + at * 1000
        return record(at, value or msgspec.json.encode(message), b"a", timestamp_ms=time_ms)

    run = [bay(1), bay(2, b"{"), bay(59), bay(61)]
    sent = [one for one in intake.outcome(0, run) if one.topic == "trafficapp-feed-minutes"]
    (found,) = [msgspec.json.decode(one.value or b"", type=FeedMinute) for one in sent]
    assert (found.messages, found.topic, found.feed) == (2, "parking-bays", "parking-bays")
