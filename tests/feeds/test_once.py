"""A decoder that two sinks share says what each would have read by itself, and reads it once."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from models.cameras.detections import Rejected
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.declared import FEEDS
from trafficapp.feeds.decoder import FeedDecoder, sample_of
from trafficapp.feeds.once import MOST_HELD, OnceDecoder
from trafficapp.settings import load_settings

SHARED = [feed for feed in FEEDS if feed.history is not None and feed.current is not None]


@pytest.mark.parametrize("feed", SHARED, ids=lambda feed: feed.name)
def test_both_get_what_each_would_have_read(feed: Feed[Any]) -> None:
    settings, now_us = load_settings(), time.time_ns() // 1000
    alone, shared = FeedDecoder(feed, settings), OnceDecoder[Any](feed, settings)
    key, value = sample_of(feed, datetime.now(UTC))
    first, second = shared.check(key, value, now_us), shared.check(key, value, now_us)
    assert second is first
    assert first == alone.check(key, value, now_us)
    # nobody is given what was read of another record that looks the same, or of another time
    again = shared.check(key, value, now_us)
    assert again is not first
    assert shared.check(key, bytes(bytearray(value)), now_us) is not again
    assert shared.check(key, value, now_us + 1000) is not again
    for broken in (None, b"", b"{", b"[]"):
        for decoder in (alone, shared, shared):
            with pytest.raises(Rejected):
                decoder.check(key, broken, now_us)


def test_what_nobody_else_asks_for_is_not_held_for_ever() -> None:
    feed = SHARED[0]
    shared = OnceDecoder[Any](feed, load_settings())
    key, value = sample_of(feed, datetime.now(UTC))
    for _ in range(2 * MOST_HELD + 5):
        shared.check(key, bytes(bytearray(value)), time.time_ns() // 1000)
    assert len(shared._held) <= MOST_HELD
