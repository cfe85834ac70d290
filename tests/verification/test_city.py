"""The check of all feeds of a city finds what is wrong, and its plan follows from the seed."""

from __future__ import annotations

import random

import pygeohash
import pytest

from models.cameras.detections import Rejected
from tests.verification.city import PARTS
from tests.verification.city_compare import compare_counted, compare_near
from tests.verification.city_plan import BOUNDS, Plan
from tests.verification.city_riders import geohash
from trafficapp.feeds.declaration import Origin
from trafficapp.feeds.declared import FEEDS
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.settings import load_settings

NOW_US = 1_768_392_000_000_000


@pytest.mark.parametrize(
    ("found", "faults"),
    [
        ({"a": {"speed": 10.0, "word": "x"}, "b": {"speed": 2.0, "word": "y"}}, (0, 0, 0)),
        ({"a": {"speed": 10.04, "word": "x"}, "b": {"speed": 2.0, "word": "y"}}, (0, 0, 0)),
        ({"a": {"speed": 10.2, "word": "x"}, "b": {"speed": 2.0, "word": "y"}}, (1, 0, 0)),
        ({"a": {"speed": 10.0, "word": "z"}, "b": {"speed": None, "word": "y"}}, (2, 0, 0)),
        ({"a": {"speed": 10.0, "word": "x"}, "c": {"speed": 2.0, "word": "y"}}, (0, 1, 1)),
        ({}, (0, 2, 0)),
    ],
)
def test_what_differs_is_missing_or_too_much_is_found(
    found: dict[str, dict[str, object]], faults: tuple[int, int, int]
) -> None:
    right = {"a": {"speed": 10.0, "word": "x"}, "b": {"speed": 2.0, "word": "y"}}
    result = compare_near("", right, found, {"speed": 0.005})
    assert (result.different, result.missing, result.extra) == faults
    assert result.equal == (faults == (0, 0, 0))


@pytest.mark.parametrize(
    ("right", "found", "equal"),
    [
        (7.146, 7.2, True),
        (359.97, 0.0, True),
        (0.2, 359.8, True),
        (7.1, 7.7, False),
        (180.0, 0.0, False),
        (7.1, None, False),
    ],
)
def test_directions_are_compared_the_short_way_round(right: float, found: float | None, equal: bool) -> None:
    told = compare_near("", {"a": {"direction": right}}, {"a": {"direction": found}}, directions={"direction": 0.5})
    assert told.equal == equal


def test_what_is_there_twice_or_not_at_all_is_found() -> None:
    assert compare_counted("", ["a", "b", "b"], ["b", "a", "b"]).equal
    once = compare_counted("", ["a", "b", "b"], ["a", "b", "c"])
    assert (once.missing, once.extra, once.equal) == (1, 1, False)
    assert not compare_counted("", [], []).equal


def test_the_same_seed_sends_the_same() -> None:
    def sent(seed: int) -> list[object]:
        plan = Plan(seed)
        parts = [make(plan, 3) for make in PARTS.values()]
        return [one for number in range(3) for part in parts for one in part.batch(number, NOW_US)]

    assert sent(1) == sent(1)
    assert sent(1) != sent(2)


def test_every_message_of_the_plan_is_judged_as_it_is_meant() -> None:
    """Before anything runs: what the plan calls dirty is refused for that reason, the rest is accepted."""
    zones = {
        name: {"time_zone": "Asia/Jakarta"}
        for name in ("fleet", "areas", "weather", "transit", "riders", "still_cameras")
    }
    settings = load_settings(city={"bounds": BOUNDS}, incidents={"time_zone": "Asia/Jakarta"}, **zones)
    feeds = {feed.topic_in(settings): feed for feed in FEEDS if not feed.is_ours}
    decoders = {topic: FeedDecoder(feed, settings) for topic, feed in feeds.items()}
    sends = {topic: feed.sends for topic, feed in feeds.items() if feed.sends is not None}
    converts = {topic: one.messages(settings) for topic, one in sends.items()}
    plan = Plan(7)
    parts = [make(plan, 60) for make in PARTS.values()]
    batches = [part.batch(number, NOW_US) for number in range(60) for part in parts]
    sent = {(one.topic, one.value or b"") for batch in batches for one in batch}
    judged = dict.fromkeys(feeds, 0)
    for topic, value in sent:
        meant = plan.meant[topic, value]
        reason = None
        try:
            accepted = decoders[topic].check(b"any", value, NOW_US)
            origin = (Origin(0, 0, 0),) if sends[topic].with_origin else ()
            list(converts[topic](accepted.message, accepted.time_us, *origin))
            if "time_us" in meant.says:
                assert accepted.time_us == meant.says["time_us"]
        except Rejected as error:
            reason = error.reason
        assert reason == meant.reason, (topic, value)
        judged[topic] += 1
    assert min(judged[topic] for part in parts for topic in part.topics) > 2


def test_cells_are_those_of_the_library() -> None:
    chance = random.Random(5)
    south, west, north, east = BOUNDS
    for _ in range(500):
        place = chance.uniform(south, north), chance.uniform(west, east)
        assert geohash(*place, 5) == pygeohash.encode(*place, 5)
