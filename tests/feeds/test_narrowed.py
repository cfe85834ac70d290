"""A decoder that reads some fields of what is ours finds in them what one finds that reads all."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec import structs

from models.cameras.detections import Rejected
from tests.bench.city_sinks import Stores
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.declared import FEEDS
from trafficapp.feeds.decoder import FeedDecoder, sample_of
from trafficapp.feeds.shapes import narrowed
from trafficapp.settings import load_settings

OURS = [feed for feed in FEEDS if feed.is_ours and (feed.history is not None or feed.current is not None)]


@pytest.mark.parametrize("feed", OURS, ids=lambda feed: feed.name)
def test_rows_and_documents_need_no_other_fields(feed: Feed[Any]) -> None:
    settings, now_us = load_settings(), time.time_ns() // 1000
    key, value = sample_of(feed, datetime.now(UTC))
    values = [value]
    # one with nothing but what it must have, and with more than it knows
    shape, sample = feed.shape, msgspec.json.decode(value, type=feed.shape)
    bare = {name: getattr(sample, name) for name in (*_required(shape), feed.key, feed.time or feed.key)}
    values += [msgspec.json.encode(shape(**bare)), value[:-1] + b',"not_yet_known":{"a":[1,"}"]}}']
    for role in ("history", "live"):
        sink = Stores(role, settings, "redis://127.0.0.1:1/0").sinks.get(feed.kept_topic_in(settings))
        if sink is None:
            continue
        fields = sink.needed()
        whole, some = FeedDecoder(feed, settings), FeedDecoder(feed, settings, fields=fields)
        for one in values:
            expected, found = whole.check(key, one, now_us), some.check(key, one, now_us)
            assert (found.key, found.time_us) == (expected.key, expected.time_us)
            for field in fields or ():
                assert getattr(found.message, field) == getattr(expected.message, field)
        for broken in (None, b"", b"{", b"{}", b"[]", b'{"a":'):
            with pytest.raises(Rejected):
                some.check(key, broken, now_us)


def _required(shape: Any) -> list[str]:
    return [one.name for one in structs.fields(shape) if one.default is one.default_factory]


def test_what_is_told_by_a_tag_or_by_place_stays_whole() -> None:
    class Tagged(msgspec.Struct, tag="a"):
        one: int = 0

    class Placed(msgspec.Struct, array_like=True):
        one: int
        two: int

    assert narrowed(Tagged, ["one"]) is Tagged
    assert narrowed(Placed, ["two"]) is Placed


def test_what_others_send_is_read_whole() -> None:
    feed = next(one for one in FEEDS if not one.is_ours and one.history is not None and one.checks is None)
    key, value = sample_of(feed, datetime.now(UTC))
    accepted = FeedDecoder(feed, load_settings(), fields=()).check(key, value, time.time_ns() // 1000)
    assert type(accepted.message) is feed.shape
